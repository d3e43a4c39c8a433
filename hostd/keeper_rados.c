#include "hostd/keeper_rados.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"

extern char **environ;

bool hf_keeper_rados_is(const char *dir)
{
    struct stat s;
    return stat(dir, &s) == 0 && S_ISREG(s.st_mode);
}

void hf_keeper_rados_init(struct hf_keeper_rados *r)
{
    *r = (struct hf_keeper_rados){.fd = -1};
}

void hf_keeper_rados_close(struct hf_keeper_rados *r)
{
    if (r->fd < 0)
        return;
    close(r->fd); /* it ends by itself; if it hangs, by the signal */
    kill(r->pid, SIGKILL);
    waitpid(r->pid, NULL, WNOHANG);
    r->fd = -1;
}

static hf_status find_program(char path[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof HF_KEEPER_RADOS_PROGRAM);
    char *slash = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;
    if (!slash)
        return hf_errno(errno, "find the directory of this program");
    memcpy(slash + 1, HF_KEEPER_RADOS_PROGRAM, sizeof HF_KEEPER_RADOS_PROGRAM);
    return HF_STATUS_OK;
}

/* Signals are blocked in the keeper's threads: not in the process, which has threads of its own. */
static int spawn(struct hf_keeper_rados *r, const char *path, int fd)
{
    char *argv[] = {(char *)HF_KEEPER_RADOS_PROGRAM, r->access, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none;
    sigemptyset(&none);
    HF_ASSERT(posix_spawn_file_actions_init(&files) == 0 && posix_spawnattr_init(&attr) == 0);
    posix_spawn_file_actions_adddup2(&files, fd, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    int rc = posix_spawn(&r->pid, path, &files, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

static hf_status start(struct hf_keeper_rados *r, const char *access)
{
    char path[PATH_MAX];
    int ends[2];
    HF_TRY(find_program(path));
    if (snprintf(r->access, sizeof r->access, "%s", access) >= (int)sizeof r->access)
        return hf_error(HF_INVALID, "the path '%.200s…' is too long", access);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return hf_errno(errno, "make a socket pair");
    int rc = spawn(r, path, ends[1]);
    close(ends[1]);
    if (rc != 0) {
        close(ends[0]);
        return hf_errno(rc, "start %s", path);
    }
    r->fd = ends[0];
    return HF_STATUS_OK;
}

static hf_status exchange(struct hf_keeper_rados *r, const struct hf_keeper_rados_order *order,
                          struct hf_keeper_rados_answer *ret)
{
    struct pollfd p = {.fd = r->fd, .events = POLLIN};
    int n;
    if (send(r->fd, order, sizeof *order, MSG_NOSIGNAL) != (ssize_t)sizeof *order)
        return hf_errno(errno, "ask %s", HF_KEEPER_RADOS_PROGRAM);
    while ((n = poll(&p, 1, HF_KEEPER_RADOS_REPLY_MS)) < 0 && errno == EINTR)
        ;
    if (n == 0)
        return hf_error(HF_TIMEOUT, "%s does not answer within %d s", HF_KEEPER_RADOS_PROGRAM,
                        HF_KEEPER_RADOS_REPLY_MS / 1000);
    if (n < 0 || recv(r->fd, ret, sizeof *ret, 0) != (ssize_t)sizeof *ret)
        return hf_error(HF_IO, "%s has ended", HF_KEEPER_RADOS_PROGRAM);
    ret->text[sizeof ret->text - 1] = '\0';
    return HF_STATUS_OK;
}

hf_status hf_keeper_rados_renew(struct hf_keeper_rados *r, const char *access,
                                const struct hf_keeper_rados_order *order, bool *ret_fenced)
{
    struct hf_keeper_rados_answer answer;
    if (r->fd >= 0 && strcmp(r->access, access) != 0)
        hf_keeper_rados_close(r);
    if (r->fd < 0)
        HF_TRY(start(r, access));
    hf_status st = exchange(r, order, &answer);
    if (!hf_ok(st) || !answer.ok)
        hf_keeper_rados_close(r); /* the next one reads the access anew: keys and monitors change */
    if (!hf_ok(st))
        return st;
    *ret_fenced = answer.fenced;
    return answer.ok ? HF_STATUS_OK : hf_error(HF_IO, "%s", answer.text);
}
