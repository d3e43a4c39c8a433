/* The files of upload_spool.h on their disk. Each call blocks. */
#ifndef HF_CONTROL_UPLOAD_DISK_H
#define HF_CONTROL_UPLOAD_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* A part of a file, behind what is there of it. */
struct hf_upload_part {
    uint64_t offset; /* 0: the file is made, and room is taken for all of it */
    const uint8_t *data;
    size_t len;
    uint64_t total_bytes; /* of the file */
    uint64_t room_kept;   /* to be left free on the disk */
};

/* When it fails nothing of the part is there. */
hf_status hf_upload_disk_write(const char *path, const struct hf_upload_part *part) HF_MUST_USE;

/* All of it is on the disk and has this checksum. INVALID: it has another one, and is removed. stop is asked
 * now and then: true ends it with UNAVAILABLE. */
hf_status hf_upload_disk_check(const char *path, const char *sha256, bool (*stop)(void *arg),
                               void *arg) HF_MUST_USE;

/* What is there from offset on, not more than room. */
hf_status hf_upload_disk_read(const char *path, uint64_t offset, uint8_t *buf, size_t room,
                              size_t *ret_len) HF_MUST_USE;

hf_status hf_upload_disk_remove(const char *path) HF_MUST_USE; /* OK when it was not there */

#endif
