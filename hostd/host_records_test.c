/* Storages, images, volumes and networks of one host, and what they keep an instance from. */
#include "holdfast/v1/storage.pb-c.h"
#include "hostd/host_fixture.h"

#include <string.h>

#include "base/mem.h"

static void send_assignment(struct world *w, Holdfast__V1__Assignment *a)
{
    Holdfast__V1__ControlMessage m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_ASSIGN;
    m.assign = a;
    world_send(w, &m);
}

static void assign_image_of(struct world *w, const char *url, Holdfast__V1__CephAccess *server,
                            const char *waits)
{
    Holdfast__V1__Assignment a = HOLDFAST__V1__ASSIGNMENT__INIT;
    Holdfast__V1__ImageAssignment i = HOLDFAST__V1__IMAGE_ASSIGNMENT__INIT;
    i.server = server;
    i.waits = (char *)waits;
    i.uuid = (char *)IMAGE;
    i.primary_storage_uuid = (char *)SHARED;
    i.url = (char *)url;
    i.format = (char *)"qcow2";
    a.object_case = HOLDFAST__V1__ASSIGNMENT__OBJECT_IMAGE;
    a.image = &i;
    send_assignment(w, &a);
}

static void assign_image(struct world *w, const char *url)
{
    assign_image_of(w, url, NULL, "");
}

static void delete_volume(struct world *w, const char *uuid)
{
    Holdfast__V1__Assignment a = HOLDFAST__V1__ASSIGNMENT__INIT;
    Holdfast__V1__VolumeAssignment v = HOLDFAST__V1__VOLUME_ASSIGNMENT__INIT;
    char path[100];
    snprintf(path, sizeof path, "rootVolumes/vol-%s.qcow2", uuid);
    v.uuid = (char *)uuid;
    v.primary_storage_uuid = (char *)SHARED;
    v.install_path = path;
    v.delete_ = true;
    a.object_case = HOLDFAST__V1__ASSIGNMENT__OBJECT_VOLUME;
    a.volume = &v;
    send_assignment(w, &a);
}

#define WORK(x) HOLDFAST__V1__VOLUME_SPEC__WORK__KIND__##x
#define SNAP    "e0000000000000000000000000000001"

static void work_on_volume(struct world *w, Holdfast__V1__VolumeSpec__Work__Kind kind, uint64_t sequence)
{
    Holdfast__V1__Assignment a = HOLDFAST__V1__ASSIGNMENT__INIT;
    Holdfast__V1__VolumeAssignment v = HOLDFAST__V1__VOLUME_ASSIGNMENT__INIT;
    Holdfast__V1__VolumeAssignment__Work work = HOLDFAST__V1__VOLUME_ASSIGNMENT__WORK__INIT;
    v.uuid = (char *)VM1; /* the fixture's volumes have their instances' digits */
    v.primary_storage_uuid = (char *)SHARED;
    v.install_path = (char *)"rootVolumes/vol-" VM1 ".qcow2";
    v.work = &work;
    work.kind = (int32_t)kind;
    work.sequence = sequence;
    work.snapshot_uuid = (char *)(kind == WORK(FLATTEN) ? "" : SNAP);
    a.object_case = HOLDFAST__V1__ASSIGNMENT__OBJECT_VOLUME;
    a.volume = &v;
    send_assignment(w, &a);
}

static const Holdfast__V1__VolumeReport__Work *worked(struct world *w)
{
    const Holdfast__V1__VolumeReport *r = world_volume(w, VM1);
    assert_non_null(r);
    assert_non_null(r->work);
    return r->work;
}

