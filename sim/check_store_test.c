/* Replicas agree, addresses are one NIC's, operations end once, and in the end everything is as asked for: a
 * good history passes, and each planted error is found.
 */
#include "sim/checks_testing.h"

/* --- replicas --- */

static void apply(struct bench *b, unsigned node, uint64_t revision, unsigned object, const char *what)
{
    struct hf_uuid u = id("thing", object);
    sim_checks_applied(b->c, b->now, node, revision, KIND(CLUSTER), &u, (const uint8_t *)what,
                       what != NULL ? strlen(what) : 0);
}

BENCH_TEST(replicas_agree)
{
    uint64_t r = b->revision;
    apply(b, 0, r + 1, 1, "a");
    apply(b, 0, r + 1, 2, "b");
    apply(b, 1, r + 1, 2, "b"); /* a node that begins late, in another order */
    apply(b, 1, r + 1, 1, "a");
    apply(b, 0, r + 3, 1, NULL); /* revision 2 changed nothing */
    apply(b, 1, r + 3, 1, NULL);
    sim_checks_node_reset(b->c, 1);
    apply(b, 1, r + 1, 1, "a"); /* again, from its disk */
    apply(b, 1, r + 1, 2, "b");
    apply(b, 1, r + 3, 1, NULL);
    apply(b, 0, r + 4, 1, "c");
    apply(b, 1, r + 4, 1, "c");
    sim_checks_end(b->c, b->now, b->now);
    assert_fine(b);
}

BENCH_TEST(replicas_apply_different_things)
{
    uint64_t r = b->revision;
    apply(b, 0, r + 1, 1, "a");
    apply(b, 1, r + 1, 1, "A");
    apply(b, 0, r + 2, 1, "a");
    assert_fine(b);
    apply(b, 1, r + 2, 1, "a");
    assert_only(b, SIM_RULE_LOST, "node n2 applied changes as revision");
}

BENCH_TEST(a_replica_leaves_something_out)
{
    uint64_t r = b->revision;
    apply(b, 0, r + 1, 1, "a");
    apply(b, 0, r + 2, 1, "b");
    apply(b, 0, r + 3, 1, "c");
    apply(b, 1, r + 1, 1, "a");
    apply(b, 1, r + 3, 1, "c");
    assert_only(b, SIM_RULE_LOST, "node n2 applied nothing as revision");
}

BENCH_TEST(a_replica_goes_back)
{
    apply(b, 1, 8, 1, "a");
    apply(b, 1, 7, 1, "a");
    assert_only(b, SIM_RULE_LOST, "node n2 applied revision 7 after revision 8");
}

BENCH_TEST(history_is_written_anew_after_all_nodes_restart)
{
    uint64_t r = b->revision;
    apply(b, 0, r + 1, 1, "acknowledged");
    apply(b, 0, r + 2, 1, "b");
    sim_checks_node_reset(b->c, 0);
    apply(b, 0, r + 1, 2, "another");
    apply(b, 0, r + 2, 2, "b");
    assert_only(b, SIM_RULE_LOST, "other than the first node that had applied it");
}

BENCH_TEST(a_node_that_stays_behind)
{
    apply(b, 1, b->revision, 1, "x");
    sim_checks_node_reset(b->c, 1);
    apply(b, 1, b->revision + 1, 1, "a");
    apply(b, 0, b->revision + 1, 1, "a");
    apply(b, 0, b->revision + 2, 1, "b");
    pass(b, 4000);
    sim_checks_end(b->c, b->now, b->now);
    assert_fine(b);
    pass(b, 2000);
    sim_checks_end(b->c, b->now, b->now);
    assert_only(b, SIM_RULE_CONVERGES, "node n2 has applied nothing after revision");
}

/* A node that was lost in the middle of a revision leaves the rest of it to another. */
BENCH_TEST(a_revision_that_is_told_in_two_parts)
{
    b->revision++;
    struct vm v = vm_on(b, VM2, 1, 1);
    uint64_t r = b->revision;
    apply(b, 0, r, 1, "a");
    sim_checks_node_reset(b->c, 0);
    apply(b, 1, r, 1, "a");
    b->revision = r - 1;
    sim_checks_node_reset(b->c, 1);
    tell_vm(b, v);
    copy(b, 1, VM2, 1, true); /* its placement is known */
    tell_nothing(b);
    assert_fine(b);
}

