/* The way back: hosts that live again are taken off the blocklists of their earlier lives, each step in the
 * log before it is begun. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "control/conditions.h"
#include "control/fence_object.h"
#include "control/ha_blocklist.h"
#include "control/timeline.h"

typedef Holdfast__V1__Fence Fence;
typedef Holdfast__V1__Fence__Blocklist Blocklist;
typedef Holdfast__V1__Host Host;
typedef Holdfast__V1__PrimaryStorage Storage;
#define STATE(name) HF_BLOCKLIST_STATE(name)

#define CONDITION_BLOCKLIST "Blocklist" /* of a host that lives again: why a storage is not its own yet */

/* --- what stands against a question --- */

static bool has_entry(const Blocklist *b, const char *entry, size_t len)
{
    for (size_t i = 0; i < b->n_entries; i++)
        if (strncmp(b->entries[i], entry, len) == 0)
            return true;
    return false;
}

/* An address stands in both. */
static bool meet(const Blocklist *a, const Blocklist *b)
{
    for (size_t i = 0; a != NULL && i < a->n_entries; i++)
        if (has_entry(b, a->entries[i], strcspn(a->entries[i], ":") + 1))
            return true;
    return false;
}

/* It has one of these entries. */
static bool has_one_of(const Blocklist *b, const json_t *entries)
{
    const json_t *at;
    size_t i;
    json_array_foreach(entries, i,
                       at) if (has_entry(b, json_string_value(at), json_string_length(at) + 1)) return true;
    return false;
}

static bool is_outstanding(struct hf_controllers *c, const struct hf_world_object *fence, const Blocklist *b)
{
    struct hf_uuid storage;
    if (b->state != STATE(REMOVING) || !hf_uuid_parse(b->primary_storage_uuid, &storage))
        return false;
    const struct hf_ha_block *m = hf_ha_block_of(c, &fence->uuid, &storage);
    return (m->phase != HF_BLOCK_IDLE && m->unfence) || hf_controllers_now_ms(c) < m->unknown_until_ms;
}

static bool is_over(const struct hf_controllers *c, const Fence *f, const Blocklist *b)
{
    const Host *h = HF_WORLD_GET(c->world, HOST, Host, f->host_uuid);
    if (h == NULL)
        return hf_fence_covers(f, (char *const *)&b->primary_storage_uuid, 1);
    return (h->status != NULL && h->status->epoch > f->epoch) ||
           (HF_MUTANT(UNBLOCK_BEFORE_NEXT_EPOCH) && b->state >= STATE(ADDED));
}

/* One that is over itself is taken back as well, once it is confirmed. */
static bool stands_against(struct hf_controllers *c, const struct hf_world_object *fence, const Blocklist *b,
                           bool unfence)
{
    if (unfence)
        return b->state == STATE(WANTED) ||
               (b->state == STATE(ADDED) && !is_over(c, (const Fence *)(const void *)fence->message, b));
    return is_outstanding(c, fence, b) && !HF_MUTANT(ADD_WHILE_REMOVING);
}

static const char *say_conflict(const struct hf_controllers *c, const Fence *other, bool unfence, char *out,
                                size_t len)
{
    const Host *h = HF_WORLD_GET(c->world, HOST, Host, other->host_uuid);
    const char *name = h != NULL ? h->meta->name : other->host_uuid;
    if (unfence)
        snprintf(out, len, "epoch %" PRIu64 " of host '%s' is on the same blocklist", other->epoch, name);
    else
        snprintf(out, len,
                 "epoch %" PRIu64
                 " of host '%s' is being taken off the same blocklist, and that may still act",
                 other->epoch, name);
    return out;
}

const char *hf_ha_block_conflict(struct hf_controllers *c, const Fence *f, const Storage *ps, bool unfence,
                                 char *out, size_t len)
{
    const Blocklist *mine = hf_blocklist_find(f, ps->meta->uuid);
    json_t *removals = unfence ? hf_block_removals(c->world, ps, f) : NULL;
    const char *conflict = NULL;
    for (size_t k = 0; conflict == NULL && k < hf_world_count(c->world, HOLDFAST__V1__KIND__FENCE); k++) {
        const struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__FENCE, k);
        const Fence *other = (const Fence *)(const void *)o->message;
        bool same_host = strcmp(other->host_uuid, f->host_uuid) == 0;
        for (size_t i = 0; conflict == NULL && i < other->n_blocklists; i++) {
            const Blocklist *b = other->blocklists[i];
            const Storage *its =
                HF_WORLD_GET(c->world, PRIMARY_STORAGE, PrimaryStorage, b->primary_storage_uuid);
            if (b == mine || its == NULL || !hf_block_same_cluster(its, ps) ||
                !(same_host || (unfence ? has_one_of(b, removals) : meet(mine, b))))
                continue;
            if (stands_against(c, o, b, unfence))
                conflict = say_conflict(c, other, unfence, out, len);
        }
    }
    json_decref(removals);
    return conflict;
}

