/* What the filter keeps from libraft: members whose answers are lost for long, and late messages. */
#include "consensus/cluster_testing.h"

#define COMPACT_ENTRIES 16

static int setup(void **state)
{
    struct cluster *c = HF_NEW(struct cluster);
    cluster_start(c, 1, NULL, 0);
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    cluster_stop(*state);
    free(*state);
    return 0;
}

static void write_some(struct cluster *c, uint64_t n)
{
    struct outcome o;
    for (uint64_t i = 0; i < n; i++) {
        submit_put(c->replicas[0], NULL, 1, "n", "text", &o);
        cluster_run(c, 100);
        for (int step = 0; step < 20000 && o.answers == 0; step++)
            cluster_step(c);
        assert_int_equal(o.answers, 1);
        assert_int_equal(o.status, HF_OK);
        assert_int_equal(o.code, HF_OK);
    }
}

static void a_member_is_not_asked_for_what_it_has_compacted(void **state)
{
    struct cluster *c = *state;
    cluster_elect(c, 0);
    hf_replica_compact_after(c->replicas[2], COMPACT_ENTRIES);
    write_some(c, 5);
    raft_fixture_saturate(&c->fixture, 2, 0); /* it hears, but is not heard */
    write_some(c, 5 * COMPACT_ENTRIES);
    assert_true(raft_fixture_get(&c->fixture, 2)->trail.offset > COMPACT_ENTRIES);
    raft_fixture_desaturate(&c->fixture, 2, 0);
    write_some(c, 5);
    cluster_run(c, 1000);
    for (unsigned i = 1; i < MEMBERS; i++) {
        assert_int_equal(raft_last_index(raft_fixture_get(&c->fixture, i)),
                         raft_last_index(raft_fixture_get(&c->fixture, 0)));
        assert_int_equal(hf_store_revision(hf_replica_store(c->replicas[i])),
                         hf_store_revision(hf_replica_store(c->replicas[0])));
    }
}

static void on_sent(struct raft_io_send *request, int status)
{
    (void)request;
    (void)status;
}

static void a_late_message_does_not_take_the_commit_index_back(void **state)
{
    struct cluster *c = *state;
    cluster_elect(c, 0);
    write_some(c, 10);
    struct raft *leader = raft_fixture_get(&c->fixture, 0), *follower = raft_fixture_get(&c->fixture, 1);
    raft_index committed = raft_commit_index(follower);
    assert_true(committed > 5);
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES,
                             .server_id = follower->id,
                             .server_address = follower->address,
                             .append_entries = {.term = raft_current_term(leader),
                                                .prev_log_index = 5,
                                                .prev_log_term = raft_current_term(leader),
                                                .leader_commit = committed + 1}};
    struct raft_io_send request;
    assert_int_equal(leader->io->send(leader->io, &request, &m, on_sent), 0);
    for (int step = 0; step < 40; step++) {
        cluster_step(c);
        assert_true(raft_commit_index(follower) >= committed);
    }
}

static void an_overtaken_refusal_leaves_no_member_behind(void **state)
{
    struct cluster *c = *state;
    cluster_elect(c, 0);
    write_some(c, 10);
    struct raft *leader = raft_fixture_get(&c->fixture, 0), *follower = raft_fixture_get(&c->fixture, 1);
    raft_index last = raft_last_index(follower);
    struct raft_io_send requests[2];
    for (int i = 0; i < 2; i++) { /* of the next entry, and of one that it had not yet when it refused */
        struct raft_message m = {.type = RAFT_APPEND_ENTRIES_RESULT,
                                 .server_id = leader->id,
                                 .server_address = leader->address,
                                 .append_entries_result = {.term = raft_current_term(leader),
                                                           .rejected = last + 1 - (unsigned)i,
                                                           .last_log_index = last - (unsigned)i}};
        assert_int_equal(follower->io->send(follower->io, &requests[i], &m, on_sent), 0);
        cluster_run(c, 20);
    }
    cluster_run(c, 200);
    write_some(c, 5);
    cluster_run(c, 1000);
    assert_int_equal(raft_last_index(follower), raft_last_index(leader));
}

static int (*filter_send)(struct raft_io *io, struct raft_io_send *request,
                          const struct raft_message *message, raft_io_send_cb cb);

/* As when a newer snapshot, whose last entry is of a later term, was there by the time it was loaded. */
static int send_with_an_older_term(struct raft_io *io, struct raft_io_send *request,
                                   const struct raft_message *message, raft_io_send_cb cb)
{
    struct raft_message m = *message;
    if (m.type == RAFT_INSTALL_SNAPSHOT)
        m.install_snapshot.last_term--;
    return filter_send(io, request, &m, cb);
}

static void a_snapshot_is_sent_with_the_term_of_its_last_entry(void **state)
{
    struct cluster *c = *state;
    cluster_elect(c, 0);
    struct raft *leader = raft_fixture_get(&c->fixture, 0), *follower = raft_fixture_get(&c->fixture, 2);
    filter_send = leader->io->send;
    leader->io->send = send_with_an_older_term;
    hf_replica_compact_after(c->replicas[0], COMPACT_ENTRIES);
    write_some(c, 5);
    cluster_cut(c, 2, true);
    write_some(c, 5 * COMPACT_ENTRIES);
    cluster_cut(c, 2, false);
    cluster_run(c, 3000);
    assert_true(follower->trail.snapshot.index > 0);
    assert_int_equal(follower->trail.snapshot.term, raft_current_term(leader));
    write_some(c, 5);
    cluster_run(c, 1000);
    assert_int_equal(hf_store_revision(hf_replica_store(c->replicas[2])),
                     hf_store_revision(hf_replica_store(c->replicas[0])));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_member_is_not_asked_for_what_it_has_compacted),
        TEST(a_late_message_does_not_take_the_commit_index_back),
        TEST(an_overtaken_refusal_leaves_no_member_behind),
        TEST(a_snapshot_is_sent_with_the_term_of_its_last_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
