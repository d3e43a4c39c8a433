#include "hostd/keeper_ns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
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
    if (strcmp(kind, "stuck") == 0) {
        struct stat st;
        (void)stat("/mnt/hung/name", &st);
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
              : kind == GUEST_STUCK      ? "stuck"
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

static atomic_bool hung_fs_asked;

bool hung_fs_waits(void)
{
    return hung_fs_asked;
}

/* Takes the kernel's requests; answers the first, which opens the conversation, and no other. Once a request
 * has been read, whoever waits for it cannot be killed any more. */
static void *serve_nothing(void *arg)
{
    int fd = (int)(intptr_t)arg;
    static char buf[128 * 1024];
    struct {
        struct fuse_out_header head;
        struct fuse_init_out init;
    } answer = {.head = {.len = sizeof answer}, .init = {.major = FUSE_KERNEL_VERSION, .max_write = 4096}};
    for (ssize_t n; (n = read(fd, buf, sizeof buf)) > 0;) {
        const struct fuse_in_header *q = (const void *)buf;
        if (q->opcode != FUSE_INIT) {
            hung_fs_asked = true;
            continue;
        }
        const struct fuse_init_in *in = (const void *)(buf + sizeof *q);
        answer.head.unique = q->unique;
        answer.init.minor = in->minor;
        HF_ASSERT(write(fd, &answer, sizeof answer) == sizeof answer);
    }
    return NULL;
}

int hung_fs_mount(void)
{
    char options[96];
    pthread_t thread;
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return -1;
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
    HF_ASSERT(mkdir("/mnt/hung", 0755) == 0 || errno == EEXIST);
    if (mount("hung", "/mnt/hung", "fuse", 0, options) != 0) {
        close(fd);
        return -1;
    }
    hung_fs_asked = false;
    HF_ASSERT(pthread_create(&thread, NULL, serve_nothing, (void *)(intptr_t)fd) == 0);
    pthread_detach(thread);
    return fd;
}

void hung_fs_release(int fd)
{
    umount2("/mnt/hung", MNT_FORCE); /* ends the conversation: those who wait get an error */
    umount2("/mnt/hung", MNT_DETACH);
    close(fd);
}
