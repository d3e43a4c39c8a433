/* What hostd asks of the keeper. A request that rests on which processes exist waits for a survey that starts
 * after it. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ha/lease_rules_priv.h"

typedef unsigned long long ull;

#define FIRST_SESSION 1

void hf_lease_reply(struct hf_lease_rules *r, uint64_t token, enum hf_code code, const char *fmt, ...)
{
    struct hf_lease_effect *e = hf_lease_emit(r, HF_LEASE_REPLY);
    e->number = token;
    e->code = code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
}

static void reply_ok(struct hf_lease_rules *r, uint64_t token)
{
    hf_lease_reply(r, token, HF_OK, "ok");
}

static void wait_for_survey(struct hf_lease_rules *r, uint64_t token, const struct hf_keeper_request *q)
{
    if (r->n_waiting == HF_LEASE_WAITING_MAX || HF_BUGGIFY(KEEPER_BUSY)) {
        hf_lease_reply(r, token, HF_EXHAUSTED, "%d requests wait already: ask again later",
                       HF_LEASE_WAITING_MAX);
        return;
    }
    r->waiting[r->n_waiting++] = (struct hf_lease_waiting){
        .token = token,
        .survey = r->survey + 1, /* one under way may have looked before the request came */
        .deadline_ms = r->now_ms + HF_LEASE_REQUEST_MS,
        .q = *q,
    };
    r->survey_now = true;
}

/* --- epoch and term --- */

static void ask_set_epoch(struct hf_lease_rules *r, uint64_t token, const struct hf_keeper_request *q)
{
    const struct hf_keeper_state *s = &r->state;
    if (q->epoch == 0 || q->epoch < s->epoch) {
        hf_lease_reply(r, token, HF_PRECONDITION, "set epoch %llu: this keeper has lived epoch %llu",
                       (ull)q->epoch, (ull)s->epoch);
    } else if (q->epoch == s->epoch && s->epoch_closed) {
        hf_lease_reply(r, token, HF_PRECONDITION,
                       "set epoch %llu: it is closed for ever, a new one is needed", (ull)q->epoch);
    } else if (q->epoch == s->epoch && !hf_uuid_equal(&q->subject, &s->host)) {
        hf_lease_reply(r, token, HF_PRECONDITION, "set epoch %llu: it was granted to host %s", (ull)q->epoch,
                       hf_lease_name(&s->host).text);
    } else if (q->epoch == s->epoch) {
        reply_ok(r, token);
    } else if (q->dir[0] != '\0' && strcmp(q->dir, r->wanted->profile) != 0) {
        hf_lease_reply(r, token, HF_PRECONDITION,
                       "set epoch %llu: it was granted to a keeper of profile %s, this one has profile %s",
                       (ull)q->epoch, q->dir, r->wanted->profile);
    } else if (s->n_runs > 0) {
        hf_lease_reply(r, token, HF_PRECONDITION, "set epoch %llu: %u runs of epoch %llu are not over",
                       (ull)q->epoch, s->n_runs, (ull)s->epoch);
    } else {
        wait_for_survey(r, token, q);
    }
}

static void save_storages(struct hf_lease_rules *r)
{
    struct hf_keeper_state *s = &r->state;
    memset(s->storages, 0, sizeof s->storages);
    s->n_storages = 0;
    for (size_t i = 0; i < HF_KEEPER_STORAGES_MAX; i++) {
        if (!r->leases[i].used || !r->leases[i].watched)
            continue;
        struct hf_keeper_state_storage *x = &s->storages[s->n_storages++];
        x->uuid = r->leases[i].storage;
        x->session = r->leases[i].session;
        memcpy(x->dir, r->leases[i].dir, sizeof x->dir);
    }
    r->persist = r->changed = true;
}

static void adopt_epoch(struct hf_lease_rules *r, const struct hf_lease_waiting *w)
{
    struct hf_keeper_state *s = &r->state;
    s->host = w->q.subject;
    s->cluster = w->q.storages[0];
    s->epoch = w->q.epoch;
    s->epoch_closed = 0;
    snprintf(s->profile, sizeof s->profile, "%s", r->timing->profile);
    s->n_closed = 0;
    memset(s->closed, 0, sizeof s->closed);
    for (size_t i = 0; i < HF_KEEPER_STORAGES_MAX; i++) {
        struct hf_lease *l = &r->leases[i];
        l->known = l->believed = l->closed = l->doubted = l->tried = false;
        l->good_ms = 0;
        l->session = FIRST_SESSION;
        l->next_ms = r->now_ms;
    }
    save_storages(r);
    hf_lease_note(r, "epoch %llu begins for host %s", (ull)s->epoch, hf_lease_name(&s->host).text);
}

