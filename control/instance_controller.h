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

/* The host that an edit or a call under way places it on, or NULL. */
const char *hf_instance_planned_host(const struct hf_world_object *o);

/* A call has it migrated there: from now on the room is kept for it, however long its transaction hangs,
 * until it is given up. The same call may choose again. UNAVAILABLE: another call, or an edit, moves it just
 * now. */
hf_status hf_instance_keep_room(struct hf_world_object *o, const char *host_uuid,
                                const void *call) HF_MUST_USE;
/* Whether the call (NULL: an edit, when o is not busy) may move it: else UNAVAILABLE, as above. */
hf_status hf_instance_check_unplanned(const struct hf_world_object *o, const void *call) HF_MUST_USE;
/* The fate of the call's transaction is known, and the store shows it, or this node does not lead any more.
 */
void hf_instance_give_up_room(struct hf_controllers *c, const void *call);

/* NeverStop, and HA is switched on. */
bool hf_instance_never_stop(const struct hf_controllers *c, const Holdfast__V1__Instance *i);

/* The next edit of it places it there: it counts as there already. */
void hf_instance_plan_host(struct hf_world_object *o, const char *host_uuid);

/* The user's create or start that is under way, or NULL. */
const Holdfast__V1__Operation *hf_instance_users_start(const struct hf_controllers *c,
                                                       const char *instance_uuid);

/* --- instance_start.c --- */

/* Who is placed first, as qsort() has it: the higher priority, then who has waited longer. */
int hf_instance_start_order(const Holdfast__V1__Instance *a, const Holdfast__V1__Instance *b);
/* It is to run and has no open placement. */
bool hf_instance_waits_for_host(const struct hf_world_object *o);

/* It is tried at the end of this pass / all of them are, with whatever waits at a higher priority. */
void hf_instance_start_later(struct hf_controllers *c, struct hf_world_object *o);
void hf_instance_start_all(struct hf_controllers *c);
/* A run has ended: everyone who waits looks for room again. */
void hf_instance_room_freed(struct hf_controllers *c);

/* instance_delete.c: one look at an instance that is being deleted and has no open placement. */
void hf_instance_delete_step(struct hf_controllers *c, struct hf_world_object *o);

#endif
