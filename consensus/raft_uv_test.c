/* The driver on real disks and loopback sockets, three members in one process on one loop. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/env.h"
#include "consensus/cluster_testing.h"
#include "consensus/port_testing.h"
#include "consensus/raft_private.h"

#define MEMBERS_MAX 5
#define WAIT_MS     30000
#define SEGMENT     (1 << 20)

struct member {
    uint64_t id;
    char address[32];
    char dir[128];
    struct hf_replica *replica;
    struct hf_raft_uv *raft;
};

static uv_loop_t loop;
static struct hf_env *env;
static char root[64];
static struct member members[MEMBERS_MAX];

/* --- the cluster --- */

static hf_status try_start(struct member *m, bool join)
{
    struct hf_raft_member first[MEMBERS];
    for (int i = 0; i < MEMBERS; i++)
        first[i] = (struct hf_raft_member){.id = members[i].id, .address = members[i].address};
    struct hf_raft_options o = {.id = m->id,
                                .address = m->address,
                                .dir = m->dir,
                                .members = first,
                                .n_members = MEMBERS,
                                .join = join,
                                .election_ms = 500,
                                .heartbeat_ms = 50,
                                .disk_reserve_bytes = 1 << 20,
                                .segment_bytes = SEGMENT};
    m->replica = hf_replica_create(env, NULL, 0);
    hf_status st = hf_raft_uv_start(&loop, m->replica, &o, &m->raft);
    if (!hf_ok(st))
        m->raft = NULL;
    return st;
}

static void start(struct member *m, bool join)
{
    hf_status st = try_start(m, join);
    if (!hf_ok(st))
        print_error("%s\n", hf_status_message(st));
    assert_true(hf_ok(st));
}

static void set_true(void *arg)
{
    *(bool *)arg = true;
}

static void stop(struct member *m)
{
    bool closed = false;
    if (m->raft != NULL) {
        hf_raft_uv_close(m->raft, set_true, &closed);
        while (!closed)
            uv_run(&loop, UV_RUN_ONCE);
    }
    hf_replica_free(m->replica);
    m->raft = NULL;
    m->replica = NULL;
}

/* A start that must fail, with the sentence. */
static void expect_refusal(struct member *m, enum hf_code code, const char *sentence)
{
    hf_status st = try_start(m, false);
    assert_false(hf_ok(st));
    if (strstr(hf_status_message(st), sentence) == NULL || hf_status_code(st) != code)
        fail_msg("code %d: %s", (int)hf_status_code(st), hf_status_message(st));
    hf_status_drop(st);
    for (int i = 0; i < 200; i++) /* what the failed start left is closing */
        uv_run(&loop, UV_RUN_NOWAIT);
    hf_replica_free(m->replica);
    m->replica = NULL;
}

static bool leads(const struct member *m)
{
    if (m->raft == NULL)
        return false;
    struct hf_replica_state st;
    hf_replica_state(m->replica, &st);
    return st.ready;
}

static struct member *await_leader(void)
{
    int64_t end = hf_env_now_ms(env) + WAIT_MS;
    while (hf_env_now_ms(env) < end) {
        for (int i = 0; i < MEMBERS_MAX; i++)
            if (leads(&members[i]))
                return &members[i];
        uv_run(&loop, UV_RUN_ONCE);
    }
    fail_msg("no leader was elected");
    return NULL;
}

static void await_answer(const struct outcome *o)
{
    int64_t end = hf_env_now_ms(env) + WAIT_MS;
    while (o->answers == 0 && hf_env_now_ms(env) < end)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(o->answers, 1);
}

static void await_object(const struct member *m, uint64_t n, const char *text)
{
    int64_t end = hf_env_now_ms(env) + WAIT_MS;
    while (!object_is(hf_replica_store(m->replica), n, text) && hf_env_now_ms(env) < end)
        uv_run(&loop, UV_RUN_ONCE);
    assert_true(object_is(hf_replica_store(m->replica), n, text));
}

static struct outcome write_one(struct member *m, const char *id, uint64_t n, const char *name,
                                const char *text)
{
    struct outcome o;
    submit_put(m->replica, id, n, name, text, &o);
    await_answer(&o);
    return o;
}

