/* What each attached host must know: computed from the world, compared with what its stream was sent, the
 * difference sent.
 *
 *   storages of its cluster · L3 networks of its instances · instances whose open placement is on (host, its
 * epoch) images to fetch · volumes to delete · whose lease records to read (Observe)
 *
 * The world holds only what is committed, so no order leaves before its placement is (rule 1).
 */
#ifndef HF_CONTROL_HOST_ASSIGNMENTS_H
#define HF_CONTROL_HOST_ASSIGNMENTS_H

#include "control/host_link.h"
#include "control/world.h"

#define HF_OBSERVE_HOSTS_MAX 8 /* records of peers that one host reads per storage */

struct hf_host_assignments;

struct hf_host_assignments *hf_host_assignments_create(struct hf_control *c, struct hf_world *w);
void hf_host_assignments_free(struct hf_host_assignments *a);

/* A host's stream begins (nothing was sent on it) or is over. */
void hf_host_assignments_attached(struct hf_host_assignments *a, const char *host_uuid, uint64_t epoch);
void hf_host_assignments_detached(struct hf_host_assignments *a, const char *host_uuid);
void hf_host_assignments_clear(struct hf_host_assignments *a);

/* Something that this host's assignments are made of has changed; NULL: any host's. */
void hf_host_assignments_mark(struct hf_host_assignments *a, const char *host_uuid);
/* Sends every attached host what changed since the last time. */
void hf_host_assignments_sync(struct hf_host_assignments *a);

#endif
