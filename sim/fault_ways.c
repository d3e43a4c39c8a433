/* What faults do to the ways of networks and storages: each is computed anew from all faults that hold. */
#include <string.h>

#include "sim/ceph.h"
#include "sim/schedule_private.h"

#define LOSS_LIGHT_PPM      20000
#define LOSS_HEAVY_PPM      250000
#define DUPLICATE_LIGHT_PPM 20000
#define DUPLICATE_HEAVY_PPM 100000
#define TORN_PPM            300000

static int64_t max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* --- the network --- */

static int place_of(const struct sim_world *w, int host, int node)
{
    if (host >= 0)
        return (int)sim_host_place(w->hosts[host]);
    return node >= 0 ? (int)sim_node_place(w->nodes[node]) : -1;
}

static bool in_group(const struct sim_armed *a, unsigned place)
{
    struct sim_rng r = sim_rng_make((uint64_t)a->fault->number, "group", place);
    return sim_rng_below(&r, 2) == 1;
}

static bool is_cut(const struct sim_armed *a, int from, int to)
{
    const struct sim_world *w = a->arm->w;
    int place = place_of(w, a->host, a->node);
    switch (a->fault->kind) {
    case SIM_FAULT_NET_CUT:
        return from == place || to == place;
    case SIM_FAULT_NET_ONE_WAY:
        return from == place && to == place_of(w, a->other_host, a->other_node);
    case SIM_FAULT_NET_PARTITION:
        return in_group(a, (unsigned)from) != in_group(a, (unsigned)to);
    default:
        return false;
    }
}

static void make_poor(const struct sim_armed *a, int from, int to, struct sim_way *way)
{
    int place = place_of(a->arm->w, a->host, a->node);
    if (a->fault->kind != SIM_FAULT_NET_POOR ||
        (strcmp(a->fault->subject, "all") != 0 && from != place && to != place))
        return;
    bool heavy = sim_fault_says(a, "heavy");
    way->loss_ppm = (uint32_t)max(way->loss_ppm, heavy ? LOSS_HEAVY_PPM : LOSS_LIGHT_PPM);
    way->duplicate_ppm = (uint32_t)max(way->duplicate_ppm, heavy ? DUPLICATE_HEAVY_PPM : DUPLICATE_LIGHT_PPM);
    way->delay_ms = max(way->delay_ms, a->fault->number);
}

void sim_fault_set_ways(struct sim_armed *a)
{
    struct sim_net *net = a->arm->w->net;
    unsigned n = sim_net_places(net);
    for (unsigned from = 0; from < n; from++) {
        for (unsigned to = 0; to < n; to++) {
            struct sim_way way = {0};
            for (const struct sim_armed *b = a->arm->first; b && from != to; b = b->next) {
                way.cut |= is_cut(b, (int)from, (int)to);
                make_poor(b, (int)from, (int)to, &way);
            }
            *sim_net_way(net, from, to) = way;
        }
    }
}

/* --- storages --- */

static bool is_for_all(enum sim_fault_kind k)
{
    return k == SIM_FAULT_STORAGE_OUT || k == SIM_FAULT_STORAGE_SICK;
}

static void add_half_fault(const struct sim_armed *b, struct sim_storage_way *way)
{
    way->write_fails |= sim_fault_says(b, "write-error");
    way->write_hangs |= sim_fault_says(b, "write-hang");
    way->read_fails |= sim_fault_says(b, "read-error");
    way->read_hangs |= sim_fault_says(b, "read-hang");
    way->marks_hang |= sim_fault_says(b, "marks-hang");
    way->full |= sim_fault_says(b, "full");
    way->stale |= sim_fault_says(b, "stale");
}

static void add_storage_fault(const struct sim_armed *b, unsigned host, int storage,
                              struct sim_storage_way *way)
{
    bool all = is_for_all(b->fault->kind);
    if (b->storage != storage || (!all && b->host != (int)host))
        return;
    switch (b->fault->kind) {
    case SIM_FAULT_STORAGE_HANG:
        way->hangs |= sim_fault_says(b, "hang");
        way->cut |= sim_fault_says(b, "cut");
        break;
    case SIM_FAULT_STORAGE_OUT:
        way->hangs |= sim_fault_says(b, "hang");
        way->fails |= sim_fault_says(b, "error");
        break;
    case SIM_FAULT_STORAGE_ERROR:
        way->fails = true;
        break;
    case SIM_FAULT_STORAGE_LATE:
        way->delay_ms = max(way->delay_ms, b->fault->number);
        /* a write that lives longer than F is beyond what fencing on files can bear */
        way->late_ms = max(way->late_ms, b->fault->number);
        if (way->late_ms > b->arm->w->timing->guest_write_ms)
            way->late_ms = b->arm->w->timing->guest_write_ms;
        way->torn_ppm = TORN_PPM;
        break;
    case SIM_FAULT_STORAGE_HALF:
    case SIM_FAULT_STORAGE_SICK:
        add_half_fault(b, way);
        break;
    default:
        break;
    }
}

static void set_storage_way(struct sim_arm *arm, unsigned host, int storage)
{
    struct sim_storage *s = storage >= 0 ? arm->w->shared[storage] : arm->w->local[host];
    struct sim_storage_way way = {0};
    for (const struct sim_armed *b = arm->first; b; b = b->next)
        add_storage_fault(b, host, storage, &way);
    if (sim_storage_ceph(s)) /* it shows everybody the same, and takes all of a write or nothing */
        way.stale = false, way.torn_ppm = 0;
    *sim_storage_way(s, host) = way;
    sim_storage_kick(s, host);
}

void sim_fault_set_storage(struct sim_armed *a)
{
    bool all = is_for_all(a->fault->kind);
    if (!all && a->host >= 0)
        set_storage_way(a->arm, (unsigned)a->host, a->storage);
    if (all)
        sim_fault_set_mons(a);
    for (unsigned h = 0; all && a->storage >= 0 && h < a->arm->w->sizes.hosts; h++)
        set_storage_way(a->arm, h, a->storage);
}

/* While the cluster serves nobody its MONs answer nobody either. */
void sim_fault_set_mons(struct sim_armed *a)
{
    struct sim_ceph *c = a->storage >= 0 ? sim_storage_ceph(a->arm->w->shared[a->storage]) : NULL;
    struct sim_ceph_mons mons = {0};
    for (const struct sim_armed *b = a->arm->first; b; b = b->next) {
        if (b->storage != a->storage)
            continue;
        mons.no_quorum |= b->fault->kind == SIM_FAULT_STORAGE_OUT;
        if (b->fault->kind == SIM_FAULT_CEPH_ASKER) {
            mons.asker = sim_fault_says(b, "crash")   ? SIM_ASKER_DIES
                         : sim_fault_says(b, "pause") ? SIM_ASKER_PAUSES
                                                      : SIM_ASKER_HANDS_OVER;
            mons.asker_ms = b->fault->number;
        }
        if (b->fault->kind != SIM_FAULT_CEPH_MONS)
            continue;
        mons.no_quorum |= sim_fault_says(b, "no-quorum");
        mons.fails |= sim_fault_says(b, "error");
        mons.loses |= sim_fault_says(b, "lost-answer");
        mons.delay_ms = max(mons.delay_ms, b->fault->number);
    }
    if (c)
        *sim_ceph_mons(c) = mons;
}
