/* Empties hosts that are drained, go into maintenance or shut down: their instances are migrated or stopped
 * as drain_plan.h says, each step is committed to the host's own status before it is taken, so that the next
 * leader goes on where this one was. The operation that began the drain tells how far it is, ends with it,
 * and takes it back when it is cancelled.
 *
 * The story: spec.drain is there, and the scheduler leaves the host out (drain_record.h). An instance is
 * migrated (migration_controller.h), or status.drain.leaving names its run and the host is told to stop it
 * (assignment_set.c); when that end is proven a NeverStop one starts elsewhere and another stays stopped
 * (instance_step.c). Nothing is placed there any more: drained, in maintenance; or the host is told to shut
 * down, and when it says that it has, its life is fenced by its own word (host_grant.c).
 */
#ifndef HF_CONTROL_DRAIN_CONTROLLER_H
#define HF_CONTROL_DRAIN_CONTROLLER_H

#include "control/controllers_state.h"

#define HF_DRAIN_LOOK_MS 5000 /* room may have come up elsewhere */
#define HF_DRAIN_TELL_MS 1000 /* between two orders to shut down, until the host obeys */

/* One look at a host; called for every dirty one. */
void hf_drain_reconcile(struct hf_controllers *c, struct hf_world_object *host);

/* The operation follows the present drain of its host: it is ended by hf_drain_reconcile and by nobody else.
 */
bool hf_drain_owns(const struct hf_controllers *c, const Holdfast__V1__Operation *op);

/* The host says that its machine is about to be switched off. */
void hf_drain_asked_by_host(struct hf_controllers *c, const char *host_uuid);

#endif
