#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hostd/accel_probe.h"

static bool runs(const char *device, char *error, size_t error_len)
{
    (void)device;
    (void)error;
    (void)error_len;
    return true;
}

static bool fails(const char *device, char *error, size_t error_len)
{
    snprintf(error, error_len, "no luck with %s", device);
    return false;
}

static bool hangs(const char *device, char *error, size_t error_len)
{
    (void)device;
    (void)error;
    (void)error_len;
    pause();
    return true;
}

static bool crashes(const char *device, char *error, size_t error_len)
{
    (void)device;
    (void)error;
    (void)error_len;
    raise(SIGKILL);
    return true;
}

static void believes_a_guest_that_ran(void **state)
{
    char why[200];
    (void)state;
    assert_string_equal(hf_accel_probe_with("/dev/x", runs, 60000, why, sizeof why), "kvm");
    assert_string_equal(why, "a guest ran at /dev/x");
    assert_string_equal(hf_accel_probe_with("/dev/x", runs, 60000, NULL, 0), "kvm");
}

static void says_why_it_emulates(void **state)
{
    char why[200];
    (void)state;
    assert_string_equal(hf_accel_probe_with("/dev/x", fails, 60000, why, sizeof why), "tcg");
    assert_string_equal(why, "/dev/x cannot run guests (no luck with /dev/x): guests are emulated");
    assert_string_equal(hf_accel_probe_with("/dev/x", crashes, 60000, why, sizeof why), "tcg");
    assert_string_equal(why, "/dev/x cannot run guests (the trial crashed): guests are emulated");
}

static void does_not_wait_for_a_hang(void **state)
{
    char why[200];
    (void)state;
    assert_string_equal(hf_accel_probe_with("/dev/x", hangs, 20, why, sizeof why), "tcg");
    assert_string_equal(why,
                        "a guest at /dev/x did not run a few instructions in 20 ms: guests are emulated");
}

/* Whatever this machine has: an answer with a reason. */
static void answers_here(void **state)
{
    char why[200] = "";
    (void)state;
    const char *got = hf_accel_probe(2000, why, sizeof why);
    print_message("%s: %s\n", got, why);
    assert_true(strcmp(got, "kvm") == 0 || strcmp(got, "tcg") == 0);
    assert_true(why[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(believes_a_guest_that_ran),
        cmocka_unit_test(says_why_it_emulates),
        cmocka_unit_test(does_not_wait_for_a_hang),
        cmocka_unit_test(answers_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
