/* Compiled with HF_SIM only. */
#include "ha/ha_timing_mutant.h"

#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"

#define PROFILES_MAX 8

static void set_silence(struct hf_ha_timing *t, int64_t ms)
{
    t->takeover_ms += ms - t->silence_ms;
    t->silence_ms = ms;
}

static void break_one(struct hf_ha_timing *t)
{
    int64_t w = t->watchdog_worst_ms, l = t->lease_ms;
    if (HF_MUTANT(TIMING_T_IS_FENCE))
        set_silence(t, t->fence_ms);
    if (HF_MUTANT(TIMING_T_ONE_WATCHDOG))
        set_silence(t, HF_HA_T(l, w, t->drift_ppm, t->guest_write_ms) - w);
    if (HF_MUTANT(TIMING_T_NO_DRIFT))
        set_silence(t, HF_HA_T(l, w, 0, t->guest_write_ms));
    if (HF_MUTANT(TIMING_T_NO_GUEST_WRITE))
        set_silence(t, HF_HA_T(l, w, t->drift_ppm, 0));
    if (HF_MUTANT(TIMING_T_TOO_LONG))
        set_silence(t, t->silence_ms + 60000);
    if (HF_MUTANT(TIMING_RENEW_TOO_RARE))
        t->renew_ms = l - 1;
    if (HF_MUTANT(TIMING_KILL_TOO_LATE))
        t->kill_ms = 2 * w;
    if (HF_MUTANT(TIMING_PET_TOO_RARE))
        t->pet_ms = w;
    if (HF_MUTANT(TIMING_FENCE_TOO_EARLY))
        t->fence_ms = t->renew_ms;
    if (HF_MUTANT(TIMING_CONTACT_TOO_LATE))
        t->contact_ms = 2 * t->silence_ms;
}

const struct hf_ha_timing *hf_ha_timing_mutated(const struct hf_ha_timing *t)
{
    static struct hf_ha_timing changed[PROFILES_MAX];
    unsigned i = 0;
    if (hf_mutant_active == HF_MUTANT_NONE)
        return t;
    while (i < PROFILES_MAX && hf_ha_timing_at(i) != t)
        i++;
    HF_ASSERT(i < PROFILES_MAX);
    changed[i] = *t;
    break_one(&changed[i]);
    return &changed[i];
}

const struct hf_ha_timing *hf_ha_timing_sound(const char *profile)
{
    const struct hf_ha_timing *t;
    for (unsigned i = 0; (t = hf_ha_timing_at(i)) != NULL; i++) {
        if (strcmp(t->profile, profile[0] == '\0' ? "default" : profile) == 0)
            return t;
    }
    return NULL;
}
