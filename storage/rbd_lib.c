#include "storage/rbd_lib.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "storage/ceph_client.h"
#include "storage/rbd_import.h"
#include "storage/rbd_lib_priv.h"

/* exclusive-lock always: without it librbd fences nobody. deep-flatten: snapshots that were taken before it
 * are flattened, too, so that nothing of a volume needs its template any more. */
#define FEATURES                                                                                             \
    (RBD_FEATURE_LAYERING | RBD_FEATURE_EXCLUSIVE_LOCK | RBD_FEATURE_OBJECT_MAP | RBD_FEATURE_FAST_DIFF |    \
     RBD_FEATURE_DEEP_FLATTEN)
#define ORDER 22 /* 4 MiB objects */

static struct hf_rbd_lib *of(struct hf_rbd *r)
{
    return hf_container_of(r, struct hf_rbd_lib, rbd);
}

hf_status hf_rbd_failed(struct hf_rbd_lib *l, int rc, const char *doing, const struct hf_rbd_name *n)
{
    l->rc = rc;
    l->denied |= rc == -EPERM;
    return hf_rados_error(rc, "%s '%s/%s'", doing, n->pool, n->image);
}

static hf_status open_pool(struct hf_rbd_lib *l, const char *pool, rados_ioctx_t *ret)
{
    int rc = rados_ioctx_create(l->cluster, pool, ret);
    if (rc >= 0)
        return HF_STATUS_OK;
    l->rc = rc;
    if (rc == -ENOENT) /* not NOT_FOUND: what lay in it is not gone by order */
        return hf_error(HF_UNAVAILABLE, "the cluster has no pool '%s'", pool);
    return hf_rados_error(rc, "open the pool '%s'", pool);
}

/* Why librbd does not find it: a pool that vanished is known by the next map, and an image whose parent is
 * gone is there and cannot be opened. Neither is an image that is gone by order. */
static hf_status not_found(struct hf_rbd_lib *l, rados_ioctx_t pool, const struct hf_rbd_name *n)
{
    char object[sizeof "rbd_id." + HF_CEPH_NAME_MAX];
    uint64_t size;
    time_t when;
    l->rc = rados_wait_for_latest_osdmap(l->cluster);
    if (l->rc >= 0 && rados_pool_lookup(l->cluster, n->pool) == -ENOENT)
        return hf_error(HF_UNAVAILABLE, "the cluster has no pool '%s'", n->pool);
    snprintf(object, sizeof object, "rbd_id.%s", n->image);
    if (l->rc >= 0)
        l->rc = rados_stat(pool, object, &size, &when);
    if (l->rc >= 0)
        return hf_error(HF_UNAVAILABLE,
                        "the image '%s/%s' is there, but cannot be opened: what it was cloned from is gone. "
                        "Bring that back, or put the image aside with 'rbd trash mv %s/%s'",
                        n->pool, n->image, n->pool, n->image);
    return hf_rbd_failed(l, l->rc, "open the image", n);
}

hf_status hf_rbd_open_image(struct hf_rbd_lib *l, const struct hf_rbd_name *n, bool writable,
                            struct hf_rbd_open *ret)
{
    HF_TRY(open_pool(l, n->pool, &ret->pool));
    int rc = writable ? rbd_open(ret->pool, n->image, &ret->image, NULL)
                      : rbd_open_read_only(ret->pool, n->image, &ret->image, NULL);
    if (rc >= 0)
        return HF_STATUS_OK;
    hf_status st = rc == -ENOENT ? not_found(l, ret->pool, n) : hf_rbd_failed(l, rc, "open the image", n);
    rados_ioctx_destroy(ret->pool);
    return st;
}

void hf_rbd_close_image(struct hf_rbd_open *i)
{
    (void)rbd_close(i->image); /* what must be on disk was flushed */
    rados_ioctx_destroy(i->pool);
}

/* --- stat --- */

