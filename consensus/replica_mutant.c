/* Compiled with HF_SIM only. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "consensus/replica_private.h"
#include "consensus/txn_wire.h"

/* What a transaction would be answered with if it applied; false when it has no object to answer with: it may
 * be one that is meant to be refused. */
static bool foresee(struct hf_replica *r, const uint8_t **at, size_t *left, struct hf_op *ops,
                    struct hf_txn_result *res)
{
    struct hf_txn_view v;
    size_t used;
    bool well_formed = hf_txn_decode(*at, *left, &v, ops, &used);
    HF_ASSERT(well_formed);
    *at += used;
    *left -= used;
    if (v.answer == 0)
        return false;
    res->revision = hf_store_revision(r->machine.store) + 1;
    res->answer = hf_bytes_copy(ops[v.answer - 1].data, ops[v.answer - 1].data_len);
    return true;
}

void hf_replica_answer_early(struct hf_replica *r, struct proposal *p, const struct raft_buffer *entry)
{
    struct hf_op *ops = hf_alloc_array(HF_TXN_OPS_MAX, sizeof *ops);
    const uint8_t *at = (const uint8_t *)entry->base + HF_ENTRY_HEADER;
    size_t left = entry->len - HF_ENTRY_HEADER;
    bool all = true;
    for (struct writer *w = p->writers.first; w != NULL && all; w = w->next)
        all = foresee(r, &at, &left, ops, &w->result);
    if (all)
        QUEUE_APPEND(&r->failed_writers, &p->writers); /* to be answered, and with no error */
    for (struct writer *w = p->writers.first; w != NULL; w = w->next)
        hf_result_done(&w->result); /* apply answers these */
    free(ops);
}
