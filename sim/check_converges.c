/* After the faults: everything is as it was asked for. */
#include <inttypes.h>

#include "sim/checks_int.h"

typedef unsigned long long ull;

/* It waits for a host to go to, and says so. */
static bool waits_for_room(const struct sim_checks *c, const struct sim_instance *i)
{
    const struct sim_placement *p = &i->placement;
    return i->wanted && !(p->host != NULL && p->end == SIM_OPEN) && !sim_room_for(c, i);
}

static void judge_running(struct sim_checks *c, int64_t now_ns, const struct sim_instance *i)
{
    const struct sim_placement *p = &i->placement;
    bool open = p->host != NULL && p->end == SIM_OPEN;
    if (waits_for_room(c, i))
        return;
    if (!open || i->n_copies != 1)
        sim_violated(c, now_ns, SIM_RULE_CONVERGES, sim_subject(&i->uuid),
                     "instance '%s' is wanted running, but %zu copies of it execute; its run %llu on %s is "
                     "%s%s",
                     i->name, i->n_copies, (ull)p->run, sim_host_text(p->host), open ? "not over" : "over",
                     sim_says_of(i).text);
    else if (i->copies[0].run != p->run ||
             (p->host->facts.known && p->host->facts.number != i->copies[0].host))
        sim_violated(c, now_ns, SIM_RULE_CONVERGES, sim_subject(&i->uuid),
                     "instance '%s' executes run %llu on %s, but is placed as run %llu on %s", i->name,
                     (ull)i->copies[0].run, sim_host_text(sim_host_numbered(c, i->copies[0].host)),
                     (ull)p->run, sim_host_text(p->host));
}

static void judge_instance(struct sim_checks *c, int64_t now_ns, const struct sim_instance *i)
{
    bool there = i->stored && !i->deleted;
    if (there && i->deleting)
        sim_violated(c, now_ns, SIM_RULE_CONVERGES, sim_subject(&i->uuid),
                     "instance '%s' is still being deleted", i->name);
    else if (there && i->wanted)
        judge_running(c, now_ns, i);
    else if (i->n_copies > 0)
        sim_violated(c, now_ns, SIM_RULE_CONVERGES, sim_subject(&i->uuid),
                     "run %llu of instance '%s' executes on %s, but it is %s", (ull)i->copies[0].run, i->name,
                     sim_host_text(sim_host_numbered(c, i->copies[0].host)),
                     !i->stored   ? "unknown to the store"
                     : i->deleted ? "deleted"
                     : i->paused  ? "wanted paused"
                                  : "wanted stopped");
}

static void judge_host(struct sim_checks *c, int64_t now_ns, const struct sim_known_host *h)
{
    if (!h->stored || h->deleted || !h->facts.known || h->facts.faulty || h->facts.lost)
        return;
    if (!h->connected || h->epoch == 0 || h->fenced_epoch >= h->epoch)
        sim_violated(c, now_ns, SIM_RULE_CONVERGES, sim_subject(&h->uuid),
                     "nothing is wrong with host %s, but it is %s (epoch %llu)", sim_host_text(h),
                     h->connected ? "fenced" : "not connected", (ull)h->epoch);
    else
        sim_blocklists_end(c, now_ns, h);
}

static void judge_operation(struct sim_checks *c, int64_t now_ns, const struct sim_operation *o)
{
    char uuid[HF_UUID_STR];
    if (o->instance != NULL && o->instance->never_stop && waits_for_room(c, o->instance))
        return; /* so does what was asked of it; without NeverStop that has failed */
    if (!o->ended && !o->deleted)
        sim_violated(c, now_ns, SIM_RULE_OPERATIONS, sim_subject(&o->uuid),
                     "operation %s (%s of '%s') has not ended", hf_uuid_format(&o->uuid, uuid), o->verb,
                     o->target);
}

void sim_checks_end(struct sim_checks *c, int64_t now_ns, int64_t calm_since_ns)
{
    (void)calm_since_ns; /* the caller has waited for as long as everything may take */
    sim_never_stop_tick(c, now_ns);
    sim_store_flush(c, now_ns);
    sim_replicas_end(c, now_ns);
    for (const struct sim_instance *i = c->instance_list; i != NULL; i = i->next)
        judge_instance(c, now_ns, i);
    for (const struct sim_known_host *h = c->host_list; h != NULL; h = h->next)
        judge_host(c, now_ns, h);
    for (const struct sim_operation *o = c->operation_list; o != NULL; o = o->next)
        judge_operation(c, now_ns, o);
    sim_history_end(c, now_ns);
}
