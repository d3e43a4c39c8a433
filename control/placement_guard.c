#include "control/placement_guard_int.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/mutant.h"
#include "control/guard_object.h"
#include "holdfast/v1/infra.pb-c.h"
#include "control/storage_session.h"
#include "control/takeover.h"

bool hf_guard_refuse(struct hf_guard_case *g, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(g->why, g->why_len, fmt, ap);
    va_end(ap);
    return false;
}

char *hf_fence_name(const char *host_uuid, uint64_t epoch, char out[HF_FENCE_NAME_MAX])
{
    snprintf(out, HF_FENCE_NAME_MAX, "%.40s/%" PRIu64, host_uuid, epoch);
    return out;
}

struct hf_uuid hf_fence_uuid(const char *host_uuid, uint64_t epoch)
{
    char name[HF_FENCE_NAME_MAX];
    return hf_uuid_of_text(hf_fence_name(host_uuid, epoch, name));
}

bool hf_placement_open(const Holdfast__V1__Placement *p)
{
    return p != NULL && p->host_uuid[0] != '\0' && p->end == NULL;
}

bool hf_evidence_covers_all(Holdfast__V1__Evidence__Kind kind)
{
    return kind == HOLDFAST__V1__EVIDENCE__KIND__OPERATOR ||
           kind == HOLDFAST__V1__EVIDENCE__KIND__NEXT_EPOCH ||
           kind == HOLDFAST__V1__EVIDENCE__KIND__POWER_OFF;
}

bool hf_evidence_is_word(Holdfast__V1__Evidence__Kind kind)
{
    return kind == HOLDFAST__V1__EVIDENCE__KIND__CLOSED_AND_KILLED ||
           kind == HOLDFAST__V1__EVIDENCE__KIND__NEXT_EPOCH || kind == HOLDFAST__V1__EVIDENCE__KIND__OPERATOR;
}

bool hf_evidence_proves_over(Holdfast__V1__Evidence__Kind kind)
{
    return kind != HOLDFAST__V1__EVIDENCE__KIND__BLOCKLIST;
}

/* A host's word and the next epoch's grant are about the whole life; silence is about the record that stood
 * still, but a host loses every instance that needs a lost lease, so one storage of an instance is enough. */
static bool evidence_covers(const Holdfast__V1__Evidence *e, char *const *storage_uuids, size_t n)
{
    if (HF_MUTANT(EVIDENCE_COVERS_ALL))
        return true;
    if (hf_evidence_covers_all(e->kind))
        return true;
    if (!hf_evidence_proves_over(e->kind))
        return false;
    for (size_t i = 0; i < e->n_storage_uuids; i++)
        for (size_t k = 0; k < n; k++)
            if (strcmp(e->storage_uuids[i], storage_uuids[k]) == 0)
                return true;
    return false;
}

bool hf_fence_covers(const Holdfast__V1__Fence *f, char *const *storage_uuids, size_t n_storage_uuids)
{
    for (size_t i = 0; i < f->n_evidence; i++) {
        const Holdfast__V1__Evidence *e = f->evidence[i];
        if (strcmp(e->host_uuid, f->host_uuid) == 0 && e->epoch == f->epoch &&
            evidence_covers(e, storage_uuids, n_storage_uuids))
            return true;
    }
    return false;
}

static bool cuts_off(const Holdfast__V1__Fence *f, const char *storage_uuid)
{
    for (size_t i = 0; i < f->n_evidence; i++) {
        const Holdfast__V1__Evidence *e = f->evidence[i];
        for (size_t k = 0; !hf_evidence_proves_over(e->kind) && k < e->n_storage_uuids; k++)
            if (strcmp(e->storage_uuids[k], storage_uuid) == 0)
                return true;
    }
    return false;
}

