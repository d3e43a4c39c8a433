#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/run_command.h"

static hf_status shell(const char *script, unsigned deadline_ms, char **out)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    return hf_run_command(argv, deadline_ms, out);
}

static void assert_error(hf_status st, enum hf_code code, const char *says)
{
    assert_int_equal(hf_status_code(st), code);
    assert_non_null(strstr(hf_status_message(st), says));
    hf_status_drop(st);
}

static void gives_the_output(void **state)
{
    char *out = NULL;
    (void)state;
    assert_true(hf_ok(shell("echo one; echo noise >&2; echo two", 60000, &out)));
    assert_string_equal(out, "one\ntwo\n");
    free(out);
    assert_true(hf_ok(shell("true", 60000, &out)));
    assert_string_equal(out, "");
    free(out);
    assert_true(hf_ok(shell("echo $LC_ALL", 60000, NULL)));
}

static void gives_the_last_line_of_an_error(void **state)
{
    (void)state;
    assert_error(shell("echo first >&2; echo the reason >&2; exit 3", 60000, NULL), HF_INTERNAL,
                 "the reason");
    assert_error(shell("exit 3", 60000, NULL), HF_INTERNAL, "run sh: exit status 3");
    assert_error(shell("kill -9 $$", 60000, NULL), HF_INTERNAL, "killed by signal 9");
    assert_error(shell("seq 1 100000 >&2; exit 1", 60000, NULL), HF_INTERNAL, "100000");
}

static void names_a_missing_program(void **state)
{
    const char *argv[] = {"hf-no-such-program", NULL};
    (void)state;
    assert_error(hf_run_command(argv, 60000, NULL), HF_NOT_FOUND, "hf-no-such-program");
}

static void kills_at_the_deadline(void **state)
{
    (void)state;
    assert_error(shell("sleep 1000", 50, NULL), HF_TIMEOUT, "deadline");
    assert_error(shell("trap '' TERM; sleep 1000 & wait", 50, NULL), HF_TIMEOUT, "deadline");
}

static void does_not_wait_for_a_daemon_it_left(void **state)
{
    char *out = NULL, *end = NULL;
    (void)state;
    /* The sleeper keeps the pipes open; the last line kills it. */
    assert_true(hf_ok(shell("sleep 1000 & echo $!", 60000, &out)));
    long pid = strtol(out, &end, 10);
    assert_true(pid > 1);
    char script[64];
    snprintf(script, sizeof script, "kill %ld", pid);
    assert_true(hf_ok(shell(script, 60000, NULL)));
    free(out);
}

static void refuses_endless_output(void **state)
{
    char *out = NULL;
    (void)state;
    assert_error(shell("yes", 60000, &out), HF_EXHAUSTED, "writes more than");
    assert_null(out);
}

/* More than a pipe holds, and neither in the arguments nor in the environment. */
static void feeds_what_it_is_given(void **state)
{
    (void)state;
    static char input[200001];
    const char *argv[] = {"sh", "-c", "wc -c", NULL}, *echo[] = {"cat", NULL};
    char *out = NULL;
    memset(input, 'k', sizeof input - 1);
    assert_true(hf_ok(hf_run_command_fed(argv, input, 60000, &out)));
    assert_int_equal(strtol(out, NULL, 10), 200000);
    free(out);
    assert_true(hf_ok(hf_run_command_fed(echo, "", 60000, &out)));
    assert_string_equal(out, "");
    free(out);
    assert_error(hf_run_command_fed((const char *[]){"no-such-program", NULL}, "x", 60000, NULL),
                 HF_NOT_FOUND, "not installed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_output),
        cmocka_unit_test(gives_the_last_line_of_an_error),
        cmocka_unit_test(names_a_missing_program),
        cmocka_unit_test(kills_at_the_deadline),
        cmocka_unit_test(does_not_wait_for_a_daemon_it_left),
        cmocka_unit_test(refuses_endless_output),
        cmocka_unit_test(feeds_what_it_is_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