/* --- one step --- */

struct look {
    struct hf_controllers *c;
    struct hf_edit *e; /* made when there is something to commit */
};

static Fence *change(struct look *l, struct hf_world_object *fence)
{
    if (l->e == NULL)
        l->e = hf_edit_create(&l->c->editor, "note what Ceph clusters refuse");
    return hf_edit_change(l->e, fence);
}

static Blocklist *change_list(struct look *l, struct hf_world_object *fence, const Blocklist *b, Fence **ret)
{
    *ret = change(l, fence);
    return hf_blocklist_find(*ret, b->primary_storage_uuid);
}

static const char *storage_name(const struct hf_controllers *c, const Blocklist *b)
{
    const Storage *ps = HF_WORLD_GET(c->world, PRIMARY_STORAGE, PrimaryStorage, b->primary_storage_uuid);
    return ps != NULL ? ps->meta->name : b->primary_storage_uuid;
}

/* What follows is its own word that it may be asked, which comes first. */
static void log_removing(struct look *l, struct hf_world_object *fence, const Blocklist *b)
{
    char leader[HF_TIMELINE_NAME_MAX];
    Fence *f;
    Blocklist *changed = change_list(l, fence, b, &f);
    changed->state = STATE(REMOVING);
    changed->removing_at_ms = hf_controllers_wall_ms(l->c);
    hf_timeline_add(
        &f->timeline, &f->n_timeline, changed->removing_at_ms, hf_timeline_leader(l->c->control, leader),
        "has the cluster of '%s' serve the host again, whose later life is known", storage_name(l->c, b));
}

static void log_removed(struct look *l, struct hf_world_object *fence, const Blocklist *b,
                        uint64_t osdmap_epoch)
{
    struct hf_world_object *host = hf_world_find(l->c->world, HOLDFAST__V1__KIND__HOST,
                                                 ((const Fence *)(void *)fence->message)->host_uuid);
    char leader[HF_TIMELINE_NAME_MAX];
    Fence *f;
    if (host != NULL && host->busy)
        return;
    Blocklist *changed = change_list(l, fence, b, &f);
    changed->state = STATE(REMOVED);
    changed->removed_at_ms = hf_controllers_wall_ms(l->c);
    if (host != NULL)
        hf_storage_block_remove(((Host *)hf_edit_change(l->e, host))->status, b->primary_storage_uuid,
                                f->epoch);
    hf_timeline_leader(l->c->control, leader);
    if (osdmap_epoch > 0) {
        changed->osdmap_epoch = osdmap_epoch;
        hf_timeline_add(&f->timeline, &f->n_timeline, changed->removed_at_ms, leader,
                        "the cluster of '%s' serves the host again in map %" PRIu64, storage_name(l->c, b),
                        osdmap_epoch);
    } else {
        hf_timeline_add(&f->timeline, &f->n_timeline, changed->removed_at_ms, leader,
                        "the storage %s is gone: nobody is left who refuses the host",
                        b->primary_storage_uuid);
    }
}

/* Nothing asked of it is under way, nor may be. */
static bool is_quiet(struct look *l, struct hf_ha_block *m, const Fence *f, const Storage *ps)
{
    if (m->phase != HF_BLOCK_IDLE)
        return false;
    if (hf_controllers_now_ms(l->c) < m->unknown_until_ms) {
        snprintf(m->trouble, sizeof m->trouble, "what was asked of the cluster before may still act");
        return false;
    }
    char why[sizeof m->trouble];
    const char *conflict = hf_ha_block_conflict(l->c, f, ps, true, why, sizeof why);
    snprintf(m->trouble, sizeof m->trouble, "%s", conflict != NULL ? conflict : "");
    return conflict == NULL;
}

static void go_back(struct look *l, struct hf_world_object *fence, const Blocklist *b, struct hf_ha_block *m)
{
    const Fence *f = (const Fence *)(void *)fence->message;
    const Storage *ps = HF_WORLD_GET(l->c->world, PRIMARY_STORAGE, PrimaryStorage, b->primary_storage_uuid);
    if (ps == NULL)
        log_removed(l, fence, b, 0);
    else if (b->state == STATE(WANTED))
        hf_ha_block_ask(m, false); /* somebody may have: only what is confirmed can be taken back */
    else if (b->state == STATE(ADDED) && is_quiet(l, m, f, ps))
        log_removing(l, fence, b);
    else if (b->state == STATE(REMOVING) && m->unfenced_epoch > 0)
        log_removed(l, fence, b, m->unfenced_epoch);
    else if (b->state == STATE(REMOVING))
        hf_ha_block_ask(m, true);
}

/* --- all of them --- */

