/* An I/O on its way to a storage: issued, landed, answered, each at its own time; waiting while its way is
 * broken. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sim/storage_private.h"

#define LATENCY_LOW_NS  200000
#define LATENCY_HIGH_NS 3000000
#define SLOW_PPM        4000 /* so many I/Os are slow even on a good way */
#define SLOW_NS         50000000
#define ANSWER_NS       100000    /* from the landing to the answer */
#define CHUNK_NS        100000000 /* a sample's reads are made in steps of at most this: versions are few */

enum io_kind { IO_RECORD, IO_SAMPLE, IO_GUEST, IO_MARK };

/* One I/O on its way; freed when nothing refers to it any more. */
struct sim_io {
    struct sim_io *next, **prev; /* of its host's */
    struct sim_storage *storage;
    unsigned host;
    enum io_kind kind;
    struct sim_proc *by; /* NULL: nobody waits for the answer */
    uint32_t life;
    int64_t issued_ns;
    int64_t due_ns; /* of the event that counts; -1: it waits for its way */
    unsigned events;
    bool orphan;                   /* its process has died: the kernel or the network has it */
    bool on_its_own;               /* it left the machine: ways do not matter any more */
    bool landed;                   /* the answer is under way */
    bool refused;                  /* the same: a Ceph cluster took it not */
    struct sim_ceph_client client; /* towards a Ceph cluster */
    bool over;
    void *arg;
    union {
        sim_written_cb written;
        sim_sampled_cb sampled;
        sim_mark_cb marked;
    } cb;
    sim_fn drop;
    struct sim_record *record; /* RECORD */
    struct {                   /* MARK */
        struct hf_uuid owner;
        uint64_t epoch;
    } mark;
    struct { /* GUEST */
        struct hf_uuid instance;
        uint64_t run, counter;
    } guest;
    struct { /* SAMPLE */
        struct hf_sampler_read *reads;
        struct {
            int64_t start_ns, look_ns, end_ns; /* true time */
        } * plan;
        size_t n, done, planned;
    } sample;
};

static int64_t draw_latency(struct sim_storage *s, const struct sim_storage_way *w)
{
    int64_t high = sim_rng_chance(&s->rng, SLOW_PPM) ? SLOW_NS : LATENCY_HIGH_NS;
    int64_t ns = sim_rng_skewed(&s->rng, LATENCY_LOW_NS, high);
    return w->delay_ms > 0 ? ns + sim_rng_skewed(&s->rng, 0, w->delay_ms * HF_MS_NS) : ns;
}

/* --- an I/O --- */

static bool is_write(const struct sim_io *io)
{
    return io->kind == IO_RECORD || io->kind == IO_GUEST;
}

static bool passes(const struct sim_io *io)
{
    const struct sim_storage_way *w = &io->storage->ways[io->host].way;
    return sim_way_passes(w) && !(is_write(io) ? w->write_hangs : w->read_hangs);
}

static bool fails(const struct sim_io *io)
{
    const struct sim_storage_way *w = &io->storage->ways[io->host].way;
    return w->fails || (io->kind == IO_GUEST && w->full) || (is_write(io) ? w->write_fails : w->read_fails);
}

/* Who it is to a Ceph cluster stays as it is now, also when the host boots again. */
static void sign(struct sim_io *io, uint32_t number)
{
    const struct sim_ceph *c = io->storage->ceph;
    if (c)
        snprintf(io->client.address, sizeof io->client.address, "%s", sim_ceph_host_address(c, io->host));
    io->client.number = number;
}

static struct sim_io *io_new(struct sim_storage *s, unsigned host, enum io_kind kind, void *arg)
{
    HF_ASSERT(host < SIM_HOSTS_MAX);
    struct sim_io *io = HF_NEW(struct sim_io), **first = &s->ways[host].ios;
    io->storage = s;
    io->host = host;
    io->kind = kind;
    io->arg = arg;
    io->issued_ns = sim_now_ns(s->world->sim);
    io->due_ns = -1;
    io->next = *first;
    io->prev = first;
    if (io->next)
        io->next->prev = &io->next;
    *first = io;
    sign(io, SIM_CEPH_DAEMON);
    return io;
}

