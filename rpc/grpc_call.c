#include "rpc/grpc_call.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "rpc/grpc_status.h"
#include "rpc/pb_text.h"
#include "rpc/tls.h"

#define TRAILERS_MAX   16                         /* that a handler may add */
#define TIMEOUT_MS_MAX (365LL * 24 * 3600 * 1000) /* longer ones are cut: nobody waits for the difference */

/* --- life --- */

struct hf_grpc_call *hf_grpc_call_create(struct hf_grpc_conn *conn, int32_t stream_id)
{
    struct hf_grpc_server *s = conn->server;
    struct hf_grpc_call *call = s->pool;
    if (call) {
        s->pool = call->link.le_next;
        s->pool_len--;
        memset(call, 0, offsetof(struct hf_grpc_call, metadata));
    } else {
        call = HF_NEW(struct hf_grpc_call);
    }
    call->conn = conn;
    call->stream_id = stream_id;
    call->timeout_ms = -1;
    hf_grpc_metadata_init(&call->metadata);
    call->decoder.message_max = s->options.message_max;
    hf_grpc_outbox_init(&call->sender.outbox);
    LIST_INSERT_HEAD(&conn->calls, call, link);
    return call;
}

/* Memory that unfinished messages and paused calls take is counted by connection. */
static size_t buffered(const struct hf_grpc_call *call)
{
    return call->held_cap + call->decoder.partial_cap;
}

static void drop_buffers(struct hf_grpc_call *call)
{
    call->conn->buffered -= buffered(call);
    hf_grpc_decoder_done(&call->decoder);
    free(call->held);
    call->held = NULL;
    call->held_len = call->held_cap = 0;
}

static void call_free(struct hf_grpc_call *call)
{
    struct hf_grpc_server *s = call->conn->server;
    hf_timer_stop(&call->deadline);
    drop_buffers(call);
    hf_grpc_outbox_done(&call->sender.outbox);
    hf_status_drop(call->status);
    hf_grpc_metadata_done(&call->metadata);
    if (call->trailers)
        hf_grpc_metadata_done(call->trailers);
    free(call->trailers);
    if (s->pool_len == HF_GRPC_CALL_POOL_MAX) {
        free(call);
        return;
    }
    call->link.le_next = s->pool;
    s->pool = call;
    s->pool_len++;
}

static void unlist_drained(struct hf_grpc_call *call)
{
    if (call->drained)
        TAILQ_REMOVE(&call->conn->drained, call, drained_link);
    call->drained = false;
}

static void tell_closed(struct hf_grpc_call *call, bool cancelled)
{
    bool seen = call->seen;
    call->seen = false;
    unlist_drained(call);
    if (seen && call->method->handler.closed)
        call->method->handler.closed(call, cancelled);
}

void hf_grpc_call_gone(struct hf_grpc_call *call, uint32_t h2_error)
{
    HF_ASSERT(!call->feeding);
    bool answered = call->trailers_sent && h2_error == NGHTTP2_NO_ERROR;
    call->finished = true; /* whatever closed does to the call now has no effect */
    tell_closed(call, !answered);
    LIST_REMOVE(call, link);
    call_free(call);
}

/* --- answers --- */

static nghttp2_session *session_of(struct hf_grpc_call *call)
{
    return call->conn->h2.session;
}

static void submit_error(struct hf_grpc_call *call, int error)
{
    HF_ASSERT(error != NGHTTP2_ERR_INVALID_ARGUMENT);
    if (error != 0) /* the stream is going already */
        nghttp2_submit_rst_stream(session_of(call), NGHTTP2_FLAG_NONE, call->stream_id,
                                  NGHTTP2_INTERNAL_ERROR);
}

struct trailer_set {
    nghttp2_nv nv[3 + TRAILERS_MAX];
    size_t len;
    struct hf_grpc_status_text text;
};

static void trailers_init(struct trailer_set *t, struct hf_grpc_call *call)
{
    t->len = 0;
    if (hf_ok(call->status)) {
        t->text = (struct hf_grpc_status_text){.message = NULL};
        t->nv[t->len++] = HF_NV_FIXED("grpc-status", "0");
    } else {
        hf_grpc_status_text_init(&t->text, call->status);
        t->nv[t->len++] = hf_nv_text("grpc-status", t->text.code);
        t->nv[t->len++] = hf_nv_text("grpc-message", t->text.message);
        t->nv[t->len++] = hf_nv_text("grpc-status-details-bin", t->text.details);
    }
    const char *key = NULL, *value;
    while (call->trailers && (key = hf_grpc_metadata_next(call->trailers, key, &value)))
        t->nv[t->len++] = hf_nv_text(key, value);
}

