/* Never two copies, and what may still land of the older one's writes. */
#include <inttypes.h>

#include "sim/checks_int.h"

typedef unsigned long long ull;

static struct sim_copy *find_copy(struct sim_copy *list, size_t n, unsigned host, uint64_t run)
{
    for (size_t k = 0; k < n; k++)
        if (list[k].host == host && list[k].run == run)
            return &list[k];
    return NULL;
}

static const char *host_text(struct sim_checks *c, unsigned host)
{
    return sim_host_text(sim_host_numbered(c, host));
}

/* --- copies --- */

bool sim_may_still_run(struct sim_checks *c, const struct sim_instance *i, const struct sim_copy *x)
{
    return x->run <= i->unwriting_run && sim_cannot_write(c, i, sim_host_numbered(c, x->host));
}

static void judge_other_copies(struct sim_checks *c, int64_t now_ns, const struct sim_instance *i,
                               unsigned host, uint64_t run)
{
    char since[SIM_TIME_TEXT], now[SIM_TIME_TEXT];
    const struct sim_copy mine = {.host = host, .run = run}, *other = NULL;
    for (size_t k = 0; k < i->n_copies && other == NULL; k++)
        if (!(i->copies[k].run < run && sim_may_still_run(c, i, &i->copies[k])) &&
            !(run < i->copies[k].run && sim_may_still_run(c, i, &mine)))
            other = &i->copies[k];
    if (other == NULL)
        return;
    sim_violated(
        c, now_ns, SIM_RULE_TWO_COPIES, sim_subject(&i->uuid),
        "instance '%s' executes twice from %s on: run %llu on %s, which has executed since %s, and run "
        "%llu on %s",
        i->name, sim_time_text(now_ns, now), (ull)other->run, host_text(c, other->host),
        sim_time_text(other->at_ns, since), (ull)run, host_text(c, host));
}

static void judge_run(struct sim_checks *c, int64_t now_ns, struct sim_instance *i, unsigned host,
                      uint64_t run)
{
    if (run > i->top_run) {
        i->top_run = run;
        i->top_host = host;
    } else if (run == i->top_run && host != i->top_host) {
        sim_violated(c, now_ns, SIM_RULE_GROWS, sim_subject(&i->uuid),
                     "run %llu of instance '%s' was used twice: on %s and on %s", (ull)run, i->name,
                     host_text(c, i->top_host), host_text(c, host));
    } else if (run < i->top_run &&
               find_copy(i->past, i->n_past < SIM_PAST_MAX ? i->n_past : SIM_PAST_MAX, host, run) == NULL) {
        sim_violated(c, now_ns, SIM_RULE_GROWS, sim_subject(&i->uuid),
                     "run %llu of instance '%s' began on %s after run %llu had begun on %s", (ull)run,
                     i->name, host_text(c, host), (ull)i->top_run, host_text(c, i->top_host));
    }
}

static void judge_placement(struct sim_checks *c, int64_t now_ns, const struct sim_instance *i, unsigned host,
                            uint64_t run)
{
    const struct sim_placement *p = &i->placement;
    char now[SIM_TIME_TEXT];
    if (!i->stored)
        return;
    sim_time_text(now_ns, now);
    const struct sim_copy mine = {.host = host, .run = run};
    if (run <= i->over_run && !sim_may_still_run(c, i, &mine))
        sim_violated(c, now_ns, SIM_RULE_ENDED_RUNS, sim_subject(&i->uuid),
                     "run %llu of instance '%s' executes on %s from %s on, although the store has recorded "
                     "its end",
                     (ull)run, i->name, host_text(c, host), now);
    if (run == i->called_off_run)
        sim_violated(c, now_ns, SIM_RULE_ENDED_RUNS, sim_subject(&i->uuid),
                     "run %llu of instance '%s' executes on %s from %s on, although the migration that it is "
                     "the copy of was called off",
                     (ull)run, i->name, host_text(c, host), now);
    if (run > p->run)
        sim_violated(c, now_ns, SIM_RULE_PLACEMENT, sim_subject(&i->uuid),
                     "run %llu of instance '%s' executes on %s from %s on, but the store has placed no run "
                     "above %llu",
                     (ull)run, i->name, host_text(c, host), now, (ull)p->run);
    else if (run == p->run && p->host != NULL && p->host->facts.known && p->host->facts.number != host)
        sim_violated(c, now_ns, SIM_RULE_PLACEMENT, sim_subject(&i->uuid),
                     "run %llu of instance '%s' executes on %s from %s on, but was placed on %s", (ull)run,
                     i->name, host_text(c, host), now, sim_host_text(p->host));
}

static void count_failover(struct sim_checks *c, struct sim_instance *i, unsigned host)
{
    if (i->fenced_from == NULL)
        return;
    if (!i->fenced_from->facts.known || i->fenced_from->facts.number != host)
        c->failovers++;
    i->fenced_from = NULL;
}

