/* The sending half of a call, the same for server and client: messages wait in an outbox and become DATA
 * frames in the connection's output without a copy in between.
 */
#ifndef HF_RPC_GRPC_SENDER_H
#define HF_RPC_GRPC_SENDER_H

#include <string.h>

#include "rpc/grpc_frame.h"
#include "rpc/http2_conn.h"

/* The data source of its stream: nghttp2_data_source.ptr. */
struct hf_grpc_sender {
    struct hf_grpc_outbox outbox;
    uint8_t *frame; /* where the header of the DATA frame being made goes */
    bool deferred;  /* nghttp2 has been told that there is nothing: resume it */
};

/* For read callbacks: puts up to length bytes into the connection's output. Returns their number, or DEFERRED
 * (nothing there, and more will come), or PAUSE (this write is full). */
ssize_t hf_grpc_sender_fill(struct hf_grpc_sender *s, struct hf_h2_conn *conn, size_t length,
                            bool more_will_come, uint32_t *flags);
/* nghttp2's send_data callback: the header of the frame that fill has filled. */
int hf_grpc_sender_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *framehd,
                             size_t length, nghttp2_data_source *source, void *user_data);

/* Name and value that live as long as the session: nghttp2 need not copy them. */
#define HF_NV_FIXED(n, v)                                                                                    \
    ((nghttp2_nv){(uint8_t *)(n), (uint8_t *)(v), sizeof(n) - 1, sizeof(v) - 1,                              \
                  NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE})

static inline nghttp2_nv hf_nv_text(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

#endif
