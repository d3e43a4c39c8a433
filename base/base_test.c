/* Tests of base/: status, UUIDs, bytes, timers under both environments. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <uv.h>

#include "base/bytes.h"
#include "base/env.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/uuid.h"

static void status_wraps_outward(void **state)
{
    (void)state;
    hf_status st = hf_error(HF_EXHAUSTED, "pool '%s' is full", "vms");
    st = hf_wrap(st, "map volume '%s'", "a3");
    st = hf_wrap(st, "start instance '%s'", "web1");
    assert_string_equal(hf_status_message(st), "start instance 'web1': map volume 'a3': pool 'vms' is full");
    assert_int_equal(hf_status_code(st), HF_EXHAUSTED);
    assert_int_equal(hf_status_class(st), HF_CLASS_RETRY);
    hf_status copy = hf_status_copy(st);
    hf_status_drop(st);
    assert_int_equal(hf_status_code(copy), HF_EXHAUSTED);
    hf_status_drop(copy);
    assert_true(hf_ok(hf_wrap(HF_STATUS_OK, "nothing")));
}

static void status_knows_errno_and_grpc(void **state)
{
    (void)state;
    hf_status st = hf_errno(ENOSPC, "write '%s'", "/x");
    assert_int_equal(hf_status_code(st), HF_EXHAUSTED);
    assert_string_equal(hf_status_message(st), "write '/x': No space left on device");
    hf_status_drop(st);
    assert_int_equal(hf_code_grpc(HF_NOT_LEADER), 14);
    assert_int_equal(hf_code_from_grpc(14), HF_UNAVAILABLE);
    assert_int_equal(hf_code_from_grpc(99), HF_UNKNOWN_OUTCOME);
    assert_int_equal(hf_code_class(HF_TIMEOUT), HF_CLASS_UNKNOWN);
}

static void uuid_reads_both_forms(void **state)
{
    (void)state;
    struct hf_uuid a, b;
    char text[HF_UUID_STR];
    assert_true(hf_uuid_parse("0123456789abcdef0123456789ABCDEF", &a));
    assert_true(hf_uuid_parse("01234567-89ab-cdef-0123-456789abcdef", &b));
    assert_true(hf_uuid_equal(&a, &b));
    assert_string_equal(hf_uuid_format(&a, text), "0123456789abcdef0123456789abcdef");
    static const char *const bad[] = {"", "0123", "0123456789abcdef0123456789abcdeg",
                                      "0123456789abcdef0123456789abcdef0", "01234567--9ab-cdef-0123-456789abcdef",
                                      "012345678-9ab-cdef-0123-456789abcdef", "------------------------------------"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(hf_uuid_parse(bad[i], &a));
    assert_false(hf_uuid_parse(NULL, &a));
}

static void uuid_of_text_is_stable(void **state)
{
    (void)state;
    struct hf_uuid a = hf_uuid_of_text("host/1"), b = hf_uuid_of_text("host/1"), c = hf_uuid_of_text("host/2");
    assert_true(hf_uuid_equal(&a, &b));
    assert_false(hf_uuid_equal(&a, &c));
    assert_false(hf_uuid_is_zero(&a));
}

static void bytes_count_references(void **state)
{
    (void)state;
    struct hf_bytes *b = hf_bytes_copy("abc", 3);
    assert_ptr_equal(hf_bytes_ref(b), b);
    hf_bytes_unref(b);
    assert_memory_equal(b->data, "abc", 3);
    hf_bytes_unref(b);
    hf_bytes_unref(NULL);
}

struct trace {
    struct hf_env *env;
    struct hf_timer timers[64];
    int order[256];
    size_t n;
    int repeats;
};

struct shot {
    struct trace *trace;
    int id;
};

static void note(void *arg)
{
    struct shot *s = arg;
    s->trace->order[s->trace->n++] = s->id;
}

static void timers_fire_in_order(void **state)
{
    (void)state;
    struct trace t = {.env = hf_env_manual_create(1)};
    struct shot shots[64];
    /* due times 0..63 in a scrambled order of starting; every fifth is stopped again */
    for (int i = 0; i < 64; i++) {
        int id = i * 37 % 64;
        shots[id] = (struct shot){&t, id};
        hf_timer_start(t.env, &t.timers[id], id, note, &shots[id]);
    }
    for (int id = 0; id < 64; id += 5)
        hf_timer_stop(&t.timers[id]);
    hf_env_manual_advance_ms(t.env, 40);
    size_t k = 0;
    for (int id = 0; id <= 40; id++)
        if (id % 5 != 0)
            assert_int_equal(t.order[k++], id);
    assert_int_equal(t.n, k);
    assert_true(hf_timer_running(&t.timers[41]));
    assert_false(hf_timer_running(&t.timers[39]));
    hf_env_manual_free(t.env);
}

