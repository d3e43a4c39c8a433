/* Instances, images, volumes and operations through a whole control plane with scripted hosts
 * (cloud_testing.h). */
#include "control/cloud_testing.h"
#include "control/edit.h"

#define STATE(name)     HOLDFAST__V1__INSTANCE_STATUS__STATE__##name
#define OPERATION(name) HOLDFAST__V1__OPERATION__STATE__##name
#define HOST(name)      HOLDFAST__V1__HOST_STATUS__STATE__##name
#define KIND(name)      HOLDFAST__V1__KIND__##name
#define POWER(name)     HOLDFAST__V1__POWER_STATE__POWER_##name

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

static void an_instance_starts_and_its_operation_succeeds(void **state)
{
    struct cloud *c = *state;
    cloud_create_instance(c, 1, false);
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
    assert_int_equal(instance_host(c, 1), 0); /* all are empty: the first by name */
    assert_int_equal(instance_run(c, 1), 1);
    cloud_run(c, 500);
    assert_int_equal(operation_state(c, 1), OPERATION(SUCCEEDED));
    Holdfast__V1__Volume *v = cloud_get(c, KIND(VOLUME), "b0000000000000000000000000000001");
    assert_int_equal(v->status->state, HOLDFAST__V1__VOLUME_STATUS__STATE__READY);
    free_message(v);
}

static void instances_spread_over_the_hosts(void **state)
{
    struct cloud *c = *state;
    int on[3] = {0};
    for (unsigned n = 1; n <= 6; n++)
        cloud_create_instance(c, n, false);
    for (unsigned n = 1; n <= 6; n++) {
        assert_true(wait_state(c, n, STATE(RUNNING), 5000));
        on[instance_host(c, n)]++;
    }
    assert_true(on[0] == 2 && on[1] == 2 && on[2] == 2);
}

static void no_room_says_what_is_missing_and_leaves_it_off(void **state)
{
    struct cloud *c = *state;
    c->hosts[2].silent = true;
    cloud_run(c, 7000);
    for (unsigned n = 1; n <= 8; n++) /* 8 GiB are free on each of two hosts, 2 GiB each */
        cloud_create_instance(c, n, false);
    cloud_create_instance(c, 9, false);
    cloud_run(c, 3000);
    assert_int_equal(operation_state(c, 9), OPERATION(FAILED));
    assert_true(operation_says(c, 9,
                               "no host can take instance 'vm-9': host-1: needs 2 GiB memory, 0 MiB free; "
                               "host-2: needs 2 GiB memory, 0 MiB free; host-3: not connected"));
    assert_int_equal(instance_state(c, 9), STATE(STOPPED));
    /* Room comes: it stays off until it is started again. */
    cloud_set_power(c, 1, POWER(STOPPED), NULL);
    cloud_run(c, 2000);
    assert_int_equal(instance_host(c, 9), -1);
    cloud_set_power(c, 9, POWER(RUNNING), "StartInstance");
    assert_true(wait_state(c, 9, STATE(RUNNING), 3000));
    cloud_run(c, 300);
    assert_int_equal(operation_state(c, 9), OPERATION(SUCCEEDED)); /* the old sentence did not end it */
}

static void a_never_stop_instance_waits_for_room(void **state)
{
    struct cloud *c = *state;
    c->hosts[1].silent = c->hosts[2].silent = true;
    cloud_run(c, 7000);
    for (unsigned n = 1; n <= 4; n++)
        cloud_create_instance(c, n, false);
    cloud_create_instance(c, 5, true);
    cloud_run(c, 3000);
    assert_int_equal(operation_state(c, 5), OPERATION(FAILED));
    assert_true(operation_says(c, 5, "it starts as soon as there is room"));
    cloud_set_power(c, 1, POWER(STOPPED), NULL);
    assert_true(wait_state(c, 5, STATE(RUNNING), 8000));
}