/* --- addresses and operations --- */

BENCH_TEST(addresses_are_given_and_given_back)
{
    struct vm v = vm_on(b, VM, 0, 1), w = vm_on(b, VM2, 1, 1);
    v.ip = "10.0.0.1";
    w.ip = "10.0.0.2";
    tell_vm(b, v);
    tell_vm(b, w);
    w.ip = "10.0.0.3";
    tell_vm(b, w);
    v.ip = "10.0.0.2";
    tell_vm(b, v);
    assert_fine(b);
    w.ip = "10.0.0.2";
    tell_vm(b, w);
    assert_only(b, SIM_RULE_ADDRESSES, "address 10.0.0.2 belongs to a NIC of instance 'vm-0' and to one of");
}

BENCH_TEST(an_address_that_is_allocated_twice)
{
    struct vm v = vm_on(b, VM, 0, 1);
    v.ip = "10.0.0.1";
    tell_vm(b, v);
    struct text owner = text_of(vm_id(VM)), other = text_of(vm_id(VM2));
    Holdfast__V1__IpAddress a = HOLDFAST__V1__IP_ADDRESS__INIT;
    a.ip = (char *)"10.0.0.1";
    a.l3_network_uuid = (char *)"net";
    a.instance_uuid = owner.s;
    tell(b, KIND(IP_ADDRESS), id("address", 1), &a.base);
    assert_fine(b);
    a.instance_uuid = other.s;
    tell(b, KIND(IP_ADDRESS), id("address", 2), &a.base);
    assert_only(b, SIM_RULE_ADDRESSES, "while a NIC of instance 'vm-0' has it");
}

static void tell_operation(struct bench *b, unsigned n, Holdfast__V1__Operation__State state,
                           int64_t ended_ms)
{
    Holdfast__V1__Operation o = HOLDFAST__V1__OPERATION__INIT;
    o.verb = (char *)"StopInstance";
    o.state = state;
    o.ended_at_ms = ended_ms;
    tell(b, KIND(OPERATION), id("operation", n), &o.base);
}

#define OPERATION(name) HOLDFAST__V1__OPERATION__STATE__##name

BENCH_TEST(operations_end_once)
{
    tell_operation(b, 1, OPERATION(RUNNING), 0);
    tell_operation(b, 1, OPERATION(SUCCEEDED), 5);
    tell_operation(b, 1, OPERATION(SUCCEEDED), 5);
    tell(b, KIND(OPERATION), id("operation", 1), NULL); /* forgotten */
    tell_operation(b, 2, OPERATION(FAILED), 6);
    sim_checks_end(b->c, b->now, b->now);
    assert_fine(b);
    tell_operation(b, 2, OPERATION(SUCCEEDED), 7);
    assert_only(b, SIM_RULE_OPERATIONS, "(StopInstance of '') changed after it had ended");
}

BENCH_TEST(an_operation_that_goes_before_its_end)
{
    tell_operation(b, 1, OPERATION(RUNNING), 0);
    tell(b, KIND(OPERATION), id("operation", 1), NULL);
    assert_only(b, SIM_RULE_OPERATIONS, "was deleted before it had ended");
}

BENCH_TEST(an_operation_that_never_ends)
{
    tell_operation(b, 1, OPERATION(RUNNING), 0);
    sim_checks_end(b->c, b->now, b->now);
    assert_only(b, SIM_RULE_OPERATIONS, "has not ended");
}

static void tell_start_of(struct bench *b, unsigned vm)
{
    struct text uuid = text_of(vm_id(vm));
    Holdfast__V1__Operation o = HOLDFAST__V1__OPERATION__INIT;
    o.verb = (char *)"StartInstance";
    o.target_kind = KIND(INSTANCE);
    o.target_uuid = uuid.s;
    o.state = OPERATION(RUNNING);
    tell(b, KIND(OPERATION), id("operation", 1), &o.base);
}

