/* The bytes of a transaction and of a log entry (README.md has the layout): what txn.c writes and the state
 * machine reads. Readers trust nothing: every length is checked, and malformed bytes give false.
 */
#ifndef HF_CONSENSUS_TXN_WIRE_H
#define HF_CONSENSUS_TXN_WIRE_H

#include <stdbool.h>

#include "consensus/store.h"
#include "consensus/txn.h"

enum hf_op_type { HF_OP_CHECK = 1, HF_OP_PUT = 2, HF_OP_DELETE = 3 };

/* One operation, pointing into the bytes it was read from. */
struct hf_op {
    enum hf_op_type type;
    uint32_t kind; /* put */
    struct hf_uuid uuid;
    uint64_t revision;   /* check */
    const char *name;    /* put */
    const uint8_t *data; /* put */
    size_t data_len;
};

struct hf_txn_view {
    const char *request_id; /* "" if none */
    size_t request_id_len;
    uint64_t request_hash;
    uint32_t n_ops;
    uint32_t answer; /* number of the put that is the answer, from 1; 0: none */
};

/* Ends building: the transaction's bytes, owned by t, a multiple of 8. */
const uint8_t *hf_txn_encoded(struct hf_txn *t, size_t *ret_len);
/* Why it can never be applied (too large, a bad name, …), or NULL. */
const char *hf_txn_invalid(const struct hf_txn *t);

/* Reads one transaction at p. ops has room for HF_TXN_OPS_MAX. ret_used: the bytes it took. */
bool hf_txn_decode(const uint8_t *p, size_t len, struct hf_txn_view *ret, struct hf_op *ops,
                   size_t *ret_used);

/* A log entry: this header, then n transactions. */
#define HF_ENTRY_HEADER   24
#define HF_ENTRY_TXNS_MAX 4096
struct hf_entry_header {
    uint32_t n;
    uint64_t origin;   /* random number of the proposing process … */
    uint64_t sequence; /* … and its count, so that the proposer knows its own entry again */
};
void hf_entry_header_encode(const struct hf_entry_header *h, uint8_t out[HF_ENTRY_HEADER]);
bool hf_entry_header_decode(const uint8_t *p, size_t len, struct hf_entry_header *ret);

#endif
