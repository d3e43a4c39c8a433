/* The hosts' streams at a simulated node, over the simulated network as control/host_link_grpc.c carries them
 * over gRPC. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "control/host_link.h"
#include "sim/node_private.h"

struct sim_node_stream {
    LIST_ENTRY(sim_node_stream) link;
    struct sim_node *node;
    struct sim_conn *conn;         /* NULL: over */
    struct hf_host_stream *stream; /* from the first message on */
    char peer[SIM_PROC_NAME + 8];
};

static void gone(void *arg)
{
    struct sim_node_stream *s = arg;
    LIST_REMOVE(s, link);
    if (s->stream != NULL)
        hf_host_link_closed(s->stream);
    free(s);
}

/* The link hears of the end after the call that made it. */
static void gone_later(struct sim_node_stream *s)
{
    s->conn = NULL;
    sim_proc_post(&s->node->proc, 0, gone, NULL, s);
}

static void send_message(void *arg, const Holdfast__V1__ControlMessage *m)
{
    const struct sim_node_stream *s = arg;
    if (s->conn == NULL)
        return;
    struct hf_bytes *b = hf_bytes_new(holdfast__v1__control_message__get_packed_size(m));
    holdfast__v1__control_message__pack(m, b->data);
    sim_conn_send(s->conn, b);
    hf_bytes_unref(b);
}

static void end_stream(void *arg, hf_status take_st)
{
    struct sim_node_stream *s = arg;
    if (s->conn != NULL) {
        struct sim_end_reason why = {.code = hf_status_code(take_st)};
        snprintf(why.message, sizeof why.message, "%s", hf_status_message(take_st));
        if (why.code == HF_NOT_LEADER)
            hf_host_link_leader(&s->node->control, why.leader, sizeof why.leader);
        sim_conn_close(s->conn, &why);
        gone_later(s);
    }
    hf_status_drop(take_st);
}

static const struct hf_host_stream_ops stream_ops = {.send = send_message, .end = end_stream};

static void on_message(void *arg, struct hf_bytes *bytes)
{
    struct sim_node_stream *s = arg;
    Holdfast__V1__HostMessage *m = holdfast__v1__host_message__unpack(NULL, bytes->len, bytes->data);
    if (m == NULL) {
        end_stream(s, hf_error(HF_INVALID, "the message is not a HostMessage"));
        return;
    }
    if (s->stream == NULL)
        s->stream = hf_host_link_opened(s->node->control.host_link, &stream_ops, s, s->peer, "");
    hf_host_link_message(s->stream, m);
    holdfast__v1__host_message__free_unpacked(m, NULL);
}

static void on_ended(void *arg, const struct sim_end_reason *why)
{
    (void)why;
    gone(arg);
}

static const struct sim_conn_ops conn_ops = {on_message, on_ended};

void sim_node_hosts_accept(struct sim_node *n, struct sim_conn *c, unsigned from)
{
    struct sim_node_stream *s = HF_NEW(struct sim_node_stream);
    s->node = n;
    s->conn = c;
    snprintf(s->peer, sizeof s->peer, "%s:5000", sim_net_name(n->w->net, from));
    LIST_INSERT_HEAD(&n->streams, s, link);
    sim_conn_take(c, &conn_ops, s);
}

void sim_node_hosts_end(struct sim_node *n)
{
    while (!LIST_EMPTY(&n->streams))
        gone(LIST_FIRST(&n->streams));
}
