/* Downloads one file and hashes it on the way. Blocks. */
#ifndef HF_STORAGE_FETCH_H
#define HF_STORAGE_FETCH_H

#include <stdint.h>

#include "base/status.h"

struct hf_fetch {
    const char *url;     /* http, https or file; a redirect never leads to a file */
    uint64_t room_bytes; /* INVALID when the file is larger, if the server says so before its first byte */
    unsigned deadline_ms;
    bool (*stop)(void *arg); /* asked now and then: true ends the download */
    void (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes); /* total 0: not known */
    void *arg;
};

#define HF_SHA256_HEX 65 /* with the end mark */

/* Appends to fd; ret_sha256 gets lower-case hex digits. */
hf_status hf_fetch(const struct hf_fetch *f, int fd, char ret_sha256[HF_SHA256_HEX]) HF_MUST_USE;

/* http, https or file: what hf_fetch() takes. */
bool hf_fetch_url_ok(const char *url);

#endif
