/* Instances on one host, the way up: starts, lost answers, tombstones, restarts of the daemon in between. */
#include "hostd/host_fixture.h"

#include <string.h>

static void start_path(void **state)
{
    struct world *w = world_running((struct order){0});
    struct hf_uuid vm = uuid_of(VM1), l3 = uuid_of(L3), image = uuid_of(IMAGE);
    enum hf_keeper_run_state s;
    uint64_t run;
    (void)state;
    assert_true(world_said_state(w, VM1, STATE(PREPARING)) >= 1);
    assert_int_equal(world_said_state(w, VM1, STATE(STARTING)), 1);
    assert_int_equal(world_said_state(w, VM1, STATE(RUNNING)), 1);
    assert_true(hf_disk_sim_has_image(w->shared, &image));
    assert_true(hf_disk_sim_has_volume(w->shared, "rootVolumes/vol-" VM1 ".qcow2"));
    assert_true(hf_net_sim_has_bridge(w->net_sim, "em01"));
    assert_true(hf_net_sim_serves(w->net_sim, &l3, NIC_MAC, NIC_IP));
    assert_true(hf_vm_machine_exists(w->machine, &vm, &run, NULL));
    assert_int_equal(run, 1);
    assert_true(hf_keeper_sim_run_state(w->keeper_sim, &vm, 1, &s));
    assert_int_equal(s, HF_RUN_LIVE);
    world_step(w, 120000);
    assert_int_equal(world_starts(w), 1);
    assert_int_equal(world_said_state(w, VM1, STATE(RUNNING)), 1); /* nothing new, nothing said */
    world_free(w);
}

static void a_lost_answer_of_a_start_that_happened(void **state)
{
    struct world *w = world_attached();
    (void)state;
    hf_sim_set_fault(hf_vm_machine_faults(w->machine), HF_VM_SIM_START, HF_SIM_LOST_ANSWER, 1);
    world_instance(w, (struct order){0});
    world_step(w, 90000);
    assert_state(w, VM1, STATE(RUNNING));
    assert_int_equal(world_said_state(w, VM1, STATE(STOPPED)), 0);
    assert_int_equal(world_starts(w), 1);
    world_free(w);
}

static void a_lost_order_to_start_is_given_again(void **state)
{
    struct world *w = world_attached();
    (void)state;
    hf_sim_set_fault(hf_vm_machine_faults(w->machine), HF_VM_SIM_START, HF_SIM_LOST_ORDER, 1);
    world_instance(w, (struct order){0});
    world_step(w, 65000);
    assert_state(w, VM1, STATE(STARTING)); /* nobody sees it, and that proves nothing */
    world_step(w, 30000);
    assert_state(w, VM1, STATE(RUNNING));
    assert_int_equal(world_said_state(w, VM1, STATE(STOPPED)), 0);
    world_free(w);
}

static void a_late_start_is_not_started_twice(void **state)
{
    struct world *w = world_attached();
    (void)state;
    hf_sim_set_fault(hf_vm_machine_faults(w->machine), HF_VM_SIM_START, HF_SIM_LATE, 1);
    world_instance(w, (struct order){0});
    world_step(w, 120000);
    assert_state(w, VM1, STATE(RUNNING));
    assert_int_equal(hf_vm_machine_count(w->machine), 1);
    assert_int_equal(world_said_state(w, VM1, STATE(STOPPED)), 0);
    world_free(w);
}

/* The start hangs inside the hypervisor, its deadline passes, the leader gives up: not stopped before it
 * cannot happen. */
static void a_start_that_hangs_is_not_stopped(void **state)
{
    struct world *w = world_attached();
    (void)state;
    hf_vm_machine_set_late(w->machine, 60000);
    hf_sim_set_fault(hf_vm_machine_faults(w->machine), HF_VM_SIM_START, HF_SIM_LATE, 1);
    world_instance(w, (struct order){0});
    world_step(w, 80000);
    assert_state(w, VM1, STATE(STARTING));
    world_instance(w, (struct order){.power = POWER(STOPPED), .force_stop = true});
    world_step(w, 40000);
    assert_state(w, VM1, STATE(STOPPING));
    assert_non_null(strstr(world_report(w, VM1)->blocked, "may still be under way"));
    assert_int_equal(world_said_state(w, VM1, STATE(STOPPED)), 0);
    world_step(w, 30000); /* it was born meanwhile, and ended */
    assert_state(w, VM1, STATE(STOPPED));
    assert_promise(w, 1);
    world_free(w);
}

