#include "hostd/lease_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/worker.h"
#include "ha/sampler.h"
#include "hostd/lease_store.h"

#define MARKERS 4

struct hf_lease_reader {
    struct hf_env *env;
    struct hf_lease_reader_options o;
    struct hf_lease_store *store;
    struct hf_sampler *sampler;
    struct pending_mark *marks;
    size_t n_marks;
    struct hf_worker *worker;  /* one thread */
    struct hf_worker *markers; /* a mark that hangs keeps no record from being read, and no other mark */
    struct hf_timer next;
    int64_t started_ms; /* the sample under way, or the last */
    bool closed, worker_gone;
};

struct pending_mark {
    struct hf_lease_mark mark;
    bool written, busy;
    char error[HF_OBSERVATION_ERROR_MAX];
};

/* One mark on a thread of the markers. */
struct mark_job {
    struct hf_job job;
    struct hf_lease_reader *reader; /* the loop's */
    struct hf_lease_store *store;
    struct hf_lease_mark mark;
    hf_status result;
};

/* One sample on the worker's thread: the own record, then each peer's. */
struct sample {
    struct hf_job job;
    struct hf_lease_reader *reader; /* the loop's */
    struct hf_lease_store *store;
    struct hf_uuid cluster;
    bool any_cluster;
    struct hf_sampler_read own;
    struct hf_sampler_read *reads;
    size_t n_reads;
    struct pending_mark *marks; /* a copy, of what was written before it begins */
    size_t n_marks;
};

static int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t); /* the clock of hf_env_now_ms() */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- on the thread --- */

static void read_one(const struct sample *s, uint8_t *buf, struct hf_sampler_read *r)
{
    size_t len = 0;
    r->start_ms = clock_ms();
    hf_status st = hf_lease_store_read(s->store, &r->host, buf, &len);
    r->end_ms = clock_ms();
    if (hf_ok(st))
        hf_sampler_digest(buf, len, s->any_cluster ? NULL : &s->cluster, r);
    else
        snprintf(r->error, sizeof r->error, "%s", hf_status_message(st));
    hf_status_drop(st);
}

static void mark_work(struct hf_job *job)
{
    struct mark_job *m = hf_container_of(job, struct mark_job, job);
    m->result = hf_lease_store_mark(m->store, &m->mark.host, m->mark.epoch);
}

static void mark_end(struct hf_job *job)
{
    struct mark_job *m = hf_container_of(job, struct mark_job, job);
    hf_status_drop(m->result);
    hf_lease_store_unref(m->store);
    free(m);
}

/* Rule 12: what is read of a host's record now is read after its mark was written. */
static void tell_marks(const struct sample *s, struct hf_sampler_read *r)
{
    for (size_t i = 0; i < s->n_marks; i++) {
        const struct pending_mark *m = &s->marks[i];
        if (!hf_uuid_equal(&m->mark.host, &r->host))
            continue;
        if (m->written)
            r->marked_epoch = m->mark.epoch;
        else
            memcpy(r->mark_error, m->error, sizeof r->mark_error);
    }
}

static void sample_work(struct hf_job *job)
{
    struct sample *s = hf_container_of(job, struct sample, job);
    uint8_t *buf = aligned_alloc(4096, HF_LEASE_FILE_BYTES);
    HF_ASSERT(buf);
    read_one(s, buf, &s->own);
    for (size_t i = 0; i < s->n_reads && !hf_job_expired(job); i++) {
        tell_marks(s, &s->reads[i]);
        read_one(s, buf, &s->reads[i]);
    }
    free(buf);
}

static void sample_end(struct hf_job *job)
{
    struct sample *s = hf_container_of(job, struct sample, job);
    for (size_t i = 0; i < s->n_reads; i++)
        free(s->reads[i].runs);
    free(s->own.runs);
    free(s->reads);
    free(s->marks);
    hf_lease_store_unref(s->store);
    free(s);
}

/* --- on the loop --- */

static void start_sample(void *arg);

static struct pending_mark *find_mark(struct hf_lease_reader *r, const struct hf_lease_mark *mark)
{
    for (size_t k = 0; k < r->n_marks; k++)
        if (hf_uuid_equal(&r->marks[k].mark.host, &mark->host) && r->marks[k].mark.epoch == mark->epoch)
            return &r->marks[k];
    return NULL;
}

static void mark_done(struct hf_job *job, hf_status st)
{
    struct mark_job *j = hf_container_of(job, struct mark_job, job);
    struct pending_mark *m = j->reader->closed ? NULL : find_mark(j->reader, &j->mark);
    if (!m)
        return;
    m->busy = false;
    m->written |= hf_ok(st) && hf_ok(j->result);
    if (hf_ok(st))
        snprintf(m->error, sizeof m->error, "%s", hf_status_message(j->result));
    else
        snprintf(m->error, sizeof m->error, "writing the fence mark takes longer than %lld ms",
                 (long long)j->reader->o.timing->io_timeout_ms);
}

