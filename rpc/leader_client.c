#include "rpc/leader_client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/assert.h"
#include "base/env.h"
#include "base/mem.h"
#include "base/pb_copy.h"

#define DEADLINE_MS_DEFAULT 60000u /* for calls that come without one: repeating must end some time */
#define ATTEMPT_MS_MAX                                                                                       \
    5000u /* a node that says nothing for so long is left for the next, if repeating is safe */
#define CONNECT_MS       2000u
#define BACKOFF_FIRST_MS 20
#define BACKOFF_MAX_MS   250 /* an election takes one or two seconds: waits of a second would lengthen the outage */
#define NODES_MAX        16 /* given, and learnt from hints */

struct node {
    char *address;
    struct hf_grpc_channel *channel; /* NULL until used */
};

struct hf_leader_client {
    uv_loop_t *loop;
    struct hf_env *env;
    struct hf_tls_files tls;
    struct node nodes[NODES_MAX];
    size_t nodes_len;
    size_t leader; /* index of the node that led last, or is tried next */
    LIST_HEAD(, call) calls;
    bool closing;
};

struct call {
    struct hf_leader_client *client;
    LIST_ENTRY(call) link;
    const ProtobufCServiceDescriptor *service;
    const ProtobufCMethodDescriptor *method;
    ProtobufCMessage *request; /* own copy */
    hf_grpc_unary_cb cb;
    void *arg;
    int64_t deadline_ms; /* of the env's clock */
    int64_t backoff_ms;
    size_t node;        /* that the attempt under way asks */
    unsigned redirects; /* hints followed without a pause */
    struct hf_timer retry;
    hf_status last; /* why the attempt before failed */
    bool repeatable;
};

static void attempt(void *arg);

/* --- nodes --- */

static size_t find_node(const struct hf_leader_client *c, const char *address)
{
    size_t i = 0;
    while (i < c->nodes_len && strcmp(c->nodes[i].address, address) != 0)
        i++;
    return i;
}

static struct hf_grpc_channel *channel_of(struct hf_leader_client *c, size_t i)
{
    struct node *n = &c->nodes[i];
    if (!n->channel) {
        struct hf_grpc_channel_options o = {.address = n->address, .tls = c->tls, .connect_ms = CONNECT_MS};
        n->channel = hf_grpc_channel_create(c->loop, &o);
    }
    return n->channel;
}

/* Node i did not lead or could not be reached. True: there is a hint, go there at once. */
static bool move_on(struct hf_leader_client *c, size_t i, const char *hint)
{
    if (hint && *hint && strcmp(hint, c->nodes[i].address) != 0) {
        size_t h = find_node(c, hint);
        if (h == c->nodes_len && h < NODES_MAX)
            c->nodes[c->nodes_len++] = (struct node){.address = hf_strdup(hint)};
        if (h < c->nodes_len) {
            c->leader = h;
            return true;
        }
    }
    if (c->leader == i) /* otherwise somebody has moved on already */
        c->leader = (i + 1) % c->nodes_len;
    return false;
}

/* --- calls --- */

static const ProtobufCFieldDescriptor *request_id_of(const ProtobufCMessage *m)
{
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(m->descriptor, "request_id");
    return f && f->type == PROTOBUF_C_TYPE_STRING && f->label != PROTOBUF_C_LABEL_REPEATED ? f : NULL;
}

/* Reads, and requests that the server knows again by their request_id. */
static bool is_repeatable(const char *method, const ProtobufCMessage *m)
{
    static const char *const READS[] = {"Get", "List", "Wait"};
    for (size_t i = 0; i < sizeof READS / sizeof *READS; i++)
        if (strncmp(method, READS[i], strlen(READS[i])) == 0)
            return true;
    const ProtobufCFieldDescriptor *f = request_id_of(m);
    const char *id = f ? *(char *const *)((const char *)m + f->offset) : NULL;
    return id && *id;
}

static void end_call(struct call *call, hf_status st, const ProtobufCMessage *reply,
                     struct hf_grpc_stream *stream)
{
    LIST_REMOVE(call, link);
    hf_timer_stop(&call->retry);
    call->cb(st, reply, stream, call->arg);
    hf_status_drop(call->last);
    protobuf_c_message_free_unpacked(call->request, NULL);
    free(call);
}

static bool may_repeat(const struct call *call, hf_status st)
{
    switch (hf_status_code(st)) {
    case HF_NOT_LEADER:
    case HF_UNAVAILABLE:
        return true;
    case HF_UNKNOWN_OUTCOME:
    case HF_TIMEOUT: /* of the attempt; the call's own deadline is checked apart */
        return call->repeatable;
    default:
        return false;
    }
}

