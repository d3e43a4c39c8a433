/* Rule 15 in the guard: what a fence may say of blocklists, and when a host is free of them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "control/blocklist.h"
#include "control/guard_object.h"
#include "control/placement_guard_int.h"
#include "control/storage_kind.h"
#include "holdfast/v1/storage.pb-c.h"

typedef Holdfast__V1__Fence Fence;
typedef Holdfast__V1__Fence__Blocklist Blocklist;
typedef Holdfast__V1__Host Host;
#define STATE(name) HF_BLOCKLIST_STATE(name)

static Holdfast__V1__PrimaryStorage *storage_after(const struct hf_guard_case *g, const char *uuid)
{
    return hf_guard_decode_after(g->view, uuid, &holdfast__v1__primary_storage__descriptor);
}

static bool has_entry(const Blocklist *b, const char *entry)
{
    for (size_t i = 0; i < b->n_entries; i++)
        if (strcmp(b->entries[i], entry) == 0)
            return true;
    return false;
}

static bool keeps_entries(const Blocklist *before, const Blocklist *after)
{
    for (size_t i = 0; i < before->n_entries; i++)
        if (!has_entry(after, before->entries[i]))
            return false;
    return true;
}

/* --- one blocklist --- */

static bool check_new(struct hf_guard_case *g, const Blocklist *b)
{
    Holdfast__V1__PrimaryStorage *ps HF_GUARD_FREE = storage_after(g, b->primary_storage_uuid);
    if (ps == NULL || ps->spec == NULL || !hf_storage_is_ceph(ps))
        return hf_guard_refuse(g, "fence '%s': storage %s is no Ceph storage: it has no blocklist",
                               g->change->name, b->primary_storage_uuid);
    if (b->state != STATE(WANTED))
        return hf_guard_refuse(
            g, "fence '%s': a blocklist is wanted in the log before the cluster of storage %s is asked",
            g->change->name, b->primary_storage_uuid);
    return true;
}

/* Rule 15: an entry stays until a later life of the host shows that this one is dead. A host that was deleted
 * has none: then something else has proven it for this storage. */
static bool may_be_removed(struct hf_guard_case *g, const Fence *f, const Host *present, const Blocklist *b)
{
    char *uuid = b->primary_storage_uuid;
    uint64_t lives = present != NULL && present->status != NULL ? present->status->epoch : 0;
    if (lives > f->epoch || HF_MUTANT(UNBLOCK_BEFORE_NEXT_EPOCH))
        return true;
    if (present == NULL && hf_fence_covers(f, &uuid, 1))
        return true;
    return hf_guard_refuse(g,
                           "fence '%s': host %s lives no later epoch, so that it stays on the blocklist of "
                           "storage %s",
                           g->change->name, f->host_uuid, uuid);
}

static bool is_step(const struct hf_guard_case *g, const Blocklist *before, const Blocklist *after)
{
    if (before->state == after->state)
        return true;
    if ((before->state == STATE(WANTED) && after->state == STATE(ADDED)) ||
        (before->state == STATE(ADDED) && after->state == STATE(REMOVING)) ||
        (before->state == STATE(REMOVING) && after->state == STATE(REMOVED)))
        return true;
    Holdfast__V1__PrimaryStorage *ps HF_GUARD_FREE = storage_after(g, after->primary_storage_uuid);
    return ps == NULL && after->state == STATE(REMOVED); /* there is nobody left to ask */
}

static bool check_step(struct hf_guard_case *g, const Fence *f, const Host *present, const Blocklist *before,
                       const Blocklist *after)
{
    const char *storage = before->primary_storage_uuid;
    bool leaves = before->state < STATE(REMOVING) && after->state >= STATE(REMOVING);
    if (!is_step(g, before, after))
        return hf_guard_refuse(g, "fence '%s': the blocklist of storage %s cannot go from state %d to %d",
                               g->change->name, storage, (int)before->state, (int)after->state);
    if (after->state == STATE(ADDED) &&
        ((after->n_entries == 0 && !after->by_clients) || after->osdmap_epoch == 0))
        return hf_guard_refuse(
            g, "fence '%s': the cluster of storage %s has not said what it lists, and since which map",
            g->change->name, storage);
    if (before->state >= STATE(ADDED) && !keeps_entries(before, after))
        return hf_guard_refuse(g, "fence '%s': what the blocklist of storage %s has is not forgotten",
                               g->change->name, storage);
    return !leaves || may_be_removed(g, f, present, after);
}