static void storages_report_themselves(void **state)
{
    struct world *w = world_attached();
    struct hf_uuid shared = uuid_of(SHARED), local = uuid_of(LOCAL);
    (void)state;
    assert_true(world_storage(w, SHARED)->ok);
    assert_true(world_storage(w, SHARED)->total_bytes == 1ull << 40);
    assert_true(hf_keeper_sim_has_storage(w->keeper_sim, &shared));
    assert_false(hf_keeper_sim_has_storage(w->keeper_sim, &local)); /* dies with its host */
    hf_sim_set_error(hf_disk_sim_faults(w->local), HF_PRIMARY_SIM_CHECK, HF_IO, "read-only file system", 100);
    world_step(w, 11000);
    assert_false(world_storage(w, LOCAL)->ok);
    assert_non_null(strstr(world_storage(w, LOCAL)->message, "read-only"));
    assert_true(world_storage(w, SHARED)->ok);
    world_free(w);
}

static void a_path_of_another_shape_is_refused(void **state)
{
    struct world *w = world_attached();
    Holdfast__V1__Assignment a = HOLDFAST__V1__ASSIGNMENT__INIT;
    Holdfast__V1__StorageAssignment s = HOLDFAST__V1__STORAGE_ASSIGNMENT__INIT;
    (void)state;
    s.uuid = (char *)VM2;
    s.path = (char *)"/root/vms";
    a.object_case = HOLDFAST__V1__ASSIGNMENT__OBJECT_STORAGE;
    a.storage = &s;
    send_assignment(w, &a);
    assert_non_null(world_refusal(w));
    assert_string_equal(world_refusal(w)->subject_uuid, VM2);
    world_free(w);
}

static void a_hanging_storage_stops_no_other(void **state)
{
    struct world *w = world_attached();
    (void)state;
    hf_disk_sim_hang(w->shared, true);
    world_step(w, 20000);
    world_instance(w, (struct order){0});
    world_instance(w, (struct order){.uuid = VM2, .storage = LOCAL});
    world_step(w, 20000);
    assert_false(world_storage(w, SHARED)->ok);
    assert_state(w, VM2, STATE(RUNNING));
    assert_state(w, VM1, STATE(PREPARING));
    assert_non_null(strstr(world_report(w, VM1)->blocked, SHARED));
    hf_disk_sim_hang(w->shared, false);
    world_step(w, 30000);
    assert_state(w, VM1, STATE(RUNNING));
    world_free(w);
}

static void the_keeper_is_asked_for_the_lease_until_it_takes_it(void **state)
{
    struct world *w = world_new();
    struct hf_uuid shared = uuid_of(SHARED);
    (void)state;
    hf_sim_set_error(hf_keeper_sim_faults(w->keeper_sim), HF_KEEPER_SIM_ADD_STORAGE, HF_IO,
                     "stale file handle", 4);
    world_step(w, 100);
    world_open(w);
    world_welcome(w, 1);
    world_base(w);
    world_synced(w);
    assert_false(hf_keeper_sim_has_storage(w->keeper_sim, &shared));
    world_step(w, 20000);
    assert_true(hf_keeper_sim_has_storage(w->keeper_sim, &shared));
    world_free(w);
}

static void an_image_is_fetched_and_reported(void **state)
{
    struct world *w = world_attached();
    (void)state;
    assign_image(w, "http://images/one.qcow2");
    world_step(w, 5000);
    assert_true(world_image(w, IMAGE)->ready);
    assert_true(world_image(w, IMAGE)->file_bytes > 0);
    world_free(w);
}

static void an_image_that_is_wrong_for_good(void **state)
{
    struct world *w = world_attached();
    (void)state;
    hf_sim_set_error(hf_disk_sim_faults(w->shared), HF_PRIMARY_SIM_CACHE, HF_INVALID,
                     "its SHA-256 is not the given one", 1);
    assign_image(w, "http://images/one.qcow2");
    world_instance(w, (struct order){0});
    world_step(w, 60000);
    assert_true(world_image(w, IMAGE)->failed);
    assert_non_null(strstr(world_image(w, IMAGE)->message, "SHA-256"));
    assert_state(w, VM1, STATE(PREPARING));
    assert_non_null(strstr(world_report(w, VM1)->blocked, "SHA-256"));
    assert_int_equal(hf_sim_calls(hf_disk_sim_faults(w->shared), HF_PRIMARY_SIM_CACHE),
                     1); /* not tried again */
    /* Another source is another try. */
    assign_image(w, "http://images/two.qcow2");
    world_step(w, 5000);
    assert_true(world_image(w, IMAGE)->ready);
    world_free(w);
}

