/* Fence marks as files (ha/fence_mark.h), past all caches. All calls block as long as the storage does: they
 * are for threads that may hang. */
#ifndef HF_HOSTD_FENCE_MARK_FILE_H
#define HF_HOSTD_FENCE_MARK_FILE_H

#include "base/status.h"
#include "ha/fence_mark.h"

/* Fences (host, epoch) on the storage whose root is dir. Done when this returns well, and may be done again.
 */
hf_status hf_fence_mark_write(const char *dir, const struct hf_uuid *host, uint64_t epoch) HF_MUST_USE;

/* The host's own question. Makes the file, with its block allocated where the file system can do that, so
 * that a storage that fills up later can still be marked. */
hf_status hf_fence_mark_read(const char *dir, const struct hf_uuid *host, uint64_t epoch,
                             bool *ret_marked) HF_MUST_USE;

#define HF_FENCE_MARKS_KEPT_MAX 16
/* Removes the marks of the lives before this one, as far back as HF_FENCE_MARKS_KEPT_MAX epochs: that this
 * one was granted proves them over. */
void hf_fence_mark_forget_before(const char *dir, const struct hf_uuid *host, uint64_t epoch);

#endif