static void stopping_ends_the_placement_by_the_hosts_promise(void **state)
{
    struct cloud *c = *state;
    cloud_create_instance(c, 1, false);
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
    cloud_set_power(c, 1, POWER(STOPPED), "StopInstance");
    assert_true(wait_state(c, 1, STATE(STOPPED), 5000));
    assert_int_equal(instance_host(c, 1), -1);
    assert_int_equal(instance_run(c, 1), 1);
    cloud_run(c, 300);
    assert_int_equal(operation_state(c, 1), OPERATION(SUCCEEDED));
    cloud_set_power(c, 1, POWER(RUNNING), "StartInstance");
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
    assert_int_equal(instance_run(c, 1), 2);
}

static void pause_resume_and_reboot_are_seen_through(void **state)
{
    struct cloud *c = *state;
    const char *uuid = cloud_create_instance(c, 1, false);
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
    cloud_set_power(c, 1, POWER(PAUSED), "PauseInstance");
    assert_true(wait_state(c, 1, STATE(PAUSED), 3000));
    cloud_set_power(c, 1, POWER(RUNNING), "ResumeInstance");
    assert_true(wait_state(c, 1, STATE(RUNNING), 3000));
    cloud_run(c, 300);
    assert_int_equal(operation_state(c, 1), OPERATION(SUCCEEDED));
    Holdfast__V1__Instance *i = cloud_get(c, KIND(INSTANCE), uuid);
    i->spec->reboot_generation = 1;
    assert_int_equal(cloud_put(c, &i->base), HF_OK);
    free_message(i);
    cloud_set_power(c, 1, POWER(RUNNING), "RebootInstance"); /* its target is generation 1, as the run */
    cloud_run(c, 1000);
    assert_int_equal(operation_state(c, 1), OPERATION(SUCCEEDED));
}

static void a_guest_that_powers_off_is_left_off_without_ha(void **state)
{
    struct cloud *c = *state;
    cloud_create_instance(c, 1, false);
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
    host_guest_ends(&c->hosts[0], 1);
    assert_true(wait_state(c, 1, STATE(STOPPED), 3000));
    cloud_run(c, 10000);
    assert_int_equal(instance_run(c, 1), 1);
    assert_true(instance_says(c, 1, "the guest powered off"));
}

static void a_never_stop_guest_that_ends_starts_again_with_back_off(void **state)
{
    struct cloud *c = *state;
    cloud_create_instance(c, 1, true);
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
    uint64_t runs_after[3];
    for (int i = 0; i < 3; i++) {
        host_guest_ends(&c->hosts[instance_host(c, 1)], 1);
        cloud_run(c, 600);
        assert_true(wait_state(c, 1, STATE(RUNNING), 9000));
        runs_after[i] = instance_run(c, 1);
    }
    assert_true(runs_after[0] == 2 && runs_after[1] == 3 && runs_after[2] == 4);
    int64_t before = c->clock_ms;
    host_guest_ends(&c->hosts[instance_host(c, 1)], 1);
    cloud_run(c, 600);
    assert_true(wait_state(c, 1, STATE(RUNNING), 20000));
    assert_true(c->clock_ms - before >= 8000); /* the fourth in a row waits 8 s */
}

static void a_failed_start_is_tried_on_another_host(void **state)
{
    struct cloud *c = *state;
    c->hosts[0].script = START_FAIL;
    cloud_create_instance(c, 1, false);
    assert_true(wait_state(c, 1, STATE(RUNNING), 10000));
    assert_int_equal(instance_host(c, 1), 1);
    assert_int_equal(instance_run(c, 1), 2);
    cloud_run(c, 300);
    assert_int_equal(operation_state(c, 1), OPERATION(SUCCEEDED));
}

static void a_start_that_fails_everywhere_ends_with_the_hosts_sentence(void **state)
{
    struct cloud *c = *state;
    for (unsigned i = 0; i < 3; i++)
        c->hosts[i].script = START_FAIL;
    cloud_create_instance(c, 1, false);
    cloud_run(c, 15000);
    assert_int_equal(operation_state(c, 1), OPERATION(FAILED));
    assert_true(operation_says(c, 1, "the image is damaged"));
    assert_int_equal(instance_run(c, 1), 3);
    cloud_run(c, 60000);
    assert_int_equal(instance_run(c, 1), 3);
}

