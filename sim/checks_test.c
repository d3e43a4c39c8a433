/* What is true of copies, writes, kills and fences: a good history passes, and each planted error is found.
 */
#include "ha/fence_decide.h"
#include "sim/checks_testing.h"

static void write_at(struct bench *b, unsigned host, uint64_t run, int64_t issued_ns)
{
    struct hf_uuid storage = storage_id(0), vm = vm_id(VM);
    sim_checks_write(b->c, b->now, host, &storage, &vm, run, 1, issued_ns);
}

/* --- copies --- */

BENCH_TEST(one_copy_after_another_is_fine)
{
    copy(b, 0, VM, 1, false); /* frozen */
    pass(b, 10);
    copy(b, 0, VM, 1, true);
    copy(b, 0, VM, 1, false);
    copy(b, 0, VM, 1, false); /* a frozen copy that is killed ceases once more */
    pass(b, 100);
    stopped_and_placed(b, 0, 1, 1);
    copy(b, 1, VM, 2, true);
    assert_fine(b);
    assert_int_equal(sim_checks_failovers(b->c), 0);
}

BENCH_TEST(two_copies_on_two_hosts)
{
    tell_fence(b, 0, EVIDENCE(OPERATOR), "", false);
    copy(b, 0, VM, 1, false);
    struct vm v = vm_on(b, VM, 0, 1);
    v.end = END(FENCED);
    tell_vm(b, v);
    tell_vm(b, vm_on(b, VM, 1, 2));
    copy(b, 1, VM, 2, true);
    assert_fine(b);
    assert_int_equal(sim_checks_failovers(b->c), 1);
    pass(b, 5);
    copy(b, 0, VM, 1, true); /* the paused machine goes on */
    assert_int_equal(count(b, SIM_RULE_TWO_COPIES), 1);
    assert_int_equal(count(b, SIM_RULE_ENDED_RUNS), 1);
}

BENCH_TEST(two_copies_on_one_host)
{
    copy(b, 0, VM, 1, true);
    assert_only(b, SIM_RULE_TWO_COPIES, "'vm-0' executes twice from 100060.500 s on: run 1 on host-1");
}

BENCH_TEST(each_subject_is_told_once)
{
    copy(b, 0, VM, 1, true);
    copy(b, 0, VM, 1, true);
    assert_int_equal(count(b, SIM_RULE_TWO_COPIES), 1);
}

BENCH_TEST(a_run_on_two_hosts)
{
    copy(b, 0, VM, 1, false);
    copy(b, 1, VM, 1, true);
    assert_int_equal(count(b, SIM_RULE_GROWS), 1);
    assert_int_equal(count(b, SIM_RULE_PLACEMENT), 1); /* it was placed on the other */
}

BENCH_TEST(a_run_that_goes_back)
{
    copy(b, 0, VM, 1, false);
    stopped_and_placed(b, 0, 1, 1);
    struct vm v = vm_on(b, VM, 1, 2);
    v.end = END(STOPPED);
    tell_vm(b, v);
    tell_vm(b, vm_on(b, VM, 2, 3));
    copy(b, 2, VM, 3, true);
    copy(b, 2, VM, 3, false);
    copy(b, 1, VM, 2, true);
    assert_int_equal(count(b, SIM_RULE_GROWS), 1);
    assert_int_equal(count(b, SIM_RULE_ENDED_RUNS), 1);
}

BENCH_TEST(a_copy_without_a_placement)
{
    copy(b, 0, VM, 1, false);
    copy(b, 0, VM, 2, true);
    assert_only(b, SIM_RULE_PLACEMENT, "the store has placed no run above 1");
}

BENCH_TEST(an_end_while_it_executes)
{
    struct vm v = vm_on(b, VM, 0, 1);
    v.end = END(STOPPED);
    tell_vm(b, v);
    assert_only(b, SIM_RULE_ENDED_RUNS,
                "was recorded as stopped on host host-1 in epoch 1, but run 1 executes");
}

/* --- writes --- */

BENCH_TEST(a_late_write_after_the_first_of_the_new_run)
{
    write_at(b, 0, 1, b->now - 1 * MS);
    int64_t issued = b->now;
    pass(b, 1);
    copy(b, 0, VM, 1, false);
    stopped_and_placed(b, 0, 1, 1);
    copy(b, 1, VM, 2, true);
    pass(b, 10);
    write_at(b, 1, 2, b->now - 1 * MS);
    pass(b, 10);
    write_at(b, 0, 1, issued); /* F is half a second, and the end of its run was told before that */
    assert_only(b, SIM_RULE_OLD_WRITE,
                "after run 2 on host-2 had written at 100060.511 s; its copy ended at 100060.501 s");
}

