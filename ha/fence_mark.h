/* The fence mark of one life of a host (DESIGN.md section 5, rules 8, 12): a file of its own in the root of
 * each shared storage where the host keeps a lease. Whoever fences (host, epoch) writes the mark and then
 * reads the host's record; the host's keeper writes its record and then reads the mark. So one of the two
 * sees the other, although no storage here can compare and write.
 *
 * The keeper makes the file with room for one block and never writes into it: nothing but zeros means that
 * the life is not fenced. A mark is one block of anything else, is written by observers only, again with the
 * same bytes if need be, and is never taken back while the host may live that epoch. Each epoch has a file of
 * its own, so that a late mark of an old epoch says nothing about the present one. Pure.
 */
#ifndef HF_HA_FENCE_MARK_H
#define HF_HA_FENCE_MARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/uuid.h"

#define HF_FENCE_MARK_BYTES    4096
#define HF_FENCE_MARK_NAME_MAX 80

/* "fence-mark-kvm-host-<32 hex digits>-<epoch>.fm"; returns out. */
char *hf_fence_mark_name(const struct hf_uuid *host, uint64_t epoch, char out[HF_FENCE_MARK_NAME_MAX]);
/* The block that fences (host, epoch): a line for people, then zeros. */
void hf_fence_mark_encode(const struct hf_uuid *host, uint64_t epoch, uint8_t block[HF_FENCE_MARK_BYTES]);
/* Whether these bytes fence. A mark that is half written counts: somebody has begun to write it. */
bool hf_fence_mark_is_set(const uint8_t *data, size_t len);

#endif
