#include "hostd/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "base/mem.h"
#include "ha/lease_record.h"

/* The file: three lines, the last one a check of the two before. */
#define HEAD       "holdfast host 1\n"
#define FILE_MAX   512
#define SECRET_HEX (2 * HF_IDENTITY_SECRET)

static void hex(const uint8_t *bytes, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static bool unhex(const char *text, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned value;
        char two[3] = {text[2 * i], text[2 * i + 1], 0};
        if (strspn(two, "0123456789abcdef") != 2 || sscanf(two, "%2x", &value) != 1)
            return false;
        out[i] = (uint8_t)value;
    }
    return true;
}

static char *format(const struct hf_identity *id)
{
    char uuid[HF_UUID_STR], secret[SECRET_HEX + 1];
    hex(id->secret, HF_IDENTITY_SECRET, secret);
    char *body = hf_printf(HEAD "uuid %s\nsecret %s\n", hf_uuid_format(&id->uuid, uuid), secret);
    char *text = hf_printf("%scheck %08x\n", body, hf_crc32c(0, body, strlen(body)));
    free(body);
    return text;
}

static bool parse(const char *text, struct hf_identity *ret)
{
    char uuid[HF_UUID_STR], secret[SECRET_HEX + 1];
    if (sscanf(text, HEAD "uuid %32s secret %64s", uuid, secret) != 2)
        return false;
    if (!hf_uuid_parse(uuid, &ret->uuid) || strlen(secret) != SECRET_HEX ||
        !unhex(secret, ret->secret, HF_IDENTITY_SECRET))
        return false;
    char *again = format(ret); /* every byte of the file is accounted for */
    bool same = strcmp(again, text) == 0;
    free(again);
    return same;
}

static hf_status read_file(const char *path, int fd, struct hf_identity *ret)
{
    char text[FILE_MAX + 1];
    struct stat s;
    if (fstat(fd, &s) != 0)
        return hf_errno(errno, "identity file %s", path);
    if (s.st_mode & (S_IRWXG | S_IRWXO))
        return hf_error(
            HF_DENIED,
            "identity file %s can be read by others than its owner: it holds this host's secret. If nobody "
            "has copied it, give it back with chmod 600",
            path);
    ssize_t n = read(fd, text, FILE_MAX);
    if (n < 0)
        return hf_errno(errno, "read identity file %s", path);
    text[n] = 0;
    if (strlen(text) != (size_t)n || !parse(text, ret))
        return hf_error(
            HF_CORRUPT,
            "identity file %s is damaged: restore it from a backup. Without one, delete this host from the "
            "cloud, remove the file, and add the host anew under the UUID that it then makes",
            path);
    return HF_STATUS_OK;
}

static hf_status sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        hf_status st = hf_errno(errno, "sync directory %s", dir);
        if (fd >= 0)
            close(fd);
        return st;
    }
    close(fd);
    return HF_STATUS_OK;
}

static hf_status write_file(const char *dir, const char *path, const char *text)
{
    char *temporary = hf_printf("%s.new", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t len = strlen(text);
    hf_status st = HF_STATUS_OK;
    if (fd < 0 || fchmod(fd, 0600) != 0 || write(fd, text, len) != (ssize_t)len || fsync(fd) != 0)
        st = hf_errno(errno, "write identity file %s", temporary);
    if (fd >= 0)
        close(fd);
    if (hf_ok(st) && rename(temporary, path) != 0)
        st = hf_errno(errno, "rename identity file to %s", path);
    if (hf_ok(st))
        st = sync_dir(dir);
    free(temporary);
    return st;
}

static hf_status make(struct hf_env *env, const char *dir, const char *path, struct hf_identity *ret)
{
    struct hf_identity id;
    char uuid[HF_UUID_STR];
    id.uuid = hf_uuid_new(env);
    if (getrandom(id.secret, sizeof id.secret, 0) != (ssize_t)sizeof id.secret)
        return hf_errno(errno, "draw the secret of this host");
    char *text = format(&id);
    hf_status st = write_file(dir, path, text);
    explicit_bzero(text, strlen(text));
    free(text);
    HF_TRY(st);
    hf_info("this host is now %s (%s)", hf_uuid_format(&id.uuid, uuid), path);
    *ret = id;
    return HF_STATUS_OK;
}

hf_status hf_identity_load(struct hf_env *env, const char *state_dir, struct hf_identity *ret)
{
    char path[PATH_MAX];
    if (mkdir(state_dir, 0700) != 0 && errno != EEXIST)
        return hf_errno(errno, "make state directory %s", state_dir);
    if ((size_t)snprintf(path, sizeof path, "%s/identity", state_dir) >= sizeof path)
        return hf_error(HF_INVALID, "state directory %s: the path is too long", state_dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return make(env, state_dir, path, ret);
    if (fd < 0)
        return hf_errno(errno, "open identity file %s", path);
    hf_status st = read_file(path, fd, ret);
    close(fd);
    return st;
}
