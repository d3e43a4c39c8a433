/* Blocklists and takeovers that rest on them: a good history passes, and each planted error is found. */
#include "sim/checks_testing.h"

#define STATE(name)    HOLDFAST__V1__FENCE__BLOCKLIST__STATE__##name
#define TAKEOVER(name) HOLDFAST__V1__TAKEOVER__##name
#define ENTRY          "10.9.0.1:0/0" /* of host 0 */

static void listed(struct bench *b, const char *entry, enum sim_listed what)
{
    struct hf_uuid u = storage_id(0);
    sim_checks_listed(b->c, b->now, &u, entry, what);
}

/* Storage 0 is a Ceph cluster, and host 0 has an address there in epoch 2; run 2 executes on it. */
static void set_up_ceph(struct bench *b, int takeover)
{
    Holdfast__V1__PrimaryStorageSpec spec = HOLDFAST__V1__PRIMARY_STORAGE_SPEC__INIT;
    Holdfast__V1__PrimaryStorage s = HOLDFAST__V1__PRIMARY_STORAGE__INIT;
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    meta.name = (char *)"shared0";
    spec.type = HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__CEPH;
    s.meta = &meta;
    s.spec = &spec;
    tell(b, KIND(PRIMARY_STORAGE), storage_id(0), &s.base);
    sim_checks_address(b->c, b->now, 0, "10.9.0.1");
    sim_checks_address(b->c, b->now, 1, "10.9.0.2");
    copy(b, 0, VM, 1, false);
    struct vm v = vm_on(b, VM, 0, 1);
    v.end = END(STOPPED);
    tell_vm(b, v);
    tell_fence(b, 0, EVIDENCE(NEXT_EPOCH), "", false);
    b->epoch[0] = 2;
    tell_host_as(b, 0, HOLDFAST__V1__HOST_STATUS__STATE__CONNECTED, true);
    b->takeover = takeover;
    tell_vm(b, vm_on(b, VM, 0, 2));
    pass(b, 100);
    renew(b, 0);
    copy(b, 0, VM, 2, true);
    assert_fine(b);
}

/* The fence of host 0's epoch 2. evidence: 0: none. */
static void tell_blocks(struct bench *b, int state, bool by_clients, int evidence)
{
    struct text uuid = text_of(host_id(0)), storage = text_of(storage_id(0));
    char *storages[] = {storage.s}, *entries[] = {(char *)ENTRY};
    Holdfast__V1__Fence f = HOLDFAST__V1__FENCE__INIT;
    Holdfast__V1__Evidence e = HOLDFAST__V1__EVIDENCE__INIT, *list[] = {&e};
    Holdfast__V1__Fence__Blocklist block = HOLDFAST__V1__FENCE__BLOCKLIST__INIT, *blocks[] = {&block};
    f.host_uuid = uuid.s;
    f.epoch = 2;
    block.primary_storage_uuid = storage.s;
    block.state = (Holdfast__V1__Fence__Blocklist__State)state;
    block.by_clients = by_clients;
    f.blocklists = blocks;
    f.n_blocklists = 1;
    e.kind = (Holdfast__V1__Evidence__Kind)evidence;
    e.host_uuid = uuid.s;
    e.epoch = 2;
    e.storage_uuids = storages;
    e.n_storage_uuids = 1;
    e.addresses = entries;
    e.n_addresses = 1;
    e.silent_ms = e.required_ms = evidence == (int)EVIDENCE(SILENCE) ? b->t->silence_ms : 0;
    f.evidence = list;
    f.n_evidence = evidence != 0;
    tell(b, KIND(FENCE), hf_fence_uuid(uuid.s, 2), &f.base);
}

static void block(struct bench *b)
{
    tell_blocks(b, STATE(WANTED), false, 0);
    listed(b, ENTRY, SIM_LISTED);
    tell_blocks(b, STATE(ADDED), false, 0);
}

