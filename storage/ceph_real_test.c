/* Leases, templates, volumes, their snapshots, and eviction on a real cluster (ceph_bed.h). */
#include "storage/ceph_bed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/rados_lease.h"
#include "storage/rbd_lib.h"
#include "storage/rbd_room.h"

/* --- leases --- */

static bool refused(rados_ioctx_t io, uint64_t epoch, bool closed, char content)
{
    static char slot[16384];
    char client[] = {'1', '.', '1', '.', '1', '.', '1', ':', '0', '/', content, '\0'};
    bool fenced = false;
    memset(slot, content, sizeof slot);
    struct hf_rados_renewal r = {.object = "record",
                                 .epoch = epoch,
                                 .closed = closed,
                                 .slot = slot,
                                 .len = sizeof slot,
                                 .client = client};
    ok(hf_rados_lease_renew(io, &r, &fenced));
    return fenced;
}

static char content_of(rados_ioctx_t io)
{
    char buf[16];
    size_t len = 0;
    ok(hf_rados_lease_read(io, "record", buf, sizeof buf, &len));
    return len > 0 ? buf[0] : '-';
}

static void a_fenced_renewal_never_lands(void **state)
{
    (void)state;
    rados_t c = connected();
    rados_ioctx_t io = pool_of(c);
    assert_int_equal(content_of(io), '-');
    assert_false(refused(io, 1, false, 'a'));
    assert_false(refused(io, 9, false, 'b'));
    assert_true(refused(io, 8, false, 'x'));   /* an epoch that is over, however late it comes */
    assert_false(refused(io, 16, false, 'c')); /* as numbers, not as text */
    ok(hf_rados_lease_mark(io, "record", 16));
    assert_true(refused(io, 16, false, 'x'));
    assert_int_equal(content_of(io), 'c');
    assert_false(refused(io, 16, true, 'd')); /* its last word is no renewal */
    assert_int_equal(content_of(io), 'd');
    char client[HF_RADOS_LEASE_CLIENT_MAX];
    ok(hf_rados_lease_client(io, "record", client)); /* whose record it is, no other's */
    assert_string_equal(client, "1.1.1.1:0/d");
    ok(hf_rados_lease_mark(io, "record", 3)); /* a late mark lowers nothing */
    assert_true(refused(io, 16, false, 'x'));
    assert_false(refused(io, 17, false, 'e'));
    ok(hf_rados_lease_mark(io, "never written", 4)); /* a host that has not renewed yet */
    ok(hf_rados_lease_client(io, "never written", client));
    assert_string_equal(client, "");
    ok(hf_rados_lease_client(io, "nowhere", client));
    assert_string_equal(client, "");
    rados_ioctx_destroy(io);
    rados_shutdown(c);
}

/* --- a full cluster --- */

static void set_ratio(rados_t c, const char *which, const char *ratio)
{
    char command[128], *answer = NULL;
    snprintf(command, sizeof command, "{\"prefix\":\"osd set-%s-ratio\",\"ratio\":%s}", which, ratio);
    ok(hf_rados_command(c, command, &answer));
    free(answer);
}

static void wait_full(rados_t c, bool full)
{
    struct hf_capacity room = {.available_bytes = full};
    for (int i = 0; i < 600 && (room.available_bytes == 0) != full; i++) {
        hf_status_drop(hf_rbd_room(c, POOL, &room));
        usleep(100000);
    }
    assert_int_equal(room.available_bytes == 0, full);
    assert_int_equal(rados_wait_for_latest_osdmap(c), 0);
}

/* Writes wait for room then, but no host may lose its lease for that. */
static void leases_on_a_full_cluster(void **state)
{
    (void)state;
    rados_t c = connected();
    rados_ioctx_t io = pool_of(c);
    wait_full(c, false);
    assert_false(refused(io, 100, false, 'a'));
    set_ratio(c, "nearfull", "0.000001");
    set_ratio(c, "backfillfull", "0.000002");
    set_ratio(c, "full", "0.000003");
    wait_full(c, true);
    assert_false(refused(io, 101, false, 'b'));
    ok(hf_rados_lease_mark(io, "record", 101));
    assert_true(refused(io, 101, false, 'x'));
    assert_false(refused(io, 101, true, 'd'));
    assert_int_equal(content_of(io), 'd');
    hf_status st = hf_rbd_room_for_volume(c, POOL, MIB, 0);
    assert_int_equal(hf_status_code(st), HF_EXHAUSTED);
    hf_status_drop(st);
    set_ratio(c, "full", "0.95");
    set_ratio(c, "backfillfull", "0.9");
    set_ratio(c, "nearfull", "0.85");
    wait_full(c, false);
    rados_ioctx_destroy(io);
    rados_shutdown(c);
}

