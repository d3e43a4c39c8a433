/* Fence marks on real files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hostd/fence_mark_file.h"
#include "storage/layout.h"

#define EPOCH 5

struct fixture {
    char dir[64];
    struct hf_uuid host, other;
};

static int setup(void **state)
{
    static struct fixture f;
    snprintf(f.dir, sizeof f.dir, "/var/tmp/hf-mark-test.XXXXXX");
    assert_non_null(mkdtemp(f.dir));
    f.host = hf_uuid_of_text("host");
    f.other = hf_uuid_of_text("other");
    *state = &f;
    return 0;
}

static char *path_of(struct fixture *f, const struct hf_uuid *host, uint64_t epoch)
{
    static char path[256];
    char name[HF_FENCE_MARK_NAME_MAX];
    snprintf(path, sizeof path, "%s/%s", f->dir, hf_fence_mark_name(host, epoch, name));
    return path;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (uint64_t e = 1; e <= EPOCH; e++) {
        unlink(path_of(f, &f->host, e));
        unlink(path_of(f, &f->other, e));
    }
    return rmdir(f->dir);
}

static bool marked(struct fixture *f, const struct hf_uuid *host, uint64_t epoch)
{
    bool is = false;
    hf_status st = hf_fence_mark_read(f->dir, host, epoch, &is);
    assert_int_equal(hf_status_code(st), HF_OK);
    hf_status_drop(st);
    return is;
}

static void mark(struct fixture *f, const struct hf_uuid *host, uint64_t epoch)
{
    hf_status st = hf_fence_mark_write(f->dir, host, epoch);
    assert_int_equal(hf_status_code(st), HF_OK);
    hf_status_drop(st);
}

/* One host and one life, whoever comes first; looking changes nothing. */
static void test_marks_one_life(void **state)
{
    struct fixture *f = *state;
    assert_false(marked(f, &f->host, EPOCH));
    assert_false(marked(f, &f->host, EPOCH));
    mark(f, &f->host, EPOCH);
    mark(f, &f->host, EPOCH);
    assert_true(marked(f, &f->host, EPOCH));
    assert_true(marked(f, &f->host, EPOCH));
    assert_false(marked(f, &f->host, EPOCH - 1));
    assert_false(marked(f, &f->other, EPOCH));
    mark(f, &f->other, 1); /* no keeper was there yet */
    assert_true(marked(f, &f->other, 1));
}

/* A write that was cut off after its first bytes has begun to fence. */
static void test_half_written(void **state)
{
    struct fixture *f = *state;
    int fd = open(path_of(f, &f->host, EPOCH), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "H", 1), 1);
    close(fd);
    assert_true(marked(f, &f->host, EPOCH));
}

static void test_forgets_only_earlier_lives(void **state)
{
    struct fixture *f = *state;
    for (uint64_t e = 1; e <= EPOCH; e++)
        mark(f, &f->host, e);
    mark(f, &f->other, 1);
    hf_fence_mark_forget_before(f->dir, &f->host, EPOCH);
    for (uint64_t e = 1; e < EPOCH; e++)
        assert_int_equal(access(path_of(f, &f->host, e), F_OK), -1);
    assert_true(marked(f, &f->host, EPOCH));
    assert_true(marked(f, &f->other, 1));
}

static void test_what_cannot_be_read_is_an_error(void **state)
{
    struct fixture *f = *state;
    bool is = false;
    hf_status st = hf_fence_mark_read("/nowhere", &f->host, EPOCH, &is);
    assert_int_not_equal(hf_status_code(st), HF_OK);
    hf_status_drop(st);
    st = hf_fence_mark_write("/nowhere", &f->host, EPOCH);
    assert_int_not_equal(hf_status_code(st), HF_OK);
    hf_status_drop(st);
    assert_int_equal(symlink("/dev/null", path_of(f, &f->host, EPOCH)), 0);
    st = hf_fence_mark_read(f->dir, &f->host, EPOCH, &is);
    assert_int_not_equal(hf_status_code(st), HF_OK);
    hf_status_drop(st);
}

/* Beside a storage that is not mounted no mark is made, and none is read. */
static void test_not_mounted(void **state)
{
    struct fixture *f = *state;
    char path[128];
    bool is = false;
    snprintf(path, sizeof path, "%s/" HF_STORAGE_NOT_MOUNTED, f->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    hf_status st = hf_fence_mark_write(f->dir, &f->host, EPOCH);
    assert_non_null(strstr(hf_status_message(st), "is not mounted"));
    hf_status_drop(st);
    st = hf_fence_mark_read(f->dir, &f->host, EPOCH, &is);
    assert_non_null(strstr(hf_status_message(st), "is not mounted"));
    hf_status_drop(st);
    assert_int_equal(access(path_of(f, &f->host, EPOCH), F_OK), -1);
    assert_int_equal(unlink(path), 0);
    assert_false(marked(f, &f->host, EPOCH));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_marks_one_life),
        T(test_half_written),
        T(test_forgets_only_earlier_lives),
        T(test_what_cannot_be_read_is_an_error),
        T(test_not_mounted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
