/* What is left of a machine that was lost, on a real cluster (ceph_bed.h): its locks, and what lies in its
 * send queues. */
#include "storage/ceph_bed.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "storage/ceph_client.h"
#include "storage/rbd_lib.h"

#define BLOCK          512
#define COMMAND_MAX    400
#define DEADLINE_MS    60000
#define SENT_AGAIN_US  500000 /* and at most as long as it has been tried, by TCP */
#define WATCH_LIVES_MS 30000  /* how long the cluster believes in a client that is gone */

/* --- the machine --- */

/* As a guest's QEMU there: has the image open and writes; once more when it is signalled. Until it is killed.
 */
static int hold(const char *name)
{
    char block[BLOCK] = "x";
    rbd_image_t image;
    sigset_t set;
    int number;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    rados_t c = connected();
    rados_ioctx_t io = pool_of(c);
    if (rbd_open(io, name, &image, NULL) < 0 || rbd_lock_acquire(image, RBD_LOCK_MODE_EXCLUSIVE) < 0 ||
        rbd_write(image, 0, sizeof block, block) != sizeof block || rbd_flush(image) < 0)
        return 1;
    printf("holding\n");
    fflush(stdout);
    sigwait(&set, &number);
    block[0] = 'o';
    rbd_write(image, 0, sizeof block, block);
    rbd_flush(image);
    pause();
    return 0;
}

