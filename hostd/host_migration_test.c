/* Both ends of a live migration, each against a simulated other end, with a failure at every step
 * (docs/migration.md). */
#include "hostd/host_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define MOVE(x) HOLDFAST__V1__INSTANCE_REPORT__MOVE__STATE__##x
#define RUN     1 /* of the source's copy */
#define COPY    2 /* of the target's */

/* The other end: a machine that nobody's daemon looks after. */
struct pair {
    struct world *w;
    struct hf_vm_machine *other;
    struct hf_hypervisor *other_hv;
    enum { PENDING, DONE, FAILED } answer; /* of the migration that the other end began */
};

static struct hf_vm_machine *find_peer(void *arg, const char *address)
{
    struct pair *p = arg;
    return strcmp(address, OTHER_AT) == 0 ? p->other : p->w->machine;
}

/* The gate of the host under test. */
static bool admit(void *arg, const struct hf_uuid *uuid, uint64_t run, bool incoming)
{
    struct world *w = arg;
    enum hf_keeper_run_state s;
    return incoming && hf_keeper_sim_run_state(w->keeper_sim, uuid, run, &s) && s == HF_RUN_PENDING;
}

static void nothing_gone(void *arg, const struct hf_uuid *uuid, enum hf_vm_gone why)
{
    (void)arg, (void)uuid, (void)why;
}

static void nothing_connected(void *arg, bool up)
{
    (void)arg, (void)up;
}

static struct pair *pair_of(struct world *w)
{
    static const struct hf_hypervisor_events events = {.gone = nothing_gone, .connection = nothing_connected};
    struct pair *p = HF_NEW(struct pair);
    p->w = w;
    p->other = hf_vm_machine_create(w->env);
    p->other_hv = hf_vm_sim_connect(p->other, &events);
    hf_vm_machine_set_peers(w->machine, find_peer, p);
    hf_vm_machine_set_peers(p->other, find_peer, p);
    hf_vm_machine_set_admit(w->machine, admit, w);
    return p;
}

static void pair_free(struct pair *p)
{
    world_free(p->w);
    p->other_hv->ops->close(p->other_hv, NULL, NULL);
    hf_vm_machine_free(p->other);
    free(p);
}

static bool runs_on(struct hf_vm_machine *m)
{
    struct hf_uuid vm = uuid_of(VM1);
    return hf_vm_machine_runs(m, &vm);
}

static bool is_on(struct hf_vm_machine *m, uint64_t run)
{
    struct hf_uuid vm = uuid_of(VM1);
    uint64_t has = 0;
    return hf_vm_machine_exists(m, &vm, &has, NULL) && has == run;
}

static void assert_move(struct world *w, Holdfast__V1__InstanceReport__Move__State s)
{
    const Holdfast__V1__InstanceReport *r = world_report(w, VM1);
    assert_non_null(r);
    assert_non_null(r->move);
    assert_int_equal(r->move->run, COPY);
    if (r->move->state != s)
        print_error("move: state %d, '%s'\n", r->move->state, r->move->message);
    assert_int_equal(r->move->state, s);
}

/* --- the source --- */

static const struct order go = {.migration = COPY, .go = true};

static struct pair *source(void)
{
    return pair_of(world_running((struct order){0}));
}

static void handed_over_is_said_when_it_is_tombstoned(void **state)
{
    (void)state;
    struct pair *p = source();
    world_instance(p->w, (struct order){.migration = COPY}); /* the target prepares */
    world_step(p->w, 5000);
    assert_state(p->w, VM1, STATE(RUNNING));
    assert_false(is_on(p->other, COPY));
    world_instance(p->w, go);
    world_step(p->w, 500);
    assert_state(p->w, VM1, STATE(RUNNING));
    assert_move(p->w, MOVE(MOVING));
    assert_true(runs_on(p->w->machine));
    world_step(p->w, 2000);
    assert_state(p->w, VM1, STATE(STOPPED));
    assert_true(world_report(p->w, VM1)->handed_over);
    assert_promise(p->w, RUN);
    assert_true(is_on(p->other, COPY)); /* whole, and nobody lets it go on yet */
    assert_false(runs_on(p->other));
    pair_free(p);
}

