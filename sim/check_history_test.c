/* Linearizability: histories of a true register pass, whatever overlaps in them, and one planted lie is
 * found. */
#include "sim/checks_testing.h"
#include "sim/sim.h"

struct calls {
    struct sim_checks *c;
    int64_t now;
    struct hf_uuid x;
};

static uint64_t ask(struct calls *t, enum sim_op_kind kind, const char *request)
{
    return sim_checks_invoked(t->c, ++t->now, 0, kind, &t->x, request);
}

static void told(struct calls *t, uint64_t op, uint64_t revision)
{
    sim_checks_returned(t->c, ++t->now, op, &t->x, revision);
}

static void read_of(struct calls *t, uint64_t revision)
{
    told(t, ask(t, SIM_OP_READ, ""), revision);
}

static void write_of(struct calls *t, const char *request, uint64_t revision)
{
    told(t, ask(t, SIM_OP_WRITE, request), revision);
}

static void begin(struct calls *t)
{
    *t = (struct calls){.c = sim_checks_create(hf_ha_timing_find(""), NULL, NULL)};
    struct hf_uuid none = {{0}};
    t->x = id("x", 0);
    uint64_t create = sim_checks_invoked(t->c, 0, 0, SIM_OP_WRITE, &none, "create");
    told(t, create, 10);
}

static void end(struct calls *t, const char *words)
{
    const struct sim_violation *v;
    size_t n = sim_checks_violations(t->c, &v);
    if (words == NULL && n > 0)
        fail_msg("%s", v[0].text);
    if (words != NULL && (n != 1 || v[0].rule != SIM_RULE_LINEARIZABLE || strstr(v[0].text, words) == NULL))
        fail_msg("%zu violations, the first: %s", n, n > 0 ? v[0].text : "");
    sim_checks_free(t->c);
}

#define CALLS_TEST(name, words)                                                                              \
    static void name##_on(struct calls *t);                                                                  \
    static void name(void **state)                                                                           \
    {                                                                                                        \
        (void)state;                                                                                         \
        struct calls t;                                                                                      \
        begin(&t);                                                                                           \
        name##_on(&t);                                                                                       \
        end(&t, words);                                                                                      \
    }                                                                                                        \
    static void name##_on(struct calls *t)

/* --- one object, clients' words alone --- */

CALLS_TEST(calls_that_overlap_may_see_either, NULL)
{
    uint64_t w = ask(t, SIM_OP_WRITE, "a"), r = ask(t, SIM_OP_READ, ""), s = ask(t, SIM_OP_READ, "");
    told(t, r, 11);
    told(t, s, 10);
    told(t, w, 11);
    read_of(t, 11);
    write_of(t, "b", 15);
    read_of(t, 17); /* the controllers write as well */
}

CALLS_TEST(a_read_after_a_write_sees_it,
           "was answered with revision 10, but the object had revision 11 before")
{
    write_of(t, "a", 11);
    read_of(t, 10);
}

CALLS_TEST(a_read_after_a_read_does_not_go_back, "had revision 12 before")
{
    uint64_t w = ask(t, SIM_OP_WRITE, "a");
    read_of(t, 12);
    read_of(t, 10);
    told(t, w, 12);
}

CALLS_TEST(a_write_is_after_what_was_known, "a write of object")
{
    uint64_t r = ask(t, SIM_OP_READ, "");
    told(t, r, 12);
    write_of(t, "a", 12);
}

CALLS_TEST(two_writes_have_two_revisions, "two writes of object")
{
    uint64_t a = ask(t, SIM_OP_WRITE, "a"), b = ask(t, SIM_OP_WRITE, "b");
    told(t, a, 11);
    told(t, b, 11);
}

CALLS_TEST(a_request_that_is_sent_again_has_its_first_answer, NULL)
{
    uint64_t a = ask(t, SIM_OP_WRITE, "a");
    sim_checks_failed(t->c, ++t->now, a, true);
    write_of(t, "b", 12);
    write_of(t, "a", 11); /* it had happened before b */
    write_of(t, "a", 11);
}

CALLS_TEST(a_request_that_is_done_twice, "one request for object")
{
    write_of(t, "a", 11);
    write_of(t, "a", 12);
}

CALLS_TEST(what_was_deleted_is_gone, NULL)
{
    uint64_t r = ask(t, SIM_OP_READ, "");
    uint64_t d = ask(t, SIM_OP_DELETE, "d");
    told(t, d, 0);
    told(t, r, 10); /* it was asked before */
    read_of(t, 0);
    sim_checks_failed(t->c, ++t->now, ask(t, SIM_OP_WRITE, "a"), false);
    told(t, ask(t, SIM_OP_DELETE, "d"), 0);
}