BENCH_TEST(a_late_write_before_the_first_of_the_new_run)
{
    int64_t issued = b->now;
    copy(b, 0, VM, 1, false);
    stopped_and_placed(b, 0, 1, 1);
    copy(b, 1, VM, 2, true);
    pass(b, 5000);
    write_at(b, 0, 1, issued);
    assert_fine(b);
}

BENCH_TEST(no_late_write_that_was_issued_after_the_end)
{
    copy(b, 0, VM, 1, false);
    stopped_and_placed(b, 0, 1, 1);
    pass(b, 1);
    int64_t issued = b->now;
    copy(b, 1, VM, 2, true);
    write_at(b, 1, 2, b->now);
    pass(b, 1);
    write_at(b, 0, 1, issued);
    assert_only(b, SIM_RULE_OLD_WRITE, "issued at 100060.501 s");
}

/* --- kills --- */

static void kill(struct bench *b, enum sim_killer by)
{
    struct hf_uuid vm = vm_id(VM);
    copy(b, 0, VM, 1, false);
    sim_checks_kill(b->c, b->now, 0, &vm, 1, by);
}

BENCH_TEST(a_kill_after_the_lease_was_lost)
{
    renew(b, 0);
    pass(b, b->t->fence_ms);
    kill(b, SIM_KILLED_BY_KEEPER);
    assert_fine(b);
}

BENCH_TEST(a_kill_with_a_fresh_lease)
{
    renew(b, 0);
    pass(b, b->t->lease_ms / 2);
    kill(b, SIM_KILLED_BY_KEEPER);
    assert_only(b, SIM_RULE_NEEDLESS_KILL, "run 1 of instance 'vm-0' was killed on host-1 by its keeper");
}

BENCH_TEST(a_kill_of_what_was_to_stop)
{
    renew(b, 0);
    struct vm v = vm_on(b, VM, 0, 1);
    v.power = POWER(STOPPED);
    tell_vm(b, v);
    v.power = POWER(RUNNING); /* wanted again, but this run may have been told to end */
    tell_vm(b, v);
    kill(b, SIM_KILLED_BY_KEEPER);
    assert_fine(b);
}

BENCH_TEST(a_kill_in_a_fenced_epoch)
{
    renew(b, 0);
    tell_fence(b, 0, 0, "", false);
    kill(b, SIM_KILLED_BY_KEEPER);
    assert_fine(b);
}

BENCH_TEST(a_kill_by_a_keeper_that_starts)
{
    sim_checks_keeper(b->c, b->now, 0, false);
    pass(b, 200);
    sim_checks_keeper(b->c, b->now, 0, true);
    renew(b, 0);
    kill(b, SIM_KILLED_BY_KEEPER);
    assert_fine(b);
}

BENCH_TEST(a_kill_after_a_keeper_renewed_too_late_what_it_had_found)
{
    renew(b, 0);
    sim_checks_keeper(b->c, b->now, 0, false);
    sim_checks_keeper(b->c, b->now, 0, true);
    pass(b, b->t->kill_ms);
    renew(b, 0);
    pass(b, b->t->lease_ms);
    renew(b, 0);
    kill(b, SIM_KILLED_BY_KEEPER);
    assert_fine(b);
}

BENCH_TEST(a_kill_after_a_keeper_renewed_in_time_what_it_had_found)
{
    renew(b, 0);
    sim_checks_keeper(b->c, b->now, 0, false);
    sim_checks_keeper(b->c, b->now, 0, true);
    pass(b, b->t->kill_ms / 2);
    renew(b, 0);
    pass(b, b->t->lease_ms);
    renew(b, 0);
    kill(b, SIM_KILLED_BY_KEEPER);
    assert_only(b, SIM_RULE_NEEDLESS_KILL, "by its keeper");
}

BENCH_TEST(a_kill_after_a_lease_was_closed_and_renewed)
{
    renew(b, 0);
    pass(b, b->t->fence_ms);
    renew(b, 0); /* too late: it is closed for ever */
    kill(b, SIM_KILLED_BY_KEEPER);
    assert_fine(b);
}

BENCH_TEST(a_reset_of_a_host_that_did_nothing_wrong)
{
    renew(b, 0);
    pass(b, 100);
    kill(b, SIM_KILLED_BY_WATCHDOG);
    assert_only(b, SIM_RULE_NEEDLESS_KILL, "by its watchdog");
}

BENCH_TEST(a_reset_of_a_faulty_host)
{
    sim_checks_host_faulty(b->c, b->now, 0, true);
    pass(b, 100);
    sim_checks_host_faulty(b->c, b->now, 0, false);
    renew(b, 0);
    kill(b, SIM_KILLED_BY_WATCHDOG);
    assert_fine(b);
}

/* --- fences in an outage --- */