bool hf_fence_cuts_off(const Holdfast__V1__Fence *f, char *const *storage_uuids, size_t n_storage_uuids)
{
    size_t n = 0;
    for (size_t i = 0; i < n_storage_uuids; i++)
        n += cuts_off(f, storage_uuids[i]);
    return n > 0 && (n == n_storage_uuids || HF_MUTANT(WRITE_FENCED_FILE_STORAGE_UNPROVEN));
}

static bool same_strings(char *const *a, size_t n_a, char *const *b, size_t n_b)
{
    if (n_a != n_b)
        return false;
    for (size_t i = 0; i < n_a; i++)
        if (strcmp(a[i], b[i]) != 0)
            return false;
    return true;
}

/* The host's epoch after the transaction; 0 when there is no such host (or none granted). */
uint64_t hf_guard_host_epoch(const struct hf_guard_view *view, const char *host_uuid, bool *ret_exists)
{
    Holdfast__V1__Host *h HF_GUARD_FREE =
        hf_guard_decode_after(view, host_uuid, &holdfast__v1__host__descriptor);
    *ret_exists = h != NULL;
    return h != NULL && h->status != NULL ? h->status->epoch : 0;
}

static Holdfast__V1__Fence *fence_after(const struct hf_guard_view *view, const char *host_uuid,
                                        uint64_t epoch)
{
    struct hf_uuid uuid = hf_fence_uuid(host_uuid, epoch);
    char text[HF_UUID_STR];
    return hf_guard_decode_after(view, hf_uuid_format(&uuid, text), &holdfast__v1__fence__descriptor);
}

/* Names of fences are made of the text of a host's UUID: it must have one spelling only. */
bool hf_guard_is_host_uuid(const char *text)
{
    struct hf_uuid uuid;
    char again[HF_UUID_STR];
    return hf_uuid_parse(text, &uuid) && strcmp(hf_uuid_format(&uuid, again), text) == 0;
}

/* --- instances --- */

bool hf_guard_check_host(struct hf_guard_case *g, const char *doing, const char *host_uuid, uint64_t epoch,
                         const Holdfast__V1__InstanceSpec *spec)
{
    if (!hf_guard_is_host_uuid(host_uuid))
        return hf_guard_refuse(g, "%s: '%.40s' is not the UUID of a host", doing, host_uuid);
    Holdfast__V1__Host *h HF_GUARD_FREE =
        hf_guard_decode_after(g->view, host_uuid, &holdfast__v1__host__descriptor);
    uint64_t lives = h != NULL && h->status != NULL ? h->status->epoch : 0;
    if (h == NULL)
        return hf_guard_refuse(g, "%s: host %s does not exist", doing, host_uuid);
    if (lives == 0 || lives != epoch)
        return hf_guard_refuse(g, "%s: host %s lives epoch %" PRIu64 ", not %" PRIu64, doing, host_uuid,
                               lives, epoch);
    Holdfast__V1__Fence *f HF_GUARD_FREE = fence_after(g->view, host_uuid, epoch);
    if (f != NULL && !HF_MUTANT(PLACED_ON_FENCED))
        return hf_guard_refuse(g, "%s: epoch %" PRIu64 " of host %s is fenced", doing, epoch, host_uuid);
    return hf_guard_check_unblocked(g, doing, h, spec);
}

static bool check_new_placement(struct hf_guard_case *g, const Holdfast__V1__Instance *after,
                                uint64_t run_before)
{
    const Holdfast__V1__Placement *p = after->placement;
    const char *name = g->change->name;
    if (p->end != NULL)
        return hf_guard_refuse(g, "place instance '%s': a new placement must not be ended already", name);
    if (p->migration != NULL)
        return hf_guard_refuse(g, "place instance '%s': a new placement has not migrated", name);
    if (p->run <= run_before && !HF_MUTANT(RUN_USED_TWICE))
        return hf_guard_refuse(g, "place instance '%s': its run must be above %" PRIu64 ", not %" PRIu64,
                               name, run_before, p->run);

    char *doing = hf_printf("place instance '%s'", name);
    bool ok = hf_guard_check_host(g, doing, p->host_uuid, p->epoch, after->spec);
    free(doing);
    return ok;
}

