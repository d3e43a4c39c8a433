/* Copies a raw file into an open image: several writes in flight, what is zero left out, flushed at the end.
 * Blocks. */
#ifndef HF_STORAGE_RBD_IMPORT_H
#define HF_STORAGE_RBD_IMPORT_H

#include <rbd/librbd.h>
#include <stdbool.h>

#include "base/status.h"

struct hf_rbd_import {
    rbd_image_t image; /* fresh, so zero where nothing is written; at least as large as the file */
    const char *file;
    /* Both may be NULL. stop: true ends it with CANCELLED. */
    bool (*stop)(void *arg);
    void (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
    void *arg;
};

hf_status hf_rbd_import(const struct hf_rbd_import *how) HF_MUST_USE;

#endif
