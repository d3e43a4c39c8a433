/* Images leave an image server's pool: first the clones that storages of the cluster keep as templates, when
 * no volume lies over them. Clones are what the cluster says: nothing is guessed. */
#include <errno.h>
#include <rbd/librbd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/hf_ceph.h"
#include "storage/ceph_spec.h"
#include "storage/rbd_lib.h"

#define LIST_FIRST 16

struct clones {
    rbd_linked_image_spec_t *list;
    size_t n;
};

/* Those of the template's snapshot, also in the trash; none when there is no such image or snapshot. */
static hf_status find_clones(rados_t c, const struct hf_rbd_name *n, struct clones *ret)
{
    rados_ioctx_t io;
    rbd_image_t image;
    size_t max = LIST_FIRST;
    *ret = (struct clones){0};
    int rc = rados_ioctx_create(c, n->pool, &io);
    if (rc < 0)
        return hf_rados_error(rc, "open the pool '%s'", n->pool);
    rc = rbd_open_read_only(io, n->image, &image, HF_CEPH_TEMPLATE_SNAP);
    if (rc >= 0) {
        do {
            ret->list = hf_realloc_array(ret->list, max, sizeof *ret->list);
            rc = rbd_list_children3(image, ret->list, &max); /* ERANGE: max is how many there are */
        } while (rc == -ERANGE);
        ret->n = rc >= 0 ? max : 0;
        (void)rbd_close(image);
    }
    rados_ioctx_destroy(io);
    return rc < 0 && rc != -ENOENT ? hf_rados_error(rc, "list the clones of '%s/%s'", n->pool, n->image)
                                   : HF_STATUS_OK;
}

static void free_clones(struct clones *c)
{
    if (c->n > 0)
        rbd_linked_image_spec_list_cleanup(c->list, c->n);
    free(c->list);
}

/* A clone is a storage's template when it is called like its parent. */
static hf_status remove_template(rados_t c, struct hf_rbd_lib *l, const struct hf_rbd_name *n)
{
    struct clones volumes;
    HF_TRY(find_clones(c, n, &volumes));
    hf_status st = HF_STATUS_OK;
    if (volumes.n > 0)
        st = hf_error(HF_PRECONDITION,
                      "its copy '%s/%s' lies under %zu images, one is '%s/%s': delete or flatten them",
                      n->pool, n->image, volumes.n, volumes.list[0].pool_name, volumes.list[0].image_name);
    free_clones(&volumes);
    return hf_ok(st) ? hf_rbd_delete(&l->rbd, n) : st;
}

static hf_status remove_clones(rados_t c, struct hf_rbd_lib *l, const struct hf_rbd_name *n)
{
    struct clones found;
    hf_status st = find_clones(c, n, &found);
    for (size_t i = 0; hf_ok(st) && i < found.n; i++) {
        struct hf_rbd_name clone = {found.list[i].pool_name, found.list[i].image_name};
        if (strcmp(clone.image, n->image) == 0)
            st = remove_template(c, l, &clone);
        else
            st = hf_error(HF_PRECONDITION, "the image '%s/%s' is a clone of it: delete or flatten that",
                          clone.pool, clone.image);
    }
    free_clones(&found);
    return st;
}

/* What hosts left over that were bringing it in when they ended. */
static hf_status remove_unfinished(struct hf_rbd_lib *l, const struct hf_rbd_name *n)
{
    rados_ioctx_t io;
    rbd_image_spec_t *list = NULL;
    size_t max = LIST_FIRST;
    int rc = rados_ioctx_create(l->cluster, n->pool, &io);
    if (rc < 0)
        return hf_rados_error(rc, "open the pool '%s'", n->pool);
    do {
        list = hf_realloc_array(list, max, sizeof *list);
        rc = rbd_list2(io, list, &max);
    } while (rc == -ERANGE);
    rados_ioctx_destroy(io);
    char *prefix = hf_printf("%s" HF_CEPH_TEMPLATE_MAKER, n->image);
    hf_status st = rc < 0 ? hf_rados_error(rc, "list the images of the pool '%s'", n->pool) : HF_STATUS_OK;
    for (size_t i = 0; rc >= 0 && hf_ok(st) && i < max; i++)
        if (strncmp(list[i].name, prefix, strlen(prefix)) == 0)
            st = hf_rbd_delete(&l->rbd, &(struct hf_rbd_name){n->pool, list[i].name});
    if (rc >= 0)
        rbd_image_spec_list_cleanup(list, max);
    free(list);
    free(prefix);
    return st;
}

static hf_status remove_image(rados_t c, const char *pool, const char *image)
{
    struct hf_rbd_lib lib;
    struct hf_uuid uuid;
    struct hf_rbd_name n = {pool, image};
    if (!hf_uuid_parse(image, &uuid))
        return hf_error(HF_INVALID, "'%s' is no UUID of an image", image);
    hf_rbd_lib_init(&lib, c);
    HF_TRY(remove_clones(c, &lib, &n));
    HF_TRY(remove_unfinished(&lib, &n));
    return hf_rbd_delete(&lib.rbd, &n);
}

hf_status hf_ceph_remove_images(rados_t c, const json_t *question, json_t *answer)
{
    json_t *removed = json_array(), *kept = json_array(), *at;
    size_t i;
    json_object_set_new(answer, "removed", removed);
    json_object_set_new(answer, "kept", kept);
    json_array_foreach(json_object_get(question, "images"), i, at)
    {
        const char *image = json_string_value(at) ? json_string_value(at) : "";
        hf_status st = remove_image(c, hf_ceph_text(question, "pool"), image);
        if (hf_ok(st))
            json_array_append_new(removed, json_string(image));
        else
            json_array_append_new(kept,
                                  json_pack("{s:s, s:s}", "image", image, "why", hf_status_message(st)));
        hf_status_drop(st);
    }
    return HF_STATUS_OK;
}
