/* Images of an image server in another cluster, on two real ones (ceph_bed.h): HF_CEPH_FAR_MON and
 * HF_CEPH_FAR_KEY tell where the other is, HF_CEPH_READER and HF_CEPH_READER_KEY who may only read there,
 * HF_CEPH_FAR_OSD is the process of its OSD. */
#include "storage/ceph_bed.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "storage/rbd_import.h"
#include "storage/rbd_lib_priv.h"
#include "storage/rbd_source.h"

#define SIZE       (64u * MIB)
#define FILE_BYTES 1234

static const struct hf_rados_limits limits = {.connect_ms = 10000, .op_ms = 2000};

static struct hf_rados_access far_access(const char *user, const char *key)
{
    return (struct hf_rados_access){
        .mon_host = getenv("HF_CEPH_FAR_MON"), .user = user, .key = key, .fsid = ""};
}

static rados_t far_connected(void)
{
    rados_t c = NULL;
    struct hf_rados_access a = far_access("admin", getenv("HF_CEPH_FAR_KEY"));
    ok(hf_rados_connect(&a, &limits, &c));
    return c;
}

/* Mostly holes: data in two places, and a piece in the last MiB that is no multiple of anything. */
static void fill(char *data)
{
    memset(data, 0, SIZE);
    for (size_t i = 0; i < 3 * MIB; i++)
        data[5 * MIB + i] = (char)(i * 2654435761u >> 13);
    memset(data + 40 * MIB + 17, 'q', 100);
    data[SIZE - 1] = 'z';
}

static char content[SIZE];

/* As a host brings it to the server. */
static void put_image(rados_t far, const char *name)
{
    char path[] = "/var/tmp/hf-ceph-XXXXXX";
    struct hf_rbd_lib lib;
    struct hf_rbd_name n = {POOL, name};
    hf_rbd_lib_init(&lib, far);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    fill(content);
    assert_int_equal(write(fd, content, sizeof content), sizeof content);
    close(fd);
    ok(hf_rbd_have_template(&lib.rbd, &n, "me", path, SIZE, FILE_BYTES));
    unlink(path);
}

static rbd_image_t opened(rados_ioctx_t io, const char *name, const char *snap)
{
    rbd_image_t image;
    assert_int_equal(rbd_open_read_only(io, name, &image, snap), 0);
    return image;
}

static void set_digest(rados_t far, const char *name, const char *digest)
{
    rados_ioctx_t io = pool_of(far);
    rbd_image_t image;
    assert_int_equal(rbd_open(io, name, &image, NULL), 0);
    if (digest)
        assert_int_equal(rbd_metadata_set(image, HF_RBD_KEY_DIGEST, digest), 0);
    else
        assert_int_equal(rbd_metadata_remove(image, HF_RBD_KEY_DIGEST), 0);
    rbd_close(image);
    rados_ioctx_destroy(io);
}

static hf_status open_source(const char *name, struct hf_rbd_source **ret)
{
    struct hf_rados_access a = far_access(getenv("HF_CEPH_READER"), getenv("HF_CEPH_READER_KEY"));
    struct hf_rbd_name n = {POOL, name};
    return hf_rbd_source_open(&a, &limits, &n, ret);
}

/* As a host of a storage here. */
static hf_status copy(struct hf_rbd_lib *l, const char *name)
{
    struct hf_rbd_source *from;
    struct hf_rbd_name n = {POOL, name};
    HF_TRY(open_source(name, &from));
    const struct hf_rbd_source_info *info = hf_rbd_source_info(from);
    hf_status st = hf_rbd_have_template_copy(&l->rbd, &n, "me", from, info->size_bytes, info->file_bytes);
    hf_rbd_source_close(from);
    return st;
}

/* Neither the template nor what is half done. */
static void nothing_is_here(rados_t c, const char *name)
{
    rados_ioctx_t io = pool_of(c);
    rbd_image_spec_t list[64];
    size_t n = 64;
    assert_int_equal(rbd_list2(io, list, &n), 0);
    for (size_t i = 0; i < n; i++)
        assert_null(strstr(list[i].name, name));
    rbd_image_spec_list_cleanup(list, n);
    rados_ioctx_destroy(io);
}

static void the_same_is_here(rados_t c, const char *name)
{
    static char read[SIZE];
    uint64_t bytes;
    rados_ioctx_t io = pool_of(c);
    rbd_image_t image = opened(io, name, "holdfast");
    assert_int_equal(rbd_read(image, 0, SIZE, read), SIZE);
    assert_memory_equal(read, content, SIZE);
    ok(hf_rbd_allocated(image, name, &bytes));
    assert_in_range(bytes, 3 * MIB, 5 * 4 * MIB); /* it stays thin */
    rbd_close(image);
    rados_ioctx_destroy(io);
}

static void an_image_is_copied(void **state)
{
    (void)state;
    rados_t c = connected(), far = far_connected();
    struct hf_rbd_lib l;
    struct hf_rbd_name n = {POOL, "whole"};
    struct hf_rbd_stat stat;
    struct hf_rbd_source *from;
    hf_rbd_lib_init(&l, c);
    put_image(far, "whole");
    ok(open_source("whole", &from));
    assert_int_equal(hf_rbd_source_info(from)->size_bytes, SIZE);
    assert_int_equal(hf_rbd_source_info(from)->file_bytes, FILE_BYTES);
    assert_in_range(hf_rbd_source_info(from)->allocated_bytes, 3 * MIB, 5 * 4 * MIB);
    hf_rbd_source_close(from);
    ok(copy(&l, "whole"));
    ok(copy(&l, "whole"));
    the_same_is_here(c, "whole");
    ok(hf_rbd_find_template(&l.rbd, &n, &stat));
    assert_int_equal(stat.size_bytes, SIZE);
    assert_int_equal(stat.file_bytes, FILE_BYTES);
    assert_string_equal(stat.parent_image, "");
    is(copy(&l, "never there"), HF_NOT_FOUND, "never there");
    rados_shutdown(far);
    rados_shutdown(c);
}

