#include "control/ceph_testing.h"

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

#define ASK_MS 50

/* One question under way. */
struct question {
    struct played_ceph *ceph;
    json_t *text;
    hf_ceph_answered answered;
    void *arg;
    struct hf_timer timer;
};

static const char *member(const json_t *o, const char *name)
{
    return json_string_value(json_object_get(o, name));
}

static char *removal_of(const struct played_ceph *f, const json_t *question)
{
    json_t *removed = json_array(), *kept = json_array(), *image;
    size_t i;
    json_array_foreach(json_object_get(question, "images"), i, image)
    {
        if (f->kept)
            json_array_append_new(kept,
                                  json_pack("{s:s, s:s}", "image", json_string_value(image), "why", f->kept));
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

static void add_keys(json_t *keys, const json_t *hosts, const char *prefix)
{
    const json_t *host;
    size_t i;
    json_array_foreach(hosts, i, host)
    {
        char user[64];
        snprintf(user, sizeof user, "%s%s", prefix, json_string_value(host));
        json_array_append_new(
            keys, json_pack("{s:s, s:s, s:s}", "host", json_string_value(host), "user", user, "key", KEY));
    }
}

/* The keys that hf-ceph would give: of each host its own. */
static char *answer_of(const struct played_ceph *f, const json_t *question)
{
    if (strcmp(member(question, "verb"), "remove-images") == 0)
        return removal_of(f, question);
    json_t *keys = json_array();
    add_keys(keys, json_object_get(question, "hosts"), "holdfast-");
    add_keys(keys, json_object_get(question, "readers"), "reader-");
    const char *fsid = about_server(question) && f->own_fsid ? f->own_fsid : FSID;
    json_t *answer =
        json_pack("{s:s, s:s, s:s, s:o, s:i, s:i}", "fsid", fsid, "health", "HEALTH_OK", "health_message", "",
                  "keys", keys, "total_bytes", 1000, "available_bytes", 900);
    char *text = json_dumps(answer, 0);
    json_decref(answer);
    return text;
}

static void answer_now(void *arg)
{
    struct question *q = arg;
    struct played_ceph *f = q->ceph;
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
    struct played_ceph *f = hf_container_of(r, struct played_ceph, runner);
    struct question *q = HF_NEW(struct question);
    assert_true(timeout_ms > 0);
    *q = (struct question){.ceph = f, .text = json_loads(text, 0, NULL), .answered = answered, .arg = arg};
    assert_non_null(q->text);
    assert_string_equal(member(q->text, "key"), KEY);
    if (strcmp(member(q->text, "verb"), "remove-images") == 0) {
        bool server = strcmp(member(q->text, "pool"), SERVER_POOL) == 0;
        if (!server)
            assert_string_equal(member(q->text, "pool"), "pri-c-" STORAGE);
        (*(server ? &f->removing : &f->removing_copies))++;
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

static const struct hf_ceph_runner_ops played_ops = {.ask = ask};

/* --- the scene --- */

void ceph_put_storage(struct cloud *c)
{
    Holdfast__V1__CephCluster ceph = HOLDFAST__V1__CEPH_CLUSTER__INIT;
    ceph.user = (char *)"admin";
    ceph.key = (char *)KEY;
    ceph.image_pool = (char *)"pri-c-" STORAGE;
    ceph.root_pool = (char *)"mine";
    ceph.data_pool = (char *)"pri-v-d-" STORAGE;
    cloud_put_ceph(c, STORAGE, "ceph", "10.0.0.1", &ceph);
}

void ceph_attach(struct cloud *c, bool yes)
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

Holdfast__V1__PrimaryStorage *ceph_storage(struct cloud *c)
{
    Holdfast__V1__PrimaryStorage *s = cloud_get(c, HOLDFAST__V1__KIND__PRIMARY_STORAGE, STORAGE);
    assert_non_null(s);
    return s;
}

void ceph_put_server(struct cloud *c)
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

void ceph_put_served(struct cloud *c)
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

Holdfast__V1__ImageServer *ceph_server(struct cloud *c)
{
    Holdfast__V1__ImageServer *s = cloud_get(c, HOLDFAST__V1__KIND__IMAGE_SERVER, SERVER);
    assert_non_null(s);
    return s;
}

void ceph_play(struct cloud *c, struct played_ceph *f)
{
    *f = (struct played_ceph){.runner.ops = &played_ops, .cloud = c};
    for (unsigned i = 0; i < MEMBERS; i++)
        c->controls[i].ceph = &f->runner;
}