CALLS_TEST(what_was_deleted_stays_gone, "but the object had been deleted before")
{
    told(t, ask(t, SIM_OP_DELETE, "d"), 0);
    read_of(t, 10);
}

CALLS_TEST(what_was_not_found_stays_gone, "but the object had been deleted before")
{
    uint64_t d = ask(t, SIM_OP_DELETE, "d");
    read_of(t, 0);
    read_of(t, 10);
    sim_checks_failed(t->c, ++t->now, d, true);
}

CALLS_TEST(what_nobody_deleted_is_there, "found nothing, but it had revision 10 before and nobody deleted it")
{
    read_of(t, 0);
}

/* --- with the store's word --- */

static void commit(struct calls *t, uint64_t revision)
{
    sim_checks_applied(t->c, t->now, 0, revision, KIND(CLUSTER), &t->x, (const uint8_t *)"x", 1);
}

CALLS_TEST(a_read_shows_what_was_committed_before, "had revision 12 before")
{
    commit(t, 10);
    commit(t, 12); /* by a controller: no client knows */
    read_of(t, 10);
}

CALLS_TEST(a_read_shows_a_revision_of_the_object, "which is none of the object's")
{
    commit(t, 10);
    commit(t, 14);
    uint64_t r = ask(t, SIM_OP_READ, "");
    commit(t, 16);
    told(t, r, 15);
}

CALLS_TEST(a_read_of_an_old_revision_may_be_true, NULL)
{
    commit(t, 10);
    uint64_t r = ask(t, SIM_OP_READ, "");
    for (uint64_t v = 11; v < 40; v++)
        commit(t, v);
    told(t, r, 12);
}

CALLS_TEST(a_write_that_changed_nothing, NULL)
{
    commit(t, 10);
    struct hf_uuid other = id("operation", 1);
    sim_checks_applied(t->c, t->now, 0, 11, KIND(CLUSTER), &other, (const uint8_t *)"x", 1);
    write_of(t, "a", 11); /* the operation's revision */
    read_of(t, 10);
}

static void acknowledged_and_never_applied(void **state)
{
    (void)state;
    struct calls t;
    begin(&t);
    commit(&t, 10);
    write_of(&t, "a", 11);
    const struct sim_violation *v;
    assert_int_equal(sim_checks_violations(t.c, &v), 1);
    assert_int_equal(v[0].rule, SIM_RULE_LOST);
    assert_non_null(strstr(v[0].text, "with revision 11, which no node has applied"));
    sim_checks_free(t.c);
}

static void created_and_not_there_in_the_end(void **state)
{
    (void)state;
    struct calls t;
    begin(&t);
    commit(&t, 10);
    sim_checks_applied(t.c, t.now, 0, 11, KIND(CLUSTER), &t.x, NULL, 0);
    sim_checks_end(t.c, t.now, t.now);
    const struct sim_violation *v;
    assert_int_equal(sim_checks_violations(t.c, &v), 1);
    assert_int_equal(v[0].rule, SIM_RULE_LOST);
    assert_non_null(
        strstr(v[0].text, "was created and acknowledged, nobody deleted it, and it is not there"));
    sim_checks_free(t.c);
}

/* --- random histories of a true register --- */

#define CLIENTS 6
#define STEPS   400

enum lie { NO_LIE, STALE_READ, OLD_WRITE, SAME_REVISION, LOST_WRITE, LIES };

struct client {
    bool busy, effected;
    enum sim_op_kind kind;
    uint64_t op, revision, known; /* known: to anybody when it asked */
};

struct history {
    struct calls t;
    struct sim_rng rng;
    struct client clients[CLIENTS];
    uint64_t revision, before;       /* of the register; before its last change */
    uint64_t told_max, acknowledged; /* to anybody; of the last write that was */
    bool lied;
    unsigned requests;
};

static void ask_something(struct history *h, struct client *k)
{
    char request[16];
    bool read = sim_rng_chance(&h->rng, 500000);
    snprintf(request, sizeof request, "r%u", h->requests++);
    *k = (struct client){.busy = true, .kind = read ? SIM_OP_READ : SIM_OP_WRITE, .known = h->told_max};
    k->op = ask(&h->t, k->kind, read ? "" : request);
}

