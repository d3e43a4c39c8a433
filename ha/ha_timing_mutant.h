/* Planted bugs in the durations: one inequality of ha_timing.h is broken at run time, which its static
 * asserts cannot see. */
#ifndef HF_HA_HA_TIMING_MUTANT_H
#define HF_HA_HA_TIMING_MUTANT_H

#include "ha/ha_timing.h"

#ifdef HF_SIM
/* The profile as the chosen mutant (base/mutant.h) has it; t itself when there is none. */
const struct hf_ha_timing *hf_ha_timing_mutated(const struct hf_ha_timing *t);
#else
static inline const struct hf_ha_timing *hf_ha_timing_mutated(const struct hf_ha_timing *t)
{
    return t;
}
#endif

#endif
