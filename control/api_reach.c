/* What reaches what: which clusters have an instance's networks and storages, and the choice of its storage.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/api_image_server.h"
#include "control/api_instance.h"
#include "control/drain_record.h"
#include "control/pb_list.h"
#include "control/storage_kind.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/network.pb-c.h"

typedef Holdfast__V1__Cluster Cluster;
typedef Holdfast__V1__Instance Instance;
typedef Holdfast__V1__PrimaryStorage Storage;

static Storage *find_storage(const struct hf_store *s, const char *uuid)
{
    return (Storage *)hf_object_find(s, HOLDFAST__V1__KIND__PRIMARY_STORAGE, uuid, NULL);
}

static bool cluster_has_networks(const struct hf_store *s, const Cluster *cl, const Instance *inst)
{
    for (size_t i = 0; i < inst->spec->n_l3_network_uuids; i++) {
        Holdfast__V1__L3Network *l3 = (Holdfast__V1__L3Network *)hf_object_find(
            s, HOLDFAST__V1__KIND__L3_NETWORK, inst->spec->l3_network_uuids[i], NULL);
        bool has = l3 != NULL && hf_pb_list_has(cl->spec->l2_network_uuids, cl->spec->n_l2_network_uuids,
                                                l3->spec->l2_network_uuid);
        if (l3 != NULL)
            holdfast__v1__l3_network__free_unpacked(l3, NULL);
        if (!has)
            return false;
    }
    return true;
}

static bool cluster_has_storage(const Cluster *cl, const char *uuid)
{
    return hf_pb_list_has(cl->spec->primary_storage_uuids, cl->spec->n_primary_storage_uuids, uuid);
}

/* Networks, every storage that it has, and one more ("": none). */
static bool cluster_reaches(const struct hf_store *s, const Cluster *cl, const Instance *inst,
                            const char *storage_uuid)
{
    for (size_t i = 0; i < inst->spec->n_storage_uuids; i++)
        if (!cluster_has_storage(cl, inst->spec->storage_uuids[i]))
            return false;
    if (storage_uuid[0] != '\0' && !cluster_has_storage(cl, storage_uuid))
        return false;
    return cluster_has_networks(s, cl, inst);
}

/* The cluster of the host that is asked for; "" for any. */
static char *wanted_cluster(const struct hf_store *s, const Instance *inst)
{
    Holdfast__V1__Host *h =
        (Holdfast__V1__Host *)hf_object_find(s, HOLDFAST__V1__KIND__HOST, inst->spec->host_uuid, NULL);
    char *uuid = hf_strdup(h != NULL ? h->spec->cluster_uuid : "");
    if (h != NULL)
        holdfast__v1__host__free_unpacked(h, NULL);
    return uuid;
}

static bool some_cluster_reaches(const struct hf_store *s, const Instance *inst, const char *storage_uuid)
{
    bool found = false;
    char *only = wanted_cluster(s, inst);
    const struct hf_object *o = hf_store_next(s, HOLDFAST__V1__KIND__CLUSTER, "");
    for (; o != NULL && !found; o = hf_store_next(s, o->kind, o->name)) {
        Cluster *cl = (Cluster *)hf_object_decode(o);
        HF_ASSERT(cl != NULL);
        found = (only[0] == '\0' || strcmp(only, cl->meta->uuid) == 0) &&
                cluster_reaches(s, cl, inst, storage_uuid);
        holdfast__v1__cluster__free_unpacked(cl, NULL);
    }
    free(only);
    return found;
}

/* --- checks --- */

hf_status hf_instance_check_storage(const struct hf_store *s, const Instance *inst, const char *storage_uuid)
{
    Storage *ps = find_storage(s, storage_uuid);
    if (ps == NULL)
        return hf_error(HF_NOT_FOUND, "there is no primary storage %s", storage_uuid);
    hf_status st = HF_STATUS_OK;
    if (ps->spec->disabled)
        st = hf_error(HF_PRECONDITION, "primary storage '%s' is disabled", ps->meta->name);
    else if (inst->spec->ha_level == HOLDFAST__V1__HA_LEVEL__NEVER_STOP && !hf_storage_is_shared(ps))
        st = hf_error(HF_PRECONDITION,
                      "primary storage '%s' is local to each host: a NeverStop instance needs a shared one",
                      ps->meta->name);
    else if (!some_cluster_reaches(s, inst, storage_uuid))
        st = hf_error(HF_PRECONDITION,
                      "no cluster%s reaches primary storage '%s' and the instance's networks and storages: "
                      "attach them to the same one",
                      inst->spec->host_uuid[0] != '\0' ? " of that host" : "", ps->meta->name);
    holdfast__v1__primary_storage__free_unpacked(ps, NULL);
    return st;
}

