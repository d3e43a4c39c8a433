/* What faults do to a world, and that several of one kind overlap: the world's parts are pretended here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/sim.h"
#include "sim/ceph.h"
#include "sim/schedule_private.h"

#define NODES 3
#define HOSTS 3

/* --- the parts --- */

struct sim_host {
    unsigned place;
    bool powered, unkillable, run_full;
    struct sim_host_exec exec;
    unsigned pauses, crashes[SIM_HOST_PROCS], ended;
    unsigned call, call_fault, call_times;
    int64_t refused_ns;
    struct sim_proc procs[SIM_HOST_PROCS];
};

struct sim_node {
    unsigned place;
    bool powered, leads;
    unsigned transfers;
    struct sim_node_disk disk;
    struct sim_proc proc;
};

struct sim_storage {
    struct hf_uuid uuid;
    struct sim_storage_way ways[HOSTS];
    unsigned kicks, emptied;
    enum hf_lease_decode spoilt[HOSTS];
    struct sim_ceph *ceph;
};

struct sim_ceph {
    struct sim_ceph_mons mons;
};

static struct {
    struct sim_world w;
    struct sim_host hosts[HOSTS];
    struct sim_node nodes[NODES];
    struct sim_storage shared, local[HOSTS];
    bool faulty[HOSTS], unreached[HOSTS], out, quorum, disturbed;
} t;

unsigned sim_host_place(const struct sim_host *h)
{
    return h->place;
}

void sim_host_power_on(struct sim_host *h)
{
    assert_false(h->powered);
    h->powered = true;
    for (unsigned i = 0; i < SIM_HOST_PROCS; i++)
        sim_proc_start(&h->procs[i]);
}

void sim_host_power_off(struct sim_host *h)
{
    assert_true(h->powered);
    h->powered = false;
    for (unsigned i = 0; i < SIM_HOST_PROCS; i++)
        sim_proc_crash(&h->procs[i]);
}

bool sim_host_powered(const struct sim_host *h)
{
    return h->powered;
}

void sim_host_pause(struct sim_host *h)
{
    h->pauses++;
}

void sim_host_resume(struct sim_host *h)
{
    assert_true(h->pauses > 0);
    h->pauses--;
}

bool sim_host_paused(const struct sim_host *h)
{
    return h->pauses > 0;
}

struct sim_proc *sim_host_proc(struct sim_host *h, enum sim_host_proc which)
{
    return &h->procs[which];
}

void sim_host_crash(struct sim_host *h, enum sim_host_proc which)
{
    h->crashes[which]++;
}

void sim_host_hypervisor_fault(struct sim_host *h, unsigned op, unsigned fault, unsigned times)
{
    h->call = op;
    h->call_fault = fault;
    h->call_times = times;
}

bool sim_host_guest_ends(struct sim_host *h, const struct hf_uuid *instance)
{
    h->ended = instance->b[0];
    return true;
}

void sim_host_refuse_guests(struct sim_host *h, int64_t for_ns)
{
    h->refused_ns = for_ns;
}

void sim_host_set_unkillable(struct sim_host *h, bool unkillable)
{
    assert_true(h->unkillable != unkillable);
    h->unkillable = unkillable;
}

void sim_host_set_run_full(struct sim_host *h, bool full)
{
    assert_true(h->run_full != full);
    h->run_full = full;
}

bool sim_host_attached(const struct sim_host *h)
{
    return h->powered;
}

void sim_storage_lose_records(struct sim_storage *s)
{
    s->emptied++;
}

void sim_storage_spoil_record(struct sim_storage *s, unsigned host, enum hf_lease_decode found)
{
    s->spoilt[host] = found;
}

struct sim_ceph *sim_storage_ceph(const struct sim_storage *s)
{
    return s->ceph;
}

struct sim_ceph_mons *sim_ceph_mons(struct sim_ceph *c)
{
    return &c->mons;
}

struct sim_host_exec *sim_host_exec(struct sim_host *h)
{
    return &h->exec;
}

size_t sim_host_guests(const struct sim_host *h)
{
    return h == &t.hosts[0] ? 3 : 0;
}

void sim_host_each_guest(const struct sim_host *h,
                         void (*cb)(void *arg, const struct hf_uuid *instance, uint64_t run, bool runs),
                         void *arg)
{
    for (unsigned i = 0; i < sim_host_guests(h); i++) {
        struct hf_uuid u = {{(uint8_t)(10 + i)}};
        cb(arg, &u, 1, true);
    }
}