static void an_image_server_that_is_away_is_asked_again(void **state)
{
    struct world *w = world_attached();
    (void)state;
    hf_sim_set_error(hf_disk_sim_faults(w->shared), HF_PRIMARY_SIM_CACHE, HF_UNAVAILABLE,
                     "connection refused", 2);
    assign_image(w, "http://images/one.qcow2");
    world_step(w, 3500);
    assert_false(world_image(w, IMAGE)->failed);
    assert_non_null(strstr(world_image(w, IMAGE)->message, "connection refused"));
    world_step(w, 20000);
    assert_true(world_image(w, IMAGE)->ready);
    world_free(w);
}

static int image_tries(struct world *w)
{
    return (int)hf_sim_calls(hf_disk_sim_faults(w->shared), HF_PRIMARY_SIM_CACHE);
}

/* From an image server of another cluster: nothing is tried before the key is there; what is wrong then may
 * pass. */
static void an_image_that_is_to_be_copied(void **state)
{
    struct world *w = world_attached();
    char *monitors[] = {(char *)"10.0.0.1"};
    Holdfast__V1__CephAccess server = HOLDFAST__V1__CEPH_ACCESS__INIT;
    (void)state;
    server.monitors = monitors;
    server.n_monitors = 1;
    server.image_pool = (char *)"bak";
    assign_image_of(w, "", NULL, "waits for the key to its image server");
    assign_image_of(w, "", NULL, "waits for it still");
    world_step(w, 5000);
    assert_int_equal(image_tries(w), 0);
    hf_sim_set_error(hf_disk_sim_faults(w->shared), HF_PRIMARY_SIM_CACHE, HF_INVALID, "no monitor answers",
                     1);
    assign_image_of(w, "", &server, "");
    world_step(w, 2200);
    assert_false(world_image(w, IMAGE)->failed);
    assert_true(world_image(w, IMAGE)->error);
    assert_false(world_image(w, IMAGE)->gone);
    world_step(w, 20000);
    assert_true(world_image(w, IMAGE)->ready);
    assert_false(world_image(w, IMAGE)->error);
    world_free(w);
}

/* The control plane is told that a template is not where it was, when it named nothing to make it from. */
static void a_template_that_is_gone(void **state)
{
    struct world *w = world_attached();
    (void)state;
    hf_sim_set_error(hf_disk_sim_faults(w->shared), HF_PRIMARY_SIM_CACHE, HF_NOT_FOUND, "it is not there", 2);
    assign_image(w, "");
    world_step(w, 2200);
    assert_true(world_image(w, IMAGE)->gone);
    assign_image(w, "http://images/one.qcow2");
    world_step(w, 2200);
    assert_true(world_image(w, IMAGE)->error && !world_image(w, IMAGE)->gone); /* the file behind the URL is */
    world_step(w, 20000);
    assert_true(world_image(w, IMAGE)->ready);
    world_free(w);
}

static void a_template_that_was_lost_is_fetched_again(void **state)
{
    struct world *w = world_attached();
    struct hf_uuid image = uuid_of(IMAGE);
    (void)state;
    assign_image(w, "http://images/one.qcow2");
    world_step(w, 5000);
    hf_disk_sim_lose_image(w->shared, &image);
    world_instance(w, (struct order){0});
    world_step(w, 20000);
    assert_state(w, VM1, STATE(RUNNING));
    world_free(w);
}