static void io_free(struct sim_io *io)
{
    for (size_t i = 0; i < io->sample.n; i++)
        free(io->sample.reads[i].runs);
    free(io->sample.reads);
    free(io->sample.plan);
    sim_record_unref(io->record);
    free(io);
}

/* Nobody waits for the answer any more. */
static void forget_asker(struct sim_io *io, const char *why)
{
    if (io->kind == IO_GUEST && io->cb.written)
        io->cb.written(io->arg, false, why);
    else if (io->by && io->drop)
        io->drop(io->arg);
    io->cb.written = NULL;
    io->by = NULL;
}

void sim_io_over(struct sim_io *io)
{
    forget_asker(io, "the machine lost power");
    io->over = true;
    *io->prev = io->next;
    if (io->next)
        io->next->prev = io->prev;
    if (io->events == 0)
        io_free(io);
}

static void on_io(void *arg);

static void drop_io(void *arg)
{
    struct sim_io *io = arg;
    io->due_ns = -1;
    if (--io->events == 0 && io->over)
        io_free(io);
}

static void io_at(struct sim_io *io, int64_t when_ns)
{
    io->due_ns = when_ns;
    io->events++;
    sim_at(io->storage->world->sim, when_ns, on_io, drop_io, io);
}

/* --- answers --- */

struct answer {
    sim_written_cb written;
    sim_sampled_cb sampled;
    sim_mark_cb marked;
    sim_fn drop;
    void *arg;
    bool ok, is_marked;
    const char *why; /* a literal */
    struct hf_sampler_read *reads;
    size_t n;
};

static void answer_free(struct answer *a)
{
    for (size_t i = 0; i < a->n; i++)
        free(a->reads[i].runs);
    free(a->reads);
    free(a);
}

static void on_answer(void *arg)
{
    struct answer *a = arg;
    if (a->sampled)
        a->sampled(a->arg, a->reads, a->n);
    else if (a->marked)
        a->marked(a->arg, a->ok, a->is_marked, a->why);
    else
        a->written(a->arg, a->ok, a->why);
    answer_free(a);
}

static void drop_answer(void *arg)
{
    struct answer *a = arg;
    if (a->drop)
        a->drop(a->arg);
    answer_free(a);
}

static bool is_marked(const struct sim_io *io)
{
    if (io->kind == IO_RECORD)
        return io->refused;
    return io->kind == IO_MARK && sim_storage_marked(io->storage, &io->mark.owner, io->mark.epoch);
}

/* The I/O is over before anybody hears of it: who does may end, and with it all that it asked for. */
static void answer(struct sim_io *io, bool ok, const char *why)
{
    struct answer *a = HF_NEW(struct answer);
    struct sim_proc *by = io->by;
    uint32_t life = io->life;
    bool sample = io->kind == IO_SAMPLE, mark = io->kind == IO_MARK || io->kind == IO_RECORD;
    *a = (struct answer){.written = sample || mark ? NULL : io->cb.written,
                         .sampled = sample ? io->cb.sampled : NULL,
                         .marked = mark ? io->cb.marked : NULL,
                         .is_marked = is_marked(io),
                         .drop = io->drop,
                         .arg = io->arg,
                         .ok = ok,
                         .why = why,
                         .reads = io->sample.reads,
                         .n = io->sample.n};
    io->sample.reads = NULL;
    io->sample.n = 0;
    io->by = NULL;
    io->cb.written = NULL;
    sim_io_over(io);
    if (!by && a->written)
        on_answer(a); /* a guest's */
    else if (!by)
        answer_free(a);
    else if (sample)
        sim_proc_enter(by, life, on_answer, drop_answer, a);
    else if (by->up && by->life == life)
        sim_proc_post(by, ANSWER_NS, on_answer, drop_answer, a);
    else
        drop_answer(a);
}

/* --- landing --- */

/* storage/rados_lease.h: the last word of an epoch is no renewal. */
static bool takes_record(const struct sim_storage *s, unsigned host, const struct sim_record *r)
{
    return (r->closed || !sim_storage_marked(s, &r->host, r->epoch)) && r->epoch >= s->written[host];
}

