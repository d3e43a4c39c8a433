/* The keeper: the rules of ha/lease_rules.h, driven as hostd/hf_lease.c drives them. Every effect of a step
 * is one act, in order, so that the process can be stopped or lost between any two. Its state file lies in
 * memory: it survives the process, not the boot, and is replaced whole.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sim/host_keeper.h"

/* --- renewals --- */

struct renewal {
    struct sim_keeper *keeper;
    struct hf_uuid storage;
    int64_t started_ns;
    struct sim_storage *at;
    uint64_t epoch;
};

static void renewed(struct renewal *r, bool ok, bool marked, const char *why)
{
    struct sim_keeper *k = r->keeper;
    struct hf_lease_event e = {
        .kind = HF_LEASE_RENEWED, .storage = r->storage, .ok = ok, .marked = marked, .text = why};
    if (ok && !e.marked && sim_host_checks(k->host))
        sim_checks_renewed(sim_host_checks(k->host), sim_now_ns(k->host->sim), k->host->number, &r->storage,
                           r->started_ns);
    free(r);
    sim_keeper_step(k, &e);
}

static void on_mark(void *arg, bool ok, bool marked, const char *why)
{
    renewed(arg, ok, ok && marked, why);
}

static void act_read_mark(void *arg)
{
    struct renewal *r = arg;
    struct sim_keeper *k = r->keeper;
    sim_storage_read_mark(r->at, k->host->number, k->proc, &k->host->uuid, r->epoch, on_mark, free, r);
}

/* The mark is read behind the record: at once where nothing stands in the way. On Ceph it is one write. */
static void on_written(void *arg, bool ok, bool marked, const char *why)
{
    struct renewal *r = arg;
    struct sim_keeper *k = r->keeper;
    if (sim_storage_ceph(r->at))
        renewed(r, ok, ok && marked, why);
    else if (ok && sim_storage_way_is_bad(sim_storage_way(r->at, k->host->number)))
        sim_proc_act(k->proc, act_read_mark, free, r);
    else
        renewed(r, ok, ok && sim_storage_marked(r->at, &k->host->uuid, r->epoch), why);
}

static void on_no_storage(void *arg)
{
    renewed(arg, false, false, "open the record: No such file or directory");
}

static void act_renew(void *arg)
{
    struct sim_keeper_effect *f = arg;
    struct sim_keeper *k = f->keeper;
    const char *dir = hf_lease_rules_dir(k->rules, &f->subject);
    struct sim_storage *s = dir ? sim_host_storage_at(k->host, dir) : NULL;
    struct renewal *r = HF_NEW(struct renewal);
    *r = (struct renewal){k, f->subject, f->step_ns, s, hf_lease_rules_state(k->rules)->epoch};
    if (s) {
        struct hf_lease_record record;
        hf_lease_rules_record(k->rules, &f->subject, f->number, &record);
        sim_storage_write_record(s, k->host->number, k->proc, &record, on_written, free, r);
    } else {
        sim_proc_post(k->proc, HF_MS_NS, on_no_storage, free, r);
    }
    free(f);
}

/* --- the other effects --- */

static void act_persist(void *arg)
{
    struct sim_keeper_effect *f = arg;
    struct sim_keeper *k = f->keeper;
    struct sim_host *h = k->host;
    k->unsaved = h->run_full;
    hf_lease_rules_saved(k->rules, !k->unsaved);
    if (!h->saved && !k->unsaved)
        h->saved = HF_NEW(struct hf_keeper_state);
    if (!k->unsaved)
        *h->saved = *hf_lease_rules_state(k->rules);
    free(f);
}

static struct hf_keeper_head head_of(enum hf_keeper_op op, uint64_t id)
{
    return (struct hf_keeper_head){
        .magic = HF_KEEPER_MAGIC, .version = HF_KEEPER_WIRE_VERSION, .op = (uint16_t)op, .id = id};
}

static void tell_changed(struct sim_keeper *k)
{
    struct hf_keeper_reply p = {.head = head_of(HF_KEEPER_CHANGED, 0)};
    sim_keeper_link_send(k->host, k->host->keeper_conn, &p, sizeof p.head);
}

static void act_changed(void *arg)
{
    struct sim_keeper_effect *f = arg;
    tell_changed(f->keeper);
    free(f);
}

/* The device is opened by the first pet, and qualifies from then on. */
static void act_pet(void *arg)
{
    struct sim_keeper_effect *f = arg;
    struct sim_keeper *k = f->keeper;
    if (strcmp(k->host->o.watchdog, "none") != 0) {
        sim_watchdog_pet(k->host);
        if (!k->dog_open) {
            k->dog_open = true;
            tell_changed(k);
        }
    }
    free(f);
}