/* Rule 15: the instance, else the cluster of its host, is content with a run that cannot write. One that
 * migrates is not: nobody would know whose guest is whole. */
static bool leaves_write_fenced(const struct hf_guard_case *g, const Holdfast__V1__Instance *before,
                                const Holdfast__V1__Fence *f)
{
    if (before->spec == NULL || hf_migration_open(before->placement) ||
        !hf_fence_cuts_off(f, before->spec->storage_uuids, before->spec->n_storage_uuids))
        return false;
    Holdfast__V1__Host *h HF_GUARD_FREE =
        hf_guard_decode_after(g->view, f->host_uuid, &holdfast__v1__host__descriptor);
    Holdfast__V1__Cluster *cl HF_GUARD_FREE =
        h != NULL && h->spec != NULL
            ? hf_guard_decode_after(g->view, h->spec->cluster_uuid, &holdfast__v1__cluster__descriptor)
            : NULL;
    return hf_takeover_write_fenced(before->spec, cl != NULL ? cl->spec : NULL);
}

static bool check_fenced_end(struct hf_guard_case *g, const Holdfast__V1__Instance *before,
                             const Holdfast__V1__Placement__End *end)
{
    struct hf_uuid named, fence = hf_fence_uuid(end->host_uuid, end->epoch);
    if (HF_MUTANT(EVIDENCE_OF_OLD_EPOCH))
        return true;
    if (end->fence_uuid[0] != '\0' &&
        (!hf_uuid_parse(end->fence_uuid, &named) || !hf_uuid_equal(&named, &fence)))
        return hf_guard_refuse(
            g, "end run %" PRIu64 " of instance '%s': %s is not the fence of epoch %" PRIu64 " of host %s",
            end->run, g->change->name, end->fence_uuid, end->epoch, end->host_uuid);

    bool exists;
    if (hf_guard_host_epoch(g->view, end->host_uuid, &exists) > end->epoch)
        return true;

    Holdfast__V1__Fence *f HF_GUARD_FREE = fence_after(g->view, end->host_uuid, end->epoch);
    if (f == NULL)
        return hf_guard_refuse(
            g, "end run %" PRIu64 " of instance '%s': epoch %" PRIu64 " of host %s is not fenced", end->run,
            g->change->name, end->epoch, end->host_uuid);
    size_t n = before->spec != NULL ? before->spec->n_storage_uuids : 0;
    char **storages = n > 0 ? before->spec->storage_uuids : NULL;
    if (strcmp(f->host_uuid, end->host_uuid) != 0 || f->epoch != end->epoch ||
        !(hf_fence_covers(f, storages, n) || leaves_write_fenced(g, before, f)))
        return hf_guard_refuse(g,
                               "end run %" PRIu64 " of instance '%s': the fence of epoch %" PRIu64
                               " of host %s has no evidence for a storage of this instance",
                               end->run, g->change->name, end->epoch, end->host_uuid);
    return true;
}

bool hf_guard_check_end(struct hf_guard_case *g, const Holdfast__V1__Instance *before,
                        const Holdfast__V1__Placement__End *end, const char *host_uuid, uint64_t epoch,
                        uint64_t run)
{
    if (strcmp(end->host_uuid, host_uuid) != 0 || end->epoch != epoch || end->run != run)
        return hf_guard_refuse(g,
                               "end run %" PRIu64 " of instance '%s': the report is about run %" PRIu64
                               " in epoch %" PRIu64 " of host '%s', not about this placement",
                               run, g->change->name, end->run, end->epoch, end->host_uuid);
    switch (end->kind) {
    case HOLDFAST__V1__PLACEMENT__END__KIND__STOPPED:
        return true;
    case HOLDFAST__V1__PLACEMENT__END__KIND__FENCED:
        return check_fenced_end(g, before, end);
    default:
        return hf_guard_refuse(g, "end run %" PRIu64 " of instance '%s': neither stopped nor fenced", run,
                               g->change->name);
    }
}

