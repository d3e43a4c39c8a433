/* Epochs and runs grow, fences are for ever, and a placement is left with proof: a good history passes, and
 * each planted error is found.
 */
#include "sim/checks_testing.h"

/* --- epochs and fences --- */

BENCH_TEST(an_epoch_after_proof)
{
    copy(b, 0, VM, 1, false);
    tell_fence(b, 0, EVIDENCE(NEXT_EPOCH), "", false);
    b->epoch[0] = 2;
    tell_host_as(b, 0, HOLDFAST__V1__HOST_STATUS__STATE__CONNECTED, true);
    tell_nothing(b);
    assert_fine(b);
}

BENCH_TEST(an_epoch_without_proof)
{
    tell_fence(b, 0, 0, "", false);
    b->epoch[0] = 2;
    tell_host(b, 0, true);
    tell_nothing(b);
    assert_only(b, SIM_RULE_PLACEMENT, "host host-1 was granted epoch 2, but nothing proves epoch 1 over");
}

BENCH_TEST(a_next_epoch_that_was_not_granted)
{
    tell_fence(b, 0, EVIDENCE(NEXT_EPOCH), "", false);
    tell_nothing(b);
    assert_only(b, SIM_RULE_PLACEMENT, "counts as proof against epoch 1, but was not granted");
}

BENCH_TEST(an_epoch_that_goes_back)
{
    b->epoch[0] = 0;
    tell_host(b, 0, true);
    assert_only(b, SIM_RULE_GROWS, "host host-1 went back from epoch 1 to 0");
}

BENCH_TEST(an_epoch_that_is_fenced)
{
    b->epoch[3] = 2;
    tell_host(b, 3, true); /* unproven: found as well */
    tell_nothing(b);
    b->epoch[3] = 3;
    tell_fence(b, 3, 0, "", false);
    assert_int_equal(count(b, SIM_RULE_GROWS), 1); /* it has not been granted */
    tell_host(b, 3, true);
    assert_int_equal(count(b, SIM_RULE_GROWS), 2);
}

BENCH_TEST(a_fence_that_goes)
{
    struct text uuid = text_of(host_id(1));
    tell_fence(b, 1, 0, "", false);
    tell(b, KIND(FENCE), hf_fence_uuid(uuid.s, 1), NULL);
    assert_only(b, SIM_RULE_GROWS, "a fence was deleted");
}

BENCH_TEST(a_fence_that_loses_evidence)
{
    tell_fence(b, 1, EVIDENCE(OPERATOR), "", false);
    tell_fence(b, 1, 0, "", false);
    assert_only(b, SIM_RULE_GROWS, "the fence of epoch 1 of host host-2 lost evidence");
}

BENCH_TEST(silence_without_a_watchdog)
{
    b->no_watchdog = true;
    tell_host(b, 1, false);
    tell_fence(b, 1, EVIDENCE(SILENCE), "", false);
    assert_only(b, SIM_RULE_PLACEMENT, "its watchdog is missing");
}

BENCH_TEST(too_short_a_silence)
{
    struct hf_ha_timing shorter = *b->t;
    const struct hf_ha_timing *t = b->t;
    shorter.silence_ms--;
    b->t = &shorter; /* who commits it believes in another T */
    tell_fence(b, 1, EVIDENCE(SILENCE), "", false);
    b->t = t;
    assert_only(b, SIM_RULE_PLACEMENT, "counts as over after a silence of 7973 ms, but T is 7974 ms");
}

/* --- placements --- */

BENCH_TEST(a_placement_that_is_left_with_proof)
{
    copy(b, 0, VM, 1, false);
    stopped_and_placed(b, 0, 1, 1);
    tell_fence(b, 1, 0, "", false);
    tell_fence(b, 1, EVIDENCE(SILENCE), "", false);
    struct vm v = vm_on(b, VM, 1, 2);
    v.end = END(FENCED);
    tell_vm(b, v);
    tell_vm(b, vm_on(b, VM, 2, 3));
    v = vm_on(b, VM, 2, 3);
    v.end = END(STOPPED);
    tell_vm(b, v);
    tell(b, KIND(INSTANCE), vm_id(VM), NULL);
    tell_nothing(b);
    assert_fine(b);
}

