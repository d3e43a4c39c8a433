/* The replicated state machine: the store, the remembered requests and the history, changed by one
 * transaction after another. Pure and deterministic: the same transactions give the same state on every
 * replica.
 */
#ifndef HF_CONSENSUS_MACHINE_H
#define HF_CONSENSUS_MACHINE_H

#include "consensus/dedup.h"
#include "consensus/guard.h"
#include "consensus/store_write.h"
#include "consensus/txn_wire.h"
#include "consensus/watch.h"

struct hf_machine {
    struct hf_store *store;
    struct hf_dedup *dedup;
    struct hf_history *history;
    const struct hf_guard *const *guards;
    size_t n_guards;
    /* Room for the transaction in work. */
    struct hf_op *ops;
    struct hf_change *changes;
    size_t n_changes;
    uint32_t *lookup; /* hash table of changes by UUID, used by long transactions */
};

void hf_machine_init(struct hf_machine *m, const struct hf_guard *const *guards, size_t n_guards);
void hf_machine_done(struct hf_machine *m);

/* Applies the transaction at p; false when its bytes are malformed (nothing has happened). ret may be NULL;
 * else its answer and message are owned by the caller: hf_result_done(). */
bool hf_machine_apply(struct hf_machine *m, const uint8_t *p, size_t len, size_t *ret_used,
                      struct hf_txn_result *ret);
void hf_result_done(struct hf_txn_result *res);

/* What a snapshot of it would take, roughly. */
size_t hf_machine_bytes(const struct hf_machine *m);

#endif
