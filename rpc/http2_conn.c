#include "rpc/http2_conn.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "rpc/address.h"
#include "rpc/tls.h"

#define FRAME_MAX                                                                                            \
    (16384u + 9u) /* the most that nghttp2 hands out at once: our SETTINGS_MAX_FRAME_SIZE and a header */
#define WRITES_PER_FLUSH_MAX 8u /* of HF_H2_OUT_MAX bytes: then other connections get their turn */

static void conn_flush(struct hf_h2_task *task);
static void on_timer(void *arg);

void hf_h2_conn_init(struct hf_h2_conn *c, struct hf_h2_driver *d, const struct hf_h2_events *events,
                     unsigned keepalive_ms)
{
    c->driver = d;
    c->events = events;
    c->keepalive_ms = keepalive_ms;
    c->flush.run = conn_flush;
    uv_tcp_init(d->loop, &c->tcp);
    c->tcp.data = c->write.data = c;
}

/* --- closing --- */

static void on_closed(uv_handle_t *h)
{
    struct hf_h2_conn *c = h->data;
    SSL_free(c->ssl);
    free(c->rest);
    free(c->peer_address);
    free(c->peer_name);
    free(c->close_why);
    c->events->gone(c);
}

static void say_tls_goodbye(struct hf_h2_conn *c)
{
    if (!c->ssl || !c->secured || c->writing)
        return;
    SSL_shutdown(c->ssl);
    char *p;
    long n = BIO_get_mem_data(SSL_get_wbio(c->ssl), &p);
    uv_buf_t buf = uv_buf_init(p, (unsigned)n);
    if (n > 0)
        (void)uv_try_write((uv_stream_t *)&c->tcp, &buf, 1); /* courtesy only */
}

void hf_h2_conn_close(struct hf_h2_conn *c, const char *why)
{
    if (c->closing)
        return;
    if (c->busy) {
        if (!c->close_why)
            c->close_why = hf_strdup(why);
        return;
    }
    c->closing = true;
    hf_h2_driver_unqueue(c->driver, &c->flush);
    hf_timer_stop(&c->timer);
    hf_resolve_cancel(c->resolve);
    c->events->down(c, why);
    nghttp2_session_del(c->session);
    c->session = NULL;
    say_tls_goodbye(c);
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void enter(struct hf_h2_conn *c)
{
    c->busy++;
}

/* False: a callback asked for the close, which has happened now. */
static bool leave(struct hf_h2_conn *c)
{
    c->busy--;
    if (!c->close_why)
        return true;
    char *why = c->close_why;
    c->close_why = NULL;
    hf_h2_conn_close(c, why);
    free(why);
    return false;
}

static void close_tls(struct hf_h2_conn *c, const char *doing)
{
    char *error = hf_tls_error(c->ssl), *why = hf_printf("%s: %s", doing, error);
    hf_h2_conn_close(c, why);
    free(error);
    free(why);
}

/* --- writing --- */

uint8_t *hf_h2_conn_reserve(struct hf_h2_conn *c, size_t len)
{
    HF_ASSERT(len <= FRAME_MAX);
    if (HF_H2_OUT_MAX - c->out_len < len)
        return NULL;
    uint8_t *p = c->driver->out + c->out_len;
    c->out_len += len;
    return p;
}

/* Fills driver->out from the session. */
static bool pull(struct hf_h2_conn *c)
{
    c->out_len = 0;
    if (!c->secured)
        return true;
    enter(c);
    while (HF_H2_OUT_MAX - c->out_len >= FRAME_MAX) {
        const uint8_t *p;
        ssize_t n = nghttp2_session_mem_send(c->session, &p);
        if (n < 0)
            hf_h2_conn_close(c, nghttp2_strerror((int)n));
        if (n <= 0)
            break;
        memcpy(hf_h2_conn_reserve(c, (size_t)n), p, (size_t)n);
    }
    if (c->events->pulled)
        c->events->pulled(c);
    return leave(c);
}

static void on_written(uv_write_t *w, int status)
{
    struct hf_h2_conn *c = w->data;
    c->writing = false;
    if (c->closing)
        return;
    free(c->rest);
    c->rest = NULL;
    if (status < 0)
        hf_h2_conn_close(c, uv_strerror(status));
    else
        hf_h2_conn_mark(c);
}

/* Writes now what the socket takes and leaves the rest to libuv. */
static void write_out(struct hf_h2_conn *c, const char *p, size_t len)
{
    uv_buf_t buf = uv_buf_init((char *)p, (unsigned)len);
    int n = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
    if (n == UV_EAGAIN)
        n = 0;
    if (n < 0) {
        hf_h2_conn_close(c, uv_strerror(n));
        return;
    }
    size_t left = len - (size_t)n;
    if (left == 0)
        return;
    c->rest = hf_alloc(left);
    memcpy(c->rest, p + n, left);
    c->writing = true;
    buf = uv_buf_init((char *)c->rest, (unsigned)left);
    int r = uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written);
    if (r < 0) {
        c->writing = false;
        hf_h2_conn_close(c, uv_strerror(r));
    }
}

