/* Who is on a Ceph cluster's blocklist, and who is not; and which copy may still execute because it cannot
 * write (DESIGN.md section 5, rule 15, told a second time).
 */
#include <stdio.h>

#include "holdfast/v1/ha.pb-c.h"
#include "sim/checks_int.h"

typedef unsigned long long ull;
typedef Holdfast__V1__Fence Fence;
typedef Holdfast__V1__Fence__Blocklist Blocklist;
#define STATE(name) HOLDFAST__V1__FENCE__BLOCKLIST__STATE__##name

/* --- what the clusters list --- */

static bool lists(const struct sim_checks *c, const struct sim_store_storage *s, const char *entry)
{
    for (size_t k = 0; k < c->n_listed; k++)
        if (c->listed[k].storage == s && strcmp(c->listed[k].entry, entry) == 0)
            return true;
    return false;
}

static bool lists_whole(const struct sim_checks *c, const struct sim_store_storage *s, const char *address)
{
    char entry[SIM_ENTRY + sizeof ":0/0"];
    snprintf(entry, sizeof entry, "%s:0/0", address);
    return address[0] != '\0' && lists(c, s, entry);
}

/* The entry is a whole address: just that one, in address. */
static bool is_whole(const char *entry, char address[SIM_ENTRY])
{
    const char *colon = strchr(entry, ':');
    if (colon == NULL || strcmp(colon, ":0/0") != 0)
        return false;
    snprintf(address, SIM_ENTRY, "%.*s", (int)(colon - entry), entry);
    return true;
}

bool sim_cannot_write(const struct sim_checks *c, const struct sim_instance *i,
                      const struct sim_known_host *h)
{
    for (size_t k = 0; k < i->n_storages; k++)
        if (!i->storages[k]->ceph || !lists_whole(c, i->storages[k], h->facts.address))
            return false;
    return i->n_storages > 0;
}

/* --- whom entries may name --- */

static const struct sim_blocklist *blocklist_of(const struct sim_fence *f, const struct sim_store_storage *s)
{
    for (size_t k = 0; k < f->n_blocklists; k++)
        if (f->blocklists[k].storage == s)
            return &f->blocklists[k];
    return NULL;
}

/* It wants it there, and has not taken it back. */
static bool is_wanted_by(const struct sim_fence *f, const struct sim_store_storage *s)
{
    const struct sim_blocklist *b = blocklist_of(f, s);
    return b != NULL && b->state != STATE(REMOVED);
}

static bool is_wanted(const struct sim_known_host *h, const struct sim_store_storage *s)
{
    for (const struct sim_fence *f = h->fences; f != NULL; f = f->next_of_host)
        if (is_wanted_by(f, s))
            return true;
    return false;
}

static void judge_added(struct sim_checks *c, int64_t now_ns, const struct sim_store_storage *s,
                        const char *entry)
{
    char address[SIM_ENTRY], since[SIM_TIME_TEXT];
    bool fenced = false;
    if (!is_whole(entry, address))
        return;
    for (size_t k = 0; k < c->n_reserved; k++)
        if (strcmp(c->reserved[k], address) == 0)
            sim_violated(c, now_ns, SIM_RULE_BLOCKLIST, sim_digest_text(SIM_DIGEST_EMPTY, address),
                         "%s is on the blocklist of '%s' as a whole at %s, but it is not a host's alone",
                         address, s->name, sim_time_text(now_ns, since));
    for (const struct sim_known_host *h = c->host_list; h != NULL; h = h->next) {
        if (strcmp(h->facts.address, address) != 0)
            continue;
        /* another storage of the cluster may be the one that asks for it */
        for (const struct sim_store_storage *o = c->storage_list; o != NULL && !fenced; o = o->next)
            fenced = o->ceph && lists(c, o, entry) && is_wanted(h, o);
        if (!fenced)
            sim_violated(c, now_ns, SIM_RULE_BLOCKLIST, sim_subject(&h->uuid),
                         "host %s (%s) is on the blocklist of '%s' at %s, but no fence of it wants that "
                         "(it lives epoch %llu, fenced up to %llu)",
                         sim_host_text(h), address, s->name, sim_time_text(now_ns, since), (ull)h->epoch,
                         (ull)h->fenced_epoch);
        fenced = false;
    }
}

