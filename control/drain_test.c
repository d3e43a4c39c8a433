/* Drained, maintained and shut down hosts through the API, with controllers and scripted hosts in virtual
 * time. */
#include "control/api_testing.h"
#include "control/operation_verdict.h"
#include "control/drain_record.h"
#include "control/fence_object.h"

#define STATE(name)     HOLDFAST__V1__INSTANCE_STATUS__STATE__##name
#define HOST(name)      HOLDFAST__V1__HOST_STATUS__STATE__##name
#define OPERATION(name) HOLDFAST__V1__OPERATION__STATE__##name
#define KIND(name)      HOLDFAST__V1__KIND__##name

typedef Holdfast__V1__Host Host;
typedef Holdfast__V1__Operation Operation;

#define VMS 4 /* vm-1, vm-2 NeverStop, vm-3, vm-4 not; all on host-1 at first */

static bool on_host(struct cloud *c, unsigned n, int host)
{
    return instance_host(c, n) == host && instance_state(c, n) == STATE(RUNNING);
}

static int setup(void **state)
{
    struct api_world *w = world_create(3);
    struct cloud *c = w->cloud;
    struct answer a;
    Holdfast__V1__HostVerbRequest r = HOLDFAST__V1__HOST_VERB_REQUEST__INIT;
    for (unsigned h = 1; h < 3; h++) {
        r.uuid = c->hosts[h].uuid;
        assert_int_equal(call_leader(w, "Host", "DisableHost", &r.base, &a), HF_OK);
        answer_done(&a);
    }
    for (unsigned n = 1; n <= VMS; n++)
        cloud_create_instance(c, n, n <= 2);
    for (unsigned n = 1; n <= VMS; n++)
        assert_true(wait_state(c, n, STATE(RUNNING), 10000));
    for (unsigned h = 1; h < 3; h++) {
        r.uuid = c->hosts[h].uuid;
        assert_int_equal(call_leader(w, "Host", "EnableHost", &r.base, &a), HF_OK);
        answer_done(&a);
    }
    for (unsigned n = 1; n <= VMS; n++)
        assert_true(on_host(c, n, 0));
    *state = w;
    return 0;
}

