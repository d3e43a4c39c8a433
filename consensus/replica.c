/* How a request travels:
 *   1. submit() puts a transaction into `waiting`, barrier() a read into `reads`.
 *   2. tick() packs waiting transactions into a proposal, one Raft entry, at most PROPOSALS_MAX of them under
 *      way.
 *   3. libraft commits the entry and calls fsm_apply() on every replica; the proposer knows its own entry by
 *      origin and sequence and keeps the results.
 *   4. libraft tells the proposer (proposal_done); the next tick answers.
 * A read waits for proof that this replica still led after the read came: the answers of a majority to a
 * question, or, where no driver can ask or nobody answers, any entry that was proposed after it and
 * committed. A deposed leader gets neither.
 */
#include "consensus/replica.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buggify.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "consensus/leader_io.h"
#include "consensus/replica_private.h"

#define PROPOSALS_MAX     4         /* entries under way */
#define BARRIERS_MAX      2         /* Raft barriers under way */
#define ENTRY_BYTES_MAX   (1 << 20) /* an entry is closed when it has grown beyond this */
#define WAITING_BYTES_MAX (64 << 20)
#define ROUNDS_MAX        8 /* of a tick: answers may bring new requests, which may go at once */

void hf_replica_become_dirty(struct hf_replica *r)
{
    if (r->dirty)
        return;
    r->dirty = true;
    if (r->dirty_cb != NULL)
        r->dirty_cb(r->dirty_arg);
}

/* --- life --- */

struct hf_replica *hf_replica_create(struct hf_env *env, const struct hf_guard *const *guards,
                                     size_t n_guards)
{
    struct hf_replica *r = HF_NEW(struct hf_replica);
    r->env = env;
    hf_machine_init(&r->machine, guards, n_guards);
    hf_env_random(env, &r->origin, sizeof r->origin);
    hf_replica_fsm_init(r);
    QUEUE_INIT(&r->waiting);
    QUEUE_INIT(&r->reads);
    QUEUE_INIT(&r->under_way);
    QUEUE_INIT(&r->questions);
    QUEUE_INIT(&r->done);
    QUEUE_INIT(&r->failed_writers);
    QUEUE_INIT(&r->failed_readers);
    r->told_address = hf_strdup("");
    r->told.leader_address = r->told_address;
    return r;
}

struct raft_fsm *hf_replica_fsm(struct hf_replica *r)
{
    return &r->fsm;
}

void hf_replica_bind(struct hf_replica *r, struct raft *raft)
{
    r->raft = raft;
    r->told.id = raft->id;
    hf_replica_steer_compaction(r);
}

void hf_replica_on_dirty(struct hf_replica *r, void (*cb)(void *arg), void *arg)
{
    r->dirty_cb = cb;
    r->dirty_arg = arg;
}

const struct hf_store *hf_replica_store(const struct hf_replica *r)
{
    return r->machine.store;
}

/* --- answers --- */

static void answer_writer(struct hf_replica *r, struct writer *w)
{
    r->n_writers--;
    r->waiting_bytes -= w->bytes;
    w->cb(w->arg, w->failed, hf_ok(w->failed) ? &w->result : NULL);
    hf_status_drop(w->failed);
    hf_result_done(&w->result);
    hf_txn_free(w->txn);
    free(w);
}

static void answer_reader(struct reader *reader)
{
    reader->cb(reader->arg, reader->failed);
    hf_status_drop(reader->failed);
    free(reader);
}

static hf_status not_leader(const struct hf_replica *r)
{
    raft_id id = 0;
    const char *address = NULL;
    if (r->raft != NULL)
        raft_leader(r->raft, &id, &address);
    if (id == 0 || (r->raft != NULL && id == r->raft->id))
        return hf_error(HF_NOT_LEADER,
                        "this node does not lead and knows of no leader now; repeat in a moment");
    return hf_error(HF_NOT_LEADER, "this node does not lead; node %llu at %s does", (unsigned long long)id,
                    address);
}

static hf_status unknown_outcome(int status)
{
    return hf_error(HF_MUTANT(UNKNOWN_IS_FAILED) ? HF_PRECONDITION : HF_UNKNOWN_OUTCOME,
                    "leadership was lost while the write was under way (%s): it may have been applied; "
                    "repeat it with the "
                    "same request id",
                    raft_strerror(status));
}

