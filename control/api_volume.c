/* Volumes: data volumes are made by users; root volumes come and go with their instances (api_instance.c). */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/api_handlers.h"
#include "control/api_instance.h"
#include "control/api_operation.h"
#include "control/api_volume.h"
#include "control/pb_list.h"
#include "control/storage_kind.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"
#include "storage/ceph_spec.h"

typedef Holdfast__V1__Volume Volume;
typedef Holdfast__V1__Instance Instance;

#define VOLUME_BYTES_MIN (1ull << 20)
#define VOLUME_BYTES_MAX (1ull << 46)
#define DATA_VOLUMES_MAX 24 /* of one instance */

hf_status hf_volume_check_size(uint64_t bytes)
{
    if (bytes < VOLUME_BYTES_MIN || bytes > VOLUME_BYTES_MAX || bytes % 512 != 0)
        return hf_error(HF_INVALID, "%llu is not a multiple of 512 between 1 MiB and 64 TiB",
                        (unsigned long long)bytes);
    return HF_STATUS_OK;
}

hf_status hf_volume_check_idle(const Volume *v)
{
    static const char *const texts[] = {"worked on", "snapshotted", "rid of a snapshot", "reverted",
                                        "flattened"};
    if (v->spec->work == NULL)
        return HF_STATUS_OK;
    size_t kind = (size_t)v->spec->work->kind;
    return hf_error(HF_PRECONDITION, "it is being %s: wait for that",
                    texts[kind < sizeof texts / sizeof texts[0] ? kind : 0]);
}

static hf_status create_volume(struct hf_draft *d, ProtobufCMessage *m)
{
    Volume *v = (Volume *)m;
    Holdfast__V1__VolumeSpec *spec = v->spec;
    if (spec->type == HOLDFAST__V1__VOLUME_SPEC__TYPE__ROOT)
        return hf_error(HF_INVALID, "root volumes are made with their instances");
    if (spec->image_uuid[0] != '\0' || spec->instance_uuid[0] != '\0' || spec->deleting ||
        spec->work != NULL || spec->works != 0)
        return hf_error(HF_INVALID,
                        "leave spec.image_uuid, spec.instance_uuid, spec.deleting and spec.work empty");
    HF_TRY(hf_wrap(hf_volume_check_size(spec->size_bytes), "spec.size_bytes"));
    spec->type = HOLDFAST__V1__VOLUME_SPEC__TYPE__DATA;
    v->status->state = HOLDFAST__V1__VOLUME_STATUS__STATE__NOT_INSTANTIATED;
    hf_volume_set_path(d->store, v);
    return HF_STATUS_OK;
}

const struct hf_kind_rules hf_volume_rules = {.kind = HOLDFAST__V1__KIND__VOLUME, .create = create_volume};

Instance *hf_volume_holder(struct hf_draft *d, const Volume *v)
{
    Instance *i =
        (Instance *)hf_object_find(d->store, HOLDFAST__V1__KIND__INSTANCE, v->spec->instance_uuid, NULL);
    if (i == NULL)
        return NULL;
    struct hf_uuid uuid;
    bool valid = hf_uuid_parse(i->meta->uuid, &uuid);
    HF_ASSERT(valid);
    hf_txn_check(d->txn, &uuid, i->meta->revision);
    return i;
}

/* dataVolumes/acct-<account>/vol-<uuid>/<uuid>.qcow2 below the storage's root (storage/primary.h), or
 * ceph://<pool>/<uuid>. */
void hf_volume_set_path(const struct hf_store *s, Volume *v)
{
    bool root = v->spec->type == HOLDFAST__V1__VOLUME_SPEC__TYPE__ROOT;
    const char *folder = root ? "rootVolumes" : "dataVolumes";
    Holdfast__V1__PrimaryStorage *ps = (Holdfast__V1__PrimaryStorage *)hf_object_find(
        s, HOLDFAST__V1__KIND__PRIMARY_STORAGE, v->spec->primary_storage_uuid, NULL);
    bool ceph = ps != NULL && hf_storage_is_ceph(ps);
    if (ceph) {
        char path[HF_CEPH_PATH_MAX];
        hf_pb_set(&v->status->install_path, hf_ceph_path(root ? ps->spec->ceph->root_pool : ps->spec->ceph->data_pool,
                                                         v->meta->uuid, path));
    }
    if (ps != NULL)
        holdfast__v1__primary_storage__free_unpacked(ps, NULL);
    if (ceph)
        return;
    char *path =
        hf_printf("%s/acct-%s/vol-%s/%s.qcow2", folder, HF_ADMIN_ACCOUNT_UUID, v->meta->uuid, v->meta->uuid);
    hf_pb_set(&v->status->install_path, path);
    free(path);
}

