/* Hosts and fences: epochs that only grow, fences that are for ever, evidence that proves (DESIGN.md section
 * 5, rules 7 and 13). */
#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "holdfast/v1/ha.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"
#include "sim/checks_int.h"

typedef unsigned long long ull;
typedef Holdfast__V1__Fence Fence;
typedef Holdfast__V1__Evidence Evidence;

/* --- hosts --- */

/* A host that was deleted and added again has no epoch, and goes on where it was. */
static void judge_epoch(struct sim_checks *c, int64_t now_ns, struct sim_known_host *h, uint64_t to)
{
    if (to == h->epoch)
        return;
    if (to < h->top_epoch) {
        sim_violated(c, now_ns, SIM_RULE_GROWS, sim_subject(&h->uuid),
                     "host %s went back from epoch %llu to %llu", sim_host_text(h), (ull)h->top_epoch,
                     (ull)to);
        return;
    }
    if (to <= h->fenced_epoch)
        sim_violated(c, now_ns, SIM_RULE_GROWS, sim_subject(&h->uuid),
                     "host %s was granted epoch %llu, which is fenced for ever", sim_host_text(h), (ull)to);
    h->epoch_since_ns = now_ns;
    memcpy(h->epoch_address, h->facts.address, sizeof h->epoch_address);
    sim_judge_later(c, (struct sim_pending){.kind = SIM_GRANT, .host = h, .epoch = to, .from = h->epoch});
}

static void take_host(struct sim_known_host *h, const Holdfast__V1__Host *m)
{
    static const Holdfast__V1__HostSpec no_spec = HOLDFAST__V1__HOST_SPEC__INIT;
    static const Holdfast__V1__HostStatus no_status = HOLDFAST__V1__HOST_STATUS__INIT;
    const Holdfast__V1__HostSpec *spec = m->spec != NULL ? m->spec : &no_spec;
    const Holdfast__V1__HostStatus *st = m->status != NULL ? m->status : &no_status;
    if (m->meta != NULL)
        snprintf(h->name, sizeof h->name, "%s", m->meta->name);
    h->stored = true;
    h->deleted = false;
    h->epoch = st->epoch;
    if (h->epoch > h->top_epoch)
        h->top_epoch = h->epoch;
    h->connected = st->state == HOLDFAST__V1__HOST_STATUS__STATE__CONNECTED;
    h->watchdog = st->watchdog[0] != '\0' && strcmp(st->watchdog, "none") != 0;
    h->disabled = spec->disabled || spec->drain != NULL;
    h->may_be_silent = spec->drain != NULL &&
                       (spec->drain->purpose == HOLDFAST__V1__HOST_SPEC__DRAIN__PURPOSE__MAINTENANCE ||
                        spec->drain->purpose == HOLDFAST__V1__HOST_SPEC__DRAIN__PURPOSE__SHUTDOWN);
    h->cluster = sim_uuid_of(spec->cluster_uuid);
    h->cpus = st->cpus;
    h->memory_bytes = st->memory_bytes;
}

/* The log says that these runs are to end, for their host is emptied. */
static void take_leaving(struct sim_checks *c, const Holdfast__V1__Host *m)
{
    const Holdfast__V1__HostStatus__DrainProgress *p = m->status != NULL ? m->status->drain : NULL;
    for (size_t k = 0; p != NULL && k < p->n_leaving; k++) {
        struct hf_uuid uuid;
        const Holdfast__V1__HostStatus__Leaving *l = p->leaving[k];
        if (l->how != HOLDFAST__V1__HOST_STATUS__LEAVING__HOW__STOP ||
            !hf_uuid_parse(l->instance_uuid, &uuid))
            continue;
        struct sim_instance *i = sim_instance_of(c, &uuid);
        if (l->run > i->unwanted_run)
            i->unwanted_run = l->run;
    }
}

void sim_apply_host(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *uuid, const uint8_t *bytes,
                    size_t len)
{
    struct sim_known_host *h = sim_host_of(c, uuid);
    sim_never_stop_before(c, now_ns);
    if (bytes == NULL) {
        sim_judge_later(c, (struct sim_pending){.kind = SIM_HOST_GONE, .host = h, .epoch = h->epoch});
        h->deleted = true;
        h->epoch = 0;
    } else {
        const Holdfast__V1__Host *m = sim_decode(c, &holdfast__v1__host__descriptor, bytes, len);
        if (m == NULL)
            return;
        judge_epoch(c, now_ns, h, m->status != NULL ? m->status->epoch : 0);
        take_host(h, m);
        take_leaving(c, m);
    }
    sim_never_stop_host(c, now_ns, h);
}

