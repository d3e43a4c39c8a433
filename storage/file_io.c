#include "storage/file_io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/assert.h"

#define TEMP_MARK    ".tmp-"
#define TEMP_STALE_S 3600
#define PROBE_BYTES  4096 /* also its alignment, for O_DIRECT */

static hf_status sync_path(const char *path, int flags)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0)
        return hf_errno(errno, "open '%s'", path);
    hf_status st = fsync(fd) == 0 ? HF_STATUS_OK : hf_errno(errno, "sync '%s'", path);
    close(fd);
    return st;
}

/* Cuts path to its folder; false at root. */
static bool to_parent(const char *root, char *path)
{
    char *slash = strrchr(path, '/');
    HF_ASSERT(slash);
    if ((size_t)(slash - path) <= strlen(root))
        return false;
    *slash = '\0';
    return true;
}

static hf_status sync_parent(const char *path)
{
    char parent[HF_STORAGE_PATH_MAX];
    snprintf(parent, sizeof parent, "%s", path);
    *strrchr(parent, '/') = '\0';
    return sync_path(parent, O_DIRECTORY);
}

hf_status hf_root_is_mounted(const char *root)
{
    char path[HF_STORAGE_PATH_MAX + sizeof HF_STORAGE_NOT_MOUNTED];
    snprintf(path, sizeof path, "%s/" HF_STORAGE_NOT_MOUNTED, root);
    if (access(path, F_OK) != 0)
        return HF_STATUS_OK;
    return hf_error(HF_PRECONDITION, "the storage is not mounted at '%s'", root);
}

