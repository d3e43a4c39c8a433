/* NeverStop: who is to run does, within the bound and with the excuses that checks.h names. */
#include <inttypes.h>

#include "sim/checks_int.h"

typedef unsigned long long ull;

/* The longest bound, and the shortest. */
static int64_t start_bound_ns(const struct sim_checks *c)
{
    return (c->timing->takeover_ms + SIM_START_MS) * SIM_MS_NS;
}

static int64_t place_bound_ns(const struct sim_checks *c)
{
    return (c->timing->takeover_ms + SIM_PLACE_MS) * SIM_MS_NS;
}

static int64_t refused_bound_ns(const struct sim_checks *c)
{
    return (c->timing->write_fenced_ms + SIM_BLOCK_MS + SIM_PLACE_MS) * SIM_MS_NS;
}

/* Its host is lost, and it has not been placed elsewhere. */
static bool waits_for_proof(const struct sim_instance *i)
{
    const struct sim_placement *p = &i->placement;
    return p->host != NULL && p->host->facts.lost && p->end != SIM_STOPPED;
}

static int64_t bound_ns(const struct sim_checks *c, const struct sim_instance *i)
{
    if (!waits_for_proof(i))
        return start_bound_ns(c);
    bool refused = sim_needs_blocklist_only(i) && sim_can_be_refused(c, i, i->placement.host);
    return refused ? refused_bound_ns(c) : place_bound_ns(c);
}

/* A clock may be over so early. */
static void look_soon(struct sim_checks *c, int64_t now_ns)
{
    if (c->down_list != NULL && now_ns + refused_bound_ns(c) + 1 < c->next_look_ns)
        c->next_look_ns = now_ns + refused_bound_ns(c) + 1;
}

/* --- hosts --- */

/* Its daemon works and is attached. */
static bool is_up(const struct sim_known_host *h)
{
    return h->stored && !h->deleted && h->connected && !h->facts.faulty && !h->facts.lost;
}