static void await_snapshot(const struct member *m)
{
    char pattern[sizeof m->dir + 32];
    glob_t found = {0};
    int64_t end = hf_env_now_ms(env) + WAIT_MS;
    snprintf(pattern, sizeof pattern, "%s/snapshot-*.meta", m->dir);
    while (glob(pattern, 0, NULL, &found) != 0 && hf_env_now_ms(env) < end)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(found.gl_pathc > 0, 1);
    globfree(&found);
}

/* By whoever leads, until it is answered: members on a busy disk lose their leader now and then. */
static void write_through(const char *id, uint64_t n, const char *name, const char *text)
{
    int64_t end = hf_env_now_ms(env) + WAIT_MS;
    struct outcome o = write_one(await_leader(), id, n, name, text);
    while (o.status != HF_OK && hf_env_now_ms(env) < end)
        o = write_one(await_leader(), id, n, name, text);
    assert_int_equal(o.status, HF_OK);
    assert_int_equal(o.code, HF_OK);
}

static void run_for(int64_t ms)
{
    int64_t end = hf_env_now_ms(env) + ms;
    while (hf_env_now_ms(env) < end)
        uv_run(&loop, UV_RUN_ONCE);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/hf_raft_uv_test.XXXXXX");
    assert_non_null(mkdtemp(root));
    assert_int_equal(uv_loop_init(&loop), 0);
    env = hf_env_uv_create(&loop);
    for (int i = 0; i < MEMBERS_MAX; i++) {
        members[i] = (struct member){.id = (uint64_t)i + 1};
        snprintf(members[i].address, sizeof members[i].address, "127.0.0.1:%d", free_port());
        snprintf(members[i].dir, sizeof members[i].dir, "%s/%d", root, i + 1);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < MEMBERS_MAX; i++)
        if (members[i].replica != NULL)
            stop(&members[i]);
    hf_env_uv_close(env);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static struct member *start_three(void)
{
    for (int i = 0; i < MEMBERS; i++)
        start(&members[i], false);
    return await_leader();
}

/* --- tests --- */

static void a_restart_keeps_everything(void **state)
{
    (void)state;
    struct outcome o = write_one(start_three(), "id-1", 1, "a", "kept");
    assert_true(o.code == HF_OK && o.revision == 1);
    for (int i = 0; i < MEMBERS; i++)
        stop(&members[i]);
    struct member *leader = start_three();
    assert_true(object_is(hf_replica_store(leader->replica), 1, "kept"));
    o = write_one(leader, "id-1", 1, "a", "kept");
    assert_true(o.repeated && o.revision == 1);
}

static void a_lost_leader_is_replaced_and_catches_up_later(void **state)
{
    (void)state;
    struct member *old = start_three();
    write_one(old, "id-1", 1, "a", "first");
    stop(old);
    struct member *leader = await_leader();
    assert_ptr_not_equal(leader, old);
    assert_true(object_is(hf_replica_store(leader->replica), 1, "first"));
    struct outcome read = {0};
    hf_replica_barrier(leader->replica, on_barrier_outcome, &read);
    await_answer(&read);
    assert_int_equal(read.status, HF_OK);
    write_one(leader, "id-2", 2, "b", "second");
    start(old, false);
    await_object(old, 2, "second");
}

static void a_member_that_was_away_too_long_gets_a_snapshot(void **state)
{
    (void)state;
    char *text = hf_alloc(HF_OBJECT_MAX), name[16], id[16];
    memset(text, 'x', HF_OBJECT_MAX - 1);
    struct member *away = start_three() == &members[2] ? &members[1] : &members[2];
    stop(away);
    for (uint64_t i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "n%llu", (unsigned long long)i % 4);
        snprintf(id, sizeof id, "id%llu", (unsigned long long)i);
        write_through(id, i % 4, name, text);
    }
    for (int i = 0; i < MEMBERS; i++) /* else whoever leads could still send it the entries */
        if (&members[i] != away)
            await_snapshot(&members[i]);
    start(away, false);
    await_object(away, 3, text);
    assert_int_equal(hf_store_total(hf_replica_store(away->replica)), 4);
    stop(away); /* and it comes back from its own copy of the snapshot */
    start(away, false);
    assert_true(object_is(hf_replica_store(away->replica), 0, text));
    free(text);
}

