#include "control/host_link_grpc.h"

#include "control/upload_grpc.h"

#define HF_LEADER_TRAILER "holdfast-leader"
#define ADDRESS_MAX       256

static void finish(struct hf_grpc_call *call, hf_status take_st)
{
    struct hf_control *c = hf_grpc_call_user(call);
    char address[ADDRESS_MAX];
    if (hf_status_code(take_st) == HF_NOT_LEADER && hf_host_link_leader(c, address, sizeof address) != NULL)
        hf_grpc_add_trailer(call, HF_LEADER_TRAILER, address);
    hf_grpc_finish(call, take_st);
}

/* A host that does not read is above high water soon; what it misses it gets when it attaches anew. */
static void send_cb(void *arg, const Holdfast__V1__ControlMessage *m)
{
    hf_grpc_send(arg, &m->base);
}

static void end_cb(void *arg, hf_status take_st)
{
    finish(arg, take_st);
}

static const struct hf_host_stream_ops stream_ops = {.send = send_cb, .end = end_cb};

static void message_cb(struct hf_grpc_call *call, ProtobufCMessage *m)
{
    struct hf_control *c = hf_grpc_call_user(call);
    struct hf_host_stream *s = hf_grpc_call_data(call);
    if (s == NULL) {
        s = hf_host_link_opened(c->host_link, &stream_ops, call, hf_grpc_call_peer_address(call),
                                hf_grpc_call_peer_name(call));
        hf_grpc_call_set_data(call, s);
    }
    hf_host_link_message(s, (const Holdfast__V1__HostMessage *)(const void *)m);
    protobuf_c_message_free_unpacked(m, NULL);
}

static void half_close_cb(struct hf_grpc_call *call)
{
    hf_grpc_finish(call, HF_STATUS_OK);
}

static void closed_cb(struct hf_grpc_call *call, bool cancelled)
{
    (void)cancelled;
    struct hf_host_stream *s = hf_grpc_call_data(call);
    if (s != NULL)
        hf_host_link_closed(s);
}

void hf_host_link_register(struct hf_grpc_server *server, struct hf_control *control)
{
    static const struct hf_grpc_handler handler = {
        .message = message_cb, .half_close = half_close_cb, .closed = closed_cb};
    hf_grpc_server_add(server, &holdfast__v1__host_link_service__descriptor, "Attach", &handler, control);
    hf_upload_register(server, control);
}
