#include "rpc/grpc_stream.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "rpc/grpc_status.h"

#define PATH_MAX_LEN 256

/* --- life --- */

static struct hf_grpc_stream *stream_create(struct hf_grpc_channel *c)
{
    struct hf_grpc_stream *s = c->pool;
    if (s) {
        c->pool = s->entry.le_next;
        c->pool_len--;
        memset(s, 0, offsetof(struct hf_grpc_stream, metadata));
    } else {
        s = HF_NEW(struct hf_grpc_stream);
    }
    s->channel = c;
    s->decoder.message_max = HF_GRPC_REPLY_MAX;
    hf_grpc_outbox_init(&s->sender.outbox);
    hf_grpc_metadata_init(&s->metadata);
    return s;
}

static void stream_free(struct hf_grpc_stream *s)
{
    struct hf_grpc_channel *c = s->channel;
    HF_ASSERT(s->ended);
    LIST_REMOVE(s, entry);
    hf_timer_stop(&s->deadline);
    hf_h2_driver_unqueue(&c->driver, &s->end_later);
    hf_grpc_decoder_done(&s->decoder);
    hf_grpc_outbox_done(&s->sender.outbox);
    hf_grpc_metadata_done(&s->metadata);
    if (c->pool_len == HF_GRPC_STREAM_POOL_MAX) {
        free(s);
        return;
    }
    s->entry.le_next = c->pool;
    c->pool = s;
    c->pool_len++;
}

static void end_unary(struct hf_grpc_stream *s, hf_status st)
{
    ProtobufCMessage *reply = s->unary_reply;
    s->unary_reply = NULL;
    if (hf_ok(st) && !reply)
        st = hf_error(HF_INTERNAL, "%s answered %s without a message", s->channel->address, s->method->name);
    s->unary_cb(st, hf_ok(st) ? reply : NULL, s, s->arg);
    hf_status_drop(st);
    if (reply)
        protobuf_c_message_free_unpacked(reply, NULL);
}

void hf_grpc_stream_end(struct hf_grpc_stream *s, hf_status st)
{
    if (s->ended) {
        hf_status_drop(st);
        return;
    }
    s->ended = true;
    hf_timer_stop(&s->deadline);
    if (s->has_local_end && s->local_end.error != st.error) {
        hf_status_drop(st); /* decided here before the server's word came */
        st = s->local_end;
    }
    s->local_end = HF_STATUS_OK;
    s->has_local_end = false;
    if (s->unary_cb) {
        end_unary(s, st);
        return;
    }
    s->handler->end(s, st, s->arg);
    hf_status_drop(st);
}

static void on_end_later(struct hf_h2_task *task)
{
    struct hf_grpc_stream *s = hf_container_of(task, struct hf_grpc_stream, end_later);
    struct hf_grpc_channel *c = s->channel;
    bool linked = s->link != NULL; /* asked first: the user may close the channel, and so free s */
    hf_grpc_stream_end(s, s->local_end);
    if (linked)
        return; /* nghttp2 still has it */
    stream_free(s);
    hf_grpc_channel_free_when_empty(c);
}

static void end_later(struct hf_grpc_stream *s, hf_status st)
{
    if (s->ended || s->has_local_end) {
        hf_status_drop(st);
        return;
    }
    s->local_end = st;
    s->has_local_end = true;
    s->end_later.run = on_end_later;
    hf_h2_driver_queue(&s->channel->driver, &s->end_later);
}

static void reset(struct hf_grpc_stream *s, uint32_t error)
{
    if (!s->link || s->link->h2.closing)
        return;
    nghttp2_submit_rst_stream(s->link->h2.session, NGHTTP2_FLAG_NONE, s->stream_id, error);
    hf_h2_conn_mark(&s->link->h2);
}

void hf_grpc_stream_cancel(struct hf_grpc_stream *s)
{
    if (s->ended)
        return;
    reset(s, NGHTTP2_CANCEL);
    end_later(s, hf_error(HF_CANCELLED, "the call was cancelled"));
}

static void on_deadline(void *arg)
{
    struct hf_grpc_stream *s = arg;
    const char *name = s->method->name, *address = s->channel->address;
    reset(s, NGHTTP2_CANCEL);
    if (s->sent)
        hf_grpc_stream_end(s, hf_error(HF_TIMEOUT, "%s did not answer %s in time", address, name));
    else
        hf_grpc_stream_end(s, hf_error(HF_UNAVAILABLE, "%s could not be sent to %s in time", name, address));
}

/* --- sending --- */

static ssize_t read_data(nghttp2_session *session, int32_t stream_id, uint8_t *buf, size_t length,
                         uint32_t *flags, nghttp2_data_source *source, void *user_data)
{
    (void)session, (void)stream_id, (void)buf, (void)user_data;
    struct hf_grpc_stream *s = hf_container_of(source->ptr, struct hf_grpc_stream, sender);
    ssize_t n = hf_grpc_sender_fill(&s->sender, &s->link->h2, length, !s->half_closed, flags);
    if (n >= 0 && s->half_closed && s->sender.outbox.bytes == 0)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return n;
}

