#include "consensus/cluster_testing.h"

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

static void a_write_appears_on_every_replica(void **state)
{
    struct cluster *c = *state;
    struct outcome o[3];
    cluster_elect(c, 0);
    submit_put(c->replicas[0], "id-0", 1, "a", "x", &o[0]);
    submit_put(c->replicas[0], "id-1", 2, "b", "y", &o[1]);
    submit_put(c->replicas[0], "id-2", 3, "a", "name taken", &o[2]);
    assert_int_equal(o[0].answers, 0); /* not inside the call */
    cluster_run(c, 500);
    assert_true(o[0].answers == 1 && o[0].status == HF_OK && o[0].code == HF_OK && o[0].revision == 1);
    assert_true(o[1].answers == 1 && o[1].code == HF_OK && o[1].revision == 2);
    assert_true(o[2].answers == 1 && o[2].status == HF_OK && o[2].code == HF_EXISTS);
    for (unsigned i = 0; i < MEMBERS; i++) {
        assert_true(object_is(hf_replica_store(c->replicas[i]), 1, "x"));
        assert_true(object_is(hf_replica_store(c->replicas[i]), 2, "y"));
        assert_int_equal(hf_store_revision(hf_replica_store(c->replicas[i])), 2);
    }
}

static void a_follower_names_the_leader(void **state)
{
    struct cluster *c = *state;
    struct outcome o, b = {0};
    submit_put(c->replicas[1], "id", 1, "a", "x", &o);
    cluster_step(c);
    assert_int_equal(o.status, HF_NOT_LEADER); /* no leader yet */
    cluster_elect(c, 0);
    cluster_run(c, 300);
    submit_put(c->replicas[1], "id", 1, "a", "x", &o);
    hf_replica_barrier(c->replicas[1], on_barrier_outcome, &b);
    assert_int_equal(o.answers, 0);
    cluster_step(c);
    assert_int_equal(o.status, HF_NOT_LEADER);
    assert_non_null(strstr(o.message, "node 1"));
    assert_int_equal(b.status, HF_NOT_LEADER);
    struct hf_replica_state st;
    hf_replica_state(c->replicas[1], &st);
    assert_int_equal(st.leader_id, 1);
    assert_int_equal(st.role, HF_ROLE_FOLLOWER);
    assert_string_not_equal(st.leader_address, "");
}

/* Two requests under way are lost with their leader: one reached nobody, the other was stored by the rest.
 * Both outcomes are unknown to the caller, and both repeats end in exactly one application. */
static void a_lost_leader_leaves_unknown_outcomes_that_can_be_repeated(void **state)
{
    struct cluster *c = *state;
    struct outcome acked, stored, lost, again;
    cluster_elect(c, 0);
    submit_put(c->replicas[0], "acked", 1, "a", "acked", &acked);
    cluster_run(c, 300);
    assert_true(acked.answers == 1 && acked.code == HF_OK);

    raft_fixture_saturate(&c->fixture, 1, 0); /* the followers store it, their word does not come back */
    raft_fixture_saturate(&c->fixture, 2, 0);
    submit_put(c->replicas[0], "stored", 2, "b", "stored", &stored);
    cluster_run(c, 60);
    cluster_cut(c, 0, true);
    submit_put(c->replicas[0], "lost", 3, "c", "lost", &lost);
    cluster_run(c, 60);
    assert_int_equal(stored.answers + lost.answers, 0);
    struct hf_replica *leader = c->replicas[cluster_await_leader(c, 0)];
    assert_true(object_is(hf_replica_store(leader), 1, "acked"));
    assert_true(object_is(hf_replica_store(leader), 2, "stored"));
    assert_true(object_is(hf_replica_store(leader), 3, NULL));

    cluster_cut(c, 0, false);
    cluster_run(c, 3000);
    assert_true(stored.answers == 1 && lost.answers == 1);
    assert_int_equal(stored.status, HF_UNKNOWN_OUTCOME);
    assert_int_equal(lost.status, HF_UNKNOWN_OUTCOME);

    submit_put(leader, "stored", 2, "b", "stored", &again);
    cluster_run(c, 300);
    assert_true(again.code == HF_OK && again.repeated && again.revision == 2);
    submit_put(leader, "lost", 3, "c", "lost", &again);
    cluster_run(c, 300);
    assert_true(again.code == HF_OK && !again.repeated && again.revision == 3);
    for (unsigned i = 0; i < MEMBERS; i++)
        assert_int_equal(hf_store_revision(hf_replica_store(c->replicas[i])), 3);
}

