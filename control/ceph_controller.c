#include "control/ceph_controller.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "control/ceph_runner.h"
#include "control/ceph_storage.h"
#include "control/conditions.h"
#include "control/image_controller.h"
#include "control/image_copy.h"
#include "control/image_pairing.h"
#include "control/storage_kind.h"
#include "storage/ceph_spec.h"

#define ROOM_PERCENT 1 /* a smaller change of the room is not written */

typedef Holdfast__V1__PrimaryStorage Storage;
typedef Holdfast__V1__ImageServer Server;
typedef Holdfast__V1__CephStatus Status;
typedef Holdfast__V1__CephStatus__HostKey HostKey;

/* A primary storage or an image server, as a user of its cluster. */
struct user {
    const struct hf_world_object *object;
    const Holdfast__V1__Meta *meta;
    const Holdfast__V1__CephCluster *spec;
    const Status *status; /* NULL: nothing is known of the cluster */
    Holdfast__V1__Condition *const *conditions;
    size_t n_conditions;
};

/* What this leader remembers of one user's cluster. */
struct watched {
    struct watched *next;
    struct hf_ceph_controller *owner; /* NULL: forgotten while it was being asked */
    struct hf_uuid user;
    uint32_t kind;
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

static struct watched *watched_of(struct hf_ceph_controller *p, const struct hf_world_object *o)
{
    struct watched *w = p->list;
    while (w != NULL && !hf_uuid_equal(&w->user, &o->uuid))
        w = w->next;
    if (w == NULL) {
        w = HF_NEW(struct watched);
        w->owner = p;
        w->user = o->uuid;
        w->kind = o->kind;
        w->next = p->list;
        p->list = w;
    }
    return w;
}

/* --- both kinds of users --- */

static const Storage *storage_of(const struct user *u)
{
    return u->object->kind == HOLDFAST__V1__KIND__PRIMARY_STORAGE
               ? (const Storage *)(const void *)u->object->message
               : NULL;
}

static const Server *server_of(const struct user *u)
{
    return u->object->kind == HOLDFAST__V1__KIND__IMAGE_SERVER
               ? (const Server *)(const void *)u->object->message
               : NULL;
}

static struct user user_of(const struct hf_world_object *o)
{
    struct user u = {.object = o, .meta = hf_message_meta(o->message)};
    const Storage *ps = storage_of(&u);
    const Server *server = server_of(&u);
    u.spec = ps != NULL ? ps->spec->ceph : server->spec->ceph;
    if (ps != NULL && ps->status != NULL) {
        u.status = ps->status->ceph;
        u.conditions = ps->status->conditions;
        u.n_conditions = ps->status->n_conditions;
    } else if (server != NULL && server->status != NULL) {
        u.status = server->status->ceph;
        u.conditions = server->status->conditions;
        u.n_conditions = server->status->n_conditions;
    }
    return u;
}

/* Where a user's object keeps what is known of its cluster; made when it is not there. */
struct place {
    Status **status;
    Holdfast__V1__Condition ***conditions;
    size_t *n_conditions;
};

static struct place place_in(ProtobufCMessage *m, uint32_t kind)
{
    if (kind == HOLDFAST__V1__KIND__PRIMARY_STORAGE) {
        Storage *ps = (Storage *)(void *)m;
        if (ps->status == NULL) {
            ps->status = HF_NEW(Holdfast__V1__PrimaryStorageStatus);
            holdfast__v1__primary_storage_status__init(ps->status);
        }
        return (struct place){&ps->status->ceph, &ps->status->conditions, &ps->status->n_conditions};
    }
    Server *server = (Server *)(void *)m;
    if (server->status == NULL) {
        server->status = HF_NEW(Holdfast__V1__ImageServerStatus);
        holdfast__v1__image_server_status__init(server->status);
    }
    return (struct place){&server->status->ceph, &server->status->conditions, &server->status->n_conditions};
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

static void want_key(const struct user *u, const char *uuid, json_t *list, bool *ret_news)
{
    json_array_append_new(list, json_string(uuid));
    *ret_news |= hf_ceph_key_of(u->status, uuid) == NULL;
}

/* Some host is to bring an image to the server. */
static bool is_filling(const struct hf_controllers *c, const char *server_uuid)
{
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__IMAGE); i++) {
        const Holdfast__V1__Image *image = HF_WORLD_AT(c->world, IMAGE, Image, i);
        if (strcmp(image->spec->image_server_uuid, server_uuid) == 0 && hf_image_is_fetching(image))
            return true;
    }
    return false;
}

/* The host copies from the server, or did for the leader before this one, which has not chosen yet. */
static bool reads(const struct hf_controllers *c, const struct user *u, const char *host_uuid)
{
    if (HF_WORLD_GET(c->world, HOST, Host, host_uuid) == NULL)
        return false;
    return hf_image_copy_reads(c, u->meta->uuid, host_uuid) ||
           (!hf_controllers_settled(c) && hf_ceph_key_of(u->status, host_uuid) != NULL);
}

