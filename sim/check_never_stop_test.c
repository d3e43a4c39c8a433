/* NeverStop: what is late is found, and each excuse holds for as long as it lasts. */
#include "sim/checks_testing.h"

BENCH_TEST(turned_off_with_the_end_of_its_run)
{
    struct vm v = vm_on(b, VM, 0, 1);
    copy(b, 0, VM, 1, false);
    v.end = END(STOPPED);
    v.power = POWER(STOPPED);
    tell_vm_as(b, v, false);
    assert_only(b, SIM_RULE_NEVER_STOP, "nobody wants it to run any more");
}

/* Every storage has a record of its that can be seen to stand still. */
static void power_cut(struct bench *b, unsigned host)
{
    struct hf_uuid other = storage_id(1);
    renew(b, host);
    sim_checks_renewed(b->c, b->now, host, &other, b->now - 10 * MS);
    copy(b, host, VM, 1, false);
    sim_checks_host_lost(b->c, b->now, host, true);
    sim_checks_host_faulty(b->c, b->now, host, true);
}

/* Any fact lets the clocks be read. */
static void look(struct bench *b)
{
    renew(b, 3);
    sim_checks_copy(b->c, b->now, 3, &(struct hf_uuid){{9}}, 1, false);
}

#define LONG_MS 3600000

BENCH_TEST(a_failover_in_time)
{
    power_cut(b, 0);
    pass(b, b->t->takeover_ms);
    silenced_and_placed(b, 0, 1, 1);
    pass(b, 10000);
    copy(b, 1, VM, 2, true);
    pass(b, LONG_MS);
    look(b);
    assert_fine(b);
    assert_int_equal(sim_checks_failovers(b->c), 1);
}

BENCH_TEST(no_failover)
{
    power_cut(b, 0);
    pass(b, b->t->takeover_ms + 900);
    look(b);
    assert_fine(b);
    pass(b, 101);
    look(b);
    assert_only(b, SIM_RULE_NEVER_STOP, "has not executed since 100060.500 s");
}

BENCH_TEST(a_failover_to_a_host_where_it_does_not_start)
{
    power_cut(b, 0);
    pass(b, b->t->takeover_ms);
    silenced_and_placed(b, 0, 1, 1);
    pass(b, 29000);
    look(b);
    assert_fine(b);
    pass(b, 1001);
    look(b);
    assert_only(b, SIM_RULE_NEVER_STOP, "its run 2 on host-2 is not over");
}

BENCH_TEST(no_restart_after_the_end_of_its_guest)
{
    copy(b, 0, VM, 1, false);
    struct vm v = vm_on(b, VM, 0, 1);
    v.end = END(STOPPED);
    v.failures = 3; /* four seconds of back-off */
    tell_vm(b, v);
    pass(b, b->t->takeover_ms + 33000);
    look(b);
    assert_fine(b);
    pass(b, 1001);
    look(b);
    assert_only(b, SIM_RULE_NEVER_STOP, "run 1 on host-1 is over");
}

BENCH_TEST(what_is_not_to_run_may_rest)
{
    struct vm v = vm_on(b, VM, 0, 1);
    v.power = POWER(STOPPED);
    tell_vm(b, v);
    copy(b, 0, VM, 1, false);
    v.end = END(STOPPED);
    tell_vm(b, v);
    pass(b, LONG_MS);
    look(b);
    v.power = POWER(RUNNING); /* its first start has no bound */
    tell_vm(b, v);
    pass(b, LONG_MS);
    look(b);
    assert_fine(b);
}

BENCH_TEST(without_ha_it_may_stay_down)
{
    struct vm v = vm_on(b, VM, 0, 1);
    v.no_ha = true;
    tell_vm(b, v);
    power_cut(b, 0);
    pass(b, LONG_MS);
    look(b);
    assert_fine(b);
}

/* Each excuse holds for as long as it lasts, and a whole bound after it. */
static void assert_excused(struct bench *b, void (*set)(struct bench *b, bool on))
{
    power_cut(b, 0);
    pass(b, 1000);
    set(b, true);
    pass(b, LONG_MS);
    look(b);
    set(b, false);
    pass(b, b->t->takeover_ms + 900);
    look(b);
    assert_fine(b);
    pass(b, 101);
    look(b);
    assert_only(b, SIM_RULE_NEVER_STOP, "is NeverStop and wanted running");
}

static void set_quorum(struct bench *b, bool on)
{
    sim_checks_quorum(b->c, b->now, !on);
}

static void set_disturbed(struct bench *b, bool on)
{
    sim_checks_disturbed(b->c, b->now, on);
}

static void set_storage_out(struct bench *b, bool on)
{
    struct hf_uuid storage = storage_id(0);
    sim_checks_storage_out(b->c, b->now, &storage, on);
}

