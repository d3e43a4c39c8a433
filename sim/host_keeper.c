/* The keeper: the rules of ha/lease_rules.h, driven as hostd/hf_lease.c drives them. Every effect of a step
 * is one act, in order, so that the process can be stopped or lost between any two. Its state file lies in
 * memory: it survives the process, not the boot, and is replaced whole. Its thread that looks for processes
 * is a chain of deliveries.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "ha/lease_rules.h"
#include "sim/host_private.h"

#define SCAN_LOW_NS  (1 * HF_MS_NS)
#define SCAN_HIGH_NS (30 * HF_MS_NS)
#define SETTLE_NS    (20 * HF_MS_NS) /* between kills and the look that follows */

struct sim_keeper {
    struct sim_host *host;
    struct sim_proc *proc;
    struct hf_lease_rules *rules;
    struct hf_lease_effects effects;
    struct hf_timer timer;
    bool dog_open;
    /* the thread of the processes */
    struct hf_uuid kills[HF_LEASE_PROCS_MAX];
    size_t n_kills;
    uint64_t survey;  /* number asked for; 0: none */
    bool looks;       /* it is at work */
    uint64_t looking; /* for this survey */
};

/* One effect on its way out. */
struct effect {
    struct sim_keeper *keeper;
    int64_t step_ns; /* true time of the step that wanted it */
    struct hf_uuid subject;
    uint64_t number;
    enum hf_code code;
    char text[];
};

static int64_t now_ms(const struct sim_keeper *k)
{
    return sim_proc_clock_ns(k->proc) / HF_MS_NS;
}

static void step(struct sim_keeper *k, const struct hf_lease_event *e);

/* --- renewals --- */

struct renewal {
    struct sim_keeper *keeper;
    struct hf_uuid storage;
    int64_t started_ns;
    struct sim_storage *at;
    uint64_t epoch;
};

static void renewed(struct renewal *r, bool ok, const char *why)
{
    struct sim_keeper *k = r->keeper;
    struct hf_lease_event e = {.kind = HF_LEASE_RENEWED, .storage = r->storage, .ok = ok, .text = why};
    /* The mark is read behind the record. */
    e.marked = ok && r->at && sim_storage_marked(r->at, &k->host->uuid, r->epoch);
    if (ok && !e.marked && sim_host_checks(k->host))
        sim_checks_renewed(sim_host_checks(k->host), sim_now_ns(k->host->sim), k->host->number, &r->storage,
                           r->started_ns);
    free(r);
    step(k, &e);
}

static void on_written(void *arg, bool ok, const char *why)
{
    renewed(arg, ok, why);
}

static void on_no_storage(void *arg)
{
    renewed(arg, false, "open the record: No such file or directory");
}

