/* What rbd_lib.c (templates and volumes), rbd_clients.c (who has them open) and rbd_snap_lib.c (snapshots)
 * share. */
#ifndef HF_STORAGE_RBD_LIB_PRIV_H
#define HF_STORAGE_RBD_LIB_PRIV_H

#include "storage/rbd_lib.h"

/* An open image, and its pool. */
struct hf_rbd_open {
    rados_ioctx_t pool;
    rbd_image_t image;
};

/* "doing 'pool/image'" and what librbd's code means; remembers the code. */
hf_status hf_rbd_failed(struct hf_rbd_lib *l, int rc, const char *doing,
                        const struct hf_rbd_name *n) HF_MUST_USE;
hf_status hf_rbd_open_image(struct hf_rbd_lib *l, const struct hf_rbd_name *n, bool writable,
                            struct hf_rbd_open *ret) HF_MUST_USE;
void hf_rbd_close_image(struct hf_rbd_open *i);

/* struct hf_rbd_ops. */
hf_status hf_rbd_lib_evict(struct hf_rbd *r, const struct hf_rbd_name *n, unsigned *ret_n) HF_MUST_USE;

/* Removes all snapshots of an image that is about to go. CONFLICT: one has clones. */
hf_status hf_rbd_drop_snapshots(struct hf_rbd_lib *l, rbd_image_t image,
                                const struct hf_rbd_name *n) HF_MUST_USE;

hf_status hf_rbd_lib_copy(struct hf_rbd *r, const struct hf_rbd_name *n,
                          struct hf_rbd_source *from) HF_MUST_USE;

/* What is written on a template: the size of the file that it was made from, and the digest of its content
 * (rbd_import.h). */
#define HF_RBD_KEY_FILE_SIZE "holdfast.file_bytes"
#define HF_RBD_KEY_DIGEST    "holdfast.content_sha256"

extern const struct hf_rbd_snap_ops hf_rbd_snap_lib_ops;

#endif
