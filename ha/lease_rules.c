#include "ha/lease_rules_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* --- effects --- */

struct hf_lease_effect *hf_lease_emit(struct hf_lease_rules *r, enum hf_lease_effect_kind kind)
{
    HF_ASSERT(r->out->n < HF_LEASE_EFFECTS_MAX);
    struct hf_lease_effect *e = &r->out->list[r->out->n++];
    memset(e, 0, offsetof(struct hf_lease_effect, text) + 1);
    e->kind = kind;
    return e;
}

void hf_lease_note(struct hf_lease_rules *r, const char *fmt, ...)
{
    va_list ap;
    if (r->n_notes == HF_LEASE_NOTES_MAX)
        return;
    r->n_notes++;
    va_start(ap, fmt);
    vsnprintf(hf_lease_emit(r, HF_LEASE_NOTE)->text, HF_LEASE_EFFECT_TEXT, fmt, ap);
    va_end(ap);
}

void hf_lease_kill(struct hf_lease_rules *r, const struct hf_uuid *instance)
{
    struct hf_keeper_state_run *run = hf_lease_run_find(r, instance);
    if (run)
        r->guests[run - r->state.runs].killed = true;
    hf_lease_emit(r, HF_LEASE_KILL)->subject = *instance;
    r->survey_now = true;
}

struct hf_lease_name hf_lease_name(const struct hf_uuid *u)
{
    struct hf_lease_name n;
    hf_uuid_format(u, n.text);
    return n;
}

/* --- leases --- */

const struct hf_lease *hf_lease_look(const struct hf_lease_rules *r, const struct hf_uuid *storage)
{
    for (size_t i = 0; i < HF_KEEPER_STORAGES_MAX; i++) {
        if (r->leases[i].used && hf_uuid_equal(&r->leases[i].storage, storage))
            return &r->leases[i];
    }
    return NULL;
}

struct hf_lease *hf_lease_find(struct hf_lease_rules *r, const struct hf_uuid *storage)
{
    return (struct hf_lease *)hf_lease_look(r, storage);
}

bool hf_lease_is_fresh(const struct hf_lease_rules *r, const struct hf_lease *l)
{
    return l->known && l->believed && !l->closed && r->now_ms - l->base_ms < r->timing->lease_ms;
}

bool hf_lease_was_closed(const struct hf_lease_rules *r, const struct hf_uuid *storage)
{
    const struct hf_lease *l = hf_lease_look(r, storage);
    for (uint32_t i = 0; i < r->state.n_closed; i++) {
        if (hf_uuid_equal(&r->state.closed[i].uuid, storage))
            return !l || l->session <= r->state.closed[i].session;
    }
    return false;
}

/* false: no room. */
static bool remember_closed(struct hf_lease_rules *r, const struct hf_lease *l)
{
    struct hf_keeper_state *s = &r->state;
    uint32_t i = 0;
    while (i < s->n_closed && !hf_uuid_equal(&s->closed[i].uuid, &l->storage))
        i++;
    if (i == HF_KEEPER_CLOSED_MAX)
        return false;
    if (i == s->n_closed)
        s->n_closed++;
    s->closed[i] = (struct hf_keeper_state_closed){.uuid = l->storage, .session = l->session};
    return true;
}

void hf_lease_close_epoch(struct hf_lease_rules *r)
{
    r->state.epoch_closed = 1;
    r->persist = r->changed = r->closed = true;
    r->survey_now = true;
}

void hf_lease_close(struct hf_lease_rules *r, struct hf_lease *l)
{
    l->closed = true;
    r->persist = r->changed = r->closed = true;
    hf_lease_note(
        r, "storage %s: no renewal for %lld ms: session %llu is closed for ever, its runs are killed",
        hf_lease_name(&l->storage).text, (long long)(r->now_ms - l->base_ms), (unsigned long long)l->session);
    if (!remember_closed(r, l))
        hf_lease_close_epoch(r); /* no room to remember it: the epoch ends with it */
}

/* --- events --- */

