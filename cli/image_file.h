/* A file of this machine that is uploaded as an image: how long it is, its checksum, its parts. */
#ifndef HF_CLI_IMAGE_FILE_H
#define HF_CLI_IMAGE_FILE_H

#include <stdint.h>

#include "base/status.h"

struct cli_image_file {
    const char *path;
    int fd;
    uint64_t bytes;
    char sha256[65]; /* lower-case hex digits */
};

/* Opens it and reads it once, for its checksum. path is borrowed. */
hf_status cli_image_file_open(struct cli_image_file *f, const char *path) HF_MUST_USE;
void cli_image_file_close(struct cli_image_file *f);

/* Exactly len bytes at offset. */
hf_status cli_image_file_read(const struct cli_image_file *f, uint64_t offset, void *buf,
                              size_t len) HF_MUST_USE;

/* One line that changes, for a person who looks at a terminal; nowhere else. what: "uploads". */
void cli_show_progress(const char *what, uint64_t done_bytes, uint64_t total_bytes);
void cli_end_progress(void);

#endif
