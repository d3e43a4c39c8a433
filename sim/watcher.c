#include "sim/watcher.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/kinds.h"
#include "control/uuid_map.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/system.pb-c.h"

#define STREAM_LOW_MS    5000 /* then it is closed, and another one goes on */
#define STREAM_HIGH_MS   120000
#define AGAIN_MS         200 /* after a stream that has ended */
#define LIST_LOW_MS      5000
#define LIST_HIGH_MS     40000
#define LIST_DEADLINE_MS 15000
#define PAGE_MAX         1000

typedef unsigned long long ull;

/* An object as the stream has told. */
struct seen {
    uint64_t revision; /* of the last event about it */
    uint32_t kind;
    bool deleted;
    uint64_t snapshot; /* number of the last snapshot that it was in */
};

/* A list that waits until the stream has come as far. */
struct listed {
    struct hf_uuid uuid;
    uint64_t revision;
};

struct sim_watcher {
    struct sim_world *w;
    struct sim_client client;
    struct sim_rng rng;
    struct hf_timer stream_timer, list_timer;
    struct sim_api_call *stream; /* NULL: between two */
    unsigned node;               /* that the stream is with */
    struct hf_uuid_map objects;  /* of struct seen */
    uint64_t revision;           /* of the last event */
    uint64_t position;           /* everything up to it has been told */
    uint64_t snapshots;          /* begun */
    bool in_snapshot;
    uint32_t list_kind;
    uint64_t list_revision; /* 0: no list waits */
    struct listed *list;
    size_t n_list;
    uint64_t events, compared;
    bool ended;
};

static void watch(void *arg);
static void list(void *arg);

static void found(struct sim_watcher *t, const char *what, const struct hf_uuid *uuid, uint64_t revision)
{
    char text[HF_UUID_STR];
    if (t->w->checks != NULL)
        sim_checks_found(
            t->w->checks, sim_now_ns(t->w->sim), SIM_RULE_LOST,
            "the watch of node %u %s: object %s, revision %llu; last event %llu, complete to %llu",
            t->node + 1, what, hf_uuid_format(uuid, text), (ull)revision, (ull)t->revision, (ull)t->position);
}

/* --- comparing --- */

static const struct listed *find_listed(const struct sim_watcher *t, const struct hf_uuid *uuid)
{
    for (size_t i = 0; i < t->n_list; i++)
        if (hf_uuid_equal(&t->list[i].uuid, uuid))
            return &t->list[i];
    return NULL;
}

static void compare_listed(struct sim_watcher *t, const struct listed *l)
{
    const struct seen *o = hf_uuid_map_get(&t->objects, &l->uuid);
    if (o == NULL)
        found(t, "has never told of what is there", &l->uuid, l->revision);
    else if (o->deleted && o->revision <= t->list_revision)
        found(t, "has told of the deletion of what is there", &l->uuid, l->revision);
    else if (o->revision < l->revision)
        found(t, "has not told of a change", &l->uuid, l->revision);
}

static void compare(struct sim_watcher *t)
{
    if (t->list_revision == 0 || t->in_snapshot || t->position < t->list_revision)
        return;
    for (size_t i = 0; i < t->n_list; i++)
        compare_listed(t, &t->list[i]);
    for (size_t i = 0; i < t->objects.cap; i++) {
        const struct hf_uuid_map_slot *slot = &t->objects.slots[i];
        const struct seen *o = slot->value;
        if (o != NULL && o->kind == t->list_kind && !o->deleted && o->revision <= t->list_revision &&
            find_listed(t, &slot->uuid) == NULL)
            found(t, "has not told of a deletion", &slot->uuid, o->revision);
    }
    t->list_revision = 0;
    t->compared++;
}

/* --- the stream --- */

static struct seen *seen_of(struct sim_watcher *t, const struct hf_uuid *uuid)
{
    struct seen *o = hf_uuid_map_get(&t->objects, uuid);
    if (o == NULL) {
        o = HF_NEW(struct seen);
        hf_uuid_map_set(&t->objects, uuid, o);
    }
    return o;
}