static void submit_trailers(struct hf_grpc_call *call)
{
    struct trailer_set t;
    trailers_init(&t, call);
    call->trailers_sent = true;
    nghttp2_submit_trailer(session_of(call), call->stream_id, t.nv, t.len);
    hf_grpc_status_text_done(&t.text);
}

static ssize_t read_data(nghttp2_session *session, int32_t stream_id, uint8_t *buf, size_t length,
                         uint32_t *flags, nghttp2_data_source *source, void *user_data)
{
    (void)session, (void)stream_id, (void)buf, (void)user_data;
    struct hf_grpc_call *call = hf_container_of(source->ptr, struct hf_grpc_call, sender);
    ssize_t n = hf_grpc_sender_fill(&call->sender, &call->conn->h2, length, !call->finished, flags);
    if (n < 0)
        return n;
    if (call->sender.outbox.bytes == 0 && call->finished) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        submit_trailers(call);
    }
    if (call->full && !call->drained &&
        call->sender.outbox.bytes <= call->conn->server->options.send_high_water / 2) {
        call->drained = true;
        TAILQ_INSERT_TAIL(&call->conn->drained, call, drained_link);
    }
    return n;
}

static void submit_headers(struct hf_grpc_call *call)
{
    struct trailer_set t = {.len = 0};
    nghttp2_nv nv[3 + sizeof t.nv / sizeof *t.nv] = {
        HF_NV_FIXED(":status", "200"),
        HF_NV_FIXED("content-type", "application/grpc"),
        HF_NV_FIXED("grpc-accept-encoding", "identity,gzip"),
    };
    size_t len = 3;
    call->headers_sent = true;
    if (!call->finished || call->sender.outbox.bytes > 0) {
        nghttp2_data_provider provider = {.source.ptr = &call->sender, .read_callback = read_data};
        submit_error(call, nghttp2_submit_response(session_of(call), call->stream_id, nv, len, &provider));
        return;
    }
    trailers_init(&t, call);
    memcpy(nv + len, t.nv, t.len * sizeof *nv);
    call->trailers_sent = true;
    submit_error(call, nghttp2_submit_response(session_of(call), call->stream_id, nv, len + t.len, NULL));
    hf_grpc_status_text_done(&t.text);
}

/* There is something new to send on the call. */
static void kick(struct hf_grpc_call *call)
{
    if (!call->headers_sent) {
        submit_headers(call);
    } else if (call->sender.deferred) {
        call->sender.deferred = false;
        nghttp2_session_resume_data(session_of(call), call->stream_id);
    }
    hf_h2_conn_mark(&call->conn->h2);
}

static bool sent(struct hf_grpc_call *call)
{
    kick(call);
    if (call->sender.outbox.bytes < call->conn->server->options.send_high_water)
        return true;
    call->full = true;
    return false;
}

bool hf_grpc_send(struct hf_grpc_call *call, const ProtobufCMessage *m)
{
    if (call->finished)
        return false;
    HF_ASSERT(m->descriptor == call->method->descriptor->output);
    hf_grpc_outbox_put(&call->sender.outbox, m);
    return sent(call);
}

bool hf_grpc_send_bytes(struct hf_grpc_call *call, struct hf_bytes *bytes)
{
    if (call->finished)
        return false;
    hf_grpc_outbox_put_bytes(&call->sender.outbox, bytes, NULL, 0);
    return sent(call);
}

void hf_grpc_add_trailer(struct hf_grpc_call *call, const char *key, const char *value)
{
    HF_ASSERT(call->trailers_len < TRAILERS_MAX);
    if (!call->trailers) {
        call->trailers = HF_NEW(struct hf_grpc_metadata);
        hf_grpc_metadata_init(call->trailers);
    }
    if (hf_grpc_metadata_put(call->trailers, key, strlen(key), value, strlen(value)))
        call->trailers_len++;
}

void hf_grpc_finish(struct hf_grpc_call *call, hf_status st)
{
    if (call->finished) {
        hf_status_drop(st);
        return;
    }
    call->finished = true;
    call->status = st;
    hf_timer_stop(&call->deadline);
    kick(call);
}

void hf_grpc_conn_tell_drained(struct hf_grpc_conn *conn)
{
    struct hf_grpc_call *call;
    while ((call = TAILQ_FIRST(&conn->drained))) {
        unlist_drained(call);
        call->full = false;
        if (call->seen && !call->finished && call->method->handler.writable)
            call->method->handler.writable(call);
    }
}

/* The handler loses the call now; what the client gets is DEADLINE_EXCEEDED, or a reset if a message is half
 * out. */
