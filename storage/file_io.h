/* Files and folders below the root of a primary storage, so that what is there after a crash is whole.
 * Blocks. */
#ifndef HF_STORAGE_FILE_IO_H
#define HF_STORAGE_FILE_IO_H

#include "base/status.h"
#include "storage/layout.h"
#include "storage/primary.h"

/* PRECONDITION when root says by HF_STORAGE_NOT_MOUNTED that it is not the storage. The calls below ask
 * first. */
hf_status hf_root_is_mounted(const char *root) HF_MUST_USE;

/* Makes the folders between root and the file at path, each durable; never root itself: a storage that is not
 * mounted must not be written to. */
hf_status hf_make_parents(const char *root, const char *path) HF_MUST_USE;

/* A name beside path that no other host or call has: "<path>.tmp-<random>". */
hf_status hf_temp_name(const char *path, char out[HF_STORAGE_PATH_MAX]) HF_MUST_USE;

/* Ends a temporary file: content to disk, the final name, the name to disk. Does not replace: EXISTS. */
hf_status hf_publish_file(const char *temp, const char *path) HF_MUST_USE;

/* Deletes what crashed hosts left: temporary names beside path that are an hour older than the file `now`. */
void hf_remove_stale_temps(const char *path, const char *now);

/* The file and the folders that are empty without it, up to root. OK when it was not there. */
hf_status hf_remove_file(const char *root, const char *path) HF_MUST_USE;

/* root is a folder in which a file can be written, synced and read back. */
hf_status hf_probe_folder(const char *root) HF_MUST_USE;

hf_status hf_read_capacity(const char *root, struct hf_capacity *ret) HF_MUST_USE;

#endif