static bool is_refused(const struct sim_io *io)
{
    const struct sim_storage *s = io->storage;
    return s->ceph && (sim_ceph_blocks(s->ceph, &io->client) ||
                       (io->kind == IO_RECORD && !takes_record(s, io->host, io->record)));
}

static void land(struct sim_io *io, bool torn)
{
    struct sim_storage *s = io->storage;
    int64_t now = sim_now_ns(s->world->sim);
    io->refused = is_refused(io);
    if (io->refused || (torn && s->ceph))
        return; /* a Ceph cluster takes all of a write or nothing */
    if (io->kind == IO_RECORD) {
        sim_record_file_land(&s->records[io->host], io->record, torn, now);
        s->written[io->host] = io->record->epoch;
        s->record_client[io->host] = io->client;
    } else if (s->world->checks) {
        sim_checks_write(s->world->checks, now, io->host, &s->uuid, &io->guest.instance, io->guest.run,
                         io->guest.counter, io->issued_ns);
    }
    io->landed = true;
}

/* On a way that is stale: what was there when it became that. */
static bool read_stale(const struct sim_host_way *w, struct hf_sampler_read *r)
{
    const struct sim_record_version *v = NULL;
    for (size_t i = 0; w->stale && i < w->stale->n && !v; i++)
        if (hf_uuid_equal(&w->stale->files[i].host, &r->host))
            v = &w->stale->files[i].version;
    if (w->stale)
        sim_record_version_read(v, r);
    return w->stale != NULL;
}

static const struct sim_record_file *record_of(const struct sim_storage *s, const struct hf_uuid *owner)
{
    for (unsigned i = 0; i < SIM_HOSTS_MAX; i++)
        if (s->records[i].there && hf_uuid_equal(&s->records[i].host, owner))
            return &s->records[i];
    return NULL;
}

/* On the clock of the process that reads, which has run at this rate since. */
static int64_t on_clock_ms(const struct sim_proc *p, int64_t true_ns)
{
    return (sim_proc_clock_ns(p) - (sim_now_ns(p->sim) - true_ns)) / HF_MS_NS;
}

/* Of the planned reads those that have ended by now. */
static void take_reads(struct sim_io *io)
{
    struct sim_storage *s = io->storage;
    int64_t now = sim_now_ns(s->world->sim);
    bool failing = fails(io) || is_refused(io);
    while (io->sample.done < io->sample.planned && io->sample.plan[io->sample.done].end_ns <= now) {
        size_t i = io->sample.done++;
        struct hf_sampler_read *r = &io->sample.reads[i];
        r->start_ms = on_clock_ms(io->by, io->sample.plan[i].start_ns);
        r->end_ms = on_clock_ms(io->by, io->sample.plan[i].end_ns);
        if (failing)
            snprintf(r->error, sizeof r->error, "read the record: Input/output error");
        else if (!read_stale(&s->ways[io->host], r))
            sim_record_file_read(record_of(s, &r->host), io->sample.plan[i].look_ns, r);
    }
}

/* The next step of a sample: as many reads as fit into a chunk, one behind the other. */
static void plan_reads(struct sim_io *io)
{
    struct sim_storage *s = io->storage;
    int64_t begin = sim_now_ns(s->world->sim), at = begin;
    size_t i = io->sample.done;
    while (i < io->sample.n && (at == begin || at - begin < CHUNK_NS)) {
        int64_t ns = draw_latency(s, &s->ways[io->host].way);
        io->sample.plan[i].start_ns = at;
        io->sample.plan[i].look_ns = at + sim_rng_between(&s->rng, 0, ns);
        at += ns;
        io->sample.plan[i++].end_ns = at;
    }
    io->sample.planned = i;
    io_at(io, at);
}

static void go(struct sim_io *io)
{
    struct sim_host_way *w = &io->storage->ways[io->host];
    if (!passes(io))
        io->due_ns = -1;
    else if (io->kind == IO_SAMPLE)
        plan_reads(io);
    else
        io_at(io, sim_now_ns(io->storage->world->sim) + draw_latency(io->storage, &w->way));
}