/* Run 2 is over, and run 3 is placed on host 1. */
static void leave(struct bench *b)
{
    struct vm v = vm_on(b, VM, 0, 2);
    v.end = END(FENCED);
    tell_vm(b, v);
    tell_vm(b, vm_on(b, VM, 1, 3));
    tell_nothing(b);
}

/* A later epoch of host 0. */
static void return_home(struct bench *b)
{
    b->epoch[0] = 3;
    tell_host(b, 0, true);
}

static void write_as(struct bench *b, unsigned host, uint64_t run)
{
    struct hf_uuid storage = storage_id(0), vm = vm_id(VM);
    sim_checks_write(b->c, b->now, host, &storage, &vm, run, 1, b->now);
}

/* --- takeover --- */

BENCH_TEST(two_copies_one_of_which_cannot_write)
{
    set_up_ceph(b, TAKEOVER(WRITE_FENCED));
    write_as(b, 0, 2);
    block(b);
    tell_blocks(b, STATE(ADDED), false, EVIDENCE(BLOCKLIST));
    leave(b);
    copy(b, 1, VM, 3, true);
    write_as(b, 1, 3);
    copy(b, 0, VM, 2, false); /* it stands still, */
    copy(b, 0, VM, 2, true);  /* and goes on */
    pass(b, 20000);
    copy(b, 0, VM, 2, false);
    return_home(b);
    tell_blocks(b, STATE(REMOVING), false, EVIDENCE(BLOCKLIST));
    listed(b, ENTRY, SIM_TAKEN_OFF);
    tell_blocks(b, STATE(REMOVED), false, EVIDENCE(BLOCKLIST));
    tell_nothing(b);
    assert_int_equal(sim_checks_unwriting(b->c), 1);
    assert_int_equal(count(b, SIM_RULE_BLOCKLIST) + count(b, SIM_RULE_TWO_COPIES), 0);
    assert_int_equal(count(b, SIM_RULE_ENDED_RUNS) + count(b, SIM_RULE_OLD_WRITE), 0);
}

BENCH_TEST(two_copies_of_a_strict_one)
{
    set_up_ceph(b, TAKEOVER(STRICT));
    block(b);
    tell_blocks(b, STATE(ADDED), false, EVIDENCE(SILENCE));
    leave(b); /* it was not silent */
    copy(b, 1, VM, 3, true);
    assert_int_equal(count(b, SIM_RULE_TWO_COPIES), 1);
    assert_int_equal(count(b, SIM_RULE_ENDED_RUNS), 1);
}

BENCH_TEST(a_strict_one_that_leaves_for_a_blocklist)
{
    set_up_ceph(b, TAKEOVER(STRICT));
    copy(b, 0, VM, 2, false);
    block(b);
    tell_blocks(b, STATE(ADDED), false, EVIDENCE(BLOCKLIST));
    leave(b);
    assert_only(b, SIM_RULE_PLACEMENT, "there is no evidence for a storage of it");
}

BENCH_TEST(one_that_leaves_without_a_blocklist)
{
    set_up_ceph(b, TAKEOVER(STRICT));
    copy(b, 0, VM, 2, false);
    tell_blocks(b, STATE(WANTED), false, 0);
    tell_blocks(b, STATE(WANTED), false, EVIDENCE(SILENCE));
    leave(b);
    assert_only(b, SIM_RULE_PLACEMENT, "'shared0' was not seen to refuse its host");
}

BENCH_TEST(a_copy_that_can_write_again)
{
    set_up_ceph(b, TAKEOVER(WRITE_FENCED));
    block(b);
    tell_blocks(b, STATE(ADDED), false, EVIDENCE(BLOCKLIST));
    leave(b);
    copy(b, 1, VM, 3, true);
    assert_fine(b);
    listed(b, ENTRY, SIM_LAPSED);
    assert_int_equal(count(b, SIM_RULE_TWO_COPIES), 1);
    assert_int_equal(count(b, SIM_RULE_BLOCKLIST), 1);
}