/* The same, but it is the lease that ends the run. */
static void a_start_that_hangs_outlives_a_lease(void **state)
{
    struct world *w = world_attached();
    struct hf_uuid shared = uuid_of(SHARED);
    (void)state;
    hf_vm_machine_set_late(w->machine, 60000);
    hf_sim_set_fault(hf_vm_machine_faults(w->machine), HF_VM_SIM_START, HF_SIM_LATE, 1);
    world_instance(w, (struct order){0});
    world_step(w, 20000);
    hf_keeper_sim_close_storage(w->keeper_sim, &shared);
    world_step(w, 60000); /* past the deadline of the start */
    assert_int_equal(world_said_state(w, VM1, STATE(STOPPED)), 0);
    world_close_stream(w);
    world_open(w);
    assert_int_equal(world_hello(w)->instances[0]->state,
                     STATE(STARTING)); /* a tombstone that is no promise yet */
    world_welcome(w, 1);
    world_step(w, 60000);
    assert_state(w, VM1, STATE(STOPPED));
    assert_promise(w, 1);
    world_free(w);
}

static void a_lost_volume_holds_the_start(void **state)
{
    struct world *w = world_attached();
    (void)state;
    world_instance(w, (struct order){.made = true});
    world_step(w, 20000);
    assert_non_null(strstr(world_report(w, VM1)->blocked, "it is not there any more"));
    assert_int_equal(world_starts(w), 0);
    /* Nobody had run with it after all. */
    world_instance(w, (struct order){0});
    world_step(w, 60000);
    assert_state(w, VM1, STATE(RUNNING));
    world_free(w);
}

/* The storage went bad between the leader's choice and the start: elsewhere it may be good. */
static void a_start_that_waits_long_for_its_storage_is_given_back(void **state)
{
    struct world *w = world_attached();
    struct hf_sim_faults *faults = hf_disk_sim_faults(w->shared);
    (void)state;
    hf_sim_set_error(faults, HF_PRIMARY_SIM_CHECK, HF_IO, "it is out", UINT_MAX);
    world_step(w, 15000);
    assert_false(world_storage(w, SHARED)->ok);
    world_instance(w, (struct order){0});
    world_step(w, 15000);
    assert_state(w, VM1, STATE(PREPARING));
    assert_non_null(strstr(world_report(w, VM1)->blocked, "it is out"));
    world_step(w, 15000);
    assert_state(w, VM1, STATE(STOPPED));
    assert_true(world_report(w, VM1)->failed);
    assert_non_null(strstr(world_report(w, VM1)->message, "it is out"));
    assert_promise(w, 1);
    assert_int_equal(world_starts(w), 0);
    /* One that comes back in time is waited for. */
    world_instance(w, (struct order){.run = 2});
    world_step(w, 5000);
    hf_sim_clear_faults(faults);
    world_step(w, 25000);
    assert_state(w, VM1, STATE(RUNNING));
    world_free(w);
}

static void a_start_that_fails(void **state)
{
    struct world *w = world_attached();
    (void)state;
    hf_sim_set_error(hf_vm_machine_faults(w->machine), HF_VM_SIM_START, HF_INTERNAL, "cannot allocate memory",
                     1);
    world_instance(w, (struct order){0});
    world_step(w, 10000);
    assert_state(w, VM1, STATE(STOPPED));
    assert_true(world_report(w, VM1)->failed);
    assert_non_null(strstr(world_report(w, VM1)->message, "cannot allocate memory"));
    assert_promise(w, 1);
    /* The next run is another start. */
    world_instance(w, (struct order){.run = 2});
    world_step(w, 10000);
    assert_state(w, VM1, STATE(RUNNING));
    assert_int_equal(world_report(w, VM1)->run, 2);
    world_free(w);
}

static void a_start_that_fails_behind_the_gate_is_not_tried_again(void **state)
{
    struct world *w = world_attached();
    struct hf_uuid vm = uuid_of(VM1);
    enum hf_keeper_run_state run;
    (void)state;
    hf_sim_set_error(hf_vm_machine_faults(w->machine), HF_VM_SIM_START, HF_UNAVAILABLE, "QEMU exited", 1);
    world_instance(w, (struct order){0});
    for (unsigned i = 0; i < 10000 && !hf_keeper_sim_run_state(w->keeper_sim, &vm, 1, &run); i++)
        world_step(w, 1);
    hf_keeper_sim_let_in(w->keeper_sim, &vm);
    world_step(w, 10000);
    assert_int_equal(world_starts(w), 1);
    assert_state(w, VM1, STATE(STOPPED));
    assert_true(world_report(w, VM1)->failed);
    assert_non_null(strstr(world_report(w, VM1)->message, "QEMU exited"));
    assert_promise(w, 1);
    world_free(w);
}

