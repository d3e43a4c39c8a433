/* What hf-ceph does on a simulated cluster: the verbs of control/hf_ceph.c. */
#ifndef HF_SIM_CEPH_VERBS_H
#define HF_SIM_CEPH_VERBS_H

#include <jansson.h>

#include "sim/ceph.h"

struct sim_world;

struct sim_ceph_call {
    struct sim_world *world;
    struct sim_ceph *cluster;
    unsigned node; /* that asks */
    const json_t *asked;
    bool alone; /* the process that asked is gone: of its commands one had reached a MON */
};

/* At one instant. False: refused, with the sentence why. */
bool sim_ceph_carry_out(const struct sim_ceph_call *c, json_t *answer, char *error, size_t len);

#endif
