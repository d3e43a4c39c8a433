/* Zones and clusters, and what is attached to a cluster. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/api_handlers.h"
#include "control/api_rules.h"
#include "control/pb_list.h"
#include "control/placement_guard.h"
#include "control/storage_kind.h"
#include "control/takeover.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/network.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"

typedef Holdfast__V1__Cluster Cluster;
typedef Holdfast__V1__Instance Instance;

const struct hf_kind_rules hf_zone_rules = {.kind = HOLDFAST__V1__KIND__ZONE};

static hf_status create_cluster(struct hf_draft *d, ProtobufCMessage *m)
{
    (void)d;
    Holdfast__V1__ClusterSpec *spec = ((Cluster *)m)->spec;
    if (spec->n_primary_storage_uuids > 0 || spec->n_l2_network_uuids > 0)
        return hf_error(HF_INVALID, "storages and networks are attached after a cluster is made: leave "
                                    "spec.primary_storage_uuids and spec.l2_network_uuids empty");
    if (spec->hypervisor[0] == '\0')
        hf_pb_set(&spec->hypervisor, "KVM");
    if (strcmp(spec->hypervisor, "KVM") != 0)
        return hf_error(HF_INVALID, "spec.hypervisor: '%s' is not supported, use KVM", spec->hypervisor);
    return hf_takeover_check(spec->takeover);
}

static hf_status update_cluster(struct hf_draft *d, const ProtobufCMessage *before, ProtobufCMessage *m)
{
    (void)d;
    (void)before;
    return hf_takeover_check(((const Cluster *)m)->spec->takeover);
}

static const char *const cluster_paths[] = {"spec.takeover", NULL};

const struct hf_kind_rules hf_cluster_rules = {.kind = HOLDFAST__V1__KIND__CLUSTER,
                                               .mutable_paths = cluster_paths,
                                               .create = create_cluster,
                                               .update = update_cluster};

/* --- attach and detach --- */

typedef Holdfast__V1__AttachToClusterRequest AttachRequest;

/* The two things that a cluster reaches, told apart by a few functions. */
struct attachable {
    uint32_t kind;
    const char *(*zone_of)(const ProtobufCMessage *m);
    void (*list_of)(Holdfast__V1__ClusterSpec *spec, char ****ret_list, size_t **ret_n);
    /* Another reason against attaching; may be NULL. */
    hf_status (*attach)(struct hf_draft *d, const Cluster *cl, const ProtobufCMessage *m);
    /* The instance has something on it. */
    bool (*used_by)(const struct hf_store *s, const Instance *i, const char *uuid);
};

static const char *storage_zone(const ProtobufCMessage *m)
{
    return ((const Holdfast__V1__PrimaryStorage *)m)->spec->zone_uuid;
}

static void storage_list(Holdfast__V1__ClusterSpec *spec, char ****ret_list, size_t **ret_n)
{
    *ret_list = &spec->primary_storage_uuids;
    *ret_n = &spec->n_primary_storage_uuids;
}

/* What two storages of one cluster must not share. */
static const char *place_of(const Holdfast__V1__PrimaryStorage *ps)
{
    if (hf_storage_is_ceph(ps))
        return ps->spec->ceph->root_pool;
    return hf_storage_is_nfs(ps) ? ps->spec->url : ps->spec->path;
}

/* Hosts would keep two storages in one directory. */
static hf_status attach_storage(struct hf_draft *d, const Cluster *cl, const ProtobufCMessage *m)
{
    const char *place = place_of((const Holdfast__V1__PrimaryStorage *)m);
    for (size_t i = 0; i < cl->spec->n_primary_storage_uuids; i++) {
        Holdfast__V1__PrimaryStorage *other = (Holdfast__V1__PrimaryStorage *)hf_object_find(
            d->store, HOLDFAST__V1__KIND__PRIMARY_STORAGE, cl->spec->primary_storage_uuids[i], NULL);
        hf_status st = HF_STATUS_OK;
        if (other != NULL && strcmp(place_of(other), place) == 0)
            st = hf_error(HF_PRECONDITION, "its path %s is that of storage '%s', which is attached already",
                          place, other->meta->name);
        if (other != NULL)
            holdfast__v1__primary_storage__free_unpacked(other, NULL);
        HF_TRY(st);
    }
    return HF_STATUS_OK;
}

