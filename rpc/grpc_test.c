/* Server and client against each other, in one loop. */
#include "rpc/rpc_testing.h"

#include "rpc/grpc_stream.h"

typedef Holdfast__Rpctest__EchoRequest request_t;
typedef Holdfast__Rpctest__EchoReply reply_t;
#define REQUEST HOLDFAST__RPCTEST__ECHO_REQUEST__INIT
#define SERVICE (&holdfast__rpctest__echo__descriptor)

/* --- unary --- */

static void test_unary(void **state)
{
    struct outcome o = echo_text(*state, "hello");
    assert_int_equal(o.code, HF_OK);
    assert_string_equal(o.text, "hello");
}

static void test_codes_survive(void **state)
{
    for (enum hf_code code = HF_OK + 1; code <= HF_UNAUTHENTICATED; code++) {
        request_t q = REQUEST;
        q.error_code = (int)code;
        q.text = "zone 'ü': 100 % gone";
        q.trailer = "value";
        struct outcome o = echo(*state, &q, 0);
        assert_int_equal(o.code, code);
        assert_string_equal(o.message, "zone 'ü': 100 % gone");
        assert_string_equal(o.trailer, "value");
    }
}

static void test_many_in_flight(void **state)
{
    enum { N = 5000 }; /* more than the server allows at once */
    struct world *w = *state;
    struct outcome *all = hf_alloc_array(N, sizeof *all);
    request_t q = REQUEST;
    for (int i = 0; i < N; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        q.text = text;
        start_echo(w, &q, i % 2 ? STUCK_MS : 0, &all[i]);
    }
    for (int i = 0; i < N; i++) {
        run_until(w, &all[i].done);
        assert_int_equal(all[i].code, HF_OK);
        assert_int_equal(atoi(all[i].text), i);
    }
    free(all);
}

static void test_big_and_oversized(void **state)
{
    struct world *w = *state;
    request_t q = REQUEST;
    q.data.len = (4 << 20) - 100;
    q.data.data = hf_alloc(5 << 20);
    assert_int_equal(echo(w, &q, 0).data_len, q.data.len);
    q.data.len = 5 << 20;
    struct outcome o = echo(w, &q, 0);
    assert_int_equal(o.code, HF_EXHAUSTED);
    assert_has(o.message, "4194304");
    free(q.data.data);
    assert_int_equal(echo_text(w, "still there").code, HF_OK);
}

/* --- ends --- */

static void wait_closed(struct world *w, uint64_t open)
{
    while (hf_echo_open(w->echo) > open)
        run_for(w, 1);
}

static void test_deadline(void **state)
{
    struct world *w = *state;
    request_t q = REQUEST;
    q.sleep_ms = STUCK_MS;
    struct outcome o = echo(w, &q, 50);
    assert_int_equal(o.code, HF_TIMEOUT);
    wait_closed(w, 0);
    assert_int_equal(hf_echo_cancelled(w->echo), 1);
    assert_int_equal(echo_text(w, "next").code, HF_OK);
}

static void test_cancel(void **state)
{
    struct world *w = *state;
    struct outcome o;
    request_t q = REQUEST;
    q.sleep_ms = STUCK_MS;
    struct hf_grpc_stream *s = start_echo(w, &q, 0, &o);
    while (hf_echo_open(w->echo) == 0)
        uv_run(&w->loop, UV_RUN_ONCE);
    hf_grpc_stream_cancel(s);
    assert_false(o.done); /* never inside of the call */
    run_until(w, &o.done);
    assert_int_equal(o.code, HF_CANCELLED);
    wait_closed(w, 0);
    assert_int_equal(hf_echo_cancelled(w->echo), 1);
}

static void test_cancel_before_sent(void **state)
{
    struct world *w = *state;
    struct outcome o;
    request_t q = REQUEST;
    hf_grpc_stream_cancel(start_echo(w, &q, 0, &o));
    run_until(w, &o.done);
    assert_int_equal(o.code, HF_CANCELLED);
    assert_int_equal(echo_text(w, "next").code, HF_OK);
    assert_int_equal(hf_echo_cancelled(w->echo), 0);
}

static void test_close_channel(void **state)
{
    struct world *w = *state;
    struct outcome sleeping, fresh;
    request_t q = REQUEST;
    q.sleep_ms = STUCK_MS;
    start_echo(w, &q, 0, &sleeping);
    while (hf_echo_open(w->echo) == 0)
        uv_run(&w->loop, UV_RUN_ONCE);
    start_echo(w, &q, 0, &fresh);
    hf_grpc_channel_close(w->channel);
    w->channel = NULL;
    assert_true(sleeping.done && fresh.done);
    assert_int_equal(sleeping.code, HF_CANCELLED);
    assert_int_equal(fresh.code, HF_CANCELLED);
    wait_closed(w, 0);
}

