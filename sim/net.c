#include "sim/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define LATENCY_LOW_NS  50000
#define LATENCY_HIGH_NS 2000000
#define RETRANSMIT_MS   200
#define CHECK_MS        1000

struct place {
    char name[SIM_PROC_NAME];
    bool power;
    const struct sim_listener *listener;
};

enum packet_kind { PACKET_OPEN, PACKET_DATA, PACKET_CLOSE };

struct packet {
    struct packet *next;
    struct sim_conn *from;
    enum packet_kind kind;
    struct hf_bytes *bytes;    /* DATA */
    struct sim_end_reason why; /* CLOSE */
};

/* An end is open while its process may use it. */
struct sim_conn {
    struct pipe *pipe;
    unsigned place;
    struct sim_proc *proc; /* of the listener: once accepted */
    uint32_t life;
    const struct sim_conn_ops *ops;
    void *arg;
    bool open;
    bool forgotten; /* closed without a word that reached the other: its machine has lost power */
    /* what it has sent */
    int64_t arrives_ns;              /* the last packet under way: no later one overtakes it */
    struct packet *held, **held_end; /* arrived at a cut: sent again until it is whole */
    bool retransmitting;
};

/* A connection: its dialling end and the accepting one. Freed when nothing refers to it any more. */
struct pipe {
    struct pipe *next, **prev;
    struct sim_net *net;
    struct sim_conn ends[2];
    unsigned refs; /* open ends and events under way */
    const char *service;
    bool accepted, over;
    int64_t bad_since_ns; /* -1: it is well */
};

struct sim_net {
    struct sim *sim;
    struct sim_rng rng;
    struct place places[SIM_PLACES_MAX];
    unsigned n;
    struct sim_way *ways; /* from * SIM_PLACES_MAX + to */
    struct pipe *pipes;
};

static const struct sim_end_reason reset = {HF_UNAVAILABLE, "the connection was reset", ""};
static const struct sim_end_reason unreachable = {HF_UNAVAILABLE, "no answer from the other end", ""};
static const struct sim_end_reason refused = {HF_UNAVAILABLE, "connection refused", ""};
static const struct sim_end_reason cancelled = {HF_CANCELLED, "the other end closed the connection", ""};

/* --- places and ways --- */

struct sim_net *sim_net_create(struct sim *s)
{
    struct sim_net *n = HF_NEW(struct sim_net);
    n->sim = s;
    n->rng = sim_rng_make(sim_seed(s), "net", 0);
    n->ways = hf_alloc_array(SIM_PLACES_MAX * SIM_PLACES_MAX, sizeof *n->ways);
    memset(n->ways, 0, SIM_PLACES_MAX * SIM_PLACES_MAX * sizeof *n->ways);
    return n;
}

unsigned sim_net_add(struct sim_net *n, const char *name)
{
    HF_ASSERT(n->n < SIM_PLACES_MAX);
    snprintf(n->places[n->n].name, sizeof n->places[n->n].name, "%s", name);
    n->places[n->n].power = true;
    return n->n++;
}

unsigned sim_net_places(const struct sim_net *n)
{
    return n->n;
}

const char *sim_net_name(const struct sim_net *n, unsigned place)
{
    return n->places[place].name;
}

struct sim_way *sim_net_way(struct sim_net *n, unsigned from, unsigned to)
{
    return &n->ways[from * SIM_PLACES_MAX + to];
}

static bool passes(const struct sim_net *n, unsigned from, unsigned to)
{
    return n->places[from].power && n->places[to].power && !n->ways[from * SIM_PLACES_MAX + to].cut;
}

bool sim_net_reach(const struct sim_net *n, unsigned a, unsigned b)
{
    return passes(n, a, b) && passes(n, b, a);
}

void sim_net_set_power(struct sim_net *n, unsigned place, bool on)
{
    n->places[place].power = on;
}

static int64_t draw_latency(struct sim_net *n, unsigned from, unsigned to)
{
    int64_t ns = sim_rng_skewed(&n->rng, LATENCY_LOW_NS, LATENCY_HIGH_NS);
    int64_t more_ms = sim_net_way(n, from, to)->delay_ms;
    return more_ms > 0 ? ns + sim_rng_skewed(&n->rng, 0, more_ms * HF_MS_NS) : ns;
}

/* --- datagrams --- */