static void stop_it_without_a_host_to_go_to(struct bench *b, bool no_ha)
{
    struct vm v = vm_on(b, VM, 0, 1);
    copy(b, 0, VM, 1, false);
    v.end = END(STOPPED);
    v.no_ha = no_ha;
    tell_vm(b, v);
    for (unsigned n = 0; n < HOSTS; n++) {
        sim_checks_host_lost(b->c, b->now, n, true);
        tell_host(b, n, false);
    }
}

BENCH_TEST(an_operation_that_waits_for_a_host)
{
    stop_it_without_a_host_to_go_to(b, false);
    tell_start_of(b, VM);
    sim_checks_end(b->c, b->now, b->now);
    assert_fine(b);
}

BENCH_TEST(an_operation_that_waits_although_nothing_tries_again)
{
    stop_it_without_a_host_to_go_to(b, true);
    tell_start_of(b, VM);
    sim_checks_end(b->c, b->now, b->now);
    assert_only(b, SIM_RULE_OPERATIONS, "has not ended");
}

/* --- the end --- */

BENCH_TEST(all_is_as_asked_for)
{
    sim_checks_end(b->c, b->now, b->now);
    assert_fine(b);
}

BENCH_TEST(it_does_not_run_in_the_end)
{
    struct vm v = vm_on(b, VM, 0, 1);
    v.no_ha = true;
    tell_vm(b, v);
    copy(b, 0, VM, 1, false);
    sim_checks_end(b->c, b->now, b->now);
    assert_only(b, SIM_RULE_CONVERGES, "is wanted running, but 0 copies of it execute");
}

BENCH_TEST(it_runs_in_the_end_and_should_not)
{
    struct vm v = vm_on(b, VM, 0, 1);
    v.power = POWER(STOPPED);
    tell_vm(b, v);
    sim_checks_end(b->c, b->now, b->now);
    assert_only(b, SIM_RULE_CONVERGES, "executes on host-1, but it is wanted stopped");
}

BENCH_TEST(it_is_being_deleted_for_ever)
{
    struct vm v = vm_on(b, VM, 0, 1);
    v.deleting = true;
    tell_vm(b, v);
    sim_checks_end(b->c, b->now, b->now);
    assert_only(b, SIM_RULE_CONVERGES, "is still being deleted");
}

BENCH_TEST(a_host_that_does_not_come_back)
{
    tell_host(b, 2, false);
    sim_checks_end(b->c, b->now, b->now);
    assert_only(b, SIM_RULE_CONVERGES, "nothing is wrong with host host-3, but it is not connected");
}

BENCH_TEST(a_host_without_power_need_not)
{
    sim_checks_host_lost(b->c, b->now, 2, true);
    tell_host(b, 2, false);
    sim_checks_end(b->c, b->now, b->now);
    assert_fine(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replicas_agree),
        cmocka_unit_test(replicas_apply_different_things),
        cmocka_unit_test(a_replica_leaves_something_out),
        cmocka_unit_test(a_replica_goes_back),
        cmocka_unit_test(history_is_written_anew_after_all_nodes_restart),
        cmocka_unit_test(a_node_that_stays_behind),
        cmocka_unit_test(a_revision_that_is_told_in_two_parts),
        cmocka_unit_test(addresses_are_given_and_given_back),
        cmocka_unit_test(an_address_that_is_allocated_twice),
        cmocka_unit_test(operations_end_once),
        cmocka_unit_test(an_operation_that_goes_before_its_end),
        cmocka_unit_test(an_operation_that_never_ends),
        cmocka_unit_test(an_operation_that_waits_for_a_host),
        cmocka_unit_test(an_operation_that_waits_although_nothing_tries_again),
        cmocka_unit_test(all_is_as_asked_for),
        cmocka_unit_test(it_does_not_run_in_the_end),
        cmocka_unit_test(it_runs_in_the_end_and_should_not),
        cmocka_unit_test(it_is_being_deleted_for_ever),
        cmocka_unit_test(a_host_that_does_not_come_back),
        cmocka_unit_test(a_host_without_power_need_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
