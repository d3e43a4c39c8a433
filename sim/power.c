#include "sim/power.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/power_runner.h"
#include "sim/host_private.h"
#include "sim/world.h"

#define ANSWER_LOW_NS  (50 * HF_MS_NS)
#define ANSWER_HIGH_NS (3 * HF_S_NS)
#define LATE_HIGH_NS   (60 * HF_S_NS)

/* What becomes of one run of an agent, of 100. */
enum outcome { WORKS, REFUSES, HANGS, ACTS_LATE, FORGETS };
#define REFUSES_OF_100 8
#define HANGS_OF_100   8
#define LATE_OF_100    7
#define FORGETS_OF_100 10

struct sim_power {
    struct hf_power_runner runner;
    struct sim_world *world;
    struct sim_proc *node;
    struct sim_rng rng;
};

struct run {
    struct sim_power *power;
    struct sim_host *host;
    enum hf_power_verb verb;
    enum outcome outcome;
    int64_t acts_ns, answers_ns; /* from the start */
    uint32_t life;               /* of the node's process */
    enum hf_power_answer answer;
    hf_power_answered answered;
    void *arg;
    unsigned held;  /* by the queue or the process: freed when nothing holds it */
    bool cancelled; /* or answered: its user holds it no more */
};

static void release(struct run *r)
{
    if (--r->held == 0 && r->cancelled)
        free(r);
}

static void dropped(void *arg)
{
    release(arg);
}

/* --- which hosts --- */

static bool has_device(const struct sim_world *w, unsigned host)
{
    struct sim_rng r = sim_rng_make(sim_seed(w->sim), "power device", host);
    return w->profile.power_ppm > 0 && sim_rng_chance(&r, w->profile.power_ppm);
}

/* Its device has power of its own. */
static bool has_own_feed(const struct sim_world *w, unsigned host)
{
    struct sim_rng r = sim_rng_make(sim_seed(w->sim), "power feed", host);
    return sim_rng_chance(&r, 500000);
}

unsigned sim_power_devices(const struct sim_world *w)
{
    unsigned n = 0;
    for (unsigned i = 0; i < w->sizes.hosts; i++)
        n += has_device(w, i);
    return n;
}

unsigned sim_power_device_host(const struct sim_world *w, unsigned i)
{
    for (unsigned host = 0; host < w->sizes.hosts; host++)
        if (has_device(w, host) && i-- == 0)
            return host;
    HF_ASSERT(false);
    return 0;
}

/* --- a run --- */

static void answer(void *arg)
{
    struct run *r = arg;
    if (!r->cancelled) {
        r->cancelled = true;
        r->answered(r->arg, r->answer,
                    r->answer == HF_POWER_UNKNOWN ? "no answer by its deadline" : "connection refused");
    }
    release(r);
}

/* In the process that asked, if it still lives that life. */
static void answer_later(void *arg)
{
    struct run *r = arg;
    sim_proc_enter(r->power->node, r->life, answer, dropped, r);
}

static void act(void *arg)
{
    struct run *r = arg;
    struct sim_host *h = r->host;
    bool dead = !sim_host_powered(h) && !has_own_feed(r->power->world, h->number);
    if (r->outcome == HANGS || dead)
        r->answer = HF_POWER_UNKNOWN;
    else if (r->outcome == REFUSES)
        r->answer = HF_POWER_REFUSED;
    else if (r->verb == HF_POWER_STATUS)
        r->answer = sim_host_powered(h) ? HF_POWER_IS_ON : HF_POWER_IS_OFF;
    else
        r->answer = HF_POWER_ACCEPTED;
    if (r->verb == HF_POWER_OFF && (r->outcome == WORKS || r->outcome == ACTS_LATE) && !dead &&
        sim_host_powered(h)) {
        sim_trace(h->sim, h->name, "is switched off by its power device");
        sim_host_reset(h);
    }
    release(r);
}

static void draw(struct run *r, unsigned timeout_ms)
{
    struct sim_rng *rng = &r->power->rng;
    int64_t n = sim_rng_between(rng, 0, 99);
    bool off = r->verb == HF_POWER_OFF;
    r->outcome = n < REFUSES_OF_100                                                        ? REFUSES
                 : n < REFUSES_OF_100 + HANGS_OF_100                                       ? HANGS
                 : off && n < REFUSES_OF_100 + HANGS_OF_100 + LATE_OF_100                  ? ACTS_LATE
                 : off && n < REFUSES_OF_100 + HANGS_OF_100 + LATE_OF_100 + FORGETS_OF_100 ? FORGETS
                                                                                           : WORKS;
    r->acts_ns = r->answers_ns = sim_rng_between(rng, ANSWER_LOW_NS, ANSWER_HIGH_NS);
    if (r->outcome == HANGS)
        r->answers_ns = timeout_ms * HF_MS_NS;
    if (r->outcome == ACTS_LATE) {
        r->acts_ns = sim_rng_between(rng, 0, LATE_HIGH_NS);
        r->answers_ns = timeout_ms * HF_MS_NS;
        r->answer = HF_POWER_UNKNOWN;
    }
}

/* The agent begins: an act of the node, which may be lost or come late. */
static void begin(void *arg)
{
    struct run *r = arg;
    struct sim *sim = r->power->world->sim;
    r->held += 2;
    sim_after(sim, r->acts_ns, act, dropped, r);
    sim_after(sim, r->answers_ns + 1, answer_later, dropped, r);
    release(r);
}

static void *run(struct hf_power_runner *runner, const struct hf_power_order *o, hf_power_answered answered,
                 void *arg)
{
    struct sim_power *p = hf_container_of(runner, struct sim_power, runner);
    struct run *r = HF_NEW(struct run);
    unsigned number = 0;
    for (size_t i = 0; i < o->n_options; i++)
        if (strcmp(o->options[i].name, "ip") == 0 && sscanf(o->options[i].value, "h%u", &number) != 1)
            number = 0;
    HF_ASSERT(number >= 1 && number <= p->world->sizes.hosts);
    *r = (struct run){.power = p,
                      .host = p->world->hosts[number - 1],
                      .verb = o->verb,
                      .life = p->node->life,
                      .answer = HF_POWER_UNKNOWN,
                      .answered = answered,
                      .arg = arg,
                      .held = 1};
    draw(r, o->timeout_ms);
    if (o->verb == HF_POWER_OFF)
        sim_checks_power_cut(p->world->checks, sim_now_ns(p->world->sim), number - 1);
    sim_proc_act(p->node, begin, dropped, r);
    return r;
}

static void cancel(struct hf_power_runner *runner, void *arg)
{
    struct run *r = arg;
    (void)runner;
    HF_ASSERT(!r->cancelled);
    r->cancelled = true;
    if (r->held == 0)
        free(r);
}

static const struct hf_power_runner_ops ops = {run, cancel};

struct hf_power_runner *sim_power_create(struct sim_world *w, unsigned node, struct sim_proc *proc)
{
    if (sim_power_devices(w) == 0)
        return NULL;
    struct sim_power *p = HF_NEW(struct sim_power);
    *p = (struct sim_power){.runner = {&ops}, .world = w, .node = proc};
    p->rng = sim_rng_make(sim_seed(w->sim), "power agents", node);
    return &p->runner;
}

void sim_power_free(struct hf_power_runner *p)
{
    if (p != NULL)
        free(hf_container_of(p, struct sim_power, runner));
}