struct flight {
    struct sim_net *net;
    unsigned from, to;
    struct sim_proc *proc;
    uint32_t life;
    struct sim_datagram d;
};

static void flight_drop(void *arg)
{
    struct flight *f = arg;
    f->d.drop(f->d.arg);
    free(f);
}

static void flight_lands(void *arg)
{
    struct flight f = *(struct flight *)arg;
    free(arg);
    if (passes(f.net, f.from, f.to))
        sim_proc_enter(f.proc, f.proc->life, f.d.fn, f.d.drop, f.d.arg);
    else
        f.d.drop(f.d.arg);
}

static void fly(struct sim_net *n, unsigned from, unsigned to, struct sim_proc *proc,
                const struct sim_datagram *d)
{
    struct flight *f = hf_alloc(sizeof *f);
    *f = (struct flight){n, from, to, proc, proc->life, *d};
    sim_after(n->sim, draw_latency(n, from, to), flight_lands, flight_drop, f);
}

void sim_net_send(struct sim_net *n, unsigned from, unsigned to, struct sim_proc *to_proc,
                  const struct sim_datagram *d)
{
    const struct sim_way *way = sim_net_way(n, from, to);
    if (!passes(n, from, to) || (way->loss_ppm > 0 && sim_rng_chance(&n->rng, way->loss_ppm))) {
        d->drop(d->arg);
        return;
    }
    if (way->duplicate_ppm > 0 && sim_rng_chance(&n->rng, way->duplicate_ppm)) {
        struct sim_datagram twin = *d;
        twin.arg = d->copy(d->arg);
        fly(n, from, to, to_proc, &twin);
    }
    fly(n, from, to, to_proc, d);
}

/* --- the life of a connection --- */

static void pipe_unref(struct pipe *p)
{
    if (--p->refs > 0)
        return;
    *p->prev = p->next;
    if (p->next)
        p->next->prev = p->prev;
    free(p);
}

static struct sim_conn *other(struct sim_conn *c)
{
    return &c->pipe->ends[c == &c->pipe->ends[0]];
}

static struct packet *packet_new(struct sim_conn *c, enum packet_kind kind)
{
    struct packet *k = HF_NEW(struct packet);
    k->from = c;
    k->kind = kind;
    c->pipe->refs++;
    return k;
}

static void packet_drop(struct packet *k)
{
    struct pipe *p = k->from->pipe;
    if (k->bytes)
        hf_bytes_unref(k->bytes);
    free(k);
    pipe_unref(p);
}

static void on_packet_dropped(void *arg)
{
    packet_drop(arg);
}

static void drop_held(struct sim_conn *c)
{
    struct packet *k = c->held;
    c->held = NULL;
    c->held_end = &c->held;
    while (k) {
        struct packet *next = k->next;
        c->forgotten |= k->kind == PACKET_CLOSE;
        packet_drop(k);
        k = next;
    }
}

/* Its process may not use it any more. */
static void end_closes(struct sim_conn *c)
{
    if (!c->open)
        return;
    c->open = false;
    pipe_unref(c->pipe);
}

/* --- packets --- */

static void transmit(struct packet *k);

/* Tells the process that the connection is over; inside it. */
static void say_ended(struct sim_conn *c, const struct sim_end_reason *why)
{
    if (!c->open)
        return;
    const struct sim_conn_ops *ops = c->ops;
    void *arg = c->arg;
    struct sim_end_reason copy = *why;
    end_closes(c);
    if (ops)
        ops->ended(arg, &copy);
}

static void take_packet(void *arg)
{
    struct packet *k = arg;
    struct sim_conn *to = other(k->from);
    if (to->open && k->kind == PACKET_DATA && to->ops)
        to->ops->message(to->arg, k->bytes);
    else if (k->kind == PACKET_CLOSE)
        say_ended(to, &k->why);
    packet_drop(k);
}

static void accept_packet(void *arg)
{
    struct packet *k = arg;
    struct sim_conn *to = other(k->from);
    const struct sim_listener *l = k->from->pipe->net->places[to->place].listener;
    if (to->open && l)
        l->accept(l->arg, to, k->from->place, k->from->pipe->service);
    packet_drop(k);
}

static void proc_exited(void *arg, struct sim_proc *p);

/* Makes a packet of c's own kernel: nothing of its process. */
static void send_close(struct sim_conn *c, const struct sim_end_reason *why)
{
    struct packet *k = packet_new(c, PACKET_CLOSE);
    k->why = *why;
    transmit(k);
}