/* --- delete --- */

static hf_status check_deletable(const Volume *v)
{
    if (v->spec->type == HOLDFAST__V1__VOLUME_SPEC__TYPE__ROOT)
        return hf_error(HF_PRECONDITION, "it is a root volume and goes with its instance");
    if (v->spec->instance_uuid[0] != '\0')
        return hf_error(HF_PRECONDITION, "it is attached to instance %s; detach it first",
                        v->spec->instance_uuid);
    if (v->spec->deleting)
        return hf_error(HF_PRECONDITION, "it is being deleted already");
    return HF_STATUS_OK;
}

static hf_status delete_volume(struct hf_draft *d, Volume *v)
{
    const Holdfast__V1__DeleteRequest *r = (const Holdfast__V1__DeleteRequest *)d->call->request;
    HF_TRY(hf_revision_check(r->revision, v->meta->revision));
    HF_TRY(check_deletable(v));
    /* Without a file there is nothing for a host to do. */
    bool at_once =
        v->status == NULL || v->status->state == HOLDFAST__V1__VOLUME_STATUS__STATE__NOT_INSTANTIATED;
    if (at_once) {
        struct hf_uuid uuid;
        bool valid = hf_uuid_parse(v->meta->uuid, &uuid);
        HF_ASSERT(valid);
        hf_txn_check(d->txn, &uuid, v->meta->revision);
        hf_txn_delete(d->txn, &uuid);
    } else {
        v->spec->deleting = true;
        v->status->state = HOLDFAST__V1__VOLUME_STATUS__STATE__DELETING;
        hf_txn_put_message(d->txn, hf_call_env(d->call), &v->base);
    }
    struct hf_operation_target target = {HOLDFAST__V1__KIND__VOLUME, v->meta->uuid, v->meta->name, 0};
    hf_draft_operation(d, 0, "DeleteVolume", &target, at_once ? "" : "waiting for a host to delete its file",
                       at_once);
    return HF_STATUS_OK;
}

static hf_status build_delete_volume(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    struct hf_draft d = hf_draft_begin(c, s, t);
    const Holdfast__V1__DeleteRequest *r = (const Holdfast__V1__DeleteRequest *)c->request;
    hf_status st = HF_STATUS_OK;
    Volume *v = (Volume *)hf_lookup_message(s, HOLDFAST__V1__KIND__VOLUME, r->uuid, r->name, &st);
    if (v == NULL)
        return hf_wrap(st, "delete volume");
    st = hf_wrap(delete_volume(&d, v), "delete volume '%s'", v->meta->name);
    holdfast__v1__volume__free_unpacked(v, NULL);
    return st;
}

void hf_handle_delete_volume(struct hf_api_call *c)
{
    hf_call_write(c, HF_ROOM_REMOVE, build_delete_volume);
}

/* --- attach and detach --- */

static hf_status check_attach(struct hf_draft *d, const Volume *v, const Instance *i)
{
    if (v->spec->type != HOLDFAST__V1__VOLUME_SPEC__TYPE__DATA)
        return hf_error(HF_PRECONDITION, "it is not a data volume");
    if (v->spec->deleting || i->spec->deleting)
        return hf_error(HF_PRECONDITION, "the %s is being deleted",
                        v->spec->deleting ? "volume" : "instance");
    if (v->spec->instance_uuid[0] != '\0')
        return hf_error(HF_PRECONDITION, "it is attached to instance %s already", v->spec->instance_uuid);
    if (i->spec->n_data_volume_uuids >= DATA_VOLUMES_MAX)
        return hf_error(HF_PRECONDITION, "instance '%s' has %d data volumes, which is the most",
                        i->meta->name, DATA_VOLUMES_MAX);
    HF_TRY(hf_instance_check_stopped(i));
    HF_TRY(hf_volume_check_idle(v));
    if (v->spec->primary_storage_uuid[0] == '\0')
        return HF_STATUS_OK;
    return hf_instance_check_storage(d->store, i, v->spec->primary_storage_uuid);
}

