/* What a canary guest writes to its disk and sends to its peer: one record per beat. Numbers are
 * little-endian, as on the only machines that the guest runs on.
 */
#ifndef HF_LAB_GUEST_CANARY_H
#define HF_LAB_GUEST_CANARY_H

#include <stdint.h>

#define CANARY_MAGIC      "HFCANARY"
#define CANARY_MAGIC_LEN  8
#define CANARY_TOKEN_LEN  16
#define CANARY_BLOCK      4096 /* a record has a block of the disk to itself */
#define CANARY_SLOTS      512  /* blocks of the ring; record n stands in block n % CANARY_SLOTS */
#define CANARY_GAP        128  /* counters that a boot leaves out */
#define CANARY_RECORD_LEN 64

struct canary_record {
    char magic[CANARY_MAGIC_LEN];
    uint8_t mac[6]; /* of the instance's first NIC: which instance it is */
    uint8_t zero[2];
    uint8_t token[CANARY_TOKEN_LEN]; /* drawn at boot: which run it is */
    uint64_t counter;                /* grows by one with each record, and by CANARY_GAP with each boot */
    uint64_t resumed;                /* the highest counter that this boot found on its disk; 0: none */
    uint64_t boot_ns;                /* the guest's own clock since its boot */
    uint64_t check;                  /* FNV-1a of all before it */
};

_Static_assert(sizeof(struct canary_record) == CANARY_RECORD_LEN, "the layout is a contract");

#endif