static hf_status read_parent(struct hf_rbd_lib *l, rbd_image_t image, const struct hf_rbd_name *n,
                             struct hf_rbd_stat *ret)
{
    rbd_linked_image_spec_t parent;
    rbd_snap_spec_t snap;
    int rc = rbd_get_parent(image, &parent, &snap);
    if (rc == -ENOENT)
        return HF_STATUS_OK;
    if (rc < 0)
        return hf_rbd_failed(l, rc, "find the parent of", n);
    snprintf(ret->parent_pool, sizeof ret->parent_pool, "%s", parent.pool_name);
    snprintf(ret->parent_image, sizeof ret->parent_image, "%s", parent.image_name);
    rbd_linked_image_spec_cleanup(&parent);
    rbd_snap_spec_cleanup(&snap);
    return HF_STATUS_OK;
}

static hf_status read_template(struct hf_rbd_lib *l, rbd_image_t image, const struct hf_rbd_name *n,
                               struct hf_rbd_stat *ret)
{
    int is = 0, rc = rbd_snap_is_protected(image, HF_CEPH_TEMPLATE_SNAP, &is);
    if (rc < 0 && rc != -ENOENT)
        return hf_rbd_failed(l, rc, "look at the snapshot of", n);
    ret->is_template = rc >= 0 && is != 0;
    char text[32] = "";
    size_t len = sizeof text - 1;
    if (ret->is_template && rbd_metadata_get(image, HF_RBD_KEY_FILE_SIZE, text, &len) >= 0)
        ret->file_bytes = strtoull(text, NULL, 10);
    return HF_STATUS_OK;
}

static hf_status lib_stat(struct hf_rbd *r, const struct hf_rbd_name *n, struct hf_rbd_stat *ret)
{
    struct hf_rbd_lib *l = of(r);
    struct hf_rbd_open i;
    *ret = (struct hf_rbd_stat){0};
    HF_TRY(hf_rbd_open_image(l, n, false, &i));
    int rc = rbd_get_size(i.image, &ret->size_bytes);
    hf_status st = rc < 0 ? hf_rbd_failed(l, rc, "read the size of", n) : read_parent(l, i.image, n, ret);
    if (hf_ok(st))
        st = read_template(l, i.image, n, ret);
    hf_rbd_close_image(&i);
    return st;
}

/* --- making --- */

static rbd_image_options_t make_options(void)
{
    rbd_image_options_t options;
    rbd_image_options_create(&options);
    HF_ASSERT(rbd_image_options_set_uint64(options, RBD_IMAGE_OPTION_FEATURES, FEATURES) >= 0);
    HF_ASSERT(rbd_image_options_set_uint64(options, RBD_IMAGE_OPTION_ORDER, ORDER) >= 0);
    return options;
}

static hf_status lib_create(struct hf_rbd *r, const struct hf_rbd_name *n, uint64_t size_bytes)
{
    struct hf_rbd_lib *l = of(r);
    rados_ioctx_t pool;
    HF_TRY(open_pool(l, n->pool, &pool));
    rbd_image_options_t options = make_options();
    int rc = rbd_create4(pool, n->image, size_bytes, options);
    rbd_image_options_destroy(options);
    rados_ioctx_destroy(pool);
    return rc < 0 ? hf_rbd_failed(l, rc, "make the image", n) : HF_STATUS_OK;
}

static hf_status lib_clone(struct hf_rbd *r, const struct hf_rbd_name *template_, const struct hf_rbd_name *n)
{
    struct hf_rbd_lib *l = of(r);
    rados_ioctx_t from, to;
    HF_TRY(open_pool(l, template_->pool, &from));
    hf_status st = open_pool(l, n->pool, &to);
    if (!hf_ok(st)) {
        rados_ioctx_destroy(from);
        return st;
    }
    rbd_image_options_t options = make_options();
    int rc = rbd_clone3(from, template_->image, HF_CEPH_TEMPLATE_SNAP, to, n->image, options);
    rbd_image_options_destroy(options);
    rados_ioctx_destroy(to);
    rados_ioctx_destroy(from);
    return rc < 0 ? hf_rbd_failed(l, rc, "make the clone", n) : HF_STATUS_OK;
}

