#include "hostd/keeper_calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "ha/lease_rules.h"
#include "hostd/keeper_view.h"

#define CALL_MS (HF_LEASE_REQUEST_MS + 1000) /* the keeper itself answers in HF_LEASE_REQUEST_MS */

struct hf_keeper_call {
    struct hf_keeper_call *next;
    struct hf_keeper_calls *calls;
    uint64_t id;
    hf_keeper_cb cb;
    hf_keeper_view_cb view_cb; /* one of the two */
    void *arg;
    struct hf_timer deadline;
    hf_status failed; /* not OK: refused already, to be told in the next turn of the loop */
};

static struct hf_keeper_calls *calls_of(struct hf_keeper *k)
{
    return hf_container_of(k, struct hf_keeper_calls, base);
}

static void call_end(struct hf_keeper_call *c, hf_status st, const struct hf_keeper_view *view)
{
    struct hf_keeper_call **p = &c->calls->first;
    while (*p != c)
        p = &(*p)->next;
    *p = c->next;
    c->calls->n--;
    hf_timer_stop(&c->deadline);
    if (c->view_cb)
        c->view_cb(c->arg, st, view);
    else
        c->cb(c->arg, st);
    hf_status_drop(st);
    hf_status_drop(c->failed);
    free(c);
}

static void on_deadline(void *arg)
{
    struct hf_keeper_call *c = arg;
    if (hf_ok(c->failed))
        call_end(c, hf_error(HF_TIMEOUT, "the keeper did not answer within %d ms", CALL_MS), NULL);
    else
        call_end(c, hf_status_copy(c->failed), NULL);
}

void hf_keeper_calls_fail(struct hf_keeper_calls *c, enum hf_code code, const char *text)
{
    while (c->first)
        call_end(c->first, hf_error(code, "%s", text), NULL);
}

static hf_status send_request(struct hf_keeper_calls *c, const struct hf_keeper_request *q)
{
    if (c->n >= HF_KEEPER_CALLS_MAX)
        return hf_error(HF_EXHAUSTED, "%d calls to the keeper are under way", HF_KEEPER_CALLS_MAX);
    return c->send(c->arg, q);
}

static void start_call(struct hf_keeper *k, struct hf_keeper_request *q, hf_keeper_cb cb,
                       hf_keeper_view_cb view_cb, void *arg)
{
    struct hf_keeper_calls *c = calls_of(k);
    struct hf_keeper_call *call = HF_NEW(struct hf_keeper_call);
    call->calls = c;
    call->id = ++c->next_id;
    call->cb = cb;
    call->view_cb = view_cb;
    call->arg = arg;
    q->head.magic = HF_KEEPER_MAGIC;
    q->head.version = HF_KEEPER_WIRE_VERSION;
    q->head.id = call->id;
    call->failed = send_request(c, q);
    call->next = c->first;
    c->first = call;
    c->n++;
    hf_timer_start(c->env, &call->deadline, hf_ok(call->failed) ? CALL_MS : 0, on_deadline, call);
}

/* --- answers --- */

static hf_status answer_view(struct hf_keeper_call *call, const uint8_t *packet, size_t len)
{
    struct hf_keeper_view_packet p;
    HF_TRY(hf_keeper_view_decode(packet, len, &p));
    call_end(call, HF_STATUS_OK, &p.view);
    hf_keeper_view_done(&p);
    return HF_STATUS_OK;
}

static hf_status answer(struct hf_keeper_call *call, const uint8_t *packet, size_t len, uint16_t op)
{
    if (op == HF_KEEPER_VIEW_REPLY && call->view_cb)
        return answer_view(call, packet, len);
    const struct hf_keeper_reply *r = (const void *)packet;
    if (op != HF_KEEPER_REPLY || len != sizeof *r)
        return hf_error(HF_INTERNAL, "the keeper's answer is malformed");
    if (r->code == HF_OK && call->cb)
        call_end(call, HF_STATUS_OK, NULL);
    else if (r->code == HF_OK)
        return hf_error(HF_INTERNAL, "the keeper's answer does not fit the question");
    else
        call_end(call, hf_error((enum hf_code)r->code, "%.*s", HF_KEEPER_TEXT_MAX - 1, r->text), NULL);
    return HF_STATUS_OK;
}

hf_status hf_keeper_calls_packet(struct hf_keeper_calls *c, const uint8_t *packet, size_t len)
{
    const struct hf_keeper_head *head = (const void *)packet;
    if (len < sizeof *head || head->magic != HF_KEEPER_MAGIC || head->version != HF_KEEPER_WIRE_VERSION)
        return hf_error(HF_INTERNAL,
                        "the keeper speaks another version of the protocol: restart it with this release");
    if (head->op == HF_KEEPER_CHANGED) {
        if (c->base.events.changed)
            c->base.events.changed(c->base.events.arg);
        return HF_STATUS_OK;
    }
    for (struct hf_keeper_call *call = c->first; call; call = call->next) {
        if (call->id == head->id)
            return answer(call, packet, len, head->op);
    }
    return HF_STATUS_OK; /* its caller has stopped waiting */
}

/* --- the verbs --- */

static void do_view(struct hf_keeper *k, hf_keeper_view_cb cb, void *arg)
{
    struct hf_keeper_request q = {.head.op = HF_KEEPER_VIEW};
    start_call(k, &q, NULL, cb, arg);
}

