#include "base/run_command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"

#define ERR_MAX       4096 /* bytes of standard error that are kept, its end */
#define KILL_GRACE_MS 1000 /* that a killed process gets to be gone */
#define LEFT_MAX      64   /* killed processes that we remember until they can be reaped */

extern char **environ;

struct run {
    const char *name;
    pid_t pid;
    int pidfd, out_fd, err_fd;
    int64_t end_ms;
    char *out;
    size_t out_len;
    char err[ERR_MAX + 1];
    size_t err_len;
};

/* Killed ones that would not go: reaped by later calls. */
static pthread_mutex_t left_lock = PTHREAD_MUTEX_INITIALIZER;
static pid_t left_pids[LEFT_MAX];
static size_t n_left;

static void reap_left(pid_t add)
{
    pthread_mutex_lock(&left_lock);
    for (size_t i = 0; i < n_left;) {
        if (waitpid(left_pids[i], NULL, WNOHANG) != 0)
            left_pids[i] = left_pids[--n_left];
        else
            i++;
    }
    if (add > 0 && n_left < LEFT_MAX)
        left_pids[n_left++] = add;
    pthread_mutex_unlock(&left_lock);
}

static int64_t now_ms(void)
{
    struct timespec t;
    HF_ASSERT(clock_gettime(CLOCK_BOOTTIME, &t) == 0);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static char **english_environment(void)
{
    size_t n = 0, kept = 0;
    while (environ[n])
        n++;
    char **env = hf_alloc_array(n + 2, sizeof *env);
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], "LC_ALL=", 7) != 0)
            env[kept++] = environ[i];
    env[kept] = (char *)"LC_ALL=C";
    return env;
}

static int spawn(struct run *r, const char *const *argv, int in, int out, int err)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, normal;
    char **env = english_environment();
    sigemptyset(&none);
    sigemptyset(&normal);
    sigaddset(&normal, SIGPIPE);
    HF_ASSERT(posix_spawn_file_actions_init(&files) == 0 && posix_spawnattr_init(&attr) == 0);
    if (in >= 0)
        posix_spawn_file_actions_adddup2(&files, in, 0);
    else
        posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawn_file_actions_adddup2(&files, err, 2);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &normal);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    int rc = posix_spawnp(&r->pid, argv[0], &files, &attr, (char *const *)(uintptr_t)argv, env);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    free(env);
    return rc;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static hf_status start(struct run *r, const char *const *argv, int in)
{
    int out[2], err[2];
    if (pipe2(out, O_CLOEXEC) != 0)
        return hf_errno(errno, "run %s: make a pipe", r->name);
    if (pipe2(err, O_CLOEXEC) != 0) {
        hf_status st = hf_errno(errno, "run %s: make a pipe", r->name);
        close(out[0]);
        close(out[1]);
        return st;
    }
    r->out_fd = out[0];
    r->err_fd = err[0];
    int rc = spawn(r, argv, in, out[1], err[1]);
    close(out[1]);
    close(err[1]);
    if (rc == ENOENT)
        return hf_error(HF_NOT_FOUND, "run %s: the program is not installed", r->name);
    if (rc != 0)
        return hf_errno(rc, "run %s", r->name);
    r->pidfd = (int)syscall(SYS_pidfd_open, r->pid, 0);
    return r->pidfd >= 0 ? HF_STATUS_OK : hf_errno(errno, "run %s: watch its process", r->name);
}

static void keep_out(struct run *r, const char *buf, size_t n)
{
    r->out = hf_realloc_array(r->out, r->out_len + n + 1, 1);
    memcpy(r->out + r->out_len, buf, n);
    r->out_len += n;
    r->out[r->out_len] = '\0';
}

static void keep_err(struct run *r, const char *buf, size_t n)
{
    if (n > ERR_MAX) {
        buf += n - ERR_MAX;
        n = ERR_MAX;
    }
    if (r->err_len + n > ERR_MAX) {
        size_t drop = r->err_len + n - ERR_MAX;
        memmove(r->err, r->err + drop, r->err_len - drop);
        r->err_len -= drop;
    }
    memcpy(r->err + r->err_len, buf, n);
    r->err_len += n;
    r->err[r->err_len] = '\0';
}

/* One read of a pipe that has something to say; closes it at its end. */
static hf_status drain(struct run *r, int *fd)
{
    char buf[8192];
    ssize_t n = read(*fd, buf, sizeof buf);
    if (n < 0 && errno == EINTR)
        return HF_STATUS_OK;
    if (n <= 0) {
        close_fd(fd);
        return HF_STATUS_OK;
    }
    if (fd == &r->err_fd)
        keep_err(r, buf, (size_t)n);
    else if (r->out_len + (size_t)n > HF_COMMAND_OUTPUT_MAX)
        return hf_error(HF_EXHAUSTED, "run %s: it writes more than %u bytes", r->name, HF_COMMAND_OUTPUT_MAX);
    else
        keep_out(r, buf, (size_t)n);
    return HF_STATUS_OK;
}

