/* Rule 1 and the life of an epoch: hello, welcome, terms, refusals, the end of an epoch. */
#include "hostd/host_fixture.h"

#include <string.h>

static void hello_tells_the_keepers_view(void **state)
{
    struct world *w = world_new();
    (void)state;
    world_step(w, 100);
    world_open(w);
    const Holdfast__V1__Hello *h = world_hello(w);
    assert_non_null(h);
    assert_string_equal(h->host_uuid, HOST);
    assert_int_equal(h->secret.len, HF_HOST_SECRET);
    assert_string_equal(h->boot_id, "simulated-boot");
    assert_int_equal(h->epoch, 0);
    assert_true(h->clean);
    assert_false(h->closed_and_killed);
    assert_int_equal(h->cpus, 4);
    assert_int_equal(h->n_instances, 0);
    world_free(w);
}

static void no_hello_without_the_keeper(void **state)
{
    struct world *w = world_new();
    (void)state;
    hf_keeper_sim_set_down(w->keeper_sim, true);
    world_step(w, 100);
    world_open(w);
    world_step(w, 5000);
    assert_null(world_hello(w));
    hf_keeper_sim_set_down(w->keeper_sim, false);
    world_step(w, 100);
    assert_non_null(world_hello(w));
    world_free(w);
}

static void a_pending_host_waits(void **state)
{
    struct world *w = world_new();
    (void)state;
    world_step(w, 100);
    world_open(w);
    world_welcome(w, 0);
    world_step(w, 10000);
    assert_int_equal(hf_keeper_sim_epoch(w->keeper_sim), 0);
    assert_null(world_lease(w)); /* no reports before the grant */
    world_welcome(w, 1);
    world_step(w, 1100);
    assert_int_equal(hf_keeper_sim_epoch(w->keeper_sim), 1);
    assert_non_null(world_lease(w));
    world_free(w);
}

static void a_lost_answer_to_the_new_epoch_is_found_out(void **state)
{
    struct world *w = world_new();
    (void)state;
    world_step(w, 100);
    hf_sim_set_fault(hf_keeper_sim_faults(w->keeper_sim), HF_KEEPER_SIM_SET_EPOCH, HF_SIM_LOST_ANSWER, 1);
    world_open(w);
    world_welcome(w, 1);
    world_step(w, 10000);
    assert_int_equal(world_said(w, HOLDFAST__V1__HOST_MESSAGE__BODY_HELLO), 2);
    assert_int_equal(world_hello(w)->epoch, 1); /* the keeper has it: the second hello says so */
    world_welcome(w, 1);
    world_step(w, 1100);
    assert_non_null(world_lease(w));
    world_free(w);
}

static void terms_only_rise(void **state)
{
    struct world *w = world_attached();
    (void)state;
    w->term = 7;
    world_synced(w);
    assert_int_equal(hf_keeper_sim_term(w->keeper_sim), 7);
    assert_null(world_refusal(w));
    world_instance_at(w, (struct order){0}, 6);
    assert_non_null(world_refusal(w));
    assert_int_equal(world_refusal(w)->term, 6);
    assert_non_null(strstr(world_refusal(w)->message, "term 7"));
    world_step(w, 20000);
    assert_null(world_report(w, VM1));
    assert_int_equal(hf_vm_machine_count(w->machine), 0);
    world_free(w);
}

static void the_term_outlives_the_daemon(void **state)
{
    struct world *w = world_attached();
    (void)state;
    w->term = 9;
    world_synced(w);
    world_restart_hostd(w);
    world_step(w, 100);
    w->term = 8;
    world_open(w);
    assert_int_equal(world_hello(w)->max_term, 9);
    world_welcome(w, 1);
    assert_non_null(world_refusal(w));
    world_step(w, 2000);
    assert_null(world_lease(w));
    world_free(w);
}

static void orders_for_another_epoch_or_host_are_refused(void **state)
{
    struct world *w = world_attached();
    Holdfast__V1__ControlMessage m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    Holdfast__V1__Synced s = HOLDFAST__V1__SYNCED__INIT;
    (void)state;
    m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_SYNCED;
    m.synced = &s;
    m.epoch = 2;
    world_send(w, &m);
    assert_non_null(world_refusal(w));
    world_forget(w);
    m.epoch = 1;
    m.host_uuid = (char *)VM1;
    world_send(w, &m);
    assert_non_null(world_refusal(w));
    world_forget(w);
    world_instance(w, (struct order){.epoch = 2}); /* the message is of epoch 1, its placement is not */
    assert_non_null(world_refusal(w));
    assert_string_equal(world_refusal(w)->subject_uuid, VM1);
    world_step(w, 20000);
    assert_int_equal(hf_vm_machine_count(w->machine), 0);
    world_free(w);
}

