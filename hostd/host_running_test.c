/* Instances on one host, once they run: stops, ends without an order, restarts of the daemon, reboots,
 * pauses. */
#include "hostd/host_fixture.h"

#include <limits.h>
#include <string.h>

#include "hostd/host.h"

static void stop_by_acpi(void **state)
{
    struct world *w = world_running((struct order){0});
    struct hf_uuid l3 = uuid_of(L3);
    (void)state;
    world_instance(w, (struct order){.power = POWER(STOPPED)});
    world_step(w, 2000);
    assert_state(w, VM1, STATE(STOPPED));
    assert_false(world_report(w, VM1)->guest_initiated);
    assert_false(world_report(w, VM1)->failed);
    assert_true(world_said_state(w, VM1, STATE(STOPPING)) >= 1);
    assert_promise(w, 1);
    assert_int_equal(hf_sim_calls(hf_vm_machine_faults(w->machine), HF_VM_SIM_DESTROY), 0);
    assert_false(hf_net_sim_serves(w->net_sim, &l3, NIC_MAC, NIC_IP));
    world_free(w);
}

static void stop_by_force_after_the_grace(void **state)
{
    struct world *w = world_running((struct order){0});
    (void)state;
    hf_vm_machine_guest_ignores_acpi(w->machine, true);
    world_instance(w, (struct order){.power = POWER(STOPPED), .grace_ms = 12000});
    world_step(w, 11000);
    assert_state(w, VM1, STATE(STOPPING));
    assert_true(hf_sim_calls(hf_vm_machine_faults(w->machine), HF_VM_SIM_SHUTDOWN) >= 2); /* repeated */
    assert_int_equal(hf_sim_calls(hf_vm_machine_faults(w->machine), HF_VM_SIM_DESTROY), 0);
    world_step(w, 3000);
    assert_state(w, VM1, STATE(STOPPED));
    assert_promise(w, 1);
    world_free(w);
}

static void force_stop_does_not_wait(void **state)
{
    struct world *w = world_running((struct order){0});
    (void)state;
    hf_vm_machine_guest_ignores_acpi(w->machine, true);
    world_instance(w, (struct order){.power = POWER(STOPPED), .force_stop = true});
    world_step(w, 1000);
    assert_state(w, VM1, STATE(STOPPED));
    assert_int_equal(hf_sim_calls(hf_vm_machine_faults(w->machine), HF_VM_SIM_SHUTDOWN), 0);
    world_free(w);
}

static void force_stop_without_the_hypervisor(void **state)
{
    struct world *w = world_running((struct order){0});
    (void)state;
    hf_vm_machine_set_down(w->machine, true);
    world_instance(w, (struct order){.power = POWER(STOPPED), .force_stop = true});
    world_step(w, 1000);
    assert_state(w, VM1, STATE(STOPPED));
    assert_promise(w, 1);
    world_free(w);
}

static void what_does_not_die_is_not_stopped(void **state)
{
    struct world *w = world_running((struct order){0});
    (void)state;
    hf_vm_machine_set_unkillable(w->machine, true);
    world_instance(w, (struct order){.power = POWER(STOPPED), .force_stop = true});
    world_step(w, 60000);
    assert_state(w, VM1, STATE(STOPPING));
    assert_int_equal(world_said_state(w, VM1, STATE(STOPPED)), 0);
    assert_true(world_report(w, VM1)->blocked[0] != 0);
    hf_vm_machine_set_unkillable(w->machine, false);
    world_step(w, 20000);
    assert_state(w, VM1, STATE(STOPPED));
    world_free(w);
}

static bool kernel_holds(void *arg, const struct hf_uuid *vm, enum hf_vm_gone why)
{
    (void)vm, (void)why;
    return *(const bool *)arg;
}

/* A guest that has powered off leaves its QEMU behind while a write hangs in the kernel. */
static void what_still_writes_is_not_stopped(void **state)
{
    struct world *w = world_running((struct order){0});
    struct hf_uuid vm = uuid_of(VM1);
    bool holds = true;
    (void)state;
    hf_vm_machine_watch(w->machine, &(struct hf_vm_sim_watch){.held = kernel_holds, .arg = &holds});
    world_instance(w, (struct order){.power = POWER(STOPPED)});
    world_step(w, 60000);
    assert_int_equal(world_said_state(w, VM1, STATE(STOPPED)), 0);
    holds = false;
    hf_vm_machine_let_go(w->machine, &vm);
    world_step(w, 20000);
    assert_state(w, VM1, STATE(STOPPED));
    world_free(w);
}

