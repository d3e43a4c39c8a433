#include "hostd/vm_sim.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

struct vm {
    struct vm *next;
    struct hf_uuid uuid;
    uint64_t epoch, run;
    int pid;
    bool paused;
    bool killed;         /* it has ended, but the kernel holds the process */
    enum hf_vm_gone why; /* how */
    unsigned boots;
    char **disks;
    size_t n_disks;
};

struct connection {
    struct hf_hypervisor hv;
    struct connection *next;
    struct hf_vm_machine *machine;
    struct hf_sim_queue queue;
};

struct hf_vm_machine {
    struct hf_env *env;
    struct hf_sim_faults faults;
    struct hf_sim_queue queue; /* guests' own time: a shutdown under way, late orders */
    struct vm *vms;
    struct connection *connections;
    struct hf_vm_sim_watch watch;
    int next_pid;
    bool down, ignores_acpi, unkillable;
    unsigned call_ms, start_ms, late_ms;
    struct late *lates;
};

/* One order on its way. */
struct order {
    struct connection *c;
    enum hf_vm_sim_op op;
    enum hf_sim_fault fault;
    struct hf_uuid uuid;
    uint64_t epoch, run;
    bool reset;
    char **disks; /* START; the order's until a QEMU has them */
    size_t n_disks;
    hf_vm_done_cb cb;
    hf_vm_list_cb list_cb;
    void *arg;
};

/* An order that is done apart from its answer. */
struct late {
    struct late *next;
    struct hf_vm_machine *machine;
    struct order order;
};

static struct connection *of(struct hf_hypervisor *h)
{
    return hf_container_of(h, struct connection, hv);
}

static struct vm *find(struct hf_vm_machine *m, const struct hf_uuid *uuid)
{
    struct vm *v = m->vms;
    while (v && !hf_uuid_equal(&v->uuid, uuid))
        v = v->next;
    return v;
}

/* --- disks of an order or a QEMU --- */