static void what_blocks_a_start_is_said(void **state)
{
    struct cloud *c = *state;
    for (unsigned i = 0; i < 3; i++)
        c->hosts[i].script = START_BLOCKED;
    cloud_create_instance(c, 1, false);
    cloud_run(c, 2000);
    assert_true(operation_says(c, 1, "starts on host 'host-1': bridge br_em01 is missing"));
    for (unsigned i = 0; i < 3; i++)
        c->hosts[i].script = START_WELL;
    assert_true(wait_state(c, 1, STATE(RUNNING), 3000));
}

static void a_cancelled_start_is_taken_back(void **state)
{
    struct cloud *c = *state;
    for (unsigned i = 0; i < 3; i++)
        c->hosts[i].hold_starts = true;
    cloud_create_instance(c, 1, false);
    cloud_run(c, 2000);
    char uuid[HF_UUID_STR];
    operation_uuid(1, uuid);
    Holdfast__V1__Operation *op = cloud_get(c, KIND(OPERATION), uuid);
    op->cancel_requested = true;
    assert_int_equal(cloud_put(c, &op->base), HF_OK);
    free_message(op);
    cloud_run(c, 2000);
    assert_int_equal(operation_state(c, 1), OPERATION(CANCELLED));
    assert_int_equal(instance_state(c, 1), STATE(STOPPED));
    assert_int_equal(instance_host(c, 1), -1);
}

static void deleting_takes_instance_volume_and_address(void **state)
{
    struct cloud *c = *state;
    const char *uuid = cloud_create_instance(c, 1, true);
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
    Holdfast__V1__Instance *i = cloud_get(c, KIND(INSTANCE), uuid);
    i->spec->deleting = true;
    assert_int_equal(cloud_put(c, &i->base), HF_OK);
    free_message(i);
    cloud_run(c, 4000);
    assert_int_equal(count_kind(c, KIND(INSTANCE)), 0);
    assert_int_equal(count_kind(c, KIND(VOLUME)), 0);
    assert_int_equal(count_kind(c, KIND(IP_ADDRESS)), 0);
    unsigned deleted = 0;
    for (unsigned h = 0; h < 3; h++)
        deleted += c->hosts[h].volumes_deleted;
    assert_int_equal(deleted, 1);
}

static void an_image_is_fetched_once_and_found_good(void **state)
{
    struct cloud *c = *state;
    Holdfast__V1__Image *m = cloud_get(c, KIND(IMAGE), IMAGE);
    assert_int_equal(m->status->state, HOLDFAST__V1__IMAGE_STATUS__STATE__READY);
    assert_int_equal(m->status->virtual_bytes, 2000);
    assert_int_equal(m->status->n_cached, 1);
    assert_string_equal(m->status->cached[0]->primary_storage_uuid, SHARED);
    free_message(m);
}

static void a_bad_image_fails_with_its_sentence(void **state)
{
    struct cloud *c = *state;
    for (unsigned i = 0; i < 3; i++)
        c->hosts[i].image_fails = true;
    Holdfast__V1__Image *m = cloud_get(c, KIND(IMAGE), IMAGE);
    m->status->state = HOLDFAST__V1__IMAGE_STATUS__STATE__FETCHING;
    assert_int_equal(cloud_put(c, &m->base), HF_OK);
    free_message(m);
    cloud_create_instance(c, 1, false);
    cloud_run(c, 3000);
    m = cloud_get(c, KIND(IMAGE), IMAGE);
    assert_int_equal(m->status->state, HOLDFAST__V1__IMAGE_STATUS__STATE__FAILED);
    assert_non_null(strstr(m->status->conditions[0]->message, "SHA-256"));
    free_message(m);
    assert_int_equal(operation_state(c, 1), OPERATION(FAILED));
    assert_true(operation_says(c, 1, "image 'image' could not be fetched"));
}