static void on_member(void *arg, uint64_t id, const char *address, bool voter)
{
    char *text = arg;
    (void)address;
    snprintf(text + strlen(text), 16, "%llu%s ", (unsigned long long)id, voter ? "" : "?");
}

static void on_changed(void *arg, hf_status st)
{
    on_outcome(arg, st, hf_ok(st) ? &(struct hf_txn_result){.code = HF_OK} : NULL);
}

static void a_fourth_member_joins_and_leaves(void **state)
{
    (void)state;
    struct member *leader = start_three(), *fourth = &members[3];
    struct outcome add = {0}, again = {0}, gone = {0}, unknown = {0}, self = {0}, late = {0};
    char list[64] = "";
    write_one(leader, "id-1", 1, "a", "first");
    start(fourth, true);
    hf_raft_uv_add(leader->raft, fourth->id, fourth->address, on_changed, &add);
    hf_raft_uv_add(leader->raft, fourth->id, fourth->address, on_changed, &late);
    assert_int_equal(late.status, HF_UNAVAILABLE); /* one change at a time */
    await_answer(&add);
    assert_int_equal(add.status, HF_OK);
    await_object(fourth, 1, "first");
    hf_raft_uv_members(leader->raft, on_member, list);
    assert_string_equal(list, "1 2 3 4 ");
    hf_raft_uv_add(leader->raft, fourth->id, fourth->address, on_changed, &again);
    await_answer(&again);
    assert_int_equal(again.status, HF_OK); /* a repeat is fine */

    hf_raft_uv_remove(leader->raft, 77, on_changed, &unknown);
    await_answer(&unknown);
    assert_int_equal(unknown.status, HF_NOT_FOUND);
    hf_raft_uv_remove(leader->raft, leader->id, on_changed, &self);
    await_answer(&self);
    assert_int_equal(self.status, HF_PRECONDITION);
    hf_raft_uv_remove(leader->raft, fourth->id, on_changed, &gone);
    await_answer(&gone);
    assert_int_equal(gone.status, HF_OK);
    list[0] = 0;
    hf_raft_uv_members(leader->raft, on_member, list);
    assert_string_equal(list, "1 2 3 ");
    stop(fourth);
    assert_int_equal(write_one(leader, "id-2", 2, "b", "after").code, HF_OK);
}

static void who_joins_never_makes_a_cluster_of_its_own(void **state)
{
    (void)state;
    struct member *fourth = &members[3];
    expect_refusal(fourth, HF_INVALID, "start it with join");
    snprintf(fourth->dir, sizeof fourth->dir, "%s/joining", root);
    start(fourth, true);
    run_for(200);
    stop(fourth);
    start(fourth, false); /* restarted without the word: the directory remembers it */
    run_for(200);
    struct hf_replica_state st;
    hf_replica_state(fourth->replica, &st);
    assert_true(st.role == HF_ROLE_FOLLOWER && st.term == 0);
}

static void leadership_is_handed_over(void **state)
{
    (void)state;
    struct member *leader = start_three();
    write_one(leader, "id-1", 1, "a", "x");
    hf_raft_uv_transfer(leader->raft);
    int64_t end = hf_env_now_ms(env) + WAIT_MS;
    while (leads(leader) && hf_env_now_ms(env) < end)
        uv_run(&loop, UV_RUN_ONCE);
    assert_ptr_not_equal(await_leader(), leader);
    struct outcome o = {0};
    hf_raft_uv_remove(leader->raft, 1, on_changed, &o);
    await_answer(&o);
    assert_int_equal(o.status, HF_NOT_LEADER);
}

