/* Ceph primary storages and image servers through a whole control plane (cloud_testing.h) with a cluster that a test plays:
 * pools and keys before any host is told, keys that come and go with the hosts, and what is said of a cluster
 * that fails. */
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
#include "control/ceph_runner.h"
#include "control/ceph_storage.h"
#include "control/cloud_testing.h"
#include "control/controllers_state.h"
#include "control/image_pairing.h"
#include "control/pb_list.h"

#define STORAGE "50000000000000000000000000000003"
#define SERVER  "50000000000000000000000000000004"
#define SERVED  "1a000000000000000000000000000004" /* an image there */
#define SERVER_POOL "bak-t-" SERVER
#define KEY     "AQDjKwRrMVMQLBAAdjUIjqw3S+wugzFZ/DzVlw=="
#define FSID    "e1beaa76-80a0-4a2b-8986-0117f450b32f"
#define ASK_MS  50

typedef Holdfast__V1__PrimaryStorage Storage;

/* One question under way. */
struct question {
    struct fake_ceph *ceph;
    json_t *text;
    hf_ceph_answered answered;
    void *arg;
    struct hf_timer timer;
};

struct fake_ceph {
    struct hf_ceph_runner runner;
    struct cloud *cloud;
    const char *fails; /* what every question ends with, or NULL */
    unsigned asked, revoked, at_once, at_once_max;
    unsigned removing;    /* questions to remove images */
    const char *kept;     /* why images stay, or NULL */
    char read_pool[64];   /* that hosts of the storage may read, as last asked for; "": none */
    const char *own_fsid; /* of the image server's cluster, or NULL: the storage's */
};

static const char *member(const json_t *o, const char *name)
{
    return json_string_value(json_object_get(o, name));
}

static char *removal_of(const struct fake_ceph *f, const json_t *question)
{
    json_t *removed = json_array(), *kept = json_array(), *image;
    size_t i;
    json_array_foreach(json_object_get(question, "images"), i, image)
    {
        if (f->kept)
            json_array_append_new(
                kept, json_pack("{s:s, s:s}", "image", json_string_value(image), "why", f->kept));
        else
            json_array_append(removed, image);
    }
    json_t *answer = json_pack("{s:o, s:o}", "removed", removed, "kept", kept);
    char *text = json_dumps(answer, 0);
    json_decref(answer);
    return text;
}

static bool about_server(const json_t *question)
{
    const char *pool = member(json_array_get(json_object_get(question, "pools"), 0), "name");
    return pool && strcmp(pool, SERVER_POOL) == 0;
}

/* The keys that hf-ceph would give: of each host its own. */
static char *answer_of(const struct fake_ceph *f, const json_t *question)
{
    if (strcmp(member(question, "verb"), "remove-images") == 0)
        return removal_of(f, question);
    json_t *keys = json_array(), *host;
    size_t i;
    json_array_foreach(json_object_get(question, "hosts"), i, host)
    {
        char user[64];
        snprintf(user, sizeof user, "holdfast-%s", json_string_value(host));
        json_array_append_new(
            keys, json_pack("{s:s, s:s, s:s}", "host", json_string_value(host), "user", user, "key", KEY));
    }
    const char *fsid = about_server(question) && f->own_fsid ? f->own_fsid : FSID;
    json_t *answer = json_pack("{s:s, s:s, s:s, s:o, s:i, s:i}", "fsid", fsid, "health", "HEALTH_OK",
                               "health_message", "", "keys", keys, "total_bytes", 1000, "available_bytes", 900);
    char *text = json_dumps(answer, 0);
    json_decref(answer);
    return text;
}

static void answer_now(void *arg)
{
    struct question *q = arg;
    struct fake_ceph *f = q->ceph;
    char *text = answer_of(f, q->text);
    hf_status st = f->fails ? hf_error(HF_INTERNAL, "%s", f->fails) : HF_STATUS_OK;
    if (!f->fails)
        f->revoked += (unsigned)json_array_size(json_object_get(q->text, "revoke"));
    f->at_once--;
    q->answered(q->arg, st, hf_ok(st) ? text : NULL);
    hf_status_drop(st);
    free(text);
    json_decref(q->text);
    free(q);
}

