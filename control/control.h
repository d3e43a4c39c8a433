/* What the parts of a control node share. The cores in this folder (API, controllers) get all they need from here and
 * touch no socket: holdfastd.c plugs in gRPC and libraft's driver, tests and the simulation their own.
 */
#ifndef HF_CONTROL_CONTROL_H
#define HF_CONTROL_CONTROL_H

#include "base/env.h"
#include "consensus/replica.h"

struct hf_host_link;
struct hf_controllers;
struct hf_power_runner;
struct hf_ceph_runner;
struct hf_upload_keeper;

struct hf_control {
    struct hf_env *env;
    struct hf_replica *replica;
    struct hf_host_link *host_link;     /* hosts' streams; leader only has any */
    struct hf_controllers *controllers; /* scheduler, instances, HA, operations; work on the leader only */
    struct hf_power_runner *power;      /* runs fence agents; NULL: this node cannot */
    struct hf_ceph_runner *ceph;        /* asks Ceph clusters; NULL: this node cannot */
    struct hf_upload_keeper *uploads;   /* keeps files of images that are uploaded; NULL: this node cannot */
    const char *profile;                /* timing profile name, see ha/ha_timing.h */
};

static inline const struct hf_store *hf_control_store(const struct hf_control *c)
{
    return hf_replica_store(c->replica);
}

#endif
