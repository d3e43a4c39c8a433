#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hostd/hostd_options.h"

static char scratch[40][200];

static hf_status parse(struct hf_hostd_options *o, const char *first, ...)
{
    char *argv[40] = {(char *)"hostd"};
    int argc = 1;
    va_list ap;
    va_start(ap, first);
    for (const char *a = first; a; a = va_arg(ap, const char *)) {
        strcpy(scratch[argc], a);
        argv[argc] = scratch[argc];
        argc++;
    }
    va_end(ap);
    return hf_hostd_options_parse(argc, argv, o);
}

static void refused(hf_status st, const char *word)
{
    assert_int_equal(hf_status_code(st), HF_INVALID);
    assert_non_null(strstr(hf_status_message(st), word));
    hf_status_drop(st);
}

static void all_options(void **state)
{
    struct hf_hostd_options o;
    (void)state;
    assert_true(hf_ok(parse(&o, "--control", "10.0.0.1:7480,10.0.0.2:7480", "--management-ip=10.0.1.1",
                            "--cpus", "4", "--memory", "4GiB", "--accel", "tcg", NULL)));
    assert_int_equal(o.n_controls, 2);
    assert_string_equal(o.controls[1], "10.0.0.2:7480");
    assert_int_equal(o.cpus, 4);
    assert_true(o.memory_bytes == 4ull << 30);
    assert_string_equal(o.accelerator, "tcg");
    assert_string_equal(o.state_dir, "/var/lib/holdfast");
    assert_null(o.tls.ca);
}

static void wrong_options(void **state)
{
    struct hf_hostd_options o;
    (void)state;
    refused(parse(&o, "--management-ip", "10.0.1.1", NULL), "--control");
    refused(parse(&o, "--control", "a:1", NULL), "--management-ip");
    refused(parse(&o, "--control", "noport", "--management-ip", "x", NULL), "noport");
    refused(parse(&o, "--control", "a:1", "--management-ip", "x", "--cpus", "0", NULL), "--cpus");
    refused(parse(&o, "--control", "a:1", "--management-ip", "x", "--cpus", "4x", NULL), "--cpus");
    refused(parse(&o, "--control", "a:1", "--management-ip", "x", "--memory", "lots", NULL), "--memory");
    refused(parse(&o, "--control", "a:1", "--management-ip", "x", "--accel", "xen", NULL), "xen");
    refused(parse(&o, "--control", "a:1", "--management-ip", "x", "--tls-cert", "c", NULL), "--tls-key");
    refused(parse(&o, "--nonsense", NULL), "--nonsense");
    refused(parse(&o, "stray", NULL), "stray");
    assert_true(hf_ok(parse(&o, "--help", NULL)));
}

static void sizes(void **state)
{
    uint64_t n;
    (void)state;
    assert_true(hf_size_parse("1048576", &n) && n == 1048576);
    assert_true(hf_size_parse("512M", &n) && n == 512ull << 20);
    assert_true(hf_size_parse("2GiB", &n) && n == 2ull << 30);
    assert_true(hf_size_parse("3kB", &n) && n == 3072);
    assert_false(hf_size_parse("", &n));
    assert_false(hf_size_parse("-1", &n));
    assert_false(hf_size_parse("G", &n));
    assert_false(hf_size_parse("1X", &n));
    assert_false(hf_size_parse("1GiBs", &n));
    assert_false(hf_size_parse("99999999999G", &n));
    assert_false(hf_size_parse("99999999999999999999", &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_options),
        cmocka_unit_test(wrong_options),
        cmocka_unit_test(sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
