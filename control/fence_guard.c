/* Rule 7 in the guard: a fence is for ever, and so is its evidence, each piece of which is looked at when it
 * comes. */
#include <inttypes.h>
#include <string.h>

#include "base/mutant.h"
#include "control/guard_object.h"
#include "control/placement_guard_int.h"
#include "control/power_evidence.h"
#include "control/storage_session.h"

static bool check_silence(struct hf_guard_case *g, const Holdfast__V1__Evidence *e,
                          const Holdfast__V1__Host *host)
{
    if (e->required_ms <= 0 || e->silent_ms < e->required_ms || e->observer_host_uuid[0] == '\0')
        return hf_guard_refuse(
            g, "fence '%s': silence of %" PRId64 " ms seen by '%s' is no evidence: %" PRId64 " ms are needed",
            g->change->name, e->silent_ms, e->observer_host_uuid, e->required_ms);
    if (!e->marked)
        return hf_guard_refuse(
            g,
            "fence '%s': silence is no evidence before the fence mark is written and the record read again",
            g->change->name);
    const char *watchdog = host != NULL && host->status != NULL ? host->status->watchdog : "";
    if ((watchdog[0] == '\0' || strcmp(watchdog, "none") == 0) && !HF_MUTANT(SILENCE_WITHOUT_WATCHDOG))
        return hf_guard_refuse(g, "fence '%s': silence is no evidence for a host without a watchdog",
                               g->change->name);
    return true;
}

/* What a record says of one session proves nothing of the next. */
static bool check_closed(struct hf_guard_case *g, const Holdfast__V1__Evidence *e,
                         const Holdfast__V1__Host *host)
{
    const Holdfast__V1__HostStatus *st = host != NULL ? host->status : NULL;
    for (size_t i = 0; e->session != 0 && st != NULL && st->epoch == e->epoch && i < e->n_storage_uuids; i++)
        if (hf_storage_session(st, e->storage_uuids[i]) > e->session)
            return hf_guard_refuse(
                g, "fence '%s': session %" PRIu64 " of storage %s is closed, but a later one was opened",
                g->change->name, e->session, e->storage_uuids[i]);
    return true;
}

static bool check_evidence(struct hf_guard_case *g, const Holdfast__V1__Fence *f,
                           const Holdfast__V1__Evidence *e, const Holdfast__V1__Host *host)
{
    char why[128];
    const char *problem;
    if (strcmp(e->host_uuid, f->host_uuid) != 0 || e->epoch != f->epoch)
        return hf_guard_refuse(
            g, "fence '%s': evidence about epoch %" PRIu64 " of host '%s' does not belong here",
            g->change->name, e->epoch, e->host_uuid);
    switch (e->kind) {
    case HOLDFAST__V1__EVIDENCE__KIND__CLOSED_AND_KILLED:
        return check_closed(g, e, host);
    case HOLDFAST__V1__EVIDENCE__KIND__SILENCE:
        return check_silence(g, e, host);
    case HOLDFAST__V1__EVIDENCE__KIND__NEXT_EPOCH: {
        bool exists;
        if (hf_guard_host_epoch(g->view, f->host_uuid, &exists) > f->epoch)
            return true;
        return hf_guard_refuse(g, "fence '%s': no later epoch was granted", g->change->name);
    }
    case HOLDFAST__V1__EVIDENCE__KIND__OPERATOR:
        if (e->detail[0] != '\0')
            return true;
        return hf_guard_refuse(g, "fence '%s': an operator's word must be recorded as a statement",
                               g->change->name);
    case HOLDFAST__V1__EVIDENCE__KIND__POWER_OFF:
        problem = hf_power_evidence_problem(e, host, g->change->before != NULL, why, sizeof why);
        return problem == NULL || hf_guard_refuse(g, "fence '%s': %s", g->change->name, problem);
    case HOLDFAST__V1__EVIDENCE__KIND__BLOCKLIST:
        return hf_guard_check_block_evidence(g, f, e);
    default:
        return hf_guard_refuse(g, "fence '%s': evidence of an unknown kind", g->change->name);
    }
}

