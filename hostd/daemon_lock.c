#include "hostd/daemon_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static hf_status lock_path(const char *run_dir, char out[PATH_MAX])
{
    if ((size_t)snprintf(out, PATH_MAX, "%s/hostd.lock", run_dir) >= PATH_MAX)
        return hf_error(HF_INVALID, "--run-dir: the path is too long");
    return HF_STATUS_OK;
}

hf_status hf_daemon_lock_take(const char *run_dir)
{
    char path[PATH_MAX];
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    HF_TRY(lock_path(run_dir, path));
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600); /* open for as long as the process lives */
    if (fd < 0)
        return hf_errno(errno, "open %s", path);
    if (fcntl(fd, F_SETLK, &l) == 0)
        return HF_STATUS_OK;
    int error = errno;
    bool taken = (error == EAGAIN || error == EACCES) && fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK;
    close(fd);
    if (!taken)
        return hf_errno(error, "lock %s", path);
    return hf_error(HF_EXISTS, "another hostd runs on this machine already, process %d (%s)", (int)l.l_pid,
                    path);
}

hf_status hf_daemon_lock_holder(const char *run_dir, pid_t *ret)
{
    char path[PATH_MAX];
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    HF_TRY(lock_path(run_dir, path));
    *ret = 0;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return HF_STATUS_OK;
    if (fd < 0)
        return hf_errno(errno, "open %s", path);
    bool asked = fcntl(fd, F_GETLK, &l) == 0;
    int error = errno;
    close(fd);
    if (!asked)
        return hf_errno(error, "look who holds %s", path);
    if (l.l_type != F_UNLCK)
        *ret = l.l_pid;
    return HF_STATUS_OK;
}
