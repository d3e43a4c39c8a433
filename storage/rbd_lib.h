/* The verbs of rbd_volume.h and rbd_snapshot.h on a real cluster, by librbd. One struct, one thread at a
 * time; many structs may share a connection. */
#ifndef HF_STORAGE_RBD_LIB_H
#define HF_STORAGE_RBD_LIB_H

#include <rbd/librbd.h>

#include "storage/rados_conn.h"
#include "storage/rbd_snapshot.h"

struct hf_rbd_open;

struct hf_rbd_lib {
    struct hf_rbd rbd;
    struct hf_rbd_snaps snaps;
    struct hf_rbd_open *held; /* by snaps' hold */
    rados_t cluster;          /* borrowed */
    /* Of a long import: true ends it with CANCELLED. May be NULL. */
    bool (*stop)(void *arg);
    /* Of an import, a flattening, a revert. May be NULL. */
    void (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
    void *arg;
    int rc;      /* of the last call that failed */
    bool denied; /* one was, for want of rights */
};

void hf_rbd_lib_init(struct hf_rbd_lib *l, rados_t cluster);

/* The clients that have the image open for writing, in Ceph's spelling; without this connection's own. */
#define HF_RBD_WATCHERS_MAX 64
#define HF_RBD_CLIENT_MAX   256
hf_status hf_rbd_lib_watchers(struct hf_rbd_lib *l, const struct hf_rbd_name *n,
                              char ret[HF_RBD_WATCHERS_MAX][HF_RBD_CLIENT_MAX], size_t *ret_n) HF_MUST_USE;
/* The client that has its exclusive lock, or had it when it was lost; "": nobody, or this connection.
 * *ret_refused: the blocklist was read, and it is on it. */
hf_status hf_rbd_lib_lock_owner(struct hf_rbd_lib *l, const struct hf_rbd_name *n,
                                char ret[HF_RBD_CLIENT_MAX], bool *ret_refused) HF_MUST_USE;

#endif