static void answer_proposal(struct hf_replica *r, struct proposal *p)
{
    if (p->status == 0 && p->term > r->ready_term)
        r->ready_term = p->term;
    for (struct writer *w = p->writers.first, *next; w != NULL; w = next) {
        next = w->next;
        if (!p->applied)
            w->failed = unknown_outcome(p->status);
        answer_writer(r, w);
    }
    for (struct reader *reader = p->readers.first, *next; reader != NULL; reader = next) {
        next = reader->next;
        if (p->status != 0)
            reader->failed = not_leader(r);
        answer_reader(reader);
    }
    free(p);
}

static void answer_all(struct hf_replica *r)
{
    while (r->done.first != NULL) {
        struct proposal *p = r->done.first;
        QUEUE_POP(&r->done);
        answer_proposal(r, p);
    }
    while (r->failed_writers.first != NULL) {
        struct writer *w = r->failed_writers.first;
        QUEUE_POP(&r->failed_writers);
        answer_writer(r, w);
    }
    while (r->failed_readers.first != NULL) {
        struct reader *reader = r->failed_readers.first;
        QUEUE_POP(&r->failed_readers);
        answer_reader(reader);
    }
}

/* Nobody will propose what still waits. */
static void fail_waiting(struct hf_replica *r)
{
    for (struct writer *w = r->waiting.first; w != NULL; w = w->next)
        w->failed = not_leader(r);
    QUEUE_APPEND(&r->failed_writers, &r->waiting);
    for (struct reader *reader = r->reads.first; reader != NULL; reader = reader->next)
        reader->failed = not_leader(r);
    QUEUE_APPEND(&r->failed_readers, &r->reads);
}

void hf_replica_unbind(struct hf_replica *r)
{
    r->raft = NULL;
    r->told.role = HF_ROLE_UNAVAILABLE;
    r->told.ready = false;
    fail_waiting(r);
    hf_questions_drop(r);
    for (struct proposal *p = r->under_way.first; p != NULL; p = p->next)
        p->status = RAFT_SHUTDOWN;
    QUEUE_APPEND(&r->done, &r->under_way);
    answer_all(r);
}

void hf_replica_free(struct hf_replica *r)
{
    if (r == NULL)
        return;
    hf_replica_unbind(r);
    HF_ASSERT(r->snapshot.bufs == NULL);
    hf_machine_done(&r->machine);
    free(r->refusal);
    free(r->told_address);
    free(r);
}

/* --- requests --- */

static bool leads(const struct hf_replica *r)
{
    return r->raft != NULL && raft_state(r->raft) == RAFT_LEADER;
}

static hf_status accept_write(const struct hf_replica *r, size_t bytes)
{
    if (!leads(r))
        return not_leader(r);
    if (r->refusal != NULL)
        return hf_error(HF_EXHAUSTED, "%s", r->refusal);
    if (r->n_writers >= HF_REPLICA_WAITING_MAX || r->waiting_bytes + bytes > WAITING_BYTES_MAX ||
        HF_BUGGIFY(WRITES_FULL))
        return hf_error(HF_EXHAUSTED, "%zu writes wait already; repeat later", r->n_writers);
    return HF_STATUS_OK;
}

void hf_replica_submit(struct hf_replica *r, struct hf_txn *t, hf_submit_cb cb, void *arg)
{
    struct writer *w = HF_NEW(struct writer);
    w->txn = t;
    w->cb = cb;
    w->arg = arg;
    const char *invalid = hf_txn_invalid(t);
    if (invalid != NULL)
        w->result = (struct hf_txn_result){.code = HF_INVALID, .message = hf_strdup(invalid)};
    else
        hf_txn_encoded(t, &w->bytes);
    w->failed = accept_write(r, w->bytes);
    r->n_writers++;
    r->waiting_bytes += w->bytes;
    if (invalid != NULL || !hf_ok(w->failed))
        QUEUE_PUSH(&r->failed_writers, w);
    else
        QUEUE_PUSH(&r->waiting, w);
    hf_replica_become_dirty(r);
}

void hf_replica_barrier(struct hf_replica *r, hf_barrier_cb cb, void *arg)
{
    struct reader *reader = HF_NEW(struct reader);
    reader->cb = cb;
    reader->arg = arg;
    if (leads(r) && !HF_MUTANT(READ_WITHOUT_BARRIER)) {
        QUEUE_PUSH(&r->reads, reader);
    } else {
        reader->failed = HF_MUTANT(READ_WITHOUT_BARRIER) ? HF_STATUS_OK : not_leader(r);
        QUEUE_PUSH(&r->failed_readers, reader);
    }
    hf_replica_become_dirty(r);
}

void hf_replica_refuse_writes(struct hf_replica *r, const char *why)
{
    free(r->refusal);
    r->refusal = hf_strdup(why);
}