static void what_was_not_proposed_yet_is_told_so(void **state)
{
    struct cluster *c = *state;
    struct outcome o[8];
    cluster_elect(c, 0);
    cluster_cut(c, 0, true);
    for (unsigned i = 0; i < 8; i++) {
        char id[8], name[8];
        snprintf(id, sizeof id, "id%u", i);
        snprintf(name, sizeof name, "n%u", i);
        submit_put(c->replicas[0], id, i, name, "x", &o[i]);
        cluster_step(c);
    }
    cluster_run(c, 5000);
    assert_int_equal(o[0].status, HF_UNKNOWN_OUTCOME);
    assert_int_equal(o[7].status, HF_NOT_LEADER);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(o[i].answers, 1);
}

static void a_deposed_leader_answers_no_read(void **state)
{
    struct cluster *c = *state;
    struct outcome read = {0}, write = {0}, fresh = {0};
    cluster_elect(c, 0);
    hf_replica_barrier(c->replicas[0], on_barrier_outcome, &read);
    cluster_run(c, 200);
    assert_true(read.answers == 1 && read.status == HF_OK);

    cluster_cut(c, 0, true);
    read = (struct outcome){0};
    hf_replica_barrier(c->replicas[0], on_barrier_outcome, &read);
    struct hf_replica *leader = c->replicas[cluster_await_leader(c, 0)];
    submit_put(leader, "id", 1, "a", "new", &write);
    cluster_run(c, 200);
    assert_int_equal(write.code, HF_OK);
    assert_true(read.answers == 0 || read.status == HF_NOT_LEADER); /* it does not know "new" */
    hf_replica_barrier(leader, on_barrier_outcome, &fresh);
    cluster_cut(c, 0, false);
    cluster_run(c, 3000);
    assert_true(read.answers == 1 && read.status == HF_NOT_LEADER);
    assert_true(fresh.answers == 1 && fresh.status == HF_OK);
}

static raft_index last_index(const struct cluster *c)
{
    return raft_last_index(raft_fixture_get((struct raft_fixture *)&c->fixture, 0));
}

static void five_reads(struct cluster *c)
{
    struct outcome read[5] = {{0}};
    for (int i = 0; i < 5; i++)
        hf_replica_barrier(c->replicas[0], on_barrier_outcome, &read[i]);
    cluster_run(c, 300);
    for (int i = 0; i < 5; i++)
        assert_true(read[i].answers == 1 && read[i].status == HF_OK);
}

static void reads_need_no_log_entry(void **state)
{
    struct cluster *c = *state;
    cluster_elect(c, 0);
    cluster_run(c, 500);
    raft_index before = last_index(c);
    five_reads(c);
    five_reads(c);
    assert_int_equal(last_index(c), before);
    raft_fixture_set_network_latency(&c->fixture, 1, 200); /* nobody answers in time: an entry proves it */
    raft_fixture_set_network_latency(&c->fixture, 2, 200);
    five_reads(c);
    assert_int_equal(last_index(c), before + 1);
}

static void without_questions_reads_share_an_entry(void **state)
{
    struct cluster *c = *state;
    struct outcome write;
    cluster_elect(c, 0);
    hf_replica_on_confirm(c->replicas[0], NULL, NULL);
    cluster_run(c, 500);
    raft_index before = last_index(c);
    submit_put(c->replicas[0], "id", 1, "a", "x", &write);
    five_reads(c);
    assert_int_equal(last_index(c), before + 1); /* they ride on the write */
    five_reads(c);
    assert_int_equal(last_index(c), before + 2); /* one barrier for all */
}

struct told {
    struct hf_replica_state last;
    int calls, ready;
};

static void on_role(void *arg, const struct hf_replica_state *st)
{
    struct told *t = arg;
    t->calls++;
    t->ready += st->ready;
    t->last = *st;
}

