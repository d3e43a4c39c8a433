/* Live migration through three replicas and scripted hosts (docs/migration.md): the steps, each failure and
 * what it ends in; never two copies that execute. */
#include "base/log.h"
#include "control/api.h"
#include "control/cloud_testing.h"
#include "control/controllers.h"
#include "control/controllers_state.h"
#include "control/instance_controller.h"
#include "control/migration_controller.h"
#include "control/placement_guard.h"

#define STATE(x)     HOLDFAST__V1__INSTANCE_STATUS__STATE__##x
#define PHASE(x)     HOLDFAST__V1__PLACEMENT__MIGRATION__PHASE__##x
#define OPERATION(x) HOLDFAST__V1__OPERATION__STATE__##x

typedef Holdfast__V1__Instance Instance;

/* vm-1 runs on some host of three. */
struct bench {
    struct cloud *c;
    int source, target;
    const char *uuid;
};

static void start(struct bench *b, bool never_stop)
{
    b->c = cloud_ready(3);
    b->uuid = cloud_create_instance(b->c, 1, never_stop);
    cloud_run(b->c, 5000);
    assert_int_equal(instance_state(b->c, 1), STATE(RUNNING));
    b->source = instance_host(b->c, 1);
    b->target = (b->source + 1) % 3;
}

static void stop(struct bench *b)
{
    assert_true(b->c->running_max <= 1);
    cloud_free(b->c);
}

static struct fake_host *source(struct bench *b)
{
    return &b->c->hosts[b->source];
}

static struct fake_host *target(struct bench *b)
{
    return &b->c->hosts[b->target];
}

static struct hf_world_object *object(struct bench *b)
{
    struct hf_controllers *cs = leader_control(b->c)->controllers;
    return hf_world_find(cs->world, HOLDFAST__V1__KIND__INSTANCE, cloud_instance(1));
}

static hf_status migrate_to(struct bench *b, const char *host_uuid)
{
    return hf_migration_start(leader_control(b->c)->controllers, object(b), host_uuid, NULL);
}

static void migrate(struct bench *b)
{
    hf_status st = migrate_to(b, target(b)->uuid);
    if (!hf_ok(st))
        print_error("%s\n", hf_status_message(st));
    assert_true(hf_ok(st));
}

static int phase(struct bench *b)
{
    Instance *i = cloud_get(b->c, HOLDFAST__V1__KIND__INSTANCE, cloud_instance(1));
    int p = i->placement->migration != NULL ? (int)i->placement->migration->phase : -1;
    free_message(i);
    return p;
}

static void wait_phase(struct bench *b, int wanted, int64_t ms)
{
    for (; phase(b) != wanted && ms > 0; ms -= 100)
        cloud_run(b->c, 100);
    assert_int_equal(phase(b), wanted);
}

static bool lives(struct fake_host *h)
{
    return host_live_runs(h, cloud_instance(1)) == 1;
}

/* --- it works --- */

static void it_ends_at_the_target(void **state)
{
    (void)state;
    struct bench b;
    start(&b, false);
    uint64_t run = instance_run(b.c, 1);
    migrate(&b);
    cloud_run(b.c, 3000);
    assert_int_equal(phase(&b), PHASE(COMPLETED));
    assert_int_equal(instance_host(b.c, 1), b.target);
    assert_int_equal(instance_run(b.c, 1), run + 1);
    assert_int_equal(instance_state(b.c, 1), STATE(RUNNING));
    assert_true(lives(target(&b)) && !lives(source(&b)));
    assert_int_equal(target(&b)->starts, 0); /* nothing was booted */
    /* And back. */
    hf_status st = migrate_to(&b, source(&b)->uuid);
    assert_true(hf_ok(st));
    cloud_run(b.c, 3000);
    assert_int_equal(instance_host(b.c, 1), b.source);
    assert_true(lives(source(&b)) && !lives(target(&b)));
    stop(&b);
}

static void the_scheduler_chooses_another_host(void **state)
{
    (void)state;
    struct bench b;
    start(&b, false);
    assert_true(hf_ok(migrate_to(&b, NULL)));
    cloud_run(b.c, 3000);
    assert_int_equal(phase(&b), PHASE(COMPLETED));
    assert_true(instance_host(b.c, 1) != b.source);
    stop(&b);
}

static void the_next_leader_goes_on_with_it(void **state)
{
    (void)state;
    struct bench b;
    start(&b, false);
    source(&b)->hold_moves = true;
    migrate(&b);
    cloud_run(b.c, 2000);
    cloud_new_leader(b.c);
    cloud_run(b.c, 3000);
    assert_int_equal(phase(&b), PHASE(OPEN));
    source(&b)->hold_moves = false;
    cloud_run(b.c, 3000);
    assert_int_equal(phase(&b), PHASE(COMPLETED));
    assert_true(lives(target(&b)));
    stop(&b);
}

