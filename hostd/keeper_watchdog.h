/* The keeper's watchdog: a real device, a configured stand-in (a FIFO whose reader stands outside the host
 * and resets it), or none. Petting never blocks.
 *
 * Linux pets a device when it is opened, and when it is closed without being disarmed. So it is opened at the
 * first pet that the leases allow, not before: a keeper that dies again and again before it has renewed
 * anything holds nothing off.
 *
 * A device counts as "hardware" only if it is not softdog, cannot be stopped by closing it, takes the
 * profile's time-out and has no pre-timeout: else it is petted as well, but reported as "none", and silence
 * proves nothing of this host.
 */
#ifndef HF_HOSTD_KEEPER_WATCHDOG_H
#define HF_HOSTD_KEEPER_WATCHDOG_H

#include "base/status.h"
#include "ha/ha_timing.h"

struct hf_keeper_watchdog {
    const char *device, *stand_in; /* paths; at most one is not NULL */
    const struct hf_ha_timing *timing;
    int fd;
    bool hardware; /* the device qualifies */
    bool unusable; /* the device does not take the profile's time-out: it is left alone from then on */
    bool said;     /* the present trouble has been logged */
};

/* Both paths may be NULL. An error tells that there is no such device; the keeper does not start then. */
hf_status hf_keeper_watchdog_init(struct hf_keeper_watchdog *w, const char *device, const char *stand_in,
                                  const struct hf_ha_timing *timing) HF_MUST_USE;
/* "hardware", "stand-in" or "none": what holds at this moment. */
const char *hf_keeper_watchdog_kind(const struct hf_keeper_watchdog *w);
/* Opens it first if need be. guests: some may run, so a device that turns out to be unusable must not be
 * disarmed. */
void hf_keeper_watchdog_pet(struct hf_keeper_watchdog *w, bool guests);
/* disarm: tell it to stop counting; else it goes on. */
void hf_keeper_watchdog_close(struct hf_keeper_watchdog *w, bool disarm);

#endif
