/* What each kind of fault does to a world; fault_ways.c has networks and storages. */
#include <string.h>

#include "base/sim.h"
#include "sim/schedule_private.h"

/* --- who is struck --- */

static int find_leader(const struct sim_world *w)
{
    for (unsigned i = 0; i < w->sizes.nodes; i++)
        if (sim_node_leads(w->nodes[i]))
            return (int)i;
    return -1;
}

static void find_machine(const struct sim_world *w, const char *subject, int *ret_host, int *ret_node)
{
    *ret_host = sim_subject_number(subject, 'h');
    *ret_node = strcmp(subject, "leader") == 0 ? find_leader(w) : sim_subject_number(subject, 'n');
    if (*ret_host >= (int)w->sizes.hosts)
        *ret_host = -1;
    if (*ret_node >= (int)w->sizes.nodes)
        *ret_node = -1;
}

static int find_storage(const struct sim_world *w, const char *subject)
{
    int i = strncmp(subject, "shared", 6) == 0 ? sim_subject_number(subject + 5, 'd') : -1;
    return i < (int)w->sizes.shared_storages ? i : -1;
}

static void resolve(struct sim_armed *a)
{
    const struct sim_world *w = a->arm->w;
    find_machine(w, a->fault->subject, &a->host, &a->node);
    find_machine(w, a->fault->other, &a->other_host, &a->other_node);
    a->storage = find_storage(w, *a->fault->other ? a->fault->other : a->fault->subject);
}

static struct sim_host *host_of(const struct sim_armed *a)
{
    return a->host >= 0 ? a->arm->w->hosts[a->host] : NULL;
}

static struct sim_node *node_of(const struct sim_armed *a)
{
    return a->node >= 0 ? a->arm->w->nodes[a->node] : NULL;
}

/* --- machines: counted --- */

static void cut_power(struct sim_armed *a)
{
    struct sim_arm *arm = a->arm;
    if (a->host >= 0 && arm->host_power[a->host]++ == 0)
        sim_host_power_off(host_of(a));
    if (a->node >= 0 && arm->node_power[a->node]++ == 0)
        sim_node_power_off(node_of(a));
}

static void give_power(struct sim_armed *a)
{
    struct sim_arm *arm = a->arm;
    if (a->host >= 0 && --arm->host_power[a->host] == 0)
        sim_host_power_on(host_of(a));
    if (a->node >= 0 && --arm->node_power[a->node] == 0)
        sim_node_power_on(node_of(a));
}

static void pause_machine(struct sim_armed *a)
{
    if (a->host >= 0 && a->arm->host_pause[a->host]++ == 0)
        sim_host_pause(host_of(a));
    if (a->node >= 0)
        sim_proc_stop(sim_node_proc(node_of(a)));
}

static void resume_machine(struct sim_armed *a)
{
    if (a->host >= 0 && --a->arm->host_pause[a->host] == 0)
        sim_host_resume(host_of(a));
    if (a->node >= 0)
        sim_proc_cont(sim_node_proc(node_of(a)));
}

static void begin_unkillable(struct sim_armed *a)
{
    if (host_of(a) && a->arm->host_unkillable[a->host]++ == 0)
        sim_host_set_unkillable(host_of(a), true);
}

static void end_unkillable(struct sim_armed *a)
{
    if (host_of(a) && --a->arm->host_unkillable[a->host] == 0)
        sim_host_set_unkillable(host_of(a), false);
}

/* --- processes --- */

static enum sim_host_proc process_of(const struct sim_armed *a)
{
    switch (a->fault->kind) {
    case SIM_FAULT_HOSTD_CRASH:
    case SIM_FAULT_HOSTD_PAUSE:
        return SIM_HOSTD;
    case SIM_FAULT_KEEPER_CRASH:
    case SIM_FAULT_KEEPER_PAUSE:
        return SIM_KEEPER;
    default:
        return SIM_HYPERVISOR;
    }
}

static void crash_process(struct sim_armed *a)
{
    if (host_of(a))
        sim_host_crash(host_of(a), process_of(a));
}

static void stop_process(struct sim_armed *a)
{
    if (host_of(a))
        sim_proc_stop(sim_host_proc(host_of(a), process_of(a)));
}

static void cont_process(struct sim_armed *a)
{
    if (host_of(a))
        sim_proc_cont(sim_host_proc(host_of(a), process_of(a)));
}