/* Which hosts shall have a key that may only read: those that copy from an image server. *ret_news: one of
 * them has none yet. */
static json_t *readers_wanted(const struct hf_controllers *c, const struct user *u, bool *ret_news)
{
    json_t *list = json_array();
    for (size_t i = 0; server_of(u) != NULL && !u->spec->cephx_off &&
                       i < hf_world_count(c->world, HOLDFAST__V1__KIND__HOST);
         i++) {
        const Holdfast__V1__Host *h = HF_WORLD_AT(c->world, HOST, Host, i);
        if (reads(c, u, h->meta->uuid))
            want_key(u, h->meta->uuid, list, ret_news);
    }
    return list;
}

/* Who shall have a key: a storage's hosts; of an image server it is one key, while images are brought in.
 * *ret_news: one of them has none yet. */
static json_t *keys_wanted(const struct hf_controllers *c, const struct user *u, bool *ret_news)
{
    json_t *list = json_array();
    if (u->spec->cephx_off)
        return list;
    if (server_of(u) != NULL && is_filling(c, u->meta->uuid))
        want_key(u, u->meta->uuid, list, ret_news);
    for (size_t i = 0; storage_of(u) != NULL && i < hf_world_count(c->world, HOLDFAST__V1__KIND__HOST); i++) {
        const Holdfast__V1__Host *h = HF_WORLD_AT(c->world, HOST, Host, i);
        if (uses(c, h, u->meta->uuid))
            want_key(u, h->meta->uuid, list, ret_news);
    }
    return list;
}

static bool still_wanted(const struct hf_controllers *c, const struct user *u, const char *key_uuid)
{
    if (server_of(u) != NULL)
        return strcmp(key_uuid, u->meta->uuid) == 0 ? is_filling(c, key_uuid) : reads(c, u, key_uuid);
    const Holdfast__V1__Host *h = HF_WORLD_GET(c->world, HOST, Host, key_uuid);
    return h != NULL && uses(c, h, u->meta->uuid);
}

/* The users of hosts that have left, and of image servers that nobody fills or copies from. */
static json_t *users_to_revoke(const struct hf_controllers *c, const struct user *u, bool *ret_news)
{
    json_t *list = json_array();
    for (size_t i = 0; u->status != NULL && i < u->status->n_host_keys; i++) {
        const HostKey *key = u->status->host_keys[i];
        if (still_wanted(c, u, key->host_uuid))
            continue;
        json_array_append_new(list, json_string(key->user));
        *ret_news = true;
    }
    return list;
}

/* --- the question --- */

json_t *hf_ceph_cluster_question(const Holdfast__V1__CephCluster *spec, const Status *status,
                                 const char *verb)
{
    json_t *monitors = json_array();
    for (size_t i = 0; i < spec->n_monitors; i++)
        json_array_append_new(monitors, json_string(spec->monitors[i]));
    return json_pack("{s:s, s:o, s:s, s:s, s:s}", "verb", verb, "monitors", monitors, "user", spec->user,
                     "key", spec->key, "fsid",
                     spec->fsid[0] != '\0' || status == NULL ? spec->fsid : status->fsid);
}

json_t *hf_ceph_question(const Storage *ps, const char *verb)
{
    return hf_ceph_cluster_question(ps->spec->ceph, ps->status != NULL ? ps->status->ceph : NULL, verb);
}

static void add_pool(json_t *list, const char *name, bool make)
{
    json_array_append_new(list, json_pack("{s:s, s:b}", "name", name, "make", (int)make));
}

static json_t *pools_of(const struct user *u)
{
    const char *const pools[] = {u->spec->image_pool, u->spec->root_pool, u->spec->data_pool};
    json_t *list = json_array();
    if (server_of(u) != NULL)
        add_pool(list, u->spec->image_pool, hf_ceph_server_pool_is_made(server_of(u)));
    for (size_t i = 0; storage_of(u) != NULL && i < sizeof pools / sizeof pools[0]; i++)
        add_pool(list, pools[i], hf_ceph_pool_is_made(storage_of(u), pools[i]));
    return list;
}

/* Of image servers of the same cluster: a storage's templates are clones of what lies there. */
static json_t *pools_to_read(const struct hf_controllers *c, const struct user *u)
{
    json_t *list = json_array();
    for (size_t i = 0;
         storage_of(u) != NULL && i < hf_world_count(c->world, HOLDFAST__V1__KIND__IMAGE_SERVER); i++) {
        const Server *server = HF_WORLD_AT(c->world, IMAGE_SERVER, ImageServer, i);
        if (hf_image_server_has_cluster(server, u->status))
            json_array_append_new(list, json_string(server->spec->ceph->image_pool));
    }
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
    struct hf_world_object *o = hf_world_find_uuid(c->world, w->kind, &w->user);
    if (o != NULL)
        hf_controllers_mark(c, o);
}

