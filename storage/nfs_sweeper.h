/* Unmounts the NFS storages that this host no longer has: what is mounted below the mount base under a UUID
 * that is not among those to keep. It looks again and again: at what is still in use, at what a daemon that
 * died left mounted, at a mount that was under way when its storage was taken away. Works on a thread of its
 * own; loop thread only.
 */
#ifndef HF_STORAGE_NFS_SWEEPER_H
#define HF_STORAGE_NFS_SWEEPER_H

#include "base/env.h"
#include "base/uuid.h"

struct hf_nfs_sweeper;

struct hf_nfs_sweeper *hf_nfs_sweeper_create(struct hf_env *env, const char *base);
/* From now on these are kept, all others go. Before the first call nothing is touched. */
void hf_nfs_sweeper_keep(struct hf_nfs_sweeper *s, const struct hf_uuid *storages, size_t n);
void hf_nfs_sweeper_close(struct hf_nfs_sweeper *s);

#endif