static void crash_node(struct sim_armed *a)
{
    if (node_of(a))
        sim_proc_crash(sim_node_proc(node_of(a)));
}

static void change_leader(struct sim_armed *a)
{
    int leader = find_leader(a->arm->w);
    if (leader >= 0)
        sim_node_transfer(a->arm->w->nodes[leader]);
}

/* --- the hypervisor --- */

static unsigned call_of(const struct sim_armed *a)
{
    unsigned i = 0;
    while (sim_hypervisor_call(i) && strcmp(sim_hypervisor_call(i), a->fault->other) != 0)
        i++;
    return i;
}

static void begin_call(struct sim_armed *a)
{
    enum hf_sim_fault how = sim_fault_says(a, "fails")         ? HF_SIM_FAILS
                            : sim_fault_says(a, "lost-order")  ? HF_SIM_LOST_ORDER
                            : sim_fault_says(a, "lost-answer") ? HF_SIM_LOST_ANSWER
                                                               : HF_SIM_LATE;
    if (host_of(a))
        sim_host_hypervisor_fault(host_of(a), call_of(a), how, (unsigned)a->fault->number);
}

static void end_call(struct sim_armed *a)
{
    if (!host_of(a))
        return;
    for (const struct sim_armed *b = a->arm->first; b; b = b->next)
        if (b->fault->kind == a->fault->kind && b->host == a->host && call_of(b) == call_of(a))
            return; /* the newer one took its place */
    sim_host_hypervisor_fault(host_of(a), call_of(a), HF_SIM_GOOD, 0);
}

struct guest_pick {
    int64_t left;
    struct hf_uuid instance;
};

static void pick_guest(void *arg, const struct hf_uuid *instance, uint64_t run, bool runs)
{
    (void)run;
    (void)runs;
    struct guest_pick *p = arg;
    if (p->left-- == 0)
        p->instance = *instance;
}

static void crash_guest(struct sim_armed *a)
{
    struct sim_host *h = host_of(a);
    size_t n = h ? sim_host_guests(h) : 0;
    if (n == 0)
        return;
    struct guest_pick pick = {.left = a->fault->number % (int64_t)n};
    sim_host_each_guest(h, pick_guest, &pick);
    sim_host_guest_ends(h, &pick.instance);
}

static void refuse_clients(struct sim_armed *a)
{
    if (host_of(a))
        sim_host_refuse_guests(host_of(a), a->fault->for_ns);
}

/* --- levels: computed from all faults that hold --- */

/* On the storages that hosts share. */
static struct sim_storage *storage_of(const struct sim_armed *a)
{
    return a->storage >= 0 ? a->arm->w->shared[a->storage] : NULL;
}

static void empty_records(struct sim_armed *a)
{
    if (storage_of(a))
        sim_storage_lose_records(storage_of(a));
}

static void spoil_record(struct sim_armed *a)
{
    static const enum hf_lease_decode found[] = {HF_LEASE_TORN, HF_LEASE_NEWER_VERSION,
                                                 HF_LEASE_OTHER_CLUSTER};
    unsigned i = sim_fault_says(a, "damaged") ? 0 : sim_fault_says(a, "newer-version") ? 1 : 2;
    if (host_of(a) && storage_of(a))
        sim_storage_spoil_record(storage_of(a), (unsigned)a->host, found[i]);
}

static void begin_run_full(struct sim_armed *a)
{
    if (host_of(a) && a->arm->host_run_full[a->host]++ == 0)
        sim_host_set_run_full(host_of(a), true);
}

static void end_run_full(struct sim_armed *a)
{
    if (host_of(a) && --a->arm->host_run_full[a->host] == 0)
        sim_host_set_run_full(host_of(a), false);
}

static void set_exec(struct sim_armed *a)
{
    struct sim_host_exec e = {0};
    if (!host_of(a))
        return;
    for (const struct sim_armed *b = a->arm->first; b; b = b->next) {
        if (b->fault->kind != SIM_FAULT_EXEC || b->host != a->host)
            continue;
        if (sim_fault_says(b, "slow") && b->fault->number > e.slow_ms)
            e.slow_ms = b->fault->number;
        if (sim_fault_says(b, "fails") && b->fault->number > e.fails_percent)
            e.fails_percent = b->fault->number;
    }
    *sim_host_exec(host_of(a)) = e;
}