static void what_is_not_what_was_brought_in(void **state)
{
    (void)state;
    rados_t c = connected(), far = far_connected();
    struct hf_rbd_lib l;
    hf_rbd_lib_init(&l, c);
    put_image(far, "marked");
    set_digest(far, "marked", "00");
    is(copy(&l, "marked"), HF_IO, "is not what was brought in");
    nothing_is_here(c, "marked");
    set_digest(far, "marked", NULL); /* as of a time without checksums */
    ok(copy(&l, "marked"));
    the_same_is_here(c, "marked");
    rados_shutdown(far);
    rados_shutdown(c);
}

/* --- what happens on the way --- */

struct event {
    rados_t far;
    pid_t osd;
    unsigned seen;
};

static void freeze(void *arg, uint64_t done, uint64_t total)
{
    struct event *e = arg;
    (void)done, (void)total;
    if (e->seen++ == 6)
        assert_int_equal(kill(e->osd, SIGSTOP), 0);
}

static void a_cluster_that_hangs(void **state)
{
    (void)state;
    rados_t c = connected(), far = far_connected();
    struct event e = {.osd = atoi(getenv("HF_CEPH_FAR_OSD"))};
    struct hf_rbd_lib l;
    hf_rbd_lib_init(&l, c);
    put_image(far, "slow");
    l.progress = freeze;
    l.arg = &e;
    hf_status st = copy(&l, "slow");
    kill(e.osd, SIGCONT);
    is(st, HF_TIMEOUT, "'" POOL "/slow' of the cluster at ");
    nothing_is_here(c, "slow");
    l.progress = NULL;
    for (int i = 0; i < 30 && !hf_ok(st = copy(&l, "slow")); i++) { /* its OSD may have been held for lost */
        hf_status_drop(st);
        sleep(1);
    }
    ok(st);
    the_same_is_here(c, "slow");
    rados_shutdown(far);
    rados_shutdown(c);
}

static bool after_a_while(void *arg)
{
    struct event *e = arg;
    return e->seen++ > 6;
}

static void nobody_wants_it_any_more(void **state)
{
    (void)state;
    rados_t c = connected(), far = far_connected();
    struct event e = {.seen = 0};
    struct hf_rbd_lib l;
    hf_rbd_lib_init(&l, c);
    put_image(far, "dropped");
    l.stop = after_a_while;
    l.arg = &e;
    is(copy(&l, "dropped"), HF_CANCELLED, "nobody waits for it");
    nothing_is_here(c, "dropped");
    rados_shutdown(far);
    rados_shutdown(c);
}

static void tear_out(void *arg, uint64_t done, uint64_t total)
{
    struct event *e = arg;
    struct hf_rbd_lib l;
    (void)done, (void)total;
    if (e->seen++ != 6)
        return;
    hf_rbd_lib_init(&l, e->far);
    ok(hf_rbd_delete(&l.rbd, &(struct hf_rbd_name){POOL, "going"}));
}

static void an_image_that_goes(void **state)
{
    (void)state;
    rados_t c = connected();
    struct event e = {.far = far_connected()};
    struct hf_rbd_lib l;
    hf_rbd_lib_init(&l, c);
    put_image(e.far, "going");
    l.progress = tear_out;
    l.arg = &e;
    is(copy(&l, "going"), HF_UNAVAILABLE, "has gone while it was read");
    nothing_is_here(c, "going");
    rados_shutdown(e.far);
    rados_shutdown(c);
}

/* --- the key --- */

static void who_reads_writes_nothing(void **state)
{
    (void)state;
    char block[512] = "x";
    rados_t far = far_connected(), reader = NULL;
    rados_ioctx_t io;
    rbd_image_t image;
    struct hf_rados_access a = far_access(getenv("HF_CEPH_READER"), getenv("HF_CEPH_READER_KEY"));
    put_image(far, "mine");
    ok(hf_rados_connect(&a, &limits, &reader));
    assert_int_equal(rados_ioctx_create(reader, POOL, &io), 0);
    if (rbd_open(io, "mine", &image, NULL) == 0) {
        assert_true(rbd_write(image, 0, sizeof block, block) < 0);
        rbd_close(image);
    }
    assert_true(rados_write_full(io, "x", "x", 1) < 0);
    assert_true(rbd_rename(io, "mine", "stolen") < 0);
    assert_true(rados_blocklist_add(reader, (char *)"10.99.0.1:0/0", 60) < 0);
    rados_ioctx_destroy(io);
    rados_shutdown(reader);
    rados_shutdown(far);
}

int main(void)
{
    if (!bed_is_there())
        return BED_MISSING;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_is_copied),       cmocka_unit_test(what_is_not_what_was_brought_in),
        cmocka_unit_test(who_reads_writes_nothing), cmocka_unit_test(an_image_that_goes),
        cmocka_unit_test(nobody_wants_it_any_more), cmocka_unit_test(a_cluster_that_hangs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
