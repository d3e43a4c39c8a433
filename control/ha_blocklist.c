#include "control/ha_blocklist.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "control/ceph_runner.h"
#include "control/fence_object.h"
#include "control/pb_list.h"
#include "control/storage_kind.h"
#include "control/timeline.h"

typedef Holdfast__V1__Fence Fence;
typedef Holdfast__V1__Fence__Blocklist Blocklist;
typedef Holdfast__V1__Host Host;
typedef Holdfast__V1__PrimaryStorage Storage;
#define STATE(name) HF_BLOCKLIST_STATE(name)

/* --- memory --- */

struct hf_ha_block *hf_ha_block_find(const struct hf_controllers *c, const struct hf_uuid *fence,
                                     const struct hf_uuid *storage)
{
    for (struct hf_ha_block *b = c->ha->blocks; b != NULL; b = b->next)
        if (hf_uuid_equal(&b->fence, fence) && hf_uuid_equal(&b->storage, storage))
            return b;
    return NULL;
}

static struct hf_ha_block *create(struct hf_controllers *c, const struct hf_uuid *fence,
                                  const struct hf_uuid *storage)
{
    struct hf_ha_block *b = HF_NEW(struct hf_ha_block);
    *b = (struct hf_ha_block){.next = c->ha->blocks, .c = c, .fence = *fence, .storage = *storage};
    c->ha->blocks = b;
    return b;
}

struct hf_ha_block *hf_ha_block_of(struct hf_controllers *c, const struct hf_uuid *fence,
                                   const struct hf_uuid *storage)
{
    struct hf_ha_block *b = hf_ha_block_find(c, fence, storage);
    if (b == NULL) {
        b = create(c, fence, storage);
        b->unknown_until_ms =
            hf_controllers_now_ms(c) + HF_BLOCK_BARRIER_MS + HF_BLOCK_ASK_MS + HF_BLOCK_LATE_MS;
    }
    return b;
}

static void release(struct hf_ha_block *b)
{
    hf_block_answer_done(&b->answer);
    free(b);
}

void hf_ha_blocks_stop(struct hf_ha_controller *ha)
{
    while (ha->blocks != NULL) {
        struct hf_ha_block *b = ha->blocks;
        ha->blocks = b->next;
        b->c = NULL;
        if (b->phase == HF_BLOCK_IDLE)
            release(b); /* else the end of its question does */
    }
}

/* --- objects --- */

static const Fence *fence_of(const struct hf_ha_block *b)
{
    struct hf_world_object *o = hf_world_find_uuid(b->c->world, HOLDFAST__V1__KIND__FENCE, &b->fence);
    return o != NULL ? (const Fence *)(void *)o->message : NULL;
}

const Storage *hf_ha_storage_of(const struct hf_controllers *c, const struct hf_uuid *uuid)
{
    struct hf_world_object *o = hf_world_find_uuid(c->world, HOLDFAST__V1__KIND__PRIMARY_STORAGE, uuid);
    return o != NULL ? (const Storage *)(void *)o->message : NULL;
}

static const Blocklist *list_of(const Fence *f, const struct hf_uuid *storage)
{
    char text[HF_UUID_STR];
    return hf_blocklist_find(f, hf_uuid_format(storage, text));
}

/* --- questions --- */

static void fail(struct hf_ha_block *b, const char *why, bool sent)
{
    int64_t now = hf_controllers_now_ms(b->c), pause = HF_BLOCK_RETRY_MS;
    for (unsigned i = 0; i < b->failures && pause < HF_BLOCK_RETRY_MAX_MS; i++)
        pause *= 2;
    b->failures++;
    b->due_ms = now + (pause < HF_BLOCK_RETRY_MAX_MS ? pause : HF_BLOCK_RETRY_MAX_MS);
    if (sent) {
        b->unknown_until_ms = now + HF_BLOCK_LATE_MS;
        if (b->unfence && b->due_ms < b->unknown_until_ms)
            b->due_ms =
                b->unknown_until_ms; /* a removal is sent again when the last one cannot act any more */
    }
    if (strcmp(b->trouble, why) != 0)
        hf_warn("%s a host's life on a Ceph blocklist: %s", b->unfence ? "clear" : "put", why);
    snprintf(b->trouble, sizeof b->trouble, "%s", why);
}

