/* What is wrong with a cluster, on a real one (ceph_bed.h): each has a sentence that names it. */
#include "storage/ceph_bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/rbd_lib.h"
#include "storage/rbd_room.h"

#define WRONG "AQDjKwRrMVMQLBAAdjUIjqw3S+wugzFZ/DzVlw=="

static void make_pool(rados_t c, const char *name)
{
    assert_int_equal(rados_pool_create(c, name), 0);
    assert_int_equal(rados_wait_for_latest_osdmap(c), 0);
}

/* Behind this connection's back. Nothing in it counts as deleted by order. */
static void a_pool_that_vanishes(void **state)
{
    (void)state;
    rados_t c = connected(), admin = connected();
    struct hf_rbd_lib lib;
    struct hf_rbd_name v = {"short-lived", "volume"};
    struct hf_rbd_stat stat;
    unsigned evicted;
    hf_rbd_lib_init(&lib, c);
    make_pool(c, v.pool);
    ok(hf_rbd_have_volume(&lib.rbd, &v, NULL, 8 * MIB, &evicted));
    assert_int_equal(rados_wait_for_latest_osdmap(admin), 0);
    assert_int_equal(rados_pool_delete(admin, v.pool), 0);
    assert_int_equal(rados_wait_for_latest_osdmap(c), 0); /* before that it may still be served */
    is(lib.rbd.ops->stat(&lib.rbd, &v, &stat), HF_UNAVAILABLE, "no pool 'short-lived'");
    is(hf_rbd_have_volume(&lib.rbd, &v, NULL, 8 * MIB, &evicted), HF_UNAVAILABLE, "no pool 'short-lived'");
    is(hf_rbd_delete(&lib.rbd, &v), HF_UNAVAILABLE, "no pool 'short-lived'");
    rados_shutdown(admin);
    rados_shutdown(c);
}

/* A clone whose template somebody has torn out of the cluster: it is not taken for one that is not there. */
static void a_clone_without_its_parent(void **state)
{
    (void)state;
    rados_t c = connected();
    rados_ioctx_t io = pool_of(c);
    struct hf_rbd_lib lib;
    struct hf_rbd_name t = {POOL, "torn"}, v = {POOL, "orphan"};
    unsigned evicted;
    char id[64], header[96];
    rbd_image_t image;
    hf_rbd_lib_init(&lib, c);
    ok(lib.rbd.ops->create(&lib.rbd, &t, MIB));
    ok(lib.rbd.ops->protect(&lib.rbd, &t, MIB));
    ok(hf_rbd_have_volume(&lib.rbd, &v, &t, MIB, &evicted));
    assert_int_equal(rbd_open_read_only(io, t.image, &image, NULL), 0);
    assert_int_equal(rbd_get_id(image, id, sizeof id), 0);
    rbd_close(image);
    snprintf(header, sizeof header, "rbd_header.%s", id);
    assert_int_equal(rados_remove(io, header), 0);
    is(hf_rbd_have_volume(&lib.rbd, &v, &t, MIB, &evicted), HF_UNAVAILABLE,
       "what it was cloned from is gone");
    is(hf_rbd_delete(&lib.rbd, &v), HF_UNAVAILABLE, "rbd trash mv unit/orphan");
    assert_int_equal(rbd_trash_move(io, v.image, 0), 0); /* what is said to do */
    ok(hf_rbd_delete(&lib.rbd, &v));
    rados_ioctx_destroy(io);
    rados_shutdown(c);
}

static void what_does_not_fit(void **state)
{
    (void)state;
    char path[] = "/tmp/hf-ceph-XXXXXX", block[4096] = "x";
    rados_t c = connected();
    struct hf_capacity room = {0};
    for (int i = 0; i < 300 && room.available_bytes == 0; i++) { /* until the manager has counted */
        hf_status_drop(hf_rbd_room(c, POOL, &room));
        usleep(100000);
    }
    assert_true(room.available_bytes > 100 * MIB && room.available_bytes <= room.total_bytes);
    ok(hf_rbd_room_for_volume(c, POOL, room.total_bytes / 2, MIB));
    is(hf_rbd_room_for_volume(c, POOL, 4 * room.total_bytes, MIB), HF_EXHAUSTED, "of the whole pool 'unit'");
    is(hf_rbd_room_for_volume(c, POOL, MIB, 2 * room.total_bytes), HF_EXHAUSTED, "no room left");
    int fd = mkstemp(path);
    assert_int_equal(write(fd, block, sizeof block), sizeof block);
    close(fd);
    ok(hf_rbd_room_for_file(c, POOL, path, MIB));
    is(hf_rbd_room_for_file(c, POOL, path, 2 * room.total_bytes), HF_EXHAUSTED, "the image needs");
    is(hf_rbd_room(c, "nowhere", &room), HF_UNAVAILABLE, "no pool 'nowhere'");
    unlink(path);
    rados_shutdown(c);
}

static void expect(const struct hf_rados_access *a, unsigned connect_ms, enum hf_code code)
{
    rados_t c;
    struct hf_rados_limits short_ = {.connect_ms = connect_ms, .op_ms = 10000};
    hf_status st = hf_rados_connect(a, &short_, &c);
    assert_int_equal(hf_status_code(st), code);
    assert_null(strstr(hf_status_message(st), a->key));
    hf_status_drop(st);
}

static void wrong_clusters(void **state)
{
    (void)state;
    struct hf_rados_access key = access_of(WRONG, ""),
                           fsid = access_of(getenv("HF_CEPH_KEY"), "e1beaa76-80a0-4a2b-8986-0117f450b32f"),
                           nobody = access_of(WRONG, "");
    nobody.mon_host = "127.0.0.1:9";
    expect(&key, 10000, HF_DENIED);
    expect(&fsid, 10000, HF_PRECONDITION);
    expect(&nobody, 1000, HF_UNAVAILABLE);
    rados_t c = connected();
    struct hf_rbd_lib lib;
    struct hf_rbd_name n = {"nowhere", "image"};
    unsigned evicted;
    hf_rbd_lib_init(&lib, c);
    hf_status st =
        hf_rbd_have_volume(&lib.rbd, &n, NULL, MIB, &evicted); /* a pool that is gone is no image that is */
    assert_int_equal(hf_status_code(st), HF_UNAVAILABLE);
    hf_status_drop(st);
    rados_shutdown(c);
}

int main(void)
{
    if (!bed_is_there())
        return BED_MISSING;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_that_vanishes),
        cmocka_unit_test(a_clone_without_its_parent),
        cmocka_unit_test(what_does_not_fit),
        cmocka_unit_test(wrong_clusters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