static void on_sample(struct sim_io *io)
{
    if (!io->by->up || io->by->life != io->life) {
        sim_io_over(io);
        return;
    }
    take_reads(io);
    if (io->sample.done == io->sample.n)
        answer(io, true, "");
    else
        go(io);
}

static void on_io(void *arg)
{
    struct sim_io *io = arg;
    struct sim_storage *s = io->storage;
    bool counts = !io->over && io->due_ns == sim_now_ns(s->world->sim);
    io->events--;
    if (!counts) {
        if (io->over && io->events == 0)
            io_free(io);
    } else if (io->kind == IO_SAMPLE) {
        on_sample(io);
    } else if (fails(io) && !io->on_its_own && !io->landed) {
        answer(io, false, "Input/output error");
    } else {
        if (!io->landed && is_write(io))
            land(io, false);
        answer(io, io->kind == IO_RECORD || !io->refused,
               io->refused ? "the client is on the blocklist" : "");
    }
}

/* What is under way meets a way that hangs or is cut: some of it has passed already, its answer has not. */
static void way_broke(struct sim_io *io)
{
    struct sim_storage *s = io->storage;
    if (io->kind == IO_SAMPLE)
        take_reads(io);
    else if (is_write(io) && !io->landed && !s->ways[io->host].way.cut && sim_rng_below(&s->rng, 2) == 0)
        land(io, false);
    io->due_ns = -1;
}

static void forget_stale(struct sim_host_way *w)
{
    for (size_t i = 0; w->stale && i < w->stale->n; i++)
        sim_record_unref(w->stale->files[i].version.newest);
    free(w->stale);
    w->stale = NULL;
}

static void keep_stale(struct sim_storage *s, struct sim_host_way *w)
{
    struct sim_stale_records *k = HF_NEW(struct sim_stale_records);
    for (unsigned i = 0; i < SIM_HOSTS_MAX; i++) {
        k->files[k->n].host = s->records[i].host;
        k->n += sim_record_file_version(&s->records[i], &k->files[k->n].version);
    }
    w->stale = k;
}

void sim_storage_kick(struct sim_storage *s, unsigned host)
{
    struct sim_host_way *w = &s->ways[host];
    w->files.hangs = !sim_way_passes(&w->way) || w->way.write_hangs || w->way.read_hangs;
    w->files.fails = w->way.fails || w->way.write_fails || w->way.read_fails || w->way.full;
    w->files.fails |= sim_storage_shuts_out(s, host);
    if (!w->way.stale)
        forget_stale(w);
    else if (!w->stale)
        keep_stale(s, w);
    for (struct sim_io *io = w->ios, *next; io; io = next) {
        next = io->next;
        if (io->on_its_own)
            continue;
        if (passes(io) && io->due_ns < 0)
            go(io);
        else if (!passes(io) && io->due_ns >= 0)
            way_broke(io);
    }
}

/* --- what is asked --- */

void sim_storage_write_record(struct sim_storage *s, unsigned host, struct sim_proc *by,
                              const struct hf_lease_record *r, sim_mark_cb cb, sim_fn drop, void *arg)
{
    struct sim_io *io = io_new(s, host, IO_RECORD, arg);
    io->by = by;
    io->life = by->life;
    io->cb.marked = cb;
    io->drop = drop;
    io->record = sim_record_new(r);
    go(io);
}

void sim_storage_read_records(struct sim_storage *s, unsigned host, struct sim_proc *by,
                              const struct hf_uuid *owners, size_t n, sim_sampled_cb cb, sim_fn drop,
                              void *arg)
{
    HF_ASSERT(n > 0);
    struct sim_io *io = io_new(s, host, IO_SAMPLE, arg);
    io->by = by;
    io->life = by->life;
    io->cb.sampled = cb;
    io->drop = drop;
    io->sample.reads = hf_alloc_array(n, sizeof *io->sample.reads);
    io->sample.plan = hf_alloc_array(n, sizeof *io->sample.plan);
    io->sample.n = n;
    for (size_t i = 0; i < n; i++)
        io->sample.reads[i].host = owners[i];
    go(io);
}

