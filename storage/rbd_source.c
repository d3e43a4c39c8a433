#include "storage/rbd_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/rbd_import.h"
#include "storage/rbd_lib_priv.h"

#define IMAGE_ID_MAX 64

struct hf_rbd_source {
    rados_t cluster;
    rados_ioctx_t pool;
    rbd_image_t image; /* its snapshot */
    char *name;        /* for messages: "the image 'pool/image' of the cluster at …" */
    char id[IMAGE_ID_MAX];
    char digest[HF_RBD_DIGEST_MAX]; /* "": it was brought in before digests were taken */
    struct hf_rbd_source_info info;
    struct hf_rbd_name where; /* own strings */
};

/* --- opening --- */

static hf_status look(struct hf_rbd_source *s)
{
    struct hf_rbd_lib lib;
    struct hf_rbd_stat stat;
    hf_rbd_lib_init(&lib, s->cluster);
    HF_TRY(hf_rbd_find_template(&lib.rbd, &s->where, &stat));
    s->info.size_bytes = stat.size_bytes;
    s->info.file_bytes = stat.file_bytes;
    int rc = rados_ioctx_create(s->cluster, s->where.pool, &s->pool);
    if (rc < 0) {
        s->pool = NULL;
        return hf_rados_error(rc, "open the pool of %s", s->name);
    }
    rc = rbd_open_read_only(s->pool, s->where.image, &s->image, HF_CEPH_TEMPLATE_SNAP);
    if (rc < 0) {
        s->image = NULL;
        return hf_rados_error(rc, "open %s", s->name);
    }
    size_t len = sizeof s->digest;
    rc = rbd_get_id(s->image, s->id, sizeof s->id);
    if (rc >= 0)
        rc = rbd_metadata_get(s->image, HF_RBD_KEY_DIGEST, s->digest, &len);
    if (rc < 0 && rc != -ENOENT)
        return hf_rados_error(rc, "read the checksum of %s", s->name);
    return hf_rbd_allocated(s->image, s->name, &s->info.allocated_bytes);
}

hf_status hf_rbd_source_open(const struct hf_rados_access *access, const struct hf_rados_limits *limits,
                             const struct hf_rbd_name *n, struct hf_rbd_source **ret)
{
    rados_t cluster;
    HF_TRY(hf_rados_connect(access, limits, &cluster));
    struct hf_rbd_source *s = HF_NEW(struct hf_rbd_source);
    s->cluster = cluster;
    s->where = (struct hf_rbd_name){hf_strdup(n->pool), hf_strdup(n->image)};
    s->name = hf_printf("the image '%s/%s' of the cluster at %s", n->pool, n->image, access->mon_host);
    hf_status st = look(s);
    if (hf_ok(st))
        *ret = s;
    else
        hf_rbd_source_close(s);
    return st;
}

const struct hf_rbd_source_info *hf_rbd_source_info(const struct hf_rbd_source *s)
{
    return &s->info;
}

void hf_rbd_source_close(struct hf_rbd_source *s)
{
    if (s->image)
        (void)rbd_close(s->image); /* nothing was written */
    if (s->pool)
        rados_ioctx_destroy(s->pool);
    rados_shutdown(s->cluster);
    free((char *)s->where.pool);
    free((char *)s->where.image);
    free(s->name);
    free(s);
}

/* --- the copy --- */

/* Of an image that is being deleted less and less is read, without an error: the snapshot must still be there
 * afterwards, and the image still be the same. */
static hf_status check_still_there(struct hf_rbd_source *s)
{
    rbd_image_t image;
    char id[IMAGE_ID_MAX] = "";
    int is_protected = 0;
    int rc = rbd_open_read_only(s->pool, s->where.image, &image, NULL);
    if (rc >= 0) {
        rc = rbd_get_id(image, id, sizeof id);
        if (rc >= 0)
            rc = rbd_snap_is_protected(image, HF_CEPH_TEMPLATE_SNAP, &is_protected);
        (void)rbd_close(image);
    }
    if (rc < 0 && rc != -ENOENT)
        return hf_rados_error(rc, "look at %s again", s->name);
    if (rc < 0 || !is_protected || strcmp(id, s->id) != 0)
        return hf_error(HF_UNAVAILABLE, "%s has gone while it was read", s->name);
    return HF_STATUS_OK;
}

/* The way there is one half of the work, reading it again the other. */
struct halves {
    struct hf_rbd_lib *lib;
    bool second;
};

static bool stop(void *arg)
{
    const struct halves *h = arg;
    return h->lib->stop != NULL && h->lib->stop(h->lib->arg);
}

static void progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    const struct halves *h = arg;
    if (h->lib->progress)
        h->lib->progress(h->lib->arg, (done_bytes + (h->second ? total_bytes : 0)) / 2, total_bytes);
}

static hf_status read_again(struct halves *h, rbd_image_t image, const char *digest)
{
    char written[HF_RBD_DIGEST_MAX];
    struct hf_rbd_import how = {
        .from = image, .from_name = "the copy", .stop = stop, .progress = progress, .arg = h};
    h->second = true;
    HF_TRY(hf_rbd_import(&how, written));
    if (strcmp(written, digest) != 0)
        return hf_error(HF_IO, "what was written does not read the same: its checksum is %s, not %s", written,
                        digest);
    return HF_STATUS_OK;
}

static hf_status copy(struct hf_rbd_lib *l, rbd_image_t image, struct hf_rbd_source *from)
{
    char digest[HF_RBD_DIGEST_MAX];
    struct halves h = {.lib = l};
    struct hf_rbd_import how = {.image = image,
                                .from = from->image,
                                .from_name = from->name,
                                .stop = stop,
                                .progress = progress,
                                .arg = &h};
    HF_TRY(hf_rbd_import(&how, digest));
    HF_TRY(check_still_there(from));
    if (from->digest[0] != '\0' && strcmp(from->digest, digest) != 0)
        return hf_error(
            HF_IO, "%s is not what was brought in: its checksum is %s, not %s: delete it and add it again",
            from->name, digest, from->digest);
    HF_TRY(read_again(&h, image, digest));
    int rc = rbd_metadata_set(image, HF_RBD_KEY_DIGEST, digest);
    return rc < 0 ? hf_rados_error(rc, "note the checksum") : HF_STATUS_OK;
}

hf_status hf_rbd_lib_copy(struct hf_rbd *r, const struct hf_rbd_name *n, struct hf_rbd_source *from)
{
    struct hf_rbd_lib *l = hf_container_of(r, struct hf_rbd_lib, rbd);
    struct hf_rbd_open i;
    HF_TRY(hf_rbd_open_image(l, n, true, &i));
    hf_status st = hf_wrap(copy(l, i.image, from), "copy into '%s/%s'", n->pool, n->image);
    if (hf_status_code(st) == HF_PRECONDITION) /* on the blocklist */
        l->rc = -ESHUTDOWN;
    hf_rbd_close_image(&i);
    return st;
}
