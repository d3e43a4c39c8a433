/* A control node's way to simulated Ceph clusters (ceph.h): its runner of questions (control/ceph_runner.h),
 * with the verbs of hf-ceph.
 *
 * A command is carried out at one instant of its own, between question and answer, whatever becomes of the
 * node: a process that was killed may have sent it, and a MON that has it carries it out when it can, up to
 * SIM_CEPH_MON_MS after its asker was given up.
 */
#ifndef HF_SIM_CEPH_RUNNER_H
#define HF_SIM_CEPH_RUNNER_H

#include "sim/proc.h"

#define SIM_CEPH_MON_MS 30000

struct hf_ceph_runner;
struct sim_world;

/* For a node's process. */
struct hf_ceph_runner *sim_ceph_runner_create(struct sim_world *w, unsigned node, struct sim_proc *proc);
void sim_ceph_runner_free(struct hf_ceph_runner *r); /* may be NULL */

#endif