/* What was not in the snapshot is not there any more; what came and went before it is never told of, so that
 * an older list cannot be compared. */
static void end_snapshot(struct sim_watcher *t, uint64_t revision)
{
    t->in_snapshot = false;
    if (t->list_revision < revision)
        t->list_revision = 0;
    for (size_t i = 0; i < t->objects.cap; i++) {
        struct seen *o = t->objects.slots[i].value;
        if (o != NULL && o->snapshot != t->snapshots && !o->deleted) {
            o->deleted = true;
            o->revision = revision;
        }
    }
}

static void on_mark(struct sim_watcher *t, uint64_t revision)
{
    static const struct hf_uuid nobody;
    if (revision < t->position)
        found(t, "marks a revision that it had passed", &nobody, revision);
    if (t->in_snapshot)
        end_snapshot(t, revision);
    t->revision = revision > t->revision ? revision : t->revision;
    t->position = revision;
    compare(t);
}

static void on_change(struct sim_watcher *t, const Holdfast__V1__WatchEvent *e)
{
    struct hf_uuid uuid;
    if (!hf_uuid_parse(e->uuid, &uuid))
        return;
    struct seen *o = seen_of(t, &uuid);
    if (t->in_snapshot) {
        o->snapshot = t->snapshots;
    } else {
        if (e->revision <= t->position)
            found(t, "tells what it had told", &uuid, e->revision);
        if (e->revision < t->revision)
            found(t, "goes back", &uuid, e->revision);
        t->position = e->revision - 1; /* there may be more of the same revision */
        t->revision = e->revision;
    }
    o->kind = (uint32_t)e->kind;
    o->revision = e->revision;
    o->deleted = e->deleted;
    t->events++;
    compare(t);
}

static void on_event(void *arg, const ProtobufCMessage *m)
{
    struct sim_watcher *t = arg;
    const Holdfast__V1__WatchEvent *e = (const Holdfast__V1__WatchEvent *)(const void *)m;
    if (e->caught_up)
        on_mark(t, e->revision);
    else
        on_change(t, e);
}

static void next_node(struct sim_watcher *t)
{
    t->node = (unsigned)sim_rng_below(&t->rng, t->w->sizes.nodes);
    hf_timer_start(&t->client.proc.env, &t->stream_timer, AGAIN_MS, watch, t);
}

static void on_stream_ended(void *arg, const struct sim_end_reason *why)
{
    struct sim_watcher *t = arg;
    t->stream = NULL;
    if (sim_tracing(t->w->sim))
        sim_trace(t->w->sim, t->client.proc.name, "the stream has ended: %s", why->message);
    if (why->code == HF_OUT_OF_RANGE || t->in_snapshot) /* all anew */
        t->position = 0;
    next_node(t);
}

/* Events after what is complete: those of a revision that was cut in its middle come again. */
static void watch(void *arg)
{
    static const struct sim_api_call_ops ops = {on_event, on_stream_ended};
    struct sim_watcher *t = arg;
    Holdfast__V1__Kind kinds[] = {HOLDFAST__V1__KIND__ZONE, HOLDFAST__V1__KIND__INSTANCE};
    Holdfast__V1__WatchRequest r = HOLDFAST__V1__WATCH_REQUEST__INIT;
    r.from_revision = t->position;
    r.kinds = kinds;
    r.n_kinds = sizeof kinds / sizeof kinds[0];
    t->in_snapshot = t->position == 0;
    t->snapshots += t->in_snapshot;
    t->revision = t->position;
    t->stream = sim_api_call(t->w, &t->client.proc, t->client.place, t->node, "Watch", "Watch", &r.base,
                             sim_rng_skewed(&t->rng, STREAM_LOW_MS, STREAM_HIGH_MS), &ops, t);
}

/* --- lists --- */

static void list_later(struct sim_watcher *t)
{
    hf_timer_start(&t->client.proc.env, &t->list_timer, sim_rng_between(&t->rng, LIST_LOW_MS, LIST_HIGH_MS),
                   list, t);
}

