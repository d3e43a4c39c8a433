/* A Ceph primary storage through a whole control plane (cloud_testing.h) with a cluster that a test plays:
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

#define STORAGE "50000000000000000000000000000003"
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
};

static const char *member(const json_t *o, const char *name)
{
    return json_string_value(json_object_get(o, name));
}

/* The keys that hf-ceph would give: of each host its own. */
static char *answer_of(const json_t *question)
{
    json_t *keys = json_array(), *host;
    size_t i;
    json_array_foreach(json_object_get(question, "hosts"), i, host)
    {
        char user[64];
        snprintf(user, sizeof user, "holdfast-%s", json_string_value(host));
        json_array_append_new(
            keys, json_pack("{s:s, s:s, s:s}", "host", json_string_value(host), "user", user, "key", KEY));
    }
    json_t *answer = json_pack("{s:s, s:s, s:s, s:o}", "fsid", FSID, "health", "HEALTH_OK", "health_message",
                               "", "keys", keys);
    char *text = json_dumps(answer, 0);
    json_decref(answer);
    return text;
}

static void answer_now(void *arg)
{
    struct question *q = arg;
    struct fake_ceph *f = q->ceph;
    char *text = answer_of(q->text);
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
    assert_string_equal(member(q->text, "verb"), "prepare");
    assert_string_equal(member(q->text, "key"), KEY);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_are_told_when_all_is_there),
        cmocka_unit_test(keys_go_with_the_hosts),
        cmocka_unit_test(a_new_leader_asks_anew),
        cmocka_unit_test(readers_see_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
