/* Every duration of leases, watchdogs and fencing, derived from a few inputs per profile (DESIGN.md section
 * 5, rules 8-14). Nothing else in the tree may name such a duration. All values are milliseconds of real time
 * unless said otherwise.
 *
 * Inputs
 *   R        renewal period: a renewal starts R after the start of the one before
 *   io       after this a read or write of a record counts as hanging (it may still end well)
 *   L        lease: past this age the keeper stops petting the watchdog; it gives no permits
 *   K        at age L+K the keeper closes (epoch, storage) for ever and kills
 *   verify   longest that a good kill takes to be seen as done
 *   timeout  what the watchdog device is set to;  grain: how much later it may really fire
 *   pet      petting period
 *   drift    largest relative error between the observer's clock and the slower of the host's and the
 * watchdog's (ppm) F        how long a guest's write may live in kernel, network and server after its host is
 * dead: an assumption about the storage, counted only while the storage answers sample   period in which
 * observers read records;  obs_io: longest read that the take-over bound allows for report   period in which
 * hosts tell the leader what they saw contact  a stream that brought nothing for so long is no contact decide
 * from the report that completes the proof to the order to start, on the leader
 *
 * Derived
 *   W = timeout + grain                         worst real time from the last pet to the reset
 *   T = ceil((1 + drift)(L + 2W) + F)           silence that proves (2W: check and pet are not one step)
 *   fence = L + K                               not before this much silence is a fence committed
 *   write_fence = 2R                            the same for a host with runs that only need to be cut off from
 *                                               writing: earlier, as nobody waits for its keeper
 *   takeover = T + 2(sample + obs_io) + report + decide  from the power cut to the order to start, at worst
 *   power_look = R + io + sample + obs_io + report  a host that lives in spite of its power device's "off" has
 *                                               renewed by then, and the leader has heard of it
 *
 * The inequalities (static asserts below)
 *   R + io < L/2                one failed renewal costs nothing
 *   K + verify < W - pet        a good kill never ends in a reset
 *   pet < W/2                   one missed pet costs nothing
 *   contact < L + K < T         contact is given up before the fence, the fence comes before the proof
 *   ride_out + R + io < L       a path fail-over of that length neither kills nor stops the petting
 *   takeover <= bound
 *   write_fence < L + K         it is the earlier one
 *   sample + obs_io < write_fence  a record that moves is seen to move in that time
 *   F <= power_look             F follows the proof by power as well
 *
 * A lost host, second by second, profile "default" (hf-ha-table prints this for each profile):
 *
 *      0.00  power is cut, at worst right after a renewal and a pet
 *      1.20  an observer's read has returned the last value of the record: T counts from here
 *      5.00  the leader counts contact as lost
 *      8.00  a keeper that still ran would stop petting (age L)
 *      6.20  a host whose runs may be write-fenced: its record has stood still for 2R, the leader commits the
 *            fence and asks for the blocklist
 *     10.50  it would have closed its leases and killed by now (age L+K)
 *     11.70  the record has stood still for L+K: the leader commits the fence
 *     13.50  a pet that was under way at L has been the last
 *     19.00  the watchdog has reset even a host that paused at the worst moment (L+2W)
 *     22.59  a read that started T after the first returned the same value; it is told to the leader
 *     23.89  evidence and placement are committed, the order to start leaves
 */
#ifndef HF_HA_HA_TIMING_H
#define HF_HA_HA_TIMING_H

#include <stdint.h>

/* clang-format off */
/*     profile    R    io      L     K verify t-out grain  pet drift     F sample obs report contact decide ride bound */
#define HF_HA_PROFILES(X)                                                                                    \
    X(fast,     500,  900,  3000, 1000,  700,  2000,  200,  400, 10000,  500,  400,  200,  400,  2500, 400,     0,  10000) \
    X(default, 1500, 2000,  8000, 2500, 1500,  5000,  500, 1000, 10000, 1000,  800,  400,  800,  5000, 500,     0,  24000) \
    X(san,     5000, 5000, 72000, 5000, 4000, 10000, 1000, 1000, 10000, 5000, 2000, 1000, 1000, 10000, 500, 60000, 110000)
/* clang-format on */

#define HF_HA_W(timeout, grain) ((timeout) + (grain))
#define HF_HA_T(l, w, drift_ppm, f)                                                                          \
    (((1000000LL + (drift_ppm)) * ((l) + 2 * (w)) + 999999LL) / 1000000LL + (f))
