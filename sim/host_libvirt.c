/* libvirtd, between the host daemon and the machine's QEMUs (hostd/vm_sim.h): orders and answers are packets
 * through a process of its own, which may stand still or be lost. The daemon's end keeps the promises of
 * hostd/vm_libvirt.c: every call is answered once, at its deadline with TIMEOUT; until the answer comes after
 * all, no other order for the domain is taken.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sim/host_private.h"

#define REFUSED_MS 1

struct client {
    struct hf_hypervisor base;
    struct sim_host *host;
    uint32_t life; /* of its process */
    struct call *calls;
    uint64_t next_id;
    bool cancelled;
};

struct call {
    struct call *next;
    struct client *client;
    uint64_t id;
    struct hf_uuid uuid; /* zero: list */
    hf_vm_done_cb cb;
    hf_vm_list_cb list_cb;
    hf_vm_progress_cb progress_cb;
    void *arg;
    struct hf_timer deadline;
    bool answered; /* at its deadline: it hangs */
    bool refused;  /* the deadline only brings the refusal */
    const char *why;
};

/* A packet either way. */
struct packet {
    struct sim_host *host;
    uint32_t life; /* of the daemon that asked */
    uint64_t id;   /* of the call */
    enum hf_vm_sim_op op;
    bool force;
    unsigned disk; /* GROW_DISK */
    uint64_t size_bytes;
    unsigned deadline_ms;
    struct hf_vm_spec spec;           /* START: all; else its uuid. Its disks are the packet's */
    struct hf_vm_migration migration; /* MIGRATE */
    char *address;                    /* of its target */
    /* the answer */
    enum hf_code code;
    char *message;
    struct hf_vm_seen *seen;
    size_t n_seen;
    struct hf_vm_progress progress;
};

static void packet_free(void *arg)
{
    struct packet *p = arg;
    for (size_t i = 0; i < p->spec.n_disks; i++)
        free((char *)p->spec.disks[i].path);
    free((void *)p->spec.disks);
    free(p->message);
    free(p->address);
    free(p->seen);
    free(p);
}

/* --- the daemon's end --- */

static struct client *client_of(struct hf_hypervisor *h)
{
    return hf_container_of(h, struct client, base);
}

static void call_free(struct call *c)
{
    struct call **at = &c->client->calls;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    hf_timer_stop(&c->deadline);
    free(c);
}

/* p: the answer that has come, or NULL. Takes st. */
static void tell(struct call *c, hf_status st, const struct packet *p)
{
    static const struct hf_vm_progress none;
    const struct hf_vm_seen *seen = p ? p->seen : NULL;
    size_t n = p ? p->n_seen : 0;
    if (c->progress_cb)
        c->progress_cb(c->arg, st, p ? &p->progress : &none);
    else if (c->list_cb)
        c->list_cb(c->arg, st, seen, n);
    else
        c->cb(c->arg, st);
    hf_status_drop(st);
}

static void on_deadline(void *arg)
{
    struct call *c = arg;
    if (c->refused) {
        tell(c, hf_error(HF_UNAVAILABLE, "%s", c->why), NULL);
        call_free(c);
        return;
    }
    c->answered = true;
    tell(c, hf_error(HF_TIMEOUT, "libvirt did not answer in time"), NULL);
}

static bool domain_hangs(const struct client *cl, const struct hf_uuid *uuid)
{
    for (const struct call *c = cl->calls; c; c = c->next)
        if (c->answered && !hf_uuid_is_zero(uuid) && hf_uuid_equal(&c->uuid, uuid))
            return true;
    return false;
}

static void arrive(void *arg);

static void transmit(void *arg)
{
    struct packet *p = arg;
    sim_proc_post(&p->host->procs[SIM_HYPERVISOR], SIM_SYSCALL_NS, arrive, packet_free, p);
}

/* Takes the packet. */
static struct call *ask(struct hf_hypervisor *hv, struct packet *p, hf_vm_done_cb cb, hf_vm_list_cb list_cb,
                        void *arg)
{
    struct client *cl = client_of(hv);
    struct sim_host *h = cl->host;
    struct call *c = HF_NEW(struct call);
    HF_ASSERT(!cl->cancelled);
    *c = (struct call){.next = cl->calls,
                       .client = cl,
                       .id = ++cl->next_id,
                       .uuid = p->spec.uuid,
                       .cb = cb,
                       .list_cb = list_cb,
                       .arg = arg};
    c->why = domain_hangs(cl, &c->uuid)     ? "an earlier call to the domain has not come back"
             : !h->procs[SIM_HYPERVISOR].up ? "libvirt does not listen"
                                            : NULL;
    c->refused = c->why != NULL;
    cl->calls = c;
    hf_timer_start(&h->procs[SIM_HOSTD].env, &c->deadline, c->refused ? REFUSED_MS : p->deadline_ms,
                   on_deadline, c);
    p->host = h;
    p->life = cl->life;
    p->id = c->id;
    if (c->refused)
        packet_free(p);
    else
        sim_proc_act(&h->procs[SIM_HOSTD], transmit, packet_free, p);
    return c;
}

