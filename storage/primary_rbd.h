/* A Ceph primary storage: templates and volumes are images in three pools (ceph_spec.h). librados and librbd
 * run on threads with deadlines. A template is fetched and verified in a folder of this host, then copied
 * into its pool.
 */
#ifndef HF_STORAGE_PRIMARY_RBD_H
#define HF_STORAGE_PRIMARY_RBD_H

#include "storage/ceph_spec.h"
#include "storage/primary.h"

struct hf_upload_opener;

struct hf_ceph_place {
    struct hf_uuid uuid, host;
    char *const *monitors;
    size_t n_monitors;
    const char *user, *key; /* user "": the cluster asks for no key */
    const char *fsid;       /* "": any */
    const char *image_pool, *root_pool, *data_pool;
    const char *record;  /* this host's lease record in the root pool; NULL: none */
    const char *scratch; /* an absolute folder of its own: made when it is needed */
    const struct hf_upload_opener *uploads; /* fetch.h; borrowed as long as a fetch lasts. NULL: none can be read */
};

/* place is copied. */
hf_status hf_primary_rbd_create(struct hf_env *env, const struct hf_ceph_place *place,
                                uint64_t reserved_bytes, struct hf_primary **ret) HF_MUST_USE;

#endif