unsigned sim_node_place(const struct sim_node *n)
{
    return n->place;
}

void sim_node_power_on(struct sim_node *n)
{
    assert_false(n->powered);
    n->powered = true;
    sim_proc_start(&n->proc);
}

void sim_node_power_off(struct sim_node *n)
{
    assert_true(n->powered);
    n->powered = false;
    sim_proc_crash(&n->proc);
}

struct sim_proc *sim_node_proc(struct sim_node *n)
{
    return &n->proc;
}

struct sim_node_disk *sim_node_disk(struct sim_node *n)
{
    return &n->disk;
}

void sim_node_transfer(struct sim_node *n)
{
    n->transfers++;
}

bool sim_node_leads(const struct sim_node *n)
{
    return n->leads;
}

struct sim_storage_way *sim_storage_way(struct sim_storage *s, unsigned host)
{
    return &s->ways[host];
}

void sim_storage_kick(struct sim_storage *s, unsigned host)
{
    (void)host;
    s->kicks++;
}

const struct hf_uuid *sim_storage_uuid(const struct sim_storage *s)
{
    return &s->uuid;
}

void sim_checks_host_faulty(struct sim_checks *c, int64_t now_ns, unsigned host, bool faulty)
{
    (void)c;
    (void)now_ns;
    assert_true(t.faulty[host] != faulty);
    t.faulty[host] = faulty;
}

void sim_checks_storage_unreached(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *storage,
                                  unsigned host, bool unreached)
{
    (void)c;
    (void)now_ns;
    assert_ptr_equal(storage, &t.shared.uuid);
    assert_true(t.unreached[host] != unreached);
    t.unreached[host] = unreached;
}

void sim_checks_storage_out(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *storage, bool out)
{
    (void)c;
    (void)now_ns;
    assert_ptr_equal(storage, &t.shared.uuid);
    t.out = out;
}

void sim_checks_quorum(struct sim_checks *c, int64_t now_ns, bool quorum)
{
    (void)c;
    (void)now_ns;
    t.quorum = quorum;
}

void sim_checks_disturbed(struct sim_checks *c, int64_t now_ns, bool disturbed)
{
    (void)c;
    (void)now_ns;
    t.disturbed = disturbed;
}

/* --- the world --- */

static int setup(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    t.w.sim = sim_create(1);
    t.w.net = sim_net_create(t.w.sim);
    t.w.timing = hf_ha_timing_find("fast");
    t.w.sizes =
        (struct sim_sizes){.nodes = NODES, .hosts = HOSTS, .shared_storages = 1, .fault_ns = 100 * HF_S_NS};
    t.w.shared[0] = &t.shared;
    char name[SIM_PROC_NAME];
    for (unsigned i = 0; i < NODES; i++) {
        snprintf(name, sizeof name, "n%u", i + 1);
        t.w.nodes[i] = &t.nodes[i];
        t.nodes[i].place = sim_net_add(t.w.net, name);
        sim_proc_init(&t.nodes[i].proc, t.w.sim, name, i);
        sim_node_power_on(&t.nodes[i]);
    }
    t.nodes[1].leads = true;
    for (unsigned i = 0; i < HOSTS; i++) {
        snprintf(name, sizeof name, "h%u", i + 1);
        t.w.hosts[i] = &t.hosts[i];
        t.w.local[i] = &t.local[i];
        t.hosts[i].place = sim_net_add(t.w.net, name);
        for (unsigned k = 0; k < SIM_HOST_PROCS; k++)
            sim_proc_init(&t.hosts[i].procs[k], t.w.sim, name, 10 * i + k);
        sim_host_power_on(&t.hosts[i]);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HOSTS; i++)
        if (t.hosts[i].powered)
            sim_host_power_off(&t.hosts[i]);
    for (unsigned i = 0; i < NODES; i++)
        if (t.nodes[i].powered)
            sim_node_power_off(&t.nodes[i]);
    sim_free(t.w.sim);
    sim_net_free(t.w.net);
    return 0;
}

