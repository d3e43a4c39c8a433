#include "control/ceph_controller.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "control/ceph_runner.h"
#include "control/ceph_storage.h"
#include "control/conditions.h"
#include "control/storage_kind.h"
#include "storage/ceph_spec.h"

#define CONDITION_CEPH "Ceph"

typedef Holdfast__V1__PrimaryStorage Storage;
typedef Holdfast__V1__CephStatus Status;
typedef Holdfast__V1__CephStatus__HostKey HostKey;

/* What this leader remembers of one cluster. */
struct watched {
    struct watched *next;
    struct hf_ceph_controller *owner; /* NULL: forgotten while it was being asked */
    struct hf_uuid storage;
    bool asking, failed;
    int64_t due_ms; /* loop clock: of the next look */
    json_t *answer; /* not written yet, or NULL */
    char *error;    /* the same */
};

struct hf_ceph_controller {
    struct hf_controllers *c;
    struct watched *list;
};

struct hf_ceph_controller *hf_ceph_controller_create(struct hf_controllers *c)
{
    struct hf_ceph_controller *p = HF_NEW(struct hf_ceph_controller);
    p->c = c;
    return p;
}

static void watched_free(struct watched *w)
{
    json_decref(w->answer);
    free(w->error);
    free(w);
}

void hf_ceph_controller_free(struct hf_ceph_controller *p)
{
    while (p->list != NULL) {
        struct watched *w = p->list;
        p->list = w->next;
        w->owner = NULL;
        if (!w->asking)
            watched_free(w);
    }
    free(p);
}

static struct watched *watched_of(struct hf_ceph_controller *p, const struct hf_uuid *storage)
{
    struct watched *w = p->list;
    while (w != NULL && !hf_uuid_equal(&w->storage, storage))
        w = w->next;
    if (w == NULL) {
        w = HF_NEW(struct watched);
        w->owner = p;
        w->storage = *storage;
        w->next = p->list;
        p->list = w;
    }
    return w;
}

/* --- which hosts --- */

static bool uses(const struct hf_controllers *c, const Holdfast__V1__Host *h, const char *storage_uuid)
{
    const Holdfast__V1__Cluster *cl = HF_WORLD_GET(c->world, CLUSTER, Cluster, h->spec->cluster_uuid);
    for (size_t i = 0; cl != NULL && i < cl->spec->n_primary_storage_uuids; i++)
        if (strcmp(cl->spec->primary_storage_uuids[i], storage_uuid) == 0)
            return true;
    return false;
}

static bool has_key(const Storage *ps, const char *host_uuid)
{
    const Status *st = ps->status != NULL ? ps->status->ceph : NULL;
    for (size_t i = 0; st != NULL && i < st->n_host_keys; i++)
        if (strcmp(st->host_keys[i]->host_uuid, host_uuid) == 0)
            return true;
    return false;
}

/* The hosts that shall have a key; *ret_news: one of them has none yet. */
static json_t *hosts_wanted(const struct hf_controllers *c, const Storage *ps, bool *ret_news)
{
    json_t *list = json_array();
    for (size_t i = 0; !ps->spec->ceph->cephx_off && i < hf_world_count(c->world, HOLDFAST__V1__KIND__HOST);
         i++) {
        const Holdfast__V1__Host *h = HF_WORLD_AT(c->world, HOST, Host, i);
        if (!uses(c, h, ps->meta->uuid))
            continue;
        json_array_append_new(list, json_string(h->meta->uuid));
        *ret_news |= !has_key(ps, h->meta->uuid);
    }
    return list;
}

/* The users of hosts that have left. */
static json_t *users_to_revoke(const struct hf_controllers *c, const Storage *ps, bool *ret_news)
{
    const Status *st = ps->status != NULL ? ps->status->ceph : NULL;
    json_t *list = json_array();
    for (size_t i = 0; st != NULL && i < st->n_host_keys; i++) {
        const Holdfast__V1__Host *h = HF_WORLD_GET(c->world, HOST, Host, st->host_keys[i]->host_uuid);
        if (h != NULL && uses(c, h, ps->meta->uuid))
            continue;
        json_array_append_new(list, json_string(st->host_keys[i]->user));
        *ret_news = true;
    }
    return list;
}

