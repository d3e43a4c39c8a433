#include "consensus/io_filter.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buggify.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "consensus/replica_private.h"

#define MEMBERS_MAX         16
#define INSTALL_PATIENCE_MS 5000                  /* after a snapshot was sent, before it is sent again */
#define QUESTION            ((raft_index)1 << 62) /* beyond any log: an index from here on is a question's number */

/* What the filter knows of another member. */
struct peer {
    raft_id id;             /* 0: unused */
    uint64_t confirmed;     /* highest question of the current term that it has answered */
    raft_index matched;     /* entries that it has acknowledged in the term of match_term */
    raft_index snapshot;    /* last entry of the snapshot that is on its way */
    bool sending;           /* it is being written to the connection */
    int64_t patience_until; /* ms; until then it is taken to be installing */
};

struct hf_io_filter {
    struct hf_env *env;
    struct hf_replica *replica;
    struct raft *raft;
    int (*send)(struct raft_io *io, struct raft_io_send *request, const struct raft_message *message,
                raft_io_send_cb cb);
    int (*start)(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb received);
    raft_io_recv_cb received;
    raft_term term; /* of the questions */
    raft_term match_term;
    struct peer peers[MEMBERS_MAX];
};

/* libraft's I/O knows its raft, which knows its state machine. */
static struct hf_io_filter *self(const struct raft_io *io)
{
    const struct raft *raft = io->data;
    const struct hf_replica *r = raft->fsm->data;
    return r->filter;
}

/* The record of a member; NULL when there are too many. Those that were removed make room. */
static struct peer *peer_of(struct hf_io_filter *f, raft_id id)
{
    struct peer *unused = NULL;
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        struct peer *p = &f->peers[i];
        if (p->id == id)
            return p;
        bool idle = !p->sending && hf_env_now_ms(f->env) >= p->patience_until;
        if (p->id == 0 || (unused == NULL && idle))
            unused = p;
    }
    if (unused != NULL)
        *unused = (struct peer){.id = id};
    return unused;
}

/* --- leadership --- */

static void on_asked(struct raft_io_send *request, int status)
{
    (void)status; /* who did not hear the question does not answer it */
    free(request);
}

static void ask(struct hf_io_filter *f, const struct raft_server *member, uint64_t question)
{
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES,
                             .server_id = member->id,
                             .server_address = member->address,
                             .append_entries = {.term = f->term,
                                                .prev_log_index = QUESTION + question,
                                                .prev_log_term = f->term,
                                                .leader_commit = raft_commit_index(f->raft)}};
    if (HF_BUGGIFY(QUESTION_LOST))
        return;
    struct raft_io_send *request = HF_NEW(struct raft_io_send);
    if (f->send(f->raft->io, request, &m, on_asked) != 0)
        free(request);
}

/* Tells the replica the highest question that a majority of the voters has answered. */
static void count(struct hf_io_filter *f, uint64_t asked)
{
    const struct raft_configuration *c = &f->raft->configuration;
    uint64_t best = 0;
    for (unsigned i = 0; i < c->n; i++) { /* each voter's answer is a candidate */
        uint64_t candidate = c->servers[i].id == f->raft->id ? asked : 0;
        struct peer *p = candidate == 0 ? peer_of(f, c->servers[i].id) : NULL;
        candidate = p == NULL ? candidate : p->confirmed;
        unsigned voters = 0, reached = 0;
        for (unsigned j = 0; j < c->n; j++) {
            if (c->servers[j].role != RAFT_VOTER)
                continue;
            struct peer *q = c->servers[j].id == f->raft->id ? NULL : peer_of(f, c->servers[j].id);
            voters++;
            reached += c->servers[j].id == f->raft->id || (q != NULL && q->confirmed >= candidate);
        }
        if (reached > (HF_MUTANT(CONFIRMED_BY_ONE) ? 0 : voters / 2) && candidate > best)
            best = candidate;
    }
    if (best > 0)
        hf_replica_confirmed(f->replica, f->term, best);
}

static void confirm(void *arg, uint64_t question)
{
    struct hf_io_filter *f = arg;
    if (f->term != raft_current_term(f->raft)) {
        f->term = raft_current_term(f->raft);
        for (size_t i = 0; i < MEMBERS_MAX; i++)
            f->peers[i].confirmed = 0;
    }
    const struct raft_configuration *c = &f->raft->configuration;
    for (unsigned i = 0; i < c->n; i++)
        if (c->servers[i].id != f->raft->id && c->servers[i].role == RAFT_VOTER)
            ask(f, &c->servers[i], question);
    count(f, question); /* a cluster of one has its majority */
}