static void answer_arrives(void *arg)
{
    struct packet *p = arg;
    struct hf_hypervisor *hv = sim_daemon_hypervisor(p->host);
    struct call *c = hv && client_of(hv)->life == p->life ? client_of(hv)->calls : NULL;
    while (c && c->id != p->id)
        c = c->next;
    if (c) {
        hf_status st = p->code == HF_OK ? HF_STATUS_OK : hf_error(p->code, "%s", p->message);
        if (!c->answered)
            tell(c, st, p);
        else
            hf_status_drop(st);
        call_free(c);
    }
    packet_free(p);
}

/* --- the verbs --- */

static struct packet *packet_new(enum hf_vm_sim_op op, const struct hf_uuid *uuid, unsigned deadline_ms)
{
    struct packet *p = HF_NEW(struct packet);
    p->op = op;
    p->deadline_ms = deadline_ms;
    if (uuid)
        p->spec.uuid = *uuid;
    return p;
}

static void vm_start(struct hf_hypervisor *h, const struct hf_vm_spec *spec, unsigned ms, hf_vm_done_cb cb,
                     void *arg)
{
    struct packet *p = packet_new(HF_VM_SIM_START, &spec->uuid, ms);
    struct hf_vm_disk *disks = hf_alloc_array(spec->n_disks, sizeof *disks);
    for (size_t i = 0; i < spec->n_disks; i++)
        disks[i] = (struct hf_vm_disk){hf_strdup(spec->disks[i].path), "qcow2", NULL};
    p->spec.host_uuid = spec->host_uuid;
    p->spec.epoch = spec->epoch;
    p->spec.run = spec->run;
    p->spec.disks = disks;
    p->spec.n_disks = spec->n_disks;
    ask(h, p, cb, NULL, arg);
}

static void vm_shutdown(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned ms, hf_vm_done_cb cb,
                        void *arg)
{
    ask(h, packet_new(HF_VM_SIM_SHUTDOWN, u, ms), cb, NULL, arg);
}

static void vm_destroy(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned ms, hf_vm_done_cb cb,
                       void *arg)
{
    ask(h, packet_new(HF_VM_SIM_DESTROY, u, ms), cb, NULL, arg);
}

static void vm_reboot(struct hf_hypervisor *h, const struct hf_uuid *u, bool reset, unsigned ms,
                      hf_vm_done_cb cb, void *arg)
{
    struct packet *p = packet_new(HF_VM_SIM_REBOOT, u, ms);
    p->force = reset;
    ask(h, p, cb, NULL, arg);
}

static void vm_pause(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned ms, hf_vm_done_cb cb,
                     void *arg)
{
    ask(h, packet_new(HF_VM_SIM_PAUSE, u, ms), cb, NULL, arg);
}

static void vm_resume(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned ms, hf_vm_done_cb cb,
                      void *arg)
{
    ask(h, packet_new(HF_VM_SIM_RESUME, u, ms), cb, NULL, arg);
}

static void vm_list(struct hf_hypervisor *h, unsigned ms, hf_vm_list_cb cb, void *arg)
{
    ask(h, packet_new(HF_VM_SIM_LIST, NULL, ms), NULL, cb, arg);
}

static void vm_migrate(struct hf_hypervisor *h, const struct hf_vm_migration *m, unsigned ms,
                       hf_vm_done_cb cb, void *arg)
{
    struct packet *p = packet_new(HF_VM_SIM_MIGRATE, &m->uuid, ms);
    p->migration = *m;
    p->address = hf_strdup(m->target_address);
    ask(h, p, cb, NULL, arg);
}

static void vm_migrate_abort(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned ms, hf_vm_done_cb cb,
                             void *arg)
{
    ask(h, packet_new(HF_VM_SIM_MIGRATE_ABORT, u, ms), cb, NULL, arg);
}

