/* What the QEMUs of a machine do while their virtual CPUs execute: each writes (run, counter) to its disks in
 * turn, at most so many writes under way, as QEMU does past all caches. A write that fails stops the guest
 * (error_policy=stop). A guest is not code under test: it runs from the queue, not inside a process.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "sim/ceph.h"
#include "sim/host_private.h"

#define WRITES_UNDER_WAY_MAX 2
#define STORAGES_MAX         4

struct sim_guest {
    struct sim_guest *next;
    struct sim_host *host; /* NULL: its machine is without power, or it has ended */
    struct sim *sim;
    struct hf_uuid uuid;
    uint64_t run;
    struct sim_storage *storages[STORAGES_MAX];
    unsigned n_storages;
    bool runs;     /* QEMU lets its virtual CPUs execute */
    bool executes; /* and so does the machine; as told to the checks */
    bool ordered;  /* its end was ordered */
    bool stubborn; /* the kernel does not let go of its I/O when it is killed: it dies when the storage
                      answers */
    bool killed;
    bool abandons; /* its writes are being left under way: whoever does that sees that none is left */
    uint64_t counter;
    unsigned under_way;
    bool ticking; /* its event is in the queue */
};

static void release(struct sim_guest *g)
{
    if (!g->host && !g->ticking && g->under_way == 0)
        free(g);
}

static struct sim_guest *find(const struct sim_host *h, const struct hf_uuid *uuid)
{
    struct sim_guest *g = h->guests;
    while (g && !hf_uuid_equal(&g->uuid, uuid))
        g = g->next;
    return g;
}

/* --- writes --- */

static void on_written(void *arg, bool ok, const char *why)
{
    struct sim_guest *g = arg;
    struct sim_host *h = g->host;
    (void)why;
    g->under_way--;
    if (h && !ok && g->runs && !g->killed)
        hf_vm_machine_guest_stop(h->vms, &g->uuid);
    if (h && g->under_way == 0 && !g->abandons)
        hf_vm_machine_let_go(h->vms, &g->uuid);
    else if (!h)
        release(g);
}

static void write_once(struct sim_guest *g)
{
    struct sim_storage *s = g->storages[g->counter % g->n_storages];
    g->under_way++;
    sim_storage_guest_write(s, g->host->number, &g->uuid, g->run, ++g->counter, on_written, g);
}

static void on_tick(void *arg);

static void drop_tick(void *arg)
{
    struct sim_guest *g = arg;
    g->ticking = false;
    release(g);
}

static void tick_in(struct sim_guest *g, int64_t ns)
{
    g->ticking = true;
    sim_after(g->sim, ns, on_tick, drop_tick, g);
}

static void on_tick(void *arg)
{
    struct sim_guest *g = arg;
    g->ticking = false;
    if (!g->host) {
        release(g);
    } else if (g->executes) {
        tick_in(g,
                g->host->world->profile.guest_write_ms * HF_MS_NS); /* before the write, which may end it */
        if (g->under_way < WRITES_UNDER_WAY_MAX)
            write_once(g);
    }
}

/* --- whether it executes --- */

static void see(struct sim_guest *g)
{
    struct sim_host *h = g->host;
    bool executes = g->runs && h->powered && h->pauses == 0;
    if (executes == g->executes)
        return;
    g->executes = executes;
    sim_mix(h->sim, g->run * 2 + executes);
    if (sim_tracing(h->sim)) {
        char id[HF_UUID_STR];
        sim_trace(h->sim, h->name, "instance %s run %llu %s", hf_uuid_format(&g->uuid, id),
                  (unsigned long long)g->run, executes ? "executes" : "ceases to execute");
    }
    if (sim_host_checks(h))
        sim_checks_copy(sim_host_checks(h), sim_now_ns(h->sim), h->number, &g->uuid, g->run, executes);
    int64_t period_ms = h->world->profile.guest_write_ms;
    if (executes && !g->ticking && period_ms > 0 && g->n_storages > 0)
        tick_in(g, sim_rng_between(&h->rng, 0, period_ms * HF_MS_NS));
}

static struct sim_ceph_client client_of(const struct sim_host *h, const struct sim_ceph *cluster,
                                        const struct hf_uuid *instance, uint64_t run)
{
    struct sim_ceph_client c = {.number = sim_ceph_guest_number(instance, run)};
    snprintf(c.address, sizeof c.address, "%s", sim_ceph_host_address(cluster, h->number));
    return c;
}

void sim_host_refuse_guests(struct sim_host *h, int64_t for_ns)
{
    for (struct sim_guest *g = h->guests; g; g = g->next)
        for (unsigned i = 0; i < g->n_storages; i++) {
            struct sim_ceph *cluster = sim_storage_ceph(g->storages[i]);
            if (!cluster)
                continue;
            struct sim_ceph_client who = client_of(h, cluster, &g->uuid, g->run);
            sim_ceph_block_client(cluster, &who, for_ns);
        }
}

