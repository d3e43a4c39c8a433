#include "rpc/h2_driver.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"

/* A task may queue others (a callback answers another call). After so many the loop gets its turn. */
#define TASKS_PER_TURN_MAX 4096

static void on_idle(uv_idle_t *h)
{
    (void)h; /* its being active is the point: the loop polls without sleeping */
}

/* Tasks that other prepare handles queue after this one has run find the idle handle active: the next turn
 * comes at once. */
static void on_prepare(uv_prepare_t *h)
{
    struct hf_h2_driver *d = h->data;
    struct hf_h2_task *task;
    for (unsigned n = 0; n < TASKS_PER_TURN_MAX && (task = TAILQ_FIRST(&d->tasks)); n++) {
        hf_h2_driver_unqueue(d, task);
        task->run(task);
    }
    if (TAILQ_EMPTY(&d->tasks) && !uv_is_closing((uv_handle_t *)&d->idle))
        uv_idle_stop(&d->idle);
}

void hf_h2_driver_init(struct hf_h2_driver *d, uv_loop_t *loop)
{
    d->loop = loop;
    d->env = hf_env_uv_create(loop);
    d->in = hf_alloc(HF_H2_IN_MAX);
    d->out = hf_alloc(HF_H2_OUT_MAX);
    TAILQ_INIT(&d->tasks);
    uv_idle_init(loop, &d->idle);
    uv_prepare_init(loop, &d->prepare);
    d->prepare.data = d->idle.data = d;
    uv_prepare_start(&d->prepare, on_prepare);
    uv_unref((uv_handle_t *)&d->prepare);
}

static void on_handle_closed(uv_handle_t *h)
{
    struct hf_h2_driver *d = h->data;
    if (--d->handles_open > 0)
        return;
    free(d->in);
    free(d->out);
    d->closed(d);
}

void hf_h2_driver_close(struct hf_h2_driver *d, void (*closed)(struct hf_h2_driver *d))
{
    HF_ASSERT(TAILQ_EMPTY(&d->tasks));
    d->closed = closed;
    d->handles_open = 2;
    hf_env_uv_close(d->env);
    uv_close((uv_handle_t *)&d->idle, on_handle_closed);
    uv_close((uv_handle_t *)&d->prepare, on_handle_closed);
}

void hf_h2_driver_queue(struct hf_h2_driver *d, struct hf_h2_task *task)
{
    if (task->queued)
        return;
    task->queued = true;
    if (TAILQ_EMPTY(&d->tasks))
        uv_idle_start(&d->idle, on_idle);
    TAILQ_INSERT_TAIL(&d->tasks, task, link);
}

void hf_h2_driver_unqueue(struct hf_h2_driver *d, struct hf_h2_task *task)
{
    if (!task->queued)
        return;
    task->queued = false;
    TAILQ_REMOVE(&d->tasks, task, link);
}
