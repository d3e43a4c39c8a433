#include "control/api_operation.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/api_handlers.h"

const struct hf_kind_rules hf_operation_rules = {.kind = HOLDFAST__V1__KIND__OPERATION};

typedef Holdfast__V1__Operation Operation;

void hf_draft_operation(struct hf_draft *d, unsigned made, const char *verb,
                        const struct hf_operation_target *target, const char *step, bool done)
{
    char uuid[HF_UUID_STR];
    hf_uuid_format(hf_call_uuid(d->call, made), uuid);
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    meta.uuid = uuid;
    meta.name = uuid;
    meta.created_at_ms = d->wall_ms;
    Operation op = HOLDFAST__V1__OPERATION__INIT;
    op.meta = &meta;
    op.verb = (char *)verb;
    op.target_kind = target->kind;
    op.target_uuid = (char *)target->uuid;
    op.target_name = (char *)target->name;
    op.target_run = target->run;
    op.step = (char *)step;
    op.state = done ? HOLDFAST__V1__OPERATION__STATE__SUCCEEDED : HOLDFAST__V1__OPERATION__STATE__RUNNING;
    op.started_at_ms = d->wall_ms;
    op.ended_at_ms = done ? d->wall_ms : 0;
    hf_draft_put_answer(d, &op.base);
}

/* --- cancel --- */

static bool has_ended(const Operation *op)
{
    return op->state != HOLDFAST__V1__OPERATION__STATE__RUNNING;
}

static hf_status build_cancel(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    struct hf_draft d = hf_draft_begin(c, s, t);
    const Holdfast__V1__CancelOperationRequest *r = (const Holdfast__V1__CancelOperationRequest *)c->request;
    hf_status st = HF_STATUS_OK;
    Operation *op = (Operation *)hf_lookup_message(s, HOLDFAST__V1__KIND__OPERATION, r->uuid, "", &st);
    if (op == NULL)
        return hf_wrap(st, "cancel operation");
    if (has_ended(op)) {
        st = hf_error(HF_PRECONDITION, "cancel operation %s: it has ended", r->uuid);
    } else {
        op->cancel_requested = true;
        hf_draft_put_answer(&d, &op->base);
    }
    holdfast__v1__operation__free_unpacked(op, NULL);
    return st;
}

void hf_handle_cancel_operation(struct hf_api_call *c)
{
    hf_call_write(c, HF_ROOM_ADD, build_cancel);
}

/* --- wait ---
 * Barrier, look; not ended: watch the operations until it is, or answer as it is shortly before the caller's
 * deadline.
 */

#define WAIT_MARGIN_MS 200 /* before the deadline, so that the answer still arrives */
#define WAIT_MAX_MS    (60 * 60 * 1000)

struct wait {
    struct hf_api_call *call;
    struct hf_uuid uuid;
    struct hf_watch *watch;
    struct hf_timer timer;
};

static void wait_free(struct wait *w)
{
    hf_timer_stop(&w->timer);
    if (w->watch != NULL)
        hf_watch_close(w->watch);
    free(w);
}

static void wait_end(struct wait *w, hf_status take_st)
{
    struct hf_api_call *c = w->call;
    wait_free(w);
    hf_call_end(c, take_st);
}

static void wait_answer(struct wait *w, struct hf_bytes *bytes, uint64_t revision)
{
    struct hf_api_call *c = w->call;
    wait_free(w);
    hf_call_answer_object(c, HOLDFAST__V1__KIND__OPERATION, bytes, revision);
}

static void wait_cancelled(struct hf_api_call *c)
{
    wait_end(c->data, hf_error(HF_CANCELLED, "the caller has gone"));
}

static bool bytes_have_ended(const struct hf_bytes *b)
{
    Operation *op = holdfast__v1__operation__unpack(NULL, b->len, b->data);
    HF_ASSERT(op != NULL);
    bool ended = has_ended(op);
    holdfast__v1__operation__free_unpacked(op, NULL);
    return ended;
}

static void wait_event(void *arg, const struct hf_watch_event *e)
{
    struct wait *w = arg;
    if (!hf_uuid_equal(&e->uuid, &w->uuid))
        return;
    if (e->bytes == NULL)
        wait_end(w, hf_error(HF_NOT_FOUND, "wait for operation: it was removed meanwhile"));
    else if (bytes_have_ended(e->bytes))
        wait_answer(w, e->bytes, e->revision);
}

static void wait_watch_closed(void *arg)
{
    struct wait *w = arg;
    wait_end(w, hf_error(HF_UNAVAILABLE,
                         "wait for operation: this node has just caught up by a snapshot; ask again"));
}

static void wait_timeout(void *arg)
{
    struct wait *w = arg;
    const struct hf_object *o = hf_store_get(hf_call_store(w->call), &w->uuid);
    if (o == NULL)
        wait_end(w, hf_error(HF_NOT_FOUND, "wait for operation: it was removed meanwhile"));
    else
        wait_answer(w, o->bytes, o->revision);
}

static void wait_start(struct hf_api_call *c, const struct hf_object *o)
{
    struct wait *w = HF_NEW(struct wait);
    w->call = c;
    w->uuid = o->uuid;
    c->data = w;
    c->on_cancel = wait_cancelled;
    hf_status st =
        hf_watch_open(c->api->control->replica, hf_store_revision(hf_call_store(c)),
                      1ull << HOLDFAST__V1__KIND__OPERATION, wait_event, wait_watch_closed, w, &w->watch);
    if (!hf_ok(st)) {
        wait_end(w, st);
        return;
    }
    int64_t left_ms = WAIT_MAX_MS;
    if (c->deadline_ms != INT64_MAX)
        left_ms = c->deadline_ms - hf_env_now_ms(hf_call_env(c));
    int64_t margin_ms = left_ms / 2 < WAIT_MARGIN_MS ? left_ms / 2 : WAIT_MARGIN_MS;
    hf_timer_start(hf_call_env(c), &w->timer, left_ms > margin_ms ? left_ms - margin_ms : 0, wait_timeout, w);
}

static void wait_now(struct hf_api_call *c)
{
    const Holdfast__V1__WaitOperationRequest *r = (const Holdfast__V1__WaitOperationRequest *)c->request;
    hf_status st = HF_STATUS_OK;
    const struct hf_object *o = hf_lookup(hf_call_store(c), HOLDFAST__V1__KIND__OPERATION, r->uuid, "", &st);
    if (o == NULL)
        hf_call_end(c, hf_wrap(st, "wait for operation"));
    else if (bytes_have_ended(o->bytes))
        hf_call_answer_object(c, o->kind, o->bytes, o->revision);
    else
        wait_start(c, o);
}

void hf_handle_wait_operation(struct hf_api_call *c)
{
    hf_call_read(c, false, wait_now);
}