/* C18a: the hand-over was done, but its word is lost with the source's stream. The record tells it. */
static void the_record_tells_of_the_hand_over(void **state)
{
    (void)state;
    struct bench b;
    start(&b, true);
    migrate(&b);
    for (int i = 0; i < 40 && source(&b)->runs[0].move != MOVE_MOVING; i++)
        cloud_run(b.c, 50);
    source(&b)->no_network = true;
    cloud_run(b.c, 20000);
    assert_int_equal(phase(&b), PHASE(COMPLETED));
    assert_int_equal(instance_host(b.c, 1), b.target);
    assert_true(lives(target(&b)));
    stop(&b);
}

/* --- refusals --- */

static void refused(struct bench *b, const char *host, const char *part)
{
    hf_status st = migrate_to(b, host);
    assert_false(hf_ok(st));
    if (strstr(hf_status_message(st), part) == NULL)
        print_error("%s\n", hf_status_message(st));
    assert_non_null(strstr(hf_status_message(st), part));
    hf_status_drop(st);
}

static void what_cannot_migrate_is_refused_with_a_sentence(void **state)
{
    (void)state;
    struct bench b;
    start(&b, false);
    refused(&b, source(&b)->uuid, "already");
    refused(&b, "dddddddddddddddddddddddddddddddd", "there is no host");
    migrate(&b);
    cloud_run(b.c, 200);
    refused(&b, NULL, "migrates already");
    cloud_run(b.c, 3000);
    cloud_set_power(b.c, 1, HOLDFAST__V1__POWER_STATE__POWER_PAUSED, NULL);
    cloud_run(b.c, 1000);
    refused(&b, NULL, "paused");
    cloud_set_power(b.c, 1, HOLDFAST__V1__POWER_STATE__POWER_STOPPED, NULL);
    cloud_run(b.c, 3000);
    refused(&b, NULL, "does not run");
    stop(&b);
}

static hf_status call_to(struct bench *b, const void *call)
{
    Instance *i = cloud_get(b->c, HOLDFAST__V1__KIND__INSTANCE, cloud_instance(1));
    hf_status st = hf_hosts_ops.migrate(leader_control(b->c), i, target(b)->uuid, call);
    free_message(i);
    return st;
}

static void expect(hf_status st, enum hf_code code)
{
    assert_int_equal(hf_status_code(st), code);
    hf_status_drop(st);
}

/* The write of the call hangs for much longer than writes do: what it may place there has its room all the
 * same. */
static void a_call_keeps_its_room_until_its_fate_is_known(void **state)
{
    (void)state;
    struct bench b;
    start(&b, false);
    const char call, another;
    expect(call_to(&b, &call), HF_OK);
    cloud_run(b.c, 60000);
    assert_string_equal(hf_instance_planned_host(object(&b)), target(&b)->uuid);
    expect(call_to(&b, &another), HF_UNAVAILABLE);
    expect(migrate_to(&b, NULL), HF_UNAVAILABLE); /* a drain's */
    expect(call_to(&b, &call), HF_OK);            /* its next attempt */
    hf_hosts_ops.migrate_over(leader_control(b.c), &another);
    assert_string_equal(hf_instance_planned_host(object(&b)), target(&b)->uuid);
    hf_hosts_ops.migrate_over(leader_control(b.c), &call);
    assert_null(hf_instance_planned_host(object(&b)));
    expect(migrate_to(&b, target(&b)->uuid), HF_OK);
    expect(call_to(&b, &call), HF_UNAVAILABLE); /* the drain's edit is under way */
    cloud_run(b.c, 4000);
    assert_int_equal(phase(&b), PHASE(COMPLETED));
    stop(&b);
}

static void a_target_without_contact_is_refused(void **state)
{
    (void)state;
    struct bench b;
    start(&b, false);
    host_power_off(target(&b));
    cloud_run(b.c, 10000);
    refused(&b, target(&b)->uuid, "not connected");
    stop(&b);
}

/* --- it does not work --- */

static void assert_stays(struct bench *b, const char *why)
{
    assert_int_equal(phase(b), PHASE(CANCELLED));
    assert_int_equal(instance_host(b->c, 1), b->source);
    assert_int_equal(instance_state(b->c, 1), STATE(RUNNING));
    assert_true(lives(source(b)));
    assert_true(instance_says(b->c, 1, why));
}

