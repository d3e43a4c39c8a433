/* hf-lab-wdog FIFO CGROUP_DIR TIMEOUT_MS [STORAGE]: stands in for the hardware watchdog of a host of the lab.
 * It lives outside the host, so that it goes on counting while the host is frozen.
 *
 * Any byte is a pet, the first one arms it; 'V' as the last byte before the writer closes disarms it, as on a
 * real device; a writer that closes without it leaves it counting. On time-out it resets the host: freeze the
 * group, SIGKILL every process in it, only then thaw, so that no process runs one more instruction of its
 * own. A reset host is off: the watchdog waits for the next first byte. STORAGE is the socket of the host's
 * hf-lab-storage: its mount ends with the reset, else who waits in it could not.
 *
 * CGROUP_DIR is the host's group of the freezer controller (cgroup v1: freezer.state) or a v2 group
 * (cgroup.freeze). It ends by SIGTERM or SIGINT with exit code 0, without a reset.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "ha/ha_timing.h"

#define REALTIME_PRIORITY 60
#define TIMEOUT_MS_MAX    3600000
#define FREEZE_TRIES      100 /* of 1 ms: a task in state D never freezes, and runs no code of its own either */
#define EMPTY_TRIES       5000 /* of 1 ms */
#define DISARM_BYTE       'V'

struct wdog {
    const char *fifo, *group;
    const char *storage; /* NULL: the host's storage is no mount of its own */
    int64_t timeout_ms;
    int fd, signal_fd;
    bool version2;       /* of the cgroup */
    char last;           /* byte that came in */
    int64_t deadline_ms; /* 0: not armed */
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- the group --- */

static void group_path(const struct wdog *w, const char *file, char *out, size_t len)
{
    snprintf(out, len, "%s/%s", w->group, file);
}

static bool group_write(const struct wdog *w, const char *file, const char *text)
{
    char path[4096];
    group_path(w, file, path, sizeof path);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return ok;
}

static bool group_freeze(const struct wdog *w, bool freeze)
{
    if (w->version2)
        return group_write(w, "cgroup.freeze", freeze ? "1" : "0");
    return group_write(w, "freezer.state", freeze ? "FROZEN" : "THAWED");
}

static bool group_is_frozen(const struct wdog *w)
{
    char path[4096], text[256];
    group_path(w, w->version2 ? "cgroup.events" : "freezer.state", path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return strstr(text, w->version2 ? "frozen 1" : "FROZEN") != NULL;
}

/* SIGKILL to each; returns how many there are. */
static int group_kill(const struct wdog *w)
{
    char path[4096];
    int pid, n = 0;
    group_path(w, "cgroup.procs", path, sizeof path);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    while (fscanf(f, "%d", &pid) == 1) {
        if (pid > 0) /* 0: a process that this namespace cannot see */
            kill(pid, SIGKILL);
        n++;
    }
    fclose(f);
    return n;
}

/* Tells the storage that the host is off; waits for its answer, not for long. */
static void cut_storage(const struct wdog *w)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = 1};
    char answer[256];
    snprintf(to.sun_path, sizeof to.sun_path, "%s", w->storage);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0 || write(fd, "cut\n", 4) != 4 ||
        read(fd, answer, sizeof answer) < 0)
        hf_warn("tell the storage at %s that its host is off: %s", w->storage, strerror(errno));
    close(fd);
}

static void reset_host(struct wdog *w)
{
    int64_t start = now_ms();
    bool frozen = false;
    group_freeze(w, true);
    for (int i = 0; i < FREEZE_TRIES && !(frozen = group_is_frozen(w)); i++)
        usleep(1000);
    int killed = group_kill(w);
    int64_t signalled = now_ms();
    group_freeze(w, false);
    if (w->storage)
        cut_storage(w);
    int left = group_kill(w);
    for (int i = 0; i < EMPTY_TRIES && left > 0; i++) {
        usleep(1000);
        left = group_kill(w);
    }
    hf_warn("reset of %s: %s, %d processes killed after %lld ms, %s after %lld ms", w->group,
            frozen ? "frozen" : "not all frozen", killed, (long long)(signalled - start),
            left ? "NOT EMPTY" : "empty", (long long)(now_ms() - start));
    w->deadline_ms = 0;
}

