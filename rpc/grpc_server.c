#include "rpc/grpc_server.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "rpc/address.h"
#include "rpc/descriptor_set.h"
#include "rpc/grpc_call.h"
#include "rpc/health.h"
#include "rpc/reflection.h"
#include "rpc/tls.h"

#define MESSAGE_MAX_DEFAULT     (4u << 20)
#define HIGH_WATER_DEFAULT      (1u << 20)
#define CONNECTIONS_MAX_DEFAULT 4096u
#define KEEPALIVE_MS            20000u
#define SETUP_MS                10000u /* from accept to the first HTTP/2 frame */
#define GOAWAY_GAP_MS           100   /* between the two GOAWAYs: about the longest round trip that matters */
#define RESET_BURST             4000u /* calls that a client may cancel in a row … */
#define RESET_PER_S             400u  /* … and in the long run: "rapid reset" ends with the connection */
#define LISTEN_BACKLOG          511

/* --- methods --- */

static uint32_t hash_path(const char *path, size_t len)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)path[i]) * 16777619u;
    return (h ^ h >> 15) % HF_GRPC_METHOD_BUCKETS;
}

const struct hf_grpc_method *hf_grpc_server_find(const struct hf_grpc_server *s, const char *path, size_t len)
{
    const struct hf_grpc_method *m = s->methods[hash_path(path, len)];
    while (m && (m->path_len != len || memcmp(m->path, path, len) != 0))
        m = m->next;
    return m;
}

void hf_grpc_server_add(struct hf_grpc_server *s, const ProtobufCServiceDescriptor *service,
                        const char *method, const struct hf_grpc_handler *h, void *user)
{
    const ProtobufCMethodDescriptor *d = protobuf_c_service_descriptor_get_method_by_name(service, method);
    HF_ASSERT(d != NULL && h->message != NULL);
    struct hf_grpc_method *m = HF_NEW(struct hf_grpc_method);
    m->path = hf_printf("/%s/%s", service->name, method);
    m->path_len = strlen(m->path);
    HF_ASSERT(!hf_grpc_server_find(s, m->path, m->path_len));
    m->service = service;
    m->descriptor = d;
    m->handler = *h;
    m->user = user;
    m->one_request = !hf_grpc_client_streams(service->name, method);
    struct hf_grpc_method **bucket = &s->methods[hash_path(m->path, m->path_len)];
    m->next = *bucket;
    *bucket = m;
}

/* --- nghttp2's callbacks --- */

static struct hf_grpc_call *call_of(nghttp2_session *session, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(session, stream_id);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct hf_grpc_call *call = hf_grpc_call_create(user_data, frame->hd.stream_id);
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user_data)
{
    (void)flags, (void)user_data;
    struct hf_grpc_call *call = call_of(session, frame->hd.stream_id);
    if (call && !call->opened) /* trailers of a request mean nothing in gRPC */
        hf_grpc_call_header(call, (const char *)name, name_len, (const char *)value, value_len);
    return 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    (void)user_data;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    struct hf_grpc_call *call = call_of(session, frame->hd.stream_id);
    if (!call)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && !call->opened)
        hf_grpc_call_open(call);
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        hf_grpc_call_half_close(call);
    return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
                         size_t len, void *user_data)
{
    (void)flags, (void)user_data;
    nghttp2_session_consume_connection(session, len);
    struct hf_grpc_call *call = call_of(session, stream_id);
    if (call)
        hf_grpc_call_receive(call, data, len);
    return 0;
}

/* An answer that is complete before the request: the client need not send the rest (RFC 9113, 8.1). */
static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    (void)user_data;
    if (frame->hd.type != NGHTTP2_HEADERS || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    struct hf_grpc_call *call = call_of(session, frame->hd.stream_id);
    if (call && !call->half_closed)
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error, void *user_data)
{
    (void)user_data;
    struct hf_grpc_call *call = call_of(session, stream_id);
    if (call)
        hf_grpc_call_gone(call, error);
    return 0;
}

