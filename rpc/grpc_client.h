/* gRPC client over HTTP/2 on a libuv loop: one channel is one connection to one address. Following a leader
 * from node to node is leader_client.h's work.
 */
#ifndef HF_RPC_GRPC_CLIENT_H
#define HF_RPC_GRPC_CLIENT_H

#include <protobuf-c/protobuf-c.h>
#include <uv.h>

#include "base/status.h"
#include "rpc/grpc_server.h"

struct hf_grpc_channel;
struct hf_grpc_stream;

struct hf_grpc_channel_options {
    const char *address;     /* "127.0.0.1:7480" */
    struct hf_tls_files tls; /* ca NULL: plaintext */
    unsigned connect_ms;     /* 0: 5000 */
    unsigned keepalive_ms;   /* ping after this much quiet, dead after as much more; 0: 10000 */
};

/* Connects when first used. After a broken connection calls under way end with UNAVAILABLE (not yet sent) or
 * UNKNOWN_OUTCOME (sent), and the next call connects again. */
struct hf_grpc_channel *hf_grpc_channel_create(uv_loop_t *loop, const struct hf_grpc_channel_options *o);
/* Ends all calls with CANCELLED (callbacks run before it returns), then frees itself when the loop lets go.
 */
void hf_grpc_channel_close(struct hf_grpc_channel *c);

/* message: the callee owns m. end: exactly once, last; st is borrowed. trailer values:
 * hf_grpc_stream_trailer. */
struct hf_grpc_stream_handler {
    void (*message)(struct hf_grpc_stream *s, ProtobufCMessage *m, void *arg);
    void (*end)(struct hf_grpc_stream *s, hf_status st, void *arg);
    void (*connected)(struct hf_grpc_stream *s, void *arg); /* response headers are here; may be NULL */
};

/* deadline_ms 0: none. Past it the call ends with TIMEOUT, or with UNAVAILABLE if it could not even be sent.
 */
struct hf_grpc_stream *hf_grpc_open(struct hf_grpc_channel *c, const ProtobufCServiceDescriptor *service,
                                    const char *method, unsigned deadline_ms,
                                    const struct hf_grpc_stream_handler *h, void *arg);
/* false: more than 1 MiB waits to be sent (it was queued all the same), or the stream has ended. */
bool hf_grpc_stream_send(struct hf_grpc_stream *s, const ProtobufCMessage *m);
void hf_grpc_stream_half_close(struct hf_grpc_stream *s);
void hf_grpc_stream_cancel(struct hf_grpc_stream *s); /* end is called with CANCELLED in a later turn */
/* Value of a trailer or header of the answer, or NULL (also for no stream). Valid inside end. */
const char *hf_grpc_stream_trailer(struct hf_grpc_stream *s, const char *key);

/* One request, one answer. reply is NULL unless st is OK; both are borrowed. stream gives trailers. */
typedef void (*hf_grpc_unary_cb)(hf_status st, const ProtobufCMessage *reply, struct hf_grpc_stream *stream,
                                 void *arg);
struct hf_grpc_stream *hf_grpc_unary(struct hf_grpc_channel *c, const ProtobufCServiceDescriptor *service,
                                     const char *method, const ProtobufCMessage *request,
                                     unsigned deadline_ms, hf_grpc_unary_cb cb, void *arg);

#endif
