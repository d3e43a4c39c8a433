/* The life of one instance as steps on its message, and the verdicts on operations about it: no store, no
 * clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "control/conditions.h"
#include "control/instance_step.h"
#include "control/operation_verdict.h"
#include "control/placement_guard.h"

typedef Holdfast__V1__Instance Instance;
#define STATE(name) HOLDFAST__V1__INSTANCE_STATUS__STATE__##name
#define SEEN(name)  HOLDFAST__V1__INSTANCE_REPORT__STATE__##name
#define POWER(name) HOLDFAST__V1__POWER_STATE__POWER_##name
#define HOST        "11111111111111111111111111111111"
#define NOW         1000000

static Instance *new_instance(void)
{
    Instance *i = HF_NEW(Instance);
    holdfast__v1__instance__init(i);
    i->meta = HF_NEW(Holdfast__V1__Meta);
    holdfast__v1__meta__init(i->meta);
    hf_pb_set(&i->meta->name, "vm");
    i->spec = HF_NEW(Holdfast__V1__InstanceSpec);
    holdfast__v1__instance_spec__init(i->spec);
    i->spec->power = POWER(RUNNING);
    i->status = HF_NEW(Holdfast__V1__InstanceStatus);
    holdfast__v1__instance_status__init(i->status);
    i->status->state = STATE(CREATED);
    return i;
}

static Instance *placed(void)
{
    Instance *i = new_instance();
    hf_instance_place(i, HOST, 2, NOW);
    return i;
}

static bool see(Instance *i, int state, int64_t wall_ms, const struct hf_instance_facts *more,
                const Holdfast__V1__InstanceReport *like)
{
    Holdfast__V1__InstanceReport r = HOLDFAST__V1__INSTANCE_REPORT__INIT;
    struct hf_instance_facts f = more != NULL ? *more : (struct hf_instance_facts){0};
    if (like != NULL)
        r = *like;
    r.run = i->placement->run;
    r.state = (Holdfast__V1__InstanceReport__State)state;
    f.wall_ms = wall_ms;
    f.contact = true;
    f.seen = &r;
    return hf_instance_follow(i, &f);
}

static void a_report_is_taken_once(void **state)
{
    (void)state;
    Instance *i = placed();
    assert_int_equal(i->status->state, STATE(STARTING));
    assert_true(see(i, SEEN(RUNNING), NOW + 1, NULL, NULL));
    assert_int_equal(i->status->state, STATE(RUNNING));
    assert_int_equal(i->status->seen_run, 1);
    assert_false(see(i, SEEN(RUNNING), NOW + 2, NULL, NULL));
    assert_int_equal(i->status->state_since_ms, NOW + 1);
    holdfast__v1__instance__free_unpacked(i, NULL);
}

static void what_keeps_a_guest_paused_is_told(void **state)
{
    (void)state;
    Instance *i = placed();
    Holdfast__V1__InstanceReport r = HOLDFAST__V1__INSTANCE_REPORT__INIT;
    r.blocked = (char *)"a disk failed";
    see(i, SEEN(PAUSED), NOW, NULL, &r);
    assert_int_equal(i->status->state, STATE(PAUSED));
    assert_string_equal(
        hf_condition_message(i->status->conditions, i->status->n_conditions, HF_CONDITION_READY),
        "a disk failed");
    see(i, SEEN(RUNNING), NOW + 1, NULL, NULL);
    assert_null(hf_condition_message(i->status->conditions, i->status->n_conditions, HF_CONDITION_READY));
    holdfast__v1__instance__free_unpacked(i, NULL);
}

static void lost_contact_hides_the_state_and_contact_alone_does_not_bring_it_back(void **state)
{
    (void)state;
    Instance *i = placed();
    see(i, SEEN(RUNNING), NOW, NULL, NULL);
    struct hf_instance_facts f = {.wall_ms = NOW + 1};
    assert_true(hf_instance_follow(i, &f));
    assert_int_equal(i->status->state, STATE(UNKNOWN));
    f.contact = true; /* it attached, but has not reported yet */
    assert_false(hf_instance_follow(i, &f));
    assert_int_equal(i->status->state, STATE(UNKNOWN));
    assert_true(see(i, SEEN(RUNNING), NOW + 2, NULL, NULL));
    assert_int_equal(i->status->state, STATE(RUNNING));
    holdfast__v1__instance__free_unpacked(i, NULL);
}

