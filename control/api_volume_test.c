/* Snapshots, going back to them and flattening through the API, with controllers and scripted hosts: what is
 * refused, who does the work, and what happens when hosts or leaders are lost meanwhile. */
#include "control/api_testing.h"

#include "control/api_volume.h"
#include "control/fake_ceph.h"

#define STATE(name)     HOLDFAST__V1__INSTANCE_STATUS__STATE__##name
#define OPERATION(name) HOLDFAST__V1__OPERATION__STATE__##name
#define POWER(name)     HOLDFAST__V1__POWER_STATE__POWER_##name
#define SNAP(name)      HOLDFAST__V1__VOLUME_STATUS__SNAPSHOT__STATE__##name
#define WORK(name)      HOLDFAST__V1__VOLUME_SPEC__WORK__KIND__##name
#define KIND(name)      HOLDFAST__V1__KIND__##name
#define VOLUME_1        "b0000000000000000000000000000001"

typedef Holdfast__V1__Volume Volume;
typedef Holdfast__V1__Operation Operation;

static int set_up(void **state)
{
    *state = world_create(3);
    return 0;
}

static int tear_down(void **state)
{
    world_free(*state);
    return 0;
}

/* SHARED becomes the pools of a cluster that asks for no key. */
static void make_it_ceph(struct api_world *w)
{
    Holdfast__V1__PrimaryStorage *ps = cloud_get(w->cloud, KIND(PRIMARY_STORAGE), SHARED);
    Holdfast__V1__CephCluster ceph = HOLDFAST__V1__CEPH_CLUSTER__INIT, *was = ps->spec->ceph;
    Holdfast__V1__CephStatus status = HOLDFAST__V1__CEPH_STATUS__INIT, *old = ps->status->ceph;
    fake_ceph_play(w->cloud);
    for (unsigned h = 0; h < 3; h++)
        snprintf(w->cloud->hosts[h].client_address, sizeof w->cloud->hosts[h].client_address, "10.1.0.%u",
                 h + 1);
    ceph.cephx_off = true;
    status.prepared = true;
    ps->spec->type = HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__CEPH;
    ps->spec->ceph = &ceph;
    ps->status->ceph = &status;
    assert_int_equal(cloud_put(w->cloud, &ps->base), HF_OK);
    ps->spec->ceph = was;
    ps->status->ceph = old;
    free_message(ps);
    cloud_run(w->cloud, 1000);
}

/* Instance 1 runs, its root volume on Ceph; the index of its host. */
static int run_on_ceph(struct api_world *w, bool never_stop)
{
    make_it_ceph(w);
    cloud_create_instance(w->cloud, 1, never_stop);
    assert_true(wait_state(w->cloud, 1, STATE(RUNNING), 5000));
    cloud_run(w->cloud, 1000);
    return instance_host(w->cloud, 1);
}

static void stop_it(struct api_world *w)
{
    cloud_set_power(w->cloud, 1, POWER(STOPPED), NULL);
    assert_true(wait_state(w->cloud, 1, STATE(STOPPED), 5000));
}

static Volume *volume(struct api_world *w)
{
    return cloud_get(w->cloud, KIND(VOLUME), VOLUME_1);
}

static void on_every_host(struct api_world *w, int what)
{
    for (unsigned h = 0; h < 3; h++)
        w->cloud->hosts[h].volumes = what;
}

/* --- calls --- */

static enum hf_code snapshot(struct api_world *w, const char *name, struct answer *a)
{
    Holdfast__V1__SnapshotVolumeRequest r = HOLDFAST__V1__SNAPSHOT_VOLUME_REQUEST__INIT;
    r.uuid = VOLUME_1;
    r.name = (char *)name;
    return call_leader(w, "Volume", "SnapshotVolume", &r.base, a);
}

static enum hf_code with_snapshot(struct api_world *w, const char *method, const char *name, struct answer *a)
{
    Holdfast__V1__VolumeSnapshotRequest r = HOLDFAST__V1__VOLUME_SNAPSHOT_REQUEST__INIT;
    r.uuid = VOLUME_1;
    r.snapshot = (char *)name;
    return call_leader(w, "Volume", method, &r.base, a);
}

static enum hf_code flatten(struct api_world *w, struct answer *a)
{
    Holdfast__V1__FlattenVolumeRequest r = HOLDFAST__V1__FLATTEN_VOLUME_REQUEST__INIT;
    r.uuid = VOLUME_1;
    return call_leader(w, "Volume", "FlattenVolume", &r.base, a);
}

static enum hf_code delete_image(struct api_world *w, struct answer *a)
{
    Holdfast__V1__DeleteRequest r = HOLDFAST__V1__DELETE_REQUEST__INIT;
    r.uuid = IMAGE;
    return call_leader(w, "Image", "DeleteImage", &r.base, a);
}