static hf_status attach_volume(struct hf_draft *d, Volume *v, Instance *i)
{
    HF_TRY(check_attach(d, v, i));
    if (v->spec->primary_storage_uuid[0] == '\0') /* beside the root volume */
        hf_pb_set(&v->spec->primary_storage_uuid, i->spec->primary_storage_uuid);
    hf_pb_set(&v->spec->instance_uuid, i->meta->uuid);
    hf_pb_list_add(&i->spec->data_volume_uuids, &i->spec->n_data_volume_uuids, v->meta->uuid);
    if (!hf_pb_list_has(i->spec->storage_uuids, i->spec->n_storage_uuids, v->spec->primary_storage_uuid))
        hf_pb_list_add(&i->spec->storage_uuids, &i->spec->n_storage_uuids, v->spec->primary_storage_uuid);
    return HF_STATUS_OK;
}

/* Another volume of the instance still lies on this storage. */
static bool storage_needed(const struct hf_store *s, const Instance *i, const char *storage_uuid)
{
    if (strcmp(i->spec->primary_storage_uuid, storage_uuid) == 0)
        return true;
    bool needed = false;
    for (size_t k = 0; k < i->spec->n_data_volume_uuids && !needed; k++) {
        Volume *v =
            (Volume *)hf_object_find(s, HOLDFAST__V1__KIND__VOLUME, i->spec->data_volume_uuids[k], NULL);
        needed = v != NULL && strcmp(v->spec->primary_storage_uuid, storage_uuid) == 0;
        if (v != NULL)
            holdfast__v1__volume__free_unpacked(v, NULL);
    }
    return needed;
}

static hf_status detach_volume(struct hf_draft *d, Volume *v, Instance *i)
{
    if (v->spec->type != HOLDFAST__V1__VOLUME_SPEC__TYPE__DATA ||
        strcmp(v->spec->instance_uuid, i->meta->uuid) != 0)
        return hf_error(HF_PRECONDITION, "it is not attached to instance '%s' as a data volume",
                        i->meta->name);
    HF_TRY(hf_instance_check_stopped(i));
    HF_TRY(hf_volume_check_idle(v));
    hf_pb_set(&v->spec->instance_uuid, "");
    hf_pb_list_remove(&i->spec->data_volume_uuids, &i->spec->n_data_volume_uuids, v->meta->uuid);
    if (!storage_needed(d->store, i, v->spec->primary_storage_uuid))
        hf_pb_list_remove(&i->spec->storage_uuids, &i->spec->n_storage_uuids, v->spec->primary_storage_uuid);
    return HF_STATUS_OK;
}

static hf_status move_volume(struct hf_draft *d, Volume *v, Instance *i, bool attaching)
{
    const char *verb = attaching ? "attach" : "detach";
    HF_TRY(hf_wrap(attaching ? attach_volume(d, v, i) : detach_volume(d, v, i), "%s volume '%s'", verb,
                   v->meta->name));
    hf_txn_put_message(d->txn, hf_call_env(d->call), &i->base);
    hf_draft_put_answer(d, &v->base);
    return HF_STATUS_OK;
}

static hf_status build_move_volume(struct hf_api_call *c, const struct hf_store *s, struct hf_txn *t,
                                   bool attaching)
{
    struct hf_draft d = hf_draft_begin(c, s, t);
    const Holdfast__V1__AttachVolumeRequest *r = (const Holdfast__V1__AttachVolumeRequest *)c->request;
    hf_status st = HF_STATUS_OK;
    Volume *v = (Volume *)hf_lookup_message(s, HOLDFAST__V1__KIND__VOLUME, r->uuid, "", &st);
    if (v == NULL)
        return hf_wrap(st, "%s volume", attaching ? "attach" : "detach");
    /* Where it is detached from needs not be said. */
    const char *instance_uuid =
        r->instance_uuid[0] == '\0' && !attaching ? v->spec->instance_uuid : r->instance_uuid;
    Instance *i = NULL;
    if (!attaching && instance_uuid[0] == '\0')
        st = hf_error(HF_PRECONDITION, "detach volume '%s': it is not attached", v->meta->name);
    else
        i = (Instance *)hf_lookup_message(s, HOLDFAST__V1__KIND__INSTANCE, instance_uuid, "", &st);
    if (i != NULL) {
        st = move_volume(&d, v, i, attaching);
        holdfast__v1__instance__free_unpacked(i, NULL);
    }
    holdfast__v1__volume__free_unpacked(v, NULL);
    return st;
}

static hf_status build_attach_volume(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    return build_move_volume(arg, s, t, true);
}

static hf_status build_detach_volume(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    return build_move_volume(arg, s, t, false);
}

void hf_handle_attach_volume(struct hf_api_call *c)
{
    hf_call_write(c, HF_ROOM_ADD, build_attach_volume);
}

void hf_handle_detach_volume(struct hf_api_call *c)
{
    hf_call_write(c, HF_ROOM_REMOVE, build_detach_volume);
}
