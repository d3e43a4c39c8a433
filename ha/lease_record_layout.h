/* Where everything stands in a slot of a lease record: for lease_record.c, which writes it, and
 * lease_record_read.c. */
#ifndef HF_HA_LEASE_RECORD_LAYOUT_H
#define HF_HA_LEASE_RECORD_LAYOUT_H

#include "ha/lease_record.h"

/* Offsets in a slot. Magic, version and checksum keep their place in every version to come. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_CRC = 12,
    AT_CLUSTER = 16,
    AT_HOST = 32,
    AT_BOOT_ID = 48,
    AT_EPOCH = 88,
    AT_SEQUENCE = 96,
    AT_FLAGS = 104,
    AT_N_RUNS = 108,
    AT_SESSION = 112,
    AT_RUNS = 512,
    RUN_BYTES = 32,
};

#define LEASE_MAGIC     "HFLEASE"
#define LEASE_VERSION   1
#define FLAG_CLOSED     1u
#define FLAG_KILLED     2u
#define RUN_LIVE        1u
#define RUN_INCOMING    2u
#define RUN_HANDED_OVER 4u

_Static_assert(AT_RUNS + HF_LEASE_RECORD_RUNS_MAX * RUN_BYTES == HF_LEASE_SLOT_BYTES,
               "the runs fill the slot");
_Static_assert(HF_LEASE_SLOT_BYTES % 4096 == 0, "O_DIRECT wants whole blocks");

/* The checksum of a slot as if its own field were zero. */
uint32_t hf_lease_slot_crc(const uint8_t *slot);

#endif
