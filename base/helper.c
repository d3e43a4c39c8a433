#include "base/helper.h"

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

struct answer {
    unsigned char code, bit; /* code: enum hf_code */
    char text[256];
};

bool hf_helper_file(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

void hf_helper_end(struct hf_helper *h)
{
    if (h->pid == 0)
        return;
    close(h->fd);
    kill(h->pid, SIGKILL); /* it may hang; what it has begun may still happen */
    waitpid(h->pid, NULL, 0);
    h->pid = 0;
}

static hf_status find_beside(const char *program, char path[PATH_MAX])
{
    size_t len = strlen(program) + 1;
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - len);
    char *slash = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;
    if (!slash)
        return hf_errno(errno, "find the directory of this program");
    memcpy(slash + 1, program, len);
    return HF_STATUS_OK;
}

/* Signals may be blocked in this thread: not in the helper, which has threads of its own. */
static int spawn(struct hf_helper *h, const char *path, int fd)
{
    char *argv[] = {(char *)path, h->file, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none;
    sigemptyset(&none);
    HF_ASSERT(posix_spawn_file_actions_init(&files) == 0 && posix_spawnattr_init(&attr) == 0);
    posix_spawn_file_actions_adddup2(&files, fd, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    int rc = posix_spawn(&h->pid, path, &files, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

static hf_status start(struct hf_helper *h, const char *program, const char *file)
{
    char path[PATH_MAX];
    int ends[2];
    HF_TRY(find_beside(program, path));
    if (snprintf(h->file, sizeof h->file, "%s", file) >= (int)sizeof h->file)
        return hf_error(HF_INVALID, "the path '%.200s…' is too long", file);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return hf_errno(errno, "make a socket pair");
    int rc = spawn(h, path, ends[1]);
    close(ends[1]);
    h->fd = ends[0];
    if (rc == 0)
        return HF_STATUS_OK;
    close(ends[0]);
    h->pid = 0;
    return hf_errno(rc, "start %s", path);
}

static hf_status exchange(struct hf_helper *h, const char *program, const void *order, size_t n,
                          struct answer *ret)
{
    struct pollfd p = {.fd = h->fd, .events = POLLIN};
    int ready;
    if (send(h->fd, order, n, MSG_NOSIGNAL) != (ssize_t)n)
        return hf_errno(errno, "ask %s", program);
    while ((ready = poll(&p, 1, HF_HELPER_ANSWER_MS)) < 0 && errno == EINTR)
        ;
    if (ready == 0)
        return hf_error(HF_TIMEOUT, "%s does not answer within %d s", program, HF_HELPER_ANSWER_MS / 1000);
    if (ready < 0 || recv(h->fd, ret, sizeof *ret, 0) != (ssize_t)sizeof *ret)
        return hf_error(HF_IO, "%s has ended", program);
    ret->text[sizeof ret->text - 1] = '\0';
    return HF_STATUS_OK;
}

hf_status hf_helper_ask(struct hf_helper *h, const char *program, const char *file, const void *order,
                        size_t n, bool *ret_bit)
{
    struct answer a = {0};
    if (h->pid != 0 && strcmp(h->file, file) != 0)
        hf_helper_end(h);
    if (h->pid == 0)
        HF_TRY(start(h, program, file));
    hf_status st = exchange(h, program, order, n, &a);
    if (hf_ok(st) && a.code != HF_OK)
        st = hf_error((enum hf_code)a.code, "%s", a.text);
    if (hf_ok(st))
        *ret_bit = a.bit;
    else
        hf_helper_end(h); /* the next one reads its file anew */
    return st;
}

void hf_helper_serve(void *order, size_t n, hf_status (*carry_out)(const void *order, bool *ret_bit))
{
    while (recv(0, order, n, 0) == (ssize_t)n) {
        struct answer a = {0};
        bool bit = false;
        hf_status st = carry_out(order, &bit);
        a.code = (unsigned char)hf_status_code(st);
        a.bit = bit;
        snprintf(a.text, sizeof a.text, "%s", hf_status_message(st));
        hf_status_drop(st);
        if (send(0, &a, sizeof a, MSG_NOSIGNAL) != (ssize_t)sizeof a)
            return;
    }
}
