/* What a world is drawn from: sizes, and how often each kind of fault strikes. A profile is a text file of
 * "name = value" lines, or one of the built-in ones: "default", "calm" (power cuts alone, bounds are judged),
 * "storm" (everything at once), "speed" (the measured world: 3 nodes, 10 hosts, 100 instances).
 */
#ifndef HF_SIM_PROFILE_H
#define HF_SIM_PROFILE_H

#include <stdint.h>

#include "base/status.h"

/* Kinds of fault, by their names in profiles, schedules and reports. */
enum sim_fault_kind {
    SIM_FAULT_HOST_POWER,    /* host-power: cut, and back after the duration */
    SIM_FAULT_HOST_PAUSE,    /* host-pause: the whole machine, guests included */
    SIM_FAULT_HOSTD_CRASH,   /* hostd-crash */
    SIM_FAULT_HOSTD_PAUSE,   /* hostd-pause */
    SIM_FAULT_KEEPER_CRASH,  /* keeper-crash */
    SIM_FAULT_KEEPER_PAUSE,  /* keeper-pause */
    SIM_FAULT_LIBVIRT_DOWN,  /* libvirt-down */
    SIM_FAULT_LIBVIRT_CALL,  /* libvirt-call: the next calls hang, fail, or lose their answer */
    SIM_FAULT_UNKILLABLE,    /* unkillable: QEMUs are stuck in the kernel */
    SIM_FAULT_GUEST_CRASH,   /* guest-crash */
    SIM_FAULT_NODE_POWER,    /* node-power */
    SIM_FAULT_NODE_CRASH,    /* node-crash */
    SIM_FAULT_NODE_PAUSE,    /* node-pause */
    SIM_FAULT_NODE_DISK,     /* node-disk: slow, hangs, full */
    SIM_FAULT_LEADER_CHANGE, /* leader-change: the leader hands over */
    SIM_FAULT_NET_CUT,       /* net-cut: one place from all others, both ways */
    SIM_FAULT_NET_ONE_WAY,   /* net-one-way: from one place to another */
    SIM_FAULT_NET_PARTITION, /* net-partition: two groups, drawn */
    SIM_FAULT_NET_POOR,      /* net-poor: loss, delay, duplicates, reordering */
    SIM_FAULT_STORAGE_HANG,  /* storage-hang: one host's way */
    SIM_FAULT_STORAGE_ERROR, /* storage-error: one host's way */
    SIM_FAULT_STORAGE_LATE,  /* storage-late: slow, and writes of the dead land late */
    SIM_FAULT_STORAGE_OUT,   /* storage-out: for every host */
    SIM_FAULT_CLOCK_RATE,    /* clock-rate: within the header's drift */
    SIM_FAULT_WALL_JUMP,     /* wall-jump */
    SIM_FAULT_AT_ACT,        /* at-act: a process is stopped or crashed between two acts */
    SIM_FAULT_BUGGIFY,       /* buggify: a rare legal path is switched on */
    SIM_FAULT_KINDS,
};
const char *sim_fault_name(enum sim_fault_kind k);
bool sim_fault_parse(const char *name, enum sim_fault_kind *ret);

struct sim_range {
    int64_t low, high;
};

struct sim_profile {
    char name[32];
    struct sim_range nodes, hosts, instances, clients; /* drawn per seed */
    struct sim_range seconds;                          /* of virtual time with faults */
    int64_t settle_seconds;                            /* without, at the end, before convergence is judged */
    char timing[16];                                   /* profile of ha_timing.h; "any": drawn */
    uint32_t no_watchdog_ppm;                          /* hosts without a hardware watchdog */
    uint32_t local_ppm;                                /* instances on local storage */
    int64_t request_ms;                                /* mean time between two requests of one client */
    int64_t guest_write_ms;                            /* between two writes of one guest */
    /* Mean number of faults of each kind per hour of virtual time in a run in which the kind is on, and the
     * chance that a run has it on at all. */
    struct {
        uint32_t on_ppm;
        int64_t per_hour;
        struct sim_range duration_ms;
    } faults[SIM_FAULT_KINDS];
};

/* A built-in one, else INVALID with the names there are. */
hf_status sim_profile_find(const char *name, struct sim_profile *ret) HF_MUST_USE;
/* From a file; INVALID names the line. What it does not name is as in "default". */
hf_status sim_profile_load(const char *path, struct sim_profile *ret) HF_MUST_USE;
/* A world of these sizes can exist: at least one node, one host, … INVALID says what is missing. */
hf_status sim_profile_check(const struct sim_profile *p) HF_MUST_USE;

#endif
