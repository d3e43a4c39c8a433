/* What replica.c (requests, role, answers) and replica_fsm.c (libraft's state machine) share. */
#ifndef HF_CONSENSUS_REPLICA_PRIVATE_H
#define HF_CONSENSUS_REPLICA_PRIVATE_H

#include "consensus/machine.h"
#include "consensus/replica.h"
#include "consensus/snapshot.h"

#if RAFT_VERSION_NUMBER < 2201
#error "libraft below 0.22.1 loses acknowledged entries: install libraft-dev from Debian's backports"
#endif

#define HF_LISTENERS_MAX 8

struct writer { /* a transaction that somebody waits for */
    struct writer *next;
    struct hf_txn *txn; /* until packed */
    size_t bytes;
    hf_submit_cb cb;
    void *arg;
    hf_status failed; /* set when it never got a result */
    struct hf_txn_result result;
};

struct reader {
    struct reader *next;
    hf_barrier_cb cb;
    void *arg;
    hf_status failed;
};

struct writers {
    struct writer *first, **last;
};
struct readers {
    struct reader *first, **last;
};

struct proposal { /* an entry under way, or a question to the other members */
    union {
        struct raft_apply apply;
        struct raft_barrier barrier;
    } request;
    struct hf_replica *replica;
    struct proposal *next;
    struct writers writers;
    struct readers readers;
    size_t n_writers;
    uint64_t sequence;
    uint64_t term;
    bool is_barrier;
    bool applied; /* the writers' results are there */
    int status;   /* libraft's, when done */
    int64_t asked_ms;
};
struct proposals {
    struct proposal *first, **last;
};

struct listener {
    void (*cb)(void *arg, const struct hf_replica_state *st);
    void *arg;
};

struct hf_replica {
    /* fixed */
    struct hf_env *env;
    struct raft_fsm fsm;
    struct raft *raft;
    struct hf_io_filter *filter;    /* NULL: none */
    struct hf_leader_io *leader_io; /* NULL: none */
    uint64_t origin;             /* marks our entries */
    unsigned compact_entries;    /* the log is compacted when it has grown by so many */
    struct listener listeners[HF_LISTENERS_MAX];
    size_t n_listeners;
    void (*dirty_cb)(void *arg);
    void *dirty_arg;
    void (*confirm)(void *arg, uint64_t question);
    void *confirm_arg;
    /* replicated */
    struct hf_machine machine;
    /* requests */
    struct writers waiting; /* not packed yet */
    size_t n_writers;       /* waiting or under way */
    size_t waiting_bytes;
    struct readers reads;       /* no entry proves them yet */
    struct proposals under_way; /* in the order of their entries */
    struct proposals done;      /* to be answered */
    struct proposals questions; /* whether we still lead; in the order of their numbers */
    size_t n_under_way, n_barriers, n_questions;
    int64_t doubt_until_ms; /* until then reads go by barriers: a question was not answered in time */
    struct writers failed_writers;
    struct readers failed_readers;
    uint64_t sequence;
    char *refusal; /* why writes are refused now */
    /* role, as last told to the listeners */
    struct hf_replica_state told;
    char *told_address;
    uint64_t ready_term; /* the last term of which an own entry was applied */
    bool in_tick, dirty;
    /* compaction */
    struct hf_snapshot snapshot;     /* held while libraft writes it */
    uint64_t log_bytes, log_entries; /* applied since the last snapshot */
};

#define QUEUE_INIT(q)       ((q)->first = NULL, (q)->last = &(q)->first)
#define QUEUE_PUSH(q, item) (*(q)->last = (item), (q)->last = &(item)->next, (item)->next = NULL)
#define QUEUE_APPEND(q, from)                                                                                \
    do {                                                                                                     \
        if ((from)->first != NULL) {                                                                         \
            *(q)->last = (from)->first;                                                                      \
            (q)->last = (from)->last;                                                                        \
            QUEUE_INIT(from);                                                                                \
        }                                                                                                    \
    } while (0)
#define QUEUE_POP(q) ((q)->first = (q)->first->next, (q)->first == NULL ? (void)QUEUE_INIT(q) : (void)0)

void hf_replica_become_dirty(struct hf_replica *r);
struct proposal *hf_replica_proposal_create(struct hf_replica *r);

/* --- replica_mutant.c (HF_SIM only) --- */

/* A planted bug: the writers of an entry that is about to be proposed are answered as if it had been applied. */
void hf_replica_answer_early(struct hf_replica *r, struct proposal *p, const struct raft_buffer *entry);

/* --- replica_questions.c --- */

#define HF_QUESTIONS_MAX 4 /* under way */

/* The store of a ready leader holds all that was ever acknowledged, so its leading now is all that a read
 * must know. */
bool hf_questions_may_ask(const struct hf_replica *r);
/* Asks for all waiting reads. */
void hf_questions_ask(struct hf_replica *r);
/* What is not answered in time goes on as a barrier, which libraft repeats for whom it does not reach. */
void hf_questions_check(struct hf_replica *r);
/* Leadership was lost: nobody will answer them. */
void hf_questions_drop(struct hf_replica *r);

/* --- replica_fsm.c --- */

void hf_replica_fsm_init(struct hf_replica *r);
/* How libraft compacts before anything was applied. */
void hf_replica_steer_compaction(struct hf_replica *r);

#endif
