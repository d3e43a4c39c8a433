/* What the leader remembers of a volume beside the store; void after a change of leaders. Shared by
 * volume_controller.c, volume_growth.c and volume_work.c. */
#ifndef HF_CONTROL_VOLUME_MEMORY_H
#define HF_CONTROL_VOLUME_MEMORY_H

#include "control/controllers_state.h"

/* Of one work (VolumeSpec.work). */
struct hf_volume_work_memory {
    uint64_t sequence;
    char host_uuid[HF_UUID_STR]; /* who is to do it; "": nobody yet */
    bool ended, failed;          /* as that host said */
    int32_t error_code;
    uint64_t size_bytes;
    unsigned percent;
    char *message; /* why not yet, or why it failed; NULL: nothing was said */
};

struct hf_volume_memory {
    char host_uuid[HF_UUID_STR]; /* deletes the file; "": nobody */
    bool deleted;                /* it said so */
    char *message;               /* why not yet, or NULL */

    uint64_t grown_bytes; /* the host of its instance said that the guest has it so large */
    char *growth_message; /* or why not yet; NULL: nothing was said */

    struct hf_volume_work_memory work;
};

struct hf_volume_memory *hf_volume_memory(struct hf_world_object *o);

#endif