/* Given, told in a view, not saved; and the keeper starts again before the order to start is repeated. */
static void a_permit_that_is_forgotten_is_asked_for_again(void **state)
{
    struct world *w = world_attached();
    struct hf_uuid vm = uuid_of(VM1);
    enum hf_keeper_run_state run;
    (void)state;
    hf_sim_set_error(hf_vm_machine_faults(w->machine), HF_VM_SIM_START, HF_UNAVAILABLE,
                     "start refused: the keeper cannot be asked", 1);
    world_instance(w, (struct order){0});
    for (unsigned i = 0; i < 10000 && world_starts(w) == 0; i++)
        world_step(w, 1);
    hf_keeper_sim_forget(w->keeper_sim, &vm);
    world_step(w, 10000);
    assert_true(hf_keeper_sim_run_state(w->keeper_sim, &vm, 1, &run));
    assert_int_equal(run, HF_RUN_LIVE);
    assert_state(w, VM1, STATE(RUNNING));
    world_free(w);
}

static void a_tombstoned_run_is_never_started(void **state)
{
    struct world *w = world_running((struct order){0});
    (void)state;
    world_instance(w, (struct order){.power = POWER(STOPPED)});
    world_step(w, 5000);
    assert_state(w, VM1, STATE(STOPPED));
    world_unassign(w, HOLDFAST__V1__KIND__INSTANCE, VM1);
    world_forget(w);
    world_instance(w, (struct order){0}); /* a copy of the first order, late */
    world_step(w, 30000);
    assert_state(w, VM1, STATE(STOPPED));
    assert_int_equal(world_starts(w), 1);
    /* The same after a restart of the daemon. */
    world_restart_hostd(w);
    world_step(w, 100);
    world_open(w);
    world_welcome(w, 1);
    world_base(w);
    world_instance(w, (struct order){0});
    world_synced(w);
    world_step(w, 30000);
    assert_state(w, VM1, STATE(STOPPED));
    assert_int_equal(world_starts(w), 1);
    world_free(w);
}

static void a_second_run_does_not_begin_beside_the_first(void **state)
{
    struct world *w = world_running((struct order){0});
    struct hf_uuid vm = uuid_of(VM1);
    uint64_t run;
    (void)state;
    world_instance(w, (struct order){.run = 2});
    assert_non_null(world_refusal(w));
    world_step(w, 10000);
    assert_true(hf_vm_machine_exists(w->machine, &vm, &run, NULL));
    assert_int_equal(run, 1);
    world_forget(w);
    world_instance(w, (struct order){.run = 1}); /* still the one it takes orders for */
    assert_null(world_refusal(w));
    world_free(w);
}

/* The leader's next session opens a storage again that the keeper had closed. */
static void a_closed_storage_is_opened_in_its_next_session(void **state)
{
    struct world *w = world_attached();
    struct hf_uuid shared = uuid_of(SHARED), vm = uuid_of(VM1);
    Holdfast__V1__ControlMessage m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    Holdfast__V1__Assignment a = HOLDFAST__V1__ASSIGNMENT__INIT;
    Holdfast__V1__StorageAssignment s = HOLDFAST__V1__STORAGE_ASSIGNMENT__INIT;
    (void)state;
    hf_keeper_sim_close_storage(w->keeper_sim, &shared);
    world_step(w, 5000);
    assert_true(world_lease(w)->own[0]->closed);
    assert_int_equal(world_lease(w)->own[0]->session, 1);
    s.uuid = (char *)SHARED;
    s.type = "SharedMountPoint";
    s.path = "/mnt/shared";
    s.heartbeat = true;
    s.session = 2;
    a.object_case = HOLDFAST__V1__ASSIGNMENT__OBJECT_STORAGE;
    a.storage = &s;
    m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_ASSIGN;
    m.assign = &a;
    world_send(w, &m);
    world_step(w, 5000);
    assert_false(world_lease(w)->own[0]->closed);
    assert_int_equal(world_lease(w)->own[0]->session, 2);
    world_instance(w, (struct order){0});
    world_step(w, 10000);
    assert_true(hf_vm_machine_runs(w->machine, &vm));
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start_path),
        cmocka_unit_test(a_lost_answer_of_a_start_that_happened),
        cmocka_unit_test(a_lost_order_to_start_is_given_again),
        cmocka_unit_test(a_late_start_is_not_started_twice),
        cmocka_unit_test(a_lost_volume_holds_the_start),
        cmocka_unit_test(a_closed_storage_is_opened_in_its_next_session),
        cmocka_unit_test(a_start_that_hangs_is_not_stopped),
        cmocka_unit_test(a_start_that_hangs_outlives_a_lease),
        cmocka_unit_test(a_start_that_waits_long_for_its_storage_is_given_back),
        cmocka_unit_test(a_start_that_fails),
        cmocka_unit_test(a_start_that_fails_behind_the_gate_is_not_tried_again),
        cmocka_unit_test(a_permit_that_is_forgotten_is_asked_for_again),
        cmocka_unit_test(a_tombstoned_run_is_never_started),
        cmocka_unit_test(a_second_run_does_not_begin_beside_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
