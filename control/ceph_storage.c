#include "control/ceph_storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/ceph_spec.h"

typedef Holdfast__V1__PrimaryStorage Storage;
typedef Holdfast__V1__CephCluster Cluster;

#define POOLS_N       3
#define SERVER_PREFIX "bak-t-"

/* The pools of a storage, and what those are called that the control plane makes. */
static void pools_of(Cluster *c, char **ret[POOLS_N], const char *ret_prefix[POOLS_N])
{
    ret[0] = &c->image_pool;
    ret[1] = &c->root_pool;
    ret[2] = &c->data_pool;
    ret_prefix[0] = "pri-c-";
    ret_prefix[1] = "pri-v-r-";
    ret_prefix[2] = "pri-v-d-";
}

static hf_status check_key(const Cluster *c)
{
    if (c->cephx_off && (c->user[0] != '\0' || c->key[0] != '\0'))
        return hf_error(HF_INVALID,
                        "spec.ceph: a cluster without cephx knows no user and no key: leave them out");
    if (c->cephx_off)
        return HF_STATUS_OK;
    if (c->user[0] == '\0' || c->key[0] == '\0')
        return hf_error(
            HF_INVALID,
            "spec.ceph: the cluster asks for a user and a key: give both, or say that cephx is off");
    HF_TRY(hf_wrap(hf_ceph_user_check(c->user), "spec.ceph.user"));
    return hf_wrap(hf_ceph_key_check(c->key), "spec.ceph.key");
}

hf_status hf_ceph_cluster_check(const Cluster *c)
{
    if (c == NULL)
        return hf_error(HF_INVALID, "spec.ceph is missing: it tells how the cluster is reached");
    HF_TRY(hf_wrap(hf_ceph_monitors_check(c->monitors, c->n_monitors), "spec.ceph.monitors"));
    HF_TRY(check_key(c));
    return c->fsid[0] != '\0' ? hf_wrap(hf_ceph_fsid_check(c->fsid), "spec.ceph.fsid") : HF_STATUS_OK;
}

/* Names one that is to be made. */
static hf_status settle_pool(char **pool, const char *field, const char *prefix, const char *uuid)
{
    if (*pool[0] == '\0') {
        char *name = hf_printf("%s%s", prefix, uuid);
        hf_pb_set(pool, name);
        free(name);
    }
    return hf_wrap(hf_ceph_pool_check(*pool), "spec.ceph.%s", field);
}

hf_status hf_ceph_storage_create(Storage *ps)
{
    static const char *const fields[POOLS_N] = {"image_pool", "root_pool", "data_pool"};
    char **pools[POOLS_N];
    const char *prefixes[POOLS_N];
    if (ps->spec->path[0] != '\0' || ps->spec->url[0] != '\0' || ps->spec->mount_options[0] != '\0')
        return hf_error(HF_INVALID,
                        "spec.path, spec.url and spec.mount_options are not for storages of type CEPH");
    HF_TRY(hf_ceph_cluster_check(ps->spec->ceph));
    pools_of(ps->spec->ceph, pools, prefixes);
    for (size_t i = 0; i < POOLS_N; i++) {
        HF_TRY(settle_pool(pools[i], fields[i], prefixes[i], ps->meta->uuid));
        for (size_t k = 0; k < i; k++)
            if (strcmp(*pools[i], *pools[k]) == 0)
                return hf_error(HF_INVALID, "spec.ceph: '%s' is named as two pools: give each its own",
                                *pools[i]);
    }
    return HF_STATUS_OK;
}

hf_status hf_ceph_server_create(Holdfast__V1__ImageServer *server)
{
    Cluster *c = server->spec->ceph;
    HF_TRY(hf_ceph_cluster_check(c));
    if (c->root_pool[0] != '\0' || c->data_pool[0] != '\0')
        return hf_error(HF_INVALID, "spec.ceph: an image server has one pool, image_pool");
    return settle_pool(&c->image_pool, "image_pool", SERVER_PREFIX, server->meta->uuid);
}

static bool is_named(const char *pool, const char *prefix, const char *uuid)
{
    size_t len = strlen(prefix);
    return strncmp(pool, prefix, len) == 0 && strcmp(pool + len, uuid) == 0;
}

bool hf_ceph_pool_is_made(const Storage *ps, const char *pool)
{
    char **pools[POOLS_N];
    const char *prefixes[POOLS_N];
    pools_of(ps->spec->ceph, pools, prefixes);
    for (size_t i = 0; i < POOLS_N; i++)
        if (is_named(pool, prefixes[i], ps->meta->uuid))
            return true;
    return false;
}

bool hf_ceph_server_pool_is_made(const Holdfast__V1__ImageServer *server)
{
    return is_named(server->spec->ceph->image_pool, SERVER_PREFIX, server->meta->uuid);
}

const Holdfast__V1__CephStatus__HostKey *hf_ceph_key_of(const Holdfast__V1__CephStatus *st, const char *uuid)
{
    for (size_t i = 0; st != NULL && i < st->n_host_keys; i++)
        if (strcmp(st->host_keys[i]->host_uuid, uuid) == 0)
            return st->host_keys[i];
    return NULL;
}

/* Both may be NULL. */
static void hide(Cluster *c, Holdfast__V1__CephStatus *st)
{
    if (c != NULL && c->key[0] != '\0')
        hf_pb_set(&c->key, HF_CEPH_KEY_SHOWN);
    for (size_t i = 0; st != NULL && i < st->n_host_keys; i++)
        hf_pb_set(&st->host_keys[i]->key, HF_CEPH_KEY_SHOWN);
}

void hf_ceph_keys_hide(Storage *ps)
{
    hide(ps->spec != NULL ? ps->spec->ceph : NULL, ps->status != NULL ? ps->status->ceph : NULL);
}

void hf_ceph_server_keys_hide(Holdfast__V1__ImageServer *server)
{
    hide(server->spec != NULL ? server->spec->ceph : NULL,
         server->status != NULL ? server->status->ceph : NULL);
}