/* The log says so of someone. An address may be on a cluster's list for several storages, lives and, where a
 * client was taken for another host's, hosts: with one removal it is gone for all. */
static bool is_being_taken_off(const struct sim_checks *c)
{
    for (const struct sim_known_host *h = c->host_list; h != NULL; h = h->next)
        for (const struct sim_fence *f = h->fences; f != NULL; f = f->next_of_host)
            for (size_t k = 0; k < f->n_blocklists; k++)
                if (f->blocklists[k].state == STATE(REMOVING))
                    return true;
    return false;
}

/* Of a fence whose entry this was. */
static void judge_gone(struct sim_checks *c, int64_t now_ns, const struct sim_store_storage *s,
                       const struct sim_known_host *h, const struct sim_fence *f, bool lapsed)
{
    const struct sim_blocklist *b = blocklist_of(f, s);
    char at[SIM_TIME_TEXT];
    if (b == NULL || b->by_clients || (b->state != STATE(ADDED) && b->state != STATE(REMOVING)))
        return;
    bool later = h->top_epoch > f->epoch || h->deleted;
    if (later && (lapsed || is_being_taken_off(c)))
        return;
    if (lapsed && sim_fence_proves(f, &s->uuid))
        return;
    sim_violated(c, now_ns, SIM_RULE_BLOCKLIST, sim_subject(&f->uuid),
                 "the entry %s of epoch %llu of host %s %s the blocklist of '%s' at %s, but %s", f->address,
                 (ull)f->epoch, sim_host_text(h), lapsed ? "lapsed on" : "was taken off", s->name,
                 sim_time_text(now_ns, at),
                 later ? "nobody has said so in the log" : "nothing proves that epoch over");
}

/* Copies that may execute as long as they cannot write: can they? */
static void judge_copies(struct sim_checks *c, int64_t now_ns)
{
    for (struct sim_instance *i = c->instance_list; i != NULL; i = i->next)
        if (i->n_copies > 0)
            sim_judge_copies(c, now_ns, i);
}

void sim_checks_listed(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *storage, const char *entry,
                       enum sim_listed what)
{
    struct sim_store_storage *s = sim_storage_of(c, storage);
    char address[SIM_ENTRY];
    sim_store_flush(c, now_ns);
    if (what == SIM_LISTED) {
        if (!lists(c, s, entry) && c->n_listed < SIM_LISTED_MAX) {
            c->listed[c->n_listed].storage = s;
            snprintf(c->listed[c->n_listed++].entry, SIM_ENTRY, "%s", entry);
        }
        judge_added(c, now_ns, s, entry);
        return;
    }
    for (size_t k = 0; k < c->n_listed; k++)
        if (c->listed[k].storage == s && strcmp(c->listed[k].entry, entry) == 0)
            c->listed[k--] = c->listed[--c->n_listed];
    if (!is_whole(entry, address))
        return;
    for (const struct sim_known_host *h = c->host_list; h != NULL; h = h->next)
        for (const struct sim_fence *f = h->fences; f != NULL; f = f->next_of_host)
            if (strcmp(f->address, address) == 0)
                judge_gone(c, now_ns, s, h, f, what == SIM_LAPSED);
    judge_copies(c, now_ns);
}

void sim_checks_address(struct sim_checks *c, int64_t now_ns, unsigned host, const char *address)
{
    struct sim_known_host *h = sim_host_numbered(c, host);
    sim_never_stop_tick(c, now_ns);
    snprintf(h->facts.address, sizeof h->facts.address, "%s", address);
    for (struct sim_known_host *o = c->host_list; o != NULL; o = o->next)
        if (o != h && strcmp(o->facts.address, address) == 0)
            o->facts.shared = h->facts.shared = true;
}

