/* Between libraft and its I/O: one snapshot at a time to a member. While a snapshot is on its way, libraft
 * 0.22 goes on with heartbeats; the member refuses each, since what they build on is still to come, and each
 * refusal makes the leader load and send the snapshot anew. And the member's libraft never frees a copy that
 * comes while it installs another.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "consensus/raft_private.h"

struct sending {
    struct raft_io_send inner;
    struct raft_io_send *outer;
    raft_io_send_cb cb;
    struct hf_raft_uv *u;
    raft_id member;
};

static struct hf_raft_uv *self(struct raft_io *io)
{
    return hf_container_of(io, struct hf_raft_uv, io);
}

/* The place for a member, a free one, or the oldest one. */
static struct hf_raft_install *place_of(struct hf_raft_uv *u, raft_id member)
{
    struct hf_raft_install *oldest = &u->installs[0];
    for (size_t i = 0; i < HF_RAFT_INSTALLS; i++) {
        struct hf_raft_install *p = &u->installs[i];
        if (p->member == member)
            return p;
        if (!p->sending && (oldest->sending || p->patience_until < oldest->patience_until))
            oldest = p;
    }
    return oldest;
}

static struct hf_raft_install *under_way(struct hf_raft_uv *u, raft_id member)
{
    struct hf_raft_install *p = place_of(u, member);
    bool waits = p->member == member && (p->sending || uv_now(u->loop) < p->patience_until);
    return waits ? p : NULL;
}

static void on_sent(struct raft_io_send *inner, int status)
{
    struct sending *s = inner->data;
    struct hf_raft_install *p = place_of(s->u, s->member);
    if (p->member == s->member) {
        p->sending = false;
        p->patience_until = status == 0 ? uv_now(s->u->loop) + HF_RAFT_INSTALL_PATIENCE_MS : 0;
    }
    s->cb(s->outer, status);
    free(s);
}

static int send_snapshot(struct hf_raft_uv *u, struct raft_io_send *request,
                         const struct raft_message *message, raft_io_send_cb cb)
{
    raft_index index = message->install_snapshot.last_index;
    struct hf_raft_install *p = under_way(u, message->server_id);
    if (p != NULL)
        return RAFT_BUSY; /* libraft then frees what it has loaded */
    p = place_of(u, message->server_id);
    if (p->sending)
        return RAFT_BUSY; /* more members at once than there are places */
    struct sending *s = HF_NEW(struct sending);
    *s = (struct sending){.outer = request, .cb = cb, .u = u, .member = message->server_id};
    s->inner.data = s;
    int rv = u->io_send(&u->io, &s->inner, message, on_sent);
    if (rv != 0)
        free(s);
    else
        *p = (struct hf_raft_install){.member = message->server_id, .index = index, .sending = true};
    return rv;
}

static int io_send(struct raft_io *io, struct raft_io_send *request, const struct raft_message *message,
                   raft_io_send_cb cb)
{
    struct hf_raft_uv *u = self(io);
    if (message->type == RAFT_INSTALL_SNAPSHOT)
        return send_snapshot(u, request, message, cb);
    return u->io_send(io, request, message, cb);
}

/* A refusal while the snapshot is on its way says nothing new: pass it on as a sign of life (an
 * acknowledgement of entry 0, which never takes an acknowledgement back). */
static void calm(struct hf_raft_uv *u, struct raft_message *message)
{
    struct raft_append_entries_result *result = &message->append_entries_result;
    struct hf_raft_install *p = under_way(u, message->server_id);
    if (p == NULL)
        return;
    if (result->rejected == 0 && result->last_log_index >= p->index) {
        p->patience_until = 0;
    } else if (result->rejected != 0) {
        result->rejected = 0;
        result->last_log_index = 0;
    }
}

static void io_received(struct raft_io *io, struct raft_message *message)
{
    struct hf_raft_uv *u = self(io);
    if (message->type == RAFT_INSTALL_SNAPSHOT &&
        (u->raft.snapshot.installing || u->raft.legacy.snapshot_taking)) {
        raft_configuration_close(&message->install_snapshot.conf);
        raft_free(message->install_snapshot.data.base);
        return;
    }
    if (message->type == RAFT_APPEND_ENTRIES_RESULT)
        calm(u, message);
    u->io_received(io, message);
}

static int io_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb received)
{
    struct hf_raft_uv *u = self(io);
    u->io_received = received;
    return u->io_start(io, msecs, tick, io_received);
}

void hf_raft_install_wrap(struct hf_raft_uv *u)
{
    u->io_send = u->io.send;
    u->io_start = u->io.start;
    u->io.send = io_send;
    u->io.start = io_start;
}