/* --- proposing --- */

static void proposal_done(struct proposal *p, int status)
{
    struct hf_replica *r = p->replica;
    struct proposal **at = &r->under_way.first;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    if (p->next == NULL)
        r->under_way.last = at;
    if (p->is_barrier)
        r->n_barriers--;
    else
        r->n_under_way--;
    p->status = status;
    QUEUE_PUSH(&r->done, p);
    hf_replica_become_dirty(r);
}

static void on_applied(struct raft_apply *request, int status, void *result)
{
    (void)result;
    proposal_done(request->data, status);
}

static void on_barrier(struct raft_barrier *request, int status)
{
    proposal_done(request->data, status);
}

struct proposal *hf_replica_proposal_create(struct hf_replica *r)
{
    struct proposal *p = HF_NEW(struct proposal);
    p->replica = r;
    p->term = raft_current_term(r->raft);
    p->sequence = ++r->sequence;
    QUEUE_INIT(&p->writers);
    QUEUE_INIT(&p->readers);
    return p;
}

/* Moves waiting transactions into an entry. The memory is libraft's allocator's. */
static struct raft_buffer pack(struct hf_replica *r, struct proposal *p)
{
    struct raft_buffer buf = {.len = HF_ENTRY_HEADER};
    struct writer *stop = r->waiting.first;
    size_t max = HF_BUGGIFY(ENTRY_OF_ONE) ? 1 : HF_ENTRY_TXNS_MAX;
    while (stop != NULL && p->n_writers < max && buf.len < ENTRY_BYTES_MAX) {
        buf.len += stop->bytes;
        p->n_writers++;
        stop = stop->next;
    }
    buf.base = raft_malloc(buf.len);
    HF_ASSERT(buf.base != NULL);
    struct hf_entry_header h = {.n = (uint32_t)p->n_writers, .origin = r->origin, .sequence = p->sequence};
    hf_entry_header_encode(&h, buf.base);
    uint8_t *at = (uint8_t *)buf.base + HF_ENTRY_HEADER;
    while (r->waiting.first != stop) {
        struct writer *w = r->waiting.first;
        size_t len;
        const uint8_t *encoded = hf_txn_encoded(w->txn, &len);
        memcpy(at, encoded, len);
        at += len;
        hf_txn_free(w->txn);
        w->txn = NULL;
        QUEUE_POP(&r->waiting);
        QUEUE_PUSH(&p->writers, w);
    }
    return buf;
}

static void propose_failed(struct hf_replica *r, struct proposal *p, int rv)
{
    for (struct writer *w = p->writers.first; w != NULL; w = w->next)
        w->failed = rv == RAFT_NOSPACE
                        ? hf_error(HF_EXHAUSTED, "the disks of most nodes are full: free some space")
                        : not_leader(r);
    for (struct reader *reader = p->readers.first; reader != NULL; reader = reader->next)
        reader->failed = not_leader(r);
    QUEUE_APPEND(&r->failed_writers, &p->writers);
    QUEUE_APPEND(&r->failed_readers, &p->readers);
    free(p);
}

static void propose_entry(struct hf_replica *r)
{
    struct proposal *p = hf_replica_proposal_create(r);
    struct raft_buffer buf = pack(r, p);
    QUEUE_APPEND(&p->readers, &r->reads);
    p->request.apply.data = p;
    if (HF_MUTANT(ANSWER_BEFORE_COMMIT) && p->sequence % 256 == 0)
        hf_replica_answer_early(r, p, &buf);
    int rv = raft_apply(r->raft, &p->request.apply, &buf, 1, on_applied);
    if (rv != 0) {
        raft_free(buf.base);
        propose_failed(r, p, rv);
        return;
    }
    r->n_under_way++;
    QUEUE_PUSH(&r->under_way, p);
}

static void propose_barrier(struct hf_replica *r)
{
    struct proposal *p = hf_replica_proposal_create(r);
    p->is_barrier = true;
    QUEUE_APPEND(&p->readers, &r->reads);
    p->request.barrier.data = p;
    int rv = raft_barrier(r->raft, &p->request.barrier, on_barrier);
    if (rv != 0) {
        propose_failed(r, p, rv);
        return;
    }
    r->n_barriers++;
    QUEUE_PUSH(&r->under_way, p);
}

/* --- the turn's sending --- */