static void act_renew(void *arg)
{
    struct effect *f = arg;
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

/* --- processes --- */

static void work(struct sim_keeper *k);

struct survey {
    struct hf_lease_proc procs[HF_LEASE_PROCS_MAX];
    size_t n;
};

static void add_proc(void *arg, const struct hf_vm_sim_guest *g)
{
    struct survey *s = arg;
    if (s->n < HF_LEASE_PROCS_MAX)
        s->procs[s->n++] = (struct hf_lease_proc){.instance = g->uuid, .pid = g->pid, .stopped = g->frozen};
}

static void on_scanned(void *arg)
{
    struct sim_keeper *k = arg;
    struct survey found = {.n = 0};
    hf_vm_machine_each(k->host->vms, add_proc, &found);
    struct hf_lease_event e = {.kind = HF_LEASE_SURVEYED,
                               .survey = k->looking,
                               .ok = true,
                               .procs = found.procs,
                               .n_procs = found.n};
    k->looks = false;
    step(k, &e);
    work(k);
}

struct kill {
    struct sim_keeper *keeper;
    struct hf_uuid instance;
};

/* The record lists the run: its guest is not one that should never have been born. */
static bool is_listed(const struct sim_keeper *k, const struct hf_uuid *instance)
{
    const struct hf_keeper_state *s = hf_lease_rules_state(k->rules);
    for (uint32_t i = 0; i < s->n_runs; i++)
        if (hf_uuid_equal(&s->runs[i].instance, instance))
            return true;
    return false;
}

static void act_sigkill(void *arg)
{
    struct kill *f = arg;
    struct sim_host *h = f->keeper->host;
    if (is_listed(f->keeper, &f->instance))
        sim_guests_tell_kill(h, &f->instance, SIM_KILLED_BY_KEEPER);
    hf_vm_machine_kill(h->vms, &f->instance);
    free(f);
}

static void on_kill_time(void *arg)
{
    struct sim_keeper *k = arg;
    size_t n = k->n_kills;
    k->n_kills = 0;
    for (size_t i = 0; i < n; i++) {
        struct kill *f = HF_NEW(struct kill);
        *f = (struct kill){k, k->kills[i]};
        sim_proc_act(k->proc, act_sigkill, free, f);
    }
    if (k->looking > 0) {
        sim_proc_post(k->proc, SETTLE_NS, on_scanned, NULL, k);
        return;
    }
    k->looks = false;
    work(k);
}

/* Takes what was asked for so far, in one go. */
static void work(struct sim_keeper *k)
{
    if (k->looks || (k->n_kills == 0 && k->survey == 0))
        return;
    int64_t ns = sim_rng_skewed(&k->proc->rng, SCAN_LOW_NS, SCAN_HIGH_NS);
    k->looks = true;
    k->looking = k->survey;
    k->survey = 0;
    sim_proc_post(k->proc, ns, k->n_kills > 0 ? on_kill_time : on_scanned, NULL, k);
}

static void act_kill(void *arg)
{
    struct effect *f = arg;
    struct sim_keeper *k = f->keeper;
    bool have = false;
    for (size_t i = 0; i < k->n_kills && !have; i++)
        have = hf_uuid_equal(&k->kills[i], &f->subject);
    if (!have && k->n_kills < HF_LEASE_PROCS_MAX)
        k->kills[k->n_kills++] = f->subject;
    work(k);
    free(f);
}

static void act_freeze(void *arg)
{
    struct effect *f = arg;
    hf_vm_machine_freeze(f->keeper->host->vms, &f->subject, true);
    free(f);
}

static void act_thaw(void *arg)
{
    struct effect *f = arg;
    if (now_ms(f->keeper) < (int64_t)f->number)
        hf_vm_machine_freeze(f->keeper->host->vms, &f->subject, false);
    free(f);
}

static void act_survey(void *arg)
{
    struct effect *f = arg;
    struct sim_keeper *k = f->keeper;
    HF_ASSERT(k->survey == 0);
    k->survey = f->number;
    work(k);
    free(f);
}

/* --- the other effects --- */

static void act_persist(void *arg)
{
    struct effect *f = arg;
    struct sim_host *h = f->keeper->host;
    if (!h->saved)
        h->saved = HF_NEW(struct hf_keeper_state);
    *h->saved = *hf_lease_rules_state(f->keeper->rules);
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
    struct effect *f = arg;
    tell_changed(f->keeper);
    free(f);
}

/* The device is opened by the first pet, and qualifies from then on. */
static void act_pet(void *arg)
{
    struct effect *f = arg;
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

/* Tokens name the connection and its request. */
#define ID_BITS 40

static void act_reply(void *arg)
{
    struct effect *f = arg;
    struct hf_keeper_reply p = {.head = head_of(HF_KEEPER_REPLY, f->number & ((1ULL << ID_BITS) - 1)),
                                .code = (uint32_t)f->code};
    snprintf(p.text, sizeof p.text, "%s", f->text);
    sim_keeper_link_send(f->keeper->host, f->number >> ID_BITS, &p, sizeof p);
    free(f);
}

static void carry_out(struct sim_keeper *k, const struct hf_lease_effect *e)
{
    static const sim_fn acts[] = {
        [HF_LEASE_PERSIST] = act_persist, [HF_LEASE_RENEW] = act_renew,   [HF_LEASE_KILL] = act_kill,
        [HF_LEASE_SURVEY] = act_survey,   [HF_LEASE_PET] = act_pet,       [HF_LEASE_REPLY] = act_reply,
        [HF_LEASE_CHANGED] = act_changed, [HF_LEASE_FREEZE] = act_freeze, [HF_LEASE_THAW] = act_thaw,
        [HF_LEASE_WATCH] = free,
    };
    if (e->kind == HF_LEASE_NOTE) {
        sim_trace(k->host->sim, k->proc->name, "%s", e->text);
        return;
    }
    size_t len = strlen(e->text);
    struct effect *f = hf_alloc(sizeof *f + len + 1);
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
    step(arg, &e);
}

static void step(struct sim_keeper *k, const struct hf_lease_event *e)
{
    int64_t now = now_ms(k);
    hf_lease_rules_step(k->rules, e, now, &k->effects);
    int64_t wait = k->effects.wake_ms - now;
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
    size_t len = hf_lease_rules_view(k->rules, now_ms(k), w);
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
    step(k, &e);
}

/* --- life --- */

void sim_keeper_begin(struct sim_host *h)
{
    struct sim_keeper *k = HF_NEW(struct sim_keeper);
    k->host = h;
    k->proc = &h->procs[SIM_KEEPER];
    k->rules =
        hf_lease_rules_create(hf_ha_timing_find(h->world->timing->profile), h->boot_id, h->saved, now_ms(k));
    h->keeper = k;
    if (sim_host_checks(h))
        sim_checks_keeper(sim_host_checks(h), sim_now_ns(h->sim), h->number, true);
    on_timer(k);
}

void sim_keeper_end(struct sim_host *h)
{
    struct sim_keeper *k = h->keeper;
    struct sim_storage *s;
    for (unsigned i = 0; (s = sim_host_storage(h, i)) != NULL; i++)
        sim_storage_issuer_died(s, h->number, k->proc);
    if (k->dog_open && h->powered)
        sim_watchdog_pet(h); /* the kernel's doing, when a device is closed that was not disarmed */
    if (sim_host_checks(h))
        sim_checks_keeper(sim_host_checks(h), sim_now_ns(h->sim), h->number, false);
    sim_keeper_link_broke(h);
    hf_lease_rules_free(k->rules);
    hf_timer_stop(&k->timer);
    free(k);
    h->keeper = NULL;
}
