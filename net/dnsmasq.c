#include "net/dnsmasq.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/run_command.h"

#define CMDLINE_MAX    8192
#define TERM_MS        2000 /* that it gets to end by itself */
#define KILL_MS        1000
#define FILE_MAX       (1u << 20)
#define HOST_FILES_MAX 256 /* past it one new process is better than one more file */

/* The file's content, or NULL. */
static char *read_file(const char *path)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return NULL;
    char *data = hf_alloc(FILE_MAX + 1);
    size_t n = fread(data, 1, FILE_MAX, f);
    bool ok = !ferror(f);
    fclose(f);
    data[n] = '\0';
    if (ok)
        return data;
    free(data);
    return NULL;
}

/* Whole or not at all: dnsmasq may read at any time. */
static hf_status write_file(const char *path, const char *text)
{
    char temp[512];
    const char *slash = strrchr(path, '/');
    snprintf(temp, sizeof temp, "%.*s/.%s", (int)(slash - path), path,
             slash + 1); /* dnsmasq passes over hidden files */
    FILE *f = fopen(temp, "we");
    if (!f)
        return hf_errno(errno, "write '%s'", temp);
    bool ok = fputs(text, f) >= 0;
    int err = errno;
    if (fclose(f) != 0 && ok) {
        ok = false;
        err = errno;
    }
    if (ok && rename(temp, path) == 0)
        return HF_STATUS_OK;
    return hf_errno(ok ? errno : err, "write '%s'", path);
}

/* --- the folder of host files --- */

static void host_file(const struct hf_dhcp_plan *p, unsigned i, char out[256])
{
    snprintf(out, 256, "%s/%u", p->hosts_dir, i);
}

/* All of them, one after another; NULL: none. *ret_n is the number of the next. */
static char *read_hosts(const struct hf_dhcp_plan *p, unsigned *ret_n)
{
    char path[256], *all = NULL, *one;
    unsigned i = 0;
    for (host_file(p, i, path); (one = read_file(path)) != NULL; host_file(p, ++i, path)) {
        char *more = hf_printf("%s%s", all ? all : "", one);
        free(all);
        free(one);
        all = more;
    }
    *ret_n = i;
    return all;
}

static void remove_hosts(const struct hf_dhcp_plan *p)
{
    DIR *dir = opendir(p->hosts_dir);
    struct dirent *e;
    while (dir && (e = readdir(dir)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            unlinkat(dirfd(dir), e->d_name, 0);
    if (dir)
        closedir(dir);
}

static hf_status write_hosts(const struct hf_dhcp_plan *p, unsigned i, const char *text)
{
    char path[256];
    host_file(p, i, path);
    return write_file(path, text);
}

static hf_status make_dir(const char *path)
{
    if (mkdir(path, 0755) == 0 || errno == EEXIST)
        return HF_STATUS_OK;
    return hf_errno(errno, "make the folder '%s'", path);
}

/* Every lease is a host's; an old one would keep its address for another MAC. */
static hf_status write_afresh(const struct hf_dhcp_plan *p)
{
    HF_TRY(make_dir(p->dir));
    HF_TRY(make_dir(p->hosts_dir));
    unlink(p->leases_path);
    unlink(p->pid_path);
    remove_hosts(p);
    HF_TRY(write_file(p->opts_path, p->opts));
    return write_hosts(p, 0, p->hosts);
}

void hf_dnsmasq_forget(const struct hf_dhcp_plan *p)
{
    remove_hosts(p);
    rmdir(p->hosts_dir);
    unlink(p->opts_path);
    unlink(p->leases_path);
    unlink(p->pid_path);
    rmdir(p->dir);
}

/* --- the process --- */

/* Length of its arguments, each with its end mark; 0: there is none. */
static size_t read_cmdline(int pid, char out[CMDLINE_MAX])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, CMDLINE_MAX) : 0;
    if (fd >= 0)
        close(fd);
    return n > 0 ? (size_t)n : 0;
}

static bool has_arg(const char *cmdline, size_t len, const char *arg)
{
    for (size_t at = 0; at < len; at += strnlen(cmdline + at, len - at) + 1)
        if (strnlen(cmdline + at, len - at) < len - at && strcmp(cmdline + at, arg) == 0)
            return true;
    return false;
}