/* The moment at which it takes effect, between question and answer. */
static void take_effect(struct history *h, struct client *k)
{
    if (k->kind == SIM_OP_WRITE) {
        h->before = h->revision;
        h->revision += 1 + sim_rng_below(&h->rng, 3);
    }
    k->revision = h->revision;
    k->effected = true;
}

/* What is told instead of the truth where no order could explain it; else the truth. */
static uint64_t answer_of(struct history *h, const struct client *k, enum lie lie)
{
    uint64_t told_instead = k->revision;
    bool read = k->kind == SIM_OP_READ;
    if (h->told_max > 20 && lie == STALE_READ && read)
        told_instead = k->known - 1;
    else if (h->told_max > 20 && lie == OLD_WRITE && !read)
        told_instead = k->known;
    else if (h->told_max > 20 && lie == SAME_REVISION && !read)
        told_instead = h->acknowledged;
    h->lied = told_instead != k->revision;
    return told_instead;
}

static void answer(struct history *h, struct client *k, enum lie lie)
{
    uint64_t revision = answer_of(h, k, lie);
    told(&h->t, k->op, revision);
    h->told_max = revision > h->told_max ? revision : h->told_max;
    h->acknowledged = k->kind == SIM_OP_WRITE ? revision : h->acknowledged;
    k->busy = false;
    if (lie == LOST_WRITE && k->kind == SIM_OP_WRITE && revision == h->revision && revision > 20) {
        read_of(&h->t, h->before); /* the register has forgotten what it acknowledged */
        h->lied = true;
    }
}

static bool history_passes(uint64_t seed, enum lie lie, bool *ret_lied)
{
    struct history h = {.rng = sim_rng_make(seed, "history", (uint64_t)lie),
                        .revision = 10,
                        .before = 10,
                        .told_max = 10,
                        .acknowledged = 10};
    begin(&h.t);
    for (unsigned step = 0; step < STEPS && !h.lied; step++) {
        struct client *k = &h.clients[sim_rng_below(&h.rng, CLIENTS)];
        if (!k->busy) {
            ask_something(&h, k);
        } else if (!k->effected) {
            take_effect(&h, k);
        } else if (sim_rng_chance(&h.rng, 100000)) {
            sim_checks_failed(h.t.c, ++h.t.now, k->op, true); /* its answer was lost */
            k->busy = false;
        } else {
            answer(&h, k, lie);
        }
    }
    const struct sim_violation *v;
    bool passes = sim_checks_violations(h.t.c, &v) == 0;
    if (!passes && lie == NO_LIE)
        print_message("seed %llu: %s\n", (unsigned long long)seed, v[0].text);
    sim_checks_free(h.t.c);
    *ret_lied = h.lied;
    return passes;
}

static void random_histories(void **state)
{
    (void)state;
    unsigned lies[LIES] = {0};
    for (uint64_t seed = 1; seed <= 500; seed++) {
        for (unsigned lie = NO_LIE; lie < LIES; lie++) {
            bool lied, passes = history_passes(seed, (enum lie)lie, &lied);
            if (passes == lied)
                fail_msg("seed %llu: lie %u was%s told, and the history %s", (unsigned long long)seed, lie,
                         lied ? "" : " not", passes ? "passes" : "fails");
            lies[lie] += lied;
        }
    }
    for (unsigned lie = NO_LIE + 1; lie < LIES; lie++)
        assert_true(lies[lie] > 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_that_overlap_may_see_either),
        cmocka_unit_test(a_read_after_a_write_sees_it),
        cmocka_unit_test(a_read_after_a_read_does_not_go_back),
        cmocka_unit_test(a_write_is_after_what_was_known),
        cmocka_unit_test(two_writes_have_two_revisions),
        cmocka_unit_test(a_request_that_is_sent_again_has_its_first_answer),
        cmocka_unit_test(a_request_that_is_done_twice),
        cmocka_unit_test(what_was_deleted_is_gone),
        cmocka_unit_test(what_was_deleted_stays_gone),
        cmocka_unit_test(what_was_not_found_stays_gone),
        cmocka_unit_test(what_nobody_deleted_is_there),
        cmocka_unit_test(a_read_shows_what_was_committed_before),
        cmocka_unit_test(a_read_shows_a_revision_of_the_object),
        cmocka_unit_test(a_read_of_an_old_revision_may_be_true),
        cmocka_unit_test(a_write_that_changed_nothing),
        cmocka_unit_test(acknowledged_and_never_applied),
        cmocka_unit_test(created_and_not_there_in_the_end),
        cmocka_unit_test(random_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
