#include "storage/image_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "storage/file_io.h"
#include "storage/qemu_img.h"

#define INFO_MS 30000 /* qemu-img info reads a header */

static const char *const formats[] = {"qcow2", "raw"};

static const char *known_format(const char *format)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (format && strcmp(format, formats[i]) == 0)
            return formats[i];
    return NULL;
}

static void template_path(const char *root, const struct hf_uuid *image, const char *format,
                          char out[HF_STORAGE_PATH_MAX])
{
    char relative[HF_STORAGE_PATH_MAX];
    hf_layout_template(image, format, relative);
    HF_ASSERT(hf_layout_absolute(root, relative, out, HF_STORAGE_PATH_MAX));
}

hf_status hf_image_cache_find(const char *root, const struct hf_uuid *image, char path[HF_STORAGE_PATH_MAX],
                              const char **ret_format)
{
    char id[HF_UUID_STR];
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        template_path(root, image, formats[i], path);
        if (access(path, F_OK) == 0) {
            *ret_format = formats[i];
            return HF_STATUS_OK;
        }
        if (errno != ENOENT)
            return hf_errno(errno, "look for the template '%s'", path);
    }
    return hf_error(HF_NOT_FOUND, "image %s is not in the cache of '%s'", hf_uuid_format(image, id), root);
}

/* A file that is really of another format must not become a raw template: the guest would see its header. */
static hf_status refuse_disguised(const char *path)
{
    char magic[4] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return hf_errno(errno, "open '%s'", path);
    ssize_t n = read(fd, magic, sizeof magic);
    close(fd);
    if (n == 4 && memcmp(magic, "QFI\xfb", 4) == 0)
        return hf_error(HF_INVALID, "it is a qcow2 image, not a raw one");
    return HF_STATUS_OK;
}

static hf_status check_format(const char *path, const char *format, unsigned deadline_ms,
                              struct hf_image_info *ret)
{
    struct hf_qemu_img_info info = {0};
    struct stat s;
    if (strcmp(format, "raw") == 0)
        HF_TRY(refuse_disguised(path));
    HF_TRY(hf_qemu_img_info(path, format, deadline_ms < INFO_MS ? deadline_ms : INFO_MS, &info));
    hf_status st = HF_STATUS_OK;
    if (info.backing_file)
        st = hf_error(HF_INVALID, "it has a backing file, '%s': a template must stand alone",
                      info.backing_file);
    else if (!info.plain)
        st = hf_error(HF_INVALID,
                      "it is encrypted or keeps its data in another file: a template must stand alone");
    else if (info.virtual_bytes == 0)
        st = hf_error(HF_INVALID, "it is empty");
    else if (stat(path, &s) != 0)
        st = hf_errno(errno, "look at '%s'", path);
    free(info.backing_file);
    if (hf_ok(st))
        *ret = (struct hf_image_info){.file_bytes = (uint64_t)s.st_size, .virtual_bytes = info.virtual_bytes};
    return st;
}

static hf_status check_source(const struct hf_image_source *src)
{
    if (!known_format(src->format))
        return hf_error(HF_INVALID, "the format '%.32s' is neither qcow2 nor raw",
                        src->format ? src->format : "");
    if (!hf_fetch_url_ok(src->url))
        return hf_error(HF_INVALID, "the URL '%.200s' is not of http, https or file",
                        src->url ? src->url : "");
    if (!src->sha256 || strlen(src->sha256) != HF_SHA256_HEX - 1 ||
        strspn(src->sha256, "0123456789abcdefABCDEF") != HF_SHA256_HEX - 1)
        return hf_error(HF_INVALID, "the checksum is not 64 hex digits of SHA-256");
    return HF_STATUS_OK;
}

static hf_status fetch_verified(const struct hf_image_source *src, const struct hf_fetch *how, int fd,
                                const char *temp, struct hf_image_info *ret)
{
    char got[HF_SHA256_HEX];
    HF_TRY(hf_fetch(how, fd, got));
    if (strcasecmp(got, src->sha256) != 0)
        return hf_error(HF_INVALID, "the file at '%s' has the checksum %s, not %s", src->url, got,
                        src->sha256);
    HF_TRY(check_format(temp, src->format, how->deadline_ms, ret));
    if (fchmod(fd, 0444) != 0)
        return hf_errno(errno, "make '%s' read-only", temp);
    return HF_STATUS_OK;
}

static hf_status fetch_to(const struct hf_image_cache *c, const struct hf_image_source *src,
                          const struct hf_fetch *how, const char *path, struct hf_image_info *ret)
{
    char temp[HF_STORAGE_PATH_MAX];
    HF_TRY(hf_make_parents(c->root, path));
    HF_TRY(hf_temp_name(path, temp));
    int fd = open(temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return hf_errno(errno, "make the file '%s'", temp);
    hf_remove_stale_temps(path, temp);
    hf_status st = fetch_verified(src, how, fd, temp, ret);
    close(fd);
    if (hf_ok(st))
        st = hf_publish_file(temp, path);
    unlink(temp);
    if (hf_status_code(st) == HF_EXISTS) {
        hf_status_drop(st); /* another host was faster */
        return check_format(path, src->format, how->deadline_ms, ret);
    }
    return st;
}

static hf_status have(const struct hf_image_cache *c, const struct hf_image_source *src,
                      const struct hf_fetch *how, struct hf_image_info *ret)
{
    char path[HF_STORAGE_PATH_MAX];
    struct hf_capacity room;
    struct hf_fetch f = *how;
    HF_TRY(check_source(src));
    template_path(c->root, &src->uuid, src->format, path);
    if (access(path, F_OK) == 0)
        return check_format(path, src->format, how->deadline_ms, ret);
    HF_TRY(hf_read_capacity(c->root, &room));
    f.url = src->url;
    f.room_bytes = room.available_bytes > c->reserved_bytes ? room.available_bytes - c->reserved_bytes : 0;
    return fetch_to(c, src, &f, path, ret);
}

hf_status hf_image_cache_have(const struct hf_image_cache *c, const struct hf_image_source *src,
                              const struct hf_fetch *how, struct hf_image_info *ret)
{
    char id[HF_UUID_STR];
    return hf_wrap(have(c, src, how, ret), "image %s", hf_uuid_format(&src->uuid, id));
}