/* Tokens name the connection and its request; those of askers have a bit of their own. */
#define ID_BITS   40
#define GATE_BITS (1ULL << 63)

static void act_reply(void *arg)
{
    struct sim_keeper_effect *f = arg;
    if (f->keeper->unsaved && f->code == HF_OK) {
        f->code = HF_IO;
        strcpy(f->text, "no"); /* as long as "ok" */
    }
    if (f->number & GATE_BITS) {
        sim_gate_answer(f->keeper->host, f->number & ~GATE_BITS, f->code, f->text);
        free(f);
        return;
    }
    struct hf_keeper_reply p = {.head = head_of(HF_KEEPER_REPLY, f->number & ((1ULL << ID_BITS) - 1)),
                                .code = (uint32_t)f->code};
    snprintf(p.text, sizeof p.text, "%s", f->text);
    sim_keeper_link_send(f->keeper->host, f->number >> ID_BITS, &p, sizeof p);
    free(f);
}

static void carry_out(struct sim_keeper *k, const struct hf_lease_effect *e)
{
    static const sim_fn acts[] = {
        [HF_LEASE_PERSIST] = act_persist,
        [HF_LEASE_RENEW] = act_renew,
        [HF_LEASE_KILL] = sim_keeper_act_kill,
        [HF_LEASE_SURVEY] = sim_keeper_act_survey,
        [HF_LEASE_PET] = act_pet,
        [HF_LEASE_REPLY] = act_reply,
        [HF_LEASE_CHANGED] = act_changed,
        [HF_LEASE_FREEZE] = sim_keeper_act_freeze,
        [HF_LEASE_THAW] = sim_keeper_act_thaw,
        [HF_LEASE_WATCH] = sim_keeper_act_watch,
    };
    if (e->kind == HF_LEASE_NOTE) {
        sim_trace(k->host->sim, k->proc->name, "%s", e->text);
        return;
    }
    size_t len = strlen(e->text);
    struct sim_keeper_effect *f = hf_alloc(sizeof *f + len + 1);
    f->keeper = k;
    f->step_ns = sim_now_ns(k->host->sim);
    f->subject = e->subject;
    f->number = e->number;
    f->code = e->code;
    memcpy(f->text, e->text, len);
    sim_proc_act(k->proc, acts[e->kind], free, f);
}

static void on_timer(void *arg)
{
    struct hf_lease_event e = {.kind = HF_LEASE_TICK};
    sim_keeper_step(arg, &e);
}

void sim_keeper_step(struct sim_keeper *k, const struct hf_lease_event *e)
{
    int64_t now = sim_keeper_now_ms(k);
    hf_lease_rules_step(k->rules, e, now, &k->effects);
    int64_t wait = k->effects.wake_ms - now;
    if (k->unsaved && (k->effects.n == 0 || k->effects.list[0].kind != HF_LEASE_PERSIST))
        carry_out(k, &(struct hf_lease_effect){.kind = HF_LEASE_PERSIST});
    for (size_t i = 0; i < k->effects.n; i++)
        carry_out(k, &k->effects.list[i]);
    hf_timer_start(&k->proc->env, &k->timer, wait > 0 ? wait : 0, on_timer, k);
}

/* --- requests --- */

struct view {
    struct sim_host *host;
    uint64_t serial;
    size_t len;
    _Alignas(8) uint8_t bytes[];
};

static void act_view(void *arg)
{
    struct view *v = arg;
    sim_keeper_link_send(v->host, v->serial, v->bytes, v->len);
    free(v);
}

static void answer_view(struct sim_keeper *k, uint64_t serial, uint64_t id)
{
    static _Alignas(8) uint8_t buf[HF_KEEPER_PACKET_MAX];
    struct hf_keeper_wire_view *w = (struct hf_keeper_wire_view *)buf;
    size_t len = hf_lease_rules_view(k->rules, sim_keeper_now_ms(k), w);
    w->head = head_of(HF_KEEPER_VIEW_REPLY, id);
    snprintf(w->watchdog, sizeof w->watchdog, "%s", k->dog_open ? k->host->o.watchdog : "none");
    struct view *v = hf_alloc(sizeof *v + len);
    v->host = k->host;
    v->serial = serial;
    v->len = len;
    memcpy(v->bytes, buf, len);
    sim_proc_act(k->proc, act_view, free, v);
}