static void open_arrives(struct packet *k)
{
    struct sim_conn *to = other(k->from);
    struct sim_net *n = k->from->pipe->net;
    const struct sim_listener *l = n->places[to->place].listener;
    if (!l || !l->proc->up || l->proc->dying) {
        send_close(to, &refused);
        packet_drop(k);
        return;
    }
    to->proc = l->proc;
    to->life = l->proc->life;
    to->proc->exited = proc_exited;
    to->proc->exited_arg = n;
    to->open = true;
    to->pipe->refs++;
    to->pipe->accepted = true;
    sim_proc_enter(to->proc, to->life, accept_packet, on_packet_dropped, k);
}

static void arrives(struct packet *k)
{
    struct sim_conn *to = other(k->from);
    if (k->kind == PACKET_OPEN)
        open_arrives(k);
    else if (to->open)
        sim_proc_enter(to->proc, to->life, take_packet, on_packet_dropped, k);
    else
        packet_drop(k);
}

static void on_retransmit(void *arg);

static void drop_retransmit(void *arg)
{
    struct sim_conn *c = arg;
    drop_held(c);
    pipe_unref(c->pipe);
}

static void retransmit_later(struct sim_conn *c)
{
    c->retransmitting = true;
    c->pipe->refs++;
    sim_after(c->pipe->net->sim, RETRANSMIT_MS * HF_MS_NS, on_retransmit, drop_retransmit, c);
}

static void on_retransmit(void *arg)
{
    struct sim_conn *c = arg;
    c->retransmitting = false;
    if (c->pipe->over || !c->pipe->net->places[c->place].power) {
        drop_held(c);
    } else if (!passes(c->pipe->net, c->place, other(c)->place)) {
        if (c->held)
            retransmit_later(c);
    } else {
        struct packet *k = c->held;
        c->held = NULL;
        c->held_end = &c->held;
        while (k) {
            struct packet *next = k->next;
            arrives(k);
            k = next;
        }
    }
    pipe_unref(c->pipe);
}

static void on_arrival(void *arg)
{
    struct packet *k = arg;
    struct sim_conn *c = k->from;
    if (c->pipe->over) {
        packet_drop(k);
    } else if (c->held || !passes(c->pipe->net, c->place, other(c)->place)) {
        k->next = NULL;
        *c->held_end = k;
        c->held_end = &k->next;
        if (!c->retransmitting)
            retransmit_later(c);
    } else {
        arrives(k);
    }
}

static void transmit(struct packet *k)
{
    struct sim_conn *c = k->from;
    struct sim_net *n = c->pipe->net;
    int64_t when = sim_now_ns(n->sim) + draw_latency(n, c->place, other(c)->place);
    if (when <= c->arrives_ns)
        when = c->arrives_ns + 1;
    c->arrives_ns = when;
    sim_at(n->sim, when, on_arrival, on_packet_dropped, k);
}

static void on_transmit(void *arg)
{
    transmit(arg);
}

/* --- keep-alive --- */

static bool well(const struct pipe *p)
{
    const struct sim_conn *a = &p->ends[0], *b = &p->ends[1];
    if (!sim_net_reach(p->net, a->place, b->place))
        return false;
    return p->accepted && sim_proc_runs(a->proc) && sim_proc_runs(b->proc);
}

static void take_notice(void *arg)
{
    struct sim_conn *c = arg;
    say_ended(c, &unreachable);
    pipe_unref(c->pipe);
}

static void drop_notice(void *arg)
{
    pipe_unref(((struct sim_conn *)arg)->pipe);
}

static void give_up(struct pipe *p)
{
    p->over = true;
    for (int i = 0; i < 2; i++) {
        struct sim_conn *c = &p->ends[i];
        drop_held(c);
        if (!c->open)
            continue;
        p->refs++;
        sim_proc_enter(c->proc, c->life, take_notice, drop_notice, c);
    }
}

/* A machine that has power again answers the keep-alive of a connection that it knows nothing of. */
static void reset_forgotten(struct pipe *p)
{
    for (int i = 0; i < 2; i++) {
        struct sim_conn *c = &p->ends[i];
        if (!c->forgotten || !sim_net_reach(p->net, c->place, other(c)->place))
            continue;
        c->forgotten = false;
        send_close(c, &reset);
    }
}