static void keep(struct sim_watcher *t, size_t i, const Holdfast__V1__Meta *meta)
{
    bool is_uuid = hf_uuid_parse(meta->uuid, &t->list[i].uuid);
    HF_ASSERT(is_uuid);
    t->list[i].revision = meta->revision;
}

static void on_instances(void *arg, const struct sim_answer *a)
{
    struct sim_watcher *t = arg;
    const Holdfast__V1__ListInstancesResponse *m =
        (const Holdfast__V1__ListInstancesResponse *)(const void *)a->message;
    list_later(t);
    if (a->code != HF_OK || m->n_instances == PAGE_MAX)
        return;
    t->n_list = m->n_instances;
    t->list = hf_realloc_array(t->list, t->n_list + 1, sizeof *t->list);
    for (size_t i = 0; i < t->n_list; i++)
        keep(t, i, m->instances[i]->meta);
    t->list_kind = HOLDFAST__V1__KIND__INSTANCE;
    t->list_revision = m->revision;
    compare(t);
}

static void on_zones(void *arg, const struct sim_answer *a)
{
    struct sim_watcher *t = arg;
    const Holdfast__V1__ListZonesResponse *m =
        (const Holdfast__V1__ListZonesResponse *)(const void *)a->message;
    list_later(t);
    if (a->code != HF_OK || m->n_zones == PAGE_MAX)
        return;
    t->n_list = m->n_zones;
    t->list = hf_realloc_array(t->list, t->n_list + 1, sizeof *t->list);
    for (size_t i = 0; i < t->n_list; i++)
        keep(t, i, m->zones[i]->meta);
    t->list_kind = HOLDFAST__V1__KIND__ZONE;
    t->list_revision = m->revision;
    compare(t);
}

/* One list after the other has been compared. */
static void list(void *arg)
{
    struct sim_watcher *t = arg;
    Holdfast__V1__ListRequest r = HOLDFAST__V1__LIST_REQUEST__INIT;
    r.page_size = PAGE_MAX;
    if (t->ended)
        return;
    if (t->list_revision != 0)
        list_later(t);
    else if (sim_rng_below(&t->rng, 2) == 0)
        sim_client_call(&t->client, "Zone", "ListZones", &r.base, LIST_DEADLINE_MS, on_zones, t);
    else
        sim_client_call(&t->client, "Instance", "ListInstances", &r.base, LIST_DEADLINE_MS, on_instances, t);
}

/* --- life --- */

static void crashed(void *arg)
{
    struct sim_watcher *t = arg;
    if (t->stream != NULL)
        sim_api_cancel(t->stream);
    t->stream = NULL;
}

struct sim_watcher *sim_watcher_create(struct sim_world *w)
{
    struct sim_watcher *t = HF_NEW(struct sim_watcher);
    t->w = w;
    t->rng = sim_rng_make(sim_seed(w->sim), "watch", 0);
    sim_client_init(&t->client, w, "watcher", 0);
    t->client.crashed = crashed;
    t->client.crashed_arg = t;
    return t;
}

static void begin(void *arg)
{
    struct sim_watcher *t = arg;
    next_node(t);
    list_later(t);
}

void sim_watcher_begin(struct sim_watcher *t)
{
    sim_proc_post(&t->client.proc, 0, begin, NULL, t);
}

void sim_watcher_end(struct sim_watcher *t)
{
    t->ended = true;
}

uint64_t sim_watcher_events(const struct sim_watcher *t)
{
    return t->events;
}

uint64_t sim_watcher_compared(const struct sim_watcher *t)
{
    return t->compared;
}

void sim_watcher_stop(struct sim_watcher *t)
{
    sim_client_done(&t->client);
}

void sim_watcher_free(struct sim_watcher *t)
{
    for (size_t i = 0; i < t->objects.cap; i++)
        free(t->objects.slots[i].value);
    hf_uuid_map_done(&t->objects);
    free(t->list);
    free(t);
}
