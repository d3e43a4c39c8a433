#include "hostd/fence_mark_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "storage/layout.h"

struct mark_file {
    char path[PATH_MAX];
    int fd;
    uint8_t *block; /* aligned for O_DIRECT */
};

static void path_of(const char *dir, const struct hf_uuid *host, uint64_t epoch, char path[PATH_MAX])
{
    char name[HF_FENCE_MARK_NAME_MAX];
    snprintf(path, PATH_MAX, "%s/%s", dir, hf_fence_mark_name(host, epoch, name));
}

/* Never beside a storage that is not mounted. All in one folder, whatever is mounted over it meanwhile. */
static hf_status open_in_folder(struct mark_file *m, const char *dir)
{
    int folder = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return hf_errno(errno, "open %s", dir);
    bool beside = faccessat(folder, HF_STORAGE_NOT_MOUNTED, F_OK, 0) == 0;
    m->fd = beside ? -1
                   : openat(folder, strrchr(m->path, '/') + 1,
                            O_RDWR | O_CREAT | O_DIRECT | O_DSYNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    int err = errno;
    close(folder);
    if (beside)
        return hf_error(HF_IO, "fence mark %s: the storage is not mounted there", m->path);
    return m->fd >= 0 ? HF_STATUS_OK : hf_errno(err, "open fence mark %s past all caches", m->path);
}

/* Opened anew each time: network file systems look at the server then. Never truncated: what stands there
 * stays. */
static hf_status open_mark(struct mark_file *m, const char *dir, const struct hf_uuid *host, uint64_t epoch)
{
    struct stat s;
    path_of(dir, host, epoch, m->path);
    HF_TRY(open_in_folder(m, dir));
    if (fstat(m->fd, &s) != 0 || !S_ISREG(s.st_mode)) {
        close(m->fd);
        return hf_error(HF_IO, "fence mark %s is not a regular file", m->path);
    }
    /* Both ways to make room leave bytes alone that another host writes at this moment. */
    if (s.st_size < HF_FENCE_MARK_BYTES && fallocate(m->fd, 0, 0, HF_FENCE_MARK_BYTES) != 0 &&
        ftruncate(m->fd, HF_FENCE_MARK_BYTES) != 0) {
        hf_status st = hf_errno(errno, "make room for fence mark %s", m->path);
        close(m->fd);
        return st;
    }
    m->block = aligned_alloc(HF_FENCE_MARK_BYTES, HF_FENCE_MARK_BYTES);
    HF_ASSERT(m->block);
    return HF_STATUS_OK;
}

static void close_mark(struct mark_file *m)
{
    close(m->fd);
    free(m->block);
}

hf_status hf_fence_mark_write(const char *dir, const struct hf_uuid *host, uint64_t epoch)
{
    struct mark_file m;
    HF_TRY(open_mark(&m, dir, host, epoch));
    hf_fence_mark_encode(host, epoch, m.block);
    ssize_t n = pwrite(m.fd, m.block, HF_FENCE_MARK_BYTES, 0);
    hf_status st = n < 0 ? hf_errno(errno, "write fence mark %s", m.path)
                   : n < HF_FENCE_MARK_BYTES
                       ? hf_error(HF_IO, "write fence mark %s: it was cut short", m.path)
                       : HF_STATUS_OK;
    close_mark(&m);
    return st;
}

hf_status hf_fence_mark_read(const char *dir, const struct hf_uuid *host, uint64_t epoch, bool *ret_marked)
{
    struct mark_file m;
    HF_TRY(open_mark(&m, dir, host, epoch));
    ssize_t n = pread(m.fd, m.block, HF_FENCE_MARK_BYTES, 0);
    hf_status st = n < 0 ? hf_errno(errno, "read fence mark %s", m.path) : HF_STATUS_OK;
    if (n >= 0)
        *ret_marked = hf_fence_mark_is_set(m.block, (size_t)n);
    close_mark(&m);
    return st;
}

void hf_fence_mark_forget_before(const char *dir, const struct hf_uuid *host, uint64_t epoch)
{
    char path[PATH_MAX];
    for (uint64_t e = epoch - 1; e > 0 && epoch - e <= HF_FENCE_MARKS_KEPT_MAX; e--) {
        path_of(dir, host, e, path);
        (void)unlink(path); /* most of them were never made */
    }
}
