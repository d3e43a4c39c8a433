/* Planted bugs in the durations: one inequality of ha_timing.h is broken at run time, which its static
 * asserts cannot see. */
#ifndef HF_HA_HA_TIMING_MUTANT_H
#define HF_HA_HA_TIMING_MUTANT_H

#include "ha/ha_timing.h"

#ifdef HF_SIM
/* The profile as the chosen mutant (base/mutant.h) has it; t itself when there is none. */
const struct hf_ha_timing *hf_ha_timing_mutated(const struct hf_ha_timing *t);
/* The profile of this name, or NULL, as ha_timing.h has it: for checks, which must not believe a mutant. */
const struct hf_ha_timing *hf_ha_timing_sound(const char *profile);
#else
static inline const struct hf_ha_timing *hf_ha_timing_mutated(const struct hf_ha_timing *t)
{
    return t;
}
static inline const struct hf_ha_timing *hf_ha_timing_sound(const char *profile)
{
    return hf_ha_timing_find(profile);
}
#endif

#endif
