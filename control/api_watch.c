/* Watch: the store as it is (from revision 0), then every change in order, each once, as fast as the caller
 * takes them.
 *
 *   snapshot → history and changes → …
 *
 * The caller's queue is bounded by its carrier: when that says full, the snapshot pauses, or the replica's
 * watch is closed; when it has drained, the watch is opened again where it was. Between, only the replica's
 * history is held: a caller that is slower than that for too long hears OUT_OF_RANGE and lists again. Marks
 * (caught_up) tell how far it has come.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/api_handlers.h"
#include "control/api_rules.h"
#include "holdfast/v1/system.pb-c.h"

#define MARK_INTERVAL_MS 10000 /* a quiet watch hears of progress */
#define CATCH_UP_POLL_MS 2     /* until the history has been replayed */

struct item {
    struct hf_uuid uuid;
    uint32_t kind;
    uint64_t revision;
    struct hf_bytes *bytes;
};

struct stream {
    struct hf_api_call *call;
    uint64_t kinds; /* bit per kind; 0: all */
    /* The snapshot still to be sent: references, no copies. */
    struct item *items;
    size_t n_items, next_item;
    bool snapshot; /* under way; changes follow from snapshot_revision */
    uint64_t snapshot_revision;
    /* Changes. */
    struct hf_watch *watch; /* NULL: not begun, or paused because the queue is full */
    uint64_t revision;      /* every event below it has been sent; of it, the first `part` ones */
    size_t part;
    size_t skip;       /* events of `revision` that a reopened watch gives again */
    uint64_t mark_due; /* a mark is owed when this revision has been reached; 0: none */
    bool paused;
    struct hf_timer timer;
};

/* --- ending --- */

static void stream_free(struct stream *s)
{
    hf_timer_stop(&s->timer);
    if (s->watch != NULL)
        hf_watch_close(s->watch);
    for (size_t i = s->next_item; i < s->n_items; i++)
        hf_bytes_unref(s->items[i].bytes);
    free(s->items);
    free(s);
}

static void stream_end(struct stream *s, hf_status take_st)
{
    struct hf_api_call *c = s->call;
    stream_free(s);
    hf_call_end(c, take_st);
}

static void cancelled(struct hf_api_call *c)
{
    stream_end(c->data, hf_error(HF_CANCELLED, "the caller has gone"));
}

/* --- events --- */

/* Serialized WatchEvent around an object's bytes, which are not decoded for it. */
static bool send_object(struct stream *s, const struct item *it)
{
    char uuid[HF_UUID_STR];
    Holdfast__V1__WatchEvent e = HOLDFAST__V1__WATCH_EVENT__INIT;
    e.revision = it->revision;
    e.kind = it->kind;
    e.uuid = hf_uuid_format(&it->uuid, uuid);
    e.deleted = it->bytes == NULL;
    if (it->bytes == NULL)
        return s->call->sink->message(s->call->sink_arg, &e.base);

    struct hf_bytes *object = hf_object_for_reader(hf_call_store(s->call), it->kind, it->bytes, it->revision);
    size_t head = holdfast__v1__watch_event__get_packed_size(&e);
    struct hf_bytes *b = hf_bytes_new(head + 1 + 10 + object->len);
    uint8_t *p = b->data + holdfast__v1__watch_event__pack(&e, b->data);
    *p++ = 5 << 3 | 2; /* object */
    size_t v = object->len;
    for (; v >= 0x80; v >>= 7)
        *p++ = (uint8_t)(v | 0x80);
    *p++ = (uint8_t)v;
    memcpy(p, object->data, object->len);
    b->len = (size_t)(p + object->len - b->data);
    hf_bytes_unref(object);
    bool room = hf_call_send_bytes(s->call, b);
    hf_bytes_unref(b);
    return room;
}

static bool send_mark(struct stream *s, uint64_t revision)
{
    Holdfast__V1__WatchEvent e = HOLDFAST__V1__WATCH_EVENT__INIT;
    e.revision = revision;
    e.caught_up = true;
    s->mark_due = 0;
    return s->call->sink->message(s->call->sink_arg, &e.base);
}

/* --- changes --- */

static void pause_watch(struct stream *s)
{
    s->paused = true;
    hf_timer_stop(&s->timer);
    if (s->watch != NULL)
        hf_watch_close(s->watch);
    s->watch = NULL;
}

static void on_event(void *arg, const struct hf_watch_event *e)
{
    struct stream *s = arg;
    if (e->revision != s->revision) {
        s->revision = e->revision;
        s->part = 0;
        s->skip = 0;
    }
    s->part++;
    if (s->skip > 0) {
        s->skip--;
        return;
    }
    struct item it = {e->uuid, e->kind, e->revision, e->bytes};
    if (!send_object(s, &it))
        pause_watch(s);
}

