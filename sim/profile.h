/* What a world is drawn from: sizes, and how often each kind of fault strikes. A profile is a text file of
 * "name = value" lines, or one of the built-in ones: "default", "calm" (power cuts of hosts, one at a time:
 * bounds are judged), "storm" (everything at once), "speed" (the measured world: 3 nodes, 10 hosts, 100
 * instances).
 *
 * As text (what a file does not name is as in "default"):
 *     hosts = 3..12                               # drawn per seed, both ends included
 *     seconds = 300                               # always that
 *     timing = any                                # or a profile of ha_timing.h
 *     local = 5%                                  # chances have up to four decimals
 *     net-poor = 40 per hour for 0.5..30 in 25%   # mean rate, durations in seconds, in a quarter of the runs
 *     node-crash = off
 */
#ifndef HF_SIM_PROFILE_H
#define HF_SIM_PROFILE_H

#include <stdint.h>
#include <stdio.h>

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
    SIM_FAULT_EXEC,          /* exec: programs take long to begin, or end before they have */
    SIM_FAULT_STORAGE_HALF,  /* storage-half: one host's way serves only some of what is asked */
    SIM_FAULT_STORAGE_SICK,  /* storage-sick: the same for every host */
    SIM_FAULT_RECORDS_GONE,  /* records-gone: the lease directory is emptied */
    SIM_FAULT_RECORD_JUNK,   /* record-junk: one host's record is overwritten */
    SIM_FAULT_RUN_FULL,      /* run-full: the keeper cannot save its state */
    SIM_FAULT_CEPH_MONS,  /* ceph-mons: what control nodes ask of a Ceph cluster fails, hangs, comes late */
    SIM_FAULT_CEPH_ASKER, /* ceph-asker: control nodes that have somebody refused, or served again, are struck
                           */
    SIM_FAULT_CLIENT_REFUSED, /* client-refused: a host's guests are on their clusters' blocklists by mistake
                               */
    SIM_FAULT_KINDS,
};
const char *sim_fault_name(enum sim_fault_kind k);
bool sim_fault_parse(const char *name, enum sim_fault_kind *ret);

struct sim_range {
    int64_t low, high; /* both included */
};

/* World.c gives each host room for so many of the smallest instances; a world's instances fit into what is
 * left when two hosts are lost (one of two, none of one). */
#define SIM_INSTANCES_PER_HOST 48
#define SIM_CLIENTS_MAX        16
#define SIM_SECONDS_MAX        86400 /* of faults, and to settle */
#define SIM_RATE_MAX           3600  /* faults of one kind per hour: one a second */
#define SIM_AT_ONCE_MAX        64
#define SIM_PROFILE_NAME       32

struct sim_profile {
    char name[SIM_PROFILE_NAME];
    struct sim_range nodes, hosts, instances, clients, shared_storages; /* drawn per seed */
    struct sim_range seconds;                                           /* of virtual time with faults */
    int64_t
        settle_seconds; /* without, at the end, before convergence is judged; longer where take-overs are */
    char timing[16];    /* profile of ha_timing.h; "any": drawn */
    uint32_t no_watchdog_ppm;    /* hosts without a hardware watchdog */
    uint32_t no_gate_ppm;        /* hosts that start QEMU without a gate, as a hostd with --emulator does */
    uint32_t power_ppm;          /* hosts with a power device, which has faults of its own (power.h) */
    uint32_t local_ppm;          /* instances on local storage */
    uint32_t ceph_ppm;           /* shared storages that are Ceph clusters */
    uint32_t write_fenced_ppm;   /* where there are such: clusters that take over once nobody can write */
    uint32_t shared_address_ppm; /* hosts without an address of their own towards them (ceph.h) */
    int64_t request_ms;          /* mean time between two requests of one client */
    int64_t guest_write_ms;      /* between two writes of one guest */
    /* Faults that hold at once, at most (0: any number), and how long one counts after its end: the time in
     * which what it struck comes back. */
    unsigned at_once;
    int64_t rest_ms;
    struct {
        uint32_t on_ppm;              /* the chance that a run has this kind at all */
        int64_t per_hour;             /* mean number per hour of virtual time in a run that has it */
        struct sim_range duration_ms; /* of those that last */
    } faults[SIM_FAULT_KINDS];
};

/* A built-in one, else INVALID with the names there are. */
hf_status sim_profile_find(const char *name, struct sim_profile *ret) HF_MUST_USE;
/* Built-in profile number i: its name and what it is for, in a line; NULL past the last. */
const char *sim_profile_name_at(unsigned i, const char **ret_about);
/* From a file; INVALID names file and line. Its name is the file's, without folder and ending. Checked. */
hf_status sim_profile_load(const char *path, struct sim_profile *ret) HF_MUST_USE;
/* Every line, so that the file says all by itself. */
hf_status sim_profile_save(const char *path, const struct sim_profile *p) HF_MUST_USE;
void sim_profile_print(FILE *to, const struct sim_profile *p);
/* A world of these sizes can exist: a node, a host, a storage, room for the instances, … INVALID says what is
 * missing. */
hf_status sim_profile_check(const struct sim_profile *p) HF_MUST_USE;
/* So many instances fit into a world of these hosts. */
unsigned sim_profile_room(unsigned hosts);

#endif
