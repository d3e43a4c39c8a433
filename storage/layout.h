/* Where things lie below the root of a primary storage: install paths, relative to it. Pure. */
#ifndef HF_STORAGE_LAYOUT_H
#define HF_STORAGE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/uuid.h"

#define HF_STORAGE_PATH_MAX 1024 /* bytes of a path, with the end mark */

/* Whoever mounts a storage puts a file of this name into the folder that it mounts over: where it is seen,
 * the storage is not mounted, and nothing may be written, read or promised there. */
#define HF_STORAGE_NOT_MOUNTED ".holdfast-not-mounted"

enum hf_volume_kind { HF_VOLUME_ROOT, HF_VOLUME_DATA };

/* imagecache/template/<uuid>/<uuid>.<format> */
char *hf_layout_template(const struct hf_uuid *image, const char *format, char out[HF_STORAGE_PATH_MAX]);

/* rootVolumes/acct-<uuid>/vol-<uuid>/<uuid>.qcow2, or dataVolumes/… */
char *hf_layout_volume(enum hf_volume_kind kind, const struct hf_uuid *account, const struct hf_uuid *volume,
                       char out[HF_STORAGE_PATH_MAX]);

/* heartbeat-file-kvm-host-<uuid>.hb */
char *hf_layout_heartbeat(const struct hf_uuid *host, char out[HF_STORAGE_PATH_MAX]);

/* Writes the absolute path of install_path: relative to root, or absolute below it. False when it would not
 * be below root (empty, "..", another tree), is not normalized, holds control characters or does not fit. */
bool hf_layout_absolute(const char *root, const char *install_path, char *out, size_t out_len);

/* The path without "." and "..", double and trailing slashes, taken literally (links are not followed). The
 * path must be absolute; false when it does not fit. */
bool hf_path_normalize(const char *path, char out[HF_STORAGE_PATH_MAX]);

#endif
