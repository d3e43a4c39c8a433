/* What is made of a failing seed: a trace, a smaller schedule of faults that still fails, the command that
 * runs it again; and for a seed whose two runs differ the place where they part.
 */
#ifndef HF_SIM_FAILURE_H
#define HF_SIM_FAILURE_H

#include "sim/report.h"

struct sim_study {
    const char *folder;  /* for its files; made when it is missing */
    unsigned limit_s;    /* for one run, of this machine's time */
    unsigned shrink_s;   /* for making the schedule smaller; 0: it is left as it is */
    volatile bool *stop; /* the user has had enough */
};

/* Two runs of one seed gave the same. */
bool sim_same_run(const struct sim_outcome *a, const struct sim_outcome *b);
/* Fills in f's files and sentences; what goes wrong on the way is told on `to`. */
void sim_failure_study(struct sim_failure *f, const struct sim_study *s, FILE *to);

#endif
