/* Fetches an image once, through a host, to its image server or into a storage, so that its checksum and
 * format are known to be good; later it notes in which storages' caches the template lies. Reports come from
 * the hosts' streams.
 */
#ifndef HF_CONTROL_IMAGE_CONTROLLER_H
#define HF_CONTROL_IMAGE_CONTROLLER_H

#include "control/controllers_state.h"

#define HF_IMAGE_NOTE_MS 5000 /* between two notes of what keeps a fetch from ending */

/* Who fetches it, into which storage; or to which image server, by its UUID. */
struct hf_image_fetch {
    char host_uuid[HF_UUID_STR], storage_uuid[HF_UUID_STR];
};

/* It has neither been verified nor given up. */
bool hf_image_is_fetching(const Holdfast__V1__Image *m);

/* The fetch under way, or NULL; copies between Ceph clusters are in image_copy.h. */
const struct hf_image_fetch *hf_image_fetch(const struct hf_world_object *o);

void hf_image_report(struct hf_controllers *c, const char *host_uuid, const Holdfast__V1__ImageReport *r);
/* A host's stream is over: what it fetched is given to another. */
void hf_image_host_lost(struct hf_controllers *c, const char *host_uuid);
/* A disk over this template runs from that storage: so it lies in its cache. */
void hf_image_used(struct hf_controllers *c, const char *image_uuid, const char *storage_uuid,
                   const char *host_uuid);

/* Whether the host uses a storage in the cluster of the image server: so it reaches that. */
bool hf_image_host_is_near(struct hf_controllers *c, const Holdfast__V1__Host *h,
                           const Holdfast__V1__ImageServer *server);
/* The template lies in that storage's cache; false: that is known. */
bool hf_image_note_cached(struct hf_controllers *c, Holdfast__V1__ImageStatus *st, const char *storage_uuid,
                          const char *host_uuid);

#endif
