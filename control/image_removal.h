/* Deleted images leave the pools of Ceph: of their image server, with the clones that storages of its cluster
 * keep as templates, and of storages of other clusters, which may have copies. The list is in the status of
 * either; an image leaves it when the cluster has confirmed that it is gone.
 */
#ifndef HF_CONTROL_IMAGE_REMOVAL_H
#define HF_CONTROL_IMAGE_REMOVAL_H

#include "control/controllers_state.h"

#define HF_IMAGE_REMOVAL_MS       10000  /* between two tries */
#define HF_IMAGE_REMOVAL_LIMIT_MS 120000 /* of one; what is half done goes on with the next */

/* What the leader remembers of the removals from one image server or storage. */
struct hf_image_removal;

/* Of an image server or a Ceph storage. memory: NULL at first. True: something is being written. */
bool hf_image_removal_reconcile(struct hf_controllers *c, struct hf_world_object *o,
                                struct hf_image_removal **memory);
void hf_image_removal_free(struct hf_image_removal *memory); /* NULL: nothing */

#endif
