/* The keeper's thread that looks for processes, as hostd/keeper_scan.c does: it sees those that stand before
 * the gate as well, and one that is about to become QEMU only because it was told to watch it. It is a chain
 * of deliveries.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sim/host_keeper.h"

#define SCAN_LOW_NS  (1 * HF_MS_NS)
#define SCAN_HIGH_NS (30 * HF_MS_NS)
#define SLOW_SCAN_NS (2 * HF_S_NS)
#define SETTLE_NS    (20 * HF_MS_NS) /* between kills and the look that follows */

static void work(struct sim_keeper *k);

struct survey {
    struct sim_keeper *keeper;
    struct hf_lease_proc procs[HF_LEASE_PROCS_MAX];
    size_t n;
};

/* Whose it is can be read from its arguments, or is known because it was let in. */
static bool is_known(const struct sim_keeper *k, const struct hf_vm_sim_guest *g)
{
    bool known = g->phase != HF_VM_SIM_EXECS;
    for (size_t i = 0; i < k->n_watched && !known; i++)
        known = k->watched[i] == g->pid;
    return known;
}

static void add_proc(void *arg, const struct hf_vm_sim_guest *g)
{
    struct survey *s = arg;
    if (s->n == HF_LEASE_PROCS_MAX)
        return;
    struct hf_lease_proc *p = &s->procs[s->n++];
    *p = (struct hf_lease_proc){.pid = g->pid, .stopped = g->frozen};
    if (is_known(s->keeper, g))
        p->instance = g->uuid;
}

static bool was_found(const struct survey *s, int pid)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->procs[i].pid == pid)
            return true;
    return false;
}

static void forget_gone(struct sim_keeper *k, const struct survey *found)
{
    size_t n = 0;
    for (size_t i = 0; i < k->n_watched; i++)
        if (was_found(found, k->watched[i]))
            k->watched[n++] = k->watched[i];
    k->n_watched = n;
}

static void on_told(void *arg)
{
    struct survey *found = arg;
    struct sim_keeper *k = found->keeper;
    struct hf_lease_event e = {.kind = HF_LEASE_SURVEYED,
                               .survey = k->looking,
                               .ok = true,
                               .procs = found->procs,
                               .n_procs = found->n};
    k->looks = false;
    sim_keeper_step(k, &e);
    work(k);
    free(found);
}

/* What it sees is old when the rules hear of it, most of all on a machine that is slow. */
static int64_t told_ns(struct sim_keeper *k)
{
    int64_t slow_ns = k->host->exec.slow_ms * HF_MS_NS;
    int64_t ns = sim_rng_skewed(&k->proc->rng, 0, SCAN_HIGH_NS);
    return slow_ns > 0
               ? ns + sim_rng_skewed(&k->proc->rng, 0, slow_ns < SLOW_SCAN_NS ? slow_ns : SLOW_SCAN_NS)
               : ns;
}

static void on_scanned(void *arg)
{
    struct sim_keeper *k = arg;
    struct survey *found = HF_NEW(struct survey);
    found->keeper = k;
    hf_vm_machine_each(k->host->vms, add_proc, found);
    forget_gone(k, found);
    sim_proc_post(k->proc, told_ns(k), on_told, free, found);
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

struct nameless {
    const struct sim_keeper *keeper;
    struct hf_uuid instances[HF_LEASE_PROCS_MAX];
    size_t n;
};

static void add_nameless(void *arg, const struct hf_vm_sim_guest *g)
{
    struct nameless *s = arg;
    if (!is_known(s->keeper, g) && s->n < HF_LEASE_PROCS_MAX)
        s->instances[s->n++] = g->uuid;
}

/* Those that cannot be told apart: none of them has executed yet. */
static void kill_nameless(struct sim_keeper *k)
{
    struct nameless s = {.keeper = k, .n = 0};
    hf_vm_machine_each(k->host->vms, add_nameless, &s);
    for (size_t i = 0; i < s.n; i++) {
        if (is_listed(k, &s.instances[i]))
            sim_guests_tell_kill(k->host, &s.instances[i], SIM_KILLED_BY_KEEPER);
        hf_vm_machine_kill(k->host->vms, &s.instances[i]);
    }
}

static void act_sigkill(void *arg)
{
    struct kill *f = arg;
    struct sim_host *h = f->keeper->host;
    if (is_listed(f->keeper, &f->instance))
        sim_guests_tell_kill(h, &f->instance, SIM_KILLED_BY_KEEPER);
    if (hf_uuid_is_zero(&f->instance))
        kill_nameless(f->keeper);
    else
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

void sim_keeper_act_kill(void *arg)
{
    struct sim_keeper_effect *f = arg;
    struct sim_keeper *k = f->keeper;
    bool have = false;
    for (size_t i = 0; i < k->n_kills && !have; i++)
        have = hf_uuid_equal(&k->kills[i], &f->subject);
    if (!have && k->n_kills < HF_LEASE_PROCS_MAX)
        k->kills[k->n_kills++] = f->subject;
    work(k);
    free(f);
}

void sim_keeper_act_freeze(void *arg)
{
    struct sim_keeper_effect *f = arg;
    hf_vm_machine_freeze(f->keeper->host->vms, &f->subject, true);
    free(f);
}

void sim_keeper_act_thaw(void *arg)
{
    struct sim_keeper_effect *f = arg;
    if (sim_keeper_now_ms(f->keeper) < (int64_t)f->number)
        hf_vm_machine_freeze(f->keeper->host->vms, &f->subject, false);
    free(f);
}

void sim_keeper_act_survey(void *arg)
{
    struct sim_keeper_effect *f = arg;
    struct sim_keeper *k = f->keeper;
    HF_ASSERT(k->survey == 0);
    k->survey = f->number;
    work(k);
    free(f);
}

void sim_keeper_act_watch(void *arg)
{
    struct sim_keeper_effect *f = arg;
    struct sim_keeper *k = f->keeper;
    if (k->n_watched < HF_LEASE_PROCS_MAX)
        k->watched[k->n_watched++] = (int)f->number;
    free(f);
}