/* --- broken connections --- */

static void test_lost_connection(void **state)
{
    struct world *w = *state;
    struct outcome o;
    request_t q = REQUEST;
    q.sleep_ms = STUCK_MS;
    start_echo(w, &q, 0, &o);
    while (hf_echo_open(w->echo) == 0)
        uv_run(&w->loop, UV_RUN_ONCE);
    stop_server(w, 0);
    run_until(w, &o.done);
    assert_int_equal(o.code, HF_UNKNOWN_OUTCOME); /* the server had it */
    o = echo_text(w, "nobody is there");
    assert_int_equal(o.code, HF_UNAVAILABLE); /* it was never sent */
    assert_has(o.message, w->address);
    char *address = hf_strdup(w->address);
    start_server(w, address, NULL);
    free(address);
    assert_int_equal(echo_text(w, "back").code, HF_OK);
}

static void test_graceful_end(void **state)
{
    struct world *w = *state;
    struct outcome o;
    request_t q = REQUEST;
    q.sleep_ms = 300;
    start_echo(w, &q, 0, &o);
    while (hf_echo_open(w->echo) == 0)
        uv_run(&w->loop, UV_RUN_ONCE);
    stop_server(w, STUCK_MS);
    run_until(w, &o.done);
    assert_int_equal(o.code, HF_OK);
    assert_int_equal(echo_text(w, "late").code, HF_UNAVAILABLE);
}

static void on_unwanted(uv_stream_t *listener, int status)
{
    (void)listener, (void)status;
}

static void test_no_answer_in_time(void **state)
{
    struct world *w = *state;
    struct outcome o;
    request_t q = REQUEST;
    /* The kernel takes the connection, but nobody speaks. */
    uv_tcp_t silent;
    struct sockaddr_in a;
    int len = sizeof a;
    uv_tcp_init(&w->loop, &silent);
    uv_ip4_addr("127.0.0.1", 0, &a);
    assert_int_equal(uv_tcp_bind(&silent, (struct sockaddr *)&a, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&silent, 8, on_unwanted), 0);
    uv_tcp_getsockname(&silent, (struct sockaddr *)&a, &len);
    snprintf(w->address, sizeof w->address, "127.0.0.1:%d", ntohs(a.sin_port));
    struct hf_grpc_channel_options options = {.address = w->address, .connect_ms = 100};
    struct hf_grpc_channel *plain = w->channel;
    w->channel = hf_grpc_channel_create(&w->loop, &options);
    start_echo(w, &q, 0, &o);
    run_until(w, &o.done);
    assert_int_equal(o.code, HF_UNKNOWN_OUTCOME); /* a server that says nothing may have heard everything */
    assert_has(o.message, "in time");
    uv_close((uv_handle_t *)&silent, NULL);
    hf_grpc_channel_close(w->channel);
    w->channel = plain;
}

static void test_bad_address(void **state)
{
    struct world *w = *state;
    struct hf_grpc_channel *good = w->channel;
    static const char *const BAD[] = {"nonsense", "127.0.0.1:notaport"};
    for (size_t i = 0; i < 2; i++) {
        struct hf_grpc_channel_options options = {.address = BAD[i]};
        w->channel = hf_grpc_channel_create(&w->loop, &options);
        struct outcome o = echo_text(w, "x");
        assert_true(o.code == HF_INVALID || o.code == HF_UNAVAILABLE);
        assert_has(o.message, BAD[i]);
        hf_grpc_channel_close(w->channel);
    }
    struct hf_grpc_channel_options options = {.address = good->address, .tls.ca = "/does/not/exist"};
    w->channel = hf_grpc_channel_create(&w->loop, &options);
    struct outcome o = echo_text(w, "x");
    assert_int_equal(o.code, HF_INVALID);
    assert_has(o.message, "/does/not/exist");
    hf_grpc_channel_close(w->channel);
    w->channel = good;
}

/* --- streams --- */

struct reader {
    struct world *w;
    uint32_t messages, last_seq;
    uint64_t bytes;
    bool connected, done;
    enum hf_code code;
};

static void on_message(struct hf_grpc_stream *s, ProtobufCMessage *m, void *arg)
{
    struct reader *r = arg;
    (void)s;
    r->messages++;
    r->last_seq = ((reply_t *)m)->seq;
    r->bytes += ((reply_t *)m)->data.len;
    protobuf_c_message_free_unpacked(m, NULL);
}