static bool storage_used_by(const struct hf_store *s, const Instance *i, const char *uuid)
{
    (void)s;
    return hf_pb_list_has(i->spec->storage_uuids, i->spec->n_storage_uuids, uuid);
}

static const struct attachable storages = {HOLDFAST__V1__KIND__PRIMARY_STORAGE, storage_zone, storage_list,
                                           attach_storage, storage_used_by};

static const char *l2_zone(const ProtobufCMessage *m)
{
    return ((const Holdfast__V1__L2Network *)m)->spec->zone_uuid;
}

static void l2_list(Holdfast__V1__ClusterSpec *spec, char ****ret_list, size_t **ret_n)
{
    *ret_list = &spec->l2_network_uuids;
    *ret_n = &spec->n_l2_network_uuids;
}

static bool l2_used_by(const struct hf_store *s, const Instance *inst, const char *uuid)
{
    bool used = false;
    for (size_t i = 0; i < inst->spec->n_l3_network_uuids && !used; i++) {
        Holdfast__V1__L3Network *l3 = (Holdfast__V1__L3Network *)hf_object_find(
            s, HOLDFAST__V1__KIND__L3_NETWORK, inst->spec->l3_network_uuids[i], NULL);
        used = l3 != NULL && strcmp(l3->spec->l2_network_uuid, uuid) == 0;
        if (l3 != NULL)
            holdfast__v1__l3_network__free_unpacked(l3, NULL);
    }
    return used;
}

static const struct attachable l2_networks = {HOLDFAST__V1__KIND__L2_NETWORK, l2_zone, l2_list, NULL,
                                              l2_used_by};

/* The cluster and the thing to attach or detach, decoded. */
static hf_status find_both(struct hf_draft *d, const struct attachable *a, Cluster **ret_cl,
                           ProtobufCMessage **ret_m)
{
    const AttachRequest *r = (const AttachRequest *)d->call->request;
    hf_status st = HF_STATUS_OK;
    Cluster *cl =
        (Cluster *)hf_lookup_message(d->store, HOLDFAST__V1__KIND__CLUSTER, r->cluster_uuid, "", &st);
    if (cl == NULL)
        return st;
    ProtobufCMessage *m = hf_lookup_message(d->store, a->kind, r->uuid, "", &st);
    if (m == NULL) {
        holdfast__v1__cluster__free_unpacked(cl, NULL);
        return st;
    }
    *ret_cl = cl;
    *ret_m = m;
    return HF_STATUS_OK;
}

static hf_status attach(struct hf_draft *d, const struct attachable *a, Cluster *cl,
                        const ProtobufCMessage *m)
{
    const Holdfast__V1__Meta *meta = hf_message_meta(m);
    char ***list;
    size_t *n;
    a->list_of(cl->spec, &list, &n);
    if (hf_pb_list_has(*list, *n, meta->uuid))
        return hf_error(HF_EXISTS, "it is attached already");
    if (strcmp(a->zone_of(m), cl->spec->zone_uuid) != 0)
        return hf_error(HF_PRECONDITION, "they are in different zones");
    if (a->attach != NULL)
        HF_TRY(a->attach(d, cl, m));
    hf_pb_list_add(list, n, meta->uuid);
    hf_draft_put_answer(d, &cl->base);
    return HF_STATUS_OK;
}

/* Instances placed on a host of the cluster need what they have there; where no other cluster reaches it, so
 * do all. */
static bool instance_needs(const struct hf_store *s, const Instance *i, const char *cluster_uuid,
                           bool last_cluster)
{
    if (last_cluster)
        return true;
    if (!hf_placement_open(i->placement))
        return false;
    Holdfast__V1__Host *h =
        (Holdfast__V1__Host *)hf_object_find(s, HOLDFAST__V1__KIND__HOST, i->placement->host_uuid, NULL);
    bool here = h != NULL && strcmp(h->spec->cluster_uuid, cluster_uuid) == 0;
    if (h != NULL)
        holdfast__v1__host__free_unpacked(h, NULL);
    return here;
}

