/* Guards: invariants that every replica evaluates in apply and that refuse a transaction whatever the leader
 * believes (DESIGN.md section 5, rule 5). A guard must be pure and deterministic: the store before the
 * transaction and the transaction's puts and deletes are all it may look at.
 */
#ifndef HF_CONSENSUS_GUARD_H
#define HF_CONSENSUS_GUARD_H

#include "consensus/store.h"

/* What the transaction wants to do with one object. */
struct hf_change {
    uint32_t kind;
    struct hf_uuid uuid;
    const char *name;               /* after; NULL when deleted */
    const struct hf_object *before; /* NULL: it does not exist */
    const uint8_t *after;           /* serialized; NULL: deleted */
    size_t after_len;
};

/* Looks up what an object will be after the transaction: from its puts, else from the store. */
struct hf_guard_view {
    const struct hf_store *store;
    const struct hf_change *changes;
    size_t n_changes;
};
/* Bytes after the transaction, or NULL when there will be no such object. */
const uint8_t *hf_guard_after(const struct hf_guard_view *v, const struct hf_uuid *uuid, size_t *ret_len);

struct hf_guard {
    const char *name;
    uint64_t kinds; /* bit per kind: called for changes of these kinds only */
    /* true: allowed. false: refused; writes a sentence to why. */
    bool (*allow)(const struct hf_guard *g, const struct hf_guard_view *v, const struct hf_change *c,
                  char *why, size_t why_len);
};

#endif