static void kick(struct hf_grpc_stream *s)
{
    if (!s->link || s->link->h2.closing)
        return;
    if (s->sender.deferred) {
        s->sender.deferred = false;
        nghttp2_session_resume_data(s->link->h2.session, s->stream_id);
    }
    hf_h2_conn_mark(&s->link->h2);
}

bool hf_grpc_stream_send(struct hf_grpc_stream *s, const ProtobufCMessage *m)
{
    HF_ASSERT(m->descriptor == s->method->input && !s->half_closed);
    if (s->ended || s->has_local_end)
        return false;
    hf_grpc_outbox_put(&s->sender.outbox, m);
    kick(s);
    return s->sender.outbox.bytes < HF_GRPC_CLIENT_HIGH_WATER;
}

void hf_grpc_stream_half_close(struct hf_grpc_stream *s)
{
    s->half_closed = true;
    kick(s);
}

/* False: the connection takes no more streams. */
static bool submit(struct hf_grpc_stream *s, struct hf_grpc_link *link, unsigned deadline_ms)
{
    char path[PATH_MAX_LEN], timeout[HF_GRPC_TIMEOUT_STR];
    int n = snprintf(path, sizeof path, "/%s/%s", s->service->name, s->method->name);
    HF_ASSERT(n > 0 && n < (int)sizeof path);
    const char *address = s->channel->address;
    const nghttp2_nv authority = {(uint8_t *)":authority", (uint8_t *)address, 10, strlen(address),
                                  NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
    nghttp2_nv nv[9] = {
        HF_NV_FIXED(":method", "POST"),
        s->channel->tls ? HF_NV_FIXED(":scheme", "https") : HF_NV_FIXED(":scheme", "http"),
        hf_nv_text(":path", path),
        authority,
        HF_NV_FIXED("te", "trailers"),
        HF_NV_FIXED("content-type", "application/grpc"),
        HF_NV_FIXED("grpc-accept-encoding", "identity,gzip"),
        HF_NV_FIXED("user-agent", "holdfast/" HF_VERSION),
    };
    size_t len = 8;
    if (deadline_ms)
        nv[len++] = hf_nv_text("grpc-timeout", hf_grpc_timeout_format(deadline_ms, timeout));
    nghttp2_data_provider provider = {.source.ptr = &s->sender, .read_callback = read_data};
    int32_t id = nghttp2_submit_request(link->h2.session, NULL, nv, len, &provider, s);
    if (id < 0)
        return false;
    s->stream_id = id;
    s->link = link;
    LIST_INSERT_HEAD(&link->streams, s, entry);
    hf_h2_conn_mark(&link->h2);
    return true;
}

static struct hf_grpc_stream *stream_open(struct hf_grpc_channel *c,
                                          const ProtobufCServiceDescriptor *service, const char *method,
                                          unsigned deadline_ms)
{
    struct hf_grpc_stream *s = stream_create(c);
    s->service = service;
    s->method = protobuf_c_service_descriptor_get_method_by_name(service, method);
    HF_ASSERT(s->method != NULL);
    struct hf_grpc_link *link = c->closing || !hf_ok(c->broken) ? NULL : hf_grpc_channel_link(c);
    if (link && submit(s, link, deadline_ms)) {
        if (deadline_ms)
            hf_timer_start(c->driver.env, &s->deadline, deadline_ms, on_deadline, s);
        return s;
    }
    LIST_INSERT_HEAD(&c->unlinked, s, entry);
    if (c->closing)
        end_later(s, hf_error(HF_CANCELLED, "the channel to %s is closed", c->address));
    else if (!hf_ok(c->broken))
        end_later(s, hf_status_copy(c->broken));
    else
        end_later(s, hf_error(HF_UNAVAILABLE, "the connection to %s takes no more calls", c->address));
    return s;
}

struct hf_grpc_stream *hf_grpc_open(struct hf_grpc_channel *c, const ProtobufCServiceDescriptor *service,
                                    const char *method, unsigned deadline_ms,
                                    const struct hf_grpc_stream_handler *h, void *arg)
{
    struct hf_grpc_stream *s = stream_open(c, service, method, deadline_ms);
    s->handler = h;
    s->arg = arg;
    return s;
}

struct hf_grpc_stream *hf_grpc_unary(struct hf_grpc_channel *c, const ProtobufCServiceDescriptor *service,
                                     const char *method, const ProtobufCMessage *request,
                                     unsigned deadline_ms, hf_grpc_unary_cb cb, void *arg)
{
    struct hf_grpc_stream *s = stream_open(c, service, method, deadline_ms);
    s->unary_cb = cb;
    s->arg = arg;
    hf_grpc_stream_send(s, request);
    hf_grpc_stream_half_close(s);
    return s;
}

/* --- the answer --- */

static bool is(const char *name, size_t len, const char *literal)
{
    return strlen(literal) == len && memcmp(name, literal, len) == 0;
}

void hf_grpc_stream_header(struct hf_grpc_stream *s, const char *name, size_t name_len, const char *value,
                           size_t value_len)
{
    if (is(name, name_len, ":status")) {
        s->http_status = value_len == 3 ? atoi(value) : 0; /* nghttp2 ends values with a zero byte */
        return;
    }
    if (is(name, name_len, "grpc-encoding"))
        s->decoder.gzip = is(value, value_len, "gzip");
    if (!is(name, name_len, "content-type") && !is(name, name_len, "grpc-accept-encoding"))
        hf_grpc_metadata_put(&s->metadata, name, name_len, value, value_len);
}

void hf_grpc_stream_headers_end(struct hf_grpc_stream *s, bool last_of_answer)
{
    if (last_of_answer && !s->half_closed)
        reset(s, NGHTTP2_NO_ERROR); /* what we still have to say interests nobody */
    if (s->connected || last_of_answer || s->http_status != 200)
        return;
    s->connected = true;
    if (!s->ended && s->handler && s->handler->connected)
        s->handler->connected(s, s->arg);
}

static void take_message(struct hf_grpc_stream *s, struct hf_grpc_slice bytes)
{
    ProtobufCMessage *m = protobuf_c_message_unpack(s->method->output, NULL, bytes.len, bytes.data);
    if (!m) {
        end_later(
            s, hf_error(HF_INTERNAL, "%s sent a malformed %s", s->channel->address, s->method->output->name));
        reset(s, NGHTTP2_CANCEL);
    } else if (s->handler) {
        s->handler->message(s, m, s->arg);
    } else if (s->unary_reply) {
        protobuf_c_message_free_unpacked(m, NULL);
        end_later(s, hf_error(HF_INTERNAL, "%s answered %s twice", s->channel->address, s->method->name));
        reset(s, NGHTTP2_CANCEL);
    } else {
        s->unary_reply = m;
    }
}

void hf_grpc_stream_receive(struct hf_grpc_stream *s, const uint8_t *data, size_t len)
{
    struct hf_grpc_slice input = {data, len}, message;
    while (input.len > 0 && s->http_status == 200 && !s->ended && !s->has_local_end) {
        bool found;
        hf_status st = hf_grpc_decoder_next(&s->decoder, &input, &message, &found);
        if (!hf_ok(st)) {
            end_later(s, hf_wrap(st, "answer of %s", s->channel->address));
            reset(s, NGHTTP2_CANCEL);
        } else if (found) {
            take_message(s, message);
        }
    }
}

const char *hf_grpc_stream_trailer(struct hf_grpc_stream *s, const char *key)
{
    return s ? hf_grpc_metadata_get(&s->metadata, key) : NULL;
}

/* The table of the document "HTTP to gRPC Status Code Mapping". */
static enum hf_code code_of_http(int http)
{
    switch (http) {
    case 401:
        return HF_UNAUTHENTICATED;
    case 403:
        return HF_DENIED;
    case 404:
        return HF_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return HF_UNAVAILABLE;
    default:
        return HF_UNKNOWN_OUTCOME;
    }
}

static hf_status status_of_answer(struct hf_grpc_stream *s, uint32_t h2_error)
{
    const char *name = s->method->name, *address = s->channel->address;
    const char *code = hf_grpc_stream_trailer(s, "grpc-status");
    if (code)
        return hf_grpc_status_read(code, hf_grpc_stream_trailer(s, "grpc-message"),
                                   hf_grpc_stream_trailer(s, "grpc-status-details-bin"));
    if (s->http_status && s->http_status != 200)
        return hf_error(code_of_http(s->http_status), "%s answered %s with HTTP status %d", address, name,
                        s->http_status);
    if (!s->sent || h2_error == NGHTTP2_REFUSED_STREAM)
        return hf_error(HF_UNAVAILABLE, "%s did not take %s: %s", address, name,
                        nghttp2_http2_strerror(h2_error));
    return hf_error(HF_UNKNOWN_OUTCOME, "%s ended %s without a status: %s", address, name,
                    nghttp2_http2_strerror(h2_error));
}

void hf_grpc_stream_gone(struct hf_grpc_stream *s, uint32_t h2_error)
{
    if (!s->ended)
        hf_grpc_stream_end(s, s->has_local_end ? s->local_end : status_of_answer(s, h2_error));
    stream_free(s);
}

void hf_grpc_stream_lost(struct hf_grpc_stream *s, const char *why)
{
    const char *name = s->method->name, *address = s->channel->address;
    if (s->ended)
        ; /* kept for nghttp2 only */
    else if (s->has_local_end)
        hf_grpc_stream_end(s, s->local_end);
    else if (s->sent)
        hf_grpc_stream_end(
            s, hf_error(HF_UNKNOWN_OUTCOME, "connection to %s was lost during %s: %s", address, name, why));
    else
        hf_grpc_stream_end(s, hf_error(HF_UNAVAILABLE, "%s: %s", address, why));
    stream_free(s);
}
