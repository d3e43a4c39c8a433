/* The helper of this test is the test itself, started with a file as its only argument. */
#include "base/helper.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PROGRAM "helper_test"

enum what { BIT, NO_BIT, FAIL, DIE, WHO };

struct order {
    int what;
    char padding[10000]; /* one order is one packet, however large */
};

static hf_status carry_out(const void *order, bool *ret_bit)
{
    const struct order *o = order;
    *ret_bit = o->what == BIT;
    if (o->what == DIE)
        _exit(3);
    if (o->what == WHO)
        return hf_error(HF_CONFLICT, "%d", (int)getpid());
    return o->what == FAIL ? hf_error(HF_DENIED, "it says no") : HF_STATUS_OK;
}

static hf_status ask(struct hf_helper *h, enum what what, bool *ret_bit)
{
    struct order o = {.what = what};
    return hf_helper_ask(h, PROGRAM, "/some/file", &o, sizeof o, ret_bit);
}

static void answers(void **state)
{
    (void)state;
    struct hf_helper h = {0};
    bool bit = false;
    assert_true(hf_ok(ask(&h, BIT, &bit)));
    assert_true(bit);
    int pid = h.pid;
    assert_true(hf_ok(ask(&h, NO_BIT, &bit)));
    assert_false(bit);
    assert_int_equal(h.pid, pid); /* kept */
    hf_helper_end(&h);
    assert_int_equal(kill(pid, 0), -1);
    hf_helper_end(&h);
}

static void failures(void **state)
{
    (void)state;
    struct hf_helper h = {0};
    bool bit = true;
    hf_status st = ask(&h, FAIL, &bit);
    assert_int_equal(hf_status_code(st), HF_DENIED);
    assert_string_equal(hf_status_message(st), "it says no");
    hf_status_drop(st);
    assert_int_equal(h.pid, 0); /* the next one begins anew */
    st = ask(&h, DIE, &bit);
    assert_int_equal(hf_status_code(st), HF_IO);
    hf_status_drop(st);
    assert_true(bit); /* no answer, no news */
    assert_true(hf_ok(ask(&h, NO_BIT, &bit)));
    assert_false(bit);
    hf_helper_end(&h);
    struct order o = {.what = BIT};
    st = hf_helper_ask(&h, "no-such-program", "/some/file", &o, sizeof o, &bit);
    assert_int_equal(hf_status_code(st), HF_NOT_FOUND);
    hf_status_drop(st);
}

static void files(void **state)
{
    (void)state;
    char path[] = "/tmp/hf-helper-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(hf_helper_file(path));
    close(fd);
    unlink(path);
    assert_false(hf_helper_file(path));
    assert_false(hf_helper_file("/tmp"));
}

int main(int argc, char **argv)
{
    static struct order order;
    if (argc == 2 && strcmp(argv[1], "/some/file") == 0) {
        hf_helper_serve(&order, sizeof order, carry_out);
        return 0;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers), cmocka_unit_test(failures),
                                       cmocka_unit_test(files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
