/* Image servers: what is taken of one, and what keeps it and its images. */
#include "control/api_image_server.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/ceph_storage.h"
#include "control/conditions.h"
#include "control/image_pairing.h"
#include "control/pb_list.h"

typedef Holdfast__V1__ImageServer Server;
typedef Holdfast__V1__Image Image;

#define REMOVALS_MAX 1024 /* of one server, that its cluster has not confirmed yet */

static Server *find_server(const struct hf_store *s, const char *uuid)
{
    return (Server *)hf_object_find(s, HOLDFAST__V1__KIND__IMAGE_SERVER, uuid, NULL);
}

static hf_status create_server(struct hf_draft *d, ProtobufCMessage *m)
{
    (void)d;
    Server *server = (Server *)m;
    if (server->spec->type != HOLDFAST__V1__IMAGE_SERVER_SPEC__TYPE__CEPH)
        return hf_error(HF_INVALID,
                        "spec.type is missing: CEPH is the only one (ImageStore and Sftp are not there)");
    return hf_ceph_server_create(server);
}

static hf_status update_server(struct hf_draft *d, const ProtobufCMessage *before, ProtobufCMessage *m)
{
    (void)d;
    (void)before;
    return hf_ceph_cluster_check(((const Server *)m)->spec->ceph);
}

/* What it still removes would stay for ever, also keys; a cluster that does not answer any more is no reason
 * to wait. */
static hf_status remove_server(struct hf_draft *d, ProtobufCMessage *m)
{
    (void)d;
    const Holdfast__V1__ImageServerStatus *st = ((const Server *)m)->status;
    if (st == NULL || hf_condition_message(st->conditions, st->n_conditions, HF_CEPH_CONDITION) != NULL)
        return HF_STATUS_OK;
    if (st->n_removing_image_uuids > 0)
        return hf_error(HF_PRECONDITION,
                        "it still removes %zu deleted images from its pool: wait, or do what its condition "
                        "'Removal' says",
                        st->n_removing_image_uuids);
    if (st->ceph != NULL && st->ceph->n_host_keys > 0)
        return hf_error(
            HF_PRECONDITION,
            "its cluster is just being asked to revoke the keys of %zu hosts: try again in a moment",
            st->ceph->n_host_keys);
    return HF_STATUS_OK;
}

static const char *const paths[] = {"spec.disabled", "spec.ceph.monitors", "spec.ceph.user", "spec.ceph.key",
                                    NULL};

const struct hf_kind_rules hf_image_server_rules = {.kind = HOLDFAST__V1__KIND__IMAGE_SERVER,
                                                    .mutable_paths = paths,
                                                    .create = create_server,
                                                    .update = update_server,
                                                    .remove = remove_server};

/* --- its images --- */

hf_status hf_image_server_check(const struct hf_store *s, const Image *image)
{
    hf_status st = HF_STATUS_OK;
    if (image->spec->image_server_uuid[0] == '\0')
        return st;
    Server *server = find_server(s, image->spec->image_server_uuid);
    HF_ASSERT(server != NULL); /* a checked reference */
    if (server->spec->disabled)
        st = hf_error(HF_PRECONDITION, "image server '%s' is disabled", server->meta->name);
    holdfast__v1__image_server__free_unpacked(server, NULL);
    return st;
}

static hf_status order_removal(char ***uuids, size_t *n, const Image *image, const char *kind,
                               const char *name)
{
    if (*n >= REMOVALS_MAX)
        return hf_error(HF_EXHAUSTED,
                        "%s '%s' has %d deleted images to remove already: wait for some of them", kind, name,
                        REMOVALS_MAX);
    hf_pb_list_add(uuids, n, image->meta->uuid);
    return HF_STATUS_OK;
}

/* Storages of other clusters may have copies, also unfinished ones. */
static hf_status remove_copies(struct hf_draft *d, const Image *image, const Server *server)
{
    hf_status st = HF_STATUS_OK;
    const struct hf_object *o = hf_store_next(d->store, HOLDFAST__V1__KIND__PRIMARY_STORAGE, "");
    for (; o != NULL && hf_ok(st); o = hf_store_next(d->store, o->kind, o->name)) {
        Holdfast__V1__PrimaryStorage *ps = (Holdfast__V1__PrimaryStorage *)hf_object_decode(o);
        HF_ASSERT(ps != NULL);
        if (hf_image_server_is_far(server, ps)) {
            st = order_removal(&ps->status->removing_image_uuids, &ps->status->n_removing_image_uuids, image,
                               "primary storage", ps->meta->name);
            if (hf_ok(st))
                hf_txn_put_message(d->txn, hf_call_env(d->call), &ps->base);
        }
        holdfast__v1__primary_storage__free_unpacked(ps, NULL);
    }
    return st;
}

/* The orders to remove it are written with the image's end, so that no crash forgets them. */
hf_status hf_image_server_remove(struct hf_draft *d, const Image *image)
{
    hf_status st = HF_STATUS_OK;
    if (image->spec->image_server_uuid[0] == '\0')
        return st;
    Server *server = find_server(d->store, image->spec->image_server_uuid);
    HF_ASSERT(server != NULL);
    Holdfast__V1__ImageServerStatus *status = server->status;
    HF_ASSERT(status != NULL);
    st = order_removal(&status->removing_image_uuids, &status->n_removing_image_uuids, image, "image server",
                       server->meta->name);
    if (hf_ok(st))
        hf_txn_put_message(d->txn, hf_call_env(d->call), &server->base);
    if (hf_ok(st))
        st = remove_copies(d, image, server);
    holdfast__v1__image_server__free_unpacked(server, NULL);
    return st;
}

hf_status hf_image_server_check_pairing(const struct hf_store *s, const char *image_uuid,
                                        const char *storage_uuid)
{
    Image *image = (Image *)hf_object_find(s, HOLDFAST__V1__KIND__IMAGE, image_uuid, NULL);
    Holdfast__V1__PrimaryStorage *ps = (Holdfast__V1__PrimaryStorage *)hf_object_find(
        s, HOLDFAST__V1__KIND__PRIMARY_STORAGE, storage_uuid, NULL);
    Server *server = image != NULL ? find_server(s, image->spec->image_server_uuid) : NULL;
    char *why = server != NULL && ps != NULL ? hf_image_pairing_objection(image, server, ps) : NULL;
    hf_status st = why != NULL ? hf_error(HF_PRECONDITION, "%s", why) : HF_STATUS_OK;
    free(why);
    if (server != NULL)
        holdfast__v1__image_server__free_unpacked(server, NULL);
    if (ps != NULL)
        holdfast__v1__primary_storage__free_unpacked(ps, NULL);
    if (image != NULL)
        holdfast__v1__image__free_unpacked(image, NULL);
    return st;
}
