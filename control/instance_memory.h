/* What the leader remembers of an instance beside the store; void after a change of leaders. Shared by
 * instance_controller.c and migration_controller.c. */
#ifndef HF_CONTROL_INSTANCE_MEMORY_H
#define HF_CONTROL_INSTANCE_MEMORY_H

#include "control/controllers_state.h"
#include "control/migration_step.h"

struct hf_instance_memory {
    Holdfast__V1__InstanceReport *seen;   /* last report about the present placement, or NULL */
    char seen_host[HF_UUID_STR];          /* who said it */
    Holdfast__V1__InstanceReport *target; /* of the copy at the target of its migration, or NULL */
    char target_host[HF_UUID_STR];
    char planned_host[HF_UUID_STR]; /* the edit or call under way places it, or a copy of it, there; "": none
                                     */
    const void *room_kept_by;       /* the call; NULL: an edit */
    struct hf_migration_orders orders;
};

struct hf_instance_memory *hf_instance_memory(struct hf_world_object *o);

/* The last report about exactly this copy, or NULL. */
const Holdfast__V1__InstanceReport *hf_instance_said(const struct hf_instance_memory *mem,
                                                     const char *host_uuid, uint64_t epoch, uint64_t run);

#endif
