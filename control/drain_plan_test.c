/* The plan of a drain: who leaves now and how, when it is over or refused, and what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "control/drain_plan.h"

#define MAX 20

struct plan {
    struct hf_drain_view v;
    struct hf_drain_instance list[MAX];
    char names[MAX][8];
    enum hf_drain_step steps[MAX];
    char text[HF_DRAIN_TEXT_MAX];
};

static void plan_init(struct plan *p, enum hf_drain_policy policy, size_t n)
{
    *p = (struct plan){.v = {.policy = policy, .parallel_max = 2, .total = n, .n = n}};
    p->v.instances = p->list;
    for (size_t i = 0; i < n; i++) {
        snprintf(p->names[i], sizeof p->names[i], "vm-%zu", i + 1);
        p->list[i].name = p->names[i];
    }
}

static enum hf_drain_verdict run(struct plan *p)
{
    return hf_drain_plan(&p->v, p->steps, p->text);
}

static size_t count(const struct plan *p, enum hf_drain_step step)
{
    size_t n = 0;
    for (size_t i = 0; i < p->v.n; i++)
        n += p->steps[i] == step;
    return n;
}

static void what_can_move_moves_a_few_at_a_time(void **state)
{
    (void)state;
    struct plan p;
    plan_init(&p, HF_DRAIN_POLICY_REFUSE, 5);
    assert_int_equal(run(&p), HF_DRAIN_GOES_ON);
    assert_int_equal(count(&p, HF_DRAIN_MIGRATE), 2);
    assert_string_equal(p.text, "0 of 5 have left; vm-1 moves; vm-2 moves");
    p.list[0].leaving = p.list[1].leaving = HF_DRAIN_MIGRATE;
    p.list[0].target = "host-2";
    assert_int_equal(run(&p), HF_DRAIN_GOES_ON);
    assert_int_equal(count(&p, HF_DRAIN_MIGRATE), 0);
    p.v.total = 7;
    p.list[1].leaving = HF_DRAIN_STAY;
    p.list[1].pauses = true; /* it failed a moment ago: another one takes its turn */
    assert_int_equal(run(&p), HF_DRAIN_GOES_ON);
    assert_int_equal(p.steps[2], HF_DRAIN_MIGRATE);
    assert_string_equal(p.text, "2 of 7 have left; vm-1 moves to host-2; vm-2 waits a moment; vm-3 moves");
}

static void what_cannot_move_refuses_before_anything_is_touched(void **state)
{
    (void)state;
    struct plan p;
    plan_init(&p, HF_DRAIN_POLICY_REFUSE, 3);
    p.list[1].problem = "its disk is in the local storage";
    assert_int_equal(run(&p), HF_DRAIN_REFUSED);
    assert_int_equal(count(&p, HF_DRAIN_STAY), 3);
    assert_string_equal(p.text, "vm-2 cannot leave running: its disk is in the local storage");
    p.list[2].problem = "no host has room";
    assert_int_equal(run(&p), HF_DRAIN_REFUSED);
    assert_string_equal(p.text, "vm-2 cannot leave running: its disk is in the local storage; "
                                "vm-3 cannot leave running: no host has room");
    p.list[1].place = HF_DRAIN_ENDS; /* it is stopped by somebody else, and the other waits for HA */
    p.list[2].place = HF_DRAIN_LOST;
    assert_int_equal(run(&p), HF_DRAIN_GOES_ON);
}

/* What may refuse the whole in a moment holds up the rest; by another policy it holds up itself. */
static void in_doubt_nothing_is_touched(void **state)
{
    (void)state;
    struct plan p;
    plan_init(&p, HF_DRAIN_POLICY_REFUSE, 2);
    p.list[1].problem = "no host has room";
    p.list[1].pauses = true;
    assert_int_equal(run(&p), HF_DRAIN_GOES_ON);
    assert_int_equal(count(&p, HF_DRAIN_STAY), 2);
    assert_string_equal(p.text, "0 of 2 have left; vm-2 waits a moment");
    p.v.policy = HF_DRAIN_POLICY_STOP;
    assert_int_equal(run(&p), HF_DRAIN_GOES_ON);
    assert_int_equal(p.steps[0], HF_DRAIN_MIGRATE);
    assert_int_equal(p.steps[1], HF_DRAIN_STAY);
}

