/* Image servers through a whole control plane with a cluster that a test plays: who brings an image in and
 * with which key, which storages may use it, and how a deleted one leaves the pool. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "control/assignment_set.h"
#include "control/ceph_storage.h"
#include "control/ceph_testing.h"
#include "control/controllers_state.h"
#include "control/image_pairing.h"
#include "control/image_upload.h"
#include "control/pb_list.h"

/* One whose file is uploaded; node 0: nothing of it has come. */
static void put_uploaded(struct cloud *c, Holdfast__V1__ImageStatus__State state, uint64_t node,
                         int64_t age_ms)
{
    int64_t noted_ms = hf_env_wall_ms(leader_control(c)->env) - age_ms;
    Holdfast__V1__Meta meta = meta_of(SERVED, "served");
    Holdfast__V1__ImageSpec spec = HOLDFAST__V1__IMAGE_SPEC__INIT;
    Holdfast__V1__ImageStatus status = HOLDFAST__V1__IMAGE_STATUS__INIT;
    Holdfast__V1__ImageUpload upload = HOLDFAST__V1__IMAGE_UPLOAD__INIT;
    Holdfast__V1__Image m = HOLDFAST__V1__IMAGE__INIT;
    meta.created_at_ms = noted_ms;
    spec.upload_bytes = 4 << 20;
    spec.format = HOLDFAST__V1__IMAGE_SPEC__FORMAT__RAW;
    spec.image_server_uuid = (char *)SERVER;
    upload.node_id = node;
    upload.address = (char *)"10.0.0.2:7480";
    upload.bytes = 3 << 20;
    upload.noted_at_ms = noted_ms;
    status.state = state;
    status.upload = node > 0 ? &upload : NULL;
    m.meta = &meta;
    m.spec = &spec;
    m.status = &status;
    assert_int_equal(cloud_put(c, &m.base), HF_OK);
}

static void order_removal(struct cloud *c)
{
    Holdfast__V1__ImageServer *s = ceph_server(c);
    hf_pb_list_add(&s->status->removing_image_uuids, &s->status->n_removing_image_uuids, SERVED);
    assert_int_equal(cloud_put(c, &s->base), HF_OK);
    free_message(s);
}

/* Which host is told of the server, as of a storage; -1: none. */
static int bringer(struct cloud *c, const char *uuid, Holdfast__V1__Assignment **ret)
{
    const struct hf_control *control = leader_control(c);
    int found = -1;
    *ret = NULL;
    for (unsigned i = 0; i < c->n_hosts; i++) {
        struct hf_assignment_set set;
        hf_assignment_set_build(&set, control->controllers->world, leader_store(c), c->hosts[i].uuid, 1);
        const struct hf_assignment *a = hf_assignment_set_find(&set, false, uuid);
        if (a && *ret == NULL) {
            *ret = (Holdfast__V1__Assignment *)(void *)hf_assignment_message(a);
            found = (int)i;
        }
        hf_assignment_set_done(&set);
    }
    return found;
}

