/* What a host is told of an image and where it comes from: its URL, its server's pool in the storage's own
 * cluster, or in another one. Pure; strings are borrowed from the world.
 */
#ifndef HF_CONTROL_ASSIGNMENT_IMAGE_H
#define HF_CONTROL_ASSIGNMENT_IMAGE_H

#include "control/world.h"
#include "holdfast/v1/host_link.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"

/* How the cluster is reached with the key that was made for uuid, without its pools. False: the pools or the
 * key are not there yet. */
bool hf_assignment_access(const Holdfast__V1__CephCluster *spec, const Holdfast__V1__CephStatus *st,
                          const char *uuid, Holdfast__V1__CephAccess *a);

/* The image may be gone from the store while volumes still lie over its cached template: then only its place
 * is known. access: what m may point to. */
void hf_assignment_fill_image(const struct hf_world *w, const Holdfast__V1__Host *host,
                              Holdfast__V1__ImageAssignment *m, char *image_uuid, char *storage_uuid,
                              Holdfast__V1__CephAccess *access);

/* Where this host is to bring the image, or NULL. */
const char *hf_assignment_image_target(const Holdfast__V1__Host *host, const struct hf_world_object *image);

#endif