void sim_checks_reserve(struct sim_checks *c, const char *address)
{
    if (c->n_reserved < SIM_RESERVED_MAX)
        snprintf(c->reserved[c->n_reserved++], SIM_ENTRY, "%s", address);
}

/* --- what fences say --- */

static struct sim_blocklist *known_blocklist(struct sim_fence *f, struct sim_store_storage *s)
{
    for (size_t k = 0; k < f->n_blocklists; k++)
        if (f->blocklists[k].storage == s)
            return &f->blocklists[k];
    if (f->n_blocklists == SIM_BLOCKLISTS_MAX)
        return NULL;
    struct sim_blocklist *b = &f->blocklists[f->n_blocklists++];
    *b = (struct sim_blocklist){.storage = s};
    return b;
}

/* In its present life it has written its lease there: who has not runs nothing that has a disk there. */
static bool has_clients(struct sim_known_host *h, const struct sim_fence *f,
                        const struct sim_store_storage *s)
{
    const struct sim_lease *l = sim_lease_of(&h->facts, &s->uuid);
    return h->epoch == f->epoch && l != NULL && l->started_ns >= h->epoch_since_ns;
}

/* The log says that the cluster has confirmed it. */
static void judge_confirmed(struct sim_checks *c, int64_t now_ns, struct sim_known_host *h,
                            const struct sim_fence *f, const struct sim_blocklist *b)
{
    if (!b->by_clients && has_clients(h, f, b->storage) && !lists_whole(c, b->storage, f->address))
        sim_violated(c, now_ns, SIM_RULE_BLOCKLIST, sim_subject(&f->uuid),
                     "epoch %llu of host %s (%s) counts as being on the blocklist of '%s', which does not "
                     "have it",
                     (ull)f->epoch, sim_host_text(h), f->address, b->storage->name);
}

static void take_blocklist(struct sim_checks *c, int64_t now_ns, struct sim_known_host *h,
                           struct sim_fence *f, const Blocklist *m)
{
    struct hf_uuid storage = sim_uuid_of(m->primary_storage_uuid);
    struct sim_blocklist *b = known_blocklist(f, sim_storage_of(c, &storage));
    if (b == NULL)
        return;
    int was = b->state;
    b->state = (int)m->state;
    b->by_clients = m->by_clients;
    if ((int)m->state < was)
        sim_violated(c, now_ns, SIM_RULE_BLOCKLIST, sim_subject(&f->uuid),
                     "the blocklist of epoch %llu of host %s on '%s' went back from state %d to %d",
                     (ull)f->epoch, sim_host_text(h), b->storage->name, was, (int)m->state);
    if (b->state == (int)STATE(REMOVED) && was != b->state) {
        h->cleared_ns = now_ns;
        if (h->healthy_since_ns != INT64_MAX)
            h->healthy_since_ns = now_ns; /* what is on that storage may go there from now on */
    }
    if (was < (int)STATE(ADDED) && m->state == STATE(ADDED))
        judge_confirmed(c, now_ns, h, f, b);
    if (was < (int)STATE(REMOVING) && m->state >= STATE(REMOVING) && h->top_epoch <= f->epoch && !h->deleted)
        sim_violated(c, now_ns, SIM_RULE_BLOCKLIST, sim_subject(&f->uuid),
                     "epoch %llu of host %s is to be taken off the blocklist of '%s', but the host lives no "
                     "later one",
                     (ull)f->epoch, sim_host_text(h), b->storage->name);
}

void sim_take_blocklists(struct sim_checks *c, int64_t now_ns, struct sim_known_host *h, struct sim_fence *f,
                         const Fence *m)
{
    for (size_t k = 0; k < m->n_blocklists; k++)
        take_blocklist(c, now_ns, h, f, m->blocklists[k]);
    if (m->n_blocklists < f->n_blocklists)
        sim_violated(c, now_ns, SIM_RULE_BLOCKLIST, sim_subject(&f->uuid),
                     "the fence of epoch %llu of host %s forgot a blocklist", (ull)f->epoch,
                     sim_host_text(h));
}