static void damaged_assignments_are_refused(void **state)
{
    struct world *w = world_attached();
    (void)state;
    world_instance(w, (struct order){.uuid = "no uuid"});
    assert_non_null(world_refusal(w));
    world_forget(w);
    world_instance(w, (struct order){.power = 17});
    assert_non_null(world_refusal(w));
    world_forget(w);
    world_instance(w, (struct order){.storage = "x"});
    assert_non_null(world_refusal(w));
    world_forget(w);
    world_unassign(w, HOLDFAST__V1__KIND__ZONE, SHARED);
    assert_non_null(world_refusal(w));
    world_free(w);
}

static void end_epoch_kills_all_and_a_new_one_follows(void **state)
{
    struct world *w = world_attached();
    (void)state;
    world_instance(w, (struct order){0});
    world_step(w, 10000);
    assert_state(w, VM1, STATE(RUNNING));
    world_forget(w);

    world_end_epoch(w, 1);
    world_step(w, 2000);
    assert_int_equal(hf_vm_machine_count(w->machine), 0);
    const Holdfast__V1__Hello *h = world_hello(w);
    assert_non_null(h);
    assert_true(h->closed_and_killed);
    assert_true(h->clean);
    assert_int_equal(h->epoch, 1);
    assert_int_equal(h->n_instances, 1);
    assert_int_equal(h->instances[0]->state, STATE(STOPPED));

    /* Nothing of the closed epoch is taken any more. */
    world_instance(w, (struct order){.run = 2});
    assert_non_null(world_refusal(w));
    world_welcome(w, 1);
    world_instance(w, (struct order){.run = 2});
    world_step(w, 5000);
    assert_int_equal(hf_vm_machine_count(w->machine), 0);

    world_welcome(w, 2);
    world_base(w);
    world_instance(w, (struct order){.run = 2});
    world_synced(w);
    world_step(w, 10000);
    assert_int_equal(hf_keeper_sim_epoch(w->keeper_sim), 2);
    assert_state(w, VM1, STATE(RUNNING));
    assert_int_equal(world_report(w, VM1)->epoch, 2);
    world_free(w);
}

static void end_epoch_waits_for_what_does_not_die(void **state)
{
    struct world *w = world_attached();
    (void)state;
    world_instance(w, (struct order){0});
    world_step(w, 10000);
    world_forget(w);
    hf_vm_machine_set_unkillable(w->machine, true);
    world_end_epoch(w, 1);
    world_step(w, 30000);
    assert_null(world_hello(w));
    assert_int_equal(world_said_state(w, VM1, STATE(STOPPED)), 0);
    hf_vm_machine_set_unkillable(w->machine, false);
    world_step(w, 10000);
    assert_non_null(world_hello(w));
    assert_true(world_hello(w)->closed_and_killed);
    world_free(w);
}

static void assert_pending(struct world *w, const char *id, uint64_t run)
{
    struct hf_uuid uuid;
    enum hf_keeper_run_state state;
    assert_true(hf_uuid_parse(id, &uuid));
    assert_true(hf_keeper_sim_run_state(w->keeper_sim, &uuid, run, &state));
    assert_int_equal(state, HF_RUN_PENDING);
}

/* A start is on its way to the hypervisor while the epoch ends: its QEMU, born late, must not survive. */
static void end_epoch_waits_for_a_start_under_way(void **state)
{
    struct world *w = world_attached();
    (void)state;
    hf_vm_machine_set_latency(w->machine, 5, 20000);
    world_instance(w, (struct order){0});
    world_step(w, 5000);
    assert_state(w, VM1, STATE(STARTING));
    world_forget(w);
    world_end_epoch(w, 1);
    world_step(w, 5000);
    assert_null(world_hello(w));
    assert_pending(w, VM1, 1); /* its record would say it to the leader */
    world_step(w, 20000);
    assert_non_null(world_hello(w));
    assert_true(world_hello(w)->closed_and_killed);
    assert_int_equal(hf_vm_machine_count(w->machine), 0);
    world_free(w);
}

