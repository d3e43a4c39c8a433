/* What the checks are told: which host is not healthy, which storage is out, whether a majority of nodes can
 * work together, and whether anything else is wrong that no bound allows for.
 */
#include "hostd/instance_int.h"
#include "sim/schedule_private.h"

/* After a fault elections, dials and back-offs run for a while: bounds do not count it. A call to the
 * hypervisor or to a storage that was lost is waited for until its deadline, of which a start's is the
 * longest. */
#define ECHO_NS      (30 * HF_S_NS)
#define LONG_ECHO_NS (HF_INSTANCE_START_DEADLINE_MS * HF_MS_NS + ECHO_NS)

/* Faults that are no more than what the checks are told in other words (a host, a storage), or that every
 * bound allows for. All others disturb. */
static bool is_plain(enum sim_fault_kind kind)
{
    switch (kind) {
    case SIM_FAULT_HOST_POWER:
    case SIM_FAULT_STORAGE_OUT:
    case SIM_FAULT_GUEST_CRASH:
    case SIM_FAULT_CLOCK_RATE:
    case SIM_FAULT_WALL_JUMP:
        return true;
    default:
        return false;
    }
}

static int64_t echo_ns(enum sim_fault_kind kind)
{
    switch (kind) {
    case SIM_FAULT_LIBVIRT_CALL:
    case SIM_FAULT_LIBVIRT_DOWN:
    case SIM_FAULT_UNKILLABLE:
    case SIM_FAULT_STORAGE_HANG:
    case SIM_FAULT_STORAGE_LATE:
    case SIM_FAULT_STORAGE_HALF:
    case SIM_FAULT_STORAGE_SICK:
    case SIM_FAULT_RUN_FULL:
    case SIM_FAULT_EXEC:
    case SIM_FAULT_AT_ACT:
    case SIM_FAULT_BUGGIFY:
        return LONG_ECHO_NS;
    default:
        return ECHO_NS;
    }
}

/* Nothing can be read any more of a host that does not write its record again: it waits until it is back. */
static void lose_records(struct sim_arm *arm, const struct sim_fault *f)
{
    bool lost = f->kind == SIM_FAULT_RECORDS_GONE || f->kind == SIM_FAULT_RECORD_JUNK;
    for (unsigned i = 0; lost && i < arm->w->sizes.hosts; i++)
        arm->host_recordless[i] |= !sim_host_powered(arm->w->hosts[i]);
}

void sim_health_disturbs(struct sim_arm *arm, const struct sim_fault *f)
{
    int64_t until_ns = sim_now_ns(arm->w->sim) + echo_ns(f->kind);
    lose_records(arm, f);
    if (!is_plain(f->kind) && until_ns > arm->echoes_until_ns)
        arm->echoes_until_ns = until_ns;
}

static bool is_disturbed(const struct sim_arm *arm)
{
    if (sim_now_ns(arm->w->sim) < arm->echoes_until_ns)
        return true;
    for (unsigned i = 0; i < arm->w->sizes.hosts; i++)
        if (arm->host_recordless[i])
            return true;
    for (const struct sim_armed *a = arm->first; a; a = a->next)
        if (!is_plain(a->fault->kind))
            return true;
    return false;
}

/* --- hosts --- */

static bool processes_run(struct sim_host *h)
{
    for (unsigned i = 0; i < SIM_HOST_PROCS; i++)
        if (!sim_proc_runs(sim_host_proc(h, (enum sim_host_proc)i)))
            return false;
    return true;
}

static bool is_struck(const struct sim_arm *arm, unsigned host)
{
    for (const struct sim_armed *a = arm->first; a; a = a->next) {
        if (a->host == (int)host || a->other_host == (int)host || a->fault->kind == SIM_FAULT_NET_PARTITION)
            return true;
        if (a->fault->kind == SIM_FAULT_NET_POOR && a->host < 0 && a->node < 0)
            return true; /* everybody */
    }
    return false;
}

static void look_at_host(struct sim_arm *arm, unsigned i)
{
    struct sim_host *h = arm->w->hosts[i];
    bool faulty = !sim_host_powered(h) || sim_host_paused(h) || !processes_run(h) || is_struck(arm, i);
    if (faulty == arm->host_faulty[i])
        return;
    arm->host_faulty[i] = faulty;
    sim_checks_host_faulty(arm->w->checks, sim_now_ns(arm->w->sim), i, faulty);
}

