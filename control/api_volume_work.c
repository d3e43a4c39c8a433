/* What a host is to do to a volume: snapshots, going back to one, flattening. The order is written into the
 * volume, one at a time, each with a number; volume_work.c has it carried out. Its operation ends with it. */
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/api_handlers.h"
#include "control/api_instance.h"
#include "control/api_operation.h"
#include "control/api_volume.h"
#include "control/placement_guard.h"
#include "control/storage_kind.h"

typedef Holdfast__V1__Volume Volume;
typedef Holdfast__V1__Instance Instance;
typedef Holdfast__V1__VolumeStatus__Snapshot Snapshot;
typedef Holdfast__V1__VolumeSpec__Work Work;

#define KIND(x)     HOLDFAST__V1__VOLUME_SPEC__WORK__KIND__##x
#define SNAPSHOT(x) HOLDFAST__V1__VOLUME_STATUS__SNAPSHOT__STATE__##x

/* One verb. apply changes the volume beyond its work and says which snapshot is meant (NULL: none). */
struct verb {
    const char *name; /* of the operation */
    const char *word; /* for sentences */
    const char *step;
    Holdfast__V1__VolumeSpec__Work__Kind kind;
    hf_status (*apply)(struct hf_draft *d, Volume *v, const Instance *holder, const char **ret_snapshot);
};

static Snapshot *find_snapshot(const Volume *v, const char *name)
{
    for (size_t i = 0; i < v->status->n_snapshots; i++)
        if (strcmp(v->status->snapshots[i]->name, name) == 0 ||
            strcmp(v->status->snapshots[i]->uuid, name) == 0)
            return v->status->snapshots[i];
    return NULL;
}

static bool runs(const Instance *holder)
{
    return holder != NULL && hf_placement_open(holder->placement);
}

static bool is_off(const Instance *holder)
{
    return holder == NULL || (!hf_placement_open(holder->placement) &&
                              holder->spec->power == HOLDFAST__V1__POWER_STATE__POWER_STOPPED);
}

/* --- the verbs --- */

static hf_status make_snapshot(struct hf_draft *d, Volume *v, const Instance *holder,
                               const char **ret_snapshot)
{
    const Holdfast__V1__SnapshotVolumeRequest *r =
        (const Holdfast__V1__SnapshotVolumeRequest *)d->call->request;
    char uuid[HF_UUID_STR];
    Holdfast__V1__VolumeStatus *st = v->status;
    HF_TRY(hf_name_check(r->name));
    if (find_snapshot(v, r->name) != NULL)
        return hf_error(HF_EXISTS, "it has a snapshot '%s' already", r->name);
    if (st->n_snapshots >= HF_VOLUME_SNAPSHOTS_MAX)
        return hf_error(HF_EXHAUSTED, "it has %d snapshots, which is the most; delete one first",
                        HF_VOLUME_SNAPSHOTS_MAX);
    Snapshot *s = HF_NEW(Snapshot);
    holdfast__v1__volume_status__snapshot__init(s);
    hf_pb_set(&s->uuid, hf_uuid_format(hf_call_uuid(d->call, 1), uuid));
    hf_pb_set(&s->name, r->name);
    s->state = SNAPSHOT(CREATING);
    s->created_at_ms = d->wall_ms;
    s->of_running_guest = runs(holder);
    st->snapshots = hf_realloc_array(st->snapshots, st->n_snapshots + 1, sizeof *st->snapshots);
    st->snapshots[st->n_snapshots++] = s;
    *ret_snapshot = s->uuid;
    return HF_STATUS_OK;
}

static hf_status find_asked(struct hf_draft *d, const Volume *v, Snapshot **ret)
{
    const Holdfast__V1__VolumeSnapshotRequest *r =
        (const Holdfast__V1__VolumeSnapshotRequest *)d->call->request;
    *ret = find_snapshot(v, r->snapshot);
    if (*ret == NULL)
        return hf_error(HF_NOT_FOUND, "it has no snapshot '%s'", r->snapshot);
    return HF_STATUS_OK;
}

static hf_status delete_snapshot(struct hf_draft *d, Volume *v, const Instance *holder,
                                 const char **ret_snapshot)
{
    Snapshot *s;
    (void)holder;
    HF_TRY(find_asked(d, v, &s));
    s->state = SNAPSHOT(DELETING);
    *ret_snapshot = s->uuid;
    return HF_STATUS_OK;
}

static hf_status revert(struct hf_draft *d, Volume *v, const Instance *holder, const char **ret_snapshot)
{
    Snapshot *s;
    HF_TRY(find_asked(d, v, &s));
    if (holder != NULL)
        HF_TRY(hf_instance_check_stopped(holder));
    *ret_snapshot = s->uuid;
    return HF_STATUS_OK;
}

static hf_status flatten(struct hf_draft *d, Volume *v, const Instance *holder, const char **ret_snapshot)
{
    (void)d, (void)v, (void)holder;
    *ret_snapshot = NULL;
    return HF_STATUS_OK;
}

