/* What a Ceph primary storage is told by its user, and the names of what lies in it: the rules are the same
 * for the API and for the hosts. Pure.
 *
 *   image pool   <image uuid>, with the protected snapshot HF_CEPH_TEMPLATE_SNAP    a template
 *   root pool    <volume uuid>, a clone of that snapshot                           a root volume
 *   data pool    <volume uuid>                                                     a data volume
 */
#ifndef HF_STORAGE_CEPH_SPEC_H
#define HF_STORAGE_CEPH_SPEC_H

#include <stddef.h>

#include "base/status.h"
#include "base/uuid.h"

#define HF_CEPH_MONITORS_MAX   16
#define HF_CEPH_NAME_MAX       128 /* bytes of a pool, an image or a user, with the end mark */
#define HF_CEPH_PATH_MAX       (sizeof "ceph://" + 2 * HF_CEPH_NAME_MAX)
#define HF_CEPH_MON_HOST_MAX   (HF_CEPH_MONITORS_MAX * 24)
#define HF_CEPH_MON_PORT       6789
#define HF_CEPH_TEMPLATE_SNAP  "holdfast"
#define HF_CEPH_TEMPLATE_MAKER ".by-" /* <image uuid>.by-<host uuid>: a template that is not whole yet */

/* "10.0.0.1" or "10.0.0.1:6789"; ret_host and ret_port may be NULL. */
hf_status hf_ceph_monitor_check(const char *monitor, char ret_host[16], unsigned *ret_port) HF_MUST_USE;
/* One to HF_CEPH_MONITORS_MAX of them, none twice. */
hf_status hf_ceph_monitors_check(char *const *monitors, size_t n) HF_MUST_USE;
/* As librados takes them: "10.0.0.1:6789,10.0.0.2". They have passed the check. */
void hf_ceph_mon_host(char *const *monitors, size_t n, char out[HF_CEPH_MON_HOST_MAX]);

hf_status hf_ceph_pool_check(const char *pool) HF_MUST_USE;
hf_status hf_ceph_user_check(const char *user) HF_MUST_USE; /* without "client." */
hf_status hf_ceph_key_check(const char *key) HF_MUST_USE;   /* never repeats it */
hf_status hf_ceph_fsid_check(const char *fsid) HF_MUST_USE; /* as Ceph writes it, with dashes */

/* "ceph://pool/image" */
char *hf_ceph_path(const char *pool, const char *image, char out[HF_CEPH_PATH_MAX]);
/* False: it is none, or names a pool or an image that cannot be. */
bool hf_ceph_path_parse(const char *path, char pool[HF_CEPH_NAME_MAX], char image[HF_CEPH_NAME_MAX]);

/* Who the host is to the cluster of a storage: "holdfast-<host>-<storage>". A user for each storage: two of
 * them may be pools of one cluster, and each gives and takes the rights for its own. */
char *hf_ceph_host_user(const struct hf_uuid *host, const struct hf_uuid *storage,
                        char out[HF_CEPH_NAME_MAX]);
/* Who fills an image server: "holdfast-<server>". */
char *hf_ceph_server_user(const struct hf_uuid *server, char out[HF_CEPH_NAME_MAX]);
/* A host's user for a storage becomes another host's for the same storage. False: it is none, and is left. */
bool hf_ceph_rename_user(char user[HF_CEPH_NAME_MAX], const struct hf_uuid *host);

#endif
