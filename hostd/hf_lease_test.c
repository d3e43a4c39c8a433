/* The keeper as a process: real files, real victims, its real client. Durations are those of profile fast;
 * every wait has room for a slow machine, and nothing is expected to happen quickly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "ha/keeper_wire.h"
#include "ha/lease_record.h"
#include "hostd/fence_mark_file.h"
#include "hostd/keeper_client.h"
#include "hostd/keeper_ns.h"
#include "storage/layout.h"

#define WAIT_MS 30000

struct fixture {
    uv_loop_t loop;
    struct hf_env *env;
    struct hf_keeper *keeper;
    pid_t pid;
    bool up, answered;
    enum hf_code code;
    char text[512];
    /* the last view */
    bool clean, epoch_closed;
    uint64_t epoch, max_term;
    char watchdog[16];
    struct hf_keeper_storage storage;
    size_t n_storages, n_runs;
    struct hf_keeper_run runs[8];
    struct hf_uuid host, cluster, s1, vm1, vm2;
    char disk[64]; /* what is mounted at /mnt/s1: a folder on a disk, since not every kernel's tmpfs can pass
                      its cache */
};

static void on_connection(void *arg, bool up)
{
    struct fixture *f = arg;
    f->up = up;
}

static void on_answer(void *arg, hf_status st)
{
    struct fixture *f = arg;
    f->answered = true;
    f->code = hf_status_code(st);
    snprintf(f->text, sizeof f->text, "%s", hf_status_message(st));
}

static void on_view(void *arg, hf_status st, const struct hf_keeper_view *v)
{
    struct fixture *f = arg;
    on_answer(arg, st);
    if (!hf_ok(st))
        return;
    f->clean = v->clean;
    f->epoch_closed = v->epoch_closed;
    f->epoch = v->epoch;
    f->max_term = v->max_term;
    snprintf(f->watchdog, sizeof f->watchdog, "%s", v->watchdog);
    f->n_storages = v->n_storages;
    if (v->n_storages > 0)
        f->storage = v->storages[0];
    f->n_runs = v->n_runs;
    for (size_t i = 0; i < v->n_runs && i < 8; i++)
        f->runs[i] = v->runs[i];
}

static void ignore_timer(void *arg)
{
    (void)arg;
}

