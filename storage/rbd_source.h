/* An image of an image server in another cluster, open for reading, and its copy into this one (the verb copy
 * of rbd_volume.h). The copy is verified: what was read against the digest that the image was given when it
 * was brought in, what was written by reading it again. Blocks; each call to either cluster ends by its
 * connection's deadlines.
 */
#ifndef HF_STORAGE_RBD_SOURCE_H
#define HF_STORAGE_RBD_SOURCE_H

#include <stdint.h>

#include "storage/rados_conn.h"
#include "storage/rbd_volume.h"

struct hf_rbd_source_info {
    uint64_t size_bytes, file_bytes; /* of the raw content, and of the file it was made from */
    uint64_t allocated_bytes;        /* of the raw content, as far as it is not zero */
};

/* NOT_FOUND: the image is not there whole. */
hf_status hf_rbd_source_open(const struct hf_rados_access *access, const struct hf_rados_limits *limits,
                             const struct hf_rbd_name *n, struct hf_rbd_source **ret) HF_MUST_USE;
const struct hf_rbd_source_info *hf_rbd_source_info(const struct hf_rbd_source *s);
void hf_rbd_source_close(struct hf_rbd_source *s);

#endif
