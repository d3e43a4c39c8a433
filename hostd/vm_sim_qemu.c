/* The simulated machine: what happens to its QEMU processes. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "hostd/vm_sim_private.h"

struct hf_sim_vm *hf_sim_vm_find(struct hf_vm_machine *m, const struct hf_uuid *uuid)
{
    struct hf_sim_vm *v = m->vms;
    while (v && !hf_uuid_equal(&v->uuid, uuid))
        v = v->next;
    return v;
}

void hf_sim_disks_free(char **disks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(disks[i]);
    free(disks);
}

/* --- a QEMU --- */

static bool executes(const struct hf_sim_vm *v)
{
    return v->phase == HF_VM_SIM_QEMU && !v->paused && !v->killed && !v->frozen;
}

static struct hf_vm_sim_guest guest_of(const struct hf_sim_vm *v)
{
    return (struct hf_vm_sim_guest){.uuid = v->uuid,
                                    .epoch = v->epoch,
                                    .run = v->run,
                                    .pid = v->pid,
                                    .phase = v->phase,
                                    .runs = executes(v),
                                    .frozen = v->frozen,
                                    .incoming = v->incoming,
                                    .disks = (const char *const *)v->disks,
                                    .n_disks = v->n_disks};
}

void hf_sim_vm_tell_runs(struct hf_vm_machine *m, const struct hf_sim_vm *v)
{
    struct hf_vm_sim_guest g = guest_of(v);
    if (m->watch.runs)
        m->watch.runs(m->watch.arg, &g);
}

void hf_sim_vm_set_paused(struct hf_vm_machine *m, struct hf_sim_vm *v, bool paused)
{
    bool changed = v->paused != paused && !v->killed;
    v->paused = paused;
    v->io_stopped &= paused;
    if (changed)
        hf_sim_vm_tell_runs(m, v);
}

static void free_vm(struct hf_sim_vm *v)
{
    hf_sim_disks_free(v->disks, v->n_disks);
    free(v->refused);
    free(v);
}

static void remove_vm(struct hf_vm_machine *m, struct hf_sim_vm *v, enum hf_vm_gone why)
{
    struct hf_sim_vm **at = &m->vms;
    struct hf_uuid uuid = v->uuid;
    struct hf_vm_sim_guest g = guest_of(v);
    while (*at != v)
        at = &(*at)->next;
    *at = v->next;
    if (m->watch.ended)
        m->watch.ended(m->watch.arg, &g, why);
    hf_sim_vm_started(v, hf_error(HF_UNAVAILABLE, "the process exited while connecting to its monitor: %s",
                                  v->refused ? v->refused : "killed"));
    free_vm(v);
    hf_sim_vm_tell_gone(m, &uuid, why);
}

bool hf_sim_vm_end(struct hf_vm_machine *m, struct hf_sim_vm *v, enum hf_vm_gone why)
{
    bool ran = !v->paused && !v->killed;
    if (!v->killed || why == HF_VM_GONE_DESTROYED) /* libvirt says what it has done itself */
        v->why = why;
    if (!m->watch.held || !m->watch.held(m->watch.arg, &v->uuid, why)) {
        remove_vm(m, v, v->why);
        return true;
    }
    v->killed = true;
    if (ran)
        hf_sim_vm_tell_runs(m, v);
    return false;
}

bool hf_sim_vm_kill(struct hf_vm_machine *m, struct hf_sim_vm *v, enum hf_vm_gone why)
{
    return !m->unkillable && hf_sim_vm_end(m, v, why);
}

void hf_sim_vm_add(struct hf_vm_machine *m, struct hf_sim_vm *v)
{
    v->pid = ++m->next_pid;
    v->boots = 1;
    v->phase = m->watch.asks ? HF_VM_SIM_ASKS : HF_VM_SIM_QEMU;
    v->next = m->vms;
    m->vms = v;
    hf_sim_vm_tell_runs(m, v);
    if (m->watch.asks) {
        struct hf_vm_sim_guest g = guest_of(v);
        m->watch.asks(m->watch.arg, &g);
    }
}

/* --- the machine --- */

struct hf_vm_machine *hf_vm_machine_create(struct hf_env *env)
{
    struct hf_vm_machine *m = HF_NEW(struct hf_vm_machine);
    m->env = env;
    m->queue.env = env;
    m->next_pid = 1000;
    m->call_ms = 5;
    m->start_ms = 200;
    m->late_ms = HF_SIM_LATE_MS;
    m->move_ms = 1000;
    return m;
}

