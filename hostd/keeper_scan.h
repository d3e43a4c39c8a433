/* The reading of /proc behind keeper_procs.h. One scanner remembers every process of a guest that it has ever
 * seen until that is gone: one that is dying loses its arguments before its last thread ends. */
#ifndef HF_HOSTD_KEEPER_SCAN_H
#define HF_HOSTD_KEEPER_SCAN_H

#include "ha/lease_rules.h"

struct hf_keeper_scan {
    struct hf_keeper_known {
        struct hf_uuid instance; /* zero: dying, cannot be told apart */
        int pid;
        bool stopped;             /* see struct hf_lease_proc */
        unsigned long long start; /* of the process, in clock ticks since boot: with the pid its identity */
    } known[HF_LEASE_PROCS_MAX];
    size_t n_known;
};

/* Brings the list up to date: after it, known holds exactly the guests' processes that are not gone. An error
 * means that nothing is proven gone. */
hf_status hf_keeper_scan_update(struct hf_keeper_scan *s) HF_MUST_USE;
/* Puts a process that is alive on the list. */
void hf_keeper_scan_watch(struct hf_keeper_scan *s, const struct hf_uuid *instance, int pid);
/* SIGKILL for those of the list that belong to this instance; it ends stopped ones as well. */
void hf_keeper_scan_kill(const struct hf_keeper_scan *s, const struct hf_uuid *instance);
/* Stops every thread of these, and lets them go on. Each thread gets a SIGSTOP of its own: one for the
 * process alone waits for its first thread, and while that hangs in a storage the virtual CPUs would run on.
 * Signals and not the freezer of cgroups, since guests have no group of their own on every host, and version
 * 1 holds off SIGKILL. */
void hf_keeper_scan_freeze(const struct hf_keeper_scan *s, const struct hf_uuid *instance);
void hf_keeper_scan_thaw(const struct hf_keeper_scan *s, const struct hf_uuid *instance);

#endif
