#include "ha/ha_timing.h"

#include <stddef.h>
#include <string.h>

#include "ha/ha_timing_mutant.h"

#define ROW(name, r, io, l, k, verify, timeout, grain, pet, drift, f, sample, obs_io, report, contact,       \
            decide, ride_out, bound)                                                                         \
    {                                                                                                        \
        .profile = #name,                                                                                    \
        .renew_ms = (r),                                                                                     \
        .io_timeout_ms = (io),                                                                               \
        .lease_ms = (l),                                                                                     \
        .kill_ms = (k),                                                                                      \
        .verify_ms = (verify),                                                                               \
        .watchdog_timeout_ms = (timeout),                                                                    \
        .watchdog_worst_ms = HF_HA_W(timeout, grain),                                                        \
        .pet_ms = (pet),                                                                                     \
        .drift_ppm = (drift),                                                                                \
        .guest_write_ms = (f),                                                                               \
        .sample_ms = (sample),                                                                               \
        .report_ms = (report),                                                                               \
        .sample_gap_ms = 4 * (sample),                                                                       \
        .own_fresh_ms = (r) + (io) + (sample),                                                               \
        .contact_ms = (contact),                                                                             \
        .fence_ms = (l) + (k),                                                                               \
        .write_fence_ms = HF_HA_WRITE_FENCE(r),                                                              \
        .write_fenced_ms = HF_HA_WRITE_FENCED(r, sample, obs_io, report, contact),                           \
        .silence_ms = HF_HA_T(l, HF_HA_W(timeout, grain), drift, f),                                         \
        .takeover_read_ms = (sample) + (obs_io),                                                             \
        .takeover_ms =                                                                                       \
            HF_HA_TAKEOVER(HF_HA_T(l, HF_HA_W(timeout, grain), drift, f), sample, obs_io, report, decide),   \
        .power_look_ms = HF_HA_POWER_LOOK(r, io, sample, obs_io, report),                                    \
    },

static const struct hf_ha_timing profiles[] = {HF_HA_PROFILES(ROW)};

const struct hf_ha_timing *hf_ha_timing_at(unsigned i)
{
    return i < sizeof profiles / sizeof profiles[0] ? &profiles[i] : NULL;
}

const struct hf_ha_timing *hf_ha_timing_find(const char *profile)
{
    if (profile[0] == '\0')
        profile = "default";
    for (unsigned i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        if (strcmp(profiles[i].profile, profile) == 0)
            return hf_ha_timing_mutated(&profiles[i]);
    }
    return NULL;
}