static void a_source_that_fails_keeps_it(void **state)
{
    (void)state;
    struct bench b;
    start(&b, true);
    source(&b)->move_fails = true;
    migrate(&b);
    cloud_run(b.c, 4000);
    assert_stays(&b, "the target did not take it");
    struct fake_run *copy = host_find_run(target(&b), cloud_instance(1));
    assert_true(copy != NULL && !copy->incoming && !copy->live); /* tombstoned */
    /* Another one may follow. */
    source(&b)->move_fails = false;
    migrate(&b);
    cloud_run(b.c, 4000);
    assert_int_equal(phase(&b), PHASE(COMPLETED));
    stop(&b);
}

static void a_target_that_does_not_get_ready_is_given_up(void **state)
{
    (void)state;
    struct bench b;
    start(&b, false);
    target(&b)->script = START_BLOCKED;
    migrate(&b);
    cloud_run(b.c, HF_MIGRATION_PREPARE_MS - 5000);
    assert_int_equal(phase(&b), PHASE(OPEN));
    cloud_run(b.c, 10000);
    assert_stays(&b, "bridge br_em01 is missing");
    stop(&b);
}

static void one_that_takes_too_long_is_called_off(void **state)
{
    (void)state;
    struct bench b;
    start(&b, false);
    cloud_set_setting(b.c, "vm.migrationTimeout", "70");
    source(&b)->hold_moves = true;
    migrate(&b);
    cloud_run(b.c, 65000);
    assert_int_equal(phase(&b), PHASE(OPEN));
    cloud_run(b.c, 10000);
    assert_stays(&b, "vm.migrationTimeout");
    stop(&b);
}

static void put_operation(struct bench *b, bool cancel)
{
    Instance *i = cloud_get(b->c, HOLDFAST__V1__KIND__INSTANCE, cloud_instance(1));
    char uuid[HF_UUID_STR];
    operation_uuid(7, uuid);
    Holdfast__V1__Meta meta = meta_of(uuid, uuid);
    Holdfast__V1__Operation m = HOLDFAST__V1__OPERATION__INIT;
    m.meta = &meta;
    m.verb = "MigrateInstance";
    m.target_kind = HOLDFAST__V1__KIND__INSTANCE;
    m.target_uuid = i->meta->uuid;
    m.target_name = i->meta->name;
    m.target_run = i->placement->migration->run;
    m.cancel_requested = cancel;
    m.state = OPERATION(RUNNING);
    m.started_at_ms = hf_env_wall_ms(b->c->raft.env);
    assert_int_equal(cloud_put(b->c, &m.base), HF_OK);
    free_message(i);
}

static void an_operation_follows_it(void **state)
{
    (void)state;
    struct bench b;
    start(&b, false);
    source(&b)->hold_moves = true;
    migrate(&b);
    cloud_run(b.c, 1500);
    put_operation(&b, false);
    cloud_run(b.c, 500);
    assert_int_equal(operation_state(b.c, 7), OPERATION(RUNNING));
    assert_true(operation_says(b.c, 7, "moves to host"));
    source(&b)->hold_moves = false;
    cloud_run(b.c, 3000);
    assert_int_equal(operation_state(b.c, 7), OPERATION(SUCCEEDED));
    stop(&b);
}

static void cancelled_by_its_operation(void **state)
{
    (void)state;
    struct bench b;
    start(&b, false);
    source(&b)->hold_moves = true;
    migrate(&b);
    cloud_run(b.c, 2000);
    put_operation(&b, true);
    cloud_run(b.c, 3000);
    assert_stays(&b, "called off");
    assert_int_equal(operation_state(b.c, 7), OPERATION(CANCELLED));
    stop(&b);
}

static void a_stop_ends_it_first(void **state)
{
    (void)state;
    struct bench b;
    start(&b, false);
    source(&b)->hold_moves = true;
    migrate(&b);
    cloud_run(b.c, 2000);
    cloud_set_power(b.c, 1, HOLDFAST__V1__POWER_STATE__POWER_STOPPED, NULL);
    cloud_run(b.c, 5000);
    assert_int_equal(phase(&b), PHASE(CANCELLED));
    assert_int_equal(instance_state(b.c, 1), STATE(STOPPED));
    assert_false(lives(source(&b)) || lives(target(&b)));
    stop(&b);
}

static void the_guest_powers_off_under_way(void **state)
{
    (void)state;
    struct bench b;
    start(&b, false);
    source(&b)->hold_moves = true;
    migrate(&b);
    cloud_run(b.c, 2000);
    host_guest_ends(source(&b), 1);
    cloud_run(b.c, 5000);
    assert_int_equal(phase(&b), PHASE(CANCELLED));
    assert_int_equal(instance_state(b.c, 1), STATE(STOPPED));
    stop(&b);
}