static void stop_of_a_run_that_never_began(void **state)
{
    struct world *w = world_attached();
    struct hf_uuid vm = uuid_of(VM1);
    enum hf_keeper_run_state s;
    (void)state;
    world_instance(w, (struct order){.power = POWER(STOPPED)});
    world_step(w, 1000);
    assert_state(w, VM1, STATE(STOPPED));
    assert_true(hf_keeper_sim_run_state(w->keeper_sim, &vm, 1, &s));
    assert_int_equal(s, HF_RUN_TOMBSTONED);
    assert_int_equal(world_starts(w), 0);
    world_free(w);
}

static void stop_while_the_image_is_fetched(void **state)
{
    struct world *w = world_attached();
    (void)state;
    world_instance(w, (struct order){0});
    world_step(w, 500);
    assert_state(w, VM1, STATE(PREPARING));
    world_instance(w, (struct order){.power = POWER(STOPPED)});
    world_step(w, 1000);
    assert_state(w, VM1, STATE(STOPPED));
    world_step(w, 30000);
    assert_int_equal(world_starts(w), 0);
    world_free(w);
}

static void the_guest_powers_off(void **state)
{
    struct world *w = world_running((struct order){0});
    struct hf_uuid vm = uuid_of(VM1);
    (void)state;
    /* The keeper's answer is lost at first: no promise without it. */
    hf_sim_set_fault(hf_keeper_sim_faults(w->keeper_sim), HF_KEEPER_SIM_END_RUN, HF_SIM_LOST_ORDER, 1);
    hf_vm_machine_guest_power_off(w->machine, &vm);
    world_step(w, 4000);
    assert_state(w, VM1, STATE(RUNNING));
    world_step(w, 10000);
    assert_state(w, VM1, STATE(STOPPED));
    assert_true(world_report(w, VM1)->guest_initiated);
    assert_string_equal(world_report(w, VM1)->message, "the guest powered off");
    assert_promise(w, 1);
    world_free(w);
}

static void qemu_is_killed(void **state)
{
    struct world *w = world_running((struct order){0});
    struct hf_uuid vm = uuid_of(VM1);
    (void)state;
    hf_vm_machine_kill(w->machine, &vm);
    world_step(w, 1000);
    assert_state(w, VM1, STATE(STOPPED));
    assert_true(world_report(w, VM1)->guest_initiated);
    assert_non_null(strstr(world_report(w, VM1)->message, "killed"));
    world_free(w);
}

static void qemu_is_gone_and_no_event_came(void **state)
{
    struct world *w = world_running((struct order){0});
    struct hf_uuid vm = uuid_of(VM1);
    (void)state;
    hf_vm_machine_set_down(w->machine, true); /* events are lost with the connection */
    hf_vm_machine_kill(w->machine, &vm);
    world_step(w, 60000);
    assert_state(w, VM1, STATE(RUNNING)); /* the hypervisor is down: nothing is known */
    hf_vm_machine_set_down(w->machine, false);
    world_step(w, 2000);
    assert_state(w, VM1, STATE(STOPPED));
    assert_true(world_report(w, VM1)->guest_initiated);
    assert_promise(w, 1);
    world_free(w);
}

