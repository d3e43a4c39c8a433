#include "hostd/storage_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/pb_copy.h"
#include "net/ipam.h"
#include "storage/ceph_spec.h"
#include "storage/layout.h"
#include "storage/nfs_spec.h"
#include "storage/primary.h"

static hf_status read_nfs(const Holdfast__V1__StorageAssignment *a, const char *mount_base,
                          char path[HF_STORAGE_PATH_MAX])
{
    if (mount_base == NULL)
        return hf_error(HF_UNIMPLEMENTED, "this host takes no NFS storages");
    HF_TRY(hf_nfs_url_check(a->url, NULL));
    HF_TRY(hf_nfs_options_check(a->mount_options));
    if (snprintf(path, HF_STORAGE_PATH_MAX, "%s/%s", mount_base, a->uuid) >= HF_STORAGE_PATH_MAX)
        return hf_error(HF_INVALID, "the mount base '%.200s…' is too long", mount_base);
    return HF_STATUS_OK;
}

static hf_status read_ceph(const Holdfast__V1__StorageAssignment *a, const char *base, char path[HF_STORAGE_PATH_MAX])
{
    if (base == NULL)
        return hf_error(HF_UNIMPLEMENTED, "this host takes no Ceph storages");
    if (!a->ceph)
        return hf_error(HF_INVALID, "it is of type Ceph, but nothing tells how the cluster is reached");
    HF_TRY(hf_ceph_monitors_check(a->ceph->monitors, a->ceph->n_monitors));
    HF_TRY(hf_ceph_pool_check(a->ceph->root_pool));
    if (snprintf(path, HF_STORAGE_PATH_MAX, "%s/%s.rados", base, a->uuid) >= HF_STORAGE_PATH_MAX)
        return hf_error(HF_INVALID, "the folder '%.200s…' is too long", base);
    return HF_STATUS_OK;
}

static hf_status read_place(const Holdfast__V1__StorageAssignment *a, const struct hf_storage_bases *bases,
                            struct hf_storage_place *p, char path[HF_STORAGE_PATH_MAX])
{
    p->nfs = strcmp(a->type, "NFS") == 0;
    if (a->network_cidr[0])
        HF_TRY(hf_cidr_parse(a->network_cidr, &p->network, &p->prefix));
    if (strcmp(a->type, "Ceph") == 0)
        return read_ceph(a, bases->ceph, path);
    if (p->nfs)
        HF_TRY(read_nfs(a, bases->mounts, path));
    else if (snprintf(path, HF_STORAGE_PATH_MAX, "%s", a->path) >= HF_STORAGE_PATH_MAX)
        return hf_error(HF_INVALID, "the path '%.200s…' is too long", a->path);
    return hf_primary_path_check(path);
}

hf_status hf_storage_place_read(const Holdfast__V1__StorageAssignment *a, const struct hf_storage_bases *bases,
                                struct hf_storage_place *ret)
{
    char path[HF_STORAGE_PATH_MAX];
    struct hf_storage_place p = {.heartbeat = a->heartbeat, .reserved_bytes = a->reserved_bytes};
    if (!hf_uuid_parse(a->uuid, &p.uuid))
        return hf_error(HF_INVALID, "assign storage: '%s' is no UUID", a->uuid);
    HF_TRY(hf_wrap(read_place(a, bases, &p, path), "assign storage %s", a->uuid));
    p.path = hf_strdup(path);
    p.url = hf_strdup(a->url);
    p.mount_options = hf_strdup(a->mount_options);
    p.ceph = strcmp(a->type, "Ceph") == 0 ? hf_pb_copy(&a->ceph->base) : NULL;
    *ret = p;
    return HF_STATUS_OK;
}

void hf_storage_place_done(struct hf_storage_place *p)
{
    free(p->path);
    free(p->url);
    free(p->mount_options);
    if (p->ceph) {
        explicit_bzero(p->ceph->key, strlen(p->ceph->key));
        holdfast__v1__ceph_access__free_unpacked(p->ceph, NULL);
    }
    *p = (struct hf_storage_place){0};
}

/* The same images: through which monitors and with which key is another matter. */
static bool same_pools(const Holdfast__V1__CephAccess *a, const Holdfast__V1__CephAccess *b)
{
    if (!a || !b)
        return a == b;
    return strcmp(a->fsid, b->fsid) == 0 && strcmp(a->image_pool, b->image_pool) == 0 &&
           strcmp(a->root_pool, b->root_pool) == 0 && strcmp(a->data_pool, b->data_pool) == 0;
}

static bool same_access(const Holdfast__V1__CephAccess *a, const Holdfast__V1__CephAccess *b)
{
    if (!a || !b)
        return a == b;
    bool same = a->n_monitors == b->n_monitors && strcmp(a->user, b->user) == 0 && strcmp(a->key, b->key) == 0;
    for (size_t i = 0; same && i < a->n_monitors; i++)
        same = strcmp(a->monitors[i], b->monitors[i]) == 0;
    return same;
}

bool hf_storage_place_same_files(const struct hf_storage_place *a, const struct hf_storage_place *b)
{
    return a->nfs == b->nfs && a->heartbeat == b->heartbeat && strcmp(a->path, b->path) == 0 &&
           strcmp(a->url, b->url) == 0 && same_pools(a->ceph, b->ceph);
}

bool hf_storage_place_same_way(const struct hf_storage_place *a, const struct hf_storage_place *b)
{
    return hf_storage_place_same_files(a, b) && a->reserved_bytes == b->reserved_bytes &&
           a->network == b->network && a->prefix == b->prefix &&
           strcmp(a->mount_options, b->mount_options) == 0 && same_access(a->ceph, b->ceph);
}

/* "10.0.0.5, 10.0.0.6"; returns how many there are. */
static size_t list_inside(const struct hf_storage_place *p, const struct hf_host_address *addresses, size_t n,
                          char *out, size_t out_len)
{
    char text[16];
    size_t found = 0, len = 0;
    uint32_t mask = ~UINT32_C(0) << (32 - p->prefix);
    for (size_t i = 0; i < n; i++) {
        if ((addresses[i].ip & mask) != (p->network & mask))
            continue;
        if (found < HF_STORAGE_ADDRESSES_MAX)
            len += (size_t)snprintf(out + len, out_len - len, "%s%s", found ? ", " : "",
                                    hf_ip_format(addresses[i].ip, text));
        found++;
    }
    return found;
}

void hf_storage_place_judge(const struct hf_storage_place *p, const struct hf_host_address *addresses,
                            size_t n, char address[16], char problem[HF_STORAGE_PROBLEM_MAX])
{
    char list[HF_STORAGE_ADDRESSES_MAX * 18], network[20];
    address[0] = problem[0] = '\0';
    if (p->prefix == 0)
        return;
    size_t found = list_inside(p, addresses, n, list, sizeof list);
    hf_cidr_format(p->network, p->prefix, network);
    if (found == 1)
        memcpy(address, list, strlen(list) + 1);
    else if (found == 0)
        snprintf(problem, HF_STORAGE_PROBLEM_MAX,
                 "the host has no address in the storage network %s: give it one, or correct the network of "
                 "the storage",
                 network);
    else
        snprintf(problem, HF_STORAGE_PROBLEM_MAX,
                 "the host has %zu addresses in the storage network %s (%s): its routes choose which of them "
                 "carries "
                 "heartbeats and mounts; leave it one, or name a smaller network",
                 found, network, list);
}
