/* What is done to a volume's image while it exists: snapshots, going back to one, and making it independent
 * of its template. In which order, so that everything may be repeated after a crash or a lost answer, by this
 * host or another one, and so that an order that is carried out late does no harm. Pure: the image is touched
 * through the verbs of struct hf_rbd_snaps, which rbd_snap_lib.c has for real ones. Each call blocks as long
 * as the verbs do.
 *
 * Making, removing and flattening change nothing that a guest sees, so they may be done at any time, and
 * twice. Going back to a snapshot takes away what was written since. It is done only by a client that has the
 * image for itself: no other one has it open, and none gets its lock meanwhile. On the image stands the
 * number of the last order to go back that was carried out whole, so that one which comes late, or again,
 * finds itself done.
 */
#ifndef HF_STORAGE_RBD_SNAPSHOT_H
#define HF_STORAGE_RBD_SNAPSHOT_H

#include "storage/rbd_volume.h"

struct hf_rbd_snaps;

/* A TIMEOUT may have happened. NOT_FOUND: there is no such image or snapshot. */
struct hf_rbd_snap_ops {
    hf_status (*create)(struct hf_rbd_snaps *s, const struct hf_rbd_name *n,
                        const char *snap); /* or EXISTS */
    /* CONFLICT: it is protected or has clones. */
    hf_status (*remove)(struct hf_rbd_snaps *s, const struct hf_rbd_name *n, const char *snap);
    hf_status (*flatten)(struct hf_rbd_snaps *s, const struct hf_rbd_name *n); /* OK: it has no parent */

    /* The image for this client alone, until release. UNAVAILABLE: another one has it open. */
    hf_status (*hold)(struct hf_rbd_snaps *s, const struct hf_rbd_name *n);
    hf_status (*read_mark)(struct hf_rbd_snaps *s, uint64_t *ret); /* 0: none */
    hf_status (*roll_back)(struct hf_rbd_snaps *s, const char *snap);
    hf_status (*write_mark)(struct hf_rbd_snaps *s, uint64_t mark);
    void (*release)(struct hf_rbd_snaps *s);
};

struct hf_rbd_snaps {
    const struct hf_rbd_snap_ops *ops;
};

hf_status hf_rbd_snapshot(struct hf_rbd_snaps *s, const struct hf_rbd_name *n, const char *snap) HF_MUST_USE;

/* OK when the snapshot or the image is not there. */
hf_status hf_rbd_delete_snapshot(struct hf_rbd_snaps *s, const struct hf_rbd_name *n,
                                 const char *snap) HF_MUST_USE;

/* order: grows with each revert of this volume. What was larger than the snapshot is so again when r grows
 * it: the guest's disk never shrinks. */
hf_status hf_rbd_revert(struct hf_rbd *r, struct hf_rbd_snaps *s, const struct hf_rbd_name *n,
                        const char *snap, uint64_t order, uint64_t size_bytes) HF_MUST_USE;

#endif