static void progress_is_reported(void **state)
{
    (void)state;
    struct pair *p = source();
    hf_vm_machine_set_move_ms(p->w->machine, 10000);
    world_instance(p->w, go);
    world_step(p->w, 5000);
    assert_move(p->w, MOVE(MOVING));
    assert_int_equal(world_report(p->w, VM1)->move->total_bytes, 10000);
    assert_true(world_report(p->w, VM1)->move->done_bytes >= 3000);
    pair_free(p);
}

static void assert_stays(struct pair *p)
{
    assert_state(p->w, VM1, STATE(RUNNING));
    assert_move(p->w, MOVE(FAILED));
    assert_true(runs_on(p->w->machine));
    assert_false(runs_on(p->other));
    /* It is not begun again under this number, whatever is repeated. */
    world_instance(p->w, go);
    world_step(p->w, 5000);
    assert_move(p->w, MOVE(FAILED));
    assert_true(runs_on(p->w->machine));
    /* The leader has closed it: life goes on, and another one may begin. */
    world_instance(p->w, (struct order){0});
    world_step(p->w, 2000);
    assert_state(p->w, VM1, STATE(RUNNING));
}

static void nobody_answers_at_the_target(void **state)
{
    (void)state;
    struct pair *p = source();
    hf_vm_machine_set_down(p->other, true);
    world_instance(p->w, go);
    world_step(p->w, 1000);
    assert_stays(p);
    pair_free(p);
}

static void the_target_dies_under_way(void **state)
{
    (void)state;
    struct pair *p = source();
    hf_vm_machine_set_move_ms(p->w->machine, 3000);
    world_instance(p->w, go);
    world_step(p->w, 1000);
    assert_true(is_on(p->other, COPY));
    hf_vm_machine_kill_all(p->other);
    world_step(p->w, 5000);
    assert_stays(p);
    pair_free(p);
}

static void called_off_under_way(void **state)
{
    (void)state;
    struct pair *p = source();
    hf_vm_machine_set_move_ms(p->w->machine, 20000);
    world_instance(p->w, go);
    world_step(p->w, 2000);
    world_instance(p->w, (struct order){.migration = COPY, .cancel = true});
    world_step(p->w, 25000);
    assert_stays(p);
    assert_false(is_on(p->other, COPY));
    pair_free(p);
}

static void called_off_before_it_began(void **state)
{
    (void)state;
    struct pair *p = source();
    world_instance(p->w, (struct order){.migration = COPY});
    world_step(p->w, 1000);
    world_instance(p->w, (struct order){.migration = COPY, .cancel = true});
    world_step(p->w, 1000);
    assert_stays(p);
    assert_int_equal(hf_sim_calls(hf_vm_machine_faults(p->w->machine), HF_VM_SIM_MIGRATE), 0);
    pair_free(p);
}

/* Rule 17: what was ordered may have happened, and may be under way; it is ended and looked at. */
static void a_lost_order_has_failed_when_nothing_is_under_way(void **state)
{
    (void)state;
    struct pair *p = source();
    hf_sim_set_fault(hf_vm_machine_faults(p->w->machine), HF_VM_SIM_MIGRATE, HF_SIM_LOST_ORDER, 1);
    world_instance(p->w, go);
    world_step(p->w, 3600 * 1000 + 10000);
    assert_stays(p);
    pair_free(p);
}

static void a_lost_answer_of_a_good_one_is_heard_from_the_hypervisor(void **state)
{
    (void)state;
    struct pair *p = source();
    hf_sim_set_fault(hf_vm_machine_faults(p->w->machine), HF_VM_SIM_MIGRATE, HF_SIM_LOST_ANSWER, 1);
    world_instance(p->w, go);
    world_step(p->w, 3600 * 1000 + 10000);
    assert_state(p->w, VM1, STATE(STOPPED));
    assert_true(world_report(p->w, VM1)->handed_over);
    assert_promise(p->w, RUN);
    assert_true(is_on(p->other, COPY));
    pair_free(p);
}

