#include "consensus/watch.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/buggify.h"
#include "base/mem.h"
#include "base/mutant.h"

#define EVENTS_PER_TURN 4096 /* of one watch, so that an old one does not hold up the loop */
_Static_assert((HF_HISTORY_MAX & (HF_HISTORY_MAX - 1)) == 0, "the ring is indexed by a mask");

struct change {
    uint64_t revision;
    struct hf_uuid uuid;
    uint32_t kind;
    struct hf_bytes *name;
    struct hf_bytes *bytes; /* NULL: deleted */
};

struct hf_history {
    struct change *ring;
    uint64_t first, next;  /* numbers of the oldest change kept and of the one to come */
    uint64_t begins_after; /* every change after this revision is kept */
    size_t bytes;
    struct hf_watch *watches;
    struct hf_replica_witness witness;
    bool delivering;
};

enum watch_state { WATCH_OPEN, WATCH_LOST, WATCH_ENDED, WATCH_CLOSED };

struct hf_watch {
    struct hf_history *history; /* NULL when the replica has gone */
    struct hf_watch *link;
    enum watch_state state; /* lost: closed() is still to be called */
    uint64_t next;          /* number of the change to deliver next */
    uint64_t from_revision; /* nothing up to here is wanted */
    uint64_t position;
    uint64_t kinds;
    void (*cb)(void *arg, const struct hf_watch_event *e);
    void (*closed)(void *arg);
    void *arg;
};

static struct change *at(const struct hf_history *h, uint64_t number)
{
    return &h->ring[number & (HF_HISTORY_MAX - 1)];
}

struct hf_history *hf_history_create(void)
{
    struct hf_history *h = HF_NEW(struct hf_history);
    h->ring = hf_alloc_array(HF_HISTORY_MAX, sizeof(struct change));
    return h;
}

static size_t cost(const struct change *c)
{
    return c->name->len + (c->bytes == NULL ? 0 : c->bytes->len);
}

static void drop_oldest(struct hf_history *h)
{
    struct change *c = at(h, h->first++);
    h->begins_after = c->revision;
    h->bytes -= cost(c);
    hf_bytes_unref(c->name);
    hf_bytes_unref(c->bytes);
}

static void end_watches(struct hf_history *h)
{
    for (struct hf_watch *w = h->watches; w != NULL; w = w->link)
        if (w->state == WATCH_OPEN)
            w->state = WATCH_LOST;
}

void hf_history_free(struct hf_history *h)
{
    while (h->first < h->next)
        drop_oldest(h);
    for (struct hf_watch *w = h->watches; w != NULL; w = w->link)
        w->history = NULL;
    free(h->ring);
    free(h);
}

void hf_history_witness(struct hf_history *h, const struct hf_replica_witness *w)
{
    h->witness = *w;
}

static struct hf_watch_event event_of(const struct change *c)
{
    return (struct hf_watch_event){.revision = c->revision,
                                   .kind = c->kind,
                                   .uuid = c->uuid,
                                   .name = (const char *)c->name->data,
                                   .bytes = c->bytes};
}

void hf_history_add(struct hf_history *h, uint64_t revision, uint32_t kind, const struct hf_uuid *uuid,
                    struct hf_bytes *name, struct hf_bytes *bytes)
{
    struct change c = {.revision = revision, .uuid = *uuid, .kind = kind, .name = hf_bytes_ref(name)};
    c.bytes = bytes == NULL ? NULL : hf_bytes_ref(bytes);
    while (h->first < h->next &&
           (h->next - h->first == HF_HISTORY_MAX || h->bytes + cost(&c) > HF_HISTORY_BYTES_MAX))
        drop_oldest(h);
    *at(h, h->next++) = c;
    h->bytes += cost(&c);
    struct hf_watch_event e = event_of(&c);
    if (h->witness.applied)
        h->witness.applied(h->witness.arg, &e);
}

void hf_history_restart(struct hf_history *h, uint64_t revision)
{
    while (h->first < h->next)
        drop_oldest(h);
    h->begins_after = revision;
    end_watches(h);
    if (h->witness.restored)
        h->witness.restored(h->witness.arg);
}