/* The same, but the order hangs past its deadline: its callback has come, its QEMU has not. */
static void end_epoch_waits_for_a_start_that_hangs(void **state)
{
    struct world *w = world_attached();
    (void)state;
    hf_vm_machine_set_late(w->machine, 60000);
    hf_sim_set_fault(hf_vm_machine_faults(w->machine), HF_VM_SIM_START, HF_SIM_LATE, 1);
    world_instance(w, (struct order){0});
    world_step(w, 70000);
    assert_state(w, VM1, STATE(STARTING));
    world_forget(w);
    world_end_epoch(w, 1);
    world_step(w, 30000);
    assert_null(world_hello(w));
    world_step(w, 60000);
    assert_non_null(world_hello(w));
    assert_true(world_hello(w)->closed_and_killed);
    assert_int_equal(hf_vm_machine_count(w->machine), 0);
    world_free(w);
}

/* A keeper without a state, on a host where a QEMU of an earlier life runs. */
static struct world *world_unclean(void)
{
    struct world *w = world_running((struct order){0});
    struct hf_keeper_sim *old = w->keeper_sim;
    w->keeper_sim = hf_keeper_sim_create(w->env, w->machine);
    world_restart_hostd(w);
    hf_keeper_sim_free(old);
    world_forget(w);
    world_step(w, 100);
    world_open(w);
    world_step(w, 10);
    return w;
}

/* The leader asks each time it hears of a host that is not clean: neither side may keep the other busy. */
static void an_unclean_host_says_so_once(void **state)
{
    struct world *w = world_unclean();
    size_t heard = 0;
    (void)state;
    for (int i = 0; i < 100; i++) {
        bool again = world_said(w, HOLDFAST__V1__HOST_MESSAGE__BODY_HELLO) > heard;
        heard += again;
        if (again)
            world_end_epoch(w, 0);
        world_step(w, 10);
    }
    assert_int_equal(heard, 1);
    assert_false(world_hello(w)->clean);
    assert_true(hf_vm_machine_kill_all(w->machine));
    world_step(w, 5000);
    assert_true(world_hello(w)->clean);
    world_free(w);
}

static void the_keeper_closes_the_epoch_by_itself(void **state)
{
    struct world *w = world_attached();
    (void)state;
    world_instance(w, (struct order){0});
    world_step(w, 10000);
    world_forget(w);
    hf_keeper_sim_lose_leases(w->keeper_sim);
    world_step(w, 1000);
    assert_non_null(world_hello(w));
    assert_true(world_hello(w)->closed_and_killed);
    world_welcome(w, 2);
    world_step(w, 1100);
    assert_int_equal(hf_keeper_sim_epoch(w->keeper_sim), 2);
    world_free(w);
}

/* What a check found before a storage was lost is not what the next life begins with. */
static void a_lost_storage_is_not_good_before_the_next_check(void **state)
{
    struct world *w = world_attached();
    struct hf_sim_faults *faults = hf_disk_sim_faults(w->shared);
    (void)state;
    world_instance(w, (struct order){0});
    world_step(w, 10000);
    assert_true(world_storage(w, SHARED)->ok);
    hf_sim_set_error(faults, HF_PRIMARY_SIM_CHECK, HF_TIMEOUT, "it does not answer", UINT_MAX);
    hf_keeper_sim_lose_leases(w->keeper_sim);
    world_step(w, 100);
    assert_false(world_storage(w, SHARED)->ok);
    world_step(w, 1000);
    world_forget(w);
    world_welcome(w, 2);
    world_base(w);
    world_synced(w);
    world_step(w, 1100);
    assert_int_equal(hf_keeper_sim_epoch(w->keeper_sim), 2);
    assert_false(world_storage(w, SHARED)->ok);
    hf_sim_clear_faults(faults);
    world_step(w, 20000);
    assert_true(world_storage(w, SHARED)->ok);
    world_free(w);
}

/* Nor is it unknown when a daemon that has just started cannot end its first check. */
static void a_lost_storage_is_said_before_the_first_check_ends(void **state)
{
    struct world *w = world_attached();
    (void)state;
    world_instance(w, (struct order){0});
    world_step(w, 10000);
    hf_disk_sim_hang(w->shared, true);
    world_restart_hostd(w);
    world_forget(w);
    world_open(w);
    world_welcome(w, 1);
    world_base(w);
    world_synced(w);
    world_step(w, 1000);
    assert_null(world_storage(w, SHARED));
    hf_keeper_sim_lose_leases(w->keeper_sim);
    world_step(w, 100);
    assert_non_null(world_storage(w, SHARED));
    assert_false(world_storage(w, SHARED)->ok);
    hf_disk_sim_hang(w->shared, false);
    world_step(w, 30000);
    world_free(w);
}

