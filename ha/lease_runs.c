#include <string.h>

#include "base/mutant.h"
#include "ha/lease_rules_priv.h"

/* --- runs --- */

struct hf_keeper_state_run *hf_lease_run_find(struct hf_lease_rules *r, const struct hf_uuid *instance)
{
    for (uint32_t i = 0; i < r->state.n_runs; i++) {
        if (hf_uuid_equal(&r->state.runs[i].instance, instance))
            return &r->state.runs[i];
    }
    return NULL;
}

const struct hf_keeper_state_run *hf_lease_user_of(const struct hf_lease_rules *r,
                                                   const struct hf_uuid *storage)
{
    for (uint32_t i = 0; i < r->state.n_runs; i++) {
        const struct hf_keeper_state_run *run = &r->state.runs[i];
        for (uint32_t k = 0; k < run->n_storages; k++) {
            if (hf_uuid_equal(&run->storages[k], storage))
                return run;
        }
    }
    return NULL;
}

bool hf_lease_run_is_doomed(const struct hf_lease_rules *r, const struct hf_keeper_state_run *run)
{
    if (r->state.epoch_closed)
        return true;
    for (uint32_t i = 0; i < run->n_storages; i++) {
        if (hf_lease_was_closed(r, &run->storages[i]))
            return true;
    }
    return false;
}

const struct hf_keeper_tomb *hf_lease_tomb_find(const struct hf_lease_rules *r,
                                                const struct hf_uuid *instance)
{
    for (uint32_t i = 0; i < r->state.n_tombs; i++) {
        if (hf_uuid_equal(&r->state.tombs[i].instance, instance))
            return &r->state.tombs[i];
    }
    return NULL;
}

static void remove_tomb(struct hf_lease_rules *r, size_t i)
{
    struct hf_keeper_state *s = &r->state;
    memmove(&s->tombs[i], &s->tombs[i + 1], (s->n_tombs - i - 1) * sizeof s->tombs[0]);
    s->n_tombs--;
    memset(&s->tombs[s->n_tombs], 0, sizeof s->tombs[0]);
    if (i >= s->n_tombs + 1 - r->new_tombs)
        r->new_tombs--;
}

/* One tombstone per instance, with its highest run; the newest stands last. The oldest makes room: what it
 * forbids is forbidden by its epoch as well, or by the leader's own record that the run has ended. */
static void set_tomb(struct hf_lease_rules *r, const struct hf_uuid *instance, uint64_t run, bool handed_over)
{
    struct hf_keeper_state *s = &r->state;
    for (uint32_t i = 0; i < s->n_tombs; i++) {
        if (!hf_uuid_equal(&s->tombs[i].instance, instance))
            continue;
        if (s->tombs[i].run > run) {
            run = s->tombs[i].run;
            handed_over = false; /* which was said of the other run */
        }
        remove_tomb(r, i);
        break;
    }
    if (s->n_tombs == HF_KEEPER_TOMBS_MAX)
        remove_tomb(r, 0);
    if (r->new_tombs < HF_KEEPER_TOMBS_MAX)
        r->new_tombs++;
    s->tombs[s->n_tombs++] = (struct hf_keeper_tomb){
        .instance = *instance, .run = run, .epoch = s->epoch, .handed_over = handed_over};
}

void hf_lease_bury(struct hf_lease_rules *r, struct hf_uuid instance, uint64_t run, bool handed_over)
{
    struct hf_keeper_state *s = &r->state;
    struct hf_keeper_state_run *held = hf_lease_run_find(r, &instance);
    if (held && held->run <= run) {
        size_t i = (size_t)(held - s->runs);
        s->n_runs--;
        s->runs[i] = s->runs[s->n_runs];
        r->guests[i] = r->guests[s->n_runs];
        memset(&s->runs[s->n_runs], 0, sizeof s->runs[0]);
    }
    if (!HF_MUTANT(TOMBSTONE_NOT_WRITTEN))
        set_tomb(r, &instance, run, handed_over);
    r->changed = true;
    r->persist |= !HF_MUTANT(TOMBSTONE_NOT_SAVED);
}

bool hf_lease_run_is_gone(const struct hf_lease_rules *r, const struct hf_keeper_state_run *run)
{
    return run->live && r->guests[run - r->state.runs].gone_ms != 0;
}