static void find_segment(const char *dir, const char *prefix, char *path, size_t len)
{
    uv_fs_t req;
    uv_dirent_t e;
    assert_true(uv_fs_scandir(NULL, &req, dir, 0, NULL) > 0);
    *path = 0;
    while (uv_fs_scandir_next(&req, &e) != UV_EOF)
        if (strncmp(e.name, prefix, strlen(prefix)) == 0)
            snprintf(path, len, "%s/%s", dir, e.name);
    uv_fs_req_cleanup(&req);
    assert_true(*path != 0);
}

static void overwrite(const char *path, off_t at, const char *bytes)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, strlen(bytes), at), strlen(bytes));
    close(fd);
}

static void a_damaged_segment_refuses_to_start(void **state)
{
    (void)state;
    char path[512];
    struct member *leader = start_three();
    for (uint64_t i = 0; i < 20; i++)
        write_one(leader, NULL, i, (char[]){(char)('a' + i), 0}, "0123456789");
    for (int i = 0; i < MEMBERS; i++)
        stop(&members[i]);
    find_segment(members[0].dir, "0000000000000002", path, sizeof path);
    overwrite(path, 200, "damage");
    expect_refusal(&members[0], HF_CORRUPT, "Replace it: remove member 1");
    expect_refusal(&members[0], HF_CORRUPT, members[0].dir);
}

/* libraft takes damage at the end of an open segment for a write that a crash cut short. */
static void a_log_that_lost_its_end_refuses_to_start(void **state)
{
    (void)state;
    char path[512];
    struct member *leader = start_three();
    for (uint64_t i = 0; i < 20; i++)
        write_one(leader, NULL, i, (char[]){(char)('a' + i), 0}, "0123456789");
    run_for(1500); /* the floor is raised once a second */
    for (int i = 0; i < MEMBERS; i++)
        stop(&members[i]);
    find_segment(members[0].dir, "0000000000000002", path, sizeof path);
    assert_int_equal(unlink(path), 0);
    expect_refusal(&members[0], HF_CORRUPT, "was stored once");
}

static void lost_metadata_refuses_to_start(void **state)
{
    (void)state;
    char path[512];
    start_three();
    for (int i = 0; i < MEMBERS; i++)
        stop(&members[i]);
    snprintf(path, sizeof path, "%s/metadata1", members[0].dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/metadata2", members[0].dir);
    unlink(path);
    expect_refusal(&members[0], HF_CORRUPT, "metadata is missing");
    snprintf(path, sizeof path, "%s/identity", members[1].dir);
    unlink(path);
    expect_refusal(&members[1], HF_CORRUPT, "no 'identity' file");
    snprintf(path, sizeof path, "%s/metadata1", members[2].dir);
    overwrite(path, 0, "damage");
    snprintf(path, sizeof path, "%s/metadata2", members[2].dir);
    overwrite(path, 0, "damage");
    expect_refusal(&members[2], HF_CORRUPT, "is damaged");
}

static void make_file(const char *dir, const char *name, off_t size, off_t byte_at)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size), 0);
    if (byte_at >= 0)
        assert_int_equal(pwrite(fd, "x", 1, byte_at), 1);
    close(fd);
}

static void assert_size(const char *dir, const char *name, off_t size)
{
    char path[256];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, size);
}

static void open_segments_lose_their_zeros_only(void **state)
{
    char path[] = "/tmp/holdfast-trim-XXXXXX";
    struct hf_raft_dir dir = {.path = path};
    const off_t whole = 8 << 20;
    (void)state;
    assert_non_null(mkdtemp(path));
    make_file(path, "open-1", whole, 5000);
    make_file(path, "open-2", whole, -1);
    make_file(path, "open-3", whole, whole - 1);
    make_file(path, "open-4", whole, (3 << 20) + 4095);
    make_file(path, "0000000000000001-0000000000000009", whole, 5000);
    hf_raft_dir_trim(&dir);
    hf_raft_dir_trim(&dir); /* and once more changes nothing */
    assert_size(path, "open-1", 3 * 4096);
    assert_size(path, "open-2", whole);
    assert_size(path, "open-3", whole);
    assert_size(path, "open-4", (3 << 20) + 2 * 4096);
    assert_size(path, "0000000000000001-0000000000000009", whole);
    static const char *const names[] = {"open-1", "open-2", "open-3", "open-4",
                                        "0000000000000001-0000000000000009"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char file[256];
        snprintf(file, sizeof file, "%s/%s", path, names[i]);
        unlink(file);
    }
    rmdir(path);
}

