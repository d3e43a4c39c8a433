/* Questions to simulated Ceph clusters: each is answered once, whatever becomes of the command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "control/ceph_runner.h"
#include "sim/ceph.h"
#include "sim/ceph_runner.h"
#include "sim/storage.h"
#include "sim/world.h"

#define ADDRESS    "10.9.0.1"
#define ENTRY      ADDRESS ":0/0"
#define TIMEOUT_MS 5000
#define FENCE                                                                                                \
    "{\"verb\":\"fence\",\"monitors\":[\"10.9.255.1\"],\"addresses\":[\"" ADDRESS "\"],\"others\":[%s]}"
#define UNFENCE "{\"verb\":\"unfence\",\"monitors\":[\"10.9.255.1\"],\"entries\":[\"" ENTRY "\"]}"

struct bench {
    struct sim_world w;
    struct sim_ceph *c;
    struct sim_proc node;
    struct hf_ceph_runner *runner;
    unsigned answers;
    enum hf_code code;
    char answer[400];
};

static void answered(void *arg, hf_status st, const char *answer)
{
    struct bench *b = arg;
    b->answers++;
    b->code = hf_status_code(st);
    snprintf(b->answer, sizeof b->answer, "%s", hf_ok(st) ? answer : hf_status_message(st));
}

static void run(struct bench *b, int64_t ms)
{
    sim_run_until(b->w.sim, sim_now_ns(b->w.sim) + ms * HF_MS_NS);
}

static struct bench *bench_new(uint64_t seed)
{
    struct bench *b = HF_NEW(struct bench);
    struct hf_uuid uuid = {{1}};
    b->w.sim = sim_create(seed);
    b->w.sizes.shared_storages = 1;
    b->w.shared[0] = sim_storage_create(&b->w, &uuid, "shared1", true);
    b->c = sim_ceph_create(b->w.sim, 0, 3, 0);
    sim_storage_make_ceph(b->w.shared[0], b->c);
    sim_proc_init(&b->node, b->w.sim, "n1", 0);
    sim_proc_start(&b->node);
    b->runner = sim_ceph_runner_create(&b->w, 0, &b->node);
    return b;
}

static void bench_free(struct bench *b)
{
    sim_proc_crash(&b->node);
    sim_free(b->w.sim);
    sim_ceph_runner_free(b->runner);
    sim_storage_free(b->w.shared[0]);
    free(b);
}

struct ask {
    struct bench *bench;
    char text[300];
};

static void ask_now(void *arg)
{
    struct ask *a = arg;
    a->bench->runner->ops->ask(a->bench->runner, a->text, TIMEOUT_MS, answered, a->bench);
    free(a);
}

static void ask(struct bench *b, const char *question, const char *others)
{
    struct ask *a = HF_NEW(struct ask);
    a->bench = b;
    b->answers = 0;
    snprintf(a->text, sizeof a->text, question, others);
    sim_proc_post(&b->node, 0, ask_now, free, a);
}

static void assert_answered(struct bench *b, enum hf_code code, const char *words)
{
    assert_int_equal(b->answers, 1);
    assert_int_equal(b->code, code);
    if (!strstr(b->answer, words))
        fail_msg("answered: %s", b->answer);
}

static void a_host_is_fenced_and_unfenced(void **state)
{
    (void)state;
    struct bench *b = bench_new(1);
    ask(b, FENCE, "");
    run(b, TIMEOUT_MS);
    assert_answered(b, HF_OK, "\"entries\":[\"" ENTRY "\"],\"by_clients\":false");
    assert_true(sim_ceph_lists(b->c, ENTRY));
    ask(b, UNFENCE, "");
    run(b, TIMEOUT_MS);
    assert_answered(b, HF_OK, "osdmap_epoch");
    assert_false(sim_ceph_lists(b->c, ENTRY));
    bench_free(b);
}

static void a_shared_address_is_left_alone(void **state)
{
    (void)state;
    struct bench *b = bench_new(2);
    ask(b, FENCE, "\"" ADDRESS "\"");
    run(b, TIMEOUT_MS);
    assert_answered(b, HF_OK, "\"by_clients\":true,\"shared_with\":\"another host or control node at " ADDRESS "\"");
    assert_false(sim_ceph_lists(b->c, ENTRY));
    bench_free(b);
}

static void monitors_refuse_or_lose_the_answer(void **state)
{
    (void)state;
    struct bench *b = bench_new(3);
    sim_ceph_mons(b->c)->fails = true;
    ask(b, FENCE, "");
    run(b, 2 * TIMEOUT_MS);
    assert_answered(b, HF_UNAVAILABLE, "refuses");
    assert_false(sim_ceph_lists(b->c, ENTRY));
    *sim_ceph_mons(b->c) = (struct sim_ceph_mons){.loses = true};
    ask(b, FENCE, "");
    run(b, 2 * TIMEOUT_MS);
    assert_answered(b, HF_TIMEOUT, "no answer");
    assert_true(sim_ceph_lists(b->c, ENTRY));
    bench_free(b);
}

/* What a MON has got it carries out when there is a quorum again, though nobody waits any more; sometimes. */
static void a_command_lands_late_or_never(void **state)
{
    (void)state;
    unsigned landed = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct bench *b = bench_new(seed);
        sim_ceph_mons(b->c)->no_quorum = true;
        ask(b, FENCE, "");
        run(b, TIMEOUT_MS + 1000);
        assert_answered(b, HF_TIMEOUT, "no answer");
        assert_false(sim_ceph_lists(b->c, ENTRY));
        sim_ceph_mons(b->c)->no_quorum = false;
        run(b, 1000);
        landed += sim_ceph_lists(b->c, ENTRY);
        assert_int_equal(b->answers, 1);
        sim_ceph_unblock(b->c, ENTRY);
        run(b, SIM_CEPH_MON_MS);
        assert_false(sim_ceph_lists(b->c, ENTRY));
        bench_free(b);
    }
    assert_in_range(landed, 8, 32);
}

static void who_asked_has_died(void **state)
{
    (void)state;
    unsigned landed = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct bench *b = bench_new(seed);
        ask(b, FENCE, "");
        run(b, 100);
        sim_proc_crash(&b->node);
        run(b, 2 * TIMEOUT_MS);
        assert_int_equal(b->answers, 1);
        landed += sim_ceph_lists(b->c, ENTRY);
        bench_free(b);
    }
    assert_true(landed > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_is_fenced_and_unfenced),
        cmocka_unit_test(a_shared_address_is_left_alone),
        cmocka_unit_test(monitors_refuse_or_lose_the_answer),
        cmocka_unit_test(a_command_lands_late_or_never),
        cmocka_unit_test(who_asked_has_died),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
