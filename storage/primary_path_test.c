#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "storage/layout.h"
#include "storage/primary.h"

static void takes_good_roots(void **state)
{
    static const char *const good[] = {"/mnt/shared", "/rooted",      "/srv/a b",
                                       "/mnt/..x",    "/mnt/.hidden", "/mnt/root"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(hf_ok(hf_primary_path_check(good[i])));
}

static void refuses_bad_roots(void **state)
{
    static const struct {
        const char *path, *says;
    } cases[] = {
        {NULL, "is missing"},
        {"", "is missing"},
        {"mnt/shared", "is not absolute"},
        {"/", "is the root of the file system"},
        {"//", "is the root of the file system"},
        {"/mnt/..", "is the root of the file system"},
        {"/../..", "is the root of the file system"},
        {"/root", "lies in /root"},
        {"/root/vms", "lies in /root"},
        {"//root", "lies in /root"},
        {"/mnt/../root/x", "lies in /root"},
        {"/./root/", "lies in /root"},
        {"/mnt/shared/", "is not normalized: write '/mnt/shared'"},
        {"/mnt//shared", "is not normalized: write '/mnt/shared'"},
        {"/root/../mnt", "is not normalized: write '/mnt'"},
        {"/mnt/./a/../b", "is not normalized: write '/mnt/b'"},
        {"/mnt/a\nb", "control character"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hf_status st = hf_primary_path_check(cases[i].path);

        assert_int_equal(hf_status_code(st), HF_INVALID);
        assert_non_null(strstr(hf_status_message(st), cases[i].says));
        hf_status_drop(st);
    }
}

static void refuses_roots_that_leave_no_room(void **state)
{
    char path[HF_STORAGE_PATH_MAX * 2];

    (void)state;
    memset(path, 'a', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    hf_status st = hf_primary_path_check(path);
    assert_int_equal(hf_status_code(st), HF_INVALID);
    hf_status_drop(st);
}

static void install_paths_stay_below_the_root(void **state)
{
    static const char *const bad[] = {"",     ".",         "..",           "../x",        "a/../../x",
                                      "/mnt", "/mnt/pool", "/mnt/poolx/a", "/etc/passwd", "/mnt/pool/../x",
                                      "a//b", "a/",        "a\tb"};
    char out[HF_STORAGE_PATH_MAX], small[12];

    (void)state;
    assert_true(hf_layout_absolute("/mnt/pool", "rootVolumes/a.qcow2", out, sizeof out));
    assert_string_equal(out, "/mnt/pool/rootVolumes/a.qcow2");
    assert_true(hf_layout_absolute("/mnt/pool", "/mnt/pool/a", out, sizeof out));
    assert_string_equal(out, "/mnt/pool/a");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(hf_layout_absolute("/mnt/pool", bad[i], out, sizeof out));
    assert_false(hf_layout_absolute("/mnt/pool", NULL, out, sizeof out));
    assert_false(hf_layout_absolute("/mnt/pool", "ab", small, sizeof small));
    assert_true(hf_layout_absolute("/mnt/pool", "a", small, sizeof small));
}

static void follows_the_layout(void **state)
{
    struct hf_uuid image, account, volume;
    char out[HF_STORAGE_PATH_MAX];

    (void)state;
    assert_true(hf_uuid_parse("11111111111111111111111111111111", &image));
    assert_true(hf_uuid_parse("22222222222222222222222222222222", &account));
    assert_true(hf_uuid_parse("33333333333333333333333333333333", &volume));
    assert_string_equal(
        hf_layout_template(&image, "qcow2", out),
        "imagecache/template/11111111111111111111111111111111/11111111111111111111111111111111.qcow2");
    assert_string_equal(
        hf_layout_volume(HF_VOLUME_ROOT, &account, &volume, out),
        "rootVolumes/acct-22222222222222222222222222222222/vol-33333333333333333333333333333333/"
        "33333333333333333333333333333333.qcow2");
    assert_memory_equal(hf_layout_volume(HF_VOLUME_DATA, &account, &volume, out), "dataVolumes/acct-2", 18);
    assert_string_equal(hf_layout_heartbeat(&image, out),
                        "heartbeat-file-kvm-host-11111111111111111111111111111111.hb");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_good_roots),
        cmocka_unit_test(refuses_bad_roots),
        cmocka_unit_test(refuses_roots_that_leave_no_room),
        cmocka_unit_test(install_paths_stay_below_the_root),
        cmocka_unit_test(follows_the_layout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
