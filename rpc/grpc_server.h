/* gRPC server over HTTP/2 (nghttp2, OpenSSL, libuv), all on one loop. Source: the gRPC over HTTP/2 protocol
 * document, RFC 9113; errors follow google.rpc.Status (grpc-status-details-bin).
 *
 * A call lives until its `closed` callback has returned; nothing may touch it afterwards. Handlers answer at
 * once or later.
 */
#ifndef HF_RPC_GRPC_SERVER_H
#define HF_RPC_GRPC_SERVER_H

#include <protobuf-c/protobuf-c.h>
#include <uv.h>

#include "base/bytes.h"
#include "base/status.h"

struct hf_grpc_server;
struct hf_grpc_call;

struct hf_tls_files {
    const char *cert, *key; /* PEM files; NULL cert: plaintext */
    const char *ca;         /* server: require and verify client certificates; client: verify the server */
};

struct hf_grpc_server_options {
    const char *address; /* "127.0.0.1:7480", "[::]:7480", port 0: any */
    struct hf_tls_files tls;
    size_t message_max;       /* bytes of one request message; 0: 4 MiB. More ends the call with EXHAUSTED */
    size_t send_high_water;   /* bytes queued on a call before hf_grpc_send says so; 0: 1 MiB */
    unsigned connections_max; /* 0: 4096 */
};

/* message: each request message; the callee owns m (protobuf_c_message_free_unpacked). half_close: the client
 * has sent its last. writable: the queue has drained after hf_grpc_send said "full". closed: the last
 * callback, exactly once; cancelled: the client or the deadline ended the call before its answer was out. Any
 * but message may be NULL. */
struct hf_grpc_handler {
    void (*message)(struct hf_grpc_call *call, ProtobufCMessage *m);
    void (*half_close)(struct hf_grpc_call *call);
    void (*writable)(struct hf_grpc_call *call);
    void (*closed)(struct hf_grpc_call *call, bool cancelled);
};

hf_status hf_grpc_server_create(uv_loop_t *loop, const struct hf_grpc_server_options *o,
                                struct hf_grpc_server **ret) HF_MUST_USE;

/* Registers one method; user is hf_grpc_call_user() of its calls. Asserts that the method exists. Unknown
 * methods are answered with UNIMPLEMENTED. Malformed messages end the call with INVALID before the handler
 * sees them. */
void hf_grpc_server_add(struct hf_grpc_server *s, const ProtobufCServiceDescriptor *service,
                        const char *method, const struct hf_grpc_handler *h, void *user);

/* Adds grpc.health.v1.Health (Check and Watch) and grpc.reflection v1 + v1alpha over the embedded descriptor
 * set. */
void hf_grpc_server_add_health(struct hf_grpc_server *s);
/* service "": the server as a whole. Watchers are told. */
void hf_grpc_server_set_health(struct hf_grpc_server *s, const char *service, bool serving);
void hf_grpc_server_add_reflection(struct hf_grpc_server *s, const unsigned char *descriptor_set, size_t len);

hf_status hf_grpc_server_listen(struct hf_grpc_server *s) HF_MUST_USE;
int hf_grpc_server_port(const struct hf_grpc_server *s);
/* Stops accepting, says GOAWAY, lets calls end for grace_ms, cancels the rest, frees itself, then calls done.
 */
void hf_grpc_server_close(struct hf_grpc_server *s, unsigned grace_ms, void (*done)(void *arg), void *arg);

/* --- calls --- */
/* Queues a message. false: the queue is above high water (it was queued; wait for `writable`) or the call has
 * ended. */
bool hf_grpc_send(struct hf_grpc_call *call, const ProtobufCMessage *m);
/* The same for a message that is already serialized (a reference is taken). */
bool hf_grpc_send_bytes(struct hf_grpc_call *call, struct hf_bytes *bytes);
/* Ends the call; takes st. Metadata key/value pairs may be added to the trailers before (both copied, ASCII).
 */
void hf_grpc_add_trailer(struct hf_grpc_call *call, const char *key, const char *value);
void hf_grpc_finish(struct hf_grpc_call *call, hf_status st);

void hf_grpc_read_pause(struct hf_grpc_call *call, bool pause);
const char *hf_grpc_call_metadata(struct hf_grpc_call *call, const char *key); /* NULL if absent */
/* Common name and URI names of the verified client certificate, or "". */
const char *hf_grpc_call_peer_name(struct hf_grpc_call *call);
const char *hf_grpc_call_peer_address(struct hf_grpc_call *call); /* "10.0.0.1:55000" */
/* Milliseconds until the client's deadline, or -1 when it gave none. */
int64_t hf_grpc_call_remaining_ms(struct hf_grpc_call *call);
void *hf_grpc_call_user(struct hf_grpc_call *call);
void hf_grpc_call_set_data(struct hf_grpc_call *call, void *data);
void *hf_grpc_call_data(struct hf_grpc_call *call);
const ProtobufCMethodDescriptor *hf_grpc_call_method(struct hf_grpc_call *call);
const ProtobufCServiceDescriptor *hf_grpc_call_service(struct hf_grpc_call *call);

#endif
