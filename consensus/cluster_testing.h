/* Three replicas on libraft's fixture: simulated disks, network and time, the same in every run. */
#ifndef HF_CONSENSUS_CLUSTER_TESTING_H
#define HF_CONSENSUS_CLUSTER_TESTING_H

#include <raft.h>
#include <raft/fixture.h>

#include "consensus/io_filter.h"
#include "consensus/leader_io.h"
#include "consensus/replica.h"
#include "consensus/testing.h"

#define MEMBERS 3

struct cluster {
    struct raft_fixture fixture;
    struct hf_env *env;
    struct hf_replica *replicas[MEMBERS];
    struct hf_io_filter *filters[MEMBERS];
    struct hf_leader_io *leader_ios[MEMBERS];
    raft_time now; /* what the environment's clock shows */
};

static inline void say_nothing(struct raft_tracer *t, int type, const void *info)
{
    (void)t;
    (void)type;
    (void)info;
}

/* The fixture tells of every message on standard error; a failed test can be run again without this. */
static inline void make_quiet(struct raft *raft)
{
    static struct raft_tracer quiet = {.version = 2, .emit = say_nothing};
    raft->tracer = &quiet;
}

static inline void cluster_start(struct cluster *c, uint64_t seed, const struct hf_guard *const *guards,
                                 size_t n_guards)
{
    c->env = hf_env_manual_create(seed);
    assert_int_equal(raft_fixture_initialize(&c->fixture), 0);
    for (unsigned i = 0; i < MEMBERS; i++) {
        c->replicas[i] = hf_replica_create(c->env, guards, n_guards);
        assert_int_equal(raft_fixture_grow(&c->fixture, hf_replica_fsm(c->replicas[i])), 0);
        struct raft *raft = raft_fixture_get(&c->fixture, i);
        make_quiet(raft);
        raft_set_pre_vote(raft, true);
        hf_replica_bind(c->replicas[i], raft);
        c->filters[i] = hf_io_filter_create(c->replicas[i], raft);
        c->leader_ios[i] = hf_leader_io_create(c->replicas[i], raft);
    }
    struct raft_configuration members;
    assert_int_equal(raft_fixture_configuration(&c->fixture, MEMBERS, &members), 0);
    assert_int_equal(raft_fixture_bootstrap(&c->fixture, &members), 0);
    raft_configuration_close(&members);
    assert_int_equal(raft_fixture_start(&c->fixture), 0);
    for (unsigned i = 0; i < MEMBERS; i++) /* as raft_uv.c does, and for its reason */
        raft_set_heartbeat_timeout(raft_fixture_get(&c->fixture, i), 1);
}

static inline void cluster_stop(struct cluster *c)
{
    raft_fixture_close(&c->fixture);
    for (unsigned i = 0; i < MEMBERS; i++) {
        hf_leader_io_free(c->leader_ios[i]);
        hf_io_filter_free(c->filters[i]);
        hf_replica_free(c->replicas[i]);
    }
    hf_env_manual_free(c->env);
}

/* One event of the fixture, then every replica's turn. A killed one has none. */
static inline void cluster_step(struct cluster *c)
{
    raft_fixture_step(&c->fixture);
    hf_env_manual_advance_ms(c->env, (int64_t)(raft_fixture_time(&c->fixture) - c->now));
    c->now = raft_fixture_time(&c->fixture);
    for (unsigned i = 0; i < MEMBERS; i++)
        if (raft_fixture_alive(&c->fixture, i))
            hf_replica_tick(c->replicas[i]);
}

static inline void cluster_run(struct cluster *c, unsigned ms)
{
    raft_time end = raft_fixture_time(&c->fixture) + ms;
    while (raft_fixture_time(&c->fixture) < end)
        cluster_step(c);
}

static inline bool is_ready(const struct cluster *c, unsigned i)
{
    struct hf_replica_state st;
    hf_replica_state(c->replicas[i], &st);
    return st.ready;
}

/* Runs until one of them other than `except` leads and is ready. */
static inline unsigned cluster_await_leader(struct cluster *c, unsigned except)
{
    for (int step = 0; step < 20000; step++) {
        for (unsigned i = 0; i < MEMBERS; i++)
            if (i != except && is_ready(c, i))
                return i;
        cluster_step(c);
    }
    fail_msg("no leader was elected");
    return MEMBERS;
}

/* The first election, which the given member wins. */
static inline void cluster_elect(struct cluster *c, unsigned leader)
{
    for (unsigned i = 0; i < MEMBERS; i++)
        raft_fixture_set_randomized_election_timeout(&c->fixture, i, i == leader ? 1000 : 1900);
    assert_int_equal(cluster_await_leader(c, MEMBERS), leader);
}

/* Cuts off (or joins again) one member, both ways. */
static inline void cluster_cut(struct cluster *c, unsigned i, bool cut)
{
    for (unsigned j = 0; j < MEMBERS; j++) {
        if (j == i)
            continue;
        if (cut) {
            raft_fixture_saturate(&c->fixture, i, j);
            raft_fixture_saturate(&c->fixture, j, i);
        } else {
            raft_fixture_desaturate(&c->fixture, i, j);
            raft_fixture_desaturate(&c->fixture, j, i);
        }
    }
}

/* What became of a request. */
struct outcome {
    int answers;
    enum hf_code status; /* how it was answered; OK: see code */
    enum hf_code code;
    bool repeated;
    uint64_t revision;
    char message[256];
};

static inline void on_outcome(void *arg, hf_status st, const struct hf_txn_result *res)
{
    struct outcome *o = arg;
    o->answers++;
    o->status = hf_status_code(st);
    snprintf(o->message, sizeof o->message, "%s", hf_status_message(st));
    assert_true((res != NULL) == hf_ok(st));
    if (res == NULL)
        return;
    o->code = res->code;
    o->repeated = res->repeated;
    o->revision = res->revision;
}

static inline void on_barrier_outcome(void *arg, hf_status st)
{
    on_outcome(arg, st, hf_ok(st) ? &(struct hf_txn_result){.code = HF_OK} : NULL);
}

static inline void submit_put(struct hf_replica *r, const char *id, uint64_t n, const char *name,
                              const char *text, struct outcome *o)
{
    *o = (struct outcome){0};
    struct hf_txn *t = hf_txn_create(id, 1);
    put_text(t, 1, n, name, text);
    hf_replica_submit(r, t, on_outcome, o);
}

#endif