/* --- fences --- */

static uint64_t evidence_digest(uint64_t d, const Evidence *e)
{
    d = sim_digest_u64(sim_digest_u64(d, (uint64_t)e->kind), e->epoch);
    d = sim_digest_text(sim_digest_text(d, e->host_uuid), e->observer_host_uuid);
    d = sim_digest_u64(sim_digest_u64(d, (uint64_t)e->silent_ms), (uint64_t)e->required_ms);
    for (size_t k = 0; k < e->n_storage_uuids; k++)
        d = sim_digest_text(d, e->storage_uuids[k]);
    for (size_t k = 0; k < e->n_power; k++)
        d = sim_digest_text(sim_digest_text(d, e->power[k]->device), e->power[k]->status);
    for (size_t k = 0; k < e->n_addresses; k++)
        d = sim_digest_text(d, e->addresses[k]);
    return sim_digest_text(d, e->detail);
}

static uint64_t evidence_digests(const Fence *m, size_t n)
{
    uint64_t d = SIM_DIGEST_EMPTY;
    for (size_t k = 0; k < n; k++)
        d = evidence_digest(d, m->evidence[k]);
    return d;
}

static bool is_among(const struct hf_uuid *list, size_t n, const struct hf_uuid *storage)
{
    for (size_t k = 0; k < n; k++)
        if (hf_uuid_equal(&list[k], storage))
            return true;
    return false;
}

static void cover(struct hf_uuid *list, size_t *n, const struct hf_uuid *storage)
{
    if (!is_among(list, *n, storage) && *n < SIM_COVERED_MAX)
        list[(*n)++] = *storage;
}

bool sim_fence_proves(const struct sim_fence *f, const struct hf_uuid *storage)
{
    return f->proves_all || is_among(f->covered, f->n_covered, storage);
}

static void judge_silent(struct sim_checks *c, int64_t now_ns, const struct sim_fence *f,
                         const struct sim_known_host *h, const Evidence *e)
{
    if (!h->watchdog || e->silent_ms < e->required_ms || e->required_ms < c->timing->silence_ms)
        sim_violated(
            c, now_ns, SIM_RULE_PLACEMENT, sim_subject(&f->uuid),
            "epoch %llu of host %s counts as over after a silence of %lld ms, but T is %lld ms and its "
            "watchdog is %s",
            (ull)f->epoch, sim_host_text(h), (long long)e->silent_ms, (long long)c->timing->silence_ms,
            h->watchdog ? "there" : "missing");
    for (size_t k = 0; k < e->n_storage_uuids; k++) {
        struct hf_uuid storage = sim_uuid_of(e->storage_uuids[k]);
        sim_judge_silence(c, now_ns, h, f->epoch, sim_storage_of(c, &storage));
    }
}

/* It was without power at some instant since the fence. */
static void judge_power(struct sim_checks *c, int64_t now_ns, const struct sim_fence *f,
                        const struct sim_known_host *h)
{
    if (!h->facts.lost && h->facts.power_back_ns < f->since_ns)
        sim_violated(
            c, now_ns, SIM_RULE_PLACEMENT, sim_subject(&f->uuid),
            "epoch %llu of host %s counts as over by its power, which has been on ever since the fence",
            (ull)f->epoch, sim_host_text(h));
}

static void take_evidence(struct sim_checks *c, int64_t now_ns, struct sim_fence *f, struct sim_known_host *h,
                          const Evidence *e)
{
    struct hf_uuid about = sim_uuid_of(e->host_uuid);
    if (!hf_uuid_equal(&about, &f->host) || e->epoch != f->epoch)
        sim_violated(c, now_ns, SIM_RULE_PLACEMENT, sim_subject(&f->uuid),
                     "the fence of epoch %llu of host %s holds evidence about epoch %llu of host %s",
                     (ull)f->epoch, sim_host_text(h), (ull)e->epoch, e->host_uuid);
    switch (e->kind) {
    case HOLDFAST__V1__EVIDENCE__KIND__NEXT_EPOCH:
        sim_judge_later(c, (struct sim_pending){.kind = SIM_NEXT_EPOCH, .host = h, .epoch = f->epoch});
        f->proves_all = f->own_word = true;
        break;
    case HOLDFAST__V1__EVIDENCE__KIND__OPERATOR:
        f->proves_all = f->own_word = true;
        break;
    case HOLDFAST__V1__EVIDENCE__KIND__CLOSED_AND_KILLED:
        f->own_word = true;
        break;
    case HOLDFAST__V1__EVIDENCE__KIND__POWER_OFF:
        judge_power(c, now_ns, f, h);
        f->proves_all = true;
        break;
    case HOLDFAST__V1__EVIDENCE__KIND__SILENCE:
        judge_silent(c, now_ns, f, h, e);
        break;
    default:
        break;
    }
    for (size_t k = 0; k < e->n_storage_uuids; k++) {
        struct hf_uuid storage = sim_uuid_of(e->storage_uuids[k]);
        if (e->kind != HOLDFAST__V1__EVIDENCE__KIND__BLOCKLIST) {
            cover(f->covered, &f->n_covered, &storage);
            continue;
        }
        sim_judge_blocklist_evidence(c, now_ns, h, f, sim_storage_of(c, &storage));
        cover(f->barred, &f->n_barred, &storage);
    }
}

