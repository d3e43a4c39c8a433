#include "hostd/keeper_store.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static void parent_of(const char *path, char out[PATH_MAX])
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    snprintf(out, PATH_MAX, "%s", dirname(copy));
}

hf_status hf_keeper_store_lock(const char *path)
{
    char dir[PATH_MAX], lock[PATH_MAX];
    if (strlen(path) + 8 >= PATH_MAX)
        return hf_error(HF_INVALID, "the state file's path is too long");
    parent_of(path, dir);
    if (mkdir(dir, 0755) != 0 && errno != EEXIST)
        return hf_errno(errno, "make folder %s", dir);
    snprintf(lock, sizeof lock, "%.*s.lock", PATH_MAX - 8, path);
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return hf_errno(errno, "open %s", lock);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return HF_STATUS_OK;
    close(fd);
    return hf_error(HF_PRECONDITION, "another keeper holds %s", lock);
}

hf_status hf_keeper_store_load(const char *path, const char *boot_id, struct hf_keeper_state *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return hf_errno(errno, "open %s", path);
    size_t len = 0, cap = HF_KEEPER_STATE_BYTES + 1;
    uint8_t *data = hf_alloc(cap);
    ssize_t n = 1;
    while (n > 0 && len < cap) {
        n = read(fd, data + len, cap - len);
        len += n > 0 ? (size_t)n : 0;
    }
    int err = errno;
    close(fd);
    const char *why = NULL;
    bool good = n >= 0 && hf_keeper_state_decode(data, len, boot_id, ret, &why);
    free(data);
    if (n < 0)
        return hf_errno(err, "read %s", path);
    return good ? HF_STATUS_OK : hf_error(HF_CORRUPT, "%s is not used: %s", path, why);
}

static hf_status write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return hf_errno(errno, "write");
        data += n;
        len -= (size_t)n;
    }
    return fsync(fd) == 0 ? HF_STATUS_OK : hf_errno(errno, "fsync");
}

static hf_status sync_dir(const char *path)
{
    char dir[PATH_MAX];
    parent_of(path, dir);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return hf_errno(errno, "open folder %s", dir);
    hf_status st = fsync(fd) == 0 ? HF_STATUS_OK : hf_errno(errno, "fsync folder %s", dir);
    close(fd);
    return st;
}

hf_status hf_keeper_store_save(const char *path, const char *boot_id, const struct hf_keeper_state *s)
{
    static uint8_t data[HF_KEEPER_STATE_BYTES]; /* one loop saves */
    char aside[PATH_MAX];
    snprintf(aside, sizeof aside, "%.*s.new", PATH_MAX - 8, path);
    hf_keeper_state_encode(s, boot_id, data);
    int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return hf_errno(errno, "open %s", aside);
    hf_status st = write_all(fd, data, sizeof data);
    if (close(fd) != 0 && hf_ok(st))
        st = hf_errno(errno, "close");
    if (!hf_ok(st))
        return hf_wrap(st, "save %s", aside);
    if (rename(aside, path) != 0)
        return hf_errno(errno, "rename %s", aside);
    return sync_dir(path);
}