static void take_fenced(struct hf_ha_block *b, const char *text)
{
    struct hf_block_answer a;
    hf_status st = hf_block_answer_parse(text, &a);
    if (!hf_ok(st)) {
        fail(b, hf_status_message(st), true);
        hf_status_drop(st);
        return;
    }
    hf_block_answer_done(&b->answer);
    b->answer = a;
    b->confirmed = true;
    b->failures = 0;
    b->trouble[0] = '\0';
    b->due_ms = hf_controllers_now_ms(b->c) + HF_BLOCK_RENEW_MS;
    size_t at = 0;
    b->entries[0] = '\0';
    for (size_t i = 0; i < a.n_entries && at < sizeof b->entries; i++)
        at += (size_t)snprintf(b->entries + at, sizeof b->entries - at, "%s%s", i > 0 ? ", " : "",
                               a.entries[i]);
}

static void take_unfenced(struct hf_ha_block *b, const char *text)
{
    b->unfenced_epoch = hf_block_unfenced_epoch(text);
    if (b->unfenced_epoch == 0)
        fail(b, "hf-ceph answered what is none", true);
    else
        b->trouble[0] = '\0';
}

static void answered(void *arg, hf_status st, const char *text)
{
    struct hf_ha_block *b = arg;
    b->phase = HF_BLOCK_IDLE;
    if (b->c == NULL) {
        release(b);
        return;
    }
    if (!hf_ok(st))
        fail(b, hf_status_message(st), true);
    else if (b->unfence)
        take_unfenced(b, text);
    else
        take_fenced(b, text);
    hf_ha_tick(b->c);
}

/* What the log says now is what the question is for. */
static bool is_wanted(const struct hf_ha_block *b, const Fence *f)
{
    const Blocklist *list = list_of(f, &b->storage);
    if (list == NULL)
        return false;
    return b->unfence ? list->state == STATE(REMOVING)
                      : list->state == STATE(WANTED) || list->state == STATE(ADDED);
}

/* This node leads, as of now: what was decided before the barrier is looked at once more. */
static void barrier_passed(void *arg, hf_status st)
{
    struct hf_ha_block *b = arg;
    char why[HF_FENCE_TEXT_MAX];
    b->phase = HF_BLOCK_IDLE;
    if (b->c == NULL) {
        release(b);
        return;
    }
    struct hf_controllers *c = b->c;
    const Fence *f = fence_of(b);
    const Storage *ps = hf_ha_storage_of(c, &b->storage);
    if (!hf_ok(st)) {
        fail(b, hf_status_message(st), false);
    } else if (hf_controllers_now_ms(c) - b->begun_ms > HF_BLOCK_BARRIER_MS) {
        b->due_ms = 0;
    } else if (f != NULL && ps != NULL && is_wanted(b, f) &&
               hf_ha_block_conflict(c, f, ps, b->unfence, why, sizeof why) == NULL) {
        char *q = b->unfence ? hf_block_unfence_question(c->world, ps, f,
                                                         b->begun_ms + HF_BLOCK_BARRIER_MS + HF_BLOCK_ASK_MS)
                             : hf_block_fence_question(c->world, hf_control_store(c->control), ps, f);
        b->phase = HF_BLOCK_ASKED;
        c->control->ceph->ops->ask(c->control->ceph, q, HF_BLOCK_ASK_MS, answered, b);
        free(q);
    }
}