/* ha/fence_decide.c says why it fences: "no contact for …; its record on 'shared1' stands still for …". */
static void judge_reason(struct sim_checks *c, int64_t now_ns, const struct sim_known_host *h, const Fence *m)
{
    static const char on[] = "its record on '";
    const char *name = strstr(m->reason, on);
    if (name == NULL || strstr(name, "' stands still") == NULL)
        return;
    sim_judge_fence(c, now_ns, h, m->epoch);
    name += sizeof on - 1;
    size_t len = strcspn(name, "'");
    for (const struct sim_store_storage *s = c->storage_list; s != NULL; s = s->next)
        if (strlen(s->name) == len && strncmp(s->name, name, len) == 0)
            sim_judge_silence(c, now_ns, h, m->epoch, s);
}

static struct sim_fence *new_fence(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *uuid,
                                   struct sim_known_host *h, const Fence *m)
{
    struct sim_fence *f = HF_NEW(struct sim_fence);
    f->uuid = *uuid;
    f->host = h->uuid;
    f->epoch = m->epoch;
    f->since_ns = now_ns;
    memcpy(f->address, h->epoch_address, sizeof f->address);
    f->next_of_host = h->fences;
    h->fences = f;
    f->evidence_digest = evidence_digests(m, 0);
    hf_uuid_map_set(&c->fences, uuid, f);
    if (m->epoch == 0 || m->epoch > h->top_epoch)
        sim_violated(c, now_ns, SIM_RULE_GROWS, sim_subject(uuid),
                     "epoch %llu of host %s was fenced, but it has been granted no epoch above %llu",
                     (ull)m->epoch, sim_host_text(h), (ull)h->top_epoch);
    if (m->epoch > h->fenced_epoch)
        h->fenced_epoch = m->epoch;
    judge_reason(c, now_ns, h, m);
    return f;
}

void sim_apply_fence(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *uuid, const uint8_t *bytes,
                     size_t len)
{
    struct sim_fence *f = hf_uuid_map_get(&c->fences, uuid);
    if (bytes == NULL) {
        sim_violated(c, now_ns, SIM_RULE_GROWS, sim_subject(uuid), "a fence was deleted: fenced is for ever");
        return;
    }
    const Fence *m = sim_decode(c, &holdfast__v1__fence__descriptor, bytes, len);
    if (m == NULL)
        return;
    struct hf_uuid host = sim_uuid_of(m->host_uuid);
    struct sim_known_host *h = sim_host_of(c, &host);
    sim_never_stop_before(c, now_ns);
    if (f == NULL)
        f = new_fence(c, now_ns, uuid, h, m);
    if (!hf_uuid_equal(&f->host, &host) || f->epoch != m->epoch || m->n_evidence < f->n_evidence ||
        evidence_digests(m, f->n_evidence) != f->evidence_digest) {
        sim_violated(c, now_ns, SIM_RULE_GROWS, sim_subject(uuid),
                     "the fence of epoch %llu of host %s lost evidence or changed its subject", (ull)f->epoch,
                     sim_host_text(h));
        return;
    }
    sim_take_blocklists(c, now_ns, h, f, m);
    for (size_t k = f->n_evidence; k < m->n_evidence; k++)
        take_evidence(c, now_ns, f, h, m->evidence[k]);
    f->n_evidence = m->n_evidence;
    f->evidence_digest = evidence_digests(m, m->n_evidence);
    sim_never_stop_host(c, now_ns, h);
}

const struct sim_fence *sim_fence_of(const struct sim_checks *c, const struct sim_known_host *h,
                                     uint64_t epoch)
{
    char host[HF_UUID_STR], name[HF_UUID_STR + 24];
    snprintf(name, sizeof name, "%s/%llu", hf_uuid_format(&h->uuid, host), (ull)epoch);
    struct hf_uuid uuid = hf_uuid_of_text(name);
    return hf_uuid_map_get(&c->fences, &uuid);
}