static void everything_is_reported_anew_on_a_new_stream(void **state)
{
    struct world *w = world_attached();
    (void)state;
    world_instance(w, (struct order){0});
    world_step(w, 10000);
    world_close_stream(w);
    world_step(w, 3000);
    world_forget(w);
    world_open(w);
    assert_int_equal(world_hello(w)->n_instances, 1);
    world_welcome(w, 1);
    assert_state(w, VM1, STATE(RUNNING));
    assert_true(world_storage(w, SHARED)->ok);
    assert_true(world_storage(w, LOCAL)->ok);
    assert_true(world_network(w, L3)->ok);
    world_free(w);
}

static void what_is_not_assigned_any_more_is_let_go_but_runs_live(void **state)
{
    struct world *w = world_attached();
    struct hf_uuid l3 = uuid_of(L3), vm = uuid_of(VM1), shared = uuid_of(SHARED);
    (void)state;
    world_instance(w, (struct order){0});
    world_step(w, 10000);
    world_close_stream(w);
    world_open(w);
    world_welcome(w, 1);
    world_synced(w); /* nothing in between */
    world_step(w, 60000);
    assert_true(hf_vm_machine_runs(w->machine, &vm));
    assert_state(w, VM1, STATE(RUNNING));
    assert_false(hf_net_sim_serves(w->net_sim, &l3, NIC_MAC, NIC_IP));
    assert_false(hf_keeper_sim_has_storage(w->keeper_sim, &shared));
    world_free(w);
}

/* Silence proves something only where the watchdog is hardware: the leader must not judge by what was true at
 * attach. */
static void a_changed_watchdog_is_said_at_once(void **state)
{
    struct world *w = world_attached();
    struct hf_uuid vm = uuid_of(VM1);
    (void)state;
    world_instance(w, (struct order){0});
    world_step(w, 10000);
    world_forget(w);
    hf_keeper_sim_set_watchdog(w->keeper_sim, "hardware");
    world_step(w, 15000);
    assert_non_null(world_hello(w));
    assert_string_equal(world_hello(w)->watchdog, "hardware");
    assert_int_equal(world_said(w, HOLDFAST__V1__HOST_MESSAGE__BODY_HELLO), 1);
    world_welcome(w, 1);
    world_synced(w);
    world_step(w, 30000);
    assert_int_equal(world_said(w, HOLDFAST__V1__HOST_MESSAGE__BODY_HELLO), 1);
    assert_true(hf_vm_machine_runs(w->machine, &vm));
    world_free(w);
}

static void leases_are_reported_as_the_profile_says(void **state)
{
    struct world *w = world_attached();
    Holdfast__V1__ControlMessage m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    Holdfast__V1__Observe o = HOLDFAST__V1__OBSERVE__INIT;
    char *peers[] = {(char *)VM2};
    struct hf_observation seen = {.storage = uuid_of(SHARED),
                                  .host = uuid_of(VM2),
                                  .epoch = 3,
                                  .unchanged_ms = 9000,
                                  .samples_good = true};
    (void)state;
    world_forget(w);
    world_step(w, 10000);
    assert_int_equal(world_said(w, HOLDFAST__V1__HOST_MESSAGE__BODY_LEASE),
                     12); /* profile default: every 0.8 s */
    assert_int_equal(world_lease(w)->n_own, 1);
    assert_string_equal(world_lease(w)->own[0]->primary_storage_uuid, SHARED);
    assert_int_equal(world_lease(w)->n_observations, 0);

    o.primary_storage_uuid = (char *)SHARED;
    o.host_uuids = peers;
    o.n_host_uuids = 1;
    m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_OBSERVE;
    m.observe = &o;
    world_send(w, &m);
    assert_true(w->reader_open);
    assert_int_equal(w->reader_peers, 1);
    w->reader.cb(w->reader.arg, &w->reader.storage, &seen, 1);
    world_step(w, 1000);
    assert_int_equal(world_lease(w)->n_observations, 1);
    assert_int_equal(world_lease(w)->observations[0]->epoch, 3);
    assert_int_equal(world_lease(w)->observations[0]->unchanged_ms, 9000);
    assert_string_equal(world_lease(w)->observations[0]->host_uuid, VM2);

    Holdfast__V1__Observe__Mark mark = HOLDFAST__V1__OBSERVE__MARK__INIT, *marks[] = {&mark};
    mark.host_uuid = (char *)VM2;
    mark.epoch = 3;
    o.marks = marks;
    o.n_marks = 1;
    world_send(w, &m);
    assert_int_equal(w->reader_marks, 1);
    assert_int_equal(w->reader_mark.epoch, 3);
    assert_true(hf_uuid_equal(&w->reader_mark.host, &seen.host));
    seen.marked_epoch = 3;
    w->reader.cb(w->reader.arg, &w->reader.storage, &seen, 1);
    world_step(w, 1000);
    assert_int_equal(world_lease(w)->observations[0]->marked_epoch, 3);
    mark.epoch = 0;
    world_send(w, &m);
    assert_non_null(world_refusal(w));
    world_forget(w);
    o.n_marks = 0;

    o.primary_storage_uuid = (char *)LOCAL; /* carries no heartbeats */
    world_send(w, &m);
    assert_non_null(world_refusal(w));
    world_free(w);
}