BENCH_TEST(a_placement_that_is_left_open)
{
    copy(b, 0, VM, 1, false);
    tell_vm(b, vm_on(b, VM, 1, 2));
    tell_nothing(b);
    assert_only(b, SIM_RULE_PLACEMENT, "it was placed anew although this run is not proven over");
}

BENCH_TEST(a_placement_that_is_left_without_evidence)
{
    copy(b, 0, VM, 1, false);
    tell_fence(b, 0, 0, "", false);
    struct vm v = vm_on(b, VM, 0, 1);
    v.end = END(FENCED);
    tell_vm(b, v);
    tell_nothing(b);
    assert_only(b, SIM_RULE_PLACEMENT, "there is no evidence for a storage of it");
}

BENCH_TEST(evidence_for_another_storage)
{
    tell_storage(b, 1, true);
    struct vm v = vm_on(b, VM2, 1, 1);
    v.storage = 1;
    tell_vm(b, v);
    tell_fence(b, 1, EVIDENCE(CLOSED_AND_KILLED), "", false);
    v.end = END(FENCED);
    tell_vm(b, v);
    tell_nothing(b);
    assert_only(b, SIM_RULE_PLACEMENT,
                "instance 'vm-1', run 1 on host host-2 in epoch 1: it was ended as fenced");
}

BENCH_TEST(a_placement_in_a_fenced_epoch)
{
    tell_fence(b, 1, 0, "", false);
    tell_vm(b, vm_on(b, VM2, 1, 1));
    tell_nothing(b);
    assert_only(b, SIM_RULE_PLACEMENT, "it was placed in a fenced epoch");
}

BENCH_TEST(a_placement_in_another_epoch)
{
    struct vm v = vm_on(b, VM2, 1, 1);
    v.epoch = 7;
    tell_vm(b, v);
    tell_nothing(b);
    assert_only(b, SIM_RULE_PLACEMENT, "its host does not live this epoch");
}

BENCH_TEST(an_end_by_a_report_of_another_host)
{
    copy(b, 0, VM, 1, false);
    struct vm v = vm_on(b, VM, 0, 1);
    v.end = END(STOPPED);
    v.end_host = 1;
    tell_vm(b, v);
    assert_only(b, SIM_RULE_PLACEMENT, "it was ended by a report about another run");
}

BENCH_TEST(an_end_that_is_taken_back)
{
    copy(b, 0, VM, 1, false);
    struct vm v = vm_on(b, VM, 0, 1);
    v.end = END(STOPPED);
    tell_vm(b, v);
    v.end = 0;
    tell_vm(b, v);
    assert_only(b, SIM_RULE_PLACEMENT, "its end was changed");
}

BENCH_TEST(a_run_that_is_used_again)
{
    copy(b, 0, VM, 1, false);
    struct vm v = vm_on(b, VM, 0, 1);
    v.end = END(STOPPED);
    tell_vm(b, v);
    tell_vm(b, vm_on(b, VM, 1, 1));
    assert_only(b, SIM_RULE_GROWS, "went from run 1 on host-1 in epoch 1 to run 1 on host-2 in epoch 1");
}

BENCH_TEST(an_instance_that_is_deleted_while_it_may_run)
{
    tell(b, KIND(INSTANCE), vm_id(VM), NULL);
    assert_only(b, SIM_RULE_PLACEMENT, "it was deleted although this run is not proven over");
}

