#include "hostd/storage_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "storage/layout.h"

hf_status hf_storage_file_moved(const char *dir, const char *name)
{
    return hf_error(HF_IO,
                    "%s/%s is on another file system than before, without what was written there: is the "
                    "storage still mounted?",
                    dir, name);
}

hf_status hf_storage_file_open(const char *dir, const char *name, const dev_t *made_on, int *ret_fd,
                               struct stat *ret)
{
    int folder = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return hf_errno(errno, "open %s", dir);
    bool beside = faccessat(folder, HF_STORAGE_NOT_MOUNTED, F_OK, 0) == 0;
    bool make = !made_on || (fstat(folder, ret) == 0 && ret->st_dev == *made_on);
    int how = O_RDWR | O_DIRECT | O_DSYNC | O_NOFOLLOW | O_CLOEXEC | (make ? O_CREAT : 0);
    int fd = beside ? -1 : openat(folder, name, how, 0644);
    int err = errno;
    close(folder);
    if (beside)
        return hf_error(HF_IO, "open %s/%s: the storage is not mounted there", dir, name);
    if (fd < 0)
        return !make && err == ENOENT ? hf_storage_file_moved(dir, name)
                                      : hf_errno(err, "open %s/%s past all caches", dir, name);
    if (fstat(fd, ret) != 0 || !S_ISREG(ret->st_mode)) {
        close(fd);
        return hf_error(HF_IO, "%s/%s is not a regular file", dir, name);
    }
    *ret_fd = fd;
    return HF_STATUS_OK;
}
