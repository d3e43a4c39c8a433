/* The recent history of changes and the watches that follow it. Private to the replica: users see the
 * hf_watch of replica.h. Changes have numbers that grow by one; a watch stands before one of them.
 */
#ifndef HF_CONSENSUS_WATCH_H
#define HF_CONSENSUS_WATCH_H

#include "consensus/replica.h"

#define HF_HISTORY_BYTES_MAX (16 << 20) /* of objects that only the history may still hold */

struct hf_history;

struct hf_history *hf_history_create(void);
void hf_history_free(struct hf_history *h);
/* Takes references on name and bytes (NULL: deleted). */
void hf_history_add(struct hf_history *h, uint64_t revision, uint32_t kind, const struct hf_uuid *uuid,
                    struct hf_bytes *name, struct hf_bytes *bytes);
/* Empties it: it now begins after this revision. All watches end. */
void hf_history_restart(struct hf_history *h, uint64_t revision);

/* As hf_replica_witness(). */
void hf_history_witness(struct hf_history *h, const struct hf_replica_witness *w);
/* As hf_watch_open(). */
hf_status hf_history_watch(struct hf_history *h, uint64_t from_revision, uint64_t kinds,
                           void (*cb)(void *arg, const struct hf_watch_event *e), void (*closed)(void *arg),
                           void *arg, struct hf_watch **ret) HF_MUST_USE;
/* Calls back, a bounded number of events per watch; revision: the store's. True when there is more to
 * deliver. */
bool hf_history_deliver(struct hf_history *h, uint64_t revision);
/* A watch has something to hear. */
bool hf_history_pending(const struct hf_history *h);

#endif
