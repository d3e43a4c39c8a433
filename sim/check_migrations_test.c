/* Migrations: an intent, its end, and which copies execute meanwhile. Good histories pass, and each planted
 * error is found.
 */
#include "sim/checks_testing.h"

/* Run 1 on host 0, on its way to host 1 as run 2. */
static struct vm moving(const struct bench *b, int phase)
{
    struct vm v = vm_on(b, VM, 0, 1);
    v.move_phase = phase;
    v.move_host = 1;
    v.move_run = 2;
    return v;
}

/* Run 2 on host 1, where it has arrived. */
static struct vm arrived(const struct bench *b)
{
    struct vm v = vm_on(b, VM, 1, 2);
    v.move_phase = MOVE(COMPLETED);
    v.move_host = 1;
    v.move_run = 2;
    v.handed_over = true;
    return v;
}

static void begin(struct bench *b)
{
    tell_vm(b, moving(b, MOVE(OPEN)));
    tell_nothing(b);
}

BENCH_TEST(a_migration_that_arrives)
{
    begin(b);
    copy(b, 0, VM, 1, false);
    tell_vm(b, arrived(b));
    copy(b, 1, VM, 2, true);
    tell_nothing(b);
    assert_fine(b);
}

BENCH_TEST(a_migration_that_is_called_off)
{
    begin(b);
    tell_vm(b, moving(b, MOVE(CANCELLING)));
    tell_vm(b, moving(b, MOVE(CANCELLED)));
    copy(b, 0, VM, 1, false);
    stopped_and_placed(b, 0, 2, 2); /* ends run 2 of host 0, which is no run */
    assert_int_equal(count(b, SIM_RULE_GROWS), 1);
}

BENCH_TEST(a_run_after_a_migration_that_was_called_off)
{
    begin(b);
    tell_vm(b, moving(b, MOVE(CANCELLED)));
    copy(b, 0, VM, 1, false);
    struct vm v = moving(b, MOVE(CANCELLED));
    v.end = END(STOPPED);
    tell_vm(b, v);
    tell_vm(b, vm_on(b, VM, 2, 3));
    copy(b, 2, VM, 3, true);
    tell_nothing(b);
    assert_fine(b);
}

BENCH_TEST(a_run_of_a_copy_that_was_called_off)
{
    begin(b);
    tell_vm(b, moving(b, MOVE(CANCELLED)));
    copy(b, 0, VM, 1, false);
    struct vm v = moving(b, MOVE(CANCELLED));
    v.end = END(STOPPED);
    tell_vm(b, v);
    tell_vm(b, vm_on(b, VM, 2, 2));
    assert_only(b, SIM_RULE_GROWS, "went from run 1 on host-1 in epoch 1 to run 2 on host-3 in epoch 1");
}

BENCH_TEST(a_copy_that_executes_although_it_was_called_off)
{
    begin(b);
    tell_vm(b, moving(b, MOVE(CANCELLED)));
    copy(b, 0, VM, 1, false);
    copy(b, 1, VM, 2, true);
    assert_int_equal(count(b, SIM_RULE_ENDED_RUNS), 1);
}

BENCH_TEST(a_copy_that_goes_on_before_its_migration_is_completed)
{
    begin(b);
    copy(b, 0, VM, 1, false);
    copy(b, 1, VM, 2, true);
    assert_int_equal(count(b, SIM_RULE_PLACEMENT), 1);
}

BENCH_TEST(a_migration_completed_while_its_source_executes)
{
    begin(b);
    tell_vm(b, arrived(b));
    assert_only(b, SIM_RULE_ENDED_RUNS,
                "the migration of instance 'vm-0' from host-1 to host-2 was completed, but run 1 executes on "
                "host-1");
}

BENCH_TEST(a_migration_completed_without_the_sources_word)
{
    begin(b);
    copy(b, 0, VM, 1, false);
    struct vm v = arrived(b);
    v.handed_over = false;
    tell_vm(b, v);
    assert_only(b, SIM_RULE_PLACEMENT, "completed without the source's word that it has handed over");
}

BENCH_TEST(a_run_that_ends_while_it_migrates)
{
    begin(b);
    copy(b, 0, VM, 1, false);
    struct vm v = moving(b, MOVE(OPEN));
    v.end = END(STOPPED);
    tell_vm(b, v);
    assert_only(b, SIM_RULE_PLACEMENT, "it was ended while its migration was open");
}

BENCH_TEST(a_migration_that_takes_the_place_of_another)
{
    begin(b);
    struct vm v = moving(b, MOVE(OPEN));
    v.move_run = 3;
    tell_vm(b, v);
    assert_only(b, SIM_RULE_PLACEMENT, "another migration took the place of one that was open");
}

BENCH_TEST(a_copy_whose_run_is_not_above)
{
    struct vm v = moving(b, MOVE(OPEN));
    v.move_run = 1;
    tell_vm(b, v);
    assert_only(b, SIM_RULE_PLACEMENT, "the run of a copy is not above its own");
}

BENCH_TEST(a_migration_to_a_fenced_host)
{
    tell_fence(b, 1, 0, "", false);
    begin(b);
    assert_only(b, SIM_RULE_PLACEMENT, "in a fenced epoch");
}

/* A migration takes its place at both ends. */
BENCH_TEST(a_migration_to_the_host_of_another_of_a_hard_group)
{
    tell_group(b, false, true);
    struct vm v = vm_on(b, VM2, 1, 1), moves = moving(b, MOVE(OPEN));
    v.apart = moves.apart = true;
    tell_vm(b, v);
    tell_vm(b, moves);
    tell_nothing(b);
    assert_only(b, SIM_RULE_APART, "'vm-0' was placed on host host-2, where 'vm-1' of its hard");
}

BENCH_TEST(a_placement_where_another_of_a_hard_group_arrives)
{
    tell_group(b, false, true);
    struct vm v = vm_on(b, VM2, 1, 1), moves = moving(b, MOVE(OPEN));
    v.apart = moves.apart = true;
    tell_vm(b, moves);
    tell_vm(b, v);
    tell_nothing(b);
    assert_only(b, SIM_RULE_APART, "'vm-1' was placed on host host-2, where 'vm-0' of its hard");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_migration_that_arrives),
        cmocka_unit_test(a_migration_that_is_called_off),
        cmocka_unit_test(a_run_after_a_migration_that_was_called_off),
        cmocka_unit_test(a_run_of_a_copy_that_was_called_off),
        cmocka_unit_test(a_copy_that_executes_although_it_was_called_off),
        cmocka_unit_test(a_copy_that_goes_on_before_its_migration_is_completed),
        cmocka_unit_test(a_migration_completed_while_its_source_executes),
        cmocka_unit_test(a_migration_completed_without_the_sources_word),
        cmocka_unit_test(a_run_that_ends_while_it_migrates),
        cmocka_unit_test(a_migration_that_takes_the_place_of_another),
        cmocka_unit_test(a_copy_whose_run_is_not_above),
        cmocka_unit_test(a_migration_to_a_fenced_host),
        cmocka_unit_test(a_migration_to_the_host_of_another_of_a_hard_group),
        cmocka_unit_test(a_placement_where_another_of_a_hard_group_arrives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
