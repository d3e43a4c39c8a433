#include "sim/raft_io.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sim/raft_writer.h"

#define READ_NS  1000000 /* to load a snapshot */
#define RETRY_MS 10      /* a disk that hangs is looked at again */

struct get {
    struct get *next;
    struct raft_io_snapshot_get *request;
};

struct sim_raft_io {
    struct raft_io outer;
    struct sim_raft_io_options o;
    raft_io_tick_cb tick;
    raft_io_recv_cb received;
    struct hf_timer ticker;
    unsigned tick_ms;
    struct sim_raft_writer writer;
    struct get *gets, **gets_end;
    struct raft_io_send **sent; /* to be told at the end of the turn */
    size_t n_sent, cap_sent;
};

static struct sim_raft_io *of(const struct raft_io *outer)
{
    return outer->impl;
}

/* --- raft_io: log and snapshots --- */

static int io_load(struct raft_io *outer, raft_term *term, raft_id *voted_for,
                   struct raft_snapshot **snapshot, raft_index *start_index, struct raft_entry *entries[],
                   size_t *n_entries)
{
    struct sim_raft_io *io = of(outer);
    const struct sim_raft_disk *d = io->o.disk;
    *term = d->term;
    *voted_for = d->vote;
    *snapshot = sim_raft_disk_snapshot(d);
    *entries = sim_raft_disk_entries(d, n_entries);
    *start_index = d->n > 0 ? d->first : d->snapshot.index + 1;
    return 0;
}

static int io_bootstrap(struct raft_io *outer, const struct raft_configuration *c)
{
    (void)outer;
    (void)c;
    return RAFT_CANTBOOTSTRAP; /* node.c has written the first configuration to the disk */
}

static int io_recover(struct raft_io *outer, const struct raft_configuration *c)
{
    (void)outer;
    (void)c;
    return RAFT_INVALID; /* nobody recovers a simulated cluster by hand */
}

static int io_append(struct raft_io *outer, struct raft_io_append *request, const struct raft_entry entries[],
                     unsigned n, raft_io_append_cb cb)
{
    request->cb = cb;
    sim_raft_writer_append(&of(outer)->writer, request, entries, n);
    return 0;
}

static int io_truncate(struct raft_io *outer, raft_index index)
{
    sim_raft_writer_truncate(&of(outer)->writer, index);
    return 0;
}

static int io_snapshot_put(struct raft_io *outer, unsigned trailing, struct raft_io_snapshot_put *request,
                           const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
    request->cb = cb;
    sim_raft_writer_put(&of(outer)->writer, request, snapshot, trailing);
    return 0;
}

static void answer_get(struct sim_raft_io *io)
{
    struct get *g = io->gets;
    struct raft_io_snapshot_get *request = g->request;
    io->gets = g->next;
    if (io->gets == NULL)
        io->gets_end = &io->gets;
    free(g);
    struct raft_snapshot *s = sim_raft_disk_snapshot(io->o.disk);
    HF_ASSERT(s != NULL); /* libraft asks only for what it has stored */
    request->cb(request, s, 0);
}

static void on_loaded(void *arg)
{
    answer_get(arg);
}

static int io_snapshot_get(struct raft_io *outer, struct raft_io_snapshot_get *request,
                           raft_io_snapshot_get_cb cb)
{
    struct sim_raft_io *io = of(outer);
    struct get *g = HF_NEW(struct get);
    request->cb = cb;
    g->request = request;
    *io->gets_end = g;
    io->gets_end = &g->next;
    sim_proc_post(io->o.proc, READ_NS, on_loaded, NULL, io);
    return 0;
}

/* --- raft_io: term and vote --- */

struct metadata {
    struct sim_raft_io *io;
    raft_term term;
    raft_id vote;
};

/* A process that waits for its disk in a system call. */
struct wait {
    struct sim_proc *proc;
    const struct sim_node_disk *faults;
};

static void on_wait(void *arg)
{
    struct wait *w = arg;
    if (w->faults->hangs) {
        sim_after(w->proc->sim, RETRY_MS * HF_MS_NS, on_wait, free, w);
        return;
    }
    sim_proc_cont(w->proc);
    free(w);
}

static void write_metadata(void *arg)
{
    struct metadata *m = arg;
    struct sim_raft_io *io = m->io;
    io->o.disk->term = m->term;
    io->o.disk->vote = m->vote;
    free(m);
    if (!io->o.faults->hangs)
        return;
    struct wait *w = HF_NEW(struct wait);
    *w = (struct wait){io->o.proc, io->o.faults};
    sim_proc_stop(io->o.proc);
    sim_after(io->o.proc->sim, RETRY_MS * HF_MS_NS, on_wait, free, w);
}

static void set_metadata(struct sim_raft_io *io, raft_term term, raft_id vote)
{
    struct metadata *m = HF_NEW(struct metadata);
    *m = (struct metadata){io, term, vote};
    sim_proc_act(io->o.proc, write_metadata, free, m);
}

static int io_set_term(struct raft_io *outer, raft_term term)
{
    set_metadata(of(outer), term, 0);
    return 0;
}

static int io_set_vote(struct raft_io *outer, raft_id vote)
{
    const struct raft *raft = outer->data;
    set_metadata(of(outer), raft_current_term(raft), vote);
    return 0;
}

/* --- raft_io: messages --- */