static void set_disk(struct sim_armed *a)
{
    if (!node_of(a))
        return;
    struct sim_node_disk d = {0};
    for (const struct sim_armed *b = a->arm->first; b; b = b->next) {
        if (b->fault->kind != SIM_FAULT_NODE_DISK || b->node != a->node)
            continue;
        d.hangs |= sim_fault_says(b, "hang");
        d.full |= sim_fault_says(b, "full");
        if (sim_fault_says(b, "slow") && b->fault->number > d.delay_ms)
            d.delay_ms = b->fault->number;
    }
    *sim_node_disk(node_of(a)) = d;
}

static void set_rate(struct sim_armed *a)
{
    const struct sim_arm *arm = a->arm;
    int32_t rate = a->host >= 0   ? arm->host_rate_ppm[a->host]
                   : a->node >= 0 ? arm->node_rate_ppm[a->node]
                                  : 0;
    for (const struct sim_armed *b = arm->first; b; b = b->next)
        if (b->fault->kind == SIM_FAULT_CLOCK_RATE && b->host == a->host && b->node == a->node)
            rate = (int32_t)b->fault->number;
    for (unsigned i = 0; host_of(a) && i < SIM_HOST_PROCS; i++)
        sim_proc_set_rate(sim_host_proc(host_of(a), (enum sim_host_proc)i), rate);
    if (node_of(a))
        sim_proc_set_rate(sim_node_proc(node_of(a)), rate);
}

static void jump(struct sim_armed *a)
{
    for (unsigned i = 0; host_of(a) && i < SIM_HOST_PROCS; i++)
        sim_host_proc(host_of(a), (enum sim_host_proc)i)->wall_offset_ms += a->fault->number;
    if (node_of(a))
        sim_node_proc(node_of(a))->wall_offset_ms += a->fault->number;
}

/* --- between two acts --- */

/* Its machine is struck a moment later: not while one of its processes is in the middle of its turn. */
static void strike_machine(void *arg)
{
    struct sim_armed *a = arg;
    if (a->holds) {
        a->machine = true;
        if (sim_fault_says(a, "power"))
            cut_power(a);
        else
            pause_machine(a);
    }
    sim_proc_cont(a->proc);
}

static void on_fuse(void *arg, struct sim_proc *p)
{
    struct sim_armed *a = arg;
    a->fired = true;
    sim_mix(p->sim, (uint64_t)a->fault->number);
    sim_trace(p->sim, p->name, "FAULT strikes before act %lld: %s", (long long)a->fault->number,
              a->fault->word);
    if (sim_fault_says(a, "crash")) {
        sim_proc_crash(p);
        return;
    }
    sim_proc_stop(p);
    if (!sim_fault_says(a, "stop"))
        sim_after(p->sim, 0, strike_machine, NULL, a);
}

static struct sim_proc *find_proc(const struct sim_armed *a)
{
    static const char *const names[SIM_HOST_PROCS] = {"/hostd", "/keeper", "/libvirt"};
    if (node_of(a))
        return sim_node_proc(node_of(a));
    const char *slash = strchr(a->fault->subject, '/');
    for (unsigned i = 0; slash && host_of(a) && i < SIM_HOST_PROCS; i++)
        if (strcmp(slash, names[i]) == 0)
            return sim_host_proc(host_of(a), (enum sim_host_proc)i);
    return NULL;
}

static void begin_at_act(struct sim_armed *a)
{
    struct sim_proc *p = find_proc(a);
    if (!p || !p->up || p->fuse > 0)
        return; /* it has no next act, or another fault waits for one */
    a->proc = p;
    p->fuse = (unsigned)a->fault->number;
    p->on_fuse = on_fuse;
    p->fuse_arg = a;
}

void sim_fault_disarm(struct sim_armed *a)
{
    if (a->proc && !a->fired && a->proc->fuse_arg == a)
        a->proc->fuse = 0;
}

static void end_at_act(struct sim_armed *a)
{
    sim_fault_disarm(a);
    if (a->fired && sim_fault_says(a, "stop"))
        sim_proc_cont(a->proc);
    if (a->machine && sim_fault_says(a, "power"))
        give_power(a);
    if (a->machine && sim_fault_says(a, "pause"))
        resume_machine(a);
}

/* --- points --- */