static void vm_migrate_progress(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned ms,
                                hf_vm_progress_cb cb, void *arg)
{
    ask(h, packet_new(HF_VM_SIM_MIGRATE_PROGRESS, u, ms), NULL, NULL, arg)->progress_cb = cb;
}

static void vm_grow_disk(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned disk, uint64_t size_bytes,
                         unsigned ms, hf_vm_done_cb cb, void *arg)
{
    struct packet *p = packet_new(HF_VM_SIM_GROW_DISK, u, ms);
    p->disk = disk;
    p->size_bytes = size_bytes;
    ask(h, p, cb, NULL, arg);
}

static void vm_close(struct hf_hypervisor *h, void (*closed)(void *arg), void *arg)
{
    HF_ASSERT(!client_of(h)->calls);
    free(client_of(h));
    if (closed)
        closed(arg);
}

static const struct hf_hypervisor_ops client_ops = {
    vm_start, vm_shutdown, vm_destroy, vm_reboot,        vm_pause,           vm_resume,
    vm_list,  vm_close,    vm_migrate, vm_migrate_abort, vm_migrate_progress, vm_grow_disk};

/* --- libvirtd --- */

static void answer_passes(void *arg)
{
    struct packet *p = arg;
    sim_proc_post(&p->host->procs[SIM_HOSTD], SIM_SYSCALL_NS, answer_arrives, packet_free, p);
}

static void answer_leaves(void *arg)
{
    struct packet *p = arg;
    sim_proc_act(&p->host->procs[SIM_HYPERVISOR], answer_passes, packet_free, p);
}

/* From the machine: QEMU has done it, or libvirt's own call has failed. */
static void on_done(void *arg, hf_status st)
{
    struct packet *p = arg;
    p->code = hf_status_code(st);
    p->message = hf_strdup(hf_status_message(st));
    sim_proc_post(&p->host->procs[SIM_HYPERVISOR], 0, answer_leaves, packet_free, p);
}

static void on_listed(void *arg, hf_status st, const struct hf_vm_seen *seen, size_t n)
{
    struct packet *p = arg;
    p->seen = hf_alloc_array(n, sizeof *p->seen);
    if (n > 0)
        memcpy(p->seen, seen, n * sizeof *seen);
    p->n_seen = n;
    on_done(p, st);
}

static void on_progress(void *arg, hf_status st, const struct hf_vm_progress *progress)
{
    struct packet *p = arg;
    p->progress = *progress;
    on_done(p, st);
}

static void carry_out(void *arg)
{
    struct packet *p = arg;
    struct hf_hypervisor *vms = p->host->libvirt;
    const struct hf_uuid *u = &p->spec.uuid;
    switch (p->op) {
    case HF_VM_SIM_START:
        vms->ops->start(vms, &p->spec, p->deadline_ms, on_done, p);
        return;
    case HF_VM_SIM_SHUTDOWN:
        sim_guests_ordered(p->host, u);
        vms->ops->shutdown(vms, u, p->deadline_ms, on_done, p);
        return;
    case HF_VM_SIM_DESTROY:
        sim_guests_ordered(p->host, u);
        vms->ops->destroy(vms, u, p->deadline_ms, on_done, p);
        return;
    case HF_VM_SIM_REBOOT:
        vms->ops->reboot(vms, u, p->force, p->deadline_ms, on_done, p);
        return;
    case HF_VM_SIM_PAUSE:
        vms->ops->pause(vms, u, p->deadline_ms, on_done, p);
        return;
    case HF_VM_SIM_RESUME:
        vms->ops->resume(vms, u, p->deadline_ms, on_done, p);
        return;
    case HF_VM_SIM_LIST:
        vms->ops->list(vms, p->deadline_ms, on_listed, p);
        return;
    case HF_VM_SIM_MIGRATE:
        p->migration.target_address = p->address;
        vms->ops->migrate(vms, &p->migration, p->deadline_ms, on_done, p);
        return;
    case HF_VM_SIM_MIGRATE_ABORT:
        vms->ops->migrate_abort(vms, u, p->deadline_ms, on_done, p);
        return;
    case HF_VM_SIM_MIGRATE_PROGRESS:
        vms->ops->migrate_progress(vms, u, p->deadline_ms, on_progress, p);
        return;
    case HF_VM_SIM_GROW_DISK:
        vms->ops->grow_disk(vms, u, p->disk, p->size_bytes, p->deadline_ms, on_done, p);
        return;
    }
}

