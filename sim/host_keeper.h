/* Inside of a simulated keeper, shared by host_keeper.c (its rules and their effects) and host_keeper_procs.c
 * (its thread that looks for processes, stops and kills them). */
#ifndef HF_SIM_HOST_KEEPER_H
#define HF_SIM_HOST_KEEPER_H

#include "ha/lease_rules.h"
#include "sim/host_private.h"

struct sim_keeper {
    struct sim_host *host;
    struct sim_proc *proc;
    struct hf_lease_rules *rules;
    struct hf_lease_effects effects;
    struct hf_timer timer;
    bool dog_open;
    bool unsaved;                    /* the last save failed */
    int watched[HF_LEASE_PROCS_MAX]; /* processes that were let through the gate */
    size_t n_watched;
    /* the thread of the processes */
    struct hf_uuid kills[HF_LEASE_PROCS_MAX];
    size_t n_kills;
    uint64_t survey;  /* number asked for; 0: none */
    bool looks;       /* it is at work */
    uint64_t looking; /* for this survey */
};

/* One effect on its way out. */
struct sim_keeper_effect {
    struct sim_keeper *keeper;
    int64_t step_ns; /* true time of the step that wanted it */
    struct hf_uuid subject;
    uint64_t number;
    enum hf_code code;
    char text[];
};

void sim_keeper_step(struct sim_keeper *k, const struct hf_lease_event *e);
static inline int64_t sim_keeper_now_ms(const struct sim_keeper *k)
{
    return sim_proc_clock_ns(k->proc) / HF_MS_NS;
}

/* Effects on processes: acts, which free the effect. */
void sim_keeper_act_kill(void *effect);
void sim_keeper_act_freeze(void *effect);
void sim_keeper_act_thaw(void *effect);
void sim_keeper_act_survey(void *effect);
void sim_keeper_act_watch(void *effect);

#endif