/* The reason as ha/fence_decide.c writes it, of a host whose record on this storage stands still. */
static struct hf_fence_action silent_fence(const struct bench *b, const char *storage)
{
    struct hf_fence_storage s = {
        .uuid = storage_id(0),
        .name = storage,
        .sign = {.state = HF_SIGN_STILL, .unchanged_ms = b->t->fence_ms},
    };
    struct hf_fence_host h = {.name = "host-1",
                              .epoch = 1,
                              .lost_ms = b->t->contact_ms,
                              .timing = b->t,
                              .storages = &s,
                              .n_storages = 1};
    struct hf_fence_view v = {.settings = {.ha_enabled = true, .mass_share = 50}, .hosts = &h, .n_hosts = 1};
    struct hf_fence_action a;
    assert_int_equal(hf_fence_decide(&v, &a, 1), 1);
    assert_int_equal(a.kind, HF_FENCE_COMMIT);
    return a;
}

BENCH_TEST(a_fence_in_an_outage)
{
    struct hf_uuid storage = storage_id(0);
    struct hf_fence_action a = silent_fence(b, "shared0");
    sim_checks_storage_out(b->c, b->now, &storage, true);
    pass(b, 100);
    tell_fence(b, 0, 0, a.text, false); /* decided before */
    assert_fine(b);
    pass(b, b->t->fence_ms);
    tell_fence(b, 1, 0, a.text, false);
    assert_only(b, SIM_RULE_NEEDLESS_KILL, "epoch 1 of host host-2 was fenced");
}

BENCH_TEST(a_fence_for_another_reason_in_an_outage)
{
    struct hf_uuid storage = storage_id(0);
    struct hf_fence_action a = silent_fence(b, "shared1");
    sim_checks_storage_out(b->c, b->now, &storage, true);
    pass(b, 100 + b->t->fence_ms);
    tell_fence(b, 0, 0, a.text, false);
    tell_fence(b, 1, EVIDENCE(CLOSED_AND_KILLED), "its keeper reports: epoch 1 closed, all killed", false);
    assert_fine(b);
}

BENCH_TEST(evidence_of_silence_in_an_outage)
{
    struct hf_uuid storage = storage_id(0);
    tell_fence(b, 0, 0, "", false);
    sim_checks_storage_out(b->c, b->now, &storage, true);
    pass(b, 100 + b->t->fence_ms);
    tell_fence(b, 0, EVIDENCE(SILENCE), "", false);
    assert_only(b, SIM_RULE_NEEDLESS_KILL, "which has been out for every host since");
}

BENCH_TEST(a_fence_of_a_host_that_holds_its_lease)
{
    struct hf_fence_action a = silent_fence(b, "shared0");
    renew(b, 0);
    pass(b, b->t->lease_ms / 2);
    tell_fence(b, 0, 0, a.text, false);
    assert_only(b, SIM_RULE_NEEDLESS_KILL, "although the host held its lease on storage 'shared0'");
}

BENCH_TEST(a_fence_after_the_lease_was_lost)
{
    struct hf_fence_action a = silent_fence(b, "shared0");
    renew(b, 0);
    pass(b, b->t->fence_ms);
    tell_fence(b, 0, 0, a.text, false);
    assert_fine(b);
}

static void lose_one_lease_of_two(struct bench *b)
{
    struct hf_uuid other = storage_id(1);
    tell_storage(b, 1, true);
    renew(b, 0);
    pass(b, b->t->fence_ms);
    sim_checks_renewed(b->c, b->now, 0, &other, b->now - 10 * MS);
}

BENCH_TEST(a_fence_of_a_host_that_renews_what_it_does_not_need)
{
    struct hf_fence_action a = silent_fence(b, "shared0");
    lose_one_lease_of_two(b);
    tell_fence(b, 0, 0, a.text, false);
    assert_fine(b);
}

BENCH_TEST(a_fence_of_a_host_that_renews_what_it_needs)
{
    struct hf_fence_action a = silent_fence(b, "shared0");
    struct vm v = vm_on(b, VM2, 0, 1);
    v.storage = 1;
    tell_vm(b, v);
    copy(b, 0, VM2, 1, true);
    lose_one_lease_of_two(b);
    tell_fence(b, 0, 0, a.text, false);
    assert_only(b, SIM_RULE_NEEDLESS_KILL, "although the host held its lease on storage 'shared1'");
}

BENCH_TEST(a_fence_while_most_hosts_are_lost)
{
    struct hf_fence_action a = silent_fence(b, "shared0");
    for (unsigned n = 0; n < 3; n++)
        sim_checks_host_lost(b->c, b->now, n, true);
    pass(b, b->t->fence_ms + 1);
    tell_fence(b, 0, 0, a.text, false);
    assert_only(b, SIM_RULE_NEEDLESS_KILL, "while 3 of 4 hosts were lost at once, more than 50 %");
}

