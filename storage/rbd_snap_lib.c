/* The verbs of rbd_snapshot.h on a real cluster, by librbd. Of an image that a guest has open, librbd leaves
 * the work to the guest's own client, which holds the image's lock; that one stops its writes for a snapshot
 * by itself. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "storage/rbd_lib_priv.h"

#define KEY_REVERTED "holdfast.reverted"
#define WATCHERS_MAX 64

static struct hf_rbd_lib *of(struct hf_rbd_snaps *s)
{
    return hf_container_of(s, struct hf_rbd_lib, snaps);
}

static int progress(uint64_t done, uint64_t total, void *arg)
{
    struct hf_rbd_lib *l = arg;
    if (l->progress)
        l->progress(l->arg, done, total);
    return 0;
}

static hf_status snap_create(struct hf_rbd_snaps *s, const struct hf_rbd_name *n, const char *snap)
{
    struct hf_rbd_lib *l = of(s);
    struct hf_rbd_open i;
    HF_TRY(hf_rbd_open_image(l, n, true, &i));
    int rc = rbd_snap_create(i.image, snap);
    hf_rbd_close_image(&i);
    return rc < 0 ? hf_rbd_failed(l, rc, "make a snapshot of", n) : HF_STATUS_OK;
}

/* --- removing --- */

static hf_status has_clones(const struct hf_rbd_name *n, const char *snap)
{
    return hf_error(HF_CONFLICT, "the snapshot '%s' of '%s/%s' has clones: flatten or delete them first",
                    snap, n->pool, n->image);
}

static hf_status snap_remove(struct hf_rbd_snaps *s, const struct hf_rbd_name *n, const char *snap)
{
    struct hf_rbd_lib *l = of(s);
    struct hf_rbd_open i;
    int is_protected = 0;
    HF_TRY(hf_rbd_open_image(l, n, true, &i));
    int rc = rbd_snap_is_protected(i.image, snap, &is_protected);
    if (rc >= 0 && !is_protected)
        rc = rbd_snap_remove(i.image, snap);
    hf_rbd_close_image(&i);
    if (is_protected)
        return hf_error(HF_CONFLICT,
                        "the snapshot '%s' of '%s/%s' is protected: somebody has cloned it, or is about to",
                        snap, n->pool, n->image);
    if (rc == -EBUSY)
        return has_clones(n, snap);
    return rc < 0 ? hf_rbd_failed(l, rc, "remove a snapshot of", n) : HF_STATUS_OK;
}

static hf_status drop(struct hf_rbd_lib *l, rbd_image_t image, const struct hf_rbd_name *n, const char *snap)
{
    int is_protected = 0, rc = rbd_snap_is_protected(image, snap, &is_protected);
    if (rc >= 0 && is_protected)
        rc = rbd_snap_unprotect(image, snap);
    if (rc >= 0)
        rc = rbd_snap_remove(image, snap);
    if (rc == -EBUSY)
        return has_clones(n, snap);
    return rc < 0 && rc != -ENOENT ? hf_rbd_failed(l, rc, "remove the snapshots of", n) : HF_STATUS_OK;
}

hf_status hf_rbd_drop_snapshots(struct hf_rbd_lib *l, rbd_image_t image, const struct hf_rbd_name *n)
{
    rbd_snap_info_t *list = NULL;
    int room = 16, got;
    do {
        list = hf_realloc_array(list, (size_t)room, sizeof *list);
        got = rbd_snap_list(image, list, &room); /* ERANGE: room is how many there are */
    } while (got == -ERANGE);
    hf_status st = got < 0 ? hf_rbd_failed(l, got, "list the snapshots of", n) : HF_STATUS_OK;
    for (int k = 0; k < got && hf_ok(st); k++)
        st = drop(l, image, n, list[k].name);
    if (got > 0)
        rbd_snap_list_end(list);
    free(list);
    return st;
}

/* --- flatten --- */

static bool has_parent(rbd_image_t image)
{
    rbd_linked_image_spec_t parent;
    rbd_snap_spec_t snap;
    if (rbd_get_parent(image, &parent, &snap) < 0)
        return false;
    rbd_linked_image_spec_cleanup(&parent);
    rbd_snap_spec_cleanup(&snap);
    return true;
}

static hf_status flatten(struct hf_rbd_snaps *s, const struct hf_rbd_name *n)
{
    struct hf_rbd_lib *l = of(s);
    struct hf_rbd_open i;
    HF_TRY(hf_rbd_open_image(l, n, true, &i));
    int rc = has_parent(i.image) ? rbd_flatten_with_progress(i.image, progress, l) : 0;
    if (rc == -EINVAL && !has_parent(i.image)) /* somebody else was faster */
        rc = 0;
    hf_rbd_close_image(&i);
    return rc < 0 ? hf_rbd_failed(l, rc, "flatten", n) : HF_STATUS_OK;
}

