#include "storage/qemu_img.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/run_command.h"

static hf_status read_info(const char *path, const char *text, struct hf_qemu_img_info *ret)
{
    json_error_t error;
    json_t *root = json_loads(text, 0, &error);
    if (!root)
        return hf_error(HF_INTERNAL, "qemu-img info '%s': its answer is not JSON: %s", path, error.text);
    json_t *size = json_object_get(root, "virtual-size");
    json_t *data = json_object_get(json_object_get(root, "format-specific"), "data");
    hf_status st = HF_STATUS_OK;
    if (!json_is_integer(size) || json_integer_value(size) < 0)
        st = hf_error(HF_INTERNAL, "qemu-img info '%s': its answer has no virtual size", path);
    else if (json_is_true(json_object_get(data, "corrupt")))
        st = hf_error(HF_INVALID, "'%s' is marked as corrupt", path);
    if (hf_ok(st)) {
        ret->virtual_bytes = (uint64_t)json_integer_value(size);
        ret->backing_file = hf_strdup(json_string_value(json_object_get(root, "backing-filename")));
        ret->plain = !json_is_true(json_object_get(root, "encrypted")) && !json_object_get(data, "data-file");
    }
    json_decref(root);
    return st;
}

hf_status hf_qemu_img_info(const char *path, const char *format, unsigned deadline_ms,
                           struct hf_qemu_img_info *ret)
{
    const char *argv[] = {"qemu-img", "info", "-U", "--output=json", "-f", format, path, NULL};
    char *text = NULL;
    hf_status st = hf_run_command(argv, deadline_ms, &text);
    if (hf_status_code(st) == HF_INTERNAL) {
        hf_status invalid = hf_error(HF_INVALID, "not a %s image: %s", format, hf_status_message(st));
        hf_status_drop(st);
        return invalid;
    }
    if (!hf_ok(st))
        return st;
    st = read_info(path, text, ret);
    free(text);
    return st;
}

/* qemu-img tells a full disk only in words. Takes st. */
static hf_status full_or_broken(const char *verb, hf_status st)
{
    if (hf_status_code(st) != HF_INTERNAL)
        return st;
    hf_status said = hf_error(strstr(hf_status_message(st), "No space left") ? HF_EXHAUSTED : HF_IO,
                              "qemu-img %s: %s", verb, hf_status_message(st));
    hf_status_drop(st);
    return said;
}

hf_status hf_qemu_img_create(const char *path, const char *backing, const char *backing_format,
                             uint64_t size_bytes, unsigned deadline_ms)
{
    char size[32];
    const char *argv[16] = {"qemu-img", "create", "-q", "-f", "qcow2"};
    size_t n = 5;
    if (backing) {
        argv[n++] = "-b";
        argv[n++] = backing;
        argv[n++] = "-F";
        argv[n++] = backing_format;
    }
    argv[n++] = path;
    if (size_bytes > 0) {
        snprintf(size, sizeof size, "%" PRIu64, size_bytes);
        argv[n++] = size;
    }
    return full_or_broken("create", hf_run_command(argv, deadline_ms, NULL));
}

hf_status hf_qemu_img_grow(const char *path, const char *format, uint64_t size_bytes, unsigned deadline_ms)
{
    char size[32];
    const char *argv[] = {"qemu-img", "resize", "-q", "-f", format, path, size, NULL};
    snprintf(size, sizeof size, "%" PRIu64, size_bytes);
    return full_or_broken("resize", hf_run_command(argv, deadline_ms, NULL));
}

hf_status hf_qemu_img_to_raw(const char *path, const char *format, const char *raw, unsigned deadline_ms)
{
    const char *argv[] = {"qemu-img", "convert", "-q", "-f", format, "-O", "raw", path, raw, NULL};
    return full_or_broken("convert", hf_run_command(argv, deadline_ms, NULL));
}