static struct sim_guest *guest_new(struct sim_host *h, const struct hf_vm_sim_guest *v)
{
    struct sim_guest *g = HF_NEW(struct sim_guest);
    g->host = h;
    g->sim = h->sim;
    g->uuid = v->uuid;
    g->run = v->run;
    g->stubborn = sim_rng_below(&h->rng, 2) == 0;
    for (size_t i = 0; i < v->n_disks && g->n_storages < STORAGES_MAX; i++) {
        struct sim_storage *s = sim_host_storage_at(h, v->disks[i]);
        if (s)
            g->storages[g->n_storages++] = s;
    }
    g->next = h->guests;
    h->guests = g;
    return g;
}

/* The target of a migration has its images open before it may write: until then the source owns the locks. */
static void lock_images(struct sim_host *h, const struct hf_vm_sim_guest *v)
{
    for (size_t i = 0; i < v->n_disks; i++) {
        struct sim_storage *s = sim_host_storage_at(h, v->disks[i]);
        struct sim_ceph *cluster = s ? sim_storage_ceph(s) : NULL;
        if (!cluster)
            continue;
        struct sim_ceph_client me = client_of(h, cluster, &v->uuid, v->run);
        sim_ceph_locked(cluster, v->disks[i], &me);
    }
}

static void on_runs(void *arg, const struct hf_vm_sim_guest *v)
{
    struct sim_host *h = arg;
    struct sim_guest *g = find(h, &v->uuid);
    if (!g)
        g = guest_new(h, v);
    if (v->runs && !g->runs)
        lock_images(h, v);
    g->runs = v->runs;
    see(g);
}

static void on_ended(void *arg, const struct hf_vm_sim_guest *v, enum hf_vm_gone why)
{
    struct sim_host *h = arg;
    struct sim_guest **at = &h->guests;
    (void)why;
    while (!hf_uuid_equal(&(*at)->uuid, &v->uuid))
        at = &(*at)->next;
    struct sim_guest *g = *at;
    *at = g->next;
    g->runs = false;
    see(g);
    g->host = NULL;
    release(g);
}

/* A QEMU that ends by itself waits for its writes; one that is killed leaves them under way, if the kernel
 * lets it. */
static bool on_held(void *arg, const struct hf_uuid *uuid, enum hf_vm_gone why)
{
    struct sim_guest *g = find(arg, uuid);
    g->killed = true;
    g->abandons = why != HF_VM_GONE_GUEST && !g->stubborn;
    for (unsigned i = 0; i < g->n_storages && g->abandons && g->under_way > 0; i++)
        sim_storage_guest_killed(g->storages[i], g->host->number, uuid);
    g->abandons = false;
    return g->under_way > 0;
}

static bool on_writes(void *arg, const struct hf_uuid *uuid)
{
    const struct sim_guest *g = find(arg, uuid);
    return g && g->under_way > 0;
}

static void on_asks(void *arg, const struct hf_vm_sim_guest *v)
{
    sim_gate_stands(arg, v);
}

/* --- for the machine --- */

void sim_guests_begin(struct sim_host *h)
{
    struct hf_vm_sim_watch w = {.runs = on_runs,
                                .ended = on_ended,
                                .asks = h->o.no_gate ? NULL : on_asks,
                                .writes = on_writes,
                                .held = on_held,
                                .arg = h};
    hf_vm_machine_watch(h->vms, &w);
}

void sim_guests_end(struct sim_host *h)
{
    struct hf_vm_sim_watch none = {0};
    hf_vm_machine_watch(h->vms, &none);
    while (h->guests) {
        struct sim_guest *g = h->guests;
        h->guests = g->next;
        see(g);
        g->host = NULL;
        release(g);
    }
}

void sim_guests_see_pause(struct sim_host *h)
{
    for (struct sim_guest *g = h->guests; g; g = g->next)
        see(g);
}

void sim_guests_ordered(struct sim_host *h, const struct hf_uuid *instance)
{
    for (struct sim_guest *g = h->guests; g; g = g->next)
        if (!instance || hf_uuid_equal(&g->uuid, instance))
            g->ordered = true;
}

void sim_guests_tell_kill(struct sim_host *h, const struct hf_uuid *instance, enum sim_killer by)
{
    if (!sim_host_checks(h))
        return;
    for (struct sim_guest *g = h->guests; g; g = g->next)
        if ((!instance || hf_uuid_equal(&g->uuid, instance)) && !g->ordered &&
            (g->runs || by == SIM_KILLED_BY_KEEPER)) /* it kills what it has frozen */
            sim_checks_kill(sim_host_checks(h), sim_now_ns(h->sim), h->number, &g->uuid, g->run, by);
}
