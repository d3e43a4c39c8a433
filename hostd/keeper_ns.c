#include "hostd/keeper_ns.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"

static void *wait_for_ever(void *arg)
{
    for (;;)
        pause();
    return arg;
}

static void play_guest(const char *kind)
{
    prctl(PR_SET_NAME, "qemu-system-x86");
    if (strcmp(kind, "leader-ended") == 0) {
        pthread_t other;
        pthread_create(&other, NULL, wait_for_ever, NULL);
        pthread_exit(NULL);
    }
    /* A parent waits for its vfork in the kernel until the child ends. */
    if (strcmp(kind, "in-kernel") == 0) {
        pthread_t other;
        pthread_create(&other, NULL, wait_for_ever, NULL);
        if (vfork() == 0)
            wait_for_ever(NULL);
    }
    wait_for_ever(NULL);
}

static int in_namespace(int (*body)(void))
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("proc", "/proc", "proc", 0, NULL) != 0 || mount("tmpfs", "/mnt", "tmpfs", 0, "size=64m") != 0) {
        perror("mount in the test's namespace");
        return 1;
    }
    return body();
}

/* The child's exit code. */
static int wait_for(pid_t child)
{
    int status;
    HF_ASSERT(child > 0);
    while (waitpid(child, &status, 0) < 0)
        HF_ASSERT(errno == EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* Process 1 only waits; when it ends, all others die. */
static void play_init(int (*body)(void))
{
    pid_t child = fork();
    if (child == 0)
        exit(in_namespace(body));
    _exit(wait_for(child));
}

int keeper_ns_main(int argc, char **argv, int (*body)(void))
{
    if (argc > 5 && strcmp(argv[1], "-name") == 0)
        play_guest(argv[5]);
    if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) {
        fprintf(stderr, "skipped: a PID namespace needs root (%s)\n", strerror(errno));
        return KEEPER_NS_SKIP;
    }
    pid_t init = fork();
    if (init == 0)
        play_init(body);
    return wait_for(init);
}

pid_t guest_start(const struct hf_uuid *instance, enum guest_kind kind)
{
    char hex[HF_UUID_STR], name[96], uuid[40], path[] = "/proc/self/exe";
    hf_uuid_format(instance, hex);
    snprintf(name, sizeof name, "guest=%s,debug-threads=on", kind == GUEST_FOREIGN ? "someone-elses" : hex);
    snprintf(uuid, sizeof uuid, "%.8s-%.4s-%.4s-%.4s-%s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
    pid_t pid = fork();
    HF_ASSERT(pid >= 0);
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execl(path, "qemu-system-x86_64", "-name", name, "-uuid", uuid,
              kind == GUEST_LEADER_ENDED ? "leader-ended"
              : kind == GUEST_IN_KERNEL  ? "in-kernel"
                                         : "plain",
              (char *)NULL);
        _exit(127);
    }
    usleep(100000); /* it is past exec, and its first thread has ended where it should */
    return pid;
}

bool guest_lives(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG) == 0;
}
