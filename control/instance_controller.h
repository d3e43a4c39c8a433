/* Brings instances where they are wanted: schedules and places those that are to run, follows their hosts'
 * reports, starts NeverStop instances again, deletes. What one look does to one instance is in
 * instance_step.h.
 */
#ifndef HF_CONTROL_INSTANCE_CONTROLLER_H
#define HF_CONTROL_INSTANCE_CONTROLLER_H

#include "control/controllers_state.h"

#define HF_NO_ROOM_RETRY_MS 5000 /* a NeverStop instance without a place is tried again at the latest */

/* What the host of (epoch, run) says about it, over its stream or through its lease record. */
void hf_instance_take_report(struct hf_controllers *c, const char *host_uuid,
                        const Holdfast__V1__InstanceReport *r);

/* The host that an edit under way places it on, or NULL. */
const char *hf_instance_planned_host(const struct hf_world_object *o);

/* NeverStop, and HA is switched on. */
bool hf_instance_never_stop(const struct hf_controllers *c, const Holdfast__V1__Instance *i);

/* instance_delete.c: one look at an instance that is being deleted and has no open placement. */
void hf_instance_delete_step(struct hf_controllers *c, struct hf_world_object *o);

#endif
