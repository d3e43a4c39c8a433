/* Has the work that is written into a volume (api_volume_work.c) carried out by a host, and writes down how
 * it ended.
 *
 * Which host: the one that runs the volume's instance, whose QEMU has the image open; without a run any that
 * reaches the storage. Work that was begun without a run keeps the instance from starting until it has ended.
 * A host that is lost is replaced by another one, whatever it may still do: late work does no harm
 * (storage/rbd_snapshot.h).
 */
#ifndef HF_CONTROL_VOLUME_WORK_H
#define HF_CONTROL_VOLUME_WORK_H

#include "control/controllers_state.h"

/* The host that is to do it, or NULL. */
const char *hf_volume_work_host(const struct hf_world_object *o);

void hf_volume_work_report(struct hf_controllers *c, struct hf_world_object *o, const char *host_uuid,
                           const Holdfast__V1__VolumeReport__Work *r);
/* One look at a volume with work. */
void hf_volume_work_step(struct hf_controllers *c, struct hf_world_object *o);

/* Why this instance may not start now: work on one of its volumes; NULL: it may. To be freed. */
char *hf_volume_work_keeps(const struct hf_controllers *c, const Holdfast__V1__Instance *i);

#endif