/* No guest of host-1 can move: no other host runs guests the way it does. */
static int setup_fixed(void **state)
{
    setup(state);
    struct cloud *c = ((struct api_world *)*state)->cloud;
    c->hosts[0].accelerator = "kvm";
    host_drop_stream(&c->hosts[0]);
    cloud_run(c, 2000);
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

/* --- calls and looks --- */

static void order(struct api_world *w, const char *method, unsigned host, int policy,
                  char operation[HF_UUID_STR])
{
    struct answer a;
    Holdfast__V1__DrainHostRequest r = HOLDFAST__V1__DRAIN_HOST_REQUEST__INIT;
    r.uuid = w->cloud->hosts[host].uuid;
    r.policy = (Holdfast__V1__HostSpec__Drain__Policy)policy;
    if (call_leader(w, "Host", method, &r.base, &a) != HF_OK)
        fail_msg("%s", a.sentence);
    snprintf(operation, HF_UUID_STR, "%s", uuid_of(&a));
    answer_done(&a);
}

static void cancel(struct api_world *w, const char *operation)
{
    struct answer a;
    Holdfast__V1__CancelOperationRequest r = HOLDFAST__V1__CANCEL_OPERATION_REQUEST__INIT;
    r.uuid = (char *)operation;
    assert_int_equal(call_leader(w, "Operation", "CancelOperation", &r.base, &a), HF_OK);
    answer_done(&a);
}

static Operation *operation(struct api_world *w, const char *uuid)
{
    return cloud_get(w->cloud, KIND(OPERATION), uuid);
}

/* Waits for its end, at most ms; its state then. ret_text (may be NULL) gets the error, or the step. */
static int end_of(struct api_world *w, const char *uuid, int64_t ms, char ret_text[HF_STEP_MAX])
{
    for (;; ms -= 100) {
        Operation *op = operation(w, uuid);
        assert_non_null(op);
        int state = (int)op->state;
        if (ret_text != NULL)
            snprintf(ret_text, HF_STEP_MAX, "%s",
                     op->error_message[0] != '\0' ? op->error_message : op->step);
        free_message(op);
        if (state != OPERATION(RUNNING) || ms <= 0)
            return state;
        cloud_run(w->cloud, 100);
    }
}

static int duty(struct api_world *w, unsigned host)
{
    Host *h = cloud_get(w->cloud, KIND(HOST), w->cloud->hosts[host].uuid);
    int d = (int)h->status->duty;
    free_message(h);
    return d;
}

static bool serves(struct api_world *w, unsigned host)
{
    Host *h = cloud_get(w->cloud, KIND(HOST), w->cloud->hosts[host].uuid);
    bool yes = h->spec->drain == NULL && h->status->duty == HF_DUTY(DUTY_UNSPECIFIED);
    free_message(h);
    return yes;
}

static enum hf_code undrain(struct api_world *w, unsigned host, bool start_stopped)
{
    struct answer a;
    Holdfast__V1__UndrainHostRequest r = HOLDFAST__V1__UNDRAIN_HOST_REQUEST__INIT;
    r.uuid = w->cloud->hosts[host].uuid;
    r.start_stopped = start_stopped;
    enum hf_code code = call_leader(w, "Host", "UndrainHost", &r.base, &a);
    answer_done(&a);
    assert_true(code != HF_OK || serves(w, host)); /* whoever is answered sees it at once */
    return code;
}

static bool condition(struct api_world *w, unsigned host, const char *type)
{
    Host *h = cloud_get(w->cloud, KIND(HOST), w->cloud->hosts[host].uuid);
    bool there = false;
    for (size_t i = 0; i < h->status->n_conditions; i++)
        there |= strcmp(h->status->conditions[i]->type, type) == 0;
    free_message(h);
    return there;
}

/* --- drain --- */

static void a_drain_that_would_stop_something_is_refused(void **state)
{
    struct api_world *w = *state;
    char op[HF_UUID_STR], text[HF_STEP_MAX];
    order(w, "DrainHost", 0, 0, op);
    assert_int_equal(end_of(w, op, 9000, text), OPERATION(FAILED));
    assert_non_null(strstr(text, "drain host 'host-1': vm-1 cannot leave running: "));
    assert_non_null(strstr(text, "it serves again"));
    cloud_run(w->cloud, 2000);
    assert_true(serves(w, 0));
    for (unsigned n = 1; n <= VMS; n++)
        assert_true(on_host(w->cloud, n, 0));
}

static void by_stop_never_stop_ones_move_and_the_others_stay_down(void **state)
{
    struct api_world *w = *state;
    struct cloud *c = w->cloud;
    char op[HF_UUID_STR];
    order(w, "DrainHost", 0, HF_DRAIN_BY(STOP), op);
    assert_int_equal(end_of(w, op, 20000, NULL), OPERATION(SUCCEEDED));
    assert_int_equal(duty(w, 0), HF_DUTY(DRAINED));
    for (unsigned n = 1; n <= 2; n++) {
        assert_true(wait_state(c, n, STATE(RUNNING), 5000));
        assert_int_not_equal(instance_host(c, n), 0);
        assert_int_equal(instance_run(c, n), 2);
    }
    for (unsigned n = 3; n <= VMS; n++) {
        assert_int_equal(instance_state(c, n), STATE(STOPPED));
        assert_true(instance_says(c, n, "stopped to empty its host"));
    }
    /* It takes nothing new. */
    cloud_create_instance(c, 5, true);
    assert_true(wait_state(c, 5, STATE(RUNNING), 5000));
    assert_int_not_equal(instance_host(c, 5), 0);
    assert_int_equal(undrain(w, 0, true), HF_OK);
    assert_int_equal(undrain(w, 0, true), HF_PRECONDITION);
    for (unsigned n = 3; n <= VMS; n++)
        assert_true(wait_state(c, n, STATE(RUNNING), 5000));
    cloud_run(c, 1000);
    assert_true(serves(w, 0));
    assert_false(is_fenced(c, 0, 1));
}

static void it_tells_how_far_it_is(void **state)
{
    struct api_world *w = *state;
    char op[HF_UUID_STR], text[HF_STEP_MAX];
    w->cloud->hosts[0].hold_stops = true;
    order(w, "DrainHost", 0, HF_DRAIN_BY(STOP), op);
    assert_int_equal(end_of(w, op, 7000, text), OPERATION(RUNNING));
    assert_string_equal(text,
                        "0 of 4 have left; vm-1 stops and starts elsewhere; vm-2 stops and starts elsewhere; "
                        "vm-3 stops; vm-4 stops");
    assert_int_equal(duty(w, 0), HF_DUTY(DRAINING));
    assert_true(condition(w, 0, "Drain"));
    assert_int_equal(instance_state(w->cloud, 3), STATE(RUNNING)); /* its power is still wanted */
    w->cloud->hosts[0].hold_stops = false;
    assert_int_equal(end_of(w, op, 20000, text), OPERATION(SUCCEEDED));
    cloud_run(w->cloud, 1000);
    assert_false(condition(w, 0, "Drain"));
}

/* What has moved stays away, what has begun goes on, the rest is left alone. */
static void cancelled_it_is_taken_back(void **state)
{
    struct api_world *w = *state;
    struct cloud *c = w->cloud;
    char op[HF_UUID_STR];
    cloud_set_setting(c, "host.drainParallel", "1");
    c->hosts[0].hold_stops = true;
    order(w, "DrainHost", 0, HF_DRAIN_BY(STOP), op);
    cloud_run(c, 7000);
    cancel(w, op);
    assert_int_equal(end_of(w, op, 2000, NULL), OPERATION(CANCELLED));
    assert_int_equal(duty(w, 0), HF_DUTY(DUTY_UNSPECIFIED));
    c->hosts[0].hold_stops = false;
    cloud_run(c, 5000);
    assert_true(serves(w, 0));
    assert_int_equal(instance_run(c, 1), 2); /* it had its turn */
    assert_true(on_host(c, 2, 0));           /* it had not */
    assert_int_equal(instance_run(c, 2), 1);
    assert_int_equal(instance_state(c, 3), STATE(STOPPED));
}

static void taken_back_with_start_those_that_still_stop_run_again(void **state)
{
    struct api_world *w = *state;
    struct cloud *c = w->cloud;
    char op[HF_UUID_STR];
    c->hosts[0].hold_stops = true;
    order(w, "DrainHost", 0, HF_DRAIN_BY(STOP), op);
    cloud_run(c, 7000);
    assert_int_equal(undrain(w, 0, true), HF_OK);
    assert_int_equal(end_of(w, op, 2000, NULL), OPERATION(CANCELLED));
    c->hosts[0].hold_stops = false;
    for (unsigned n = 1; n <= VMS; n++) {
        cloud_run(c, 2000);
        assert_true(wait_state(c, n, STATE(RUNNING), 10000));
        assert_int_equal(instance_run(c, n), 2);
    }
    assert_true(serves(w, 0));
}

static void a_new_leader_goes_on(void **state)
{
    struct api_world *w = *state;
    struct cloud *c = w->cloud;
    char op[HF_UUID_STR];
    cloud_set_setting(c, "host.drainParallel", "1");
    c->hosts[0].hold_stops = true;
    order(w, "DrainHost", 0, HF_DRAIN_BY(STOP), op);
    cloud_run(c, 6000);
    cloud_new_leader(c);
    cloud_run(c, 3000);
    c->hosts[0].hold_stops = false;
    cloud_run(c, 500);
    cloud_new_leader(c);
    assert_int_equal(end_of(w, op, 30000, NULL), OPERATION(SUCCEEDED));
    for (unsigned n = 1; n <= 2; n++)
        assert_true(wait_state(c, n, STATE(RUNNING), 10000));
    for (unsigned n = 1; n <= 2; n++)
        assert_int_equal(instance_run(c, n), 2);
    assert_int_equal(instance_state(c, 3), STATE(STOPPED));
    assert_int_equal(undrain(w, 0, true), HF_OK); /* what was stopped is known to this leader, too */
    assert_true(wait_state(c, 3, STATE(RUNNING), 5000));
}

/* The failover goes on as usual, and the drain with it. */
static void a_host_that_dies_while_it_is_drained(void **state)
{
    struct api_world *w = *state;
    struct cloud *c = w->cloud;
    char op[HF_UUID_STR], text[HF_STEP_MAX];
    c->hosts[0].hold_stops = true;
    order(w, "EnterMaintenance", 0, HF_DRAIN_BY(STOP), op);
    cloud_run(c, 7000);
    host_power_off(&c->hosts[0]);
    assert_int_equal(end_of(w, op, 15000, text), OPERATION(RUNNING));
    assert_non_null(strstr(text, "HA decides about it"));
    for (unsigned n = 1; n <= 2; n++) {
        assert_true(wait_state(c, n, STATE(RUNNING), 40000));
        assert_int_not_equal(instance_host(c, n), 0);
    }
    assert_true(is_fenced(c, 0, 1));
    assert_int_equal(end_of(w, op, 5000, NULL), OPERATION(SUCCEEDED));
    assert_int_equal(duty(w, 0), HF_DUTY(MAINTENANCE));
}

static void waiting_it_ends_when_they_end(void **state)
{
    struct api_world *w = *state;
    struct cloud *c = w->cloud;
    char op[HF_UUID_STR], text[HF_STEP_MAX];
    order(w, "DrainHost", 0, HF_DRAIN_BY(WAIT), op);
    assert_int_equal(end_of(w, op, 9000, text), OPERATION(RUNNING));
    assert_non_null(strstr(text, "vm-1 waits: "));
    for (unsigned n = 1; n <= VMS; n++) {
        assert_true(on_host(c, n, 0));
        cloud_set_power(c, n, HOLDFAST__V1__POWER_STATE__POWER_STOPPED, NULL);
    }
    assert_int_equal(end_of(w, op, 5000, NULL), OPERATION(SUCCEEDED));
    assert_int_equal(undrain(w, 0, true), HF_OK);
    cloud_run(c, 3000);
    for (unsigned n = 1; n <= VMS; n++) /* a person stopped them, not the drain */
        assert_int_equal(instance_state(c, n), STATE(STOPPED));
}

static void another_order_takes_the_place_of_the_first(void **state)
{
    struct api_world *w = *state;
    char first[HF_UUID_STR], second[HF_UUID_STR], text[HF_STEP_MAX];
    order(w, "DrainHost", 0, HF_DRAIN_BY(WAIT), first);
    cloud_run(w->cloud, 1000);
    order(w, "EnterMaintenance", 0, HF_DRAIN_BY(STOP), second);
    assert_int_equal(end_of(w, first, 2000, text), OPERATION(FAILED));
    assert_non_null(strstr(text, "another order took its place"));
    assert_int_equal(end_of(w, second, 20000, NULL), OPERATION(SUCCEEDED));
    assert_int_equal(duty(w, 0), HF_DUTY(MAINTENANCE));
}

/* --- those that move --- */

static size_t moving(struct cloud *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->hosts[0].n_runs; i++)
        n += c->hosts[0].runs[i].live && c->hosts[0].runs[i].move == MOVE_MOVING;
    return n;
}

