/* No kill without need: not of a guest whose host kept its leases, not of a host because a storage is out. */
#include <inttypes.h>
#include <string.h>

#include "sim/checks_int.h"

typedef unsigned long long ull;

/* --- leases --- */

struct sim_lease *sim_lease_of(struct sim_host_facts *f, const struct hf_uuid *storage)
{
    for (size_t k = 0; k < f->n_leases; k++)
        if (hf_uuid_equal(&f->leases[k].storage, storage))
            return &f->leases[k];
    return NULL;
}

/* True nanoseconds in which a clock may show that many milliseconds already: it is as fast as the header
 * allows. */
static int64_t at_least_ns(const struct sim_checks *c, int64_t ms)
{
    return ms * (1000000 - c->timing->drift_ppm);
}

void sim_checks_renewed(struct sim_checks *c, int64_t now_ns, unsigned host, const struct hf_uuid *storage,
                        int64_t started_ns)
{
    struct sim_known_host *h = sim_host_numbered(c, host);
    struct sim_lease *l = sim_lease_of(&h->facts, storage);
    if (l == NULL) {
        if (h->facts.n_leases == SIM_LEASES_MAX)
            return;
        l = &h->facts.leases[h->facts.n_leases++];
        *l = (struct sim_lease){.storage = *storage, .started_ns = started_ns};
        return;
    }
    /* A keeper that starts takes what it finds for L old: it has K to renew it. */
    bool found = !h->facts.keeper_down && l->started_ns < h->facts.keeper_since_ns;
    if (now_ns - l->started_ns >= at_least_ns(c, c->timing->fence_ms) ||
        (found && now_ns - h->facts.keeper_since_ns >= at_least_ns(c, c->timing->kill_ms)))
        l->closed_epoch = h->epoch;
    if (started_ns <= l->started_ns)
        return;
    memmove(l->earlier_ns + 1, l->earlier_ns, sizeof l->earlier_ns - sizeof l->earlier_ns[0]);
    l->earlier_ns[0] = l->started_ns;
    l->started_ns = started_ns;
}

void sim_checks_keeper(struct sim_checks *c, int64_t now_ns, unsigned host, bool up)
{
    struct sim_host_facts *f = &sim_host_numbered(c, host)->facts;
    if (f->keeper_down == !up)
        return;
    f->keeper_down = !up;
    f->keeper_since_ns = now_ns;
}

/* Renewed so lately, beyond doubt, and not closed. */
static bool is_younger(const struct sim_checks *c, int64_t now_ns, const struct sim_known_host *h,
                       const struct sim_lease *l, int64_t ms)
{
    return now_ns - l->started_ns < at_least_ns(c, ms) &&
           (l->closed_epoch == 0 || l->closed_epoch != h->epoch);
}

/* The newest renewal that every leader has heard of: it is told after it was read. */
static int64_t told_ns(const struct sim_checks *c, int64_t now_ns, const struct sim_lease *l)
{
    int64_t late_ns = (c->timing->takeover_read_ms + c->timing->report_ms) * SIM_MS_NS, known = l->started_ns;
    for (size_t i = 0; i < SIM_RENEWALS_KEPT && now_ns - known < late_ns; i++)
        known = l->earlier_ns[i];
    return known;
}

/* The keeper held it beyond doubt at this instant. */
static bool is_held(const struct sim_checks *c, int64_t now_ns, const struct sim_known_host *h,
                    const struct sim_lease *l)
{
    return is_younger(c, now_ns, h, l, c->timing->lease_ms);
}

static bool all_held(const struct sim_checks *c, int64_t now_ns, const struct sim_known_host *h)
{
    for (size_t k = 0; k < h->facts.n_leases; k++)
        if (!is_held(c, now_ns, h, &h->facts.leases[k]))
            return false;
    return true;
}

