/* Ceph primary storages and image servers on the leader: their pools are made, each host that uses a storage
 * gets a key of its own and loses it again, an image server has one while it is filled, and their health is
 * followed. The cluster is asked by the node's runner; what it answers goes into the object's status, and
 * hosts are told of a storage or a server once that is there.
 */
#ifndef HF_CONTROL_CEPH_CONTROLLER_H
#define HF_CONTROL_CEPH_CONTROLLER_H

#include <jansson.h>

#include "control/controllers_state.h"

#define HF_CEPH_HEALTH_MS  10000 /* between two looks at a cluster */
#define HF_CEPH_RETRY_MS   5000  /* after one that failed */
#define HF_CEPH_TIMEOUT_MS 30000 /* of one look */

struct hf_ceph_controller;

struct hf_ceph_controller *hf_ceph_controller_create(struct hf_controllers *c);
void hf_ceph_controller_free(struct hf_ceph_controller *p); /* what is under way ends unheard */

/* Looks at one storage or server of type CEPH. True: it is being written, look at it later. */
bool hf_ceph_reconcile(struct hf_controllers *c, struct hf_world_object *o);

/* The question that a cluster is asked, with the access to it: further members may be added. */
json_t *hf_ceph_question(const Holdfast__V1__PrimaryStorage *ps, const char *verb);
/* The same for any user of a cluster; status may be NULL. */
json_t *hf_ceph_cluster_question(const Holdfast__V1__CephCluster *spec,
                                 const Holdfast__V1__CephStatus *status, const char *verb);

#endif