/* --- images --- */

static void write_file(const char *path, char *data)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    memset(data, 0, 4 * MIB);
    memset(data + MIB, 'q', 100);
    memset(data + 3 * MIB, 'z', MIB);
    assert_int_equal(fwrite(data, 1, 4 * MIB, f), 4 * MIB);
    fclose(f);
}

static void a_template_and_its_clone(void **state)
{
    (void)state;
    static char data[4 * MIB], read[4 * MIB];
    char path[] = "/tmp/hf-ceph-XXXXXX";
    unsigned evicted;
    rados_t c = connected();
    struct hf_rbd_lib lib;
    struct hf_rbd_name t = {POOL, "template"}, v = {POOL, "volume"};
    struct hf_rbd_stat stat;
    hf_rbd_lib_init(&lib, c);
    close(mkstemp(path));
    write_file(path, data);
    ok(hf_rbd_have_template(&lib.rbd, &t, "me", path, sizeof data, 1234));
    ok(hf_rbd_have_template(&lib.rbd, &t, "me", path, sizeof data, 1234));
    ok(hf_rbd_find_template(&lib.rbd, &t, &stat));
    assert_int_equal(stat.file_bytes, 1234);
    ok(hf_rbd_have_volume(&lib.rbd, &v, &t, 8 * MIB, &evicted));
    ok(lib.rbd.ops->stat(&lib.rbd, &v, &stat));
    assert_int_equal(stat.size_bytes, 8 * MIB);
    assert_string_equal(stat.parent_image, "template");
    rados_ioctx_t io = pool_of(c);
    rbd_image_t image;
    uint64_t features;
    assert_int_equal(rbd_open_read_only(io, "volume", &image, NULL), 0);
    assert_int_equal(rbd_read(image, 0, sizeof read, read), sizeof read);
    assert_memory_equal(read, data, sizeof data);
    assert_int_equal(rbd_get_features(image, &features), 0);
    assert_true(features & RBD_FEATURE_EXCLUSIVE_LOCK);
    rbd_close(image);
    rados_ioctx_destroy(io);
    ok(hf_rbd_delete(&lib.rbd, &v));
    ok(hf_rbd_delete(&lib.rbd, &v));
    hf_status st = lib.rbd.ops->stat(&lib.rbd, &v, &stat);
    assert_int_equal(hf_status_code(st), HF_NOT_FOUND);
    hf_status_drop(st);
    unlink(path);
    rados_shutdown(c);
}

/* A client of an earlier run: its writes and its lease are refused from then on, and the next one is not. */
static void a_client_that_is_left_over(void **state)
{
    (void)state;
    char block[512] = "x";
    unsigned evicted;
    rados_t old = connected(), now = connected();
    rados_ioctx_t old_io = pool_of(old), io = pool_of(now);
    rbd_image_t held, image;
    struct hf_rbd_lib lib;
    struct hf_rbd_name v = {POOL, "left"};
    hf_rbd_lib_init(&lib, now);
    ok(hf_rbd_have_volume(&lib.rbd, &v, NULL, 8 * MIB, &evicted));
    assert_int_equal(evicted, 0);
    assert_int_equal(rbd_open(old_io, "left", &held, NULL), 0);
    assert_int_equal(rbd_lock_acquire(held, RBD_LOCK_MODE_EXCLUSIVE), 0);
    assert_int_equal(rbd_write(held, 0, sizeof block, block), sizeof block);
    ok(hf_rbd_have_volume(&lib.rbd, &v, NULL, 8 * MIB, &evicted));
    assert_int_equal(evicted, 1);
    assert_int_equal(rbd_open(io, "left", &image, NULL), 0);
    assert_int_equal(rbd_lock_acquire(image, RBD_LOCK_MODE_EXCLUSIVE), 0);
    assert_int_equal(rbd_write(image, 0, sizeof block, block), sizeof block);
    assert_true(rbd_write(held, 0, sizeof block, block) < 0);
    assert_true(rbd_write(held, 4096, sizeof block, block) < 0);
    assert_true(refused(old_io, 99, false, 'x')); /* a keeper learns of it by its next renewal */
    assert_int_equal(rbd_write(image, 4096, sizeof block, block), sizeof block);
    rbd_close(image);
    rbd_close(held);
    rados_ioctx_destroy(old_io);
    rados_ioctx_destroy(io);
    rados_shutdown(old);
    rados_shutdown(now);
}

