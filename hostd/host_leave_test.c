/* A host that leaves: by the leader's order, or because its machine is switched off; with a leader, a slow
 * one, and none. */
#include "hostd/host_fixture.h"
#include "hostd/host_leave.h"

#define SAID(x) HOLDFAST__V1__HOST_MESSAGE__BODY_##x

static struct world *running(void)
{
    return world_running((struct order){0});
}

static void finish(struct world *w, bool recorded)
{
    assert_int_equal(w->lefts, 1);
    assert_int_equal(w->left_recorded, recorded);
    world_free(w);
}

/* Its epoch is closed and it says so; the leader's word that this is in the log is the end. */
static void assert_says_goodbye(struct world *w)
{
    const Holdfast__V1__Hello *hello = world_hello(w);
    assert_non_null(hello);
    assert_true(hello->closed_and_killed && hello->clean);
    assert_int_equal(w->lefts, 0);
    world_shut_down(w, true);
    world_step(w, 100);
}

static void ordered_it_closes_its_epoch_and_ends(void **state)
{
    (void)state;
    struct world *w = world_attached();
    world_shut_down(w, false);
    world_step(w, 2000);
    assert_says_goodbye(w);
    finish(w, true);
}

static void an_order_of_another_epoch_is_refused(void **state)
{
    (void)state;
    struct world *w = running();
    Holdfast__V1__ControlMessage m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    Holdfast__V1__ShutDown d = HOLDFAST__V1__SHUT_DOWN__INIT;
    m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_SHUT_DOWN;
    m.shut_down = &d;
    m.epoch = w->epoch + 1;
    world_send(w, &m);
    world_step(w, 2000);
    assert_non_null(world_refusal(w));
    world_shut_down(w, true); /* nor is it over because somebody says so */
    world_step(w, 2000);
    assert_int_equal(w->lefts, 0);
    assert_int_equal(hf_vm_machine_count(w->machine), 1);
    world_free(w);
}

static void a_daemon_that_ends_leaves_its_guests_alone(void **state)
{
    (void)state;
    struct world *w = running();
    world_restart_hostd(w);
    world_step(w, 20000);
    assert_int_equal(hf_vm_machine_count(w->machine), 1);
    assert_int_equal(world_said(w, SAID(LEAVE)), 0);
    world_free(w);
}

/* The leader empties it: it stops what it is told to, and closes only when it is told to. */
static void asked_by_its_machine_it_waits_for_the_leader(void **state)
{
    (void)state;
    struct world *w = running();
    hf_host_leave(w->host, 60000);
    world_step(w, 5000);
    assert_true(world_said(w, SAID(LEAVE)) > 0);
    assert_int_equal(hf_vm_machine_count(w->machine), 1);
    world_instance(w, (struct order){.power = POWER(STOPPED)});
    world_step(w, 10000);
    assert_promise(w, 1);
    assert_int_equal(w->lefts, 0);
    world_forget(w);
    world_shut_down(w, false);
    world_step(w, 2000);
    assert_true(world_said(w, SAID(LEAVE)) > 0); /* before the Hello: no further epoch is wanted */
    assert_says_goodbye(w);
    finish(w, true);
}

static void out_of_patience_it_stops_them_itself(void **state)
{
    (void)state;
    struct world *w = running();
    hf_host_leave(w->host, 8000);
    world_step(w, 7000);
    assert_int_equal(hf_vm_machine_count(w->machine), 1);
    world_step(w, 6000);
    assert_promise(w, 1);
    const Holdfast__V1__InstanceReport *r = world_report(w, VM1);
    assert_int_equal(r->state, STATE(STOPPED));
    assert_false(r->guest_initiated);
    assert_says_goodbye(w);
    finish(w, true);
}

static void without_a_leader_it_does_not_wait_for_one(void **state)
{
    (void)state;
    struct world *w = running();
    world_close_stream(w);
    hf_host_leave(w->host, 600000);
    world_step(w, HF_LEAVE_ALONE_MS - 3000);
    assert_int_equal(hf_vm_machine_count(w->machine), 1);
    world_step(w, 30000 + HF_LEAVE_GOODBYE_MS);
    assert_promise(w, 1);
    finish(w, false);
}

static void one_that_no_leader_ever_knew_just_ends(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_step(w, 1000);
    hf_host_leave(w->host, 60000);
    world_step(w, 1500);
    finish(w, true);
}

/* The leader closed it, the daemon died before it could hear that this is in the log. */
static void a_new_daemon_hears_that_it_is_over(void **state)
{
    (void)state;
    struct world *w = world_attached();
    world_shut_down(w, false);
    world_step(w, 2000);
    world_restart_hostd(w);
    world_open(w);
    world_step(w, 2000);
    assert_says_goodbye(w);
    finish(w, true);
}

/* Once it is closing, no epoch is taken that a leader may still have granted. */
static void a_welcome_on_the_way_out_is_not_taken(void **state)
{
    (void)state;
    struct world *w = world_attached();
    world_shut_down(w, false);
    world_step(w, 2000);
    world_welcome(w, 2);
    world_step(w, 2000);
    assert_false(hf_host_attached(w->host));
    world_step(w, HF_LEAVE_GOODBYE_MS);
    finish(w, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordered_it_closes_its_epoch_and_ends),
        cmocka_unit_test(an_order_of_another_epoch_is_refused),
        cmocka_unit_test(a_daemon_that_ends_leaves_its_guests_alone),
        cmocka_unit_test(asked_by_its_machine_it_waits_for_the_leader),
        cmocka_unit_test(out_of_patience_it_stops_them_itself),
        cmocka_unit_test(without_a_leader_it_does_not_wait_for_one),
        cmocka_unit_test(one_that_no_leader_ever_knew_just_ends),
        cmocka_unit_test(a_new_daemon_hears_that_it_is_over),
        cmocka_unit_test(a_welcome_on_the_way_out_is_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