static void arm(const char *text)
{
    char path[] = "/tmp/hf-sim-arm-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w");
    fputs(text, f);
    fclose(f);
    struct sim_schedule s;
    hf_status st = sim_schedule_load(path, &t.w.sizes, &s);
    remove(path);
    if (!hf_ok(st))
        fail_msg("%s", hf_status_message(st));
    sim_schedule_arm(&t.w, &s);
    sim_schedule_done(&s);
}

static void run_to(int64_t second)
{
    sim_run_until(t.w.sim, second * HF_S_NS + HF_MS_NS);
}

/* --- machines --- */

static void power_comes_back_with_the_last_fault(void **state)
{
    (void)state;
    arm("1 host-power h1 for 10\n5 host-power h1 for 20\n6 host-power h2 for 2\n7 node-power n1 for 4\n8 "
        "node-power n1 for 1\n");
    run_to(0);
    assert_true(t.hosts[0].powered && t.quorum && !t.faulty[0]);
    run_to(7);
    assert_false(t.hosts[0].powered || t.hosts[1].powered || t.nodes[0].powered);
    assert_true(t.faulty[0] && t.faulty[1] && !t.faulty[2]);
    assert_int_equal(t.w.active[SIM_FAULT_HOST_POWER], 3);
    run_to(12);
    assert_false(t.hosts[0].powered);
    assert_true(t.hosts[1].powered && t.nodes[0].powered);
    run_to(26);
    assert_true(t.hosts[0].powered);
    assert_false(t.faulty[0]);
    assert_int_equal(t.w.active[SIM_FAULT_HOST_POWER], 0);
    assert_int_equal(t.w.faults[SIM_FAULT_HOST_POWER], 3);
}

static void pauses_overlap(void **state)
{
    (void)state;
    arm("1 host-pause h1 for 10\n2 host-pause h1 for 2\n3 node-pause leader for 5\n4 node-pause n2 for 2\n");
    run_to(5);
    assert_int_equal(t.hosts[0].pauses, 1);
    assert_int_equal(t.nodes[1].proc.stops, 2);
    run_to(7);
    assert_int_equal(t.nodes[1].proc.stops, 1);
    run_to(12);
    assert_int_equal(t.hosts[0].pauses, 0);
    assert_int_equal(t.nodes[1].proc.stops, 0);
}

static void processes_are_struck(void **state)
{
    (void)state;
    arm("1 hostd-crash h1\n2 keeper-crash h1\n3 libvirt-down h2\n4 keeper-pause h3 for 5\n5 hostd-pause h3 "
        "for 1\n"
        "6 node-crash n3\n7 leader-change\n8 unkillable h1 for 5\n9 unkillable h1 for 2\n10 guest-crash h1 "
        "guest 4\n"
        "11 guest-crash h2 guest 4\n12 client-refused h3 for 7\n");
    run_to(5);
    assert_int_equal(t.hosts[0].crashes[SIM_HOSTD], 1);
    assert_int_equal(t.hosts[0].crashes[SIM_KEEPER], 1);
    assert_int_equal(t.hosts[1].crashes[SIM_HYPERVISOR], 1);
    assert_int_equal(t.hosts[2].procs[SIM_KEEPER].stops, 1);
    assert_int_equal(t.hosts[2].procs[SIM_HOSTD].stops, 1);
    assert_true(t.faulty[2] && t.disturbed);
    run_to(12);
    assert_false(t.nodes[2].proc.up);
    assert_int_equal(t.nodes[1].transfers, 1);
    assert_true(t.hosts[0].unkillable);
    assert_int_equal(t.hosts[0].ended, 11); /* the fifth of three, counted around */
    assert_int_equal(t.hosts[1].ended, 0);
    run_to(14);
    assert_false(t.hosts[0].unkillable);
    assert_true(t.hosts[2].refused_ns == 7 * HF_S_NS && t.disturbed);
}

static void calls_fail_until_the_fault_ends(void **state)
{
    (void)state;
    arm("1 libvirt-call h1 destroy lost-answer times 3 for 5\n2 libvirt-call h1 destroy late times 1 for "
        "10\n");
    run_to(1);
    assert_int_equal(t.hosts[0].call, 2);
    assert_int_equal(t.hosts[0].call_fault, HF_SIM_LOST_ANSWER);
    assert_int_equal(t.hosts[0].call_times, 3);
    run_to(8);
    assert_int_equal(t.hosts[0].call_fault, HF_SIM_LATE);
    run_to(13);
    assert_int_equal(t.hosts[0].call_times, 0);
}