static void storages_show_what_their_hosts_see(void **state)
{
    struct cloud *c = *state;
    Holdfast__V1__PrimaryStorage *shared = cloud_get(c, KIND(PRIMARY_STORAGE), SHARED);
    Holdfast__V1__PrimaryStorage *local = cloud_get(c, KIND(PRIMARY_STORAGE), LOCAL);
    assert_int_equal(shared->status->n_hosts, 3);
    assert_true(shared->status->total_bytes == 100 * GIB && shared->status->available_bytes == 79 * GIB);
    assert_true(local->status->total_bytes == 300 * GIB && local->status->available_bytes == 237 * GIB);
    free_message(shared);
    free_message(local);
}

/* A report of one host's storage, as its daemon sends it. */
static void report_storage(struct cloud *c, unsigned host, bool ok, uint64_t available)
{
    Holdfast__V1__StorageReport m = HOLDFAST__V1__STORAGE_REPORT__INIT;
    m.primary_storage_uuid = SHARED;
    m.ok = ok;
    m.message = ok ? "" : "the mount is gone";
    m.total_bytes = 100 * GIB;
    m.available_bytes = available;
    Holdfast__V1__HostMessage msg = HOLDFAST__V1__HOST_MESSAGE__INIT;
    msg.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_STORAGE;
    msg.storage = &m;
    hf_host_link_message(c->hosts[host].stream, &msg);
}

static void small_changes_of_capacity_are_not_written(void **state)
{
    struct cloud *c = *state;
    cloud_run(c, 11000);
    uint64_t revision = hf_store_revision(leader_store(c));
    report_storage(c, 0, true, 76 * GIB);
    cloud_run(c, 1000);
    assert_int_equal(hf_store_revision(leader_store(c)), revision);
    report_storage(c, 0, true, 70 * GIB);
    cloud_run(c, 1000);
    assert_int_equal(hf_store_revision(leader_store(c)), revision + 1);
    report_storage(c, 0, true, 60 * GIB); /* not twice within ten seconds */
    cloud_run(c, 1000);
    assert_int_equal(hf_store_revision(leader_store(c)), revision + 1);
    cloud_run(c, 10000);
    assert_int_equal(hf_store_revision(leader_store(c)), revision + 2);
    report_storage(c, 0, false, 60 * GIB); /* but this at once */
    cloud_run(c, 1000);
    assert_int_equal(hf_store_revision(leader_store(c)), revision + 3);
    Holdfast__V1__PrimaryStorage *m = cloud_get(c, KIND(PRIMARY_STORAGE), SHARED);
    assert_true(m->status->available_bytes == 79 * GIB); /* of the hosts that see it */
    free_message(m);
}

static void a_host_that_lost_the_storage_gets_no_instances(void **state)
{
    struct cloud *c = *state;
    for (unsigned h = 0; h < 3; h++)
        report_storage(c, h, false, 0);
    cloud_run(c, 500);
    cloud_create_instance(c, 1, false);
    cloud_run(c, 2000);
    assert_true(operation_says(c, 1, "host-1: primary storage 'shared': the mount is gone"));
    report_storage(c, 2, true, 80 * GIB);
    cloud_run(c, 500);
    cloud_set_power(c, 1, POWER(RUNNING), "StartInstance");
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
    assert_int_equal(instance_host(c, 1), 2);
}

/* Moves the disk of a stopped instance that never ran to another storage, as CreateInstance would have put it
 * there. */
static void lay_on_local_storage(struct cloud *c, unsigned n)
{
    char uuid[HF_UUID_STR];
    instance_uuid(n, uuid);
    Holdfast__V1__Instance *i = cloud_get(c, KIND(INSTANCE), uuid);
    Holdfast__V1__Volume *v = cloud_get(c, KIND(VOLUME), i->spec->root_volume_uuid);
    hf_pb_set(&v->spec->primary_storage_uuid, LOCAL);
    hf_pb_set(&i->spec->primary_storage_uuid, LOCAL);
    hf_pb_set(&i->spec->storage_uuids[0], LOCAL);
    assert_int_equal(cloud_put_both(c, &i->base, &v->base), HF_OK);
    free_message(i);
    free_message(v);
}