static bool check_same_placement(struct hf_guard_case *g, const Holdfast__V1__Instance *before,
                                 const Holdfast__V1__Placement *a)
{
    const Holdfast__V1__Placement *b = before->placement;
    if (b->end != NULL) {
        if (a->end == NULL || !hf_guard_same_message(&b->end->base, &a->end->base))
            return hf_guard_refuse(g, "instance '%s': the end of run %" PRIu64 " is final", g->change->name,
                                   b->run);
        return hf_guard_check_migration(g, before, a);
    }
    if (!hf_guard_check_migration(g, before, a))
        return false;
    if (a->end != NULL && hf_migration_open(a) && !HF_MUTANT(MIGRATION_ENDS_AT_SOURCE))
        return hf_guard_refuse(g,
                               "end run %" PRIu64
                               " of instance '%s': its migration to host %s is not over, so "
                               "that it may run there",
                               b->run, g->change->name, a->migration->target_host_uuid);
    return a->end == NULL || hf_guard_check_end(g, before, a->end, a->host_uuid, a->epoch, a->run);
}

/* No placement at all, in either of its two spellings; one without a host but with numbers is malformed. */
static bool placement_empty(const Holdfast__V1__Placement *p)
{
    return p == NULL || (p->host_uuid[0] == '\0' && p->epoch == 0 && p->run == 0 && p->end == NULL &&
                         p->migration == NULL);
}

static bool same_run(const Holdfast__V1__Placement *b, const Holdfast__V1__Placement *a)
{
    return strcmp(b->host_uuid, a->host_uuid) == 0 && b->epoch == a->epoch && b->run == a->run;
}

static bool check_placement_change(struct hf_guard_case *g, const Holdfast__V1__Instance *before,
                                   const Holdfast__V1__Instance *after)
{
    const Holdfast__V1__Placement *b = before != NULL ? before->placement : NULL, *a = after->placement;
    if (placement_empty(b))
        return placement_empty(a) || check_new_placement(g, after, 0);
    if (!placement_empty(a) && same_run(b, a))
        return check_same_placement(g, before, a);
    if (b->end == NULL && hf_migration_open(b) && !placement_empty(a))
        return hf_guard_check_completed(g, before, a);
    if (b->end == NULL && !HF_MUTANT(PLACED_TWICE))
        return hf_guard_refuse(g,
                               "instance '%s': run %" PRIu64 " on host %s (epoch %" PRIu64
                               ") is not proven over, so its placement cannot change",
                               g->change->name, b->run, b->host_uuid, b->epoch);
    if (placement_empty(a))
        return hf_guard_refuse(g, "instance '%s': its last placement (run %" PRIu64 ") must be kept",
                               g->change->name, b->run);
    return check_new_placement(g, after, hf_placement_last_run(b));
}

static bool check_instance(struct hf_guard_case *g)
{
    const struct hf_change *c = g->change;
    Holdfast__V1__Instance *before HF_GUARD_FREE =
        hf_guard_decode_object(c->before, &holdfast__v1__instance__descriptor);
    bool open = before != NULL && hf_placement_open(before->placement);
    if (c->after == NULL) {
        if (open)
            return hf_guard_refuse(
                g, "delete instance '%s': run %" PRIu64 " on host %s (epoch %" PRIu64 ") is not proven over",
                c->before->name, before->placement->run, before->placement->host_uuid,
                before->placement->epoch);
        return true;
    }
    Holdfast__V1__Instance *after HF_GUARD_FREE =
        hf_guard_decode(&holdfast__v1__instance__descriptor, c->after, c->after_len);
    if (after == NULL || (c->before != NULL && before == NULL))
        return hf_guard_refuse(g, "instance '%s': its bytes are damaged", c->name);
    if (open) {
        const Holdfast__V1__InstanceSpec none = HOLDFAST__V1__INSTANCE_SPEC__INIT;
        const Holdfast__V1__InstanceSpec *b = before->spec != NULL ? before->spec : &none;
        const Holdfast__V1__InstanceSpec *a = after->spec != NULL ? after->spec : &none;
        if (!same_strings(b->storage_uuids, b->n_storage_uuids, a->storage_uuids, a->n_storage_uuids))
            return hf_guard_refuse(g,
                                   "instance '%s': its storages cannot change while run %" PRIu64 " may run",
                                   c->name, before->placement->run);
    }
    return check_placement_change(g, before, after);
}

