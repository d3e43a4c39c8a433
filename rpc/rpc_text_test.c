/* The pure parts: frames, outbox, metadata, status and deadlines as text, addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>

#include "base/mem.h"
#include "echo.pb-c.h"
#include "rpc/address.h"
#include "rpc/descriptor_set.h"
#include "rpc/grpc_frame.h"
#include "rpc/grpc_metadata.h"
#include "rpc/grpc_status.h"
#include "rpc/pb_text.h"

static void assert_code(hf_status st, enum hf_code code, const char *part)
{
    assert_int_equal(hf_status_code(st), code);
    if (part && !strstr(hf_status_message(st), part))
        fail_msg("'%s' does not contain '%s'", hf_status_message(st), part);
    hf_status_drop(st);
}

/* --- decoder --- */

/* Feeds data in pieces of the given size; returns the messages joined by '|'. */
static char *decode(struct hf_grpc_decoder *d, const char *data, size_t len, size_t piece, hf_status *ret)
{
    char *all = hf_strdup("");
    *ret = HF_STATUS_OK;
    for (size_t at = 0; at < len && hf_ok(*ret); at += piece) {
        struct hf_grpc_slice in = {(const uint8_t *)data + at, len - at < piece ? len - at : piece}, m;
        /* A copy of its own size, so that the sanitizer sees any byte read too far. */
        uint8_t *copy = hf_alloc(in.len);
        memcpy(copy, in.data, in.len);
        in.data = copy;
        while (in.len > 0 && hf_ok(*ret)) {
            bool found;
            *ret = hf_grpc_decoder_next(d, &in, &m, &found);
            if (!hf_ok(*ret) || !found)
                continue;
            char *more = hf_printf("%s%.*s|", all, (int)m.len, (const char *)m.data);
            free(all);
            all = more;
        }
        free(copy);
    }
    return all;
}

static void test_decoder_in_pieces(void **state)
{
    (void)state;
    static const char WIRE[] = "\0\0\0\0\3abc\0\0\0\0\0\0\0\0\0\1x";
    for (size_t piece = 1; piece < sizeof WIRE; piece++) {
        struct hf_grpc_decoder d = {.message_max = 3};
        hf_status st;
        char *all = decode(&d, WIRE, sizeof WIRE - 1, piece, &st);
        assert_true(hf_ok(st));
        assert_string_equal(all, "abc||x|");
        assert_true(hf_grpc_decoder_idle(&d));
        free(all);
        hf_grpc_decoder_done(&d);
    }
}

static void decode_fails(struct hf_grpc_decoder d, const char *wire, size_t len, enum hf_code code,
                         const char *part)
{
    hf_status st;
    free(decode(&d, wire, len, len, &st));
    assert_code(st, code, part);
    hf_grpc_decoder_done(&d);
}

static void test_decoder_refuses(void **state)
{
    (void)state;
    decode_fails((struct hf_grpc_decoder){.message_max = 3}, "\0\0\0\0\4", 5, HF_EXHAUSTED,
                 "limit of 3 bytes");
    decode_fails((struct hf_grpc_decoder){.message_max = 3}, "\0\xff\xff\xff\xff", 5, HF_EXHAUSTED,
                 "limit of 3 bytes");
    decode_fails((struct hf_grpc_decoder){.message_max = 9}, "\2\0\0\0\1x", 6, HF_INTERNAL, "flags 0x02");
    decode_fails((struct hf_grpc_decoder){.message_max = 9}, "\1\0\0\0\1x", 6, HF_UNIMPLEMENTED, "gzip");
    decode_fails((struct hf_grpc_decoder){.message_max = 9, .gzip = true}, "\1\0\0\0\1x", 6, HF_INTERNAL,
                 "damaged");
}

static void test_decoder_truncated(void **state)
{
    (void)state;
    struct hf_grpc_decoder d = {.message_max = 10};
    hf_status st;
    free(decode(&d, "\0\0\0\0\5ab", 7, 7, &st));
    assert_true(hf_ok(st));
    assert_false(hf_grpc_decoder_idle(&d));
    hf_grpc_decoder_done(&d);
}

static size_t gzip_message(size_t len, uint8_t *out, size_t cap)
{
    uint8_t *plain = hf_alloc(len);
    memset(plain, 'z', len);
    z_stream z = {
        .next_in = plain, .avail_in = (unsigned)len, .next_out = out + 5, .avail_out = (unsigned)(cap - 5)};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = z.total_out;
    deflateEnd(&z);
    free(plain);
    out[0] = 1;
    out[1] = (uint8_t)(n >> 24);
    out[2] = (uint8_t)(n >> 16);
    out[3] = (uint8_t)(n >> 8);
    out[4] = (uint8_t)n;
    return n + 5;
}