BENCH_TEST(a_write_that_lands_after_the_next_run_has_written)
{
    set_up_ceph(b, TAKEOVER(WRITE_FENCED));
    block(b);
    tell_blocks(b, STATE(ADDED), false, EVIDENCE(BLOCKLIST));
    leave(b);
    copy(b, 1, VM, 3, true);
    write_as(b, 1, 3);
    assert_fine(b);
    write_as(b, 0, 2);
    assert_only(b, SIM_RULE_OLD_WRITE, "a write of run 2");
}

/* The host of VM loses power; nothing is done about it for that long. */
static void stay_down(struct bench *b, int64_t ms)
{
    renew(b, 0);
    copy(b, 0, VM, 2, false);
    sim_checks_host_faulty(b->c, b->now, 0, true);
    sim_checks_host_lost(b->c, b->now, 0, true);
    tell_host(b, 0, false);
    pass(b, ms);
    sim_checks_disturbed(b->c, b->now, false); /* looks */
}

BENCH_TEST(a_write_fenced_one_is_back_sooner)
{
    set_up_ceph(b, TAKEOVER(WRITE_FENCED));
    stay_down(b, b->t->write_fenced_ms + SIM_BLOCK_MS + SIM_PLACE_MS - 100);
    assert_fine(b);
    pass(b, 101);
    sim_checks_disturbed(b->c, b->now, false);
    assert_only(b, SIM_RULE_NEVER_STOP, "instance 'vm-0' is NeverStop");
}

BENCH_TEST(a_strict_one_waits_for_the_silence)
{
    set_up_ceph(b, TAKEOVER(STRICT));
    stay_down(b, b->t->takeover_ms + SIM_PLACE_MS - 100);
    assert_fine(b);
    pass(b, 101);
    sim_checks_disturbed(b->c, b->now, false);
    assert_only(b, SIM_RULE_NEVER_STOP, "instance 'vm-0' is NeverStop");
}

BENCH_TEST(one_that_shares_its_address_waits_as_strict)
{
    set_up_ceph(b, TAKEOVER(WRITE_FENCED));
    sim_checks_address(b->c, b->now, 2, "10.9.0.1");
    stay_down(b, b->t->takeover_ms);
    assert_fine(b);
}

/* --- the list --- */

BENCH_TEST(a_host_that_nobody_fenced)
{
    set_up_ceph(b, TAKEOVER(STRICT));
    listed(b, "10.9.0.2:0/77", SIM_LISTED); /* a client of it may be */
    assert_fine(b);
    listed(b, "10.9.0.2:0/0", SIM_LISTED);
    assert_only(b, SIM_RULE_BLOCKLIST, "host host-2 (10.9.0.2) is on the blocklist of 'shared0'");
}

BENCH_TEST(two_hosts_with_one_address)
{
    set_up_ceph(b, TAKEOVER(STRICT));
    sim_checks_address(b->c, b->now, 2, "10.9.0.1");
    tell_blocks(b, STATE(WANTED), false, 0);
    listed(b, ENTRY, SIM_LISTED);
    assert_only(b, SIM_RULE_BLOCKLIST, "host host-3 (10.9.0.1) is on the blocklist");
}

BENCH_TEST(an_address_of_a_daemon)
{
    set_up_ceph(b, TAKEOVER(STRICT));
    sim_checks_reserve(b->c, "10.9.0.1");
    tell_blocks(b, STATE(WANTED), false, 0);
    listed(b, ENTRY, SIM_LISTED);
    assert_only(b, SIM_RULE_BLOCKLIST, "it is not a host's alone");
}

BENCH_TEST(an_addition_that_lands_after_the_removal)
{
    set_up_ceph(b, TAKEOVER(STRICT));
    copy(b, 0, VM, 2, false);
    block(b);
    return_home(b);
    tell_blocks(b, STATE(REMOVING), false, EVIDENCE(NEXT_EPOCH));
    listed(b, ENTRY, SIM_TAKEN_OFF);
    tell_blocks(b, STATE(REMOVED), false, EVIDENCE(NEXT_EPOCH));
    assert_int_equal(count(b, SIM_RULE_BLOCKLIST), 0);
    listed(b, ENTRY, SIM_LISTED);
    assert_int_equal(count(b, SIM_RULE_BLOCKLIST), 1);
}

