/* A loop with an echo server and a channel to it, for tests. Everything runs in the test's own thread. */
#ifndef HF_RPC_RPC_TESTING_H
#define HF_RPC_RPC_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "echo.pb-c.h"
#include "rpc/echo_service.h"
#include "rpc/grpc_client.h"

#define STUCK_MS 60000u /* a test that waits for so long has failed; no test depends on anything shorter */

struct world {
    uv_loop_t loop;
    uv_timer_t stuck;
    struct hf_grpc_server *server;
    struct hf_echo *echo;
    struct hf_grpc_channel *channel;
    char address[32];
    bool server_closed;
};

static inline void on_stuck(uv_timer_t *t)
{
    (void)t;
    fail_msg("nothing happened for %u ms", STUCK_MS);
}

/* Turns the loop until *done. */
static inline void run_until(struct world *w, const bool *done)
{
    uv_timer_start(&w->stuck, on_stuck, STUCK_MS, 0);
    while (!*done)
        uv_run(&w->loop, UV_RUN_ONCE);
    uv_timer_stop(&w->stuck);
}

static inline void on_pause_over(uv_timer_t *t)
{
    *(bool *)t->data = true;
}

/* Lets the loop run for a while: for things that should not happen. */
static inline void run_for(struct world *w, unsigned ms)
{
    bool over = false;
    uv_timer_t t;
    uv_timer_init(&w->loop, &t);
    t.data = &over;
    uv_timer_start(&t, on_pause_over, ms, 0);
    run_until(w, &over);
    over = false;
    uv_close((uv_handle_t *)&t, NULL);
    uv_run(&w->loop, UV_RUN_NOWAIT);
}

static inline void start_server(struct world *w, const char *address, const struct hf_tls_files *tls)
{
    struct hf_grpc_server_options o = {.address = address, .send_high_water = 64 << 10};
    if (tls)
        o.tls = *tls;
    assert_true(hf_ok(hf_grpc_server_create(&w->loop, &o, &w->server)));
    w->echo = hf_echo_create(&w->loop, w->server);
    hf_status st = hf_grpc_server_listen(w->server);
    if (!hf_ok(st))
        fail_msg("%s", hf_status_message(st));
    snprintf(w->address, sizeof w->address, "127.0.0.1:%d", hf_grpc_server_port(w->server));
}

static inline void on_server_closed(void *arg)
{
    struct world *w = arg;
    w->server_closed = true;
    w->server = NULL;
}

static inline void stop_server(struct world *w, unsigned grace_ms)
{
    w->server_closed = false;
    hf_grpc_server_close(w->server, grace_ms, on_server_closed, w);
    run_until(w, &w->server_closed);
    hf_echo_free(w->echo);
}

static inline void open_channel(struct world *w, const struct hf_tls_files *tls)
{
    struct hf_grpc_channel_options o = {.address = w->address};
    if (tls)
        o.tls = *tls;
    w->channel = hf_grpc_channel_create(&w->loop, &o);
}

static inline struct world *world_create(void)
{
    struct world *w = HF_NEW(struct world);
    uv_loop_init(&w->loop);
    uv_timer_init(&w->loop, &w->stuck);
    return w;
}

/* Checks that nothing is left behind. */
static inline void world_free(struct world *w)
{
    if (w->channel)
        hf_grpc_channel_close(w->channel);
    if (w->server)
        stop_server(w, 0);
    uv_close((uv_handle_t *)&w->stuck, NULL);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    free(w);
}

static inline int setup_plain(void **state)
{
    struct world *w = world_create();
    start_server(w, "127.0.0.1:0", NULL);
    open_channel(w, NULL);
    *state = w;
    return 0;
}

static inline int teardown(void **state)
{
    world_free(*state);
    return 0;
}

/* What one call came to. */
struct outcome {
    bool done;
    enum hf_code code;
    char message[256], text[256], trailer[64];
    size_t data_len;
    char peer_name[128];
};

static inline void on_outcome(hf_status st, const ProtobufCMessage *m, struct hf_grpc_stream *stream,
                              void *arg)
{
    struct outcome *o = arg;
    const char *trailer = hf_grpc_stream_trailer(stream, "x-test");
    assert_false(o->done);
    o->done = true;
    o->code = hf_status_code(st);
    snprintf(o->message, sizeof o->message, "%s", hf_status_message(st));
    snprintf(o->trailer, sizeof o->trailer, "%s", trailer ? trailer : "");
    assert_int_equal(hf_ok(st), m != NULL);
    if (!m)
        return;
    const Holdfast__Rpctest__EchoReply *r = (const void *)m;
    snprintf(o->text, sizeof o->text, "%s", r->text);
    snprintf(o->peer_name, sizeof o->peer_name, "%s", r->peer_name);
    o->data_len = r->data.len;
}

static inline struct hf_grpc_stream *start_echo(struct world *w, const Holdfast__Rpctest__EchoRequest *q,
                                                unsigned deadline_ms, struct outcome *o)
{
    *o = (struct outcome){.done = false};
    return hf_grpc_unary(w->channel, &holdfast__rpctest__echo__descriptor, "Echo", &q->base, deadline_ms,
                         on_outcome, o);
}

static inline struct outcome echo(struct world *w, const Holdfast__Rpctest__EchoRequest *q,
                                  unsigned deadline_ms)
{
    struct outcome o;
    start_echo(w, q, deadline_ms, &o);
    run_until(w, &o.done);
    return o;
}

static inline struct outcome echo_text(struct world *w, const char *text)
{
    Holdfast__Rpctest__EchoRequest q = HOLDFAST__RPCTEST__ECHO_REQUEST__INIT;
    q.text = (char *)text;
    return echo(w, &q, 0);
}

#define assert_has(text, part)                                                                               \
    do {                                                                                                     \
        if (!strstr(text, part))                                                                             \
            fail_msg("'%s' does not contain '%s'", text, part);                                              \
    } while (0)

#endif