static void a_lease_is_lost(void **state)
{
    struct world *w = world_running((struct order){0});
    struct hf_uuid shared = uuid_of(SHARED);
    (void)state;
    /* A crash, says the hypervisor; the keeper's view has told otherwise before the end is verified. */
    hf_sim_set_fault(hf_keeper_sim_faults(w->keeper_sim), HF_KEEPER_SIM_END_RUN, HF_SIM_LATE, 1);
    hf_keeper_sim_close_storage(w->keeper_sim, &shared);
    world_step(w, 60000);
    assert_state(w, VM1, STATE(STOPPED));
    assert_false(world_report(w, VM1)->guest_initiated);
    assert_non_null(world_report(w, VM1)->lost_lease);
    assert_string_equal(world_report(w, VM1)->lost_lease->primary_storage_uuid, SHARED);
    assert_promise(w, 1);
    assert_false(world_storage(w, SHARED)->ok);
    /* What needs the closed storage is given back, for it to start elsewhere; on other storages it goes on.
     */
    world_instance(w, (struct order){.uuid = VM2, .storage = LOCAL});
    world_instance(w, (struct order){.run = 2});
    world_step(w, 20000);
    assert_state(w, VM1, STATE(STOPPED));
    assert_true(world_report(w, VM1)->failed);
    assert_non_null(strstr(world_report(w, VM1)->message, "its lease was lost"));
    assert_promise(w, 2);
    assert_state(w, VM2, STATE(RUNNING));
    assert_false(world_storage(w, SHARED)->ok);
    /* The next epoch has leases of its own. */
    world_end_epoch(w, 1);
    world_step(w, 5000);
    world_welcome(w, 2);
    world_base(w);
    world_synced(w);
    world_instance(w, (struct order){.run = 3});
    world_step(w, 20000);
    assert_true(world_storage(w, SHARED)->ok);
    assert_state(w, VM1, STATE(RUNNING));
    world_free(w);
}

static void a_crash_is_no_lost_lease(void **state)
{
    struct world *w = world_running((struct order){.storage = LOCAL});
    struct hf_uuid vm = uuid_of(VM1), shared = uuid_of(SHARED);
    (void)state;
    hf_keeper_sim_close_storage(w->keeper_sim, &shared); /* which it does not need */
    world_step(w, 1000);
    assert_state(w, VM1, STATE(RUNNING));
    hf_vm_machine_kill(w->machine, &vm);
    world_step(w, 5000);
    assert_state(w, VM1, STATE(STOPPED));
    assert_true(world_report(w, VM1)->guest_initiated);
    assert_null(world_report(w, VM1)->lost_lease);
    world_free(w);
}

static void a_restarted_daemon_adopts(void **state)
{
    struct world *w = world_running((struct order){.reboot = 3});
    struct hf_uuid vm = uuid_of(VM1), l3 = uuid_of(L3);
    (void)state;
    world_restart_hostd(w);
    world_step(w, 20000); /* no leader: it is kept as it is */
    assert_true(hf_vm_machine_runs(w->machine, &vm));
    world_open(w);
    assert_int_equal(world_hello(w)->n_instances, 1);
    assert_int_equal(world_hello(w)->instances[0]->state, STATE(RUNNING));
    assert_false(world_hello(w)->closed_and_killed);
    world_welcome(w, 1);
    assert_state(w, VM1, STATE(RUNNING));
    assert_true(hf_net_sim_serves(w->net_sim, &l3, NIC_MAC, NIC_IP));
    world_base(w);
    world_instance(w, (struct order){.reboot = 3});
    world_synced(w);
    world_step(w, 60000);
    assert_int_equal(world_starts(w), 1);
    assert_int_equal(hf_vm_machine_boots(w->machine, &vm), 1); /* the old reboot is done */
    assert_int_equal(world_report(w, VM1)->reboot_done, 3);
    assert_true(hf_net_sim_serves(w->net_sim, &l3, NIC_MAC, NIC_IP));
    world_instance(w, (struct order){.power = POWER(STOPPED)});
    world_step(w, 2000);
    assert_state(w, VM1, STATE(STOPPED));
    world_free(w);
}

/* The daemon dies between order and answer; the QEMU is born all the same. */
static void a_daemon_killed_in_a_start_adopts(void **state)
{
    struct world *w = world_attached();
    struct hf_uuid vm = uuid_of(VM1);
    enum hf_keeper_run_state s;
    (void)state;
    hf_vm_machine_set_latency(w->machine, 5, 3000);
    world_instance(w, (struct order){0});
    world_step(w, 3500);
    assert_state(w, VM1, STATE(STARTING));
    world_restart_hostd(w);
    world_step(w, 2000);
    assert_true(hf_vm_machine_runs(w->machine, &vm));
    world_open(w);
    world_welcome(w, 1);
    world_base(w);
    world_instance(w, (struct order){0});
    world_synced(w);
    world_step(w, 30000);
    assert_state(w, VM1, STATE(RUNNING));
    assert_true(hf_keeper_sim_run_state(w->keeper_sim, &vm, 1, &s));
    assert_int_equal(s, HF_RUN_LIVE);
    assert_int_equal(world_starts(w), 1);
    world_free(w);
}

