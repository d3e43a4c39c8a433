/* Finding, killing and verifying real processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostd/guest_args.h"
#include "hostd/keeper_ns.h"
#include "hostd/keeper_scan.h"

static struct hf_keeper_scan scan;

static size_t update(void)
{
    assert_true(hf_ok(hf_keeper_scan_update(&scan)));
    return scan.n_known;
}

static void kill_and_wait(const struct hf_uuid *instance)
{
    hf_keeper_scan_kill(&scan, instance);
    for (int i = 0; i < 500 && update() > 0; i++)
        usleep(10000);
}

static void test_cmdline(void **state)
{
    (void)state;
    struct hf_uuid u, want = {{0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
                               0xaa, 0xaa, 0xaa}};
#define A32  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A36  "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
#define M(s) hf_guest_args_match(s, sizeof s, &u)
    assert_true(M("q\0-name\0guest=" A32 ",debug-threads=on\0-S\0-uuid\0" A36));
    assert_true(hf_uuid_equal(&u, &want));
    assert_true(M("q\0-uuid\0" A36 "\0-name\0guest=" A32));
    assert_false(M("q\0-name\0guest=web1,debug-threads=on\0-uuid\0" A36)); /* someone else's */
    assert_false(M("q\0-name\0guest=" A32 "a\0-uuid\0" A36));
    assert_false(M("q\0-name\0guest=" A32 "\0-uuid\0baaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"));
    assert_false(M("grep\0guest=" A32));
    assert_false(M("q\0-name\0guest=" A32));
    assert_false(M("q\0-uuid\0" A36 "\0-name"));
    assert_false(hf_guest_args_match("", 0, &u));
#define R(s) hf_guest_args_run(s, sizeof s)
    assert_int_equal(R("q\0-fw_cfg\0name=opt/org.holdfast/run,string=17\0-S"), 17);
    assert_int_equal(R("q\0-fw_cfg\0name=opt/other,string=3\0-fw_cfg\0name=opt/org.holdfast/run,string=4"),
                     4);
    assert_int_equal(R("q\0-fw_cfg\0name=opt/org.holdfast/run,string=4x"), 0);
    assert_int_equal(R("q\0-fw_cfg\0name=opt/org.holdfast/run,string=-4"), 0);
    assert_int_equal(R("q\0-fw_cfg"), 0);
    assert_int_equal(hf_guest_args_run("", 0), 0);
}

static void test_find_kill_verify(void **state)
{
    (void)state;
    struct hf_uuid vm1 = hf_uuid_of_text("vm1"), vm2 = hf_uuid_of_text("vm2");
    assert_int_equal(update(), 0);
    pid_t a = guest_start(&vm1, GUEST_PLAIN), b = guest_start(&vm2, GUEST_PLAIN),
          c = guest_start(&vm1, GUEST_FOREIGN);
    assert_int_equal(update(), 2);
    hf_keeper_scan_kill(&scan, &vm1);
    assert_int_equal(waitpid(a, NULL, 0), a);
    assert_int_equal(update(), 1);
    assert_true(hf_uuid_equal(&scan.known[0].instance, &vm2));
    assert_int_equal(scan.known[0].pid, b);
    kill_and_wait(&vm2); /* not reaped before: a zombie is gone */
    assert_int_equal(scan.n_known, 0);
    assert_false(guest_lives(b));
    assert_true(guest_lives(c)); /* not ours */
    kill(c, SIGKILL);
    waitpid(c, NULL, 0);
}

/* A scanner that begins when the first thread, and with it the process's arguments, is gone. */
static void test_leader_ended(void **state)
{
    (void)state;
    struct hf_uuid vm1 = hf_uuid_of_text("vm1");
    pid_t a = guest_start(&vm1, GUEST_LEADER_ENDED);
    assert_int_equal(update(), 1);
    assert_true(hf_uuid_equal(&scan.known[0].instance, &vm1));
    assert_int_equal(update(), 1); /* still there, although its leader is a zombie */
    kill_and_wait(&vm1);
    assert_int_equal(scan.n_known, 0);
    assert_false(guest_lives(a));
}

/* Known before anything can be read of it: here a process whose arguments are not those of a guest. */
static void test_watch(void **state)
{
    (void)state;
    struct hf_uuid vm1 = hf_uuid_of_text("vm1");
    pid_t a = guest_start(&vm1, GUEST_FOREIGN);
    assert_int_equal(update(), 0);
    hf_keeper_scan_watch(&scan, &vm1, a);
    assert_int_equal(update(), 1);
    hf_keeper_scan_watch(&scan, &vm1, a);
    assert_int_equal(update(), 1);
    kill_and_wait(&vm1);
    assert_false(guest_lives(a));
    hf_keeper_scan_watch(&scan, &vm1, a); /* it is gone */
    assert_int_equal(update(), 0);
}

static bool all_stopped(void)
{
    size_t n = update();
    bool stopped = n > 0;
    for (size_t i = 0; i < n; i++)
        stopped &= scan.known[i].stopped;
    return stopped;
}

static bool comes_to_be(bool stopped)
{
    for (int i = 0; i < 500 && all_stopped() != stopped; i++)
        usleep(10000);
    return all_stopped() == stopped;
}

static void test_freeze_thaw(void **state)
{
    (void)state;
    struct hf_uuid vm1 = hf_uuid_of_text("vm1"), vm2 = hf_uuid_of_text("vm2");
    pid_t a = guest_start(&vm1, GUEST_PLAIN);
    assert_int_equal(update(), 1);
    assert_false(scan.known[0].stopped);
    hf_keeper_scan_freeze(&scan, &vm2);
    assert_false(all_stopped());
    hf_keeper_scan_freeze(&scan, &vm1);
    assert_true(comes_to_be(true));
    hf_keeper_scan_freeze(&scan, &vm1);
    hf_keeper_scan_thaw(&scan, &vm1); /* undoes any number of them */
    assert_true(comes_to_be(false));
    hf_keeper_scan_freeze(&scan, &vm1);
    assert_true(comes_to_be(true));
    kill_and_wait(&vm1); /* it dies without being thawed */
    assert_int_equal(scan.n_known, 0);
    assert_false(guest_lives(a));
}

/* A stop for the process alone would wait for its first thread. */
static void test_freeze_past_a_thread_in_the_kernel(void **state)
{
    (void)state;
    struct hf_uuid vm1 = hf_uuid_of_text("vm1");
    pid_t a = guest_start(&vm1, GUEST_IN_KERNEL);
    assert_true(update() >= 1);
    assert_false(all_stopped());
    hf_keeper_scan_freeze(&scan, &vm1);
    assert_true(comes_to_be(true));
    hf_keeper_scan_thaw(&scan, &vm1);
    assert_true(comes_to_be(false));
    kill_and_wait(&vm1);
    assert_int_equal(scan.n_known, 0);
    assert_false(guest_lives(a));
}

static int body(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cmdline),      cmocka_unit_test(test_find_kill_verify),
        cmocka_unit_test(test_leader_ended), cmocka_unit_test(test_watch),
        cmocka_unit_test(test_freeze_thaw),  cmocka_unit_test(test_freeze_past_a_thread_in_the_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return keeper_ns_main(argc, argv, body);
}