static void set_other_storage_out(struct bench *b, bool on)
{
    struct hf_uuid storage = storage_id(1);
    sim_checks_storage_out(b->c, b->now, &storage, on);
}

/* An instance that is not NeverStop, on a storage of its own. */
static void tell_neighbour(struct bench *b, unsigned host)
{
    struct vm v = vm_on(b, VM2, host, 1);
    tell_storage(b, 1, true);
    v.storage = 1;
    v.no_ha = true;
    tell_vm(b, v);
}

static void set_no_watchdog(struct bench *b, bool on)
{
    b->no_watchdog = on;
    tell_host(b, 0, false);
}

static void set_many_lost(struct bench *b, bool on)
{
    for (unsigned n = 1; n < 3; n++)
        sim_checks_host_lost(b->c, b->now, n, on);
}

static void set_disabled(struct bench *b, bool on) /* in the store's words: nobody else is connected */
{
    for (unsigned n = 1; n < HOSTS; n++)
        tell_host(b, n, !on);
}

static void set_operation(struct bench *b, bool on)
{
    struct text uuid = text_of(vm_id(VM));
    Holdfast__V1__Operation o = HOLDFAST__V1__OPERATION__INIT;
    o.target_kind = KIND(INSTANCE);
    o.target_uuid = uuid.s;
    o.state = on ? HOLDFAST__V1__OPERATION__STATE__RUNNING : HOLDFAST__V1__OPERATION__STATE__SUCCEEDED;
    tell(b, KIND(OPERATION), id("operation", 0), &o.base);
}

BENCH_TEST(excused_without_quorum)
{
    assert_excused(b, set_quorum);
}
BENCH_TEST(excused_when_disturbed)
{
    assert_excused(b, set_disturbed);
}
BENCH_TEST(excused_when_its_storage_is_out)
{
    assert_excused(b, set_storage_out);
}
BENCH_TEST(excused_when_the_storage_of_a_neighbour_is_out)
{
    tell_neighbour(b, 0);
    assert_excused(b, set_other_storage_out);
}
BENCH_TEST(a_storage_that_nobody_there_is_on_is_no_excuse)
{
    tell_neighbour(b, 1);
    power_cut(b, 0);
    set_other_storage_out(b, true);
    pass(b, b->t->takeover_ms + 1001);
    look(b);
    assert_only(b, SIM_RULE_NEVER_STOP, "is NeverStop and wanted running");
}
BENCH_TEST(excused_before_its_host_has_renewed_once)
{
    copy(b, 0, VM, 1, false);
    stopped_and_placed(b, 0, 1, 1);
    sim_checks_host_lost(b->c, b->now, 1, true);
    sim_checks_host_faulty(b->c, b->now, 1, true);
    pass(b, LONG_MS);
    look(b);
    assert_fine(b);
    renew(b, 1); /* somebody has seen it */
    pass(b, b->t->takeover_ms + 1001);
    look(b);
    assert_only(b, SIM_RULE_NEVER_STOP, "its run 2 on host-2 is not over");
}
BENCH_TEST(excused_without_a_watchdog)
{
    assert_excused(b, set_no_watchdog);
}
BENCH_TEST(excused_when_many_are_lost)
{
    assert_excused(b, set_many_lost);
}
static void tell_maintenance(struct bench *b, unsigned n)
{
    b->maintenance = true;
    tell_host(b, n, true);
    b->maintenance = false;
    sim_checks_host_lost(b->c, b->now, n, true);
}
BENCH_TEST(empty_hosts_in_maintenance_are_not_lost)
{
    tell_maintenance(b, 2);
    tell_maintenance(b, 3);
    power_cut(b, 0);
    pass(b, b->t->takeover_ms + 1001);
    look(b);
    assert_only(b, SIM_RULE_NEVER_STOP, "is NeverStop and wanted running");
}
BENCH_TEST(excused_when_many_are_lost_of_those_that_count)
{
    tell_maintenance(b, 2);
    tell_vm(b, vm_on(b, VM2, 3, 1));
    tell_maintenance(b, 3); /* it is not empty */
    power_cut(b, 0);
    pass(b, LONG_MS);
    look(b);
    assert_fine(b);
}
BENCH_TEST(excused_without_a_host_to_go_to)
{
    assert_excused(b, set_disabled);
}
/* Their leases were lost and are renewed again, in the same epoch. */
BENCH_TEST(excused_where_all_leases_are_closed)
{
    power_cut(b, 0);
    for (unsigned n = 1; n < HOSTS; n++)
        renew(b, n);
    pass(b, b->t->fence_ms + 1000);
    for (unsigned n = 1; n < HOSTS; n++)
        renew(b, n);
    pass(b, LONG_MS);
    look(b);
    assert_fine(b);
}

BENCH_TEST(excused_by_an_operation)
{
    assert_excused(b, set_operation);
}

