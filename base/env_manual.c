/* The environment of tests: time stands still until it is moved, random numbers come from a seed, "threads" run inline when
 * time moves. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/env.h"
#include "base/mem.h"

struct job {
    struct job *next;
    hf_work_fn work, done;
    void *arg;
};

struct manual {
    struct hf_env env;
    int64_t now_ns;
    uint64_t random_state;
    struct job *first, **end;
};

static struct manual *of(struct hf_env *env)
{
    return hf_container_of(env, struct manual, env);
}

static int64_t manual_now(struct hf_env *env)
{
    return of(env)->now_ns;
}

static int64_t manual_wall(struct hf_env *env)
{
    return 1700000000000 + of(env)->now_ns / HF_MS_NS;
}

/* splitmix64, Steele, Lea and Flood 2014 */
static uint64_t next_random(struct manual *m)
{
    uint64_t z = (m->random_state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void manual_random(struct hf_env *env, void *buf, size_t len)
{
    unsigned char *p = buf;
    for (size_t i = 0; i < len; i++)
        p[i] = (unsigned char)(next_random(of(env)) >> 56);
}

static void manual_wake(struct hf_env *env, int64_t due_ns)
{
    (void)env;
    (void)due_ns; /* advance() looks at the heap itself */
}

static void manual_work(struct hf_env *env, hf_work_fn work, hf_work_fn done, void *arg)
{
    struct manual *m = of(env);
    struct job *j = HF_NEW(struct job);
    *j = (struct job){.work = work, .done = done, .arg = arg};
    *m->end = j;
    m->end = &j->next;
}

static const struct hf_env_ops manual_ops = {manual_now, manual_wall, manual_random, manual_wake, manual_work};

struct hf_env *hf_env_manual_create(uint64_t seed)
{
    struct manual *m = HF_NEW(struct manual);
    hf_env_init(&m->env, &manual_ops);
    m->now_ns = HF_S_NS;
    m->random_state = seed;
    m->end = &m->first;
    return &m->env;
}

static void run_jobs(struct manual *m)
{
    while (m->first) {
        struct job *j = m->first;
        m->first = j->next;
        if (!m->first)
            m->end = &m->first;
        if (j->work)
            j->work(j->arg);
        if (j->done)
            j->done(j->arg);
        free(j);
    }
}

void hf_env_manual_advance_ms(struct hf_env *env, int64_t ms)
{
    struct manual *m = of(env);
    HF_ASSERT(ms >= 0);
    int64_t until = m->now_ns + ms * HF_MS_NS;
    run_jobs(m);
    hf_env_fire(env);
    run_jobs(m);
    while (env->heap_len > 0 && env->heap[0]->due_ns <= until) {
        if (env->heap[0]->due_ns > m->now_ns)
            m->now_ns = env->heap[0]->due_ns;
        hf_env_fire(env);
        run_jobs(m);
    }
    m->now_ns = until;
}

void hf_env_manual_free(struct hf_env *env)
{
    struct manual *m = of(env);
    while (m->first) {
        struct job *j = m->first;
        m->first = j->next;
        free(j);
    }
    hf_env_done(env);
    free(m);
}