static void again(void *arg)
{
    struct trace *t = arg;
    if (++t->repeats < 10)
        hf_timer_start(t->env, &t->timers[0], 5, again, t);
}

static void timer_may_start_itself_again(void **state)
{
    (void)state;
    struct trace t = {.env = hf_env_manual_create(1)};
    hf_timer_start(t.env, &t.timers[0], 5, again, &t);
    hf_env_manual_advance_ms(t.env, 24);
    assert_int_equal(t.repeats, 4);
    hf_env_manual_advance_ms(t.env, 1000);
    assert_int_equal(t.repeats, 10);
    hf_env_manual_free(t.env);
}

static void worked(void *arg)
{
    ((struct trace *)arg)->order[0]++;
}

static void work_done(void *arg)
{
    struct trace *t = arg;
    t->n++;
    if (t->n == 3)
        hf_env_uv_close(t->env);
}

static void uv_env_runs_timers_and_work(void **state)
{
    (void)state;
    uv_loop_t loop;
    assert_int_equal(uv_loop_init(&loop), 0);
    struct trace t = {.env = hf_env_uv_create(&loop)};
    struct hf_uuid a = hf_uuid_new(t.env), b = hf_uuid_new(t.env);
    assert_false(hf_uuid_equal(&a, &b));
    hf_timer_start(t.env, &t.timers[0], 3, work_done, &t);
    hf_timer_start(t.env, &t.timers[1], 1, work_done, &t);
    hf_env_work(t.env, worked, work_done, &t);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(t.n, 3);
    assert_int_equal(t.order[0], 1);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* Pieces of many sizes, also larger than what the system is asked for at once: none comes twice. */
static void uv_env_random_never_repeats(void **state)
{
    (void)state;
    enum { PIECES = 200, LEN = 16 };
    static unsigned char pieces[PIECES][LEN], large[4096], once_more[4096];
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct hf_env *env = hf_env_uv_create(&loop);
    for (int i = 0; i < PIECES; i++) {
        unsigned char between[7];
        hf_env_random(env, pieces[i], LEN);
        hf_env_random(env, between, (size_t)i % sizeof between);
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(pieces[i], pieces[j], LEN);
    }
    hf_env_random(env, large, sizeof large);
    hf_env_random(env, once_more, sizeof once_more);
    for (size_t i = 0; i < sizeof large; i += LEN)
        assert_memory_not_equal(large + i, once_more + i, LEN);
    hf_env_uv_close(env);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void keep_line(void *arg, enum hf_log_level level, const char *file, const char *fmt, va_list ap)
{
    size_t len = (size_t)snprintf(arg, 100, "%d %s ", level, file);
    vsnprintf((char *)arg + len, 100 - len, fmt, ap);
}

static void log_goes_to_the_sink(void **state)
{
    (void)state;
    char line[100] = "";
    hf_log_set_level(HF_LOG_INFO);
    hf_log_set_sink(keep_line, line);
    hf_debug("below the level");
    assert_string_equal(line, "");
    hf_warn("host '%s' is lost", "h1");
    assert_string_equal(line, "2 base_test.c host 'h1' is lost");
    hf_log_set_sink(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_wraps_outward),      cmocka_unit_test(status_knows_errno_and_grpc),
        cmocka_unit_test(uuid_reads_both_forms),     cmocka_unit_test(uuid_of_text_is_stable),
        cmocka_unit_test(bytes_count_references),    cmocka_unit_test(timers_fire_in_order),
        cmocka_unit_test(timer_may_start_itself_again), cmocka_unit_test(uv_env_runs_timers_and_work),
        cmocka_unit_test(uv_env_random_never_repeats), cmocka_unit_test(log_goes_to_the_sink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
