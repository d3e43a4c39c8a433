/* The keeper's watchdog: a real device, a configured stand-in (a FIFO whose reader stands outside the host
 * and resets it), or none. Petting never blocks.
 *
 * Linux pets a device when it is opened, and when it is closed without being disarmed. So it is opened at the
 * first pet that the leases allow, not before, and kept open by the holder (keeper_holder.h) beyond the death
 * of a keeper: one that dies again and again before it has renewed anything holds nothing off.
 *
 * A device counts as "hardware" only if it is not softdog, cannot be stopped by whoever closes it (nowayout),
 * takes the profile's time-out and has no pre-timeout. Else it is petted as well, since it ends a keeper that
 * hangs, but it is reported as "software" or "none" with the reason, and silence proves nothing of this host.
 */
#ifndef HF_HOSTD_KEEPER_WATCHDOG_H
#define HF_HOSTD_KEEPER_WATCHDOG_H

#include "base/status.h"
#include "ha/ha_timing.h"
#include "hostd/keeper_holder.h"

struct hf_keeper_watchdog {
    const char *device, *stand_in;     /* paths; at most one is not NULL */
    const struct hf_ha_timing *timing; /* to which it was set; NULL: not yet */
    struct hf_keeper_holder holder;
    int fd;           /* -1: not open */
    bool said;        /* the present trouble has been logged */
    const char *kind; /* of the device that is open */
    char problem[160];
};

/* Both paths may be NULL; holder: path of the holder's socket. An error tells that there is no such device;
 * the keeper does not start then. What an earlier keeper has armed is taken over, and petted in its place. */
hf_status hf_keeper_watchdog_init(struct hf_keeper_watchdog *w, const char *device, const char *stand_in,
                                  const char *holder) HF_MUST_USE;
/* "hardware", "stand-in", "software" or "none": what holds at this moment. */
const char *hf_keeper_watchdog_kind(const struct hf_keeper_watchdog *w);
/* Why its silence proves nothing, as a sentence for people; "" if it does, or is not known yet. */
const char *hf_keeper_watchdog_problem(const struct hf_keeper_watchdog *w);
/* Opens it first if need be, and sets it to the time-out of these durations. guests: some may run, so a
 * device that turns out to be unusable must not be disarmed. */
void hf_keeper_watchdog_pet(struct hf_keeper_watchdog *w, const struct hf_ha_timing *timing, bool guests);
/* The connection to the holder has something to say: it has ended. */
void hf_keeper_watchdog_holder_ended(struct hf_keeper_watchdog *w);
/* want_disarm: tell it to stop counting; else it goes on, and stays open. */
void hf_keeper_watchdog_close(struct hf_keeper_watchdog *w, bool want_disarm);

#endif
