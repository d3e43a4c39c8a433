/* An uploaded file fetched from a control node over a real connection on loopback: whole, in spite of a node
 * that is away in the middle; and what a node says that does not give it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <uv.h>

#include "base/mem.h"
#include "holdfast/v1/host_link.pb-c.h"
#include "hostd/upload_reader.h"

#define TOTAL (3u << 20)
#define PART  (1u << 20)
#define IMAGE "77000000000000000000000000000001"

static const uint8_t secret[] = "of this host";

/* A control node, and the thread that fetches from it. */
struct bed {
    uv_loop_t loop;
    struct hf_grpc_server *server;
    char url[128];
    uint8_t content[TOTAL];
    unsigned calls, away_at; /* the call of this number is refused for now; 0: none */
    bool gone;               /* it has nothing of the file */
    /* the thread */
    uv_async_t ended;
    pthread_t thread;
    bool done, stop;
    char path[64], sha256[HF_SHA256_HEX];
    uint64_t told;
    enum hf_code code;
    char says[512];
};

static hf_status give(struct bed *b, struct hf_grpc_call *call, const Holdfast__V1__ReadUploadRequest *q)
{
    Holdfast__V1__ReadUploadResponse m = HOLDFAST__V1__READ_UPLOAD_RESPONSE__INIT;
    if (q->secret.len != sizeof secret || memcmp(q->secret.data, secret, sizeof secret) != 0)
        return hf_error(HF_DENIED, "no host with this secret was added");
    if (b->gone || strcmp(q->image_uuid, IMAGE) != 0)
        return hf_error(HF_NOT_FOUND, "this control node does not have the uploaded file");
    if (b->calls == b->away_at)
        return hf_error(HF_UNAVAILABLE, "not now");
    size_t left = TOTAL - q->offset;
    m.data = (ProtobufCBinaryData){left < PART ? left : PART, b->content + q->offset};
    m.total_bytes = TOTAL;
    hf_grpc_send(call, &m.base);
    return HF_STATUS_OK;
}

static void on_message(struct hf_grpc_call *call, ProtobufCMessage *m)
{
    struct bed *b = hf_grpc_call_user(call);
    b->calls++;
    hf_grpc_finish(call, give(b, call, (const Holdfast__V1__ReadUploadRequest *)m));
    protobuf_c_message_free_unpacked(m, NULL);
}

static void on_ended(uv_async_t *a)
{
    ((struct bed *)a->data)->done = true;
}

static int setup(void **state)
{
    static const struct hf_grpc_handler handler = {.message = on_message};
    struct hf_grpc_server_options o = {.address = "127.0.0.1:0"};
    struct bed *b = HF_NEW(struct bed);
    uv_loop_init(&b->loop);
    uv_async_init(&b->loop, &b->ended, on_ended);
    b->ended.data = b;
    for (size_t i = 0; i < TOTAL; i++)
        b->content[i] = (uint8_t)(i * 11 + (i >> 9));
    assert_true(hf_ok(hf_grpc_server_create(&b->loop, &o, &b->server)));
    hf_grpc_server_add(b->server, &holdfast__v1__host_link_service__descriptor, "ReadUpload", &handler, b);
    assert_true(hf_ok(hf_grpc_server_listen(b->server)));
    snprintf(b->url, sizeof b->url, "upload://127.0.0.1:%d/" IMAGE, hf_grpc_server_port(b->server));
    snprintf(b->path, sizeof b->path, "/tmp/hf-upload-XXXXXX");
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bed *b = *state;
    hf_grpc_server_close(b->server, 0, NULL, NULL);
    uv_close((uv_handle_t *)&b->ended, NULL);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    free(b);
    return 0;
}

static bool asked_to_stop(void *arg)
{
    return ((struct bed *)arg)->stop;
}

static void on_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    ((struct bed *)arg)->told = total_bytes == TOTAL ? done_bytes : 0;
}

struct order {
    struct bed *bed;
    struct hf_upload_opener opener;
    uint64_t room_bytes;
};

static void *fetch(void *arg)
{
    struct order *o = arg;
    struct bed *b = o->bed;
    int fd = mkstemp(b->path);
    struct hf_fetch f = {.url = b->url,
                         .room_bytes = o->room_bytes,
                         .deadline_ms = 60000,
                         .stop = asked_to_stop,
                         .progress = on_progress,
                         .arg = b,
                         .uploads = &o->opener};
    hf_status st = hf_fetch(&f, fd, b->sha256);
    b->code = hf_status_code(st);
    snprintf(b->says, sizeof b->says, "%s", hf_status_message(st));
    hf_status_drop(st);
    close(fd);
    unlink(b->path);
    uv_async_send(&b->ended);
    return NULL;
}

static void run(struct bed *b, const uint8_t *who, size_t who_len, uint64_t room_bytes)
{
    struct hf_upload_reader reader = {.secret = who, .secret_len = who_len};
    struct order o = {b, hf_upload_reader_opener(&reader), room_bytes};
    assert_int_equal(pthread_create(&b->thread, NULL, fetch, &o), 0);
    while (!b->done)
        uv_run(&b->loop, UV_RUN_ONCE);
    pthread_join(b->thread, NULL);
}

static void expect_content(const struct bed *b)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    char hex[HF_SHA256_HEX];
    SHA256(b->content, TOTAL, hash);
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    if (b->code != HF_OK)
        fail_msg("%s", b->says);
    assert_string_equal(b->sha256, hex);
    assert_int_equal(b->told, TOTAL);
}

static void the_file_comes_whole(void **state)
{
    struct bed *b = *state;
    run(b, secret, sizeof secret, TOTAL);
    expect_content(b);
    assert_int_equal(b->calls, 4); /* three parts and the end */
}

static void a_node_that_is_away_costs_nothing(void **state)
{
    struct bed *b = *state;
    b->away_at = 2;
    run(b, secret, sizeof secret, TOTAL);
    expect_content(b);
    assert_int_equal(b->calls, 5); /* what had come did not come again */
}

static void a_stranger_gets_nothing(void **state)
{
    struct bed *b = *state;
    run(b, (const uint8_t *)"another", 8, TOTAL);
    assert_int_equal(b->code, HF_DENIED);
    assert_int_equal(b->calls, 1);
}

static void a_lost_file_is_said_to_be_lost(void **state)
{
    struct bed *b = *state;
    b->gone = true;
    run(b, secret, sizeof secret, TOTAL);
    assert_int_equal(b->code, HF_NOT_FOUND);
    assert_non_null(strstr(b->says, "upload it again"));
}

static void a_file_without_room_is_not_begun(void **state)
{
    struct bed *b = *state;
    run(b, secret, sizeof secret, TOTAL - 1);
    assert_int_equal(b->code, HF_INVALID);
    assert_int_equal(b->calls, 1);
}

static void who_waits_no_more_is_heard(void **state)
{
    struct bed *b = *state;
    b->stop = true;
    run(b, secret, sizeof secret, TOTAL);
    assert_int_equal(b->code, HF_CANCELLED);
    assert_int_equal(b->calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_file_comes_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_node_that_is_away_costs_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stranger_gets_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_file_is_said_to_be_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_without_room_is_not_begun, setup, teardown),
        cmocka_unit_test_setup_teardown(who_waits_no_more_is_heard, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
