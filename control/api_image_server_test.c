/* What keeps an image server and its images from being deleted, through the API. */
#include "control/api_testing.h"

#include "control/ceph_testing.h"

#define KIND(name) HOLDFAST__V1__KIND__##name

static enum hf_code delete_it(struct api_world *w, const char *service, const char *uuid, struct answer *a)
{
    char method[64];
    Holdfast__V1__DeleteRequest r = HOLDFAST__V1__DELETE_REQUEST__INIT;
    r.uuid = (char *)uuid;
    snprintf(method, sizeof method, "Delete%s", service);
    return call_leader(w, service, method, &r.base, a);
}

static void refused(struct api_world *w, const char *service, const char *uuid, const char *says)
{
    struct answer a;
    delete_it(w, service, uuid, &a);
    assert_says(&a, HF_PRECONDITION, says);
    answer_done(&a);
}

static void deleted(struct api_world *w, const char *service, const char *uuid)
{
    struct answer a;
    if (delete_it(w, service, uuid, &a) != HF_OK)
        fail_msg("%s", a.sentence);
    answer_done(&a);
}

/* A server with an image, in a cluster that says `kept` of images that are to be removed. */
static struct api_world *scene(struct played_ceph *f, const char *kept)
{
    struct api_world *w = world_create(2);
    ceph_play(w->cloud, f);
    f->kept = kept;
    ceph_put_server(w->cloud);
    ceph_put_served(w->cloud);
    cloud_run(w->cloud, 20000);
    Holdfast__V1__Image *m = cloud_get(w->cloud, KIND(IMAGE), SERVED);
    assert_int_equal(m->status->state, HOLDFAST__V1__IMAGE_STATUS__STATE__READY);
    free_message(m);
    return w;
}

/* The order would be forgotten with it: it goes when its cluster has confirmed the last one. */
static void a_server_that_still_removes_images(void **state)
{
    (void)state;
    struct played_ceph f;
    struct api_world *w = scene(&f, "it lies under 2 images");
    refused(w, "ImageServer", SERVER, "in use by image 'served'");
    deleted(w, "Image", SERVED);
    refused(w, "ImageServer", SERVER, "still removes 1 deleted images");
    cloud_run(w->cloud, 15000);
    refused(w, "ImageServer", SERVER, "condition 'Removal'");
    f.kept = NULL;
    cloud_run(w->cloud, 15000);
    deleted(w, "ImageServer", SERVER);
    assert_null(cloud_get(w->cloud, KIND(IMAGE_SERVER), SERVER));
    world_free(w);
}

/* Nobody can tell what is left in a cluster that is gone: it does not keep its server for ever. */
static void a_server_whose_cluster_is_gone(void **state)
{
    (void)state;
    struct played_ceph f;
    struct api_world *w = scene(&f, "it lies under 2 images");
    deleted(w, "Image", SERVED);
    refused(w, "ImageServer", SERVER, "still removes 1 deleted images");
    f.fails = "no monitor answers";
    cloud_run(w->cloud, 30000);
    deleted(w, "ImageServer", SERVER);
    cloud_run(w->cloud, 30000); /* an answer that comes late finds nothing */
    world_free(w);
}

static bool has_key(struct cloud *c)
{
    Holdfast__V1__ImageServer *s = ceph_server(c);
    bool has = s->status->ceph->n_host_keys > 0;
    free_message(s);
    return has;
}

/* Its instance is deleted while a host copies the image: then image and server go, when the host's key has.
 */
static void a_server_that_is_copied_from(void **state)
{
    (void)state;
    struct played_ceph f;
    struct api_world *w = scene(&f, NULL);
    struct cloud *c = w->cloud;
    f.own_fsid = FAR_FSID;
    ceph_put_storage(c);
    ceph_attach(c, true);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(c->hosts[i].client_address, sizeof c->hosts[i].client_address, "10.0.0.%u", 11 + i);
        c->hosts[i].image_waits = c->hosts[i].hold_starts = true;
    }
    cloud_run(c, 20000);
    cloud_put_instance(c, 1, &(struct instance_wish){.storage = STORAGE, .image = SERVED});
    cloud_run(c, 15000);
    assert_true(has_key(c));
    refused(w, "Image", SERVED, "in use by volume");
    struct answer a;
    assert_int_equal(delete_it(w, "Instance", cloud_instance(1), &a), HF_OK);
    Holdfast__V1__Operation *op;
    struct answer ended;
    op = wait_operation(w, &a, &ended);
    assert_int_equal(op->state, HOLDFAST__V1__OPERATION__STATE__SUCCEEDED);
    answer_done(&a);
    answer_done(&ended);
    f.kept = "it is open somewhere";
    deleted(w, "Image", SERVED);
    cloud_run(c, 15000);
    assert_false(has_key(c));
    Holdfast__V1__PrimaryStorage *ps = ceph_storage(c);
    assert_int_equal(ps->status->n_removing_image_uuids, 1);
    assert_string_equal(ps->status->conditions[0]->type, "Removal");
    free_message(ps);
    f.kept = NULL;
    cloud_run(c, 15000);
    assert_true(f.removing > 0 && f.removing_copies > 0);
    ps = ceph_storage(c); /* what is copied goes from there, whole or not */
    assert_int_equal(ps->status->n_removing_image_uuids + ps->status->n_conditions, 0);
    free_message(ps);
    deleted(w, "ImageServer", SERVER);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_still_removes_images),
        cmocka_unit_test(a_server_whose_cluster_is_gone),
        cmocka_unit_test(a_server_that_is_copied_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