static void turn_point(struct sim_armed *a, bool on)
{
    enum hf_buggify_point p;
    if (!sim_point_find(a->fault->subject, &p))
        return;
    if (on)
        a->arm->points[p]++;
    else
        a->arm->points[p]--;
    sim_point_set(p, a->arm->points[p] > 0);
}

static void begin_point(struct sim_armed *a)
{
    turn_point(a, true);
}

static void end_point(struct sim_armed *a)
{
    turn_point(a, false);
}

/* --- the table --- */

static const struct {
    void (*begin)(struct sim_armed *a), (*end)(struct sim_armed *a); /* end NULL: it does not last */
} verbs[SIM_FAULT_KINDS] = {
    [SIM_FAULT_HOST_POWER] = {cut_power, give_power},
    [SIM_FAULT_HOST_PAUSE] = {pause_machine, resume_machine},
    [SIM_FAULT_HOSTD_CRASH] = {crash_process, NULL},
    [SIM_FAULT_HOSTD_PAUSE] = {stop_process, cont_process},
    [SIM_FAULT_KEEPER_CRASH] = {crash_process, NULL},
    [SIM_FAULT_KEEPER_PAUSE] = {stop_process, cont_process},
    [SIM_FAULT_LIBVIRT_DOWN] = {crash_process, NULL},
    [SIM_FAULT_LIBVIRT_CALL] = {begin_call, end_call},
    [SIM_FAULT_UNKILLABLE] = {begin_unkillable, end_unkillable},
    [SIM_FAULT_GUEST_CRASH] = {crash_guest, NULL},
    [SIM_FAULT_NODE_POWER] = {cut_power, give_power},
    [SIM_FAULT_NODE_CRASH] = {crash_node, NULL},
    [SIM_FAULT_NODE_PAUSE] = {pause_machine, resume_machine},
    [SIM_FAULT_NODE_DISK] = {set_disk, set_disk},
    [SIM_FAULT_LEADER_CHANGE] = {change_leader, NULL},
    [SIM_FAULT_NET_CUT] = {sim_fault_set_ways, sim_fault_set_ways},
    [SIM_FAULT_NET_ONE_WAY] = {sim_fault_set_ways, sim_fault_set_ways},
    [SIM_FAULT_NET_PARTITION] = {sim_fault_set_ways, sim_fault_set_ways},
    [SIM_FAULT_NET_POOR] = {sim_fault_set_ways, sim_fault_set_ways},
    [SIM_FAULT_STORAGE_HANG] = {sim_fault_set_storage, sim_fault_set_storage},
    [SIM_FAULT_STORAGE_ERROR] = {sim_fault_set_storage, sim_fault_set_storage},
    [SIM_FAULT_STORAGE_LATE] = {sim_fault_set_storage, sim_fault_set_storage},
    [SIM_FAULT_STORAGE_OUT] = {sim_fault_set_storage, sim_fault_set_storage},
    [SIM_FAULT_CLOCK_RATE] = {set_rate, set_rate},
    [SIM_FAULT_WALL_JUMP] = {jump, NULL},
    [SIM_FAULT_AT_ACT] = {begin_at_act, end_at_act},
    [SIM_FAULT_BUGGIFY] = {begin_point, end_point},
    [SIM_FAULT_EXEC] = {set_exec, set_exec},
    [SIM_FAULT_STORAGE_HALF] = {sim_fault_set_storage, sim_fault_set_storage},
    [SIM_FAULT_STORAGE_SICK] = {sim_fault_set_storage, sim_fault_set_storage},
    [SIM_FAULT_RECORDS_GONE] = {empty_records, NULL},
    [SIM_FAULT_RECORD_JUNK] = {spoil_record, NULL},
    [SIM_FAULT_RUN_FULL] = {begin_run_full, end_run_full},
    [SIM_FAULT_CEPH_MONS] = {sim_fault_set_mons, sim_fault_set_mons},
    [SIM_FAULT_CEPH_ASKER] = {sim_fault_set_mons, sim_fault_set_mons},
    [SIM_FAULT_CLIENT_REFUSED] = {refuse_clients, NULL}, /* the entries lapse */
};

void sim_fault_begin(struct sim_armed *a)
{
    resolve(a);
    verbs[a->fault->kind].begin(a);
}

void sim_fault_end(struct sim_armed *a)
{
    if (verbs[a->fault->kind].end)
        verbs[a->fault->kind].end(a);
}
