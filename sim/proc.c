#include "sim/proc.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"

#define WALL_EPOCH_MS 1700000000000LL
#define BOOT_NS       HF_S_NS /* clocks begin a little past zero: a zero often means "never" */
#define WORK_LOW_NS   20000
#define WORK_HIGH_NS  5000000

/* A delivery or an act. */
struct sim_task {
    struct sim_task *next;
    struct sim_proc *proc;
    uint32_t life;
    sim_fn fn, drop;
    void *arg;
};

static struct sim_task *task_new(struct sim_proc *p, sim_fn fn, sim_fn drop, void *arg)
{
    struct sim_task *t = hf_alloc(sizeof *t);
    *t = (struct sim_task){NULL, p, p->life, fn, drop, arg};
    return t;
}

static void task_drop(struct sim_task *t)
{
    if (t->drop)
        t->drop(t->arg);
    free(t);
}

static void on_dropped(void *arg)
{
    task_drop(arg);
}

static struct sim_task *take(struct sim_task **first, struct sim_task ***end)
{
    struct sim_task *t = *first;
    *first = t->next;
    if (!*first)
        *end = first;
    return t;
}

static void drop_all(struct sim_task **first, struct sim_task ***end)
{
    while (*first)
        task_drop(take(first, end));
}

/* --- the clock --- */

int64_t sim_proc_clock_ns(const struct sim_proc *p)
{
    int64_t passed = sim_now_ns(p->sim) - p->set_ns;
    return p->shown_ns + passed + passed / 1000000 * p->rate_ppm + passed % 1000000 * p->rate_ppm / 1000000;
}

/* The true time at which the clock shows this, rounded up: never too early. */
static int64_t true_time(const struct sim_proc *p, int64_t shown_ns)
{
    int64_t rest = shown_ns - p->shown_ns, scale = 1000000 + p->rate_ppm;
    if (rest <= 0)
        return p->set_ns;
    return p->set_ns + rest / scale * 1000000 + (rest % scale * 1000000 + scale - 1) / scale;
}

/* --- the environment --- */

static struct sim_proc *of(struct hf_env *env)
{
    return hf_container_of(env, struct sim_proc, env);
}

static int64_t env_now(struct hf_env *env)
{
    return sim_proc_clock_ns(of(env));
}

static int64_t env_wall(struct hf_env *env)
{
    struct sim_proc *p = of(env);
    return WALL_EPOCH_MS + p->wall_offset_ms + sim_now_ns(p->sim) / HF_MS_NS;
}

static void env_random(struct hf_env *env, void *buf, size_t len)
{
    unsigned char *out = buf;
    while (len > 0) {
        uint64_t r = sim_rng_u64(&of(env)->rng);
        for (int i = 0; i < 8 && len > 0; i++, len--, r >>= 8)
            *out++ = (unsigned char)r;
    }
}

struct wake {
    struct sim_proc *proc;
    uint64_t number;
};

static void end_turn(struct sim_proc *p);

static void begin_turn(struct sim_proc *p)
{
    HF_ASSERT(!p->in_turn);
    p->in_turn = true;
    sim_set_turn(p->sim, p->name);
}

static void fire(struct sim_proc *p)
{
    begin_turn(p);
    hf_env_fire(&p->env);
    end_turn(p);
}

static void on_wake(void *arg)
{
    struct wake *w = arg;
    struct sim_proc *p = w->proc;
    bool counts = w->number == p->wake_number && p->up && !p->dying;
    free(w);
    if (!counts)
        return;
    p->wake_due_ns = INT64_MAX; /* the next timer is armed anew, also if it is due now */
    if (p->stops > 0)
        p->wake_missed = true;
    else
        fire(p);
}

static void arm(struct sim_proc *p, int64_t due_ns)
{
    struct wake *w = hf_alloc(sizeof *w);
    int64_t when = true_time(p, due_ns), now = sim_now_ns(p->sim);
    *w = (struct wake){p, ++p->wake_number};
    sim_at(p->sim, when > now ? when : now, on_wake, free, w);
}

static void env_wake_at(struct hf_env *env, int64_t due_ns)
{
    struct sim_proc *p = of(env);
    if (p->wake_due_ns == due_ns)
        return; /* the first timer did not change */
    p->wake_due_ns = due_ns;
    if (due_ns == INT64_MAX)
        p->wake_number++;
    else
        arm(p, due_ns);
}

/* Work of another thread happens in one step some time later; its answer comes in another. */
struct work {
    struct sim_proc *proc;
    hf_work_fn work, done;
    void *arg;
};

static void on_worked(void *arg)
{
    struct work w = *(struct work *)arg;
    free(arg);
    if (w.work)
        w.work(w.arg);
    if (w.done)
        w.done(w.arg);
}

static void env_work(struct hf_env *env, hf_work_fn work, hf_work_fn done, void *arg)
{
    struct sim_proc *p = of(env);
    struct work *w = hf_alloc(sizeof *w);
    *w = (struct work){p, work, done, arg};
    sim_proc_post(p, sim_rng_skewed(&p->rng, WORK_LOW_NS, WORK_HIGH_NS), on_worked, free, w);
}

