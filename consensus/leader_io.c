#include "consensus/leader_io.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buggify.h"
#include "base/mem.h"
#include "consensus/replica_private.h"

#define APPENDS_MAX 256 /* that wait for the end of the turn; then they wait no longer */
#define NOTICES_MAX 256 /* messages without entries that wait; then they go at once */
#define NOTICE_MS   5   /* how long they wait, and how long after an entry another one is likely */
#define MEMBERS_MAX 16  /* of whom is known when they last got an entry; messages to others do not wait */

struct append {
    struct raft_io_append *request;
    const struct raft_entry *entries;
    unsigned n;
    raft_io_append_cb cb;
};

struct notice {
    struct raft_io_send *request;
    struct raft_message message;
    raft_io_send_cb cb;
    bool overtaken; /* its member was told since */
};

struct recipient {
    raft_id id;            /* 0: unused */
    int64_t last_entry_ms; /* when the last message with entries went to it */
};

struct hf_leader_io {
    /* fixed */
    struct hf_env *env;
    struct hf_replica *replica;
    struct raft *raft;
    struct raft_io inner; /* the functions that were there */
    /* volatile */
    struct append appends[APPENDS_MAX];
    unsigned n_appends;
    struct notice notices[NOTICES_MAX];
    unsigned n_notices;
    struct hf_timer timer; /* runs while there are notices */
    struct recipient recipients[MEMBERS_MAX];
};

static struct hf_leader_io *self(const struct raft_io *io)
{
    const struct raft *raft = io->data;
    const struct hf_replica *r = raft->fsm->data;
    return r->leader_io;
}

/* --- the disk --- */

void hf_leader_io_flush(struct hf_leader_io *l)
{
    for (unsigned i = 0; i < l->n_appends; i++) {
        const struct append *a = &l->appends[i];
        int rv = l->inner.append(l->raft->io, a->request, a->entries, a->n, a->cb);
        if (rv != 0)
            a->cb(a->request, rv);
    }
    l->n_appends = 0;
}

static int late_append(struct raft_io *io, struct raft_io_append *request, const struct raft_entry entries[], unsigned n,
                       raft_io_append_cb cb)
{
    struct hf_leader_io *l = self(io);
    if (raft_state(l->raft) != RAFT_LEADER || l->n_appends == APPENDS_MAX) {
        hf_leader_io_flush(l);
        return l->inner.append(io, request, entries, n, cb);
    }
    l->appends[l->n_appends++] = (struct append){request, entries, n, cb};
    hf_replica_become_dirty(l->replica);
    return 0;
}

static int late_truncate(struct raft_io *io, raft_index index)
{
    struct hf_leader_io *l = self(io);
    hf_leader_io_flush(l);
    return l->inner.truncate(io, index);
}

static int late_snapshot_put(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *request,
                             const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
    struct hf_leader_io *l = self(io);
    hf_leader_io_flush(l);
    return l->inner.snapshot_put(io, trailing, request, snapshot, cb);
}

/* --- the other members --- */

static struct recipient *recipient_of(struct hf_leader_io *l, raft_id id)
{
    struct recipient *oldest = &l->recipients[0];
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        struct recipient *p = &l->recipients[i];
        if (p->id == id)
            return p;
        if (p->last_entry_ms < oldest->last_entry_ms)
            oldest = p;
    }
    *oldest = (struct recipient){.id = id, .last_entry_ms = INT64_MIN / 2};
    return oldest;
}

static const struct raft_server *member_of(const struct hf_leader_io *l, raft_id id)
{
    const struct raft_configuration *c = &l->raft->configuration;
    for (unsigned i = 0; i < c->n; i++)
        if (c->servers[i].id == id)
            return &c->servers[i];
    return NULL;
}

static void overtake_notices(struct hf_leader_io *l, raft_id id)
{
    for (unsigned i = 0; i < l->n_notices; i++)
        l->notices[i].overtaken |= l->notices[i].message.server_id == id;
}

/* A message may get lost: libraft need not know which have. */
static void end_notice(struct hf_leader_io *l, struct notice *n)
{
    const struct raft_server *member = member_of(l, n->message.server_id);
    bool still_leads =
        raft_state(l->raft) == RAFT_LEADER && raft_current_term(l->raft) == n->message.append_entries.term;
    int rv = 0;
    if (!n->overtaken && still_leads && member != NULL) {
        n->message.server_address = member->address;
        rv = l->inner.send(l->raft->io, n->request, &n->message, n->cb);
        if (rv == 0)
            return;
    }
    n->cb(n->request, rv);
}

static void on_notices_due(void *arg)
{
    struct hf_leader_io *l = arg;
    struct notice due[NOTICES_MAX];
    unsigned n = l->n_notices;
    memcpy(due, l->notices, n * sizeof *due);
    l->n_notices = 0; /* their ends may bring new ones */
    for (unsigned i = 0; i < n; i++)
        end_notice(l, &due[i]);
}

static void delay_notice(struct hf_leader_io *l, struct raft_io_send *request, const struct raft_message *message,
                         raft_io_send_cb cb)
{
    overtake_notices(l, message->server_id);
    l->notices[l->n_notices++] = (struct notice){request, *message, cb, false};
    if (!hf_timer_running(&l->timer))
        hf_timer_start(l->env, &l->timer, NOTICE_MS, on_notices_due, l);
}

static int late_send(struct raft_io *io, struct raft_io_send *request, const struct raft_message *message,
                     raft_io_send_cb cb)
{
    struct hf_leader_io *l = self(io);
    if (message->type != RAFT_APPEND_ENTRIES)
        return l->inner.send(io, request, message, cb);
    struct recipient *to = recipient_of(l, message->server_id);
    int64_t now = hf_env_now_ms(l->env);
    if (message->append_entries.n_entries > 0) {
        to->last_entry_ms = now;
        overtake_notices(l, to->id);
    } else if ((now < to->last_entry_ms + NOTICE_MS || HF_BUGGIFY(NOTICE_WAITS)) &&
               l->n_notices < NOTICES_MAX) {
        delay_notice(l, request, message, cb);
        return 0;
    }
    return l->inner.send(io, request, message, cb);
}

/* --- life --- */

static void late_close(struct raft_io *io, raft_io_close_cb cb)
{
    struct hf_leader_io *l = self(io);
    hf_timer_stop(&l->timer);
    for (unsigned i = 0; i < l->n_appends; i++)
        l->appends[i].cb(l->appends[i].request, RAFT_CANCELED);
    for (unsigned i = 0; i < l->n_notices; i++)
        l->notices[i].cb(l->notices[i].request, RAFT_CANCELED);
    l->n_appends = l->n_notices = 0;
    l->inner.close(io, cb);
}

struct hf_leader_io *hf_leader_io_create(struct hf_replica *r, struct raft *raft)
{
    struct hf_leader_io *l = HF_NEW(struct hf_leader_io);
    l->env = r->env;
    l->replica = r;
    l->raft = raft;
    l->inner = *raft->io;
    HF_ASSERT(raft->io->data == raft && raft->fsm->data == r && r->leader_io == NULL);
    r->leader_io = l;
    raft->io->append = late_append;
    raft->io->truncate = late_truncate;
    raft->io->snapshot_put = late_snapshot_put;
    raft->io->send = late_send;
    raft->io->close = late_close;
    return l;
}

void hf_leader_io_free(struct hf_leader_io *l)
{
    if (l == NULL)
        return;
    HF_ASSERT(l->n_appends == 0 && l->n_notices == 0);
    hf_timer_stop(&l->timer);
    l->replica->leader_io = NULL;
    free(l);
}
