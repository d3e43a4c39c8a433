#include "storage/ceph_access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIELDS(X) X(mon_host) X(user) X(key) X(fsid) X(pool)

hf_status hf_ceph_access_write(const char *path, const struct hf_ceph_access *a)
{
    char aside[4096], text[HF_CEPH_ACCESS_BYTES_MAX];
    int len = 0;
#define X(field) len += snprintf(text + len, sizeof text - (size_t)len, #field "=%s\n", a->field);
    FIELDS(X)
#undef X
    if (snprintf(aside, sizeof aside, "%s.new", path) >= (int)sizeof aside)
        return hf_error(HF_INVALID, "the path '%.200s…' is too long", path);
    int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return hf_errno(errno, "make '%s'", aside);
    hf_status st = write(fd, text, (size_t)len) == len ? HF_STATUS_OK : hf_errno(errno, "write '%s'", aside);
    explicit_bzero(text, sizeof text);
    close(fd);
    if (hf_ok(st) && rename(aside, path) != 0)
        st = hf_errno(errno, "rename '%s'", aside);
    return st;
}

static bool take(const char *line, const char *name, char *out, size_t out_len)
{
    size_t n = strlen(name), len = strcspn(line, "\n");
    if (strncmp(line, name, n) != 0 || line[n] != '=' || len - n > out_len)
        return false;
    memcpy(out, line + n + 1, len - n - 1);
    out[len - n - 1] = '\0';
    return true;
}

hf_status hf_ceph_access_read(const char *path, struct hf_ceph_access *ret)
{
    char text[HF_CEPH_ACCESS_BYTES_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return hf_errno(errno, "open '%s'", path);
    ssize_t n = read(fd, text, sizeof text - 1);
    int err = errno;
    close(fd);
    if (n < 0)
        return hf_errno(err, "read '%s'", path);
    text[n] = '\0';
    *ret = (struct hf_ceph_access){0};
    for (const char *line = text; *line; line += strcspn(line, "\n") + (line[strcspn(line, "\n")] == '\n')) {
        bool known = false;
#define X(field) known |= take(line, #field, ret->field, sizeof ret->field);
        FIELDS(X)
#undef X
        if (!known)
            return hf_error(HF_CORRUPT, "'%s' does not tell how a Ceph cluster is reached", path);
    }
    explicit_bzero(text, sizeof text);
    return ret->mon_host[0] && ret->pool[0] ? HF_STATUS_OK
                                            : hf_error(HF_CORRUPT, "'%s' names no monitor or no pool", path);
}

bool hf_ceph_access_is(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}
