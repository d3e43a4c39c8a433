#include "storage/ceph_access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/hf-ceph-access-XXXXXX";
static char path[64];

static void code(hf_status st, enum hf_code c)
{
    assert_int_equal(hf_status_code(st), c);
    hf_status_drop(st);
}

static void comes_back(void **state)
{
    (void)state;
    struct hf_ceph_access a = {"10.0.0.1,10.0.0.2:6789", "holdfast-1",
                               "AQDjKwRrMVMQLBAAdjUIjqw3S+wugzFZ/DzVlw==",
                               "e1beaa76-80a0-4a2b-8986-0117f450b32f", "pri-v-r-1"},
                          b;
    struct stat s;
    code(hf_ceph_access_read(path, &b), HF_NOT_FOUND);
    assert_false(hf_ceph_access_is(path));
    code(hf_ceph_access_write(path, &a), HF_OK);
    code(hf_ceph_access_read(path, &b), HF_OK);
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(hf_ceph_access_is(path));
    assert_false(hf_ceph_access_is(dir));
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600); /* it holds a key */
}

static void damaged(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "user=x\n", "mon_host=1\npool=p\nnonsense\n", "mon_host\n"};
    struct hf_ceph_access a;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        fputs(texts[i], f);
        fclose(f);
        code(hf_ceph_access_read(path, &a), HF_CORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(comes_back), cmocka_unit_test(damaged)};
    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof path, "%s/access", dir);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    rmdir(dir);
    return failed;
}
