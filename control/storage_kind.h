/* What kind of primary storage one is. */
#ifndef HF_CONTROL_STORAGE_KIND_H
#define HF_CONTROL_STORAGE_KIND_H

#include <stdbool.h>

#include "holdfast/v1/storage.pb-c.h"

static inline bool hf_storage_is_ceph(const Holdfast__V1__PrimaryStorage *ps)
{
    return ps->spec->type == HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__CEPH;
}

/* Every host of its clusters finds the same volumes there: an instance may start on any of them. */
static inline bool hf_storage_is_shared(const Holdfast__V1__PrimaryStorage *ps)
{
    return ps->spec->type == HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__SHARED_MOUNT_POINT ||
           ps->spec->type == HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__NFS || hf_storage_is_ceph(ps);
}

/* Hosts keep their leases on it. */
static inline bool hf_storage_has_leases(const Holdfast__V1__PrimaryStorage *ps)
{
    return hf_storage_is_shared(ps);
}

static inline bool hf_storage_is_nfs(const Holdfast__V1__PrimaryStorage *ps)
{
    return ps->spec->type == HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__NFS;
}

#endif
