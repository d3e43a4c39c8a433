/* The life of one instance as pure steps on its message: what a host's report, a lost contact, a decision to
 * place or to give up make of it. Each step answers whether it changed anything, so that nothing is written
 * twice.
 */
#ifndef HF_CONTROL_INSTANCE_STEP_H
#define HF_CONTROL_INSTANCE_STEP_H

#include "base/status.h"
#include "holdfast/v1/host_link.pb-c.h"
#include "holdfast/v1/instance.pb-c.h"

#define HF_START_TRIES          3 /* failed starts in a row after which an instance without HA is left stopped */
#define HF_START_BACKOFF_MAX_MS 60000
#define HF_RUN_GOOD_MS          60000 /* a run that lasted so long clears the count of failures */

/* Condition types of an instance. */
#define HF_CONDITION_SCHEDULING "Scheduling" /* why no host can take it */
#define HF_CONDITION_WAITING    "Waiting"    /* what must be there before it can be placed: its image */
#define HF_CONDITION_READY      "Ready" /* why it does not run although it has one, or how its last run ended */

struct hf_instance_facts {
    int64_t wall_ms;
    const Holdfast__V1__InstanceReport
        *seen;            /* the host's last report about the present placement, or NULL */
    bool contact;         /* the host of the placement has contact, in the placement's epoch */
    bool never_stop;      /* NeverStop, and HA is switched on */
    uint32_t crash_tries; /* NeverStop: so many ends within the window hold it; 0: never */
    int64_t crash_window_ms;
    bool user_starts;   /* a user's create or start is under way, which this run is to serve */
    bool user_restarts; /* or one that waits for the run after this one */
    bool drained;       /* its host was told to stop this run, for it is drained or shut down */
    bool starts_again;  /* and the drain was taken back: it is to run again */
};

/* 1, 2, 4 … 60 s for 1, 2, 3 … failures in a row. */
int64_t hf_start_backoff_ms(uint32_t failures);

/* How long no start is tried yet; 0: it may be. The stored time is of the wall clock of whoever led then: one
 * that is further away than its pause was long tells of another clock, and holds nothing up. */
int64_t hf_start_pause_ms(const Holdfast__V1__Instance *i, int64_t wall_ms);

/* With an open placement: takes in the report, or the lack of contact. A report of STOPPED ends the placement
 * and decides whether power stays on; a NeverStop instance that ended too often is held (status.crash_loop).
 */
bool hf_instance_follow(Holdfast__V1__Instance *i, const struct hf_instance_facts *f);

/* The report ends a run that was to go on, as its host lost the lease on one of its storages: no fault of the
 * instance, which starts elsewhere without a pause. */
bool hf_instance_lost_storage(const Holdfast__V1__Instance *i, const struct hf_instance_facts *f);

/* It ends a run that was to go on, as a cluster refuses its client: nothing that the guest did, and no crash;
 * it starts again after the pause that follows a failed start. */
bool hf_instance_was_refused(const Holdfast__V1__Instance *i, const struct hf_instance_facts *f);

/* Without one, and nothing is to be started: stopped, or deleting. */
bool hf_instance_rest(Holdfast__V1__Instance *i, int64_t wall_ms);

/* A new placement. The last one is ended. */
void hf_instance_place(Holdfast__V1__Instance *i, const char *host_uuid, uint64_t epoch, int64_t wall_ms);

/* No place for it now: says why (condition is SCHEDULING or WAITING); give_up turns the power off. What was
 * said before asked_ms (a user's start, Unix time; 0: none is under way) is said anew. */
bool hf_instance_waits(Holdfast__V1__Instance *i, const char *condition, const char *why, bool give_up,
                       int64_t asked_ms, int64_t wall_ms);

/* The placement's host is proven down: ends it and, unless it is to start elsewhere, turns the power off. */
void hf_instance_fenced(Holdfast__V1__Instance *i, const char *fence_uuid, const char *reason, bool restart,
                        int64_t wall_ms);

#endif
