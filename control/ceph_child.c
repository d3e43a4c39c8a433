#include "control/ceph_child.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/run_command.h"
#include "base/worker.h"

#define THREADS_MAX 8 /* processes at once */
#define QUEUE_MAX   256
#define GRACE_MS    2000 /* for the thread to see the end of its process */

struct children {
    struct hf_ceph_runner runner;
    char *program;
    struct hf_worker *worker;
};

struct question {
    struct hf_job job;
    char *program, *text;
    unsigned timeout_ms;
    hf_ceph_answered answered;
    void *arg;
    hf_status st;
    char *answer;
};

static void work(struct hf_job *job)
{
    struct question *q = hf_container_of(job, struct question, job);
    const char *argv[] = {q->program, NULL};
    q->st = hf_run_command_fed(argv, q->text, q->timeout_ms, &q->answer);
}

static void done(struct hf_job *job, hf_status st)
{
    struct question *q = hf_container_of(job, struct question, job);
    if (hf_ok(st))
        st = q->st;
    q->answered(q->arg, st, hf_ok(st) ? q->answer : NULL);
}

static void end(struct hf_job *job)
{
    struct question *q = hf_container_of(job, struct question, job);
    hf_status_drop(q->st);
    explicit_bzero(q->text, strlen(q->text));
    free(q->program);
    free(q->text);
    free(q->answer);
    free(q);
}

static void ask(struct hf_ceph_runner *r, const char *question, unsigned timeout_ms,
                hf_ceph_answered answered, void *arg)
{
    struct children *c = hf_container_of(r, struct children, runner);
    struct question *q = HF_NEW(struct question);
    q->job = (struct hf_job){.work = work, .done = done, .end = end};
    q->program = hf_strdup(c->program);
    q->text = hf_strdup(question);
    q->timeout_ms = timeout_ms;
    q->answered = answered;
    q->arg = arg;
    hf_worker_submit(c->worker, &q->job, timeout_ms + GRACE_MS);
}

static const struct hf_ceph_runner_ops child_ops = {.ask = ask};

struct hf_ceph_runner *hf_ceph_child_create(struct hf_env *env, const char *program)
{
    struct children *c = HF_NEW(struct children);
    c->runner.ops = &child_ops;
    c->program = hf_strdup(program);
    c->worker = hf_worker_create(env, "ceph", THREADS_MAX, QUEUE_MAX);
    return &c->runner;
}

static void closed(void *arg)
{
    struct children *c = arg;
    free(c->program);
    free(c);
}

void hf_ceph_child_close(struct hf_ceph_runner *r)
{
    struct children *c = hf_container_of(r, struct children, runner);
    hf_worker_close(c->worker, closed, c);
}