/* --- going back --- */

/* UNAVAILABLE: another client watches it. One that is dead does so for half a minute. */
static hf_status check_alone(struct hf_rbd_lib *l, rbd_image_t image, const struct hf_rbd_name *n)
{
    rbd_image_watcher_t list[WATCHERS_MAX];
    size_t len = WATCHERS_MAX;
    int64_t me = (int64_t)rados_get_instance_id(l->cluster);
    int rc = rbd_watchers_list(image, list, &len);
    if (rc < 0)
        return hf_rbd_failed(l, rc, "see who has open", n);
    hf_status st = HF_STATUS_OK;
    for (size_t k = 0; k < len && hf_ok(st); k++)
        if (list[k].id != me)
            st = hf_error(HF_UNAVAILABLE, "the image '%s/%s' is open in another client, at %s", n->pool,
                          n->image, list[k].addr);
    rbd_watchers_list_cleanup(list, len);
    return st;
}

/* First a look, so that a guest is never asked for its lock; then the lock, which is not given away to
 * anybody that asks; then another look at who came in between. A lock whose owner is dead is broken by
 * librbd, which has the cluster refuse it. */
static hf_status take_alone(struct hf_rbd_lib *l, rbd_image_t image, const struct hf_rbd_name *n)
{
    HF_TRY(check_alone(l, image, n));
    int rc = rbd_lock_acquire(image, RBD_LOCK_MODE_EXCLUSIVE);
    if (rc == -EROFS || rc == -EBUSY || rc == -EAGAIN)
        return hf_error(HF_UNAVAILABLE, "the lock of the image '%s/%s' is held by another client", n->pool,
                        n->image);
    if (rc < 0)
        return hf_rbd_failed(l, rc, "lock", n);
    return check_alone(l, image, n);
}

static hf_status hold(struct hf_rbd_snaps *s, const struct hf_rbd_name *n)
{
    struct hf_rbd_lib *l = of(s);
    struct hf_rbd_open i;
    HF_ASSERT(l->held == NULL);
    HF_TRY(hf_rbd_open_image(l, n, true, &i));
    hf_status st = take_alone(l, i.image, n);
    if (!hf_ok(st)) {
        hf_rbd_close_image(&i);
        return st;
    }
    l->held = HF_NEW(struct hf_rbd_open);
    *l->held = i;
    return HF_STATUS_OK;
}

static hf_status read_mark(struct hf_rbd_snaps *s, uint64_t *ret)
{
    struct hf_rbd_lib *l = of(s);
    char text[32] = "";
    size_t len = sizeof text - 1;
    int rc = rbd_metadata_get(l->held->image, KEY_REVERTED, text, &len);
    if (rc < 0 && rc != -ENOENT) {
        l->rc = rc;
        return hf_rados_error(rc, "read the number of the last order to go back");
    }
    *ret = rc < 0 ? 0 : strtoull(text, NULL, 10);
    return HF_STATUS_OK;
}

static hf_status write_mark(struct hf_rbd_snaps *s, uint64_t mark)
{
    struct hf_rbd_lib *l = of(s);
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, mark);
    int rc = rbd_metadata_set(l->held->image, KEY_REVERTED, text);
    l->rc = rc < 0 ? rc : l->rc;
    return rc < 0 ? hf_rados_error(rc, "write the number of the order to go back") : HF_STATUS_OK;
}

static hf_status roll_back(struct hf_rbd_snaps *s, const char *snap)
{
    struct hf_rbd_lib *l = of(s);
    bool exists = false;
    int rc = rbd_snap_exists(l->held->image, snap, &exists);
    if (rc >= 0 && !exists)
        return hf_error(HF_NOT_FOUND, "the image has no snapshot '%s'", snap);
    if (rc >= 0)
        rc = rbd_snap_rollback_with_progress(l->held->image, snap, progress, l);
    l->rc = rc < 0 ? rc : l->rc;
    if (hf_rados_is_blocklisted(rc))
        return hf_rados_error(rc, "go back to the snapshot '%s'", snap);
    /* Whatever it says, it may be half done: never a code that means "there is no such thing". */
    return rc < 0 ? hf_error(HF_IO, "go back to the snapshot '%s': %s", snap, strerror(-rc)) : HF_STATUS_OK;
}

static void release(struct hf_rbd_snaps *s)
{
    struct hf_rbd_lib *l = of(s);
    hf_rbd_close_image(l->held); /* with its lock */
    free(l->held);
    l->held = NULL;
}

const struct hf_rbd_snap_ops hf_rbd_snap_lib_ops = {
    .create = snap_create,
    .remove = snap_remove,
    .flatten = flatten,
    .hold = hold,
    .read_mark = read_mark,
    .roll_back = roll_back,
    .write_mark = write_mark,
    .release = release,
};
