#include "net/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/assert.h"

#define PATH_LEN 64

static void path_of(const char *name, char out[PATH_LEN])
{
    HF_ASSERT(!strchr(name, '/') && strlen(name) + sizeof HF_NETNS_DIR + 1 < PATH_LEN);
    snprintf(out, PATH_LEN, HF_NETNS_DIR "/%s", name);
}

hf_status hf_netns_open(const char *name, int *ret_fd)
{
    char path[PATH_LEN];
    struct statfs s;
    path_of(name, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return hf_errno(errno, "open the network namespace '%s'", name);
    if (fstatfs(fd, &s) != 0 || s.f_type != NSFS_MAGIC) {
        close(fd);
        return hf_error(HF_NOT_FOUND, "open the network namespace '%s': its file is empty", name);
    }
    *ret_fd = fd;
    return HF_STATUS_OK;
}

/* As `ip netns add` does: a mount that other mount namespaces see, and whose end they see too. */
static hf_status make_shared_dir(void)
{
    if (mkdir(HF_NETNS_DIR, 0755) != 0 && errno != EEXIST)
        return hf_errno(errno, "make the folder " HF_NETNS_DIR);
    if (mount("", HF_NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) == 0)
        return HF_STATUS_OK;
    if (errno != EINVAL)
        return hf_errno(errno, "share the mounts of " HF_NETNS_DIR);
    if (mount(HF_NETNS_DIR, HF_NETNS_DIR, "none", MS_BIND | MS_REC, NULL) != 0 ||
        mount("", HF_NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) != 0)
        return hf_errno(errno, "share the mounts of " HF_NETNS_DIR);
    return HF_STATUS_OK;
}

static int open_own(void)
{
    return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* This thread is in the new one for a moment. */
static hf_status create(const char *name, const char *path)
{
    HF_TRY(make_shared_dir());
    int file = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0444);
    if (file < 0)
        return hf_errno(errno, "make the file '%s'", path);
    close(file);
    int home = open_own();
    if (home < 0 || unshare(CLONE_NEWNET) != 0) {
        hf_status st = hf_errno(errno, "make the network namespace '%s'", name);
        if (home >= 0)
            close(home);
        unlink(path);
        return st;
    }
    hf_status st = HF_STATUS_OK;
    if (mount("/proc/thread-self/ns/net", path, "none", MS_BIND, NULL) != 0)
        st = hf_errno(errno, "keep the network namespace '%s'", name);
    hf_netns_leave(home);
    if (!hf_ok(st))
        unlink(path);
    return st;
}

hf_status hf_netns_ensure(const char *name, int *ret_fd)
{
    char path[PATH_LEN];
    hf_status st = hf_netns_open(name, ret_fd);
    if (hf_status_code(st) != HF_NOT_FOUND)
        return st;
    hf_status_drop(st);
    path_of(name, path);
    HF_TRY(create(name, path));
    return hf_netns_open(name, ret_fd);
}

hf_status hf_netns_delete(const char *name)
{
    char path[PATH_LEN];
    path_of(name, path);
    if (umount2(path, MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT)
        return hf_errno(errno, "unmount the network namespace '%s'", name);
    if (unlink(path) != 0 && errno != ENOENT)
        return hf_errno(errno, "delete the network namespace '%s'", name);
    return HF_STATUS_OK;
}

hf_status hf_netns_enter(int fd, int *ret_home)
{
    int home = open_own();
    if (home < 0)
        return hf_errno(errno, "open this thread's network namespace");
    if (setns(fd, CLONE_NEWNET) != 0) {
        hf_status st = hf_errno(errno, "enter a network namespace");
        close(home);
        return st;
    }
    *ret_home = home;
    return HF_STATUS_OK;
}

void hf_netns_leave(int home)
{
    HF_ASSERT(setns(home, CLONE_NEWNET) == 0); /* a thread in the wrong network must not go on */
    close(home);
}
