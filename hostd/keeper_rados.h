/* Renews leases on RADOS for one of the keeper's threads, through a process of its own (hf-rados-lease): so
 * the keeper links no librados, and what hangs there can be ended. Blocks, for HF_KEEPER_RADOS_REPLY_MS at
 * most.
 */
#ifndef HF_HOSTD_KEEPER_RADOS_H
#define HF_HOSTD_KEEPER_RADOS_H

#include <stdbool.h>

#include "base/status.h"
#include "ha/lease_record.h"

#define HF_KEEPER_RADOS_PROGRAM  "hf-rados-lease" /* beside the keeper */
#define HF_KEEPER_RADOS_REPLY_MS 15000            /* then the process is ended, and the renewal has failed */
#define HF_KEEPER_RADOS_TEXT_MAX 256

/* One renewal, as it goes to that process, and its answer. */
struct hf_keeper_rados_order {
    uint64_t epoch, offset;
    char object[HF_LEASE_FILE_NAME_MAX];
    uint8_t closed; /* the record is the last word of its session */
    uint8_t slot[HF_LEASE_SLOT_BYTES];
};

struct hf_keeper_rados_answer {
    uint8_t ok, fenced;
    char text[HF_KEEPER_RADOS_TEXT_MAX]; /* not ok: why */
};

struct hf_keeper_rados {
    int fd; /* to the process; -1: none runs */
    int pid;
    char access[4096]; /* the file that it was started with */
};

/* dir is no folder but the file of storage/ceph_access.h: the lease lies on RADOS. */
bool hf_keeper_rados_is(const char *dir);

void hf_keeper_rados_init(struct hf_keeper_rados *r);

/* access: the file of storage/ceph_access.h. *ret_fenced: this epoch is fenced there. */
hf_status hf_keeper_rados_renew(struct hf_keeper_rados *r, const char *access,
                                const struct hf_keeper_rados_order *order, bool *ret_fenced) HF_MUST_USE;

/* Ends the process. */
void hf_keeper_rados_close(struct hf_keeper_rados *r);

#endif
