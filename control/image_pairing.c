#include "control/image_pairing.h"

#include <string.h>

#include "base/mem.h"
#include "control/storage_kind.h"

bool hf_image_server_has_cluster(const Holdfast__V1__ImageServer *server,
                                 const Holdfast__V1__CephStatus *status)
{
    const Holdfast__V1__CephStatus *own = server->status != NULL ? server->status->ceph : NULL;
    return own != NULL && own->prepared && status != NULL && strcmp(own->fsid, status->fsid) == 0;
}

bool hf_image_server_is_far(const Holdfast__V1__ImageServer *server, const Holdfast__V1__PrimaryStorage *ps)
{
    const Holdfast__V1__CephStatus *own = server->status != NULL ? server->status->ceph : NULL,
                                   *other = ps->status != NULL ? ps->status->ceph : NULL;
    return hf_storage_is_ceph(ps) && own != NULL && own->prepared && other != NULL && other->prepared &&
           strcmp(own->fsid, other->fsid) != 0;
}

bool hf_image_is_copied(const Holdfast__V1__Image *image, const Holdfast__V1__ImageServer *server,
                        const Holdfast__V1__PrimaryStorage *ps)
{
    if (!hf_image_server_is_far(server, ps) || image->status == NULL ||
        image->status->state != HOLDFAST__V1__IMAGE_STATUS__STATE__READY)
        return false;
    for (size_t i = 0; i < image->status->n_cached; i++)
        if (strcmp(image->status->cached[i]->primary_storage_uuid, ps->meta->uuid) == 0)
            return false;
    return true;
}

char *hf_image_pairing_objection(const Holdfast__V1__Image *image, const Holdfast__V1__ImageServer *server,
                                 const Holdfast__V1__PrimaryStorage *ps)
{
    if (!hf_storage_is_ceph(ps))
        return hf_printf(
            "image '%s' is on image server '%s', which serves Ceph primary storages only, and '%s' is "
            "none: choose another storage, or an image that names no image server",
            image->meta->name, server->meta->name, ps->meta->name);
    const Holdfast__V1__CephStatus *own = server->status != NULL ? server->status->ceph : NULL,
                                   *other = ps->status != NULL ? ps->status->ceph : NULL;
    if (own == NULL || !own->prepared || other == NULL || !other->prepared)
        return hf_printf(
            "image '%s' is on image server '%s', and it is not known yet whether primary storage '%s' "
            "is in the same Ceph cluster: look at the conditions of both",
            image->meta->name, server->meta->name, ps->meta->name);
    return NULL;
}