static void volumes_are_deleted_unless_used(void **state)
{
    struct world *w = world_attached();
    (void)state;
    world_instance(w, (struct order){0});
    world_step(w, 10000);
    assert_state(w, VM1, STATE(RUNNING));
    delete_volume(w, VM1);
    world_step(w, 10000);
    assert_true(hf_disk_sim_has_volume(w->shared, "rootVolumes/vol-" VM1 ".qcow2"));
    assert_false(world_volume(w, VM1)->deleted);
    assert_non_null(strstr(world_volume(w, VM1)->message, "uses the volume"));
    world_instance(w, (struct order){.power = POWER(STOPPED)});
    world_step(w, 10000);
    assert_true(world_volume(w, VM1)->deleted);
    assert_false(hf_disk_sim_has_volume(w->shared, "rootVolumes/vol-" VM1 ".qcow2"));
    world_free(w);
}

/* Tried until it is done, whatever answer gets lost; said again when the leader asks again. */
static void work_on_a_volume_is_done(void **state)
{
    struct world *w = world_attached();
    (void)state;
    world_instance(w, (struct order){0});
    world_step(w, 10000);
    hf_sim_set_fault(hf_disk_sim_faults(w->shared), HF_PRIMARY_SIM_CHANGE, HF_SIM_LOST_ANSWER, 1);
    work_on_volume(w, WORK(SNAPSHOT), 1); /* under a running guest */
    world_step(w, 59000);
    assert_null(world_volume(w, VM1));
    world_step(w, 1100);
    assert_false(worked(w)->done || worked(w)->failed);
    assert_string_not_equal(worked(w)->message, "");
    world_step(w, 30000);
    assert_true(worked(w)->done && worked(w)->sequence == 1 && worked(w)->size_bytes > 0);
    assert_int_equal(hf_disk_sim_changes(w->shared), 2);
    world_forget(w);
    work_on_volume(w, WORK(SNAPSHOT), 1);
    world_step(w, 1000);
    assert_true(worked(w)->done);
    assert_int_equal(hf_disk_sim_changes(w->shared), 2);
    work_on_volume(w, WORK(FLATTEN), 2); /* it has not to be unassigned between */
    world_step(w, 1000);
    assert_true(worked(w)->done && worked(w)->sequence == 2);
    assert_int_equal(worked(w)->percent, 50);
    world_free(w);
}

static void a_volume_is_put_back_only_when_no_guest_has_it(void **state)
{
    struct world *w = world_attached();
    (void)state;
    world_instance(w, (struct order){0});
    world_step(w, 10000);
    work_on_volume(w, WORK(REVERT), 1);
    world_step(w, 10000);
    assert_non_null(strstr(worked(w)->message, "uses the volume"));
    assert_int_equal(hf_disk_sim_changes(w->shared), 0);
    world_instance(w, (struct order){.power = POWER(STOPPED)});
    world_step(w, 20000);
    assert_true(worked(w)->done);
    assert_int_equal(hf_disk_sim_changes(w->shared), 1);
    world_free(w);
}

static void work_that_cannot_be_done_fails(void **state)
{
    struct world *w = world_attached();
    (void)state;
    work_on_volume(w, WORK(REVERT), 1);
    world_step(w, 1000);
    assert_true(worked(w)->failed);
    assert_non_null(strstr(worked(w)->message, "there is no volume"));
    assert_int_equal(worked(w)->error_code, hf_code_grpc(HF_NOT_FOUND));
    delete_volume(w, VM1); /* the record goes over to that */
    world_step(w, 1000);
    assert_true(world_volume(w, VM1)->deleted);
    world_free(w);
}

