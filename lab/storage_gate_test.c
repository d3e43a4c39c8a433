#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lab/storage_gate.h"

static char answer[512];

static void order(struct hf_gate *g, const char *line)
{
    assert_true(hf_gate_order(g, line, answer, sizeof answer));
}

static void test_each_class_has_its_rule(void **state)
{
    (void)state;
    struct hf_gate g;
    bool held = true;
    hf_gate_init(&g);
    order(&g, "wm eio");
    order(&g, "s enospc");
    assert_int_equal(hf_gate_pass(&g, HF_GATE_READ, NULL, &held), 0);
    assert_false(held);
    assert_int_equal(hf_gate_pass(&g, HF_GATE_WRITE, NULL, NULL), -EIO);
    assert_int_equal(hf_gate_pass(&g, HF_GATE_META, NULL, NULL), -EIO);
    assert_int_equal(hf_gate_pass(&g, HF_GATE_SYNC, NULL, NULL), -ENOSPC);
    order(&g, "ok");
    assert_int_equal(hf_gate_pass(&g, HF_GATE_WRITE, NULL, NULL), 0);
    assert_non_null(strstr(answer, "\"w\": \"ok\""));
}

static void test_wrong_orders_change_nothing(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",        "w",          "x eio",      "w explode",      "w eio 5",
                                        "w delay", "killable",   "killable 1", "w delay 600001", "stat now",
                                        "ok w",    "w delay 5 6"};
    struct hf_gate g;
    hf_gate_init(&g);
    order(&g, "w erofs");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(hf_gate_order(&g, wrong[i], answer, sizeof answer));
        assert_non_null(strstr(answer, "error"));
    }
    assert_int_equal(hf_gate_pass(&g, HF_GATE_WRITE, NULL, NULL), -EROFS);
    assert_int_equal(hf_gate_pass(&g, HF_GATE_READ, NULL, NULL), 0);
}

struct writer {
    struct hf_gate *gate;
    int result;
    bool held;
};

static atomic_bool signalled;

static bool has_signal(void)
{
    return signalled;
}

static void *write_through(void *arg)
{
    struct writer *w = arg;
    w->result = hf_gate_pass(w->gate, HF_GATE_WRITE, has_signal, &w->held);
    return NULL;
}

static void start(struct writer *w, pthread_t *thread)
{
    assert_int_equal(pthread_create(thread, NULL, write_through, w), 0);
    do {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        order(w->gate, "stat");
    } while (strstr(answer, "\"held_writes\": 1,") == NULL);
}

static void test_what_hangs_does_what_the_next_rule_says(void **state)
{
    (void)state;
    struct hf_gate g;
    struct writer w = {.gate = &g, .result = 7};
    pthread_t thread;
    hf_gate_init(&g);
    order(&g, "w hang");
    start(&w, &thread);
    order(&g, "r hang"); /* another class: it goes on waiting */
    order(&g, "ok");
    pthread_join(thread, NULL);
    assert_int_equal(w.result, 0);
    assert_true(w.held);
    order(&g, "stat");
    assert_non_null(strstr(answer, "\"landed_late\": 1}"));

    order(&g, "w hang");
    start(&w, &thread);
    order(&g, "w eio");
    pthread_join(thread, NULL);
    assert_int_equal(w.result, -EIO);
}

static void test_a_signal_frees_only_where_the_storage_is_killable(void **state)
{
    (void)state;
    struct hf_gate g;
    struct writer w = {.gate = &g};
    pthread_t thread;
    hf_gate_init(&g);
    order(&g, "w hang");
    signalled = true;
    start(&w, &thread);
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    order(&g, "stat");
    assert_non_null(strstr(answer, "\"held_writes\": 1,"));
    order(&g, "killable yes");
    pthread_join(thread, NULL);
    assert_int_equal(w.result, HF_GATE_LET_GO);
    signalled = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_class_has_its_rule),
        cmocka_unit_test(test_wrong_orders_change_nothing),
        cmocka_unit_test(test_what_hangs_does_what_the_next_rule_says),
        cmocka_unit_test(test_a_signal_frees_only_where_the_storage_is_killable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
