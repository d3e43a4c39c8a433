#include "rpc/echo_service.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/env.h"
#include "base/mem.h"
#include "echo.pb-c.h"

typedef Holdfast__Rpctest__EchoRequest request_t;
typedef Holdfast__Rpctest__EchoReply reply_t;

struct hf_echo {
    struct hf_env *env;
    uint64_t cancelled, open;
};

struct echo_call {
    struct hf_echo *echo;
    struct hf_grpc_call *call;
    request_t *request; /* Echo while it sleeps, Stream */
    struct hf_timer timer;
    uint32_t seq;
    uint64_t collected_bytes;
};

static struct echo_call *state_of(struct hf_grpc_call *call)
{
    struct echo_call *c = hf_grpc_call_data(call);
    if (c)
        return c;
    c = HF_NEW(struct echo_call);
    c->echo = hf_grpc_call_user(call);
    c->call = call;
    c->echo->open++;
    hf_grpc_call_set_data(call, c);
    return c;
}

static void on_closed(struct hf_grpc_call *call, bool cancelled)
{
    struct echo_call *c = state_of(call);
    c->echo->open--;
    c->echo->cancelled += cancelled;
    hf_timer_stop(&c->timer);
    if (c->request)
        protobuf_c_message_free_unpacked(&c->request->base, NULL);
    free(c);
}

static void reply(struct hf_grpc_call *call, const request_t *q)
{
    reply_t r = HOLDFAST__RPCTEST__ECHO_REPLY__INIT;
    const char *metadata = hf_grpc_call_metadata(call, "x-test");
    r.text = q->text;
    r.data = q->data;
    r.peer_name = (char *)hf_grpc_call_peer_name(call);
    r.peer_address = (char *)hf_grpc_call_peer_address(call);
    r.metadata = (char *)(metadata ? metadata : "");
    r.remaining_ms = hf_grpc_call_remaining_ms(call);
    r.cancelled = state_of(call)->echo->cancelled;
    hf_grpc_send(call, &r.base);
}

static void finish_echo(struct hf_grpc_call *call, const request_t *q)
{
    if (*q->trailer)
        hf_grpc_add_trailer(call, "x-test", q->trailer);
    if (q->error_code) {
        hf_grpc_finish(call, hf_error((enum hf_code)q->error_code, "%s", q->text));
        return;
    }
    reply(call, q);
    hf_grpc_finish(call, HF_STATUS_OK);
}

static void on_slept(void *arg)
{
    struct echo_call *c = arg;
    finish_echo(c->call, c->request);
}

static void on_echo(struct hf_grpc_call *call, ProtobufCMessage *m)
{
    struct echo_call *c = state_of(call);
    c->request = (request_t *)m;
    if (c->request->sleep_ms)
        hf_timer_start(c->echo->env, &c->timer, c->request->sleep_ms, on_slept, c);
    else
        finish_echo(call, c->request);
}

/* Sends until the queue is full. */
static void pump(struct hf_grpc_call *call)
{
    struct echo_call *c = state_of(call);
    uint8_t *payload = hf_alloc(c->request->size + 1);
    bool room = true;
    while (room && (c->request->count == 0 || c->seq < c->request->count)) {
        reply_t r = HOLDFAST__RPCTEST__ECHO_REPLY__INIT;
        r.seq = ++c->seq;
        r.data = (ProtobufCBinaryData){c->request->size, payload};
        room = hf_grpc_send(call, &r.base);
    }
    free(payload);
    if (c->request->count && c->seq >= c->request->count)
        hf_grpc_finish(call, HF_STATUS_OK);
}

static void on_stream(struct hf_grpc_call *call, ProtobufCMessage *m)
{
    state_of(call)->request = (request_t *)m;
    pump(call);
}

static void on_chat(struct hf_grpc_call *call, ProtobufCMessage *m)
{
    reply_t r = HOLDFAST__RPCTEST__ECHO_REPLY__INIT;
    request_t *q = (request_t *)m;
    r.text = q->text;
    r.data = q->data;
    r.seq = ++state_of(call)->seq;
    if (!hf_grpc_send(call, &r.base))
        hf_grpc_read_pause(call, true);
    protobuf_c_message_free_unpacked(m, NULL);
}

static void on_chat_writable(struct hf_grpc_call *call)
{
    hf_grpc_read_pause(call, false);
}

static void on_chat_end(struct hf_grpc_call *call)
{
    state_of(call);
    hf_grpc_finish(call, HF_STATUS_OK);
}

static void on_collect(struct hf_grpc_call *call, ProtobufCMessage *m)
{
    struct echo_call *c = state_of(call);
    c->seq++;
    c->collected_bytes += ((request_t *)m)->data.len;
    protobuf_c_message_free_unpacked(m, NULL);
}

static void on_collect_end(struct hf_grpc_call *call)
{
    struct echo_call *c = state_of(call);
    reply_t r = HOLDFAST__RPCTEST__ECHO_REPLY__INIT;
    char *text = hf_printf("%llu", (unsigned long long)c->collected_bytes);
    r.text = text;
    r.seq = c->seq;
    hf_grpc_send(call, &r.base);
    hf_grpc_finish(call, HF_STATUS_OK);
    free(text);
}

struct hf_echo *hf_echo_create(uv_loop_t *loop, struct hf_grpc_server *s)
{
    static const struct hf_grpc_handler UNARY = {.message = on_echo, .closed = on_closed};
    static const struct hf_grpc_handler STREAM = {
        .message = on_stream, .writable = pump, .closed = on_closed};
    static const struct hf_grpc_handler CHAT = {
        .message = on_chat, .half_close = on_chat_end, .writable = on_chat_writable, .closed = on_closed};
    static const struct hf_grpc_handler COLLECT = {
        .message = on_collect, .half_close = on_collect_end, .closed = on_closed};
    const ProtobufCServiceDescriptor *service = &holdfast__rpctest__echo__descriptor;
    struct hf_echo *e = HF_NEW(struct hf_echo);
    e->env = hf_env_uv_create(loop);
    hf_grpc_server_add(s, service, "Echo", &UNARY, e);
    hf_grpc_server_add(s, service, "Stream", &STREAM, e);
    hf_grpc_server_add(s, service, "Chat", &CHAT, e);
    hf_grpc_server_add(s, service, "Collect", &COLLECT, e);
    return e;
}

uint64_t hf_echo_cancelled(const struct hf_echo *e)
{
    return e->cancelled;
}

uint64_t hf_echo_open(const struct hf_echo *e)
{
    return e->open;
}

void hf_echo_free(struct hf_echo *e)
{
    HF_ASSERT(e->open == 0);
    hf_env_uv_close(e->env);
    free(e);
}
