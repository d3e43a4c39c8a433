#include <string.h>

#include "base/assert.h"
#include "consensus/raft_private.h"

static void finish(struct hf_raft_uv *u, hf_status st)
{
    u->change.result = st;
    u->change.finished = true;
    hf_raft_uv_wake(u);
}

void hf_raft_members_turn(struct hf_raft_uv *u)
{
    struct hf_raft_change *c = &u->change;
    if (!c->finished)
        return;
    hf_status st = c->result;
    c->busy = c->finished = false;
    c->cb(c->arg, st);
    hf_status_drop(st);
}

void hf_raft_members_close(struct hf_raft_uv *u)
{
    if (u->change.busy && !u->change.finished)
        finish(u, hf_error(HF_UNKNOWN_OUTCOME,
                           "this node is stopping: the membership change may have happened"));
    hf_raft_members_turn(u);
}

static hf_status translate(struct hf_raft_uv *u, int rv, const char *what)
{
    unsigned long long id = u->change.id;
    switch (rv) {
    case 0:
        return HF_STATUS_OK;
    case RAFT_NOTLEADER:
        return hf_error(HF_NOT_LEADER, "%s member %llu: this node does not lead", what, id);
    case RAFT_LEADERSHIPLOST:
    case RAFT_SHUTDOWN:
    case RAFT_CANCELED:
        return hf_error(HF_UNKNOWN_OUTCOME, "%s member %llu: leadership was lost meanwhile: list the members",
                        what, id);
    case RAFT_DUPLICATEADDRESS:
        return hf_error(HF_EXISTS, "%s member %llu: its address belongs to another member", what, id);
    case RAFT_CANTCHANGE:
        return hf_error(HF_UNAVAILABLE,
                        "%s member %llu: another membership change is under way; repeat later", what, id);
    case RAFT_NOCONNECTION:
        return hf_error(HF_UNAVAILABLE,
                        "%s member %llu: it cannot be reached or does not catch up: is it running?", what,
                        id);
    default:
        return hf_error(HF_INTERNAL, "%s member %llu: %s", what, id, raft_strerror(rv));
    }
}

/* Takes the one place for a change. False: the reason is told at the next turn, or there is no turn for it:
 * busy. */
static bool begin(struct hf_raft_uv *u, uint64_t id, void (*cb)(void *arg, hf_status st), void *arg)
{
    struct hf_raft_change *c = &u->change;
    if (c->busy || u->closing) {
        hf_status st = hf_error(HF_UNAVAILABLE, "another membership change is under way; repeat later");
        cb(arg, st);
        hf_status_drop(st);
        return false;
    }
    *c = (struct hf_raft_change){.busy = true, .id = id, .cb = cb, .arg = arg, .request.data = u};
    if (raft_state(&u->raft) != RAFT_LEADER || raft_transferee(&u->raft) != 0) {
        finish(u, translate(u, RAFT_NOTLEADER, "change"));
        return false;
    }
    return true;
}

static const struct raft_server *find_member(const struct hf_raft_uv *u, uint64_t id)
{
    const struct raft_configuration *c = &u->raft.configuration;
    for (unsigned i = 0; i < c->n; i++)
        if (c->servers[i].id == id)
            return &c->servers[i];
    return NULL;
}

static void on_assigned(struct raft_change *request, int status)
{
    struct hf_raft_uv *u = request->data;
    finish(u, translate(u, status, "make a voter of"));
}

static void make_voter(struct hf_raft_uv *u)
{
    int rv = raft_assign(&u->raft, &u->change.request, u->change.id, RAFT_VOTER, on_assigned);
    if (rv != 0)
        finish(u, translate(u, rv, "make a voter of"));
}

static void on_added(struct raft_change *request, int status)
{
    struct hf_raft_uv *u = request->data;
    if (status != 0)
        finish(u, translate(u, status, "add"));
    else
        make_voter(u);
}

void hf_raft_uv_add(struct hf_raft_uv *u, uint64_t id, const char *address,
                    void (*cb)(void *arg, hf_status st), void *arg)
{
    if (!begin(u, id, cb, arg))
        return;
    const struct raft_server *member = find_member(u, id);
    if (member != NULL && strcmp(member->address, address) != 0) {
        finish(u, hf_error(HF_EXISTS, "add member %llu: the id belongs to the member at %s; take a new one",
                           (unsigned long long)id, member->address));
    } else if (member != NULL && member->role == RAFT_VOTER) {
        finish(u, HF_STATUS_OK);
    } else if (member != NULL) {
        make_voter(u); /* an earlier try got half way */
    } else {
        int rv = id == 0 ? RAFT_BADID : raft_add(&u->raft, &u->change.request, id, address, on_added);
        if (rv != 0)
            finish(u, translate(u, rv, "add"));
    }
}

static void on_removed(struct raft_change *request, int status)
{
    struct hf_raft_uv *u = request->data;
    finish(u, translate(u, status, "remove"));
}

void hf_raft_uv_remove(struct hf_raft_uv *u, uint64_t id, void (*cb)(void *arg, hf_status st), void *arg)
{
    if (!begin(u, id, cb, arg))
        return;
    if (find_member(u, id) == NULL) {
        finish(u,
               hf_error(HF_NOT_FOUND, "remove member %llu: there is no such member", (unsigned long long)id));
    } else if (id == u->raft.id) {
        finish(u, hf_error(HF_PRECONDITION, "remove member %llu: it leads; hand the leadership over first",
                           (unsigned long long)id));
    } else {
        int rv = raft_remove(&u->raft, &u->change.request, id, on_removed);
        if (rv != 0)
            finish(u, translate(u, rv, "remove"));
    }
}

void hf_raft_uv_members(struct hf_raft_uv *u,
                        void (*cb)(void *arg, uint64_t id, const char *address, bool voter), void *arg)
{
    const struct raft_configuration *c = &u->raft.configuration;
    for (unsigned i = 0; i < c->n; i++)
        cb(arg, c->servers[i].id, c->servers[i].address, c->servers[i].role == RAFT_VOTER);
}

static void on_transferred(struct raft_transfer *request)
{
    struct hf_raft_uv *u = request->data;
    u->transferring = false;
}

void hf_raft_uv_transfer(struct hf_raft_uv *u)
{
    if (u->transferring || u->closing || raft_state(&u->raft) != RAFT_LEADER)
        return;
    u->transfer.data = u;
    u->transferring = raft_transfer(&u->raft, &u->transfer, 0, on_transferred) == 0;
}
