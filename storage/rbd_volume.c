#include "storage/rbd_volume.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

hf_status hf_rbd_find_template(struct hf_rbd *r, const struct hf_rbd_name *n, struct hf_rbd_stat *ret)
{
    HF_TRY(r->ops->stat(r, n, ret));
    if (!ret->is_template)
        return hf_error(HF_NOT_FOUND,
                        "the image '%s' in pool '%s' has no protected snapshot '%s': it is no template",
                        n->image, n->pool, HF_CEPH_TEMPLATE_SNAP);
    return HF_STATUS_OK;
}

/* --- templates --- */

/* What a template is made from: a raw file, another template, or one of another cluster. */
struct source {
    const char *file;
    const struct hf_rbd_name *template_;
    struct hf_rbd_source *far;
    uint64_t size_bytes, file_bytes; /* of the raw content, and of what was fetched; not of template_ */
};

/* Under a name of its maker's until it is whole. */
static hf_status fill_template(struct hf_rbd *r, const struct hf_rbd_name *temp, const struct source *from)
{
    struct hf_rbd_stat stat;
    HF_TRY(hf_rbd_delete(r, temp)); /* of an earlier try that ended in a crash */
    if (from->template_ != NULL) {
        HF_TRY(hf_rbd_find_template(r, from->template_, &stat));
        HF_TRY(r->ops->clone(r, from->template_, temp));
        return r->ops->protect(r, temp, stat.file_bytes);
    }
    HF_TRY(r->ops->create(r, temp, from->size_bytes));
    HF_TRY(from->far != NULL ? r->ops->copy(r, temp, from->far) : r->ops->import(r, temp, from->file));
    return r->ops->protect(r, temp, from->file_bytes);
}

static hf_status have_template(struct hf_rbd *r, const struct hf_rbd_name *n, const char *maker,
                               const struct source *from)
{
    char name[HF_CEPH_NAME_MAX];
    struct hf_rbd_stat stat = {0};
    hf_status st = hf_rbd_find_template(r, n, &stat);
    if (hf_status_code(st) != HF_NOT_FOUND)
        return st;
    hf_status_drop(st);
    if (snprintf(name, sizeof name, "%s" HF_CEPH_TEMPLATE_MAKER "%s", n->image, maker) >= (int)sizeof name)
        return hf_error(HF_INVALID, "the names '%s' and '%s' are too long together", n->image, maker);
    struct hf_rbd_name temp = {n->pool, name};
    st = fill_template(r, &temp, from);
    if (hf_ok(st))
        st = r->ops->rename(r, &temp, n->image);
    bool made = hf_ok(st);
    if (hf_status_code(st) == HF_EXISTS) { /* another host was faster */
        hf_status_drop(st);
        st = hf_rbd_find_template(r, n, &stat);
    }
    if (!made)
        hf_status_drop(hf_rbd_delete(r, &temp)); /* what stays is found by the next try */
    return st;
}

hf_status hf_rbd_have_template(struct hf_rbd *r, const struct hf_rbd_name *n, const char *maker,
                               const char *file, uint64_t size_bytes, uint64_t file_bytes)
{
    struct source from = {.file = file, .size_bytes = size_bytes, .file_bytes = file_bytes};
    return have_template(r, n, maker, &from);
}

hf_status hf_rbd_have_template_clone(struct hf_rbd *r, const struct hf_rbd_name *n, const char *maker,
                                     const struct hf_rbd_name *template_)
{
    struct source from = {.template_ = template_};
    return have_template(r, n, maker, &from);
}

hf_status hf_rbd_have_template_copy(struct hf_rbd *r, const struct hf_rbd_name *n, const char *maker,
                                    struct hf_rbd_source *from, uint64_t size_bytes, uint64_t file_bytes)
{
    struct source what = {.far = from, .size_bytes = size_bytes, .file_bytes = file_bytes};
    return have_template(r, n, maker, &what);
}

/* --- volumes --- */

static bool has_parent(const struct hf_rbd_stat *stat, const struct hf_rbd_name *template_)
{
    if (!template_)
        return stat->parent_image[0] == '\0';
    return strcmp(stat->parent_pool, template_->pool) == 0 &&
           strcmp(stat->parent_image, template_->image) == 0;
}

/* A volume that is there already: from an earlier try of the same order, or somebody else's. A flattened one
 * has no parent any more. */
static hf_status take_existing(struct hf_rbd *r, const struct hf_rbd_name *n, const struct hf_rbd_stat *stat,
                               const struct hf_rbd_name *template_, uint64_t size_bytes,
                               unsigned *ret_evicted)
{
    if (!has_parent(stat, template_) && stat->parent_image[0] != '\0')
        return hf_error(HF_PRECONDITION, "the image is there as a clone of '%s/%s', not of '%s/%s'",
                        stat->parent_pool, stat->parent_image, template_ ? template_->pool : "none",
                        template_ ? template_->image : "none");
    HF_TRY(r->ops->evict(r, n, ret_evicted));
    if (stat->size_bytes < size_bytes)
        return r->ops->grow(r, n, size_bytes);
    return HF_STATUS_OK;
}

static hf_status make(struct hf_rbd *r, const struct hf_rbd_name *n, const struct hf_rbd_name *template_,
                      uint64_t size_bytes)
{
    struct hf_rbd_stat stat;
    if (!template_)
        return r->ops->create(r, n, size_bytes);
    HF_TRY(hf_rbd_find_template(r, template_, &stat));
    if (size_bytes != 0 && size_bytes < stat.size_bytes)
        return hf_error(HF_INVALID, "the volume's size of %" PRIu64 " bytes is below its template's %" PRIu64,
                        size_bytes, stat.size_bytes);
    HF_TRY(r->ops->clone(r, template_, n));
    return size_bytes > stat.size_bytes ? r->ops->grow(r, n, size_bytes) : HF_STATUS_OK;
}

hf_status hf_rbd_have_volume(struct hf_rbd *r, const struct hf_rbd_name *n,
                             const struct hf_rbd_name *template_, uint64_t size_bytes, unsigned *ret_evicted)
{
    struct hf_rbd_stat stat;
    *ret_evicted = 0;
    if (!template_ && size_bytes == 0)
        return hf_error(HF_INVALID, "an empty volume needs a size");
    hf_status st = r->ops->stat(r, n, &stat);
    if (hf_status_code(st) == HF_NOT_FOUND) {
        hf_status_drop(st);
        st = make(r, n, template_, size_bytes);
        if (hf_status_code(st) != HF_EXISTS)
            return st;
        hf_status_drop(st);
        st = r->ops->stat(r, n, &stat);
    }
    return hf_ok(st) ? take_existing(r, n, &stat, template_, size_bytes, ret_evicted) : st;
}

hf_status hf_rbd_delete(struct hf_rbd *r, const struct hf_rbd_name *n)
{
    hf_status st = r->ops->trash(r, n);
    if (!hf_ok(st) && hf_status_code(st) != HF_NOT_FOUND)
        return st;
    hf_status_drop(st);
    return r->ops->purge(r, n);
}
