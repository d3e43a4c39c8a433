/* What the host daemon asks of a primary storage: its files, never the running guests'. Behind it:
 * primary_file.c (LocalStorage and SharedMountPoint: a directory with the tutorial's layout), primary_nfs.c
 * (the same on a mount), primary_rbd.c (images in the pools of a Ceph cluster) and simulated ones.
 *
 *   imagecache/template/<uuid>/<uuid>.qcow2          rootVolumes/acct-<uuid>/vol-<uuid>/<uuid>.qcow2
 *   dataVolumes/acct-<uuid>/vol-<uuid>/<uuid>.qcow2  heartbeat-file-kvm-host-<host uuid>.hb
 *
 * Every call returns at once, works on a thread and calls back once on the loop, with TIMEOUT past its
 * deadline: a hung storage hangs a thread, never the loop. All operations may be repeated after a crash: what
 * is half done is done again.
 */
#ifndef HF_STORAGE_PRIMARY_H
#define HF_STORAGE_PRIMARY_H

#include <stdint.h>

#include "base/env.h"
#include "base/status.h"
#include "base/uuid.h"
#include "storage/ceph_client.h"

struct hf_capacity {
    uint64_t total_bytes, available_bytes;
};

/* An image server's pool in a Ceph cluster that is not the storage's, and a key that may read there. */
struct hf_image_server {
    char *const *monitors; /* ceph_spec.h */
    size_t n_monitors;
    const char *user, *key; /* user "": the cluster asks for no key */
    const char *fsid, *pool;
};

struct hf_image_source {
    struct hf_uuid uuid;
    const char *url;         /* http, https, file; "": there is none, as it is there or has another source */
    const char *sha256;      /* 64 hex digits, of the file as fetched */
    const char *format;      /* "qcow2" or "raw" */
    const char *server_pool; /* Ceph: cloned from this pool of its cluster; "" or NULL: it is not */
    const struct hf_image_server *server; /* Ceph: copied from there; NULL: it is not */
    /* On the loop, now and then, with the callbacks' arg; false: what takes long may end with CANCELLED.
     * NULL: it is wanted. */
    bool (*wanted)(void *arg);
};

struct hf_image_info {
    uint64_t file_bytes, virtual_bytes;
};

/* st is borrowed. INVALID: wrong for good (checksum, format, larger than the room); other codes may be tried
 * again. */
typedef void (*hf_primary_cb)(void *arg, hf_status st);
typedef void (*hf_primary_capacity_cb)(void *arg, hf_status st, const struct hf_capacity *c);
typedef void (*hf_primary_image_cb)(void *arg, hf_status st, const struct hf_image_info *info);

/* How QEMU reaches the images of a Ceph cluster. */
struct hf_rbd_access {
    struct hf_uuid secret; /* names the key towards libvirt: the storage's UUID */
    char *const *monitors; /* ceph_spec.h */
    size_t n_monitors;
    const char *user, *key; /* user "": the cluster asks for no key */
};

/* What is done to a volume that is there. All but REVERT leave what a guest sees as it is. */
enum hf_volume_change_kind {
    HF_VOLUME_SNAPSHOT,
    HF_VOLUME_DELETE_SNAPSHOT,
    HF_VOLUME_REVERT,  /* to a snapshot; no run is open, and none begins before it is known to be done */
    HF_VOLUME_FLATTEN, /* it needs its template no more */
};

struct hf_volume_change {
    enum hf_volume_change_kind kind;
    uint64_t sequence;       /* grows with each change of this volume */
    struct hf_uuid snapshot; /* names it; zero: none is meant */
    uint64_t size_bytes;     /* of the volume; REVERT keeps it, where the snapshot is smaller */
};

/* size_bytes: of the volume as it is now; 0: not known. */
typedef void (*hf_primary_change_cb)(void *arg, hf_status st, uint64_t size_bytes);

struct hf_primary;

/* A volume that an instance starts with. */
struct hf_volume_wish {
    const struct hf_uuid *template_uuid; /* it lies over this cached template; NULL: empty with size_bytes */
    uint64_t size_bytes;                 /* at least; 0: as large as the template */
    bool made; /* a guest has run with it: one that is not there is lost, and is not made anew */
};

struct hf_primary_ops {
    /* Directory there, writable (a file is written, synced and read back), not "/" and not below /root. */
    void (*check)(struct hf_primary *p, unsigned deadline_ms, hf_primary_capacity_cb cb, void *arg);
    /* Has the template in the cache, verified; several hosts may do so at once on a shared one (a temporary
     * name, then a rename). NOT_FOUND: also when it is not there and src names nothing to make it from.
     * progress (may be NULL) is called on the loop. */
    void (*cache_image)(struct hf_primary *p, const struct hf_image_source *src, unsigned deadline_ms,
                        void (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes),
                        hf_primary_image_cb cb, void *arg);
    /* Makes the qcow2 at install_path if it is not there. An existing one is kept (its backing file is
     * checked), and grows to the wished size. PRECONDITION: it was made before, and is not there. */
    void (*create_volume)(struct hf_primary *p, const char *install_path, const struct hf_volume_wish *wish,
                          unsigned deadline_ms, hf_primary_cb cb, void *arg);
    /* Deletes the file and its empty folders; OK when it was not there. */
    void (*delete_volume)(struct hf_primary *p, const char *install_path, unsigned deadline_ms,
                          hf_primary_cb cb, void *arg);
    /* Absolute path of an install path, or "pool/image"; false when it would leave the root or the pools. */
    bool (*absolute)(struct hf_primary *p, const char *install_path, char *out, size_t out_len);
    /* Its volumes are images of this cluster, in raw format. NULL, as the function too may be: files, in
     * qcow2. Valid until close. */
    const struct hf_rbd_access *(*rbd)(struct hf_primary *p);
    /* OK: a client of this host still has the volume open, so that its guest can write to it. PRECONDITION:
     * the cluster has said that it refuses the one which had, for good. Else nobody has it open now, which
     * may pass, or there was no answer. NULL: nothing to ask. */
    void (*held)(struct hf_primary *p, const char *install_path, unsigned deadline_ms, hf_primary_cb cb,
                 void *arg);
    /* At which addresses the cluster has seen this host until the last check ended: more with time, never
     * fewer. NULL as rbd is. */
    const struct hf_ceph_seen *(*seen)(struct hf_primary *p);
    void (*close)(struct hf_primary *p); /* calls under way still call back */
    /* May be repeated; one that comes late, after others have followed, does no harm. NULL: it cannot.
     * NOT_FOUND, CONFLICT: it cannot be done, and nothing has been. progress (may be NULL) is called on the
     * loop. */
    void (*change_volume)(struct hf_primary *p, const char *install_path,
                          const struct hf_volume_change *change, unsigned deadline_ms,
                          void (*progress)(void *arg, uint64_t done, uint64_t total), hf_primary_change_cb cb,
                          void *arg);
};

struct hf_primary {
    const struct hf_primary_ops *ops;
};

/* root: absolute directory. reserved_bytes: kept free of new volumes and images. */
hf_status hf_primary_file_create(struct hf_env *env, const char *root, uint64_t reserved_bytes,
                                 struct hf_primary **ret) HF_MUST_USE;

/* What create_volume answers for a volume that was made and is not there. */
hf_status hf_volume_lost(void) HF_MUST_USE;

/* The rule for paths, the same for hostd and the API: absolute, normalized, not "/", not "/root" or below it.
 */
hf_status hf_primary_path_check(const char *path) HF_MUST_USE;

#endif
