#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "consensus/codec.h"
#include "consensus/raft_private.h"

#define IDENTITY_MAX 512
#define ADDRESS_MAX  255
#define FLOOR_BYTES  16 /* index, CRC-32C of it, zero */

static hf_status make_directory(const char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return HF_STATUS_OK;
    int err = errno;
    if (err == ENOENT)
        return hf_error(HF_NOT_FOUND, "make data directory '%s': its parent does not exist; create it first",
                        path);
    return hf_errno(err, "make data directory '%s'", path);
}

static hf_status lock_directory(const char *path, int *ret_fd)
{
    char file[PATH_MAX];
    snprintf(file, sizeof file, "%s/lock", path);
    int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        int err = errno;
        return hf_errno(err, "open '%s' (is the data directory writable for this user?)", file);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int err = errno;
        char pid[32] = "";
        ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
        pid[n > 0 ? strcspn(pid, "\n") : 0] = 0;
        close(fd);
        if (err == EWOULDBLOCK)
            return hf_error(
                HF_PRECONDITION,
                "data directory '%s' is in use by process %s: stop it, or choose another directory", path,
                pid);
        return hf_errno(err, "lock '%s'", file);
    }
    char pid[32];
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n) {
        int err = errno;
        close(fd);
        return hf_errno(err, "write '%s'", file);
    }
    *ret_fd = fd;
    return HF_STATUS_OK;
}

static bool has_file(const char *path, const char *name)
{
    char file[PATH_MAX];
    snprintf(file, sizeof file, "%s/%s", path, name);
    return access(file, F_OK) == 0;
}

static bool has_raft_state(const char *path)
{
    return has_file(path, "metadata1") || has_file(path, "metadata2");
}

/* Whole or not at all: a new file takes the place of the old one. */
static hf_status write_identity(const struct hf_raft_dir *d, const char *state)
{
    char file[PATH_MAX], fresh[PATH_MAX + 8], text[IDENTITY_MAX];
    snprintf(file, sizeof file, "%s/identity", d->path);
    snprintf(fresh, sizeof fresh, "%s.new", file);
    int len = snprintf(text, sizeof text, "holdfast-member 1\nid %llu\naddress %s\nstate %s\n",
                       (unsigned long long)d->id, d->address, state);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool written = fd >= 0 && write(fd, text, (size_t)len) == len && fsync(fd) == 0;
    int err = errno;
    if (fd >= 0)
        close(fd);
    if (!written)
        return hf_errno(err, "write '%s'", fresh);
    if (rename(fresh, file) != 0) {
        err = errno;
        return hf_errno(err, "rename '%s'", fresh);
    }
    int dir = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0) {
        fsync(dir);
        close(dir);
    }
    return HF_STATUS_OK;
}

static hf_status first_use(struct hf_raft_dir *d)
{
    if (has_raft_state(d->path))
        return hf_raft_dir_damaged(d, "it holds Raft state but no 'identity' file that says whose");
    d->is_new = true;
    return write_identity(d, d->joining ? "joining" : "new");
}

static hf_status check_identity(struct hf_raft_dir *d)
{
    char file[PATH_MAX], text[IDENTITY_MAX + 1] = "", address[ADDRESS_MAX + 1], state[16];
    unsigned long long id;
    snprintf(file, sizeof file, "%s/identity", d->path);
    FILE *f = fopen(file, "re");
    if (f == NULL && errno == ENOENT)
        return first_use(d);
    if (f == NULL) {
        int err = errno;
        return hf_errno(err, "open '%s'", file);
    }
    size_t n = fread(text, 1, IDENTITY_MAX, f);
    fclose(f);
    text[n] = 0;
    if (sscanf(text, "holdfast-member 1\nid %llu\naddress %255s\nstate %15s\n", &id, address, state) != 3)
        return hf_raft_dir_damaged(d, "its 'identity' file is unreadable");
    if (id != d->id)
        return hf_error(
            HF_PRECONDITION,
            "data directory '%s' belongs to member %llu (%s), this node is member %llu: give it that id, or "
            "another directory",
            d->path, id, address, (unsigned long long)d->id);
    if (strcmp(address, d->address) != 0)
        return hf_error(
            HF_PRECONDITION,
            "data directory '%s' belongs to member %llu at %s, this node's address is %s: the other members "
            "know the old one. Give it back, or remove the member and join as a new one",
            d->path, id, address, d->address);
    d->joining = strcmp(state, "joining") == 0;
    d->is_new = d->joining || strcmp(state, "new") == 0;
    if (!d->is_new && !has_raft_state(d->path))
        return hf_raft_dir_damaged(d, "its Raft metadata is missing");
    return HF_STATUS_OK;
}

