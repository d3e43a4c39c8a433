#include "sim/ceph_runner.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/ceph_runner.h"
#include "sim/ceph.h"
#include "sim/ceph_verbs.h"
#include "sim/world.h"

#define ASK_LOW_NS   (20 * HF_MS_NS) /* a process begins, connects, asks */
#define ASK_HIGH_NS  (600 * HF_MS_NS)
#define BACK_LOW_NS  (5 * HF_MS_NS)
#define BACK_HIGH_NS (200 * HF_MS_NS)
#define LOOK_NS      (250 * HF_MS_NS) /* a command that waits for a quorum looks again */

struct runner {
    struct hf_ceph_runner base;
    struct sim_world *world;
    unsigned node;
    struct sim_proc *proc;
    struct sim_rng rng;
};

/* One question; freed when no event holds it. */
struct question {
    struct runner *runner;
    struct sim_ceph *cluster;
    json_t *asked;
    char *answer; /* NULL: it was refused, or not carried out */
    char error[200];
    int64_t gives_up_ns; /* the asker, at this true time */
    int64_t dies_ns;     /* no MON has it any more */
    uint32_t life;
    hf_ceph_answered answered;
    void *arg;
    bool done;
    int asker; /* what becomes of it, of struct sim_ceph_mons */
    unsigned held;
};

static void release(struct question *q)
{
    if (--q->held > 0)
        return;
    json_decref(q->asked);
    free(q->answer);
    free(q);
}

/* --- answers --- */

static void say(struct question *q, hf_status st)
{
    if (!q->done)
        q->answered(q->arg, st, hf_ok(st) ? q->answer : NULL);
    q->done = true;
    hf_status_drop(st);
    release(q);
}

static void on_answer(void *arg)
{
    struct question *q = arg;
    say(q, q->answer ? HF_STATUS_OK : hf_error(HF_UNAVAILABLE, "%s", q->error));
}

static void on_given_up(void *arg)
{
    struct question *q = arg;
    say(q, hf_error(HF_TIMEOUT, "no answer of the Ceph cluster at %s", sim_ceph_monitor(q->cluster)));
}

/* The node's process has died, or the world ends: what waited for the answer is freed. */
static void on_dropped(void *arg)
{
    say(arg, hf_error(HF_CANCELLED, "the control node ends"));
}

static void enter(void *arg)
{
    struct question *q = arg;
    sim_proc_enter(q->runner->proc, q->life, on_answer, on_dropped, q);
}

static void enter_given_up(void *arg)
{
    struct question *q = arg;
    sim_proc_enter(q->runner->proc, q->life, on_given_up, on_dropped, q);
}

/* --- the command --- */

static void carry_out(struct question *q, bool lost)
{
    struct sim *s = q->runner->world->sim;
    bool alone = sim_now_ns(s) > q->gives_up_ns;
    struct sim_ceph_call call = {q->runner->world, q->cluster, q->runner->node, q->asked, alone};
    json_t *answer = json_object();
    if (sim_ceph_carry_out(&call, answer, q->error, sizeof q->error))
        q->answer = json_dumps(answer, JSON_COMPACT);
    json_decref(answer);
    if (lost)
        release(q);
    else
        sim_after(s, sim_rng_skewed(&q->runner->rng, BACK_LOW_NS, BACK_HIGH_NS), enter, on_dropped, q);
}

/* --- faults of who asks --- */

#define PAUSE_LOW_NS  (200 * HF_MS_NS)
#define PAUSE_HIGH_NS (40 * HF_S_NS)

static void go_on(void *arg)
{
    sim_proc_cont(((struct question *)arg)->runner->proc);
    release(arg);
}

static void strike(void *arg)
{
    struct question *q = arg;
    struct runner *r = q->runner;
    struct sim *s = r->world->sim;
    sim_trace(s, r->proc->name, "FAULT strikes behind its question to a Ceph cluster");
    switch (q->asker) {
    case SIM_ASKER_DIES:
        sim_proc_crash(r->proc);
        break;
    case SIM_ASKER_HANDS_OVER:
        sim_node_transfer(r->world->nodes[r->node]);
        break;
    case SIM_ASKER_PAUSES:
        q->held++;
        sim_proc_stop(r->proc);
        sim_after(s, sim_rng_skewed(&r->rng, PAUSE_LOW_NS, PAUSE_HIGH_NS), go_on, on_dropped, q);
        break;
    }
    release(q);
}

