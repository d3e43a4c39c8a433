/* Simulated hosts under a scripted leader: they attach, run guests, and are lost in every way there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/sim.h"
#include "hostd/vm_sim.h"
#include "sim/host_fixture.h"

#define START_MS 20000 /* an image is fetched, volumes are made, QEMU starts */
#define BOOT_MS  60000 /* a reset, a boot, a start */

/* All on the shared storage: a host that has closed it and goes on with an instance on its own disks gets no
 * new epoch, and takes nothing on the shared one (docs/safety.md, "No grant per storage"). */
static struct fixture *running(uint64_t seed, unsigned hosts, unsigned per_host)
{
    struct fixture *f = fixture_new(seed, hosts, "default");
    for (unsigned i = 0; i < hosts * per_host; i++)
        fixture_add(f, i % hosts, false);
    assert_true(fixture_settle(f, START_MS + 1000 * per_host));
    return f;
}

static void an_instance_runs_and_writes(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(1, 2, "default");
    fixture_add(f, 0, false);
    fixture_add(f, 0, true);
    assert_true(fixture_settle(f, START_MS));
    assert_true(sim_host_attached(f->w.hosts[0]));
    assert_int_equal(sim_host_guests(f->w.hosts[0]), 2);
    uint64_t before = f->checks.writes;
    fixture_run(f, 10000);
    assert_in_range(f->checks.writes - before, 90, 110);
    assert_in_range(f->members[1].unchanged_ms, 0, 1500); /* h1's record moves */
    assert_int_equal(f->checks.kills[SIM_KILLED_BY_KEEPER], 0);
    fixture_free(f);
}

static void an_instance_stops_by_order(void **state)
{
    (void)state;
    struct fixture *f = running(2, 1, 2);
    fixture_stop(f, &f->vms[0]);
    assert_true(fixture_settle(f, START_MS));
    assert_int_equal(sim_host_guests(f->w.hosts[0]), 1);
    assert_int_equal(f->checks.copies_ended, 1);
    assert_int_equal(f->checks.kills[SIM_KILLED_BY_KEEPER], 0);
    fixture_free(f);
}

/* --- processes that are lost between two acts --- */

static void crash(void *arg, struct sim_proc *p)
{
    (void)arg;
    sim_proc_crash(p);
}

static void arm(struct sim_host *h, enum sim_host_proc which, unsigned act)
{
    struct sim_proc *p = sim_host_proc(h, which);
    p->fuse = act;
    p->on_fuse = crash;
}

static void a_daemon_lost_at_any_act_adopts_its_guests(void **state)
{
    (void)state;
    struct fixture *f = running(3, 1, 3);
    struct sim_host *h = f->w.hosts[0];
    for (unsigned act = 1; act <= 40; act++) {
        uint32_t life = sim_host_proc(h, SIM_HOSTD)->life;
        arm(h, SIM_HOSTD, act);
        fixture_run(f, 40000);
        assert_true(sim_host_proc(h, SIM_HOSTD)->life > life);
        assert_true(sim_host_attached(h));
    }
    assert_int_equal(f->checks.copies_begun, 3);
    assert_int_equal(f->checks.copies_ended, 0);
    fixture_free(f);
}

static void a_daemon_lost_while_it_starts_instances_starts_each_once(void **state)
{
    (void)state;
    for (unsigned act = 1; act <= 60; act += 2) {
        struct fixture *f = fixture_new(act, 1, "default");
        fixture_run(f, 600);
        arm(f->w.hosts[0], SIM_HOSTD, act);
        fixture_add(f, 0, false);
        fixture_add(f, 0, true);
        assert_true(fixture_settle(f, BOOT_MS));
        assert_int_equal(sim_host_guests(f->w.hosts[0]), 2);
        assert_int_equal(f->checks.most_executing, 1);
        fixture_free(f);
    }
}

static void a_keeper_lost_at_any_act_comes_back_or_costs_the_host(void **state)
{
    (void)state;
    struct fixture *f = running(4, 1, 2);
    struct sim_host *h = f->w.hosts[0];
    for (unsigned act = 1; act <= 40; act++) {
        uint32_t life = sim_host_proc(h, SIM_KEEPER)->life;
        unsigned fired = sim_host_watchdog_fired(h);
        arm(h, SIM_KEEPER, act);
        fixture_run(f, 30000);
        assert_true(sim_host_proc(h, SIM_KEEPER)->life > life);
        assert_true(fixture_settle(f, BOOT_MS));
        if (sim_host_watchdog_fired(h) == fired)
            assert_int_equal(f->checks.copies_begun - f->checks.copies_ended, 2);
    }
    assert_int_equal(f->checks.kills[SIM_KILLED_BY_KEEPER], 0);
    assert_int_equal(f->checks.most_executing, 1);
    fixture_free(f);
}