static enum hf_code start(struct api_world *w, struct answer *a)
{
    Holdfast__V1__InstanceVerbRequest r = HOLDFAST__V1__INSTANCE_VERB_REQUEST__INIT;
    r.uuid = (char *)cloud_instance(1);
    return call_leader(w, "Instance", "StartInstance", &r.base, a);
}

static void refuse(struct answer *a, enum hf_code code, const char *says)
{
    assert_says(a, code, says);
    answer_done(a);
}

/* The operation in `started` ends like this. Takes started. */
static void ends(struct api_world *w, struct answer *started, Holdfast__V1__Operation__State state,
                 const char *says)
{
    struct answer ended;
    Operation *op = wait_operation(w, started, &ended);
    if (op->state != state || strstr(op->error_message, says) == NULL)
        fail_msg("state %d: %s", (int)op->state, op->error_message);
    answer_done(started);
    answer_done(&ended);
}

static void take_snapshot(struct api_world *w, const char *name)
{
    struct answer a;
    assert_int_equal(snapshot(w, name, &a), HF_OK);
    ends(w, &a, OPERATION(SUCCEEDED), "");
}

static void operation_of(struct api_world *w, const struct answer *started, const char *step)
{
    Operation *op = cloud_get(w->cloud, KIND(OPERATION), uuid_of(started));
    assert_int_equal(op->state, OPERATION(RUNNING));
    if (strstr(op->step, step) == NULL)
        fail_msg("the operation does: %s", op->step);
    free_message(op);
}

/* --- tests --- */

static void a_snapshot_of_a_running_guest(void **state)
{
    struct api_world *w = *state;
    struct answer a;
    int host = run_on_ceph(w, false);
    take_snapshot(w, "one");
    assert_int_equal(w->cloud->hosts[host].volumes_worked, 1); /* its own QEMU has the image open */
    Volume *v = volume(w);
    assert_int_equal(v->status->n_snapshots, 1);
    assert_int_equal(v->status->snapshots[0]->state, SNAP(READY));
    assert_int_equal(v->status->snapshots[0]->size_bytes, 3 * GIB);
    assert_true(v->status->snapshots[0]->of_running_guest);
    assert_null(v->spec->work);
    free_message(v);
    snapshot(w, "one", &a);
    refuse(&a, HF_EXISTS, "it has a snapshot 'one' already");
    with_snapshot(w, "RevertVolume", "one", &a);
    refuse(&a, HF_PRECONDITION, "stop it first");
    with_snapshot(w, "DeleteVolumeSnapshot", "two", &a);
    refuse(&a, HF_NOT_FOUND, "it has no snapshot 'two'");
    for (int n = 2; n <= HF_VOLUME_SNAPSHOTS_MAX; n++) {
        char name[16];
        snprintf(name, sizeof name, "more-%d", n);
        take_snapshot(w, name);
    }
    snapshot(w, "too-many", &a);
    refuse(&a, HF_EXHAUSTED, "32 snapshots, which is the most");
    with_snapshot(w, "DeleteVolumeSnapshot", "one", &a);
    ends(w, &a, OPERATION(SUCCEEDED), "");
    v = volume(w);
    assert_int_equal(v->status->n_snapshots, HF_VOLUME_SNAPSHOTS_MAX - 1);
    assert_string_equal(v->status->snapshots[0]->name, "more-2");
    free_message(v);
}

static void files_have_none(void **state)
{
    struct api_world *w = *state;
    struct answer a;
    cloud_create_instance(w->cloud, 1, false);
    assert_true(wait_state(w->cloud, 1, STATE(RUNNING), 5000));
    snapshot(w, "one", &a);
    refuse(&a, HF_PRECONDITION, "storage 'shared', which is not of type Ceph");
    flatten(w, &a);
    refuse(&a, HF_PRECONDITION, "storage 'shared', which is not of type Ceph");
}

/* The new leader has it done; one thing at a time. */
static void work_goes_on_under_another_leader(void **state)
{
    struct api_world *w = *state;
    struct answer a, b;
    run_on_ceph(w, false);
    on_every_host(w, VOLUMES_WAIT);
    assert_int_equal(snapshot(w, "one", &a), HF_OK);
    cloud_run(w->cloud, 1000);
    operation_of(w, &a, "makes a snapshot of volume 'vm-1': the cluster is away");
    flatten(w, &b);
    refuse(&b, HF_PRECONDITION, "it is being snapshotted: wait for that");
    on_every_host(w, VOLUMES_WELL);
    cloud_new_leader(w->cloud);
    ends(w, &a, OPERATION(SUCCEEDED), "");
}