static void ask_see_term(struct hf_lease_rules *r, uint64_t token, const struct hf_keeper_request *q)
{
    if (q->number < r->state.max_term) {
        hf_lease_reply(r, token, HF_CONFLICT, "term %llu is over: this host has taken orders of term %llu",
                       (ull)q->number, (ull)r->state.max_term);
        return;
    }
    if (q->number > r->state.max_term) {
        r->state.max_term = q->number;
        r->persist = true;
    }
    reply_ok(r, token);
}

static void ask_end_epoch(struct hf_lease_rules *r, uint64_t token, const struct hf_keeper_request *q)
{
    if (q->epoch > r->state.epoch) {
        hf_lease_reply(r, token, HF_PRECONDITION, "end epoch %llu: this keeper lives epoch %llu",
                       (ull)q->epoch, (ull)r->state.epoch);
        return;
    }
    if (q->epoch < r->state.epoch) {
        reply_ok(r, token); /* it ended when the present one was set, and that needed a clean host */
        return;
    }
    if (!r->state.epoch_closed)
        hf_lease_note(r, "epoch %llu: told to end, every run is killed", (ull)q->epoch);
    hf_lease_close_epoch(r);
    wait_for_survey(r, token, q);
}

/* --- storages --- */

static struct hf_lease *free_lease(struct hf_lease_rules *r)
{
    for (size_t i = 0; i < HF_KEEPER_STORAGES_MAX; i++) {
        if (!r->leases[i].used)
            return &r->leases[i];
    }
    return NULL;
}

/* A storage that was closed is opened again by a number from the log, when nothing of the last session is
 * left and records can be written to it (those of a closed storage still are): its lease begins anew, unknown
 * until it is renewed. false: refused. */
static bool change_session(struct hf_lease_rules *r, uint64_t token, struct hf_lease *l, uint64_t session)
{
    struct hf_lease_name name = hf_lease_name(&l->storage);
    if (session < l->session || r->state.epoch_closed) {
        hf_lease_reply(r, token, HF_PRECONDITION, "add storage %s: session %llu is over: %s", name.text,
                       (ull)session,
                       r->state.epoch_closed ? "the epoch is closed" : "a later one was opened");
        return false;
    }
    const struct hf_keeper_state_run *run = hf_lease_user_of(r, &l->storage);
    if (run) {
        hf_lease_reply(r, token, HF_PRECONDITION,
                       "add storage %s: run %llu of instance %s is left of session %llu", name.text,
                       (ull)run->run, hf_lease_name(&run->instance).text, (ull)l->session);
        return false;
    }
    if (l->good_ms == 0 || r->now_ms - l->good_ms >= r->timing->lease_ms) {
        hf_lease_reply(r, token, HF_PRECONDITION,
                       "add storage %s: session %llu cannot begin: it is still lost", name.text,
                       (ull)session);
        return false;
    }
    hf_lease_note(r, "storage %s: session %llu begins", name.text, (ull)session);
    l->session = session;
    l->known = l->believed = l->closed = l->doubted = false;
    l->first_ms = l->good_ms; /* observers count on, whatever the session */
    l->next_ms = r->now_ms;
    save_storages(r);
    return true;
}

static void ask_add_storage(struct hf_lease_rules *r, uint64_t token, const struct hf_keeper_request *q)
{
    struct hf_lease_name name = hf_lease_name(&q->subject);
    struct hf_lease *l = hf_lease_find(r, &q->subject);
    uint64_t session = q->number > 0 ? q->number : FIRST_SESSION;
    if (r->state.epoch == 0) {
        hf_lease_reply(r, token, HF_PRECONDITION, "add storage %s: no epoch was granted yet", name.text);
        return;
    }
    if (q->dir[0] != '/') {
        hf_lease_reply(r, token, HF_INVALID, "add storage %s: '%s' is not an absolute path", name.text,
                       q->dir);
        return;
    }
    if (l && strcmp(l->dir, q->dir) != 0) {
        hf_lease_reply(r, token, HF_PRECONDITION, "add storage %s: its lease is kept in %s in this epoch",
                       name.text, l->dir);
        return;
    }
    if (!l) {
        l = free_lease(r);
        if (!l) {
            hf_lease_reply(r, token, HF_EXHAUSTED, "add storage %s: this keeper renews %d leases already",
                           name.text, HF_KEEPER_STORAGES_MAX);
            return;
        }
        l->used = true;
        l->storage = q->subject;
        l->session = session;
        l->closed = hf_lease_was_closed(r, &q->subject);
        l->next_ms = r->now_ms;
        l->sequence = (uint64_t)r->now_ms;
        snprintf(l->dir, sizeof l->dir, "%s", q->dir);
    }
    if (session != l->session && !change_session(r, token, l, session))
        return;
    if (!l->watched) {
        l->watched = true;
        save_storages(r);
    }
    reply_ok(r, token);
}