/* Until the process has ended and what it wrote is read. A daemon that it leaves behind may hold the pipes
 * open: once the process is gone, an empty pipe is enough. */
static hf_status follow(struct run *r)
{
    bool gone = false;
    while (!gone || r->out_fd >= 0 || r->err_fd >= 0) {
        struct pollfd p[3] = {
            {r->out_fd, POLLIN, 0}, {r->err_fd, POLLIN, 0}, {gone ? -1 : r->pidfd, POLLIN, 0}};
        int64_t left = r->end_ms - now_ms();
        int n = poll(p, 3, gone ? 0 : (int)(left > 0 ? left : 0));
        if (n < 0 && errno != EINTR)
            return hf_errno(errno, "run %s: wait for it", r->name);
        if (n == 0 && gone)
            return HF_STATUS_OK;
        if (n == 0)
            return hf_error(HF_TIMEOUT, "run %s: not done by its deadline", r->name);
        if (n < 0)
            continue;
        if (p[0].revents)
            HF_TRY(drain(r, &r->out_fd));
        if (p[1].revents)
            HF_TRY(drain(r, &r->err_fd));
        if (p[2].revents)
            gone = true;
    }
    return HF_STATUS_OK;
}

static const char *last_line(struct run *r)
{
    while (r->err_len > 0 && strchr("\r\n\t ", r->err[r->err_len - 1]))
        r->err[--r->err_len] = '\0';
    const char *line = strrchr(r->err, '\n');
    return line ? line + 1 : r->err;
}

static hf_status judge(struct run *r)
{
    int how = 0;
    pid_t got;
    while ((got = waitpid(r->pid, &how, 0)) < 0 && errno == EINTR)
        ;
    r->pid = 0;
    if (got < 0)
        return hf_errno(errno, "run %s: learn how it ended", r->name);
    if (WIFSIGNALED(how))
        return hf_error(HF_INTERNAL, "run %s: killed by signal %d", r->name, WTERMSIG(how));
    if (WEXITSTATUS(how) == 0)
        return HF_STATUS_OK;
    const char *why = last_line(r);
    if (why[0] == '\0')
        return hf_error(HF_INTERNAL, "run %s: exit status %d", r->name, WEXITSTATUS(how));
    return hf_error(HF_INTERNAL, "%s", why);
}

static void kill_and_reap(struct run *r)
{
    kill(-r->pid, SIGKILL);
    struct pollfd p = {r->pidfd, POLLIN, 0};
    if (r->pidfd >= 0 && poll(&p, 1, KILL_GRACE_MS) == 1)
        waitpid(r->pid, NULL, 0);
    else
        reap_left(r->pid);
}

static hf_status run(const char *const *argv, int in, unsigned deadline_ms, char **ret_out)
{
    struct run r = {
        .name = argv[0], .pidfd = -1, .out_fd = -1, .err_fd = -1, .end_ms = now_ms() + deadline_ms};
    reap_left(0);
    hf_status st = start(&r, argv, in);
    if (hf_ok(st))
        st = follow(&r);
    if (hf_ok(st))
        st = judge(&r);
    if (r.pid > 0)
        kill_and_reap(&r);
    close_fd(&r.pidfd);
    close_fd(&r.out_fd);
    close_fd(&r.err_fd);
    if (hf_ok(st) && ret_out)
        *ret_out = r.out ? r.out : hf_strdup("");
    else
        free(r.out);
    return st;
}

hf_status hf_run_command(const char *const *argv, unsigned deadline_ms, char **ret_out)
{
    return run(argv, -1, deadline_ms, ret_out);
}

hf_status hf_run_command_fed(const char *const *argv, const char *input, unsigned deadline_ms, char **ret_out)
{
    size_t len = strlen(input);
    int in = memfd_create("input", MFD_CLOEXEC); /* never on a disk, and no pipe that fills up */
    if (in < 0)
        return hf_errno(errno, "run %s: make its input", argv[0]);
    hf_status st = HF_STATUS_OK;
    if (write(in, input, len) != (ssize_t)len || lseek(in, 0, SEEK_SET) != 0)
        st = hf_errno(errno, "run %s: write its input", argv[0]);
    if (hf_ok(st))
        st = run(argv, in, deadline_ms, ret_out);
    close(in);
    return st;
}
