#include "control/host_facts.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/drain_record.h"
#include "control/placement_guard.h"
#include "control/settings.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/network.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"

struct hf_facts {
    const struct hf_world *world;
    const Holdfast__V1__Host **hosts; /* in the order of names, as the candidates */
    struct hf_candidate *candidates;
    size_t n;
    struct hf_schedule_rules rules;
};

static int by_name(const void *a, const void *b)
{
    const Holdfast__V1__Host *const *x = a, *const *y = b;
    return strcmp((*x)->meta->name, (*y)->meta->name);
}

static struct hf_candidate *candidate_of(struct hf_facts *f, const char *host_uuid)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->candidates[i].uuid, host_uuid) == 0)
            return &f->candidates[i];
    return NULL;
}

static void take(struct hf_facts *f, const char *host_uuid, const Holdfast__V1__Instance *i)
{
    struct hf_candidate *c = candidate_of(f, host_uuid);
    if (c == NULL)
        return;
    c->cpus_used += i->spec->cpus;
    c->memory_used += i->spec->memory_bytes;
    c->instances++;
}

static bool is_fenced(const struct hf_world *w, const Holdfast__V1__Host *h)
{
    struct hf_uuid uuid = hf_fence_uuid(h->meta->uuid, h->status != NULL ? h->status->epoch : 0);
    return hf_world_find_uuid(w, HOLDFAST__V1__KIND__FENCE, &uuid) != NULL;
}

struct hf_facts *hf_facts_gather(const struct hf_facts_sources *src)
{
    struct hf_facts *f = HF_NEW(struct hf_facts);
    f->world = src->world;
    f->n = hf_world_count(src->world, HOLDFAST__V1__KIND__HOST);
    f->hosts = hf_alloc_array(f->n, sizeof *f->hosts);
    f->candidates = hf_alloc_array(f->n, sizeof *f->candidates);
    f->rules.cpu_overprovisioning = (uint64_t)hf_setting_int(src->store, "vm.cpuOverProvisioning");
    f->rules.reserved_memory_bytes = (uint64_t)hf_setting_int(src->store, "host.reservedMemory");
    for (size_t i = 0; i < f->n; i++)
        f->hosts[i] = HF_WORLD_AT(src->world, HOST, Host, i);
    if (f->n > 0)
        qsort(f->hosts, f->n, sizeof *f->hosts, by_name);
    for (size_t i = 0; i < f->n; i++) {
        const Holdfast__V1__Host *h = f->hosts[i];
        f->candidates[i] = (struct hf_candidate){
            .uuid = h->meta->uuid,
            .name = h->meta->name,
            .connected = src->usable(src->arg, h),
            .disabled = h->spec->disabled,
            .fenced = is_fenced(src->world, h),
            .leaves = hf_drain_objection(h),
            .cpus = h->status != NULL ? h->status->cpus : 0,
            .memory_bytes = h->status != NULL ? h->status->memory_bytes : 0,
        };
    }
    for (size_t i = 0; i < hf_world_count(src->world, HOLDFAST__V1__KIND__INSTANCE); i++) {
        struct hf_world_object *o = hf_world_at(src->world, HOLDFAST__V1__KIND__INSTANCE, i);
        const Holdfast__V1__Instance *m = (const Holdfast__V1__Instance *)(void *)o->message;
        const char *host =
            hf_placement_open(m->placement) ? m->placement->host_uuid : src->planned(src->arg, o);
        if (host != NULL)
            take(f, host, m);
    }
    return f;
}

void hf_facts_free(struct hf_facts *f)
{
    if (f == NULL)
        return;
    for (size_t i = 0; i < f->n; i++)
        free(f->candidates[i].unreachable);
    free(f->candidates);
    free(f->hosts);
    free(f);
}

static bool listed(char *const *list, size_t n, const char *uuid)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], uuid) == 0)
            return true;
    return false;
}

static const Holdfast__V1__PrimaryStorageStatus__HostView *view_of(const Holdfast__V1__PrimaryStorage *ps,
                                                                   const char *host_uuid)
{
    for (size_t i = 0; ps->status != NULL && i < ps->status->n_hosts; i++)
        if (strcmp(ps->status->hosts[i]->host_uuid, host_uuid) == 0)
            return ps->status->hosts[i];
    return NULL;
}