/* One host gets the server's key and the image's URL, and loses both when the image is there. */
static void a_host_brings_an_image_in(void **state)
{
    (void)state;
    struct played_ceph f;
    struct cloud *c = cloud_ready(2);
    Holdfast__V1__Assignment *told_of;
    ceph_play(c, &f);
    ceph_put_storage(c);
    ceph_attach(c, true);
    ceph_put_server(c);
    c->hosts[0].image_waits = c->hosts[1].image_waits = true;
    ceph_put_served(c);
    cloud_run(c, 15000);
    Holdfast__V1__ImageServer *s = ceph_server(c);
    assert_string_equal(s->status->ceph->fsid, FSID);
    assert_int_equal(s->status->available_bytes, 900);
    assert_int_equal(s->status->ceph->n_host_keys, 1);
    hf_ceph_server_keys_hide(s);
    assert_string_equal(s->spec->ceph->key, HF_CEPH_KEY_SHOWN);
    assert_string_equal(s->status->ceph->host_keys[0]->key, HF_CEPH_KEY_SHOWN);
    free_message(s);
    assert_string_equal(f.read_pool, SERVER_POOL);

    int who = bringer(c, SERVER, &told_of);
    assert_true(who >= 0);
    const Holdfast__V1__StorageAssignment *a = told_of->storage;
    assert_string_equal(a->type, "Ceph");
    assert_false(a->heartbeat);
    assert_string_equal(a->ceph->image_pool, SERVER_POOL);
    assert_non_null(strstr(a->ceph->user, SERVER));
    free_message(told_of);
    assert_int_equal(bringer(c, SERVED, &told_of), who);
    assert_string_equal(told_of->image->primary_storage_uuid, SERVER);
    assert_string_equal(told_of->image->url, "http://10.0.0.9/image");
    assert_string_equal(told_of->image->server_pool, "");
    free_message(told_of);

    c->hosts[0].image_waits = c->hosts[1].image_waits = false;
    cloud_new_leader(c);
    cloud_run(c, 15000);
    Holdfast__V1__Image *m = cloud_get(c, HOLDFAST__V1__KIND__IMAGE, SERVED);
    assert_int_equal(m->status->state, HOLDFAST__V1__IMAGE_STATUS__STATE__READY);
    assert_int_equal(m->status->n_cached, 0);
    free_message(m);
    s = ceph_server(c);
    assert_int_equal(s->status->ceph->n_host_keys, 0); /* the key was for that alone */
    free_message(s);
    assert_int_equal(bringer(c, SERVER, &told_of), -1);
    cloud_free(c);
}

static void expect_image(struct cloud *c, Holdfast__V1__ImageStatus__State state, const char *words)
{
    Holdfast__V1__Image *m = cloud_get(c, HOLDFAST__V1__KIND__IMAGE, SERVED);
    assert_int_equal(m->status->state, state);
    assert_int_equal(m->status->n_conditions, words != NULL);
    if (words != NULL && strstr(m->status->conditions[0]->message, words) == NULL)
        fail_msg("%s", m->status->conditions[0]->message);
    free_message(m);
}

#define IMAGE_STATE(x) HOLDFAST__V1__IMAGE_STATUS__STATE__##x

/* While it comes no host hears of it; then one reads it from the node that keeps it. */
static void an_upload_is_fetched_from_its_node(void **state)
{
    (void)state;
    struct played_ceph f;
    struct cloud *c = cloud_ready(1);
    Holdfast__V1__Assignment *told_of;
    ceph_play(c, &f);
    ceph_put_server(c);
    put_uploaded(c, IMAGE_STATE(UPLOADING), 2, 0);
    cloud_run(c, 10000);
    expect_image(c, IMAGE_STATE(UPLOADING), "75 % of 4 MiB have arrived at control node 2");
    assert_int_equal(bringer(c, SERVED, &told_of), -1);

    c->hosts[0].image_waits = true;
    put_uploaded(c, IMAGE_STATE(FETCHING), 2, 0);
    cloud_run(c, 10000);
    assert_int_equal(bringer(c, SERVED, &told_of), 0);
    assert_string_equal(told_of->image->url, "upload://10.0.0.2:7480/" SERVED);
    free_message(told_of);
    c->hosts[0].image_waits = false;
    cloud_new_leader(c);
    cloud_run(c, 15000);
    expect_image(c, IMAGE_STATE(READY), NULL);
    Holdfast__V1__Image *m = cloud_get(c, HOLDFAST__V1__KIND__IMAGE, SERVED);
    assert_null(m->status->upload); /* nobody need keep it any more */
    free_message(m);
    cloud_free(c);
}

/* What stops in the middle says how it goes on, and is given up in the end; so is what never began. */
static void a_half_upload_expires(void **state)
{
    (void)state;
    struct played_ceph f;
    struct cloud *c = cloud_ready(1);
    ceph_play(c, &f);
    ceph_put_server(c);
    put_uploaded(c, IMAGE_STATE(UPLOADING), 2, HF_UPLOAD_SILENT_MS - 5000);
    cloud_run(c, 1000);
    expect_image(c, IMAGE_STATE(UPLOADING), "have arrived at control node 2");
    cloud_run(c, 8000);
    expect_image(c, IMAGE_STATE(UPLOADING), "'holdfast image upload' goes on with it");
    put_uploaded(c, IMAGE_STATE(UPLOADING), 2, HF_UPLOAD_EXPIRES_MS - 5000);
    cloud_run(c, 8000);
    expect_image(c, IMAGE_STATE(FAILED), "upload it again");
    Holdfast__V1__Image *m = cloud_get(c, HOLDFAST__V1__KIND__IMAGE, SERVED);
    assert_null(m->status->upload);
    free_message(m);
    put_uploaded(c, IMAGE_STATE(UPLOADING), 0, HF_UPLOAD_EXPIRES_MS);
    cloud_run(c, 2000);
    expect_image(c, IMAGE_STATE(FAILED), "nothing of its file has arrived");
    cloud_free(c);
}