#define HF_HA_POWER_LOOK(r, io, sample, obs_io, report) ((r) + (io) + (sample) + (obs_io) + (report))
#define HF_HA_WRITE_FENCE(r) (2 * (r))
/* From the loss of the host until that is told to the leader, and its contact counts as lost, at worst. */
#define HF_HA_WRITE_FENCED(r, sample, obs_io, report, contact)                                               \
    ((contact) > HF_HA_WRITE_FENCE(r) + 2 * ((sample) + (obs_io)) + (report)                                 \
         ? (contact)                                                                                         \
         : HF_HA_WRITE_FENCE(r) + 2 * ((sample) + (obs_io)) + (report))
#define HF_HA_TAKEOVER(t, sample, obs_io, report, decide)                                                    \
    ((t) + 2 * ((sample) + (obs_io)) + (report) + (decide))

struct hf_ha_timing {
    const char *profile;
    /* the keeper */
    int64_t renew_ms;      /* R */
    int64_t io_timeout_ms; /* io */
    int64_t lease_ms;      /* L */
    int64_t kill_ms;       /* K, counted from L */
    int64_t verify_ms;
    int64_t watchdog_timeout_ms; /* what the device is set to */
    int64_t watchdog_worst_ms;   /* W */
    int64_t pet_ms;
    /* observers and the leader */
    int64_t drift_ppm;
    int64_t guest_write_ms; /* F */
    int64_t sample_ms;
    int64_t report_ms;
    int64_t
        sample_gap_ms; /* two samples further apart than this are not "every sample": counting starts again */
    int64_t own_fresh_ms; /* an observer whose own record is older than this has no good write */
    int64_t contact_ms;
    int64_t fence_ms;         /* L + K */
    int64_t write_fence_ms;   /* 2R: instead of that, for a host with write-fenced runs */
    int64_t write_fenced_ms;  /* from its loss to that fence, at worst */
    int64_t silence_ms;       /* T */
    int64_t takeover_read_ms; /* sample + obs_io: until an observer has a value at the latest */
    int64_t takeover_ms;
    int64_t power_look_ms;    /* what must stay quiet behind a power device's "off" */
};

/* The profile of this name, or NULL. "" is the default profile. In the simulator a planted bug may have
 * changed it. */
const struct hf_ha_timing *hf_ha_timing_find(const char *profile);
/* Profile number i as it stands above, or NULL past the last. */
const struct hf_ha_timing *hf_ha_timing_at(unsigned i);

#define HF_HA_CHECK(name, r, io, l, k, verify, timeout, grain, pet, drift, f, sample, obs_io, report,        \
                    contact, decide, ride_out, bound)                                                        \
    _Static_assert((r) + (io) < (l) / 2, #name ": one failed renewal must cost nothing");                    \
    _Static_assert((k) + (verify) < HF_HA_W(timeout, grain) - (pet),                                         \
                   #name ": a good kill must not end in a reset");                                           \
    _Static_assert((pet) < HF_HA_W(timeout, grain) / 2, #name ": one missed pet must cost nothing");         \
    _Static_assert((timeout) % 1000 == 0, #name ": watchdog devices are set in whole seconds");              \
    _Static_assert(HF_HA_T(l, HF_HA_W(timeout, grain), drift, f) * 1000000LL >=                              \
                       (1000000LL + (drift)) * ((l) + 2 * HF_HA_W(timeout, grain)) + (f)*1000000LL,          \
                   #name ": T covers lease, two watchdog periods, drift and a guest's write");               \
    _Static_assert((contact) < (l) + (k), #name ": contact is given up before the fence");                   \
    _Static_assert((l) + (k) < HF_HA_T(l, HF_HA_W(timeout, grain), drift, f),                                \
                   #name ": the fence precedes the proof");                                                  \
    _Static_assert(HF_HA_WRITE_FENCE(r) < (l) + (k), #name ": write-fencing is the earlier one");            \
    _Static_assert((sample) + (obs_io) < HF_HA_WRITE_FENCE(r),                                               \
                   #name ": a record that moves is seen to move before the early fence");                    \
    _Static_assert((r) + (io) + (sample) < (l), #name ": an observer with a dying lease does not testify");  \
    _Static_assert((ride_out) == 0 || (ride_out) + (r) + (io) < (l),                                         \
                   #name ": the path fail-over is ridden out");                                              \
    _Static_assert(HF_HA_TAKEOVER(HF_HA_T(l, HF_HA_W(timeout, grain), drift, f), sample, obs_io, report,     \
                                  decide) <= (bound),                                                        \
                   #name ": the take-over bound");                                                           \
    _Static_assert((f) <= HF_HA_POWER_LOOK(r, io, sample, obs_io, report),                                   \
                   #name ": a guest's write is through before a proof by power counts");
HF_HA_PROFILES(HF_HA_CHECK)
#undef HF_HA_CHECK

#endif
