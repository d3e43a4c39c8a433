/* What lets a run be born (rules 1, 2): the permit that hostd asks for, and the gate that its QEMU stands
 * before. */
#include <stdio.h>
#include <string.h>

#include "base/mutant.h"
#include "ha/lease_rules_priv.h"

typedef unsigned long long ull;

/* Why no run may start on this storage now, or "". */
static void storage_problem(struct hf_lease_rules *r, const struct hf_uuid *storage, char *text, size_t len)
{
    const struct hf_lease *l = hf_lease_find(r, storage);
    struct hf_lease_name name = hf_lease_name(storage);
    text[0] = '\0';
    if (!l || !l->watched)
        snprintf(text, len, "no lease is kept on storage %s", name.text);
    else if (l->closed)
        snprintf(text, len, "storage %s is closed (session %llu)", name.text, (ull)l->session);
    else if (!hf_lease_is_fresh(r, l))
        snprintf(text, len, "the lease on storage %s is not fresh", name.text);
    else if (l->answers_ms == 0 || !hf_lease_writes_are_over(r, l->answers_ms))
        snprintf(text, len, "storage %s has not yet answered for %lld ms without a break", name.text,
                 (long long)r->timing->guest_write_ms);
}

/* --- the permit --- */

/* A permit may be asked for again when its answer was lost, but what the run needs stays what it was. */
static bool same_permit(const struct hf_keeper_state_run *run, const struct hf_keeper_request *q)
{
    return run->incoming == q->incoming && run->n_storages == q->n_storages &&
           memcmp(run->storages, q->storages, q->n_storages * sizeof q->storages[0]) == 0;
}

/* Writes why a permit is refused to text and returns its code, or HF_OK. */
static enum hf_code permit_problem(struct hf_lease_rules *r, const struct hf_keeper_request *q, char *text,
                                   size_t len)
{
    const struct hf_keeper_state *s = &r->state;
    const struct hf_keeper_tomb *tomb = hf_lease_tomb_find(r, &q->subject);
    const struct hf_keeper_state_run *held = hf_lease_run_find(r, &q->subject);
    if ((q->epoch != s->epoch && !HF_MUTANT(ORDER_OF_OLD_EPOCH)) || s->epoch == 0)
        snprintf(text, len, "it is of epoch %llu, this host lives epoch %llu", (ull)q->epoch, (ull)s->epoch);
    else if (s->epoch_closed)
        snprintf(text, len, "epoch %llu is closed", (ull)s->epoch);
    else if (q->number == 0)
        snprintf(text, len, "runs are counted from 1");
    else if (tomb && q->number <= tomb->run)
        snprintf(text, len, "run %llu has a tombstone", (ull)tomb->run);
    else if (held && (held->run != q->number || held->live))
        snprintf(text, len, "run %llu is not over", (ull)held->run);
    else if (held && !same_permit(held, q))
        snprintf(text, len, "it has another permit");
    else
        text[0] = '\0';
    for (uint32_t i = 0; i < q->n_storages && text[0] == '\0'; i++)
        storage_problem(r, &q->storages[i], text, len);
    if (text[0] != '\0')
        return HF_PRECONDITION;
    if (!held && s->n_runs == HF_KEEPER_RUNS_MAX) {
        snprintf(text, len, "this host has %d runs already", HF_KEEPER_RUNS_MAX);
        return HF_EXHAUSTED;
    }
    return HF_OK;
}

void hf_lease_ask_begin_run(struct hf_lease_rules *r, uint64_t token, const struct hf_keeper_request *q)
{
    char text[HF_LEASE_EFFECT_TEXT / 2];
    enum hf_code code = permit_problem(r, q, text, sizeof text);
    if (code != HF_OK) {
        hf_lease_reply(r, token, code, "start run %llu of instance %s: %s", (ull)q->number,
                       hf_lease_name(&q->subject).text, text);
        return;
    }
    if (hf_lease_run_find(r, &q->subject)) {
        hf_lease_reply(r, token, HF_OK, "ok");
        return;
    }
    r->guests[r->state.n_runs] = (struct hf_lease_guest){.pid = 0};
    struct hf_keeper_state_run *run = &r->state.runs[r->state.n_runs++];
    memset(run, 0, sizeof *run);
    run->instance = q->subject;
    run->run = q->number;
    run->gated = q->gated;
    run->incoming = q->incoming;
    run->n_storages = q->n_storages;
    memcpy(run->storages, q->storages, q->n_storages * sizeof q->storages[0]);
    r->clean = false;
    r->persist = r->changed = true;
    hf_lease_reply(r, token, HF_OK, "ok");
}

/* --- the gate --- */

static bool end_is_asked_for(const struct hf_lease_rules *r, const struct hf_uuid *instance)
{
    for (size_t i = 0; i < r->n_waiting; i++) {
        if (r->waiting[i].q.head.op == HF_KEEPER_END_RUN && hf_uuid_equal(&r->waiting[i].q.subject, instance))
            return true;
    }
    return false;
}