/* A daemon that was restarted does not know what the one before had begun: it ends it, and says so. */
static void a_restarted_daemon_ends_what_is_under_way(void **state)
{
    (void)state;
    struct pair *p = source();
    hf_vm_machine_set_move_ms(p->w->machine, 8000);
    world_instance(p->w, go);
    world_step(p->w, 1000);
    world_close_stream(p->w);
    hf_vm_sim_cancel(p->w->hv); /* it dies: the hypervisor's daemon goes on with it */
    world_restart_hostd(p->w);
    world_open(p->w);
    world_step(p->w, 1000);
    world_welcome(p->w, p->w->epoch);
    world_base(p->w);
    world_instance(p->w, go);
    world_synced(p->w);
    world_step(p->w, 20000);
    assert_stays(p);
    assert_false(is_on(p->other, COPY));
    pair_free(p);
}

/* Handed over while no daemon looked: nobody can say that it was whole. The tombstone of one that could
 * outlives it. */
static void what_the_tombstone_says_outlives_the_daemon(void **state)
{
    (void)state;
    struct pair *p = source();
    world_instance(p->w, go);
    world_step(p->w, 3000);
    assert_promise(p->w, RUN);
    world_restart_hostd(p->w);
    world_forget(p->w);
    world_open(p->w);
    world_step(p->w, 1000);
    const Holdfast__V1__Hello *hello = world_hello(p->w);
    assert_non_null(hello);
    assert_int_equal(hello->n_instances, 1);
    assert_int_equal(hello->instances[0]->state, STATE(STOPPED));
    assert_true(hello->instances[0]->handed_over);
    world_welcome(p->w, p->w->epoch);
    world_base(p->w);
    world_instance(p->w, go);
    world_synced(p->w);
    world_step(p->w, 3000);
    assert_state(p->w, VM1, STATE(STOPPED));
    assert_true(world_report(p->w, VM1)->handed_over);
    pair_free(p);
}

static void the_guest_powers_off_under_way(void **state)
{
    (void)state;
    struct pair *p = source();
    struct hf_uuid vm = uuid_of(VM1);
    hf_vm_machine_set_move_ms(p->w->machine, 3000);
    world_instance(p->w, go);
    world_step(p->w, 1000);
    hf_vm_machine_guest_power_off(p->w->machine, &vm);
    world_step(p->w, 6000);
    assert_state(p->w, VM1, STATE(STOPPED));
    assert_false(world_report(p->w, VM1)->handed_over);
    assert_promise(p->w, RUN);
    assert_false(is_on(p->other, COPY));
    pair_free(p);
}

/* Frozen in doubt: nothing completes behind it. It thaws and goes, or dies and did not go. */
static void a_frozen_source_neither_moves_nor_completes(void **state)
{
    (void)state;
    struct pair *p = source();
    struct hf_uuid vm = uuid_of(VM1), s = uuid_of(SHARED);
    world_instance(p->w, go);
    world_step(p->w, 300);
    hf_vm_machine_freeze(p->w->machine, &vm, true);
    world_step(p->w, 5000);
    assert_move(p->w, MOVE(MOVING));
    assert_true(is_on(p->w->machine, RUN));
    hf_keeper_sim_close_storage(p->w->keeper_sim, &s); /* at L+K */
    world_step(p->w, 5000);
    assert_state(p->w, VM1, STATE(STOPPED));
    assert_false(world_report(p->w, VM1)->handed_over);
    assert_false(runs_on(p->other));
    pair_free(p);
}

static void orders_wait_while_it_migrates(void **state)
{
    (void)state;
    struct pair *p = source();
    hf_vm_machine_set_move_ms(p->w->machine, 5000);
    world_instance(p->w, (struct order){.migration = COPY, .go = true, .reboot = 7, .power = POWER(PAUSED)});
    world_step(p->w, 3000);
    assert_true(runs_on(p->w->machine));
    assert_int_equal(hf_sim_calls(hf_vm_machine_faults(p->w->machine), HF_VM_SIM_PAUSE), 0);
    assert_int_equal(hf_sim_calls(hf_vm_machine_faults(p->w->machine), HF_VM_SIM_REBOOT), 0);
    pair_free(p);
}

/* --- the target --- */

static const struct order incoming = {.run = COPY, .migration = COPY, .incoming = true};

static struct pair *target(void)
{
    struct pair *p = pair_of(world_attached());
    world_instance(p->w, incoming);
    world_step(p->w, 5000);
    return p;
}

static void on_answer(void *arg, hf_status st)
{
    struct pair *p = arg;
    p->answer = hf_ok(st) ? DONE : FAILED;
}

