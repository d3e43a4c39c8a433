#include "base/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "base/mem.h"

enum { JOB_REFUSED, JOB_QUEUED, JOB_RUNNING, JOB_ENDED };

struct hf_worker {
    /* fixed */
    struct hf_env *env;
    struct hf_mailbox *mailbox;
    char name[13];
    unsigned threads_max, queue_max;
    /* of the loop */
    unsigned unanswered;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct hf_job *first, **end;
    unsigned queued, threads, idle;
    bool leave;
    unsigned refs; /* one per thread and one of the owner */
};

static int64_t now_ns(void)
{
    struct timespec t;
    HF_ASSERT(clock_gettime(CLOCK_BOOTTIME, &t) == 0);
    return (int64_t)t.tv_sec * HF_S_NS + t.tv_nsec;
}

struct hf_worker *hf_worker_create(struct hf_env *env, const char *name, unsigned threads_max,
                                   unsigned queue_max)
{
    HF_ASSERT(threads_max > 0 && queue_max > 0);
    struct hf_worker *w = HF_NEW(struct hf_worker);
    w->env = env;
    w->mailbox = hf_mailbox_create(env);
    snprintf(w->name, sizeof w->name, "%s", name);
    w->threads_max = threads_max;
    w->queue_max = queue_max;
    HF_ASSERT(pthread_mutex_init(&w->lock, NULL) == 0);
    HF_ASSERT(pthread_cond_init(&w->wake, NULL) == 0);
    w->end = &w->first;
    w->refs = 1;
    return w;
}

static void worker_unref(struct hf_worker *w)
{
    pthread_mutex_lock(&w->lock);
    bool last = --w->refs == 0;
    pthread_mutex_unlock(&w->lock);
    if (!last)
        return;
    hf_mailbox_unref(w->mailbox);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

/* A job is held by the loop until it is answered, and by its way through queue, thread and mailbox. */
static void job_unref(struct hf_job *job)
{
    if (atomic_fetch_sub(&job->refs, 1) == 1)
        job->end(job);
}

/* --- threads --- */

static struct hf_job *next_job(struct hf_worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->idle++;
    while (!w->first && !w->leave)
        pthread_cond_wait(&w->wake, &w->lock);
    w->idle--;
    struct hf_job *job = w->first;
    if (job) {
        w->first = job->next;
        if (!w->first)
            w->end = &w->first;
        w->queued--;
        job->state = JOB_RUNNING;
    }
    pthread_mutex_unlock(&w->lock);
    return job;
}

static void *thread_main(void *arg)
{
    struct hf_worker *w = arg;
    struct hf_job *job;
    while ((job = next_job(w)) != NULL) {
        job->work(job);
        pthread_mutex_lock(&w->lock);
        job->state = JOB_ENDED;
        pthread_mutex_unlock(&w->lock);
        if (!hf_mailbox_post(w->mailbox, &job->result))
            job_unref(job);
    }
    worker_unref(w);
    return NULL;
}

/* With the lock held. */
static void add_thread(struct hf_worker *w)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    HF_ASSERT(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    w->refs++;
    w->threads++;
    HF_ASSERT(pthread_create(&thread, NULL, thread_main, w) == 0);
    HF_ASSERT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    char name[16];
    snprintf(name, sizeof name, "%s/%u", w->name, w->threads % 100);
    pthread_setname_np(thread, name);
    pthread_detach(thread);
}

bool hf_job_expired(struct hf_job *job)
{
    return atomic_load(&job->expired);
}

unsigned hf_job_left_ms(const struct hf_job *job)
{
    int64_t left = (job->deadline_ns - now_ns()) / HF_MS_NS;
    return left > 0 ? (unsigned)left : 0;
}

void hf_job_notify(struct hf_job *job)
{
    if (atomic_exchange(&job->noticed, true))
        return;
    atomic_fetch_add(&job->refs, 1);
    if (!hf_mailbox_post(job->worker->mailbox, &job->notice))
        job_unref(job);
}

/* --- the loop --- */

static void finish_close(struct hf_worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->leave = true;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->lock);
    hf_mailbox_ref(w->mailbox); /* for threads that come back late */
    hf_mailbox_close(w->mailbox, w->closed, w->closed_arg);
    worker_unref(w);
}

