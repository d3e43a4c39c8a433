/* The room of a pool, as the monitors tell it: its share of what is free, after replication. Asked before
 * something is written that needs much: writes to a pool that is full wait for ever, and those of guests with
 * them. All calls block. */
#ifndef HF_STORAGE_RBD_ROOM_H
#define HF_STORAGE_RBD_ROOM_H

#include "storage/primary.h"
#include "storage/rados_conn.h"

/* UNAVAILABLE: there is no such pool, or no word about it yet. */
hf_status hf_rbd_room(rados_t cluster, const char *pool, struct hf_capacity *ret) HF_MUST_USE;

/* EXHAUSTED: a new volume of so many bytes (0: not known) is not to be made there. It takes room only as it
 * is written, so it may be larger than what is free, but not than the whole. */
hf_status hf_rbd_room_for_volume(rados_t cluster, const char *pool, uint64_t size_bytes,
                                 uint64_t reserved_bytes) HF_MUST_USE;
/* EXHAUSTED: so many bytes do not fit beside the reserve; or what the file holds. */
hf_status hf_rbd_room_for_content(rados_t cluster, const char *pool, uint64_t bytes,
                                  uint64_t reserved_bytes) HF_MUST_USE;
hf_status hf_rbd_room_for_file(rados_t cluster, const char *pool, const char *file,
                               uint64_t reserved_bytes) HF_MUST_USE;

#endif
