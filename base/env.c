#include "base/env.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"

/* Timers stand in a binary heap by (due, order of start), so that the driver arms one wake-up and ties are deterministic. */

static bool before(const struct hf_timer *a, const struct hf_timer *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void place(struct hf_env *env, size_t i, struct hf_timer *t)
{
    env->heap[i] = t;
    t->slot = i + 1;
}

static void sift_up(struct hf_env *env, size_t i)
{
    struct hf_timer *t = env->heap[i];
    while (i > 0 && before(t, env->heap[(i - 1) / 2])) {
        place(env, i, env->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(env, i, t);
}

static void sift_down(struct hf_env *env, size_t i)
{
    struct hf_timer *t = env->heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= env->heap_len)
            break;
        if (child + 1 < env->heap_len && before(env->heap[child + 1], env->heap[child]))
            child++;
        if (!before(env->heap[child], t))
            break;
        place(env, i, env->heap[child]);
        i = child;
    }
    place(env, i, t);
}

static void rearm(struct hf_env *env)
{
    env->ops->wake_at(env, env->heap_len > 0 ? env->heap[0]->due_ns : INT64_MAX);
}

static void take_out(struct hf_timer *t)
{
    struct hf_env *env = t->env;
    size_t i = t->slot - 1;
    HF_ASSERT(i < env->heap_len && env->heap[i] == t);
    struct hf_timer *last = env->heap[--env->heap_len];
    t->slot = 0;
    if (last == t)
        return;
    place(env, i, last);
    sift_up(env, i);
    sift_down(env, last->slot - 1);
}

void hf_env_init(struct hf_env *env, const struct hf_env_ops *ops)
{
    *env = (struct hf_env){.ops = ops};
}

void hf_env_done(struct hf_env *env)
{
    while (env->heap_len > 0)
        take_out(env->heap[0]);
    free(env->heap);
    env->heap = NULL;
    env->heap_cap = 0;
}

void hf_timer_start(struct hf_env *env, struct hf_timer *t, int64_t delay_ms, hf_timer_cb cb, void *arg)
{
    HF_ASSERT(cb && delay_ms >= 0 && delay_ms < INT64_MAX / HF_MS_NS / 2);
    if (hf_timer_running(t))
        take_out(t);
    if (env->heap_len == env->heap_cap) {
        env->heap_cap = env->heap_cap ? 2 * env->heap_cap : 16;
        env->heap = hf_realloc_array(env->heap, env->heap_cap, sizeof *env->heap);
    }
    t->env = env;
    t->due_ns = hf_env_now_ns(env) + delay_ms * HF_MS_NS;
    t->order = env->next_order++;
    t->cb = cb;
    t->arg = arg;
    place(env, env->heap_len, t);
    env->heap_len++;
    sift_up(env, env->heap_len - 1);
    if (t->slot == 1)
        rearm(env);
}

void hf_timer_stop(struct hf_timer *t)
{
    if (!hf_timer_running(t))
        return;
    bool first = t->slot == 1;
    take_out(t);
    if (first)
        rearm(t->env);
}

void hf_env_fire(struct hf_env *env)
{
    int64_t now = hf_env_now_ns(env);
    uint64_t limit = env->next_order; /* timers started by these callbacks wait for the next turn */
    while (env->heap_len > 0 && env->heap[0]->due_ns <= now && env->heap[0]->order < limit) {
        struct hf_timer *t = env->heap[0];
        take_out(t);
        t->cb(t->arg);
    }
    rearm(env);
}