/* The host remembers each, so that nothing is placed there meanwhile. */
static bool check_remembered(struct hf_guard_case *g, const Fence *f, const Host *present)
{
    for (size_t i = 0; present != NULL && i < f->n_blocklists; i++) {
        const Blocklist *b = f->blocklists[i];
        if (b->state != STATE(REMOVED) &&
            !hf_storage_block_listed(present->status, b->primary_storage_uuid, f->epoch))
            return hf_guard_refuse(
                g, "fence '%s': host %s must keep in mind that it is on the blocklist of storage %s",
                g->change->name, f->host_uuid, b->primary_storage_uuid);
    }
    return true;
}

bool hf_guard_check_blocklists(struct hf_guard_case *g, const Fence *before, const Fence *after,
                               const Host *present)
{
    size_t known = before != NULL ? before->n_blocklists : 0;
    if (after->n_blocklists < known)
        return hf_guard_refuse(g, "fence '%s': a blocklist is never forgotten", g->change->name);
    for (size_t i = 0; i < after->n_blocklists; i++) {
        const Blocklist *b = after->blocklists[i];
        if (hf_blocklist_find(after, b->primary_storage_uuid) != b ||
            (i < known && strcmp(before->blocklists[i]->primary_storage_uuid, b->primary_storage_uuid) != 0))
            return hf_guard_refuse(g, "fence '%s': each storage has one blocklist, in its own place",
                                   g->change->name);
        if (i < known ? !check_step(g, after, present, before->blocklists[i], b) : !check_new(g, b))
            return false;
    }
    return check_remembered(g, after, present);
}

/* --- evidence, hosts, placements --- */

bool hf_guard_check_block_evidence(struct hf_guard_case *g, const Fence *f, const Holdfast__V1__Evidence *e)
{
    const Blocklist *b = e->n_storage_uuids == 1 ? hf_blocklist_find(f, e->storage_uuids[0]) : NULL;
    if (!hf_blocklist_holds(b))
        return hf_guard_refuse(g, "fence '%s': it is on no blocklist of one storage that is confirmed",
                               g->change->name);
    if (b->by_clients && !HF_MUTANT(BLOCKLIST_BY_CLIENTS_PROVES))
        return hf_guard_refuse(g,
                               "fence '%s': single clients on the blocklist of storage %s prove nothing of "
                               "others of its host",
                               g->change->name, e->storage_uuids[0]);
    bool listed = e->n_addresses > 0 && e->osdmap_epoch > 0;
    for (size_t i = 0; listed && i < e->n_addresses; i++)
        listed = has_entry(b, e->addresses[i]) &&
                 (hf_blocklist_entry_is_whole(e->addresses[i]) || HF_MUTANT(BLOCKLIST_BY_CLIENTS_PROVES));
    return listed ||
           hf_guard_refuse(g, "fence '%s': the evidence names no whole addresses that storage %s has listed",
                           g->change->name, e->storage_uuids[0]);
}

bool hf_guard_check_storage_blocks(struct hf_guard_case *g, const Host *before, const Host *after)
{
    char uuid[HF_UUID_STR], text[HF_UUID_STR];
    hf_uuid_format(&g->change->uuid, uuid);
    for (size_t i = 0; before->status != NULL && i < before->status->n_storage_blocks; i++) {
        const Holdfast__V1__HostStatus__StorageBlock *b = before->status->storage_blocks[i];
        if (hf_storage_block_listed(after->status, b->primary_storage_uuid, b->epoch))
            continue;
        struct hf_uuid fence = hf_fence_uuid(uuid, b->epoch);
        Fence *f HF_GUARD_FREE =
            hf_guard_decode_after(g->view, hf_uuid_format(&fence, text), &holdfast__v1__fence__descriptor);
        const Blocklist *list = hf_blocklist_find(f, b->primary_storage_uuid);
        if (list != NULL && list->state != STATE(REMOVED))
            return hf_guard_refuse(g,
                                   "host '%s': its epoch %" PRIu64 " is still on the blocklist of storage %s",
                                   g->change->name, b->epoch, b->primary_storage_uuid);
    }
    return true;
}

bool hf_guard_check_unblocked(struct hf_guard_case *g, const char *doing, const Host *h,
                              const Holdfast__V1__InstanceSpec *spec)
{
    for (size_t i = 0; spec != NULL && i < spec->n_storage_uuids; i++) {
        uint64_t epoch = hf_storage_blocked(h->status, spec->storage_uuids[i]);
        if (epoch > 0)
            return hf_guard_refuse(g,
                                   "%s: epoch %" PRIu64 " of its host is not off the blocklist of storage %s",
                                   doing, epoch, spec->storage_uuids[i]);
    }
    return true;
}