static void on_watch_closed(void *arg)
{
    struct stream *s = arg;
    stream_end(s, hf_error(HF_OUT_OF_RANGE,
                           "watch: this node has caught up by a snapshot; watch again from revision 0"));
}

static void on_timer(void *arg)
{
    struct stream *s = arg;
    uint64_t position = hf_watch_position(s->watch);
    bool room = true;
    if (s->mark_due != 0 && position < s->mark_due) {
        hf_timer_start(hf_call_env(s->call), &s->timer, CATCH_UP_POLL_MS, on_timer, s);
        return;
    }
    if (s->mark_due != 0 || position > s->revision) {
        s->revision = position;
        s->part = 0;
        room = send_mark(s, position);
    }
    if (room)
        hf_timer_start(hf_call_env(s->call), &s->timer, MARK_INTERVAL_MS, on_timer, s);
    else
        pause_watch(s);
}

/* Opens the replica's watch behind what has been sent. A revision that was cut in its middle is asked for
 * again. */
static void follow(struct stream *s)
{
    s->skip = s->part;
    s->part = 0;
    uint64_t from = s->skip > 0 ? s->revision - 1 : s->revision;
    hf_status st = hf_watch_open(s->call->api->control->replica, from, s->kinds, on_event, on_watch_closed, s,
                                 &s->watch);
    if (hf_ok(st))
        hf_timer_start(hf_call_env(s->call), &s->timer, s->mark_due != 0 ? 0 : MARK_INTERVAL_MS, on_timer, s);
    else
        stream_end(s, hf_wrap(st, "watch from revision %llu", (unsigned long long)from));
}

/* --- the snapshot --- */

static void take_kind(struct stream *s, const struct hf_store *store, uint32_t kind)
{
    for (const struct hf_object *o = hf_store_next(store, kind, ""); o != NULL;
         o = hf_store_next(store, kind, o->name))
        s->items[s->n_items++] = (struct item){o->uuid, kind, o->revision, hf_bytes_ref(o->bytes)};
}

static void take_snapshot(struct stream *s)
{
    const struct hf_store *store = hf_call_store(s->call);
    size_t n = 0;
    for (uint32_t k = 0; k < HF_KIND_MAX; k++)
        if (s->kinds == 0 || (s->kinds & 1ull << k) != 0)
            n += hf_store_count(store, k);
    s->items = hf_alloc_array(n + 1, sizeof *s->items);
    for (uint32_t k = 0; k < HF_KIND_MAX; k++)
        if (s->kinds == 0 || (s->kinds & 1ull << k) != 0)
            take_kind(s, store, k);
    s->snapshot = true;
    s->snapshot_revision = hf_store_revision(store);
}

/* Sends what there is room for; then goes over to the changes. */
static void pump(struct stream *s)
{
    s->paused = false;
    while (s->next_item < s->n_items) {
        struct item *it = &s->items[s->next_item++];
        bool room = send_object(s, it);
        hf_bytes_unref(it->bytes);
        if (!room) {
            s->paused = true;
            return;
        }
    }
    if (s->snapshot) {
        s->snapshot = false;
        s->revision = s->snapshot_revision;
        if (!send_mark(s, s->revision)) {
            s->paused = true;
            return;
        }
    }
    follow(s);
}

static void writable(struct hf_api_call *c)
{
    struct stream *s = c->data;
    if (s->paused)
        pump(s);
}

/* --- beginning --- */

static hf_status kinds_of(const Holdfast__V1__WatchRequest *r, uint64_t *ret)
{
    uint64_t kinds = 0;
    for (size_t i = 0; i < r->n_kinds; i++) {
        if (r->kinds[i] <= 0 || hf_kind_of((uint32_t)r->kinds[i]) == NULL)
            return hf_error(HF_INVALID, "watch: there is no kind %d", (int)r->kinds[i]);
        kinds |= 1ull << r->kinds[i];
    }
    *ret = kinds;
    return HF_STATUS_OK;
}

void hf_handle_watch(struct hf_api_call *c)
{
    const Holdfast__V1__WatchRequest *r = (const Holdfast__V1__WatchRequest *)c->request;
    uint64_t kinds = 0, now = hf_store_revision(hf_call_store(c));
    hf_status st = kinds_of(r, &kinds);
    if (hf_ok(st) && r->from_revision > now)
        st = hf_error(HF_UNAVAILABLE, "watch from revision %llu: this node has only come to %llu; try again",
                      (unsigned long long)r->from_revision, (unsigned long long)now);
    if (!hf_ok(st)) {
        hf_call_end(c, st);
        return;
    }
    struct stream *s = HF_NEW(struct stream);
    s->call = c;
    s->kinds = kinds;
    s->revision = r->from_revision;
    c->data = s;
    c->on_cancel = cancelled;
    c->on_writable = writable;
    if (r->from_revision == 0)
        take_snapshot(s);
    else
        s->mark_due = now;
    pump(s);
}