static char **copy_disks(const struct hf_vm_disk *disks, size_t n)
{
    char **copy = hf_alloc_array(n, sizeof *copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = hf_strdup(disks[i].path);
    return copy;
}

static void free_disks(char **disks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(disks[i]);
    free(disks);
}

/* --- a QEMU --- */

static struct hf_vm_sim_guest guest_of(const struct vm *v)
{
    return (struct hf_vm_sim_guest){.uuid = v->uuid,
                                    .epoch = v->epoch,
                                    .run = v->run,
                                    .pid = v->pid,
                                    .runs = !v->paused && !v->killed,
                                    .disks = (const char *const *)v->disks,
                                    .n_disks = v->n_disks};
}

static void tell_runs(struct hf_vm_machine *m, const struct vm *v)
{
    struct hf_vm_sim_guest g = guest_of(v);
    if (m->watch.runs)
        m->watch.runs(m->watch.arg, &g);
}

static void set_paused(struct hf_vm_machine *m, struct vm *v, bool paused)
{
    bool changed = v->paused != paused && !v->killed;
    v->paused = paused;
    if (changed)
        tell_runs(m, v);
}

static void free_vm(struct vm *v)
{
    free_disks(v->disks, v->n_disks);
    free(v);
}

static void remove_vm(struct hf_vm_machine *m, struct vm *v, enum hf_vm_gone why)
{
    struct vm **at = &m->vms;
    struct hf_uuid uuid = v->uuid;
    struct hf_vm_sim_guest g = guest_of(v);
    while (*at != v)
        at = &(*at)->next;
    *at = v->next;
    if (m->watch.ended)
        m->watch.ended(m->watch.arg, &g, why);
    free_vm(v);
    for (struct connection *c = m->connections, *next; c && !m->down; c = next) {
        next = c->next;
        c->hv.events.gone(c->hv.events.arg, &uuid, why);
    }
}

/* Its virtual CPUs execute no more. False: the process is still there, until the kernel lets it go. */
static bool end_vm(struct hf_vm_machine *m, struct vm *v, enum hf_vm_gone why)
{
    bool ran = !v->paused && !v->killed;
    if (!v->killed)
        v->why = why;
    if (!m->watch.held || !m->watch.held(m->watch.arg, &v->uuid)) {
        remove_vm(m, v, v->why);
        return true;
    }
    v->killed = true;
    if (ran)
        tell_runs(m, v);
    return false;
}

/* SIGKILL; false: the process is still there. */
static bool kill_vm(struct hf_vm_machine *m, struct vm *v, enum hf_vm_gone why)
{
    return !m->unkillable && end_vm(m, v, why);
}

/* --- what an order does --- */

static hf_status do_start(struct hf_vm_machine *m, struct order *o)
{
    if (find(m, &o->uuid))
        return hf_error(HF_EXISTS, "a domain of this UUID runs already");
    struct vm *v = HF_NEW(struct vm);
    v->uuid = o->uuid;
    v->epoch = o->epoch;
    v->run = o->run;
    v->pid = ++m->next_pid;
    v->boots = 1;
    v->disks = o->disks;
    v->n_disks = o->n_disks;
    o->disks = NULL;
    o->n_disks = 0;
    v->next = m->vms;
    m->vms = v;
    tell_runs(m, v);
    return HF_STATUS_OK;
}

static hf_status do_shutdown(struct hf_vm_machine *m, struct vm *v)
{
    if (!m->ignores_acpi && !v->paused)
        end_vm(m, v, HF_VM_GONE_GUEST);
    return HF_STATUS_OK;
}

static bool is_stuck(const struct hf_vm_machine *m, const struct hf_uuid *uuid)
{
    for (const struct late *l = m->lates; l; l = l->next)
        if (hf_uuid_equal(&l->order.uuid, uuid))
            return true;
    return false;
}

static hf_status apply(struct hf_vm_machine *m, struct order *o)
{
    struct vm *v = find(m, &o->uuid);
    if (o->op != HF_VM_SIM_LIST && is_stuck(m, &o->uuid))
        return hf_error(HF_UNAVAILABLE, "an earlier call to the domain has not come back");
    if (m->down)
        return hf_error(HF_UNAVAILABLE, "the hypervisor does not answer");
    if (o->op == HF_VM_SIM_START)
        return do_start(m, o);
    if (o->op == HF_VM_SIM_LIST || (!v && o->op == HF_VM_SIM_DESTROY))
        return HF_STATUS_OK;
    if (!v)
        return hf_error(HF_NOT_FOUND, "there is no such domain");
    switch (o->op) {
    case HF_VM_SIM_SHUTDOWN:
        return do_shutdown(m, v);
    case HF_VM_SIM_DESTROY:
        return kill_vm(m, v, HF_VM_GONE_DESTROYED) ? HF_STATUS_OK : hf_error(HF_TIMEOUT, "QEMU does not end");
    case HF_VM_SIM_REBOOT:
        v->boots++;
        return HF_STATUS_OK;
    case HF_VM_SIM_PAUSE:
    case HF_VM_SIM_RESUME:
        set_paused(m, v, o->op == HF_VM_SIM_PAUSE);
        return HF_STATUS_OK;
    case HF_VM_SIM_START:
    case HF_VM_SIM_LIST:
        break;
    }
    return HF_STATUS_OK;
}

/* --- answers --- */

static void answer_list(struct order *o, hf_status st)
{
    struct hf_vm_machine *m = o->c->machine;
    size_t n = 0;
    struct hf_vm_seen *seen = hf_alloc_array(hf_vm_machine_count(m) + 1, sizeof *seen);
    for (struct vm *v = m->vms; v && hf_ok(st); v = v->next)
        seen[n++] =
            (struct hf_vm_seen){v->uuid, v->epoch, v->run, v->paused ? HF_VM_PAUSED : HF_VM_RUNNING, v->pid};
    o->list_cb(o->arg, st, seen, n);
    free(seen);
}

static void order_free(void *arg)
{
    struct order *o = arg;
    free_disks(o->disks, o->n_disks);
    free(o);
}

static void answer(void *arg)
{
    struct order *o = arg;
    struct hf_vm_machine *m = o->c->machine;
    hf_status st = o->c->queue.cancelled     ? hf_error(HF_CANCELLED, "its connection ends")
                   : o->fault == HF_SIM_GOOD ? apply(m, o)
                                             : hf_sim_fault_status(&m->faults, o->op, o->fault);
    if (o->op == HF_VM_SIM_LIST)
        answer_list(o, st);
    else
        o->cb(o->arg, st);
    hf_status_drop(st);
    order_free(o);
}

static void late_free(void *arg)
{
    struct late *l = arg, **at = &l->machine->lates;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    free_disks(l->order.disks, l->order.n_disks);
    free(l);
}

static void act_late(void *arg)
{
    struct late *l = arg;
    struct hf_vm_machine *m = l->machine;
    struct order o = l->order;
    l->order.disks = NULL;
    l->order.n_disks = 0;
    late_free(l);
    hf_status_drop(apply(m, &o));
    free_disks(o.disks, o.n_disks);
}

static void send(struct hf_hypervisor *h, struct order order, unsigned deadline_ms)
{
    struct connection *c = of(h);
    struct hf_vm_machine *m = c->machine;
    struct order *o = HF_NEW(struct order);
    unsigned ms = order.op == HF_VM_SIM_START ? m->start_ms : m->call_ms;
    *o = order;
    o->c = c;
    o->fault = hf_sim_take_fault(&m->faults, o->op);
    if (o->fault == HF_SIM_LOST_ANSWER || o->fault == HF_SIM_LATE) {
        struct late *l = HF_NEW(struct late);
        *l = (struct late){m->lates, m, *o};
        o->disks = NULL;
        o->n_disks = 0;
        m->lates = l;
        hf_sim_later(&m->queue, o->fault == HF_SIM_LATE ? deadline_ms + m->late_ms : ms, act_late, late_free,
                     l);
    }
    if (o->fault != HF_SIM_GOOD && o->fault != HF_SIM_FAILS)
        ms = deadline_ms;
    hf_sim_later(&c->queue, ms, answer, order_free, o);
}

/* --- the vtable --- */

static void vm_start(struct hf_hypervisor *h, const struct hf_vm_spec *s, unsigned ms, hf_vm_done_cb cb,
                     void *arg)
{
    HF_ASSERT(s->run != 0 && s->epoch != 0 && s->n_disks > 0);
    send(h,
         (struct order){.op = HF_VM_SIM_START,
                        .uuid = s->uuid,
                        .epoch = s->epoch,
                        .run = s->run,
                        .disks = copy_disks(s->disks, s->n_disks),
                        .n_disks = s->n_disks,
                        .cb = cb,
                        .arg = arg},
         ms);
}

static void vm_shutdown(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned ms, hf_vm_done_cb cb,
                        void *arg)
{
    send(h, (struct order){.op = HF_VM_SIM_SHUTDOWN, .uuid = *u, .cb = cb, .arg = arg}, ms);
}

static void vm_destroy(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned ms, hf_vm_done_cb cb,
                       void *arg)
{
    send(h, (struct order){.op = HF_VM_SIM_DESTROY, .uuid = *u, .cb = cb, .arg = arg}, ms);
}

static void vm_reboot(struct hf_hypervisor *h, const struct hf_uuid *u, bool reset, unsigned ms,
                      hf_vm_done_cb cb, void *arg)
{
    send(h, (struct order){.op = HF_VM_SIM_REBOOT, .uuid = *u, .reset = reset, .cb = cb, .arg = arg}, ms);
}

static void vm_pause(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned ms, hf_vm_done_cb cb,
                     void *arg)
{
    send(h, (struct order){.op = HF_VM_SIM_PAUSE, .uuid = *u, .cb = cb, .arg = arg}, ms);
}

static void vm_resume(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned ms, hf_vm_done_cb cb,
                      void *arg)
{
    send(h, (struct order){.op = HF_VM_SIM_RESUME, .uuid = *u, .cb = cb, .arg = arg}, ms);
}

static void vm_list(struct hf_hypervisor *h, unsigned ms, hf_vm_list_cb cb, void *arg)
{
    send(h, (struct order){.op = HF_VM_SIM_LIST, .list_cb = cb, .arg = arg}, ms);
}

static void vm_close(struct hf_hypervisor *h, void (*closed)(void *arg), void *arg)
{
    struct connection *c = of(h), **at = &c->machine->connections;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    hf_sim_queue_done(&c->queue);
    free(c);
    if (closed)
        closed(arg);
}

void hf_vm_sim_cancel(struct hf_hypervisor *h)
{
    hf_sim_queue_cancel(&of(h)->queue);
}

static const struct hf_hypervisor_ops vm_ops = {vm_start, vm_shutdown, vm_destroy, vm_reboot,
                                                vm_pause, vm_resume,   vm_list,    vm_close};

struct hf_hypervisor *hf_vm_sim_connect(struct hf_vm_machine *m, const struct hf_hypervisor_events *events)
{
    struct connection *c = HF_NEW(struct connection);
    c->hv.ops = &vm_ops;
    c->hv.events = *events;
    c->machine = m;
    c->queue.env = m->env;
    c->next = m->connections;
    m->connections = c;
    return &c->hv;
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
    return m;
}

void hf_vm_machine_free(struct hf_vm_machine *m)
{
    HF_ASSERT(m->connections == NULL);
    hf_sim_queue_done(&m->queue);
    while (m->vms) {
        struct vm *v = m->vms;
        m->vms = v->next;
        free_vm(v);
    }
    free(m);
}

struct hf_sim_faults *hf_vm_machine_faults(struct hf_vm_machine *m)
{
    return &m->faults;
}

void hf_vm_machine_set_down(struct hf_vm_machine *m, bool down)
{
    if (m->down == down)
        return;
    m->down = down;
    for (struct connection *c = m->connections; c; c = c->next)
        c->hv.events.connection(c->hv.events.arg, !down);
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
    struct vm *v = find(m, uuid);
    if (v && ret_run)
        *ret_run = v->run;
    if (v && ret_pid)
        *ret_pid = v->pid;
    return v != NULL;
}

bool hf_vm_machine_runs(struct hf_vm_machine *m, const struct hf_uuid *uuid)
{
    struct vm *v = find(m, uuid);
    return v && !v->paused && !v->killed;
}

unsigned hf_vm_machine_boots(struct hf_vm_machine *m, const struct hf_uuid *uuid)
{
    struct vm *v = find(m, uuid);
    return v ? v->boots : 0;
}

size_t hf_vm_machine_count(const struct hf_vm_machine *m)
{
    size_t n = 0;
    for (struct vm *v = m->vms; v; v = v->next)
        n++;
    return n;
}

void hf_vm_machine_guest_ignores_acpi(struct hf_vm_machine *m, bool ignores)
{
    m->ignores_acpi = ignores;
}

void hf_vm_machine_guest_power_off(struct hf_vm_machine *m, const struct hf_uuid *uuid)
{
    struct vm *v = find(m, uuid);
    HF_ASSERT(v);
    end_vm(m, v, HF_VM_GONE_GUEST);
}

bool hf_vm_machine_kill(struct hf_vm_machine *m, const struct hf_uuid *uuid)
{
    struct vm *v = find(m, uuid);
    return !v || kill_vm(m, v, HF_VM_GONE_CRASHED);
}

bool hf_vm_machine_kill_all(struct hf_vm_machine *m)
{
    for (struct vm *v = m->vms, *next; v; v = next) {
        next = v->next;
        kill_vm(m, v, HF_VM_GONE_CRASHED);
    }
    return m->vms == NULL;
}

void hf_vm_machine_set_unkillable(struct hf_vm_machine *m, bool unkillable)
{
    m->unkillable = unkillable;
}

void hf_vm_machine_let_go(struct hf_vm_machine *m, const struct hf_uuid *uuid)
{
    struct vm *v = find(m, uuid);
    if (v && v->killed)
        remove_vm(m, v, v->why);
}

void hf_vm_machine_guest_stop(struct hf_vm_machine *m, const struct hf_uuid *uuid)
{
    struct vm *v = find(m, uuid);
    HF_ASSERT(v);
    set_paused(m, v, true);
}

void hf_vm_machine_watch(struct hf_vm_machine *m, const struct hf_vm_sim_watch *w)
{
    m->watch = *w;
}

void hf_vm_machine_each(const struct hf_vm_machine *m, void (*cb)(void *arg, const struct hf_vm_sim_guest *g),
                        void *arg)
{
    for (const struct vm *v = m->vms; v; v = v->next) {
        struct hf_vm_sim_guest g = guest_of(v);
        cb(arg, &g);
    }
}