/* --- hosts --- */

/* Of anything but that it cannot write. */
static bool has_proof(const Holdfast__V1__Fence *f)
{
    for (size_t i = 0; f != NULL && i < f->n_evidence; i++)
        if (hf_evidence_proves_over(f->evidence[i]->kind))
            return true;
    return false;
}

/* The name of an instance that would still be open on (host, any epoch) after the transaction, or "". */
static bool open_instance_on(struct hf_guard_case *g, const char *host_uuid, char *ret_name, size_t len)
{
    const struct hf_store *s = g->view->store;
    for (const struct hf_object *o = hf_store_next(s, HOLDFAST__V1__KIND__INSTANCE, NULL); o != NULL;
         o = hf_store_next(s, HOLDFAST__V1__KIND__INSTANCE, o->name)) {
        size_t after_len;
        const uint8_t *after = hf_guard_after(g->view, &o->uuid, &after_len);
        Holdfast__V1__Instance *i HF_GUARD_FREE =
            after != NULL ? hf_guard_decode(&holdfast__v1__instance__descriptor, after, after_len) : NULL;
        if (i != NULL && hf_placement_open(i->placement) &&
            (strcmp(i->placement->host_uuid, host_uuid) == 0 ||
             (hf_migration_open(i->placement) &&
              strcmp(i->placement->migration->target_host_uuid, host_uuid) == 0))) {
            snprintf(ret_name, len, "%s", o->name);
            return true;
        }
    }
    return false;
}

static bool check_host_delete(struct hf_guard_case *g, const Holdfast__V1__Host *before)
{
    char uuid[HF_UUID_STR], instance[HF_NAME_MAX + 1];
    hf_uuid_format(&g->change->uuid, uuid);
    uint64_t epoch = before != NULL && before->status != NULL ? before->status->epoch : 0;
    if (epoch == 0)
        return true;
    Holdfast__V1__Fence *f HF_GUARD_FREE = fence_after(g->view, uuid, epoch);
    if (f == NULL)
        return hf_guard_refuse(g,
                               "delete host '%s': nothing would remember its epoch %" PRIu64
                               ": it must be fenced in the same transaction",
                               g->change->before->name, epoch);
    if (has_proof(f) || !open_instance_on(g, uuid, instance, sizeof instance))
        return true;
    return hf_guard_refuse(
        g, "delete host '%s': instance '%s' may still run there and epoch %" PRIu64 " is not proven over",
        g->change->before->name, instance, epoch);
}

static bool check_epoch_grant(struct hf_guard_case *g, uint64_t from, uint64_t to)
{
    char uuid[HF_UUID_STR];
    hf_uuid_format(&g->change->uuid, uuid);
    if (from > 0 ? to != from + 1 : to < 1)
        return hf_guard_refuse(g, "host '%s': its epoch may grow by one from %" PRIu64 ", not to %" PRIu64,
                               g->change->name, from, to);
    Holdfast__V1__Fence *present HF_GUARD_FREE = fence_after(g->view, uuid, to);
    if (present != NULL)
        return hf_guard_refuse(g, "host '%s': epoch %" PRIu64 " is fenced already", g->change->name, to);
    if (from == 0)
        return true;
    Holdfast__V1__Fence *last HF_GUARD_FREE = fence_after(g->view, uuid, from);
    if (!has_proof(last) && !HF_MUTANT(EPOCH_WITHOUT_PROOF))
        return hf_guard_refuse(
            g, "host '%s': epoch %" PRIu64 " must be fenced with evidence before the next one is granted",
            g->change->name, from);
    return true;
}

