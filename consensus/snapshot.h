/* The state machine as bytes (README.md has the layout): what libraft stores and sends to a follower that is
 * too far behind. Taking one copies no object: the buffers point into bytes that the snapshot holds
 * references on.
 */
#ifndef HF_CONSENSUS_SNAPSHOT_H
#define HF_CONSENSUS_SNAPSHOT_H

#include <raft.h>

#include "consensus/machine.h"

/* Valid, also in another thread, until hf_snapshot_release(). */
struct hf_snapshot {
    struct raft_buffer *bufs;
    unsigned n_bufs;
    struct hf_bytes **held; /* references to drop */
    size_t n_held;
    uint8_t *fixed; /* everything but the objects' bytes */
};

void hf_snapshot_take(const struct hf_machine *m, struct hf_snapshot *ret);
void hf_snapshot_release(struct hf_snapshot *s);

/* Replaces the machine's state; its history restarts and its watches end. CORRUPT, with nothing changed, when
 * the bytes are not a whole snapshot. */
hf_status hf_snapshot_restore(struct hf_machine *m, const void *data, size_t len) HF_MUST_USE;

#endif