static void qemu_died_while_no_daemon_was_there(void **state)
{
    struct world *w = world_running((struct order){0});
    struct hf_uuid vm = uuid_of(VM1);
    (void)state;
    hf_vm_machine_set_down(w->machine, true);
    hf_vm_machine_kill(w->machine, &vm);
    hf_vm_machine_set_down(w->machine, false);
    world_restart_hostd(w);
    world_step(w, 1000);
    world_open(w);
    world_welcome(w, 1);
    world_base(w);
    world_instance(w, (struct order){0});
    world_synced(w);
    world_step(w, 2000);
    assert_state(w, VM1, STATE(STOPPED));
    assert_true(world_report(w, VM1)->guest_initiated);
    assert_promise(w, 1);
    world_free(w);
}

static void the_hypervisor_is_down_at_the_start(void **state)
{
    struct world *w = world_attached();
    (void)state;
    hf_vm_machine_set_down(w->machine, true);
    world_instance(w, (struct order){0});
    world_step(w, 60000);
    assert_int_equal(world_said_state(w, VM1, STATE(STOPPED)), 0);
    assert_true(world_report(w, VM1)->blocked[0] != 0);
    hf_vm_machine_set_down(w->machine, false);
    world_step(w, 15000);
    assert_state(w, VM1, STATE(RUNNING));
    world_free(w);
}

static void the_keeper_is_away(void **state)
{
    struct world *w = world_running((struct order){0});
    struct hf_uuid vm = uuid_of(VM1);
    (void)state;
    hf_keeper_sim_set_down(w->keeper_sim, true);
    hf_vm_machine_guest_power_off(w->machine, &vm);
    world_step(w, 30000);
    assert_int_equal(world_said_state(w, VM1, STATE(STOPPED)), 0);
    hf_keeper_sim_set_down(w->keeper_sim, false);
    world_step(w, 3000);
    assert_state(w, VM1, STATE(STOPPED));
    world_free(w);
}

static void reboots_happen_once(void **state)
{
    struct world *w = world_running((struct order){.reboot = 2});
    struct hf_uuid vm = uuid_of(VM1);
    (void)state;
    assert_int_equal(hf_vm_machine_boots(w->machine, &vm), 1); /* ordered before the start */
    world_instance(w, (struct order){.reboot = 3});
    world_step(w, 1000);
    world_instance(w, (struct order){.reboot = 3});
    world_step(w, 30000);
    assert_int_equal(hf_vm_machine_boots(w->machine, &vm), 2);
    assert_int_equal(world_report(w, VM1)->reboot_done, 3);
    world_instance(w, (struct order){.reboot = 4, .reset = 4});
    world_step(w, 30000);
    assert_int_equal(hf_vm_machine_boots(w->machine, &vm), 3);
    assert_int_equal(world_report(w, VM1)->reboot_done, 4);
    /* A lost answer: asked once all the same. */
    hf_sim_set_fault(hf_vm_machine_faults(w->machine), HF_VM_SIM_REBOOT, HF_SIM_LOST_ANSWER, 1);
    world_instance(w, (struct order){.reboot = 5, .reset = 4});
    world_step(w, 60000);
    assert_int_equal(hf_vm_machine_boots(w->machine, &vm), 4);
    world_free(w);
}

static void a_reboot_that_was_not_taken_is_repeated(void **state)
{
    struct world *w = world_running((struct order){0});
    struct hf_uuid vm = uuid_of(VM1);
    (void)state;
    hf_sim_set_error(hf_vm_machine_faults(w->machine), HF_VM_SIM_REBOOT, HF_UNAVAILABLE, "libvirtd is away",
                     2);
    world_instance(w, (struct order){.reboot = 1});
    world_step(w, 100);
    assert_non_null(strstr(world_report(w, VM1)->blocked, "libvirtd is away"));
    world_step(w, 20000);
    assert_int_equal(hf_vm_machine_boots(w->machine, &vm), 2);
    assert_string_equal(world_report(w, VM1)->blocked, "");
    world_free(w);
}