/* --- network, disks, storages, clocks --- */

static bool reach(unsigned a, unsigned b)
{
    return sim_net_reach(t.w.net, a, b);
}

static void ways_are_cut_and_made_whole(void **state)
{
    (void)state;
    unsigned n1 = t.nodes[0].place, n2 = t.nodes[1].place, n3 = t.nodes[2].place, h1 = t.hosts[0].place;
    arm("1 net-cut n1 for 10\n2 net-one-way n2 h1 for 3\n3 net-cut n2 for 2\n4 net-poor h1 heavy ms 40 for "
        "20\n"
        "4.5 net-poor all light ms 100 for 1\n");
    run_to(1);
    assert_false(reach(n1, n2) || reach(n1, h1));
    assert_true(reach(n2, n3) && t.quorum);
    run_to(2);
    assert_true(sim_net_way(t.w.net, n2, h1)->cut);
    assert_false(sim_net_way(t.w.net, h1, n2)->cut);
    assert_true(t.faulty[0]);
    run_to(4);
    assert_false(t.quorum);
    run_to(5);
    assert_int_equal(sim_net_way(t.w.net, h1, n2)->delay_ms, 100);
    assert_int_equal(sim_net_way(t.w.net, h1, n2)->loss_ppm, 250000);
    assert_int_equal(sim_net_way(t.w.net, n3, n2)->loss_ppm, 20000);
    run_to(6);
    assert_true(t.quorum && reach(n2, n3) && !reach(n1, n3));
    assert_int_equal(sim_net_way(t.w.net, h1, n2)->delay_ms, 40);
    assert_int_equal(sim_net_way(t.w.net, n3, n2)->loss_ppm, 0);
    run_to(25);
    assert_true(reach(n1, n2) && reach(n1, h1));
    assert_int_equal(sim_net_way(t.w.net, h1, n2)->delay_ms, 0);
    assert_false(t.faulty[0]);
}

static void partition_has_two_sides(void **state)
{
    (void)state;
    arm("1 net-partition groups 7 for 5\n");
    run_to(2);
    unsigned n = sim_net_places(t.w.net), cut = 0;
    for (unsigned a = 0; a < n; a++) {
        for (unsigned b = 0; b < n; b++) {
            cut += !reach(a, b);
            for (unsigned c = 0; c < n; c++) /* who reaches somebody is on his side */
                assert_true(!(reach(a, b) && reach(b, c)) || reach(a, c));
        }
    }
    assert_true(cut > 0);
    run_to(7);
    assert_true(reach(0, 1) && reach(0, 5));
}

static void disks_and_storages_take_the_worst(void **state)
{
    (void)state;
    arm("1 node-disk n1 slow ms 30 for 10\n2 node-disk n1 slow ms 20 for 20\n3 node-disk n1 hang for 2\n"
        "4 storage-hang h1 shared1 hang for 10\n5 storage-hang h1 shared1 cut for 2\n5 storage-error h2 "
        "local for 9\n"
        "6 storage-late h1 shared1 ms 5000 for 20\n7 storage-out shared1 error for 2\n");
    run_to(4);
    assert_int_equal(t.nodes[0].disk.delay_ms, 30);
    assert_true(t.nodes[0].disk.hangs && t.shared.ways[0].hangs && !t.shared.ways[1].hangs);
    run_to(8);
    assert_true(t.out && t.shared.ways[2].fails && t.local[1].ways[1].fails && !t.local[0].ways[0].fails);
    assert_int_equal(t.shared.ways[0].delay_ms, 5000);
    assert_int_equal(t.shared.ways[0].late_ms, t.w.timing->guest_write_ms); /* F bounds it */
    run_to(12);
    assert_false(t.out || t.nodes[0].disk.hangs || t.shared.ways[0].cut);
    assert_int_equal(t.nodes[0].disk.delay_ms, 20);
    assert_true(t.shared.ways[0].hangs && t.shared.kicks > 0);
    run_to(30);
    assert_int_equal(t.nodes[0].disk.delay_ms, 0);
    assert_int_equal(t.shared.ways[0].late_ms, 0);
    assert_false(t.shared.ways[0].hangs);
}

