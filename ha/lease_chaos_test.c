/* The keeper's core under random storages, processes, requests, pauses and restarts, checked from outside by
 * what the rules promise. The checker keeps its own books: when each write started and how it ended, which
 * process exists, what was answered. A failure prints its seed; "lease_chaos_test SEED" runs that one alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/assert.h"
#include "base/mem.h"
#include "ha/lease_rules.h"

#define SEEDS      300
#define STEPS      1200
#define STORAGES   3
#define INSTANCES  4
#define NEVER      (-1000000)
#define TOKEN_GATE 2 /* and above: the guest that asks */

struct disk {
    bool writing, hangs, fails;
    int64_t started_ms;
    uint64_t write_epoch;
    uint64_t session, write_session;
    int64_t good_ms; /* start of the last good write of this epoch that was answered in time; NEVER */
    bool believed;   /* since the keeper's last start */
    bool over;       /* reached L+K in this epoch: for ever */
};

struct guest {
    bool exists, stuck, stopped;
    bool unseen;     /* born after the start of the last survey that was answered */
    bool gated;      /* its process asks before it is born, at any time and whatever became of the run */
    uint64_t knocks; /* run in whose name it asks */
    bool permitted;  /* the keeper said yes to this run, and nothing has ended it */
    bool born;       /* of this run; a process that has ended does not come back */
    bool orderly;    /* it closed its files itself when it ended */
    int64_t writes_until_ms; /* a write of it may land until then */
    uint64_t run, tomb;
    bool needs[STORAGES];
};

struct world {
    uint64_t seed, random;
    const struct hf_ha_timing *t;
    struct hf_lease_rules *rules;
    struct hf_lease_effects out;
    int64_t now_ms;
    bool surveying, epoch_over;
    uint64_t survey, epoch;
    struct hf_lease_proc procs[INSTANCES]; /* what the survey under way has seen, at its very start */
    size_t n_procs;
    struct disk disks[STORAGES];
    struct guest guests[INSTANCES];
    struct hf_keeper_request asked; /* one request at a time */
    bool waiting;
};

static struct hf_uuid storage_id(size_t i)
{
    return (struct hf_uuid){{0xa0, (uint8_t)i}};
}

static struct hf_uuid guest_id(size_t i)
{
    return (struct hf_uuid){{0xb0, (uint8_t)i}};
}

static uint64_t draw(struct world *w, uint64_t below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random % below;
}