BENCH_TEST(an_instance_that_comes_back)
{
    copy(b, 0, VM, 1, false);
    struct vm v = vm_on(b, VM, 0, 1);
    v.end = END(STOPPED);
    tell_vm(b, v);
    tell(b, KIND(INSTANCE), vm_id(VM), NULL);
    tell_vm(b, v);
    assert_only(b, SIM_RULE_LOST, "is there again after it was deleted");
}

BENCH_TEST(an_instance_that_changes_its_storage)
{
    struct vm v = vm_on(b, VM, 0, 1);
    v.storage = 1;
    tell_vm(b, v);
    assert_only(b, SIM_RULE_PLACEMENT, "its storages changed");
}

BENCH_TEST(a_host_that_is_deleted_while_something_may_run)
{
    tell(b, KIND(HOST), host_id(1), NULL); /* nothing runs here */
    tell_nothing(b);
    assert_fine(b);
    tell(b, KIND(HOST), host_id(0), NULL);
    tell_nothing(b);
    assert_only(b, SIM_RULE_PLACEMENT, "its host was deleted although this run is not proven over");
}

BENCH_TEST(a_host_that_is_added_again)
{
    tell(b, KIND(HOST), host_id(1), NULL);
    b->epoch[1] = 0;
    struct hf_uuid u = host_id(1);
    sim_checks_name_host(b->c, 1, &u);
    b->epoch[1] = 2;
    tell_host(b, 1, true);
    tell_nothing(b);
    assert_fine(b);
}

/* --- groups --- */

static void place_apart(struct bench *b, unsigned n, unsigned host)
{
    struct vm v = vm_on(b, n, host, 1);
    v.apart = true;
    tell_vm_as(b, v, false);
}

BENCH_TEST(two_of_a_hard_group_on_one_host)
{
    tell_group(b, false, true);
    place_apart(b, 7, 0);
    place_apart(b, 8, 1);
    tell_nothing(b);
    assert_fine(b);
    place_apart(b, 9, 1);
    tell_nothing(b);
    assert_only(b, SIM_RULE_APART,
                "'vm-9' was placed on host host-2, where 'vm-8' of its hard anti-affinity group is");
}

BENCH_TEST(two_of_a_group_that_bars_nothing)
{
    tell_group(b, false, false);
    place_apart(b, 7, 0);
    place_apart(b, 8, 0);
    tell_group(b, true, true);
    place_apart(b, 9, 0);
    tell_nothing(b);
    assert_fine(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_epoch_after_proof),
        cmocka_unit_test(an_epoch_without_proof),
        cmocka_unit_test(a_next_epoch_that_was_not_granted),
        cmocka_unit_test(an_epoch_that_goes_back),
        cmocka_unit_test(an_epoch_that_is_fenced),
        cmocka_unit_test(a_fence_that_goes),
        cmocka_unit_test(a_fence_that_loses_evidence),
        cmocka_unit_test(silence_without_a_watchdog),
        cmocka_unit_test(too_short_a_silence),
        cmocka_unit_test(a_placement_that_is_left_with_proof),
        cmocka_unit_test(a_placement_that_is_left_open),
        cmocka_unit_test(a_placement_that_is_left_without_evidence),
        cmocka_unit_test(evidence_for_another_storage),
        cmocka_unit_test(a_placement_in_a_fenced_epoch),
        cmocka_unit_test(a_placement_in_another_epoch),
        cmocka_unit_test(an_end_by_a_report_of_another_host),
        cmocka_unit_test(an_end_that_is_taken_back),
        cmocka_unit_test(a_run_that_is_used_again),
        cmocka_unit_test(an_instance_that_is_deleted_while_it_may_run),
        cmocka_unit_test(an_instance_that_comes_back),
        cmocka_unit_test(an_instance_that_changes_its_storage),
        cmocka_unit_test(a_host_that_is_deleted_while_something_may_run),
        cmocka_unit_test(a_host_that_is_added_again),
        cmocka_unit_test(two_of_a_hard_group_on_one_host),
        cmocka_unit_test(two_of_a_group_that_bars_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
