/* The folder of uploads on a real disk: parts that come twice, late or from two callers, a checksum that is
 * wrong, no room, a daemon that ends in the middle, and what nobody wants any more. */
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
#include <uv.h>

#include "base/mem.h"
#include "control/upload_spool.h"

#define TOTAL (3u << 20)
#define PART  (1u << 20)
#define NAME  "77000000000000000000000000000001"

struct bed {
    uv_loop_t loop;
    struct hf_env *env;
    char dir[64], folder[80];
    struct hf_upload_keeper *keeper;
    struct hf_upload_file file;
    uint8_t content[TOTAL];
};

struct put {
    bool done;
    enum hf_code code;
    char says[512];
    struct hf_upload_state state;
};

static void on_put(void *arg, hf_status st, const struct hf_upload_state *state)
{
    struct put *p = arg;
    p->done = true;
    p->code = hf_status_code(st);
    snprintf(p->says, sizeof p->says, "%s", hf_status_message(st));
    if (state != NULL)
        p->state = *state;
}

static void start(struct bed *b, uint64_t room_kept)
{
    b->keeper = hf_upload_spool_create(b->env, b->folder, room_kept);
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

static void stop(struct bed *b)
{
    bool closed = false;
    hf_upload_spool_close(b->keeper, on_closed, &closed);
    while (!closed)
        uv_run(&b->loop, UV_RUN_ONCE);
}

static int setup(void **state)
{
    struct bed *b = HF_NEW(struct bed);
    uint8_t hash[SHA256_DIGEST_LENGTH];
    uv_loop_init(&b->loop);
    b->env = hf_env_uv_create(&b->loop);
    snprintf(b->dir, sizeof b->dir, "/tmp/hf-upload-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    snprintf(b->folder, sizeof b->folder, "%s/uploads", b->dir);
    for (size_t i = 0; i < TOTAL; i++)
        b->content[i] = (uint8_t)(i * 7 + (i >> 12));
    SHA256(b->content, TOTAL, hash);
    hf_uuid_parse(NAME, &b->file.image);
    b->file.total_bytes = TOTAL;
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(b->file.sha256 + 2 * i, 3, "%02x", hash[i]);
    start(b, 0);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bed *b = *state;
    char path[160];
    stop(b);
    snprintf(path, sizeof path, "%s/%s", b->folder, NAME);
    unlink(path);
    rmdir(b->folder);
    rmdir(b->dir);
    hf_env_uv_close(b->env);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    free(b);
    return 0;
}

static bool on_disk(const struct bed *b)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", b->folder, NAME);
    return access(path, F_OK) == 0;
}

static void send_part(struct bed *b, uint64_t offset, size_t len, struct put *p)
{
    uint8_t *data = hf_alloc(len + 1);
    memcpy(data, b->content + offset, len);
    *p = (struct put){0};
    b->keeper->ops->put(b->keeper, &b->file, offset, data, len, on_put, p);
}

static struct put put(struct bed *b, uint64_t offset, size_t len)
{
    struct put p;
    send_part(b, offset, len, &p);
    while (!p.done)
        uv_run(&b->loop, UV_RUN_ONCE);
    return p;
}

struct got {
    bool done;
    enum hf_code code;
    size_t len;
    uint8_t data[PART];
};

static void on_read(void *arg, hf_status st, const void *data, size_t len)
{
    struct got *g = arg;
    g->done = true;
    g->code = hf_status_code(st);
    g->len = len;
    if (len > 0)
        memcpy(g->data, data, len);
}

static void read_at(struct bed *b, uint64_t offset, struct got *g)
{
    *g = (struct got){0};
    b->keeper->ops->read(b->keeper, &b->file, offset, on_read, g);
    while (!g->done)
        uv_run(&b->loop, UV_RUN_ONCE);
}

static void put_all(struct bed *b)
{
    for (uint64_t at = 0; at < TOTAL; at += PART) {
        struct put p = put(b, at, PART);
        assert_int_equal(p.code, HF_OK);
        assert_int_equal(p.state.bytes, at + PART);
        assert_false(p.state.whole);
    }
}

static void parts_become_the_file(void **state)
{
    struct bed *b = *state;
    static struct got g;
    assert_int_equal(put(b, 0, 0).state.bytes, 0);
    assert_false(on_disk(b)); /* who only asks makes nothing */
    read_at(b, 0, &g);
    assert_int_equal(g.code, HF_NOT_FOUND);
    put(b, 0, PART);
    read_at(b, 0, &g);
    assert_int_equal(g.code, HF_UNAVAILABLE);
    /* Once more, and one that is too early: both hear where it goes on. */
    assert_int_equal(put(b, 0, PART).state.bytes, PART);
    assert_int_equal(put(b, 2 * PART, PART).state.bytes, PART);
    put(b, PART, PART);
    put(b, 2 * PART, PART);
    struct put p = put(b, TOTAL, 0);
    assert_int_equal(p.code, HF_OK);
    assert_true(p.state.whole);
    assert_true(put(b, TOTAL, 0).state.whole);
    for (uint64_t at = 0; at < TOTAL; at += PART) {
        read_at(b, at, &g);
        assert_int_equal(g.code, HF_OK);
        assert_int_equal(g.len, PART);
        assert_memory_equal(g.data, b->content + at, PART);
    }
    read_at(b, TOTAL, &g);
    assert_int_equal(g.len, 0);
}

static void two_callers_write_one_file(void **state)
{
    struct bed *b = *state;
    struct put one, other;
    send_part(b, 0, PART, &one);
    send_part(b, 0, PART, &other);
    assert_true(other.done); /* it is not written twice: whoever asks goes on behind it */
    assert_int_equal(other.code, HF_OK);
    assert_int_equal(other.state.bytes, 0);
    while (!one.done)
        uv_run(&b->loop, UV_RUN_ONCE);
    assert_int_equal(one.state.bytes, PART);
    put(b, PART, PART);
    put(b, 2 * PART, PART);
    assert_true(put(b, TOTAL, 0).state.whole);
}

static void a_daemon_that_ends_goes_on(void **state)
{
    struct bed *b = *state;
    put(b, 0, PART);
    put(b, PART, PART / 2);
    stop(b);
    start(b, 0);
    assert_int_equal(put(b, 0, 0).state.bytes, PART + PART / 2);
    put(b, PART + PART / 2, PART / 2);
    put(b, 2 * PART, PART);
    assert_true(put(b, TOTAL, 0).state.whole);
    stop(b);
    start(b, 0);
    assert_true(put(b, TOTAL, 0).state.whole); /* checked once more */
}

static void a_wrong_checksum_ends_it(void **state)
{
    struct bed *b = *state;
    b->content[PART + 5] ^= 1;
    put_all(b);
    struct put p = put(b, TOTAL, 0);
    assert_int_equal(p.code, HF_INVALID);
    assert_non_null(strstr(p.says, b->file.sha256));
    assert_non_null(strstr(p.says, "upload it again"));
    assert_false(on_disk(b));
    b->content[PART + 5] ^= 1;
    put_all(b);
    assert_true(put(b, TOTAL, 0).state.whole);
}

static void what_does_not_fit_is_refused(void **state)
{
    struct bed *b = *state;
    b->file.total_bytes = PART;
    put(b, 0, PART);
    struct put p = put(b, PART, 1);
    assert_int_equal(p.code, HF_INVALID);
    assert_non_null(strstr(p.says, "longer than the 1048576 bytes"));
    stop(b);
    assert_int_equal(unlink(strcat(strcat(b->folder, "/"), NAME)), 0);
    b->folder[strlen(b->folder) - strlen(NAME) - 1] = '\0';
    start(b, UINT64_MAX / 2); /* so much is to be left free */
    p = put(b, 0, PART);
    assert_int_equal(p.code, HF_EXHAUSTED);
    assert_non_null(strstr(p.says, "make room on this control node"));
    assert_false(on_disk(b));
    assert_int_equal(put(b, 0, 0).state.bytes, 0);
}

static bool is_wanted(void *arg, const struct hf_uuid *image)
{
    (void)image;
    return *(bool *)arg;
}

static void the_unwanted_is_thrown_away(void **state)
{
    struct bed *b = *state;
    bool wanted = true;
    put(b, 0, PART);
    b->keeper->ops->sweep(b->keeper, is_wanted, &wanted);
    assert_int_equal(put(b, 0, 0).state.bytes, PART);
    wanted = false;
    b->keeper->ops->sweep(b->keeper, is_wanted, &wanted);
    while (on_disk(b) || put(b, 0, 0).state.bytes > 0)
        uv_run(&b->loop, UV_RUN_NOWAIT);
    put_all(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(parts_become_the_file, setup, teardown),
        cmocka_unit_test_setup_teardown(two_callers_write_one_file, setup, teardown),
        cmocka_unit_test_setup_teardown(a_daemon_that_ends_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_checksum_ends_it, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_unwanted_is_thrown_away, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