/* The process that its pid file names, if it is the dnsmasq of this plan and not another process with a
 * reused number. */
static int find(const struct hf_dhcp_plan *p)
{
    char cmdline[CMDLINE_MAX], *arg = hf_printf("--pid-file=%s", p->pid_path), *text = read_file(p->pid_path);
    int pid = text ? atoi(text) : 0;
    size_t len = pid > 1 ? read_cmdline(pid, cmdline) : 0;
    bool ours = has_arg(cmdline, len, arg);
    free(text);
    free(arg);
    return ours ? pid : 0;
}

/* A namespace that was deleted by hand and made again has the same name, and its dnsmasq sits in the old one.
 */
static bool in_this_netns(int pid)
{
    char path[64];
    struct stat its, mine;
    snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
    return stat(path, &its) == 0 && stat("/proc/thread-self/ns/net", &mine) == 0 && its.st_ino == mine.st_ino;
}

static bool runs_with_arguments(const struct hf_dhcp_plan *p, int pid)
{
    char cmdline[CMDLINE_MAX];
    size_t len = read_cmdline(pid, cmdline), at = 0;
    for (size_t i = 0; p->argv[i]; i++) {
        size_t n = strlen(p->argv[i]) + 1;
        /* argv[0] may have become a path. */
        if (i > 0 && (at + n > len || memcmp(cmdline + at, p->argv[i], n) != 0))
            return false;
        at += i > 0 ? n : strnlen(cmdline, len) + 1;
    }
    return at == len;
}

static bool wait_gone(int pidfd, int ms)
{
    struct pollfd f = {pidfd, POLLIN, 0};
    return poll(&f, 1, ms) == 1;
}

hf_status hf_dnsmasq_stop(const struct hf_dhcp_plan *p)
{
    int pid = find(p);
    if (pid == 0)
        return HF_STATUS_OK;
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0 && errno == ESRCH)
        return HF_STATUS_OK;
    if (pidfd < 0)
        return hf_errno(errno, "watch dnsmasq, process %d", pid);
    hf_status st = HF_STATUS_OK;
    if (find(p) == pid) { /* the number is still its own: pidfd holds it from here on */
        syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0);
        if (!wait_gone(pidfd, TERM_MS)) {
            syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
            if (!wait_gone(pidfd, KILL_MS))
                st = hf_error(HF_UNAVAILABLE, "dnsmasq, process %d, does not end", pid);
        }
    }
    close(pidfd);
    return st;
}

static hf_status start(const struct hf_dhcp_plan *p, unsigned deadline_ms)
{
    HF_TRY(write_afresh(p));
    HF_TRY(hf_wrap(hf_run_command((const char *const *)p->argv, deadline_ms, NULL), "start dnsmasq"));
    if (find(p) == 0)
        return hf_error(HF_UNAVAILABLE, "start dnsmasq: it has ended at once");
    return HF_STATUS_OK;
}

static enum hf_dhcp_change judge(const struct hf_dhcp_plan *p, unsigned *ret_next_file, char **ret_added)
{
    int pid = find(p);
    *ret_added = NULL;
    if (pid == 0 || !in_this_netns(pid) || !runs_with_arguments(p, pid))
        return HF_DHCP_RESTART;
    char *hosts = read_hosts(p, ret_next_file), *opts = read_file(p->opts_path);
    enum hf_dhcp_change change = hf_dhcp_change(hosts, opts, p, ret_added);
    free(hosts);
    free(opts);
    return change == HF_DHCP_ADD && *ret_next_file >= HOST_FILES_MAX ? HF_DHCP_RESTART : change;
}

hf_status hf_dnsmasq_ensure(const struct hf_dhcp_plan *p, unsigned deadline_ms)
{
    unsigned next_file = 0;
    char *added = NULL;
    hf_status st = HF_STATUS_OK;
    switch (judge(p, &next_file, &added)) {
    case HF_DHCP_SAME:
        break;
    case HF_DHCP_ADD:
        st = write_hosts(p, next_file, added); /* dnsmasq watches the folder */
        break;
    case HF_DHCP_RESTART:
        st = hf_dnsmasq_stop(p);
        if (hf_ok(st))
            st = start(p, deadline_ms);
        break;
    }
    free(added);
    return st;
}