static void on_end(struct hf_grpc_stream *s, hf_status st, void *arg)
{
    struct reader *r = arg;
    (void)s;
    assert_false(r->done);
    r->done = true;
    r->code = hf_status_code(st);
}

static void on_connected(struct hf_grpc_stream *s, void *arg)
{
    (void)s;
    ((struct reader *)arg)->connected = true;
}

static const struct hf_grpc_stream_handler READER = {
    .message = on_message, .end = on_end, .connected = on_connected};

static void test_server_stream(void **state)
{
    struct world *w = *state;
    struct reader r = {.w = w};
    request_t q = REQUEST;
    q.count = 2000;
    q.size = 5000;
    struct hf_grpc_stream *s = hf_grpc_open(w->channel, SERVICE, "Stream", 0, &READER, &r);
    hf_grpc_stream_send(s, &q.base);
    hf_grpc_stream_half_close(s);
    run_until(w, &r.done);
    assert_int_equal(r.code, HF_OK);
    assert_true(r.connected);
    assert_int_equal(r.messages, 2000);
    assert_int_equal(r.last_seq, 2000);
    assert_int_equal(r.bytes, 2000 * 5000);
}

static void test_client_stream_and_chat(void **state)
{
    struct world *w = *state;
    struct reader collect = {.w = w}, chat = {.w = w};
    uint8_t data[3000] = {0};
    request_t q = REQUEST;
    q.data = (ProtobufCBinaryData){sizeof data, data};
    struct hf_grpc_stream *a = hf_grpc_open(w->channel, SERVICE, "Collect", 0, &READER, &collect);
    struct hf_grpc_stream *b = hf_grpc_open(w->channel, SERVICE, "Chat", 0, &READER, &chat);
    unsigned queued_over = 0;
    for (int i = 0; i < 1000; i++) {
        queued_over += !hf_grpc_stream_send(a, &q.base);
        hf_grpc_stream_send(b, &q.base);
    }
    assert_true(queued_over > 0); /* 3 MB are more than the mark */
    hf_grpc_stream_half_close(a);
    hf_grpc_stream_half_close(b);
    run_until(w, &collect.done);
    run_until(w, &chat.done);
    assert_int_equal(collect.code, HF_OK);
    assert_int_equal(collect.last_seq, 1000);
    assert_int_equal(chat.code, HF_OK);
    assert_int_equal(chat.messages, 1000);
    assert_int_equal(chat.bytes, 1000 * sizeof data);
}

/* The client's end of the stream's connection stops reading; go_on takes what stop has returned. */
static struct uv_tcp_s stop_reading(struct hf_grpc_stream *s)
{
    struct uv_tcp_s before = s->link->h2.tcp; /* for its callbacks, which stopping forgets */
    uv_read_stop((uv_stream_t *)&s->link->h2.tcp);
    return before;
}

static void go_on_reading(struct hf_grpc_stream *s, const struct uv_tcp_s *before)
{
    uv_read_start((uv_stream_t *)&s->link->h2.tcp, before->alloc_cb, before->read_cb);
}

/* A client that does not read holds the server's handler back, and only that call. */
static void test_slow_reader(void **state)
{
    struct world *w = *state;
    struct reader r = {.w = w};
    request_t q = REQUEST;
    q.count = 4000;
    q.size = 10000;
    struct hf_grpc_stream *s = hf_grpc_open(w->channel, SERVICE, "Stream", 0, &READER, &r);
    hf_grpc_stream_send(s, &q.base);
    hf_grpc_stream_half_close(s);
    while (r.messages == 0)
        uv_run(&w->loop, UV_RUN_ONCE);
    struct uv_tcp_s before = stop_reading(s);
    run_for(w, 200);
    uint32_t read = r.messages;
    assert_true(read < 4000);

    struct hf_grpc_channel *slow = w->channel;
    open_channel(w, NULL);
    assert_int_equal(echo_text(w, "others are served").code, HF_OK);
    hf_grpc_channel_close(w->channel);
    w->channel = slow;

    assert_false(r.done);
    go_on_reading(s, &before);
    run_until(w, &r.done);
    assert_int_equal(r.code, HF_OK);
    assert_int_equal(r.messages, 4000);
}

/* The other way round: a server that pauses reading, since its answers are not taken, holds the client back.
 */
