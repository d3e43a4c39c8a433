#include "base/sim.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"

void hf_sim_set_fault(struct hf_sim_faults *f, unsigned op, enum hf_sim_fault fault, unsigned times)
{
    HF_ASSERT(op < HF_SIM_OPS_MAX);
    f->ops[op].fault = fault;
    f->ops[op].times = times;
}

void hf_sim_set_error(struct hf_sim_faults *f, unsigned op, enum hf_code code, const char *message,
                      unsigned times)
{
    hf_sim_set_fault(f, op, HF_SIM_FAILS, times);
    f->ops[op].code = code;
    f->ops[op].message = message;
}

void hf_sim_clear_faults(struct hf_sim_faults *f)
{
    for (unsigned op = 0; op < HF_SIM_OPS_MAX; op++)
        f->ops[op].times = 0;
}

enum hf_sim_fault hf_sim_take_fault(struct hf_sim_faults *f, unsigned op)
{
    HF_ASSERT(op < HF_SIM_OPS_MAX);
    f->ops[op].calls++;
    if (f->ops[op].times == 0)
        return HF_SIM_GOOD;
    f->ops[op].times--;
    return f->ops[op].fault;
}

hf_status hf_sim_fault_status(const struct hf_sim_faults *f, unsigned op, enum hf_sim_fault fault)
{
    HF_ASSERT(op < HF_SIM_OPS_MAX);
    switch (fault) {
    case HF_SIM_GOOD:
        return HF_STATUS_OK;
    case HF_SIM_FAILS:
        return hf_error(f->ops[op].code, "%s", f->ops[op].message);
    case HF_SIM_LOST_ORDER:
    case HF_SIM_LOST_ANSWER:
    case HF_SIM_LATE:
        break;
    }
    return hf_error(HF_TIMEOUT, "no answer before the deadline");
}

unsigned hf_sim_calls(const struct hf_sim_faults *f, unsigned op)
{
    HF_ASSERT(op < HF_SIM_OPS_MAX);
    return f->ops[op].calls;
}

struct hf_sim_later {
    struct hf_sim_later *next;
    struct hf_sim_queue *queue;
    struct hf_timer timer;
    void (*fn)(void *arg);
    void (*drop)(void *arg);
    void *arg;
};

static void later_fire(void *arg)
{
    struct hf_sim_later *l = arg, **at = &l->queue->first;
    void (*fn)(void *) = l->fn;
    void *fn_arg = l->arg;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    hf_timer_stop(&l->timer);
    free(l);
    fn(fn_arg);
}

void hf_sim_later(struct hf_sim_queue *q, unsigned delay_ms, void (*fn)(void *arg), void (*drop)(void *arg),
                  void *arg)
{
    struct hf_sim_later *l = HF_NEW(struct hf_sim_later);
    l->queue = q;
    l->fn = fn;
    l->drop = drop;
    l->arg = arg;
    l->next = q->first;
    q->first = l;
    hf_timer_start(q->env, &l->timer, delay_ms, later_fire, l);
}

void hf_sim_queue_done(struct hf_sim_queue *q)
{
    while (q->first) {
        struct hf_sim_later *l = q->first;
        q->first = l->next;
        hf_timer_stop(&l->timer);
        if (l->drop)
            l->drop(l->arg);
        free(l);
    }
}

void hf_sim_queue_cancel(struct hf_sim_queue *q)
{
    q->cancelled = true;
    while (q->first) {
        struct hf_sim_later *oldest = q->first;
        while (oldest->next)
            oldest = oldest->next;
        later_fire(oldest);
    }
}
