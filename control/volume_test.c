/* What is done to volumes, through a whole control plane with scripted hosts: when it counts as done, and
 * what happens when hosts or leaders are lost meanwhile. */
#include "control/cloud_testing.h"

#define KIND(name)      HOLDFAST__V1__KIND__##name
#define STATE(name)     HOLDFAST__V1__INSTANCE_STATUS__STATE__##name
#define OPERATION(name) HOLDFAST__V1__OPERATION__STATE__##name
#define VOLUME_1        "b0000000000000000000000000000001"

static int set_up(void **state)
{
    *state = cloud_ready(3);
    return 0;
}

static int tear_down(void **state)
{
    cloud_free(*state);
    return 0;
}

static Holdfast__V1__Volume *volume(struct cloud *c)
{
    return cloud_get(c, KIND(VOLUME), VOLUME_1);
}

/* The operation about the root volume of instance 1, put together with the volume, as the API does. */
static void put(struct cloud *c, Holdfast__V1__Volume *v, const char *verb, uint64_t work)
{
    char uuid[HF_UUID_STR];
    operation_uuid(100, uuid);
    Holdfast__V1__Meta meta = meta_of(uuid, uuid);
    Holdfast__V1__Operation m = HOLDFAST__V1__OPERATION__INIT;
    Holdfast__V1__Operation *old = cloud_get(c, KIND(OPERATION), uuid);
    meta.revision = old != NULL ? old->meta->revision : 0;
    m.meta = &meta;
    m.verb = (char *)verb;
    m.target_kind = KIND(VOLUME);
    m.target_uuid = VOLUME_1;
    m.target_name = v->meta->name;
    m.target_run = work;
    m.state = OPERATION(RUNNING);
    m.started_at_ms = hf_env_wall_ms(c->raft.env);
    assert_int_equal(cloud_put_both(c, &v->base, &m.base), HF_OK);
    free_message(old);
    free_message(v);
}

static void resize(struct cloud *c, uint64_t bytes)
{
    Holdfast__V1__Volume *v = volume(c);
    v->spec->size_bytes = v->status->growing_to_bytes = bytes;
    put(c, v, "ResizeVolume", 0);
}

static uint64_t growing(struct cloud *c)
{
    Holdfast__V1__Volume *v = volume(c);
    uint64_t bytes = v->status->growing_to_bytes;
    free_message(v);
    return bytes;
}

static void a_running_guest_is_told_of_its_larger_disk(void **state)
{
    struct cloud *c = *state;
    cloud_create_instance(c, 1, false);
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
    c->hosts[0].volumes = VOLUMES_WAIT;
    resize(c, 2 * GIB);
    cloud_run(c, 3000);
    assert_int_equal(operation_state(c, 100), OPERATION(RUNNING));
    assert_true(operation_says(c, 100, "Cannot grow device files"));
    c->hosts[0].volumes = VOLUMES_WELL;
    cloud_new_leader(c); /* knows nothing, and asks again */
    cloud_run(c, 15000);
    assert_int_equal(operation_state(c, 100), OPERATION(SUCCEEDED));
    assert_int_equal(growing(c), 0);
}

/* Its next start makes the disk as large as it shall be. */
static void the_end_of_the_run_ends_the_wait(void **state)
{
    struct cloud *c = *state;
    cloud_create_instance(c, 1, false);
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
    c->hosts[0].volumes = VOLUMES_WAIT;
    resize(c, 2 * GIB);
    cloud_run(c, 3000);
    host_guest_ends(&c->hosts[0], 1);
    cloud_run(c, 3000);
    assert_int_equal(operation_state(c, 100), OPERATION(SUCCEEDED));
    assert_int_equal(growing(c), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_running_guest_is_told_of_its_larger_disk),
        TEST(the_end_of_the_run_ends_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
