/* A simulated KVM host: a machine with power, a watchdog, a hypervisor with QEMU processes, the keeper (the
 * rules of ha/lease_rules.h with simulated drivers) and the host daemon (hf_hostd_core). Each of the three is
 * a simulated process that can be crashed or stopped by itself; the machine can be paused as a whole, with
 * its guests.
 */
#ifndef HF_SIM_HOST_H
#define HF_SIM_HOST_H

#include "base/uuid.h"
#include "sim/net.h"

struct sim_world;
struct sim_host;

enum sim_host_proc {
    SIM_HOSTD,
    SIM_KEEPER,
    SIM_HYPERVISOR, /* libvirtd and the QEMUs: crashing it takes the daemon down for a while, guests go on */
    SIM_HOST_PROCS,
};

struct sim_host_options {
    unsigned cpus;
    uint64_t memory_bytes;
    const char *watchdog;      /* "hardware", "none" */
    int32_t rate_ppm;          /* of the machine's clock */
    int32_t watchdog_rate_ppm; /* of the watchdog's own */
    bool no_gate;              /* QEMU is born without a question */
    int64_t wall_offset_ms;
};

/* Host number i, from 0; its place on the network is made here. Without power. */
struct sim_host *sim_host_create(struct sim_world *w, unsigned i, const struct sim_host_options *o);
void sim_host_free(struct sim_host *h); /* without power */
const struct hf_uuid *sim_host_uuid(const struct sim_host *h);
unsigned sim_host_place(const struct sim_host *h);
const char *sim_host_name(const struct sim_host *h); /* "h1" for number 0 */
const char *sim_host_management_ip(const struct sim_host *h);

/* --- the machine --- */
void sim_host_power_on(struct sim_host *h);  /* boots: a new boot id, keeper first, then hostd */
void sim_host_power_off(struct sim_host *h); /* at once: everything on it ends */
bool sim_host_powered(const struct sim_host *h);
/* Pauses everything but the watchdog (which is hardware), guests included; nests. Resuming continues
 * mid-instruction. */
void sim_host_pause(struct sim_host *h);
void sim_host_resume(struct sim_host *h);
bool sim_host_paused(const struct sim_host *h);
/* Which resets there were: counts the watchdog's. It boots again after a reset. */
unsigned sim_host_watchdog_fired(const struct sim_host *h);

/* --- its processes --- */
struct sim_proc *sim_host_proc(struct sim_host *h, enum sim_host_proc which);
/* A crashed hostd or keeper is started again by its supervisor after a while that the seed says; an upgrade
 * is a crash with an immediate restart. */
void sim_host_crash(struct sim_host *h, enum sim_host_proc which);

/* Faults of calls to the hypervisor for the next `times` calls of one kind (0: start, 1: shutdown, 2:
 * destroy, …, see enum hf_vm_sim_op): base/sim.h's. */
void sim_host_hypervisor_fault(struct sim_host *h, unsigned op, unsigned fault, unsigned times);
/* The guest of this instance ends by itself (crash or power off), if it runs here. */
bool sim_host_guest_ends(struct sim_host *h, const struct hf_uuid *instance);
/* Somebody puts the clients that its guests are on the blocklists of their Ceph clusters, each alone, for so
 * long. */
void sim_host_refuse_guests(struct sim_host *h, int64_t for_ns);
/* QEMU processes of this host cannot be killed (stuck in the kernel) while set. */
void sim_host_set_unkillable(struct sim_host *h, bool unkillable);
/* The keeper's state cannot be saved. */
void sim_host_set_run_full(struct sim_host *h, bool full);
/* How programs begin on it: those that stand before the gate, and QEMU. Holds until changed. */
struct sim_host_exec {
    int64_t slow_ms;       /* they take up to so much longer */
    int64_t fails_percent; /* of the QEMUs that were let in end as they begin */
};
struct sim_host_exec *sim_host_exec(struct sim_host *h);

/* For checkers. */
bool sim_host_attached(const struct sim_host *h); /* its daemon is attached to a leader */
size_t sim_host_guests(const struct sim_host *h); /* QEMU processes */
/* Calls back per QEMU process; runs: its virtual CPUs execute at this instant. */
void sim_host_each_guest(const struct sim_host *h,
                         void (*cb)(void *arg, const struct hf_uuid *instance, uint64_t run, bool runs),
                         void *arg);

#endif