static void on_deadline(void *arg)
{
    struct hf_grpc_call *call = arg;
    hf_grpc_outbox_drop_unsent(&call->sender.outbox);
    hf_grpc_finish(call, hf_error(HF_TIMEOUT, "the call's deadline has passed"));
    if (call->sender.outbox.bytes > 0)
        nghttp2_submit_rst_stream(session_of(call), NGHTTP2_FLAG_NONE, call->stream_id, NGHTTP2_CANCEL);
    tell_closed(call, true);
}

/* --- request headers --- */

static bool is(const char *a, size_t a_len, const char *b, size_t b_len)
{
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}
#define IS(text, len, literal) is(text, len, literal, sizeof(literal) - 1)

void hf_grpc_call_header(struct hf_grpc_call *call, const char *name, size_t name_len, const char *value,
                         size_t value_len)
{
    if (IS(name, name_len, ":path")) {
        call->method = hf_grpc_server_find(call->conn->server, value, value_len);
        if (!call->method)
            hf_grpc_metadata_put(&call->metadata, name, name_len, value, value_len);
    } else if (IS(name, name_len, ":method")) {
        call->is_post = IS(value, value_len, "POST");
    } else if (IS(name, name_len, "content-type")) {
        static const char TYPE[] = "application/grpc";
        const size_t n = sizeof TYPE - 1;
        call->is_grpc = value_len >= n && memcmp(value, TYPE, n) == 0 &&
                        (value_len == n || value[n] == ';' || IS(value + n, value_len - n, "+proto"));
    } else if (IS(name, name_len, "grpc-timeout")) {
        call->timeout_ms = hf_grpc_timeout_parse(value, value_len);
        if (call->timeout_ms < 0)
            call->timeout_ms = -2;
        if (call->timeout_ms > TIMEOUT_MS_MAX)
            call->timeout_ms = TIMEOUT_MS_MAX;
    } else if (IS(name, name_len, "grpc-encoding")) {
        call->decoder.gzip = IS(value, value_len, "gzip");
    } else if (name_len > 0 && name[0] != ':' && !IS(name, name_len, "te")) {
        if (!hf_grpc_metadata_put(&call->metadata, name, name_len, value, value_len))
            call->metadata_full = true;
    }
}

static void refuse_http(struct hf_grpc_call *call, const char *http_status)
{
    nghttp2_nv nv[] = {hf_nv_text(":status", http_status)};
    call->finished = call->headers_sent = call->trailers_sent = true;
    submit_error(call, nghttp2_submit_response(session_of(call), call->stream_id, nv, 1, NULL));
    hf_h2_conn_mark(&call->conn->h2);
}

static hf_status check_request(struct hf_grpc_call *call)
{
    if (!call->method) {
        const char *path = hf_grpc_call_metadata(call, ":path");
        return hf_error(HF_UNIMPLEMENTED, "unknown method '%.200s'", path ? path : "");
    }
    if (call->metadata_full)
        return hf_error(HF_EXHAUSTED, "the request's metadata is larger than the limit of %u bytes",
                        HF_GRPC_METADATA_MAX);
    if (call->timeout_ms == -2)
        return hf_error(HF_INVALID, "the request's grpc-timeout is not understood");
    return HF_STATUS_OK;
}

void hf_grpc_call_open(struct hf_grpc_call *call)
{
    call->opened = true;
    if (!call->is_post) {
        refuse_http(call, "405");
        return;
    }
    if (!call->is_grpc) {
        refuse_http(call, "415");
        return;
    }
    hf_status st = check_request(call);
    if (!hf_ok(st)) {
        hf_grpc_finish(call, st);
        return;
    }
    if (call->timeout_ms < 0)
        return;
    struct hf_env *env = call->conn->server->driver.env;
    call->deadline_ns = hf_env_now_ns(env) + call->timeout_ms * HF_MS_NS;
    hf_timer_start(env, &call->deadline, call->timeout_ms, on_deadline, call);
}

/* --- request messages --- */

static void dispatch(struct hf_grpc_call *call, struct hf_grpc_slice message)
{
    if (call->method->one_request && call->got_message) {
        hf_grpc_finish(call, hf_error(HF_INVALID, "the method takes one request message, more have come"));
        return;
    }
    call->got_message = true;
    const ProtobufCMessageDescriptor *d = call->method->descriptor->input;
    ProtobufCMessage *m = protobuf_c_message_unpack(d, NULL, message.len, message.data);
    if (!m) {
        hf_grpc_finish(call, hf_error(HF_INVALID, "the request is not a well-formed %s message", d->name));
        return;
    }
    const ProtobufCFieldDescriptor *bad = hf_pb_bad_text(m);
    if (bad) {
        hf_grpc_finish(call, hf_error(HF_INVALID, "field '%s' of the request is not UTF-8", bad->name));
        protobuf_c_message_free_unpacked(m, NULL);
        return;
    }
    call->seen = true;
    call->method->handler.message(call, m);
}

