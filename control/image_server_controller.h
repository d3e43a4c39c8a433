/* Image servers on the leader: their cluster is followed (ceph_controller.h), and deleted images are removed
 * from their pools (image_removal.h). */
#ifndef HF_CONTROL_IMAGE_SERVER_CONTROLLER_H
#define HF_CONTROL_IMAGE_SERVER_CONTROLLER_H

#include "control/controllers_state.h"

void hf_image_server_reconcile(struct hf_controllers *c, struct hf_world_object *o);

/* A host's word on a storage: when that is the image server which it brings images to, they wait for it. */
void hf_image_server_report(struct hf_controllers *c, const char *host_uuid,
                            const Holdfast__V1__StorageReport *r);

#endif
