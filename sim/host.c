/* Power, processes and their supervisor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sim/host_private.h"

#define KEEPER_STARTS_NS (20 * HF_MS_NS)
#define DAEMON_LOW_NS    (30 * HF_MS_NS)
#define DAEMON_HIGH_NS   (500 * HF_MS_NS)
#define RESTART_LOW_NS   (100 * HF_MS_NS)
#define RESTART_HIGH_NS  (5 * HF_S_NS)
#define LIBVIRT_LOW_NS   (200 * HF_MS_NS)
#define LIBVIRT_HIGH_NS  (20 * HF_S_NS)
#define CALL_MAX_MS      20 /* of the hypervisor; a start takes longer */
#define START_MIN_MS     100
#define START_MAX_MS     1500
#define MOVE_MIN_MS      200
#define MOVE_MAX_MS      20000
#define BOOT_LOW_NS      (5 * HF_S_NS)
#define BOOT_HIGH_NS     (30 * HF_S_NS)

/* --- life --- */

static void on_daemon_lost(void *arg);
static void on_keeper_lost(void *arg);
static void on_libvirt_lost(void *arg);

static void init_proc(struct sim_host *h, struct sim_proc *p, const char *what, void (*crashed)(void *))
{
    char name[SIM_PROC_NAME];
    snprintf(name, sizeof name, "%s/%s", h->name, what);
    sim_proc_init(p, h->sim, name, h->number);
    p->rate_ppm = h->o.rate_ppm;
    p->wall_offset_ms = h->o.wall_offset_ms;
    p->crashed = crashed;
    p->arg = h;
}

static void make_identity(struct sim_host *h)
{
    struct sim_rng r = sim_rng_make(sim_seed(h->sim), "identity", h->number);
    for (size_t i = 0; i < sizeof h->uuid.b; i++)
        h->uuid.b[i] = (uint8_t)sim_rng_u64(&r);
    for (size_t i = 0; i < sizeof h->secret; i++)
        h->secret[i] = (uint8_t)sim_rng_u64(&r);
}

struct sim_host *sim_host_create(struct sim_world *w, unsigned i, const struct sim_host_options *o)
{
    HF_ASSERT(i < SIM_HOSTS_MAX);
    struct sim_host *h = HF_NEW(struct sim_host);
    h->world = w;
    h->sim = w->sim;
    h->number = i;
    h->o = *o;
    snprintf(h->name, sizeof h->name, "h%u", i + 1);
    snprintf(h->management_ip, sizeof h->management_ip, "10.0.1.%u", i + 1);
    h->place = sim_net_add(w->net, h->name);
    sim_net_set_power(w->net, h->place, false);
    h->rng = sim_rng_make(sim_seed(w->sim), "host", i);
    make_identity(h);
    init_proc(h, &h->procs[SIM_HOSTD], "hostd", on_daemon_lost);
    init_proc(h, &h->procs[SIM_KEEPER], "keeper", on_keeper_lost);
    init_proc(h, &h->procs[SIM_HYPERVISOR], "hypervisor", on_libvirt_lost);
    init_proc(h, &h->machine, "machine", NULL);
    if (w->checks)
        sim_checks_name_host(w->checks, i, &h->uuid);
    return h;
}

void sim_host_free(struct sim_host *h)
{
    HF_ASSERT(!h->powered);
    for (unsigned i = 0; i < SIM_HOST_PROCS; i++)
        sim_proc_done(&h->procs[i]);
    sim_proc_done(&h->machine);
    free(h);
}

const struct hf_uuid *sim_host_uuid(const struct sim_host *h)
{
    return &h->uuid;
}

unsigned sim_host_place(const struct sim_host *h)
{
    return h->place;
}

const char *sim_host_name(const struct sim_host *h)
{
    return h->name;
}

const char *sim_host_management_ip(const struct sim_host *h)
{
    return h->management_ip;
}

