/* The faults of a running world: shared by schedule_arm.c (the queue), fault_verbs.c (what a fault does) and
 * fault_health.c (what the checks are told). Several faults of one kind may hold on one subject: what counts
 * up and down is counted; what is a level (ways, disks, rates) is computed anew from all faults that hold.
 */
#ifndef HF_SIM_SCHEDULE_PRIVATE_H
#define HF_SIM_SCHEDULE_PRIVATE_H

#include <string.h>

#include "sim/points.h"
#include "sim/world.h"

struct sim_arm;

struct sim_armed {
    struct sim_arm *arm;
    const struct sim_fault *fault;
    bool holds;
    struct sim_armed *next, **prev; /* of those that hold, the newest last */
    /* who is struck, from the moment when it begins; -1: none */
    int host, node, other_host, other_node;
    int storage;           /* of the shared ones; -1: the host's own, or none */
    struct sim_proc *proc; /* at-act */
    bool fired, machine;   /* at-act: the act was reached; its machine was struck */
};

struct sim_arm {
    struct sim_world *w;
    struct sim_schedule schedule;    /* owned */
    struct sim_armed *armed;         /* one per fault */
    struct sim_armed *first, **last; /* that hold */
    struct sim_rng points_rng;
    /* how many faults hold it */
    unsigned host_power[SIM_HOSTS_MAX], host_pause[SIM_HOSTS_MAX], host_unkillable[SIM_HOSTS_MAX];
    unsigned host_run_full[SIM_HOSTS_MAX];
    unsigned node_power[SIM_NODES_MAX], points[HF_BUGGIFY_POINTS_END];
    /* without faults */
    int32_t host_rate_ppm[SIM_HOSTS_MAX], node_rate_ppm[SIM_NODES_MAX];
    /* what the checks were told last */
    bool host_recordless[SIM_HOSTS_MAX]; /* lost when its record was: nothing can be read of it till it is
                                            back */
    bool host_faulty[SIM_HOSTS_MAX], storage_out[SIM_STORAGES_MAX], no_quorum, disturbed;
    bool unreached[SIM_STORAGES_MAX][SIM_HOSTS_MAX];
    int64_t echoes_until_ns; /* what was disturbed comes to rest */
};

static inline bool sim_fault_says(const struct sim_armed *a, const char *word)
{
    return strcmp(a->fault->word, word) == 0;
}

/* --- fault_ways.c: what a kind of fault does when it begins, and when it has ended --- */
void sim_fault_set_ways(struct sim_armed *a);
void sim_fault_set_storage(struct sim_armed *a);
void sim_fault_set_mons(struct sim_armed *a);

/* --- fault_verbs.c --- */
void sim_fault_begin(struct sim_armed *a);
void sim_fault_end(struct sim_armed *a);
/* The act was never reached: it is not waited for any longer. */
void sim_fault_disarm(struct sim_armed *a);

/* --- fault_health.c --- */
void sim_health_init(struct sim_arm *arm);
/* Looks at everything and tells the checks what has changed. */
void sim_health_look(struct sim_arm *arm);
/* A fault began or ended whose effects outlast it. */
void sim_health_disturbs(struct sim_arm *arm, const struct sim_fault *f);

#endif
