/* NFS mounts of this host: made, checked, given up. Everything here blocks, at most for its deadline unless
 * the kernel hangs: it is for threads that may. mount(8) and umount(8) run as processes of their own, which
 * are killed at the deadline.
 */
#ifndef HF_STORAGE_NFS_MOUNT_H
#define HF_STORAGE_NFS_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/uuid.h"

/* One storage's mount. Strings are borrowed. */
struct hf_nfs_place {
    const char *url, *options; /* both have passed nfs_spec.h's checks */
    const char *base, *point;  /* the mount point, directly below base */
    const char *client_id;     /* of this host towards NFS servers, if the administrator has set none */
    uint32_t network; /* the network that the mount must go over, in host byte order; prefix 0: any */
    unsigned prefix;
};

/* Has it mounted: looks, mounts when nothing is there, looks again. PRECONDITION: something else is mounted
 * there, or the way to the server does not go over the network. */
hf_status hf_nfs_have_mount(const struct hf_nfs_place *p, unsigned deadline_ms) HF_MUST_USE;

/* Unmounts what is mounted directly below base under the name of a UUID that still_wanted denies. A mount
 * that is in use stays. ret_left: how many stay though nobody wants them. */
hf_status hf_nfs_unmount_unwanted(const char *base,
                                  bool (*still_wanted)(void *arg, const struct hf_uuid *storage), void *arg,
                                  unsigned deadline_ms, size_t *ret_left) HF_MUST_USE;

#endif
