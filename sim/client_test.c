/* A client against scripted nodes: where it asks next, what it repeats, and when a lost answer leaves doubt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "holdfast/v1/common.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"
#include "sim/client.h"

#define NODES 3
#define MS    HF_MS_NS

/* What a node says to every call: nothing at all before `silent` has ended its caller's patience. */
struct sim_node {
    char address[16];
    struct sim_end_reason why;
    bool silent;
    unsigned asked;
};

/* The scripted call, in place of node_api.c's. */
struct sim_api_call {
    struct sim_proc *proc;
    struct sim_node *node;
    struct hf_timer answer;
    bool silent;
    const struct sim_api_call_ops *ops;
    void *arg;
};

const char *sim_node_address(const struct sim_node *n)
{
    return n->address;
}

static void answer(void *arg)
{
    struct sim_api_call *c = arg;
    struct sim_api_call call = *c;
    struct sim_end_reason why = call.node->why;
    free(c);
    Holdfast__V1__Zone zone = HOLDFAST__V1__ZONE__INIT;
    if (call.silent)
        why = (struct sim_end_reason){.code = HF_TIMEOUT, .message = "no answer before the deadline"};
    else if (why.code == HF_OK)
        call.ops->message(call.arg, &zone.base);
    call.ops->ended(call.arg, &why);
}

struct sim_api_call *sim_api_call(struct sim_world *w, struct sim_proc *from, unsigned from_place,
                                  unsigned node, const char *service, const char *method,
                                  const ProtobufCMessage *request, int64_t deadline_ms,
                                  const struct sim_api_call_ops *ops, void *arg)
{
    (void)from_place;
    assert_string_equal(service, "Zone");
    assert_non_null(method);
    assert_non_null(request);
    struct sim_api_call *c = HF_NEW(struct sim_api_call);
    c->proc = from;
    c->node = w->nodes[node];
    c->ops = ops;
    c->arg = arg;
    c->silent = c->node->silent;
    c->node->asked++;
    hf_timer_start(&from->env, &c->answer, c->silent ? deadline_ms : 1, answer, c);
    return c;
}

void sim_api_cancel(struct sim_api_call *c)
{
    hf_timer_stop(&c->answer);
    free(c);
}

/* --- the fixture --- */

struct fixture {
    struct sim_world w;
    struct sim_node nodes[NODES];
    struct sim_client client;
    const char *request_id;
    const char *method;
    int64_t deadline_ms;
    /* the end of the call */
    unsigned ends;
    enum hf_code code;
    bool doubt, has_message;
};

static int setup(void **state)
{
    struct fixture *f = HF_NEW(struct fixture);
    f->w.sim = sim_create(1);
    f->w.net = sim_net_create(f->w.sim);
    f->w.sizes.nodes = NODES;
    for (unsigned i = 0; i < NODES; i++) {
        snprintf(f->nodes[i].address, sizeof f->nodes[i].address, "n%u:7000", i + 1);
        f->w.nodes[i] = &f->nodes[i];
    }
    sim_client_init(&f->client, &f->w, "c1", 1);
    f->method = "CreateZone";
    f->request_id = "id";
    f->deadline_ms = 20000;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->client.proc.up)
        sim_client_done(&f->client);
    sim_free(f->w.sim);
    sim_net_free(f->w.net);
    free(f);
    return 0;
}

static void ended(void *arg, const struct sim_answer *a)
{
    struct fixture *f = arg;
    f->ends++;
    f->code = a->code;
    f->doubt = a->doubt;
    f->has_message = a->message != NULL;
}

static void call(void *arg)
{
    struct fixture *f = arg;
    Holdfast__V1__CreateZoneRequest r = HOLDFAST__V1__CREATE_ZONE_REQUEST__INIT;
    r.request_id = (char *)f->request_id;
    sim_client_call(&f->client, "Zone", f->method, &r.base, f->deadline_ms, ended, f);
}

static void run(struct fixture *f, int64_t ms)
{
    sim_run_until(f->w.sim, sim_now_ns(f->w.sim) + ms * MS);
}

static void call_and_run(struct fixture *f, int64_t ms)
{
    sim_proc_post(&f->client.proc, 0, call, NULL, f);
    run(f, ms);
}

static void all_say(struct fixture *f, enum hf_code code)
{
    for (unsigned i = 0; i < NODES; i++)
        f->nodes[i].why.code = code;
}

/* --- the tests --- */

