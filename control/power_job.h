/* Cuts the power of one host through its devices: ha/power_fence.h driven through the node's runner. Before
 * each "off" a barrier shows that this node still leads, and then its user may say no: a deposed leader sends
 * nothing.
 *
 * It holds a copy of the devices of its beginning, and lives until it is stopped; then its agents are ended.
 */
#ifndef HF_CONTROL_POWER_JOB_H
#define HF_CONTROL_POWER_JOB_H

#include "control/control.h"
#include "ha/power_fence.h"
#include "holdfast/v1/ha.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"

struct hf_power_job;

struct hf_power_job_user {
    /* Right before an agent is told "off". false: it is not, and why says so. */
    bool (*may_cut)(void *arg, char *why, size_t len);
    /* Something was answered. The job may be stopped from here. */
    void (*changed)(void *arg);
    void *arg;
};

/* h has devices; c->power is there. */
struct hf_power_job *hf_power_job_start(struct hf_control *c, const Holdfast__V1__Host *h,
                                        const struct hf_power_job_user *user);
void hf_power_job_stop(struct hf_power_job *job);

const struct hf_power_fence *hf_power_job_fence(const struct hf_power_job *job);
/* Its devices are those that h has now. */
bool hf_power_job_fits(const struct hf_power_job *job, const Holdfast__V1__Host *h);
/* The host stirred after its devices had said off. */
void hf_power_job_doubt(struct hf_power_job *job, const char *why);
/* Off: "'bmc' (fence_ipmilan)", and what each device of the level said, added to e. */
void hf_power_job_name(const struct hf_power_job *job, char *out, size_t len);
void hf_power_job_testify(const struct hf_power_job *job, Holdfast__V1__Evidence *e);

#endif