/* Turns the loop until the flag is set; fails after WAIT_MS. */
static void turn_until(struct fixture *f, const bool *flag)
{
    struct hf_timer tick = {0};
    int64_t end = hf_env_now_ms(f->env) + WAIT_MS;
    while (!*flag) {
        assert_true(hf_env_now_ms(f->env) < end);
        hf_timer_start(f->env, &tick, 20, ignore_timer, NULL);
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    hf_timer_stop(&tick);
}

static void turn_ms(struct fixture *f, int64_t ms)
{
    struct hf_timer tick = {0};
    int64_t end = hf_env_now_ms(f->env) + ms;
    while (hf_env_now_ms(f->env) < end) {
        hf_timer_start(f->env, &tick, 10, ignore_timer, NULL);
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    hf_timer_stop(&tick);
}

/* One call and its answer. */
#define CALL(f, verb, ...)                                                                                   \
    do {                                                                                                     \
        (f)->answered = false;                                                                               \
        (f)->keeper->ops->verb((f)->keeper, ##__VA_ARGS__, on_answer, (f));                                  \
        turn_until((f), &(f)->answered);                                                                     \
    } while (0)

static void view(struct fixture *f)
{
    f->answered = false;
    f->keeper->ops->view(f->keeper, on_view, f);
    turn_until(f, &f->answered);
    assert_int_equal(f->code, HF_OK);
}

/* Repeats the view until the condition holds. */
#define VIEW_UNTIL(f, condition)                                                                             \
    do {                                                                                                     \
        int64_t end_ = hf_env_now_ms((f)->env) + WAIT_MS;                                                    \
        for (view(f); !(condition); view(f)) {                                                               \
            assert_true(hf_env_now_ms((f)->env) < end_);                                                     \
            turn_ms((f), 50);                                                                                \
        }                                                                                                    \
    } while (0)

static void start_keeper(struct fixture *f)
{
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (f->pid == 0) {
        execl(HF_LEASE_PATH, "hf-lease", "--profile", "fast", "--socket", "/mnt/run/keeper.sock", "--gate",
              "/mnt/run/gate.sock", "--state", "/mnt/run/keeper.state", "--watchdog-stand-in",
              "/mnt/watchdog", "--lab", (char *)NULL);
        _exit(127);
    }
    turn_until(f, &f->up);
}

static void end_keeper(struct fixture *f, int sig)
{
    bool down = false;
    kill(f->pid, sig);
    assert_int_equal(waitpid(f->pid, NULL, 0), f->pid);
    while (!down) {
        turn_ms(f, 20);
        down = !f->up;
    }
}

static int setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    struct hf_keeper_events events = {.connection = on_connection, .arg = f};
    memset(f, 0, sizeof *f);
    hf_log_set_level(HF_LOG_ERROR);
    setenv("HOLDFAST_LOG", "error", 1);
    assert_int_equal(system("rm -rf /mnt/* && mkdir -p /mnt/run /mnt/s1 && mkfifo /mnt/watchdog"), 0);
    snprintf(f->disk, sizeof f->disk, "/var/tmp/hf-lease-test.XXXXXX");
    assert_non_null(mkdtemp(f->disk));
    assert_int_equal(mount(f->disk, "/mnt/s1", NULL, MS_BIND, NULL), 0);
    f->host = hf_uuid_of_text("host");
    f->cluster = hf_uuid_of_text("cluster");
    f->s1 = hf_uuid_of_text("s1");
    f->vm1 = hf_uuid_of_text("vm1");
    f->vm2 = hf_uuid_of_text("vm2");
    uv_loop_init(&f->loop);
    f->env = hf_env_uv_create(&f->loop);
    assert_true(
        hf_ok(hf_keeper_client_create(&f->loop, f->env, "/mnt/run/keeper.sock", &events, &f->keeper)));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    kill(f->pid, SIGKILL);
    waitpid(f->pid, NULL, 0);
    hf_keeper_client_close(f->keeper);
    hf_env_uv_close(f->env);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    while (umount2("/mnt/s1", MNT_DETACH) == 0)
        ;
    char rm[96];
    snprintf(rm, sizeof rm, "rm -r %s", f->disk);
    return system(rm);
}

static struct hf_lease_record *read_record(struct fixture *f)
{
    static struct hf_lease_record r;
    static uint8_t file[HF_LEASE_FILE_BYTES];
    char path[256], name[HF_LEASE_FILE_NAME_MAX];
    snprintf(path, sizeof path, "/mnt/s1/%s", hf_lease_file_name(&f->host, name));
    FILE *in = fopen(path, "re");
    assert_non_null(in);
    size_t len = fread(file, 1, sizeof file, in);
    fclose(in);
    assert_int_equal(hf_lease_file_decode(file, len, &f->cluster, &f->host, &r), HF_LEASE_GOOD);
    return &r;
}

/* A keeper with epoch 1 and a fresh lease on s1. */
static void start_ready(struct fixture *f)
{
    start_keeper(f);
    VIEW_UNTIL(f, f->clean);
    CALL(f, set_epoch, &f->host, &f->cluster, 1, "");
    assert_int_equal(f->code, HF_OK);
    CALL(f, add_storage, &f->s1, "/mnt/s1", 1);
    assert_int_equal(f->code, HF_OK);
    VIEW_UNTIL(f, f->n_storages == 1 && f->storage.age_ms < 3000);
}

/* A permit for a run on s1, once that has answered for F. */
static void begin_run(struct fixture *f, const struct hf_uuid *vm, uint64_t run, bool gated)
{
    int64_t end = hf_env_now_ms(f->env) + WAIT_MS;
    for (;;) {
        CALL(f, begin_run, vm, f->epoch, run, &f->s1, 1, gated);
        if (f->code == HF_OK)
            return;
        assert_non_null(strstr(f->text, "has not yet answered"));
        assert_true(hf_env_now_ms(f->env) < end);
        turn_ms(f, 50);
    }
}

static pid_t start_run(struct fixture *f, const struct hf_uuid *vm, uint64_t run)
{
    begin_run(f, vm, run, false);
    pid_t pid = guest_start(vm, GUEST_PLAIN);
    CALL(f, register_run, vm, run, pid);
    assert_int_equal(f->code, HF_OK);
    return pid;
}

static void test_lease_moves_and_tells(void **state)
{
    struct fixture *f = *state;
    start_ready(f);
    uint64_t first = read_record(f)->sequence;
    pid_t pid = start_run(f, &f->vm1, 7);
    int64_t end = hf_env_now_ms(f->env) + WAIT_MS;
    while (read_record(f)->sequence < first + 3 || read_record(f)->n_runs == 0) {
        assert_true(hf_env_now_ms(f->env) < end);
        turn_ms(f, 50);
    }
    struct hf_lease_record *r = read_record(f);
    assert_int_equal(r->epoch, 1);
    assert_false(r->closed);
    assert_int_equal(r->n_runs, 1);
    assert_true(r->runs[0].live && r->runs[0].run == 7);
    assert_true(guest_lives(pid));
}

static void test_permits_and_tombstones(void **state)
{
    struct fixture *f = *state;
    start_ready(f);
    CALL(f, begin_run, &f->vm1, 2, 1, &f->s1, 1, false);
    assert_int_equal(f->code, HF_PRECONDITION);
    assert_non_null(strstr(f->text, "it is of epoch 2, this host lives epoch 1"));
    pid_t pid = start_run(f, &f->vm1, 4);
    CALL(f, end_run, &f->vm1, 4, 0);
    assert_int_equal(f->code, HF_PRECONDITION);
    assert_true(guest_lives(pid));
    CALL(f, end_run, &f->vm1, 4, HF_KEEPER_END_KILL);
    assert_int_equal(f->code, HF_OK);
    assert_false(guest_lives(pid));
    CALL(f, begin_run, &f->vm1, 1, 4, &f->s1, 1, false);
    assert_int_equal(f->code, HF_PRECONDITION);
    assert_non_null(strstr(f->text, "run 4 has a tombstone"));
    CALL(f, see_term, 9);
    assert_int_equal(f->code, HF_OK);
    CALL(f, see_term, 8);
    assert_int_equal(f->code, HF_CONFLICT);
}

/* Killed and started again it goes on with epoch, runs, tombstones and leases; the guest does not notice. */
static void test_restart_keeps(void **state)
{
    struct fixture *f = *state;
    start_ready(f);
    pid_t pid = start_run(f, &f->vm1, 4);
    CALL(f, end_run, &f->vm2, 2, 0);
    CALL(f, see_term, 9);
    end_keeper(f, SIGKILL);
    start_keeper(f);
    VIEW_UNTIL(f, f->n_storages == 1 && f->storage.age_ms < 3000);
    assert_int_equal(f->epoch, 1);
    assert_int_equal(f->max_term, 9);
    assert_int_equal(f->n_runs, 2);
    assert_int_equal(f->runs[0].state, HF_RUN_LIVE);
    assert_int_equal(f->runs[0].pid, pid);
    assert_true(guest_lives(pid));
    CALL(f, begin_run, &f->vm2, 1, 2, &f->s1, 1, false);
    assert_int_equal(f->code, HF_PRECONDITION);
}

static void test_state_lost(void **state)
{
    struct fixture *f = *state;
    start_ready(f);
    pid_t pid = start_run(f, &f->vm1, 4);
    end_keeper(f, SIGKILL);
    assert_int_equal(unlink("/mnt/run/keeper.state"), 0);
    start_keeper(f);
    VIEW_UNTIL(f, f->clean);
    assert_false(guest_lives(pid));
    assert_int_equal(f->epoch, 0);
    assert_int_equal(f->n_runs, 0);
}

/* Another file system is mounted over the storage: what lands there is proof of life to nobody. */
static void test_storage_lost(void **state)
{
    struct fixture *f = *state;
    start_ready(f);
    pid_t pid = start_run(f, &f->vm1, 4);
    assert_int_equal(mount("tmpfs", "/mnt/s1", "tmpfs", 0, "size=8m"), 0);
    VIEW_UNTIL(f, f->storage.suspended);
    assert_true(guest_lives(pid));
    VIEW_UNTIL(f, f->storage.closed && f->clean);
    assert_false(guest_lives(pid));
    assert_true(f->epoch_closed);
    assert_int_equal(f->runs[0].state, HF_RUN_TOMBSTONED);
    CALL(f, begin_run, &f->vm1, 1, 5, &f->s1, 1, false);
    assert_int_equal(f->code, HF_PRECONDITION);
    /* Back again: the record says so, and it stays closed; the next epoch may begin. */
    assert_int_equal(umount2("/mnt/s1", MNT_DETACH), 0);
    VIEW_UNTIL(f, !f->storage.suspended);
    assert_true(read_record(f)->closed && read_record(f)->killed);
    CALL(f, set_epoch, &f->host, &f->cluster, 1, "");
    assert_int_equal(f->code, HF_PRECONDITION);
    CALL(f, set_epoch, &f->host, &f->cluster, 2, "");
    assert_int_equal(f->code, HF_OK);
    VIEW_UNTIL(f, !f->storage.closed && f->storage.age_ms < 3000);
    assert_int_equal(read_record(f)->epoch, 2);
}

/* Beside a storage that is not mounted no record is written: the lease is not fresh. It is once the storage
 * is there. */
static void test_not_mounted(void **state)
{
    struct fixture *f = *state;
    char path[256], name[HF_LEASE_FILE_NAME_MAX];
    int fd = open("/mnt/s1/" HF_STORAGE_NOT_MOUNTED, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    start_keeper(f);
    VIEW_UNTIL(f, f->clean);
    CALL(f, set_epoch, &f->host, &f->cluster, 1, "");
    CALL(f, add_storage, &f->s1, "/mnt/s1", 1);
    turn_ms(f, 2500); /* several renewals */
    snprintf(path, sizeof path, "/mnt/s1/%s", hf_lease_file_name(&f->host, name));
    assert_int_equal(access(path, F_OK), -1);
    CALL(f, begin_run, &f->vm1, 1, 5, &f->s1, 1, false);
    assert_int_not_equal(f->code, HF_OK);
    assert_int_equal(unlink("/mnt/s1/" HF_STORAGE_NOT_MOUNTED), 0);
    VIEW_UNTIL(f, f->n_storages == 1 && f->storage.age_ms < 3000);
}

/* The file is deleted: it is made again, that is a change like any other. The folder itself: nothing is
 * renewed any more, and what needs it is killed. */
static void test_directory_deleted(void **state)
{
    struct fixture *f = *state;
    char rm[160];
    assert_int_equal(mkdir("/mnt/s1/storage", 0755), 0);
    start_keeper(f);
    VIEW_UNTIL(f, f->clean);
    CALL(f, set_epoch, &f->host, &f->cluster, 1, "");
    CALL(f, add_storage, &f->s1, "/mnt/s1/storage", 1);
    assert_int_equal(f->code, HF_OK);
    VIEW_UNTIL(f, f->n_storages == 1 && f->storage.age_ms < 3000);
    pid_t pid = start_run(f, &f->vm1, 4);
    snprintf(rm, sizeof rm, "rm /mnt/s1/storage/heartbeat-*");
    assert_int_equal(system(rm), 0);
    turn_ms(f, 3000);
    VIEW_UNTIL(f, f->storage.age_ms < 3000);
    assert_false(f->storage.closed);
    assert_int_equal(system("ls /mnt/s1/storage/heartbeat-* >/dev/null"), 0);
    assert_true(guest_lives(pid));
    assert_int_equal(rename("/mnt/s1/storage", "/mnt/s1/deleted"), 0);
    VIEW_UNTIL(f, f->storage.suspended);
    VIEW_UNTIL(f, f->storage.closed && f->clean);
    assert_false(guest_lives(pid));
    assert_int_equal(access("/mnt/s1/storage", F_OK), -1); /* nobody makes it anew */
}

static void fill(const char *dir)
{
    char path[64], block[4096] = "x";
    snprintf(path, sizeof path, "%s/fill", dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0)
        ;
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

/* A storage that fills up costs no lease: records stand where they stood. On one that is full from the start
 * there is none, so nothing starts there. */
static void test_full_storage(void **state)
{
    struct fixture *f = *state;
    struct hf_uuid s2 = hf_uuid_of_text("s2");
    assert_int_equal(mount("tmpfs", "/mnt/s1", "tmpfs", 0, "size=1m"), 0);
    start_ready(f);
    pid_t pid = start_run(f, &f->vm1, 4);
    turn_ms(f, 1500); /* both slots are written */
    fill("/mnt/s1");
    turn_ms(f, 6000); /* past L+K */
    VIEW_UNTIL(f, f->n_runs == 1);
    assert_true(f->storage.age_ms < 3000);
    assert_false(f->storage.closed);
    assert_true(guest_lives(pid));
    assert_int_equal(mkdir("/mnt/s2", 0755), 0);
    assert_int_equal(mount("tmpfs", "/mnt/s2", "tmpfs", 0, "size=64k"), 0);
    fill("/mnt/s2");
    CALL(f, add_storage, &s2, "/mnt/s2", 1);
    turn_ms(f, 2500);
    CALL(f, begin_run, &f->vm2, 1, 1, &s2, 1, false);
    assert_int_equal(f->code, HF_PRECONDITION);
    CALL(f, remove_storage, &s2);
    assert_int_equal(umount2("/mnt/s2", MNT_DETACH), 0);
    assert_true(guest_lives(pid));
}

static bool holds_a_file_below(pid_t pid, const char *folder)
{
    char path[64], target[512];
    bool holds = false;
    for (int fd = 0; fd < 64; fd++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
        ssize_t n = readlink(path, target, sizeof target - 1);
        target[n > 0 ? n : 0] = '\0';
        holds |= strncmp(target, folder, strlen(folder)) == 0;
    }
    return holds;
}

/* A storage whose lease was given up can be unmounted. */
static void test_given_up_and_let_go(void **state)
{
    struct fixture *f = *state;
    start_ready(f);
    assert_true(holds_a_file_below(f->pid, "/mnt/s1"));
    CALL(f, remove_storage, &f->s1);
    assert_int_equal(f->code, HF_OK);
    int64_t end = hf_env_now_ms(f->env) + WAIT_MS;
    while (holds_a_file_below(f->pid, "/mnt/s1")) {
        assert_true(hf_env_now_ms(f->env) < end);
        turn_ms(f, 50);
    }
    CALL(f, add_storage, &f->s1, "/mnt/s1", 1);
    VIEW_UNTIL(f, f->n_storages == 1 && f->storage.age_ms < 3000);
}

static char state_of(pid_t pid)
{
    char path[64], line[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *in = fopen(path, "re");
    if (in && !fgets(line, sizeof line, in))
        line[0] = '\0';
    if (in)
        fclose(in);
    const char *end = strrchr(line, ')');
    return end && strlen(end) > 2 ? end[2] : '?';
}

/* A storage that was closed is opened again in its next session, and the other guests do not notice. */
static void test_next_session(void **state)
{
    struct fixture *f = *state;
    start_ready(f);
    CALL(f, begin_run, &f->vm2, 1, 1, NULL, 0, false);
    pid_t local = guest_start(&f->vm2, GUEST_PLAIN);
    CALL(f, register_run, &f->vm2, 1, local);
    pid_t pid = start_run(f, &f->vm1, 4);
    assert_int_equal(mount("tmpfs", "/mnt/s1", "tmpfs", 0, "size=8m"), 0);
    VIEW_UNTIL(f, f->storage.closed);
    VIEW_UNTIL(f, f->n_runs == 2 && f->runs[1].state == HF_RUN_TOMBSTONED);
    assert_false(guest_lives(pid));
    assert_int_equal(f->storage.session, 1);
    assert_int_equal(umount2("/mnt/s1", MNT_DETACH), 0);
    VIEW_UNTIL(f, !f->storage.suspended);
    CALL(f, add_storage, &f->s1, "/mnt/s1", 1);
    CALL(f, begin_run, &f->vm1, 1, 5, &f->s1, 1, false);
    assert_int_equal(f->code, HF_PRECONDITION);
    CALL(f, add_storage, &f->s1, "/mnt/s1", 2);
    assert_int_equal(f->code, HF_OK);
    VIEW_UNTIL(f, !f->storage.closed && f->storage.age_ms < 3000);
    assert_int_equal(f->storage.session, 2);
    assert_int_equal(read_record(f)->session, 2);
    assert_false(read_record(f)->closed);
    start_run(f, &f->vm1, 5);
    view(f);
    assert_false(f->epoch_closed);
    assert_true(guest_lives(local));
}

/* Loses the storage until the run is frozen and gives it back at once. false: the machine was so slow that
 * L+K was over first. */
static bool freezes_and_thaws(struct fixture *f, pid_t pid)
{
    assert_int_equal(mount("tmpfs", "/mnt/s1", "tmpfs", 0, "size=8m"), 0);
    VIEW_UNTIL(f, f->storage.closed || (f->runs[0].frozen && state_of(pid) == 'T'));
    assert_int_equal(umount2("/mnt/s1", MNT_DETACH), 0);
    VIEW_UNTIL(f, f->storage.closed || (!f->runs[0].frozen && state_of(pid) == 'S'));
    return !f->storage.closed;
}

/* Between L and L+K the guest stands still, then goes on: the same process, the same run. */
static void test_freeze_and_thaw(void **state)
{
    struct fixture *f = *state;
    start_ready(f);
    for (uint64_t epoch = 1; epoch <= 5; epoch++) {
        pid_t pid = start_run(f, &f->vm1, epoch);
        if (freezes_and_thaws(f, pid)) {
            assert_true(guest_lives(pid));
            assert_int_equal(f->runs[0].state, HF_RUN_LIVE);
            assert_int_equal(f->runs[0].pid, pid);
            return;
        }
        VIEW_UNTIL(f, f->clean);
        CALL(f, set_epoch, &f->host, &f->cluster, epoch + 1, "");
        VIEW_UNTIL(f, !f->storage.closed && f->storage.age_ms < 3000);
    }
    fail_msg("five times L+K was over before the storage was back");
}

static void test_end_epoch(void **state)
{
    struct fixture *f = *state;
    start_ready(f);
    pid_t pid = start_run(f, &f->vm1, 4);
    CALL(f, end_epoch, 1, false);
    assert_int_equal(f->code, HF_OK);
    assert_false(guest_lives(pid));
    view(f);
    assert_true(f->clean && f->epoch_closed);
}

/* Somebody fences this life on the storage: the keeper finds the mark behind its next renewal. */
static void test_fence_mark(void **state)
{
    struct fixture *f = *state;
    start_ready(f);
    pid_t pid = start_run(f, &f->vm1, 4);
    assert_true(hf_ok(hf_fence_mark_write("/mnt/s1", &f->host, 7))); /* of another life */
    turn_ms(f, 1200);
    view(f);
    assert_false(f->epoch_closed);
    assert_true(hf_ok(hf_fence_mark_write("/mnt/s1", &f->host, 1)));
    VIEW_UNTIL(f, f->epoch_closed && f->clean);
    assert_false(guest_lives(pid));
    int64_t end = hf_env_now_ms(f->env) + WAIT_MS;
    while (!read_record(f)->closed || !read_record(f)->killed) {
        assert_true(hf_env_now_ms(f->env) < end);
        turn_ms(f, 50);
    }
    CALL(f, set_epoch, &f->host, &f->cluster, 2, "");
    assert_int_equal(f->code, HF_OK);
    VIEW_UNTIL(f, !f->epoch_closed && f->storage.age_ms < 3000);
    char path[256], name[HF_FENCE_MARK_NAME_MAX];
    snprintf(path, sizeof path, "/mnt/s1/%s", hf_fence_mark_name(&f->host, 1, name));
    assert_int_equal(access(path, F_OK), -1); /* the life that it fenced is proven over */
}

/* A start of this run through the gate, as libvirt does it. Its standard error goes to err. */
static pid_t start_through_gate(struct fixture *f, const struct hf_uuid *vm, uint64_t run, const char *err)
{
    char hex[HF_UUID_STR], name[96], fw_cfg[96];
    (void)f;
    snprintf(name, sizeof name, "guest=%s,debug-threads=on", hf_uuid_format(vm, hex));
    snprintf(fw_cfg, sizeof fw_cfg, "name=opt/org.holdfast/run,string=%llu", (unsigned long long)run);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = open(err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(fd, 2);
        execl(HF_GATE_PATH, "hf-qemu", "-name", name, "-uuid", hex, "plain", "-fw_cfg", fw_cfg, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static bool says(const char *path, const char *what)
{
    char text[512] = "";
    FILE *in = fopen(path, "re");
    assert_non_null(in);
    size_t n = fread(text, 1, sizeof text - 1, in);
    text[n] = '\0';
    fclose(in);
    return strstr(text, what) != NULL;
}

static void refused(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

/* Rule 2: nothing is born without a permit, nor twice, nor after its end; what came through counts at once.
 */
static void test_gate(void **state)
{
    struct fixture *f = *state;
    start_ready(f);
    refused(start_through_gate(f, &f->vm1, 4, "/mnt/err"));
    assert_true(says("/mnt/err", "holdfast: start of run 4 of instance "));
    assert_true(says("/mnt/err", "it has no permit"));
    begin_run(f, &f->vm1, 4, true);
    refused(start_through_gate(f, &f->vm1, 5, "/mnt/err"));
    pid_t pid = start_through_gate(f, &f->vm1, 4, "/mnt/err");
    VIEW_UNTIL(f, f->n_runs == 1 && f->runs[0].state == HF_RUN_LIVE && f->runs[0].pid == pid);
    refused(start_through_gate(f, &f->vm1, 4, "/mnt/err"));
    assert_true(says("/mnt/err", "it was started before"));
    assert_true(guest_lives(pid));
    CALL(f, end_run, &f->vm1, 4, HF_KEEPER_END_KILL);
    assert_int_equal(f->code, HF_OK);
    assert_false(guest_lives(pid));
    refused(start_through_gate(f, &f->vm1, 4, "/mnt/err"));
    assert_true(says("/mnt/err", "it is over"));
}

/* An order to start that a fence has overtaken, and a keeper that is not there. */
static void test_gate_after_fence(void **state)
{
    struct fixture *f = *state;
    start_ready(f);
    begin_run(f, &f->vm1, 4, true);
    assert_true(hf_ok(hf_fence_mark_write("/mnt/s1", &f->host, 1)));
    VIEW_UNTIL(f, f->epoch_closed && f->clean && f->runs[0].state == HF_RUN_TOMBSTONED);
    refused(start_through_gate(f, &f->vm1, 4, "/mnt/err"));
    assert_true(says("/mnt/err", "epoch 1 of this host is closed"));
    end_keeper(f, SIGKILL);
    refused(start_through_gate(f, &f->vm1, 4, "/mnt/err"));
    assert_true(says("/mnt/err", "the keeper (hf-lease) cannot be asked"));
}

/* Questions about what QEMU can do, and other people's guests, need no keeper. */
static void test_gate_lets_others_through(void **state)
{
    struct fixture *f = *state;
    (void)f;
    start_keeper(f);
    end_keeper(f, SIGKILL);
    pid_t pid = fork();
    if (pid == 0) {
        execl(HF_GATE_PATH, "hf-qemu", "-name", "guest=somebody-elses", "-uuid",
              "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa", "plain", (char *)NULL);
        _exit(127);
    }
    int64_t end = hf_env_now_ms(f->env) + WAIT_MS;
    char path[64], comm[32] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    while (strncmp(comm, "qemu", 4) != 0) { /* the name that a guest of this test gives itself */
        assert_true(hf_env_now_ms(f->env) < end);
        turn_ms(f, 20);
        FILE *in = fopen(path, "re");
        assert_non_null(in);
        if (!fgets(comm, sizeof comm, in))
            comm[0] = '\0';
        fclose(in);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static size_t drain(int fd, char *last)
{
    char buf[4096];
    size_t total = 0;
    ssize_t n;
    while ((n = read(fd, buf, sizeof buf)) > 0) {
        total += (size_t)n;
        *last = buf[n - 1];
    }
    return total;
}

/* Without a reader there is no watchdog; with one it is petted, and disarmed by an orderly end when nothing
 * runs. */
static void test_watchdog(void **state)
{
    struct fixture *f = *state;
    char last = 'x';
    start_ready(f);
    view(f);
    assert_string_equal(f->watchdog, "none");
    int fd = open("/mnt/watchdog", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    VIEW_UNTIL(f, strcmp(f->watchdog, "stand-in") == 0);
    turn_ms(f, 1000);
    assert_true(drain(fd, &last) >= 2);
    assert_int_equal(last, 0);
    end_keeper(f, SIGTERM);
    drain(fd, &last);
    assert_int_equal(last, 'V');
    /* With a guest it goes on counting. */
    start_keeper(f);
    VIEW_UNTIL(f, f->storage.age_ms < 3000 && strcmp(f->watchdog, "stand-in") == 0);
    start_run(f, &f->vm1, 4);
    end_keeper(f, SIGTERM);
    drain(fd, &last);
    assert_int_equal(last, 0);
    close(fd);
}

/* The process of this name, but not this one; 0: there is none. */
static pid_t find_process(const char *name, pid_t but)
{
    pid_t found = 0;
    DIR *dir = opendir("/proc");
    assert_non_null(dir);
    for (struct dirent *e; !found && (e = readdir(dir)) != NULL;) {
        char path[300], comm[64] = "";
        pid_t pid = atoi(e->d_name);
        snprintf(path, sizeof path, "/proc/%s/comm", e->d_name);
        FILE *in = pid > 0 && pid != but && state_of(pid) != 'Z' ? fopen(path, "re") : NULL;
        if (in && fgets(comm, sizeof comm, in) && strncmp(comm, name, strlen(name)) == 0)
            found = pid;
        if (in)
            fclose(in);
    }
    closedir(dir);
    return found;
}

/* The last writer has gone: a real device would have been closed, and petted by that. */
static bool is_closed(int fd)
{
    char byte;
    ssize_t n;
    while ((n = read(fd, &byte, 1)) == 1)
        ;
    return n == 0;
}

/* The device stays open whichever of keeper and holder is killed, and the next keeper goes on with it. */
static void test_watchdog_stays_open(void **state)
{
    struct fixture *f = *state;
    char last = 'x';
    int fd = open("/mnt/watchdog", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    start_ready(f);
    VIEW_UNTIL(f, strcmp(f->watchdog, "stand-in") == 0);
    pid_t holder = find_process("hf-lease-holder", 0);
    assert_true(holder > 0);
    assert_int_equal(kill(holder, SIGTERM), 0); /* nothing but SIGKILL ends it */
    end_keeper(f, SIGKILL);
    turn_ms(f, 500);
    assert_false(is_closed(fd));
    assert_int_equal(find_process("hf-lease-holder", 0), holder);

    start_keeper(f);
    VIEW_UNTIL(f, strcmp(f->watchdog, "stand-in") == 0);
    int64_t end = hf_env_now_ms(f->env) + WAIT_MS;
    while (drain(fd, &last) == 0) {
        assert_true(hf_env_now_ms(f->env) < end);
        turn_ms(f, 50);
    }
    assert_int_equal(kill(holder, SIGKILL), 0);
    while (find_process("hf-lease-holder", holder) == 0) {
        assert_true(hf_env_now_ms(f->env) < end);
        turn_ms(f, 50);
    }
    view(f); /* it has handed the device over by now */
    end_keeper(f, SIGKILL);
    turn_ms(f, 500);
    assert_false(is_closed(fd));

    start_keeper(f); /* without guests an orderly end disarms, and leaves nothing behind */
    VIEW_UNTIL(f, strcmp(f->watchdog, "stand-in") == 0 && f->storage.age_ms < 3000);
    end_keeper(f, SIGTERM);
    drain(fd, &last);
    assert_int_equal(last, 'V');
    assert_true(is_closed(fd));
    assert_int_equal(find_process("hf-lease-holder", 0), 0);
    close(fd);
}

/* Two daemons at once, one keeper only. */
static void test_connections(void **state)
{
    struct fixture *f = *state;
    struct fixture other = {.env = f->env};
    struct hf_keeper_events events = {.connection = on_connection, .arg = &other};
    int status;
    start_ready(f);
    assert_true(
        hf_ok(hf_keeper_client_create(&f->loop, f->env, "/mnt/run/keeper.sock", &events, &other.keeper)));
    turn_until(f, &other.up);
    other.keeper->ops->view(other.keeper, on_view, &other);
    turn_until(f, &other.answered);
    assert_int_equal(other.code, HF_OK);
    assert_int_equal(other.epoch, 1);
    hf_keeper_client_close(other.keeper);
    view(f);
    pid_t second = fork();
    if (second == 0) {
        execl(HF_LEASE_PATH, "hf-lease", "--socket", "/mnt/run/other.sock", "--gate",
              "/mnt/run/other-gate.sock", "--state", "/mnt/run/keeper.state", (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(second, &status, 0), second);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    end_keeper(f, SIGKILL);
    CALL(f, see_term, 1);
    assert_int_equal(f->code, HF_UNAVAILABLE);
}

/* A process that hangs in the kernel with SIGKILL pending is not gone: nothing is promised of it, the
 * watchdog is not petted when its lease is lost, and the word "killed" waits until it is. */
static void test_stuck_in_the_kernel(void **state)
{
    struct fixture *f = *state;
    char last = 'x';
    int hung = hung_fs_mount();
    if (hung < 0)
        skip();
    int dog = open("/mnt/watchdog", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    start_ready(f);
    begin_run(f, &f->vm1, 4, false);
    pid_t pid = guest_start(&f->vm1, GUEST_STUCK);
    CALL(f, register_run, &f->vm1, 4, pid);
    assert_int_equal(f->code, HF_OK);
    VIEW_UNTIL(f, hung_fs_waits()); /* before that a kill would end it */
    CALL(f, end_run, &f->vm1, 4, HF_KEEPER_END_KILL);
    assert_int_equal(f->code, HF_TIMEOUT);
    assert_int_equal(state_of(pid), 'D');
    view(f);
    assert_int_equal(f->runs[0].state, HF_RUN_LIVE);
    turn_ms(f, 1000);
    assert_true(drain(dog, &last) >= 1); /* its lease is fresh */

    assert_int_equal(mount("tmpfs", "/mnt/s1", "tmpfs", 0, "size=8m"), 0);
    VIEW_UNTIL(f, f->storage.closed);
    assert_int_equal(umount2("/mnt/s1", MNT_DETACH), 0);
    drain(dog, &last);
    VIEW_UNTIL(f, !f->storage.suspended);
    turn_ms(f, 2000);
    assert_int_equal(drain(dog, &last), 0);
    assert_int_equal(state_of(pid), 'D');
    assert_true(read_record(f)->closed);
    assert_false(read_record(f)->killed);
    view(f);
    assert_false(f->clean);

    hung_fs_release(hung);
    VIEW_UNTIL(f, f->clean);
    assert_false(guest_lives(pid));
    int64_t end = hf_env_now_ms(f->env) + WAIT_MS;
    while (!read_record(f)->killed || drain(dog, &last) == 0) {
        assert_true(hf_env_now_ms(f->env) < end);
        turn_ms(f, 100);
    }
    close(dog);
}

static int raw_connection(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = "/mnt/run/keeper.sock"};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    return fd;
}

/* Whoever sends something else is cut off; nobody else notices, and nothing was done. */
static void test_malformed_packets(void **state)
{
    struct fixture *f = *state;
    struct hf_keeper_request good = {
        .head = {HF_KEEPER_MAGIC, HF_KEEPER_WIRE_VERSION, HF_KEEPER_END_EPOCH, 1}, .epoch = 1};
    struct {
        struct hf_keeper_request q;
        size_t len;
    } bad[6];
    char answer[1024];
    for (size_t i = 0; i < 6; i++) {
        bad[i].q = good;
        bad[i].len = sizeof good;
    }
    bad[0].q.head.magic++;
    bad[1].q.head.version++;
    bad[2].len = sizeof good.head - 1;
    bad[3].len = sizeof good - 1;
    bad[4].q.n_storages = HF_KEEPER_STORAGES_MAX + 1;
    memset(bad[5].q.dir, 'x', sizeof bad[5].q.dir);
    start_ready(f);
    for (size_t i = 0; i < 6; i++) {
        int fd = raw_connection();
        assert_int_equal(send(fd, &bad[i].q, bad[i].len, 0), bad[i].len);
        ssize_t n;
        while ((n = recv(fd, answer, sizeof answer, 0)) >
               0) /* only news of a changed view may come before the end */
            assert_int_equal(((struct hf_keeper_head *)(void *)answer)->op, HF_KEEPER_CHANGED);
        assert_int_equal(n, 0);
        close(fd);
    }
    good.head.op = 99; /* well formed, and not known */
    int fd = raw_connection();
    assert_int_equal(send(fd, &good, sizeof good, 0), sizeof good);
    struct hf_keeper_reply reply;
    do
        assert_int_equal(recv(fd, &reply, sizeof reply, 0), sizeof reply);
    while (reply.head.op == HF_KEEPER_CHANGED);
    assert_int_equal(reply.code, HF_UNIMPLEMENTED);
    close(fd);
    view(f);
    assert_int_equal(f->epoch, 1);
    assert_false(f->epoch_closed);
}

static int body(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_lease_moves_and_tells),
        T(test_permits_and_tombstones),
        T(test_restart_keeps),
        T(test_state_lost),
        T(test_storage_lost),
        T(test_not_mounted),
        T(test_directory_deleted),
        T(test_full_storage),
        T(test_given_up_and_let_go),
        T(test_freeze_and_thaw),
        T(test_next_session),
        T(test_end_epoch),
        T(test_fence_mark),
        T(test_gate),
        T(test_gate_after_fence),
        T(test_gate_lets_others_through),
        T(test_watchdog),
        T(test_watchdog_stays_open),
        T(test_stuck_in_the_kernel),
        T(test_connections),
        T(test_malformed_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return keeper_ns_main(argc, argv, body);
}