/* --- storages --- */

static void look_at_way(struct sim_arm *arm, unsigned i, unsigned host)
{
    struct sim_world *w = arm->w;
    const struct sim_storage_way *way = sim_storage_way(w->shared[i], host);
    bool unreached = way->hangs || way->fails || way->cut;
    if (unreached == arm->unreached[i][host])
        return;
    arm->unreached[i][host] = unreached;
    sim_checks_storage_unreached(w->checks, sim_now_ns(w->sim), sim_storage_uuid(w->shared[i]), host,
                                 unreached);
}

static void look_at_storage(struct sim_arm *arm, unsigned i)
{
    struct sim_world *w = arm->w;
    bool out = true;
    for (unsigned h = 0; h < w->sizes.hosts; h++)
        look_at_way(arm, i, h);
    for (unsigned h = 0; out && h < w->sizes.hosts; h++) {
        const struct sim_storage_way *way = sim_storage_way(w->shared[i], h);
        out = !sim_host_powered(w->hosts[h]) || sim_storage_way_is_bad(way);
    }
    if (out == arm->storage_out[i])
        return;
    arm->storage_out[i] = out;
    sim_checks_storage_out(w->checks, sim_now_ns(w->sim), sim_storage_uuid(w->shared[i]), out);
}

/* --- nodes --- */

static bool node_works(struct sim_world *w, unsigned i)
{
    const struct sim_node_disk *d = sim_node_disk(w->nodes[i]);
    return sim_proc_runs(sim_node_proc(w->nodes[i])) && !d->hangs && !d->full;
}

/* All nodes of this set work and reach each other. */
static bool is_whole(struct sim_world *w, unsigned set)
{
    for (unsigned a = 0; a < w->sizes.nodes; a++) {
        if (!(set & 1u << a))
            continue;
        if (!node_works(w, a))
            return false;
        for (unsigned b = 0; b < a; b++)
            if (set & 1u << b &&
                !sim_net_reach(w->net, sim_node_place(w->nodes[a]), sim_node_place(w->nodes[b])))
                return false;
    }
    return true;
}

static bool has_quorum(struct sim_world *w)
{
    for (unsigned set = 0; set < 1u << w->sizes.nodes; set++)
        if ((unsigned)__builtin_popcount(set) > w->sizes.nodes / 2 && is_whole(w, set))
            return true;
    return false;
}

static void look_at_nodes(struct sim_arm *arm)
{
    bool none = !has_quorum(arm->w);
    if (none == arm->no_quorum)
        return;
    arm->no_quorum = none;
    sim_checks_quorum(arm->w->checks, sim_now_ns(arm->w->sim), !none);
}

/* --- all of it --- */

void sim_health_look(struct sim_arm *arm)
{
    struct sim_world *w = arm->w;
    for (unsigned i = 0; i < w->sizes.hosts; i++) {
        arm->host_recordless[i] &= !sim_host_attached(w->hosts[i]);
        look_at_host(arm, i);
    }
    for (unsigned i = 0; i < w->sizes.shared_storages; i++)
        look_at_storage(arm, i);
    look_at_nodes(arm);
    bool disturbed = is_disturbed(arm);
    if (disturbed == arm->disturbed)
        return;
    arm->disturbed = disturbed;
    sim_checks_disturbed(w->checks, sim_now_ns(w->sim), disturbed);
}

void sim_health_init(struct sim_arm *arm)
{
    struct sim_world *w = arm->w;
    for (unsigned i = 0; i < w->sizes.hosts; i++)
        arm->host_rate_ppm[i] = sim_host_proc(w->hosts[i], SIM_KEEPER)->rate_ppm;
    for (unsigned i = 0; i < w->sizes.nodes; i++)
        arm->node_rate_ppm[i] = sim_node_proc(w->nodes[i])->rate_ppm;
    /* what is true is told once, whatever the checks begin with */
    arm->no_quorum = true;
    sim_checks_quorum(w->checks, sim_now_ns(w->sim), false);
    sim_health_look(arm);
}
