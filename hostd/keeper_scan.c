#include "hostd/keeper_scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "hostd/guest_args.h"

#define CMDLINE_MAX (64 * 1024)
#define PF_KTHREAD  0x00200000u
#define QEMU_COMM   "qemu"

struct stat_line {
    char comm[64];
    char state;
    unsigned flags;
    unsigned long long start;
};

/* Bytes read, or -1: the process is gone, or cannot be read. */
static ssize_t read_file(const char *path, char *buf, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t len = 0;
    ssize_t n;
    while ((n = read(fd, buf + len, cap - len)) > 0 || (n < 0 && errno == EINTR))
        len += n > 0 ? (size_t)n : 0;
    close(fd);
    return n < 0 ? -1 : (ssize_t)len;
}

/* Of a thread; tid 0: of the process. */
static bool read_stat(int pid, int tid, struct stat_line *ret)
{
    char path[64], buf[1024];
    snprintf(path, sizeof path, tid ? "/proc/%d/task/%d/stat" : "/proc/%d/stat", pid, tid);
    ssize_t n = read_file(path, buf, sizeof buf - 1);
    if (n <= 0)
        return false;
    buf[n] = '\0';
    char *open_paren = strchr(buf, '('), *close_paren = strrchr(buf, ')'); /* the name may hold anything */
    if (!open_paren || !close_paren)
        return false;
    snprintf(ret->comm, sizeof ret->comm, "%.*s", (int)(close_paren - open_paren - 1), open_paren + 1);
    /* fields 3 state, 9 flags, 22 starttime */
    return sscanf(close_paren + 1,
                  " %c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                  &ret->state, &ret->flags, &ret->start) == 3;
}

/* Calls fn for each thread until it returns true; then true. */
static bool any_thread(int pid, bool (*fn)(int pid, int tid, void *arg), void *arg)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *dir = opendir(path);
    if (!dir)
        return false;
    bool found = false;
    for (struct dirent *e; !found && (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] != '.')
            found = fn(pid, atoi(e->d_name), arg);
    }
    closedir(dir);
    return found;
}

/* In none of these states. */
static bool thread_is_not(int pid, int tid, void *states)
{
    struct stat_line s;
    return read_stat(pid, tid, &s) && strchr(states, s.state) == NULL;
}

static bool lives(int pid)
{
    return any_thread(pid, thread_is_not, "ZXx");
}

/* Whether it can come back to the guest's code: not when it is stopped, and not before it leaves the kernel.
 */
static bool may_run(int pid)
{
    return any_thread(pid, thread_is_not, "ZXxTD");
}

struct match {
    char *buf;
    struct hf_uuid uuid;
};

/* The arguments as this thread sees them: those of a leader that has ended are empty, the others' are not. */
static bool thread_matches(int pid, int tid, void *arg)
{
    struct match *m = arg;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/cmdline", pid, tid);
    ssize_t n = read_file(path, m->buf, CMDLINE_MAX);
    if (n == CMDLINE_MAX)
        m->buf[n - 1] = '\0'; /* what identifies a guest stands near the front */
    return n > 0 && hf_guest_args_match(m->buf, (size_t)n, &m->uuid);
}

static bool is_same_process(int pid, unsigned long long start)
{
    struct stat_line s;
    return read_stat(pid, 0, &s) && s.start == start;
}

/* Whether this process is one of a guest and not gone. */
static bool identify(int pid, char *buf, struct hf_keeper_known *ret)
{
    char path[64];
    struct stat_line s;
    struct match m = {.buf = buf};
    if (!read_stat(pid, 0, &s) || (s.flags & PF_KTHREAD))
        return false;
    *ret = (struct hf_keeper_known){.pid = pid, .start = s.start};
    bool is_qemu = strncmp(s.comm, QEMU_COMM, strlen(QEMU_COMM)) == 0;
    if (thread_matches(pid, pid, &m) || (is_qemu && any_thread(pid, thread_matches, &m))) {
        ret->instance = m.uuid;
        return lives(pid);
    }
    /* A QEMU without arguments is on its last way out; whose it was cannot be read any more. */
    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    return is_qemu && read_file(path, buf, CMDLINE_MAX) == 0 && lives(pid);
}