static hf_status open_floor(struct hf_raft_dir *d)
{
    char file[PATH_MAX];
    uint8_t b[FLOOR_BYTES];
    snprintf(file, sizeof file, "%s/floor", d->path);
    d->floor_fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->floor_fd < 0) {
        int err = errno;
        return hf_errno(err, "open '%s'", file);
    }
    /* A torn write leaves a wrong sum: the floor is then unknown, which is only less protection. */
    if (pread(d->floor_fd, b, sizeof b, 0) == sizeof b && hf_get32(b + 8) == hf_crc32c(0, b, 8))
        d->floor = hf_get64(b);
    return HF_STATUS_OK;
}

hf_status hf_raft_dir_open(const char *path, uint64_t id, const char *address, bool join,
                           struct hf_raft_dir *ret)
{
    HF_ASSERT(id != 0);
    if (strlen(path) + 16 > PATH_MAX || strlen(address) > ADDRESS_MAX || strpbrk(address, " \n\t") != NULL)
        return hf_error(HF_INVALID, "data directory '%s' or address '%s' is too long or malformed", path,
                        address);
    HF_TRY(make_directory(path));
    struct hf_raft_dir d = {.id = id, .joining = join, .lock_fd = -1, .floor_fd = -1};
    HF_TRY(lock_directory(path, &d.lock_fd));
    d.path = hf_strdup(path);
    d.address = hf_strdup(address);
    hf_status st = check_identity(&d);
    if (hf_ok(st))
        st = open_floor(&d);
    if (!hf_ok(st)) {
        hf_raft_dir_close(&d);
        return st;
    }
    *ret = d;
    return HF_STATUS_OK;
}

void hf_raft_dir_close(struct hf_raft_dir *d)
{
    if (d->floor_fd >= 0)
        close(d->floor_fd);
    if (d->lock_fd >= 0)
        close(d->lock_fd);
    free(d->path);
    free(d->address);
    *d = (struct hf_raft_dir){.lock_fd = -1, .floor_fd = -1};
}

hf_status hf_raft_dir_mark_used(struct hf_raft_dir *d)
{
    if (d->is_new) {
        HF_TRY(write_identity(d, "used"));
        d->is_new = false;
    }
    return HF_STATUS_OK;
}

/* Not synced: what matters is that it never says more than what is on the disk. The kernel writes it in time.
 */
void hf_raft_dir_raise_floor(struct hf_raft_dir *d, uint64_t index)
{
    if (index <= d->floor)
        return;
    uint8_t b[FLOOR_BYTES] = {0};
    hf_put64(b, index);
    hf_put32(b + 8, hf_crc32c(0, b, 8));
    if (pwrite(d->floor_fd, b, sizeof b, 0) == sizeof b)
        d->floor = index;
}

hf_status hf_raft_dir_damaged(const struct hf_raft_dir *d, const char *what)
{
    return hf_error(HF_CORRUPT,
                    "data directory '%s' is damaged: %s. A member that has lost what it acknowledged must "
                    "not vote. Replace "
                    "it: remove member %llu on a healthy leader, move the directory away, and start this "
                    "node with an empty "
                    "one, under a new member id, joining the cluster",
                    d->path, what, (unsigned long long)d->id);
}

hf_status hf_raft_dir_free_bytes(const char *path, uint64_t *ret)
{
    struct statvfs s;
    if (statvfs(path, &s) != 0) {
        int err = errno;
        return hf_errno(err, "read the free space of '%s'", path);
    }
    *ret = (uint64_t)s.f_bavail * s.f_frsize;
    return HF_STATUS_OK;
}