static void listeners_hear_of_role_and_readiness(void **state)
{
    struct cluster *c = *state;
    struct told t = {.calls = 0};
    hf_replica_on_role(c->replicas[0], on_role, &t);
    cluster_elect(c, 0);
    assert_true(t.last.ready && t.last.role == HF_ROLE_LEADER && t.last.leader_id == 1);
    int calls = t.calls;
    cluster_run(c, 1000);
    assert_int_equal(t.calls, calls); /* nothing new, nothing told */
    cluster_cut(c, 0, true);
    unsigned leader = cluster_await_leader(c, 0);
    cluster_cut(c, 0, false);
    cluster_run(c, 2000);
    assert_true(!t.last.ready && t.last.role == HF_ROLE_FOLLOWER && t.last.leader_id == leader + 1);
}

static void limits_and_refusals_have_sentences(void **state)
{
    struct cluster *c = *state;
    struct outcome o, last = {0};
    cluster_elect(c, 0);
    hf_replica_refuse_writes(c->replicas[0], "the disk is nearly full");
    submit_put(c->replicas[0], "id", 1, "a", "x", &o);
    cluster_run(c, 200);
    assert_int_equal(o.status, HF_EXHAUSTED);
    assert_string_equal(o.message, "the disk is nearly full");
    hf_replica_refuse_writes(c->replicas[0], NULL);
    submit_put(c->replicas[0], "id", 1, "a", "x", &o);
    cluster_run(c, 200);
    assert_int_equal(o.code, HF_OK);

    submit_put(c->replicas[0], "id2", 2, "", "no name", &o);
    cluster_run(c, 200);
    assert_true(o.status == HF_OK && o.code == HF_INVALID);

    cluster_cut(c, 0, true);    /* nothing commits: the queue fills */
    static struct outcome sink; /* answered when the cluster stops */
    for (int i = 0; i < HF_REPLICA_WAITING_MAX; i++)
        submit_put(c->replicas[0], NULL, 3, "b", "x", &sink);
    submit_put(c->replicas[0], NULL, 3, "b", "x", &last);
    cluster_step(c);
    assert_true(last.answers == 1 && last.status == HF_EXHAUSTED);
}

static void count_event(void *arg, const struct hf_watch_event *e)
{
    (void)e;
    (*(int *)arg)++;
}

static void a_watch_follows_on_a_follower(void **state)
{
    struct cluster *c = *state;
    struct outcome o;
    struct hf_watch *w;
    int events = 0;
    cluster_elect(c, 0);
    hf_status st = hf_watch_open(c->replicas[2], 0, 0, count_event, NULL, &events, &w);
    assert_true(hf_ok(st));
    submit_put(c->replicas[0], "id", 1, "a", "x", &o);
    cluster_run(c, 500);
    assert_int_equal(events, 1);
    assert_int_equal(hf_watch_position(w), 1);
    hf_watch_close(w);
}

/* Submits from inside answers, as a controller does: each answer starts the next request. */
struct chain {
    struct hf_replica *r;
    int left, done;
};

static void on_chain(void *arg, hf_status st, const struct hf_txn_result *res)
{
    struct chain *ch = arg;
    if (res != NULL) {
        assert_true(hf_ok(st) && res->code == HF_OK);
        ch->done++;
    }
    if (ch->left-- <= 0)
        return;
    struct hf_txn *t = hf_txn_create(NULL, 0);
    put_text(t, 1, 1, "a", "x");
    hf_replica_submit(ch->r, t, on_chain, ch);
}

static void an_answer_may_start_the_next_request(void **state)
{
    struct cluster *c = *state;
    cluster_elect(c, 0);
    struct chain ch = {.r = c->replicas[0], .left = 20};
    on_chain(&ch, HF_STATUS_OK, NULL);
    cluster_run(c, 3000);
    assert_int_equal(ch.done, 20);
}

static bool never(const struct hf_guard *g, const struct hf_guard_view *v, const struct hf_change *ch,
                  char *why, size_t why_len)
{
    (void)g;
    (void)v;
    snprintf(why, why_len, "'%s' is guarded", ch->name);
    return ch->after != NULL && ch->after_len == 1;
}