/* Returns when it has written. */
static pid_t hold_elsewhere(const char *name)
{
    char said[16] = "";
    int out[2];
    assert_int_equal(pipe(out), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(out[1], 1);
        execlp("ip", "ip", "netns", "exec", getenv("HF_CEPH_MACHINE"), program_invocation_name, "hold", name,
               (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    assert_int_equal(read(out[0], said, sizeof said - 1), 8);
    assert_string_equal(said, "holding\n");
    close(out[0]);
    return pid;
}

static void kill_held(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void run(const char *fmt, const char *name)
{
    char command[COMMAND_MAX];
    snprintf(command, sizeof command, fmt, name); /* NOLINT: literals, each with one %s */
    assert_int_equal(system(command), 0);
}

/* Nothing goes between the machine and the cluster. */
static void cut(void)
{
    const char *ip = getenv("HF_CEPH_MACHINE_IP");
    run("ip netns exec %s sysctl -qw net.ipv4.tcp_retrans_collapse=0", getenv("HF_CEPH_MACHINE"));
    run("nft 'table ip hf_cut { chain in { type filter hook input priority 0; ip saddr %s drop; }; }'", ip);
    run("nft 'table ip hf_cut { chain out { type filter hook output priority 0; ip daddr %s drop; }; }'", ip);
}

/* The cluster gets what the machine sends, but hears of no end of a connection, and nothing comes back. That
 * makes sure of what else is chance: an OSD that hears in time that nobody waits for the answer does not
 * carry a write out, and a machine that hears first of a process that it has not got any more sends nothing.
 */
static void mend_one_way(void)
{
    run("nft 'flush chain ip hf_cut in; add rule ip hf_cut in ip saddr %s tcp flags & fin == fin drop'",
        getenv("HF_CEPH_MACHINE_IP"));
}

static void mend(void)
{
    run("nft delete table ip %s", "hf_cut");
}

/* Its connections that have at least so much to send. */
static unsigned unsent(unsigned least)
{
    char line[256], command[COMMAND_MAX];
    unsigned n = 0, queue;
    snprintf(command, sizeof command, "ip netns exec %s cat /proc/net/tcp", getenv("HF_CEPH_MACHINE"));
    FILE *f = popen(command, "re");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        n += sscanf(line, "%*s %*s %*s %*s %x:", &queue) == 1 && queue >= least;
    assert_int_equal(pclose(f), 0);
    return n;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void wait_unsent(unsigned least, unsigned n)
{
    int64_t end = now_ms() + DEADLINE_MS;
    while (unsent(least) != n && now_ms() < end)
        usleep(50000);
    assert_int_equal(unsent(least), n);
}

/* --- the cluster --- */

static char *whole_address(char out[HF_CEPH_ENTRY_MAX])
{
    struct hf_ceph_client c;
    assert_true(hf_ceph_client_parse(getenv("HF_CEPH_MACHINE_IP"), &c));
    return hf_ceph_client_format(&c, out);
}

/* A client of the machine is listed by itself, whatever becomes of the entry of its address. */
static bool is_listed_alone(rados_t c)
{
    char *text = NULL;
    bool alone = false;
    struct hf_ceph_client machine, listed;
    json_t *at;
    size_t i;
    assert_true(hf_ceph_client_parse(getenv("HF_CEPH_MACHINE_IP"), &machine));
    ok(hf_rados_command(c, "{\"prefix\":\"osd blocklist ls\",\"format\":\"json\"}", &text));
    json_t *list = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL);
    assert_true(json_is_array(list));
    json_array_foreach(list, i, at)
    {
        assert_true(hf_ceph_client_parse(json_string_value(json_object_get(at, "addr")), &listed));
        alone |= listed.ip == machine.ip && listed.nonce != 0;
    }
    json_decref(list);
    free(text);
    return alone;
}

static void refuse_whole(rados_t c)
{
    char entry[HF_CEPH_ENTRY_MAX];
    assert_int_equal(rados_blocklist_add(c, whole_address(entry), 600), 0);
    assert_int_equal(rados_wait_for_latest_osdmap(c), 0);
}

static void serve_again(rados_t c)
{
    char entry[HF_CEPH_ENTRY_MAX], command[160], *answer = NULL;
    snprintf(command, sizeof command, "{\"prefix\":\"osd blocklist\",\"blocklistop\":\"rm\",\"addr\":\"%s\"}",
             whole_address(entry));
    ok(hf_rados_command(c, command, &answer));
    free(answer);
    assert_int_equal(rados_wait_for_latest_osdmap(c), 0);
}

static void wait_byte(rados_t c, const char *name, char byte)
{
    int64_t end = now_ms() + DEADLINE_MS;
    while (read_block(c, name) != byte && now_ms() < end)
        usleep(50000);
    assert_int_equal(read_block(c, name), byte);
}

/* --- tests --- */

/* Its power is cut while it owns the image's lock, and its whole address is refused then: the next run opens,
 * locks and writes at once, long before the cluster has forgotten the old one. */
static void its_lock(void **state)
{
    (void)state;
    unsigned evicted;
    rados_t c = connected();
    struct hf_rbd_lib lib;
    struct hf_rbd_name v = {POOL, "lost"};
    hf_rbd_lib_init(&lib, c);
    ok(hf_rbd_have_volume(&lib.rbd, &v, NULL, 8 * MIB, &evicted));
    kill_held(hold_elsewhere("lost"));
    refuse_whole(c);
    assert_false(is_listed_alone(c));
    int64_t since = now_ms();
    ok(hf_rbd_have_volume(&lib.rbd, &v, NULL, 8 * MIB, &evicted));
    int64_t taken = now_ms();
    assert_true(is_listed_alone(c));
    write_block(c, "lost", 'y');
    int64_t written = now_ms();
    printf("taken in %d ms, written in %d ms\n", (int)(taken - since), (int)(written - taken));
    assert_true(written - since < WATCH_LIVES_MS / 2);
    serve_again(c);
    rados_shutdown(c);
}

/* Its guests write while it is cut off from the cluster, are killed, and run elsewhere; it is back among the
 * hosts, and its address served again, before its way to the cluster is whole. Then comes what its kernel
 * still had to send. Of two guests one was not started elsewhere, to show that it does come. */
static void its_last_writes(void **state)
{
    (void)state;
    unsigned evicted;
    rados_t c = connected();
    struct hf_rbd_lib lib;
    struct hf_rbd_name moved = {POOL, "moved"}, left = {POOL, "left-behind"};
    hf_rbd_lib_init(&lib, c);
    ok(hf_rbd_have_volume(&lib.rbd, &moved, NULL, 8 * MIB, &evicted));
    ok(hf_rbd_have_volume(&lib.rbd, &left, NULL, 8 * MIB, &evicted));
    pid_t guests[] = {hold_elsewhere("moved"), hold_elsewhere("left-behind")};
    cut();
    int64_t since = now_ms();
    for (int i = 0; i < 2; i++)
        kill(guests[i], SIGUSR1);
    wait_unsent(BLOCK, 2);
    for (int i = 0; i < 2; i++)
        kill_held(guests[i]);
    refuse_whole(c);
    ok(hf_rbd_have_volume(&lib.rbd, &moved, NULL, 8 * MIB, &evicted));
    assert_int_equal(evicted, 1);
    write_block(c, "moved", 'y');
    serve_again(c);
    assert_int_equal(unsent(BLOCK), 2);
    mend_one_way();
    wait_byte(c, "left-behind", 'o');
    usleep((useconds_t)(now_ms() - since) * 1000 + SENT_AGAIN_US); /* the other one is sent again by then */
    mend();
    assert_int_equal(read_block(c, "moved"), 'y');
    rados_shutdown(c);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "hold") == 0)
        return hold(argv[2]);
    if (!bed_is_there())
        return BED_MISSING;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_lock),
        cmocka_unit_test(its_last_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
