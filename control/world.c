#include "control/world.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "control/uuid_map.h"

#define BIT(name) (1ULL << HOLDFAST__V1__KIND__##name)
/* What controllers work with: zones and offerings are the API's alone. */
#define KINDS                                                                                                \
    (BIT(CLUSTER) | BIT(HOST) | BIT(PRIMARY_STORAGE) | BIT(IMAGE) | BIT(L2_NETWORK) | BIT(L3_NETWORK) |      \
     BIT(VOLUME) | BIT(INSTANCE) | BIT(GLOBAL_SETTING) | BIT(OPERATION) | BIT(FENCE) | BIT(IP_ADDRESS) |     \
     BIT(FAILOVER) | BIT(DRILL) | BIT(AFFINITY_GROUP) | BIT(IMAGE_SERVER))

struct object_list {
    struct hf_world_object **items;
    size_t len, cap;
};

struct hf_world {
    struct hf_control *control;
    hf_world_cb changed;
    void *arg;
    struct hf_uuid_map by_uuid;
    struct object_list kinds[HF_KIND_MAX];
    struct hf_watch *watch; /* NULL: not loaded */
    uint64_t generation;
};

struct hf_world *hf_world_create(struct hf_control *c, hf_world_cb changed, void *arg)
{
    struct hf_world *w = HF_NEW(struct hf_world);
    w->control = c;
    w->changed = changed;
    w->arg = arg;
    return w;
}

static void free_object(struct hf_world_object *o)
{
    if (o->memory != NULL && o->free_memory != NULL)
        o->free_memory(o->memory);
    if (o->message != NULL)
        protobuf_c_message_free_unpacked(o->message, NULL);
    free(o);
}

static struct hf_world_object *add_object(struct hf_world *w, uint32_t kind, const struct hf_uuid *uuid)
{
    struct hf_world_object *o = HF_NEW(struct hf_world_object);
    struct object_list *l = &w->kinds[kind];
    if (l->len == l->cap) {
        l->cap = l->cap > 0 ? l->cap * 2 : 16;
        l->items = hf_realloc_array(l->items, l->cap, sizeof *l->items);
    }
    o->uuid = *uuid;
    o->kind = kind;
    o->place = l->len;
    l->items[l->len++] = o;
    hf_uuid_map_set(&w->by_uuid, uuid, o);
    return o;
}

static void remove_object(struct hf_world *w, struct hf_world_object *o)
{
    struct object_list *l = &w->kinds[o->kind];
    l->items[o->place] = l->items[--l->len];
    l->items[o->place]->place = o->place;
    hf_uuid_map_remove(&w->by_uuid, &o->uuid);
}

static void object_deleted(struct hf_world *w, struct hf_world_object *o)
{
    ProtobufCMessage *before = o->message;
    remove_object(w, o);
    o->message = NULL;
    w->changed(w->arg, o, before);
    o->message = before;
    free_object(o);
}

void hf_world_refresh(struct hf_world *w, uint32_t kind, const struct hf_uuid *uuid)
{
    if (kind >= HF_KIND_MAX || (KINDS >> kind & 1) == 0)
        return;
    const struct hf_object *stored = hf_store_get_kind(hf_control_store(w->control), kind, uuid);
    struct hf_world_object *o = hf_world_find_uuid(w, kind, uuid);
    if (stored == NULL) {
        if (o != NULL)
            object_deleted(w, o);
        return;
    }
    if (o != NULL && o->revision == stored->revision)
        return;
    if (o == NULL)
        o = add_object(w, kind, uuid);
    ProtobufCMessage *before = o->message;
    o->message = hf_object_decode(stored);
    HF_ASSERT(o->message != NULL); /* only this program writes objects */
    o->revision = stored->revision;
    w->changed(w->arg, o, before);
    if (before != NULL)
        protobuf_c_message_free_unpacked(before, NULL);
}

static void watch_cb(void *arg, const struct hf_watch_event *e)
{
    hf_world_refresh(arg, e->kind, &e->uuid);
}

/* A leader takes no snapshot from others: the watch does not end before the controllers stop. */
void hf_world_load(struct hf_world *w)
{
    hf_world_clear(w);
    const struct hf_store *s = hf_control_store(w->control);
    hf_status st =
        hf_watch_open(w->control->replica, hf_store_revision(s), KINDS, watch_cb, NULL, w, &w->watch);
    HF_ASSERT(hf_ok(st)); /* from the present revision on: there is no history to miss */
    for (uint32_t kind = 0; kind < HF_KIND_MAX; kind++) {
        if ((KINDS >> kind & 1) == 0)
            continue;
        for (const struct hf_object *o = hf_store_next(s, kind, NULL); o != NULL;
             o = hf_store_next(s, kind, o->name))
            hf_world_refresh(w, kind, &o->uuid);
    }
}

void hf_world_clear(struct hf_world *w)
{
    w->generation++;
    if (w->watch != NULL)
        hf_watch_close(w->watch);
    w->watch = NULL;
    for (uint32_t kind = 0; kind < HF_KIND_MAX; kind++) {
        for (size_t i = 0; i < w->kinds[kind].len; i++)
            free_object(w->kinds[kind].items[i]);
        free(w->kinds[kind].items);
        w->kinds[kind] = (struct object_list){0};
    }
    hf_uuid_map_done(&w->by_uuid);
}

void hf_world_free(struct hf_world *w)
{
    hf_world_clear(w);
    free(w);
}

uint64_t hf_world_generation(const struct hf_world *w)
{
    return w->generation;
}

struct hf_world_object *hf_world_find_uuid(const struct hf_world *w, uint32_t kind,
                                           const struct hf_uuid *uuid)
{
    struct hf_world_object *o = hf_uuid_map_get(&w->by_uuid, uuid);
    return o != NULL && o->kind == kind ? o : NULL;
}

struct hf_world_object *hf_world_find(const struct hf_world *w, uint32_t kind, const char *uuid_text)
{
    struct hf_uuid uuid;
    return uuid_text != NULL && hf_uuid_parse(uuid_text, &uuid) ? hf_world_find_uuid(w, kind, &uuid) : NULL;
}

size_t hf_world_count(const struct hf_world *w, uint32_t kind)
{
    HF_ASSERT(kind < HF_KIND_MAX);
    return w->kinds[kind].len;
}

struct hf_world_object *hf_world_at(const struct hf_world *w, uint32_t kind, size_t i)
{
    HF_ASSERT(kind < HF_KIND_MAX && i < w->kinds[kind].len);
    return w->kinds[kind].items[i];
}

void *hf_world_message(const struct hf_world *w, uint32_t kind, const char *uuid_text)
{
    struct hf_world_object *o = hf_world_find(w, kind, uuid_text);
    return o != NULL ? o->message : NULL;
}
