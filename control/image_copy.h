/* Copies of a Ceph image server's images, to primary storages of other clusters: made when an instance that
 * has a place needs its template there, by a host that is told how the server's cluster is reached and gets a
 * key that may only read. Which copy is wanted stands in the world; who makes it is the leader's choice, made
 * anew by the next one.
 */
#ifndef HF_CONTROL_IMAGE_COPY_H
#define HF_CONTROL_IMAGE_COPY_H

#include "control/controllers_state.h"

#define HF_IMAGE_COPY_CONDITION "Copy"
#define HF_IMAGE_COPY_HOST_MS   20000 /* that a host is given to get over an error, when there is another one \
                                       */

/* One copy under way; an image has one at a time. */
struct hf_image_copy {
    char host_uuid[HF_UUID_STR]; /* "": none */
    char storage_uuid[HF_UUID_STR];
    char avoid_uuid[HF_UUID_STR]; /* the host that could not, or "" */
    int64_t since_ms, noted_ms; /* loop clock: the host's first word is waited for since; of the last note */
    Holdfast__V1__ImageReport *seen; /* the host's last word, or NULL */
};

void hf_image_copy_reconcile(struct hf_controllers *c, struct hf_world_object *o, struct hf_image_copy *copy);
/* False: it is not about this copy. A template that is not where it was known to be is made again. */
bool hf_image_copy_report(struct hf_controllers *c, struct hf_world_object *o, struct hf_image_copy *copy,
                          const char *host_uuid, const Holdfast__V1__ImageReport *r);
/* Nobody makes it any more. */
void hf_image_copy_end(struct hf_controllers *c, struct hf_world_object *o, struct hf_image_copy *copy);

/* The copy of this image under way, or NULL. */
const struct hf_image_copy *hf_image_copy(const struct hf_world_object *o);
/* This host is to copy from that image server. */
bool hf_image_copy_reads(const struct hf_controllers *c, const char *server_uuid, const char *host_uuid);

#endif