/* --- hosts are lost --- */

static void under_way(struct bench *b)
{
    start(b, true);
    source(b)->hold_moves = true;
    migrate(b);
    cloud_run(b->c, 2000);
    assert_int_equal(source(b)->runs[0].move, MOVE_MOVING);
}

static void assert_restarted(struct bench *b)
{
    cloud_run(b->c, 60000);
    assert_int_equal(instance_state(b->c, 1), STATE(RUNNING));
    int host = instance_host(b->c, 1);
    assert_true(host >= 0);
    assert_true(lives(&b->c->hosts[host]));
}

static void the_source_is_lost(void **state)
{
    (void)state;
    struct bench b;
    under_way(&b);
    host_power_off(source(&b));
    assert_restarted(&b);
    assert_true(instance_host(b.c, 1) != b.source);
    stop(&b);
}

static void the_target_is_lost(void **state)
{
    (void)state;
    struct bench b;
    under_way(&b);
    host_power_off(target(&b));
    cloud_run(b.c, 12000);
    assert_int_equal(phase(&b), PHASE(CANCELLING)); /* nobody knows yet that its copy is over */
    assert_true(lives(source(&b)));
    wait_phase(&b, PHASE(CANCELLED), 60000);
    assert_stays(&b, "was lost");
    assert_true(is_fenced(b.c, (unsigned)b.target, host_epoch(b.c, (unsigned)b.target)));
    stop(&b);
}

static void both_are_lost(void **state)
{
    (void)state;
    struct bench b;
    under_way(&b);
    cloud_set_setting(b.c, "ha.massLossShare", "100");
    cloud_run(b.c, 500);
    host_power_off(target(&b));
    host_power_off(source(&b));
    assert_restarted(&b);
    stop(&b);
}

/* Proof against the source alone is not enough: its guest may be whole at the target. */
static void a_fenced_source_waits_for_the_target(void **state)
{
    (void)state;
    struct bench b;
    under_way(&b);
    cloud_set_setting(b.c, "ha.massLossShare", "100");
    host_hang(target(&b)); /* it cannot be told to drop its copy, nor does it prove anything yet */
    host_power_off(source(&b));
    cloud_run(b.c, 16000);
    assert_int_equal(instance_host(b.c, 1), b.source); /* open still */
    assert_restarted(&b);
    stop(&b);
}

static void the_target_is_lost_after_the_hand_over(void **state)
{
    (void)state;
    struct bench b;
    start(&b, true);
    migrate(&b);
    for (int i = 0; i < 80 && !source(&b)->runs[0].handed_over; i++)
        cloud_run(b.c, 20);
    host_power_off(target(&b));
    assert_restarted(&b);
    assert_true(instance_host(b.c, 1) != b.target);
    stop(&b);
}

static void a_source_that_is_cut_off_and_comes_back_goes_on(void **state)
{
    (void)state;
    struct bench b;
    under_way(&b);
    source(&b)->no_network = true;
    cloud_run(b.c, 15000);
    source(&b)->no_network = false;
    source(&b)->hold_moves = false;
    cloud_run(b.c, 15000);
    assert_int_equal(phase(&b), PHASE(COMPLETED));
    assert_true(lives(target(&b)));
    stop(&b);
}

int main(void)
{
    hf_log_set_level(HF_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_ends_at_the_target),
        cmocka_unit_test(the_scheduler_chooses_another_host),
        cmocka_unit_test(the_next_leader_goes_on_with_it),
        cmocka_unit_test(the_record_tells_of_the_hand_over),
        cmocka_unit_test(what_cannot_migrate_is_refused_with_a_sentence),
        cmocka_unit_test(a_call_keeps_its_room_until_its_fate_is_known),
        cmocka_unit_test(a_target_without_contact_is_refused),
        cmocka_unit_test(a_source_that_fails_keeps_it),
        cmocka_unit_test(a_target_that_does_not_get_ready_is_given_up),
        cmocka_unit_test(one_that_takes_too_long_is_called_off),
        cmocka_unit_test(an_operation_follows_it),
        cmocka_unit_test(cancelled_by_its_operation),
        cmocka_unit_test(a_stop_ends_it_first),
        cmocka_unit_test(the_guest_powers_off_under_way),
        cmocka_unit_test(the_source_is_lost),
        cmocka_unit_test(the_target_is_lost),
        cmocka_unit_test(both_are_lost),
        cmocka_unit_test(a_fenced_source_waits_for_the_target),
        cmocka_unit_test(the_target_is_lost_after_the_hand_over),
        cmocka_unit_test(a_source_that_is_cut_off_and_comes_back_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
