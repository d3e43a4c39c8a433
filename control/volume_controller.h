/* Looks at volumes. Deletes them: their file through a host that reaches it, then their object. A root
 * volume's object goes together with its instance (instance_delete.c).
 */
#ifndef HF_CONTROL_VOLUME_CONTROLLER_H
#define HF_CONTROL_VOLUME_CONTROLLER_H

#include "control/controllers_state.h"

/* The host that is to delete this volume's file, or NULL. */
const char *hf_volume_deleting_host(const struct hf_world_object *o);
/* A usable host, which reaches the volume's storage; one such, or NULL. */
bool hf_volume_reached_by(struct hf_controllers *c, const Holdfast__V1__Volume *v,
                          const Holdfast__V1__Host *h);
const Holdfast__V1__Host *hf_volume_choose_host(struct hf_controllers *c, const Holdfast__V1__Volume *v);
/* The file is known to be gone, or never was. */
bool hf_volume_file_gone(const struct hf_controllers *c, const struct hf_world_object *o);

void hf_volume_report(struct hf_controllers *c, const char *host_uuid, const Holdfast__V1__VolumeReport *r);
void hf_volume_host_lost(struct hf_controllers *c, const char *host_uuid);

/* A running instance has this volume: its file exists. */
void hf_volume_used(struct hf_controllers *c, const char *volume_uuid);

#endif