BENCH_TEST(excused_by_a_faulty_host_that_lives)
{
    renew(b, 0);
    sim_checks_host_faulty(b->c, b->now, 0, true); /* its daemon is paused */
    copy(b, 0, VM, 1, false);
    pass(b, LONG_MS);
    look(b);
    assert_fine(b);
    sim_checks_host_lost(b->c, b->now, 0, true);
    pass(b, b->t->takeover_ms + 30001);
    look(b);
    assert_only(b, SIM_RULE_NEVER_STOP, "has not executed since");
}

BENCH_TEST(excused_without_room)
{
    for (unsigned n = 0; n < 21; n++) /* seven GiB of each host are for instances */
        tell_vm(b, vm_on(b, 10 + n, 1 + n % 3, 1));
    power_cut(b, 0);
    pass(b, LONG_MS);
    look(b);
    assert_fine(b);
    struct vm v = vm_on(b, 10, 1, 1);
    v.end = END(STOPPED);
    tell_vm(b, v);
    pass(b, b->t->takeover_ms + 900);
    look(b);
    assert_fine(b);
    pass(b, 101);
    look(b);
    assert_only(b, SIM_RULE_NEVER_STOP, "is NeverStop and wanted running");
}

static void set_unreached(struct bench *b, unsigned host, bool on)
{
    struct hf_uuid storage = storage_id(0);
    sim_checks_storage_unreached(b->c, b->now, &storage, host, on);
}

/* The instance's run on host 0 is killed so long after the last renewal there. */
static void killed_for_its_storage(struct bench *b, int64_t after_ms)
{
    renew(b, 0);
    set_unreached(b, 0, true);
    pass(b, after_ms);
    copy(b, 0, VM, 1, false);
}

BENCH_TEST(placed_again_where_its_storage_was_lost)
{
    killed_for_its_storage(b, b->t->fence_ms);
    stopped_and_placed(b, 0, 0, 1);
    tell_nothing(b);
    assert_only(b, SIM_RULE_NEVER_STOP, "was placed on host host-1 again, which killed its run 1");
}
BENCH_TEST(placed_where_that_storage_was_not_lost)
{
    killed_for_its_storage(b, b->t->fence_ms);
    stopped_and_placed(b, 0, 1, 1);
    tell_nothing(b);
    assert_fine(b);
}
BENCH_TEST(placed_again_where_its_storage_is_back)
{
    killed_for_its_storage(b, b->t->fence_ms);
    set_unreached(b, 0, false);
    stopped_and_placed(b, 0, 0, 1);
    tell_nothing(b);
    assert_fine(b);
}
BENCH_TEST(placed_again_where_it_ended_by_itself)
{
    killed_for_its_storage(b, b->t->lease_ms - 100);
    pass(b, b->t->fence_ms);
    stopped_and_placed(b, 0, 0, 1);
    tell_nothing(b);
    assert_fine(b);
}

BENCH_TEST(a_new_leader_counts_anew)
{
    power_cut(b, 0);
    pass(b, b->t->takeover_ms);
    sim_checks_new_leader(b->c, b->now);
    pass(b, b->t->takeover_ms + 900);
    look(b);
    assert_fine(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turned_off_with_the_end_of_its_run),
        cmocka_unit_test(a_failover_in_time),
        cmocka_unit_test(no_failover),
        cmocka_unit_test(a_failover_to_a_host_where_it_does_not_start),
        cmocka_unit_test(no_restart_after_the_end_of_its_guest),
        cmocka_unit_test(what_is_not_to_run_may_rest),
        cmocka_unit_test(without_ha_it_may_stay_down),
        cmocka_unit_test(excused_without_quorum),
        cmocka_unit_test(excused_when_disturbed),
        cmocka_unit_test(excused_when_its_storage_is_out),
        cmocka_unit_test(excused_when_the_storage_of_a_neighbour_is_out),
        cmocka_unit_test(a_storage_that_nobody_there_is_on_is_no_excuse),
        cmocka_unit_test(excused_before_its_host_has_renewed_once),
        cmocka_unit_test(excused_without_a_watchdog),
        cmocka_unit_test(excused_when_many_are_lost),
        cmocka_unit_test(empty_hosts_in_maintenance_are_not_lost),
        cmocka_unit_test(excused_when_many_are_lost_of_those_that_count),
        cmocka_unit_test(excused_without_a_host_to_go_to),
        cmocka_unit_test(excused_where_all_leases_are_closed),
        cmocka_unit_test(excused_by_an_operation),
        cmocka_unit_test(excused_by_a_faulty_host_that_lives),
        cmocka_unit_test(excused_without_room),
        cmocka_unit_test(placed_again_where_its_storage_was_lost),
        cmocka_unit_test(placed_where_that_storage_was_not_lost),
        cmocka_unit_test(placed_again_where_its_storage_is_back),
        cmocka_unit_test(placed_again_where_it_ended_by_itself),
        cmocka_unit_test(a_new_leader_counts_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
