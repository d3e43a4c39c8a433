/* Copies a raw file, or an image of another cluster, into an open image: in steps of 1 MiB, several of them
 * in flight, what is zero left out, flushed at the end. Blocks.
 *
 * The digest tells the content whatever holds it: SHA-256 over every MiB that is not zero, each after its
 * offset (8 bytes, the highest first) and with zeros up to its end.
 */
#ifndef HF_STORAGE_RBD_IMPORT_H
#define HF_STORAGE_RBD_IMPORT_H

#include <rbd/librbd.h>
#include <stdbool.h>

#include "base/status.h"

#define HF_RBD_DIGEST_MAX 65 /* hex digits, with the end mark */

struct hf_rbd_import {
    rbd_image_t image; /* fresh, so zero where nothing is written; at least as large as what is copied. NULL:
                          nothing is written, the digest is all that is wanted */
    const char *file;  /* NULL: from */
    rbd_image_t from;
    const char *from_name; /* for messages */
    /* Both may be NULL. stop: true ends it with CANCELLED. */
    bool (*stop)(void *arg);
    void (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
    void *arg;
};

hf_status hf_rbd_import(const struct hf_rbd_import *how, char ret_digest[HF_RBD_DIGEST_MAX]) HF_MUST_USE;

/* How much of an image is allocated, in whole MiB. */
hf_status hf_rbd_allocated(rbd_image_t image, const char *name, uint64_t *ret_bytes) HF_MUST_USE;

#endif
