#include "control/host_grant.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/mutant.h"
#include "control/drain_record.h"
#include "control/fence_object.h"
#include "control/kinds.h"
#include "control/storage_session.h"
#include "ha/ha_timing.h"
#include "control/timeline.h"

#define HF_HOST_ADDRESSES_MAX 256 /* kept of a host; a host tells no more */

bool hf_grant_same_life(const Holdfast__V1__Host *h, const Holdfast__V1__Hello *hello)
{
    return h->status != NULL && h->status->epoch > 0 && hello->epoch == h->status->epoch &&
           strcmp(hello->boot_id, h->status->boot_id) == 0;
}

/* It was told to shut down, and has closed this very life. */
static bool obeyed_shutdown(const Holdfast__V1__Host *h, const Holdfast__V1__Hello *hello)
{
    return h->spec != NULL && h->spec->drain != NULL && h->spec->drain->purpose == HF_DRAIN_FOR(SHUTDOWN) &&
           hf_grant_same_life(h, hello) && hello->closed_and_killed;
}

enum hf_grant hf_grant_decide(const Holdfast__V1__Host *h, bool fenced, bool leaves,
                              const Holdfast__V1__Hello *hello)
{
    uint64_t epoch = h->status != NULL ? h->status->epoch : 0;
    if (hf_grant_same_life(h, hello) && (!fenced || HF_MUTANT(FENCED_EPOCH_ADOPTED)) &&
        !hello->closed_and_killed)
        return HF_GRANT_ADOPT;
    if ((epoch > 0 && hello->epoch > epoch) || hello->epoch > HF_EPOCH_MAX)
        return HF_GRANT_DENY;
    if (hello->clean && (leaves || obeyed_shutdown(h, hello)))
        return HF_GRANT_REST;
    return hello->clean || HF_MUTANT(GRANT_TO_UNCLEAN) ? HF_GRANT_NEXT : HF_GRANT_END;
}

/* Everything that a disk of this host's instances may lie on. */
static void add_storages_of_host(const struct hf_store *s, const Holdfast__V1__Host *h, uint64_t epoch,
                                 Holdfast__V1__Evidence *e)
{
    Holdfast__V1__Cluster *cluster = (Holdfast__V1__Cluster *)(void *)hf_object_find(
        s, HOLDFAST__V1__KIND__CLUSTER, h->spec != NULL ? h->spec->cluster_uuid : NULL, NULL);
    if (cluster != NULL) {
        for (size_t i = 0; cluster->spec != NULL && i < cluster->spec->n_primary_storage_uuids; i++)
            hf_evidence_add_storage(e, cluster->spec->primary_storage_uuids[i]);
        holdfast__v1__cluster__free_unpacked(cluster, NULL);
    }
    for (const struct hf_object *o = hf_store_next(s, HOLDFAST__V1__KIND__INSTANCE, NULL); o != NULL;
         o = hf_store_next(s, HOLDFAST__V1__KIND__INSTANCE, o->name)) {
        Holdfast__V1__Instance *i = (Holdfast__V1__Instance *)(void *)hf_object_decode(o);
        if (i == NULL)
            continue;
        bool here = hf_placement_open(i->placement) && i->placement->epoch == epoch &&
                    strcmp(i->placement->host_uuid, h->meta->uuid) == 0;
        for (size_t k = 0; here && i->spec != NULL && k < i->spec->n_storage_uuids; k++)
            hf_evidence_add_storage(e, i->spec->storage_uuids[k]);
        holdfast__v1__instance__free_unpacked(i, NULL);
    }
}

static bool has_evidence(const Holdfast__V1__Fence *f, Holdfast__V1__Evidence__Kind kind)
{
    for (size_t i = 0; i < f->n_evidence; i++)
        if (f->evidence[i]->kind == kind)
            return true;
    return false;
}