/* The order stays until the cluster says that the image is gone. */
static void deleted_images_leave_the_pool(void **state)
{
    (void)state;
    struct played_ceph f;
    struct cloud *c = cloud_ready(1);
    ceph_play(c, &f);
    ceph_put_server(c);
    cloud_run(c, 5000);
    f.kept = "it lies under 2 images";
    order_removal(c);
    cloud_run(c, 25000);
    assert_in_range(f.removing, 2, 4); /* again, but not at once */
    Holdfast__V1__ImageServer *s = ceph_server(c);
    assert_int_equal(s->status->n_removing_image_uuids, 1);
    assert_int_equal(s->status->n_conditions, 1);
    assert_string_equal(s->status->conditions[0]->type, "Removal");
    assert_non_null(strstr(s->status->conditions[0]->message, "it lies under 2 images"));
    free_message(s);
    f.kept = NULL;
    cloud_new_leader(c);
    cloud_run(c, 15000);
    s = ceph_server(c);
    assert_int_equal(s->status->n_removing_image_uuids, 0);
    assert_int_equal(s->status->n_conditions, 0);
    free_message(s);
    cloud_free(c);
}

static void the_pairing(void **state)
{
    (void)state;
    struct played_ceph f;
    struct cloud *c = cloud_ready(1);
    ceph_play(c, &f);
    ceph_put_storage(c);
    ceph_put_server(c);
    ceph_put_served(c);
    Holdfast__V1__Image *m = cloud_get(c, HOLDFAST__V1__KIND__IMAGE, SERVED);
    Holdfast__V1__ImageServer *s = ceph_server(c);
    Holdfast__V1__PrimaryStorage *ps = ceph_storage(c),
                                 *shared = cloud_get(c, HOLDFAST__V1__KIND__PRIMARY_STORAGE, SHARED);
    char *why = hf_image_pairing_objection(m, s, ps);
    assert_non_null(strstr(why, "not known yet"));
    free(why);
    why = hf_image_pairing_objection(m, s, shared);
    assert_non_null(strstr(why, "image server 'templates', which serves Ceph primary storages only"));
    free(why);
    free_message(s);
    free_message(ps);
    cloud_run(c, 8000);
    s = ceph_server(c);
    ps = ceph_storage(c);
    assert_null(hf_image_pairing_objection(m, s, ps));
    m->status->state = HOLDFAST__V1__IMAGE_STATUS__STATE__READY;
    assert_false(hf_image_is_copied(m, s, ps)); /* but cloned */
    hf_pb_set(&s->status->ceph->fsid, FAR_FSID);
    assert_null(hf_image_pairing_objection(m, s, ps));
    assert_true(hf_image_is_copied(m, s, ps));
    assert_false(hf_image_is_copied(m, s, shared));
    free_message(s);
    free_message(ps);
    free_message(shared);
    free_message(m);
    cloud_free(c);
}

/* Hosts of a storage in another cluster get no leave to read a pool that is not there. */
static void servers_of_other_clusters_are_not_read(void **state)
{
    (void)state;
    struct played_ceph f;
    struct cloud *c = cloud_ready(1);
    ceph_play(c, &f);
    f.own_fsid = FAR_FSID;
    ceph_put_storage(c);
    ceph_attach(c, true);
    ceph_put_server(c);
    cloud_run(c, 30000);
    assert_string_equal(f.read_pool, "");
    cloud_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_brings_an_image_in),
        cmocka_unit_test(an_upload_is_fetched_from_its_node),
        cmocka_unit_test(a_half_upload_expires),
        cmocka_unit_test(deleted_images_leave_the_pool),
        cmocka_unit_test(the_pairing),
        cmocka_unit_test(servers_of_other_clusters_are_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
