/* Calls of the API over the simulated network, one connection each: the request goes in an envelope (method,
 * time left), answers come as they are, the end carries the status and who leads.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sim/node_private.h"

struct envelope {
    const struct hf_api_method *method;
    int64_t remaining_ms; /* -1: no deadline */
};

/* --- the node's side --- */

struct sim_node_call {
    LIST_ENTRY(sim_node_call) link;
    struct sim_node *node;
    struct sim_conn *conn;    /* NULL: over */
    struct hf_api_call *call; /* NULL: not started, or ended */
    bool asked;
    bool starting; /* within the call's start */
    char leader[sizeof((struct sim_end_reason *)0)->leader];
};

static void call_free(struct sim_node_call *c)
{
    LIST_REMOVE(c, link);
    free(c);
}

static bool sink_bytes(void *arg, struct hf_bytes *b)
{
    const struct sim_node_call *c = arg;
    sim_conn_send(c->conn, b);
    return true;
}

static bool sink_message(void *arg, const ProtobufCMessage *m)
{
    struct hf_bytes *b = hf_bytes_new(protobuf_c_message_get_packed_size(m));
    protobuf_c_message_pack(m, b->data);
    sink_bytes(arg, b);
    hf_bytes_unref(b);
    return true;
}

static void sink_trailer(void *arg, const char *key, const char *value)
{
    struct sim_node_call *c = arg;
    if (strcmp(key, HF_API_LEADER_TRAILER) == 0)
        snprintf(c->leader, sizeof c->leader, "%s", value);
}

static void sink_end(void *arg, hf_status take_st)
{
    struct sim_node_call *c = arg;
    struct sim_end_reason why = {.code = hf_status_code(take_st)};
    snprintf(why.message, sizeof why.message, "%s", hf_status_message(take_st));
    snprintf(why.leader, sizeof why.leader, "%s", c->leader);
    hf_status_drop(take_st);
    sim_conn_close(c->conn, &why);
    c->conn = NULL;
    c->call = NULL;
    if (!c->starting)
        call_free(c);
}

static const struct hf_api_sink sink = {sink_message, sink_bytes, sink_trailer, sink_end};

static const ProtobufCMethodDescriptor *descriptor_of(const struct hf_api_method *m)
{
    return protobuf_c_service_descriptor_get_method_by_name(hf_api_method_service(m), hf_api_method_name(m));
}

static void on_request(void *arg, struct hf_bytes *bytes)
{
    struct sim_node_call *c = arg;
    struct envelope e;
    if (c->asked)
        return; /* all methods take one request */
    c->asked = c->starting = true;
    HF_ASSERT(bytes->len >= sizeof e);
    memcpy(&e, bytes->data, sizeof e);
    ProtobufCMessage *request = protobuf_c_message_unpack(descriptor_of(e.method)->input, NULL,
                                                          bytes->len - sizeof e, bytes->data + sizeof e);
    HF_ASSERT(request != NULL); /* it was a message when it was packed */
    struct hf_api_call *call = hf_api_call_start(c->node->api, e.method, request, e.remaining_ms, &sink, c);
    c->starting = false;
    if (c->conn == NULL)
        call_free(c);
    else
        c->call = call;
}

static void on_caller_gone(void *arg, const struct sim_end_reason *why)
{
    struct sim_node_call *c = arg;
    (void)why;
    if (c->call != NULL)
        hf_api_call_cancel(c->call);
    call_free(c);
}

static const struct sim_conn_ops served_ops = {on_request, on_caller_gone};

void sim_node_api_accept(struct sim_node *n, struct sim_conn *conn)
{
    struct sim_node_call *c = HF_NEW(struct sim_node_call);
    c->node = n;
    c->conn = conn;
    LIST_INSERT_HEAD(&n->calls, c, link);
    sim_conn_take(conn, &served_ops, c);
}

void sim_node_api_end(struct sim_node *n)
{
    while (!LIST_EMPTY(&n->calls))
        on_caller_gone(LIST_FIRST(&n->calls), NULL);
}

/* --- the caller's side --- */

struct sim_api_call {
    struct sim_conn *conn;
    struct hf_timer deadline;
    const ProtobufCMessageDescriptor *output;
    const struct sim_api_call_ops *ops;
    void *arg;
};

static void on_answer(void *arg, struct hf_bytes *bytes)
{
    const struct sim_api_call *c = arg;
    ProtobufCMessage *m = protobuf_c_message_unpack(c->output, NULL, bytes->len, bytes->data);
    HF_ASSERT(m != NULL);
    c->ops->message(c->arg, m); /* it may cancel the call */
    protobuf_c_message_free_unpacked(m, NULL);
}

static void finish(struct sim_api_call *c, const struct sim_end_reason *why)
{
    const struct sim_api_call_ops *ops = c->ops;
    void *arg = c->arg;
    hf_timer_stop(&c->deadline);
    free(c);
    ops->ended(arg, why);
}

static void on_conn_ended(void *arg, const struct sim_end_reason *why)
{
    finish(arg, why);
}

static void on_deadline(void *arg)
{
    struct sim_api_call *c = arg;
    sim_conn_close(c->conn, NULL);
    finish(c, &(struct sim_end_reason){.code = HF_TIMEOUT, .message = "no answer before the deadline"});
}

static const struct sim_conn_ops caller_ops = {on_answer, on_conn_ended};

static const struct hf_api_method *find(const char *service, const char *method)
{
    char full[128];
    snprintf(full, sizeof full, "holdfast.v1.%sService", service);
    const struct hf_api_method *m = hf_api_method_find(full, method);
    HF_ASSERT(m != NULL);
    return m;
}

struct sim_api_call *sim_api_call(struct sim_world *w, struct sim_proc *from, unsigned from_place,
                                  unsigned node, const char *service, const char *method,
                                  const ProtobufCMessage *request, int64_t deadline_ms,
                                  const struct sim_api_call_ops *ops, void *arg)
{
    struct envelope e = {.method = find(service, method), .remaining_ms = deadline_ms};
    HF_ASSERT(descriptor_of(e.method)->input == request->descriptor);
    struct sim_api_call *c = HF_NEW(struct sim_api_call);
    c->output = descriptor_of(e.method)->output;
    c->ops = ops;
    c->arg = arg;
    struct hf_bytes *b = hf_bytes_new(sizeof e + protobuf_c_message_get_packed_size(request));
    memcpy(b->data, &e, sizeof e);
    protobuf_c_message_pack(request, b->data + sizeof e);
    c->conn = sim_conn_dial(w->net, from, from_place, w->nodes[node]->place, SIM_SERVICE_API, &caller_ops, c);
    sim_conn_send(c->conn, b);
    hf_bytes_unref(b);
    hf_timer_start(&from->env, &c->deadline, deadline_ms, on_deadline, c);
    return c;
}

void sim_api_cancel(struct sim_api_call *c)
{
    hf_timer_stop(&c->deadline);
    sim_conn_close(c->conn, NULL);
    free(c);
}
