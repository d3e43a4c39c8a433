#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "consensus/replica_private.h"
#include "consensus/txn_wire.h"

void hf_replica_answer_early(struct hf_replica *r, struct proposal *p, const struct raft_buffer *entry)
{
    struct hf_op *ops = hf_alloc_array(HF_TXN_OPS_MAX, sizeof *ops);
    const uint8_t *at = (const uint8_t *)entry->base + HF_ENTRY_HEADER;
    size_t left = entry->len - HF_ENTRY_HEADER;
    for (struct writer *w = p->writers.first; w != NULL; w = w->next) {
        struct hf_txn_view v;
        size_t used;
        bool well_formed = hf_txn_decode(at, left, &v, ops, &used);
        HF_ASSERT(well_formed);
        w->result.revision = hf_store_revision(r->machine.store) + 1;
        if (v.answer != 0)
            w->result.answer = hf_bytes_copy(ops[v.answer - 1].data, ops[v.answer - 1].data_len);
        at += used;
        left -= used;
    }
    QUEUE_APPEND(&r->failed_writers, &p->writers); /* to be answered, and with no error */
    free(ops);
}
