/* The file by which a host's programs find its lease records on RADOS: written by hostd, read by what keeps
 * and what watches leases. It stands where a folder stands for other storages, holds a key, and is whole or
 * not there. */
#ifndef HF_STORAGE_CEPH_ACCESS_H
#define HF_STORAGE_CEPH_ACCESS_H

#include <stdbool.h>

#include "base/status.h"
#include "storage/ceph_spec.h"

#define HF_CEPH_ACCESS_BYTES_MAX 2048

struct hf_ceph_access {
    char mon_host[HF_CEPH_MON_HOST_MAX];
    char user[HF_CEPH_NAME_MAX]; /* "": the cluster asks for no key */
    char key[64];
    char fsid[40];
    char pool[HF_CEPH_NAME_MAX]; /* where the records lie */
};

hf_status hf_ceph_access_write(const char *path, const struct hf_ceph_access *a) HF_MUST_USE;
hf_status hf_ceph_access_read(const char *path, struct hf_ceph_access *ret) HF_MUST_USE;

/* The path is such a file, not the folder of another storage. */
bool hf_ceph_access_is(const char *path);

#endif