void sim_keeper_packet(struct sim_host *h, uint64_t serial, const struct hf_keeper_request *q)
{
    struct sim_keeper *k = h->keeper;
    HF_ASSERT(q->head.id < 1ULL << ID_BITS && serial < 1ULL << (64 - ID_BITS));
    if (q->head.op == HF_KEEPER_VIEW) {
        answer_view(k, serial, q->head.id);
        return;
    }
    if (q->head.op == HF_KEEPER_END_RUN && q->kill)
        sim_guests_ordered(h, &q->subject);
    struct hf_lease_event e = {
        .kind = HF_LEASE_REQUESTED, .token = serial << ID_BITS | q->head.id, .request = q};
    sim_keeper_step(k, &e);
}

static uint64_t session_of(const struct hf_keeper_state *s, const struct hf_uuid *storage)
{
    for (uint32_t i = 0; i < s->n_storages; i++)
        if (hf_uuid_equal(&s->storages[i].uuid, storage))
            return s->storages[i].session;
    return 0;
}

/* What the state says of the run that stands before the gate. */
static enum sim_gate_state gate_state(const struct hf_keeper_state *s, const struct hf_keeper_request *q)
{
    const struct hf_keeper_state_run *run = NULL;
    for (uint32_t i = 0; i < s->n_runs && !run; i++)
        if (hf_uuid_equal(&s->runs[i].instance, &q->subject) && s->runs[i].run == q->number)
            run = &s->runs[i];
    if (!run)
        return SIM_GATE_NO_PERMIT;
    bool closed = s->epoch_closed;
    for (uint32_t i = 0; i < s->n_closed; i++)
        for (uint32_t k = 0; k < run->n_storages; k++)
            closed |= hf_uuid_equal(&s->closed[i].uuid, &run->storages[k]) &&
                      s->closed[i].session >= session_of(s, &run->storages[k]);
    return closed ? SIM_GATE_CLOSED : SIM_GATE_PERMITTED;
}

static bool is_yes(const struct hf_lease_effects *out, uint64_t token)
{
    for (size_t i = 0; i < out->n; i++)
        if (out->list[i].kind == HF_LEASE_REPLY && out->list[i].number == token)
            return out->list[i].code == HF_OK;
    return false;
}

void sim_keeper_gate(struct sim_host *h, uint64_t number, const struct hf_keeper_request *q)
{
    struct hf_lease_event e = {.kind = HF_LEASE_REQUESTED, .token = GATE_BITS | number, .request = q};
    enum sim_gate_state state = gate_state(hf_lease_rules_state(h->keeper->rules), q);
    sim_keeper_step(h->keeper, &e);
    if (h->keeper && is_yes(&h->keeper->effects, e.token) && sim_host_checks(h))
        sim_checks_let_in(sim_host_checks(h), sim_now_ns(h->sim), h->number, &q->subject, q->number, state);
}

/* --- life --- */

void sim_keeper_begin(struct sim_host *h)
{
    struct sim_keeper *k = HF_NEW(struct sim_keeper);
    k->host = h;
    k->proc = &h->procs[SIM_KEEPER];
    k->rules = hf_lease_rules_create(hf_ha_timing_find(h->world->timing->profile), h->boot_id, h->saved,
                                     sim_keeper_now_ms(k));
    h->keeper = k;
    if (sim_host_checks(h))
        sim_checks_keeper(sim_host_checks(h), sim_now_ns(h->sim), h->number, true);
    on_timer(k);
}

#define HOLDER_DIES_TOO 8 /* with one of so many keepers */

void sim_keeper_end(struct sim_host *h)
{
    struct sim_keeper *k = h->keeper;
    struct sim_storage *s;
    for (unsigned i = 0; (s = sim_host_storage(h, i)) != NULL; i++)
        sim_storage_issuer_died(s, h->number, k->proc);
    /* The watchdog's holder keeps the device open. When it dies with the keeper the kernel closes, and pets.
     */
    if (k->dog_open && h->powered && sim_rng_below(&h->rng, HOLDER_DIES_TOO) == 0)
        sim_watchdog_pet(h);
    if (sim_host_checks(h))
        sim_checks_keeper(sim_host_checks(h), sim_now_ns(h->sim), h->number, false);
    sim_keeper_link_broke(h);
    if (h->powered)
        sim_gate_broke(h);
    hf_lease_rules_free(k->rules);
    hf_timer_stop(&k->timer);
    free(k);
    h->keeper = NULL;
}