static void a_local_disk_keeps_its_instance_on_its_host(void **state)
{
    struct cloud *c = *state;
    for (unsigned h = 0; h < 3; h++)
        c->hosts[h].hold_starts = true;
    cloud_create_instance(c, 1, false);
    assert_true(wait_state(c, 1, STATE(STARTING), 3000));
    cloud_set_power(c, 1, POWER(STOPPED), NULL);
    assert_true(wait_state(c, 1, STATE(STOPPED), 3000));
    lay_on_local_storage(c, 1);
    for (unsigned h = 0; h < 3; h++)
        c->hosts[h].hold_starts = false;
    cloud_set_power(c, 1, POWER(RUNNING), "StartInstance");
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
    int host = instance_host(c, 1);
    cloud_set_power(c, 1, POWER(STOPPED), "StopInstance");
    assert_true(wait_state(c, 1, STATE(STOPPED), 5000));
    for (unsigned n = 2; n <= 3; n++) /* now another host is the emptiest */
        cloud_create_instance(c, n, false);
    cloud_run(c, 2000);
    cloud_set_power(c, 1, POWER(RUNNING), "StartInstance");
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
    assert_int_equal(instance_host(c, 1), host);
    cloud_set_power(c, 1, POWER(STOPPED), "StopInstance");
    assert_true(wait_state(c, 1, STATE(STOPPED), 5000));
    c->hosts[host].no_network = true;
    cloud_run(c, 8000);
    cloud_set_power(c, 1, POWER(RUNNING), "StartInstance");
    cloud_run(c, 1000);
    assert_true(operation_says(c, 1, "its volumes are in the local storage of another host"));
}

static void deleting_a_data_volume_waits_for_a_host_that_reaches_it(void **state)
{
    struct cloud *c = *state;
    for (unsigned h = 0; h < 3; h++)
        host_power_off(&c->hosts[h]);
    cloud_run(c, 8000);
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    Holdfast__V1__Volume m = HOLDFAST__V1__VOLUME__INIT;
    Holdfast__V1__VolumeSpec spec = HOLDFAST__V1__VOLUME_SPEC__INIT;
    Holdfast__V1__VolumeStatus st = HOLDFAST__V1__VOLUME_STATUS__INIT;
    meta.uuid = "d0000000000000000000000000000001";
    meta.name = "data-1";
    m.meta = &meta;
    m.spec = &spec;
    m.status = &st;
    spec.type = HOLDFAST__V1__VOLUME_SPEC__TYPE__DATA;
    spec.primary_storage_uuid = SHARED;
    spec.deleting = true;
    st.state = HOLDFAST__V1__VOLUME_STATUS__STATE__DELETING;
    assert_int_equal(cloud_put(c, &m.base), HF_OK);
    cloud_run(c, 3000);
    Holdfast__V1__Volume *v = cloud_get(c, KIND(VOLUME), meta.uuid);
    assert_string_equal(v->status->conditions[0]->message,
                        "waits for a connected host that reaches its primary storage");
    free_message(v);
    host_power_on(&c->hosts[1]);
    cloud_run(c, 3000);
    assert_int_equal(count_kind(c, KIND(VOLUME)), 0);
    assert_int_equal(c->hosts[1].volumes_deleted, 1);
}

/* Nothing is written when nothing happens. */
static void a_quiet_cloud_writes_nothing(void **state)
{
    struct cloud *c = *state;
    cloud_create_instance(c, 1, true);
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
    cloud_run(c, 2000);
    uint64_t revision = hf_store_revision(leader_store(c));
    cloud_run(c, 60000);
    assert_int_equal(hf_store_revision(leader_store(c)), revision);
}