static void start_marks(struct hf_lease_reader *r)
{
    for (size_t i = 0; i < r->n_marks; i++) {
        struct pending_mark *m = &r->marks[i];
        if (m->written || m->busy)
            continue;
        struct mark_job *j = HF_NEW(struct mark_job);
        j->job = (struct hf_job){.work = mark_work, .done = mark_done, .end = mark_end};
        j->reader = r;
        j->store = hf_lease_store_ref(r->store);
        j->mark = m->mark;
        m->busy = true;
        hf_worker_submit(r->markers, &j->job, (unsigned)r->o.timing->io_timeout_ms);
    }
}

static void sample_done(struct hf_job *job, hf_status st)
{
    struct sample *s = hf_container_of(job, struct sample, job);
    struct hf_lease_reader *r = s->reader;
    if (r->closed)
        return;
    size_t n;
    const struct hf_observation *seen;
    if (hf_ok(st)) {
        seen = hf_sampler_sample(r->sampler, &s->own, s->reads, s->n_reads, &n);
    } else {
        char error[HF_OBSERVATION_ERROR_MAX];
        snprintf(error, sizeof error, "reading the lease records takes longer than %lld ms",
                 (long long)r->o.timing->io_timeout_ms);
        seen = hf_sampler_failed(r->sampler, error, &n);
    }
    int64_t wait = r->started_ms + r->o.timing->sample_ms - hf_env_now_ms(r->env);
    hf_timer_start(r->env, &r->next, wait > 0 ? wait : 0, start_sample, r);
    if (n > 0)
        r->o.cb(r->o.arg, &r->o.storage, seen, n); /* last: it may close the reader */
}

static void start_sample(void *arg)
{
    struct hf_lease_reader *r = arg;
    struct sample *s = HF_NEW(struct sample);
    start_marks(r);
    s->job = (struct hf_job){.work = sample_work, .done = sample_done, .end = sample_end};
    s->reader = r;
    s->store = hf_lease_store_ref(r->store);
    s->cluster = r->o.cluster;
    s->any_cluster = hf_uuid_is_zero(&r->o.cluster);
    s->own.host = r->o.own_host;
    struct hf_uuid *peers = hf_sampler_peers(r->sampler, &s->n_reads);
    s->reads = hf_alloc_array(s->n_reads + 1, sizeof s->reads[0]);
    for (size_t i = 0; i < s->n_reads; i++)
        s->reads[i].host = peers[i];
    free(peers);
    s->n_marks = r->n_marks;
    s->marks = hf_alloc_array(r->n_marks + 1, sizeof s->marks[0]);
    if (r->n_marks > 0)
        memcpy(s->marks, r->marks, r->n_marks * sizeof s->marks[0]);
    r->started_ms = hf_env_now_ms(r->env);
    hf_worker_submit(r->worker, &s->job, (unsigned)r->o.timing->io_timeout_ms);
}

struct hf_lease_reader *hf_lease_reader_create(struct hf_env *env, const struct hf_lease_reader_options *o)
{
    struct hf_lease_reader *r = HF_NEW(struct hf_lease_reader);
    r->env = env;
    r->o = *o;
    r->o.dir = NULL; /* the caller's */
    r->store = hf_lease_store_create(o->dir);
    r->sampler = hf_sampler_create(&o->storage, o->timing);
    r->worker = hf_worker_create(env, "leases", 1, 1);
    r->markers = hf_worker_create(env, "marks", MARKERS, HF_LEASE_READER_PEERS_MAX);
    hf_timer_start(env, &r->next, 0, start_sample, r);
    return r;
}

void hf_lease_reader_set_peers(struct hf_lease_reader *r, const struct hf_uuid *hosts, size_t n)
{
    struct hf_uuid *peers = hf_alloc_array(n + 1, sizeof peers[0]);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (hf_uuid_equal(&hosts[i], &r->o.own_host))
            continue;
        if (kept == HF_LEASE_READER_PEERS_MAX) {
            hf_warn(
                "storage is shared by more than %d hosts: the lease records of the rest are not read here",
                HF_LEASE_READER_PEERS_MAX);
            break;
        }
        peers[kept++] = hosts[i];
    }
    hf_sampler_set_peers(r->sampler, peers, kept);
    free(peers);
}

void hf_lease_reader_set_marks(struct hf_lease_reader *r, const struct hf_lease_mark *marks, size_t n)
{
    HF_ASSERT(n <= HF_LEASE_READER_PEERS_MAX);
    struct pending_mark *now = hf_alloc_array(n + 1, sizeof now[0]);
    for (size_t i = 0; i < n; i++) {
        now[i].mark = marks[i];
        const struct pending_mark *had = find_mark(r, &marks[i]);
        if (had)
            now[i] = *had;
    }
    free(r->marks);
    r->marks = now;
    r->n_marks = n;
}

static void worker_closed(void *arg)
{
    struct hf_lease_reader *r = arg;
    if (!r->worker_gone) {
        r->worker_gone = true;
        return; /* the other one frees it */
    }
    hf_sampler_free(r->sampler);
    free(r->marks);
    hf_lease_store_unref(r->store);
    free(r);
}

void hf_lease_reader_close(struct hf_lease_reader *r)
{
    r->closed = true;
    hf_timer_stop(&r->next);
    hf_worker_close(r->worker, worker_closed, r);
    hf_worker_close(r->markers, worker_closed, r);
}