static unsigned starts(const struct cloud *c)
{
    unsigned n = 0;
    for (unsigned h = 0; h < c->n_hosts; h++)
        n += c->hosts[h].starts;
    return n;
}

static void what_can_move_moves_and_nothing_stops(void **state)
{
    struct api_world *w = *state;
    struct cloud *c = w->cloud;
    char op[HF_UUID_STR], text[HF_STEP_MAX];
    unsigned before = starts(c);
    c->hosts[0].hold_moves = true;
    order(w, "DrainHost", 0, 0, op);
    assert_int_equal(end_of(w, op, 3000, text), OPERATION(RUNNING));
    assert_int_equal(moving(c), 2); /* host.drainParallel */
    assert_string_equal(text, "0 of 4 have left; vm-1 moves to host-2; vm-2 moves to host-3");
    c->hosts[0].hold_moves = false;
    assert_int_equal(end_of(w, op, 20000, NULL), OPERATION(SUCCEEDED));
    assert_int_equal(duty(w, 0), HF_DUTY(DRAINED));
    for (unsigned n = 1; n <= VMS; n++) {
        assert_int_equal(instance_state(c, n), STATE(RUNNING));
        assert_int_not_equal(instance_host(c, n), 0);
    }
    assert_int_equal(starts(c), before); /* no guest began anew */
}