/* True: something went out (or the connection is closing). */
static bool write_plain(struct hf_h2_conn *c)
{
    if (c->out_len == 0)
        return false;
    write_out(c, (const char *)c->driver->out, c->out_len);
    return true;
}

static bool write_tls(struct hf_h2_conn *c)
{
    if (c->out_len > 0 && SSL_write(c->ssl, c->driver->out, (int)c->out_len) != (int)c->out_len) {
        close_tls(c, "encrypt");
        return true;
    }
    char *p;
    BIO *bio = SSL_get_wbio(c->ssl);
    long n = BIO_get_mem_data(bio, &p);
    if (n <= 0)
        return false;
    write_out(c, p, (size_t)n);
    if (!c->closing)
        (void)BIO_reset(bio);
    return true;
}

static void conn_flush(struct hf_h2_task *task)
{
    struct hf_h2_conn *c = hf_container_of(task, struct hf_h2_conn, flush);
    for (unsigned i = 0; i < WRITES_PER_FLUSH_MAX; i++) {
        if (c->closing || c->writing || !c->connected || !pull(c))
            return;
        if (!(c->ssl ? write_tls(c) : write_plain(c))) {
            if (!nghttp2_session_want_read(c->session) && !nghttp2_session_want_write(c->session))
                hf_h2_conn_close(c, "connection ended");
            return;
        }
    }
    hf_h2_conn_mark(c);
}

/* --- reading --- */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    struct hf_h2_conn *c = h->data;
    (void)suggested;
    *buf = uv_buf_init((char *)c->driver->in, HF_H2_IN_MAX);
}

static bool receive(struct hf_h2_conn *c, const uint8_t *p, size_t len)
{
    enter(c);
    c->answered = true;
    ssize_t n = nghttp2_session_mem_recv(c->session, p, len);
    if (n < 0)
        hf_h2_conn_close(c, nghttp2_strerror((int)n));
    return leave(c);
}

static bool shake_hands(struct hf_h2_conn *c)
{
    int r = SSL_do_handshake(c->ssl);
    if (r != 1 && SSL_get_error(c->ssl, r) == SSL_ERROR_WANT_READ)
        return true;
    if (r != 1) {
        char *p;
        long n = BIO_get_mem_data(SSL_get_wbio(c->ssl), &p);
        if (n > 0)
            write_out(c, p, (size_t)n); /* the alert tells the peer why */
        close_tls(c, "TLS handshake");
        return false;
    }
    const unsigned char *proto;
    unsigned len;
    SSL_get0_alpn_selected(c->ssl, &proto, &len);
    if (len != 2 || memcmp(proto, "h2", 2) != 0) {
        hf_h2_conn_close(c, "TLS handshake: the peer does not speak HTTP/2 (ALPN h2)");
        return false;
    }
    c->secured = true;
    return true;
}