static void ignore(void *arg, hf_status st)
{
    (void)arg, (void)st;
}

/* The other end runs it and sends it here. */
static void send_guest(struct pair *p)
{
    static const struct hf_vm_disk disk = {"/shared/disk", "qcow2", NULL};
    struct hf_vm_spec spec = {.uuid = uuid_of(VM1), .epoch = 9, .run = RUN, .disks = &disk, .n_disks = 1};
    struct hf_vm_migration m = {.uuid = spec.uuid,
                                .run = RUN,
                                .target_epoch = p->w->epoch,
                                .target_run = COPY,
                                .target_address = "here"};
    p->other_hv->ops->start(p->other_hv, &spec, 1000, ignore, NULL);
    world_step(p->w, 500);
    p->other_hv->ops->migrate(p->other_hv, &m, 60000, on_answer, p);
}

static void the_target_prepares_and_waits(void **state)
{
    (void)state;
    struct pair *p = target();
    struct hf_uuid vm = uuid_of(VM1);
    enum hf_keeper_run_state s;
    assert_state(p->w, VM1, STATE(INCOMING));
    assert_true(hf_keeper_sim_run_state(p->w->keeper_sim, &vm, COPY, &s));
    assert_int_equal(s, HF_RUN_PENDING);
    world_step(p->w, 60000);
    assert_state(p->w, VM1, STATE(INCOMING));
    assert_int_equal(world_starts(p->w), 0);
    pair_free(p);
}

static void it_goes_on_when_it_is_told_and_not_before(void **state)
{
    (void)state;
    struct pair *p = target();
    send_guest(p);
    world_step(p->w, 30000);
    assert_int_equal(p->answer, DONE);
    assert_state(p->w, VM1, STATE(INCOMING));
    assert_true(is_on(p->w->machine, COPY));
    assert_false(runs_on(p->w->machine));
    world_instance(p->w, (struct order){.run = COPY}); /* the placement is here */
    world_step(p->w, 500);
    assert_state(p->w, VM1, STATE(RUNNING));
    assert_true(runs_on(p->w->machine));
    assert_int_equal(world_starts(p->w), 0);
    struct hf_uuid vm = uuid_of(VM1);
    assert_int_equal(hf_vm_machine_boots(p->w->machine, &vm), 1);
    pair_free(p);
}

static void a_restarted_target_still_waits_and_then_goes_on(void **state)
{
    (void)state;
    struct pair *p = target();
    send_guest(p);
    world_step(p->w, 5000);
    world_restart_hostd(p->w);
    world_open(p->w);
    world_step(p->w, 1000);
    world_welcome(p->w, p->w->epoch);
    world_base(p->w);
    world_instance(p->w, incoming);
    world_synced(p->w);
    world_step(p->w, 5000);
    assert_state(p->w, VM1, STATE(INCOMING));
    assert_false(runs_on(p->w->machine));
    world_instance(p->w, (struct order){.run = COPY});
    world_step(p->w, 2000);
    assert_state(p->w, VM1, STATE(RUNNING));
    assert_int_equal(world_starts(p->w), 0);
    pair_free(p);
}

static void assert_dropped(struct pair *p)
{
    assert_state(p->w, VM1, STATE(STOPPED));
    assert_false(world_report(p->w, VM1)->handed_over);
    assert_promise(p->w, COPY);
    /* What libvirt was told long ago does not bring it to life. */
    p->answer = PENDING;
    send_guest(p);
    world_step(p->w, 5000);
    assert_int_equal(p->answer, FAILED);
    assert_false(is_on(p->w->machine, COPY));
}

static const struct order drop = {
    .run = COPY, .migration = COPY, .incoming = true, .power = POWER(STOPPED), .force_stop = true};

static void a_copy_that_is_dropped_never_lives(void **state)
{
    (void)state;
    struct pair *p = target();
    world_instance(p->w, drop);
    world_step(p->w, 2000);
    assert_dropped(p);
    pair_free(p);
}

static void a_copy_that_is_dropped_under_way_is_killed(void **state)
{
    (void)state;
    struct pair *p = target();
    hf_vm_machine_set_move_ms(p->other, 5000);
    send_guest(p);
    world_step(p->w, 1000);
    assert_true(is_on(p->w->machine, COPY));
    world_instance(p->w, drop);
    world_step(p->w, 10000);
    assert_int_equal(p->answer, FAILED);
    assert_dropped(p);
    pair_free(p);
}