static void cancelled_what_moves_arrives(void **state)
{
    struct api_world *w = *state;
    struct cloud *c = w->cloud;
    char op[HF_UUID_STR];
    c->hosts[0].hold_moves = true;
    order(w, "DrainHost", 0, 0, op);
    cloud_run(c, 3000);
    cancel(w, op);
    assert_int_equal(end_of(w, op, 2000, NULL), OPERATION(CANCELLED));
    c->hosts[0].hold_moves = false;
    cloud_run(c, 5000);
    assert_true(serves(w, 0));
    assert_true(instance_host(c, 1) > 0 && instance_host(c, 2) > 0);
    assert_true(on_host(c, 3, 0) && on_host(c, 4, 0));
}

static void a_new_leader_goes_on_moving(void **state)
{
    struct api_world *w = *state;
    struct cloud *c = w->cloud;
    char op[HF_UUID_STR];
    unsigned before = starts(c);
    c->hosts[0].hold_moves = true;
    order(w, "EnterMaintenance", 0, 0, op);
    cloud_run(c, 1500);
    cloud_new_leader(c);
    cloud_run(c, 3000);
    c->hosts[0].hold_moves = false;
    assert_int_equal(end_of(w, op, 30000, NULL), OPERATION(SUCCEEDED));
    assert_int_equal(duty(w, 0), HF_DUTY(MAINTENANCE));
    assert_int_equal(starts(c), before);
}

