/* Restart priorities: who is placed in time passes, and who takes the last room is found. */
#include "sim/checks_testing.h"

#define PRIORITY(name) HOLDFAST__V1__INSTANCE_SPEC__RESTART_PRIORITY__##name

/* VM waits with this priority, apart from those on every host but host 1. */
static void let_wait(struct bench *b, int priority)
{
    tell_group(b, false, true);
    struct vm v = vm_on(b, VM, 0, 1), other;
    v.apart = true;
    v.priority = priority;
    tell_vm(b, v);
    copy(b, 0, VM, 1, false);
    v.end = END(STOPPED);
    tell_vm(b, v);
    for (unsigned n = 0; n < HOSTS; n++) {
        other = vm_on(b, 10 + n, n, 1);
        other.apart = true;
        if (n != 1)
            tell_vm(b, other);
    }
    pass(b, 30000);
    tell_nothing(b);
    assert_fine(b);
}

static void place_another(struct bench *b, int priority, bool apart)
{
    struct vm v = vm_on(b, VM2, 1, 1);
    v.apart = apart;
    v.priority = priority;
    tell_vm(b, v);
    tell_nothing(b);
}

BENCH_TEST(the_last_room_of_one_with_a_higher_priority)
{
    let_wait(b, PRIORITY(HIGH));
    place_another(b, PRIORITY(LOW), true);
    assert_only(b, SIM_RULE_PRIORITY,
                "'vm-1' was placed on host host-2 and took the last room of 'vm-0', which waits with");
}

BENCH_TEST(one_of_the_same_priority)
{
    let_wait(b, PRIORITY(MEDIUM));
    place_another(b, 0, true); /* medium, too */
    assert_fine(b);
}

BENCH_TEST(room_that_the_other_does_not_need)
{
    let_wait(b, PRIORITY(HIGH));
    place_another(b, PRIORITY(LOW), false);
    assert_fine(b);
}

BENCH_TEST(one_that_has_just_begun_to_wait)
{
    let_wait(b, PRIORITY(HIGH));
    struct vm v = vm_on(b, VM, 0, 1);
    v.apart = true;
    v.priority = PRIORITY(HIGH);
    v.end = END(STOPPED);
    tell_vm(b, v);
    pass(b, 2000);
    place_another(b, PRIORITY(LOW), true);
    assert_fine(b);
}

BENCH_TEST(a_new_leader)
{
    let_wait(b, PRIORITY(HIGH));
    sim_checks_new_leader(b->c, b->now);
    pass(b, 5000);
    place_another(b, PRIORITY(LOW), true);
    assert_fine(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_room_of_one_with_a_higher_priority),
        cmocka_unit_test(one_of_the_same_priority),
        cmocka_unit_test(room_that_the_other_does_not_need),
        cmocka_unit_test(one_that_has_just_begun_to_wait),
        cmocka_unit_test(a_new_leader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