static void on_surveyed(struct hf_lease_rules *r, const struct hf_lease_event *e)
{
    HF_ASSERT(r->surveying && e->survey == r->survey);
    bool asked_meanwhile = r->survey_now;
    r->surveying = false;
    r->next_survey_ms = r->now_ms + HF_LEASE_SURVEY_MS;
    r->next_look_ms = r->now_ms + HF_LEASE_LOOK_MS;
    if (!e->ok || HF_BUGGIFY(SURVEY_FAILS)) {
        hf_lease_note(r, "look for guests' processes: %s", e->ok ? "it took too long" : e->text);
        return; /* nothing was seen, so nothing is proven; the next look follows */
    }
    hf_lease_survey_runs(r, e->procs, e->n_procs);
    hf_lease_survey_frozen(r, e->procs, e->n_procs);
    hf_lease_answer_waiting(r, e->survey, e->procs, e->n_procs);
    hf_lease_kill_strays(r, e->procs, e->n_procs);
    r->unseen = false;
    bool empty = e->n_procs == 0 && r->state.n_runs == 0;
    if (empty && r->orphans) {
        r->orphans = false;
        hf_lease_note(r, "no guest of an earlier life runs");
    }
    bool clean = empty && hf_lease_writes_are_over(r, r->no_strays_ms);
    r->changed |= clean != r->clean;
    r->clean = clean;
    r->survey_now = asked_meanwhile; /* what was killed again just now gets its time to die */
}

/* Observers may have counted from a write whose answer was lost, and may have proof by now that this epoch is
 * over: a lease whose first success comes that late is not taken up. */
static bool first_success_is_too_late(const struct hf_lease_rules *r, const struct hf_lease *l)
{
    return !l->known && l->tried && r->now_ms - l->first_ms >= r->timing->lease_ms + r->timing->kill_ms;
}

static void close_untaken(struct hf_lease_rules *r, struct hf_lease *l)
{
    l->base_ms = l->first_ms;
    hf_lease_close(r, l);
}

static void on_renewed(struct hf_lease_rules *r, const struct hf_lease_event *e)
{
    struct hf_lease *l = hf_lease_find(r, &e->storage);
    HF_ASSERT(l && l->in_flight);
    l->in_flight = false;
    if (!e->ok && !l->suspended)
        hf_lease_note(r, "storage %s: the lease was not renewed: %s", hf_lease_name(&l->storage).text,
                      e->text);
    if (e->ok && l->suspended)
        hf_lease_note(r, "storage %s: renewals succeed again", hf_lease_name(&l->storage).text);
    r->changed |= l->suspended == e->ok;
    l->suspended = !e->ok;
    if (!e->ok)
        l->answers_ms = 0;
    else if (l->answers_ms == 0)
        l->answers_ms = r->now_ms;
    if (e->ok && e->marked && l->write_epoch == r->state.epoch && !HF_MUTANT(MARK_NOT_READ)) {
        if (!r->state.epoch_closed)
            hf_lease_note(
                r, "epoch %llu is fenced, says the mark on storage %s: closed for ever, every run is killed",
                (unsigned long long)r->state.epoch, hf_lease_name(&l->storage).text);
        hf_lease_close_epoch(r);
        return;
    }
    if (HF_MUTANT(CLOSED_STORAGE_REOPENS) && e->ok) {
        l->closed = false;
        r->state.n_closed = 0;
    }
    if (e->ok && l->write_epoch == r->state.epoch)
        l->good_ms = l->write_ms;
    /* A write of an earlier epoch or session, of a closed lease, or one that took longer than a lease lives,
     * renews nothing. */
    if ((!e->ok && !HF_MUTANT(FAILED_RENEWAL_COUNTS)) || l->closed || l->write_epoch != r->state.epoch ||
        l->write_session != l->session ||
        (r->now_ms - l->write_ms >= r->timing->lease_ms && !HF_MUTANT(LEASE_FROM_ANSWER)))
        return;
    if (first_success_is_too_late(r, l)) {
        close_untaken(r, l);
        return;
    }
    r->changed |= !l->believed;
    l->base_ms = HF_MUTANT(LEASE_FROM_ANSWER) ? r->now_ms : l->write_ms;
    l->known = l->believed = true;
}

