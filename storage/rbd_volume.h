/* Templates and volumes in the pools of a Ceph cluster: what is made in which order, so that everything may
 * be repeated after a crash or a lost answer. Pure: images are touched through the verbs of struct hf_rbd,
 * which rbd_lib.h has for real ones. Each call blocks as long as the verbs do.
 *
 * A template is an image with a protected snapshot; it gets its final name only when it is whole. A root
 * volume is a clone of that snapshot.
 *
 * Whoever asks for a volume is about to start the only run that may use it. A client that has it open then is
 * left over from an earlier run, and the cluster is told to refuse it for good, each client by its own
 * address and number: a second net under the fence, which a process that was stopped and goes on later cannot
 * slip through.
 */
#ifndef HF_STORAGE_RBD_VOLUME_H
#define HF_STORAGE_RBD_VOLUME_H

#include <stdint.h>

#include "base/status.h"
#include "storage/ceph_spec.h"

struct hf_rbd_name {
    const char *pool, *image;
};

struct hf_rbd_stat {
    uint64_t size_bytes;
    bool is_template;                   /* it has the protected snapshot */
    uint64_t file_bytes;                /* of a template: of the file that it was made from */
    char parent_pool[HF_CEPH_NAME_MAX]; /* "": none */
    char parent_image[HF_CEPH_NAME_MAX];
};

struct hf_rbd;
struct hf_rbd_source; /* an image of another cluster: rbd_source.h */

/* A TIMEOUT may have happened. NOT_FOUND: there is no such image (or pool: the sentence says which). */
struct hf_rbd_ops {
    hf_status (*stat)(struct hf_rbd *r, const struct hf_rbd_name *n, struct hf_rbd_stat *ret);
    hf_status (*create)(struct hf_rbd *r, const struct hf_rbd_name *n, uint64_t size_bytes); /* or EXISTS */
    hf_status (*clone)(struct hf_rbd *r, const struct hf_rbd_name *template_,
                       const struct hf_rbd_name *n); /* or EXISTS */
    hf_status (*grow)(struct hf_rbd *r, const struct hf_rbd_name *n, uint64_t size_bytes);
    hf_status (*rename)(struct hf_rbd *r, const struct hf_rbd_name *n, const char *to); /* or EXISTS */
    /* Makes it a template; may be repeated. */
    hf_status (*protect)(struct hf_rbd *r, const struct hf_rbd_name *n, uint64_t file_bytes);
    /* The content of a raw file into an image that is as large. */
    hf_status (*import)(struct hf_rbd *r, const struct hf_rbd_name *n, const char *file);
    hf_status (*trash)(struct hf_rbd *r, const struct hf_rbd_name *n); /* its snapshots first */
    hf_status (*purge)(struct hf_rbd *r, const struct hf_rbd_name *n); /* what of this name is in the trash */
    /* Every other client that has it open is refused by the cluster from here on; how many there were. */
    hf_status (*evict)(struct hf_rbd *r, const struct hf_rbd_name *n, unsigned *ret_n);
    /* The content of another cluster's image into one that is as large, verified. */
    hf_status (*copy)(struct hf_rbd *r, const struct hf_rbd_name *n, struct hf_rbd_source *from);
};

struct hf_rbd {
    const struct hf_rbd_ops *ops;
};

/* NOT_FOUND: it is not there whole. */
hf_status hf_rbd_find_template(struct hf_rbd *r, const struct hf_rbd_name *n,
                               struct hf_rbd_stat *ret) HF_MUST_USE;

/* Has the template, made from a raw file of size_bytes (a multiple of 512). maker: who makes it, so that it
 * finds its own leftovers; file_bytes is remembered. */
hf_status hf_rbd_have_template(struct hf_rbd *r, const struct hf_rbd_name *n, const char *maker,
                               const char *file, uint64_t size_bytes, uint64_t file_bytes) HF_MUST_USE;

/* The same as a clone of another template. NOT_FOUND: that is not there. */
hf_status hf_rbd_have_template_clone(struct hf_rbd *r, const struct hf_rbd_name *n, const char *maker,
                                     const struct hf_rbd_name *template_) HF_MUST_USE;

/* The same as a copy of an image of size_bytes in another cluster, which was made from file_bytes. */
hf_status hf_rbd_have_template_copy(struct hf_rbd *r, const struct hf_rbd_name *n, const char *maker,
                                    struct hf_rbd_source *from, uint64_t size_bytes,
                                    uint64_t file_bytes) HF_MUST_USE;

/* Has the volume, for a run that is about to start: a clone of the template, or empty with size_bytes
 * (template_ NULL). size_bytes 0: as large as the template. One that is there grows to size_bytes and is
 * taken from whoever has it open: *ret_evicted clients. PRECONDITION: it has another parent. NOT_FOUND: the
 * template is not there. */
hf_status hf_rbd_have_volume(struct hf_rbd *r, const struct hf_rbd_name *n,
                             const struct hf_rbd_name *template_, uint64_t size_bytes,
                             unsigned *ret_evicted) HF_MUST_USE;

/* Its snapshots, then itself: to the trash, then for good; OK when it is not there. CONFLICT: a snapshot has
 * clones. */
hf_status hf_rbd_delete(struct hf_rbd *r, const struct hf_rbd_name *n) HF_MUST_USE;

#endif
