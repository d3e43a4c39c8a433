/* What HA tells afterwards, through the API: timelines, recovery times, drills; with controllers and scripted
 * hosts. */
#include "control/api_testing.h"
#include "ha/ha_timing.h"

#define STATE(name) HOLDFAST__V1__INSTANCE_STATUS__STATE__##name
#define HOSTS       3

static int setup(void **state)
{
    *state = world_create(HOSTS);
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

/* Instance n, NeverStop, runs; returns on which host. */
static unsigned running(struct api_world *w, unsigned n)
{
    cloud_create_instance(w->cloud, n, true);
    assert_true(wait_state(w->cloud, n, STATE(RUNNING), 5000));
    return (unsigned)instance_host(w->cloud, n);
}

static void lose(struct api_world *w, unsigned n, unsigned host)
{
    uint64_t run = instance_run(w->cloud, n);
    host_power_off(&w->cloud->hosts[host]);
    cloud_run(w->cloud, 30000);
    assert_int_equal(instance_run(w->cloud, n), run + 1);
    assert_int_equal(instance_state(w->cloud, n), STATE(RUNNING));
    cloud_run(w->cloud, 1000);
}

static enum hf_code get_timeline(struct api_world *w, unsigned n, uint64_t run, struct answer *a)
{
    char uuid[HF_UUID_STR];
    Holdfast__V1__GetTimelineRequest r = HOLDFAST__V1__GET_TIMELINE_REQUEST__INIT;
    instance_uuid(n, uuid);
    r.instance_uuid = uuid;
    r.run = run;
    return call_leader(w, "Ha", "GetTimeline", &r.base, a);
}

static void the_story_of_an_instance_is_one(void **state)
{
    struct api_world *w = *state;
    struct answer a;
    unsigned first = running(w, 1);
    lose(w, 1, first);
    assert_int_equal(get_timeline(w, 1, 0, &a), HF_OK);
    const Holdfast__V1__Timeline *t = (const Holdfast__V1__Timeline *)a.last;
    assert_true(t->run_before == 1 && t->run_after == 2);
    assert_string_equal(t->outcome, "restarted");
    for (size_t i = 1; i < t->n_events; i++)
        assert_true(t->events[i - 1]->at_ms <= t->events[i]->at_ms);
    bool heard = false; /* what the fence knows is in it, and the end is the instance's */
    for (size_t i = 0; i < t->n_events; i++)
        heard |= strstr(t->events[i]->what, "heard the last of") != NULL;
    assert_true(heard);
    assert_string_equal(t->events[t->n_events - 1]->what, "run 2 runs");
    answer_done(&a);
}

static void the_last_loss_or_the_one_of_a_run(void **state)
{
    struct api_world *w = *state;
    struct answer a;
    unsigned first = running(w, 1);
    lose(w, 1, first);
    host_power_on(&w->cloud->hosts[first]);
    cloud_run(w->cloud, 5000);
    lose(w, 1, (unsigned)instance_host(w->cloud, 1));
    assert_int_equal(get_timeline(w, 1, 0, &a), HF_OK);
    assert_int_equal(((const Holdfast__V1__Timeline *)a.last)->run_before, 2);
    answer_done(&a);
    assert_int_equal(get_timeline(w, 1, 1, &a), HF_OK);
    assert_int_equal(((const Holdfast__V1__Timeline *)a.last)->run_before, 1);
    answer_done(&a);
    get_timeline(w, 1, 9, &a);
    assert_says(&a, HF_NOT_FOUND, "in this run");
}

static void who_was_never_lost_has_no_story(void **state)
{
    struct api_world *w = *state;
    struct answer a;
    running(w, 1);
    get_timeline(w, 1, 0, &a);
    assert_says(&a, HF_NOT_FOUND, "never been lost");
    Holdfast__V1__GetTimelineRequest nobody = HOLDFAST__V1__GET_TIMELINE_REQUEST__INIT;
    call_leader(w, "Ha", "GetTimeline", &nobody.base, &a);
    assert_says(&a, HF_NOT_FOUND, "never been lost");
}

static void times_are_counted_from_the_last_message(void **state)
{
    struct api_world *w = *state;
    struct answer a;
    Holdfast__V1__GetRecoveryTimesRequest r = HOLDFAST__V1__GET_RECOVERY_TIMES_REQUEST__INIT;
    const struct hf_ha_timing *t = hf_ha_timing_find("default");
    assert_int_equal(call_leader(w, "Ha", "GetRecoveryTimes", &r.base, &a), HF_OK);
    assert_int_equal(((const Holdfast__V1__RecoveryTimes *)a.last)->n_rows, 0);
    answer_done(&a);
    unsigned first = running(w, 1);
    lose(w, 1, first);
    assert_int_equal(call_leader(w, "Ha", "GetRecoveryTimes", &r.base, &a), HF_OK);
    const Holdfast__V1__RecoveryTimes *times = (const Holdfast__V1__RecoveryTimes *)a.last;
    assert_int_equal(times->n_rows, 1);
    assert_string_equal(times->rows[0]->profile, "default");
    assert_string_equal(times->rows[0]->evidence, "silence");
    assert_int_equal(times->rows[0]->n, 1);
    assert_true(times->rows[0]->max_ms >= t->silence_ms - t->renew_ms &&
                times->rows[0]->max_ms <= t->takeover_ms + START_MS + 1000);
    answer_done(&a);
}

static void a_drill_through_the_api(void **state)
{
    struct api_world *w = *state;
    struct answer a, got;
    unsigned first = running(w, 1);
    Holdfast__V1__DrillHostRequest r = HOLDFAST__V1__DRILL_HOST_REQUEST__INIT;
    r.request_id = "once";
    r.host_uuid = w->cloud->hosts[first].uuid;
    assert_int_equal(call_leader(w, "Ha", "DrillHost", &r.base, &a), HF_OK);
    assert_int_equal(((const Holdfast__V1__Drill *)a.last)->state, HOLDFAST__V1__DRILL__STATE__RUNNING);
    assert_int_equal(call_leader(w, "Ha", "DrillHost", &r.base, &got), HF_OK); /* repeated: the same drill */
    assert_string_equal(uuid_of(&a), uuid_of(&got));
    answer_done(&got);
    cloud_run(w->cloud, 15000);

    Holdfast__V1__GetRequest get = HOLDFAST__V1__GET_REQUEST__INIT;
    get.uuid = (char *)uuid_of(&a);
    assert_int_equal(call_leader(w, "Ha", "GetDrill", &get.base, &got), HF_OK);
    const Holdfast__V1__Drill *d = (const Holdfast__V1__Drill *)got.last;
    assert_int_equal(d->state, HOLDFAST__V1__DRILL__STATE__DONE);
    assert_int_equal(d->n_instances, 1);
    assert_int_not_equal(instance_host(w->cloud, 1), (int)first);
    answer_done(&a);
    answer_done(&got);

    r.request_id = "again";
    r.host_uuid = "0123456789abcdef0123456789abcdef";
    call_leader(w, "Ha", "DrillHost", &r.base, &a);
    assert_says(&a, HF_NOT_FOUND, "there is no host");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_story_of_an_instance_is_one, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_loss_or_the_one_of_a_run, setup, teardown),
        cmocka_unit_test_setup_teardown(who_was_never_lost_has_no_story, setup, teardown),
        cmocka_unit_test_setup_teardown(times_are_counted_from_the_last_message, setup, teardown),
        cmocka_unit_test_setup_teardown(a_drill_through_the_api, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