static void propose(struct hf_replica *r)
{
    hf_questions_check(r);
    if (r->reads.first != NULL && r->n_questions < HF_QUESTIONS_MAX && hf_questions_may_ask(r))
        hf_questions_ask(r);
    while (r->waiting.first != NULL && r->n_under_way < PROPOSALS_MAX)
        propose_entry(r);
    if (r->reads.first != NULL && r->n_barriers < BARRIERS_MAX && !hf_questions_may_ask(r))
        propose_barrier(r);
}

/* --- role --- */

static enum hf_role role_of(struct raft *raft)
{
    switch (raft_state(raft)) {
    case RAFT_LEADER:
        return HF_ROLE_LEADER;
    case RAFT_CANDIDATE:
        return HF_ROLE_CANDIDATE;
    case RAFT_FOLLOWER:
        return HF_ROLE_FOLLOWER;
    default:
        return HF_ROLE_UNAVAILABLE;
    }
}

static bool differs(const struct hf_replica_state *a, const struct hf_replica_state *b)
{
    return a->role != b->role || a->ready != b->ready || a->term != b->term || a->leader_id != b->leader_id ||
           strcmp(a->leader_address, b->leader_address) != 0;
}

static void tell(struct hf_replica *r, const struct hf_replica_state *now)
{
    char *address = hf_strdup(now->leader_address);
    free(r->told_address);
    r->told_address = address;
    r->told = *now;
    r->told.leader_address = address;
    for (size_t i = 0; i < r->n_listeners; i++)
        r->listeners[i].cb(r->listeners[i].arg, &r->told);
}

/* Whoever leads anew proves itself by a barrier: until an entry of its own term has been applied it does not
 * know what earlier leaders committed. */
static void notice_role(struct hf_replica *r)
{
    raft_id leader_id;
    const char *address;
    raft_leader(r->raft, &leader_id, &address);
    struct hf_replica_state now = {.role = role_of(r->raft),
                                   .term = raft_current_term(r->raft),
                                   .id = r->raft->id,
                                   .leader_id = leader_id,
                                   .leader_address = address == NULL ? "" : address};
    now.ready = now.role == HF_ROLE_LEADER && r->ready_term == now.term;
    bool led = r->told.role == HF_ROLE_LEADER, leads_now = now.role == HF_ROLE_LEADER;
    bool new_term = now.term != r->told.term;
    if (led && (!leads_now || new_term)) {
        fail_waiting(r);
        hf_questions_drop(r);
    }
    if (leads_now && !now.ready && r->under_way.first == NULL)
        propose_barrier(r);
    if (differs(&now, &r->told))
        tell(r, &now);
}

void hf_replica_state(const struct hf_replica *r, struct hf_replica_state *ret)
{
    *ret = r->told;
    ret->applied_index = r->raft == NULL ? 0 : raft_last_applied(r->raft);
}

void hf_replica_on_role(struct hf_replica *r, void (*cb)(void *arg, const struct hf_replica_state *st),
                        void *arg)
{
    HF_ASSERT(r->n_listeners < HF_LISTENERS_MAX);
    r->listeners[r->n_listeners++] = (struct listener){.cb = cb, .arg = arg};
}

/* --- the turn --- */

static bool has_work(const struct hf_replica *r)
{
    bool may_propose = r->waiting.first != NULL && r->n_under_way < PROPOSALS_MAX;
    bool may_read = r->reads.first != NULL && (hf_questions_may_ask(r) ? r->n_questions < HF_QUESTIONS_MAX
                                                                       : r->n_barriers < BARRIERS_MAX);
    return r->done.first != NULL || r->failed_writers.first != NULL || r->failed_readers.first != NULL ||
           may_propose || may_read;
}

void hf_replica_tick(struct hf_replica *r)
{
    if (r->in_tick || r->raft == NULL)
        return;
    r->in_tick = true;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        answer_all(r);
        notice_role(r);
        propose(r);
        if (!has_work(r))
            break;
    }
    if (r->leader_io != NULL)
        hf_leader_io_flush(r->leader_io);
    bool more = hf_history_deliver(r->machine.history, hf_store_revision(r->machine.store));
    r->in_tick = false;
    r->dirty = false;
    if (more || has_work(r))
        hf_replica_become_dirty(r);
}

hf_status hf_watch_open(struct hf_replica *r, uint64_t from_revision, uint64_t kinds,
                        void (*cb)(void *arg, const struct hf_watch_event *e), void (*closed)(void *arg),
                        void *arg, struct hf_watch **ret)
{
    hf_replica_become_dirty(r);
    return hf_history_watch(r->machine.history, from_revision, kinds, cb, closed, arg, ret);
}

void hf_replica_witness(struct hf_replica *r, const struct hf_replica_witness *w)
{
    hf_history_witness(r->machine.history, w);
}
