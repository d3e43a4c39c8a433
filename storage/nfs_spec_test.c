#include "storage/nfs_spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect(hf_status st, const char *part)
{
    if (part == NULL) {
        assert_string_equal(hf_status_message(st), "ok");
    } else {
        assert_int_equal(hf_status_code(st), HF_INVALID);
        if (strstr(hf_status_message(st), part) == NULL)
            fail_msg("'%s' does not say '%s'", hf_status_message(st), part);
    }
    hf_status_drop(st);
}

static void test_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url, *says;
    } cases[] = {
        {"10.0.0.5:/export", NULL},
        {"nas-1.example.org:/", NULL},
        {"nas:/a/b-c_d", NULL},
        {"", "is missing"},
        {"10.0.0.5", "no NFS export"},
        {"/export", "no NFS export"},
        {":/export", "names no server"},
        {"-x:/export", "names no server"},
        {"10.0.0.256:/e", "no IPv4 address"},
        {"10.0.0:/e", "no IPv4 address"},
        {"[fe80::1]:/e", "IPv6"},
        {"a b:/e", "neither a host name"},
        {"nas,soft:/e", "neither a host name"},
        {"nas:export", "does not begin with '/'"},
        {"nas:/a/../b", "write '/b'"},
        {"nas:/a/", "write '/a'"},
        {"nas:/a b", "blank"},
        {"nas:/a\\040b", "backslash"},
        {"nas:/a\nb", "control"},
    };
    char server[HF_NFS_SERVER_MAX], name[400], url[500];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(hf_nfs_url_check(cases[i].url, NULL), cases[i].says);
    expect(hf_nfs_url_check(NULL, NULL), "is missing");
    expect(hf_nfs_url_check("nas-1:/x", server), NULL);
    assert_string_equal(server, "nas-1");
    memset(name, 'a', sizeof name);
    name[300] = '\0';
    snprintf(url, sizeof url, "%s:/x", name);
    expect(hf_nfs_url_check(url, NULL), "names no server");
}

static void test_options(void **state)
{
    (void)state;
    static const struct {
        const char *options, *says;
    } cases[] = {
        {"", NULL},
        {"hard", NULL},
        {"hard,vers=4.1,timeo=100,retrans=3,rsize=65536,sec=krb5p,noatime", NULL},
        {"lookupcache=none,noac", NULL},
        {"soft", "a mount must be hard"},
        {"hard,softerr", "a mount must be hard"},
        {"vers=3", "only NFSv4"},
        {"nfsvers=2", "only NFSv4"},
        {"proto=udp", "tcp or rdma"},
        {"ro", "are written"},
        {"nolock", "image locks"},
        {"local_lock=all", "image locks"},
        {"nocto", "as the server has it"},
        {"lookupcache=all", "half a minute"},
        {"clientaddr=1.2.3.4", "CIDR"},
        {"timeo=x", "its value is wrong"},
        {"timeo", "its value is wrong"},
        {"hard=1", "its value is wrong"},
        {"hard,,noatime", "is not taken"},
        {"hard,", "is not taken"},
        {"exec=/bin/sh", "unknown"},
        {"sec=krb5 -o soft", "is not taken"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(hf_nfs_options_check(cases[i].options), cases[i].says);
    char longer[HF_NFS_OPTIONS_MAX + 1];
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    expect(hf_nfs_options_check(longer), "longer than");
}

static void test_what_is_mounted_with(void **state)
{
    (void)state;
    char out[HF_NFS_MOUNT_OPTIONS_MAX];
    hf_nfs_mount_options("", out);
    assert_string_equal(out, "hard,vers=4.2,lookupcache=positive,fg,retry=0");
    hf_nfs_mount_options(NULL, out);
    assert_string_equal(out, "hard,vers=4.2,lookupcache=positive,fg,retry=0");
    hf_nfs_mount_options("vers=4.1,lookupcache=none,timeo=50", out);
    assert_string_equal(out, "vers=4.1,lookupcache=none,timeo=50,hard,fg,retry=0");
}

#define LINES                                                                                                \
    "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n"                            \
    "40 22 0:40 / /m/a rw,relatime shared:9 - nfs4 nas:/a "                                                  \
    "rw,vers=4.2,lookupcache=pos,hard,proto=tcp,addr=10.0.0.5\n"                                             \
    "41 22 0:41 / /m/b rw - nfs4 nas:/b rw,vers=4.2,soft,lookupcache=pos,addr=10.0.0.5\n"                    \
    "42 22 0:42 / /m/c rw - nfs4 nas:/c rw,vers=4.2,hard,addr=10.0.0.5\n"                                    \
    "43 22 0:43 / /m/d rw - nfs4 nas:/d ro,vers=4.2,hard,lookupcache=none\n"                                 \
    "44 22 0:44 / /m/e\\040f rw - tmpfs tmpfs rw\n"                                                          \
    "45 22 0:45 / /m/g rw - nfs4 nas:/g rw,hard,lookupcache=pos\n"                                           \
    "46 22 0:46 / /m/g rw - tmpfs tmpfs rw\n"                                                                \
    "47 22 0:47 / /m/a/deeper rw - tmpfs tmpfs rw\n"                                                         \
    "48 22 0:48 / /mm rw - tmpfs tmpfs rw\n"

static void expect_mount(const char *point, const char *url, enum hf_nfs_mounted wanted, const char *part)
{
    hf_status why = HF_STATUS_OK;
    assert_int_equal(hf_nfs_find_mount(LINES, point, url, &why), wanted);
    if (part && strstr(hf_status_message(why), part) == NULL)
        fail_msg("'%s' does not say '%s'", hf_status_message(why), part);
    hf_status_drop(why);
}

static void test_mounts(void **state)
{
    (void)state;
    expect_mount("/m/a", "nas:/a", HF_NFS_MOUNTED, NULL);
    expect_mount("/m", "nas:/a", HF_NFS_ABSENT, NULL);
    expect_mount("/m/x", "nas:/a", HF_NFS_ABSENT, NULL);
    expect_mount("/m/a", "nas:/b", HF_NFS_WRONG, "not the NFS export 'nas:/b'");
    expect_mount("/m/b", "nas:/b", HF_NFS_WRONG, "without the option hard");
    expect_mount("/m/c", "nas:/c", HF_NFS_WRONG, "lookupcache=positive");
    expect_mount("/m/d", "nas:/d", HF_NFS_WRONG, "read-only");
    expect_mount("/m/e f", "nas:/e", HF_NFS_WRONG, "of type tmpfs");
    expect_mount("/m/g", "nas:/g", HF_NFS_WRONG, "of type tmpfs");
}

static void test_mounts_below(void **state)
{
    (void)state;
    char name[64], all[256] = "";
    const char *at = LINES;
    while (hf_nfs_next_below(&at, "/m", name, sizeof name)) {
        strcat(all, name);
        strcat(all, "|");
    }
    assert_string_equal(all, "a|b|c|d|e f|g|g|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_what_is_mounted_with),
        cmocka_unit_test(test_mounts),
        cmocka_unit_test(test_mounts_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