/* Its lease ages on: whoever adds it again after L+K in the same epoch finds it closed. */
static void ask_remove_storage(struct hf_lease_rules *r, uint64_t token, const struct hf_keeper_request *q)
{
    struct hf_lease *l = hf_lease_find(r, &q->subject);
    const struct hf_keeper_state_run *run = hf_lease_user_of(r, &q->subject);
    if (run) {
        hf_lease_reply(r, token, HF_PRECONDITION, "remove storage %s: run %llu of instance %s needs it",
                       hf_lease_name(&q->subject).text, (ull)run->run, hf_lease_name(&run->instance).text);
        return;
    }
    if (l && l->watched) {
        l->watched = false;
        save_storages(r);
    }
    reply_ok(r, token);
}

/* --- runs --- */

static void ask_register_run(struct hf_lease_rules *r, uint64_t token, const struct hf_keeper_request *q)
{
    const struct hf_keeper_state_run *run = hf_lease_run_find(r, &q->subject);
    if (run && run->run == q->number) {
        wait_for_survey(r, token, q);
        return;
    }
    hf_lease_reply(r, token, HF_PRECONDITION, "register run %llu of instance %s: it has no permit",
                   (ull)q->number, hf_lease_name(&q->subject).text);
}

static void ask_end_run(struct hf_lease_rules *r, uint64_t token, const struct hf_keeper_request *q)
{
    const struct hf_keeper_tomb *tomb = hf_lease_tomb_find(r, &q->subject);
    const struct hf_keeper_state_run *held = hf_lease_run_find(r, &q->subject);
    if (tomb && tomb->run >= q->number) {
        reply_ok(r, token);
        return;
    }
    if (held && held->run > q->number) {
        hf_lease_reply(r, token, HF_PRECONDITION, "end run %llu of instance %s: run %llu has its place",
                       (ull)q->number, hf_lease_name(&q->subject).text, (ull)held->run);
        return;
    }
    if (q->kill && !q->orderly)
        hf_lease_kill(r, &q->subject);
    wait_for_survey(r, token, q);
}

void hf_lease_request(struct hf_lease_rules *r, uint64_t token, const struct hf_keeper_request *q)
{
    static void (*const asks[])(struct hf_lease_rules *, uint64_t, const struct hf_keeper_request *) = {
        [HF_KEEPER_SET_EPOCH] = ask_set_epoch,
        [HF_KEEPER_SEE_TERM] = ask_see_term,
        [HF_KEEPER_ADD_STORAGE] = ask_add_storage,
        [HF_KEEPER_REMOVE_STORAGE] = ask_remove_storage,
        [HF_KEEPER_BEGIN_RUN] = hf_lease_ask_begin_run,
        [HF_KEEPER_REGISTER_RUN] = ask_register_run,
        [HF_KEEPER_END_RUN] = ask_end_run,
        [HF_KEEPER_END_EPOCH] = ask_end_epoch,
        [HF_KEEPER_GATE] = hf_lease_ask_gate,
        [HF_KEEPER_GO_ON] = hf_lease_ask_go_on,
    };
    HF_ASSERT(q->n_storages <= HF_KEEPER_STORAGES_MAX);
    if (q->head.op < sizeof asks / sizeof asks[0] && asks[q->head.op])
        asks[q->head.op](r, token, q);
    else
        hf_lease_reply(r, token, HF_UNIMPLEMENTED, "request %u is not known", q->head.op);
}

/* --- answers after a survey --- */

