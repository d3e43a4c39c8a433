/* Inside of the gRPC client: channels, their connections and streams. grpc_client.c owns channels and
 * connections, grpc_stream.c what a stream does. Not for other folders.
 */
#ifndef HF_RPC_GRPC_STREAM_H
#define HF_RPC_GRPC_STREAM_H

#include "rpc/grpc_client.h"
#include "rpc/grpc_metadata.h"
#include "rpc/grpc_sender.h"

#define HF_GRPC_REPLY_MAX         (64u << 20) /* bytes of one message from the server */
#define HF_GRPC_CLIENT_HIGH_WATER (1u << 20)  /* bytes waiting before hf_grpc_stream_send says so */
#define HF_GRPC_STREAM_POOL_MAX   4096u       /* ended streams kept for reuse */

/* A connection of a channel: the current one, or one that drains after a GOAWAY. */
struct hf_grpc_link {
    struct hf_h2_conn h2;
    struct hf_grpc_channel *channel;
    LIST_ENTRY(hf_grpc_link) entry;
    LIST_HEAD(, hf_grpc_stream) streams; /* also those that have ended, until nghttp2 lets go of them */
};

struct hf_grpc_stream {
    /* fixed */
    struct hf_grpc_channel *channel;
    struct hf_grpc_link *link;        /* NULL: there was no connection to put it on */
    LIST_ENTRY(hf_grpc_stream) entry; /* of link->streams or channel->unlinked */
    int32_t stream_id;
    const ProtobufCMethodDescriptor *method;
    const ProtobufCServiceDescriptor *service;
    const struct hf_grpc_stream_handler *handler; /* NULL: unary */
    hf_grpc_unary_cb unary_cb;
    void *arg;
    /* volatile */
    struct hf_timer deadline;
    struct hf_h2_task end_later; /* gives local_end to the user */
    hf_status local_end;         /* decided here, not by the server */
    bool has_local_end;
    ProtobufCMessage *unary_reply;
    struct hf_grpc_decoder decoder;
    struct hf_grpc_sender sender;
    int http_status;
    bool sent;        /* the server may have heard of it */
    bool half_closed; /* our side has said its last */
    bool connected;   /* the answer's first headers are here */
    bool ended;       /* end has been called */
    struct hf_grpc_metadata
        metadata; /* headers and trailers of the answer; last: what is in place need not be cleared */
};

struct hf_grpc_channel {
    /* fixed */
    struct hf_h2_driver driver;
    char *address, *host;
    SSL_CTX *tls;
    hf_status broken; /* not OK: its options can never work, every call ends with this */
    unsigned connect_ms, keepalive_ms;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *h2_option;
    /* volatile */
    struct hf_grpc_link *current; /* where new calls go; NULL: connect first */
    LIST_HEAD(, hf_grpc_link) links;
    LIST_HEAD(, hf_grpc_stream) unlinked;
    struct hf_grpc_stream *pool; /* linked by entry.le_next */
    unsigned pool_len;
    bool closing, closed;
};

/* The connection for new calls, made if there is none. */
struct hf_grpc_link *hf_grpc_channel_link(struct hf_grpc_channel *c);
/* The channel may be able to go now. */
void hf_grpc_channel_free_when_empty(struct hf_grpc_channel *c);

/* --- grpc_stream.c --- */
void hf_grpc_stream_header(struct hf_grpc_stream *s, const char *name, size_t name_len, const char *value,
                           size_t value_len);
void hf_grpc_stream_headers_end(struct hf_grpc_stream *s, bool last_of_answer);
void hf_grpc_stream_receive(struct hf_grpc_stream *s, const uint8_t *data, size_t len);
/* Tells the user, once; takes st. The stream stays until nghttp2 lets go. */
void hf_grpc_stream_end(struct hf_grpc_stream *s, hf_status st);
/* nghttp2 has let go: end it if nobody has, with what the answer said, and free it. */
void hf_grpc_stream_gone(struct hf_grpc_stream *s, uint32_t h2_error);
/* The connection broke: the same. */
void hf_grpc_stream_lost(struct hf_grpc_stream *s, const char *why);

#endif