static bool check_fence_identity(struct hf_guard_case *g, const Holdfast__V1__Fence *f,
                                 const Holdfast__V1__Host *host)
{
    char name[HF_FENCE_NAME_MAX];
    if (!hf_guard_is_host_uuid(f->host_uuid))
        return hf_guard_refuse(g, "fence '%s': '%.40s' is not the UUID of a host", g->change->name,
                               f->host_uuid);
    hf_fence_name(f->host_uuid, f->epoch, name);
    struct hf_uuid uuid = hf_uuid_of_text(name);
    if (strcmp(g->change->name, name) != 0 || !hf_uuid_equal(&uuid, &g->change->uuid))
        return hf_guard_refuse(g,
                               "fence '%s': the fence of epoch %" PRIu64 " of host '%s' must be named '%s'",
                               g->change->name, f->epoch, f->host_uuid, name);
    if (g->change->before != NULL)
        return true;
    uint64_t epoch = host != NULL && host->status != NULL ? host->status->epoch : 0;
    if (f->epoch == 0 || f->epoch > epoch)
        return hf_guard_refuse(g, "fence '%s': epoch %" PRIu64 " was never granted to host '%s'",
                               g->change->name, f->epoch, f->host_uuid);
    return true;
}

static bool check_fence_history(struct hf_guard_case *g, const Holdfast__V1__Fence *before,
                                const Holdfast__V1__Fence *after)
{
    if (strcmp(before->host_uuid, after->host_uuid) != 0 || before->epoch != after->epoch)
        return hf_guard_refuse(g, "fence '%s': its host and epoch are final", g->change->name);
    bool kept = after->n_evidence >= before->n_evidence;
    for (size_t i = 0; kept && i < before->n_evidence; i++)
        kept = hf_guard_same_message(&before->evidence[i]->base, &after->evidence[i]->base);
    return kept || hf_guard_refuse(g, "fence '%s': evidence is only ever added", g->change->name);
}

/* The host as the transaction leaves it or, when it deletes the host, as it was. */
static Holdfast__V1__Host *host_of_fence(const struct hf_guard_view *view, const char *host_uuid)
{
    Holdfast__V1__Host *h = hf_guard_decode_after(view, host_uuid, &holdfast__v1__host__descriptor);
    struct hf_uuid uuid;
    if (h == NULL && hf_uuid_parse(host_uuid, &uuid))
        h = hf_guard_decode_object(hf_store_get_kind(view->store, HOLDFAST__V1__KIND__HOST, &uuid),
                                   &holdfast__v1__host__descriptor);
    return h;
}

bool hf_guard_check_fence(struct hf_guard_case *g)
{
    const struct hf_change *c = g->change;
    if (c->after == NULL)
        return c->before == NULL || hf_guard_refuse(g, "fence '%s': fenced is for ever", c->before->name);
    Holdfast__V1__Fence *before HF_GUARD_FREE =
        hf_guard_decode_object(c->before, &holdfast__v1__fence__descriptor);
    Holdfast__V1__Fence *after HF_GUARD_FREE =
        hf_guard_decode(&holdfast__v1__fence__descriptor, c->after, c->after_len);
    if (after == NULL || (c->before != NULL && before == NULL))
        return hf_guard_refuse(g, "fence '%s': its bytes are damaged", c->name);
    if (before != NULL && !check_fence_history(g, before, after))
        return false;

    Holdfast__V1__Host *host HF_GUARD_FREE = host_of_fence(g->view, after->host_uuid);
    if (!check_fence_identity(g, after, host))
        return false;
    for (size_t i = before != NULL ? before->n_evidence : 0; i < after->n_evidence; i++)
        if (!check_evidence(g, after, after->evidence[i], host))
            return false;
    Holdfast__V1__Host *present HF_GUARD_FREE =
        hf_guard_decode_after(g->view, after->host_uuid, &holdfast__v1__host__descriptor);
    return hf_guard_check_blocklists(g, before, after, present);
}