/* --- time --- */

static void check_lease(struct hf_lease_rules *r, struct hf_lease *l)
{
    const struct hf_ha_timing *t = r->timing;
    int64_t age = r->now_ms - l->base_ms;
    if (l->known && !l->closed && age >= t->lease_ms + t->kill_ms)
        hf_lease_close(r, l);
    if (l->in_flight && !l->suspended && r->now_ms - l->write_ms >= t->io_timeout_ms) {
        l->suspended = r->changed = true;
        l->answers_ms = 0;
        hf_lease_note(r, "storage %s: a renewal hangs for %lld ms", hf_lease_name(&l->storage).text,
                      (long long)(r->now_ms - l->write_ms));
    }
    bool doubt = l->known && !l->closed && age >= t->lease_ms;
    if (doubt != l->doubted && !l->closed && l->watched)
        hf_lease_note(r, doubt ? "storage %s: lease in doubt" : "storage %s: lease no longer in doubt",
                      hf_lease_name(&l->storage).text);
    r->changed |= doubt != l->doubted;
    l->doubted = doubt;
    if (!l->watched && !l->in_flight && !l->closed && first_success_is_too_late(r, l))
        close_untaken(r, l);
    if (!l->watched && !l->in_flight && ((!l->known && !l->tried) || l->closed))
        memset(l, 0, sizeof *l);
}

static void check_leases(struct hf_lease_rules *r)
{
    for (size_t i = 0; i < HF_KEEPER_STORAGES_MAX; i++) {
        if (r->leases[i].used)
            check_lease(r, &r->leases[i]);
    }
}

/* A closed storage takes no start before a new session or epoch. Once nothing runs here, a new epoch costs
 * nothing.
 */
static void end_idle_epoch(struct hf_lease_rules *r)
{
    bool lost = r->wanted != r->timing && r->state.epoch > 0;
    for (size_t i = 0; i < HF_KEEPER_STORAGES_MAX; i++)
        lost |= r->leases[i].used && r->leases[i].watched && r->leases[i].closed;
    if (!lost || r->state.n_runs > 0 || r->state.epoch_closed || HF_MUTANT(CLOSED_STORAGE_REOPENS))
        return;
    hf_lease_note(r, "epoch %llu: closed, no run is left", (unsigned long long)r->state.epoch);
    hf_lease_close_epoch(r);
}

/* Nothing is left that anybody judges by the old durations: the next epoch is asked for with the new ones. */
static void change_profile(struct hf_lease_rules *r)
{
    bool epoch_is_over = r->state.epoch == 0 || (r->state.epoch_closed && r->state.n_runs == 0);
    if (r->wanted == r->timing || !epoch_is_over)
        return;
    hf_lease_note(r, "profile %s from the next epoch on", r->wanted->profile);
    r->timing = r->wanted;
    r->changed = true;
}

static void renew(struct hf_lease_rules *r)
{
    for (size_t i = 0; i < HF_KEEPER_STORAGES_MAX; i++) {
        struct hf_lease *l = &r->leases[i];
        if (!l->used || !l->watched || l->in_flight || r->state.epoch == 0 || r->now_ms < l->next_ms)
            continue;
        l->in_flight = true;
        l->write_epoch = r->state.epoch;
        l->write_session = l->session;
        l->write_ms = r->now_ms;
        if (!l->tried)
            l->first_ms = r->now_ms;
        l->tried = true;
        l->next_ms = r->now_ms + r->timing->renew_ms;
        struct hf_lease_effect *e = hf_lease_emit(r, HF_LEASE_RENEW);
        e->subject = l->storage;
        e->number = ++l->sequence;
    }
}

