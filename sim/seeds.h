/* Many runs, side by side in processes of their own; some of them twice, and every one that fails: a run that
 * is not the same twice is a bug by itself.
 */
#ifndef HF_SIM_SEEDS_H
#define HF_SIM_SEEDS_H

#include "sim/failure.h"

#define SIM_JOBS_MAX 64

struct sim_seeds {
    /* Fills in task number i, from 0; false past the last. */
    bool (*next)(void *arg, uint64_t i, struct sim_task *ret);
    void *arg;
    unsigned jobs;        /* processes; 0: all in this one, one after the other, each once */
    unsigned seconds;     /* none begins later; 0: until there is no more */
    unsigned twice_every; /* each so-many-th seed runs twice, the first among them; 0: only those that fail */
    bool until_failure;   /* none begins after one has failed */
    unsigned study_max;   /* so many failures are studied */
    struct sim_study study;
};

/* Runs, reports each failure on `to` when it is known, then studies them. */
void sim_seeds_run(const struct sim_seeds *s, struct sim_report *r, FILE *to);

#endif