static bool held_for(const struct sim_checks *c, int64_t now_ns, struct sim_known_host *h,
                     const struct sim_instance *i)
{
    for (size_t k = 0; k < i->n_storages; k++) {
        if (!i->storages[k]->shared)
            continue;
        const struct sim_lease *l = sim_lease_of(&h->facts, &i->storages[k]->uuid);
        if (l == NULL || !is_held(c, now_ns, h, l))
            return false;
    }
    return true;
}

/* --- kills --- */

static bool is_wanted_here(const struct sim_instance *i, const struct sim_known_host *h, uint64_t run)
{
    const struct sim_placement *p = &i->placement;
    return i->stored && !i->deleted && p->host == h && p->run == run && p->end == SIM_OPEN && i->wanted &&
           i->unwanted_run < run && !h->deleted && h->epoch == p->epoch && h->fenced_epoch < p->epoch;
}

static bool kill_was_needed(const struct sim_checks *c, int64_t now_ns, struct sim_known_host *h,
                            const struct sim_instance *i, enum sim_killer by)
{
    const struct hf_ha_timing *t = c->timing;
    const struct sim_host_facts *f = &h->facts;
    if (f->keeper_down || now_ns - f->keeper_since_ns < t->lease_ms * SIM_MS_NS || !held_for(c, now_ns, h, i))
        return true;
    return by == SIM_KILLED_BY_WATCHDOG &&
           (f->faulty || f->lost || !all_held(c, now_ns, h) ||
            now_ns - f->faulty_until_ns < (t->fence_ms + t->watchdog_worst_ms) * SIM_MS_NS);
}

void sim_checks_kill(struct sim_checks *c, int64_t now_ns, unsigned host, const struct hf_uuid *instance,
                     uint64_t run, enum sim_killer by)
{
    struct sim_known_host *h = sim_host_numbered(c, host);
    struct sim_instance *i = sim_instance_of(c, instance);
    char now[SIM_TIME_TEXT];
    sim_never_stop_tick(c, now_ns);
    if (!is_wanted_here(i, h, run) || kill_was_needed(c, now_ns, h, i, by))
        return;
    sim_violated(c, now_ns, SIM_RULE_NEEDLESS_KILL, sim_subject(&i->uuid),
                 "run %llu of instance '%s' was killed on %s by its %s at %s, although the host held every "
                 "lease that it needs and nobody wanted it stopped",
                 (ull)run, i->name, sim_host_text(h), by == SIM_KILLED_BY_KEEPER ? "keeper" : "watchdog",
                 sim_time_text(now_ns, now));
}

/* --- fences --- */

/* Nothing has proven its present epoch over. */
static bool may_run(const struct sim_checks *c, const struct sim_known_host *h)
{
    const struct sim_fence *f = sim_fence_of(c, h, h->epoch);
    return h->stored && !h->deleted && h->epoch > 0 && (f == NULL || f->n_evidence == 0);
}

/* Rule 18: many hosts lost at once are an accident of something else: hold and alarm. Who has been without
 * power for as long as it takes to fence has long been without contact, for every leader. */
static void judge_mass(struct sim_checks *c, int64_t now_ns, const struct sim_known_host *h, uint64_t epoch)
{
    uint64_t all = 0, lost = 0;
    if (c->no_quorum || c->disturbed || now_ns - c->calm_since_ns < c->timing->fence_ms * SIM_MS_NS)
        return;
    for (const struct sim_known_host *o = c->host_list; o != NULL; o = o->next) {
        if (sim_is_at_rest(c, o))
            continue;
        all += may_run(c, o);
        lost += may_run(c, o) && o->facts.lost &&
                now_ns - o->facts.lost_since_ns > c->timing->fence_ms * SIM_MS_NS;
    }
    if (lost > 1 && lost * 100 > c->mass_share * all)
        sim_violated(c, now_ns, SIM_RULE_NEEDLESS_KILL, sim_subject(&h->uuid),
                     "epoch %llu of host %s was fenced for its silence while %llu of %llu hosts were lost at "
                     "once, more than %llu %%",
                     (ull)epoch, sim_host_text(h), (ull)lost, (ull)all, (ull)c->mass_share);
}

