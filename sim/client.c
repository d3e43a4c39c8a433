#include "sim/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/pb_copy.h"

#define ATTEMPT_MS_MAX   5000 /* a node that says nothing for so long is left for the next */
#define BACKOFF_FIRST_MS 20
#define BACKOFF_MAX_MS   250

struct sim_client_call {
    struct sim_client *client;
    LIST_ENTRY(sim_client_call) link;
    const char *service, *method;
    ProtobufCMessage *request; /* own copy */
    sim_answer_cb cb;
    void *arg;
    struct sim_api_call *attempt; /* under way; NULL between two */
    ProtobufCMessage *message;    /* the attempt's answer */
    unsigned node;                /* that the attempt asks */
    unsigned redirects;           /* hints followed without a pause */
    int64_t deadline_ms, backoff_ms;
    struct hf_timer retry;
    bool repeatable, waits;
    bool doubt; /* the answer of some attempt was lost */
};

static void attempt(void *arg);

/* --- messages --- */

static void drop_message(struct sim_client_call *call)
{
    if (call->message != NULL)
        protobuf_c_message_free_unpacked(call->message, NULL);
    call->message = NULL;
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool has_request_id(const ProtobufCMessage *m)
{
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(m->descriptor, "request_id");
    return f != NULL && **(char *const *)(const void *)((const char *)m + f->offset) != '\0';
}

/* --- ends --- */

static void call_free(struct sim_client_call *call)
{
    LIST_REMOVE(call, link);
    call->client->n_calls--;
    hf_timer_stop(&call->retry);
    drop_message(call);
    protobuf_c_message_free_unpacked(call->request, NULL);
    free(call);
}

static void end_call(struct sim_client_call *call, enum hf_code code, const char *sentence)
{
    struct sim_client *c = call->client;
    struct sim_answer a = {.code = code,
                           .sentence = sentence,
                           .message = code == HF_OK ? call->message : NULL,
                           .doubt = code != HF_OK && call->doubt};
    if (code == HF_OK || !call->doubt)
        c->answered++;
    sim_mix(c->w->sim, (uint64_t)code);
    if (sim_tracing(c->w->sim))
        sim_trace(c->w->sim, c->proc.name, "%s: %s%s%s", call->method, hf_code_text(code),
                  code == HF_OK ? "" : ": ", sentence);
    call->cb(call->arg, &a);
    call_free(call);
}

/* --- attempts --- */

/* The node did not lead or could not be reached. True: another is said to lead, go there at once. */
static bool move_on(struct sim_client *c, unsigned node, const char *leader)
{
    for (unsigned i = 0; *leader != '\0' && i < c->w->sizes.nodes; i++)
        if (i != node && strcmp(leader, sim_node_address(c->w->nodes[i])) == 0) {
            c->node = i;
            return true;
        }
    if (c->node == node) /* otherwise another call has moved on already */
        c->node = (node + 1) % c->w->sizes.nodes;
    return false;
}

/* What the attempt may have done without telling. */
static bool leaves_doubt(enum hf_code code)
{
    switch (code) {
    case HF_UNKNOWN_OUTCOME:
    case HF_TIMEOUT:
    case HF_UNAVAILABLE:
    case HF_CANCELLED:
    case HF_INTERNAL:
    case HF_IO:
        return true;
    default:
        return false;
    }
}

static bool may_repeat(const struct sim_client_call *call, enum hf_code code)
{
    switch (code) {
    case HF_NOT_LEADER:
        return true;
    case HF_UNAVAILABLE:
    case HF_UNKNOWN_OUTCOME:
    case HF_TIMEOUT: /* of the attempt; the call's own deadline is checked apart */
        return call->repeatable;
    default:
        return false;
    }
}

static void repeat_later(struct sim_client_call *call, const char *leader, int64_t now_ms)
{
    struct sim_client *c = call->client;
    int64_t wait_ms = call->backoff_ms;
    if (move_on(c, call->node, leader) && call->redirects++ < c->w->sizes.nodes)
        wait_ms = 0;
    else if ((call->backoff_ms *= 2) > BACKOFF_MAX_MS)
        call->backoff_ms = BACKOFF_MAX_MS;
    if (wait_ms > call->deadline_ms - now_ms)
        wait_ms = call->deadline_ms - now_ms;
    hf_timer_start(&c->proc.env, &call->retry, wait_ms, attempt, call);
}

static void on_message(void *arg, const ProtobufCMessage *m)
{
    struct sim_client_call *call = arg;
    drop_message(call);
    call->message = hf_pb_copy(m);
}

static void on_ended(void *arg, const struct sim_end_reason *why)
{
    struct sim_client_call *call = arg;
    struct sim_client *c = call->client;
    call->attempt = NULL;
    int64_t now_ms = hf_env_now_ms(&c->proc.env);
    if (why->code == HF_OK) {
        c->node = call->node;
        if (call->message != NULL)
            end_call(call, HF_OK, "");
        else
            end_call(call, HF_INTERNAL, "the node ended the call well, without an answer");
        return;
    }
    drop_message(call);
    call->doubt |= leaves_doubt(why->code);
    if (may_repeat(call, why->code) && now_ms < call->deadline_ms)
        repeat_later(call, why->leader, now_ms);
    else
        end_call(call, why->code, why->message);
}

static void attempt(void *arg)
{
    static const struct sim_api_call_ops ops = {.message = on_message, .ended = on_ended};
    struct sim_client_call *call = arg;
    struct sim_client *c = call->client;
    int64_t left_ms = call->deadline_ms - hf_env_now_ms(&c->proc.env);
    if (left_ms <= 0) {
        end_call(call, HF_TIMEOUT, "no node answered in time");
        return;
    }
    if (call->repeatable && !call->waits && c->w->sizes.nodes > 1 && left_ms > ATTEMPT_MS_MAX)
        left_ms = ATTEMPT_MS_MAX;
    call->node = c->node;
    call->attempt = sim_api_call(c->w, &c->proc, c->place, call->node, call->service, call->method,
                                 call->request, left_ms, &ops, call);
}

void sim_client_call(struct sim_client *c, const char *service, const char *method,
                     const ProtobufCMessage *request, int64_t deadline_ms, sim_answer_cb cb, void *arg)
{
    HF_ASSERT(deadline_ms > 0);
    struct sim_client_call *call = HF_NEW(struct sim_client_call);
    call->client = c;
    call->service = service;
    call->method = method;
    call->request = hf_pb_copy(request);
    call->cb = cb;
    call->arg = arg;
    call->waits = starts_with(method, "Wait"); /* silent for long by its nature */
    call->repeatable =
        call->waits || starts_with(method, "Get") || starts_with(method, "List") || has_request_id(request);
    call->backoff_ms = BACKOFF_FIRST_MS;
    call->deadline_ms = hf_env_now_ms(&c->proc.env) + deadline_ms;
    LIST_INSERT_HEAD(&c->calls, call, link);
    c->n_calls++;
    attempt(call);
}

/* --- the process --- */

static void crashed(void *arg)
{
    struct sim_client *c = arg;
    struct sim_client_call *call;
    while ((call = LIST_FIRST(&c->calls)) != NULL) {
        if (call->attempt != NULL)
            sim_api_cancel(call->attempt);
        call_free(call);
    }
    if (c->crashed != NULL)
        c->crashed(c->crashed_arg);
}

void sim_client_init(struct sim_client *c, struct sim_world *w, const char *name, uint64_t number)
{
    *c = (struct sim_client){.w = w};
    LIST_INIT(&c->calls);
    c->place = sim_net_add(w->net, name);
    sim_proc_init(&c->proc, w->sim, name, number);
    c->proc.crashed = crashed;
    c->proc.arg = c;
    sim_proc_start(&c->proc);
}

void sim_client_done(struct sim_client *c)
{
    sim_proc_crash(&c->proc);
    sim_proc_done(&c->proc);
}