void sim_storage_read_mark(struct sim_storage *s, unsigned host, struct sim_proc *by,
                           const struct hf_uuid *owner, uint64_t epoch, sim_mark_cb cb, sim_fn drop,
                           void *arg)
{
    struct sim_io *io = io_new(s, host, IO_MARK, arg);
    io->by = by;
    io->life = by->life;
    io->cb.marked = cb;
    io->drop = drop;
    io->mark.owner = *owner;
    io->mark.epoch = epoch;
    go(io);
}

void sim_storage_guest_write(struct sim_storage *s, unsigned host, const struct hf_uuid *instance,
                             uint64_t run, uint64_t counter, sim_written_cb done, void *arg)
{
    struct sim_io *io = io_new(s, host, IO_GUEST, arg);
    io->cb.written = done;
    sign(io, sim_ceph_guest_number(instance, run));
    io->guest.instance = *instance;
    io->guest.run = run;
    io->guest.counter = counter;
    go(io);
}

/* --- deaths --- */

/* It has left the machine and lands by itself, or is lost. */
static void leave_alone(struct sim_io *io)
{
    struct sim_storage *s = io->storage;
    const struct sim_storage_way *w = &s->ways[io->host].way;
    forget_asker(io, "the machine lost power");
    if (io->landed || w->cut || w->late_ms == 0 || sim_rng_below(&s->rng, 2) == 0) {
        sim_io_over(io);
        return;
    }
    io->on_its_own = true;
    io_at(io, sim_now_ns(s->world->sim) + sim_rng_between(&s->rng, 0, w->late_ms * HF_MS_NS));
}

/* A client of a Ceph cluster is gone; what it had sent lies in its machine's send queue, and arrives when the
 * way is whole again. Real OSDs drop some of that, when they hear in time that nobody waits for the answer.
 */
static void leave_in_queue(struct sim_io *io)
{
    forget_asker(io, "the guest was killed");
    io->orphan = true;
}

void sim_storage_issuer_died(struct sim_storage *s, unsigned host, const struct sim_proc *by)
{
    struct sim_host_way *w = &s->ways[host];
    for (struct sim_io *io = w->ios, *next; io; io = next) {
        next = io->next;
        if (io->by != by)
            continue;
        forget_asker(io, "");
        io->orphan = true;
        if (!is_write(io))
            sim_io_over(io);
        else if (w->way.late_ms > 0)
            leave_alone(io);
    }
}

bool sim_storage_record_held(const struct sim_storage *s, unsigned host)
{
    for (const struct sim_io *io = s->ceph ? NULL : s->ways[host].ios; io; io = io->next)
        if (io->kind == IO_RECORD && io->orphan && !io->on_its_own)
            return true;
    return false;
}

void sim_storage_host_died(struct sim_storage *s, unsigned host)
{
    struct sim_host_way *w = &s->ways[host];
    for (struct sim_io *io = w->ios, *next; io; io = next) {
        next = io->next;
        if (io->on_its_own)
            continue;
        if (io->kind == IO_RECORD && !io->landed && !w->way.cut && w->way.torn_ppm > 0 &&
            sim_rng_chance(&s->rng, w->way.torn_ppm))
            land(io, true);
        if (!is_write(io))
            sim_io_over(io);
        else
            leave_alone(io);
    }
}

void sim_storage_guest_killed(struct sim_storage *s, unsigned host, const struct hf_uuid *instance)
{
    struct sim_host_way *w = &s->ways[host];
    if (sim_way_passes(&w->way) && !w->way.write_hangs)
        return; /* they are through in a moment */
    for (struct sim_io *io = w->ios, *next; io; io = next) {
        next = io->next;
        if (io->kind != IO_GUEST || io->on_its_own || io->orphan ||
            !hf_uuid_equal(&io->guest.instance, instance))
            continue;
        if (s->ceph && !io->landed && sim_rng_below(&s->rng, 2) == 0)
            leave_in_queue(io);
        else
            leave_alone(io);
    }
}