/* --- the question --- */

json_t *hf_ceph_question(const Storage *ps, const char *verb)
{
    const Holdfast__V1__CephCluster *spec = ps->spec->ceph;
    const char *fsid = ps->status != NULL && ps->status->ceph != NULL ? ps->status->ceph->fsid : "";
    json_t *monitors = json_array();
    for (size_t i = 0; i < spec->n_monitors; i++)
        json_array_append_new(monitors, json_string(spec->monitors[i]));
    return json_pack("{s:s, s:o, s:s, s:s, s:s}", "verb", verb, "monitors", monitors, "user", spec->user,
                     "key", spec->key, "fsid", spec->fsid[0] != '\0' ? spec->fsid : fsid);
}

static json_t *pools_of(const Storage *ps)
{
    const char *const pools[] = {ps->spec->ceph->image_pool, ps->spec->ceph->root_pool,
                                 ps->spec->ceph->data_pool};
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:b}", "name", pools[i], "make", (int)hf_ceph_pool_is_made(ps, pools[i])));
    return list;
}

static void answered(void *arg, hf_status st, const char *text)
{
    struct watched *w = arg;
    w->asking = false;
    if (w->owner == NULL) {
        watched_free(w);
        return;
    }
    struct hf_controllers *c = w->owner->c;
    w->answer = hf_ok(st) ? json_loads(text, 0, NULL) : NULL;
    w->failed = w->answer == NULL;
    if (w->failed)
        w->error = hf_strdup(hf_ok(st) ? "hf-ceph gave no answer" : hf_status_message(st));
    w->due_ms = hf_controllers_now_ms(c) + (w->failed ? HF_CEPH_RETRY_MS : HF_CEPH_HEALTH_MS);
    struct hf_world_object *o =
        hf_world_find_uuid(c->world, HOLDFAST__V1__KIND__PRIMARY_STORAGE, &w->storage);
    if (o != NULL)
        hf_controllers_mark(c, o);
}

/* Asks when there is something new, or it is time for a look. */
static void ask(struct hf_controllers *c, struct hf_world_object *o, struct watched *w)
{
    const Storage *ps = (const Storage *)(const void *)o->message;
    bool news = ps->status == NULL || ps->status->ceph == NULL || !ps->status->ceph->prepared;
    json_t *hosts = hosts_wanted(c, ps, &news), *revoke = users_to_revoke(c, ps, &news);
    int64_t now = hf_controllers_now_ms(c);
    if (now < w->due_ms && (w->failed || !news)) {
        json_decref(hosts);
        json_decref(revoke);
        return;
    }
    json_t *q = hf_ceph_question(ps, "prepare");
    json_object_set_new(q, "pools", pools_of(ps));
    json_object_set_new(q, "hosts", hosts);
    json_object_set_new(q, "revoke", revoke);
    char *text = json_dumps(q, JSON_COMPACT);
    json_decref(q);
    w->asking = true;
    c->control->ceph->ops->ask(c->control->ceph, text, HF_CEPH_TIMEOUT_MS, answered, w);
    free(text);
}

/* --- the answer --- */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static void free_keys(Status *st)
{
    for (size_t i = 0; i < st->n_host_keys; i++)
        protobuf_c_message_free_unpacked(&st->host_keys[i]->base, NULL);
    free(st->host_keys);
    st->host_keys = NULL;
    st->n_host_keys = 0;
}

static void take_keys(Status *st, const json_t *keys)
{
    const json_t *at;
    size_t i;
    free_keys(st);
    st->host_keys = hf_alloc_array(json_array_size(keys) + 1, sizeof *st->host_keys);
    json_array_foreach(keys, i, at)
    {
        HostKey *k = HF_NEW(HostKey);
        holdfast__v1__ceph_status__host_key__init(k);
        hf_pb_set(&k->host_uuid, text_of(at, "host"));
        hf_pb_set(&k->user, text_of(at, "user"));
        hf_pb_set(&k->key, text_of(at, "key"));
        st->host_keys[st->n_host_keys++] = k;
    }
}

