#include "sim/raft_writer.h"

#include <stdlib.h>

#include "base/mem.h"

#define LOW_NS   60000 /* of a write to reach the disk */
#define HIGH_NS  8000000
#define RETRY_MS 10 /* a disk that hangs or is full is tried again */

enum write_kind { WRITE_ENTRIES, WRITE_TRUNCATE, WRITE_SNAPSHOT };

struct sim_raft_write {
    struct sim_raft_write *next;
    struct sim_raft_writer *writer;
    enum write_kind kind;
    bool submitted; /* the act is done: the disk may begin */
    struct raft_io_append *append;
    const struct raft_entry *entries;
    unsigned n;
    raft_index index; /* TRUNCATE: from here on */
    struct raft_io_snapshot_put *put;
    const struct raft_snapshot *snapshot;
    unsigned trailing;
};

/* The disk at work. It outlives the process: without a writer its result is nobody's. */
struct sim_raft_work {
    struct sim_raft_writer *writer;
};

/* --- queues --- */

static void writes_init(struct sim_raft_writes *q)
{
    q->first = NULL;
    q->end = &q->first;
}

static void writes_push(struct sim_raft_writes *q, struct sim_raft_write *w)
{
    w->next = NULL;
    *q->end = w;
    q->end = &w->next;
}

static struct sim_raft_write *writes_pop(struct sim_raft_writes *q)
{
    struct sim_raft_write *w = q->first;
    q->first = w->next;
    if (q->first == NULL)
        q->end = &q->first;
    return w;
}

static void tell(struct sim_raft_write *take_w, int status)
{
    struct sim_raft_write w = *take_w;
    free(take_w);
    if (w.kind == WRITE_ENTRIES)
        w.append->cb(w.append, status);
    else if (w.kind == WRITE_SNAPSHOT)
        w.put->cb(w.put, status);
}

/* --- the disk --- */

static void begin(struct sim_raft_writer *wr);

static void on_landed(void *arg)
{
    struct sim_raft_writer *wr = arg;
    while (wr->landed.first != NULL)
        tell(writes_pop(&wr->landed), 0);
    begin(wr);
}

/* The first n_entries of w, or all of it. */
static void land(struct sim_raft_disk *d, const struct sim_raft_write *w, unsigned n_entries)
{
    if (w->kind == WRITE_ENTRIES)
        sim_raft_disk_append(d, w->entries, n_entries);
    else if (w->kind == WRITE_TRUNCATE)
        sim_raft_disk_truncate(d, w->index);
    else
        sim_raft_disk_put_snapshot(d, w->snapshot, w->trailing);
}

static int64_t draw_latency(struct sim_raft_writer *wr)
{
    int64_t ns = sim_rng_skewed(wr->rng, LOW_NS, HIGH_NS), more_ms = wr->faults->delay_ms;
    return more_ms > 0 ? ns + sim_rng_between(wr->rng, 0, more_ms * HF_MS_NS) : ns;
}

static void on_work(void *arg)
{
    struct sim_raft_work *work = arg;
    struct sim_raft_writer *wr = work->writer;
    if (wr == NULL) {
        free(work);
        return;
    }
    if (wr->faults->hangs || wr->faults->full) {
        sim_after(wr->proc->sim, RETRY_MS * HF_MS_NS, on_work, free, work);
        return;
    }
    free(work);
    wr->work = NULL;
    while (wr->running.first != NULL) {
        struct sim_raft_write *w = writes_pop(&wr->running);
        land(wr->disk, w, w->n);
        writes_push(&wr->landed, w);
    }
    sim_proc_post(wr->proc, 0, on_landed, NULL, wr);
}

