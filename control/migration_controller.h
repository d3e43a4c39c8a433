/* Live migration on the leader: opens migrations for the API and for other controllers, and follows those
 * that are open. What one look makes of one is in migration_step.h; what the hosts are told by it in
 * assignment_set.c. All that lasts stands in Placement.migration: the next leader goes on with it.
 */
#ifndef HF_CONTROL_MIGRATION_CONTROLLER_H
#define HF_CONTROL_MIGRATION_CONTROLLER_H

#include "control/controllers_state.h"
#include "control/migration_step.h"

/* A host for it: the one that is asked for (host_uuid; NULL or "": any), else the scheduler's choice; never
 * its own. PRECONDITION or EXHAUSTED is a sentence: it is paused or stopped, a disk is in a LocalStorage, the
 * hosts have no room, no contact, not its storages, networks or accelerator. */
hf_status hf_migration_choose(struct hf_controllers *c, const Holdfast__V1__Instance *i,
                              const char *host_uuid, const Holdfast__V1__Host **ret) HF_MUST_USE;

/* The same among hosts that were gathered before, of which the chosen one counts as taken: whether several
 * fit. */
hf_status hf_migration_choose_from(struct hf_controllers *c, struct hf_facts *f,
                                   const Holdfast__V1__Instance *i, const char *host_uuid,
                                   const Holdfast__V1__Host **ret) HF_MUST_USE;

/* For other controllers: chooses as above and commits the intent, after which this instance looks after
 * itself. When placement.migration is not open any more it is over: the placement is elsewhere, or phase is
 * CANCELLED with a reason (and a condition of type HF_CONDITION_MIGRATION). UNAVAILABLE: the instance is just
 * being changed, ask again. ret_host (may be NULL): borrowed from the world. */
hf_status hf_migration_start(struct hf_controllers *c, struct hf_world_object *instance,
                             const char *host_uuid, const Holdfast__V1__Host **ret_host) HF_MUST_USE;

/* One look at a placed instance. False: it does not migrate. */
bool hf_migration_reconcile(struct hf_controllers *c, struct hf_world_object *o);

/* What the hosts of an open migration are told now. */
struct hf_migration_orders hf_migration_orders_of(const struct hf_world_object *o);

#endif