static void test_slow_chat(void **state)
{
    struct world *w = *state;
    struct reader r = {.w = w};
    uint8_t data[20000] = {0};
    request_t q = REQUEST;
    q.data = (ProtobufCBinaryData){sizeof data, data};
    struct hf_grpc_stream *s = hf_grpc_open(w->channel, SERVICE, "Chat", 0, &READER, &r);
    hf_grpc_stream_send(s, &q.base);
    while (r.messages == 0)
        uv_run(&w->loop, UV_RUN_ONCE);
    struct uv_tcp_s before = stop_reading(s);
    for (int i = 0; i < 1000; i++)
        hf_grpc_stream_send(s, &q.base);
    hf_grpc_stream_half_close(s);
    run_for(w, 200);
    assert_true(s->sender.outbox.bytes > 0); /* neither side swallows 20 MB */
    go_on_reading(s, &before);
    run_until(w, &r.done);
    assert_int_equal(r.code, HF_OK);
    assert_int_equal(r.messages, 1001);
}

static void test_stream_cancelled_with_data_queued(void **state)
{
    struct world *w = *state;
    struct reader r = {.w = w};
    request_t q = REQUEST;
    q.size = 10000;
    struct hf_grpc_stream *s = hf_grpc_open(w->channel, SERVICE, "Stream", 0, &READER, &r);
    hf_grpc_stream_send(s, &q.base);
    hf_grpc_stream_half_close(s);
    while (r.messages < 100)
        uv_run(&w->loop, UV_RUN_ONCE);
    hf_grpc_stream_cancel(s);
    run_until(w, &r.done);
    assert_int_equal(r.code, HF_CANCELLED);
    wait_closed(w, 0);
    assert_int_equal(hf_echo_cancelled(w->echo), 1);
}

static void test_stream_deadline_on_server(void **state)
{
    struct world *w = *state;
    struct reader r = {.w = w};
    request_t q = REQUEST;
    q.size = 1000;
    struct hf_grpc_stream *s = hf_grpc_open(w->channel, SERVICE, "Stream", 100, &READER, &r);
    hf_timer_stop(&s->deadline); /* so that the server's word is heard */
    hf_grpc_stream_send(s, &q.base);
    hf_grpc_stream_half_close(s);
    run_until(w, &r.done);
    assert_true(r.code == HF_TIMEOUT ||
                r.code == HF_UNKNOWN_OUTCOME); /* the latter if a message was half out */
    assert_int_equal(hf_echo_open(w->echo), 0);
    assert_int_equal(hf_echo_cancelled(w->echo), 1);
}

/* --- TLS --- */

static char *dir_of_keys;

static int make_keys(void **state)
{
    (void)state;
    char template[] = "/tmp/hf_grpc_test_XXXXXX";
    dir_of_keys = hf_strdup(mkdtemp(template));
    static const char SCRIPT[] =
        "cd %s && exec >/dev/null 2>&1 && new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes' && "
        "for ca in ca other; do openssl req -x509 $new -days 2 -subj /CN=$ca -keyout $ca.key -out $ca.crt; "
        "done && "
        "leaf() { openssl req $new -subj /CN=$1 -addext subjectAltName=$3 -keyout $1.key -out $1.csr && "
        "openssl x509 -req -in $1.csr -CA $2.crt -CAkey $2.key -CAcreateserial -days 2 -copy_extensions copy "
        "-out $1.crt; } && "
        "leaf server ca IP:127.0.0.1 && leaf wronghost ca IP:127.0.0.9 && leaf h1 ca "
        "URI:spiffe://holdfast/host/h1 && "
        "leaf stranger other URI:spiffe://holdfast/host/h1";
    char *command = hf_printf(SCRIPT, dir_of_keys);
    int r = system(command);
    free(command);
    return r;
}

static int remove_keys(void **state)
{
    (void)state;
    char *command = hf_printf("rm -r %s", dir_of_keys);
    int r = system(command);
    free(command);
    free(dir_of_keys);
    return r;
}

/* The three file names; NULL names stay NULL. */
static struct hf_tls_files files(const char *name, const char *ca)
{
    return (struct hf_tls_files){
        .cert = name ? hf_printf("%s/%s.crt", dir_of_keys, name) : NULL,
        .key = name ? hf_printf("%s/%s.key", dir_of_keys, name) : NULL,
        .ca = ca ? hf_printf("%s/%s.crt", dir_of_keys, ca) : NULL,
    };
}

static void free_files(struct hf_tls_files f)
{
    free((char *)f.cert);
    free((char *)f.key);
    free((char *)f.ca);
}

static struct outcome call_over_tls(const char *server, const char *server_ca, const char *client,
                                    const char *client_ca, size_t data_len)
{
    struct world *w = world_create();
    struct hf_tls_files s = files(server, server_ca), c = files(client, client_ca);
    start_server(w, "127.0.0.1:0", &s);
    open_channel(w, &c);
    request_t q = REQUEST;
    q.text = "secret";
    q.data.len = data_len;
    q.data.data = hf_alloc(data_len + 1);
    struct outcome o = echo(w, &q, 0);
    free(q.data.data);
    free_files(s);
    free_files(c);
    world_free(w);
    return o;
}