static bool answer_is_news(const struct hf_ha_block *m, const Blocklist *b)
{
    for (size_t i = 0; i < m->answer.n_entries; i++)
        if (!has_entry(b, m->answer.entries[i], strlen(m->answer.entries[i]) + 1))
            return true;
    return m->answer.by_clients != b->by_clients;
}

/* An answer that is no evidence is noted all the same: of single clients, of a life that is over, of a
 * renewal that found more. */
static void note_answer(struct look *l, struct hf_world_object *fence, const Blocklist *b,
                        struct hf_ha_block *m, bool over)
{
    bool wanted = b->state == STATE(WANTED);
    if (!m->confirmed)
        return;
    if (!wanted && (b->state != STATE(ADDED) || !answer_is_news(m, b)))
        m->confirmed = false;
    else if (!wanted || m->answer.by_clients || over)
        hf_ha_block_confirm(l->c, change(l, fence), &m->storage, NULL);
}

static void look_at_fence(struct look *l, struct hf_world_object *fence)
{
    const Fence *f = (const Fence *)(void *)fence->message;
    for (size_t i = 0; i < f->n_blocklists; i++) {
        struct hf_uuid storage;
        Blocklist *b = f->blocklists[i];
        if (b->state == STATE(REMOVED) || !hf_uuid_parse(b->primary_storage_uuid, &storage))
            continue;
        struct hf_ha_block *m = hf_ha_block_of(l->c, &fence->uuid, &storage);
        bool over = is_over(l->c, f, b);
        note_answer(l, fence, b, m, over);
        if (over)
            go_back(l, fence, b, m);
    }
}

/* --- said on the host --- */

static const struct hf_ha_block *memory_of(const struct hf_controllers *c, const char *host_uuid,
                                           const Holdfast__V1__HostStatus__StorageBlock *block)
{
    struct hf_uuid fence = hf_fence_uuid(host_uuid, block->epoch), storage;
    return hf_uuid_parse(block->primary_storage_uuid, &storage) ? hf_ha_block_find(c, &fence, &storage)
                                                                : NULL;
}

const char *hf_ha_unblock_text(const struct hf_controllers *c, const Host *h, char *out, size_t len)
{
    for (size_t i = 0; h->status != NULL && i < h->status->n_storage_blocks; i++) {
        const Holdfast__V1__HostStatus__StorageBlock *b = h->status->storage_blocks[i];
        const struct hf_ha_block *m = b->epoch < h->status->epoch ? memory_of(c, h->meta->uuid, b) : NULL;
        const Storage *ps = HF_WORLD_GET(c->world, PRIMARY_STORAGE, PrimaryStorage, b->primary_storage_uuid);
        if (m == NULL || m->trouble[0] == '\0' || ps == NULL)
            continue;
        snprintf(out, len, "'%s' is not its own again, whose blocklist has its epoch %" PRIu64 ": %s",
                 ps->meta->name, b->epoch, m->trouble);
        return out;
    }
    return NULL;
}

static void note_host(struct hf_controllers *c, struct hf_world_object *o)
{
    const Host *h = (const Host *)(void *)o->message;
    char text[HF_FENCE_TEXT_MAX];
    const char *said = h->status != NULL ? hf_condition_message(h->status->conditions,
                                                                h->status->n_conditions, CONDITION_BLOCKLIST)
                                         : NULL;
    const char *now = h->status != NULL ? hf_ha_unblock_text(c, h, text, sizeof text) : NULL;
    if (o->busy || (now == NULL ? said == NULL : said != NULL && strcmp(said, now) == 0))
        return;
    struct hf_edit *e = hf_edit_create(&c->editor, "note what keeps storages from host '%s'", h->meta->name);
    Holdfast__V1__HostStatus *st = ((Host *)hf_edit_change(e, o))->status;
    if (now != NULL)
        hf_condition_set(&st->conditions, &st->n_conditions, CONDITION_BLOCKLIST, false, now,
                         hf_controllers_wall_ms(c));
    else
        hf_condition_clear(&st->conditions, &st->n_conditions, CONDITION_BLOCKLIST);
    hf_edit_commit(e, NULL, NULL);
}

bool hf_ha_unblock(struct hf_controllers *c)
{
    struct look l = {.c = c};
    for (size_t k = 0; k < hf_world_count(c->world, HOLDFAST__V1__KIND__FENCE); k++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__FENCE, k);
        if (!o->busy && ((const Fence *)(void *)o->message)->n_blocklists > 0)
            look_at_fence(&l, o);
    }
    if (l.e != NULL)
        hf_ha_commit(c, l.e);
    for (size_t k = 0; k < hf_world_count(c->world, HOLDFAST__V1__KIND__HOST); k++)
        note_host(c, hf_world_at(c->world, HOLDFAST__V1__KIND__HOST, k));
    return l.e != NULL;
}
