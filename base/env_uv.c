/* hf_env on libuv: one uv timer for the whole heap, the thread pool for work. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <uv.h>

#include "base/assert.h"
#include "base/env.h"
#include "base/mem.h"

#define RANDOM_POOL 256 /* bytes from one system call: every new object takes 16 */

struct env_uv {
    struct hf_env env;
    uv_loop_t *loop;
    uv_timer_t timer;
    unsigned char random[RANDOM_POOL];
    size_t random_left; /* at the end of the pool, not handed out yet */
};

struct job {
    uv_work_t req;
    hf_work_fn work, done;
    void *arg;
};

static struct env_uv *of(struct hf_env *env)
{
    return hf_container_of(env, struct env_uv, env);
}

static int64_t clock_ns(clockid_t id)
{
    struct timespec t;
    HF_ASSERT(clock_gettime(id, &t) == 0);
    return (int64_t)t.tv_sec * HF_S_NS + t.tv_nsec;
}

static int64_t uv_env_now(struct hf_env *env)
{
    (void)env;
    return clock_ns(CLOCK_BOOTTIME);
}

static int64_t uv_env_wall(struct hf_env *env)
{
    (void)env;
    return clock_ns(CLOCK_REALTIME) / HF_MS_NS;
}

static void system_random(unsigned char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0)
            continue; /* EINTR: the only error once the pool is ready */
        p += n;
        len -= (size_t)n;
    }
}

static void uv_env_random(struct hf_env *env, void *buf, size_t len)
{
    struct env_uv *u = of(env);
    if (len > RANDOM_POOL) {
        system_random(buf, len);
        return;
    }
    if (u->random_left < len) {
        system_random(u->random, RANDOM_POOL);
        u->random_left = RANDOM_POOL;
    }
    unsigned char *from = u->random + RANDOM_POOL - u->random_left;
    memcpy(buf, from, len);
    explicit_bzero(from, len); /* it may become a secret */
    u->random_left -= len;
}

static void on_timer(uv_timer_t *t)
{
    struct env_uv *u = t->data;
    hf_env_fire(&u->env);
}

static void uv_env_wake(struct hf_env *env, int64_t due_ns)
{
    struct env_uv *u = of(env);
    if (uv_is_closing((uv_handle_t *)&u->timer))
        return;
    if (due_ns == INT64_MAX) {
        uv_timer_stop(&u->timer);
        return;
    }
    int64_t wait_ns = due_ns - uv_env_now(env);
    uint64_t wait_ms = wait_ns > 0 ? (uint64_t)((wait_ns + HF_MS_NS - 1) / HF_MS_NS) : 0;
    uv_update_time(u->loop);
    uv_timer_start(&u->timer, on_timer, wait_ms, 0);
}

static void job_work(uv_work_t *req)
{
    struct job *j = req->data;
    j->work(j->arg);
}

static void job_done(uv_work_t *req, int status)
{
    (void)status;
    struct job *j = req->data;
    hf_work_fn done = j->done;
    void *arg = j->arg;
    free(j);
    if (done)
        done(arg);
}

static void uv_env_work(struct hf_env *env, hf_work_fn work, hf_work_fn done, void *arg)
{
    struct job *j = HF_NEW(struct job);
    *j = (struct job){.work = work, .done = done, .arg = arg};
    j->req.data = j;
    HF_ASSERT(uv_queue_work(of(env)->loop, &j->req, job_work, job_done) == 0);
}

static const struct hf_env_ops uv_env_ops = {uv_env_now, uv_env_wall, uv_env_random, uv_env_wake, uv_env_work};

struct hf_env *hf_env_uv_create(struct uv_loop_s *loop)
{
    struct env_uv *u = HF_NEW(struct env_uv);
    hf_env_init(&u->env, &uv_env_ops);
    u->loop = loop;
    HF_ASSERT(uv_timer_init(loop, &u->timer) == 0);
    u->timer.data = u;
    return &u->env;
}

static void on_closed(uv_handle_t *h)
{
    struct env_uv *u = h->data;
    hf_env_done(&u->env);
    free(u);
}

void hf_env_uv_close(struct hf_env *env)
{
    uv_close((uv_handle_t *)&of(env)->timer, on_closed);
}

struct uv_loop_s *hf_env_uv_loop(struct hf_env *env)
{
    HF_ASSERT(env->ops == &uv_env_ops);
    return of(env)->loop;
}