static void ask(struct hf_ceph_runner *r, const char *text, unsigned timeout_ms, hf_ceph_answered answered,
                void *arg)
{
    struct fake_ceph *f = hf_container_of(r, struct fake_ceph, runner);
    struct question *q = HF_NEW(struct question);
    assert_true(timeout_ms > 0);
    *q = (struct question){.ceph = f, .text = json_loads(text, 0, NULL), .answered = answered, .arg = arg};
    assert_non_null(q->text);
    assert_string_equal(member(q->text, "key"), KEY);
    if (strcmp(member(q->text, "verb"), "remove-images") == 0) {
        assert_string_equal(member(q->text, "pool"), SERVER_POOL);
        f->removing++;
    } else if (!about_server(q->text)) {
        const json_t *read = json_object_get(q->text, "read");
        const char *pool = json_string_value(json_array_get(read, 0));
        snprintf(f->read_pool, sizeof f->read_pool, "%s", pool ? pool : "");
    }
    f->asked++;
    if (++f->at_once > f->at_once_max)
        f->at_once_max = f->at_once;
    hf_timer_start(f->cloud->controls[0].env, &q->timer, ASK_MS, answer_now, q);
}

static const struct hf_ceph_runner_ops fake_ops = {.ask = ask};

/* --- the scene --- */

static void put_storage(struct cloud *c)
{
    char *monitors[] = {(char *)"10.0.0.1"};
    Holdfast__V1__Meta meta = meta_of(STORAGE, "ceph");
    Holdfast__V1__CephCluster ceph = HOLDFAST__V1__CEPH_CLUSTER__INIT;
    Holdfast__V1__PrimaryStorageSpec spec = HOLDFAST__V1__PRIMARY_STORAGE_SPEC__INIT;
    Storage s = HOLDFAST__V1__PRIMARY_STORAGE__INIT;
    ceph.monitors = monitors;
    ceph.n_monitors = 1;
    ceph.user = (char *)"admin";
    ceph.key = (char *)KEY;
    ceph.image_pool = (char *)"pri-c-" STORAGE;
    ceph.root_pool = (char *)"mine";
    ceph.data_pool = (char *)"pri-v-d-" STORAGE;
    spec.type = HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__CEPH;
    spec.zone_uuid = (char *)ZONE;
    spec.ceph = &ceph;
    s.meta = &meta;
    s.spec = &spec;
    assert_int_equal(cloud_put(c, &s.base), HF_OK);
}

static void attach(struct cloud *c, bool yes)
{
    Holdfast__V1__Cluster *cl = cloud_get(c, HOLDFAST__V1__KIND__CLUSTER, CLUSTER);
    char **list = hf_alloc_array(cl->spec->n_primary_storage_uuids + 1, sizeof *list);
    size_t n = 0;
    for (size_t i = 0; i < cl->spec->n_primary_storage_uuids; i++) {
        if (strcmp(cl->spec->primary_storage_uuids[i], STORAGE) != 0)
            list[n++] = hf_strdup(cl->spec->primary_storage_uuids[i]);
        free(cl->spec->primary_storage_uuids[i]);
    }
    if (yes)
        list[n++] = hf_strdup(STORAGE);
    free(cl->spec->primary_storage_uuids);
    cl->spec->primary_storage_uuids = list;
    cl->spec->n_primary_storage_uuids = n;
    assert_int_equal(cloud_put(c, &cl->base), HF_OK);
    free_message(cl);
}

static Storage *storage(struct cloud *c)
{
    Storage *s = cloud_get(c, HOLDFAST__V1__KIND__PRIMARY_STORAGE, STORAGE);
    assert_non_null(s);
    return s;
}

static size_t keys(struct cloud *c)
{
    Storage *s = storage(c);
    size_t n = s->status && s->status->ceph ? s->status->ceph->n_host_keys : 0;
    free_message(s);
    return n;
}

static bool says(struct cloud *c, const char *part)
{
    Storage *s = storage(c);
    bool found = false;
    for (size_t i = 0; s->status && i < s->status->n_conditions; i++)
        found |= strcmp(s->status->conditions[i]->type, "Ceph") == 0 &&
                 strstr(s->status->conditions[i]->message, part) != NULL;
    free_message(s);
    return found;
}

/* How the host is told of the storage now, to be freed; false: not at all. */
static bool told(struct cloud *c, unsigned host, Holdfast__V1__Assignment **ret)
{
    const struct hf_control *control = leader_control(c);
    struct hf_assignment_set set;
    hf_assignment_set_build(&set, control->controllers->world, leader_store(c), c->hosts[host].uuid, 1);
    const struct hf_assignment *a = hf_assignment_set_find(&set, false, STORAGE);
    *ret = a ? (Holdfast__V1__Assignment *)(void *)hf_assignment_message(a) : NULL;
    hf_assignment_set_done(&set);
    return *ret != NULL;
}

static void play(struct cloud *c, struct fake_ceph *f)
{
    *f = (struct fake_ceph){.runner.ops = &fake_ops, .cloud = c};
    for (unsigned i = 0; i < MEMBERS; i++)
        c->controls[i].ceph = &f->runner;
}

