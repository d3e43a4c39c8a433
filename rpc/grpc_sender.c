#include "rpc/grpc_sender.h"

ssize_t hf_grpc_sender_fill(struct hf_grpc_sender *s, struct hf_h2_conn *conn, size_t length,
                            bool more_will_come, uint32_t *flags)
{
    size_t n = s->outbox.bytes < length ? s->outbox.bytes : length;
    if (n == 0) { /* an empty frame may be left out by nghttp2: nothing must be reserved for it */
        s->deferred = more_will_come;
        return more_will_come ? NGHTTP2_ERR_DEFERRED : 0;
    }
    s->frame = hf_h2_conn_reserve(conn, HF_H2_FRAME_HEADER + n);
    if (!s->frame)
        return NGHTTP2_ERR_PAUSE;
    hf_grpc_outbox_take(&s->outbox, s->frame + HF_H2_FRAME_HEADER, n);
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    return (ssize_t)n;
}

int hf_grpc_sender_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *framehd,
                             size_t length, nghttp2_data_source *source, void *user_data)
{
    (void)session, (void)frame, (void)length, (void)user_data;
    struct hf_grpc_sender *s = source->ptr;
    memcpy(s->frame, framehd, HF_H2_FRAME_HEADER);
    return 0;
}
