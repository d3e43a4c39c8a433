/* The reader on real files: what it says of a peer that moves, stops, was never there, and when its own
 * host's record stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "hostd/fence_mark_file.h"
#include "hostd/lease_reader.h"

#define WAIT_MS 30000

struct fixture {
    uv_loop_t loop;
    struct hf_env *env;
    struct hf_lease_reader *reader;
    char dir[64];
    struct hf_uuid own, peer, ghost;
    uint64_t own_sequence, peer_sequence;
    bool own_moves, peer_moves;
    struct hf_observation of_peer, of_ghost;
    unsigned samples;
};

static void file_path(struct fixture *f, const struct hf_uuid *host, char out[160])
{
    char name[HF_LEASE_FILE_NAME_MAX];
    snprintf(out, 160, "%s/%s", f->dir, hf_lease_file_name(host, name));
}

static void write_record(struct fixture *f, const struct hf_uuid *host, uint64_t sequence)
{
    static struct hf_lease_record r;
    static uint8_t slot[HF_LEASE_SLOT_BYTES];
    char path[160];
    r = (struct hf_lease_record){.host = *host, .epoch = 3, .sequence = sequence, .boot_id = "boot"};
    hf_lease_record_encode(&r, slot);
    file_path(f, host, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, slot, sizeof slot, (off_t)(sequence % 2) * HF_LEASE_SLOT_BYTES), sizeof slot);
    close(fd);
}

/* One write of each record per sample keeps both fresh without a clock of our own. */
static void on_sample(void *arg, const struct hf_uuid *storage, const struct hf_observation *seen, size_t n)
{
    struct fixture *f = arg;
    struct hf_uuid s1 = hf_uuid_of_text("s1");
    assert_true(hf_uuid_equal(storage, &s1));
    assert_int_equal(n, 2); /* the own host, which was in the list too, is left out */
    f->of_peer = seen[0];
    f->of_ghost = seen[1];
    f->samples++;
    if (f->own_moves)
        write_record(f, &f->own, ++f->own_sequence);
    if (f->peer_moves)
        write_record(f, &f->peer, ++f->peer_sequence);
}

static int setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    memset(f, 0, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/var/tmp/hf-reader-test.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->own = hf_uuid_of_text("own");
    f->peer = hf_uuid_of_text("peer");
    f->ghost = hf_uuid_of_text("ghost");
    f->own_moves = f->peer_moves = true;
    write_record(f, &f->own, ++f->own_sequence);
    write_record(f, &f->peer, ++f->peer_sequence);
    uv_loop_init(&f->loop);
    f->env = hf_env_uv_create(&f->loop);
    struct hf_lease_reader_options o = {.storage = hf_uuid_of_text("s1"),
                                        .dir = f->dir,
                                        .own_host = f->own,
                                        .timing = hf_ha_timing_find("fast"),
                                        .cb = on_sample,
                                        .arg = f};
    f->reader = hf_lease_reader_create(f->env, &o);
    struct hf_uuid peers[3] = {f->own, f->peer, f->ghost};
    hf_lease_reader_set_peers(f->reader, peers, 3);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char path[160];
    if (f->reader)
        hf_lease_reader_close(f->reader);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    hf_env_uv_close(f->env);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    file_path(f, &f->own, path);
    unlink(path);
    file_path(f, &f->peer, path);
    unlink(path);
    char name[HF_FENCE_MARK_NAME_MAX];
    snprintf(path, sizeof path, "%s/%s", f->dir, hf_fence_mark_name(&f->peer, 3, name));
    unlink(path);
    rmdir(f->dir);
    return 0;
}

#define TURN_UNTIL(f, condition)                                                                             \
    do {                                                                                                     \
        int64_t end_ = hf_env_now_ms((f)->env) + WAIT_MS;                                                    \
        while (!(condition)) {                                                                               \
            assert_true(hf_env_now_ms((f)->env) < end_);                                                     \
            uv_run(&(f)->loop, UV_RUN_ONCE);                                                                 \
        }                                                                                                    \
    } while (0)

static void test_moves_then_stops(void **state)
{
    struct fixture *f = *state;
    TURN_UNTIL(f, f->samples >= 4);
    assert_true(f->of_peer.samples_good);
    assert_int_equal(f->of_peer.epoch, 3);
    assert_int_equal(f->of_peer.unchanged_ms, 0);
    assert_string_equal(f->of_peer.boot_id, "boot");
    assert_true(f->of_ghost.samples_good);
    assert_int_equal(f->of_ghost.epoch, 0);
    f->peer_moves = false;
    TURN_UNTIL(f, f->of_peer.unchanged_ms >= 1000);
    assert_true(f->of_peer.samples_good);
    assert_int_equal(f->of_peer.sequence, f->peer_sequence);
}