char *hf_facts_storage_objection(const struct hf_world *w, const Holdfast__V1__Host *h,
                                 const char *storage_uuid)
{
    const Holdfast__V1__PrimaryStorage *ps = HF_WORLD_GET(w, PRIMARY_STORAGE, PrimaryStorage, storage_uuid);
    if (ps == NULL)
        return hf_printf("primary storage %s does not exist", storage_uuid);
    const Holdfast__V1__Cluster *cl = HF_WORLD_GET(w, CLUSTER, Cluster, h->spec->cluster_uuid);
    if (cl == NULL || cl->spec == NULL ||
        !listed(cl->spec->primary_storage_uuids, cl->spec->n_primary_storage_uuids, storage_uuid))
        return hf_printf("its cluster is not attached to primary storage '%s'", ps->meta->name);
    const Holdfast__V1__PrimaryStorageStatus__HostView *v = view_of(ps, h->meta->uuid);
    if (v == NULL)
        return hf_printf("it has not reported primary storage '%s' yet", ps->meta->name);
    return v->ok ? NULL : hf_printf("primary storage '%s': %s", ps->meta->name, v->message);
}

static char *network_objection(const struct hf_world *w, const Holdfast__V1__Host *h, const char *l3_uuid)
{
    const Holdfast__V1__L3Network *l3 = HF_WORLD_GET(w, L3_NETWORK, L3Network, l3_uuid);
    if (l3 == NULL)
        return hf_printf("L3 network %s does not exist", l3_uuid);
    const Holdfast__V1__Cluster *cl = HF_WORLD_GET(w, CLUSTER, Cluster, h->spec->cluster_uuid);
    if (cl != NULL && cl->spec != NULL &&
        listed(cl->spec->l2_network_uuids, cl->spec->n_l2_network_uuids, l3->spec->l2_network_uuid))
        return NULL;
    const Holdfast__V1__L2Network *l2 = HF_WORLD_GET(w, L2_NETWORK, L2Network, l3->spec->l2_network_uuid);
    return hf_printf("its cluster is not attached to L2 network '%s'",
                     l2 != NULL ? l2->meta->name : l3->spec->l2_network_uuid);
}

static char *objection(const struct hf_world *w, const Holdfast__V1__Host *h, const Holdfast__V1__Instance *i)
{
    char *why = NULL;
    for (size_t k = 0; why == NULL && k < i->spec->n_storage_uuids; k++)
        why = hf_facts_storage_objection(w, h, i->spec->storage_uuids[k]);
    for (size_t k = 0; why == NULL && k < i->spec->n_nics; k++)
        why = network_objection(w, h, i->spec->nics[k]->l3_network_uuid);
    return why;
}

/* The host that has a volume of it in its LocalStorage, or "". */
static const char *local_host(const struct hf_world *w, const Holdfast__V1__Instance *i)
{
    const Holdfast__V1__Volume *root = HF_WORLD_GET(w, VOLUME, Volume, i->spec->root_volume_uuid);
    if (root != NULL && root->status != NULL && root->status->host_uuid[0] != '\0')
        return root->status->host_uuid;
    for (size_t k = 0; k < i->spec->n_data_volume_uuids; k++) {
        const Holdfast__V1__Volume *v = HF_WORLD_GET(w, VOLUME, Volume, i->spec->data_volume_uuids[k]);
        if (v != NULL && v->status != NULL && v->status->host_uuid[0] != '\0')
            return v->status->host_uuid;
    }
    return "";
}

hf_status hf_facts_schedule(struct hf_facts *f, const Holdfast__V1__Instance *i,
                            const Holdfast__V1__Host **ret)
{
    struct hf_need need = {
        .name = i->meta->name,
        .cpus = i->spec->cpus,
        .memory_bytes = i->spec->memory_bytes,
        .strategy = i->spec->strategy,
        .pinned_host = i->spec->host_uuid,
        .local_host = local_host(f->world, i),
        .last_host = i->status != NULL ? i->status->last_host_uuid : "",
        .avoid_last = i->status != NULL && i->status->start_failures > 0,
    };
    for (size_t k = 0; k < f->n; k++) {
        free(f->candidates[k].unreachable);
        f->candidates[k].unreachable = objection(f->world, f->hosts[k], i);
    }
    size_t chosen;
    HF_TRY(hf_schedule(&need, f->candidates, f->n, &f->rules, &chosen));
    take(f, f->candidates[chosen].uuid, i);
    *ret = f->hosts[chosen];
    return HF_STATUS_OK;
}