hf_status hf_instance_check_ha(const struct hf_store *s, const Instance *inst)
{
    hf_status st = HF_STATUS_OK;
    if (inst->spec->ha_level != HOLDFAST__V1__HA_LEVEL__NEVER_STOP)
        return st;
    for (size_t i = 0; i < inst->spec->n_storage_uuids && hf_ok(st); i++) {
        Storage *ps = find_storage(s, inst->spec->storage_uuids[i]);
        if (ps == NULL || !hf_storage_is_shared(ps))
            st = hf_error(HF_PRECONDITION,
                          "NEVER_STOP needs every volume on shared storage; primary storage '%s' is local "
                          "to each host",
                          ps != NULL ? ps->meta->name : inst->spec->storage_uuids[i]);
        if (ps != NULL)
            holdfast__v1__primary_storage__free_unpacked(ps, NULL);
    }
    return st;
}

hf_status hf_instance_check_host(const struct hf_store *s, const Instance *inst, const char *host_uuid)
{
    hf_status st = HF_STATUS_OK;
    Holdfast__V1__Host *h =
        (Holdfast__V1__Host *)hf_lookup_message(s, HOLDFAST__V1__KIND__HOST, host_uuid, "", &st);
    if (h == NULL)
        return st;
    Cluster *cl = (Cluster *)hf_object_find(s, HOLDFAST__V1__KIND__CLUSTER, h->spec->cluster_uuid, NULL);
    HF_ASSERT(cl != NULL);
    if (h->spec->disabled)
        st = hf_error(HF_PRECONDITION, "host '%s' is disabled", h->meta->name);
    else if (hf_drain_objection(h) != NULL)
        st = hf_error(HF_PRECONDITION, "host '%s' is %s", h->meta->name, hf_drain_objection(h));
    else if (!cluster_reaches(s, cl, inst, ""))
        st = hf_error(HF_PRECONDITION,
                      "cluster '%s' of host '%s' does not reach all networks and storages of the instance",
                      cl->meta->name, h->meta->name);
    holdfast__v1__cluster__free_unpacked(cl, NULL);
    holdfast__v1__host__free_unpacked(h, NULL);
    return st;
}

/* --- choice --- */

hf_status hf_instance_check_root_storage(const struct hf_store *s, const Instance *inst,
                                         const char *storage_uuid)
{
    HF_TRY(hf_instance_check_storage(s, inst, storage_uuid));
    return hf_image_server_check_pairing(s, inst->spec->image_uuid, storage_uuid);
}

/* Whether the root disk may lie there; *ret_st: the last word of an image server that does not serve a
 * storage which would do otherwise. */
static bool may_choose(const struct hf_store *s, const Instance *inst, const char *storage_uuid,
                       hf_status *ret_st)
{
    hf_status st = hf_instance_check_storage(s, inst, storage_uuid);
    bool reached = hf_ok(st);
    hf_status_drop(st);
    if (!reached)
        return false;
    hf_status_drop(*ret_st);
    *ret_st = hf_image_server_check_pairing(s, inst->spec->image_uuid, storage_uuid);
    return hf_ok(*ret_st);
}

hf_status hf_instance_choose_storage(const struct hf_store *s, Instance *inst)
{
    char *best = NULL;
    bool best_shared = false;
    hf_status unpaired = HF_STATUS_OK;
    const struct hf_object *o = hf_store_next(s, HOLDFAST__V1__KIND__PRIMARY_STORAGE, "");
    for (; o != NULL && !best_shared; o = hf_store_next(s, o->kind, o->name)) {
        Storage *ps = (Storage *)hf_object_decode(o);
        HF_ASSERT(ps != NULL);
        bool better = best == NULL || hf_storage_is_shared(ps);
        if (better && may_choose(s, inst, ps->meta->uuid, &unpaired)) {
            free(best);
            best = hf_strdup(ps->meta->uuid);
            best_shared = hf_storage_is_shared(ps);
        }
        holdfast__v1__primary_storage__free_unpacked(ps, NULL);
    }
    if (best == NULL && !hf_ok(unpaired))
        return unpaired;
    hf_status_drop(unpaired);
    if (best == NULL)
        return hf_error(HF_PRECONDITION,
                        "no enabled %sprimary storage is attached to a cluster that has all its networks",
                        inst->spec->ha_level == HOLDFAST__V1__HA_LEVEL__NEVER_STOP ? "shared " : "");
    hf_pb_set(&inst->spec->primary_storage_uuid, best);
    free(best);
    return HF_STATUS_OK;
}
