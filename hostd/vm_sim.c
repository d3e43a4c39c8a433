#include "hostd/vm_sim.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "hostd/vm_sim_private.h"

/* A connection that brings nothing is found broken by then, however long a call may take. */
#define BROKEN_MS 60000

struct hf_sim_vm_connection {
    struct hf_hypervisor hv;
    struct hf_sim_vm_connection *next;
    struct hf_vm_machine *machine;
    struct hf_sim_queue queue;
};

/* One order on its way. */
struct hf_sim_vm_order {
    struct hf_sim_vm_connection *c;
    enum hf_vm_sim_op op;
    enum hf_sim_fault fault;
    struct hf_uuid uuid;
    uint64_t epoch, run;
    bool reset;
    uint64_t size_bytes; /* GROW_DISK */
    char **disks; /* START; the order's until a QEMU has them */
    size_t n_disks;
    struct hf_vm_migration migration; /* MIGRATE */
    char *address;                    /* of its target; owned */
    unsigned deadline_ms;
    hf_vm_done_cb cb;
    hf_vm_list_cb list_cb;
    hf_vm_progress_cb progress_cb;
    void *arg;
    /* in the machine's list */
    struct hf_sim_vm_order *next, **prev; /* prev NULL: not in it */
    int64_t due_ms;
};

/* An order that is done apart from its answer. */
struct hf_sim_vm_late {
    struct hf_sim_vm_late *next;
    struct hf_vm_machine *machine;
    struct hf_sim_vm_order order;
};

static struct hf_sim_vm_connection *of(struct hf_hypervisor *h)
{
    return hf_container_of(h, struct hf_sim_vm_connection, hv);
}

