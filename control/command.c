#include "control/command.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/buggify.h"
#include "base/mem.h"

/* One command under way:
 *   1 build the transaction from the store as it is now;
 *   2 it has work: submit it; apply found a conflict: the store has moved on, so back to 1;
 *   3 build refuses: pass a barrier and build once more, for this node may not lead any more. A request with
 * an id may also have been applied before (and be refused now because of that): then a probe asks apply's
 * memory instead.
 */
struct command {
    struct hf_control *control;
    struct hf_command cmd; /* request_id is our copy */
    char *request_id;
    unsigned tries;        /* builds so far */
    bool confirmed;        /* a barrier, probe or conflict has shown the newest state to the next build */
    hf_status refusal;     /* what build said */
    struct hf_timer later; /* ends the command in a later turn */
};

static void attempt(struct command *c);

static void finish(struct command *c, hf_status st, const struct hf_txn_result *res)
{
    c->cmd.done(c->cmd.arg, st, res);
    hf_status_drop(c->refusal);
    free(c->request_id);
    free(c);
}

static void finish_later_cb(void *arg)
{
    struct command *c = arg;
    finish(c, c->refusal, NULL);
}

static void finish_later(struct command *c, hf_status take_st)
{
    hf_status_drop(c->refusal);
    c->refusal = take_st;
    hf_timer_start(c->control->env, &c->later, 0, finish_later_cb, c);
}

static void finish_with_result(struct command *c, const struct hf_txn_result *res)
{
    hf_status st = hf_error(res->code, "%s", res->message != NULL ? res->message : hf_code_text(res->code));
    finish(c, st, NULL);
    hf_status_drop(st);
}

static void submit_cb(void *arg, hf_status st, const struct hf_txn_result *res)
{
    struct command *c = arg;
    if (!hf_ok(st)) {
        finish(c, st, NULL);
    } else if (res->code == HF_OK) {
        finish(c, HF_STATUS_OK, res);
    } else if ((res->code == HF_CONFLICT || res->code == HF_EXISTS) && c->tries < HF_COMMAND_TRIES) {
        c->confirmed = true; /* apply has just seen the newest state, and so does the next build */
        attempt(c);
    } else {
        finish_with_result(c, res);
    }
}

static void barrier_cb(void *arg, hf_status st)
{
    struct command *c = arg;
    if (!hf_ok(st)) {
        finish(c, st, NULL);
        return;
    }
    c->confirmed = true;
    attempt(c);
}

/* The probe's transaction never applies: OK means that the real one did, some time ago. */
static void probe_cb(void *arg, hf_status st, const struct hf_txn_result *res)
{
    struct command *c = arg;
    if (!hf_ok(st)) {
        finish(c, st, NULL);
    } else if (res->code == HF_OK) {
        finish(c, HF_STATUS_OK, res);
    } else if (res->code != HF_CONFLICT) {
        finish_with_result(c, res); /* the id belongs to another request */
    } else {
        c->confirmed = true;
        attempt(c);
    }
}

/* No object has it: random UUIDs are of version 4 or 8. */
static const struct hf_uuid nobody = {{0xff}};

static void probe(struct command *c)
{
    struct hf_txn *t = hf_txn_create(c->request_id, c->cmd.request_hash);
    hf_txn_check(t, &nobody, UINT64_MAX);
    hf_replica_submit(c->control->replica, t, probe_cb, c);
}

static void attempt(struct command *c)
{
    struct hf_txn *t = hf_txn_create(c->request_id, c->cmd.request_hash);
    c->tries++;
    hf_status st = c->cmd.build(c->cmd.arg, hf_control_store(c->control), t);
    if (hf_ok(st) && !hf_txn_empty(t)) {
        if (c->tries < HF_COMMAND_TRIES && HF_BUGGIFY(COMMAND_CONFLICTS))
            hf_txn_check(t, &nobody, UINT64_MAX);
        hf_replica_submit(c->control->replica, t, submit_cb, c);
        return;
    }
    hf_txn_free(t);
    if (hf_ok(st) || c->confirmed) {
        finish_later(c, st);
        return;
    }
    hf_status_drop(st);
    if (c->request_id != NULL)
        probe(c);
    else
        hf_replica_barrier(c->control->replica, barrier_cb, c);
}

void hf_command_run(struct hf_control *control, const struct hf_command *cmd)
{
    HF_ASSERT(cmd->build != NULL && cmd->done != NULL);
    struct command *c = HF_NEW(struct command);
    c->control = control;
    c->cmd = *cmd;
    if (cmd->request_id != NULL && cmd->request_id[0] != '\0')
        c->request_id = hf_strdup(cmd->request_id);
    c->cmd.request_id = c->request_id;

    struct hf_replica_state state;
    hf_replica_state(control->replica, &state);
    if (state.role != HF_ROLE_LEADER || !state.ready) {
        finish_later(c, hf_error(HF_NOT_LEADER, "this control node does not lead"));
        return;
    }
    attempt(c);
}