static void every_replica_refuses_what_a_guard_refuses(void **state)
{
    (void)state;
    static const struct hf_guard guard = {.name = "test", .kinds = 1u << 1, .allow = never};
    const struct hf_guard *const guards[] = {&guard};
    struct cluster *c = HF_NEW(struct cluster);
    struct outcome good, bad;
    cluster_start(c, 3, guards, 1);
    cluster_elect(c, 0);
    submit_put(c->replicas[0], "good", 1, "a", "x", &good);
    submit_put(c->replicas[0], "bad", 2, "b", "longer", &bad);
    cluster_run(c, 500);
    assert_int_equal(good.code, HF_OK);
    assert_int_equal(bad.code, HF_PRECONDITION);
    for (unsigned i = 0; i < MEMBERS; i++) {
        assert_true(object_is(hf_replica_store(c->replicas[i]), 1, "x"));
        assert_true(object_is(hf_replica_store(c->replicas[i]), 2, NULL));
    }
    cluster_stop(c);
    free(c);
}

static void a_follower_that_lags_gets_a_snapshot(void **state)
{
    struct cluster *c = *state;
    struct outcome o;
    struct hf_watch *w;
    int events = 0;
    char *text = hf_alloc(HF_OBJECT_MAX), name[16], id[16];
    memset(text, 'x', HF_OBJECT_MAX - 1);
    cluster_elect(c, 0);
    hf_status st = hf_watch_open(c->replicas[2], 0, 0, count_event, NULL, &events, &w);
    assert_true(hf_ok(st));
    cluster_cut(c, 2, true);
    for (uint64_t i = 0; i < 40; i++) { /* the log outgrows its limit and is compacted */
        snprintf(name, sizeof name, "n%llu", (unsigned long long)i % 4);
        snprintf(id, sizeof id, "id%llu", (unsigned long long)i);
        submit_put(c->replicas[0], id, i % 4, name, text, &o);
        cluster_run(c, 100);
        assert_int_equal(o.code, HF_OK);
    }
    cluster_cut(c, 2, false);
    cluster_run(c, 5000);
    assert_true(raft_fixture_n_recv(&c->fixture, 2, RAFT_INSTALL_SNAPSHOT) > 0);
    assert_int_equal(hf_store_revision(hf_replica_store(c->replicas[2])), 40);
    assert_int_equal(hf_store_total(hf_replica_store(c->replicas[2])), 4);
    submit_put(c->replicas[0], "id39", 39 % 4, "n3", text, &o);
    cluster_run(c, 500);
    assert_true(o.repeated);
    submit_put(c->replicas[0], "after", 0, "n0", "after", &o);
    cluster_run(c, 500);
    assert_true(object_is(hf_replica_store(c->replicas[2]), 0, "after"));
    hf_watch_close(w);
    free(text);
}

static void the_log_is_compacted_after_as_many_entries_as_set(void **state)
{
    struct cluster *c = *state;
    struct outcome o;
    cluster_elect(c, 0);
    hf_replica_compact_after(c->replicas[0], 16);
    for (uint64_t i = 0; i < 40; i++) {
        submit_put(c->replicas[0], NULL, 1, "n", "text", &o);
        cluster_run(c, 100);
    }
    const struct raft_trail *with = &raft_fixture_get(&c->fixture, 0)->trail;
    const struct raft_trail *without = &raft_fixture_get(&c->fixture, 1)->trail;
    assert_in_range(with->snapshot.index, 16, 42);
    assert_int_equal(without->snapshot.index, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_write_appears_on_every_replica),
        TEST(a_follower_names_the_leader),
        TEST(a_lost_leader_leaves_unknown_outcomes_that_can_be_repeated),
        TEST(what_was_not_proposed_yet_is_told_so),
        TEST(a_deposed_leader_answers_no_read),
        TEST(reads_need_no_log_entry),
        TEST(without_questions_reads_share_an_entry),
        TEST(listeners_hear_of_role_and_readiness),
        TEST(limits_and_refusals_have_sentences),
        TEST(a_watch_follows_on_a_follower),
        TEST(an_answer_may_start_the_next_request),
        cmocka_unit_test(every_replica_refuses_what_a_guard_refuses),
        TEST(a_follower_that_lags_gets_a_snapshot),
        TEST(the_log_is_compacted_after_as_many_entries_as_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