static void a_trailer_leads_to_the_leader_at_once(void **state)
{
    struct fixture *f = *state;
    f->nodes[0].why.code = HF_NOT_LEADER;
    snprintf(f->nodes[0].why.leader, sizeof f->nodes[0].why.leader, "n3:7000");
    call_and_run(f, 10);
    assert_int_equal(f->ends, 1);
    assert_int_equal(f->code, HF_OK);
    assert_true(f->has_message);
    assert_false(f->doubt);
    assert_int_equal(f->nodes[1].asked, 0);
    call_and_run(f, 10); /* and is remembered */
    assert_int_equal(f->nodes[0].asked, 1);
    assert_int_equal(f->nodes[2].asked, 2);
    assert_int_equal(f->client.answered, 2);
}

static void without_a_leader_the_nodes_are_asked_in_turn_until_the_deadline(void **state)
{
    struct fixture *f = *state;
    f->deadline_ms = 3000;
    all_say(f, HF_NOT_LEADER);
    call_and_run(f, 2900);
    assert_int_equal(f->ends, 0);
    assert_in_range(f->nodes[2].asked, 3, 10);
    run(f, 200);
    assert_int_equal(f->ends, 1);
    assert_false(f->doubt); /* nobody has taken it */
    assert_int_equal(f->client.n_calls, 0);
}

static void a_lost_answer_is_asked_for_again_by_its_id(void **state)
{
    struct fixture *f = *state;
    f->nodes[0].why.code = HF_UNKNOWN_OUTCOME;
    call_and_run(f, 200);
    assert_int_equal(f->ends, 1);
    assert_int_equal(f->code, HF_OK);
    assert_int_equal(f->nodes[1].asked, 1);
}

static void a_write_without_an_id_is_not_repeated(void **state)
{
    struct fixture *f = *state;
    f->request_id = "";
    f->nodes[0].why.code = HF_UNKNOWN_OUTCOME;
    call_and_run(f, 20000);
    assert_int_equal(f->ends, 1);
    assert_int_equal(f->code, HF_UNKNOWN_OUTCOME);
    assert_true(f->doubt);
    assert_int_equal(f->nodes[1].asked, 0);
}

static void a_refusal_after_a_lost_answer_leaves_doubt(void **state)
{
    struct fixture *f = *state;
    all_say(f, HF_PRECONDITION);
    f->nodes[0].why.code = HF_UNAVAILABLE;
    call_and_run(f, 200);
    assert_int_equal(f->code, HF_PRECONDITION);
    assert_true(f->doubt);
    assert_int_equal(f->client.answered, 0);
    call_and_run(f, 200); /* asks node 2, which answered last */
    assert_int_equal(f->code, HF_PRECONDITION);
    assert_false(f->doubt);
    assert_int_equal(f->client.answered, 1);
}

static void a_silent_node_is_left_for_the_next(void **state)
{
    struct fixture *f = *state;
    f->nodes[0].silent = true;
    call_and_run(f, 4900);
    assert_int_equal(f->ends, 0);
    run(f, 300);
    assert_int_equal(f->ends, 1);
    assert_int_equal(f->code, HF_OK);
}

static void a_wait_is_given_all_its_time(void **state)
{
    struct fixture *f = *state;
    f->method = "WaitOperation";
    f->nodes[0].silent = true;
    call_and_run(f, 19000);
    assert_int_equal(f->ends, 0);
    assert_int_equal(f->nodes[0].asked, 1);
    run(f, 2000);
    assert_int_equal(f->code, HF_TIMEOUT);
}

static void a_client_that_dies_forgets_its_calls(void **state)
{
    struct fixture *f = *state;
    f->nodes[0].silent = true;
    f->nodes[1].why.code = HF_NOT_LEADER;
    call_and_run(f, 10);
    f->client.node = 1;
    call_and_run(f, 2); /* this one waits for its next try */
    assert_int_equal(f->client.n_calls, 2);
    sim_client_done(&f->client);
    run(f, 60000);
    assert_int_equal(f->ends, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_trailer_leads_to_the_leader_at_once),
        TEST(without_a_leader_the_nodes_are_asked_in_turn_until_the_deadline),
        TEST(a_lost_answer_is_asked_for_again_by_its_id),
        TEST(a_write_without_an_id_is_not_repeated),
        TEST(a_refusal_after_a_lost_answer_leaves_doubt),
        TEST(a_silent_node_is_left_for_the_next),
        TEST(a_wait_is_given_all_its_time),
        TEST(a_client_that_dies_forgets_its_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