BENCH_TEST(an_empty_host_in_maintenance_is_fenced)
{
    struct hf_fence_action a = silent_fence(b, "shared0");
    b->maintenance = true;
    tell_host(b, 2, true);
    tell_fence(b, 2, 0, a.text, false);
    assert_only(b, SIM_RULE_NEEDLESS_KILL, "although it is in maintenance and nothing is placed there");
}

BENCH_TEST(fences_of_half_of_the_hosts)
{
    struct hf_fence_action a = silent_fence(b, "shared0");
    for (unsigned n = 0; n < 2; n++)
        sim_checks_host_lost(b->c, b->now, n, true);
    pass(b, b->t->fence_ms + 1);
    tell_fence(b, 0, 0, a.text, false);
    tell_fence(b, 1, 0, a.text, false);
    assert_fine(b);
}

/* Without power when it is fenced or, if it is back, only before; then its power is the evidence. */
static void fence_by_power(struct bench *b, bool back)
{
    struct hf_fence_action a = silent_fence(b, "shared0");
    sim_checks_host_lost(b->c, b->now, 0, true);
    pass(b, b->t->fence_ms + 1);
    if (back)
        sim_checks_host_lost(b->c, b->now, 0, false);
    pass(b, 1);
    tell_fence(b, 0, 0, a.text, false);
    pass(b, 1000);
    tell_fence(b, 0, EVIDENCE(POWER_OFF), a.text, false);
}

BENCH_TEST(power_that_is_off)
{
    fence_by_power(b, false);
    assert_fine(b);
}

BENCH_TEST(power_that_was_off_before_the_fence)
{
    fence_by_power(b, true);
    assert_only(b, SIM_RULE_PLACEMENT, "by its power, which has been on ever since the fence");
}

BENCH_TEST(power_that_is_cut_without_a_fence)
{
    struct hf_fence_action a = silent_fence(b, "shared0");
    sim_checks_host_lost(b->c, b->now, 0, true);
    pass(b, b->t->fence_ms + 1);
    tell_fence(b, 0, 0, a.text, false);
    sim_checks_power_cut(b->c, b->now, 0);
    assert_fine(b);
    sim_checks_power_cut(b->c, b->now, 1);
    assert_only(b, SIM_RULE_NEEDLESS_KILL, "is cut, but its epoch 1 is not fenced");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_copy_after_another_is_fine),
        cmocka_unit_test(two_copies_on_two_hosts),
        cmocka_unit_test(two_copies_on_one_host),
        cmocka_unit_test(each_subject_is_told_once),
        cmocka_unit_test(a_run_on_two_hosts),
        cmocka_unit_test(a_run_that_goes_back),
        cmocka_unit_test(a_copy_without_a_placement),
        cmocka_unit_test(an_end_while_it_executes),
        cmocka_unit_test(a_late_write_after_the_first_of_the_new_run),
        cmocka_unit_test(a_late_write_before_the_first_of_the_new_run),
        cmocka_unit_test(no_late_write_that_was_issued_after_the_end),
        cmocka_unit_test(a_kill_after_the_lease_was_lost),
        cmocka_unit_test(a_kill_with_a_fresh_lease),
        cmocka_unit_test(a_kill_of_what_was_to_stop),
        cmocka_unit_test(a_kill_in_a_fenced_epoch),
        cmocka_unit_test(a_kill_by_a_keeper_that_starts),
        cmocka_unit_test(a_kill_after_a_keeper_renewed_too_late_what_it_had_found),
        cmocka_unit_test(a_kill_after_a_keeper_renewed_in_time_what_it_had_found),
        cmocka_unit_test(a_kill_after_a_lease_was_closed_and_renewed),
        cmocka_unit_test(a_reset_of_a_host_that_did_nothing_wrong),
        cmocka_unit_test(a_reset_of_a_faulty_host),
        cmocka_unit_test(a_fence_in_an_outage),
        cmocka_unit_test(a_fence_for_another_reason_in_an_outage),
        cmocka_unit_test(evidence_of_silence_in_an_outage),
        cmocka_unit_test(a_fence_of_a_host_that_holds_its_lease),
        cmocka_unit_test(a_fence_after_the_lease_was_lost),
        cmocka_unit_test(a_fence_of_a_host_that_renews_what_it_does_not_need),
        cmocka_unit_test(a_fence_of_a_host_that_renews_what_it_needs),
        cmocka_unit_test(a_fence_while_most_hosts_are_lost),
        cmocka_unit_test(an_empty_host_in_maintenance_is_fenced),
        cmocka_unit_test(fences_of_half_of_the_hosts),
        cmocka_unit_test(power_that_is_off),
        cmocka_unit_test(power_that_was_off_before_the_fence),
        cmocka_unit_test(power_that_is_cut_without_a_fence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