void hf_ha_block_ask(struct hf_ha_block *b, bool unfence)
{
    struct hf_controllers *c = b->c;
    char why[HF_FENCE_TEXT_MAX];
    int64_t now = hf_controllers_now_ms(c);
    const Fence *f = fence_of(b);
    const Storage *ps = hf_ha_storage_of(c, &b->storage);
    if (b->phase != HF_BLOCK_IDLE || f == NULL || ps == NULL)
        return;
    if (c->control->ceph == NULL) {
        snprintf(b->trouble, sizeof b->trouble,
                 "this control node cannot ask Ceph clusters: its hf-ceph is missing");
        return;
    }
    if (hf_ha_block_conflict(c, f, ps, unfence, why, sizeof why) != NULL) {
        snprintf(b->trouble, sizeof b->trouble, "%s", why);
        return;
    }
    if (unfence != b->unfence)
        b->due_ms = b->failures = 0;
    if (unfence && b->due_ms < b->unknown_until_ms && !HF_MUTANT(ADD_WHILE_REMOVING))
        b->due_ms = b->unknown_until_ms;
    if (now < b->due_ms)
        return;
    b->unfence = unfence;
    b->phase = HF_BLOCK_BARRIER;
    b->begun_ms = now;
    hf_replica_barrier(c->control->replica, barrier_passed, b);
}

/* --- for the plan --- */

static bool word_covers(const Fence *f, const char *storage_uuid)
{
    for (size_t i = 0; f != NULL && i < f->n_evidence; i++) {
        const Holdfast__V1__Evidence *e = f->evidence[i];
        if (!hf_evidence_is_word(e->kind))
            continue;
        if (hf_evidence_covers_all(e->kind))
            return true;
        if (hf_pb_list_has(e->storage_uuids, e->n_storage_uuids, storage_uuid))
            return true;
    }
    return false;
}

void hf_ha_block_view(struct hf_controllers *c, const Fence *f, const Storage *ps, struct hf_fence_storage *s)
{
    const Blocklist *list = hf_blocklist_find(f, ps->meta->uuid);
    s->block.needless = word_covers(f, ps->meta->uuid);
    if (list == NULL)
        return;
    struct hf_uuid fence;
    hf_uuid_parse(f->meta->uuid, &fence);
    struct hf_ha_block *b = hf_ha_block_of(c, &fence, &s->uuid);
    s->block.state = list->state == STATE(WANTED) ? HF_BLOCK_WANTED : HF_BLOCK_ADDED;
    s->block.confirmed = b->confirmed && (!b->answer.by_clients || HF_MUTANT(BLOCKLIST_BY_CLIENTS_PROVES));
    s->block.entries = b->entries;
    s->block.shared_with = list->by_clients ? list->shared_with : NULL;
    s->block.trouble = b->trouble[0] != '\0' ? b->trouble : NULL;
}

void hf_ha_block_want(struct hf_controllers *c, Fence *f, Host *h, const Storage *ps)
{
    struct hf_uuid fence, storage;
    char leader[HF_TIMELINE_NAME_MAX];
    if (hf_blocklist_find(f, ps->meta->uuid) != NULL || !hf_uuid_parse(f->meta->uuid, &fence) ||
        !hf_uuid_parse(ps->meta->uuid, &storage))
        return;
    if (hf_ha_block_find(c, &fence, &storage) == NULL)
        create(c, &fence, &storage); /* nobody has asked before */
    Blocklist *b = hf_blocklist_add(f, ps->meta->uuid);
    hf_block_note_addresses(c->world, hf_control_store(c->control), ps, f, b);
    b->wanted_at_ms = hf_controllers_wall_ms(c);
    hf_storage_block_add(h->status, ps->meta->uuid, f->epoch);
    hf_timeline_add(&f->timeline, &f->n_timeline, b->wanted_at_ms, hf_timeline_leader(c->control, leader),
                    "has the cluster of '%s' refuse the clients of %s", ps->meta->name, h->meta->name);
}

static void set_entries(Blocklist *list, const struct hf_block_answer *a, bool keep)
{
    if (!keep)
        hf_pb_list_clear(&list->entries, &list->n_entries);
    for (size_t i = 0; i < a->n_entries; i++)
        if (!hf_pb_list_has(list->entries, list->n_entries, a->entries[i]))
            hf_pb_list_add(&list->entries, &list->n_entries, a->entries[i]);
}

static void testify(const struct hf_block_answer *a, Holdfast__V1__Evidence *e)
{
    for (size_t i = 0; i < a->n_entries; i++)
        hf_pb_list_add(&e->addresses, &e->n_addresses, a->entries[i]);
    e->osdmap_epoch = a->osdmap_epoch;
}