/* true: answered. */
static bool settle_end_run(struct hf_lease_rules *r, const struct hf_lease_waiting *w, int pid)
{
    const struct hf_keeper_state_run *run = hf_lease_run_find(r, &w->q.subject);
    if (pid && w->q.kill && !HF_MUTANT(KILL_UNVERIFIED)) {
        hf_lease_kill(r, &w->q.subject);
        return false;
    }
    if (pid && !w->q.kill) {
        hf_lease_reply(r, w->token, HF_PRECONDITION, "end run %llu of instance %s: process %d still runs",
                       (ull)w->q.number, hf_lease_name(&w->q.subject).text, pid);
        return true;
    }
    if (!pid && !w->q.handed_over && /* else its QEMU has closed its files before the target's went on */
        !(run ? hf_lease_run_is_over(r, run, w->q.orderly) : hf_lease_writes_are_over(r, r->no_strays_ms)))
        return false;
    hf_lease_bury(r, w->q.subject, w->q.number, w->q.handed_over);
    reply_ok(r, w->token);
    return true;
}

static bool settle_register(struct hf_lease_rules *r, const struct hf_lease_waiting *w, int pid)
{
    if (pid)
        reply_ok(r, w->token); /* the survey itself has made it live */
    else
        hf_lease_reply(r, w->token, HF_PRECONDITION,
                       "register run %llu of instance %s: no process of it is to be seen", (ull)w->q.number,
                       hf_lease_name(&w->q.subject).text);
    return true;
}

static void bury_pending(struct hf_lease_rules *r, const struct hf_lease_proc *procs, size_t n)
{
    uint32_t i = 0;
    while (i < r->state.n_runs) {
        const struct hf_keeper_state_run run = r->state.runs[i];
        if (!run.live && !hf_lease_seen(procs, n, &run.instance).pid &&
            hf_lease_run_is_over(r, &r->state.runs[i], false))
            hf_lease_bury(r, run.instance, run.run, false);
        else
            i++;
    }
}

static uint32_t pending_runs(const struct hf_lease_rules *r)
{
    uint32_t pending = 0;
    for (uint32_t i = 0; i < r->state.n_runs; i++)
        pending += !r->state.runs[i].live;
    return pending;
}

/* Only who vouches that it has no start under way may say that a permit without a process is over: the record
 * would tell the leader so at once. */
static bool settle_end_epoch(struct hf_lease_rules *r, const struct hf_lease_waiting *w,
                             const struct hf_lease_proc *procs, size_t n)
{
    if (w->q.epoch == r->state.epoch) {
        if (!w->q.starting)
            bury_pending(r, procs, n);
        uint32_t pending = pending_runs(r);
        if (r->state.n_runs > pending || n > 0 || (pending > 0 && !w->q.starting))
            return false;
        if (pending > 0) {
            hf_lease_reply(r, w->token, HF_PRECONDITION,
                           "end epoch %llu: %u starts are under way, of which processes may come",
                           (ull)w->q.epoch, pending);
            return true;
        }
    }
    reply_ok(r, w->token);
    return true;
}

static bool settle_set_epoch(struct hf_lease_rules *r, const struct hf_lease_waiting *w, size_t n)
{
    if (n > 0)
        return false; /* they are killed; perhaps the next survey finds them gone */
    if (r->state.n_runs > 0 || w->q.epoch < r->state.epoch) {
        hf_lease_reply(r, w->token, HF_PRECONDITION, "set epoch %llu: another request came first",
                       (ull)w->q.epoch);
        return true;
    }
    if (w->q.epoch > r->state.epoch)
        adopt_epoch(r, w);
    reply_ok(r, w->token);
    return true;
}

static bool settle(struct hf_lease_rules *r, const struct hf_lease_waiting *w,
                   const struct hf_lease_proc *procs, size_t n)
{
    int pid = hf_lease_seen(procs, n, &w->q.subject).pid;
    switch (w->q.head.op) {
    case HF_KEEPER_END_RUN:
        return settle_end_run(r, w, pid);
    case HF_KEEPER_REGISTER_RUN:
        return settle_register(r, w, pid);
    case HF_KEEPER_END_EPOCH:
        return settle_end_epoch(r, w, procs, n);
    default:
        return settle_set_epoch(r, w, n);
    }
}

static bool expire(struct hf_lease_rules *r, const struct hf_lease_waiting *w)
{
    if (r->now_ms < w->deadline_ms)
        return false;
    hf_lease_reply(r, w->token, HF_TIMEOUT, "processes did not end, or could not be looked at, within %d ms",
                   HF_LEASE_REQUEST_MS);
    return true;
}

void hf_lease_answer_waiting(struct hf_lease_rules *r, uint64_t survey, const struct hf_lease_proc *procs,
                             size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->n_waiting; i++) {
        const struct hf_lease_waiting *w = &r->waiting[i];
        bool answered = survey >= w->survey && settle(r, w, procs, n);
        if (!answered && !expire(r, w))
            r->waiting[kept++] = *w;
    }
    r->n_waiting = kept;
}