static void one_that_fails_to_move_again_and_again(void **state)
{
    struct api_world *w = *state;
    struct cloud *c = w->cloud;
    char op[HF_UUID_STR], text[HF_STEP_MAX];
    c->hosts[0].move_fails = true;
    order(w, "DrainHost", 0, 0, op);
    assert_int_equal(end_of(w, op, 8000, text), OPERATION(RUNNING));
    assert_non_null(strstr(text, "waits a moment"));
    assert_int_equal(end_of(w, op, 90000, text), OPERATION(FAILED)); /* three times, with a pause */
    assert_non_null(strstr(text, "cannot leave running: libvirt: the target did not take it"));
    assert_true(serves(w, 0));
    for (unsigned n = 1; n <= VMS; n++)
        assert_true(on_host(c, n, 0));
    order(w, "DrainHost", 0, HF_DRAIN_BY(STOP), op); /* tried anew, then stopped */
    assert_int_equal(end_of(w, op, 120000, NULL), OPERATION(SUCCEEDED));
    assert_int_equal(instance_state(c, 4), STATE(STOPPED));
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
}

/* All of them, not each: two hosts with room for one each do not take four. */
static void without_room_for_all_it_is_refused_at_once(void **state)
{
    struct api_world *w = *state;
    struct cloud *c = w->cloud;
    char op[HF_UUID_STR], text[HF_STEP_MAX];
    for (unsigned h = 1; h < 3; h++) {
        c->hosts[h].memory_bytes = 4 * GIB; /* one of 2 GiB beside the reserve */
        host_drop_stream(&c->hosts[h]);
    }
    cloud_run(c, 2000);
    order(w, "DrainHost", 0, 0, op);
    assert_int_equal(end_of(w, op, 8000, text), OPERATION(FAILED));
    assert_non_null(strstr(text, "vm-3 cannot leave running: "));
    assert_null(strstr(text, "vm-1 cannot"));
    for (unsigned n = 1; n <= VMS; n++)
        assert_true(on_host(c, n, 0));
    order(w, "DrainHost", 0, HF_DRAIN_BY(WAIT), op);
    assert_int_equal(end_of(w, op, 10000, text), OPERATION(RUNNING));
    assert_non_null(strstr(text, "2 of 4 have left; vm-3 waits: "));
    c->hosts[1].memory_bytes = 9 * GIB;
    host_drop_stream(&c->hosts[1]);
    assert_int_equal(end_of(w, op, 20000, NULL), OPERATION(SUCCEEDED));
}

/* Its migration was open when its target was taken out of service. */
static void one_that_is_on_its_way_here_leaves_when_it_has_arrived(void **state)
{
    struct api_world *w = *state;
    struct cloud *c = w->cloud;
    char first[HF_UUID_STR], second[HF_UUID_STR], text[HF_STEP_MAX];
    c->hosts[0].hold_moves = true;
    order(w, "DrainHost", 0, 0, first);
    cloud_run(c, 2000);
    order(w, "EnterMaintenance", 1, 0, second);
    assert_int_equal(end_of(w, second, 3000, text), OPERATION(RUNNING));
    assert_non_null(strstr(text, "is still being migrated to it"));
    c->hosts[0].hold_moves = false;
    assert_int_equal(end_of(w, first, 30000, NULL), OPERATION(SUCCEEDED));
    assert_int_equal(end_of(w, second, 30000, NULL), OPERATION(SUCCEEDED));
    for (unsigned n = 1; n <= VMS; n++)
        assert_true(on_host(c, n, 2));
}

/* --- maintenance --- */

