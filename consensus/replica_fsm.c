#include <stdlib.h>

#include "base/assert.h"
#include "base/buggify.h"
#include "consensus/replica_private.h"

/* A log is compacted into a snapshot when it has grown by twice the state, within these limits. */
#define COMPACT_BYTES_MIN (16 << 20)
#define COMPACT_ENTRIES   65536 /* unless set */
#define TRAILING_SHARE    4 /* of the log, one part in so many stays for followers that lag a little */

static struct proposal *own_proposal(const struct hf_replica *r, const struct hf_entry_header *h)
{
    if (h->origin != r->origin)
        return NULL;
    for (struct proposal *p = r->under_way.first; p != NULL; p = p->next)
        if (!p->is_barrier && p->sequence == h->sequence)
            return p;
    return NULL;
}

/* Asks libraft to compact soon, or as it would by itself. */
void hf_replica_steer_compaction(struct hf_replica *r)
{
    size_t limit = 2 * hf_machine_bytes(&r->machine);
    if (limit < COMPACT_BYTES_MIN)
        limit = COMPACT_BYTES_MIN;
    bool soon = r->log_bytes >= limit || HF_BUGGIFY(EARLY_SNAPSHOT);
    raft_set_snapshot_threshold(r->raft, soon ? 1 : r->compact_entries);
}

void hf_replica_compact_after(struct hf_replica *r, unsigned entries)
{
    r->compact_entries = entries;
    if (r->raft != NULL)
        hf_replica_steer_compaction(r);
}

static int fsm_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    struct hf_replica *r = fsm->data;
    struct hf_entry_header h;
    const uint8_t *at = buf->base;
    size_t left = buf->len;
    bool entry_is_well_formed = hf_entry_header_decode(at, left, &h);
    HF_ASSERT(entry_is_well_formed); /* a leader wrote it and libraft checked its sum: a bug, and going on
                                        would spread it */
    struct proposal *own = own_proposal(r, &h);
    struct writer *w = own == NULL ? NULL : own->writers.first;
    at += HF_ENTRY_HEADER;
    left -= HF_ENTRY_HEADER;
    for (uint32_t i = 0; i < h.n; i++) {
        size_t used;
        entry_is_well_formed = hf_machine_apply(&r->machine, at, left, &used, w == NULL ? NULL : &w->result);
        HF_ASSERT(entry_is_well_formed);
        at += used;
        left -= used;
        w = w == NULL ? NULL : w->next;
    }
    HF_ASSERT(left == 0);
    if (own != NULL)
        own->applied = true;
    r->log_bytes += buf->len;
    r->log_entries++;
    hf_replica_steer_compaction(r);
    hf_replica_become_dirty(r);
    *result = NULL;
    return 0;
}

static int fsm_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    struct hf_replica *r = fsm->data;
    HF_ASSERT(r->snapshot.bufs == NULL);
    hf_snapshot_take(&r->machine, &r->snapshot);
    *bufs = r->snapshot.bufs;
    *n_bufs = r->snapshot.n_bufs;
    uint64_t trailing = HF_BUGGIFY(SHORT_TRAIL) ? 0 : r->log_entries / TRAILING_SHARE;
    raft_set_snapshot_trailing(r->raft, (unsigned)trailing + 1);
    r->log_bytes = r->log_entries = 0;
    hf_replica_steer_compaction(r);
    return 0;
}

static int fsm_snapshot_finalize(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    struct hf_replica *r = fsm->data;
    hf_snapshot_release(&r->snapshot);
    *bufs = NULL;
    *n_bufs = 0;
    return 0;
}

static int fsm_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    struct hf_replica *r = fsm->data;
    hf_status st = hf_snapshot_restore(&r->machine, buf->base, buf->len);
    if (!hf_ok(st)) {
        hf_status_drop(st);
        return RAFT_CORRUPT;
    }
    raft_free(buf->base);
    r->log_bytes = r->log_entries = 0;
    hf_replica_become_dirty(r);
    return 0;
}

void hf_replica_fsm_init(struct hf_replica *r)
{
    r->compact_entries = COMPACT_ENTRIES;
    r->fsm = (struct raft_fsm){.version = 2,
                               .data = r,
                               .apply = fsm_apply,
                               .snapshot = fsm_snapshot,
                               .restore = fsm_restore,
                               .snapshot_finalize = fsm_snapshot_finalize};
}