void sim_judge_blocklist_evidence(struct sim_checks *c, int64_t now_ns, struct sim_known_host *h,
                                  struct sim_fence *f, const struct sim_store_storage *s)
{
    const struct sim_blocklist *b = blocklist_of(f, s);
    if (b == NULL || b->by_clients || b->state != STATE(ADDED))
        sim_violated(c, now_ns, SIM_RULE_BLOCKLIST, sim_subject(&f->uuid),
                     "epoch %llu of host %s counts as unable to write to '%s', but it is not on its "
                     "blocklist as a whole",
                     (ull)f->epoch, sim_host_text(h), s->name);
    else
        judge_confirmed(c, now_ns, h, f, b);
}

/* --- what rests on them --- */

bool sim_needs_blocklist_only(const struct sim_instance *i)
{
    for (size_t k = 0; k < i->n_storages; k++)
        if (!i->storages[k]->ceph)
            return false;
    return i->write_fenced && i->n_storages > 0;
}

bool sim_can_be_refused(const struct sim_checks *c, const struct sim_instance *i,
                        const struct sim_known_host *h)
{
    bool shared = h->facts.address[0] == '\0' || h->facts.shared;
    for (size_t k = 0; k < c->n_reserved; k++)
        shared |= strcmp(c->reserved[k], h->facts.address) == 0;
    for (const struct sim_fence *f = h->fences; f != NULL; f = f->next_of_host)
        for (size_t k = 0; k < i->n_storages && f->epoch < h->epoch; k++)
            shared |= is_wanted_by(f, i->storages[k]);
    return !shared;
}

bool sim_is_refused_at(const struct sim_known_host *h, const struct sim_instance *i)
{
    for (size_t k = 0; k < i->n_storages; k++)
        if (i->storages[k]->ceph && is_wanted(h, i->storages[k]))
            return true;
    return false;
}

const struct sim_store_storage *sim_not_refused_at(const struct sim_fence *f, const struct sim_instance *i)
{
    for (size_t k = 0; k < i->n_storages; k++) {
        const struct sim_blocklist *b = blocklist_of(f, i->storages[k]);
        if (i->storages[k]->ceph && (b == NULL || b->state < (int)STATE(ADDED)))
            return i->storages[k];
    }
    return NULL;
}

bool sim_writes_are_refused(const struct sim_fence *f, const struct sim_instance *i)
{
    for (size_t k = 0; k < i->n_storages; k++) {
        bool barred = false;
        for (size_t n = 0; n < f->n_barred; n++)
            barred |= hf_uuid_equal(&f->barred[n], &i->storages[k]->uuid);
        if (!barred)
            return false;
    }
    return i->n_storages > 0;
}

void sim_blocklists_end(struct sim_checks *c, int64_t now_ns, const struct sim_known_host *h)
{
    for (const struct sim_fence *f = h->fences; f != NULL; f = f->next_of_host)
        for (size_t k = 0; k < f->n_blocklists && f->epoch < h->epoch; k++)
            if (f->blocklists[k].state != STATE(REMOVED))
                sim_violated(c, now_ns, SIM_RULE_CONVERGES, sim_subject(&h->uuid),
                             "nothing is wrong with host %s, but its epoch %llu is still on the blocklist of "
                             "'%s' (state %d)",
                             sim_host_text(h), (ull)f->epoch, f->blocklists[k].storage->name,
                             f->blocklists[k].state);
    for (const struct sim_store_storage *s = c->storage_list; s != NULL; s = s->next)
        if (lists_whole(c, s, h->facts.address))
            sim_violated(c, now_ns, SIM_RULE_CONVERGES, sim_subject(&h->uuid),
                         "nothing is wrong with host %s, but '%s' refuses all clients of its address %s",
                         sim_host_text(h), s->name, h->facts.address);
}