/* True when the message was an answer to a question. One in another term is libraft's matter. */
static bool take_answer(struct hf_io_filter *f, const struct raft_message *message)
{
    const struct raft_append_entries_result *result = &message->append_entries_result;
    if (result->rejected < QUESTION || result->term > raft_current_term(f->raft))
        return false;
    struct peer *p = peer_of(f, message->server_id);
    uint64_t question = result->rejected - QUESTION;
    if (p == NULL || result->term != f->term || raft_state(f->raft) != RAFT_LEADER)
        return true;
    if (question > p->confirmed) {
        p->confirmed = question;
        count(f, question);
    }
    return true;
}

/* --- snapshots --- */

struct sending {
    struct raft_io_send inner;
    struct raft_io_send *outer;
    raft_io_send_cb cb;
    struct hf_io_filter *filter;
    raft_id member;
};

static bool snapshot_under_way(struct hf_io_filter *f, const struct peer *p)
{
    return p->sending || hf_env_now_ms(f->env) < p->patience_until;
}

static void on_snapshot_sent(struct raft_io_send *inner, int status)
{
    struct sending *s = inner->data;
    struct peer *p = peer_of(s->filter, s->member);
    if (p != NULL) {
        p->sending = false;
        p->patience_until = status == 0 ? hf_env_now_ms(s->filter->env) + INSTALL_PATIENCE_MS : 0;
    }
    s->cb(s->outer, status);
    free(s);
}

/* Of an entry that is in the log or the last of the newest snapshot; 0: it is not. */
static raft_term term_of(const struct raft_trail *t, raft_index index)
{
    if (index == t->snapshot.index)
        return t->snapshot.term;
    for (unsigned i = t->front; index > t->offset && i != t->back; i = (i + 1) % t->size)
        if (index <= t->records[i].index)
            return t->records[i].term;
    return 0;
}

/* libraft looks up the term of the snapshot that it means to send, loads the newest one, which may be
 * another, and takes over its index alone. */
static int send_snapshot(struct hf_io_filter *f, struct raft_io_send *request,
                         const struct raft_message *message, raft_io_send_cb cb)
{
    struct raft_message mended = *message;
    struct peer *p = peer_of(f, message->server_id);
    mended.install_snapshot.last_term = term_of(&f->raft->trail, message->install_snapshot.last_index);
    if (p == NULL || snapshot_under_way(f, p) || mended.install_snapshot.last_term == 0 ||
        HF_BUGGIFY(SNAPSHOT_BUSY))
        return RAFT_BUSY; /* libraft then frees what it has loaded */
    struct sending *s = HF_NEW(struct sending);
    *s = (struct sending){.outer = request, .cb = cb, .filter = f, .member = message->server_id};
    s->inner.data = s;
    p->sending = true;
    p->snapshot = message->install_snapshot.last_index;
    int rv = f->send(f->raft->io, &s->inner, &mended, on_snapshot_sent);
    if (rv != 0) {
        p->sending = false;
        free(s);
    }
    return rv;
}

/* An acknowledgement of entry 0, which never takes an acknowledgement back. */
static void make_sign_of_life(struct raft_append_entries_result *result)
{
    result->rejected = 0;
    result->last_log_index = 0;
}

/* A refusal while the snapshot is on its way says nothing new. */
static void calm(struct hf_io_filter *f, struct raft_message *message)
{
    struct raft_append_entries_result *result = &message->append_entries_result;
    struct peer *p = peer_of(f, message->server_id);
    if (p == NULL || !snapshot_under_way(f, p))
        return;
    if (result->rejected == 0 && result->last_log_index >= p->snapshot) {
        p->patience_until = 0;
    } else if (result->rejected != 0) {
        make_sign_of_life(result);
    }
}

/* --- refusals that are overtaken --- */

/* A refusal from before a member's last acknowledgement must not take libraft back behind what is
 * acknowledged: it would build on entries before those, take each answer for an old one, and send that member
 * nothing any more. */
