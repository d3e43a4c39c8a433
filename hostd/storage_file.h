/* The small files that keepers and observers keep in the root of a storage, past all caches (O_DIRECT,
 * O_DSYNC). Blocks as long as the storage does. */
#ifndef HF_HOSTD_STORAGE_FILE_H
#define HF_HOSTD_STORAGE_FILE_H

#include <sys/stat.h>

#include "base/status.h"

/* Opens dir/name to read and write; makes it if it is missing. Never beside a storage that is not mounted
 * (HF_STORAGE_NOT_MOUNTED); all in one folder, whatever is mounted over it meanwhile. made_on: if not NULL, a
 * file that is missing is made on this file system only. ret: what fstat() says of it, a regular file. */
hf_status hf_storage_file_open(const char *dir, const char *name, const dev_t *made_on, int *ret_fd,
                               struct stat *ret) HF_MUST_USE;
/* "…/name is on another file system than before …" */
hf_status hf_storage_file_moved(const char *dir, const char *name) HF_MUST_USE;

#endif