static void by_policy_it_is_stopped_or_waited_for(void **state)
{
    (void)state;
    struct plan p;
    plan_init(&p, HF_DRAIN_POLICY_WAIT, 2);
    p.list[0].problem = "no host has room";
    p.list[1].place = HF_DRAIN_STARTS;
    assert_int_equal(run(&p), HF_DRAIN_GOES_ON);
    assert_int_equal(count(&p, HF_DRAIN_STAY), 2);
    assert_string_equal(p.text, "0 of 2 have left; vm-1 waits: no host has room; vm-2 is still starting");

    plan_init(&p, HF_DRAIN_POLICY_STOP, 6);
    for (int i = 0; i < 6; i++) {
        p.list[i].problem = "live migration is not available";
        p.list[i].restarts = i < 3;
    }
    assert_int_equal(run(&p), HF_DRAIN_GOES_ON);
    assert_int_equal(p.steps[0], HF_DRAIN_STOP);
    assert_int_equal(p.steps[1], HF_DRAIN_STOP);
    assert_int_equal(p.steps[2], HF_DRAIN_STAY); /* two at once run on elsewhere */
    for (int i = 3; i < 6; i++)
        assert_int_equal(p.steps[i], HF_DRAIN_STOP); /* nobody waits for these */
    assert_non_null(strstr(
        p.text,
        "vm-1 stops and starts elsewhere; vm-2 stops and starts elsewhere; vm-3 waits for its turn; "));
}

static void it_is_over_when_nothing_is_left(void **state)
{
    (void)state;
    struct plan p;
    plan_init(&p, HF_DRAIN_POLICY_REFUSE, 0);
    assert_int_equal(run(&p), HF_DRAIN_OVER);
}

static void taken_back_it_ends_what_it_began(void **state)
{
    (void)state;
    struct plan p;
    plan_init(&p, HF_DRAIN_POLICY_STOP, 3);
    p.v.withdrawn = true;
    p.list[2].problem = "x";
    assert_int_equal(run(&p), HF_DRAIN_OVER);
    p.list[0].leaving = HF_DRAIN_STOP;
    assert_int_equal(run(&p), HF_DRAIN_GOES_ON);
    assert_int_equal(count(&p, HF_DRAIN_STAY), 3);
    assert_string_equal(p.text, "taken back, what has begun goes on; vm-1 stops");
}

static void a_sentence_names_a_few_and_counts_the_rest(void **state)
{
    (void)state;
    struct plan p;
    plan_init(&p, HF_DRAIN_POLICY_REFUSE, MAX);
    for (int i = 0; i < MAX; i++)
        p.list[i].problem = "x";
    assert_int_equal(run(&p), HF_DRAIN_REFUSED);
    assert_non_null(strstr(p.text, "vm-8 cannot leave running: x; and 12 more"));
    p.list[0].problem =
        "a very long reason, of the kind that a scheduler has when it names host after host after "
        "host after host after host after host after host after host after host after host after "
        "host after host after host after host after host after host after host after host after "
        "host after host after host after host after host after host after host after host after "
        "host after host after host after host after host after host after host after host after";
    assert_int_equal(run(&p), HF_DRAIN_REFUSED);
    assert_non_null(strstr(p.text, "; and 19 more"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_can_move_moves_a_few_at_a_time),
        cmocka_unit_test(what_cannot_move_refuses_before_anything_is_touched),
        cmocka_unit_test(in_doubt_nothing_is_touched),
        cmocka_unit_test(by_policy_it_is_stopped_or_waited_for),
        cmocka_unit_test(it_is_over_when_nothing_is_left),
        cmocka_unit_test(taken_back_it_ends_what_it_began),
        cmocka_unit_test(a_sentence_names_a_few_and_counts_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