/* --- snapshots --- */

static uint64_t size_of(struct hf_rbd_lib *l, const struct hf_rbd_name *n)
{
    struct hf_rbd_stat stat;
    ok(l->rbd.ops->stat(&l->rbd, n, &stat));
    return stat.size_bytes;
}

/* "early" holds 'a', "late" 'b', the image 'c' and twice the size. */
static void make_snapped(rados_t c, struct hf_rbd_lib *l, const struct hf_rbd_name *v)
{
    unsigned evicted;
    hf_rbd_lib_init(l, c);
    ok(hf_rbd_have_volume(&l->rbd, v, NULL, 8 * MIB, &evicted));
    write_block(c, v->image, 'a');
    ok(hf_rbd_snapshot(&l->snaps, v, "early"));
    ok(hf_rbd_snapshot(&l->snaps, v, "early"));
    write_block(c, v->image, 'b');
    ok(hf_rbd_snapshot(&l->snaps, v, "late"));
    write_block(c, v->image, 'c');
    ok(l->rbd.ops->grow(&l->rbd, v, 16 * MIB));
    ok(l->rbd.ops->grow(&l->rbd, v, 12 * MIB)); /* comes late */
}

static void going_back_to_a_snapshot(void **state)
{
    (void)state;
    rados_t c = connected();
    struct hf_rbd_lib l;
    struct hf_rbd_name v = {POOL, "snapped"};
    make_snapped(c, &l, &v);
    assert_int_equal(size_of(&l, &v), 16 * MIB);
    ok(hf_rbd_revert(&l.rbd, &l.snaps, &v, "early", 1, 16 * MIB));
    assert_int_equal(read_block(c, "snapped"), 'a');
    assert_int_equal(size_of(&l, &v), 16 * MIB);
    ok(hf_rbd_revert(&l.rbd, &l.snaps, &v, "late", 2, 16 * MIB));
    assert_int_equal(read_block(c, "snapped"), 'b');
    write_block(c, "snapped", 'd');
    ok(hf_rbd_revert(&l.rbd, &l.snaps, &v, "early", 1, 16 * MIB)); /* an order of before that comes late */
    ok(hf_rbd_revert(&l.rbd, &l.snaps, &v, "late", 2, 16 * MIB));
    assert_int_equal(read_block(c, "snapped"), 'd');
    is(hf_rbd_revert(&l.rbd, &l.snaps, &v, "never", 3, 16 * MIB), HF_NOT_FOUND, "no snapshot 'never'");
    ok(hf_rbd_delete_snapshot(&l.snaps, &v, "early"));
    ok(hf_rbd_delete_snapshot(&l.snaps, &v, "early"));
    assert_int_equal(read_block(c, "snapped"), 'd');
    ok(hf_rbd_delete(&l.rbd, &v)); /* with the other one */
    rados_shutdown(c);
}