struct sim_storage *sim_host_storage(const struct sim_host *h, unsigned i)
{
    if (i < h->world->sizes.shared_storages)
        return h->world->shared[i];
    return i == h->world->sizes.shared_storages ? h->world->local[h->number] : NULL;
}

struct sim_storage *sim_host_storage_at(const struct sim_host *h, const char *path)
{
    for (unsigned i = 0;; i++) {
        struct sim_storage *s = sim_host_storage(h, i);
        if (!s)
            return NULL;
        const char *root = sim_storage_path(s);
        size_t len = strlen(root);
        if (strncmp(path, root, len) == 0 && (path[len] == '\0' || path[len] == '/'))
            return s;
    }
}

/* --- the supervisor --- */

/* A start of a process, in a while. */
struct start {
    struct sim_host *host;
    uint64_t boot;
    enum sim_host_proc which;
};

static void start_later(struct sim_host *h, enum sim_host_proc which, int64_t low_ns, int64_t high_ns);

/* The lock on its state file is held as long as a thread of the last keeper hangs in a write. */
static bool keeper_is_locked_out(const struct sim_host *h)
{
    struct sim_storage *s;
    for (unsigned i = 0; (s = sim_host_storage(h, i)) != NULL; i++)
        if (sim_storage_record_held(s, h->number))
            return true;
    return false;
}

static void start_process(struct sim_host *h, enum sim_host_proc which)
{
    static void (*const begin[])(struct sim_host *) = {[SIM_HOSTD] = sim_daemon_begin,
                                                       [SIM_KEEPER] = sim_keeper_begin,
                                                       [SIM_HYPERVISOR] = sim_libvirt_begin};
    if (which == SIM_KEEPER && keeper_is_locked_out(h)) {
        start_later(h, which, RESTART_LOW_NS, RESTART_HIGH_NS);
        return;
    }
    sim_trace(h->sim, h->procs[which].name, "starts");
    sim_proc_start(&h->procs[which]);
    begin[which](h);
}

static void on_start(void *arg)
{
    struct start s = *(struct start *)arg;
    free(arg);
    if (s.boot != s.host->boot || !s.host->powered || s.host->procs[s.which].up)
        return;
    if (s.host->pauses > 0)
        s.host->start_due[s.which] = true;
    else
        start_process(s.host, s.which);
}

static void start_later(struct sim_host *h, enum sim_host_proc which, int64_t low_ns, int64_t high_ns)
{
    struct start *s = HF_NEW(struct start);
    *s = (struct start){h, h->boot, which};
    sim_after(h->sim, sim_rng_skewed(&h->rng, low_ns, high_ns), on_start, free, s);
}

static void on_daemon_lost(void *arg)
{
    struct sim_host *h = arg;
    sim_daemon_end(h);
    if (h->powered)
        start_later(h, SIM_HOSTD, RESTART_LOW_NS, RESTART_HIGH_NS);
}

static void on_keeper_lost(void *arg)
{
    struct sim_host *h = arg;
    sim_keeper_end(h);
    if (h->powered)
        start_later(h, SIM_KEEPER, RESTART_LOW_NS, RESTART_HIGH_NS);
}

static void on_libvirt_lost(void *arg)
{
    struct sim_host *h = arg;
    sim_libvirt_end(h);
    if (h->powered)
        start_later(h, SIM_HYPERVISOR, LIBVIRT_LOW_NS, LIBVIRT_HIGH_NS);
}

void sim_host_crash(struct sim_host *h, enum sim_host_proc which)
{
    sim_proc_crash(&h->procs[which]);
}

struct sim_proc *sim_host_proc(struct sim_host *h, enum sim_host_proc which)
{
    return &h->procs[which];
}

/* --- the machine --- */

/* Its clocks that count from the boot begin anew, at their rate. */
static void reset_clock(struct sim_host *h, struct sim_proc *p)
{
    p->set_ns = sim_now_ns(h->sim);
    p->shown_ns = HF_S_NS;
}