void hf_ha_block_confirm(struct hf_controllers *c, Fence *f, const struct hf_uuid *storage,
                         Holdfast__V1__Evidence *ret)
{
    char uuid[HF_UUID_STR], leader[HF_TIMELINE_NAME_MAX];
    struct hf_uuid fence;
    Blocklist *list = hf_blocklist_find(f, hf_uuid_format(storage, uuid));
    hf_uuid_parse(f->meta->uuid, &fence);
    struct hf_ha_block *b = hf_ha_block_of(c, &fence, storage);
    const Storage *ps = hf_ha_storage_of(c, storage);
    const struct hf_block_answer *a = &b->answer;
    set_entries(list, a, list->state == STATE(ADDED));
    list->osdmap_epoch = a->osdmap_epoch;
    list->by_clients = a->by_clients;
    hf_pb_set(&list->shared_with, a->shared_with);
    if (ret != NULL)
        testify(a, ret);
    if (list->state == STATE(ADDED))
        return;
    list->state = STATE(ADDED);
    list->added_at_ms = hf_controllers_wall_ms(c);
    const char *name = ps != NULL ? ps->meta->name : uuid;
    hf_timeline_leader(c->control, leader);
    if (a->by_clients)
        hf_timeline_add(&f->timeline, &f->n_timeline, list->added_at_ms, leader,
                        "the cluster of '%s' refuses single clients in map %" PRIu64
                        " (%s), as an address is shared with %s",
                        name, a->osdmap_epoch, a->n_entries > 0 ? b->entries : "none is known",
                        a->shared_with);
    else
        hf_timeline_add(&f->timeline, &f->n_timeline, list->added_at_ms, leader,
                        "the cluster of '%s' refuses %s in map %" PRIu64, name, b->entries, a->osdmap_epoch);
}

/* --- for restarts --- */

const char *hf_ha_not_blocked(const struct hf_controllers *c, const Fence *f, const Holdfast__V1__Instance *i,
                              char *out, size_t len)
{
    for (size_t k = 0; k < i->spec->n_storage_uuids; k++) {
        struct hf_uuid fence, storage;
        const Storage *ps =
            HF_WORLD_GET(c->world, PRIMARY_STORAGE, PrimaryStorage, i->spec->storage_uuids[k]);
        const Blocklist *list = hf_blocklist_find(f, i->spec->storage_uuids[k]);
        if (ps == NULL || !hf_storage_is_ceph(ps) || (list != NULL && list->state >= STATE(ADDED)) ||
            HF_MUTANT(BLOCKLIST_NOT_AWAITED))
            continue;
        const struct hf_ha_block *b =
            hf_uuid_parse(f->meta->uuid, &fence) && hf_uuid_parse(ps->meta->uuid, &storage)
                ? hf_ha_block_find(c, &fence, &storage)
                : NULL;
        snprintf(out, len, "storage '%s': %s", ps->meta->name,
                 b != NULL && b->trouble[0] != '\0' ? b->trouble : "its cluster is being asked");
        return out;
    }
    return NULL;
}

const char *hf_ha_not_write_fenced(const struct hf_world *w, const Fence *f, const Holdfast__V1__Instance *i,
                                   char *out, size_t len)
{
    if (i->spec->n_storage_uuids == 0)
        return "it has no disk";
    for (size_t k = 0; k < i->spec->n_storage_uuids; k++) {
        const Storage *ps = HF_WORLD_GET(w, PRIMARY_STORAGE, PrimaryStorage, i->spec->storage_uuids[k]);
        const Blocklist *list = hf_blocklist_find(f, i->spec->storage_uuids[k]);
        if (ps == NULL || !hf_storage_is_ceph(ps))
            snprintf(out, len, "it has a disk on '%s', which is no Ceph storage",
                     ps != NULL ? ps->meta->name : i->spec->storage_uuids[k]);
        else if (list != NULL && list->state >= STATE(ADDED) && list->by_clients)
            snprintf(out, len, "'%s' refuses single clients only: an address is shared with %s",
                     ps->meta->name, list->shared_with);
        else
            continue;
        return out;
    }
    return NULL;
}
