/* What an NFS primary storage is told by its user: the export and the mount options, which of them are taken,
 * and how a mount of it looks in /proc/self/mountinfo. The rules are the same for the API and for the hosts.
 * Pure.
 *
 * NFSv4 only: its locks and opens are part of the protocol, so a host's death frees them and a server's
 * restart keeps them.
 */
#ifndef HF_STORAGE_NFS_SPEC_H
#define HF_STORAGE_NFS_SPEC_H

#include "base/status.h"

#define HF_NFS_SERVER_MAX        254  /* bytes of a host name, with the end mark */
#define HF_NFS_URL_MAX           1280 /* "server:/export" */
#define HF_NFS_OPTIONS_MAX       1024 /* as given */
#define HF_NFS_MOUNT_OPTIONS_MAX (HF_NFS_OPTIONS_MAX + 128)

/* "server:/export": an IPv4 address or a host name; an absolute, normalized path without blanks. ret_server
 * (may be NULL) is the part before the colon. */
hf_status hf_nfs_url_check(const char *url, char ret_server[HF_NFS_SERVER_MAX]) HF_MUST_USE;

/* Options as for mount(8), comma-separated; "" and NULL are fine. INVALID names the first one that is not
 * taken, and why. */
hf_status hf_nfs_options_check(const char *options) HF_MUST_USE;

/* What is mounted with: the user's options, which have passed the check, and those that must be there. */
void hf_nfs_mount_options(const char *options, char out[HF_NFS_MOUNT_OPTIONS_MAX]);

enum hf_nfs_mounted { HF_NFS_ABSENT, HF_NFS_MOUNTED, HF_NFS_WRONG };

/* What the text of /proc/self/mountinfo says of the mount at point: the last one listed counts, as it hides
 * the others. HF_NFS_WRONG: something else is mounted there, or with options that this storage must not have;
 * *ret_why says what. */
enum hf_nfs_mounted hf_nfs_find_mount(const char *mountinfo, const char *point, const char *url,
                                      hf_status *ret_why);

/* The next mount point directly below base, by name, in the text at *at, which moves on; false at the end. */
bool hf_nfs_next_below(const char **at, const char *base, char *name, size_t name_len);

#endif