/* Hands over whole messages until the bytes end, the handler pauses, or the call has its answer. Returns
 * bytes used. */
static size_t feed(struct hf_grpc_call *call, const uint8_t *data, size_t len)
{
    struct hf_grpc_slice input = {data, len};
    call->feeding = true;
    while (input.len > 0 && !call->paused && !call->finished) {
        struct hf_grpc_slice message;
        bool found;
        hf_status st = hf_grpc_decoder_next(&call->decoder, &input, &message, &found);
        if (!hf_ok(st))
            hf_grpc_finish(call, st);
        else if (found)
            dispatch(call, message);
    }
    call->feeding = false;
    return call->finished ? len : len - input.len;
}

static void tell_half_close(struct hf_grpc_call *call)
{
    if (!call->half_closed || call->half_told || call->held_len > 0 || call->paused || call->finished)
        return;
    call->half_told = true;
    if (!hf_grpc_decoder_idle(&call->decoder)) {
        hf_grpc_finish(call, hf_error(HF_INVALID, "the request ends in the middle of a message"));
    } else if (call->method->one_request && !call->got_message) {
        hf_grpc_finish(call, hf_error(HF_INVALID, "the method takes one request message, none has come"));
    } else {
        call->seen = true;
        if (call->method->handler.half_close)
            call->method->handler.half_close(call);
    }
}

static void hold(struct hf_grpc_call *call, const uint8_t *data, size_t len)
{
    if (call->held_len + len > call->held_cap) {
        call->held_cap = (call->held_len + len) * 2;
        call->held = hf_realloc_array(call->held, call->held_cap, 1);
    }
    memcpy(call->held + call->held_len, data, len);
    call->held_len += len;
}

void hf_grpc_call_receive(struct hf_grpc_call *call, const uint8_t *data, size_t len)
{
    size_t before = buffered(call);
    size_t used = call->held_len > 0 && !call->finished ? 0 : feed(call, data, len);
    if (used < len)
        hold(call, data + used, len - used);
    call->conn->buffered += buffered(call) - before;
    if (call->conn->buffered > HF_GRPC_BUFFERED_MAX)
        hf_grpc_finish(call, hf_error(HF_EXHAUSTED,
                                      "the connection's calls hold more than %u MiB of unread requests",
                                      HF_GRPC_BUFFERED_MAX >> 20));
    if (call->finished && buffered(call) > 0)
        drop_buffers(call);
    nghttp2_session_consume_stream(session_of(call), call->stream_id, used);
}

void hf_grpc_call_half_close(struct hf_grpc_call *call)
{
    call->half_closed = true;
    tell_half_close(call);
}

void hf_grpc_read_pause(struct hf_grpc_call *call, bool pause)
{
    call->paused = pause;
    if (pause || call->feeding || call->finished)
        return;
    if (call->held_len > 0) {
        size_t before = buffered(call), used = feed(call, call->held, call->held_len);
        call->conn->buffered += buffered(call) - before;
        call->held_len -= used;
        memmove(call->held, call->held + used, call->held_len);
        nghttp2_session_consume_stream(session_of(call), call->stream_id, used);
        hf_h2_conn_mark(&call->conn->h2);
    }
    tell_half_close(call);
}

/* --- what handlers may ask --- */

const char *hf_grpc_call_metadata(struct hf_grpc_call *call, const char *key)
{
    return hf_grpc_metadata_get(&call->metadata, key);
}

const char *hf_grpc_call_peer_name(struct hf_grpc_call *call)
{
    struct hf_h2_conn *c = &call->conn->h2;
    if (!c->peer_name)
        c->peer_name = hf_tls_peer_name(c->ssl);
    return c->peer_name;
}

const char *hf_grpc_call_peer_address(struct hf_grpc_call *call)
{
    return call->conn->h2.peer_address;
}

int64_t hf_grpc_call_remaining_ms(struct hf_grpc_call *call)
{
    if (call->timeout_ms < 0)
        return -1;
    int64_t left_ns = call->deadline_ns - hf_env_now_ns(call->conn->server->driver.env);
    return left_ns > 0 ? left_ns / HF_MS_NS : 0;
}

void *hf_grpc_call_user(struct hf_grpc_call *call)
{
    return call->method->user;
}

void hf_grpc_call_set_data(struct hf_grpc_call *call, void *data)
{
    call->data = data;
}

void *hf_grpc_call_data(struct hf_grpc_call *call)
{
    return call->data;
}

const ProtobufCMethodDescriptor *hf_grpc_call_method(struct hf_grpc_call *call)
{
    return call->method->descriptor;
}

const ProtobufCServiceDescriptor *hf_grpc_call_service(struct hf_grpc_call *call)
{
    return call->method->service;
}