static bool same_keys(const Status *st, const json_t *keys)
{
    const json_t *at;
    size_t i;
    if (json_array_size(keys) != st->n_host_keys)
        return false;
    json_array_foreach(keys, i, at)
    {
        const HostKey *k = st->host_keys[i];
        if (strcmp(k->host_uuid, text_of(at, "host")) != 0 || strcmp(k->key, text_of(at, "key")) != 0)
            return false;
    }
    return true;
}

static bool is_news(const Storage *ps, const struct watched *w)
{
    const Holdfast__V1__PrimaryStorageStatus *s = ps->status;
    const char *said =
        s != NULL ? hf_condition_message(s->conditions, s->n_conditions, CONDITION_CEPH) : NULL;
    if (w->error != NULL)
        return said == NULL || strcmp(said, w->error) != 0;
    const Status *st = s != NULL ? s->ceph : NULL;
    return said != NULL || st == NULL || !st->prepared || strcmp(st->fsid, text_of(w->answer, "fsid")) != 0 ||
           strcmp(st->health, text_of(w->answer, "health")) != 0 ||
           strcmp(st->health_message, text_of(w->answer, "health_message")) != 0 ||
           !same_keys(st, json_object_get(w->answer, "keys"));
}

static void take_answer(Holdfast__V1__PrimaryStorageStatus *s, const json_t *answer)
{
    if (s->ceph == NULL) {
        s->ceph = HF_NEW(Status);
        holdfast__v1__ceph_status__init(s->ceph);
    }
    hf_pb_set(&s->ceph->fsid, text_of(answer, "fsid"));
    hf_pb_set(&s->ceph->health, text_of(answer, "health"));
    hf_pb_set(&s->ceph->health_message, text_of(answer, "health_message"));
    s->ceph->prepared = true;
    take_keys(s->ceph, json_object_get(answer, "keys"));
    hf_condition_clear(&s->conditions, &s->n_conditions, CONDITION_CEPH);
}

/* True: something is being written. */
static bool write_down(struct hf_controllers *c, struct hf_world_object *o, struct watched *w)
{
    const Storage *ps = (const Storage *)(const void *)o->message;
    bool news = is_news(ps, w);
    if (news) {
        struct hf_edit *e = hf_edit_create(&c->editor, "note what the cluster of '%s' says", ps->meta->name);
        Storage *changed = hf_edit_change(e, o);
        if (changed->status == NULL) {
            changed->status = HF_NEW(Holdfast__V1__PrimaryStorageStatus);
            holdfast__v1__primary_storage_status__init(changed->status);
        }
        if (w->error != NULL)
            hf_condition_set(&changed->status->conditions, &changed->status->n_conditions, CONDITION_CEPH,
                             false, w->error, hf_controllers_wall_ms(c));
        else
            take_answer(changed->status, w->answer);
        if (w->error != NULL)
            hf_warn("primary storage '%s': %s", ps->meta->name, w->error);
        hf_edit_commit(e, NULL, NULL);
        hf_host_assignments_mark(c->assignments, NULL);
    }
    json_decref(w->answer);
    free(w->error);
    w->answer = NULL;
    w->error = NULL;
    return news;
}

bool hf_ceph_reconcile(struct hf_controllers *c, struct hf_world_object *o)
{
    struct watched *w = watched_of(c->ceph, &o->uuid);
    if (w->asking)
        return false;
    if (c->control->ceph == NULL && w->error == NULL && !w->failed) {
        w->failed = true;
        w->due_ms = INT64_MAX;
        w->error = hf_strdup("this control node cannot ask Ceph clusters: its hf-ceph is missing");
    }
    if ((w->answer != NULL || w->error != NULL) && write_down(c, o, w))
        return true;
    if (c->control->ceph != NULL)
        ask(c, o, w);
    hf_controllers_wake(c, o, HF_CEPH_RETRY_MS / 5);
    return false;
}
