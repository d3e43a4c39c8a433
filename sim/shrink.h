/* Makes a failing run smaller: fewer faults (delta debugging: Zeller and Hildebrandt, 2002), then shorter
 * ones, then a smaller world, as long as it goes on failing. Pure: what fails is asked of a predicate.
 */
#ifndef HF_SIM_SHRINK_H
#define HF_SIM_SHRINK_H

#include "sim/schedule.h"

struct sim_case {
    struct sim_profile profile;   /* its sizes are no ranges: sim_profile_pin() */
    struct sim_schedule schedule; /* owned */
};

struct sim_shrinker {
    /* The run fails in the way that is looked for. */
    bool (*fails)(void *arg, const struct sim_case *c);
    /* No further try: the time is over. */
    bool (*over)(void *arg);
    void *arg;
};

/* The profile draws these sizes, whatever the seed. */
void sim_profile_pin(struct sim_profile *p, const struct sim_sizes *sizes);
/* c fails; it still does afterwards. */
void sim_shrink(struct sim_case *c, const struct sim_shrinker *by);

#endif
