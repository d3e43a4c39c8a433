/* The host daemon: hf_host_core with simulated drivers, and its stream to the leader as hostd/control_link.c
 * keeps it. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "hostd/backoff.h"
#include "sim/host_private.h"

#define RETRY_FIRST_MS 100 /* as control_link.c */
#define RETRY_MAX_MS   1000
#define CHASE_MAX      3

struct sim_daemon {
    struct sim_host *host;
    struct sim_proc *proc;
    struct hf_host *core;
    struct hf_hypervisor *hypervisor;
    struct hf_keeper *keeper;
    struct hf_host_net *net;
    bool closed;
    /* the stream */
    struct sim_conn *conn;
    unsigned dialled; /* number of the node */
    int hint;         /* node that was said to lead; -1: none */
    unsigned chased;  /* hints followed in a row */
    unsigned next;    /* of the nodes */
    bool welcomed;    /* this stream has brought a message */
    struct hf_timer timer;
    struct hf_backoff backoff;
};

/* --- the stream --- */

static int node_named(const struct sim_world *w, const char *address)
{
    for (unsigned i = 0; i < w->sizes.nodes; i++)
        if (strcmp(sim_net_name(w->net, sim_node_place(w->nodes[i])), address) == 0)
            return (int)i;
    return -1;
}

static void dial(void *arg);

static void dial_later(struct sim_daemon *d, const char *leader)
{
    unsigned ms = 0;
    d->hint = leader[0] ? node_named(d->host->world, leader) : -1;
    if (d->hint == (int)d->dialled)
        d->hint = -1;
    d->chased = d->hint >= 0 ? d->chased + 1 : 0;
    if (d->hint < 0 || d->chased > CHASE_MAX)
        ms = hf_backoff_next(&d->backoff, &d->proc->env, RETRY_FIRST_MS, RETRY_MAX_MS);
    hf_timer_start(&d->proc->env, &d->timer, ms, dial, d);
}

static void on_message(void *arg, struct hf_bytes *bytes)
{
    struct sim_daemon *d = arg;
    Holdfast__V1__ControlMessage *m = holdfast__v1__control_message__unpack(NULL, bytes->len, bytes->data);
    HF_ASSERT(m);
    if (!d->welcomed) {
        d->welcomed = true;
        d->chased = 0;
        hf_backoff_reset(&d->backoff);
    }
    hf_host_stream_message(d->core, m);
}

static void on_ended(void *arg, const struct sim_end_reason *why)
{
    struct sim_daemon *d = arg;
    d->conn = NULL;
    hf_host_stream_closed(d->core);
    dial_later(d, why->leader);
}

static const struct sim_conn_ops stream_ops = {on_message, on_ended};

static void dial(void *arg)
{
    struct sim_daemon *d = arg;
    struct sim_world *w = d->host->world;
    HF_ASSERT(!d->conn);
    d->dialled = d->hint >= 0 ? (unsigned)d->hint : d->next;
    if (d->hint < 0)
        d->next = (d->next + 1) % w->sizes.nodes;
    d->hint = -1;
    d->welcomed = false;
    d->conn = sim_conn_dial(w->net, d->proc, d->host->place, sim_node_place(w->nodes[d->dialled]),
                            SIM_SERVICE_HOSTS, &stream_ops, d);
    hf_host_stream_opened(d->core);
}

static void send_up(void *arg, const Holdfast__V1__HostMessage *m)
{
    struct sim_daemon *d = arg;
    if (!d->conn)
        return;
    struct hf_bytes *b = hf_bytes_new(holdfast__v1__host_message__get_packed_size(m));
    holdfast__v1__host_message__pack(m, b->data);
    sim_conn_send(d->conn, b);
    hf_bytes_unref(b);
}

static void redialled(void *arg)
{
    struct sim_daemon *d = arg;
    hf_host_stream_closed(d->core);
    dial_later(d, "");
}

/* The end of the stream is told in a later turn. */
static void redial(void *arg, const char *why)
{
    struct sim_daemon *d = arg;
    if (!d->conn)
        return;
    sim_trace(d->host->sim, d->proc->name, "dials again: %s", why);
    sim_conn_close(d->conn, NULL);
    d->conn = NULL;
    hf_timer_start(&d->proc->env, &d->timer, 0, redialled, d);
}

/* --- a host that has been shut down --- */

#define OFF_LOW_NS  (2 * HF_S_NS)
#define OFF_HIGH_NS (60 * HF_S_NS)

/* A daemon that has left, and somebody who starts it again in a while. */
struct leaver {
    struct sim_host *host;
    uint32_t life;
};

static void come_back(void *arg)
{
    struct leaver l = *(struct leaver *)arg;
    struct sim_proc *p = &l.host->procs[SIM_HOSTD];
    free(arg);
    if (p->up && p->life == l.life)
        sim_host_crash(l.host, SIM_HOSTD);
}