/* What an end makes of power, and which run comes next. */
static void an_end_leaves_power_on_only_when_it_is_to_start_again(void **state)
{
    (void)state;
    static const struct {
        int power;
        bool never_stop, user_starts, user_restarts, guest, failed;
        uint32_t failures;
        int power_after;
    } cases[] = {
        {POWER(RUNNING), false, false, false, true, false, 0, POWER(STOPPED)},
        {POWER(RUNNING), true, false, false, true, false, 0, POWER(RUNNING)},
        {POWER(RUNNING), true, false, false, false, false, 0, POWER(RUNNING)},
        {POWER(RUNNING), true, false, false, false, true, 50, POWER(RUNNING)},
        {POWER(RUNNING), false, true, false, true, false, 0, POWER(STOPPED)},
        {POWER(RUNNING), false, true, false, false, true, 0, POWER(RUNNING)},
        {POWER(RUNNING), false, true, false, false, true, 1, POWER(RUNNING)},
        {POWER(RUNNING), false, true, false, false, true, 2, POWER(STOPPED)}, /* the third */
        {POWER(RUNNING), false, false, false, false, true, 0, POWER(STOPPED)},
        {POWER(RUNNING), false, true, true, false, false, 0, POWER(RUNNING)}, /* the stop before a start */
        {POWER(STOPPED), true, false, false, false, false, 0, POWER(STOPPED)},
        {POWER(STOPPED), true, false, false, true, false, 0, POWER(STOPPED)},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        Instance *i = placed();
        i->spec->power = (Holdfast__V1__PowerState)cases[k].power;
        i->status->start_failures = cases[k].failures;
        Holdfast__V1__InstanceReport like = HOLDFAST__V1__INSTANCE_REPORT__INIT;
        like.guest_initiated = cases[k].guest;
        like.failed = cases[k].failed;
        struct hf_instance_facts f = {.never_stop = cases[k].never_stop,
                                      .user_starts = cases[k].user_starts,
                                      .user_restarts = cases[k].user_restarts};
        assert_true(see(i, SEEN(STOPPED), NOW, &f, &like));
        if ((int)i->spec->power != cases[k].power_after)
            print_error("case %zu\n", k);
        assert_int_equal(i->spec->power, cases[k].power_after);
        assert_false(hf_placement_open(i->placement));
        assert_int_equal(i->placement->end->kind, HOLDFAST__V1__PLACEMENT__END__KIND__STOPPED);
        assert_true(i->placement->end->run == 1 && i->placement->end->epoch == 2);
        assert_string_equal(i->status->last_host_uuid, HOST);
        holdfast__v1__instance__free_unpacked(i, NULL);
    }
}

static Instance *ended(int n, int64_t every_ms, const struct hf_instance_facts *f)
{
    Instance *i = placed();
    Holdfast__V1__InstanceReport like = HOLDFAST__V1__INSTANCE_REPORT__INIT;
    like.message = "the guest powered off";
    like.guest_initiated = true;
    for (int k = 0; k < n; k++) {
        assert_int_equal(i->spec->power, POWER(RUNNING));
        if (k > 0)
            hf_instance_place(i, HOST, 2, NOW);
        assert_true(see(i, SEEN(STOPPED), NOW + k * every_ms, f, &like));
    }
    return i;
}