/* Somebody's writes would be taken away: they are not, and they go on undisturbed. */
static void no_going_back_under_a_guest(void **state)
{
    (void)state;
    char block[512] = "x";
    rados_t c = connected(), guest = connected();
    rados_ioctx_t io = pool_of(guest);
    rbd_image_t open;
    struct hf_rbd_lib l;
    struct hf_rbd_name v = {POOL, "used"};
    make_snapped(c, &l, &v);
    assert_int_equal(rbd_open(io, "used", &open, NULL), 0);
    is(hf_rbd_revert(&l.rbd, &l.snaps, &v, "early", 1, 0), HF_UNAVAILABLE, "open in another client");
    assert_int_equal(rbd_write(open, 0, sizeof block, block), sizeof block); /* it has the lock now */
    is(hf_rbd_revert(&l.rbd, &l.snaps, &v, "early", 1, 0), HF_UNAVAILABLE, "open in another client");
    ok(hf_rbd_snapshot(&l.snaps, &v, "live")); /* its own client does this */
    assert_int_equal(rbd_write(open, 0, sizeof block, block), sizeof block);
    ok(l.rbd.ops->grow(&l.rbd, &v, 20 * MIB));
    ok(hf_rbd_delete_snapshot(&l.snaps, &v, "live"));
    assert_int_equal(rbd_write(open, 0, sizeof block, block), sizeof block);
    assert_int_equal(read_block(c, "used"), 'x');
    /* And while it is done, nobody comes in. */
    rbd_close(open);
    ok(l.snaps.ops->hold(&l.snaps, &v));
    assert_int_equal(rbd_open(io, "used", &open, NULL), 0);
    assert_true(rbd_write(open, 0, sizeof block, block) < 0);
    rbd_close(open);
    l.snaps.ops->release(&l.snaps);
    ok(hf_rbd_revert(&l.rbd, &l.snaps, &v, "early", 1, 0));
    assert_int_equal(read_block(c, "used"), 'a');
    ok(hf_rbd_delete(&l.rbd, &v));
    rados_ioctx_destroy(io);
    rados_shutdown(guest);
    rados_shutdown(c);
}

static bool unprotects(rados_t c, const char *name, const char *snap)
{
    rados_ioctx_t io = pool_of(c);
    rbd_image_t image;
    assert_int_equal(rbd_open(io, name, &image, NULL), 0);
    bool done = rbd_snap_unprotect(image, snap) == 0;
    if (done)
        assert_int_equal(rbd_snap_protect(image, snap), 0);
    rbd_close(image);
    rados_ioctx_destroy(io);
    return done;
}

static void clones(void **state)
{
    (void)state;
    static char data[4 * MIB];
    char path[] = "/tmp/hf-ceph-XXXXXX";
    unsigned evicted;
    rados_t c = connected();
    struct hf_rbd_lib l;
    struct hf_rbd_name t = {POOL, "parent"}, v = {POOL, "child"};
    struct hf_rbd_stat stat;
    hf_rbd_lib_init(&l, c);
    close(mkstemp(path));
    write_file(path, data);
    ok(hf_rbd_have_template(&l.rbd, &t, "me", path, sizeof data, 1));
    ok(hf_rbd_have_volume(&l.rbd, &v, &t, 8 * MIB, &evicted));
    is(hf_rbd_delete_snapshot(&l.snaps, &t, "holdfast"), HF_CONFLICT, "is protected");
    is(hf_rbd_delete(&l.rbd, &t), HF_CONFLICT, "has clones");
    ok(hf_rbd_snapshot(&l.snaps, &v, "before"));
    assert_false(unprotects(c, "parent", "holdfast"));
    ok(l.snaps.ops->flatten(&l.snaps, &v));
    ok(l.snaps.ops->flatten(&l.snaps, &v));
    ok(l.rbd.ops->stat(&l.rbd, &v, &stat));
    assert_string_equal(stat.parent_image, "");
    assert_true(unprotects(c, "parent", "holdfast")); /* not even the snapshot needs it */
    ok(hf_rbd_delete(&l.rbd, &t));
    assert_int_equal(read_block(c, "child"), data[0]);
    ok(hf_rbd_revert(&l.rbd, &l.snaps, &v, "before", 1, 8 * MIB));
    ok(hf_rbd_have_volume(&l.rbd, &v, NULL, 8 * MIB, &evicted)); /* and it starts without it */
    ok(hf_rbd_delete(&l.rbd, &v));
    unlink(path);
    rados_shutdown(c);
}

int main(void)
{
    if (!bed_is_there())
        return BED_MISSING;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fenced_renewal_never_lands),
        cmocka_unit_test(leases_on_a_full_cluster),
        cmocka_unit_test(a_template_and_its_clone),
        cmocka_unit_test(a_client_that_is_left_over),
        cmocka_unit_test(going_back_to_a_snapshot),
        cmocka_unit_test(no_going_back_under_a_guest),
        cmocka_unit_test(clones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