/* --- tests --- */

static void hosts_are_told_when_all_is_there(void **state)
{
    (void)state;
    struct fake_ceph f;
    struct cloud *c = cloud_ready(2);
    play(c, &f);
    f.fails = "no monitor answers";
    put_storage(c);
    attach(c, true);
    cloud_run(c, 3000);
    assert_true(says(c, "no monitor answers"));
    Holdfast__V1__Assignment *told_of;
    assert_false(told(c, 0, &told_of)); /* nothing to go to */
    assert_int_equal(f.at_once_max, 1);
    assert_true(f.asked <= 2); /* not again at once */

    f.fails = NULL;
    cloud_run(c, 10000);
    assert_false(says(c, ""));
    assert_int_equal(keys(c), 2);
    assert_true(told(c, 1, &told_of));
    const Holdfast__V1__StorageAssignment *a = told_of->storage;
    assert_string_equal(a->type, "Ceph");
    assert_true(a->heartbeat);
    assert_string_equal(a->ceph->fsid, FSID);
    assert_string_equal(a->ceph->root_pool, "mine");
    assert_string_equal(a->ceph->key, KEY);
    assert_non_null(strstr(a->ceph->user, c->hosts[1].uuid));
    free_message(told_of);
    cloud_free(c);
}

static void keys_go_with_the_hosts(void **state)
{
    (void)state;
    struct fake_ceph f;
    struct cloud *c = cloud_ready(2);
    play(c, &f);
    put_storage(c);
    cloud_run(c, 5000);
    assert_int_equal(keys(c), 0); /* no host uses it */
    attach(c, true);
    cloud_run(c, 15000);
    assert_int_equal(keys(c), 2);
    attach(c, false);
    cloud_run(c, 15000);
    assert_int_equal(keys(c), 0);
    assert_int_equal(f.revoked, 2);
    cloud_free(c);
}

static void a_new_leader_asks_anew(void **state)
{
    (void)state;
    struct fake_ceph f;
    struct cloud *c = cloud_ready(2);
    play(c, &f);
    put_storage(c);
    attach(c, true);
    cloud_run(c, 5000);
    unsigned before = f.asked;
    cloud_new_leader(c);
    cloud_run(c, 15000);
    assert_true(f.asked > before);
    assert_int_equal(keys(c), 2);
    cloud_free(c);
}

static void readers_see_no_key(void **state)
{
    (void)state;
    struct fake_ceph f;
    struct cloud *c = cloud_ready(1);
    play(c, &f);
    put_storage(c);
    attach(c, true);
    cloud_run(c, 8000);
    Storage *s = storage(c);
    hf_ceph_keys_hide(s);
    assert_string_equal(s->spec->ceph->key, HF_CEPH_KEY_SHOWN);
    assert_string_equal(s->status->ceph->host_keys[0]->key, HF_CEPH_KEY_SHOWN);
    assert_true(hf_ceph_pool_is_made(s, s->spec->ceph->image_pool));
    assert_false(hf_ceph_pool_is_made(s, s->spec->ceph->root_pool));
    assert_false(hf_ceph_pool_is_made(s, "pri-c-" ZONE)); /* another storage's */
    free_message(s);
    cloud_free(c);
}

/* --- image servers --- */

static void put_server(struct cloud *c)
{
    char *monitors[] = {(char *)"10.0.0.1"};
    Holdfast__V1__Meta meta = meta_of(SERVER, "templates");
    Holdfast__V1__CephCluster ceph = HOLDFAST__V1__CEPH_CLUSTER__INIT;
    Holdfast__V1__ImageServerSpec spec = HOLDFAST__V1__IMAGE_SERVER_SPEC__INIT;
    Holdfast__V1__ImageServer s = HOLDFAST__V1__IMAGE_SERVER__INIT;
    ceph.monitors = monitors;
    ceph.n_monitors = 1;
    ceph.user = (char *)"admin";
    ceph.key = (char *)KEY;
    ceph.image_pool = (char *)SERVER_POOL;
    spec.type = HOLDFAST__V1__IMAGE_SERVER_SPEC__TYPE__CEPH;
    spec.zone_uuid = (char *)ZONE;
    spec.ceph = &ceph;
    s.meta = &meta;
    s.spec = &spec;
    assert_int_equal(cloud_put(c, &s.base), HF_OK);
}