/* What a Hello proves about the epoch before. */
static void put_proof(struct hf_env *env, const struct hf_store *s, struct hf_txn *t,
                      const Holdfast__V1__Host *h, const Holdfast__V1__Hello *hello, enum hf_grant grant)
{
    uint64_t epoch = h->status->epoch;
    bool killed = hello->closed_and_killed && hello->epoch == epoch;
    if (epoch == 0 || grant == HF_GRANT_ADOPT || grant == HF_GRANT_DENY ||
        ((grant == HF_GRANT_END || grant == HF_GRANT_REST) && !killed) || HF_MUTANT(EPOCH_WITHOUT_PROOF))
        return;
    char keeper[HF_TIMELINE_NAME_MAX];
    hf_timeline_keeper(h->meta->name, keeper);
    Holdfast__V1__Fence *f = hf_fence_find(s, h->meta->uuid, epoch);
    if (f == NULL)
        f = hf_fence_new(env, h->meta->uuid, epoch,
                         grant == HF_GRANT_REST ? "the host was shut down in order"
                         : killed               ? "the host closed its epoch"
                                                : "the host began a new life",
                         keeper);
    size_t before = f->n_evidence;
    if (killed && !has_evidence(f, HOLDFAST__V1__EVIDENCE__KIND__CLOSED_AND_KILLED))
        add_storages_of_host(s, h, epoch,
                             hf_fence_add_evidence(
                                 f, env, HOLDFAST__V1__EVIDENCE__KIND__CLOSED_AND_KILLED,
                                 "the keeper closed the epoch and verified that nothing of it runs", keeper));
    if (grant == HF_GRANT_NEXT)
        hf_fence_add_evidence(f, env, HOLDFAST__V1__EVIDENCE__KIND__NEXT_EPOCH,
                              "the keeper verified that nothing runs and was granted the next epoch", keeper);
    if (f->n_evidence > before)
        hf_txn_put_message(t, env, &f->base);
    holdfast__v1__fence__free_unpacked(f, NULL);
}

/* A host that was deleted and added again, or comes from another cloud, goes on counting: a number names one
 * life only. */
static uint64_t next_epoch(const struct hf_store *s, const Holdfast__V1__Host *h,
                           const Holdfast__V1__Hello *hello)
{
    if (h->status->epoch > 0)
        return h->status->epoch + 1;
    uint64_t epoch = hello->epoch + 1;
    for (Holdfast__V1__Fence *f = hf_fence_find(s, h->meta->uuid, epoch); f != NULL;
         f = hf_fence_find(s, h->meta->uuid, ++epoch))
        holdfast__v1__fence__free_unpacked(f, NULL);
    return epoch;
}

static bool set_text(char **field, const char *value)
{
    if (strcmp(*field, value) == 0)
        return false;
    hf_pb_set(field, value);
    return true;
}

static bool set_addresses(Holdfast__V1__HostStatus *st, const Holdfast__V1__Hello *hello)
{
    size_t n = hello->n_addresses < HF_HOST_ADDRESSES_MAX ? hello->n_addresses : HF_HOST_ADDRESSES_MAX;
    bool same = st->n_addresses == n;
    for (size_t i = 0; same && i < n; i++)
        same = strcmp(st->addresses[i], hello->addresses[i]) == 0;
    if (same)
        return false;
    for (size_t i = 0; i < st->n_addresses; i++)
        free(st->addresses[i]);
    free(st->addresses);
    st->n_addresses = n;
    st->addresses = hf_alloc_array(st->n_addresses + 1, sizeof *st->addresses);
    for (size_t i = 0; i < st->n_addresses; i++)
        st->addresses[i] = hf_strdup(hello->addresses[i]);
    return true;
}

const char *hf_grant_profile(const Holdfast__V1__HostStatus *st, const Holdfast__V1__Hello *hello,
                             bool same_life)
{
    const struct hf_ha_timing *before = hf_ha_timing_find(st->profile),
                              *now = hf_ha_timing_find(hello->profile);
    bool keeps = same_life && st->profile[0] != '\0' && before != NULL &&
                 (now == NULL || before->silence_ms > now->silence_ms);
    return keeps ? st->profile : hello->profile;
}

/* Takes the Hello's inventory over; true when something changed. */
static bool take_inventory(Holdfast__V1__HostStatus *st, const Holdfast__V1__Hello *hello, bool same_life)
{
    bool changed = st->cpus != hello->cpus || st->memory_bytes != hello->memory_bytes;
    st->cpus = hello->cpus;
    st->memory_bytes = hello->memory_bytes;
    changed |= set_text(&st->boot_id, hello->boot_id);
    changed |= set_text(&st->accelerator, hello->accelerator);
    changed |= set_text(&st->watchdog, hello->watchdog);
    changed |= set_text(&st->watchdog_problem, hello->watchdog_problem);
    changed |= set_text(&st->version, hello->version);
    changed |= set_text(&st->profile, hf_grant_profile(st, hello, same_life));
    changed |= set_addresses(st, hello);
    return changed;
}

