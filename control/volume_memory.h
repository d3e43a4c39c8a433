/* What the leader remembers of a volume beside the store; void after a change of leaders. Shared by
 * volume_controller.c and volume_growth.c. */
#ifndef HF_CONTROL_VOLUME_MEMORY_H
#define HF_CONTROL_VOLUME_MEMORY_H

#include "control/controllers_state.h"

struct hf_volume_memory {
    char host_uuid[HF_UUID_STR]; /* deletes the file; "": nobody */
    bool deleted;                /* it said so */
    char *message;               /* why not yet, or NULL */

    uint64_t grown_bytes; /* the host of its instance said that the guest has it so large */
    char *growth_message; /* or why not yet; NULL: nothing was said */
};

struct hf_volume_memory *hf_volume_memory(struct hf_world_object *o);

#endif