void hf_vm_machine_free(struct hf_vm_machine *m)
{
    HF_ASSERT(m->connections == NULL);
    hf_sim_queue_done(&m->queue);
    while (m->vms) {
        struct hf_sim_vm *v = m->vms;
        m->vms = v->next;
        free_vm(v);
    }
    free(m);
}

struct hf_sim_faults *hf_vm_machine_faults(struct hf_vm_machine *m)
{
    return &m->faults;
}

void hf_vm_machine_set_late(struct hf_vm_machine *m, unsigned late_ms)
{
    m->late_ms = late_ms;
}

void hf_vm_machine_set_latency(struct hf_vm_machine *m, unsigned call_ms, unsigned start_ms)
{
    m->call_ms = call_ms;
    m->start_ms = start_ms;
}

bool hf_vm_machine_exists(struct hf_vm_machine *m, const struct hf_uuid *uuid, uint64_t *ret_run,
                          int *ret_pid)
{
    struct hf_sim_vm *v = hf_sim_vm_find(m, uuid);
    if (v && ret_run)
        *ret_run = v->run;
    if (v && ret_pid)
        *ret_pid = v->pid;
    return v != NULL;
}

bool hf_vm_machine_runs(struct hf_vm_machine *m, const struct hf_uuid *uuid)
{
    struct hf_sim_vm *v = hf_sim_vm_find(m, uuid);
    return v && executes(v);
}

unsigned hf_vm_machine_boots(struct hf_vm_machine *m, const struct hf_uuid *uuid)
{
    struct hf_sim_vm *v = hf_sim_vm_find(m, uuid);
    return v ? v->boots : 0;
}

uint64_t hf_vm_machine_grown_bytes(struct hf_vm_machine *m, const struct hf_uuid *uuid)
{
    const struct hf_sim_vm *v = hf_sim_vm_find(m, uuid);
    return v ? v->grown_bytes : 0;
}

size_t hf_vm_machine_count(const struct hf_vm_machine *m)
{
    size_t n = 0;
    for (struct hf_sim_vm *v = m->vms; v; v = v->next)
        n++;
    return n;
}

void hf_vm_machine_guest_ignores_acpi(struct hf_vm_machine *m, bool ignores)
{
    m->ignores_acpi = ignores;
}

void hf_vm_machine_guest_power_off(struct hf_vm_machine *m, const struct hf_uuid *uuid)
{
    struct hf_sim_vm *v = hf_sim_vm_find(m, uuid);
    HF_ASSERT(v);
    hf_sim_vm_end(m, v, HF_VM_GONE_GUEST);
}

bool hf_vm_machine_kill(struct hf_vm_machine *m, const struct hf_uuid *uuid)
{
    struct hf_sim_vm *v = hf_sim_vm_find(m, uuid);
    return !v || hf_sim_vm_kill(m, v, HF_VM_GONE_CRASHED);
}

bool hf_vm_machine_kill_all(struct hf_vm_machine *m)
{
    for (struct hf_sim_vm *v = m->vms, *next; v; v = next) {
        next = v->next;
        hf_sim_vm_kill(m, v, HF_VM_GONE_CRASHED);
    }
    return m->vms == NULL;
}

void hf_vm_machine_set_unkillable(struct hf_vm_machine *m, bool unkillable)
{
    m->unkillable = unkillable;
}

void hf_vm_machine_let_go(struct hf_vm_machine *m, const struct hf_uuid *uuid)
{
    struct hf_sim_vm *v = hf_sim_vm_find(m, uuid);
    if (v && v->killed)
        remove_vm(m, v, v->why);
}

void hf_vm_machine_guest_stop(struct hf_vm_machine *m, const struct hf_uuid *uuid)
{
    struct hf_sim_vm *v = hf_sim_vm_find(m, uuid);
    HF_ASSERT(v);
    v->io_stopped = true;
    hf_sim_vm_set_paused(m, v, true);
}

void hf_vm_machine_freeze(struct hf_vm_machine *m, const struct hf_uuid *uuid, bool frozen)
{
    struct hf_sim_vm *v = hf_sim_vm_find(m, uuid);
    if (!v || v->frozen == frozen)
        return;
    v->frozen = frozen;
    hf_sim_vm_tell_runs(m, v);
}

void hf_vm_machine_watch(struct hf_vm_machine *m, const struct hf_vm_sim_watch *w)
{
    m->watch = *w;
}

void hf_vm_machine_each(const struct hf_vm_machine *m, void (*cb)(void *arg, const struct hf_vm_sim_guest *g),
                        void *arg)
{
    for (const struct hf_sim_vm *v = m->vms; v; v = v->next) {
        struct hf_vm_sim_guest g = guest_of(v);
        cb(arg, &g);
    }
}
