/* Where a primary storage lies for this host, as it is assigned: a directory, an NFS export and the directory
 * that it is mounted on, or the pools of a Ceph cluster; and which of the host's addresses its network wants.
 * Pure.
 */
#ifndef HF_HOSTD_STORAGE_PLACE_H
#define HF_HOSTD_STORAGE_PLACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/uuid.h"
#include "holdfast/v1/host_link.pb-c.h"

#define HF_HOST_ADDRESSES_MAX    256
#define HF_STORAGE_PROBLEM_MAX   512
#define HF_STORAGE_ADDRESSES_MAX 8 /* named in a problem */

struct hf_host_address {
    uint32_t ip; /* host byte order */
    unsigned prefix;
};

/* Owns its strings. */
struct hf_storage_place {
    struct hf_uuid uuid;
    bool nfs;
    char *path;                /* the root: absolute; of NFS "<mount base>/<uuid>" */
    char *url, *mount_options; /* NFS */
    Holdfast__V1__CephAccess *ceph; /* NULL: none; holds a key. path is then a file, "<ceph base>/<uuid>.rados",
                                       by which its lease records are found (storage/ceph_access.h) */
    bool heartbeat;
    uint64_t reserved_bytes;
    uint32_t network; /* of the storage; prefix 0: none is named */
    unsigned prefix;
};

/* What is below a host's own folders; NULL: this host takes no storages of that kind. */
struct hf_storage_bases {
    const char *mounts; /* NFS */
    const char *ceph;   /* the ways to Ceph clusters: in memory only, lost at reboot */
};

hf_status hf_storage_place_read(const Holdfast__V1__StorageAssignment *a, const struct hf_storage_bases *bases,
                                struct hf_storage_place *ret) HF_MUST_USE;
void hf_storage_place_done(struct hf_storage_place *p);

/* The same files in the same place, with or without a lease as before: only how they are reached may differ.
 */
bool hf_storage_place_same_files(const struct hf_storage_place *a, const struct hf_storage_place *b);
/* Reached in the same way as well. */
bool hf_storage_place_same_way(const struct hf_storage_place *a, const struct hf_storage_place *b);

/* Which of the host's addresses lies in the storage's network: address is "" unless it is exactly one;
 * problem is a sentence,
 * "" when all is well or no network is named. */
void hf_storage_place_judge(const struct hf_storage_place *p, const struct hf_host_address *addresses,
                            size_t n, char address[16], char problem[HF_STORAGE_PROBLEM_MAX]);

#endif
