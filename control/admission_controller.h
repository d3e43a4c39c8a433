/* Admission control on the leader: looks again when something has changed that admission.h asks about, writes
 * what it finds as the condition HACapacity of each cluster, and refuses starts when the policy says so.
 */
#ifndef HF_CONTROL_ADMISSION_CONTROLLER_H
#define HF_CONTROL_ADMISSION_CONTROLLER_H

#include "control/controllers.h"
#include "holdfast/v1/instance.pb-c.h"

#define HF_CONDITION_HA_CAPACITY "HACapacity" /* of a cluster */
#define HF_ADMISSION_EVERY_MS    2000         /* at least, between two looks; and HF_ADMISSION_SHARE times */
#define HF_ADMISSION_SHARE       20 /* what the last look took: at most a twentieth of the loop's time */

/* A change of this kind of object calls for another look. */
bool hf_admission_cares(uint32_t kind);
void hf_admission_tick(struct hf_controllers *c);

/* By ha.admission.policy = refuse: PRECONDITION with a sentence, when with this NeverStop instance running
 * the loss of hosts could not be absorbed. */
hf_status hf_admission_admit(struct hf_controllers *c, const struct hf_store *s,
                             const Holdfast__V1__Instance *i) HF_MUST_USE;

#endif
