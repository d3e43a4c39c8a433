/* One simulated cloud: control nodes, hosts, storages, networks and clients in one thread, made from a seed,
 * a profile and (if it shall not be drawn) a schedule of faults.
 */
#ifndef HF_SIM_WORLD_H
#define HF_SIM_WORLD_H

#include "sim/checks.h"
#include "sim/host.h"
#include "sim/node.h"
#include "sim/schedule.h"
#include "sim/storage.h"

#define SIM_NODES_MAX    5
#define SIM_STORAGES_MAX 4
#define SIM_SET_UP_MAX_S 600 /* a world that is not ready by then has failed */

struct sim_workload;
struct hf_ceph_runner;
struct hf_power_runner;

struct sim_world {
    struct sim *sim;
    struct sim_profile profile;
    struct sim_sizes sizes;
    const struct hf_ha_timing *timing; /* as the header has it; programs ask hf_ha_timing_find() */
    struct sim_net *net;
    struct sim_node *nodes[SIM_NODES_MAX];
    struct sim_host *hosts[SIM_HOSTS_MAX];
    struct sim_storage *shared[SIM_STORAGES_MAX]; /* sizes.shared_storages of them */
    struct sim_storage *local[SIM_HOSTS_MAX];     /* one per host */
    struct sim_workload *workload;
    struct hf_power_runner *power[SIM_NODES_MAX]; /* each node's way to the hosts' power devices, or NULL */
    struct hf_ceph_runner *ceph[SIM_NODES_MAX];   /* and to the Ceph clusters, or NULL */
    struct sim_checks *checks;
    unsigned active[SIM_FAULT_KINDS]; /* faults that hold now */
    uint64_t faults[SIM_FAULT_KINDS]; /* that have struck */
    bool faults_over, keep_going;
};

struct sim_result {
    uint64_t seed, digest, events, requests, failovers;
    uint64_t by_blocklist; /* runs that were left because they could not write */
    int64_t virtual_ns, wall_ns;
    uint64_t faults[SIM_FAULT_KINDS];
    size_t n_violations;
    struct sim_violation violations[SIM_VIOLATIONS_MAX];
};

struct sim_run_options {
    uint64_t seed;
    const struct sim_profile *profile;
    const struct sim_schedule *schedule; /* NULL: drawn */
    bool keep_going;                     /* after the first violation */
    sim_trace_cb trace;                  /* NULL: none */
    void *trace_arg;
};

/* Makes the world, runs it to its end, judges it. An error: the world could not be set up (which is a bug or
 * a profile that asks for the impossible), with the sentence why; ret is filled in as far as it came. */
hf_status sim_world_run(const struct sim_run_options *o, struct sim_result *ret) HF_MUST_USE;

#endif