/* A shutdown ends with the life that it was ordered for. One that the machine's own operating system asked
 * for leaves nothing behind: the host serves again. */
static void end_shutdown(Holdfast__V1__Host *h)
{
    Holdfast__V1__HostSpec__Drain *d = h->spec != NULL ? h->spec->drain : NULL;
    if (d != NULL && d->by_host)
        hf_drain_withdraw(h);
    else if (d != NULL && d->purpose == HF_DRAIN_FOR(SHUTDOWN))
        d->purpose = HF_DRAIN_FOR(MAINTENANCE);
}

static void put_host(struct hf_env *env, struct hf_txn *t, Holdfast__V1__Host *h,
                     const Holdfast__V1__Hello *hello, bool leaves, uint64_t epoch)
{
    bool changed = take_inventory(h->status, hello, h->status->epoch == epoch);
    if (leaves)
        changed |= hf_drain_want_by_host(h, hf_env_wall_ms(env));
    if (h->status->state != HOLDFAST__V1__HOST_STATUS__STATE__CONNECTED) {
        h->status->state = HOLDFAST__V1__HOST_STATUS__STATE__CONNECTED;
        h->status->state_since_ms = hf_env_wall_ms(env);
        changed = true;
    }
    if (h->status->epoch != epoch) {
        end_shutdown(h);
        hf_storage_sessions_clear(h->status);
        changed = true;
    }
    h->status->epoch = epoch;
    if (changed)
        hf_txn_put_message(t, env, &h->base);
}

static hf_status build(struct hf_env *env, const struct hf_store *s, struct hf_txn *t, Holdfast__V1__Host *h,
                       const Holdfast__V1__Hello *hello, bool leaves, enum hf_grant *ret, uint64_t *ret_epoch)
{
    if (h->status == NULL) {
        h->status = HF_NEW(Holdfast__V1__HostStatus);
        holdfast__v1__host_status__init(h->status);
    }
    Holdfast__V1__Fence *f = hf_fence_find(s, h->meta->uuid, h->status->epoch);
    enum hf_grant grant = hf_grant_decide(h, f != NULL, leaves, hello);
    if (f != NULL)
        holdfast__v1__fence__free_unpacked(f, NULL);
    if (grant == HF_GRANT_DENY)
        return hf_error(
            HF_DENIED,
            "host '%s': its keeper lives epoch %" PRIu64 ", but only %" PRIu64
            " was granted: it belongs to another cloud; reboot the host or clear its keeper's state",
            h->meta->name, hello->epoch, h->status->epoch);

    put_proof(env, s, t, h, hello, grant);
    uint64_t epoch = grant == HF_GRANT_NEXT ? next_epoch(s, h, hello) : h->status->epoch;
    if (grant == HF_GRANT_NEXT || grant == HF_GRANT_ADOPT)
        put_host(env, t, h, hello, leaves, epoch);
    else if (grant == HF_GRANT_REST && leaves && hf_drain_want_by_host(h, hf_env_wall_ms(env)))
        hf_txn_put_message(t, env, &h->base);
    *ret = grant;
    *ret_epoch = epoch;
    return HF_STATUS_OK;
}

hf_status hf_grant_build(struct hf_env *env, const struct hf_store *s, struct hf_txn *t,
                         const Holdfast__V1__Hello *hello, bool leaves, enum hf_grant *ret,
                         uint64_t *ret_epoch)
{
    Holdfast__V1__Host *h =
        (Holdfast__V1__Host *)(void *)hf_object_find(s, HOLDFAST__V1__KIND__HOST, hello->host_uuid, NULL);
    if (h == NULL)
        return hf_error(HF_NOT_FOUND, "there is no host %s", hello->host_uuid);
    hf_status st = build(env, s, t, h, hello, leaves, ret, ret_epoch);
    holdfast__v1__host__free_unpacked(h, NULL);
    return st;
}
