#include "control/assignment_image.h"

#include <string.h>

#include "control/ceph_storage.h"
#include "control/conditions.h"
#include "control/image_controller.h"
#include "control/image_copy.h"
#include "control/image_pairing.h"

bool hf_assignment_access(const Holdfast__V1__CephCluster *spec, const Holdfast__V1__CephStatus *st,
                          const char *uuid, Holdfast__V1__CephAccess *a)
{
    if (spec == NULL || st == NULL || !st->prepared)
        return false;
    const Holdfast__V1__CephStatus__HostKey *key = hf_ceph_key_of(st, uuid);
    if (key == NULL && !spec->cephx_off)
        return false;
    *a = (Holdfast__V1__CephAccess)HOLDFAST__V1__CEPH_ACCESS__INIT;
    a->n_monitors = spec->n_monitors;
    a->monitors = spec->monitors;
    if (!spec->cephx_off) {
        a->user = key->user;
        a->key = key->key;
    }
    a->fsid = st->fsid;
    return true;
}

/* Of an image that is copied from another cluster: the host that does so is told how that is reached, when
 * its key is there; all others that it is not there yet. access: what m points to. */
static void fill_copy(const Holdfast__V1__Host *host, Holdfast__V1__ImageAssignment *m,
                      const struct hf_world_object *o, const Holdfast__V1__ImageServer *server,
                      Holdfast__V1__CephAccess *access)
{
    const Holdfast__V1__ImageStatus *st = ((const Holdfast__V1__Image *)(const void *)o->message)->status;
    const struct hf_image_copy *copy = hf_image_copy(o);
    bool here = copy != NULL && strcmp(copy->host_uuid, host->meta->uuid) == 0 &&
                strcmp(copy->storage_uuid, m->primary_storage_uuid) == 0;
    if (here && hf_assignment_access(server->spec->ceph, server->status->ceph, host->meta->uuid, access)) {
        access->image_pool = server->spec->ceph->image_pool;
        m->server = access;
        return;
    }
    const char *said = hf_condition_message(st->conditions, st->n_conditions, HF_IMAGE_COPY_CONDITION);
    m->waits = (char *)(here           ? "waits for the key to its image server"
                        : said != NULL ? said
                                       : "waits for a host to copy it from its image server");
}

void hf_assignment_fill_image(const struct hf_world *w, const Holdfast__V1__Host *host,
                              Holdfast__V1__ImageAssignment *m, char *image_uuid, char *storage_uuid,
                              Holdfast__V1__CephAccess *access)
{
    struct hf_world_object *o = hf_world_find(w, HOLDFAST__V1__KIND__IMAGE, image_uuid);
    m->uuid = image_uuid;
    m->primary_storage_uuid = storage_uuid;
    if (o == NULL)
        return;
    const Holdfast__V1__Image *image = (const Holdfast__V1__Image *)(const void *)o->message;
    m->sha256 = image->spec->sha256;
    m->format = image->spec->format == HOLDFAST__V1__IMAGE_SPEC__FORMAT__RAW ? "raw" : "qcow2";
    const Holdfast__V1__ImageServer *server =
        HF_WORLD_GET(w, IMAGE_SERVER, ImageServer, image->spec->image_server_uuid);
    const Holdfast__V1__PrimaryStorage *ps = HF_WORLD_GET(w, PRIMARY_STORAGE, PrimaryStorage, storage_uuid);
    if (server == NULL || strcmp(server->meta->uuid, storage_uuid) == 0)
        m->url = image->spec->url;
    else if (ps != NULL && ps->status != NULL && hf_image_server_has_cluster(server, ps->status->ceph))
        m->server_pool = server->spec->ceph->image_pool;
    else if (ps != NULL && hf_image_is_copied(image, server, ps))
        fill_copy(host, m, o, server, access);
}

const char *hf_assignment_image_target(const Holdfast__V1__Host *host, const struct hf_world_object *o)
{
    const struct hf_image_fetch *f = hf_image_fetch(o);
    const struct hf_image_copy *copy = hf_image_copy(o);
    if (f != NULL && strcmp(f->host_uuid, host->meta->uuid) == 0)
        return f->storage_uuid;
    return copy != NULL && strcmp(copy->host_uuid, host->meta->uuid) == 0 ? copy->storage_uuid : NULL;
}