bool hf_lease_writes_are_over(const struct hf_lease_rules *r, int64_t since_ms)
{
    return r->now_ms - since_ms >= r->timing->guest_write_ms || HF_MUTANT(F_NOT_AWAITED);
}

bool hf_lease_run_is_over(struct hf_lease_rules *r, const struct hf_keeper_state_run *run, bool orderly)
{
    struct hf_lease_guest *g = &r->guests[run - r->state.runs];
    if ((run->gated && !run->live) || run->n_storages == 0)
        return true;
    if (run->incoming) /* it was never allowed to go on: QEMU does not write before that */
        return true;
    if (orderly && !g->killed && !hf_lease_run_is_doomed(r, run))
        return true;
    if (g->gone_ms == 0)
        g->gone_ms = r->now_ms; /* it may have lived between two looks */
    return hf_lease_writes_are_over(r, g->gone_ms);
}

/* --- processes --- */

struct hf_lease_seen hf_lease_seen(const struct hf_lease_proc *procs, size_t n,
                                   const struct hf_uuid *instance)
{
    struct hf_lease_seen seen = {.pid = 0};
    for (size_t i = 0; i < n; i++) {
        if (!hf_uuid_equal(&procs[i].instance, instance))
            continue;
        seen.all_stopped = procs[i].stopped && (seen.pid == 0 || seen.all_stopped);
        seen.any_stopped |= procs[i].stopped;
        seen.pid = seen.pid ? seen.pid : procs[i].pid;
    }
    return seen;
}

void hf_lease_kill_doomed(struct hf_lease_rules *r)
{
    for (uint32_t i = 0; i < r->state.n_runs && !HF_MUTANT(NO_KILL); i++) {
        if (hf_lease_run_is_doomed(r, &r->state.runs[i]))
            hf_lease_kill(r, &r->state.runs[i].instance);
    }
}

/* A process that no run accounts for is not allowed to be: it had no permit, or its run is over. */
void hf_lease_kill_strays(struct hf_lease_rules *r, const struct hf_lease_proc *procs, size_t n)
{
    bool had = r->strays;
    r->strays = false;
    for (size_t i = 0; i < n; i++) {
        if (hf_lease_run_find(r, &procs[i].instance) || HF_MUTANT(STRAYS_LEFT_ALONE))
            continue;
        r->strays = true;
        if (!had)
            hf_lease_note(r, "process %d of instance %s has no permit: killed", procs[i].pid,
                          hf_lease_name(&procs[i].instance).text);
        hf_lease_kill(r, &procs[i].instance);
    }
    if (had || r->strays || r->unseen)
        r->no_strays_ms = r->now_ms;
    r->changed |= had != r->strays;
}

void hf_lease_survey_runs(struct hf_lease_rules *r, const struct hf_lease_proc *procs, size_t n)
{
    uint32_t i = 0;
    while (i < r->state.n_runs) {
        struct hf_keeper_state_run *run = &r->state.runs[i];
        struct hf_lease_guest *g = &r->guests[i];
        bool doomed = hf_lease_run_is_doomed(r, run);
        int pid = hf_lease_seen(procs, n, &run->instance).pid;
        if (pid) {
            if (!run->live)
                r->persist = r->changed = true;
            run->live = 1;
            g->gone_ms = 0;
            if (doomed && !HF_MUTANT(NO_KILL))
                hf_lease_kill(r, &run->instance);
        } else if ((run->live || run->gated) && r->survey >= g->survey) {
            if (run->live && g->gone_ms == 0) {
                g->gone_ms = r->now_ms;
                g->order = HF_GUEST_FREE;
            }
            if (doomed && hf_lease_run_is_over(r, run, false)) {
                hf_lease_note(r, "run %llu of instance %s: %s", (unsigned long long)run->run,
                              hf_lease_name(&run->instance).text,
                              run->live ? "killed, and its last writes are over"
                                        : "it was not born and will not be");
                hf_lease_bury(r, run->instance, run->run, false);
                continue; /* another run took its place in the table */
            }
        }
        r->changed |= g->pid != pid;
        g->pid = pid;
        i++;
    }
}