/* Rule 2: why this process may not become the run's QEMU (or go on as it), or "". */
static void go_problem(struct hf_lease_rules *r, const struct hf_keeper_request *q, char *text, size_t len)
{
    const struct hf_keeper_state_run *run = hf_lease_run_find(r, &q->subject);
    const struct hf_keeper_tomb *tomb = hf_lease_tomb_find(r, &q->subject);
    const struct hf_uuid *doubt;
    text[0] = '\0';
    if (r->state.epoch_closed)
        snprintf(text, len, "epoch %llu of this host is closed", (ull)r->state.epoch);
    else if (tomb && tomb->run >= q->number)
        snprintf(text, len, "it is over");
    else if (!run || run->run != q->number)
        snprintf(text, len, "it has no permit");
    else if (hf_lease_run_is_doomed(r, run))
        snprintf(text, len, "a storage that it needs is closed on this host");
    else if ((doubt = hf_lease_run_doubt(r, run)) != NULL && !HF_MUTANT(GATE_WITHOUT_LEASE))
        snprintf(text, len, "the lease on storage %s is not fresh", hf_lease_name(doubt).text);
    else if (end_is_asked_for(r, &q->subject) && !HF_MUTANT(GATE_DURING_END))
        snprintf(text, len, "its end is asked for");
}

/* Two of the planted bugs. */
static bool lets_in_anyway(const struct hf_lease_rules *r, const struct hf_keeper_state_run *run,
                           uint64_t number)
{
    bool permitted = run && run->run == number;
    return (HF_MUTANT(GATE_WITHOUT_PERMIT) && !permitted) ||
           (HF_MUTANT(GATE_AFTER_CLOSE) && permitted && hf_lease_run_is_doomed(r, run));
}

/* What holds of a birth alone. */
static void gate_problem(struct hf_lease_rules *r, const struct hf_keeper_request *q, char *text, size_t len)
{
    go_problem(r, q, text, len);
    const struct hf_keeper_state_run *run = hf_lease_run_find(r, &q->subject);
    if (lets_in_anyway(r, run, q->number)) {
        text[0] = '\0';
        return;
    }
    if (text[0] != '\0')
        return;
    if (run->live && r->guests[run - r->state.runs].pid != q->pid)
        snprintf(text, len, "it was started before");
    else if (run->incoming != q->incoming)
        snprintf(text, len,
                 run->incoming ? "its guest comes by migration, it must not boot here"
                               : "no migration leads here");
    for (uint32_t i = 0; text[0] == '\0' && i < run->n_storages && !HF_MUTANT(GATE_WITHOUT_LEASE); i++)
        storage_problem(r, &run->storages[i], text, len);
}

void hf_lease_ask_gate(struct hf_lease_rules *r, uint64_t token, const struct hf_keeper_request *q)
{
    char text[HF_LEASE_EFFECT_TEXT / 2];
    gate_problem(r, q, text, sizeof text);
    if (text[0] != '\0') {
        hf_lease_reply(r, token, HF_PRECONDITION, "start of run %llu of instance %s refused: %s",
                       (ull)q->number, hf_lease_name(&q->subject).text, text);
        return;
    }
    struct hf_keeper_state_run *run = hf_lease_run_find(r, &q->subject);
    if (HF_MUTANT(GATE_UNCOUNTED) || lets_in_anyway(r, run, q->number)) {
        hf_lease_reply(r, token, HF_OK, "ok");
        return;
    }
    struct hf_lease_guest *g = &r->guests[run - r->state.runs];
    struct hf_lease_effect *e = hf_lease_emit(r, HF_LEASE_WATCH);
    e->subject = q->subject;
    e->number = (uint64_t)q->pid;
    run->live = 1;
    g->pid = q->pid;
    g->survey = r->survey + 1;
    r->persist = r->changed = true;
    hf_lease_reply(r, token, HF_OK, "ok");
}

/* --- the end of a migration, at its target --- */

void hf_lease_ask_go_on(struct hf_lease_rules *r, uint64_t token, const struct hf_keeper_request *q)
{
    char text[HF_LEASE_EFFECT_TEXT / 2];
    go_problem(r, q, text, sizeof text);
    struct hf_keeper_state_run *run = hf_lease_run_find(r, &q->subject);
    if (text[0] == '\0' && !run->live)
        snprintf(text, sizeof text, "no process of it was let through the gate");
    if (text[0] != '\0') {
        hf_lease_reply(r, token, HF_PRECONDITION, "run %llu of instance %s may not go on: %s", (ull)q->number,
                       hf_lease_name(&q->subject).text, text);
        return;
    }
    r->persist |= run->incoming;
    r->changed |= run->incoming;
    run->incoming = 0;
    hf_lease_reply(r, token, HF_OK, "ok");
}