static void test_tls(void **state)
{
    (void)state;
    struct outcome o = call_over_tls("server", NULL, NULL, "ca", 3 << 20);
    assert_int_equal(o.code, HF_OK);
    assert_string_equal(o.text, "secret");
    assert_string_equal(o.peer_name, "");
    assert_int_equal(o.data_len, 3 << 20);
}

static void test_mutual_tls(void **state)
{
    (void)state;
    struct outcome o = call_over_tls("server", "ca", "h1", "ca", 0);
    assert_int_equal(o.code, HF_OK);
    assert_string_equal(o.peer_name, "h1,spiffe://holdfast/host/h1");
}

static void test_tls_refusals(void **state)
{
    (void)state;
    /* TLS 1.3 lets the client send before the server has judged its certificate: such a call's outcome is
     * unknown. */
    enum hf_code code = call_over_tls("server", "ca", NULL, "ca", 0).code;
    assert_true(code == HF_UNAVAILABLE || code == HF_UNKNOWN_OUTCOME);
    code = call_over_tls("server", "ca", "stranger", "ca", 0).code;
    assert_true(code == HF_UNAVAILABLE || code == HF_UNKNOWN_OUTCOME);
    struct outcome o = call_over_tls("server", NULL, NULL, "other", 0);
    assert_int_equal(o.code, HF_UNAVAILABLE);
    assert_has(o.message, "certificate");
    o = call_over_tls("wronghost", NULL, NULL, "ca", 0);
    assert_int_equal(o.code, HF_UNAVAILABLE);
    assert_has(o.message, "IP address mismatch");
}

static void test_tls_bad_files(void **state)
{
    (void)state;
    struct world *w = world_create();
    struct hf_tls_files f = files("missing", NULL), odd = files("server", NULL);
    free((char *)odd.key);
    odd.key = hf_printf("%s/h1.key", dir_of_keys);
    const struct hf_tls_files *const BAD[] = {&f, &odd};
    for (size_t i = 0; i < 2; i++) {
        struct hf_grpc_server_options o = {.address = "127.0.0.1:0", .tls = *BAD[i]};
        struct hf_grpc_server *s;
        hf_status st = hf_grpc_server_create(&w->loop, &o, &s);
        assert_int_equal(hf_status_code(st), HF_INVALID);
        assert_has(hf_status_message(st), dir_of_keys);
        hf_status_drop(st);
    }
    free_files(f);
    free_files(odd);
    world_free(w);
}

static void test_listen_refusals(void **state)
{
    struct world *w = *state;
    struct hf_grpc_server *second;
    struct hf_grpc_server_options o = {.address = w->address};
    assert_true(hf_ok(hf_grpc_server_create(&w->loop, &o, &second)));
    hf_status st = hf_grpc_server_listen(second);
    assert_false(hf_ok(st));
    assert_has(hf_status_message(st), w->address);
    hf_status_drop(st);
    bool closed = false;
    hf_grpc_server_close(second, 0, (void (*)(void *))NULL, &closed);
    o.address = "nowhere";
    st = hf_grpc_server_create(&w->loop, &o, &second);
    assert_int_equal(hf_status_code(st), HF_INVALID);
    hf_status_drop(st);
}

#define PLAIN(test) cmocka_unit_test_setup_teardown(test, setup_plain, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAIN(test_unary),
        PLAIN(test_codes_survive),
        PLAIN(test_many_in_flight),
        PLAIN(test_big_and_oversized),
        PLAIN(test_deadline),
        PLAIN(test_cancel),
        PLAIN(test_cancel_before_sent),
        PLAIN(test_close_channel),
        PLAIN(test_lost_connection),
        PLAIN(test_graceful_end),
        PLAIN(test_no_answer_in_time),
        PLAIN(test_bad_address),
        PLAIN(test_server_stream),
        PLAIN(test_client_stream_and_chat),
        PLAIN(test_slow_reader),
        PLAIN(test_slow_chat),
        PLAIN(test_stream_cancelled_with_data_queued),
        PLAIN(test_stream_deadline_on_server),
        PLAIN(test_listen_refusals),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_mutual_tls),
        cmocka_unit_test(test_tls_refusals),
        cmocka_unit_test(test_tls_bad_files),
    };
    return cmocka_run_group_tests(tests, make_keys, remove_keys);
}