static void storages_serve_half_and_lose_records(void **state)
{
    (void)state;
    arm("1 storage-half h1 shared1 write-error for 5\n1 storage-half h1 shared1 stale for 3\n2 storage-sick "
        "shared1 "
        "marks-hang for 4\n3 records-gone shared1\n3 record-junk h2 shared1 other-cluster\n3 run-full h3 for "
        "2\n");
    run_to(3);
    const struct sim_storage_way *w = t.shared.ways;
    assert_true(w[0].write_fails && w[0].stale && w[0].marks_hang && w[1].marks_hang && !w[1].write_fails);
    assert_int_equal(t.shared.emptied, 1);
    assert_int_equal(t.shared.spoilt[1], HF_LEASE_OTHER_CLUSTER);
    assert_true(t.hosts[2].run_full);
    run_to(7);
    assert_false(sim_storage_way_is_bad(&w[0]) || sim_storage_way_is_bad(&w[1]) || t.hosts[2].run_full);
}

static void monitors_fail_in_their_ways(void **state)
{
    (void)state;
    struct sim_ceph ceph = {{0}};
    t.shared.ceph = &ceph;
    arm("1 ceph-mons shared1 no-quorum for 3\n2 ceph-mons shared1 late ms 900 for 3\n2 ceph-mons shared1 "
        "error for 1\n"
        "2 ceph-mons shared1 lost-answer for 1\n6 storage-out shared1 hang for 2\n7 storage-half h1 shared1 "
        "stale for 3\n");
    run_to(2);
    assert_true(ceph.mons.no_quorum && ceph.mons.fails && ceph.mons.loses && ceph.mons.delay_ms == 900);
    run_to(4);
    assert_true(!ceph.mons.no_quorum && !ceph.mons.fails && !ceph.mons.loses && ceph.mons.delay_ms == 900);
    run_to(7);
    assert_true(ceph.mons.no_quorum && ceph.mons.delay_ms == 0);
    assert_false(t.shared.ways[0].stale); /* everybody sees the same there */
    run_to(9);
    assert_false(ceph.mons.no_quorum);
}

static void programs_begin_slowly_or_not_at_all(void **state)
{
    (void)state;
    arm("1 exec h1 slow up-to 900 for 9\n2 exec h1 slow up-to 300 for 3\n3 exec h1 fails up-to 20 for 1\n");
    run_to(3);
    assert_int_equal(t.hosts[0].exec.slow_ms, 900);
    assert_int_equal(t.hosts[0].exec.fails_percent, 20);
    run_to(10);
    assert_int_equal(t.hosts[0].exec.slow_ms, 0);
    assert_int_equal(t.hosts[0].exec.fails_percent, 0);
}

static void clocks_run_and_jump(void **state)
{
    (void)state;
    t.nodes[0].proc.rate_ppm = 11;
    arm("1 clock-rate n1 ppm 4000 for 10\n2 clock-rate n1 ppm -3000 for 4\n3 clock-rate h1 ppm 100 for 90\n"
        "4 wall-jump n1 ms -5000\n5 wall-jump n1 ms 7000\n");
    run_to(3);
    assert_int_equal(t.nodes[0].proc.rate_ppm, -3000);
    assert_int_equal(t.hosts[0].procs[SIM_KEEPER].rate_ppm, 100);
    run_to(7);
    assert_int_equal(t.nodes[0].proc.rate_ppm, 4000);
    run_to(12);
    assert_int_equal(t.nodes[0].proc.rate_ppm, 11);
    assert_int_equal(t.nodes[0].proc.wall_offset_ms, 2000);
}

/* --- at an act --- */

static unsigned acts;

static void count_act(void *arg)
{
    (void)arg;
    acts++;
}

static void five_acts(void *arg)
{
    for (unsigned i = 0; i < 5; i++)
        sim_proc_act(arg, count_act, NULL, NULL);
}

static void act_soon(struct sim_proc *p)
{
    acts = 0;
    sim_proc_post(p, 0, five_acts, NULL, p);
    sim_run_until(t.w.sim, sim_now_ns(t.w.sim) + HF_MS_NS);
}

static void crash_between_two_acts(void **state)
{
    (void)state;
    arm("1 at-act h1/keeper crash act 3\n");
    run_to(1);
    act_soon(&t.hosts[0].procs[SIM_KEEPER]);
    assert_int_equal(acts, 2);
    assert_false(t.hosts[0].procs[SIM_KEEPER].up);
}