static void a_keeper_lost_while_instances_start_keeps_its_promises(void **state)
{
    (void)state;
    for (unsigned act = 1; act <= 60; act += 2) {
        struct fixture *f = fixture_new(100 + act, 1, "default");
        fixture_run(f, 600);
        arm(f->w.hosts[0], SIM_KEEPER, act);
        fixture_add(f, 0, false);
        fixture_add(f, 0, true);
        assert_true(fixture_settle(f, 2 * BOOT_MS));
        assert_int_equal(f->checks.most_executing, 1);
        fixture_free(f);
    }
}

static void guests_outlive_libvirtd(void **state)
{
    (void)state;
    struct fixture *f = running(5, 1, 2);
    for (unsigned i = 0; i < 10; i++) {
        arm(f->w.hosts[0], SIM_HYPERVISOR, i % 2 + 1);
        fixture_add(f, 0, false);
        assert_true(fixture_settle(f, BOOT_MS));
    }
    assert_int_equal(sim_host_guests(f->w.hosts[0]), 12);
    assert_int_equal(f->checks.copies_ended, 0);
    fixture_free(f);
}

static void an_answer_that_libvirt_loses_starts_nothing_twice(void **state)
{
    (void)state;
    static const enum hf_sim_fault faults[] = {HF_SIM_FAILS, HF_SIM_LOST_ORDER, HF_SIM_LOST_ANSWER,
                                               HF_SIM_LATE};
    for (unsigned i = 0; i < 4; i++) {
        struct fixture *f = running(6, 1, 1);
        sim_host_hypervisor_fault(f->w.hosts[0], HF_VM_SIM_START, faults[i], 1);
        fixture_add(f, 0, false);
        assert_true(fixture_settle(f, 200000));
        assert_int_equal(sim_host_guests(f->w.hosts[0]), 2);
        assert_int_equal(f->checks.most_executing, 1);
        fixture_free(f);
    }
}

/* --- the machine --- */

static void a_machine_without_power_runs_nothing_and_boots_into_the_next_epoch(void **state)
{
    (void)state;
    struct fixture *f = running(7, 2, 2);
    uint64_t epoch = f->members[0].epoch;
    sim_host_power_off(f->w.hosts[0]);
    assert_true(f->checks.lost[0]);
    assert_int_equal(f->checks.copies_ended, 2);
    fixture_run(f, 15000);
    assert_in_range(f->members[1].unchanged_ms, 12000, 15000); /* its record stands still */
    sim_host_power_on(f->w.hosts[0]);
    assert_true(fixture_settle(f, START_MS));
    assert_int_equal(f->members[0].epoch, epoch + 1);
    assert_int_equal(f->checks.old_writes, 0);
    fixture_free(f);
}

static void a_short_pause_costs_nothing(void **state)
{
    (void)state;
    struct fixture *f = running(8, 1, 2);
    sim_host_pause(f->w.hosts[0]);
    assert_int_equal(f->checks.copies_ended, 2);
    fixture_run(f, 3000);
    sim_host_resume(f->w.hosts[0]);
    assert_int_equal(f->checks.copies_begun, 4);
    fixture_run(f, 20000);
    assert_int_equal(sim_host_watchdog_fired(f->w.hosts[0]), 0);
    assert_int_equal(f->checks.copies_ended, 2);
    assert_true(sim_host_attached(f->w.hosts[0]));
    fixture_free(f);
}

static void nothing_starts_on_a_machine_that_stands_still(void **state)
{
    (void)state;
    for (uint64_t seed = 23; seed < 33; seed++) {
        struct fixture *f = running(seed, 1, 1);
        struct sim_host *h = f->w.hosts[0];
        sim_host_crash(h, SIM_HOSTD);
        sim_host_pause(h);
        fixture_run(f, 3500);
        assert_false(sim_host_proc(h, SIM_HOSTD)->up);
        sim_host_resume(h);
        fixture_run(f, 10000);
        assert_true(sim_host_attached(h));
        assert_int_equal(sim_host_watchdog_fired(h), 0);
        fixture_free(f);
    }
}

static void a_pause_past_the_watchdog_resets_the_machine(void **state)
{
    (void)state;
    struct fixture *f = running(9, 1, 2);
    sim_host_pause(f->w.hosts[0]);
    fixture_run(f, f->w.timing->watchdog_worst_ms + 10);
    assert_int_equal(sim_host_watchdog_fired(f->w.hosts[0]), 1);
    assert_false(sim_host_powered(f->w.hosts[0]));
    sim_host_resume(f->w.hosts[0]);
    assert_true(fixture_settle(f, BOOT_MS));
    assert_int_equal(f->members[0].epoch, 2);
    fixture_free(f);
}

