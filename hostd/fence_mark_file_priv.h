/* A mark's file while it is open: for fence_mark_file.c, which reads it, and fence_mark_write.c. */
#ifndef HF_HOSTD_FENCE_MARK_FILE_PRIV_H
#define HF_HOSTD_FENCE_MARK_FILE_PRIV_H

#include <limits.h>

#include "hostd/fence_mark_file.h"

struct hf_mark_file {
    char path[PATH_MAX];
    int fd;
    uint8_t *block; /* aligned for O_DIRECT */
};

/* Opened anew each time: network file systems look at the server then. Never truncated: what stands there
 * stays. */
hf_status hf_mark_file_open(struct hf_mark_file *m, const char *dir, const struct hf_uuid *host,
                            uint64_t epoch) HF_MUST_USE;
void hf_mark_file_close(struct hf_mark_file *m);

#endif