static void in_maintenance_its_silence_is_no_incident(void **state)
{
    struct api_world *w = *state;
    struct cloud *c = w->cloud;
    char op[HF_UUID_STR];
    order(w, "EnterMaintenance", 0, HF_DRAIN_BY(STOP), op);
    assert_int_equal(end_of(w, op, 20000, NULL), OPERATION(SUCCEEDED));
    cloud_run(c, 5000);
    host_power_off(&c->hosts[0]);
    cloud_run(c, 120000);
    assert_false(is_fenced(c, 0, 1));
    assert_false(condition(w, 0, "HA"));
    assert_int_equal(host_state(c, 0), HOST(DISCONNECTED));
    assert_int_equal(duty(w, 0), HF_DUTY(MAINTENANCE));
    assert_int_equal(count_kind(c, KIND(FAILOVER)), 0);
    /* It does not count among those lost at once: the next one that is lost is one of two. */
    host_power_off(&c->hosts[1]);
    cloud_run(c, 40000);
    assert_true(is_fenced(c, 1, 1));
    host_power_on(&c->hosts[0]);
    cloud_run(c, 5000);
    assert_int_equal(host_epoch(c, 0), 2);
    assert_int_equal(duty(w, 0), HF_DUTY(MAINTENANCE));
    assert_int_equal(undrain(w, 0, false), HF_OK);
    cloud_run(c, 1000);
    assert_true(serves(w, 0));
    assert_int_equal(instance_state(c, 3), STATE(STOPPED)); /* not asked to start again */
}

/* A drained host is one that should be up. */
static void a_drained_host_that_falls_silent_is_fenced(void **state)
{
    struct api_world *w = *state;
    char op[HF_UUID_STR];
    order(w, "DrainHost", 0, HF_DRAIN_BY(STOP), op);
    assert_int_equal(end_of(w, op, 20000, NULL), OPERATION(SUCCEEDED));
    host_power_off(&w->cloud->hosts[0]);
    cloud_run(w->cloud, 60000);
    assert_true(is_fenced(w->cloud, 0, 1));
}

/* --- shutdown --- */

static void assert_closed_by_its_own_word(struct cloud *c)
{
    Holdfast__V1__Fence *f = hf_fence_find(leader_store(c), c->hosts[0].uuid, 1);
    assert_non_null(f);
    assert_string_equal(f->reason, "the host was shut down in order");
    assert_int_equal(f->n_evidence, 1);
    assert_int_equal(f->evidence[0]->kind, HOLDFAST__V1__EVIDENCE__KIND__CLOSED_AND_KILLED);
    free_message(&f->base);
    assert_int_equal(count_kind(c, KIND(FAILOVER)), 0);
}

static void shut_down_it_hands_over_and_says_goodbye(void **state)
{
    struct api_world *w = *state;
    struct cloud *c = w->cloud;
    char op[HF_UUID_STR];
    order(w, "ShutDownHost", 0, HF_DRAIN_BY(STOP), op);
    assert_int_equal(end_of(w, op, 20000, NULL), OPERATION(SUCCEEDED));
    cloud_run(c, 2000);
    assert_false(c->hosts[0].up);
    assert_int_equal(c->hosts[0].shut_downs, 1);
    assert_int_equal(duty(w, 0), HF_DUTY(SHUT_DOWN));
    cloud_run(c, 60000);
    assert_closed_by_its_own_word(c);
    assert_false(condition(w, 0, "HA"));
    for (unsigned n = 1; n <= 2; n++)
        assert_true(instance_host(c, n) > 0);
    host_power_on(&c->hosts[0]);
    cloud_run(c, 5000);
    assert_int_equal(host_epoch(c, 0), 2);
    assert_int_equal(duty(w, 0), HF_DUTY(MAINTENANCE)); /* a person puts it back into service */
    assert_int_equal(c->hosts[0].shut_downs, 1);
}

static void its_operating_system_shuts_down(void **state)
{
    struct api_world *w = *state;
    struct cloud *c = w->cloud;
    host_asks_to_leave(&c->hosts[0]);
    for (int i = 0; i < 200 && c->hosts[0].up; i++)
        cloud_run(c, 100);
    assert_false(c->hosts[0].up);
    cloud_run(c, 2000);
    assert_closed_by_its_own_word(c);
    assert_int_equal(duty(w, 0), HF_DUTY(SHUT_DOWN));
    for (unsigned n = 1; n <= 2; n++)
        assert_true(instance_host(c, n) > 0);
    assert_int_equal(instance_state(c, 3), STATE(STOPPED));
    cloud_run(c, 60000);
    host_power_on(&c->hosts[0]);
    cloud_run(c, 5000);
    assert_int_equal(host_epoch(c, 0), 2);
    assert_true(serves(w, 0)); /* nobody took it out of service */
}

