/* Is the installed libraft one that keeps what it acknowledged? Version 0.15 of Debian 12 fails both tests.
 */
#include <raft.h>
#include <raft/fixture.h>

#include "consensus/cluster_testing.h"

#define COMMAND 16

struct log { /* a state machine that is the list of its commands */
    char commands[64][COMMAND];
    int n;
};

static struct raft_fixture fixture;
static struct raft_fsm fsms[MEMBERS];
static struct log logs[MEMBERS];

static int log_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    struct log *l = fsm->data;
    assert_true(l->n < 64);
    memcpy(l->commands[l->n++], buf->base, COMMAND);
    *result = NULL;
    return 0;
}

static int log_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    (void)fsm;
    *bufs = raft_calloc(1, sizeof **bufs);
    (*bufs)[0] = (struct raft_buffer){.base = raft_calloc(1, COMMAND), .len = COMMAND};
    *n_bufs = 1;
    return 0;
}

static int log_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    (void)fsm;
    raft_free(buf->base);
    return 0;
}

static bool has_command(const struct log *l, const char *command)
{
    for (int i = 0; i < l->n; i++)
        if (strcmp(l->commands[i], command) == 0)
            return true;
    return false;
}

static struct raft_buffer command(const char *text)
{
    struct raft_buffer b = {.base = raft_calloc(1, COMMAND), .len = COMMAND};
    snprintf(b.base, COMMAND, "%s", text);
    return b;
}

static void stored_entry(unsigned server, raft_term term, const char *text)
{
    struct raft_entry e = {.term = term, .type = RAFT_COMMAND, .buf = command(text)};
    raft_fixture_add_entry(&fixture, server, &e);
}

static int setup(void **state)
{
    (void)state;
    memset(logs, 0, sizeof logs);
    assert_int_equal(raft_fixture_initialize(&fixture), 0);
    for (unsigned i = 0; i < MEMBERS; i++) {
        fsms[i] = (struct raft_fsm){.version = 1,
                                    .data = &logs[i],
                                    .apply = log_apply,
                                    .snapshot = log_snapshot,
                                    .restore = log_restore};
        assert_int_equal(raft_fixture_grow(&fixture, &fsms[i]), 0);
        make_quiet(raft_fixture_get(&fixture, i));
    }
    struct raft_configuration members;
    assert_int_equal(raft_fixture_configuration(&fixture, MEMBERS, &members), 0);
    assert_int_equal(raft_fixture_bootstrap(&fixture, &members), 0);
    raft_configuration_close(&members);
    raft_fixture_set_randomized_election_timeout(&fixture, 0, 1000);
    raft_fixture_set_randomized_election_timeout(&fixture, 1, 1999);
    raft_fixture_set_randomized_election_timeout(&fixture, 2, 1998);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    raft_fixture_close(&fixture);
    return 0;
}

static int answer;

static void on_answer(struct raft_apply *request, int status, void *result)
{
    (void)request;
    (void)result;
    answer = status;
}

/* A follower with entries of its own from a lost term must not count them as acknowledgement of the leader's
 * entries at the same places: if it does, the leader acknowledges a write that only itself holds. */
static void a_divergent_follower_acknowledges_nothing(void **state)
{
    (void)state;
    static struct raft_apply request;
    for (unsigned i = 0; i < MEMBERS; i++) {
        stored_entry(i, 1, "old");
        raft_fixture_set_term(&fixture, i, 2);
        raft_set_pre_vote(raft_fixture_get(&fixture, i), true);
    }
    stored_entry(1, 2, "divergent 3"); /* member 1 led term 2 and reached nobody */
    stored_entry(1, 2, "divergent 4");
    assert_int_equal(raft_fixture_start(&fixture), 0);
    assert_true(raft_fixture_step_until_state_is(&fixture, 0, RAFT_LEADER, 20000));
    raft_fixture_saturate(&fixture, 0, 2); /* only the divergent follower is left */
    raft_fixture_saturate(&fixture, 2, 0);

    answer = -1;
    struct raft_buffer b = command("acknowledged");
    assert_int_equal(raft_apply(raft_fixture_get(&fixture, 0), &request, &b, 1, on_answer), 0);
    for (int ms = 0; ms < 600 && answer == -1; ms += 10)
        raft_fixture_step_until_elapsed(&fixture, 10);
    assert_int_equal(answer, 0);

    raft_fixture_kill(&fixture, 0); /* what was acknowledged must be known to whoever leads next */
    raft_fixture_step_until_elapsed(&fixture, 20000);
    unsigned leader = raft_fixture_leader_index(&fixture);
    assert_true(leader == 1 || leader == 2);
    static struct raft_apply later;
    b = command("later");
    assert_int_equal(raft_apply(raft_fixture_get(&fixture, leader), &later, &b, 1, on_answer), 0);
    raft_fixture_step_until_elapsed(&fixture, 2000);
    assert_true(has_command(&logs[leader], "acknowledged"));
    assert_true(has_command(&logs[leader], "later"));
}

/* Figure 8 of the Raft paper: an entry of an earlier term is committed only by one of the leader's own term
 * after it. */
static void an_entry_of_an_old_term_is_not_committed_by_counting(void **state)
{
    (void)state;
    stored_entry(0, 2, "minority 2");
    stored_entry(2, 3, "minority 3");
    for (unsigned i = 0; i < MEMBERS; i++)
        raft_fixture_set_term(&fixture, i, 3);
    assert_int_equal(raft_fixture_start(&fixture), 0);
    for (unsigned i = 0; i < 2; i++) {
        raft_fixture_saturate(&fixture, i, 2);
        raft_fixture_saturate(&fixture, 2, i);
    }
    assert_true(raft_fixture_step_until_state_is(&fixture, 0, RAFT_LEADER, 20000));
    struct raft *leader = raft_fixture_get(&fixture, 0);
    while (raft_last_applied(leader) < 2 && raft_fixture_time(&fixture) < 5000)
        raft_fixture_step(&fixture);
    assert_true(raft_last_applied(leader) >= 2);
    assert_true(raft_last_index(leader) > 2); /* an entry of its own term came first */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_divergent_follower_acknowledges_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(an_entry_of_an_old_term_is_not_committed_by_counting, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