BENCH_TEST(an_entry_that_goes_too_early)
{
    set_up_ceph(b, TAKEOVER(STRICT));
    block(b);
    listed(b, ENTRY, SIM_TAKEN_OFF);
    assert_only(b, SIM_RULE_BLOCKLIST, "nothing proves that epoch over");
}

BENCH_TEST(a_removal_before_the_next_epoch)
{
    set_up_ceph(b, TAKEOVER(STRICT));
    block(b);
    tell_blocks(b, STATE(REMOVING), false, 0);
    assert_only(b, SIM_RULE_BLOCKLIST, "the host lives no later one");
}

BENCH_TEST(a_removal_that_is_not_in_the_log)
{
    set_up_ceph(b, TAKEOVER(STRICT));
    copy(b, 0, VM, 2, false);
    block(b);
    tell_blocks(b, STATE(ADDED), false, EVIDENCE(NEXT_EPOCH));
    return_home(b);
    listed(b, ENTRY, SIM_TAKEN_OFF);
    assert_int_equal(count(b, SIM_RULE_BLOCKLIST), 1);
}

BENCH_TEST(an_entry_that_lapses_when_nobody_needs_it)
{
    set_up_ceph(b, TAKEOVER(STRICT));
    block(b);
    tell_blocks(b, STATE(ADDED), false, EVIDENCE(OPERATOR));
    listed(b, ENTRY, SIM_LAPSED);
    assert_fine(b);
}

BENCH_TEST(what_is_called_confirmed_and_is_not)
{
    set_up_ceph(b, TAKEOVER(STRICT));
    tell_blocks(b, STATE(WANTED), false, 0);
    tell_blocks(b, STATE(ADDED), false, 0);
    assert_only(b, SIM_RULE_BLOCKLIST, "which does not have it");
}

BENCH_TEST(single_clients_are_no_evidence)
{
    set_up_ceph(b, TAKEOVER(WRITE_FENCED));
    tell_blocks(b, STATE(WANTED), true, 0);
    tell_blocks(b, STATE(ADDED), true, 0);
    assert_fine(b);
    tell_blocks(b, STATE(ADDED), true, EVIDENCE(BLOCKLIST));
    assert_only(b, SIM_RULE_BLOCKLIST, "it is not on its blocklist as a whole");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_copies_one_of_which_cannot_write),
        cmocka_unit_test(two_copies_of_a_strict_one),
        cmocka_unit_test(a_strict_one_that_leaves_for_a_blocklist),
        cmocka_unit_test(one_that_leaves_without_a_blocklist),
        cmocka_unit_test(a_copy_that_can_write_again),
        cmocka_unit_test(a_write_that_lands_after_the_next_run_has_written),
        cmocka_unit_test(a_write_fenced_one_is_back_sooner),
        cmocka_unit_test(a_strict_one_waits_for_the_silence),
        cmocka_unit_test(one_that_shares_its_address_waits_as_strict),
        cmocka_unit_test(a_host_that_nobody_fenced),
        cmocka_unit_test(two_hosts_with_one_address),
        cmocka_unit_test(an_address_of_a_daemon),
        cmocka_unit_test(an_addition_that_lands_after_the_removal),
        cmocka_unit_test(an_entry_that_goes_too_early),
        cmocka_unit_test(a_removal_before_the_next_epoch),
        cmocka_unit_test(a_removal_that_is_not_in_the_log),
        cmocka_unit_test(an_entry_that_lapses_when_nobody_needs_it),
        cmocka_unit_test(what_is_called_confirmed_and_is_not),
        cmocka_unit_test(single_clients_are_no_evidence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
