/* One member of the replicated store: takes transactions on the leader, packs waiting ones into one Raft
 * entry, applies committed entries to the store, answers each request exactly once, serves linearizable reads
 * and watches.
 *
 * It drives libraft's core (raft.h) but no libuv: raft_uv.c gives it disk and network, the tests give it
 * libraft's fixture. Loop thread only; callbacks never run inside the call that registers them.
 */
#ifndef HF_CONSENSUS_REPLICA_H
#define HF_CONSENSUS_REPLICA_H

#include <raft.h>

#include "base/env.h"
#include "consensus/guard.h"
#include "consensus/store.h"
#include "consensus/txn.h"

struct hf_replica;

#define HF_REPLICA_WAITING_MAX 65536 /* transactions not yet applied; more are refused with EXHAUSTED */
#define HF_DEDUP_MAX           65536 /* remembered request ids, oldest out first */
#define HF_HISTORY_MAX         65536 /* changes that a watch can go back */

/* guards: n pointers, valid as long as the replica. */
struct hf_replica *hf_replica_create(struct hf_env *env, const struct hf_guard *const *guards,
                                     size_t n_guards);
void hf_replica_free(struct hf_replica *r);

/* The state machine to hand to raft_init(), and the raft that then runs it. */
struct raft_fsm *hf_replica_fsm(struct hf_replica *r);
void hf_replica_bind(struct hf_replica *r, struct raft *raft);
/* raft has closed and may go: answers what still waits. Later requests get NOT_LEADER when the replica is
 * freed. */
void hf_replica_unbind(struct hf_replica *r);
/* The log is compacted into a snapshot at the latest when it has grown by so many entries (65536 unless set):
 * few, where snapshots shall be frequent. */
void hf_replica_compact_after(struct hf_replica *r, unsigned entries);
/* Must be called by the driver after every turn in which raft may have changed (uv check/prepare, fixture
 * step): sends packed transactions, notices role changes, answers. */
void hf_replica_tick(struct hf_replica *r);
/* How to ask the other members whether this one still leads, without a log entry; NULL: reads take a barrier.
 * For each call the driver calls hf_replica_confirmed() when a majority of the voters, this one included, has
 * shown after the call that its term is the one given: this answers every question up to that number. */
void hf_replica_on_confirm(struct hf_replica *r, void (*confirm)(void *arg, uint64_t question), void *arg);
void hf_replica_confirmed(struct hf_replica *r, uint64_t term, uint64_t question);
/* Set by the driver when tick has work to do at once (so that a waiting loop is woken). */
void hf_replica_on_dirty(struct hf_replica *r, void (*cb)(void *arg), void *arg);

const struct hf_store *hf_replica_store(const struct hf_replica *r);

enum hf_role { HF_ROLE_FOLLOWER, HF_ROLE_CANDIDATE, HF_ROLE_LEADER, HF_ROLE_UNAVAILABLE };
struct hf_replica_state {
    enum hf_role role;
    bool ready; /* leads, and has applied everything committed before its term */
    uint64_t term;
    uint64_t id, leader_id; /* leader_id 0: none known */
    uint64_t applied_index;
    const char *leader_address; /* raft address, "" if none */
};
void hf_replica_state(const struct hf_replica *r, struct hf_replica_state *ret);

/* Called when the role or readiness changes. At most 8 listeners. */
void hf_replica_on_role(struct hf_replica *r, void (*cb)(void *arg, const struct hf_replica_state *st),
                        void *arg);

/* st not OK: NOT_LEADER or EXHAUSTED (nothing happened) or UNKNOWN_OUTCOME (it may have, or may yet); res is
 * then NULL. st OK: res tells what apply decided. st is borrowed. */
typedef void (*hf_submit_cb)(void *arg, hf_status st, const struct hf_txn_result *res);
/* Takes t. */
void hf_replica_submit(struct hf_replica *r, struct hf_txn *t, hf_submit_cb cb, void *arg);

/* Calls back when the store holds everything that was acknowledged by anyone before this call (leader only;
 * waiting reads share one barrier), or with NOT_LEADER / UNAVAILABLE. st is borrowed. */
typedef void (*hf_barrier_cb)(void *arg, hf_status st);
void hf_replica_barrier(struct hf_replica *r, hf_barrier_cb cb, void *arg);

/* Writes are refused with EXHAUSTED and this sentence until it is called with NULL (the disk is nearly full).
 */
void hf_replica_refuse_writes(struct hf_replica *r, const char *why);

/* --- watch --- */
struct hf_watch_event {
    uint64_t revision;
    uint32_t kind;
    struct hf_uuid uuid;
    const char *name;
    struct hf_bytes *bytes; /* NULL: deleted. Borrowed */
};
struct hf_watch;
/* Calls back for every change after from_revision in order, each once, from a later turn on: first the
 * history, then what comes. OUT_OF_RANGE when the history no longer reaches back so far (list, then watch
 * from that revision). kinds: bit per kind, 0 = all. The callback may close the watch. closed (may be NULL)
 * tells that a snapshot was installed over the store and the watch has ended: close it (there, or later), and
 * list again. */
hf_status hf_watch_open(struct hf_replica *r, uint64_t from_revision, uint64_t kinds,
                        void (*cb)(void *arg, const struct hf_watch_event *e), void (*closed)(void *arg),
                        void *arg, struct hf_watch **ret) HF_MUST_USE;
void hf_watch_close(struct hf_watch *w);
/* Every event up to this revision has been delivered to the watch. */
uint64_t hf_watch_position(const struct hf_watch *w);

/* For who judges a replica: hears of every change when it is applied, before anybody is answered, and of a
 * snapshot that has replaced the store. The functions must not call the replica. One per replica. */
struct hf_replica_witness {
    void (*applied)(void *arg, const struct hf_watch_event *e);
    void (*restored)(void *arg);
    void *arg;
};
void hf_replica_witness(struct hf_replica *r, const struct hf_replica_witness *w);

#endif
