/* The requests that were applied, oldest out first, so that a repeated one gets its first answer. It is part
 * of the replicated state: every replica forgets the same request at the same transaction.
 */
#ifndef HF_CONSENSUS_DEDUP_H
#define HF_CONSENSUS_DEDUP_H

#include "base/bytes.h"
#include "consensus/txn.h"

#define HF_DEDUP_BYTES_MAX (16 << 20) /* of ids and answers; the oldest go before their count does */

struct hf_dedup_entry {
    struct hf_dedup_entry *chain; /* next in the bucket */
    uint64_t id_hash;
    uint64_t request_hash;
    uint64_t revision;       /* of the transaction */
    struct hf_bytes *answer; /* owned; NULL: none */
    uint32_t id_len;
    char id[];
};

struct hf_dedup;

struct hf_dedup *hf_dedup_create(void);
void hf_dedup_free(struct hf_dedup *d);

const struct hf_dedup_entry *hf_dedup_find(const struct hf_dedup *d, const char *id, size_t id_len);
/* Remembers a request that is not there yet, and takes a reference on its answer. */
void hf_dedup_add(struct hf_dedup *d, const char *id, size_t id_len, uint64_t request_hash, uint64_t revision,
                  struct hf_bytes *answer);

size_t hf_dedup_count(const struct hf_dedup *d);
size_t hf_dedup_id_bytes(const struct hf_dedup *d);
size_t hf_dedup_bytes(const struct hf_dedup *d); /* ids and answers */
/* The i-th, 0 the oldest. */
const struct hf_dedup_entry *hf_dedup_at(const struct hf_dedup *d, size_t i);

#endif