hf_status hf_make_parents(const char *root, const char *path)
{
    char part[HF_STORAGE_PATH_MAX];
    size_t root_len = strlen(root);
    HF_TRY(hf_root_is_mounted(root));
    HF_ASSERT(strncmp(path, root, root_len) == 0 && path[root_len] == '/' && strlen(path) < sizeof part);
    for (const char *slash = strchr(path + root_len + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        if (mkdir(part, 0755) == 0)
            HF_TRY(sync_parent(part));
        else if (errno != EEXIST)
            return hf_errno(errno, "make the folder '%s'", part);
    }
    return HF_STATUS_OK;
}

hf_status hf_temp_name(const char *path, char out[HF_STORAGE_PATH_MAX])
{
    uint64_t random;
    HF_ASSERT(getrandom(&random, sizeof random, 0) == (ssize_t)sizeof random);
    int n = snprintf(out, HF_STORAGE_PATH_MAX, "%s" TEMP_MARK "%016" PRIx64, path, random);
    if (n >= HF_STORAGE_PATH_MAX)
        return hf_error(HF_INVALID, "the path '%.200s…' is too long", path);
    return HF_STATUS_OK;
}

/* Some file systems (FUSE, NFS) know no RENAME_NOREPLACE; there the hosts' own order (one placement at a
 * time, templates that are all alike) has to do. */
static int rename_new(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
    if (access(to, F_OK) == 0)
        return EEXIST;
    return rename(from, to) == 0 ? 0 : errno;
}

hf_status hf_publish_file(const char *temp, const char *path)
{
    HF_TRY(sync_path(temp, 0));
    int err = rename_new(temp, path);
    if (err != 0)
        return hf_errno(err, "name '%s'", path);
    return sync_parent(path);
}

void hf_remove_stale_temps(const char *path, const char *now)
{
    struct stat here, s;
    char folder[HF_STORAGE_PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    *slash = '\0';
    const char *name = slash + 1;
    DIR *dir = stat(now, &here) == 0 ? opendir(folder) : NULL;
    if (!dir)
        return;
    struct dirent *e;
    while ((e = readdir(dir)) != NULL) {
        if (strncmp(e->d_name, name, strlen(name)) != 0 ||
            strncmp(e->d_name + strlen(name), TEMP_MARK, strlen(TEMP_MARK)) != 0)
            continue;
        if (fstatat(dirfd(dir), e->d_name, &s, AT_SYMLINK_NOFOLLOW) == 0 &&
            s.st_mtime < here.st_mtime - TEMP_STALE_S)
            unlinkat(dirfd(dir), e->d_name, 0);
    }
    closedir(dir);
}

hf_status hf_remove_file(const char *root, const char *path)
{
    char folder[HF_STORAGE_PATH_MAX];
    HF_TRY(hf_root_is_mounted(root));
    if (unlink(path) != 0 && errno != ENOENT)
        return hf_errno(errno, "delete '%s'", path);
    snprintf(folder, sizeof folder, "%s", path);
    while (to_parent(root, folder)) {
        if (rmdir(folder) != 0 && errno != ENOENT)
            break; /* not empty, most often; a folder too many does no harm */
    }
    return HF_STATUS_OK;
}

hf_status hf_read_capacity(const char *root, struct hf_capacity *ret)
{
    struct statvfs v;
    if (statvfs(root, &v) != 0)
        return hf_errno(errno, "read the capacity of '%s'", root);
    ret->total_bytes = (uint64_t)v.f_blocks * v.f_frsize;
    ret->available_bytes = (uint64_t)v.f_bavail * v.f_frsize;
    return HF_STATUS_OK;
}

/* Past the page cache where the file system allows it. */
static int open_direct(const char *path, int flags)
{
    int fd = open(path, flags | O_DIRECT | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EINVAL)
        fd = open(path, flags | O_CLOEXEC, 0600);
    return fd;
}

static hf_status write_probe(const char *path, const void *data)
{
    int fd = open_direct(path, O_WRONLY | O_CREAT | O_EXCL | O_SYNC);
    if (fd < 0)
        return hf_errno(errno, "make the file '%s'", path);
    ssize_t n = write(fd, data, PROBE_BYTES);
    hf_status st = HF_STATUS_OK;
    if (n != PROBE_BYTES)
        st = hf_errno(n < 0 ? errno : ENOSPC, "write the file '%s'", path);
    else if (fsync(fd) != 0)
        st = hf_errno(errno, "sync the file '%s'", path);
    close(fd);
    return st;
}

static hf_status read_probe(const char *path, const void *data, void *again)
{
    int fd = open_direct(path, O_RDONLY);
    if (fd < 0)
        return hf_errno(errno, "open the file '%s'", path);
    ssize_t n = read(fd, again, PROBE_BYTES);
    hf_status st = HF_STATUS_OK;
    if (n < 0)
        st = hf_errno(errno, "read the file '%s'", path);
    else if (n != PROBE_BYTES || memcmp(data, again, PROBE_BYTES) != 0)
        st = hf_error(HF_CORRUPT, "the file '%s' does not read back as written", path);
    close(fd);
    return st;
}

hf_status hf_probe_folder(const char *root)
{
    char at[HF_STORAGE_PATH_MAX], path[HF_STORAGE_PATH_MAX];
    struct stat s;
    if (stat(root, &s) != 0 && errno == ENOENT)
        return hf_error(HF_NOT_FOUND, "the folder '%s' does not exist on this host: make or mount it", root);
    if (stat(root, &s) != 0)
        return hf_errno(errno, "look at the folder '%s'", root);
    if (!S_ISDIR(s.st_mode))
        return hf_error(HF_PRECONDITION, "'%s' is not a folder", root);
    HF_TRY(hf_root_is_mounted(root));
    snprintf(at, sizeof at, "%s/.holdfast-probe", root);
    HF_TRY(hf_temp_name(at, path));
    unsigned char *data = NULL, *again = NULL;
    HF_ASSERT(posix_memalign((void **)&data, PROBE_BYTES, PROBE_BYTES) == 0);
    HF_ASSERT(posix_memalign((void **)&again, PROBE_BYTES, PROBE_BYTES) == 0);
    HF_ASSERT(getrandom(data, 256, 0) == 256);
    memset(data + 256, 0x5a, PROBE_BYTES - 256);
    hf_status st = write_probe(path, data);
    if (hf_ok(st))
        st = read_probe(path, data, again);
    unlink(path);
    hf_remove_stale_temps(at, root);
    free(data);
    free(again);
    return hf_wrap(st, "the folder '%s' is not writable", root);
}
