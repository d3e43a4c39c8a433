#include "storage/ceph_spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define KEY "AQDjKwRrMVMQLBAAdjUIjqw3S+wugzFZ/DzVlw=="

/* says NULL: it is taken. */
static void expect(hf_status st, const char *says)
{
    if (says == NULL) {
        assert_string_equal(hf_status_message(st), "ok");
    } else {
        assert_int_equal(hf_status_code(st), HF_INVALID);
        if (strstr(hf_status_message(st), says) == NULL)
            fail_msg("'%s' does not say '%s'", hf_status_message(st), says);
    }
    hf_status_drop(st);
}

static void monitors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"10.0.0.1", NULL},          {"10.0.0.1:3300", NULL},
        {"", "is no monitor"},       {"10.0.0.256", "no monitor"},
        {"mon-a", "is no monitor"},  {"10.0.0.1:", "no port"},
        {"10.0.0.1:0", "no port"},   {"10.0.0.1:65536", "no port"},
        {"10.0.0.1:67x", "no port"}, {"[fe80::1]:6789", "no monitor"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(hf_ceph_monitor_check(cases[i].text, NULL, NULL), cases[i].says);
    char host[16], out[HF_CEPH_MON_HOST_MAX];
    unsigned port;
    expect(hf_ceph_monitor_check("10.0.0.1:3300", host, &port), NULL);
    assert_string_equal(host, "10.0.0.1");
    assert_int_equal(port, 3300);
    char *list[] = {(char *)"10.0.0.1", (char *)"10.0.0.2:6789"};
    expect(hf_ceph_monitors_check(list, 2), NULL);
    hf_ceph_mon_host(list, 2, out);
    assert_string_equal(out, "10.0.0.1,10.0.0.2:6789");
    expect(hf_ceph_monitors_check(list, 0), "no monitor is named");
    list[1] = list[0];
    expect(hf_ceph_monitors_check(list, 2), "named twice");
}

static void names_and_keys(void **state)
{
    (void)state;
    expect(hf_ceph_pool_check("pri-c-1.a_b"), NULL);
    expect(hf_ceph_pool_check(".mgr"), "no name of a pool");
    expect(hf_ceph_pool_check("a/b"), "no name of a pool");
    expect(hf_ceph_pool_check(""), "no name of a pool");
    expect(hf_ceph_user_check("admin"), NULL);
    expect(hf_ceph_user_check("client.admin"), "leave 'client.' away");
    expect(hf_ceph_key_check(KEY), NULL);
    expect(hf_ceph_key_check(""), "no Ceph key");
    hf_status st = hf_ceph_key_check("AQDjKwRr");
    assert_null(strstr(hf_status_message(st), "AQDjKwRr")); /* whatever was meant as a key is not shown */
    hf_status_drop(st);
    expect(hf_ceph_fsid_check("e1beaa76-80a0-4a2b-8986-0117f450b32f"), NULL);
    expect(hf_ceph_fsid_check("e1beaa7680a04a2b89860117f450b32f"), "no fsid");
}

static void paths(void **state)
{
    (void)state;
    char path[HF_CEPH_PATH_MAX], pool[HF_CEPH_NAME_MAX], image[HF_CEPH_NAME_MAX], long_name[200];
    assert_string_equal(hf_ceph_path("vms", "a1", path), "ceph://vms/a1");
    assert_true(hf_ceph_path_parse(path, pool, image));
    assert_string_equal(pool, "vms");
    assert_string_equal(image, "a1");
    static const char *const wrong[] = {"ceph://vms",     "ceph://vms/",    "ceph:///a",           "vms/a",
                                        "ceph://vms/a/b", "ceph://vms/a@s", "ceph://vms/a:conf=x", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(hf_ceph_path_parse(wrong[i], pool, image));
    memset(long_name, 'a', sizeof long_name);
    memcpy(long_name, "ceph://p/", 9);
    long_name[sizeof long_name - 1] = '\0';
    assert_false(hf_ceph_path_parse(long_name, pool, image));
    assert_false(hf_ceph_path_parse(NULL, pool, image));
}

static void users(void **state)
{
    (void)state;
    struct hf_uuid host, other, storage;
    char user[HF_CEPH_NAME_MAX], server[HF_CEPH_NAME_MAX];
    assert_true(hf_uuid_parse("fedcba9876543210fedcba9876543210", &host));
    assert_true(hf_uuid_parse("00000000000000000000000000000abc", &other));
    assert_true(hf_uuid_parse("00000000000000000000000000000def", &storage));
    assert_string_equal(hf_ceph_host_user(&host, &storage, user),
                        "holdfast-fedcba9876543210fedcba9876543210-00000000000000000000000000000def");
    assert_true(hf_ceph_rename_user(user, &other));
    assert_string_equal(user, "holdfast-00000000000000000000000000000abc-00000000000000000000000000000def");
    expect(hf_ceph_user_check(user), NULL);
    assert_string_equal(hf_ceph_server_user(&host, server), "holdfast-fedcba9876543210fedcba9876543210");
    assert_false(hf_ceph_rename_user(server, &other));
    assert_string_equal(server, "holdfast-fedcba9876543210fedcba9876543210");
    strcpy(server, "admin");
    assert_false(hf_ceph_rename_user(server, &other));
    assert_string_equal(server, "admin");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monitors),
        cmocka_unit_test(names_and_keys),
        cmocka_unit_test(paths),
        cmocka_unit_test(users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
