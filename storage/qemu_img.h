/* What we ask of qemu-img, on a thread that may block. */
#ifndef HF_STORAGE_QEMU_IMG_H
#define HF_STORAGE_QEMU_IMG_H

#include <stdint.h>

#include "base/status.h"

struct hf_qemu_img_info {
    uint64_t virtual_bytes;
    char *backing_file; /* NULL: none; to be freed */
    bool plain;         /* neither encrypted nor with its data in another file */
};

/* Reads the header as the format that the caller says, never as one that the file claims. INVALID: it is not
 * one, or is damaged. Works on images in use. */
hf_status hf_qemu_img_info(const char *path, const char *format, unsigned deadline_ms,
                           struct hf_qemu_img_info *ret) HF_MUST_USE;

/* A new qcow2; backing may be NULL, size_bytes 0 is the backing file's. */
hf_status hf_qemu_img_create(const char *path, const char *backing, const char *backing_format,
                             uint64_t size_bytes, unsigned deadline_ms) HF_MUST_USE;

/* Makes it larger. An error when a QEMU or another qemu-img has it open (where image locks reach), or when it
 * is larger. */
hf_status hf_qemu_img_grow(const char *path, const char *format, uint64_t size_bytes,
                           unsigned deadline_ms) HF_MUST_USE;

/* The content as a raw file, with holes where it is zero; what was there is replaced. */
hf_status hf_qemu_img_to_raw(const char *path, const char *format, const char *raw, unsigned deadline_ms) HF_MUST_USE;

#endif