static void a_new_leader_keeps_every_instance(void **state)
{
    struct cloud *c = *state;
    cloud_create_instance(c, 1, true);
    cloud_create_instance(c, 2, false);
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
    assert_true(wait_state(c, 2, STATE(RUNNING), 5000));
    cloud_new_leader(c);
    cloud_run(c, 30000);
    for (unsigned h = 0; h < 3; h++) {
        assert_int_equal(host_epoch(c, h), 1);
        assert_int_equal(host_state(c, h), HOST(CONNECTED));
        assert_int_equal(c->hosts[h].welcomes, 2);
    }
    assert_int_equal(instance_run(c, 1), 1);
    assert_int_equal(instance_run(c, 2), 1);
    assert_int_equal(instance_state(c, 1), STATE(RUNNING));
    assert_int_equal(instance_state(c, 2), STATE(RUNNING));
    assert_int_equal(c->hosts[0].starts + c->hosts[1].starts + c->hosts[2].starts, 2);
    cloud_create_instance(c, 3, false);
    assert_true(wait_state(c, 3, STATE(RUNNING), 5000));
}

static void a_start_that_was_under_way_is_finished_by_the_next_leader(void **state)
{
    struct cloud *c = *state;
    for (unsigned h = 0; h < 3; h++)
        c->hosts[h].hold_starts = true;
    cloud_create_instance(c, 1, false);
    cloud_run(c, 1500);
    assert_int_equal(instance_run(c, 1), 1);
    cloud_new_leader(c);
    for (unsigned h = 0; h < 3; h++)
        c->hosts[h].hold_starts = false;
    assert_true(wait_state(c, 1, STATE(RUNNING), 9000));
    assert_int_equal(instance_run(c, 1), 1);
    cloud_run(c, 500);
    assert_int_equal(operation_state(c, 1), OPERATION(SUCCEEDED));
}

static void nothing_changed(void *arg, struct hf_world_object *o, const ProtobufCMessage *before)
{
    (void)arg;
    (void)o;
    (void)before;
}

static void must_not_be_called(void *arg)
{
    (void)arg;
    fail();
}

static void must_not_be_done(void *arg, bool applied)
{
    (void)arg;
    (void)applied;
    fail();
}

/* Its answer comes when the controllers have stopped, and what it would tell them of is gone. */
static void an_edit_outlives_the_world_that_it_was_made_in(void **state)
{
    struct cloud *c = *state;
    struct hf_world *w = hf_world_create(leader_control(c), nothing_changed, NULL);
    struct hf_editor editor = {.control = leader_control(c), .world = w, .kick = must_not_be_called};
    hf_world_load(w);
    struct hf_edit *e = hf_edit_create(&editor, "change a host");
    hf_edit_change(e, hf_world_at(w, KIND(HOST), 0));
    hf_edit_commit(e, must_not_be_done, NULL);
    hf_world_clear(w);
    cloud_run(c, 1000);
    assert_null(editor.live);
    hf_editor_done(&editor);
    hf_world_free(w);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_instance_starts_and_its_operation_succeeds),
        TEST(instances_spread_over_the_hosts),
        TEST(no_room_says_what_is_missing_and_leaves_it_off),
        TEST(a_never_stop_instance_waits_for_room),
        TEST(stopping_ends_the_placement_by_the_hosts_promise),
        TEST(pause_resume_and_reboot_are_seen_through),
        TEST(a_guest_that_powers_off_is_left_off_without_ha),
        TEST(a_never_stop_guest_that_ends_starts_again_with_back_off),
        TEST(a_failed_start_is_tried_on_another_host),
        TEST(a_start_that_fails_everywhere_ends_with_the_hosts_sentence),
        TEST(what_blocks_a_start_is_said),
        TEST(a_cancelled_start_is_taken_back),
        TEST(deleting_takes_instance_volume_and_address),
        TEST(an_image_is_fetched_once_and_found_good),
        TEST(a_bad_image_fails_with_its_sentence),
        TEST(storages_show_what_their_hosts_see),
        TEST(small_changes_of_capacity_are_not_written),
        TEST(a_host_that_lost_the_storage_gets_no_instances),
        TEST(a_local_disk_keeps_its_instance_on_its_host),
        TEST(deleting_a_data_volume_waits_for_a_host_that_reaches_it),
        TEST(a_quiet_cloud_writes_nothing),
        TEST(a_new_leader_keeps_every_instance),
        TEST(a_start_that_was_under_way_is_finished_by_the_next_leader),
        TEST(an_edit_outlives_the_world_that_it_was_made_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