static void a_leader_that_is_lost_before_the_goodbye(void **state)
{
    struct api_world *w = *state;
    struct cloud *c = w->cloud;
    char op[HF_UUID_STR];
    order(w, "ShutDownHost", 0, HF_DRAIN_BY(STOP), op);
    for (int i = 0; i < 2000 && c->hosts[0].shut_downs == 0; i++)
        cloud_run(c, 10);
    assert_int_equal(c->hosts[0].shut_downs, 1);
    cloud_new_leader(c);
    assert_int_equal(end_of(w, op, 20000, NULL), OPERATION(SUCCEEDED));
    assert_false(c->hosts[0].up);
    assert_closed_by_its_own_word(c);
}

/* Its record is its word when nobody could hear it. */
static void a_goodbye_that_only_the_record_tells(void **state)
{
    struct api_world *w = *state;
    struct cloud *c = w->cloud;
    char op[HF_UUID_STR];
    c->hosts[0].hold_stops = true;
    order(w, "ShutDownHost", 0, HF_DRAIN_BY(STOP), op);
    cloud_run(c, 8000);
    c->hosts[0].no_network = true; /* its guests end by themselves; then it closes the epoch and is off */
    c->hosts[0].hold_stops = false;
    cloud_run(c, 2000);
    c->hosts[0].closed = true;
    cloud_run(c, 3000);
    host_power_off(&c->hosts[0]);
    assert_int_equal(end_of(w, op, 30000, NULL), OPERATION(SUCCEEDED));
    assert_int_equal(duty(w, 0), HF_DUTY(SHUT_DOWN));
    for (unsigned n = 1; n <= 2; n++) {
        assert_true(wait_state(c, n, STATE(RUNNING), 5000));
        assert_true(instance_host(c, n) > 0);
    }
}

static void a_host_that_reboots_by_itself_while_it_is_to_shut_down(void **state)
{
    struct api_world *w = *state;
    struct cloud *c = w->cloud;
    char op[HF_UUID_STR], text[HF_STEP_MAX];
    c->hosts[0].hold_stops = true;
    order(w, "ShutDownHost", 0, HF_DRAIN_BY(STOP), op);
    cloud_run(c, 7000);
    host_power_off(&c->hosts[0]);
    host_power_on(&c->hosts[0]);
    assert_int_equal(end_of(w, op, 30000, text), OPERATION(FAILED));
    assert_non_null(strstr(text, "another life"));
    assert_int_equal(duty(w, 0), HF_DUTY(MAINTENANCE));
    assert_int_equal(c->hosts[0].shut_downs, 0);
}

int main(void)
{
#define TEST(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
#define FIXED(f) cmocka_unit_test_setup_teardown(f, setup_fixed, teardown)
    const struct CMUnitTest tests[] = {
        FIXED(a_drain_that_would_stop_something_is_refused),
        FIXED(by_stop_never_stop_ones_move_and_the_others_stay_down),
        FIXED(it_tells_how_far_it_is),
        FIXED(cancelled_it_is_taken_back),
        FIXED(taken_back_with_start_those_that_still_stop_run_again),
        FIXED(a_new_leader_goes_on),
        FIXED(a_host_that_dies_while_it_is_drained),
        FIXED(waiting_it_ends_when_they_end),
        TEST(what_can_move_moves_and_nothing_stops),
        TEST(cancelled_what_moves_arrives),
        TEST(a_new_leader_goes_on_moving),
        TEST(one_that_fails_to_move_again_and_again),
        TEST(without_room_for_all_it_is_refused_at_once),
        TEST(one_that_is_on_its_way_here_leaves_when_it_has_arrived),
        FIXED(another_order_takes_the_place_of_the_first),
        FIXED(in_maintenance_its_silence_is_no_incident),
        FIXED(a_drained_host_that_falls_silent_is_fenced),
        FIXED(shut_down_it_hands_over_and_says_goodbye),
        FIXED(its_operating_system_shuts_down),
        FIXED(a_leader_that_is_lost_before_the_goodbye),
        FIXED(a_goodbye_that_only_the_record_tells),
        FIXED(a_host_that_reboots_by_itself_while_it_is_to_shut_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
