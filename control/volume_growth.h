/* Volumes that grow under a running guest: until its host has told it, or it runs no more (the next start
 * makes the volume as large as it shall be). */
#ifndef HF_CONTROL_VOLUME_GROWTH_H
#define HF_CONTROL_VOLUME_GROWTH_H

#include "control/controllers_state.h"

/* A report that says how large a guest has it, or why not yet. */
void hf_volume_growth_report(struct hf_controllers *c, struct hf_world_object *o, const char *host_uuid,
                             const Holdfast__V1__VolumeReport *r);

/* One look at a volume that is growing. */
void hf_volume_growth_step(struct hf_controllers *c, struct hf_world_object *o);

#endif