static bool is_healthy(const struct sim_known_host *h)
{
    return is_up(h) && !h->disabled && h->epoch > 0 && h->fenced_epoch < h->epoch;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* without: an instance whose room on it counts as free, or NULL. */
static bool has_room(const struct sim_checks *c, const struct sim_known_host *h, const struct sim_instance *i,
                     const struct sim_instance *without)
{
    bool frees = without != NULL && sim_may_run_on(without, h);
    uint64_t cpus = h->cpus_used - (frees ? without->cpus : 0),
             memory = h->memory_used - (frees ? without->memory_bytes : 0);
    return less(h->cpus * c->cpu_factor, cpus) >= i->cpus &&
           less(less(h->memory_bytes, c->reserved_memory), memory) >= i->memory_bytes;
}

/* It has lost its lease on one of the instance's storages: that one takes no start before the host's next
 * epoch (docs/safety.md, "No grant per storage"). */
static bool is_closed_to(const struct sim_known_host *h, const struct sim_instance *i)
{
    for (size_t k = 0; k < h->facts.n_leases; k++) {
        const struct sim_lease *l = &h->facts.leases[k];
        for (size_t n = 0; n < i->n_storages && l->closed_epoch == h->epoch; n++)
            if (hf_uuid_equal(&i->storages[n]->uuid, &l->storage))
                return true;
    }
    return false;
}

bool sim_fits(const struct sim_checks *c, const struct sim_instance *i, const struct sim_known_host *h,
              const struct sim_instance *without)
{
    const struct sim_known_host *from = i->placement.host;
    return has_room(c, h, i, without) && !is_closed_to(h, i) && !sim_is_refused_at(h, i) &&
           sim_kept_apart_by(c, i, h, without) == NULL && (i->bound_to == NULL || i->bound_to == h) &&
           (from == NULL || hf_uuid_equal(&h->cluster, &from->cluster));
}

/* Since when the longest healthy host with room has been that; INT64_MAX: there is none. */
static int64_t room_since(const struct sim_checks *c, const struct sim_instance *i)
{
    int64_t since = INT64_MAX;
    for (const struct sim_known_host *h = c->host_list; h != NULL; h = h->next)
        if (h->healthy_since_ns < since && sim_fits(c, i, h, NULL))
            since = h->healthy_since_ns;
    return since;
}

bool sim_room_for(const struct sim_checks *c, const struct sim_instance *i)
{
    return room_since(c, i) != INT64_MAX;
}

static bool mass_loss(const struct sim_checks *c)
{
    uint64_t all = 0, lost = 0;
    for (const struct sim_known_host *h = c->host_list; h != NULL; h = h->next) {
        if (!h->stored || h->deleted || h->epoch == 0 || sim_is_at_rest(c, h))
            continue;
        all++;
        lost += !is_up(h);
    }
    return lost > 1 && lost * 100 > c->mass_share * all;
}

/* --- excuses --- */

static bool storage_excuses(const struct sim_instance *i)
{
    for (size_t k = 0; k < i->n_storages; k++)
        if (i->storages[k]->out || !i->storages[k]->shared)
            return true;
    return i->n_storages == 0;
}

/* Whether anybody can see the host's record of its present epoch on this storage stand still. */
static bool is_blind(struct sim_known_host *h, const struct sim_store_storage *s)
{
    const struct sim_lease *l = sim_lease_of(&h->facts, &s->uuid);
    return s->out || (s->shared && (l == NULL || l->started_ns < h->epoch_since_ns));
}

/* Rules 18, 19: the fence of a lost host, which ends all that runs there, waits for the storages that its
 * runs are on and where nothing can be seen. */
static bool fence_waits(const struct sim_checks *c, struct sim_known_host *h)
{
    for (const struct sim_instance *i = c->instance_list; i != NULL; i = i->next)
        for (size_t k = 0; k < i->n_storages && sim_may_run_on(i, h); k++)
            if (is_blind(h, i->storages[k]))
                return true;
    return false;
}

static bool host_excuses(const struct sim_checks *c, const struct sim_instance *i)
{
    const struct sim_placement *p = &i->placement;
    if (p->moves && !is_up(p->target))
        return true; /* rule 6: proof is needed for both ends */
    if (p->host != NULL && p->end == SIM_OPEN && p->host->facts.lost && fence_waits(c, p->host))
        return true;
    if (p->host != NULL && p->end == SIM_OPEN && !p->host->facts.lost)
        return !is_up(p->host);
    if (p->host != NULL && p->end == SIM_OPEN && !p->host->watchdog)
        return true;
    return !sim_room_for(c, i);
}

static bool is_excused(const struct sim_checks *c, const struct sim_instance *i)
{
    return c->no_quorum || c->disturbed || c->ha_off || i->operations > 0 || i->bound_to != NULL ||
           storage_excuses(i) || host_excuses(c, i) || mass_loss(c);
}

/* When the clock began at the latest, of one that is not excused now. */
static int64_t clock_of(const struct sim_checks *c, const struct sim_instance *i)
{
    const struct sim_placement *p = &i->placement;
    int64_t clock = i->clock_ns;
    bool open = p->host != NULL && p->end == SIM_OPEN;
    if (waits_for_proof(i) && p->host->facts.lost_since_ns > clock)
        clock = p->host->facts.lost_since_ns;
    if (waits_for_proof(i) && p->host->cleared_ns > clock)
        clock = p->host->cleared_ns;
    if (!open || p->host->facts.lost) {
        int64_t room = room_since(c, i);
        if (room > clock)
            clock = room;
    }
    return clock;
}

/* --- starts --- */

/* Where the last run before its placement executed, and until when; NULL: unknown. */
static const struct sim_copy *copy_before(const struct sim_instance *i)
{
    const struct sim_copy *last = NULL;
    size_t n = i->n_past < SIM_PAST_MAX ? i->n_past : SIM_PAST_MAX;
    for (size_t k = 0; k < n; k++)
        if (i->past[k].run < i->placement.run && (last == NULL || i->past[k].run > last->run))
            last = &i->past[k];
    return last;
}

/* Its last run there outlived the lease, so that the keeper ended it, and the host reaches nothing since. */
static bool was_killed_for(const struct sim_checks *c, int64_t now_ns, struct sim_known_host *h,
                           const struct sim_copy *last, const struct sim_store_storage *s)
{
    const struct sim_lease *l = sim_lease_of(&h->facts, &s->uuid);
    int64_t unreached_ns = s->unreached_since_ns[h->facts.number];
    return l != NULL && last->host == h->facts.number &&
           last->at_ns - l->started_ns >= c->timing->lease_ms * SIM_MS_NS &&
           now_ns - l->started_ns >= c->timing->fence_ms * SIM_MS_NS && unreached_ns != 0 &&
           unreached_ns < last->at_ns;
}

void sim_judge_reach(struct sim_checks *c, int64_t now_ns, const struct sim_instance *i,
                     struct sim_known_host *h)
{
    const struct sim_copy *last = copy_before(i);
    for (size_t k = 0; last != NULL && k < i->n_storages && h->facts.known; k++)
        if (was_killed_for(c, now_ns, h, last, i->storages[k]))
            sim_violated(c, now_ns, SIM_RULE_NEVER_STOP, sim_subject(&i->uuid),
                         "instance '%s' was placed on host %s again, which killed its run %llu when it lost "
                         "storage '%s' and has not reached that since",
                         i->name, sim_host_text(h), (ull)last->run, i->storages[k]->name);
}

/* --- clocks --- */

void sim_never_stop_before(struct sim_checks *c, int64_t now_ns)
{
    for (struct sim_instance *i = c->down_list; i != NULL; i = i->next_down)
        if (i->clock_ns < now_ns && is_excused(c, i))
            i->clock_ns = now_ns;
}

void sim_never_stop_restart(struct sim_checks *c, int64_t now_ns)
{
    for (struct sim_instance *i = c->down_list; i != NULL; i = i->next_down)
        if (i->clock_ns < now_ns)
            i->clock_ns = now_ns;
}

static void judge_clock(struct sim_checks *c, int64_t now_ns, struct sim_instance *i, int64_t began_ns)
{
    const struct sim_placement *p = &i->placement;
    char now[SIM_TIME_TEXT], since[SIM_TIME_TEXT], bound[SIM_TIME_TEXT];
    sim_violated(c, now_ns, SIM_RULE_NEVER_STOP, sim_subject(&i->uuid),
                 "instance '%s' is NeverStop and wanted running, but has not executed since %s, now %s: the "
                 "bound is %s; its run %llu on %s is %s%s",
                 i->name, sim_time_text(began_ns, since), sim_time_text(now_ns, now),
                 sim_time_text(bound_ns(c, i), bound), (ull)p->run, sim_host_text(p->host),
                 p->end == SIM_OPEN ? "not over" : "over", sim_says_of(i).text);
}

void sim_never_stop_look(struct sim_checks *c, int64_t now_ns)
{
    c->next_look_ns = INT64_MAX;
    sim_never_stop_before(c, now_ns);
    for (struct sim_instance *i = c->down_list; i != NULL; i = i->next_down) {
        int64_t began_ns = is_excused(c, i) ? now_ns : clock_of(c, i);
        int64_t bound = bound_ns(c, i);
        if (now_ns - began_ns > bound) {
            judge_clock(c, now_ns, i, began_ns);
            began_ns = i->clock_ns = now_ns;
        }
        if (began_ns + bound + 1 < c->next_look_ns)
            c->next_look_ns = began_ns + bound + 1;
    }
}

static void set_down(struct sim_checks *c, int64_t now_ns, struct sim_instance *i, bool down)
{
    if (i->down == down)
        return;
    i->down = down;
    if (down) {
        i->clock_ns = now_ns;
        i->next_down = c->down_list;
        i->down_link = &c->down_list;
        if (i->next_down != NULL)
            i->next_down->down_link = &i->next_down;
        c->down_list = i;
    } else {
        *i->down_link = i->next_down;
        if (i->next_down != NULL)
            i->next_down->down_link = i->down_link;
    }
}

void sim_never_stop_instance(struct sim_checks *c, int64_t now_ns, struct sim_instance *i)
{
    bool to_run = i->stored && !i->deleted && i->wanted;
    i->has_run = to_run && (i->has_run || i->n_copies > 0);
    set_down(c, now_ns, i, to_run && i->never_stop && i->has_run && i->n_copies == 0);
    look_soon(c, now_ns);
}

void sim_never_stop_host(struct sim_checks *c, int64_t now_ns, struct sim_known_host *h)
{
    look_soon(c, now_ns);
    if (!is_healthy(h))
        h->healthy_since_ns = INT64_MAX;
    else if (h->healthy_since_ns == INT64_MAX)
        h->healthy_since_ns = now_ns;
}
