/* Lease records on RADOS: an object per host in a pool of the storage, named as the files are elsewhere
 * (ha/lease_record.h), with two slots, the highest epoch of the host that is fenced and that of the last
 * record.
 *
 * A renewal is one write that the OSD refuses as a whole unless its epoch is above the first and not below
 * the second: a fenced host's late renewal never lands, however late it is. The last word of an epoch,
 * "closed", is no renewal and may still be said after the fence. A mark only ever raises what is fenced. All
 * calls block, up to the op time-out of the connection; a TIMEOUT may have happened.
 */
#ifndef HF_STORAGE_RADOS_LEASE_H
#define HF_STORAGE_RADOS_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/rados_conn.h"

struct hf_rados_renewal {
    const char *object;
    uint64_t epoch;
    bool closed; /* the record says so: no renewal */
    const void *slot;
    size_t len;
    uint64_t offset;
    const char *client; /* who writes it, as rados_getaddrs() tells: kept beside the record. "": not said */
};

/* *ret_fenced: it was refused, because this epoch is fenced or not the last one, or because the cluster has
 * this client on its blocklist; the status is OK then. */
hf_status hf_rados_lease_renew(rados_ioctx_t pool, const struct hf_rados_renewal *r,
                               bool *ret_fenced) HF_MUST_USE;

/* Fences every epoch up to this one; OK when that is so already. */
hf_status hf_rados_lease_mark(rados_ioctx_t pool, const char *object, uint64_t epoch) HF_MUST_USE;

/* Up to len bytes; *ret_len 0: there is no record. */
hf_status hf_rados_lease_read(rados_ioctx_t pool, const char *object, void *buf, size_t len,
                              size_t *ret_len) HF_MUST_USE;

/* Who wrote the last record that said so; "": nobody has. */
#define HF_RADOS_LEASE_CLIENT_MAX 256
hf_status hf_rados_lease_client(rados_ioctx_t pool, const char *object,
                                char ret[HF_RADOS_LEASE_CLIENT_MAX]) HF_MUST_USE;

#endif