/* A session is one opening of a storage in an epoch: it grows by one, and not behind a fence, whose evidence
 * names it.
 */
static bool check_sessions(struct hf_guard_case *g, const Holdfast__V1__Host *before,
                           const Holdfast__V1__Host *after)
{
    char uuid[HF_UUID_STR];
    hf_uuid_format(&g->change->uuid, uuid);
    const Holdfast__V1__HostStatus *b = before != NULL ? before->status : NULL, *a = after->status;
    for (size_t i = 0; b != NULL && i < b->n_storage_sessions; i++) {
        const char *storage = b->storage_sessions[i]->primary_storage_uuid;
        if (hf_storage_session(a, storage) < b->storage_sessions[i]->session)
            return hf_guard_refuse(g, "host '%s': the session of storage %s only grows", g->change->name,
                                   storage);
    }
    for (size_t i = 0; a != NULL && i < a->n_storage_sessions; i++) {
        const char *storage = a->storage_sessions[i]->primary_storage_uuid;
        uint64_t was = hf_storage_session(b, storage), is = hf_storage_session(a, storage);
        if (is == was)
            continue;
        if (is != was + 1)
            return hf_guard_refuse(
                g, "host '%s': the session of storage %s may grow by one from %" PRIu64 ", not to %" PRIu64,
                g->change->name, storage, was, is);
        Holdfast__V1__Fence *f HF_GUARD_FREE = fence_after(g->view, uuid, a->epoch);
        if (f != NULL)
            return hf_guard_refuse(g,
                                   "host '%s': epoch %" PRIu64 " is fenced: no storage is opened in it again",
                                   g->change->name, a->epoch);
    }
    return true;
}

static bool check_host(struct hf_guard_case *g)
{
    const struct hf_change *c = g->change;
    Holdfast__V1__Host *before HF_GUARD_FREE =
        hf_guard_decode_object(c->before, &holdfast__v1__host__descriptor);
    if (c->after == NULL)
        return check_host_delete(g, before);
    Holdfast__V1__Host *after HF_GUARD_FREE =
        hf_guard_decode(&holdfast__v1__host__descriptor, c->after, c->after_len);
    if (after == NULL || (c->before != NULL && before == NULL))
        return hf_guard_refuse(g, "host '%s': its bytes are damaged", c->name);

    uint64_t from = before != NULL && before->status != NULL ? before->status->epoch : 0;
    uint64_t to = after->status != NULL ? after->status->epoch : 0;
    if (before != NULL && !hf_guard_check_storage_blocks(g, before, after))
        return false;
    if (to == from)
        return check_sessions(g, before, after);
    if (after->status->n_storage_sessions > 0)
        return hf_guard_refuse(g, "host '%s': in a new epoch every storage begins in its first session",
                               c->name);
    if (before == NULL)
        return hf_guard_refuse(g, "host '%s': a new host has no epoch yet", c->name);
    return check_epoch_grant(g, from, to);
}

static bool allow(const struct hf_guard *guard, const struct hf_guard_view *v, const struct hf_change *c,
                  char *why, size_t why_len)
{
    (void)guard;
    struct hf_guard_case g = {v, c, why, why_len};
    switch (c->kind) {
    case HOLDFAST__V1__KIND__INSTANCE:
        return check_instance(&g);
    case HOLDFAST__V1__KIND__HOST:
        return check_host(&g);
    case HOLDFAST__V1__KIND__FENCE:
        return hf_guard_check_fence(&g);
    default:
        return true;
    }
}

const struct hf_guard hf_placement_guard = {
    .name = "placement",
    .kinds = 1ULL << HOLDFAST__V1__KIND__INSTANCE | 1ULL << HOLDFAST__V1__KIND__HOST |
             1ULL << HOLDFAST__V1__KIND__FENCE,
    .allow = allow,
};