static void receive_tls(struct hf_h2_conn *c, const uint8_t *p, size_t len)
{
    uint8_t plain[16384]; /* one record */
    BIO_write(SSL_get_rbio(c->ssl), p, (int)len);
    if (!c->secured && !shake_hands(c))
        return;
    if (!c->secured)
        return;
    int n;
    while ((n = SSL_read(c->ssl, plain, sizeof plain)) > 0)
        if (!receive(c, plain, (size_t)n))
            return;
    int error = SSL_get_error(c->ssl, n);
    if (error == SSL_ERROR_ZERO_RETURN)
        hf_h2_conn_close(c, "the peer closed the connection");
    else if (error != SSL_ERROR_WANT_READ)
        close_tls(c, "TLS");
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct hf_h2_conn *c = stream->data;
    if (n == 0 || c->closing)
        return;
    if (n < 0) {
        hf_h2_conn_close(c, n == UV_EOF ? "the peer closed the connection" : uv_strerror((int)n));
        return;
    }
    c->last_read_ms = uv_now(c->driver->loop);
    c->pinged = false;
    if (c->ssl)
        receive_tls(c, (const uint8_t *)buf->base, (size_t)n);
    else
        receive(c, (const uint8_t *)buf->base, (size_t)n);
    if (!c->closing)
        hf_h2_conn_mark(c);
}

/* --- set-up and keepalive --- */

static void on_timer(void *arg)
{
    struct hf_h2_conn *c = arg;
    uint64_t quiet_ms = uv_now(c->driver->loop) - c->last_read_ms;
    if (!c->answered) {
        hf_h2_conn_close(c,
                         c->connected ? "no answer to the connection in time" : "connecting took too long");
        return;
    }
    if (quiet_ms < c->keepalive_ms) {
        hf_timer_start(c->driver->env, &c->timer, (int64_t)(c->keepalive_ms - quiet_ms), on_timer, c);
        return;
    }
    if (c->pinged) {
        hf_h2_conn_close(c, "the peer does not answer");
        return;
    }
    c->pinged = true;
    nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, NULL);
    hf_h2_conn_mark(c);
    hf_timer_start(c->driver->env, &c->timer, c->keepalive_ms, on_timer, c);
}

static void start(struct hf_h2_conn *c)
{
    c->connected = true;
    c->secured = c->ssl == NULL;
    c->last_read_ms = uv_now(c->driver->loop);
    uv_tcp_nodelay(&c->tcp, 1);
    uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    hf_h2_conn_mark(c);
}

bool hf_h2_conn_accept(struct hf_h2_conn *c, uv_stream_t *listener, unsigned setup_ms)
{
    struct sockaddr_storage peer;
    int len = sizeof peer, r = uv_accept(listener, (uv_stream_t *)&c->tcp);
    if (r == 0)
        r = uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&peer, &len);
    if (r < 0) {
        hf_h2_conn_close(c, uv_strerror(r));
        return false;
    }
    c->peer_address = hf_address_format((struct sockaddr *)&peer);
    hf_timer_start(c->driver->env, &c->timer, setup_ms, on_timer, c);
    start(c);
    return true;
}

static void on_connect(uv_connect_t *req, int status)
{
    struct hf_h2_conn *c = req->data;
    free(req);
    if (c->closing)
        return;
    if (status < 0) {
        hf_h2_conn_close(c, uv_strerror(status));
        return;
    }
    start(c);
    if (c->ssl)
        shake_hands(c);
}

static void connect_to(struct hf_h2_conn *c, const struct sockaddr *to)
{
    c->peer_address = hf_address_format(to);
    uv_connect_t *req = HF_NEW(uv_connect_t);
    req->data = c;
    int r = uv_tcp_connect(req, &c->tcp, to, on_connect);
    if (r < 0) {
        free(req);
        hf_h2_conn_close(c, uv_strerror(r));
    }
}

static void on_resolved(const struct sockaddr *to, const char *error, void *arg)
{
    struct hf_h2_conn *c = arg;
    c->resolve = NULL;
    if (to)
        connect_to(c, to);
    else
        hf_h2_conn_close(c, error);
}

void hf_h2_conn_connect(struct hf_h2_conn *c, const char *address, unsigned setup_ms)
{
    hf_timer_start(c->driver->env, &c->timer, setup_ms, on_timer, c);
    c->resolve = hf_resolve(c->driver->loop, address, on_resolved, c);
}