static const struct hf_env_ops env_ops = {env_now, env_wall, env_random, env_wake_at, env_work};

/* --- life --- */

void sim_proc_init(struct sim_proc *p, struct sim *s, const char *name, uint64_t number)
{
    *p = (struct sim_proc){.sim = s, .shown_ns = BOOT_NS};
    snprintf(p->name, sizeof p->name, "%s", name);
    p->rng = sim_rng_make(sim_seed(s), name, number);
    p->set_ns = sim_now_ns(s);
    p->inbox_end = &p->inbox;
    p->acts_end = &p->acts;
}

void sim_proc_done(struct sim_proc *p)
{
    HF_ASSERT(!p->up);
    p->wake_number++;
}

void sim_proc_start(struct sim_proc *p)
{
    HF_ASSERT(!p->up);
    p->up = true;
    p->dying = false;
    p->life++;
    p->fuse = 0;
    p->wake_missed = false;
    p->wake_due_ns = INT64_MAX;
    hf_env_init(&p->env, &env_ops);
    sim_mix(p->sim, p->life);
}

static void tear_down(struct sim_proc *p)
{
    sim_trace(p->sim, p->name, "ends");
    if (p->crashed)
        p->crashed(p->arg);
    if (p->exited)
        p->exited(p->exited_arg, p);
    drop_all(&p->acts, &p->acts_end);
    drop_all(&p->inbox, &p->inbox_end);
    hf_env_done(&p->env);
    p->wake_number++;
    p->up = false;
    p->dying = false;
}

void sim_proc_crash(struct sim_proc *p)
{
    if (!p->up || p->dying)
        return;
    p->dying = true;
    if (!p->in_turn)
        tear_down(p);
}

static void end_turn(struct sim_proc *p)
{
    if (!p->dying && p->turn_ended)
        p->turn_ended(p->arg);
    p->in_turn = false;
    sim_set_turn(p->sim, NULL);
    if (p->dying)
        tear_down(p);
}

static void run_inside(struct sim_proc *p, sim_fn fn, void *arg)
{
    begin_turn(p);
    fn(arg);
    end_turn(p);
}

static void run_task(struct sim_task *t)
{
    struct sim_task copy = *t;
    free(t);
    run_inside(copy.proc, copy.fn, copy.arg);
}

/* --- stops --- */

void sim_proc_stop(struct sim_proc *p)
{
    p->stops++;
}

static void go_on(struct sim_proc *p)
{
    while (sim_proc_runs(p) && p->acts) {
        struct sim_task *t = take(&p->acts, &p->acts_end);
        t->fn(t->arg);
        free(t);
    }
    while (sim_proc_runs(p) && p->inbox)
        run_task(take(&p->inbox, &p->inbox_end));
    if (sim_proc_runs(p) && p->wake_missed) {
        p->wake_missed = false;
        fire(p);
    }
}

void sim_proc_cont(struct sim_proc *p)
{
    HF_ASSERT(p->stops > 0);
    if (--p->stops == 0 && p->up && !p->in_turn)
        go_on(p);
}

/* --- deliveries and acts --- */

void sim_proc_enter(struct sim_proc *p, uint32_t life, sim_fn fn, sim_fn drop, void *arg)
{
    if (!p->up || p->dying || life != p->life) {
        if (drop)
            drop(arg);
    } else if (p->stops > 0 || p->inbox) {
        struct sim_task *t = task_new(p, fn, drop, arg);
        *p->inbox_end = t;
        p->inbox_end = &t->next;
    } else {
        run_inside(p, fn, arg);
    }
}

static void on_delivered(void *arg)
{
    struct sim_task t = *(struct sim_task *)arg;
    free(arg);
    sim_proc_enter(t.proc, t.life, t.fn, t.drop, t.arg);
}

void sim_proc_post(struct sim_proc *p, int64_t delay_ns, sim_fn fn, sim_fn drop, void *arg)
{
    sim_after(p->sim, delay_ns, on_delivered, on_dropped, task_new(p, fn, drop, arg));
}

void sim_proc_act(struct sim_proc *p, sim_fn fn, sim_fn drop, void *arg)
{
    if (p->fuse > 0 && --p->fuse == 0 && sim_proc_runs(p))
        p->on_fuse(p->fuse_arg, p);
    if (!p->up || p->dying) {
        if (drop)
            drop(arg);
    } else if (p->stops > 0 || p->acts) {
        struct sim_task *t = task_new(p, fn, drop, arg);
        *p->acts_end = t;
        p->acts_end = &t->next;
    } else {
        fn(arg);
    }
}

void sim_proc_set_rate(struct sim_proc *p, int32_t rate_ppm)
{
    p->shown_ns = sim_proc_clock_ns(p);
    p->set_ns = sim_now_ns(p->sim);
    p->rate_ppm = rate_ppm;
    if (p->up && !p->dying && p->wake_due_ns != INT64_MAX)
        arm(p, p->wake_due_ns);
}