/* The number of the first change after a revision. */
static uint64_t first_after(const struct hf_history *h, uint64_t revision)
{
    uint64_t low = h->first, high = h->next;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (at(h, middle)->revision > revision)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

hf_status hf_history_watch(struct hf_history *h, uint64_t from_revision, uint64_t kinds,
                           void (*cb)(void *arg, const struct hf_watch_event *e), void (*closed)(void *arg),
                           void *arg, struct hf_watch **ret)
{
    if (from_revision < h->begins_after)
        return hf_error(
            HF_OUT_OF_RANGE,
            "watch from revision %llu: the history begins after revision %llu; list again and watch from "
            "the list's revision",
            (unsigned long long)from_revision, (unsigned long long)h->begins_after);
    struct hf_watch *w = HF_NEW(struct hf_watch);
    *w = (struct hf_watch){.history = h,
                           .link = h->watches,
                           .next = first_after(h, from_revision),
                           .from_revision = from_revision,
                           .position = from_revision,
                           .kinds = kinds == 0 ? UINT64_MAX : kinds,
                           .cb = cb,
                           .closed = closed,
                           .arg = arg};
    h->watches = w;
    *ret = w;
    return HF_STATUS_OK;
}

static void sweep(struct hf_history *h)
{
    for (struct hf_watch **link = &h->watches; *link != NULL;) {
        struct hf_watch *w = *link;
        if (w->state == WATCH_CLOSED) {
            *link = w->link;
            free(w);
        } else {
            link = &w->link;
        }
    }
}

void hf_watch_close(struct hf_watch *w)
{
    if (w == NULL)
        return;
    HF_ASSERT(w->state != WATCH_CLOSED);
    w->state = WATCH_CLOSED;
    if (w->history == NULL)
        free(w);
    else if (!w->history->delivering)
        sweep(w->history);
}

uint64_t hf_watch_position(const struct hf_watch *w)
{
    return w->position;
}

static void deliver_change(struct hf_watch *w, const struct change *c)
{
    if (c->revision <= w->from_revision || (w->kinds >> c->kind & 1) == 0 ||
        (HF_MUTANT(WATCH_SKIPS) && c->revision % 16 == 0))
        return;
    w->position = c->revision - 1;
    /* The ring may turn while the callback runs; the event's memory must not go. */
    struct hf_bytes *name = hf_bytes_ref(c->name);
    struct hf_bytes *bytes = c->bytes == NULL ? NULL : hf_bytes_ref(c->bytes);
    struct hf_watch_event e = event_of(c);
    w->cb(w->arg, &e);
    hf_bytes_unref(name);
    hf_bytes_unref(bytes);
}

/* False when the watch has caught up. */
static bool deliver(struct hf_history *h, struct hf_watch *w, uint64_t revision)
{
    if (w->state == WATCH_OPEN && w->next < h->first)
        w->state = WATCH_LOST;
    if (w->state == WATCH_LOST) {
        w->state = WATCH_ENDED;
        if (w->closed != NULL)
            w->closed(w->arg);
        return false;
    }
    int max = HF_BUGGIFY(SLOW_WATCH) ? 1 : EVENTS_PER_TURN;
    for (int i = 0; i < max && w->state == WATCH_OPEN && w->next < h->next; i++)
        deliver_change(w, at(h, w->next++));
    if (w->state != WATCH_OPEN)
        return false;
    if (w->next < h->next)
        return true;
    if (revision > w->position)
        w->position = revision;
    return false;
}

bool hf_history_deliver(struct hf_history *h, uint64_t revision)
{
    bool more = false;
    h->delivering = true;
    for (struct hf_watch *w = h->watches; w != NULL; w = w->link)
        more |= deliver(h, w, revision);
    h->delivering = false;
    sweep(h);
    return more;
}

bool hf_history_pending(const struct hf_history *h)
{
    for (const struct hf_watch *w = h->watches; w != NULL; w = w->link)
        if (w->state == WATCH_LOST || (w->state == WATCH_OPEN && w->next < h->next))
            return true;
    return false;
}
