#include "control/upload_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"

#define CHECK_BYTES ((size_t)1 << 20) /* read at once */

static hf_status write_all(int fd, const uint8_t *data, size_t len, uint64_t offset)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, data, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return hf_errno(n < 0 ? errno : ENOSPC, "write it");
        data += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return HF_STATUS_OK;
}

/* Asks for room and takes it at once for all of the file, so that several uploads do not count on the same.
 */
static hf_status take_room(const struct hf_upload_part *part, int fd)
{
    struct statvfs v;
    if (fstatvfs(fd, &v) != 0)
        return hf_errno(errno, "ask for the room there");
    uint64_t room = (uint64_t)v.f_bavail * v.f_frsize;
    if (room < part->total_bytes + part->room_kept)
        return hf_error(HF_EXHAUSTED,
                        "there are %" PRIu64 " bytes of room, and it needs %" PRIu64 ", with %" PRIu64
                        " to be left free: make room on this control node",
                        room, part->total_bytes, part->room_kept);
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)part->total_bytes) != 0 && errno != EOPNOTSUPP)
        return hf_errno(errno, "take room for it");
    return HF_STATUS_OK;
}

/* The folder is made when its first file is. */
static hf_status make_folder(const char *path)
{
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return hf_errno(errno, "make the folder '%s'", dir);
    return HF_STATUS_OK;
}

hf_status hf_upload_disk_write(const char *path, const struct hf_upload_part *part)
{
    bool first = part->offset == 0;
    HF_TRY(first ? make_folder(path) : HF_STATUS_OK);
    int fd = open(path, O_WRONLY | O_CLOEXEC | (first ? O_CREAT | O_TRUNC : 0), 0600);
    if (fd < 0)
        return hf_errno(errno, "open '%s'", path);
    hf_status st = first ? take_room(part, fd) : HF_STATUS_OK;
    if (hf_ok(st))
        st = write_all(fd, part->data, part->len, part->offset);
    if (!hf_ok(st) && first)
        unlink(path); /* its room is free again */
    else if (!hf_ok(st) && ftruncate(fd, (off_t)part->offset) != 0)
        hf_warn("cut '%s' back to what was there: %s", path, strerror(errno));
    else /* written behind soon: no flood of it waits in memory when the log is to be synced */
        sync_file_range(fd, (off_t)part->offset, (off_t)part->len, SYNC_FILE_RANGE_WRITE);
    close(fd);
    return st;
}

static hf_status hash_file(const char *path, int fd, EVP_MD_CTX *hash, bool (*stop)(void *arg), void *arg)
{
    uint8_t *buf = hf_alloc(CHECK_BYTES);
    hf_status st = HF_STATUS_OK;
    for (uint64_t at = 0; hf_ok(st);) {
        ssize_t n = pread(fd, buf, CHECK_BYTES, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            break;
        if (n < 0)
            st = hf_errno(errno, "read '%s'", path);
        else if (stop(arg))
            st = hf_error(HF_UNAVAILABLE, "the check of '%s' was broken off", path);
        else
            HF_ASSERT(EVP_DigestUpdate(hash, buf, (size_t)n) == 1);
        at += n > 0 ? (uint64_t)n : 0;
    }
    free(buf);
    return st;
}

static hf_status compare_hash(const char *path, const char *sha256, EVP_MD_CTX *hash)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned n = 0;
    HF_ASSERT(EVP_DigestFinal_ex(hash, digest, &n) == 1);
    for (unsigned i = 0; i < n; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    if (strcmp(hex, sha256) == 0)
        return HF_STATUS_OK;
    unlink(path);
    return hf_error(
        HF_INVALID,
        "what has arrived has the checksum %s, not %s: the file was changed meanwhile, or damaged "
        "on its way; it was thrown away, upload it again",
        hex, sha256);
}

hf_status hf_upload_disk_check(const char *path, const char *sha256, bool (*stop)(void *arg), void *arg)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return hf_errno(errno, "open '%s'", path);
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    HF_ASSERT(hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1);
    hf_status st = fsync(fd) == 0 ? HF_STATUS_OK : hf_errno(errno, "write '%s' to the disk", path);
    if (hf_ok(st))
        st = hash_file(path, fd, hash, stop, arg);
    if (hf_ok(st))
        st = compare_hash(path, sha256, hash);
    EVP_MD_CTX_free(hash);
    close(fd);
    return st;
}

hf_status hf_upload_disk_read(const char *path, uint64_t offset, uint8_t *buf, size_t room, size_t *ret_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return hf_errno(errno, "open '%s'", path);
    hf_status st = HF_STATUS_OK;
    size_t len = 0;
    while (len < room) {
        ssize_t n = pread(fd, buf + len, room - len, (off_t)(offset + len));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            st = hf_errno(errno, "read '%s'", path);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    close(fd);
    *ret_len = len;
    return st;
}

hf_status hf_upload_disk_remove(const char *path)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return hf_errno(errno, "remove '%s'", path);
    return HF_STATUS_OK;
}