static void make_boot_id(struct sim_host *h)
{
    uint64_t a = sim_rng_u64(&h->rng), b = sim_rng_u64(&h->rng);
    snprintf(h->boot_id, sizeof h->boot_id, "%08x-%04x-%04x-%04x-%012llx", (unsigned)(a >> 32),
             (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xffff), (unsigned)(b >> 48),
             (unsigned long long)(b & 0xffffffffffffu));
}

void sim_host_power_on(struct sim_host *h)
{
    struct sim_storage *s;
    if (h->powered)
        return;
    sim_trace(h->sim, h->name, "boots");
    h->powered = true;
    h->boot++;
    make_boot_id(h);
    for (unsigned i = 0; i < SIM_HOST_PROCS; i++)
        reset_clock(h, &h->procs[i]);
    reset_clock(h, &h->machine);
    sim_net_set_power(h->world->net, h->place, true);
    sim_proc_start(&h->machine);
    h->vms = hf_vm_machine_create(&h->machine.env);
    unsigned call_ms = (unsigned)sim_rng_between(&h->rng, 1, CALL_MAX_MS);
    unsigned start_ms = (unsigned)sim_rng_between(&h->rng, START_MIN_MS, START_MAX_MS);
    hf_vm_machine_set_latency(h->vms, call_ms, start_ms);
    hf_vm_machine_set_peers(h->vms, sim_libvirt_peer, h);
    hf_vm_machine_set_move_ms(h->vms, (unsigned)sim_rng_skewed(&h->rng, MOVE_MIN_MS, MOVE_MAX_MS));
    h->libvirt = sim_libvirt_open(h);
    h->bridges = hf_net_sim_create(&h->procs[SIM_HOSTD].env);
    sim_guests_begin(h);
    for (unsigned i = 0; (s = sim_host_storage(h, i)) != NULL; i++)
        sim_storage_host_boots(s, h->number, h->boot);
    if (sim_host_checks(h))
        sim_checks_host_lost(sim_host_checks(h), sim_now_ns(h->sim), h->number, false);
    start_later(h, SIM_HYPERVISOR, 0, KEEPER_STARTS_NS);
    start_later(h, SIM_KEEPER, 0, KEEPER_STARTS_NS);
    start_later(h, SIM_HOSTD, DAEMON_LOW_NS, DAEMON_HIGH_NS);
}

void sim_host_power_off(struct sim_host *h)
{
    struct sim_storage *s;
    h->boot++; /* whatever was to be started is not */
    memset(h->start_due, 0, sizeof h->start_due);
    if (!h->powered)
        return;
    sim_trace(h->sim, h->name, "has no power");
    h->powered = false;
    sim_net_set_power(h->world->net, h->place, false);
    if (sim_host_checks(h))
        sim_checks_host_lost(sim_host_checks(h), sim_now_ns(h->sim), h->number, true);
    sim_guests_end(h); /* first: what I/O says from here on reaches nobody */
    for (unsigned i = 0; (s = sim_host_storage(h, i)) != NULL; i++)
        sim_storage_host_died(s, h->number);
    for (unsigned i = 0; i < SIM_HOST_PROCS; i++) {
        HF_ASSERT(!h->procs[i].in_turn);
        sim_proc_crash(&h->procs[i]);
    }
    hf_vm_sim_cancel(h->libvirt);
    h->libvirt->ops->close(h->libvirt, NULL, NULL);
    hf_vm_machine_free(h->vms);
    hf_net_sim_free(h->bridges);
    sim_proc_crash(&h->machine);
    sim_gate_end(h);
    sim_watchdog_off(h);
    free(h->saved);
    h->saved = NULL;
    h->vms = NULL;
    h->libvirt = NULL;
    h->bridges = NULL;
}

struct boot {
    struct sim_host *host;
    uint64_t number;
};