static void begin_copy(struct sim_checks *c, int64_t now_ns, struct sim_instance *i, unsigned host,
                       uint64_t run)
{
    judge_other_copies(c, now_ns, i, host, run);
    judge_run(c, now_ns, i, host, run);
    judge_placement(c, now_ns, i, host, run);
    count_failover(c, i, host);
    if (i->n_copies < SIM_COPIES_MAX)
        i->copies[i->n_copies++] = (struct sim_copy){host, run, now_ns};
}

/* What they are allowed to do may have changed. */
void sim_judge_copies(struct sim_checks *c, int64_t now_ns, struct sim_instance *i)
{
    size_t n = i->n_copies;
    for (size_t k = 1; k < n; k++) {
        i->n_copies = k;
        judge_other_copies(c, now_ns, i, i->copies[k].host, i->copies[k].run);
    }
    i->n_copies = n;
    for (size_t k = 0; k < n; k++)
        if (i->copies[k].run <= i->unwriting_run)
            judge_placement(c, now_ns, i, i->copies[k].host, i->copies[k].run);
}

static void end_copy(struct sim_instance *i, int64_t now_ns, unsigned host, uint64_t run)
{
    struct sim_copy *x = find_copy(i->copies, i->n_copies, host, run);
    if (x == NULL)
        return;
    memmove(x, x + 1, (size_t)(&i->copies[i->n_copies] - (x + 1)) * sizeof *x);
    i->n_copies--;
    struct sim_copy *p = find_copy(i->past, i->n_past < SIM_PAST_MAX ? i->n_past : SIM_PAST_MAX, host, run);
    if (p == NULL)
        p = &i->past[i->n_past++ % SIM_PAST_MAX];
    *p = (struct sim_copy){host, run, now_ns};
}

void sim_checks_copy(struct sim_checks *c, int64_t now_ns, unsigned host, const struct hf_uuid *instance,
                     uint64_t run, bool runs)
{
    struct sim_instance *i = sim_instance_of(c, instance);
    sim_never_stop_tick(c, now_ns);
    if (runs)
        begin_copy(c, now_ns, i, host, run);
    else
        end_copy(i, now_ns, host, run);
    sim_never_stop_instance(c, now_ns, i);
}

/* --- writes --- */

static struct sim_newest_write *newest_on(struct sim_instance *i, const struct hf_uuid *storage)
{
    for (size_t k = 0; k < i->n_newest; k++)
        if (hf_uuid_equal(&i->newest[k].storage, storage))
            return &i->newest[k];
    if (i->n_newest == SIM_DISKS_MAX)
        return NULL;
    struct sim_newest_write *n = &i->newest[i->n_newest++];
    *n = (struct sim_newest_write){.storage = *storage};
    return n;
}

/* When its copy ceased to execute; SIM_EVER_NS: it still executes, or never did. */
static int64_t ended_ns_of(struct sim_instance *i, unsigned host, uint64_t run)
{
    size_t n = i->n_past < SIM_PAST_MAX ? i->n_past : SIM_PAST_MAX;
    const struct sim_copy *past = find_copy(i->past, n, host, run);
    return find_copy(i->copies, i->n_copies, host, run) != NULL || past == NULL ? SIM_EVER_NS : past->at_ns;
}

static void judge_old_write(struct sim_checks *c, int64_t now_ns, struct sim_instance *i,
                            const struct sim_newest_write *newest, unsigned host, uint64_t run,
                            int64_t issued_ns)
{
    int64_t ended_ns = ended_ns_of(i, host, run);
    char now[SIM_TIME_TEXT], issued[SIM_TIME_TEXT], ended[SIM_TIME_TEXT], first[SIM_TIME_TEXT];
    sim_violated(
        c, now_ns, SIM_RULE_OLD_WRITE, sim_subject(&i->uuid),
        "a write of run %llu of instance '%s' on %s, issued at %s, landed at %s, after run %llu on %s "
        "had written at %s; its copy %s%s",
        (ull)run, i->name, host_text(c, host), sim_time_text(issued_ns, issued), sim_time_text(now_ns, now),
        (ull)newest->run, host_text(c, newest->host), sim_time_text(newest->first_ns, first),
        ended_ns == SIM_EVER_NS ? "has not ended" : "ended at ",
        ended_ns == SIM_EVER_NS ? "" : sim_time_text(ended_ns, ended));
}

void sim_checks_write(struct sim_checks *c, int64_t now_ns, unsigned host, const struct hf_uuid *storage,
                      const struct hf_uuid *instance, uint64_t run, uint64_t counter, int64_t issued_ns)
{
    (void)counter;
    struct sim_instance *i = sim_instance_of(c, instance);
    struct sim_newest_write *n = newest_on(i, storage);
    sim_never_stop_tick(c, now_ns);
    if (n == NULL)
        return;
    if (run > n->run) {
        n->run = run;
        n->first_ns = now_ns;
        n->host = host;
    } else if (run < n->run) {
        judge_old_write(c, now_ns, i, n, host, run, issued_ns);
    }
}
