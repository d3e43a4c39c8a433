/* The reader of the peers' lease records: what hostd/lease_reader.c promises, on records of sim/storage.h.
 * One sample is one I/O of several reads; while it hangs, no other begins. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "hostd/lease_reader.h"
#include "sim/host_private.h"

/* A sample on its way; the storage has it. */
struct sample {
    struct hf_lease_reader *reader; /* NULL: closed */
    bool late;                      /* its deadline has passed */
};

struct hf_lease_reader {
    struct hf_env *env;
    struct sim_host *host;
    struct hf_lease_reader_options o;
    struct sim_storage *storage;
    struct hf_sampler *sampler;
    struct hf_uuid *owners; /* own host first, then the peers */
    size_t n_owners;
    struct pending_mark {
        struct hf_lease_mark mark;
        bool written, hangs;
    } marks[HF_LEASE_READER_PEERS_MAX];
    size_t n_marks;
    struct sample *under_way;
    struct hf_timer next, deadline;
    bool queued; /* waits for the sample that hangs */
    int64_t started_ms;
};

static void start_sample(void *arg);

/* In the order of the real one: what is next is settled before the callback, which may close the reader. */
static void conclude(struct hf_lease_reader *r, const struct hf_observation *seen, size_t n)
{
    int64_t wait = r->started_ms + r->o.timing->sample_ms - hf_env_now_ms(r->env);
    hf_timer_stop(&r->deadline);
    hf_timer_start(r->env, &r->next, wait > 0 ? wait : 0, start_sample, r);
    if (n > 0)
        r->o.cb(r->o.arg, &r->o.storage, seen, n);
}

static void begin_reads(struct hf_lease_reader *r);

static void tell_marks(const struct hf_lease_reader *r, struct hf_sampler_read *read)
{
    for (size_t k = 0; k < r->n_marks; k++) {
        const struct pending_mark *m = &r->marks[k];
        if (!hf_uuid_equal(&m->mark.host, &read->host))
            continue;
        if (m->written)
            read->marked_epoch = m->mark.epoch;
        else
            snprintf(read->mark_error, sizeof read->mark_error, "write the fence mark: %s",
                     m->hangs ? "it hangs" : "Input/output error");
    }
}

static void on_sampled(void *arg, struct hf_sampler_read *reads, size_t n)
{
    struct sample *s = arg;
    struct hf_lease_reader *r = s->reader;
    bool late = s->late;
    free(s);
    if (!r)
        return;
    r->under_way = NULL;
    if (late) {
        if (r->queued)
            begin_reads(r);
        return;
    }
    for (size_t i = 1; i < n; i++)
        tell_marks(r, &reads[i]);
    size_t n_seen;
    const struct hf_observation *seen = hf_sampler_sample(r->sampler, &reads[0], reads + 1, n - 1, &n_seen);
    conclude(r, seen, n_seen);
}

static void drop_sample(void *arg)
{
    struct sample *s = arg;
    if (s->reader)
        s->reader->under_way = NULL;
    free(s);
}

static void on_deadline(void *arg)
{
    struct hf_lease_reader *r = arg;
    char error[HF_OBSERVATION_ERROR_MAX];
    size_t n;
    snprintf(error, sizeof error, "reading the lease records takes longer than %lld ms",
             (long long)r->o.timing->io_timeout_ms);
    if (r->under_way)
        r->under_way->late = true;
    r->queued = false;
    const struct hf_observation *seen = hf_sampler_failed(r->sampler, error, &n);
    conclude(r, seen, n);
}

/* One that hangs does not keep the records from being read. */
static void write_marks(struct hf_lease_reader *r)
{
    for (size_t i = 0; i < r->n_marks; i++) {
        struct pending_mark *m = &r->marks[i];
        m->written = m->written ||
                     sim_storage_mark(r->storage, r->host->number, &m->mark.host, m->mark.epoch, &m->hangs);
    }
}

static void act_read(void *arg)
{
    struct sample *s = arg;
    struct hf_lease_reader *r = s->reader;
    write_marks(r);
    sim_storage_read_records(r->storage, r->host->number, &r->host->procs[SIM_HOSTD], r->owners, r->n_owners,
                             on_sampled, drop_sample, s);
}

static void begin_reads(struct hf_lease_reader *r)
{
    r->queued = false;
    r->under_way = HF_NEW(struct sample);
    r->under_way->reader = r;
    sim_proc_act(&r->host->procs[SIM_HOSTD], act_read, drop_sample, r->under_way);
}

static void start_sample(void *arg)
{
    struct hf_lease_reader *r = arg;
    r->started_ms = hf_env_now_ms(r->env);
    hf_timer_start(r->env, &r->deadline, r->o.timing->io_timeout_ms, on_deadline, r);
    if (r->under_way)
        r->queued = true;
    else
        begin_reads(r);
}

struct hf_lease_reader *sim_reader_create(struct hf_env *env, const struct hf_lease_reader_options *o)
{
    struct hf_lease_reader *r = HF_NEW(struct hf_lease_reader);
    r->env = env;
    r->host = hf_container_of(env, struct sim_proc, env)->arg;
    r->o = *o;
    r->storage = sim_host_storage_at(r->host, o->dir);
    r->o.dir = NULL;
    r->sampler = hf_sampler_create(&o->storage, o->timing);
    r->owners = hf_alloc_array(1 + HF_LEASE_READER_PEERS_MAX, sizeof *r->owners);
    r->owners[0] = o->own_host;
    r->n_owners = 1;
    hf_timer_start(env, &r->next, 0, start_sample, r);
    return r;
}

void sim_reader_set_peers(struct hf_lease_reader *r, const struct hf_uuid *hosts, size_t n)
{
    r->n_owners = 1;
    for (size_t i = 0; i < n && r->n_owners <= HF_LEASE_READER_PEERS_MAX; i++)
        if (!hf_uuid_equal(&hosts[i], &r->o.own_host))
            r->owners[r->n_owners++] = hosts[i];
    hf_sampler_set_peers(r->sampler, r->owners + 1, r->n_owners - 1);
}

/* A mark that is new is not written before the next sample begins. */
void sim_reader_set_marks(struct hf_lease_reader *r, const struct hf_lease_mark *marks, size_t n)
{
    HF_ASSERT(n <= HF_LEASE_READER_PEERS_MAX);
    bool written[HF_LEASE_READER_PEERS_MAX] = {false};
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < r->n_marks; k++)
            if (r->marks[k].mark.epoch == marks[i].epoch &&
                hf_uuid_equal(&r->marks[k].mark.host, &marks[i].host))
                written[i] = r->marks[k].written;
    for (size_t i = 0; i < n; i++) {
        r->marks[i].mark = marks[i];
        r->marks[i].written = written[i];
    }
    r->n_marks = n;
}

void sim_reader_close(struct hf_lease_reader *r)
{
    if (r->under_way)
        r->under_way->reader = NULL;
    hf_timer_stop(&r->next);
    hf_timer_stop(&r->deadline);
    hf_sampler_free(r->sampler);
    free(r->owners);
    free(r);
}