static void stop_between_two_acts(void **state)
{
    (void)state;
    arm("1 at-act h1/keeper stop act 3 for 10\n");
    run_to(1);
    act_soon(&t.hosts[0].procs[SIM_KEEPER]);
    assert_int_equal(acts, 2);
    run_to(12);
    assert_int_equal(acts, 5); /* it goes on with what it was about to do */
    assert_int_equal(t.hosts[0].procs[SIM_KEEPER].stops, 0);
}

static void machine_is_struck_between_two_acts(void **state)
{
    (void)state;
    arm("1 at-act h1/hostd power act 2 for 10\n2 at-act h2/hostd pause act 4 for 10\n3 at-act n3 power act 1 "
        "for 5\n");
    run_to(3);
    act_soon(&t.hosts[0].procs[SIM_HOSTD]);
    assert_int_equal(acts, 1);
    assert_false(t.hosts[0].powered);
    act_soon(&t.hosts[1].procs[SIM_HOSTD]);
    assert_int_equal(t.hosts[1].pauses, 1);
    act_soon(&t.nodes[2].proc);
    assert_int_equal(acts, 0);
    assert_false(t.nodes[2].powered);
    run_to(13);
    assert_true(t.hosts[0].powered && t.nodes[2].powered);
    assert_int_equal(t.hosts[1].pauses, 0);
    assert_int_equal(t.hosts[0].procs[SIM_HOSTD].stops, 0);
    assert_int_equal(t.hosts[1].procs[SIM_HOSTD].stops, 0);
}

static void act_that_is_not_reached_is_waited_for_no_longer(void **state)
{
    (void)state;
    arm("1 at-act h1/hostd stop act 9 for 10\n2 at-act h2/hostd crash act 9\n");
    run_to(12);
    act_soon(&t.hosts[0].procs[SIM_HOSTD]);
    act_soon(&t.hosts[0].procs[SIM_HOSTD]);
    assert_int_equal(t.hosts[0].procs[SIM_HOSTD].stops, 0);
    run_to(100);
    act_soon(&t.hosts[1].procs[SIM_HOSTD]);
    act_soon(&t.hosts[1].procs[SIM_HOSTD]);
    assert_true(t.hosts[1].procs[SIM_HOSTD].up);
}

/* --- the end --- */

static void all_faults_end_in_time(void **state)
{
    (void)state;
    arm("90 host-power h1 for 500\n91 net-cut n1 for 500\n92 storage-out shared1 hang for 500\n93 buggify "
        "SLOW_WATCH for 500\n"
        "94 at-act h2/hostd pause act 1 for 500\n");
    run_to(95);
    act_soon(&t.hosts[1].procs[SIM_HOSTD]);
    assert_int_equal(t.hosts[1].pauses, 1);
    run_to(100);
    assert_true(t.hosts[0].powered && reach(0, 1) && !t.out && t.quorum);
    assert_int_equal(t.hosts[1].pauses, 0);
    for (unsigned k = 0; k < SIM_FAULT_KINDS; k++)
        assert_int_equal(t.w.active[k], 0);
    assert_true(t.disturbed); /* its echoes */
    run_to(200);
    assert_false(t.disturbed);
}

static void power_cut_alone_disturbs_no_bound(void **state)
{
    (void)state;
    arm("1 host-power h1 for 5\n20 net-one-way h1 h2 for 1\n");
    run_to(3);
    assert_true(t.faulty[0] && !t.disturbed);
    run_to(20);
    assert_true(t.disturbed);
    run_to(60);
    assert_false(t.disturbed);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(power_comes_back_with_the_last_fault),
        TEST(pauses_overlap),
        TEST(processes_are_struck),
        TEST(calls_fail_until_the_fault_ends),
        TEST(ways_are_cut_and_made_whole),
        TEST(partition_has_two_sides),
        TEST(disks_and_storages_take_the_worst),
        TEST(storages_serve_half_and_lose_records),
        TEST(monitors_fail_in_their_ways),
        TEST(programs_begin_slowly_or_not_at_all),
        TEST(clocks_run_and_jump),
        TEST(crash_between_two_acts),
        TEST(stop_between_two_acts),
        TEST(machine_is_struck_between_two_acts),
        TEST(act_that_is_not_reached_is_waited_for_no_longer),
        TEST(all_faults_end_in_time),
        TEST(power_cut_alone_disturbs_no_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