static void test_own_record_stops(void **state)
{
    struct fixture *f = *state;
    f->peer_moves = false;
    TURN_UNTIL(f, f->of_peer.unchanged_ms >= 1000);
    f->own_moves = false;
    TURN_UNTIL(f, !f->of_peer.samples_good);
    assert_string_equal(f->of_peer.error, "the observer's own record has stopped moving");
    assert_int_equal(f->of_peer.unchanged_ms, 0);
}

/* What is said with the mark was read after it was written; other hosts, and other lives of this one, have
 * none. */
static void test_mark_before_the_read(void **state)
{
    struct fixture *f = *state;
    bool is = false;
    f->peer_moves = false;
    TURN_UNTIL(f, f->of_peer.unchanged_ms >= 400);
    assert_int_equal(f->of_peer.marked_epoch, 0);
    struct hf_lease_mark mark = {.host = f->peer, .epoch = 3};
    hf_lease_reader_set_marks(f->reader, &mark, 1);
    TURN_UNTIL(f, f->of_peer.marked_epoch == 3);
    assert_true(hf_ok(hf_fence_mark_read(f->dir, &f->peer, 3, &is)));
    assert_true(is);
    assert_true(f->of_peer.unchanged_ms >= 400); /* the count goes on */
    assert_int_equal(f->of_ghost.marked_epoch, 0);
    f->peer_moves = true; /* a host that has not heard of it */
    TURN_UNTIL(f, f->of_peer.unchanged_ms == 0);
    assert_int_equal(f->of_peer.marked_epoch, 3);
    hf_lease_reader_set_marks(f->reader, NULL, 0);
    TURN_UNTIL(f, f->of_peer.marked_epoch == 0);
}

/* The reason is told, and the record is read all the same. */
static void test_mark_cannot_be_written(void **state)
{
    struct fixture *f = *state;
    char path[256], name[HF_FENCE_MARK_NAME_MAX];
    snprintf(path, sizeof path, "%s/%s", f->dir, hf_fence_mark_name(&f->peer, 3, name));
    assert_int_equal(symlink("/dev/null", path), 0);
    TURN_UNTIL(f, f->samples >= 3 && f->of_peer.samples_good);
    struct hf_lease_mark mark = {.host = f->peer, .epoch = 3};
    hf_lease_reader_set_marks(f->reader, &mark, 1);
    TURN_UNTIL(f, f->of_peer.mark_error[0] != '\0');
    assert_true(f->of_peer.samples_good);
    assert_int_equal(f->of_peer.marked_epoch, 0);
    unlink(path);
    TURN_UNTIL(f, f->of_peer.marked_epoch == 3);
    assert_string_equal(f->of_peer.mark_error, "");
}

/* A lease on the file holds every other open up: writing the mark hangs until it is given back. */
static void test_mark_hangs(void **state)
{
    struct fixture *f = *state;
    char path[256], name[HF_FENCE_MARK_NAME_MAX];
    snprintf(path, sizeof path, "%s/%s", f->dir, hf_fence_mark_name(&f->peer, 3, name));
    signal(SIGIO, SIG_IGN);
    int fd = open(path, O_RDWR | O_CREAT, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
    TURN_UNTIL(f, f->samples >= 3 && f->of_peer.samples_good);
    struct hf_lease_mark mark = {.host = f->peer, .epoch = 3};
    hf_lease_reader_set_marks(f->reader, &mark, 1);
    TURN_UNTIL(f, f->of_peer.mark_error[0] != '\0');
    assert_non_null(strstr(f->of_peer.mark_error, "takes longer than"));
    assert_true(f->of_peer.samples_good);
    unsigned before = f->samples;
    TURN_UNTIL(f, f->samples >= before + 3);
    assert_true(f->of_peer.samples_good);
    assert_int_equal(f->of_peer.marked_epoch, 0);
    assert_int_equal(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
    close(fd);
    TURN_UNTIL(f, f->of_peer.marked_epoch == 3);
}

/* The storage is gone altogether: no sample is good, and no file is taken for a host that was never there. */
static void test_directory_gone(void **state)
{
    struct fixture *f = *state;
    char path[160], away[80];
    TURN_UNTIL(f, f->samples >= 3 && f->of_peer.samples_good);
    snprintf(away, sizeof away, "%s.away", f->dir);
    assert_int_equal(rename(f->dir, away), 0);
    f->own_moves = f->peer_moves = false;
    unsigned before = f->samples;
    TURN_UNTIL(f, f->samples > before + 1);
    assert_false(f->of_peer.samples_good);
    assert_string_equal(f->of_peer.error, "the observer has no record of its own there");
    assert_int_equal(rename(away, f->dir), 0);
    file_path(f, &f->own, path);
    assert_int_equal(access(path, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_moves_then_stops, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_record_stops, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mark_before_the_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mark_cannot_be_written, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mark_hangs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_directory_gone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
