#include "control/api_grpc.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"

extern const unsigned char hf_descriptor_set[];
extern const unsigned long hf_descriptor_set_len;

/* What hf_grpc_call_user() gives for the calls of one method. */
struct route {
    struct hf_api *api;
    const struct hf_api_method *method;
};

struct hf_api_grpc {
    struct hf_grpc_server *server;
    struct route *routes;
    size_t n;
};

/* One gRPC call: the carrier of one API call. Lives from its request message to `closed`. */
struct carried {
    struct hf_grpc_call *grpc;
    struct hf_api_call *call; /* NULL: not started or ended */
};

static bool sink_message(void *arg, const ProtobufCMessage *m)
{
    return hf_grpc_send(((struct carried *)arg)->grpc, m);
}

static bool sink_bytes(void *arg, struct hf_bytes *b)
{
    return hf_grpc_send_bytes(((struct carried *)arg)->grpc, b);
}

static void sink_trailer(void *arg, const char *key, const char *value)
{
    hf_grpc_add_trailer(((struct carried *)arg)->grpc, key, value);
}

static void sink_end(void *arg, hf_status take_st)
{
    struct carried *c = arg;
    c->call = NULL;
    hf_grpc_finish(c->grpc, take_st);
}

static const struct hf_api_sink sink = {sink_message, sink_bytes, sink_trailer, sink_end};

static void on_message(struct hf_grpc_call *grpc, ProtobufCMessage *m)
{
    const struct route *r = hf_grpc_call_user(grpc);
    struct carried *c = hf_grpc_call_data(grpc);
    if (c != NULL) { /* all our methods take one request */
        protobuf_c_message_free_unpacked(m, NULL);
        return;
    }
    c = HF_NEW(struct carried);
    c->grpc = grpc;
    hf_grpc_call_set_data(grpc, c);
    struct hf_api_call *call =
        hf_api_call_start(r->api, r->method, m, hf_grpc_call_remaining_ms(grpc), &sink, c);
    if (call != NULL)
        c->call = call;
}

static void on_half_close(struct hf_grpc_call *grpc)
{
    if (hf_grpc_call_data(grpc) == NULL)
        hf_grpc_finish(grpc, hf_error(HF_INVALID, "the call has no request message"));
}

static void on_writable(struct hf_grpc_call *grpc)
{
    struct carried *c = hf_grpc_call_data(grpc);
    if (c != NULL && c->call != NULL)
        hf_api_call_writable(c->call);
}

static void on_closed(struct hf_grpc_call *grpc, bool cancelled)
{
    (void)cancelled;
    struct carried *c = hf_grpc_call_data(grpc);
    if (c == NULL)
        return;
    hf_grpc_call_set_data(grpc, NULL);
    if (c->call != NULL)
        hf_api_call_cancel(c->call);
    free(c);
}

static const struct hf_grpc_handler handler = {on_message, on_half_close, on_writable, on_closed};

struct hf_api_grpc *hf_api_grpc_create(struct hf_api *api, struct hf_grpc_server *server)
{
    struct hf_api_grpc *g = HF_NEW(struct hf_api_grpc);
    g->server = server;
    while (hf_api_method(g->n) != NULL)
        g->n++;
    g->routes = hf_alloc_array(g->n, sizeof *g->routes);
    for (size_t i = 0; i < g->n; i++) {
        const struct hf_api_method *m = hf_api_method(i);
        g->routes[i] = (struct route){api, m};
        hf_grpc_server_add(server, hf_api_method_service(m), hf_api_method_name(m), &handler, &g->routes[i]);
    }
    hf_grpc_server_add_health(server);
    hf_grpc_server_add_reflection(server, hf_descriptor_set, hf_descriptor_set_len);
    return g;
}

void hf_api_grpc_free(struct hf_api_grpc *g)
{
    free(g->routes);
    free(g);
}

void hf_api_grpc_set_serving(struct hf_api_grpc *g, bool serving)
{
    const ProtobufCServiceDescriptor *last = NULL;
    hf_grpc_server_set_health(g->server, "", serving);
    for (size_t i = 0; i < g->n; i++) { /* the rows of a service stand together */
        const ProtobufCServiceDescriptor *s = hf_api_method_service(g->routes[i].method);
        if (s != last)
            hf_grpc_server_set_health(g->server, s->name, serving);
        last = s;
    }
}