static void a_keeper_that_stands_still_costs_the_host(void **state)
{
    (void)state;
    struct fixture *f = running(10, 1, 2);
    sim_proc_stop(sim_host_proc(f->w.hosts[0], SIM_KEEPER));
    fixture_run(f, f->w.timing->watchdog_worst_ms + 10);
    assert_int_equal(sim_host_watchdog_fired(f->w.hosts[0]), 1);
    assert_int_equal(f->checks.kills[SIM_KILLED_BY_WATCHDOG], 2);
    sim_proc_cont(sim_host_proc(f->w.hosts[0], SIM_KEEPER));
    assert_true(fixture_settle(f, BOOT_MS));
    fixture_free(f);
}

/* --- storage --- */

static void a_storage_that_hangs_past_the_lease_costs_its_guests(void **state)
{
    (void)state;
    for (uint64_t seed = 11; seed < 19; seed++) {
        struct fixture *f = running(seed, 1, 4);
        const struct hf_ha_timing *t = f->w.timing;
        fixture_way(f, 0)->hangs = true;
        fixture_kick(f, 0);
        fixture_run(f, t->lease_ms + t->kill_ms - t->renew_ms - 100);
        assert_int_equal(f->checks.kills[SIM_KILLED_BY_KEEPER], 0); /* they stand still */
        fixture_run(f, t->renew_ms + 1000);
        assert_true(f->checks.copies_ended >= 4);
        fixture_run(f, 2 * t->watchdog_worst_ms);
        fixture_way(f, 0)->hangs = false;
        fixture_kick(f, 0);
        assert_true(fixture_settle(f, 2 * BOOT_MS));
        assert_int_equal(f->members[0].epoch, 2);
        assert_int_equal(f->checks.old_writes, 0);
        fixture_free(f);
    }
}

static void a_storage_that_hangs_shortly_costs_nothing(void **state)
{
    (void)state;
    struct fixture *f = running(20, 2, 2);
    for (unsigned i = 0; i < 20; i++) {
        fixture_way(f, 0)->hangs = i % 2 == 0;
        fixture_way(f, 0)->cut = i % 4 == 2;
        fixture_kick(f, 0);
        fixture_run(f, 3000 + 37 * i);
    }
    assert_int_equal(f->checks.copies_ended, 0);
    assert_int_equal(f->members[0].epoch, 1);
    fixture_free(f);
}

static void a_guest_stops_at_an_error_and_goes_on(void **state)
{
    (void)state;
    struct fixture *f = running(21, 1, 1);
    fixture_way(f, 0)->fails = true;
    fixture_kick(f, 0);
    fixture_run(f, 3000);
    assert_int_equal(f->checks.copies_ended, 1);
    fixture_way(f, 0)->fails = false;
    fixture_kick(f, 0);
    fixture_run(f, 30000);
    assert_int_equal(f->checks.copies_begun, 2);
    assert_int_equal(f->members[0].epoch, 1);
    fixture_free(f);
}

static void a_guest_that_cannot_be_killed_costs_the_host(void **state)
{
    (void)state;
    struct fixture *f = running(22, 1, 1);
    const struct hf_ha_timing *t = f->w.timing;
    sim_host_set_unkillable(f->w.hosts[0], true);
    fixture_way(f, 0)->cut = true;
    fixture_kick(f, 0);
    fixture_run(f, t->lease_ms + t->watchdog_worst_ms + t->pet_ms);
    assert_int_equal(sim_host_watchdog_fired(f->w.hosts[0]), 1);
    fixture_way(f, 0)->cut = false;
    fixture_kick(f, 0);
    assert_true(fixture_settle(f, BOOT_MS));
    fixture_free(f);
}

/* --- all of it --- */