static void put_served(struct cloud *c)
{
    Holdfast__V1__Meta meta = meta_of(SERVED, "served");
    Holdfast__V1__ImageSpec spec = HOLDFAST__V1__IMAGE_SPEC__INIT;
    Holdfast__V1__ImageStatus status = HOLDFAST__V1__IMAGE_STATUS__INIT;
    Holdfast__V1__Image m = HOLDFAST__V1__IMAGE__INIT;
    spec.url = (char *)"http://10.0.0.9/image";
    spec.format = HOLDFAST__V1__IMAGE_SPEC__FORMAT__RAW;
    spec.image_server_uuid = (char *)SERVER;
    status.state = HOLDFAST__V1__IMAGE_STATUS__STATE__FETCHING;
    m.meta = &meta;
    m.spec = &spec;
    m.status = &status;
    assert_int_equal(cloud_put(c, &m.base), HF_OK);
}

static Holdfast__V1__ImageServer *server(struct cloud *c)
{
    Holdfast__V1__ImageServer *s = cloud_get(c, HOLDFAST__V1__KIND__IMAGE_SERVER, SERVER);
    assert_non_null(s);
    return s;
}

static void order_removal(struct cloud *c)
{
    Holdfast__V1__ImageServer *s = server(c);
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
    struct fake_ceph f;
    struct cloud *c = cloud_ready(2);
    Holdfast__V1__Assignment *told_of;
    play(c, &f);
    put_storage(c);
    attach(c, true);
    put_server(c);
    c->hosts[0].image_waits = c->hosts[1].image_waits = true;
    put_served(c);
    cloud_run(c, 15000);
    Holdfast__V1__ImageServer *s = server(c);
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
    assert_int_equal(bringer(c, SERVER, &told_of), -1);
    cloud_free(c);
}

/* The order stays until the cluster says that the image is gone. */
static void deleted_images_leave_the_pool(void **state)
{
    (void)state;
    struct fake_ceph f;
    struct cloud *c = cloud_ready(1);
    play(c, &f);
    put_server(c);
    cloud_run(c, 5000);
    f.kept = "it lies under 2 images";
    order_removal(c);
    cloud_run(c, 25000);
    assert_in_range(f.removing, 2, 4); /* again, but not at once */
    Holdfast__V1__ImageServer *s = server(c);
    assert_int_equal(s->status->n_removing_image_uuids, 1);
    assert_int_equal(s->status->n_conditions, 1);
    assert_string_equal(s->status->conditions[0]->type, "Removal");
    assert_non_null(strstr(s->status->conditions[0]->message, "it lies under 2 images"));
    free_message(s);
    f.kept = NULL;
    cloud_new_leader(c);
    cloud_run(c, 15000);
    s = server(c);
    assert_int_equal(s->status->n_removing_image_uuids, 0);
    assert_int_equal(s->status->n_conditions, 0);
    free_message(s);
    cloud_free(c);
}

static void the_pairing(void **state)
{
    (void)state;
    struct fake_ceph f;
    struct cloud *c = cloud_ready(1);
    play(c, &f);
    put_storage(c);
    put_server(c);
    put_served(c);
    Holdfast__V1__Image *m = cloud_get(c, HOLDFAST__V1__KIND__IMAGE, SERVED);
    Holdfast__V1__ImageServer *s = server(c);
    Storage *ps = storage(c), *shared = cloud_get(c, HOLDFAST__V1__KIND__PRIMARY_STORAGE, SHARED);
    char *why = hf_image_pairing_objection(m, s, ps);
    assert_non_null(strstr(why, "not known yet"));
    free(why);
    why = hf_image_pairing_objection(m, s, shared);
    assert_non_null(strstr(why, "image server 'templates', which serves Ceph primary storages only"));
    free(why);
    free_message(s);
    free_message(ps);
    cloud_run(c, 8000);
    s = server(c);
    ps = storage(c);
    assert_null(hf_image_pairing_objection(m, s, ps));
    hf_pb_set(&s->status->ceph->fsid, "e1beaa76-80a0-4a2b-8986-000000000000");
    why = hf_image_pairing_objection(m, s, ps);
    assert_non_null(strstr(why, "not copied between clusters"));
    free(why);
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
    struct fake_ceph f;
    struct cloud *c = cloud_ready(1);
    play(c, &f);
    f.own_fsid = "e1beaa76-80a0-4a2b-8986-000000000000";
    put_storage(c);
    attach(c, true);
    put_server(c);
    cloud_run(c, 30000);
    assert_string_equal(f.read_pool, "");
    cloud_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_are_told_when_all_is_there),
        cmocka_unit_test(keys_go_with_the_hosts),
        cmocka_unit_test(a_new_leader_asks_anew),
        cmocka_unit_test(readers_see_no_key),
        cmocka_unit_test(a_host_brings_an_image_in),
        cmocka_unit_test(deleted_images_leave_the_pool),
        cmocka_unit_test(the_pairing),
        cmocka_unit_test(servers_of_other_clusters_are_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
