#include "hostd/fence_mark_file_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "hostd/storage_file.h"

static void path_of(const char *dir, const struct hf_uuid *host, uint64_t epoch, char path[PATH_MAX])
{
    char name[HF_FENCE_MARK_NAME_MAX];
    snprintf(path, PATH_MAX, "%s/%s", dir, hf_fence_mark_name(host, epoch, name));
}

hf_status hf_mark_file_open(struct hf_mark_file *m, const char *dir, const struct hf_uuid *host,
                            uint64_t epoch)
{
    struct stat s;
    char name[HF_FENCE_MARK_NAME_MAX];
    path_of(dir, host, epoch, m->path);
    HF_TRY(hf_storage_file_open(dir, hf_fence_mark_name(host, epoch, name), NULL, &m->fd, &s));
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

void hf_mark_file_close(struct hf_mark_file *m)
{
    close(m->fd);
    free(m->block);
}

hf_status hf_fence_mark_read(const char *dir, const struct hf_uuid *host, uint64_t epoch, bool *ret_marked)
{
    struct hf_mark_file m;
    HF_TRY(hf_mark_file_open(&m, dir, host, epoch));
    ssize_t n = pread(m.fd, m.block, HF_FENCE_MARK_BYTES, 0);
    hf_status st = n < 0 ? hf_errno(errno, "read fence mark %s", m.path) : HF_STATUS_OK;
    if (n >= 0)
        *ret_marked = hf_fence_mark_is_set(m.block, (size_t)n);
    hf_mark_file_close(&m);
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
