/* The only door from a core to the outside: clock, timers, random numbers, work on another thread.
 * Time is given in nanoseconds of a clock that counts pauses (CLOCK_BOOTTIME in env_uv.c). All calls and callbacks
 * happen on the loop's thread; only the `work` of hf_env_work runs elsewhere.
 *
 * Drivers: env_uv.c (libuv), env_manual.c (tests: time moves when told).
 */
#ifndef HF_BASE_ENV_H
#define HF_BASE_ENV_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#define HF_MS_NS 1000000LL
#define HF_S_NS 1000000000LL

struct hf_env;

typedef void (*hf_timer_cb)(void *arg);
typedef void (*hf_work_fn)(void *arg);

/* Lives in its user's struct; all zero is a stopped timer. */
struct hf_timer {
    struct hf_env *env;
    int64_t due_ns;
    uint64_t order; /* ties fire in the order of their start */
    size_t slot;    /* place in the heap plus one; 0: not running */
    hf_timer_cb cb;
    void *arg;
};

struct hf_env_ops {
    int64_t (*now_ns)(struct hf_env *env);
    int64_t (*wall_ms)(struct hf_env *env);
    void (*random)(struct hf_env *env, void *buf, size_t len);
    void (*wake_at)(struct hf_env *env, int64_t due_ns); /* INT64_MAX: never */
    void (*work)(struct hf_env *env, hf_work_fn work, hf_work_fn done, void *arg);
};

struct hf_env {
    const struct hf_env_ops *ops;
    struct hf_timer **heap;
    size_t heap_len, heap_cap;
    uint64_t next_order;
};

void hf_env_init(struct hf_env *env, const struct hf_env_ops *ops);
void hf_env_done(struct hf_env *env); /* stops what still runs */

static inline int64_t hf_env_now_ns(struct hf_env *env)
{
    return env->ops->now_ns(env);
}
static inline int64_t hf_env_now_ms(struct hf_env *env)
{
    return env->ops->now_ns(env) / HF_MS_NS;
}
/* Unix time, for people and records only: it may jump. */
static inline int64_t hf_env_wall_ms(struct hf_env *env)
{
    return env->ops->wall_ms(env);
}
static inline void hf_env_random(struct hf_env *env, void *buf, size_t len)
{
    env->ops->random(env, buf, len);
}

/* Fires once, delay_ms from now; starting a running timer moves it. The callback may start it again. */
void hf_timer_start(struct hf_env *env, struct hf_timer *t, int64_t delay_ms, hf_timer_cb cb, void *arg);
void hf_timer_stop(struct hf_timer *t);
static inline bool hf_timer_running(const struct hf_timer *t)
{
    return t->slot != 0;
}

/* Runs work(arg) on another thread, then done(arg) on the loop. Order among several is not promised. */
static inline void hf_env_work(struct hf_env *env, hf_work_fn work, hf_work_fn done, void *arg)
{
    env->ops->work(env, work, done, arg);
}

/* For drivers: fire everything due. */
void hf_env_fire(struct hf_env *env);

/* --- the libuv driver (library hf_base_uv) --- */
struct uv_loop_s;
struct hf_env *hf_env_uv_create(struct uv_loop_s *loop);
/* Closes its handles; they end in the next turns of the loop. Memory goes when they have. */
void hf_env_uv_close(struct hf_env *env);
/* The loop of an environment made by hf_env_uv_create(): for drivers with handles of their own. */
struct uv_loop_s *hf_env_uv_loop(struct hf_env *env);

/* --- the manual driver, for tests --- */
struct hf_env *hf_env_manual_create(uint64_t seed);
/* Moves time forward, firing timers and queued work in order on the way. */
void hf_env_manual_advance_ms(struct hf_env *env, int64_t ms);
void hf_env_manual_free(struct hf_env *env);

#endif