/* Takes the first write that waits, with the entries of all that wait right behind it. */
static void begin(struct sim_raft_writer *wr)
{
    if (wr->work != NULL || wr->landed.first != NULL)
        return;
    enum write_kind kind = wr->waiting.first != NULL ? wr->waiting.first->kind : WRITE_ENTRIES;
    while (wr->waiting.first != NULL && wr->waiting.first->submitted && wr->waiting.first->kind == kind) {
        writes_push(&wr->running, writes_pop(&wr->waiting));
        if (kind != WRITE_ENTRIES)
            break;
    }
    if (wr->running.first == NULL)
        return;
    wr->work = HF_NEW(struct sim_raft_work);
    wr->work->writer = wr;
    sim_after(wr->proc->sim, draw_latency(wr), on_work, free, wr->work);
}

static void submit(void *arg)
{
    struct sim_raft_write *w = arg;
    w->submitted = true;
    begin(w->writer);
}

static void enqueue(struct sim_raft_writer *wr, struct sim_raft_write w)
{
    struct sim_raft_write *own = HF_NEW(struct sim_raft_write);
    *own = w;
    own->writer = wr;
    writes_push(&wr->waiting, own);
    sim_proc_act(wr->proc, submit, NULL, own);
}

/* What the disk makes of a write under way when the power goes. */
static void land_in_part(struct sim_raft_writer *wr)
{
    enum { NOTHING, PART, ALL, OUTCOMES };
    uint64_t outcome = sim_rng_below(wr->rng, OUTCOMES);
    unsigned left = 0;
    for (const struct sim_raft_write *w = wr->running.first; w != NULL; w = w->next)
        left += w->n;
    if (wr->faults->full || outcome == NOTHING ||
        (outcome == PART && wr->running.first->kind != WRITE_ENTRIES))
        return;
    if (outcome == PART)
        left = (unsigned)sim_rng_below(wr->rng, left + 1);
    sim_mix(wr->proc->sim, left);
    for (const struct sim_raft_write *w = wr->running.first; w != NULL; w = w->next) {
        unsigned n = w->n < left ? w->n : left;
        land(wr->disk, w, n);
        left -= n;
    }
}

/* --- for raft_io.c --- */

void sim_raft_writer_init(struct sim_raft_writer *wr, struct sim_proc *p, struct sim_raft_disk *d,
                          const struct sim_node_disk *faults, struct sim_rng *rng)
{
    *wr = (struct sim_raft_writer){.proc = p, .disk = d, .faults = faults, .rng = rng};
    writes_init(&wr->waiting);
    writes_init(&wr->running);
    writes_init(&wr->landed);
    wr->last = sim_raft_disk_last(d);
}

static void cancel(struct sim_raft_writes *q)
{
    while (q->first != NULL)
        tell(writes_pop(q), RAFT_CANCELED);
}

void sim_raft_writer_close(struct sim_raft_writer *wr)
{
    if (wr->work != NULL) {
        land_in_part(wr);
        wr->work->writer = NULL;
        wr->work = NULL;
    }
    cancel(&wr->landed);
    cancel(&wr->running);
    cancel(&wr->waiting);
}

void sim_raft_writer_append(struct sim_raft_writer *wr, struct raft_io_append *request,
                            const struct raft_entry *entries, unsigned n)
{
    wr->last += n;
    enqueue(wr,
            (struct sim_raft_write){.kind = WRITE_ENTRIES, .append = request, .entries = entries, .n = n});
}

void sim_raft_writer_truncate(struct sim_raft_writer *wr, raft_index index)
{
    if (index > wr->last)
        return;
    wr->last = index - 1;
    enqueue(wr, (struct sim_raft_write){.kind = WRITE_TRUNCATE, .index = index});
}

void sim_raft_writer_put(struct sim_raft_writer *wr, struct raft_io_snapshot_put *request,
                         const struct raft_snapshot *snapshot, unsigned trailing)
{
    if (trailing == 0)
        wr->last = snapshot->index;
    enqueue(wr, (struct sim_raft_write){
                    .kind = WRITE_SNAPSHOT, .put = request, .snapshot = snapshot, .trailing = trailing});
}
