/* Who stands still (rule 10): past L exactly the runs with any disk on a storage in doubt. A frozen run
 * counts for petting and killing like any other. */
#include "ha/lease_rules_priv.h"

const struct hf_uuid *hf_lease_run_doubt(struct hf_lease_rules *r, const struct hf_keeper_state_run *run)
{
    for (uint32_t i = 0; i < run->n_storages; i++) {
        const struct hf_lease *l = hf_lease_find(r, &run->storages[i]);
        if (!l || !hf_lease_is_fresh(r, l))
            return &run->storages[i];
    }
    return NULL;
}

/* When the first lease that the run needs will be L old. */
static int64_t fresh_until(struct hf_lease_rules *r, const struct hf_keeper_state_run *run)
{
    int64_t until = INT64_MAX;
    for (uint32_t i = 0; i < run->n_storages; i++) {
        const struct hf_lease *l = hf_lease_find(r, &run->storages[i]);
        HF_ASSERT(l);
        if (l->base_ms + r->timing->lease_ms < until)
            until = l->base_ms + r->timing->lease_ms;
    }
    return until;
}

static void freeze(struct hf_lease_rules *r, const struct hf_keeper_state_run *run)
{
    hf_lease_emit(r, HF_LEASE_FREEZE)->subject = run->instance;
}

static void thaw(struct hf_lease_rules *r, const struct hf_keeper_state_run *run)
{
    struct hf_lease_effect *e = hf_lease_emit(r, HF_LEASE_THAW);
    e->subject = run->instance;
    e->number = (uint64_t)fresh_until(r, run);
}

void hf_lease_freeze_and_thaw(struct hf_lease_rules *r)
{
    for (uint32_t i = 0; i < r->state.n_runs; i++) {
        const struct hf_keeper_state_run *run = &r->state.runs[i];
        struct hf_lease_guest *g = &r->guests[i];
        if (hf_lease_run_is_doomed(r, run) || hf_lease_run_is_gone(r, run))
            continue; /* it is killed as it stands: SIGKILL ends a stopped process as well */
        const struct hf_uuid *doubt = hf_lease_run_doubt(r, run);
        if (doubt && g->order != HF_GUEST_FROZEN && !HF_MUTANT(NOT_FROZEN)) {
            hf_lease_note(r, "run %llu of instance %s: frozen: the lease on storage %s is in doubt",
                          (unsigned long long)run->run, hf_lease_name(&run->instance).text,
                          hf_lease_name(doubt).text);
            g->order = HF_GUEST_FROZEN;
            g->stopped = false;
            freeze(r, run);
            r->changed = r->survey_now = true;
        } else if (!doubt && g->order == HF_GUEST_FROZEN && !HF_MUTANT(NOT_THAWED)) {
            hf_lease_note(r, "run %llu of instance %s: thawed", (unsigned long long)run->run,
                          hf_lease_name(&run->instance).text);
            g->order = HF_GUEST_THAWING;
            thaw(r, run);
            r->changed = r->survey_now = true;
        }
    }
}

void hf_lease_survey_frozen(struct hf_lease_rules *r, const struct hf_lease_proc *procs, size_t n)
{
    for (uint32_t i = 0; i < r->state.n_runs; i++) {
        const struct hf_keeper_state_run *run = &r->state.runs[i];
        struct hf_lease_guest *g = &r->guests[i];
        struct hf_lease_seen seen = hf_lease_seen(procs, n, &run->instance);
        if (g->order == HF_GUEST_FREE || hf_lease_run_is_doomed(r, run))
            continue;
        g->stopped = seen.all_stopped;
        if (g->order == HF_GUEST_FROZEN && seen.pid && !seen.all_stopped)
            freeze(r, run);
        else if (g->order == HF_GUEST_THAWING && !hf_lease_run_doubt(r, run) && seen.any_stopped)
            thaw(r, run);
        else if (g->order == HF_GUEST_THAWING && !seen.any_stopped)
            g->order = HF_GUEST_FREE;
    }
}