static void the_last_of_too_many_ends_holds_it(void **state)
{
    (void)state;
    struct hf_instance_facts f = {.never_stop = true, .crash_tries = 3, .crash_window_ms = 1000};
    Instance *i = ended(3, 400, &f);
    assert_int_equal(i->spec->power, POWER(STOPPED));
    assert_int_equal(i->status->state, STATE(STOPPED));
    assert_int_equal(i->status->crash_loop->held_since_ms, NOW + 800);
    assert_string_equal(
        hf_condition_message(i->status->conditions, i->status->n_conditions, HF_CONDITION_READY),
        "held: it ended 3 times within 1 s; the last time: the guest powered off; start it when the cause is "
        "gone");
    holdfast__v1__instance__free_unpacked(i, NULL);
    i = ended(6, 500, &f); /* never three within a second */
    assert_int_equal(i->spec->power, POWER(RUNNING));
    assert_int_equal(i->status->crash_loop->n_failed_at_ms, 2);
    holdfast__v1__instance__free_unpacked(i, NULL);
    Holdfast__V1__InstanceReport killed = HOLDFAST__V1__INSTANCE_REPORT__INIT;
    Holdfast__V1__InstanceReport__LostLease lost = HOLDFAST__V1__INSTANCE_REPORT__LOST_LEASE__INIT;
    killed.lost_lease = &lost;
    i = placed();
    for (int k = 0; k < 9; k++) { /* by its keeper: a lease was lost */
        assert_true(see(i, SEEN(STOPPED), NOW, &f, &killed));
        assert_int_equal(hf_start_pause_ms(i, NOW), 0);
        hf_instance_place(i, HOST, 2, NOW);
    }
    assert_int_equal(i->spec->power, POWER(RUNNING));
    holdfast__v1__instance__free_unpacked(i, NULL);
    Holdfast__V1__InstanceReport refused = HOLDFAST__V1__INSTANCE_REPORT__INIT;
    refused.client_refused = true;
    i = placed();
    for (int k = 0; k < 9;
         k++) { /* by its host: a cluster refuses its client. No crash, but it does not spin */
        assert_true(see(i, SEEN(STOPPED), NOW, &f, &refused));
        assert_int_equal(hf_start_pause_ms(i, NOW), hf_start_backoff_ms((uint32_t)k + 1));
        hf_instance_place(i, HOST, 2, NOW);
    }
    assert_int_equal(i->spec->power, POWER(RUNNING));
    holdfast__v1__instance__free_unpacked(i, NULL);
    f.crash_tries = 0;
    i = ended(9, 1, &f);
    assert_int_equal(i->spec->power, POWER(RUNNING));
    holdfast__v1__instance__free_unpacked(i, NULL);
}