/* Rule 11: why the watchdog is not petted, or NULL. */
static const char *petting_problem(struct hf_lease_rules *r)
{
    if (HF_MUTANT(PETS_WITHOUT_LEASE))
        return NULL;
    if (r->orphans)
        return "guests of an earlier life may run";
    if (r->strays)
        return "guests without a permit run";
    for (uint32_t i = 0; i < r->state.n_runs; i++) {
        const struct hf_keeper_state_run *run = &r->state.runs[i];
        if ((HF_MUTANT(PENDING_UNCOUNTED) && !run->live) || hf_lease_run_is_gone(r, run))
            continue;
        if (r->state.epoch_closed)
            return "the epoch is closed and runs remain";
        if (hf_lease_run_doubt(r, run))
            return "a run remains that needs a lease which is not fresh";
    }
    return NULL;
}

/* When nothing stands against it any more the first pet comes at once, not at the next period. */
static void pet(struct hf_lease_rules *r)
{
    const char *problem = petting_problem(r);
    bool again = !problem && r->petting == HF_PETTING_NO;
    if (r->now_ms < r->next_pet_ms && !again)
        return;
    r->next_pet_ms = r->now_ms + r->timing->pet_ms;
    if (problem && r->petting != HF_PETTING_NO)
        hf_lease_note(r, "the watchdog is not petted: %s", problem);
    if (again)
        hf_lease_note(r, "the watchdog is petted again");
    r->petting = problem ? HF_PETTING_NO : HF_PETTING_YES;
    if (!problem)
        hf_lease_emit(r, HF_LEASE_PET);
}

static bool survey_wanted(const struct hf_lease_rules *r)
{
    if (r->survey_now || r->orphans || r->strays || r->unseen || r->n_waiting > 0 ||
        (r->state.n_runs == 0 && !r->clean))
        return true;
    for (uint32_t i = 0; i < r->state.n_runs; i++) {
        const struct hf_lease_guest *g = &r->guests[i];
        const struct hf_keeper_state_run *run = &r->state.runs[i];
        bool obeys = g->order == HF_GUEST_FREE || (g->order == HF_GUEST_FROZEN && g->stopped);
        if ((!run->live && !run->gated) || hf_lease_run_is_doomed(r, run) ||
            (!obeys && !hf_lease_run_is_gone(r, run)))
            return true;
    }
    return false;
}

static void survey(struct hf_lease_rules *r)
{
    int64_t due = survey_wanted(r) ? r->next_survey_ms : r->next_look_ms;
    if (r->surveying || (!r->survey_now && r->now_ms < due))
        return;
    r->survey_now = false;
    r->surveying = true;
    hf_lease_emit(r, HF_LEASE_SURVEY)->number = ++r->survey;
}

static void earlier(int64_t *wake_ms, int64_t ms)
{
    if (ms < *wake_ms)
        *wake_ms = ms;
}

static int64_t next_wake(const struct hf_lease_rules *r)
{
    const struct hf_ha_timing *t = r->timing;
    int64_t wake = r->next_pet_ms;
    for (size_t i = 0; i < HF_KEEPER_STORAGES_MAX; i++) {
        const struct hf_lease *l = &r->leases[i];
        if (!l->used)
            continue;
        if (l->watched && !l->in_flight && r->state.epoch > 0)
            earlier(&wake, l->next_ms);
        if (l->in_flight && !l->suspended)
            earlier(&wake, l->write_ms + t->io_timeout_ms);
        if (l->known && !l->closed && !l->doubted)
            earlier(&wake, l->base_ms + t->lease_ms);
        if (l->known && !l->closed)
            earlier(&wake, l->base_ms + t->lease_ms + t->kill_ms);
    }
    if (!r->surveying)
        earlier(&wake, survey_wanted(r) ? r->next_survey_ms : r->next_look_ms);
    for (size_t i = 0; i < r->n_waiting; i++)
        earlier(&wake, r->waiting[i].deadline_ms);
    return wake;
}