static bool executes_on(const struct sim_instance *i, unsigned host)
{
    for (size_t k = 0; k < i->n_copies; k++)
        if (i->copies[k].host == host)
            return true;
    return false;
}

/* A copy executes on this host and has a disk on this storage. */
static bool is_used(const struct sim_checks *c, const struct sim_known_host *h, const struct hf_uuid *storage)
{
    for (const struct sim_instance *i = c->instance_list; i != NULL; i = i->next)
        for (size_t k = 0; k < i->n_storages; k++)
            if (hf_uuid_equal(&i->storages[k]->uuid, storage) && executes_on(i, h->facts.number))
                return true;
    return false;
}

/* Rule 15: one that never stops may leave it as soon as the host cannot write. */
static bool may_be_early(const struct sim_checks *c, const struct sim_known_host *h)
{
    for (const struct sim_instance *i = c->instance_list; i != NULL; i = i->next)
        if (i->never_stop && sim_may_run_on(i, h) && sim_needs_blocklist_only(i))
            return true;
    return false;
}

/* A host that has lost one lease closes its epoch when none of its runs needs another one: it goes on
 * renewing that, and may be fenced for the lost one all the same. */
void sim_judge_fence(struct sim_checks *c, int64_t now_ns, const struct sim_known_host *h, uint64_t epoch)
{
    bool all = all_held(c, now_ns, h);
    bool early = may_be_early(c, h);
    if (sim_is_at_rest(c, h))
        sim_violated(c, now_ns, SIM_RULE_NEEDLESS_KILL, sim_subject(&h->uuid),
                     "epoch %llu of host %s was fenced for its silence, although it is in maintenance and "
                     "nothing is placed there",
                     (ull)epoch, sim_host_text(h));
    for (size_t k = 0; h->epoch == epoch && k < h->facts.n_leases; k++) {
        const struct sim_lease *l = &h->facts.leases[k];
        char began[SIM_TIME_TEXT], now[SIM_TIME_TEXT];
        if (!is_held(c, now_ns, h, l) || (!all && !is_used(c, h, &l->storage)))
            continue;
        if (early && now_ns - told_ns(c, now_ns, l) >= at_least_ns(c, c->timing->write_fence_ms))
            continue;
        sim_violated(c, now_ns, SIM_RULE_NEEDLESS_KILL, sim_subject(&h->uuid),
                     "epoch %llu of host %s was fenced for its silence at %s, although the host held its "
                     "lease on storage '%s', renewed at %s",
                     (ull)epoch, sim_host_text(h), sim_time_text(now_ns, now),
                     sim_storage_of(c, &l->storage)->name, sim_time_text(l->started_ns, began));
    }
    judge_mass(c, now_ns, h, epoch);
}

/* The store names the silence of a record on this storage as a reason against (h, epoch). Nobody could read
 * it for so long that what was seen before cannot be the cause. */
void sim_judge_silence(struct sim_checks *c, int64_t now_ns, const struct sim_known_host *h, uint64_t epoch,
                       const struct sim_store_storage *s)
{
    int64_t grace_ns = c->timing->fence_ms * SIM_MS_NS;
    char since[SIM_TIME_TEXT], now[SIM_TIME_TEXT];
    if (!s->out || now_ns - s->out_since_ns < grace_ns || c->no_quorum || c->disturbed ||
        now_ns - c->calm_since_ns < grace_ns)
        return;
    sim_violated(c, now_ns, SIM_RULE_NEEDLESS_KILL, sim_subject(&h->uuid),
                 "epoch %llu of host %s was fenced at %s for its silence on storage '%s', which has been out "
                 "for every host since %s",
                 (ull)epoch, sim_host_text(h), sim_time_text(now_ns, now), s->name,
                 sim_time_text(s->out_since_ns, since));
}