static void back_off_grows_and_a_good_run_clears_it(void **state)
{
    (void)state;
    static const int64_t expected[] = {0, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    for (uint32_t n = 0; n < 9; n++)
        assert_int_equal(hf_start_backoff_ms(n), expected[n]);
    assert_int_equal(hf_start_backoff_ms(UINT32_MAX), 60000);

    Instance *i = placed();
    struct hf_instance_facts f = {.never_stop = true};
    i->status->start_failures = 5;
    see(i, SEEN(RUNNING), NOW, &f, NULL);
    see(i, SEEN(STOPPED), NOW + HF_RUN_GOOD_MS, &f, NULL);
    assert_int_equal(i->status->start_failures, 0);
    assert_true(i->status->retry_at_ms <= NOW + HF_RUN_GOOD_MS);
    hf_instance_place(i, HOST, 2, NOW);
    assert_int_equal(i->placement->run, 2);
    see(i, SEEN(RUNNING), NOW, &f, NULL);
    see(i, SEEN(STOPPED), NOW + HF_RUN_GOOD_MS - 1, &f, NULL);
    assert_int_equal(i->status->start_failures, 1);
    holdfast__v1__instance__free_unpacked(i, NULL);
}

/* A disk that fails stops the guest first (PAUSED), and its run is ended soon after. */
static void a_good_run_counts_though_it_ended_paused(void **state)
{
    (void)state;
    struct hf_instance_facts f = {.never_stop = true};
    Holdfast__V1__InstanceReport refused = HOLDFAST__V1__INSTANCE_REPORT__INIT;
    refused.client_refused = true;
    Instance *i = placed();
    i->status->start_failures = 5;
    see(i, SEEN(RUNNING), NOW, &f, NULL);
    see(i, SEEN(PAUSED), NOW + HF_RUN_GOOD_MS, &f, NULL);
    see(i, SEEN(STOPPED), NOW + HF_RUN_GOOD_MS + 1, &f, &refused);
    assert_int_equal(i->status->start_failures, 1);
    hf_instance_place(i, HOST, 2, NOW);
    see(i, SEEN(RUNNING), NOW, &f, NULL);
    see(i, SEEN(PAUSED), NOW + HF_RUN_GOOD_MS - 1, &f, NULL);
    see(i, SEEN(STOPPED), NOW + HF_RUN_GOOD_MS, &f, &refused);
    assert_int_equal(i->status->start_failures, 2);
    holdfast__v1__instance__free_unpacked(i, NULL);
}

static void a_wall_clock_that_jumps_holds_no_start_up(void **state)
{
    (void)state;
    Instance *i = placed();
    struct hf_instance_facts f = {.never_stop = true};
    see(i, SEEN(RUNNING), NOW, &f, NULL);
    see(i, SEEN(STOPPED), NOW, &f, NULL);
    assert_int_equal(hf_start_pause_ms(i, NOW), 1000);
    assert_int_equal(hf_start_pause_ms(i, NOW + 999), 1);
    assert_int_equal(hf_start_pause_ms(i, NOW + 1000), 0);
    assert_int_equal(hf_start_pause_ms(i, NOW - 1), 0); /* further away than it ever was */
    assert_int_equal(hf_start_pause_ms(i, NOW - 3600000), 0);
    assert_int_equal(hf_start_pause_ms(i, NOW + 3600000), 0);
    holdfast__v1__instance__free_unpacked(i, NULL);
}

static void the_pin_of_a_host_ends_with_its_start(void **state)
{
    (void)state;
    Instance *i = placed();
    hf_pb_set(&i->spec->host_uuid, HOST);
    see(i, SEEN(PREPARING), NOW, NULL, NULL);
    assert_string_equal(i->spec->host_uuid, HOST);
    see(i, SEEN(RUNNING), NOW, NULL, NULL);
    assert_string_equal(i->spec->host_uuid, "");
    hf_pb_set(&i->spec->host_uuid, HOST);
    hf_instance_fenced(i, "f", "its host was lost", true, NOW);
    assert_string_equal(i->spec->host_uuid, "");
    holdfast__v1__instance__free_unpacked(i, NULL);
}

static void a_sentence_is_said_again_for_a_new_start(void **state)
{
    (void)state;
    Instance *i = new_instance();
    assert_true(hf_instance_waits(i, HF_CONDITION_WAITING, "image", false, 0, NOW));
    assert_true(hf_instance_waits(i, HF_CONDITION_SCHEDULING, "no room", false, 0, NOW));
    assert_null(hf_condition_message(i->status->conditions, i->status->n_conditions, HF_CONDITION_WAITING));
    assert_false(hf_instance_waits(i, HF_CONDITION_SCHEDULING, "no room", false, 0, NOW + 5));
    assert_true(hf_instance_waits(i, HF_CONDITION_SCHEDULING, "no room", false, NOW + 6, NOW + 7));
    assert_int_equal(i->status->conditions[0]->since_ms, NOW + 7);
    assert_true(hf_instance_waits(i, HF_CONDITION_SCHEDULING, "no room", true, 0, NOW + 8));
    assert_int_equal(i->spec->power, POWER(STOPPED));
    holdfast__v1__instance__free_unpacked(i, NULL);
}

/* --- verdicts --- */

static enum hf_verdict_kind verdict(const Instance *i, const char *verb, uint64_t run, bool cancel,
                                    char text[HF_STEP_MAX])
{
    Holdfast__V1__Operation op = HOLDFAST__V1__OPERATION__INIT;
    struct hf_verdict v;
    op.verb = (char *)verb;
    op.target_run = run;
    op.target_name = "vm";
    op.cancel_requested = cancel;
    op.started_at_ms = NOW;
    hf_verdict_of(&op, i != NULL ? &i->base : NULL, "host-1", &v);
    if (text != NULL)
        snprintf(text, HF_STEP_MAX, "%s", v.text);
    return v.kind;
}

static void operations_end_when_their_instance_is_there(void **state)
{
    (void)state;
    char text[HF_STEP_MAX];
    Instance *i = new_instance();
    assert_int_equal(verdict(i, "CreateInstance", 1, false, text), HF_VERDICT_RUNNING);
    assert_string_equal(text, "looks for a host");
    hf_instance_place(i, HOST, 2, NOW);
    assert_int_equal(verdict(i, "CreateInstance", 1, false, text), HF_VERDICT_RUNNING);
    assert_string_equal(text, "starts on host 'host-1'");
    assert_int_equal(verdict(i, "StopInstance", 0, false, NULL),
                     HF_VERDICT_FAILED); /* power is on: another order */
    see(i, SEEN(RUNNING), NOW, NULL, NULL);
    assert_int_equal(verdict(i, "CreateInstance", 1, false, NULL), HF_VERDICT_SUCCEEDED);
    assert_int_equal(verdict(i, "CreateInstance", 1, true, NULL),
                     HF_VERDICT_SUCCEEDED); /* too late to cancel */
    assert_int_equal(verdict(i, "StartInstance", 2, false, NULL),
                     HF_VERDICT_RUNNING); /* it waits for another run */
    assert_int_equal(verdict(i, "ResumeInstance", 0, false, NULL), HF_VERDICT_SUCCEEDED);
    assert_int_equal(verdict(i, "PauseInstance", 0, false, NULL), HF_VERDICT_FAILED);
    assert_int_equal(verdict(i, "RebootInstance", 1, false, NULL), HF_VERDICT_RUNNING);
    i->status->reboot_done = 1;
    assert_int_equal(verdict(i, "RebootInstance", 1, false, NULL), HF_VERDICT_SUCCEEDED);
    i->spec->power = POWER(STOPPED);
    assert_int_equal(verdict(i, "StopInstance", 0, false, NULL), HF_VERDICT_RUNNING);
    assert_int_equal(verdict(i, "StopInstance", 0, true, text), HF_VERDICT_RUNNING);
    assert_non_null(strstr(text, "cannot be taken back"));
    see(i, SEEN(STOPPED), NOW, NULL, NULL);
    assert_int_equal(verdict(i, "StopInstance", 0, false, NULL), HF_VERDICT_SUCCEEDED);
    assert_int_equal(verdict(i, "RebootInstance", 9, false, NULL), HF_VERDICT_FAILED);
    assert_int_equal(verdict(i, "StartInstance", 2, false, NULL), HF_VERDICT_FAILED);
    holdfast__v1__instance__free_unpacked(i, NULL);
}

static void a_target_that_is_gone_ends_its_operations(void **state)
{
    (void)state;
    assert_int_equal(verdict(NULL, "DeleteInstance", 0, false, NULL), HF_VERDICT_SUCCEEDED);
    assert_int_equal(verdict(NULL, "StartInstance", 1, false, NULL), HF_VERDICT_FAILED);
    Instance *i = placed();
    assert_int_equal(verdict(i, "DeleteInstance", 0, false, NULL), HF_VERDICT_RUNNING);
    assert_int_equal(verdict(i, "FlyInstance", 0, false, NULL), HF_VERDICT_FAILED);
    holdfast__v1__instance__free_unpacked(i, NULL);
}

static void a_start_that_is_cancelled_is_taken_back(void **state)
{
    (void)state;
    Instance *i = new_instance();
    assert_int_equal(verdict(i, "StartInstance", 1, true, NULL), HF_VERDICT_CANCELLED);
    hf_instance_place(i, HOST, 2, NOW);
    assert_int_equal(verdict(i, "StartInstance", 1, true, NULL), HF_VERDICT_CANCELLED);
    holdfast__v1__instance__free_unpacked(i, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_is_taken_once),
        cmocka_unit_test(what_keeps_a_guest_paused_is_told),
        cmocka_unit_test(lost_contact_hides_the_state_and_contact_alone_does_not_bring_it_back),
        cmocka_unit_test(an_end_leaves_power_on_only_when_it_is_to_start_again),
        cmocka_unit_test(the_last_of_too_many_ends_holds_it),
        cmocka_unit_test(back_off_grows_and_a_good_run_clears_it),
        cmocka_unit_test(a_good_run_counts_though_it_ended_paused),
        cmocka_unit_test(a_wall_clock_that_jumps_holds_no_start_up),
        cmocka_unit_test(the_pin_of_a_host_ends_with_its_start),
        cmocka_unit_test(a_sentence_is_said_again_for_a_new_start),
        cmocka_unit_test(operations_end_when_their_instance_is_there),
        cmocka_unit_test(a_target_that_is_gone_ends_its_operations),
        cmocka_unit_test(a_start_that_is_cancelled_is_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
