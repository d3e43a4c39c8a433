/* What others see of the keeper: the record for the storage, the view for hostd. */
#include <stdio.h>
#include <string.h>

#include "ha/lease_rules_priv.h"

_Static_assert(HF_KEEPER_RUNS_MAX <= HF_LEASE_RECORD_RUNS_MAX, "a record holds every live run");

const struct hf_keeper_state *hf_lease_rules_state(const struct hf_lease_rules *r)
{
    return &r->state;
}

const struct hf_ha_timing *hf_lease_rules_timing(const struct hf_lease_rules *r)
{
    return r->timing;
}

const char *hf_lease_rules_dir(const struct hf_lease_rules *r, const struct hf_uuid *storage)
{
    const struct hf_lease *l = hf_lease_look(r, storage);
    return l ? l->dir : NULL;
}

bool hf_lease_rules_renews(const struct hf_lease_rules *r, const struct hf_uuid *storage)
{
    const struct hf_lease *l = hf_lease_look(r, storage);
    return l && l->watched;
}

bool hf_lease_rules_idle(const struct hf_lease_rules *r)
{
    return r->state.n_runs == 0 && !r->orphans && !r->strays && !r->unseen;
}

/* Nothing that needs this storage remains: no run, and no process that cannot be assigned to one. */
static bool all_gone(const struct hf_lease_rules *r, const struct hf_uuid *storage)
{
    return !r->orphans && !r->strays && !r->unseen && hf_lease_writes_are_over(r, r->no_strays_ms) &&
           !hf_lease_user_of(r, storage);
}

/* Others rest on an end for ever, so it must outlive this keeper: how many tombstones may be told, and
 * whether "nothing is left" may. */
static uint32_t told_tombs(const struct hf_lease_rules *r)
{
    return r->state.n_tombs - (r->unsaved && !HF_MUTANT(UNSAVED_IS_TOLD) ? r->new_tombs : 0);
}

static bool may_tell_gone(const struct hf_lease_rules *r)
{
    return !r->unsaved || HF_MUTANT(UNSAVED_IS_TOLD);
}

void hf_lease_rules_record(const struct hf_lease_rules *r, const struct hf_uuid *storage, uint64_t sequence,
                           struct hf_lease_record *ret)
{
    const struct hf_keeper_state *s = &r->state;
    memset(ret, 0, sizeof *ret);
    ret->cluster = s->cluster;
    ret->host = s->host;
    snprintf(ret->boot_id, sizeof ret->boot_id, "%s", r->boot_id);
    ret->epoch = s->epoch;
    ret->sequence = sequence;
    const struct hf_lease *l = hf_lease_look(r, storage);
    ret->session = s->epoch_closed || !l ? HF_LEASE_ALL_SESSIONS : l->session;
    ret->closed = s->epoch_closed || hf_lease_was_closed(r, storage);
    ret->killed = ret->closed && may_tell_gone(r) && (all_gone(r, storage) || HF_MUTANT(KILLED_TOO_EARLY));
    for (uint32_t i = 0; i < s->n_runs; i++)
        ret->runs[ret->n_runs++] = (struct hf_lease_run){.instance = s->runs[i].instance,
                                                         .run = s->runs[i].run,
                                                         .live = true,
                                                         .incoming = s->runs[i].incoming};
    for (uint32_t i = told_tombs(r); i > 0 && ret->n_runs < HF_LEASE_RECORD_RUNS_MAX; i--)
        ret->runs[ret->n_runs++] = (struct hf_lease_run){.instance = s->tombs[i - 1].instance,
                                                         .run = s->tombs[i - 1].run,
                                                         .handed_over = s->tombs[i - 1].handed_over};
}

size_t hf_lease_rules_view(const struct hf_lease_rules *r, int64_t now_ms, struct hf_keeper_wire_view *v)
{
    const struct hf_keeper_state *s = &r->state;
    memset(v, 0, sizeof *v);
    memcpy(v->boot_id, r->boot_id, sizeof v->boot_id);
    v->host = s->host;
    v->epoch = s->epoch;
    v->max_term = s->max_term;
    v->epoch_closed = s->epoch_closed != 0;
    v->clean = r->clean && may_tell_gone(r);
    snprintf(v->profile, sizeof v->profile, "%s", r->timing->profile);
    struct hf_keeper_wire_storage *storage = (struct hf_keeper_wire_storage *)(v + 1);
    for (size_t i = 0; i < HF_KEEPER_STORAGES_MAX; i++) {
        const struct hf_lease *l = &r->leases[i];
        if (!l->used || !l->watched)
            continue;
        *storage++ = (struct hf_keeper_wire_storage){
            .uuid = l->storage,
            .age_ms = l->known && l->believed ? now_ms - l->base_ms : INT64_MAX,
            .closed = s->epoch_closed || l->closed,
            .suspended = l->suspended,
            .session = l->session,
        };
        v->n_storages++;
    }
    struct hf_keeper_wire_run *run = (struct hf_keeper_wire_run *)storage;
    for (uint32_t i = 0; i < s->n_runs; i++)
        *run++ = (struct hf_keeper_wire_run){.instance = s->runs[i].instance,
                                             .run = s->runs[i].run,
                                             .pid = r->guests[i].pid,
                                             .state = (uint8_t)s->runs[i].live,
                                             .frozen = r->guests[i].order == HF_GUEST_FROZEN,
                                             .incoming = s->runs[i].incoming};
    for (uint32_t i = 0; i < told_tombs(r); i++)
        *run++ = (struct hf_keeper_wire_run){.instance = s->tombs[i].instance,
                                             .run = s->tombs[i].run,
                                             .state = 2,
                                             .handed_over = s->tombs[i].handed_over};
    v->n_runs = s->n_runs + told_tombs(r);
    return (size_t)((uint8_t *)run - (uint8_t *)v);
}
