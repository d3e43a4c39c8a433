/* Asks Ceph clusters by child processes (hf-ceph): librados may hang, and a process can be ended. */
#ifndef HF_CONTROL_CEPH_CHILD_H
#define HF_CONTROL_CEPH_CHILD_H

#include "base/env.h"
#include "control/ceph_runner.h"

/* program: the path of hf-ceph. */
struct hf_ceph_runner *hf_ceph_child_create(struct hf_env *env, const char *program);
/* What is under way is answered first. */
void hf_ceph_child_close(struct hf_ceph_runner *r);

#endif
