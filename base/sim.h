/* What simulated drivers share: answers that come after a delay, and faults that are set for the next call of
 * an operation. Deterministic: only the environment's timers are used.
 */
#ifndef HF_BASE_SIM_H
#define HF_BASE_SIM_H

#include "base/env.h"
#include "base/status.h"

/* How the next call goes. */
enum hf_sim_fault {
    HF_SIM_GOOD,
    HF_SIM_FAILS,       /* not done, with the set error */
    HF_SIM_LOST_ORDER,  /* not done, TIMEOUT at the deadline */
    HF_SIM_LOST_ANSWER, /* done at once, TIMEOUT at the deadline */
    HF_SIM_LATE,        /* TIMEOUT at the deadline, done some time after it */
};

#define HF_SIM_OPS_MAX 16
#define HF_SIM_LATE_MS 2000

/* One per simulated thing; op is an index of that thing's own enum. */
struct hf_sim_faults {
    struct {
        enum hf_sim_fault fault;
        unsigned times;      /* the fault holds for so many calls */
        enum hf_code code;   /* HF_SIM_FAILS */
        const char *message; /* borrowed */
        unsigned calls;      /* statistics */
    } ops[HF_SIM_OPS_MAX];
};

void hf_sim_set_fault(struct hf_sim_faults *f, unsigned op, enum hf_sim_fault fault, unsigned times);
void hf_sim_set_error(struct hf_sim_faults *f, unsigned op, enum hf_code code, const char *message,
                      unsigned times);
/* The next calls go well. */
void hf_sim_clear_faults(struct hf_sim_faults *f);
/* Counts a call and says how it goes. */
enum hf_sim_fault hf_sim_take_fault(struct hf_sim_faults *f, unsigned op);
/* The set error of HF_SIM_FAILS, TIMEOUT for the lost ones, else OK. */
hf_status hf_sim_fault_status(const struct hf_sim_faults *f, unsigned op,
                              enum hf_sim_fault fault) HF_MUST_USE;
unsigned hf_sim_calls(const struct hf_sim_faults *f, unsigned op);

/* Functions that are called after a delay. All zero but env is an empty queue. */
struct hf_sim_queue {
    struct hf_env *env;
    struct hf_sim_later *first; /* newest first */
    bool cancelled;             /* who asked has gone: answers carry CANCELLED, and do nothing */
};

/* fn(arg) is called once, after the delay. drop(arg) is called instead when the queue ends before; may be
 * NULL. */
void hf_sim_later(struct hf_sim_queue *q, unsigned delay_ms, void (*fn)(void *arg), void (*drop)(void *arg),
                  void *arg);
void hf_sim_queue_done(struct hf_sim_queue *q);
/* Who asked ends: sets cancelled and calls all that waits now, oldest first. No call is made after it. */
void hf_sim_queue_cancel(struct hf_sim_queue *q);

#endif