static void strike_later(struct question *q)
{
    const struct sim_ceph_mons *mons = sim_ceph_mons(q->cluster);
    const char *verb = json_string_value(json_object_get(q->asked, "verb"));
    if (mons->asker == SIM_ASKER_LIVES || !verb || strcmp(verb, "prepare") == 0)
        return;
    q->held++;
    q->asker = mons->asker;
    sim_after(q->runner->world->sim, mons->asker_ms * HF_MS_NS, strike, on_dropped, q);
}

static void at_mon(void *arg)
{
    struct question *q = arg;
    const struct sim_ceph_mons *mons = sim_ceph_mons(q->cluster);
    struct sim *s = q->runner->world->sim;
    if (sim_now_ns(s) > q->dies_ns) {
        release(q);
    } else if (mons->no_quorum) {
        sim_after(s, LOOK_NS, at_mon, on_dropped, q);
    } else if (mons->fails) {
        snprintf(q->error, sizeof q->error, "the Ceph cluster at %s refuses: Input/output error",
                 sim_ceph_monitor(q->cluster));
        sim_after(s, BACK_LOW_NS, enter, on_dropped, q);
    } else {
        strike_later(q);
        carry_out(q, mons->loses);
    }
}

static bool is_too_late(const struct question *q)
{
    const json_t *until = json_object_get(q->asked, "until_ms");
    return until && hf_env_now_ms(&q->runner->proc->env) >= json_integer_value(until);
}

/* The process begins: an act of the node, which may be lost or come late. */
static void begin(void *arg)
{
    struct question *q = arg;
    struct sim *s = q->runner->world->sim;
    if (is_too_late(q)) {
        snprintf(q->error, sizeof q->error, "it is too late for what was asked: nothing is sent");
        sim_after(s, BACK_LOW_NS, enter, on_dropped, q);
        return;
    }
    const struct sim_ceph_mons *mons = sim_ceph_mons(q->cluster);
    int64_t ns = sim_rng_skewed(&q->runner->rng, ASK_LOW_NS, ASK_HIGH_NS);
    if (mons->delay_ms > 0)
        ns += sim_rng_skewed(&q->runner->rng, 0, mons->delay_ms) * HF_MS_NS;
    bool sent = sim_rng_below(&q->runner->rng, 2) == 0; /* when it is given up: a MON has it */
    q->gives_up_ns += sim_now_ns(s);
    q->dies_ns = q->gives_up_ns + (sent ? SIM_CEPH_MON_MS * HF_MS_NS : 0);
    q->held += 2;
    sim_at(s, q->gives_up_ns, enter_given_up, on_dropped, q);
    sim_after(s, ns, at_mon, on_dropped, q);
    release(q);
}

static struct sim_ceph *cluster_of(const struct sim_world *w, const json_t *asked)
{
    const char *monitor = json_string_value(json_array_get(json_object_get(asked, "monitors"), 0));
    for (unsigned i = 0; i < w->sizes.shared_storages && monitor; i++) {
        struct sim_ceph *c = sim_storage_ceph(w->shared[i]);
        if (c && strcmp(sim_ceph_monitor(c), monitor) == 0)
            return c;
    }
    return NULL;
}

static void ask(struct hf_ceph_runner *base, const char *question, unsigned timeout_ms,
                hf_ceph_answered answered, void *arg)
{
    struct runner *r = hf_container_of(base, struct runner, base);
    struct question *q = HF_NEW(struct question);
    q->runner = r;
    q->asked = json_loads(question, 0, NULL);
    q->cluster = cluster_of(r->world, q->asked);
    HF_ASSERT(q->cluster);
    q->gives_up_ns = timeout_ms * HF_MS_NS;
    q->life = r->proc->life;
    q->answered = answered;
    q->arg = arg;
    q->held = 1; /* by the act */
    sim_proc_act(r->proc, begin, on_dropped, q);
}

static const struct hf_ceph_runner_ops ops = {ask};

struct hf_ceph_runner *sim_ceph_runner_create(struct sim_world *w, unsigned node, struct sim_proc *proc)
{
    struct runner *r = HF_NEW(struct runner);
    *r = (struct runner){.base = {&ops}, .world = w, .node = node, .proc = proc};
    r->rng = sim_rng_make(sim_seed(w->sim), "ceph questions", node);
    return &r->base;
}

void sim_ceph_runner_free(struct hf_ceph_runner *r)
{
    if (r != NULL)
        free(hf_container_of(r, struct runner, base));
}
