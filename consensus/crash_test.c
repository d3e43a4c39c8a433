/* A member that is killed at any moment: what it acknowledged is there when it starts again, and nothing is
 * there twice. A cluster of one, so that all depends on this disk; small segments and large objects, so that
 * the kills meet segments being closed and snapshots being written.
 */
#include <ftw.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "base/env.h"
#include "consensus/cluster_testing.h"
#include "consensus/port_testing.h"
#include "consensus/raft_uv.h"

#define ROUNDS       8
#define OBJECTS      16
#define OBJECT_BYTES 100000

static char address[32];

struct writer {
    uv_loop_t loop;
    struct hf_env *env;
    struct hf_replica *replica;
    struct hf_raft_uv *raft;
    int acks;        /* the number of each acknowledged write goes here */
    uint64_t number; /* of the write under way */
    char *text;
};

static void write_next(struct writer *w);

static void on_written(void *arg, hf_status st, const struct hf_txn_result *res)
{
    struct writer *w = arg;
    if (!hf_ok(st) || res->code != HF_OK || write(w->acks, &w->number, sizeof w->number) != sizeof w->number)
        _exit(1);
    w->number++;
    write_next(w);
}

static void write_next(struct writer *w)
{
    char id[32], name[32];
    snprintf(id, sizeof id, "write-%llu", (unsigned long long)w->number);
    snprintf(name, sizeof name, "object-%llu", (unsigned long long)(w->number % OBJECTS));
    int n = snprintf(w->text, OBJECT_BYTES, "%llu ", (unsigned long long)w->number);
    memset(w->text + n, 'x', (size_t)(OBJECT_BYTES - n - 1));
    struct hf_txn *t = hf_txn_create(id, w->number);
    put_text(t, 1, w->number % OBJECTS, name, w->text);
    hf_replica_submit(w->replica, t, on_written, w);
}

static uint64_t number_of(const struct hf_object *o)
{
    char text[32] = "";
    memcpy(text, o->bytes->data, sizeof text - 1);
    return strtoull(text, NULL, 10);
}

/* Every object holds the last number that was written to it, so the last ones are those of the last OBJECTS
 * writes. */
static uint64_t last_written(const struct hf_store *s)
{
    uint64_t last = 0;
    for (const struct hf_object *o = hf_store_next(s, 1, NULL); o != NULL; o = hf_store_next(s, 1, o->name))
        if (number_of(o) > last)
            last = number_of(o);
    for (const struct hf_object *o = hf_store_next(s, 1, NULL); o != NULL; o = hf_store_next(s, 1, o->name))
        if (number_of(o) + OBJECTS <= last)
            _exit(2); /* a later write is there, an earlier one is not */
    if (hf_store_revision(s) != last)
        _exit(3); /* one revision per write: something was applied twice, or not at all */
    return last;
}

static void on_ready(void *arg, const struct hf_replica_state *st)
{
    struct writer *w = arg;
    if (!st->ready)
        return;
    uint64_t last = last_written(hf_replica_store(w->replica)), mark = UINT64_MAX;
    if (write(w->acks, &mark, sizeof mark) != sizeof mark ||
        write(w->acks, &last, sizeof last) != sizeof last)
        _exit(1);
    w->number = last + 1;
    write_next(w);
}

static void run_writer(const char *dir, int acks)
{
    struct writer *w = HF_NEW(struct writer);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    w->acks = acks;
    w->text = hf_alloc(OBJECT_BYTES);
    uv_loop_init(&w->loop);
    w->env = hf_env_uv_create(&w->loop);
    w->replica = hf_replica_create(w->env, NULL, 0);
    hf_replica_on_role(w->replica, on_ready, w);
    struct hf_raft_member only = {.id = 1, .address = address};
    struct hf_raft_options o = {.id = 1,
                                .address = address,
                                .dir = dir,
                                .members = &only,
                                .n_members = 1,
                                .disk_reserve_bytes = 1 << 20,
                                .segment_bytes = 1 << 20};
    hf_status st = hf_raft_uv_start(&w->loop, w->replica, &o, &w->raft);
    if (!hf_ok(st)) {
        print_error("%s\n", hf_status_message(st));
        _exit(4);
    }
    uv_run(&w->loop, UV_RUN_DEFAULT);
    _exit(5);
}

/* Reads numbers until the given count of writes was acknowledged in this life; then kills it, a moment later.
 */
static uint64_t kill_after(pid_t pid, int acks, unsigned writes, useconds_t pause_us, uint64_t acknowledged)
{
    uint64_t number;
    unsigned seen = 0;
    bool killed = false;
    while (read(acks, &number, sizeof number) == sizeof number) {
        if (number == UINT64_MAX) { /* started: what does it know? */
            assert_int_equal(read(acks, &number, sizeof number), sizeof number);
            assert_true(number >= acknowledged);
            continue;
        }
        assert_true(number > acknowledged);
        acknowledged = number;
        if (++seen >= writes && !killed) {
            usleep(pause_us);
            kill(pid, SIGKILL);
            killed = true;
        }
    }
    assert_true(killed);
    return acknowledged;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void a_killed_member_has_what_it_acknowledged(void **state)
{
    (void)state;
    char dir[] = "/tmp/hf_crash_test.XXXXXX";
    uint64_t acknowledged = 0;
    assert_non_null(mkdtemp(dir));
    snprintf(address, sizeof address, "127.0.0.1:%d", free_port());
    for (unsigned round = 0; round < ROUNDS; round++) {
        int acks[2], status;
        assert_int_equal(pipe(acks), 0);
        pid_t pid = fork();
        if (pid == 0) {
            close(acks[0]);
            run_writer(dir, acks[1]);
        }
        close(acks[1]);
        acknowledged = kill_after(pid, acks[0], 40 + 37 * round, 700 * round, acknowledged);
        close(acks[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
    }
    assert_true(acknowledged > 40 * ROUNDS);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_member_has_what_it_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