/* The state has to be on its way before anything that rests on it: PERSIST goes to the front. */
static void put_persist_first(struct hf_lease_rules *r)
{
    struct hf_lease_effects *out = r->out;
    hf_lease_emit(r, HF_LEASE_PERSIST);
    struct hf_lease_effect last = out->list[out->n - 1];
    memmove(&out->list[1], &out->list[0], (out->n - 1) * sizeof out->list[0]);
    out->list[0] = last;
}

void hf_lease_rules_step(struct hf_lease_rules *r, const struct hf_lease_event *e, int64_t now_ms,
                         struct hf_lease_effects *ret)
{
    HF_ASSERT(now_ms >= r->now_ms);
    r->now_ms = now_ms;
    r->out = ret;
    ret->n = 0;
    r->n_notes = 0;
    r->persist = r->changed = r->closed = false;

    check_leases(r); /* before the event: an answer that comes after L+K is used by nobody */
    if (e->kind == HF_LEASE_RENEWED)
        on_renewed(r, e);
    else if (e->kind == HF_LEASE_SURVEYED)
        on_surveyed(r, e);
    else if (e->kind == HF_LEASE_REQUESTED)
        hf_lease_request(r, e->token, e->request);
    hf_lease_answer_waiting(r, 0, NULL, 0);
    check_leases(r);
    end_idle_epoch(r);
    change_profile(r);
    if (r->closed)
        hf_lease_kill_doomed(r);
    hf_lease_freeze_and_thaw(r);
    renew(r);
    survey(r);
    pet(r);
    if (r->changed)
        hf_lease_emit(r, HF_LEASE_CHANGED);
    if (r->persist)
        put_persist_first(r);
    ret->wake_ms = next_wake(r);
}

void hf_lease_rules_saved(struct hf_lease_rules *r, bool ok)
{
    r->changed |= r->unsaved == ok;
    r->unsaved = !ok;
    if (ok)
        r->new_tombs = 0;
}

/* --- life --- */

/* By which an epoch lives that is already there. */
static const struct hf_ha_timing *timing_of_state(const struct hf_keeper_state *s,
                                                  const struct hf_ha_timing *wanted)
{
    const struct hf_ha_timing *t = s->profile[0] != '\0' ? hf_ha_timing_find(s->profile) : NULL;
    return t ? t : wanted;
}

static void load_leases(struct hf_lease_rules *r)
{
    const struct hf_keeper_state *s = &r->state;
    for (uint32_t i = 0; i < s->n_storages; i++) {
        struct hf_lease *l = &r->leases[i];
        l->used = l->watched = true;
        l->storage = s->storages[i].uuid;
        memcpy(l->dir, s->storages[i].dir, sizeof l->dir);
        l->known = s->epoch > 0;
        l->base_ms = r->now_ms - r->timing->lease_ms; /* its age is not known: it counts as L old */
        l->tried = l->known;
        l->first_ms = l->good_ms = l->base_ms;
        if (HF_MUTANT(RESTART_BELIEVES)) {
            l->base_ms = r->now_ms;
            l->believed = true;
        }
        l->doubted = l->known;
        l->session = s->storages[i].session;
        l->closed = hf_lease_was_closed(r, &l->storage);
        l->next_ms = r->now_ms;
        l->sequence = (uint64_t)r->now_ms;
    }
}

struct hf_lease_rules *hf_lease_rules_create(const struct hf_ha_timing *timing, const char *boot_id,
                                             const struct hf_keeper_state *state, int64_t now_ms)
{
    struct hf_lease_rules *r = HF_NEW(struct hf_lease_rules);
    r->wanted = timing;
    r->timing = state ? timing_of_state(state, timing) : timing;
    r->now_ms = r->next_pet_ms = r->next_survey_ms = r->next_look_ms = r->no_strays_ms = now_ms;
    snprintf(r->boot_id, sizeof r->boot_id, "%s", boot_id);
    r->orphans = state == NULL;
    r->unseen = true;
    if (state) {
        r->state = *state;
        load_leases(r);
    }
    return r;
}

void hf_lease_rules_free(struct hf_lease_rules *r)
{
    free(r);
}
