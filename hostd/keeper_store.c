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

hf_status hf_keeper_store_lock(const char *path)
{
    char dir[PATH_MAX], lock[PATH_MAX];
    if (strlen(path) + 8 >= PATH_MAX)
        return hf_error(HF_INVALID, "the state file's path is too long");
    snprintf(dir, sizeof dir, "%s", path);
    if (mkdir(dirname(dir), 0755) != 0 && errno != EEXIST)
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
    uint8_t *data = hf_alloc(HF_KEEPER_STATE_BYTES + 1);
    ssize_t n = read(fd, data, HF_KEEPER_STATE_BYTES + 1);
    int err = errno;
    close(fd);
    const char *why = NULL;
    bool good = n >= 0 && hf_keeper_state_decode(data, (size_t)n, boot_id, ret, &why);
    free(data);
    if (n < 0)
        return hf_errno(err, "read %s", path);
    return good ? HF_STATUS_OK : hf_error(HF_CORRUPT, "%s is not used: %s", path, why);
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
    ssize_t n = write(fd, data, sizeof data);
    hf_status st = n == (ssize_t)sizeof data ? HF_STATUS_OK
                   : n < 0                   ? hf_errno(errno, "write %s", aside)
                                             : hf_error(HF_IO, "write %s: it was cut short", aside);
    close(fd);
    HF_TRY(st);
    if (rename(aside, path) != 0)
        return hf_errno(errno, "rename %s", aside);
    return HF_STATUS_OK;
}