static void strike(struct fixture *f, struct sim_rng *r)
{
    unsigned host = (unsigned)sim_rng_below(r, f->w.sizes.hosts);
    struct sim_host *h = f->w.hosts[host];
    struct sim_storage_way *way = fixture_way(f, host);
    switch (sim_rng_below(r, 10)) {
    case 0:
        sim_host_powered(h) ? sim_host_power_off(h) : sim_host_power_on(h);
        return;
    case 1:
        sim_host_paused(h) ? sim_host_resume(h) : sim_host_pause(h);
        return;
    case 2:
    case 3:
    case 4:
        arm(h, (enum sim_host_proc)sim_rng_below(r, SIM_HOST_PROCS), 1 + (unsigned)sim_rng_below(r, 50));
        return;
    case 5:
        sim_host_hypervisor_fault(h, (unsigned)sim_rng_below(r, 7), 1 + (unsigned)sim_rng_below(r, 4), 2);
        return;
    case 6:
        sim_host_set_unkillable(h, sim_rng_below(r, 2) == 0);
        return;
    case 7:
        sim_host_crash(h, (enum sim_host_proc)sim_rng_below(r, SIM_HOST_PROCS));
        return;
    default:
        way->hangs = sim_rng_below(r, 4) == 0;
        way->fails = sim_rng_below(r, 6) == 0;
        way->cut = sim_rng_below(r, 6) == 0;
        way->delay_ms = sim_rng_below(r, 3) == 0 ? sim_rng_between(r, 1, 500) : 0;
        way->late_ms = sim_rng_between(r, 0, 1000);
        way->torn_ppm = 300000;
        fixture_kick(f, host);
    }
}

static void calm(struct fixture *f)
{
    for (unsigned i = 0; i < f->w.sizes.hosts; i++) {
        struct sim_host *h = f->w.hosts[i];
        *fixture_way(f, i) = (struct sim_storage_way){0};
        fixture_kick(f, i);
        if (sim_host_paused(h))
            sim_host_resume(h);
        sim_host_power_on(h);
        sim_host_set_unkillable(h, false);
        for (unsigned op = 0; op < 7; op++)
            sim_host_hypervisor_fault(h, op, HF_SIM_GOOD, 0);
        for (unsigned p = 0; p < SIM_HOST_PROCS; p++)
            sim_host_proc(h, (enum sim_host_proc)p)->fuse = 0;
    }
}

static void print_line(void *arg, int64_t now_ns, const char *subject, const char *text)
{
    (void)arg;
    print_message("%10.6f %-14s %s\n", (double)now_ns / 1e9, subject, text);
}

/* Returns the digest. */
static uint64_t chaos(uint64_t seed, bool tell)
{
    struct fixture *f = running(seed, 3, 3);
    struct sim_rng r = sim_rng_make(seed, "chaos", 0);
    if (tell)
        sim_trace_to(f->w.sim, print_line, NULL);
    for (unsigned i = 0; i < 60; i++) {
        strike(f, &r);
        fixture_run(f, sim_rng_between(&r, 1, 8000));
    }
    calm(f);
    if (!fixture_settle(f, 10 * BOOT_MS))
        fail_msg("seed %llu: not every instance runs again", (unsigned long long)seed);
    assert_int_equal(f->checks.most_executing, 1);
    return fixture_free(f);
}

/* HF_SEED=n runs one, with its trace. */
static void everything_is_made_good_again(void **state)
{
    (void)state;
    const char *one = getenv("HF_SEED");
    uint64_t first = one ? strtoull(one, NULL, 10) : 1000;
    for (uint64_t seed = first; seed < first + (one ? 1 : 30); seed++)
        chaos(seed, one != NULL);
}

static void one_seed_takes_one_path(void **state)
{
    (void)state;
    assert_true(chaos(77, false) == chaos(77, false));
    assert_true(chaos(77, false) != chaos(78, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_instance_runs_and_writes),
        cmocka_unit_test(an_instance_stops_by_order),
        cmocka_unit_test(a_daemon_lost_at_any_act_adopts_its_guests),
        cmocka_unit_test(a_daemon_lost_while_it_starts_instances_starts_each_once),
        cmocka_unit_test(a_keeper_lost_at_any_act_comes_back_or_costs_the_host),
        cmocka_unit_test(a_keeper_lost_while_instances_start_keeps_its_promises),
        cmocka_unit_test(guests_outlive_libvirtd),
        cmocka_unit_test(an_answer_that_libvirt_loses_starts_nothing_twice),
        cmocka_unit_test(a_machine_without_power_runs_nothing_and_boots_into_the_next_epoch),
        cmocka_unit_test(a_short_pause_costs_nothing),
        cmocka_unit_test(nothing_starts_on_a_machine_that_stands_still),
        cmocka_unit_test(a_pause_past_the_watchdog_resets_the_machine),
        cmocka_unit_test(a_keeper_that_stands_still_costs_the_host),
        cmocka_unit_test(a_storage_that_hangs_past_the_lease_costs_its_guests),
        cmocka_unit_test(a_storage_that_hangs_shortly_costs_nothing),
        cmocka_unit_test(a_guest_stops_at_an_error_and_goes_on),
        cmocka_unit_test(a_guest_that_cannot_be_killed_costs_the_host),
        cmocka_unit_test(everything_is_made_good_again),
        cmocka_unit_test(one_seed_takes_one_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
