/* Larger volumes. What is written is the size that is wanted. A host makes the volume so large when it next
 * starts its instance; the guest that runs with it is told by its host at once (volume_growth.c), and that is
 * what the operation waits for. */
#include "control/api_handlers.h"
#include "control/api_operation.h"
#include "control/api_volume.h"
#include "control/placement_guard.h"

typedef Holdfast__V1__Volume Volume;
typedef Holdfast__V1__Instance Instance;

/* That of a root volume is not known before its image is, if the instance was made earlier. */
static hf_status find_size(const struct hf_draft *d, const Volume *v, uint64_t *ret)
{
    *ret = v->spec->size_bytes;
    if (*ret > 0)
        return HF_STATUS_OK;
    Holdfast__V1__Image *i =
        (Holdfast__V1__Image *)hf_object_find(d->store, HOLDFAST__V1__KIND__IMAGE, v->spec->image_uuid, NULL);
    if (i != NULL && i->status != NULL)
        *ret = i->status->virtual_bytes;
    if (i != NULL)
        holdfast__v1__image__free_unpacked(i, NULL);
    if (*ret == 0)
        return hf_error(HF_PRECONDITION, "its size is not known before its image has been fetched");
    return HF_STATUS_OK;
}

static hf_status check_resize(const struct hf_draft *d, const Volume *v, const Instance *holder,
                              uint64_t wanted)
{
    uint64_t now;
    if (v->spec->deleting)
        return hf_error(HF_PRECONDITION, "it is being deleted");
    HF_TRY(hf_volume_check_size(wanted));
    HF_TRY(find_size(d, v, &now));
    if (wanted < now)
        return hf_error(HF_INVALID,
                        "it has %llu bytes and only grows: what is behind the new end would be lost",
                        (unsigned long long)now);
    if (holder != NULL && hf_migration_open(holder->placement))
        return hf_error(HF_PRECONDITION, "instance '%s' is being migrated: wait for that",
                        holder->meta->name);
    return HF_STATUS_OK;
}

/* True: there is nothing to wait for. */
static bool grow(Volume *v, const Instance *holder, uint64_t wanted)
{
    bool runs = holder != NULL && hf_placement_open(holder->placement);
    if (v->spec->size_bytes == wanted && v->status->growing_to_bytes == 0)
        return true;
    v->spec->size_bytes = wanted;
    v->status->growing_to_bytes = runs ? wanted : 0;
    return !runs;
}

static hf_status resize_volume(struct hf_draft *d, Volume *v)
{
    const Holdfast__V1__ResizeVolumeRequest *r = (const Holdfast__V1__ResizeVolumeRequest *)d->call->request;
    Instance *holder = hf_volume_holder(d, v);
    hf_status st = check_resize(d, v, holder, r->size_bytes);
    if (hf_ok(st)) {
        bool done = grow(v, holder, r->size_bytes);
        hf_txn_put_message(d->txn, hf_call_env(d->call), &v->base);
        struct hf_operation_target target = {HOLDFAST__V1__KIND__VOLUME, v->meta->uuid, v->meta->name, 0};
        hf_draft_operation(d, 0, "ResizeVolume", &target, "waiting for its host to tell the guest", done);
    }
    if (holder != NULL)
        holdfast__v1__instance__free_unpacked(holder, NULL);
    return st;
}

static hf_status build_resize_volume(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    struct hf_draft d = hf_draft_begin(c, s, t);
    const Holdfast__V1__ResizeVolumeRequest *r = (const Holdfast__V1__ResizeVolumeRequest *)c->request;
    hf_status st = HF_STATUS_OK;
    Volume *v = (Volume *)hf_lookup_message(s, HOLDFAST__V1__KIND__VOLUME, r->uuid, "", &st);
    if (v == NULL)
        return hf_wrap(st, "resize volume");
    st = hf_wrap(resize_volume(&d, v), "resize volume '%s'", v->meta->name);
    holdfast__v1__volume__free_unpacked(v, NULL);
    return st;
}

void hf_handle_resize_volume(struct hf_api_call *c)
{
    hf_call_write(c, HF_ROOM_ADD, build_resize_volume);
}