static void drop_check(void *arg)
{
    pipe_unref(arg);
}

static void on_check(void *arg)
{
    struct pipe *p = arg;
    int64_t now = sim_now_ns(p->net->sim);
    int64_t patience_ms = p->accepted ? SIM_KEEPALIVE_MS : SIM_CONNECT_MS;
    bool open = p->ends[0].open || p->ends[1].open;
    if (!open || p->over) {
        pipe_unref(p);
        return;
    }
    reset_forgotten(p);
    if (well(p))
        p->bad_since_ns = -1;
    else if (p->bad_since_ns < 0)
        p->bad_since_ns = now;
    if (p->bad_since_ns >= 0 && now - p->bad_since_ns >= (patience_ms - CHECK_MS) * HF_MS_NS) {
        give_up(p);
        pipe_unref(p);
        return;
    }
    sim_after(p->net->sim, CHECK_MS * HF_MS_NS, on_check, drop_check, p);
}

/* --- for processes --- */

void sim_net_listen(struct sim_net *n, unsigned place, const struct sim_listener *l)
{
    n->places[place].listener = l;
}

struct sim_conn *sim_conn_dial(struct sim_net *n, struct sim_proc *from_proc, unsigned from, unsigned to,
                               const char *service, const struct sim_conn_ops *ops, void *arg)
{
    struct pipe *p = HF_NEW(struct pipe);
    p->net = n;
    p->service = service;
    p->bad_since_ns = -1;
    p->next = n->pipes;
    p->prev = &n->pipes;
    if (p->next)
        p->next->prev = &p->next;
    n->pipes = p;
    for (int i = 0; i < 2; i++) {
        p->ends[i].pipe = p;
        p->ends[i].held_end = &p->ends[i].held;
    }
    struct sim_conn *c = &p->ends[0];
    c->place = from;
    c->proc = from_proc;
    c->life = from_proc->life;
    c->ops = ops;
    c->arg = arg;
    c->open = true;
    p->ends[1].place = to;
    from_proc->exited = proc_exited;
    from_proc->exited_arg = n;
    p->refs = 2; /* the open end and the check */
    sim_after(n->sim, CHECK_MS * HF_MS_NS, on_check, drop_check, p);
    sim_proc_act(from_proc, on_transmit, on_packet_dropped, packet_new(c, PACKET_OPEN));
    return c;
}

void sim_conn_take(struct sim_conn *c, const struct sim_conn_ops *ops, void *arg)
{
    c->ops = ops;
    c->arg = arg;
}

void sim_conn_send(struct sim_conn *c, struct hf_bytes *bytes)
{
    HF_ASSERT(c->open);
    struct packet *k = packet_new(c, PACKET_DATA);
    k->bytes = hf_bytes_ref(bytes);
    sim_proc_act(c->proc, on_transmit, on_packet_dropped, k);
}

/* The process died before it said why: the kernel resets the connection. */
static void on_close_lost(void *arg)
{
    struct packet *k = arg;
    k->why = reset;
    k->from->forgotten = !k->from->pipe->net->places[k->from->place].power;
    if (k->from->forgotten)
        packet_drop(k);
    else
        transmit(k);
}

void sim_conn_close(struct sim_conn *c, const struct sim_end_reason *why)
{
    HF_ASSERT(c->open);
    struct packet *k = packet_new(c, PACKET_CLOSE);
    k->why = why ? *why : cancelled;
    sim_proc_act(c->proc, on_transmit, on_close_lost, k);
    end_closes(c);
}

static void proc_exited(void *arg, struct sim_proc *p)
{
    struct sim_net *n = arg;
    struct pipe *next;
    for (struct pipe *pipe = n->pipes; pipe; pipe = next) {
        next = pipe->next;
        for (int i = 0; i < 2; i++) {
            struct sim_conn *c = &pipe->ends[i];
            if (!c->open || c->proc != p)
                continue;
            pipe->refs++;
            c->forgotten = !n->places[c->place].power;
            if (!c->forgotten)
                send_close(c, &reset);
            end_closes(c);
            pipe_unref(pipe);
        }
    }
}

void sim_net_free(struct sim_net *n)
{
    HF_ASSERT(!n->pipes); /* the queue is gone, and with it what referred to them */
    free(n->ways);
    free(n);
}
