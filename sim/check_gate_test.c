/* Whom a keeper may let through its gate. */
#include "sim/checks_testing.h"

static void let_in(struct bench *b, uint64_t run, enum sim_gate_state state)
{
    struct hf_uuid u = vm_id(VM);
    sim_checks_let_in(b->c, b->now, 0, &u, run, state);
}

BENCH_TEST(a_permitted_run_with_a_fresh_lease)
{
    renew(b, 0);
    let_in(b, 1, SIM_GATE_PERMITTED);
    assert_fine(b);
}

BENCH_TEST(a_run_without_a_permit)
{
    renew(b, 0);
    let_in(b, 1, SIM_GATE_NO_PERMIT);
    assert_only(b, SIM_RULE_GATE, "although it has no permit");
}

BENCH_TEST(a_run_that_was_closed)
{
    renew(b, 0);
    let_in(b, 1, SIM_GATE_CLOSED);
    assert_only(b, SIM_RULE_GATE, "although its epoch or its storage is closed there");
}

BENCH_TEST(a_run_whose_lease_is_in_doubt)
{
    renew(b, 0);
    pass(b, b->t->lease_ms + b->t->kill_ms / 2);
    let_in(b, 1, SIM_GATE_PERMITTED);
    assert_only(b, SIM_RULE_GATE, "although the lease on storage 'shared0' is older than L");
}

BENCH_TEST(a_run_that_is_over)
{
    struct vm v = vm_on(b, VM, 0, 1);
    v.end = END(STOPPED);
    copy(b, 0, VM, 1, false);
    tell_vm(b, v);
    renew(b, 0);
    let_in(b, 1, SIM_GATE_PERMITTED);
    assert_only(b, SIM_RULE_GATE, "although the store has recorded its end");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_permitted_run_with_a_fresh_lease),
        cmocka_unit_test(a_run_without_a_permit),
        cmocka_unit_test(a_run_that_was_closed),
        cmocka_unit_test(a_run_whose_lease_is_in_doubt),
        cmocka_unit_test(a_run_that_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
