/* The templates in a primary storage's cache: fetched, verified, immutable. Plain sequential code for a
 * thread. */
#ifndef HF_STORAGE_IMAGE_CACHE_H
#define HF_STORAGE_IMAGE_CACHE_H

#include "storage/fetch.h"
#include "storage/layout.h"
#include "storage/primary.h"

struct hf_image_cache {
    const char *root;
    uint64_t reserved_bytes;
};

/* Has the template: as it lies there, or fetched by the hooks and limits of `how` (its url and room are set
 * here). Several hosts may do so at once: each under a temporary name, the first to finish gives it its name.
 */
hf_status hf_image_cache_have(const struct hf_image_cache *c, const struct hf_image_source *src,
                              const struct hf_fetch *how, struct hf_image_info *ret) HF_MUST_USE;

/* The absolute path and format ("qcow2", "raw") of a cached template, or NOT_FOUND. */
hf_status hf_image_cache_find(const char *root, const struct hf_uuid *image, char path[HF_STORAGE_PATH_MAX],
                              const char **ret_format) HF_MUST_USE;

#endif
