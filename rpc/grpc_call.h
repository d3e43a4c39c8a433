/* Inside of the gRPC server: methods, connections and calls. grpc_server.c owns listening, methods and
 * connections; grpc_call.c owns what a call does between its headers and its trailers. Not for other folders.
 */
#ifndef HF_RPC_GRPC_CALL_H
#define HF_RPC_GRPC_CALL_H

#include "rpc/grpc_metadata.h"
#include "rpc/grpc_sender.h"
#include "rpc/grpc_server.h"

#define HF_GRPC_METHOD_BUCKETS    256u
#define HF_GRPC_STREAMS_MAX       4096u       /* calls at once on a connection */
#define HF_GRPC_STREAM_WINDOW     (256 << 10) /* bytes that a client may send ahead on one call … */
#define HF_GRPC_CONNECTION_WINDOW (8 << 20)   /* … and on all calls of a connection */
#define HF_GRPC_BUFFERED_MAX      (64u << 20) /* bytes of unfinished or paused requests, per connection */
#define HF_GRPC_CALL_POOL_MAX     4096u       /* ended calls kept for reuse */

struct hf_health;
struct hf_reflection;

struct hf_grpc_method {
    struct hf_grpc_method *next; /* in its bucket */
    char *path;                  /* "/holdfast.v1.ZoneService/GetZone" */
    size_t path_len;
    const ProtobufCServiceDescriptor *service;
    const ProtobufCMethodDescriptor *descriptor;
    struct hf_grpc_handler handler;
    void *user;
    bool one_request; /* not client streaming */
};

struct hf_grpc_conn {
    struct hf_h2_conn h2;
    struct hf_grpc_server *server;
    LIST_ENTRY(hf_grpc_conn) link;
    LIST_HEAD(, hf_grpc_call) calls;
    TAILQ_HEAD(, hf_grpc_call) drained; /* to be told "writable" */
    size_t buffered;                    /* received, but not yet with a handler */
};

struct hf_grpc_call {
    /* fixed */
    struct hf_grpc_conn *conn;
    LIST_ENTRY(hf_grpc_call) link;
    TAILQ_ENTRY(hf_grpc_call) drained_link;
    int32_t stream_id;
    const struct hf_grpc_method *method; /* NULL: the path is unknown */
    void *data;                          /* the handler's */
    /* request */
    int64_t timeout_ms; /* -1: none; -2: not understood */
    int64_t deadline_ns;
    struct hf_timer deadline;
    struct hf_grpc_decoder decoder;
    uint8_t *held; /* received while paused, at most one stream window */
    size_t held_len, held_cap;
    /* answer */
    struct hf_grpc_sender sender;
    hf_status status;
    struct hf_grpc_metadata *trailers; /* added by the handler, or NULL */
    unsigned trailers_len;
    /* flags of the request */
    bool opened; /* its headers are complete */
    bool is_post, is_grpc, metadata_full;
    bool seen; /* the handler knows of the call: tell it when it closes */
    bool got_message;
    bool half_closed; /* the client has sent its last frame … */
    bool half_told;   /* … and the handler knows */
    bool paused, feeding;
    /* flags of the answer */
    bool headers_sent, finished, trailers_sent;
    bool full;                        /* the handler waits for `writable` */
    bool drained;                     /* and is on conn->drained */
    struct hf_grpc_metadata metadata; /* last: what is in place need not be cleared */
};

struct hf_grpc_server {
    /* fixed */
    struct hf_h2_driver driver;
    struct hf_grpc_server_options options;
    struct sockaddr_storage address;
    SSL_CTX *tls; /* NULL: plaintext */
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *h2_option;
    struct hf_grpc_method *methods[HF_GRPC_METHOD_BUCKETS];
    struct hf_health *health;
    struct hf_reflection *reflection;
    /* volatile */
    uv_tcp_t listener;
    bool listening;
    LIST_HEAD(, hf_grpc_conn) conns;
    unsigned conns_len;
    struct hf_grpc_call *pool; /* linked by link.le_next */
    unsigned pool_len;
    /* closing */
    bool closing, closed;
    unsigned grace_ms;
    struct hf_timer close_timer;
    void (*done)(void *arg);
    void *done_arg;
};

const struct hf_grpc_method *hf_grpc_server_find(const struct hf_grpc_server *s, const char *path,
                                                 size_t len);

/* --- grpc_call.c --- */
struct hf_grpc_call *hf_grpc_call_create(struct hf_grpc_conn *conn, int32_t stream_id);
void hf_grpc_call_header(struct hf_grpc_call *call, const char *name, size_t name_len, const char *value,
                         size_t value_len);
/* The request's headers are complete: the call begins, or is turned away. */
void hf_grpc_call_open(struct hf_grpc_call *call);
void hf_grpc_call_receive(struct hf_grpc_call *call, const uint8_t *data, size_t len);
void hf_grpc_call_half_close(struct hf_grpc_call *call);
/* Tells handlers whose queues have drained. */
void hf_grpc_conn_tell_drained(struct hf_grpc_conn *conn);
/* The stream is gone: the handler's last callback, then the call is no more. */
void hf_grpc_call_gone(struct hf_grpc_call *call, uint32_t h2_error);

#endif
