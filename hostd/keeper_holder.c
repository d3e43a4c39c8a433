#include "hostd/keeper_holder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"

#define LISTEN_FD   3
#define KEEPER_FD   4
#define PATIENCE_MS 1000 /* for an answer of the holder, which does nothing but answer */

enum word {
    HELD = 'H',   /* holder: what it has, if anything, comes with it */
    KEEP = 'K',   /* keeper: comes with a descriptor */
    LET_GO = 'L', /* keeper */
};

/* --- one byte, and a descriptor beside it --- */

union fd_room {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(sizeof(int))];
};

static bool send_word(int fd, char word, int device)
{
    union fd_room room = {0};
    struct iovec byte = {&word, 1};
    struct msghdr m = {.msg_iov = &byte, .msg_iovlen = 1};
    if (device >= 0) {
        m.msg_control = room.bytes;
        m.msg_controllen = sizeof room.bytes;
        *CMSG_FIRSTHDR(&m) = (struct cmsghdr){CMSG_LEN(sizeof device), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &device, sizeof device);
    }
    return sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

/* The word, or 0: the other side has gone. ret_device: -1 if none came with it. */
static char take_word(int fd, int *ret_device)
{
    union fd_room room = {0};
    char word = 0;
    struct iovec byte = {&word, 1};
    struct msghdr m = {
        .msg_iov = &byte, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof room.bytes};
    *ret_device = -1;
    if (recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1)
        return 0;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(ret_device, CMSG_DATA(c), sizeof *ret_device);
    return word;
}

/* --- the keeper's side --- */

static bool wait_for(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, PATIENCE_MS) == 1;
}

static struct sockaddr_un address_of(const struct hf_keeper_holder *h)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    _Static_assert(sizeof h->path == sizeof to.sun_path, "a path is as long as an address");
    memcpy(to.sun_path, h->path, sizeof h->path);
    return to;
}

/* In the child, of a process with threads: system calls only. */
static _Noreturn void become_holder(int listen_fd, int keeper_fd)
{
    static const char *const argv[] = {"hf-lease", HF_KEEPER_HOLDER_ARGUMENT, NULL};
    static const char *const envp[] = {NULL};
    int l = fcntl(listen_fd, F_DUPFD, KEEPER_FD + 1), k = fcntl(keeper_fd, F_DUPFD, KEEPER_FD + 1);
    if (dup2(l, LISTEN_FD) == LISTEN_FD && dup2(k, KEEPER_FD) == KEEPER_FD)
        execve("/proc/self/exe", (char *const *)argv, (char *const *)envp);
    _exit(127);
}

hf_status hf_keeper_holder_renew(struct hf_keeper_holder *h)
{
    struct sockaddr_un at = address_of(h);
    int pair[2] = {-1, -1};
    int listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    mode_t before = umask(0177);
    unlink(h->path); /* the lock on the state file has shown that no other keeper lives here */
    bool ok = listen_fd >= 0 && bind(listen_fd, (struct sockaddr *)&at, sizeof at) == 0 &&
              listen(listen_fd, 4) == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0;
    int err = errno;
    umask(before);
    pid_t pid = ok ? fork() : -1;
    if (pid == 0)
        become_holder(listen_fd, pair[1]);
    if (ok && pid < 0)
        err = errno;
    if (listen_fd >= 0)
        close(listen_fd);
    if (ok)
        close(pair[1]);
    if (pid < 0 && ok)
        close(pair[0]);
    if (pid < 0)
        return hf_errno(err, "start the watchdog's holder at %s", h->path);
    h->fd = pair[0];
    return HF_STATUS_OK;
}

hf_status hf_keeper_holder_open(struct hf_keeper_holder *h, const char *path, int *ret_device)
{
    *ret_device = h->fd = -1;
    if (strlen(path) >= sizeof h->path)
        return hf_error(HF_INVALID, "socket path '%s' is longer than %zu bytes", path, sizeof h->path - 1);
    memset(h->path, 0, sizeof h->path);
    memcpy(h->path, path, strlen(path));
    struct sockaddr_un at = address_of(h);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return hf_errno(errno, "create a socket");
    h->fd = fd;
    if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0 && wait_for(fd) &&
        take_word(fd, ret_device) == HELD)
        return HF_STATUS_OK;
    close(fd);
    h->fd = -1;
    return hf_keeper_holder_renew(h);
}

void hf_keeper_holder_keep(struct hf_keeper_holder *h, int device)
{
    if (h->fd >= 0 && !send_word(h->fd, KEEP, device))
        hf_warn("the watchdog's holder did not take the device: %s", strerror(errno));
}

void hf_keeper_holder_let_go(struct hf_keeper_holder *h)
{
    int nothing;
    if (h->fd < 0)
        return;
    if (!send_word(h->fd, LET_GO, -1) || !wait_for(h->fd) || take_word(h->fd, &nothing) != 0)
        hf_warn("the watchdog's holder does not let go of the device");
    close(h->fd);
    h->fd = -1;
}

/* --- the holder --- */

struct holder {
    int keeper, device; /* -1: none */
};

static void put(int *place, int fd)
{
    if (*place >= 0)
        close(*place);
    *place = fd;
}

/* The latest keeper is the only one that lives. */
static void on_keeper(struct holder *h)
{
    int fd = accept4(LISTEN_FD, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    put(&h->keeper, fd);
    if (!send_word(fd, HELD, h->device))
        put(&h->keeper, -1);
}

static void on_word(struct holder *h)
{
    int fd;
    char word = take_word(h->keeper, &fd);
    if (word == LET_GO)
        _exit(0);
    if (word == KEEP && fd >= 0)
        put(&h->device, fd);
    if (word == 0)
        put(&h->keeper, -1);
}

static void harden(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setsid();
    prctl(PR_SET_NAME, "hf-lease-holder");
    if (chdir("/") != 0 || mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        hf_warn("the watchdog's holder: memory is not locked: %s", strerror(errno));
    int null = open("/dev/null", O_RDWR); /* whoever reads the keeper's output shall see its end */
    for (int fd = 0; fd < LISTEN_FD && null >= 0; fd++)
        dup2(null, fd);
    close(null);
}

int hf_keeper_holder_main(void)
{
    struct holder h = {.keeper = KEEPER_FD, .device = -1};
    harden();
    for (;;) {
        struct pollfd fds[] = {{.fd = LISTEN_FD, .events = POLLIN}, {.fd = h.keeper, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[1].revents)
            on_word(&h);
        if (fds[0].revents)
            on_keeper(&h);
        if (h.keeper < 0 && h.device < 0)
            return 0; /* nothing is held, and the next keeper makes its own */
    }
}
