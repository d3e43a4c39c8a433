#include "rpc/grpc_client.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "rpc/address.h"
#include "rpc/grpc_stream.h"
#include "rpc/tls.h"

#define CONNECT_MS_DEFAULT   5000u
#define KEEPALIVE_MS_DEFAULT 10000u
#define STREAM_WINDOW        (1 << 20)  /* bytes that the server may send ahead on one stream … */
#define CONNECTION_WINDOW    (16 << 20) /* … and on all */

/* --- nghttp2's callbacks --- */

static struct hf_grpc_stream *stream_of(nghttp2_session *session, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(session, stream_id);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user_data)
{
    (void)flags, (void)user_data;
    struct hf_grpc_stream *s = stream_of(session, frame->hd.stream_id);
    if (s)
        hf_grpc_stream_header(s, (const char *)name, name_len, (const char *)value, value_len);
    return 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct hf_grpc_link *link = user_data;
    if (frame->hd.type == NGHTTP2_GOAWAY && link->channel->current == link)
        link->channel->current = NULL; /* it drains; the next call connects anew */
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    struct hf_grpc_stream *s = stream_of(session, frame->hd.stream_id);
    if (s)
        hf_grpc_stream_headers_end(s, (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0);
    return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
                         size_t len, void *user_data)
{
    (void)flags, (void)user_data;
    struct hf_grpc_stream *s = stream_of(session, stream_id);
    if (s)
        hf_grpc_stream_receive(s, data, len);
    return 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    (void)user_data;
    struct hf_grpc_stream *s =
        frame->hd.type == NGHTTP2_HEADERS ? stream_of(session, frame->hd.stream_id) : NULL;
    if (s)
        s->sent = true;
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error, void *user_data)
{
    (void)user_data;
    struct hf_grpc_stream *s = stream_of(session, stream_id);
    if (s)
        hf_grpc_stream_gone(s, error);
    return 0;
}

static void make_callbacks(struct hf_grpc_channel *c)
{
    HF_ASSERT(nghttp2_session_callbacks_new(&c->callbacks) == 0);
    nghttp2_session_callbacks_set_on_header_callback(c->callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c->callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c->callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_send_callback(c->callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(c->callbacks, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(c->callbacks, hf_grpc_sender_send_data);
    HF_ASSERT(nghttp2_option_new(&c->h2_option) == 0);
    nghttp2_option_set_no_closed_streams(c->h2_option, 1);
}

/* --- connections --- */

static void link_down(struct hf_h2_conn *h2, const char *why)
{
    struct hf_grpc_link *link = hf_container_of(h2, struct hf_grpc_link, h2);
    struct hf_grpc_stream *s;
    if (link->channel->current == link)
        link->channel->current = NULL; /* a callback may call again: on a new connection */
    while ((s = LIST_FIRST(&link->streams)))
        hf_grpc_stream_lost(s, why);
}

static void link_gone(struct hf_h2_conn *h2)
{
    struct hf_grpc_link *link = hf_container_of(h2, struct hf_grpc_link, h2);
    struct hf_grpc_channel *c = link->channel;
    LIST_REMOVE(link, entry);
    free(link);
    hf_grpc_channel_free_when_empty(c);
}

static const struct hf_h2_events LINK_EVENTS = {.down = link_down, .gone = link_gone};

static void open_session(struct hf_grpc_link *link)
{
    struct hf_grpc_channel *c = link->channel;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HF_GRPC_METADATA_MAX},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    nghttp2_session *session;
    HF_ASSERT(nghttp2_session_client_new2(&session, c->callbacks, link, c->h2_option) == 0);
    link->h2.session = session;
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings);
    nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW);
    if (c->tls)
        link->h2.ssl = hf_tls_client_new(c->tls, c->host);
}

struct hf_grpc_link *hf_grpc_channel_link(struct hf_grpc_channel *c)
{
    if (c->current && nghttp2_session_check_request_allowed(c->current->h2.session))
        return c->current;
    struct hf_grpc_link *link = HF_NEW(struct hf_grpc_link);
    link->channel = c;
    LIST_INIT(&link->streams);
    LIST_INSERT_HEAD(&c->links, link, entry);
    hf_h2_conn_init(&link->h2, &c->driver, &LINK_EVENTS, c->keepalive_ms);
    open_session(link);
    hf_h2_conn_connect(&link->h2, c->address, c->connect_ms);
    c->current = link;
    return link;
}

/* --- channel --- */

struct hf_grpc_channel *hf_grpc_channel_create(uv_loop_t *loop, const struct hf_grpc_channel_options *o)
{
    struct hf_grpc_channel *c = HF_NEW(struct hf_grpc_channel);
    c->address = hf_strdup(o->address);
    c->host = hf_address_host(o->address);
    c->connect_ms = o->connect_ms ? o->connect_ms : CONNECT_MS_DEFAULT;
    c->keepalive_ms = o->keepalive_ms ? o->keepalive_ms : KEEPALIVE_MS_DEFAULT;
    LIST_INIT(&c->links);
    LIST_INIT(&c->unlinked);
    if (!c->host)
        c->broken = hf_error(HF_INVALID, "server address '%s' is not of the form host:port", o->address);
    else if (o->tls.ca)
        c->broken = hf_tls_client_context(&o->tls, &c->tls);
    hf_h2_driver_init(&c->driver, loop);
    make_callbacks(c);
    return c;
}

static void channel_free(struct hf_h2_driver *d)
{
    struct hf_grpc_channel *c = hf_container_of(d, struct hf_grpc_channel, driver);
    struct hf_grpc_stream *s;
    while ((s = c->pool)) {
        c->pool = s->entry.le_next;
        free(s);
    }
    nghttp2_session_callbacks_del(c->callbacks);
    nghttp2_option_del(c->h2_option);
    SSL_CTX_free(c->tls);
    hf_status_drop(c->broken);
    free(c->address);
    free(c->host);
    free(c);
}

void hf_grpc_channel_free_when_empty(struct hf_grpc_channel *c)
{
    if (!c->closing || c->closed || !LIST_EMPTY(&c->links) || !LIST_EMPTY(&c->unlinked))
        return;
    c->closed = true;
    hf_h2_driver_close(&c->driver, channel_free);
}

/* The next stream whose user has not heard its end. */
static struct hf_grpc_stream *next_open(struct hf_grpc_channel *c)
{
    struct hf_grpc_stream *s;
    struct hf_grpc_link *link;
    LIST_FOREACH(link, &c->links, entry)
    LIST_FOREACH(s, &link->streams, entry)
    if (!s->ended)
        return s;
    LIST_FOREACH(s, &c->unlinked, entry)
    if (!s->ended)
        return s;
    return NULL;
}

void hf_grpc_channel_close(struct hf_grpc_channel *c)
{
    HF_ASSERT(!c->closing);
    c->closing = true;
    c->current = NULL;
    struct hf_grpc_stream *s;
    while ((s = next_open(c)))
        hf_grpc_stream_end(s, s->has_local_end
                                  ? s->local_end
                                  : hf_error(HF_CANCELLED, "the channel to %s was closed", c->address));
    struct hf_grpc_link *link, *next;
    for (link = LIST_FIRST(&c->links); link; link = next) {
        next = LIST_NEXT(link, entry); /* a close unlinks in a later turn only */
        hf_h2_conn_close(&link->h2, "the channel was closed");
    }
    hf_grpc_channel_free_when_empty(c);
}