/* A sample of one peer's record, which has one run; returns how many of its runs the next report tells. */
static size_t runs_told(struct world *w, uint64_t sequence)
{
    struct hf_lease_run run = {.instance = uuid_of(VM1), .run = 7};
    struct hf_observation seen = {.storage = uuid_of(SHARED),
                                  .host = uuid_of(VM2),
                                  .epoch = 3,
                                  .sequence = sequence,
                                  .samples_good = true,
                                  .runs = &run,
                                  .n_runs = 1};
    w->reader.cb(w->reader.arg, &w->reader.storage, &seen, 1);
    world_forget(w);
    world_step(w, 900);
    assert_int_equal(world_lease(w)->n_observations, 1);
    assert_int_equal(world_lease(w)->observations[0]->sequence, sequence);
    return world_lease(w)->observations[0]->n_runs;
}

static void observe_vm2(struct world *w)
{
    Holdfast__V1__ControlMessage m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    Holdfast__V1__Observe o = HOLDFAST__V1__OBSERVE__INIT;
    char *peers[] = {(char *)VM2};
    o.primary_storage_uuid = (char *)SHARED;
    o.host_uuids = peers;
    o.n_host_uuids = 1;
    m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_OBSERVE;
    m.observe = &o;
    world_send(w, &m);
}

static void a_peers_runs_are_told_once_per_value(void **state)
{
    struct world *w = world_attached();
    (void)state;
    observe_vm2(w);
    assert_int_equal(runs_told(w, 5), 1);
    assert_int_equal(runs_told(w, 5), 0);
    assert_int_equal(runs_told(w, 5), 0);
    assert_int_equal(runs_told(w, 6), 1);
    assert_int_equal(runs_told(w, 6), 0);
    world_close_stream(w); /* the next leader knows nothing */
    world_open(w);
    world_welcome(w, 1);
    world_base(w);
    world_synced(w);
    world_step(w, 1000);
    assert_int_equal(runs_told(w, 6), 1);
    assert_int_equal(runs_told(w, 6), 0);
    world_step(w, 10000); /* should it have been missed */
    assert_int_equal(runs_told(w, 6), 1);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_tells_the_keepers_view),
        cmocka_unit_test(no_hello_without_the_keeper),
        cmocka_unit_test(a_pending_host_waits),
        cmocka_unit_test(a_lost_answer_to_the_new_epoch_is_found_out),
        cmocka_unit_test(terms_only_rise),
        cmocka_unit_test(the_term_outlives_the_daemon),
        cmocka_unit_test(orders_for_another_epoch_or_host_are_refused),
        cmocka_unit_test(damaged_assignments_are_refused),
        cmocka_unit_test(end_epoch_kills_all_and_a_new_one_follows),
        cmocka_unit_test(end_epoch_waits_for_what_does_not_die),
        cmocka_unit_test(an_unclean_host_says_so_once),
        cmocka_unit_test(end_epoch_waits_for_a_start_under_way),
        cmocka_unit_test(end_epoch_waits_for_a_start_that_hangs),
        cmocka_unit_test(the_keeper_closes_the_epoch_by_itself),
        cmocka_unit_test(a_lost_storage_is_not_good_before_the_next_check),
        cmocka_unit_test(a_lost_storage_is_said_before_the_first_check_ends),
        cmocka_unit_test(everything_is_reported_anew_on_a_new_stream),
        cmocka_unit_test(what_is_not_assigned_any_more_is_let_go_but_runs_live),
        cmocka_unit_test(a_changed_watchdog_is_said_at_once),
        cmocka_unit_test(leases_are_reported_as_the_profile_says),
        cmocka_unit_test(a_peers_runs_are_told_once_per_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