static void drop_message(void *arg)
{
    sim_raft_message_free(arg);
}

static void transmit(void *arg)
{
    struct sim_raft_message *m = arg;
    struct sim_raft_io *io = m->receiver;
    io->o.transmit(io->o.arg, m);
}

static int io_send(struct raft_io *outer, struct raft_io_send *request, const struct raft_message *message,
                   raft_io_send_cb cb)
{
    struct sim_raft_io *io = of(outer);
    request->cb = cb;
    if (io->n_sent == io->cap_sent) {
        io->cap_sent = io->cap_sent > 0 ? 2 * io->cap_sent : 64;
        io->sent = hf_realloc_array(io->sent, io->cap_sent, sizeof *io->sent);
    }
    io->sent[io->n_sent++] = request;
    struct sim_raft_message *m = sim_raft_message_copy(message);
    m->receiver = io;
    sim_proc_act(io->o.proc, transmit, drop_message, m);
    return 0;
}

void sim_raft_io_receive(struct sim_raft_io *io, struct sim_raft_message *take_m)
{
    struct raft_message body = take_m->body;
    sim_raft_message_given(take_m);
    io->received(&io->outer, &body);
}

/* --- raft_io: time and life --- */

static raft_time io_time(struct raft_io *outer)
{
    return (raft_time)hf_env_now_ms(&of(outer)->o.proc->env);
}

static int io_random(struct raft_io *outer, int min, int max)
{
    return (int)sim_rng_between(&of(outer)->o.proc->rng, min, max);
}

static void on_tick(void *arg)
{
    struct sim_raft_io *io = arg;
    hf_timer_start(&io->o.proc->env, &io->ticker, io->tick_ms, on_tick, io);
    io->tick(&io->outer);
}

static int io_init(struct raft_io *outer, raft_id id, const char *address)
{
    (void)outer;
    (void)id;
    (void)address;
    return 0;
}

static int io_start(struct raft_io *outer, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb received)
{
    struct sim_raft_io *io = of(outer);
    io->tick = tick;
    io->received = received;
    io->tick_ms = msecs;
    hf_timer_start(&io->o.proc->env, &io->ticker, msecs, on_tick, io);
    return 0;
}

/* Their ends bring no new ones. */
static void tell_sent(struct sim_raft_io *io, int status)
{
    for (size_t i = 0; i < io->n_sent; i++)
        io->sent[i]->cb(io->sent[i], status);
    io->n_sent = 0;
}

static void io_close(struct raft_io *outer, raft_io_close_cb cb)
{
    struct sim_raft_io *io = of(outer);
    hf_timer_stop(&io->ticker);
    sim_raft_writer_close(&io->writer);
    while (io->gets != NULL)
        answer_get(io); /* not cancelled: libraft would free what it never set */
    tell_sent(io, RAFT_CANCELED);
    cb(outer);
}

struct sim_raft_io *sim_raft_io_create(const struct sim_raft_io_options *o)
{
    struct sim_raft_io *io = HF_NEW(struct sim_raft_io);
    io->o = *o;
    sim_raft_writer_init(&io->writer, o->proc, o->disk, o->faults, o->rng);
    io->gets_end = &io->gets;
    io->outer = (struct raft_io){.version = 2,
                                 .impl = io,
                                 .init = io_init,
                                 .close = io_close,
                                 .load = io_load,
                                 .start = io_start,
                                 .bootstrap = io_bootstrap,
                                 .recover = io_recover,
                                 .set_term = io_set_term,
                                 .set_vote = io_set_vote,
                                 .send = io_send,
                                 .append = io_append,
                                 .truncate = io_truncate,
                                 .snapshot_put = io_snapshot_put,
                                 .snapshot_get = io_snapshot_get,
                                 .time = io_time,
                                 .random = io_random};
    return io;
}

void sim_raft_io_free(struct sim_raft_io *io)
{
    free(io->sent);
    free(io);
}

struct raft_io *sim_raft_io_of(struct sim_raft_io *io)
{
    return &io->outer;
}

/* --- the turn --- */

/* libraft calls back for a request that has ended when its driver's loop turns, by a function that it does
 * not export. A node of its queue is two pointers, to the next and to the one before; all kinds of request
 * begin alike. */
static void tell_completed(struct raft *raft)
{
    void **head = raft->legacy.requests, **node;
    while ((node = head[0]) != head) {
        void **next = node[0], **before = node[1];
        before[0] = next;
        next[1] = before;
        struct raft_apply *request = hf_container_of(node, struct raft_apply, queue);
        void *any_kind = request;
        if (request->type == RAFT_COMMAND)
            request->cb(request, request->status, request->result);
        else if (request->type == RAFT_BARRIER)
            ((struct raft_barrier *)any_kind)->cb(any_kind, request->status);
        else if (request->type == RAFT_CHANGE)
            ((struct raft_change *)any_kind)->cb(any_kind, request->status);
        else
            ((struct raft_transfer *)any_kind)->cb(any_kind);
    }
}

void sim_raft_io_turn(struct sim_raft_io *io)
{
    tell_sent(io, 0);
    tell_completed(io->outer.data);
}

bool sim_raft_io_completed(const struct sim_raft_io *io)
{
    const struct raft *raft = io->outer.data;
    return raft->legacy.requests[0] != (const void *)raft->legacy.requests;
}