static bool reached_elsewhere(const struct hf_store *s, const struct attachable *a, const char *uuid,
                              const char *cluster_uuid)
{
    bool found = false;
    const struct hf_object *o = hf_store_next(s, HOLDFAST__V1__KIND__CLUSTER, "");
    for (; o != NULL && !found; o = hf_store_next(s, o->kind, o->name)) {
        Cluster *cl = (Cluster *)hf_object_decode(o);
        HF_ASSERT(cl != NULL);
        char ***list;
        size_t *n;
        a->list_of(cl->spec, &list, &n);
        found = strcmp(cl->meta->uuid, cluster_uuid) != 0 && hf_pb_list_has(*list, *n, uuid);
        holdfast__v1__cluster__free_unpacked(cl, NULL);
    }
    return found;
}

static hf_status check_detach(struct hf_draft *d, const struct attachable *a, const char *cluster_uuid,
                              const char *uuid)
{
    bool last = !reached_elsewhere(d->store, a, uuid, cluster_uuid);
    const struct hf_object *o = hf_store_next(d->store, HOLDFAST__V1__KIND__INSTANCE, "");
    for (; o != NULL; o = hf_store_next(d->store, o->kind, o->name)) {
        Instance *i = (Instance *)hf_object_decode(o);
        HF_ASSERT(i != NULL);
        bool needs = a->used_by(d->store, i, uuid) && instance_needs(d->store, i, cluster_uuid, last);
        holdfast__v1__instance__free_unpacked(i, NULL);
        if (needs)
            return hf_error(HF_PRECONDITION, "instance '%s' uses it %s", o->name,
                            last ? "and no other cluster reaches it" : "on a host of this cluster");
    }
    return HF_STATUS_OK;
}

static hf_status detach(struct hf_draft *d, const struct attachable *a, Cluster *cl,
                        const ProtobufCMessage *m)
{
    const Holdfast__V1__Meta *meta = hf_message_meta(m);
    char ***list;
    size_t *n;
    a->list_of(cl->spec, &list, &n);
    if (!hf_pb_list_has(*list, *n, meta->uuid))
        return hf_error(HF_PRECONDITION, "it is not attached");
    HF_TRY(check_detach(d, a, cl->meta->uuid, meta->uuid));
    hf_pb_list_remove(list, n, meta->uuid);
    hf_draft_put_answer(d, &cl->base);
    return HF_STATUS_OK;
}

static hf_status build_attachment(struct hf_api_call *c, const struct hf_store *s, struct hf_txn *t,
                                  const struct attachable *a, bool attaching)
{
    struct hf_draft d = hf_draft_begin(c, s, t);
    const char *what = hf_kind_of(a->kind)->singular;
    Cluster *cl = NULL;
    ProtobufCMessage *m = NULL;
    HF_TRY(hf_wrap(find_both(&d, a, &cl, &m), "%s %s", attaching ? "attach" : "detach", what));
    hf_status st = attaching ? attach(&d, a, cl, m) : detach(&d, a, cl, m);
    st = hf_wrap(st, "%s %s '%s' %s cluster '%s'", attaching ? "attach" : "detach", what,
                 hf_message_meta(m)->name, attaching ? "to" : "from", cl->meta->name);
    protobuf_c_message_free_unpacked(m, NULL);
    holdfast__v1__cluster__free_unpacked(cl, NULL);
    return st;
}

static hf_status build_attach_storage(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    return build_attachment(arg, s, t, &storages, true);
}

static hf_status build_detach_storage(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    return build_attachment(arg, s, t, &storages, false);
}

static hf_status build_attach_l2(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    return build_attachment(arg, s, t, &l2_networks, true);
}

static hf_status build_detach_l2(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    return build_attachment(arg, s, t, &l2_networks, false);
}

void hf_handle_attach_primary_storage(struct hf_api_call *c)
{
    hf_call_write(c, HF_ROOM_ADD, build_attach_storage);
}

void hf_handle_detach_primary_storage(struct hf_api_call *c)
{
    hf_call_write(c, HF_ROOM_REMOVE, build_detach_storage);
}

void hf_handle_attach_l2_network(struct hf_api_call *c)
{
    hf_call_write(c, HF_ROOM_ADD, build_attach_l2);
}

void hf_handle_detach_l2_network(struct hf_api_call *c)
{
    hf_call_write(c, HF_ROOM_REMOVE, build_detach_l2);
}