/* Asks when there is something new, or it is time for a look. */
static void ask(struct hf_controllers *c, struct hf_world_object *o, struct watched *w)
{
    struct user u = user_of(o);
    bool news = u.status == NULL || !u.status->prepared;
    json_t *hosts = keys_wanted(c, &u, &news), *readers = readers_wanted(c, &u, &news),
           *revoke = users_to_revoke(c, &u, &news);
    int64_t now = hf_controllers_now_ms(c);
    if (now < w->due_ms && (w->failed || !news)) {
        json_decref(hosts);
        json_decref(readers);
        json_decref(revoke);
        return;
    }
    json_t *q = hf_ceph_cluster_question(u.spec, u.status, "prepare");
    json_object_set_new(q, "pools", pools_of(&u));
    json_object_set_new(q, "read", pools_to_read(c, &u));
    json_object_set_new(q, "hosts", hosts);
    json_object_set_new(q, "readers", readers);
    json_object_set_new(q, storage_of(&u) != NULL ? "storage" : "server", json_string(u.meta->uuid));
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

static uint64_t number_of(const json_t *object, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(object, name));
    return n > 0 ? (uint64_t)n : 0;
}

/* Only an image server's room: that of a storage is its hosts' word. */
static bool room_is_news(const Server *server, const json_t *answer)
{
    uint64_t was = server->status->available_bytes, is = number_of(answer, "available_bytes");
    return server->status->total_bytes == 0 ||
           (was > is ? was - is : is - was) > server->status->total_bytes / 100 * ROOM_PERCENT;
}

static bool is_news(const struct user *u, const struct watched *w)
{
    const char *said = hf_condition_message(u->conditions, u->n_conditions, HF_CEPH_CONDITION);
    if (w->error != NULL)
        return said == NULL || strcmp(said, w->error) != 0;
    const Status *st = u->status;
    return said != NULL || st == NULL || !st->prepared || strcmp(st->fsid, text_of(w->answer, "fsid")) != 0 ||
           strcmp(st->health, text_of(w->answer, "health")) != 0 ||
           strcmp(st->health_message, text_of(w->answer, "health_message")) != 0 ||
           !same_keys(st, json_object_get(w->answer, "keys")) ||
           (server_of(u) != NULL && room_is_news(server_of(u), w->answer));
}

static void take_answer(struct place at, const json_t *answer)
{
    if (*at.status == NULL) {
        *at.status = HF_NEW(Status);
        holdfast__v1__ceph_status__init(*at.status);
    }
    Status *st = *at.status;
    hf_pb_set(&st->fsid, text_of(answer, "fsid"));
    hf_pb_set(&st->health, text_of(answer, "health"));
    hf_pb_set(&st->health_message, text_of(answer, "health_message"));
    st->prepared = true;
    take_keys(st, json_object_get(answer, "keys"));
    hf_condition_clear(at.conditions, at.n_conditions, HF_CEPH_CONDITION);
}

static void take_room(ProtobufCMessage *m, uint32_t kind, const json_t *answer)
{
    if (kind != HOLDFAST__V1__KIND__IMAGE_SERVER)
        return;
    Holdfast__V1__ImageServerStatus *st = ((Server *)(void *)m)->status;
    st->total_bytes = number_of(answer, "total_bytes");
    st->available_bytes = number_of(answer, "available_bytes");
}

/* An image server's pool is new: storages of its cluster give their hosts leave to read it. */
static void ask_storages_soon(struct hf_ceph_controller *p)
{
    for (struct watched *w = p->list; w != NULL; w = w->next)
        if (w->kind == HOLDFAST__V1__KIND__PRIMARY_STORAGE && !w->failed)
            w->due_ms = 0;
}

/* True: something is being written. */
static bool write_down(struct hf_controllers *c, struct hf_world_object *o, struct watched *w)
{
    struct user u = user_of(o);
    bool news = is_news(&u, w);
    if (news) {
        struct hf_edit *e = hf_edit_create(&c->editor, "note what the cluster of '%s' says", u.meta->name);
        ProtobufCMessage *changed = hf_edit_change(e, o);
        struct place at = place_in(changed, o->kind);
        if (w->error != NULL) {
            hf_condition_set(at.conditions, at.n_conditions, HF_CEPH_CONDITION, false, w->error,
                             hf_controllers_wall_ms(c));
            hf_warn("%s '%s': %s", hf_kind_of(o->kind)->singular, u.meta->name, w->error);
        } else {
            if (server_of(&u) != NULL && (u.status == NULL || !u.status->prepared))
                ask_storages_soon(w->owner);
            take_answer(at, w->answer);
            take_room(changed, o->kind, w->answer);
        }
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
    struct watched *w = watched_of(c->ceph, o);
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