/* Whatever answer or report gets lost: the guest has the larger disk, and the leader hears of it. */
static void disks_grow_under_a_guest(void **state)
{
    struct world *w = world_running((struct order){0});
    struct hf_uuid vm = uuid_of(VM1);
    (void)state;
    hf_sim_set_fault(hf_vm_machine_faults(w->machine), HF_VM_SIM_GROW_DISK, HF_SIM_LOST_ORDER, 1);
    world_instance(w, (struct order){.grow_to = 1 << 30});
    world_step(w, 10050);
    assert_int_equal(world_volume(w, VM1)->size_bytes, 0);
    assert_string_not_equal(world_volume(w, VM1)->message, "");
    hf_sim_set_fault(hf_vm_machine_faults(w->machine), HF_VM_SIM_GROW_DISK, HF_SIM_LOST_ANSWER, 1);
    world_step(w, 30000);
    assert_int_equal(hf_vm_machine_grown_bytes(w->machine, &vm), 1 << 30);
    assert_int_equal(world_volume(w, VM1)->size_bytes, 1 << 30);
    assert_string_equal(world_report(w, VM1)->blocked, "");
    world_forget(w);
    world_step(w, 30000);
    assert_null(world_volume(w, VM1)); /* once is enough, */
    world_instance(w, (struct order){.grow_to = 1 << 30});
    world_step(w, 1000);
    assert_int_equal(world_volume(w, VM1)->size_bytes, 1 << 30); /* until the next leader asks */
    world_free(w);
}

static void pause_and_resume(void **state)
{
    struct world *w = world_running((struct order){0});
    struct hf_uuid vm = uuid_of(VM1);
    (void)state;
    world_instance(w, (struct order){.power = POWER(PAUSED)});
    world_step(w, 1000);
    assert_state(w, VM1, STATE(PAUSED));
    assert_false(hf_vm_machine_runs(w->machine, &vm));
    world_instance(w, (struct order){0});
    world_step(w, 1000);
    assert_state(w, VM1, STATE(RUNNING));
    assert_true(hf_vm_machine_runs(w->machine, &vm));
    /* A paused guest hears no ACPI: it is woken for it. */
    world_instance(w, (struct order){.power = POWER(PAUSED)});
    world_step(w, 1000);
    world_instance(w, (struct order){.power = POWER(STOPPED)});
    world_step(w, 2000);
    assert_state(w, VM1, STATE(STOPPED));
    assert_int_equal(hf_sim_calls(hf_vm_machine_faults(w->machine), HF_VM_SIM_DESTROY), 0);
    world_free(w);
}

static unsigned resumes(struct world *w)
{
    return hf_sim_calls(hf_vm_machine_faults(w->machine), HF_VM_SIM_RESUME);
}

static void stopped_by_an_error(struct world *w)
{
    struct hf_uuid vm = uuid_of(VM1);
    hf_vm_machine_guest_stop(w->machine, &vm);
    world_step(w, HF_HOST_LOOK_MS + 1000);
}

/* QEMU has stopped it: it goes on when its storage answers, and not before. */
static void a_disk_failed_for_a_while(void **state)
{
    struct world *w = world_running((struct order){0});
    struct hf_uuid vm = uuid_of(VM1);
    (void)state;
    hf_sim_set_error(hf_disk_sim_faults(w->shared), HF_PRIMARY_SIM_CHECK, HF_IO, "it is out", UINT_MAX);
    world_step(w, 11000);
    stopped_by_an_error(w);
    world_step(w, 300000);
    assert_state(w, VM1, STATE(PAUSED));
    assert_non_null(strstr(world_report(w, VM1)->blocked, "a disk failed"));
    assert_non_null(strstr(world_report(w, VM1)->blocked, "primary storage " SHARED ": "));
    assert_int_equal(resumes(w), 0);
    hf_sim_clear_faults(hf_disk_sim_faults(w->shared));
    world_step(w, 15000);
    assert_state(w, VM1, STATE(RUNNING));
    assert_true(hf_vm_machine_runs(w->machine, &vm));
    assert_string_equal(world_report(w, VM1)->blocked, "");
    assert_int_equal(resumes(w), 1);
    world_free(w);
}

