/* The lock of the daemon, and the call that finds it by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostd/daemon_lock.h"
#include "hostd/shut_down_call.h"

static char dir[] = "/tmp/holdfast-lock-XXXXXX";

static void quit(int number)
{
    (void)number;
    _exit(10);
}

/* A process that holds the lock and leaves when it is told to. */
static pid_t start_daemon(void)
{
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        signal(HF_SHUT_DOWN_SIGNAL, quit);
        hf_status st = hf_daemon_lock_take(dir);
        byte = hf_ok(st);
        (void)!write(ready[1], &byte, 1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void it_names_who_holds_it(void **state)
{
    (void)state;
    pid_t holder = 1;
    assert_true(hf_ok(hf_daemon_lock_holder(dir, &holder)));
    assert_int_equal(holder, 0);
    pid_t pid = start_daemon();
    assert_true(hf_ok(hf_daemon_lock_holder(dir, &holder)));
    assert_int_equal(holder, pid);
    hf_status st = hf_daemon_lock_take(dir);
    assert_int_equal(hf_status_code(st), HF_EXISTS);
    assert_non_null(strstr(hf_status_message(st), "another hostd runs on this machine"));
    hf_status_drop(st);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_true(hf_ok(hf_daemon_lock_holder(dir, &holder)));
    assert_int_equal(holder, 0);
}

static void the_call_returns_when_the_daemon_has_left(void **state)
{
    (void)state;
    int how;
    assert_true(hf_ok(hf_shut_down_call(dir, 60000))); /* none runs */
    pid_t pid = start_daemon();
    assert_true(hf_ok(hf_shut_down_call(dir, 60000)));
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 10);
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    (void)state;
    char file[64];
    snprintf(file, sizeof file, "%s/hostd.lock", dir);
    unlink(file);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_names_who_holds_it),
        cmocka_unit_test(the_call_returns_when_the_daemon_has_left),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
