/* Where the lease records and fence marks of a storage are read and written by observers: files in its
 * folder, or objects on RADOS where there is a file of storage/ceph_access.h instead of a folder. Shared by
 * threads, which may hang in it; everything but ref and unref blocks.
 */
#ifndef HF_HOSTD_LEASE_STORE_H
#define HF_HOSTD_LEASE_STORE_H

#include <stdint.h>

#include "base/status.h"
#include "ha/lease_record.h"

struct hf_lease_store;

struct hf_lease_store *hf_lease_store_create(const char *dir);
struct hf_lease_store *hf_lease_store_ref(struct hf_lease_store *s);
void hf_lease_store_unref(struct hf_lease_store *s); /* any thread */

/* The host's record, past all caches; buf: HF_LEASE_FILE_BYTES, aligned for O_DIRECT. *ret_len 0: there is
 * none. */
hf_status hf_lease_store_read(struct hf_lease_store *s, const struct hf_uuid *host, uint8_t *buf,
                              size_t *ret_len) HF_MUST_USE;
/* Fences (host, epoch). */
hf_status hf_lease_store_mark(struct hf_lease_store *s, const struct hf_uuid *host,
                              uint64_t epoch) HF_MUST_USE;

#endif