static int no_progress(uint64_t done, uint64_t total, void *arg)
{
    (void)done, (void)total, (void)arg;
    return 0;
}

/* Never smaller: another one may have made it larger since it was looked at. */
static int grow(rbd_image_t image, uint64_t size_bytes)
{
    uint64_t now = 0;
    int rc = rbd_get_size(image, &now);
    if (rc >= 0 && now < size_bytes)
        rc = rbd_resize2(image, size_bytes, false, no_progress, NULL);
    return rc;
}

static hf_status lib_grow(struct hf_rbd *r, const struct hf_rbd_name *n, uint64_t size_bytes)
{
    struct hf_rbd_lib *l = of(r);
    struct hf_rbd_open i;
    HF_TRY(hf_rbd_open_image(l, n, true, &i));
    int rc = grow(i.image, size_bytes);
    hf_rbd_close_image(&i);
    return rc < 0 ? hf_rbd_failed(l, rc, "grow", n) : HF_STATUS_OK;
}

static hf_status lib_rename(struct hf_rbd *r, const struct hf_rbd_name *n, const char *to)
{
    struct hf_rbd_lib *l = of(r);
    rados_ioctx_t pool;
    HF_TRY(open_pool(l, n->pool, &pool));
    int rc = rbd_rename(pool, n->image, to);
    rados_ioctx_destroy(pool);
    return rc < 0 ? hf_rbd_failed(l, rc, "name", n) : HF_STATUS_OK;
}

static hf_status lib_protect(struct hf_rbd *r, const struct hf_rbd_name *n, uint64_t file_bytes)
{
    struct hf_rbd_lib *l = of(r);
    struct hf_rbd_open i;
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, file_bytes);
    HF_TRY(hf_rbd_open_image(l, n, true, &i));
    int rc = rbd_metadata_set(i.image, HF_RBD_KEY_FILE_SIZE, text);
    if (rc >= 0)
        rc = rbd_snap_create(i.image, HF_CEPH_TEMPLATE_SNAP);
    if (rc >= 0 || rc == -EEXIST)
        rc = rbd_snap_protect(i.image, HF_CEPH_TEMPLATE_SNAP);
    hf_rbd_close_image(&i);
    return rc < 0 && rc != -EBUSY /* it is */ ? hf_rbd_failed(l, rc, "protect the snapshot of", n)
                                              : HF_STATUS_OK;
}

static hf_status lib_import(struct hf_rbd *r, const struct hf_rbd_name *n, const char *file)
{
    struct hf_rbd_lib *l = of(r);
    struct hf_rbd_open i;
    char digest[HF_RBD_DIGEST_MAX];
    HF_TRY(hf_rbd_open_image(l, n, true, &i));
    struct hf_rbd_import how = {
        .image = i.image, .file = file, .stop = l->stop, .progress = l->progress, .arg = l->arg};
    hf_status st = hf_wrap(hf_rbd_import(&how, digest), "fill the image '%s/%s'", n->pool, n->image);
    int rc = hf_ok(st) ? rbd_metadata_set(i.image, HF_RBD_KEY_DIGEST, digest) : 0;
    if (rc < 0)
        st = hf_rbd_failed(l, rc, "note the checksum of", n);
    if (hf_status_code(st) == HF_PRECONDITION) /* on the blocklist */
        l->rc = -ESHUTDOWN;
    hf_rbd_close_image(&i);
    return st;
}

/* --- deleting --- */

/* A volume may have users' snapshots, a template that never was one to others that of templates. */
static hf_status drop_snapshots(struct hf_rbd_lib *l, const struct hf_rbd_name *n)
{
    struct hf_rbd_open i;
    HF_TRY(hf_rbd_open_image(l, n, true, &i));
    hf_status st = hf_rbd_drop_snapshots(l, i.image, n);
    hf_rbd_close_image(&i);
    return st;
}

