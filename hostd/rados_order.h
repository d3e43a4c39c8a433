/* One renewal of a lease on RADOS, as the keeper orders it from hf-rados-lease (base/helper.h). The bit of
 * the answer: the epoch is fenced. */
#ifndef HF_HOSTD_RADOS_ORDER_H
#define HF_HOSTD_RADOS_ORDER_H

#include "ha/lease_record.h"

#define HF_RADOS_LEASE "hf-rados-lease"

struct hf_rados_order {
    uint8_t slot[HF_LEASE_SLOT_BYTES]; /* first: aligned as the whole is */
    char name[HF_LEASE_FILE_NAME_MAX]; /* of the record */
    uint64_t epoch;
    int64_t offset;
    uint8_t closed; /* the record is the last word of its session */
};

#endif