static const struct verb snapshot_verb = {
    "SnapshotVolume", "snapshot", "waiting for a host to make the snapshot", KIND(SNAPSHOT), make_snapshot};
static const struct verb delete_verb = {"DeleteVolumeSnapshot", "delete a snapshot of",
                                        "waiting for a host to delete the snapshot", KIND(DELETE_SNAPSHOT),
                                        delete_snapshot};
static const struct verb revert_verb = {"RevertVolume", "revert", "waiting for a host to put it back",
                                        KIND(REVERT), revert};
static const struct verb flatten_verb = {"FlattenVolume", "flatten", "waiting for a host to flatten it",
                                         KIND(FLATTEN), flatten};

/* --- all of them --- */

static hf_status check_storage(const struct hf_draft *d, const Volume *v)
{
    Holdfast__V1__PrimaryStorage *ps = (Holdfast__V1__PrimaryStorage *)hf_object_find(
        d->store, HOLDFAST__V1__KIND__PRIMARY_STORAGE, v->spec->primary_storage_uuid, NULL);
    hf_status st = HF_STATUS_OK;
    if (ps == NULL)
        st = hf_error(HF_PRECONDITION, "it lies on no storage yet");
    else if (!hf_storage_is_ceph(ps))
        st = hf_error(HF_PRECONDITION,
                      "it lies on storage '%s', which is not of type Ceph: only there can volumes be "
                      "snapshotted, reverted "
                      "and flattened",
                      ps->meta->name);
    if (ps != NULL)
        holdfast__v1__primary_storage__free_unpacked(ps, NULL);
    return st;
}

static hf_status check_volume(const struct hf_draft *d, const Volume *v)
{
    if (v->spec->deleting)
        return hf_error(HF_PRECONDITION, "it is being deleted");
    HF_TRY(hf_volume_check_idle(v));
    HF_TRY(check_storage(d, v));
    if (v->status->state != HOLDFAST__V1__VOLUME_STATUS__STATE__READY)
        return hf_error(HF_PRECONDITION, "it has no content before an instance has run with it");
    return HF_STATUS_OK;
}

static void set_work(Volume *v, const struct verb *verb, const char *snapshot, bool stopped)
{
    Work *w = HF_NEW(Work);
    holdfast__v1__volume_spec__work__init(w);
    w->kind = verb->kind;
    w->sequence = ++v->spec->works;
    if (snapshot != NULL)
        hf_pb_set(&w->snapshot_uuid, snapshot);
    w->stopped = stopped;
    v->spec->work = w;
}

static hf_status begin(struct hf_draft *d, const struct verb *verb, Volume *v)
{
    const char *snapshot = NULL;
    HF_TRY(check_volume(d, v));
    Instance *holder = hf_volume_holder(d, v);
    hf_status st = verb->apply(d, v, holder, &snapshot);
    if (hf_ok(st)) {
        set_work(v, verb, snapshot, is_off(holder));
        hf_txn_put_message(d->txn, hf_call_env(d->call), &v->base);
        struct hf_operation_target target = {HOLDFAST__V1__KIND__VOLUME, v->meta->uuid, v->meta->name,
                                             v->spec->works};
        hf_draft_operation(d, 0, verb->name, &target, verb->step, false);
    }
    if (holder != NULL)
        holdfast__v1__instance__free_unpacked(holder, NULL);
    return st;
}

/* Field 2 of each request is the volume's UUID. */
static const char *volume_of(const ProtobufCMessage *request)
{
    const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(request->descriptor, 2);
    HF_ASSERT(f != NULL && strcmp(f->name, "uuid") == 0);
    return *(char *const *)(const void *)((const char *)request + f->offset);
}

static hf_status build(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    const struct verb *verb = c->data;
    struct hf_draft d = hf_draft_begin(c, s, t);
    hf_status st = HF_STATUS_OK;
    Volume *v = (Volume *)hf_lookup_message(s, HOLDFAST__V1__KIND__VOLUME, volume_of(c->request), "", &st);
    if (v == NULL)
        return hf_wrap(st, "%s volume", verb->word);
    st = hf_wrap(begin(&d, verb, v), "%s volume '%s'", verb->word, v->meta->name);
    holdfast__v1__volume__free_unpacked(v, NULL);
    return st;
}

static void handle(struct hf_api_call *c, const struct verb *verb)
{
    c->data = (void *)verb;
    hf_call_write(c, HF_ROOM_ADD, build);
}

void hf_handle_snapshot_volume(struct hf_api_call *c)
{
    handle(c, &snapshot_verb);
}

void hf_handle_delete_volume_snapshot(struct hf_api_call *c)
{
    handle(c, &delete_verb);
}

void hf_handle_revert_volume(struct hf_api_call *c)
{
    handle(c, &revert_verb);
}

void hf_handle_flatten_volume(struct hf_api_call *c)
{
    handle(c, &flatten_verb);
}