static void answer(struct hf_job *job, hf_status st)
{
    struct hf_worker *w = job->worker;
    HF_ASSERT(!job->answered);
    job->answered = true;
    hf_timer_stop(&job->deadline);
    job->done(job, st);
    hf_status_drop(st);
    job_unref(job);
    HF_ASSERT(w->unanswered > 0);
    if (--w->unanswered == 0 && w->closing)
        finish_close(w);
}

static void on_result(struct hf_mail *mail)
{
    struct hf_job *job = hf_container_of(mail, struct hf_job, result);
    if (!job->answered && job->state == JOB_REFUSED)
        answer(job, hf_error(HF_UNAVAILABLE, "%s: %u calls wait already, the ones before them hang",
                             job->worker->name, job->worker->queue_max));
    else if (!job->answered)
        answer(job, HF_STATUS_OK);
    job_unref(job);
}

static void on_notice(struct hf_mail *mail)
{
    struct hf_job *job = hf_container_of(mail, struct hf_job, notice);
    atomic_store(&job->noticed, false);
    if (!job->answered && job->note)
        job->note(job);
    job_unref(job);
}

/* With the lock held. */
static void take_from_queue(struct hf_worker *w, struct hf_job *job)
{
    struct hf_job **at = &w->first;
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    if (!job->next)
        w->end = at;
    w->queued--;
    job->state = JOB_REFUSED;
}

static void on_deadline(void *arg)
{
    struct hf_job *job = arg;
    struct hf_worker *w = job->worker;
    atomic_store(&job->expired, true);
    pthread_mutex_lock(&w->lock);
    int state = job->state;
    if (state == JOB_QUEUED)
        take_from_queue(w, job);
    pthread_mutex_unlock(&w->lock);
    if (state == JOB_ENDED || state == JOB_REFUSED)
        return; /* the answer is in the mail */
    if (state == JOB_RUNNING) {
        answer(job,
               hf_error(HF_TIMEOUT, "%s: the call has not ended by its deadline and may still take effect",
                        w->name));
        return;
    }
    answer(job, hf_error(HF_UNAVAILABLE,
                         "%s: no thread was free by the deadline, the calls before this one hang", w->name));
    job_unref(job);
}

void hf_worker_submit(struct hf_worker *w, struct hf_job *job, unsigned deadline_ms)
{
    HF_ASSERT(!w->closing && job->work && job->done && job->end);
    job->worker = w;
    job->next = NULL;
    job->result.deliver = on_result;
    job->notice.deliver = on_notice;
    job->deadline = (struct hf_timer){0};
    job->deadline_ns = now_ns() + deadline_ms * HF_MS_NS;
    atomic_init(&job->refs, 2);
    atomic_init(&job->expired, false);
    atomic_init(&job->noticed, false);
    job->answered = false;
    w->unanswered++;
    hf_timer_start(w->env, &job->deadline, deadline_ms, on_deadline, job);
    pthread_mutex_lock(&w->lock);
    bool refused = w->queued >= w->queue_max;
    job->state = refused ? JOB_REFUSED : JOB_QUEUED;
    if (!refused) {
        *w->end = job;
        w->end = &job->next;
        w->queued++;
        if (w->queued > w->idle && w->threads < w->threads_max)
            add_thread(w);
        pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&w->lock);
    if (refused)
        HF_ASSERT(hf_mailbox_post(w->mailbox, &job->result));
}

void hf_worker_close(struct hf_worker *w, void (*closed)(void *arg), void *arg)
{
    HF_ASSERT(!w->closing);
    w->closing = true;
    w->closed = closed;
    w->closed_arg = arg;
    if (w->unanswered == 0)
        finish_close(w);
}