static void a_missing_nic_blocks_with_its_name(void **state)
{
    struct world *w = world_new();
    (void)state;
    hf_net_sim_missing_nic(w->net_sim, "em01");
    world_step(w, 100);
    world_open(w);
    world_welcome(w, 1);
    world_base(w);
    world_instance(w, (struct order){0});
    world_synced(w);
    world_step(w, 20000);
    assert_false(world_network(w, L3)->ok);
    assert_state(w, VM1, STATE(PREPARING));
    assert_non_null(strstr(world_report(w, VM1)->blocked, "em01"));
    hf_net_sim_missing_nic(w->net_sim, NULL);
    world_step(w, 20000);
    assert_true(world_network(w, L3)->ok);
    assert_state(w, VM1, STATE(RUNNING));
    world_free(w);
}

static void dhcp_lives_as_long_as_it_is_needed(void **state)
{
    struct world *w = world_attached();
    (void)state;
    world_step(w, 1000);
    assert_int_equal(hf_net_sim_dhcp_count(w->net_sim), 0);
    world_instance(w, (struct order){0});
    world_step(w, 10000);
    assert_int_equal(hf_net_sim_dhcp_count(w->net_sim), 1);
    world_unassign(w, HOLDFAST__V1__KIND__L3_NETWORK, L3);
    world_step(w, 5000);
    assert_int_equal(hf_net_sim_dhcp_count(w->net_sim), 1); /* its guest still needs it */
    world_instance(w, (struct order){.power = POWER(STOPPED)});
    world_step(w, 10000);
    assert_int_equal(hf_net_sim_dhcp_count(w->net_sim), 0);
    world_free(w);
}

static void an_instance_without_network_starts(void **state)
{
    struct world *w = world_attached();
    (void)state;
    world_instance(w, (struct order){.no_nic = true});
    world_step(w, 10000);
    assert_state(w, VM1, STATE(RUNNING));
    world_free(w);
}

#define NFS "4f000000000000000000000000000000"

static void assign_nfs(struct world *w, const char *options, const char *cidr)
{
    Holdfast__V1__Assignment a = HOLDFAST__V1__ASSIGNMENT__INIT;
    Holdfast__V1__StorageAssignment s = HOLDFAST__V1__STORAGE_ASSIGNMENT__INIT;
    s.uuid = (char *)NFS;
    s.type = (char *)"NFS";
    s.url = (char *)"10.0.0.5:/export";
    s.mount_options = (char *)options;
    s.network_cidr = (char *)cidr;
    s.heartbeat = true;
    a.object_case = HOLDFAST__V1__ASSIGNMENT__OBJECT_STORAGE;
    a.storage = &s;
    send_assignment(w, &a);
}

static void an_nfs_storage_is_leased_once_it_is_mounted(void **state)
{
    struct world *w = world_attached();
    struct hf_uuid nfs = uuid_of(NFS);
    (void)state;
    hf_sim_set_error(hf_disk_sim_faults(w->shared), HF_PRIMARY_SIM_CHECK, HF_INTERNAL,
                     "mount.nfs4: Connection refused", 1000);
    assign_nfs(w, "", "");
    world_step(w, 25000);
    assert_false(world_storage(w, NFS)->ok);
    assert_false(hf_keeper_sim_has_storage(w->keeper_sim, &nfs));
    assert_int_equal(w->mounts_kept, 1);
    hf_sim_set_error(hf_disk_sim_faults(w->shared), HF_PRIMARY_SIM_CHECK, HF_OK, "", 0);
    world_step(w, 25000);
    assert_true(world_storage(w, NFS)->ok);
    assert_true(hf_keeper_sim_has_storage(w->keeper_sim, &nfs));
    world_unassign(w, HOLDFAST__V1__KIND__PRIMARY_STORAGE, NFS);
    world_step(w, 1000);
    assert_int_equal(w->mounts_kept, 0);
    world_free(w);
}