static void another_members_directory_is_refused(void **state)
{
    (void)state;
    start_three();
    for (int i = 0; i < MEMBERS; i++)
        stop(&members[i]);
    struct member m = members[0];
    m.id = 2;
    expect_refusal(&m, HF_PRECONDITION, "belongs to member 1");
    m = members[0];
    snprintf(m.address, sizeof m.address, "127.0.0.1:1");
    expect_refusal(&m, HF_PRECONDITION, "this node's address is 127.0.0.1:1");
}

static void a_second_process_is_refused(void **state)
{
    (void)state;
    start_three();
    struct member m = members[0];
    expect_refusal(&m, HF_PRECONDITION, "is in use by process");
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    struct member m = members[0];
    snprintf(m.dir, sizeof m.dir, "%s/no/such", root);
    expect_refusal(&m, HF_NOT_FOUND, "its parent does not exist");
    snprintf(m.dir, sizeof m.dir, "%s/file", root);
    int fd = open(m.dir, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(fd);
    hf_status st = try_start(&m, false);
    assert_false(hf_ok(st));
    assert_non_null(strstr(hf_status_message(st), m.dir));
    hf_status_drop(st);
    hf_replica_free(m.replica);
}

static void an_address_in_use_is_named(void **state)
{
    (void)state;
    start_three();
    struct member m = members[3];
    snprintf(m.address, sizeof m.address, "%s", members[0].address);
    expect_refusal(&m, HF_UNAVAILABLE, m.address);
}

static void a_nearly_full_disk_refuses_writes_in_time(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("needs root to mount a small file system\n");
        skip();
    }
    assert_int_equal(mkdir(members[0].dir, 0700), 0);
    if (mount("tmpfs", members[0].dir, "tmpfs", 0, "size=8m") != 0) {
        print_message("cannot mount a tmpfs: %s\n", strerror(errno));
        skip();
    }
    char filler[256];
    snprintf(filler, sizeof filler, "%s/filler", members[0].dir);
    start(&members[0], false);
    start(&members[1], false); /* the third stays away: who leads needs the small disk's word */
    struct member *leader = await_leader();
    int fd = open(filler, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    char page[4096] = {1};
    while (write(fd, page, sizeof page) > 0)
        ;
    close(fd);
    if (leader == &members[0]) {
        run_for(2500);
        struct outcome o = write_one(leader, "id-1", 1, "a", "x");
        assert_int_equal(o.status, HF_EXHAUSTED);
        assert_non_null(strstr(o.message, "nearly full"));
        unlink(filler);
        run_for(2500);
        assert_int_equal(write_one(leader, "id-1", 1, "a", "x").code, HF_OK);
    }
    stop(&members[0]);
    fd = open(filler, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    while (write(fd, page, sizeof page) > 0)
        ;
    close(fd);
    expect_refusal(&members[0], HF_EXHAUSTED, "are needed to start");
    stop(&members[1]);
    assert_int_equal(umount2(members[0].dir, MNT_DETACH), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_restart_keeps_everything),
        TEST(a_lost_leader_is_replaced_and_catches_up_later),
        TEST(a_member_that_was_away_too_long_gets_a_snapshot),
        TEST(a_fourth_member_joins_and_leaves),
        TEST(who_joins_never_makes_a_cluster_of_its_own),
        TEST(leadership_is_handed_over),
        TEST(a_damaged_segment_refuses_to_start),
        TEST(a_log_that_lost_its_end_refuses_to_start),
        TEST(lost_metadata_refuses_to_start),
        cmocka_unit_test(open_segments_lose_their_zeros_only),
        TEST(another_members_directory_is_refused),
        TEST(a_second_process_is_refused),
        TEST(what_is_missing_is_named),
        TEST(an_address_in_use_is_named),
        TEST(a_nearly_full_disk_refuses_writes_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
