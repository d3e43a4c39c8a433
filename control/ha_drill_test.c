/* Drills through a whole control plane with scripted hosts (cloud_testing.h), in virtual time. */
#include "control/cloud_testing.h"
#include "control/fence_object.h"
#include "control/ha_drill.h"

#define STATE(name) HOLDFAST__V1__INSTANCE_STATUS__STATE__##name
#define DRILL(name) HOLDFAST__V1__DRILL__STATE__##name
#define KIND(name)  HOLDFAST__V1__KIND__##name

static int setup(void **state)
{
    *state = cloud_ready(3);
    return 0;
}

static int teardown(void **state)
{
    cloud_free(*state);
    return 0;
}

/* vm-1 (NeverStop) and vm-4 (no HA) on host-1, vm-2 and vm-3 elsewhere. */
static void four_instances(struct cloud *c)
{
    for (unsigned n = 1; n <= 4; n++) {
        cloud_create_instance(c, n, n != 4);
        assert_true(wait_state(c, n, STATE(RUNNING), 5000));
    }
    assert_int_equal(instance_host(c, 1), 0);
    assert_int_equal(instance_host(c, 4), 0);
}

/* Orders a drill of the host; says, if not NULL, is part of the refusal. */
static void order(struct cloud *c, const char *host_uuid, bool force, const char *says)
{
    struct hf_txn *t = hf_txn_create(NULL, 0);
    struct outcome o = {0};
    hf_status st = hf_drill_order(leader_control(c), leader_store(c), t, host_uuid, force);
    if (says != NULL) {
        assert_false(hf_ok(st));
        if (strstr(hf_status_message(st), says) == NULL)
            fail_msg("refused with: %s", hf_status_message(st));
        hf_status_drop(st);
        hf_txn_free(t);
        return;
    }
    if (!hf_ok(st))
        fail_msg("refused: %s", hf_status_message(st));
    hf_replica_submit(leader_control(c)->replica, t, on_outcome, &o);
    cloud_run(c, 100);
    assert_int_equal(o.code, HF_OK);
}

static Holdfast__V1__Drill *only_drill(struct cloud *c)
{
    assert_int_equal(count_kind(c, KIND(DRILL)), 1);
    return (Holdfast__V1__Drill *)(void *)hf_object_decode(hf_store_next(leader_store(c), KIND(DRILL), NULL));
}

static void the_whole_way(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    order(c, c->hosts[0].uuid, false, NULL);
    assert_true(is_fenced(c, 0, 1));
    Holdfast__V1__Drill *d = only_drill(c);
    assert_int_equal(d->state, DRILL(RUNNING));
    free_message(d);
    cloud_run(c, 15000);

    assert_int_equal(instance_state(c, 1), STATE(RUNNING));
    assert_int_not_equal(instance_host(c, 1), 0);
    assert_int_equal(instance_run(c, 1), 2);
    assert_int_equal(instance_run(c, 2), 1);
    assert_int_equal(instance_state(c, 4), STATE(STOPPED));
    assert_int_equal(host_epoch(c, 0), 2);
    assert_int_equal(host_state(c, 0), HOLDFAST__V1__HOST_STATUS__STATE__CONNECTED);

    d = only_drill(c);
    assert_int_equal(d->state, DRILL(DONE));
    assert_string_equal(d->outcome, "1 of 2 instances run again elsewhere, the host is back");
    assert_int_equal(d->n_instances, 2);
    for (size_t i = 0; i < d->n_instances; i++) {
        bool restarted = strcmp(d->instances[i]->outcome, "restarted") == 0;
        assert_true(restarted ? d->instances[i]->running_ms > 0 : d->instances[i]->running_ms == 0);
        assert_int_equal(strlen(d->instances[i]->to_host_uuid) > 0, restarted);
    }
    free_message(d);
    Holdfast__V1__Fence *f = hf_fence_find(leader_store(c), c->hosts[0].uuid, 1);
    assert_string_equal(f->timeline[0]->source, "operator");
    assert_non_null(strstr(f->timeline[0]->what, "a drill was ordered"));
    assert_int_equal(f->evidence[0]->kind, HOLDFAST__V1__EVIDENCE__KIND__CLOSED_AND_KILLED);
    free_message(f);
}

static void a_lost_host_is_not_drilled(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    order(c, "00000000000000000000000000000001", false, "there is no host");
    host_power_off(&c->hosts[0]);
    cloud_run(c, 6000);
    order(c, c->hosts[0].uuid, true, "it has no contact");
}

static void one_at_a_time(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    order(c, c->hosts[0].uuid, false, NULL);
    order(c, c->hosts[1].uuid, true, "a drill of host 'host-1' is still running");
    cloud_run(c, 15000);
    host_power_off(&c->hosts[2]);
    cloud_run(c, 6000);
    order(c, c->hosts[1].uuid, true, "host 'host-3' is lost or being failed over");
}

static void without_room_only_by_force(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    cloud_set_setting(c, "host.reservedMemory", "1T");
    order(c, c->hosts[0].uuid, false, "would find no place");
    order(c, c->hosts[0].uuid, true, NULL);
}

static void with_ha_off_nothing_would_restart(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    cloud_set_setting(c, "ha.enable", "false");
    order(c, c->hosts[0].uuid, true, "ha.enable is off");
}

/* The next leader reports a drill that the last one ordered. */
static void a_new_leader_goes_on(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    order(c, c->hosts[0].uuid, false, NULL);
    cloud_new_leader(c);
    cloud_run(c, 30000);
    Holdfast__V1__Drill *d = only_drill(c);
    assert_int_equal(d->state, DRILL(DONE));
    free_message(d);
    assert_int_equal(instance_state(c, 1), STATE(RUNNING));
}

/* The host dies of it: the drill becomes a real failover and ends without it. */
static void a_host_that_does_not_come_back(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    struct hf_txn *t = hf_txn_create(NULL, 0);
    struct outcome o = {0};
    host_hang(&c->hosts[0]);
    assert_true(hf_ok(hf_drill_order(leader_control(c), leader_store(c), t, c->hosts[0].uuid, false)));
    hf_replica_submit(leader_control(c)->replica, t, on_outcome, &o);
    cloud_run(c, 100);
    host_power_off(&c->hosts[0]);
    cloud_run(c, 60000);
    Holdfast__V1__Drill *d = only_drill(c);
    assert_int_equal(d->state, DRILL(RUNNING));
    free_message(d);
    cloud_run(c, HF_DRILL_MS_MAX);
    d = only_drill(c);
    assert_int_equal(d->state, DRILL(DONE));
    assert_non_null(strstr(d->outcome, "the host has not come back"));
    assert_int_equal(d->n_instances, 2);
    free_message(d);
    assert_int_equal(instance_state(c, 1), STATE(RUNNING));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_whole_way, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_host_is_not_drilled, setup, teardown),
        cmocka_unit_test_setup_teardown(one_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(without_room_only_by_force, setup, teardown),
        cmocka_unit_test_setup_teardown(with_ha_off_nothing_would_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_leader_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_host_that_does_not_come_back, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
