/* Downloads one file and hashes it on the way. Blocks. */
#ifndef HF_STORAGE_FETCH_H
#define HF_STORAGE_FETCH_H

#include <stdint.h>

#include "base/status.h"

/* One file that was uploaded to a control node, which keeps it. Used on one thread; both block. */
struct hf_upload_source;
struct hf_upload_source_ops {
    /* The bytes at offset, valid until the next call; none only at the end. */
    hf_status (*read)(struct hf_upload_source *s, uint64_t offset, unsigned deadline_ms,
                      const void **ret_data, size_t *ret_len, uint64_t *ret_total_bytes);
    void (*close)(struct hf_upload_source *s);
};
struct hf_upload_source {
    const struct hf_upload_source_ops *ops;
};

/* Who reads "upload://HOST:PORT/IMAGE". On any thread. */
struct hf_upload_opener {
    hf_status (*open)(void *arg, const char *url, struct hf_upload_source **ret);
    void *arg;
};

struct hf_fetch {
    const char *url;     /* http, https or file; a redirect never leads to a file. Or upload */
    uint64_t room_bytes; /* INVALID when the file is larger, if the server says so before its first byte */
    unsigned deadline_ms;
    bool (*stop)(void *arg); /* asked now and then: true ends the download */
    void (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes); /* total 0: not known */
    void *arg;
    const struct hf_upload_opener *uploads; /* NULL: an "upload" cannot be read */
};

#define HF_SHA256_HEX 65 /* with the end mark */

/* Appends to fd; ret_sha256 gets lower-case hex digits. */
hf_status hf_fetch(const struct hf_fetch *f, int fd, char ret_sha256[HF_SHA256_HEX]) HF_MUST_USE;

/* http, https, file or upload: what hf_fetch() takes. */
bool hf_fetch_url_ok(const char *url);

#endif
