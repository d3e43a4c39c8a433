/* "holdfast ha plan": what would happen if hosts died now, told by the code that would do it (host_loss.h)
 * and by the timing of their profiles. Nothing is touched.
 */
#ifndef HF_CONTROL_HA_PLAN_H
#define HF_CONTROL_HA_PLAN_H

#include "control/controllers.h"
#include "holdfast/v1/ha.pb-c.h"

/* NOT_FOUND: there is no such host. PRECONDITION: it lives no epoch. The caller frees the answer with
 * protobuf_c_message_free_unpacked(). */
hf_status hf_ha_plan(struct hf_controllers *c, char *const *host_uuids, size_t n,
                     Holdfast__V1__PlanHostLossResponse **ret) HF_MUST_USE;

#endif