static char **copy_disks(const struct hf_vm_disk *disks, size_t n)
{
    char **copy = hf_alloc_array(n, sizeof *copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = hf_strdup(disks[i].path);
    return copy;
}

/* --- what an order does --- */

static hf_status do_start(struct hf_vm_machine *m, struct hf_sim_vm_order *o)
{
    if (hf_sim_vm_find(m, &o->uuid))
        return hf_error(HF_EXISTS, "a domain of this UUID runs already");
    struct hf_sim_vm *v = HF_NEW(struct hf_sim_vm);
    v->uuid = o->uuid;
    v->epoch = o->epoch;
    v->run = o->run;
    v->disks = o->disks;
    v->n_disks = o->n_disks;
    o->disks = NULL;
    o->n_disks = 0;
    if (m->watch.asks && o->prev)
        v->start = o;
    hf_sim_vm_add(m, v);
    return HF_STATUS_OK;
}

static hf_status do_shutdown(struct hf_vm_machine *m, struct hf_sim_vm *v)
{
    if (!m->ignores_acpi && !v->paused)
        hf_sim_vm_end(m, v, HF_VM_GONE_GUEST);
    return HF_STATUS_OK;
}

/* Answered when it has ended; one whose answer is lost goes on all the same. */
static hf_status do_migrate(struct hf_vm_machine *m, struct hf_sim_vm_order *o)
{
    struct hf_sim_vm_answer a = {o->c, o->cb, o->arg};
    struct hf_vm_migration migration = o->migration;
    migration.target_address = o->address;
    return hf_sim_vm_move_begin(m, &migration, o->fault == HF_SIM_GOOD ? &a : NULL, o->deadline_ms);
}

static bool is_stuck(const struct hf_vm_machine *m, const struct hf_uuid *uuid)
{
    for (const struct hf_sim_vm_late *l = m->lates; l; l = l->next)
        if (hf_uuid_equal(&l->order.uuid, uuid))
            return true;
    return false;
}

static hf_status apply(struct hf_vm_machine *m, struct hf_sim_vm_order *o)
{
    struct hf_sim_vm *v = hf_sim_vm_find(m, &o->uuid);
    if (o->op != HF_VM_SIM_LIST && is_stuck(m, &o->uuid))
        return hf_error(HF_UNAVAILABLE, "an earlier call to the domain has not come back");
    if (m->down)
        return hf_error(HF_UNAVAILABLE, "the hypervisor does not answer");
    if (o->op == HF_VM_SIM_START)
        return do_start(m, o);
    if (o->op == HF_VM_SIM_MIGRATE)
        return do_migrate(m, o);
    if (o->op == HF_VM_SIM_MIGRATE_ABORT)
        return hf_sim_vm_move_abort(m, &o->uuid);
    if (o->op == HF_VM_SIM_LIST || o->op == HF_VM_SIM_MIGRATE_PROGRESS || (!v && o->op == HF_VM_SIM_DESTROY))
        return HF_STATUS_OK;
    if (!v)
        return hf_error(HF_NOT_FOUND, "there is no such domain");
    if (v->phase != HF_VM_SIM_QEMU && o->op != HF_VM_SIM_DESTROY)
        return hf_error(HF_UNAVAILABLE, "the domain is being started");
    switch (o->op) {
    case HF_VM_SIM_SHUTDOWN:
        return do_shutdown(m, v);
    case HF_VM_SIM_DESTROY:
        return hf_sim_vm_kill(m, v, HF_VM_GONE_DESTROYED) ? HF_STATUS_OK
                                                          : hf_error(HF_TIMEOUT, "QEMU does not end");
    case HF_VM_SIM_REBOOT:
        v->boots++;
        return HF_STATUS_OK;
    case HF_VM_SIM_PAUSE:
        hf_sim_vm_set_paused(m, v, true);
        return HF_STATUS_OK;
    case HF_VM_SIM_GROW_DISK:
        if (v->incoming)
            return hf_error(HF_PRECONDITION, "the domain waits for its migration");
        v->grown_bytes = v->grown_bytes > o->size_bytes ? v->grown_bytes : o->size_bytes;
        return HF_STATUS_OK;
    case HF_VM_SIM_RESUME:
        if (v->incoming)
            return hf_error(HF_PRECONDITION, "the domain waits for its migration");
        hf_sim_vm_set_paused(m, v, false);
        return HF_STATUS_OK;
    default:
        return HF_STATUS_OK;
    }
}

/* --- answers --- */

static void answer_list(struct hf_sim_vm_order *o, hf_status st)
{
    struct hf_vm_machine *m = o->c->machine;
    size_t n = 0;
    struct hf_vm_seen *seen = hf_alloc_array(hf_vm_machine_count(m) + 1, sizeof *seen);
    for (struct hf_sim_vm *v = m->vms; v && hf_ok(st); v = v->next)
        seen[n++] = (struct hf_vm_seen){v->uuid, v->epoch, v->run,
                                        v->incoming                               ? HF_VM_INCOMING
                                        : v->io_stopped                         ? HF_VM_IO_STOPPED
                                        : v->paused || v->phase != HF_VM_SIM_QEMU ? HF_VM_PAUSED
                                                                                  : HF_VM_RUNNING,
                                        v->pid};
    o->list_cb(o->arg, st, seen, n);
    free(seen);
}

static void order_free(void *arg)
{
    struct hf_sim_vm_order *o = arg;
    if (o->prev)
        *o->prev = o->next;
    if (o->prev && o->next)
        o->next->prev = o->prev;
    hf_sim_disks_free(o->disks, o->n_disks);
    free(o->address);
    free(o);
}

static void answer_progress(struct hf_sim_vm_order *o, hf_status st)
{
    struct hf_vm_progress p;
    hf_sim_vm_move_progress(o->c->machine, &o->uuid, &p);
    o->progress_cb(o->arg, st, &p);
}

static void answer(void *arg)
{
    struct hf_sim_vm_order *o = arg;
    struct hf_vm_machine *m = o->c->machine;
    hf_status st = o->c->queue.cancelled     ? hf_error(HF_CANCELLED, "its connection ends")
                   : o->fault == HF_SIM_GOOD ? apply(m, o)
                                             : hf_sim_fault_status(&m->faults, o->op, o->fault);
    bool begun = o->op == HF_VM_SIM_MIGRATE && o->fault == HF_SIM_GOOD && hf_ok(st);
    struct hf_sim_vm *v = o->op == HF_VM_SIM_START ? hf_sim_vm_find(m, &o->uuid) : NULL;
    if (v && v->start == o)
        return; /* until it is QEMU */
    if (o->op == HF_VM_SIM_LIST)
        answer_list(o, st);
    else if (o->op == HF_VM_SIM_MIGRATE_PROGRESS)
        answer_progress(o, st);
    else if (!begun)
        o->cb(o->arg, st);
    hf_status_drop(st);
    order_free(o);
}

void hf_sim_vm_started(struct hf_sim_vm *v, hf_status take_st)
{
    struct hf_sim_vm_order *o = v->start;
    v->start = NULL;
    if (o) {
        o->cb(o->arg, take_st);
        order_free(o);
    }
    hf_status_drop(take_st);
}

/* Starts of this connection that wait. */
static void end_starts(struct hf_sim_vm_connection *c, bool tell)
{
    for (struct hf_sim_vm *v = c->machine->vms; v; v = v->next) {
        if (!v->start || v->start->c != c)
            continue;
        if (tell)
            hf_sim_vm_started(v, hf_error(HF_CANCELLED, "its connection ends"));
        else
            order_free(v->start);
        v->start = NULL;
    }
}

static void late_free(void *arg)
{
    struct hf_sim_vm_late *l = arg, **at = &l->machine->lates;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    hf_sim_disks_free(l->order.disks, l->order.n_disks);
    free(l->order.address);
    free(l);
}

static void act_late(void *arg)
{
    struct hf_sim_vm_late *l = arg;
    struct hf_vm_machine *m = l->machine;
    struct hf_sim_vm_order o = l->order;
    l->order.disks = NULL;
    l->order.n_disks = 0;
    l->order.address = NULL;
    late_free(l);
    hf_status_drop(apply(m, &o));
    hf_sim_disks_free(o.disks, o.n_disks);
    free(o.address);
}

/* libvirt takes the orders for one domain one after the other, whoever gave them. Returns when this one is
 * done. */
static unsigned line_up(struct hf_vm_machine *m, struct hf_sim_vm_order *o, unsigned ms)
{
    int64_t now = hf_env_now_ms(m->env);
    o->due_ms = now + ms;
    for (const struct hf_sim_vm_order *x = m->orders; x; x = x->next)
        if (hf_uuid_equal(&x->uuid, &o->uuid) && x->due_ms > o->due_ms)
            o->due_ms = x->due_ms;
    o->next = m->orders;
    o->prev = &m->orders;
    if (o->next)
        o->next->prev = &o->next;
    m->orders = o;
    return (unsigned)(o->due_ms - now);
}

static void send(struct hf_hypervisor *h, struct hf_sim_vm_order order, unsigned deadline_ms)
{
    struct hf_sim_vm_connection *c = of(h);
    struct hf_vm_machine *m = c->machine;
    struct hf_sim_vm_order *o = HF_NEW(struct hf_sim_vm_order);
    unsigned ms = order.op == HF_VM_SIM_START ? m->start_ms : m->call_ms;
    *o = order;
    o->c = c;
    o->deadline_ms = deadline_ms;
    o->fault = hf_sim_take_fault(&m->faults, o->op);
    if (o->fault != HF_SIM_GOOD && deadline_ms > BROKEN_MS)
        deadline_ms = BROKEN_MS;
    if (o->fault == HF_SIM_LOST_ANSWER || o->fault == HF_SIM_LATE) {
        struct hf_sim_vm_late *l = HF_NEW(struct hf_sim_vm_late);
        *l = (struct hf_sim_vm_late){m->lates, m, *o};
        o->disks = NULL;
        o->n_disks = 0;
        o->address = NULL;
        m->lates = l;
        hf_sim_later(&m->queue, o->fault == HF_SIM_LATE ? deadline_ms + m->late_ms : ms, act_late, late_free,
                     l);
    }
    if (o->fault == HF_SIM_GOOD && o->op != HF_VM_SIM_LIST)
        ms = line_up(m, o, ms);
    else if (o->fault != HF_SIM_GOOD && o->fault != HF_SIM_FAILS)
        ms = deadline_ms;
    hf_sim_later(&c->queue, ms, answer, order_free, o);
}

/* --- the vtable --- */

static void vm_start(struct hf_hypervisor *h, const struct hf_vm_spec *s, unsigned ms, hf_vm_done_cb cb,
                     void *arg)
{
    HF_ASSERT(s->run != 0 && s->epoch != 0 && s->n_disks > 0);
    send(h,
         (struct hf_sim_vm_order){.op = HF_VM_SIM_START,
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
    send(h, (struct hf_sim_vm_order){.op = HF_VM_SIM_SHUTDOWN, .uuid = *u, .cb = cb, .arg = arg}, ms);
}

static void vm_destroy(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned ms, hf_vm_done_cb cb,
                       void *arg)
{
    send(h, (struct hf_sim_vm_order){.op = HF_VM_SIM_DESTROY, .uuid = *u, .cb = cb, .arg = arg}, ms);
}

static void vm_reboot(struct hf_hypervisor *h, const struct hf_uuid *u, bool reset, unsigned ms,
                      hf_vm_done_cb cb, void *arg)
{
    send(h,
         (struct hf_sim_vm_order){.op = HF_VM_SIM_REBOOT, .uuid = *u, .reset = reset, .cb = cb, .arg = arg},
         ms);
}

static void vm_pause(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned ms, hf_vm_done_cb cb,
                     void *arg)
{
    send(h, (struct hf_sim_vm_order){.op = HF_VM_SIM_PAUSE, .uuid = *u, .cb = cb, .arg = arg}, ms);
}

static void vm_resume(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned ms, hf_vm_done_cb cb,
                      void *arg)
{
    send(h, (struct hf_sim_vm_order){.op = HF_VM_SIM_RESUME, .uuid = *u, .cb = cb, .arg = arg}, ms);
}

static void vm_list(struct hf_hypervisor *h, unsigned ms, hf_vm_list_cb cb, void *arg)
{
    send(h, (struct hf_sim_vm_order){.op = HF_VM_SIM_LIST, .list_cb = cb, .arg = arg}, ms);
}

static void vm_migrate(struct hf_hypervisor *h, const struct hf_vm_migration *m, unsigned ms,
                       hf_vm_done_cb cb, void *arg)
{
    send(h,
         (struct hf_sim_vm_order){.op = HF_VM_SIM_MIGRATE,
                                  .uuid = m->uuid,
                                  .migration = *m,
                                  .address = hf_strdup(m->target_address),
                                  .cb = cb,
                                  .arg = arg},
         ms);
}

static void vm_migrate_abort(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned ms, hf_vm_done_cb cb,
                             void *arg)
{
    send(h, (struct hf_sim_vm_order){.op = HF_VM_SIM_MIGRATE_ABORT, .uuid = *u, .cb = cb, .arg = arg}, ms);
}

static void vm_migrate_progress(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned ms,
                                hf_vm_progress_cb cb, void *arg)
{
    send(
        h,
        (struct hf_sim_vm_order){.op = HF_VM_SIM_MIGRATE_PROGRESS, .uuid = *u, .progress_cb = cb, .arg = arg},
        ms);
}

static void vm_grow_disk(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned disk, uint64_t size_bytes,
                         unsigned ms, hf_vm_done_cb cb, void *arg)
{
    (void)disk; /* its guests have no disks of a size */
    send(h,
         (struct hf_sim_vm_order){
             .op = HF_VM_SIM_GROW_DISK, .uuid = *u, .size_bytes = size_bytes, .cb = cb, .arg = arg},
         ms);
}

static void vm_close(struct hf_hypervisor *h, void (*closed)(void *arg), void *arg)
{
    struct hf_sim_vm_connection *c = of(h), **at = &c->machine->connections;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    end_starts(c, false);
    hf_sim_queue_done(&c->queue);
    hf_sim_vm_moves_forget(c->machine, c, false);
    free(c);
    if (closed)
        closed(arg);
}

void hf_vm_sim_cancel(struct hf_hypervisor *h)
{
    hf_sim_queue_cancel(&of(h)->queue);
    hf_sim_vm_moves_forget(of(h)->machine, of(h), true);
    end_starts(of(h), true);
}

static const struct hf_hypervisor_ops vm_ops = {
    vm_start, vm_shutdown, vm_destroy, vm_reboot,        vm_pause,           vm_resume,
    vm_list,  vm_close,    vm_migrate, vm_migrate_abort, vm_migrate_progress, vm_grow_disk};

struct hf_hypervisor *hf_vm_sim_connect(struct hf_vm_machine *m, const struct hf_hypervisor_events *events)
{
    struct hf_sim_vm_connection *c = HF_NEW(struct hf_sim_vm_connection);
    c->hv.ops = &vm_ops;
    c->hv.events = *events;
    c->machine = m;
    c->queue.env = m->env;
    c->next = m->connections;
    m->connections = c;
    return &c->hv;
}

void hf_sim_vm_tell_gone(struct hf_vm_machine *m, const struct hf_uuid *uuid, enum hf_vm_gone why)
{
    for (struct hf_sim_vm_connection *c = m->connections, *next; c && !m->down; c = next) {
        next = c->next;
        c->hv.events.gone(c->hv.events.arg, uuid, why);
    }
}

void hf_vm_machine_set_down(struct hf_vm_machine *m, bool down)
{
    if (m->down == down)
        return;
    m->down = down;
    if (down)
        hf_sim_vm_abandon(m);
    else
        hf_sim_vm_end_abandoned(m);
    for (struct hf_sim_vm_connection *c = m->connections; c; c = c->next)
        c->hv.events.connection(c->hv.events.arg, !down);
}