static hf_status lib_trash(struct hf_rbd *r, const struct hf_rbd_name *n)
{
    struct hf_rbd_lib *l = of(r);
    rados_ioctx_t pool;
    HF_TRY(drop_snapshots(l, n));
    HF_TRY(open_pool(l, n->pool, &pool));
    int rc = rbd_trash_move(pool, n->image, 0);
    rados_ioctx_destroy(pool);
    if (rc == -EBUSY)
        return hf_error(HF_UNAVAILABLE, "the image '%s/%s' is open somewhere", n->pool, n->image);
    return rc < 0 ? hf_rbd_failed(l, rc, "move to the trash", n) : HF_STATUS_OK;
}

/* A snapshot that was ordered before and made late is in its way. */
static hf_status purge_one(struct hf_rbd_lib *l, rados_ioctx_t pool, const char *id,
                           const struct hf_rbd_name *n)
{
    rbd_image_t image;
    int rc = rbd_trash_remove(pool, id, true);
    if (rc == -ENOTEMPTY) {
        rc = rbd_open_by_id(pool, id, &image, NULL);
        if (rc < 0)
            return hf_rbd_failed(l, rc, "open in the trash", n);
        hf_status st = hf_rbd_drop_snapshots(l, image, n);
        (void)rbd_close(image);
        if (!hf_ok(st))
            return st;
        rc = rbd_trash_remove(pool, id, true);
    }
    if (rc == -ENOENT) /* put aside without its parent: it cannot be opened, and is nobody's any more */
        return HF_STATUS_OK;
    if (rc == -EBUSY)
        return hf_error(HF_UNAVAILABLE, "the image '%s/%s' in the trash is still open somewhere", n->pool,
                        n->image);
    return rc < 0 ? hf_rbd_failed(l, rc, "empty the trash of", n) : HF_STATUS_OK;
}

static hf_status purge(struct hf_rbd_lib *l, rados_ioctx_t pool, const struct hf_rbd_name *n)
{
    size_t room = 16;
    rbd_trash_image_info_t *list = NULL;
    int rc;
    do {
        list = hf_realloc_array(list, room, sizeof *list);
        rc = rbd_trash_list(pool, list, &room); /* ERANGE: room is how many there are */
    } while (rc == -ERANGE);
    size_t got = rc < 0 ? 0 : room;
    hf_status st = rc < 0 ? hf_rbd_failed(l, rc, "list the trash of", n) : HF_STATUS_OK;
    for (size_t i = 0; i < got && hf_ok(st); i++)
        if (strcmp(list[i].name, n->image) == 0)
            st = purge_one(l, pool, list[i].id, n);
    rbd_trash_list_cleanup(list, got);
    free(list);
    return st;
}

static hf_status lib_purge(struct hf_rbd *r, const struct hf_rbd_name *n)
{
    struct hf_rbd_lib *l = of(r);
    rados_ioctx_t pool;
    HF_TRY(open_pool(l, n->pool, &pool));
    hf_status st = purge(l, pool, n);
    rados_ioctx_destroy(pool);
    return st;
}

static const struct hf_rbd_ops lib_ops = {
    .stat = lib_stat,
    .create = lib_create,
    .clone = lib_clone,
    .grow = lib_grow,
    .rename = lib_rename,
    .protect = lib_protect,
    .import = lib_import,
    .trash = lib_trash,
    .purge = lib_purge,
    .evict = hf_rbd_lib_evict,
    .copy = hf_rbd_lib_copy,
};

void hf_rbd_lib_init(struct hf_rbd_lib *l, rados_t cluster)
{
    *l = (struct hf_rbd_lib){.rbd.ops = &lib_ops, .snaps.ops = &hf_rbd_snap_lib_ops, .cluster = cluster};
}