static struct hf_keeper_known *find_known(struct hf_keeper_scan *s, int pid)
{
    for (size_t i = 0; i < s->n_known; i++) {
        if (s->known[i].pid == pid)
            return &s->known[i];
    }
    return NULL;
}

void hf_keeper_scan_watch(struct hf_keeper_scan *s, const struct hf_uuid *instance, int pid)
{
    struct stat_line stat;
    if (!read_stat(pid, 0, &stat))
        return; /* it has ended already */
    struct hf_keeper_known *k = find_known(s, pid);
    if (!k && s->n_known == HF_LEASE_PROCS_MAX) {
        hf_warn("process %d is not watched: there are %d already", pid, HF_LEASE_PROCS_MAX);
        return; /* the looks fail as well, so nothing is taken for gone */
    }
    if (!k)
        k = &s->known[s->n_known++];
    *k = (struct hf_keeper_known){.instance = *instance, .pid = pid, .start = stat.start};
}

static void drop_gone(struct hf_keeper_scan *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n_known; i++) {
        struct hf_keeper_known k = s->known[i];
        if (is_same_process(k.pid, k.start) && lives(k.pid))
            s->known[kept++] = k;
    }
    s->n_known = kept;
}

hf_status hf_keeper_scan_update(struct hf_keeper_scan *s)
{
    static char buf[CMDLINE_MAX]; /* one thread scans */
    drop_gone(s);
    DIR *dir = opendir("/proc");
    if (!dir)
        return hf_errno(errno, "read /proc");
    hf_status st = HF_STATUS_OK;
    errno = 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL; errno = 0) {
        struct hf_keeper_known k;
        int pid = atoi(e->d_name);
        if (pid <= 0 || find_known(s, pid) || !identify(pid, buf, &k))
            continue;
        if (s->n_known == HF_LEASE_PROCS_MAX) {
            st = hf_error(HF_EXHAUSTED, "more than %d processes of guests", HF_LEASE_PROCS_MAX);
            break;
        }
        s->known[s->n_known++] = k;
    }
    if (hf_ok(st) && errno != 0)
        st = hf_errno(errno, "read /proc");
    closedir(dir);
    for (size_t i = 0; i < s->n_known; i++)
        s->known[i].stopped = !may_run(s->known[i].pid);
    return st;
}

static void signal_one(const struct hf_keeper_known *k, int sig)
{
    int fd = (int)syscall(SYS_pidfd_open, k->pid, 0);
    if (fd < 0)
        return;
    /* The handle is taken before the identity is checked, so that a reused pid cannot be hit. */
    if (is_same_process(k->pid, k->start) && syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0) != 0 &&
        errno != ESRCH)
        hf_warn("signal %d for process %d: %s", sig, k->pid, strerror(errno));
    close(fd);
}

static void signal_all(const struct hf_keeper_scan *s, const struct hf_uuid *instance, int sig)
{
    for (size_t i = 0; i < s->n_known; i++) {
        if (hf_uuid_equal(&s->known[i].instance, instance))
            signal_one(&s->known[i], sig);
    }
}

void hf_keeper_scan_kill(const struct hf_keeper_scan *s, const struct hf_uuid *instance)
{
    signal_all(s, instance, SIGKILL);
}

void hf_keeper_scan_thaw(const struct hf_keeper_scan *s, const struct hf_uuid *instance)
{
    signal_all(s, instance, SIGCONT); /* takes back the stops of all threads that are still under way */
}

/* The first thread that takes its stop stops all others; each that hangs in the kernel stops when it leaves
 * it. */
static bool stop_thread(int pid, int tid, void *arg)
{
    const struct hf_keeper_known *k = arg;
    if (is_same_process(pid, k->start))
        (void)syscall(SYS_tgkill, pid, tid, SIGSTOP);
    return false;
}

void hf_keeper_scan_freeze(const struct hf_keeper_scan *s, const struct hf_uuid *instance)
{
    for (size_t i = 0; i < s->n_known; i++) {
        struct hf_keeper_known k = s->known[i];
        if (!hf_uuid_equal(&k.instance, instance))
            continue;
        signal_one(&k, SIGSTOP);
        any_thread(k.pid, stop_thread, &k);
    }
}