/* The process stays until then, and does nothing more. */
static void left(void *arg, bool recorded)
{
    struct sim_daemon *d = arg;
    struct leaver *l = HF_NEW(struct leaver);
    sim_trace(d->host->sim, d->proc->name, "has left%s", recorded ? ", which is in the log" : "");
    *l = (struct leaver){d->host, d->proc->life};
    sim_after(d->host->sim, sim_rng_skewed(&d->host->rng, OFF_LOW_NS, OFF_HIGH_NS), come_back, free, l);
}

/* --- the other drivers --- */

static hf_status open_storage(void *arg, const struct hf_storage_place *place, struct hf_primary **ret)
{
    struct sim_daemon *d = arg;
    struct sim_storage *s = sim_host_storage_at(d->host, place->path);
    if (!s)
        return hf_error(HF_NOT_FOUND, "open %s: No such file or directory", place->path);
    *ret = sim_storage_open(s, d->host->number, &d->proc->env);
    return HF_STATUS_OK;
}

/* Nothing is mounted here by the daemon. */
static void keep_mounts(void *arg, const struct hf_uuid *storages, size_t n)
{
    (void)arg, (void)storages, (void)n;
}

static size_t addresses(void *arg, struct hf_host_address *out, size_t max)
{
    (void)arg, (void)out, (void)max;
    return 0;
}

struct hf_keeper *sim_daemon_keeper(const struct sim_host *h)
{
    return h->daemon ? h->daemon->keeper : NULL;
}

struct hf_hypervisor *sim_daemon_hypervisor(const struct sim_host *h)
{
    return h->daemon ? h->daemon->hypervisor : NULL;
}

/* --- life --- */

static struct hf_host *make_core(struct sim_host *h)
{
    struct hf_host_options o = {
        .uuid = h->uuid,
        .hostname = h->name,
        .management_ip = h->management_ip,
        .accelerator = "kvm",
        .version = HF_VERSION,
        .cpus = h->o.cpus,
        .memory_bytes = h->o.memory_bytes,
        .gated = !h->o.no_gate,
        .ceph_base = SIM_STORAGE_FOLDER,
    };
    memcpy(o.secret, h->secret, sizeof o.secret);
    return hf_host_create(&o);
}

void sim_daemon_begin(struct sim_host *h)
{
    struct sim_daemon *d = HF_NEW(struct sim_daemon);
    d->host = h;
    d->proc = &h->procs[SIM_HOSTD];
    d->hint = -1;
    d->next = (unsigned)sim_rng_below(&h->rng, h->world->sizes.nodes);
    d->core = make_core(h);
    h->daemon = d;
    struct hf_hypervisor_events vm_events = hf_host_hypervisor_events(d->core);
    struct hf_keeper_events keeper_events = hf_host_keeper_events(d->core);
    d->hypervisor = sim_libvirt_connect(h, &vm_events);
    d->keeper = sim_keeper_connect(h, &keeper_events);
    d->net = hf_net_sim_connect(h->bridges);
    struct hf_host_drivers drivers = {
        .env = &d->proc->env,
        .hypervisor = d->hypervisor,
        .keeper = d->keeper,
        .net = d->net,
        .open_storage = open_storage,
        .keep_mounts = keep_mounts,
        .addresses = addresses,
        .reader_create = sim_reader_create,
        .reader_set_peers = sim_reader_set_peers,
        .reader_set_marks = sim_reader_set_marks,
        .reader_close = sim_reader_close,
        .send = send_up,
        .redial = redial,
        .left = left,
        .arg = d,
    };
    hf_host_start(d->core, &drivers);
    dial(d);
}

static void on_closed(void *arg)
{
    ((struct sim_daemon *)arg)->closed = true;
}

/* The process has been lost: the core is freed by closing it and answering what it still waits for. It says
 * and does nothing on the way, for what it would do are acts. */
void sim_daemon_end(struct sim_host *h)
{
    struct sim_daemon *d = h->daemon;
    struct sim_storage *s;
    hf_timer_stop(&d->timer);
    hf_host_close(d->core, on_closed, d);
    sim_libvirt_client_cancel(d->hypervisor);
    sim_keeper_link_cancel(d->keeper);
    hf_net_sim_cancel(d->net);
    for (unsigned i = 0; (s = sim_host_storage(h, i)) != NULL; i++) {
        hf_disk_sim_cancel(sim_storage_files(s), &d->proc->env);
        sim_storage_issuer_died(s, h->number, d->proc);
    }
    HF_ASSERT(d->closed);
    hf_host_free(d->core);
    d->hypervisor->ops->close(d->hypervisor, NULL, NULL);
    sim_keeper_link_free(d->keeper);
    d->net->ops->close(d->net);
    free(d);
    h->daemon = NULL;
}

bool sim_daemon_attached(const struct sim_host *h)
{
    return h->daemon && hf_host_attached(h->daemon->core);
}