static void do_set_epoch(struct hf_keeper *k, const struct hf_uuid *host, const struct hf_uuid *cluster,
                         uint64_t epoch, const char *profile, hf_keeper_cb cb, void *arg)
{
    struct hf_keeper_request q = {.head.op = HF_KEEPER_SET_EPOCH, .subject = *host, .epoch = epoch};
    q.storages[0] = *cluster;
    snprintf(q.dir, sizeof q.dir, "%s", profile);
    start_call(k, &q, cb, NULL, arg);
}

static void do_see_term(struct hf_keeper *k, uint64_t term, hf_keeper_cb cb, void *arg)
{
    struct hf_keeper_request q = {.head.op = HF_KEEPER_SEE_TERM, .number = term};
    start_call(k, &q, cb, NULL, arg);
}

static void do_add_storage(struct hf_keeper *k, const struct hf_uuid *storage, const char *dir,
                           uint64_t session, hf_keeper_cb cb, void *arg)
{
    struct hf_keeper_request q = {.head.op = HF_KEEPER_ADD_STORAGE, .subject = *storage, .number = session};
    /* A path that is too long stays empty, which the keeper refuses. */
    if (strlen(dir) < sizeof q.dir)
        memcpy(q.dir, dir, strlen(dir) + 1);
    start_call(k, &q, cb, NULL, arg);
}

static void do_remove_storage(struct hf_keeper *k, const struct hf_uuid *storage, hf_keeper_cb cb, void *arg)
{
    struct hf_keeper_request q = {.head.op = HF_KEEPER_REMOVE_STORAGE, .subject = *storage};
    start_call(k, &q, cb, NULL, arg);
}

/* Takes q, which says what kind of permit it is. */
static void ask_permit(struct hf_keeper *k, struct hf_keeper_request q, const struct hf_uuid *storages,
                       size_t n_storages, hf_keeper_cb cb, void *arg)
{
    HF_ASSERT(n_storages <= HF_KEEPER_STORAGES_MAX);
    q.head.op = HF_KEEPER_BEGIN_RUN;
    q.n_storages = (uint8_t)n_storages;
    if (n_storages > 0)
        memcpy(q.storages, storages, n_storages * sizeof storages[0]);
    start_call(k, &q, cb, NULL, arg);
}

static void do_begin_run(struct hf_keeper *k, const struct hf_uuid *instance, uint64_t epoch, uint64_t run,
                         const struct hf_uuid *storages, size_t n_storages, bool gated, hf_keeper_cb cb,
                         void *arg)
{
    struct hf_keeper_request q = {.subject = *instance, .epoch = epoch, .number = run, .gated = gated};
    ask_permit(k, q, storages, n_storages, cb, arg);
}

static void do_begin_incoming(struct hf_keeper *k, const struct hf_uuid *instance, uint64_t epoch,
                              uint64_t run, const struct hf_uuid *storages, size_t n_storages, bool gated,
                              hf_keeper_cb cb, void *arg)
{
    struct hf_keeper_request q = {
        .subject = *instance, .epoch = epoch, .number = run, .gated = gated, .incoming = 1};
    ask_permit(k, q, storages, n_storages, cb, arg);
}

static void do_go_on(struct hf_keeper *k, const struct hf_uuid *instance, uint64_t run, hf_keeper_cb cb,
                     void *arg)
{
    struct hf_keeper_request q = {.head.op = HF_KEEPER_GO_ON, .subject = *instance, .number = run};
    start_call(k, &q, cb, NULL, arg);
}

static void do_register_run(struct hf_keeper *k, const struct hf_uuid *instance, uint64_t run, int pid,
                            hf_keeper_cb cb, void *arg)
{
    struct hf_keeper_request q = {
        .head.op = HF_KEEPER_REGISTER_RUN, .subject = *instance, .number = run, .pid = pid};
    start_call(k, &q, cb, NULL, arg);
}

static void do_end_run(struct hf_keeper *k, const struct hf_uuid *instance, uint64_t run, unsigned how,
                       hf_keeper_cb cb, void *arg)
{
    struct hf_keeper_request q = {.head.op = HF_KEEPER_END_RUN,
                                  .subject = *instance,
                                  .number = run,
                                  .kill = (how & HF_KEEPER_END_KILL) != 0,
                                  .orderly = (how & HF_KEEPER_END_ORDERLY) != 0};
    start_call(k, &q, cb, NULL, arg);
}

static void do_hand_over(struct hf_keeper *k, const struct hf_uuid *instance, uint64_t run, hf_keeper_cb cb,
                         void *arg)
{
    struct hf_keeper_request q = {
        .head.op = HF_KEEPER_END_RUN, .subject = *instance, .number = run, .kill = 1, .handed_over = 1};
    start_call(k, &q, cb, NULL, arg);
}

static void do_end_epoch(struct hf_keeper *k, uint64_t epoch, bool starting, hf_keeper_cb cb, void *arg)
{
    struct hf_keeper_request q = {.head.op = HF_KEEPER_END_EPOCH, .epoch = epoch, .starting = starting};
    start_call(k, &q, cb, NULL, arg);
}

static const struct hf_keeper_ops ops = {
    .view = do_view,
    .set_epoch = do_set_epoch,
    .see_term = do_see_term,
    .add_storage = do_add_storage,
    .remove_storage = do_remove_storage,
    .begin_run = do_begin_run,
    .register_run = do_register_run,
    .end_run = do_end_run,
    .end_epoch = do_end_epoch,
    .begin_incoming = do_begin_incoming,
    .hand_over = do_hand_over,
    .go_on = do_go_on,
};

void hf_keeper_calls_init(struct hf_keeper_calls *c)
{
    HF_ASSERT(c->env && c->send);
    c->base.ops = &ops;
}