static void make_callbacks(struct hf_grpc_server *s)
{
    HF_ASSERT(nghttp2_session_callbacks_new(&s->callbacks) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(s->callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(s->callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(s->callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(s->callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_send_callback(s->callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(s->callbacks, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(s->callbacks, hf_grpc_sender_send_data);
    HF_ASSERT(nghttp2_option_new(&s->h2_option) == 0);
    nghttp2_option_set_no_auto_window_update(s->h2_option, 1);
    nghttp2_option_set_no_closed_streams(s->h2_option, 1);
    nghttp2_option_set_stream_reset_rate_limit(s->h2_option, RESET_BURST, RESET_PER_S);
}

/* --- connections --- */

static void server_free_when_empty(struct hf_grpc_server *s);

static void conn_down(struct hf_h2_conn *h2, const char *why)
{
    struct hf_grpc_conn *conn = hf_container_of(h2, struct hf_grpc_conn, h2);
    struct hf_grpc_call *call;
    hf_debug("connection from %s: %s", h2->peer_address ? h2->peer_address : "?", why);
    while ((call = LIST_FIRST(&conn->calls)))
        hf_grpc_call_gone(call, NGHTTP2_CANCEL);
}

static void conn_gone(struct hf_h2_conn *h2)
{
    struct hf_grpc_conn *conn = hf_container_of(h2, struct hf_grpc_conn, h2);
    struct hf_grpc_server *s = conn->server;
    LIST_REMOVE(conn, link);
    s->conns_len--;
    free(conn);
    server_free_when_empty(s);
}

static void conn_pulled(struct hf_h2_conn *h2)
{
    hf_grpc_conn_tell_drained(hf_container_of(h2, struct hf_grpc_conn, h2));
}

static const struct hf_h2_events CONN_EVENTS = {.down = conn_down, .gone = conn_gone, .pulled = conn_pulled};

static void open_session(struct hf_grpc_conn *conn)
{
    struct hf_grpc_server *s = conn->server;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HF_GRPC_STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HF_GRPC_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HF_GRPC_METADATA_MAX},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    nghttp2_session *session;
    HF_ASSERT(nghttp2_session_server_new2(&session, s->callbacks, conn, s->h2_option) == 0);
    conn->h2.session = session;
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings);
    nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, HF_GRPC_CONNECTION_WINDOW);
    if (s->tls)
        conn->h2.ssl = hf_tls_server_new(s->tls);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct hf_grpc_server *s = listener->data;
    if (status < 0 || s->closing) {
        hf_warn("accept a connection: %s", status < 0 ? uv_strerror(status) : "shutting down");
        return;
    }
    struct hf_grpc_conn *conn = HF_NEW(struct hf_grpc_conn);
    conn->server = s;
    LIST_INIT(&conn->calls);
    TAILQ_INIT(&conn->drained);
    LIST_INSERT_HEAD(&s->conns, conn, link);
    s->conns_len++;
    hf_h2_conn_init(&conn->h2, &s->driver, &CONN_EVENTS, KEEPALIVE_MS);
    open_session(conn);
    if (hf_h2_conn_accept(&conn->h2, listener, SETUP_MS) && s->conns_len > s->options.connections_max)
        hf_h2_conn_close(&conn->h2, "the server has its maximum of connections");
}

/* --- server --- */

hf_status hf_grpc_server_create(uv_loop_t *loop, const struct hf_grpc_server_options *o,
                                struct hf_grpc_server **ret)
{
    struct sockaddr_storage address;
    SSL_CTX *tls = NULL;
    if (!hf_address_parse(o->address, &address))
        return hf_error(HF_INVALID, "listen address '%s' is not of the form 127.0.0.1:7480 or [::1]:7480",
                        o->address);
    if (o->tls.cert)
        HF_TRY(hf_tls_server_context(&o->tls, &tls));
    struct hf_grpc_server *s = HF_NEW(struct hf_grpc_server);
    s->options = *o;
    s->options.address = hf_strdup(o->address);
    s->options.tls = (struct hf_tls_files){0};
    s->options.message_max = o->message_max ? o->message_max : MESSAGE_MAX_DEFAULT;
    s->options.send_high_water = o->send_high_water ? o->send_high_water : HIGH_WATER_DEFAULT;
    s->options.connections_max = o->connections_max ? o->connections_max : CONNECTIONS_MAX_DEFAULT;
    s->address = address;
    s->tls = tls;
    LIST_INIT(&s->conns);
    hf_h2_driver_init(&s->driver, loop);
    make_callbacks(s);
    *ret = s;
    return HF_STATUS_OK;
}

void hf_grpc_server_add_health(struct hf_grpc_server *s)
{
    HF_ASSERT(!s->health);
    s->health = hf_health_create(s);
}

void hf_grpc_server_set_health(struct hf_grpc_server *s, const char *service, bool serving)
{
    HF_ASSERT(s->health);
    hf_health_set(s->health, service, serving);
}

void hf_grpc_server_add_reflection(struct hf_grpc_server *s, const unsigned char *descriptor_set, size_t len)
{
    HF_ASSERT(!s->reflection);
    s->reflection = hf_reflection_create(s, descriptor_set, len);
}

hf_status hf_grpc_server_listen(struct hf_grpc_server *s)
{
    HF_ASSERT(!s->listening);
    uv_tcp_init(s->driver.loop, &s->listener);
    s->listener.data = s;
    s->listening = true;
    int r = uv_tcp_bind(&s->listener, (struct sockaddr *)&s->address, 0);
    if (r == 0)
        r = uv_listen((uv_stream_t *)&s->listener, LISTEN_BACKLOG, on_connection);
    if (r == 0)
        return HF_STATUS_OK;
    return hf_errno(-r, "listen on %s", s->options.address);
}

int hf_grpc_server_port(const struct hf_grpc_server *s)
{
    struct sockaddr_storage a;
    int len = sizeof a;
    if (!s->listening || uv_tcp_getsockname(&s->listener, (struct sockaddr *)&a, &len) < 0)
        return 0;
    return a.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&a)->sin6_port)
                                   : ntohs(((struct sockaddr_in *)&a)->sin_port);
}

/* --- closing --- */

static void server_free(struct hf_h2_driver *d)
{
    struct hf_grpc_server *s = hf_container_of(d, struct hf_grpc_server, driver);
    for (unsigned i = 0; i < HF_GRPC_METHOD_BUCKETS; i++) {
        struct hf_grpc_method *m;
        while ((m = s->methods[i])) {
            s->methods[i] = m->next;
            free(m->path);
            free(m);
        }
    }
    struct hf_grpc_call *call;
    while ((call = s->pool)) {
        s->pool = call->link.le_next;
        free(call);
    }
    nghttp2_session_callbacks_del(s->callbacks);
    nghttp2_option_del(s->h2_option);
    SSL_CTX_free(s->tls);
    hf_health_free(s->health);
    hf_reflection_free(s->reflection);
    free((char *)s->options.address);
    void (*done)(void *) = s->done;
    void *arg = s->done_arg;
    free(s);
    if (done)
        done(arg);
}

static void server_free_when_empty(struct hf_grpc_server *s)
{
    if (!s->closing || s->listening || !LIST_EMPTY(&s->conns) || s->closed)
        return;
    s->closed = true;
    hf_timer_stop(&s->close_timer);
    hf_h2_driver_close(&s->driver, server_free);
}

static void on_listener_closed(uv_handle_t *h)
{
    struct hf_grpc_server *s = h->data;
    s->listening = false;
    server_free_when_empty(s);
}

static void on_grace_over(void *arg)
{
    struct hf_grpc_server *s = arg;
    struct hf_grpc_conn *conn, *next;
    for (conn = LIST_FIRST(&s->conns); conn; conn = next) {
        next = LIST_NEXT(conn, link); /* a close unlinks its connection in a later turn only */
        hf_h2_conn_close(&conn->h2, "the server is shutting down");
    }
}

/* The second GOAWAY: from here on the number of calls only falls, and a connection without any ends. */
static void on_final_goaway(void *arg)
{
    struct hf_grpc_server *s = arg;
    struct hf_grpc_conn *conn;
    LIST_FOREACH(conn, &s->conns, link)
    {
        if (conn->h2.closing)
            continue;
        int32_t last = nghttp2_session_get_last_proc_stream_id(conn->h2.session);
        nghttp2_submit_goaway(conn->h2.session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0);
        hf_h2_conn_mark(&conn->h2);
    }
    hf_timer_start(s->driver.env, &s->close_timer, s->grace_ms, on_grace_over, s);
}

void hf_grpc_server_close(struct hf_grpc_server *s, unsigned grace_ms, void (*done)(void *arg), void *arg)
{
    HF_ASSERT(!s->closing);
    s->closing = true;
    s->grace_ms = grace_ms;
    s->done = done;
    s->done_arg = arg;
    if (s->listening)
        uv_close((uv_handle_t *)&s->listener, on_listener_closed);
    struct hf_grpc_conn *conn;
    LIST_FOREACH(conn, &s->conns, link)
    {
        if (conn->h2.closing)
            continue;
        nghttp2_submit_shutdown_notice(conn->h2.session);
        hf_h2_conn_mark(&conn->h2);
    }
    if (grace_ms == 0)
        on_grace_over(s);
    else
        hf_timer_start(s->driver.env, &s->close_timer, GOAWAY_GAP_MS, on_final_goaway, s);
    server_free_when_empty(s);
}