/* While its lease is in doubt, or lost, nothing lets it go on. */
static void a_disk_failed_and_the_lease_is_in_doubt(void **state)
{
    struct world *w = world_running((struct order){0});
    (void)state;
    hf_keeper_sim_freeze(w->keeper_sim, true);
    stopped_by_an_error(w);
    world_step(w, 60000);
    assert_state(w, VM1, STATE(PAUSED));
    assert_non_null(strstr(world_report(w, VM1)->blocked, "lease"));
    assert_int_equal(resumes(w), 0);
    hf_keeper_sim_freeze(w->keeper_sim, false);
    world_step(w, 5000);
    assert_state(w, VM1, STATE(RUNNING));
    world_free(w);
}

/* A client that the cluster refuses would only stop again. */
static void a_disk_that_refuses_the_guest(void **state)
{
    struct world *w = world_running((struct order){0});
    (void)state;
    hf_sim_set_error(hf_disk_sim_faults(w->shared), HF_PRIMARY_SIM_HELD, HF_PRECONDITION,
                     "the cluster refuses it", UINT_MAX);
    stopped_by_an_error(w);
    world_step(w, 600000);
    assert_state(w, VM1, STATE(PAUSED));
    assert_non_null(strstr(world_report(w, VM1)->blocked, "the cluster refuses it"));
    assert_int_equal(resumes(w), 0);
    assert_true(hf_sim_calls(hf_disk_sim_faults(w->shared), HF_PRIMARY_SIM_HELD) < 20);
    world_instance(w, (struct order){.power = POWER(STOPPED), .force_stop = true});
    world_step(w, 2000);
    assert_state(w, VM1, STATE(STOPPED));
    world_free(w);
}

/* What starts again does not wait for a person: the run ends, as soon as the cluster has said that it refuses
 * its client, and its storage is good. */
static void a_refused_guest_that_starts_again_is_ended(void **state)
{
    struct world *w = world_running((struct order){.end_when_refused = true});
    struct hf_sim_faults *faults = hf_disk_sim_faults(w->shared);
    struct hf_uuid vm = uuid_of(VM1);
    (void)state;
    hf_sim_set_error(faults, HF_PRIMARY_SIM_HELD, HF_UNAVAILABLE, "no client has it open", UINT_MAX);
    stopped_by_an_error(w);
    assert_state(w, VM1, STATE(PAUSED)); /* no answer, or none that says it: nothing is ended */
    hf_sim_clear_faults(faults);
    hf_sim_set_fault(faults, HF_PRIMARY_SIM_HELD, HF_SIM_LOST_ANSWER, UINT_MAX);
    world_step(w, 120000);
    assert_state(w, VM1, STATE(PAUSED));
    hf_sim_clear_faults(faults);
    world_step(w, 120000);
    assert_state(w, VM1, STATE(RUNNING));

    hf_sim_set_error(faults, HF_PRIMARY_SIM_HELD, HF_PRECONDITION, "the cluster refuses it", UINT_MAX);
    world_step(w, 120000);
    hf_sim_set_error(faults, HF_PRIMARY_SIM_CHECK, HF_IO, "it is out", UINT_MAX);
    world_step(w, 15000);
    stopped_by_an_error(w);
    world_step(w, 60000);
    assert_state(w, VM1, STATE(PAUSED)); /* not while the storage is out */
    hf_sim_clear_faults(faults);
    hf_sim_set_error(faults, HF_PRIMARY_SIM_HELD, HF_PRECONDITION, "the cluster refuses it", UINT_MAX);
    world_step(w, 15000);
    assert_state(w, VM1, STATE(STOPPED));
    assert_true(world_report(w, VM1)->client_refused);
    assert_false(world_report(w, VM1)->guest_initiated || world_report(w, VM1)->failed);
    assert_non_null(strstr(world_report(w, VM1)->message, "the cluster refuses it"));
    assert_false(hf_vm_machine_runs(w->machine, &vm));
    world_free(w);
}