/* Reached in another way, the files and the lease on them stay: instances there do not notice. */
static void a_change_of_way_keeps_the_lease(void **state)
{
    struct world *w = world_attached();
    struct hf_uuid nfs = uuid_of(NFS);
    (void)state;
    assign_nfs(w, "", "");
    world_step(w, 5000);
    assert_true(hf_keeper_sim_has_storage(w->keeper_sim, &nfs));
    unsigned opened = w->storages_opened;
    assign_nfs(w, "", "");
    assert_int_equal(w->storages_opened, opened);
    assign_nfs(w, "timeo=100", "10.0.0.0/24");
    assert_int_equal(w->storages_opened, opened + 1);
    assert_true(hf_keeper_sim_has_storage(w->keeper_sim, &nfs));
    world_step(w, 25000);
    assert_true(world_storage(w, NFS)->ok);
    assert_non_null(strstr(world_storage(w, NFS)->network_problem, "no address in the storage network"));
    w->addresses[0] = (struct hf_host_address){10u << 24 | 7, 24};
    w->n_addresses = 1;
    world_step(w, 25000);
    assert_string_equal(world_storage(w, NFS)->network_problem, "");
    assert_string_equal(world_storage(w, NFS)->address, "10.0.0.7");
    world_free(w);
}

/* A storage that is taken away while no daemon is here: the next one tells the keeper, which else holds its
 * file open. */
static void a_lease_for_nothing_is_given_up(void **state)
{
    struct world *w = world_attached();
    struct hf_uuid nfs = uuid_of(NFS), shared = uuid_of(SHARED);
    (void)state;
    assign_nfs(w, "", "");
    world_step(w, 5000);
    assert_true(hf_keeper_sim_has_storage(w->keeper_sim, &nfs));
    world_restart_hostd(w);
    world_step(w, 100);
    world_open(w);
    world_welcome(w, w->epoch);
    world_base(w);
    world_step(w, 5000);
    assert_true(hf_keeper_sim_has_storage(w->keeper_sim, &nfs)); /* it may yet be assigned */
    world_synced(w);
    world_step(w, 5000);
    assert_false(hf_keeper_sim_has_storage(w->keeper_sim, &nfs));
    assert_true(hf_keeper_sim_has_storage(w->keeper_sim, &shared));
    world_free(w);
}

/* Until the leader has told all that is this host's, nothing is unmounted. */
static void no_mount_is_given_up_before_all_is_known(void **state)
{
    struct world *w = world_new();
    (void)state;
    w->mounts_kept = 77;
    world_step(w, 100);
    world_open(w);
    world_welcome(w, 1);
    world_base(w);
    world_step(w, 1000);
    assert_int_equal(w->mounts_kept, 77);
    world_synced(w);
    assert_int_equal(w->mounts_kept, 0);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(storages_report_themselves),
        cmocka_unit_test(a_path_of_another_shape_is_refused),
        cmocka_unit_test(a_hanging_storage_stops_no_other),
        cmocka_unit_test(the_keeper_is_asked_for_the_lease_until_it_takes_it),
        cmocka_unit_test(an_image_is_fetched_and_reported),
        cmocka_unit_test(an_image_that_is_wrong_for_good),
        cmocka_unit_test(an_image_server_that_is_away_is_asked_again),
        cmocka_unit_test(an_image_that_is_to_be_copied),
        cmocka_unit_test(a_template_that_is_gone),
        cmocka_unit_test(a_template_that_was_lost_is_fetched_again),
        cmocka_unit_test(volumes_are_deleted_unless_used),
        cmocka_unit_test(work_on_a_volume_is_done),
        cmocka_unit_test(a_volume_is_put_back_only_when_no_guest_has_it),
        cmocka_unit_test(work_that_cannot_be_done_fails),
        cmocka_unit_test(a_missing_nic_blocks_with_its_name),
        cmocka_unit_test(dhcp_lives_as_long_as_it_is_needed),
        cmocka_unit_test(an_instance_without_network_starts),
        cmocka_unit_test(an_nfs_storage_is_leased_once_it_is_mounted),
        cmocka_unit_test(a_change_of_way_keeps_the_lease),
        cmocka_unit_test(a_lease_for_nothing_is_given_up),
        cmocka_unit_test(no_mount_is_given_up_before_all_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