/* --- the device --- */

static int open_fifo(const struct wdog *w)
{
    return open(w->fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

static void on_pet(struct wdog *w)
{
    char buf[4096];
    ssize_t n = read(w->fd, buf, sizeof buf);
    if (n <= 0)
        return;
    if (w->deadline_ms == 0)
        hf_info("armed: %s is reset when nothing comes for %lld ms", w->group, (long long)w->timeout_ms);
    w->last = buf[n - 1];
    w->deadline_ms = now_ms() + w->timeout_ms;
}

/* The new end is opened before the old one is closed: a writer finds a reader at every moment. */
static bool on_hangup(struct wdog *w)
{
    int fd = open_fifo(w);
    if (fd < 0) {
        hf_err("open %s again: %s", w->fifo, strerror(errno));
        return false;
    }
    close(w->fd);
    w->fd = fd;
    if (w->last == DISARM_BYTE)
        w->deadline_ms = 0;
    hf_info("the writer has closed: %s", w->deadline_ms ? "goes on counting" : "not armed");
    w->last = 0;
    return true;
}

static int run(struct wdog *w)
{
    for (;;) {
        struct pollfd fds[2] = {{.fd = w->fd, .events = POLLIN}, {.fd = w->signal_fd, .events = POLLIN}};
        int64_t left = w->deadline_ms - now_ms();
        int rc = poll(fds, 2, w->deadline_ms == 0 ? -1 : left > 0 ? (int)left : 0);
        if (rc < 0 && errno != EINTR) {
            hf_err("poll: %s", strerror(errno));
            return 1;
        }
        if (fds[1].revents) {
            hf_info("told to end");
            return 0;
        }
        if (fds[0].revents & POLLIN)
            on_pet(w);
        else if ((fds[0].revents & POLLHUP) && !on_hangup(w))
            return 1;
        if (w->deadline_ms != 0 && now_ms() >= w->deadline_ms)
            reset_host(w);
    }
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool has_file(const struct wdog *w, const char *file)
{
    char path[4096];
    group_path(w, file, path, sizeof path);
    return access(path, W_OK) == 0;
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 5) {
        fprintf(stderr, "Usage: hf-lab-wdog FIFO CGROUP_DIR TIMEOUT_MS|PROFILE [STORAGE]\n"
                        "Resets a host of the lab (SIGKILL for every process of the group) when nothing is "
                        "written for so long.\n"
                        "A timing profile stands for the time to which a host sets its device.\n");
        return 2;
    }
    const struct hf_ha_timing *timing = hf_ha_timing_find(argv[3]);
    struct wdog w = {.fifo = argv[1],
                     .group = argv[2],
                     .storage = argc == 5 ? argv[4] : NULL,
                     .timeout_ms = timing ? timing->watchdog_timeout_ms : atoll(argv[3])};
    if (w.timeout_ms <= 0 || w.timeout_ms > TIMEOUT_MS_MAX) {
        fprintf(stderr, "hf-lab-wdog: '%s' is neither a timing profile nor 1 to %d ms\n", argv[3],
                TIMEOUT_MS_MAX);
        return 2;
    }
    w.version2 = !has_file(&w, "freezer.state");
    if (w.version2 && !has_file(&w, "cgroup.freeze")) {
        hf_err("%s is not a cgroup that can be frozen (no freezer.state, no cgroup.freeze)", w.group);
        return 1;
    }
    w.signal_fd = open_signals();
    w.fd = open_fifo(&w);
    if (w.signal_fd < 0 || w.fd < 0) {
        hf_err("open %s: %s", w.fifo, strerror(errno));
        return 1;
    }
    struct sched_param rr = {.sched_priority = REALTIME_PRIORITY};
    if (sched_setscheduler(0, SCHED_RR, &rr) != 0 || mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        hf_warn("no real-time priority or locked memory: %s", strerror(errno));
    hf_info("waits for the first byte on %s", w.fifo);
    return run(&w);
}