/* What is to stand still, or stops meanwhile, is not ended for it. */
static void a_refused_guest_that_is_to_be_paused_stays(void **state)
{
    struct world *w = world_running((struct order){.end_when_refused = true});
    (void)state;
    hf_sim_set_error(hf_disk_sim_faults(w->shared), HF_PRIMARY_SIM_HELD, HF_PRECONDITION,
                     "the cluster refuses it", UINT_MAX);
    world_instance(w, (struct order){.end_when_refused = true, .power = POWER(PAUSED)});
    stopped_by_an_error(w);
    world_step(w, 60000);
    assert_state(w, VM1, STATE(PAUSED));
    world_free(w);
}

/* One that fails again and again is let go on ever more rarely; one that ran well meanwhile is a new case. */
static void a_disk_that_fails_again_and_again(void **state)
{
    struct world *w = world_running((struct order){0});
    struct hf_uuid vm = uuid_of(VM1);
    (void)state;
    for (int s = 0; s < 600; s++) {
        if (hf_vm_machine_runs(w->machine, &vm))
            hf_vm_machine_guest_stop(w->machine, &vm);
        world_step(w, 1000);
    }
    assert_true(resumes(w) >= 5 && resumes(w) <= 16);
    world_step(w, 180000);
    assert_state(w, VM1, STATE(RUNNING));
    stopped_by_an_error(w);
    assert_state(w, VM1, STATE(RUNNING));
    world_free(w);
}

static void an_unassigned_guest_ends(void **state)
{
    struct world *w = world_running((struct order){0});
    struct hf_uuid vm = uuid_of(VM1);
    (void)state;
    world_unassign(w, HOLDFAST__V1__KIND__INSTANCE, VM1);
    world_step(w, 30000);
    assert_true(hf_vm_machine_runs(w->machine, &vm));
    hf_vm_machine_guest_power_off(w->machine, &vm);
    world_step(w, 1000);
    assert_state(w, VM1, STATE(STOPPED));
    world_unassign(w, HOLDFAST__V1__KIND__INSTANCE, VM1);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stop_by_acpi),
        cmocka_unit_test(stop_by_force_after_the_grace),
        cmocka_unit_test(force_stop_does_not_wait),
        cmocka_unit_test(force_stop_without_the_hypervisor),
        cmocka_unit_test(what_does_not_die_is_not_stopped),
        cmocka_unit_test(what_still_writes_is_not_stopped),
        cmocka_unit_test(stop_of_a_run_that_never_began),
        cmocka_unit_test(stop_while_the_image_is_fetched),
        cmocka_unit_test(the_guest_powers_off),
        cmocka_unit_test(qemu_is_killed),
        cmocka_unit_test(qemu_is_gone_and_no_event_came),
        cmocka_unit_test(a_lease_is_lost),
        cmocka_unit_test(a_crash_is_no_lost_lease),
        cmocka_unit_test(a_restarted_daemon_adopts),
        cmocka_unit_test(a_daemon_killed_in_a_start_adopts),
        cmocka_unit_test(qemu_died_while_no_daemon_was_there),
        cmocka_unit_test(the_hypervisor_is_down_at_the_start),
        cmocka_unit_test(the_keeper_is_away),
        cmocka_unit_test(reboots_happen_once),
        cmocka_unit_test(disks_grow_under_a_guest),
        cmocka_unit_test(a_reboot_that_was_not_taken_is_repeated),
        cmocka_unit_test(pause_and_resume),
        cmocka_unit_test(a_disk_failed_for_a_while),
        cmocka_unit_test(a_disk_failed_and_the_lease_is_in_doubt),
        cmocka_unit_test(a_disk_that_refuses_the_guest),
        cmocka_unit_test(a_refused_guest_that_starts_again_is_ended),
        cmocka_unit_test(a_refused_guest_that_is_to_be_paused_stays),
        cmocka_unit_test(a_disk_that_fails_again_and_again),
        cmocka_unit_test(an_unassigned_guest_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
