/* Where a primary storage lies for this host, as it is assigned: a directory, or an NFS export and the
 * directory that it is mounted on; and which of the host's addresses its network wants. Pure.
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
    bool heartbeat;
    uint64_t reserved_bytes;
    uint32_t network; /* of the storage; prefix 0: none is named */
    unsigned prefix;
};

/* mount_base NULL: this host takes no NFS storages. */
hf_status hf_storage_place_read(const Holdfast__V1__StorageAssignment *a, const char *mount_base,
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