static void heed_acknowledged(struct hf_io_filter *f, struct raft_message *message)
{
    struct raft_append_entries_result *result = &message->append_entries_result;
    struct peer *p = peer_of(f, message->server_id);
    if (p == NULL || result->term != raft_current_term(f->raft) || raft_state(f->raft) != RAFT_LEADER)
        return;
    if (f->match_term != result->term) {
        f->match_term = result->term;
        for (size_t i = 0; i < MEMBERS_MAX; i++)
            f->peers[i].matched = 0;
    }
    if (result->rejected == 0 && result->last_log_index > p->matched)
        p->matched = result->last_log_index;
    else if (result->rejected != 0 && result->rejected <= p->matched)
        make_sign_of_life(result);
    else if (result->rejected != 0 && result->last_log_index < p->matched)
        result->last_log_index = p->matched;
}

/* --- entries that are compacted already --- */

static void drop_entries(struct raft_append_entries *m, raft_index n)
{
    if (n == 0)
        return;
    if (n >= m->n_entries) {
        raft_free(m->entries[0].batch);
        raft_free(m->entries);
        m->entries = NULL;
        m->n_entries = 0;
        return;
    }
    m->n_entries -= (unsigned)n;
    memmove(m->entries, m->entries + n, m->n_entries * sizeof *m->entries);
}

/* What the last snapshot holds is committed, so it is in the leader's log too: the message may as well begin
 * behind it. */
static void begin_behind_snapshot(const struct hf_io_filter *f, struct raft_append_entries *m)
{
    raft_index snapshot = f->raft->trail.snapshot.index;
    if (m->prev_log_index >= snapshot || f->raft->snapshot.installing)
        return;
    raft_index known = snapshot - m->prev_log_index;
    drop_entries(m, known < m->n_entries ? known : m->n_entries);
    m->prev_log_index = snapshot;
    m->prev_log_term = f->raft->trail.snapshot.term;
}

static void mend_entries(const struct hf_io_filter *f, struct raft_append_entries *m)
{
    if (m->term < raft_current_term(f->raft))
        return; /* of a leader that was; libraft refuses it */
    begin_behind_snapshot(f, m);
    raft_index committed = raft_commit_index(f->raft);
    if (m->leader_commit > committed && m->prev_log_index + m->n_entries < committed)
        m->leader_commit = committed;
}

/* --- the filter --- */

static int filter_send(struct raft_io *io, struct raft_io_send *request, const struct raft_message *message,
                       raft_io_send_cb cb)
{
    struct hf_io_filter *f = self(io);
    if (message->type == RAFT_INSTALL_SNAPSHOT)
        return send_snapshot(f, request, message, cb);
    return f->send(io, request, message, cb);
}

static void filter_received(struct raft_io *io, struct raft_message *message)
{
    struct hf_io_filter *f = self(io);
    bool busy = f->raft->snapshot.installing || f->raft->legacy.snapshot_taking;
    if (message->type == RAFT_INSTALL_SNAPSHOT && busy) {
        raft_configuration_close(&message->install_snapshot.conf);
        raft_free(message->install_snapshot.data.base);
        return;
    }
    if (message->type == RAFT_APPEND_ENTRIES_RESULT) {
        if (take_answer(f, message))
            return;
        heed_acknowledged(f, message);
        calm(f, message);
    }
    if (message->type == RAFT_APPEND_ENTRIES)
        mend_entries(f, &message->append_entries);
    f->received(io, message);
}

static int filter_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb received)
{
    struct hf_io_filter *f = self(io);
    f->received = received;
    return f->start(io, msecs, tick, filter_received);
}

struct hf_io_filter *hf_io_filter_create(struct hf_replica *r, struct raft *raft)
{
    struct hf_io_filter *f = HF_NEW(struct hf_io_filter);
    *f = (struct hf_io_filter){
        .env = r->env, .replica = r, .raft = raft, .send = raft->io->send, .start = raft->io->start};
    HF_ASSERT(raft->io->data == raft && raft->fsm->data == r && r->filter == NULL);
    r->filter = f;
    raft->io->send = filter_send;
    raft->io->start = filter_start;
    hf_replica_on_confirm(r, confirm, f);
    return f;
}

void hf_io_filter_free(struct hf_io_filter *f)
{
    if (f == NULL)
        return;
    hf_replica_on_confirm(f->replica, NULL, NULL);
    f->replica->filter = NULL;
    free(f);
}