/* An order has come through the socket. */
static void arrive(void *arg)
{
    struct packet *p = arg;
    sim_proc_act(&p->host->procs[SIM_HYPERVISOR], carry_out, packet_free, p);
}

/* --- what libvirtd tells unasked --- */

struct event {
    struct sim_host *host;
    enum { EVENT_GONE, EVENT_UP, EVENT_DOWN } kind;
    struct hf_uuid uuid;
    enum hf_vm_gone why;
};

/* Calls that libvirtd had taken end with its connection; those that hang come back. */
static void fail_calls(struct client *cl)
{
    for (struct call *c = cl->calls, *next; c; c = next) {
        next = c->next;
        if (c->refused)
            continue;
        if (!c->answered)
            tell(c, hf_error(HF_UNKNOWN_OUTCOME, "the connection to libvirt broke"), NULL);
        call_free(c);
    }
}

static void event_arrives(void *arg)
{
    struct event e = *(struct event *)arg;
    struct hf_hypervisor *hv = sim_daemon_hypervisor(e.host);
    free(arg);
    if (!hv)
        return;
    if (e.kind == EVENT_GONE) {
        hv->events.gone(hv->events.arg, &e.uuid, e.why);
        return;
    }
    if (e.kind == EVENT_DOWN)
        fail_calls(client_of(hv));
    hv->events.connection(hv->events.arg, e.kind == EVENT_UP);
}

static void tell_daemon(struct sim_host *h, struct event event)
{
    struct event *e = HF_NEW(struct event);
    *e = event;
    e->host = h;
    sim_proc_post(&h->procs[SIM_HOSTD], SIM_SYSCALL_NS, event_arrives, free, e);
}

static void on_gone(void *arg, const struct hf_uuid *uuid, enum hf_vm_gone why)
{
    struct sim_host *h = arg;
    if (h->procs[SIM_HYPERVISOR].up && h->daemon)
        tell_daemon(h, (struct event){.kind = EVENT_GONE, .uuid = *uuid, .why = why});
}

static void on_connection(void *arg, bool up)
{
    (void)arg, (void)up; /* it is libvirtd's own */
}

struct hf_hypervisor *sim_libvirt_open(struct sim_host *h)
{
    struct hf_hypervisor_events e = {.gone = on_gone, .connection = on_connection, .arg = h};
    return hf_vm_sim_connect(h->vms, &e);
}

struct hf_vm_machine *sim_libvirt_peer(void *arg, const char *address)
{
    const struct sim_host *h = arg;
    const struct sim_world *w = h->world;
    for (unsigned i = 0; i < w->sizes.hosts; i++) {
        const struct sim_host *p = w->hosts[i];
        if (strcmp(p->management_ip, address) != 0)
            continue;
        bool answers = p->powered && sim_proc_runs(&p->procs[SIM_HYPERVISOR]) &&
                       sim_net_reach(w->net, h->place, p->place) && sim_net_reach(w->net, p->place, h->place);
        return answers ? p->vms : NULL;
    }
    return NULL;
}

/* --- life --- */

void sim_libvirt_begin(struct sim_host *h)
{
    hf_vm_machine_set_down(h->vms, false);
    if (h->daemon)
        tell_daemon(h, (struct event){.kind = EVENT_UP});
}

/* What it had begun is done by QEMU all the same, or is lost with it. */
void sim_libvirt_end(struct sim_host *h)
{
    if (!h->powered)
        return;
    hf_vm_machine_set_down(h->vms, sim_rng_below(&h->rng, 2) == 0);
    if (h->daemon)
        tell_daemon(h, (struct event){.kind = EVENT_DOWN});
}

struct hf_hypervisor *sim_libvirt_connect(struct sim_host *h, const struct hf_hypervisor_events *events)
{
    struct client *cl = HF_NEW(struct client);
    cl->base.ops = &client_ops;
    cl->base.events = *events;
    cl->host = h;
    cl->life = h->procs[SIM_HOSTD].life;
    if (h->procs[SIM_HYPERVISOR].up)
        tell_daemon(h, (struct event){.kind = EVENT_UP});
    return &cl->base;
}

void sim_libvirt_client_cancel(struct hf_hypervisor *hv)
{
    struct client *cl = client_of(hv);
    cl->cancelled = true;
    while (cl->calls) {
        struct call *c = cl->calls;
        if (!c->answered)
            tell(c, hf_error(HF_CANCELLED, "the host daemon ends"), NULL);
        call_free(c);
    }
}