static void a_copy_that_dies_is_tombstoned(void **state)
{
    (void)state;
    struct pair *p = target();
    hf_vm_machine_set_move_ms(p->other, 5000);
    send_guest(p);
    world_step(p->w, 1000);
    hf_vm_machine_kill_all(p->w->machine);
    world_step(p->w, 10000);
    assert_dropped(p);
    pair_free(p);
}

static void a_copy_that_dies_after_the_hand_over_is_not_booted(void **state)
{
    (void)state;
    struct pair *p = target();
    send_guest(p);
    world_step(p->w, 3000);
    hf_vm_machine_set_down(p->w->machine, true); /* so that nobody hears of it */
    hf_vm_machine_kill_all(p->w->machine);
    hf_vm_machine_set_down(p->w->machine, false);
    world_instance(p->w, (struct order){.run = COPY});
    world_step(p->w, 20000);
    assert_state(p->w, VM1, STATE(STOPPED));
    assert_promise(p->w, COPY);
    assert_int_equal(world_starts(p->w), 0);
    pair_free(p);
}

static void a_permit_whose_answer_was_lost_is_no_start(void **state)
{
    (void)state;
    struct pair *p = pair_of(world_attached());
    hf_sim_set_fault(hf_keeper_sim_faults(p->w->keeper_sim), HF_KEEPER_SIM_BEGIN_RUN, HF_SIM_LOST_ANSWER, 1);
    world_instance(p->w, incoming);
    world_step(p->w, 20000);
    assert_state(p->w, VM1, STATE(INCOMING));
    assert_int_equal(world_starts(p->w), 0);
    pair_free(p);
}

static void the_order_to_go_on_is_refused_in_doubt(void **state)
{
    (void)state;
    struct pair *p = target();
    send_guest(p);
    world_step(p->w, 3000);
    hf_sim_set_error(hf_keeper_sim_faults(p->w->keeper_sim), HF_KEEPER_SIM_GO_ON, HF_PRECONDITION,
                     "the lease on storage 51 is not fresh", 2);
    world_instance(p->w, (struct order){.run = COPY});
    world_step(p->w, 300);
    assert_false(runs_on(p->w->machine));
    assert_non_null(strstr(world_report(p->w, VM1)->blocked, "not fresh"));
    world_step(p->w, 10000);
    assert_state(p->w, VM1, STATE(RUNNING));
    assert_true(runs_on(p->w->machine));
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handed_over_is_said_when_it_is_tombstoned),
        cmocka_unit_test(progress_is_reported),
        cmocka_unit_test(nobody_answers_at_the_target),
        cmocka_unit_test(the_target_dies_under_way),
        cmocka_unit_test(called_off_under_way),
        cmocka_unit_test(called_off_before_it_began),
        cmocka_unit_test(a_lost_order_has_failed_when_nothing_is_under_way),
        cmocka_unit_test(a_lost_answer_of_a_good_one_is_heard_from_the_hypervisor),
        cmocka_unit_test(a_restarted_daemon_ends_what_is_under_way),
        cmocka_unit_test(what_the_tombstone_says_outlives_the_daemon),
        cmocka_unit_test(the_guest_powers_off_under_way),
        cmocka_unit_test(a_frozen_source_neither_moves_nor_completes),
        cmocka_unit_test(orders_wait_while_it_migrates),
        cmocka_unit_test(the_target_prepares_and_waits),
        cmocka_unit_test(it_goes_on_when_it_is_told_and_not_before),
        cmocka_unit_test(a_restarted_target_still_waits_and_then_goes_on),
        cmocka_unit_test(a_copy_that_is_dropped_never_lives),
        cmocka_unit_test(a_copy_that_is_dropped_under_way_is_killed),
        cmocka_unit_test(a_copy_that_dies_is_tombstoned),
        cmocka_unit_test(a_copy_that_dies_after_the_hand_over_is_not_booted),
        cmocka_unit_test(a_permit_whose_answer_was_lost_is_no_start),
        cmocka_unit_test(the_order_to_go_on_is_refused_in_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