static void test_decoder_gzip(void **state)
{
    (void)state;
    uint8_t wire[4096];
    hf_status st;
    size_t len = gzip_message(100000, wire, sizeof wire);
    struct hf_grpc_decoder d = {.message_max = 100000, .gzip = true};
    char *all = decode(&d, (char *)wire, len, 7, &st);
    assert_true(hf_ok(st));
    assert_int_equal(strlen(all), 100001);
    free(all);
    hf_grpc_decoder_done(&d);
    /* A small message that grows beyond the limit is stopped there. */
    decode_fails((struct hf_grpc_decoder){.message_max = 99999, .gzip = true}, (char *)wire, len,
                 HF_EXHAUSTED, "limit of 99999");
    /* Cut short. */
    wire[4] = (uint8_t)(wire[4] - 8);
    decode_fails((struct hf_grpc_decoder){.message_max = 100000, .gzip = true}, (char *)wire, len - 8,
                 HF_INTERNAL, "damaged");
}

/* --- outbox --- */

static void test_outbox(void **state)
{
    (void)state;
    struct hf_grpc_outbox o;
    uint8_t wire[64];
    struct hf_bytes *b = hf_bytes_copy("middle", 6);
    hf_grpc_outbox_init(&o);
    hf_grpc_outbox_put_bytes(&o, b, "-end", 4);
    hf_grpc_outbox_put_bytes(&o, NULL, "x", 1);
    hf_grpc_outbox_put_bytes(&o, b, NULL, 0);
    hf_bytes_unref(b);
    assert_int_equal(o.bytes, 15 + 6 + 11);
    for (size_t at = 0; at < 15 + 6 + 11; at += 2)
        hf_grpc_outbox_take(&o, wire + at, 2);
    assert_int_equal(o.bytes, 0);
    struct hf_grpc_decoder d = {.message_max = 100};
    hf_status st;
    char *all = decode(&d, (char *)wire, 32, 32, &st);
    assert_true(hf_ok(st));
    assert_string_equal(all, "middle-end|x|middle|");
    free(all);
    hf_grpc_outbox_done(&o);
}

static void test_outbox_drops_unsent(void **state)
{
    (void)state;
    struct hf_grpc_outbox o;
    uint8_t wire[64];
    hf_grpc_outbox_init(&o);
    for (int i = 0; i < 3; i++)
        hf_grpc_outbox_put_bytes(&o, NULL, "abc", 3);
    hf_grpc_outbox_take(&o, wire, 6);
    hf_grpc_outbox_drop_unsent(&o);
    assert_int_equal(o.bytes, 2); /* a frame that has begun is finished */
    hf_grpc_outbox_take(&o, wire, 2);
    hf_grpc_outbox_put_bytes(&o, NULL, "abc", 3);
    hf_grpc_outbox_drop_unsent(&o);
    assert_int_equal(o.bytes, 0);
    hf_grpc_outbox_done(&o);
}

/* --- text --- */

