/* An NFS primary storage: a folder (primary_file.c) that every check mounts first when it is not mounted.
 * What is half mounted, mounted from elsewhere or with other options is refused with a sentence, never used.
 * Unmounting is nfs_sweeper.h's.
 */
#ifndef HF_STORAGE_PRIMARY_NFS_H
#define HF_STORAGE_PRIMARY_NFS_H

#include "storage/nfs_mount.h"
#include "storage/primary.h"

/* place is copied, its point is the root. */
hf_status hf_primary_nfs_create(struct hf_env *env, const struct hf_nfs_place *place, uint64_t reserved_bytes,
                                struct hf_primary **ret) HF_MUST_USE;

#endif
