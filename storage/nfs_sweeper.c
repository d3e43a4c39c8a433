#include "storage/nfs_sweeper.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/worker.h"
#include "storage/nfs_mount.h"

#define AGAIN_MS                                                                                             \
    10000 /* for what could not be unmounted, and mounts that end after their storage was taken away */
#define UMOUNT_MS 5000
#define SWEEP_MS  60000

struct hf_nfs_sweeper {
    struct hf_env *env;
    char *base;
    struct hf_worker *worker; /* one thread */
    struct hf_timer again;
    bool sweeping, wanted, closed;
    char *said;       /* the last error, so that it is logged once */
    atomic_uint refs; /* the owner's and that of a sweep, whose thread may hang */
    /* Asked by the thread right before each unmounting. */
    pthread_mutex_t lock;
    struct hf_uuid *keep;
    size_t n_keep;
};

struct sweep {
    struct hf_job job;
    struct hf_nfs_sweeper *s;
    hf_status st;
    size_t left;
};

static bool is_kept(void *arg, const struct hf_uuid *storage)
{
    struct hf_nfs_sweeper *s = arg;
    bool kept = false;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->n_keep; i++)
        kept |= hf_uuid_equal(&s->keep[i], storage);
    pthread_mutex_unlock(&s->lock);
    return kept;
}

static void sweep_work(struct hf_job *job)
{
    struct sweep *w = hf_container_of(job, struct sweep, job);
    w->st = hf_nfs_unmount_unwanted(w->s->base, is_kept, w->s, UMOUNT_MS, &w->left);
}

static void begin(struct hf_nfs_sweeper *s);

static void again(void *arg)
{
    begin(arg);
}

static void say(struct hf_nfs_sweeper *s, hf_status st)
{
    if (!hf_ok(st) && (!s->said || strcmp(s->said, hf_status_message(st)) != 0))
        hf_warn("%s (tried again)", hf_status_message(st));
    free(s->said);
    s->said = hf_ok(st) ? NULL : hf_strdup(hf_status_message(st));
}

static void sweep_done(struct hf_job *job, hf_status st)
{
    struct sweep *w = hf_container_of(job, struct sweep, job);
    struct hf_nfs_sweeper *s = w->s;
    s->sweeping = false;
    if (s->closed)
        return;
    say(s, hf_ok(st) ? w->st : st);
    if (s->wanted)
        begin(s);
    else
        hf_timer_start(s->env, &s->again, AGAIN_MS, again, s);
}

static void sweeper_unref(struct hf_nfs_sweeper *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&s->lock);
    free(s->keep);
    free(s->said);
    free(s->base);
    free(s);
}

static void sweep_end(struct hf_job *job)
{
    struct sweep *w = hf_container_of(job, struct sweep, job);
    hf_status_drop(w->st);
    sweeper_unref(w->s);
    free(w);
}

static void begin(struct hf_nfs_sweeper *s)
{
    s->wanted = s->sweeping;
    if (s->sweeping)
        return;
    struct sweep *w = HF_NEW(struct sweep);
    w->job = (struct hf_job){.work = sweep_work, .done = sweep_done, .end = sweep_end};
    w->s = s;
    atomic_fetch_add(&s->refs, 1);
    s->sweeping = true;
    hf_timer_stop(&s->again);
    hf_worker_submit(s->worker, &w->job, SWEEP_MS);
}

struct hf_nfs_sweeper *hf_nfs_sweeper_create(struct hf_env *env, const char *base)
{
    struct hf_nfs_sweeper *s = HF_NEW(struct hf_nfs_sweeper);
    s->env = env;
    s->base = hf_strdup(base);
    s->worker = hf_worker_create(env, "unmounts", 1, 1);
    HF_ASSERT(pthread_mutex_init(&s->lock, NULL) == 0);
    atomic_init(&s->refs, 1);
    return s;
}

void hf_nfs_sweeper_keep(struct hf_nfs_sweeper *s, const struct hf_uuid *storages, size_t n)
{
    struct hf_uuid *keep = hf_alloc_array(n + 1, sizeof *keep);
    if (n > 0)
        memcpy(keep, storages, n * sizeof *keep);
    pthread_mutex_lock(&s->lock);
    struct hf_uuid *old = s->keep;
    s->keep = keep;
    s->n_keep = n;
    pthread_mutex_unlock(&s->lock);
    free(old);
    begin(s);
}

static void on_closed(void *arg)
{
    sweeper_unref(arg);
}

void hf_nfs_sweeper_close(struct hf_nfs_sweeper *s)
{
    HF_ASSERT(!s->closed);
    s->closed = true;
    hf_timer_stop(&s->again);
    hf_worker_close(s->worker, on_closed, s);
}
