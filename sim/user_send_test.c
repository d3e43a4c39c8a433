/* Requests of a client against a scripted node: what is repeated, what the history hears, and which answers
 * are found wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "holdfast/v1/infra.pb-c.h"
#include "sim/request.h"
#include "sim/user.h"

#define SECOND HF_S_NS
#define ZONE   "0000000000000000000000000000000a"

struct fixture {
    struct sim_world w;
    struct sim_workload l;
    struct sim_user user;
    enum hf_code code; /* of every answer */
    uint64_t revision; /* of the answered zone */
    uint64_t step;     /* added to the revision after every answer */
    unsigned asked, ended;
};

static struct fixture *fixture;

struct sim_api_call {
    const struct sim_api_call_ops *ops;
    void *arg;
};

const char *sim_node_address(const struct sim_node *n)
{
    (void)n;
    return "";
}

static void answer(void *arg)
{
    struct sim_api_call call = *(struct sim_api_call *)arg;
    struct sim_end_reason why = {.code = fixture->code};
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    Holdfast__V1__Zone zone = HOLDFAST__V1__ZONE__INIT;
    free(arg);
    meta.uuid = (char *)ZONE;
    meta.revision = fixture->revision;
    zone.meta = &meta;
    fixture->revision += fixture->step;
    if (why.code == HF_OK)
        call.ops->message(call.arg, &zone.base);
    call.ops->ended(call.arg, &why);
}

struct sim_api_call *sim_api_call(struct sim_world *w, struct sim_proc *from, unsigned from_place,
                                  unsigned node, const char *service, const char *method,
                                  const ProtobufCMessage *request, int64_t deadline_ms,
                                  const struct sim_api_call_ops *ops, void *arg)
{
    (void)w;
    (void)from_place;
    (void)node;
    (void)service;
    (void)method;
    (void)request;
    (void)deadline_ms;
    struct sim_api_call *c = HF_NEW(struct sim_api_call);
    *c = (struct sim_api_call){ops, arg};
    fixture->asked++;
    sim_proc_post(from, HF_MS_NS, answer, free, c);
    return c;
}

void sim_api_cancel(struct sim_api_call *c)
{
    (void)c; /* its delivery is dropped with the process */
}

static int setup(void **state)
{
    struct fixture *f = fixture = HF_NEW(struct fixture);
    f->w.sim = sim_create(1);
    f->w.net = sim_net_create(f->w.sim);
    f->w.sizes.nodes = 1;
    f->w.checks = sim_checks_create(hf_ha_timing_find("default"), NULL, NULL);
    f->l.w = &f->w;
    f->user.l = &f->l;
    f->user.rng = sim_rng_make(1, "user", 0);
    LIST_INIT(&f->user.sent);
    sim_client_init(&f->user.client, &f->w, "c1", 1);
    f->revision = 10;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    sim_client_done(&f->user.client);
    sim_user_forget_sent(&f->user);
    sim_free(f->w.sim);
    sim_net_free(f->w.net);
    sim_checks_free(f->w.checks);
    free(f);
    return 0;
}

static void ended(struct sim_user *u, void *thing, const struct sim_answer *a)
{
    (void)u;
    (void)a;
    ((struct fixture *)thing)->ended++;
}

static void update(struct fixture *f, enum hf_code refusal)
{
    char id[HF_UUID_STR];
    struct hf_uuid uuid = hf_uuid_new(&f->user.client.proc.env);
    ProtobufCMessage *object;
    struct sim_request r = {.service = "Zone",
                            .method = "UpdateZone",
                            .take_message = sim_request_update(&holdfast__v1__update_zone_request__descriptor,
                                                               hf_uuid_format(&uuid, id), ZONE, 0,
                                                               "meta.description", &object),
                            .recorded = refusal == HF_OK,
                            .kind = SIM_OP_WRITE,
                            .object = ZONE,
                            .refusal = refusal,
                            .deadline_ms = 1000,
                            .done = ended,
                            .thing = f};
    sim_user_send(&f->user, &r);
}

static void update_once(void *arg)
{
    update(arg, HF_OK);
}

static void update_often(void *arg)
{
    for (int i = 0; i < 400; i++)
        update(arg, HF_OK);
}

static void update_wrongly(void *arg)
{
    update(arg, HF_CONFLICT);
}

static size_t run(struct fixture *f, sim_fn fn, const struct sim_violation **ret)
{
    sim_proc_post(&f->user.client.proc, 0, fn, NULL, f);
    sim_run_until(f->w.sim, sim_now_ns(f->w.sim) + 60 * SECOND);
    assert_int_equal(f->user.n_sent, 0);
    return sim_checks_violations(f->w.checks, ret);
}

static void answers_to_repeated_requests_must_be_the_same(void **state)
{
    struct fixture *f = *state;
    const struct sim_violation *v;
    f->step = 1; /* each answer tells of another revision, also those to repeated requests */
    assert_true(run(f, update_often, &v) > 0);
    assert_true(f->asked > f->ended);
    assert_int_equal(v[0].rule, SIM_RULE_LINEARIZABLE);
    assert_non_null(strstr(v[0].text, "UpdateZone was repeated with its request id and got another answer"));
}

static void a_wrong_request_must_be_refused_as_it_should(void **state)
{
    struct fixture *f = *state;
    const struct sim_violation *v;
    f->code = HF_CONFLICT;
    assert_int_equal(run(f, update_wrongly, &v), 0);
    f->code = HF_UNAVAILABLE; /* which says nothing */
    assert_int_equal(run(f, update_wrongly, &v), 0);
    f->code = HF_OK;
    assert_int_equal(run(f, update_wrongly, &v), 1);
    assert_non_null(strstr(v[0].text, "UpdateZone had to be refused in another way: ok"));
}

static void the_history_hears_of_a_write_once(void **state)
{
    struct fixture *f = *state;
    const struct sim_violation *v;
    assert_int_equal(run(f, update_once, &v), 0);
    assert_int_equal(run(f, update_once, &v), 1); /* another write with the same revision */
    assert_int_equal(f->ended, 2);
}

static void what_nobody_answers_comes_to_an_end(void **state)
{
    struct fixture *f = *state;
    const struct sim_violation *v;
    f->code = HF_UNKNOWN_OUTCOME;
    assert_int_equal(run(f, update_once, &v), 0);
    assert_int_equal(f->ended, 1);
    assert_true(f->asked > 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(answers_to_repeated_requests_must_be_the_same),
        TEST(a_wrong_request_must_be_refused_as_it_should),
        TEST(the_history_hears_of_a_write_once),
        TEST(what_nobody_answers_comes_to_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