/* Nothing starts while a volume is put back, and a host that is lost meanwhile is replaced. */
static void a_revert_keeps_its_instance_from_starting(void **state)
{
    struct api_world *w = *state;
    struct answer reverted, started;
    run_on_ceph(w, true);
    take_snapshot(w, "one");
    stop_it(w);
    on_every_host(w, VOLUMES_WAIT);
    assert_int_equal(with_snapshot(w, "RevertVolume", "one", &reverted), HF_OK);
    assert_int_equal(start(w, &started), HF_OK);
    cloud_run(w->cloud, 5000);
    operation_of(w, &started, "waits for the work on its volume 'vm-1' to end");
    assert_int_equal(instance_host(w->cloud, 1), -1);
    for (unsigned h = 0; h < 3; h++)
        if (w->cloud->hosts[h].work_kind == WORK(REVERT))
            host_power_off(&w->cloud->hosts[h]);
    on_every_host(w, VOLUMES_WELL);
    ends(w, &reverted, OPERATION(SUCCEEDED), "");
    ends(w, &started, OPERATION(SUCCEEDED), "");
    assert_true(instance_host(w->cloud, 1) >= 0);
}

/* Work that was begun under a run waits for nobody's run, and keeps none from starting. */
static void work_follows_its_instance_to_another_host(void **state)
{
    struct api_world *w = *state;
    struct answer a;
    int host = run_on_ceph(w, true);
    take_snapshot(w, "before");
    w->cloud->hosts[host].volumes = VOLUMES_WAIT;
    assert_int_equal(snapshot(w, "during", &a), HF_OK);
    cloud_run(w->cloud, 1000);
    host_power_off(&w->cloud->hosts[host]);
    ends(w, &a, OPERATION(SUCCEEDED), "");
    assert_int_not_equal(instance_host(w->cloud, 1), host);
    Volume *v = volume(w);
    assert_int_equal(v->status->n_snapshots, 2);
    free_message(v);
}

/* It ends with its run, whoever did not get to it. */
static void work_is_done_after_the_run(void **state)
{
    struct api_world *w = *state;
    struct answer a;
    int host = run_on_ceph(w, false);
    w->cloud->hosts[host].volumes = VOLUMES_WAIT;
    assert_int_equal(flatten(w, &a), HF_OK);
    cloud_run(w->cloud, 1000);
    stop_it(w);
    on_every_host(w, VOLUMES_WELL);
    host_drop_stream(&w->cloud->hosts[host]); /* asked again, it has done it */
    ends(w, &a, OPERATION(SUCCEEDED), "");
}

static void a_snapshot_with_clones_stays(void **state)
{
    struct api_world *w = *state;
    struct answer a;
    run_on_ceph(w, false);
    take_snapshot(w, "one");
    on_every_host(w, VOLUMES_FAIL);
    assert_int_equal(with_snapshot(w, "DeleteVolumeSnapshot", "one", &a), HF_OK);
    ends(w, &a, OPERATION(FAILED), "the snapshot has clones");
    assert_int_equal(snapshot(w, "two", &a), HF_OK);
    ends(w, &a, OPERATION(FAILED), "the snapshot has clones");
    Volume *v = volume(w);
    assert_int_equal(v->status->n_snapshots, 1);
    assert_int_equal(v->status->snapshots[0]->state, SNAP(READY));
    free_message(v);
}

static void a_flattened_volume_lets_its_image_go(void **state)
{
    struct api_world *w = *state;
    struct answer a;
    run_on_ceph(w, false);
    delete_image(w, &a);
    refuse(&a, HF_PRECONDITION, "in use by");
    assert_int_equal(flatten(w, &a), HF_OK);
    ends(w, &a, OPERATION(SUCCEEDED), "");
    assert_int_equal(delete_image(w, &a), HF_OK);
    answer_done(&a);
    stop_it(w);
    assert_int_equal(start(w, &a), HF_OK);
    ends(w, &a, OPERATION(SUCCEEDED), "");
}

static void the_end_of_the_instance_ends_the_work(void **state)
{
    struct api_world *w = *state;
    struct answer a, deleted;
    Holdfast__V1__DeleteRequest r = HOLDFAST__V1__DELETE_REQUEST__INIT;
    int host = run_on_ceph(w, false);
    w->cloud->hosts[host].volumes = VOLUMES_WAIT;
    assert_int_equal(flatten(w, &a), HF_OK);
    r.uuid = (char *)cloud_instance(1);
    assert_int_equal(call_leader(w, "Instance", "DeleteInstance", &r.base, &deleted), HF_OK);
    ends(w, &deleted, OPERATION(SUCCEEDED), "");
    ends(w, &a, OPERATION(FAILED), "deleted");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_snapshot_of_a_running_guest),
        TEST(files_have_none),
        TEST(work_goes_on_under_another_leader),
        TEST(a_revert_keeps_its_instance_from_starting),
        TEST(work_follows_its_instance_to_another_host),
        TEST(work_is_done_after_the_run),
        TEST(a_snapshot_with_clones_stays),
        TEST(a_flattened_volume_lets_its_image_go),
        TEST(the_end_of_the_instance_ends_the_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