static void on_answer(hf_status st, const ProtobufCMessage *reply, struct hf_grpc_stream *stream, void *arg)
{
    struct call *call = arg;
    struct hf_leader_client *c = call->client;
    int64_t now = hf_env_now_ms(c->env);
    if (hf_ok(st)) {
        c->leader = call->node;
        end_call(call, st, reply, stream);
        return;
    }
    if (c->closing || !may_repeat(call, st) || now >= call->deadline_ms) {
        end_call(call, st, NULL, stream);
        return;
    }
    bool hinted = move_on(c, call->node, hf_grpc_stream_trailer(stream, HF_LEADER_TRAILER));
    hf_status_drop(call->last);
    call->last = hf_status_copy(st);
    int64_t wait_ms = call->backoff_ms;
    if (hinted && call->redirects++ < c->nodes_len)
        wait_ms = 0;
    else if ((call->backoff_ms *= 2) > BACKOFF_MAX_MS)
        call->backoff_ms = BACKOFF_MAX_MS;
    if (now + wait_ms > call->deadline_ms)
        wait_ms = call->deadline_ms - now;
    hf_timer_start(c->env, &call->retry, wait_ms, attempt, call);
}

static void attempt(void *arg)
{
    struct call *call = arg;
    struct hf_leader_client *c = call->client;
    int64_t left_ms = call->deadline_ms - hf_env_now_ms(c->env);
    if (left_ms <= 0) {
        hf_status st = hf_ok(call->last)
                           ? hf_error(HF_TIMEOUT, "the deadline has passed")
                           : hf_wrap(hf_status_copy(call->last), "no node answered in time; the last said");
        end_call(call, st, NULL, NULL);
        hf_status_drop(st);
        return;
    }
    bool waits = strncmp(call->method->name, "Wait", 4) == 0; /* silent for long by its nature */
    if (call->repeatable && !waits && c->nodes_len > 1 && left_ms > ATTEMPT_MS_MAX)
        left_ms = ATTEMPT_MS_MAX;
    call->node = c->leader;
    hf_grpc_unary(channel_of(c, call->node), call->service, call->method->name, call->request,
                  (unsigned)left_ms, on_answer, call);
}

void hf_leader_unary(struct hf_leader_client *c, const ProtobufCServiceDescriptor *service,
                     const char *method, const ProtobufCMessage *request, unsigned deadline_ms,
                     hf_grpc_unary_cb cb, void *arg)
{
    HF_ASSERT(!c->closing);
    struct call *call = HF_NEW(struct call);
    call->client = c;
    call->service = service;
    call->method = protobuf_c_service_descriptor_get_method_by_name(service, method);
    HF_ASSERT(call->method != NULL);
    call->request = hf_pb_copy(request);
    call->cb = cb;
    call->arg = arg;
    call->repeatable = is_repeatable(method, request);
    call->backoff_ms = BACKOFF_FIRST_MS;
    call->deadline_ms = hf_env_now_ms(c->env) + (deadline_ms ? deadline_ms : DEADLINE_MS_DEFAULT);
    LIST_INSERT_HEAD(&c->calls, call, link);
    attempt(call);
}

/* --- client --- */

struct hf_leader_client *hf_leader_client_create(uv_loop_t *loop, const char *const *addresses, size_t n,
                                                 const struct hf_tls_files *tls)
{
    HF_ASSERT(n > 0);
    struct hf_leader_client *c = HF_NEW(struct hf_leader_client);
    c->loop = loop;
    c->env = hf_env_uv_create(loop);
    LIST_INIT(&c->calls);
    for (size_t i = 0; i < n && i < NODES_MAX; i++)
        c->nodes[c->nodes_len++].address = hf_strdup(addresses[i]);
    if (tls)
        c->tls = (struct hf_tls_files){hf_strdup(tls->cert), hf_strdup(tls->key), hf_strdup(tls->ca)};
    return c;
}

void hf_leader_client_close(struct hf_leader_client *c)
{
    c->closing = true;
    for (size_t i = 0; i < c->nodes_len; i++) {
        if (c->nodes[i].channel)
            hf_grpc_channel_close(c->nodes[i].channel);
        free(c->nodes[i].address);
    }
    struct call *call;
    while ((call = LIST_FIRST(&c->calls))) { /* those between two attempts */
        hf_status st = hf_error(HF_CANCELLED, "the client was closed");
        end_call(call, st, NULL, NULL);
        hf_status_drop(st);
    }
    hf_env_uv_close(c->env);
    free((char *)c->tls.cert);
    free((char *)c->tls.key);
    free((char *)c->tls.ca);
    free(c);
}

struct hf_grpc_channel *hf_leader_channel(struct hf_leader_client *c)
{
    return channel_of(c, c->leader);
}

void hf_leader_failed(struct hf_leader_client *c, const char *leader_hint)
{
    move_on(c, c->leader, leader_hint);
}