static void test_percent(void **state)
{
    (void)state;
    static const struct {
        const char *plain, *encoded;
    } CASES[] = {
        {"", ""}, {"no room", "no room"}, {"100 %", "100 %25"}, {"a\nb~", "a%0Ab~"}, {"\xc3\xbc", "%C3%BC"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char *e = hf_grpc_percent_encode(CASES[i].plain, strlen(CASES[i].plain));
        assert_string_equal(e, CASES[i].encoded);
        char *p = hf_grpc_percent_decode(e, strlen(e));
        assert_string_equal(p, CASES[i].plain);
        free(e);
        free(p);
    }
    hf_status st = hf_error(HF_INVALID, "cut \xc3");
    struct hf_grpc_status_text t;
    hf_grpc_status_text_init(&t, st);
    assert_string_equal(t.message, "cut ?");
    hf_grpc_status_text_done(&t);
    hf_status_drop(st);
    static const char *const ODD[][2] = {
        {"%", "%"}, {"%4", "%4"}, {"%zz1", "%zz1"}, {"%c3%bc%4", "\xc3\xbc%4"}, {"a%00b", "a%00b"}};
    for (size_t i = 0; i < sizeof ODD / sizeof *ODD; i++) {
        char *p = hf_grpc_percent_decode(ODD[i][0], strlen(ODD[i][0]));
        assert_string_equal(p, ODD[i][1]);
        free(p);
    }
}

static void test_timeout(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } CASES[] = {
        {"100m", 100},      {"5S", 5000}, {"2M", 120000},
        {"1H", 3600000},    {"0m", 0},    {"1u", 1},
        {"1500u", 2},       {"1n", 1},    {"99999999H", 99999999LL * 3600000},
        {"", -1},           {"m", -1},    {"5", -1},
        {"123456789m", -1}, {"-1m", -1},  {"+1m", -1},
        {"1 m", -1},        {"1x", -1},   {"1mm", -1},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_int_equal(hf_grpc_timeout_parse(CASES[i].text, strlen(CASES[i].text)), CASES[i].ms);
    char out[HF_GRPC_TIMEOUT_STR];
    assert_string_equal(hf_grpc_timeout_format(1, out), "1m");
    assert_string_equal(hf_grpc_timeout_format(99999999, out), "99999999m");
    assert_string_equal(hf_grpc_timeout_format(100000000, out), "100000S");
    assert_string_equal(hf_grpc_timeout_format(UINT64_MAX, out), "99999999S");
}

static void test_status_there_and_back(void **state)
{
    (void)state;
#define X(name, cls, grpc, text) HF_##name,
    static const enum hf_code CODES[] = {HF_CODES(X)};
#undef X
    for (size_t i = 0; i < sizeof CODES / sizeof *CODES; i++) {
        if (CODES[i] == HF_OK)
            continue;
        struct hf_grpc_status_text t;
        hf_status st = hf_error(CODES[i], "zone 'ö': 5 %% gone");
        hf_grpc_status_text_init(&t, st);
        hf_status_drop(st);
        st = hf_grpc_status_read(t.code, t.message, t.details);
        assert_string_equal(hf_status_message(st), "zone 'ö': 5 % gone");
        assert_code(st, CODES[i], NULL);
        hf_grpc_status_text_done(&t);
    }
}

static void test_status_of_others(void **state)
{
    (void)state;
    assert_true(hf_ok(hf_grpc_status_read("0", NULL, NULL)));
    assert_code(hf_grpc_status_read("14", "gone%21", NULL), HF_UNAVAILABLE, "gone!");
    assert_code(hf_grpc_status_read("5", NULL, NULL), HF_NOT_FOUND, "not found");
    assert_code(hf_grpc_status_read("5", "x", "!!!not base64"), HF_NOT_FOUND, "x");
    assert_code(hf_grpc_status_read("5", "x", "AAAA"), HF_NOT_FOUND, "x");
    assert_code(hf_grpc_status_read("77", NULL, NULL), HF_UNKNOWN_OUTCOME, "77");
    assert_code(hf_grpc_status_read("", NULL, NULL), HF_UNKNOWN_OUTCOME, NULL);
    /* A reason that does not fit the code is not believed. */
    struct hf_grpc_status_text t;
    hf_status st = hf_error(HF_NOT_LEADER, "x");
    hf_grpc_status_text_init(&t, st);
    hf_status_drop(st);
    assert_code(hf_grpc_status_read("5", "x", t.details), HF_NOT_FOUND, "x");
    assert_code(hf_grpc_status_read("14", "x", t.details), HF_NOT_LEADER, "x");
    hf_grpc_status_text_done(&t);
}

static void test_status_long_message(void **state)
{
    (void)state;
    char *text = hf_alloc(10001);
    for (size_t i = 0; i < 10000; i += 2)
        memcpy(text + i, "ü", 2);
    hf_status st = hf_error(HF_INVALID, "x%s", text);
    struct hf_grpc_status_text t;
    hf_grpc_status_text_init(&t, st);
    hf_status_drop(st);
    assert_true(strlen(t.message) + strlen(t.details) < 6000);
    st = hf_grpc_status_read(t.code, t.message, t.details);
    assert_int_equal(strlen(hf_status_message(st)), 1023); /* no character is cut in two */
    hf_status_drop(st);
    hf_grpc_status_text_done(&t);
    free(text);
}

static void test_utf8(void **state)
{
    (void)state;
    static const char *const GOOD[] = {
        "", "abc", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"};
    static const char *const BAD[] = {"x\xff",         "x\xc3",         "x\xc0\x80",
                                      "x\xe0\x80\x80", "x\xed\xa0\x80", "x\xf4\x90\x80\x80",
                                      "x\x80",         "x\xf0\x9f\x98", "x\xe2\x82z"};
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
        assert_int_equal(*hf_utf8_check(GOOD[i]), '\0');
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_ptr_equal(hf_utf8_check(BAD[i]), BAD[i] + 1);
}

static void test_bad_text(void **state)
{
    (void)state;
    Holdfast__Rpctest__Kinds k = HOLDFAST__RPCTEST__KINDS__INIT;
    Holdfast__Rpctest__Kinds__Inner inner = HOLDFAST__RPCTEST__KINDS__INNER__INIT, *inners[] = {&inner};
    char *texts[] = {"fine", "\xff"};
    assert_null(hf_pb_bad_text(&k.base));
    k.choice_case = HOLDFAST__RPCTEST__KINDS__CHOICE_CHOICE_NUMBER;
    k.choice_number = 77; /* no pointer */
    assert_null(hf_pb_bad_text(&k.base));
    k.some_text = "\xff";
    assert_string_equal(hf_pb_bad_text(&k.base)->name, "some_text");
    k.some_text = "";
    k.n_inners = 1;
    k.inners = inners;
    assert_null(hf_pb_bad_text(&k.base));
    inner.name = "a\x80";
    assert_string_equal(hf_pb_bad_text(&k.base)->name, "name");
    inner.name = "";
    k.n_texts = 2;
    k.texts = texts;
    assert_string_equal(hf_pb_bad_text(&k.base)->name, "texts");
}

static void test_metadata(void **state)
{
    (void)state;
    struct hf_grpc_metadata m;
    hf_grpc_metadata_init(&m);
    assert_null(hf_grpc_metadata_get(&m, "a"));
    assert_true(hf_grpc_metadata_put(&m, "a", 1, "one", 3));
    assert_true(hf_grpc_metadata_put(&m, "empty", 5, "", 0));
    char *big = hf_alloc(HF_GRPC_METADATA_MAX);
    memset(big, 'b', HF_GRPC_METADATA_MAX - 1);
    assert_true(hf_grpc_metadata_put(&m, "big", 3, big, 8000));
    assert_false(hf_grpc_metadata_put(&m, "more", 4, big, 9000));
    assert_string_equal(hf_grpc_metadata_get(&m, "a"), "one");
    assert_string_equal(hf_grpc_metadata_get(&m, "empty"), "");
    assert_int_equal(strlen(hf_grpc_metadata_get(&m, "big")), 8000);
    assert_null(hf_grpc_metadata_get(&m, "more"));
    assert_null(hf_grpc_metadata_get(&m, "one"));
    free(big);
    hf_grpc_metadata_done(&m);
}

static void test_address(void **state)
{
    (void)state;
    static const char *const GOOD[] = {"127.0.0.1:7480", "[::1]:7480", "0.0.0.0:0", "[2001:db8::1]:65535"};
    static const char *const BAD[] = {"",
                                      ":",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      ":7480",
                                      "127.0.0.1:65536",
                                      "127.0.0.1:x",
                                      "127.0.0.1:-1",
                                      "::1:7480",
                                      "[::1:7480",
                                      "localhost:7480",
                                      "[]:1",
                                      "127.0.0.1:7480x"};
    struct sockaddr_storage a;
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        assert_true(hf_address_parse(GOOD[i], &a));
        char *back = hf_address_format((struct sockaddr *)&a);
        assert_string_equal(back, GOOD[i]);
        free(back);
    }
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        if (hf_address_parse(BAD[i], &a))
            fail_msg("'%s' was taken", BAD[i]);
    char *host = hf_address_host("localhost:7480");
    assert_string_equal(host, "localhost");
    free(host);
}

static void test_descriptor_set(void **state)
{
    (void)state;
    assert_true(hf_grpc_client_streams("holdfast.v1.HostLinkService", "Attach"));
    assert_false(hf_grpc_client_streams("holdfast.v1.WatchService", "Watch"));
    assert_false(hf_grpc_client_streams("holdfast.v1.ZoneService", "GetZone"));
    assert_true(hf_grpc_client_streams("no.Such", "Thing"));
    struct hf_grpc_slice file, damaged[] = {{(const uint8_t *)"", 0},
                                            {(const uint8_t *)"\x0a", 1},
                                            {(const uint8_t *)"\x0a\x05zz", 4},
                                            {(const uint8_t *)"\x0a\xff\xff\xff\xff\xff\xff", 7},
                                            {(const uint8_t *)"\x12\x00", 2}};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++)
        assert_false(hf_descriptor_set_next(&damaged[i], &file));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decoder_in_pieces),
        cmocka_unit_test(test_decoder_refuses),
        cmocka_unit_test(test_decoder_truncated),
        cmocka_unit_test(test_decoder_gzip),
        cmocka_unit_test(test_outbox),
        cmocka_unit_test(test_outbox_drops_unsent),
        cmocka_unit_test(test_percent),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_status_there_and_back),
        cmocka_unit_test(test_status_of_others),
        cmocka_unit_test(test_status_long_message),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_bad_text),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_address),
        cmocka_unit_test(test_descriptor_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