static void on_boot(void *arg)
{
    struct boot b = *(struct boot *)arg;
    free(arg);
    if (b.number == b.host->boot)
        sim_host_power_on(b.host);
}

void sim_host_reset(struct sim_host *h)
{
    struct boot *b = HF_NEW(struct boot);
    sim_host_power_off(h);
    *b = (struct boot){h, h->boot};
    sim_after(h->sim, sim_rng_between(&h->rng, BOOT_LOW_NS, BOOT_HIGH_NS), on_boot, free, b);
}

bool sim_host_powered(const struct sim_host *h)
{
    return h->powered;
}

void sim_host_pause(struct sim_host *h)
{
    if (h->pauses++ > 0)
        return;
    sim_trace(h->sim, h->name, "stands still");
    for (unsigned i = 0; i < SIM_HOST_PROCS; i++)
        sim_proc_stop(&h->procs[i]);
    sim_proc_stop(&h->machine);
    sim_guests_see_pause(h);
}

void sim_host_resume(struct sim_host *h)
{
    HF_ASSERT(h->pauses > 0);
    if (--h->pauses > 0)
        return;
    sim_trace(h->sim, h->name, "goes on");
    sim_guests_see_pause(h); /* guests need nobody's leave */
    sim_proc_cont(&h->machine);
    for (unsigned i = 0; i < SIM_HOST_PROCS; i++) {
        sim_proc_cont(&h->procs[i]);
        if (h->start_due[i])
            start_process(h, (enum sim_host_proc)i);
        h->start_due[i] = false;
    }
}

bool sim_host_paused(const struct sim_host *h)
{
    return h->pauses > 0;
}

/* --- faults and looks from outside --- */

void sim_host_hypervisor_fault(struct sim_host *h, unsigned op, unsigned fault, unsigned times)
{
    if (!h->powered)
        return;
    if (fault == HF_SIM_FAILS)
        hf_sim_set_error(hf_vm_machine_faults(h->vms), op, HF_UNAVAILABLE, "libvirt refuses", times);
    else
        hf_sim_set_fault(hf_vm_machine_faults(h->vms), op, (enum hf_sim_fault)fault, times);
}

void sim_host_set_unkillable(struct sim_host *h, bool unkillable)
{
    if (h->powered)
        hf_vm_machine_set_unkillable(h->vms, unkillable);
}

void sim_host_set_run_full(struct sim_host *h, bool full)
{
    h->run_full = full;
}

struct sim_host_exec *sim_host_exec(struct sim_host *h)
{
    return &h->exec;
}

bool sim_host_guest_ends(struct sim_host *h, const struct hf_uuid *instance)
{
    if (!h->powered || h->pauses > 0 || !hf_vm_machine_runs(h->vms, instance))
        return false;
    hf_vm_machine_guest_power_off(h->vms, instance);
    return true;
}

bool sim_host_attached(const struct sim_host *h)
{
    return sim_daemon_attached(h);
}

size_t sim_host_guests(const struct sim_host *h)
{
    return h->powered ? hf_vm_machine_count(h->vms) : 0;
}

unsigned sim_host_watchdog_fired(const struct sim_host *h)
{
    return h->dog.fired;
}

struct each {
    const struct sim_host *host;
    void (*cb)(void *arg, const struct hf_uuid *instance, uint64_t run, bool runs);
    void *arg;
};

static void each_guest(void *arg, const struct hf_vm_sim_guest *g)
{
    struct each *e = arg;
    e->cb(e->arg, &g->uuid, g->run, g->runs && e->host->pauses == 0);
}

void sim_host_each_guest(const struct sim_host *h,
                         void (*cb)(void *arg, const struct hf_uuid *instance, uint64_t run, bool runs),
                         void *arg)
{
    struct each e = {h, cb, arg};
    if (h->powered)
        hf_vm_machine_each(h->vms, each_guest, &e);
}