#define CHECK(w, cond)                                                                                       \
    do {                                                                                                     \
        if (!(cond)) {                                                                                       \
            fprintf(stderr, "seed %llu at %lld ms: %s\n", (unsigned long long)(w)->seed,                     \
                    (long long)(w)->now_ms, #cond);                                                          \
            fail();                                                                                          \
        }                                                                                                    \
    } while (0)

/* --- the checker's books --- */

static int64_t age(const struct world *w, size_t storage)
{
    return w->now_ms - w->disks[storage].good_ms;
}

static bool fresh(const struct world *w, size_t storage)
{
    const struct disk *d = &w->disks[storage];
    return d->believed && !d->over && !w->epoch_over && age(w, storage) < w->t->lease_ms;
}

/* Time alone ends a lease, whatever the keeper does. */
static void note_time(struct world *w)
{
    for (size_t i = 0; i < STORAGES; i++) {
        if (w->disks[i].good_ms > NEVER && age(w, i) >= w->t->lease_ms + w->t->kill_ms)
            w->disks[i].over = true;
    }
}

/* What was born and has ended cannot execute: it is not what the watchdog waits for. */
static void check_pet(struct world *w)
{
    for (size_t i = 0; i < INSTANCES; i++) {
        const struct guest *g = &w->guests[i];
        for (size_t s = 0; s < STORAGES; s++)
            CHECK(w, !g->permitted || (g->born && !g->exists) || !g->needs[s] || fresh(w, s));
    }
}

/* Nothing of it is left, neither a process nor a write under way. */
static void check_over(struct world *w, const struct guest *g)
{
    CHECK(w, !g->exists && w->now_ms >= g->writes_until_ms);
}

static void end_guest(struct world *w, struct guest *g, bool orderly)
{
    bool leased = false;
    for (size_t s = 0; s < STORAGES; s++)
        leased |= g->needs[s];
    if (!g->exists || g->stuck)
        return;
    g->exists = false;
    g->orderly = orderly;
    if (leased && !orderly)
        g->writes_until_ms = w->now_ms + w->t->guest_write_ms;
}

static void check_permit(struct world *w)
{
    struct guest *g = &w->guests[w->asked.subject.b[1]];
    CHECK(w, w->asked.epoch == w->epoch && !w->epoch_over);
    CHECK(w, w->asked.number > g->tomb);
    CHECK(w, !g->permitted || g->run == w->asked.number); /* a permit may be asked for twice */
    memset(g->needs, 0, sizeof g->needs);
    for (size_t i = 0; i < w->asked.n_storages; i++) {
        size_t storage = w->asked.storages[i].b[1];
        CHECK(w, fresh(w, storage));
        g->needs[storage] = true;
    }
    g->born = g->permitted && g->run == w->asked.number && g->born;
    if (!g->permitted)
        g->gated = w->asked.gated;
    g->permitted = true;
    g->run = w->asked.number;
}

/* Born with all that a run needs at this moment, once. */
static void check_gate(struct world *w, const struct hf_lease_effect *e)
{
    struct guest *g = &w->guests[e->number - TOKEN_GATE];
    if (e->code != HF_OK)
        return;
    CHECK(w, g->permitted && g->gated && !g->born && g->knocks == g->run && !w->epoch_over);
    for (size_t i = 0; i < STORAGES; i++)
        CHECK(w, !g->needs[i] || fresh(w, i));
    g->exists = g->born = g->unseen = true;
    g->stopped = false;
}

static void check_ended(struct world *w)
{
    struct guest *g = &w->guests[w->asked.subject.b[1]];
    if (w->asked.number <= g->tomb)
        return;
    check_over(w, g);
    CHECK(w, !g->permitted || g->run <= w->asked.number);
    g->permitted = false;
    g->tomb = w->asked.number;
}

static void check_nothing_runs(struct world *w)
{
    for (size_t g = 0; g < INSTANCES; g++)
        CHECK(w, !w->guests[g].exists);
}

/* A new session begins with nothing of the last: no run that needs the storage, no lease. */
static void check_session(struct world *w)
{
    size_t i = w->asked.subject.b[1];
    struct disk *d = &w->disks[i];
    CHECK(w, w->asked.number >= d->session);
    if (w->asked.number == d->session)
        return;
    for (size_t g = 0; g < INSTANCES; g++)
        CHECK(w, !w->guests[g].permitted || !w->guests[g].needs[i]);
    d->session = w->asked.number;
    d->good_ms = NEVER;
    d->believed = d->over = false;
}

static void check_epoch(struct world *w)
{
    if (w->asked.epoch == w->epoch)
        return;
    check_nothing_runs(w);
    CHECK(w, w->asked.epoch > w->epoch);
    w->epoch = w->asked.epoch;
    w->epoch_over = false;
    for (size_t i = 0; i < STORAGES; i++) {
        w->disks[i].good_ms = NEVER;
        w->disks[i].believed = w->disks[i].over = false;
        w->disks[i].session = 1;
    }
}

static void check_answer(struct world *w, const struct hf_lease_effect *e)
{
    if (e->number >= TOKEN_GATE) {
        check_gate(w, e);
        return;
    }
    CHECK(w, w->waiting);
    w->waiting = false;
    if (e->code != HF_OK)
        return;
    if (w->asked.head.op == HF_KEEPER_BEGIN_RUN)
        check_permit(w);
    else if (w->asked.head.op == HF_KEEPER_END_RUN)
        check_ended(w);
    else if (w->asked.head.op == HF_KEEPER_ADD_STORAGE)
        check_session(w);
    else if (w->asked.head.op == HF_KEEPER_SET_EPOCH)
        check_epoch(w);
    else if (w->asked.head.op == HF_KEEPER_END_EPOCH && w->asked.epoch == w->epoch)
        check_nothing_runs(w);
}

/* What the keeper itself says is over: its runs' tombstones, the closed epoch, "killed" in its records. */
static void check_words(struct world *w)
{
    static struct hf_lease_record r;
    const struct hf_keeper_state *s = hf_lease_rules_state(w->rules);
    if (s->epoch_closed && s->epoch == w->epoch)
        w->epoch_over = true;
    for (uint32_t i = 0; i < s->n_tombs; i++) {
        struct guest *g = &w->guests[s->tombs[i].instance.b[1]];
        if (s->tombs[i].run > g->tomb)
            g->tomb = s->tombs[i].run;
        if (g->permitted && g->run <= g->tomb) {
            check_over(w, g);
            g->permitted = false;
        }
    }
    for (size_t i = 0; i < STORAGES; i++) {
        struct hf_uuid id = storage_id(i);
        hf_lease_rules_record(w->rules, &id, 1, &r);
        for (size_t g = 0; r.killed && g < INSTANCES; g++) {
            if (w->guests[g].needs[i])
                check_over(w, &w->guests[g]);
        }
    }
}

/* --- the host --- */

static void step(struct world *w, const struct hf_lease_event *e);

static void carry_out(struct world *w, const struct hf_lease_effect *e)
{
    struct disk *d = &w->disks[e->subject.b[1] % STORAGES];
    if (e->kind == HF_LEASE_RENEW) {
        CHECK(w, !d->writing);
        d->writing = true;
        d->started_ms = w->now_ms;
        d->write_epoch = w->epoch;
        d->write_session = d->session;
    } else if (e->kind == HF_LEASE_SURVEY) {
        CHECK(w, !w->surveying);
        w->surveying = true;
        w->survey = e->number;
        w->n_procs = 0;
        for (size_t g = 0; g < INSTANCES; g++) {
            if (w->guests[g].exists)
                w->procs[w->n_procs++] = (struct hf_lease_proc){
                    .instance = guest_id(g), .pid = 100 + (int)g, .stopped = w->guests[g].stopped};
        }
    } else if (e->kind == HF_LEASE_KILL && e->subject.b[0] == 0xb0) {
        end_guest(w, &w->guests[e->subject.b[1]], false);
    } else if (e->kind == HF_LEASE_FREEZE) {
        w->guests[e->subject.b[1]].stopped = true;
    } else if (e->kind == HF_LEASE_THAW && w->now_ms < (int64_t)e->number) {
        w->guests[e->subject.b[1]].stopped = false;
    } else if (e->kind == HF_LEASE_PET) {
        check_pet(w);
    } else if (e->kind == HF_LEASE_REPLY) {
        check_answer(w, e);
    }
}

/* After each step: who needs a lease that is in doubt stands still, who has all its leases fresh does not;
 * who needs a lost one is killed. One born since the last look is caught by the next. */
static void check_frozen(struct world *w)
{
    for (size_t i = 0; i < INSTANCES; i++) {
        const struct guest *g = &w->guests[i];
        bool doubt = false, doomed = w->epoch_over;
        for (size_t s = 0; s < STORAGES; s++) {
            doubt |= g->needs[s] && !fresh(w, s);
            doomed |= g->needs[s] && w->disks[s].over;
        }
        if (g->exists && g->permitted && !doomed && !g->unseen)
            CHECK(w, g->stopped == doubt);
    }
}

static void step(struct world *w, const struct hf_lease_event *e)
{
    note_time(w);
    hf_lease_rules_step(w->rules, e, w->now_ms, &w->out);
    check_words(w); /* what it now says holds for the effects behind it */
    for (size_t i = 0; i < w->out.n; i++)
        carry_out(w, &w->out.list[i]);
    check_words(w);
    check_frozen(w);
}

static void tick(struct world *w)
{
    struct hf_lease_event e = {.kind = HF_LEASE_TICK};
    step(w, &e);
}

static void answer_survey(struct world *w)
{
    struct hf_lease_event e = {.kind = HF_LEASE_SURVEYED,
                               .survey = w->survey,
                               .ok = draw(w, 20) > 0,
                               .text = "no",
                               .procs = w->procs,
                               .n_procs = w->n_procs};
    struct hf_lease_proc procs[INSTANCES];
    memcpy(procs, w->procs, sizeof procs); /* the step may begin the next survey */
    for (size_t i = 0; e.ok && i < w->n_procs; i++)
        w->guests[procs[i].instance.b[1]].unseen = false;
    e.procs = procs;
    w->surveying = false;
    step(w, &e);
}

static void answer_disk(struct world *w, size_t i)
{
    struct disk *d = &w->disks[i];
    struct hf_lease_event e = {
        .kind = HF_LEASE_RENEWED, .storage = storage_id(i), .ok = !d->fails, .text = "no"};
    d->writing = false;
    note_time(w);
    bool in_time = w->now_ms - d->started_ms < w->t->lease_ms;
    if (e.ok && d->write_epoch == w->epoch && d->write_session == d->session && !d->over && in_time &&
        !w->epoch_over) {
        d->good_ms = d->started_ms;
        d->believed = true;
    }
    step(w, &e);
}

static void restart(struct world *w)
{
    struct hf_keeper_state *state = HF_NEW(struct hf_keeper_state);
    *state = *hf_lease_rules_state(w->rules);
    hf_lease_rules_free(w->rules);
    w->rules = hf_lease_rules_create(w->t, "boot", state, w->now_ms);
    free(state);
    w->surveying = w->waiting = false;
    for (size_t i = 0; i < STORAGES; i++) {
        struct disk *d = &w->disks[i];
        d->writing = d->believed = false; /* its writes ended with it */
        if (w->epoch > 0 && !d->over && hf_lease_rules_dir(w->rules, &(struct hf_uuid){{0xa0, (uint8_t)i}}))
            d->good_ms = w->now_ms - w->t->lease_ms;
    }
}

static void ask(struct world *w)
{
    static const enum hf_keeper_op ops[] = {
        HF_KEEPER_BEGIN_RUN, HF_KEEPER_BEGIN_RUN,    HF_KEEPER_BEGIN_RUN,   HF_KEEPER_END_RUN,
        HF_KEEPER_END_RUN,   HF_KEEPER_REGISTER_RUN, HF_KEEPER_ADD_STORAGE, HF_KEEPER_ADD_STORAGE,
        HF_KEEPER_SET_EPOCH, HF_KEEPER_END_EPOCH};
    if (w->waiting)
        return;
    size_t g = draw(w, INSTANCES);
    struct hf_keeper_request q = {.head.op = (uint16_t)ops[draw(w, sizeof ops / sizeof ops[0])],
                                  .subject = guest_id(g)};
    q.epoch = w->epoch;
    q.kill = draw(w, 2) != 0;
    q.orderly = w->guests[g].born && !w->guests[g].exists && w->guests[g].orderly;
    q.gated = draw(w, 2) != 0;
    q.number = w->guests[g].permitted && draw(w, 4) ? w->guests[g].run : w->guests[g].tomb + draw(w, 3);
    for (size_t i = 0; i < STORAGES; i++) {
        if (draw(w, 3) == 0)
            q.storages[q.n_storages++] = storage_id(i);
    }
    if (q.head.op == HF_KEEPER_ADD_STORAGE) {
        q.subject = storage_id(draw(w, STORAGES));
        q.number = w->disks[q.subject.b[1]].session + draw(w, 2);
        q.number += q.number == 0;
        snprintf(q.dir, sizeof q.dir, "/mnt");
    } else if (q.head.op == HF_KEEPER_SET_EPOCH) {
        q.subject = (struct hf_uuid){{0xc0}};
        q.epoch = w->epoch + draw(w, 3);
    } else if (q.head.op == HF_KEEPER_END_EPOCH && draw(w, 8) > 0) {
        return; /* rare, else nothing ever lives */
    }
    w->asked = q;
    w->waiting = true;
    struct hf_lease_event e = {.kind = HF_LEASE_REQUESTED, .token = 1, .request = &q};
    step(w, &e);
}

/* Without a gate births only of what has a permit, once, and not while hostd asks for its end: it vouches for
 * that. */
static bool may_be_born(const struct world *w, size_t g)
{
    bool ending =
        w->waiting && (w->asked.head.op == HF_KEEPER_END_EPOCH || w->asked.head.op == HF_KEEPER_SET_EPOCH ||
                       (w->asked.head.op == HF_KEEPER_END_RUN && w->asked.subject.b[1] == g));
    return w->guests[g].permitted && !w->guests[g].born && !w->epoch_over && !ending;
}

/* With a gate whoever is late may try: libvirt brings to life what it was told long ago. */
static void knock(struct world *w, size_t number)
{
    struct guest *g = &w->guests[number];
    g->knocks = draw(w, 4) ? g->run : g->tomb + draw(w, 3);
    struct hf_keeper_request q = {.head.op = HF_KEEPER_GATE,
                                  .subject = guest_id(number),
                                  .number = g->knocks,
                                  .pid = 100 + (int)number};
    struct hf_lease_event e = {.kind = HF_LEASE_REQUESTED, .token = TOKEN_GATE + number, .request = &q};
    step(w, &e);
}

static void disturb(struct world *w)
{
    size_t number = draw(w, INSTANCES);
    struct guest *g = &w->guests[number];
    struct disk *d = &w->disks[draw(w, STORAGES)];
    switch (draw(w, 12)) {
    case 0:
        d->hangs = draw(w, 3) == 0;
        break;
    case 1:
        d->fails = draw(w, 3) == 0;
        break;
    case 2:
        g->stuck = draw(w, 4) == 0;
        break;
    case 3:
        end_guest(w, g, draw(w, 2) == 0);
        break;
    case 4:
        if (draw(w, 10) == 0)
            restart(w);
        break;
    case 5:
        if (draw(w, 20) == 0)
            w->now_ms += (int64_t)draw(w, 6000); /* the keeper stands still */
        break;
    default:
        if (g->gated && !g->born)
            knock(w, number);
        else if (!g->gated && may_be_born(w, number))
            g->exists = g->born = g->unseen = true, g->stopped = false;
    }
}

static void run_seed(uint64_t seed)
{
    struct world *w = HF_NEW(struct world);
    w->seed = seed;
    w->random = seed * 0x9e3779b97f4a7c15u + 1;
    w->t = hf_ha_timing_find("fast");
    for (size_t i = 0; i < STORAGES; i++)
        w->disks[i].good_ms = NEVER;
    w->rules = hf_lease_rules_create(w->t, "boot", NULL, 0);
    tick(w);
    for (int n = 0; n < STEPS; n++) {
        w->now_ms += (int64_t)draw(w, 60);
        if (w->surveying && draw(w, 3))
            answer_survey(w);
        for (size_t i = 0; i < STORAGES; i++) {
            if (w->disks[i].writing && !w->disks[i].hangs && draw(w, 3))
                answer_disk(w, i);
        }
        if (draw(w, 3) == 0)
            ask(w);
        disturb(w);
        tick(w);
    }
    hf_lease_rules_free(w->rules);
    free(w);
}

static void test_chaos(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_seed(seed);
}

static uint64_t only_seed;

static void test_one_seed(void **state)
{
    (void)state;
    run_seed(only_seed);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest all[] = {cmocka_unit_test(test_chaos)}, one[] = {cmocka_unit_test(test_one_seed)};
    if (argc == 2) {
        only_seed = strtoull(argv[1], NULL, 10);
        return cmocka_run_group_tests(one, NULL, NULL);
    }
    return cmocka_run_group_tests(all, NULL, NULL);
}
