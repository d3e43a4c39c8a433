#include "control/host_facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/mutant.h"
#include "control/affinity_facts.h"
#include "control/blocklist.h"
#include "control/drain_record.h"
#include "control/placement_guard.h"
#include "control/settings.h"
#include "control/storage_controller.h"
#include "control/storage_kind.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/network.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"

typedef Holdfast__V1__Instance Instance;

/* What keeps each host from one set of storages and networks: worked out once, for many instances have the
 * same. */
struct reach {
    struct reach *next;
    char *key;
    char **why; /* of each host; NULL: it reaches all */
};

struct hf_facts {
    const struct hf_world *world;
    struct hf_facts *origin;          /* itself, or what it was copied from */
    const Holdfast__V1__Host **hosts; /* in the order of names, as the candidates */
    size_t *by_place;                 /* index of the host at that place in the world */
    struct hf_candidate *candidates;
    size_t n;
    struct hf_affinity *affinity;
    struct hf_schedule_rules rules;
    struct reach *reaches; /* of the origin */
};

size_t hf_facts_index(const struct hf_facts *f, const char *host_uuid)
{
    const struct hf_world_object *o = hf_world_find(f->world, HOLDFAST__V1__KIND__HOST, host_uuid);
    return o != NULL ? f->by_place[o->place] : HF_FACTS_NO_HOST;
}

static void take_room(struct hf_facts *f, size_t host, const Instance *i)
{
    if (host == HF_FACTS_NO_HOST)
        return;
    struct hf_candidate *c = &f->candidates[host];
    c->cpus_used += i->spec->cpus;
    c->memory_used += i->spec->memory_bytes;
    c->instances++;
}

static void take(struct hf_facts *f, size_t host, const Instance *i)
{
    take_room(f, host, i);
    if (host != HF_AFFINITY_NOWHERE)
        hf_affinity_set(f->affinity, i, host);
}

void hf_facts_leave(struct hf_facts *f, const Instance *i, size_t host)
{
    struct hf_candidate *c = &f->candidates[host];
    c->cpus_used -= i->spec->cpus;
    c->memory_used -= i->spec->memory_bytes;
    c->instances--;
    hf_affinity_set(f->affinity, i, HF_AFFINITY_NOWHERE);
}

void hf_facts_lose(struct hf_facts *f, size_t host)
{
    f->candidates[host].lost = true;
}

size_t hf_facts_hosts(const struct hf_facts *f)
{
    return f->n;
}

const Holdfast__V1__Host *hf_facts_host(const struct hf_facts *f, size_t k)
{
    return f->hosts[k];
}

bool hf_facts_up(const struct hf_facts *f, size_t k)
{
    return f->candidates[k].connected && !f->candidates[k].fenced;
}

static bool is_fenced(const struct hf_world *w, const Holdfast__V1__Host *h)
{
    struct hf_uuid uuid = hf_fence_uuid(h->meta->uuid, h->status != NULL ? h->status->epoch : 0);
    return hf_world_find_uuid(w, HOLDFAST__V1__KIND__FENCE, &uuid) != NULL;
}

static int by_name(const void *a, const void *b)
{
    const Holdfast__V1__Host *const *x = a, *const *y = b;
    return strcmp((*x)->meta->name, (*y)->meta->name);
}

static void gather_hosts(struct hf_facts *f, const struct hf_facts_sources *src)
{
    f->n = hf_world_count(src->world, HOLDFAST__V1__KIND__HOST);
    f->hosts = hf_alloc_array(f->n, sizeof *f->hosts);
    f->by_place = hf_alloc_array(f->n, sizeof *f->by_place);
    f->candidates = hf_alloc_array(f->n, sizeof *f->candidates);
    for (size_t i = 0; i < f->n; i++)
        f->hosts[i] = HF_WORLD_AT(src->world, HOST, Host, i);
    if (f->n > 0)
        qsort(f->hosts, f->n, sizeof *f->hosts, by_name);
    for (size_t i = 0; i < f->n; i++) {
        const Holdfast__V1__Host *h = f->hosts[i];
        f->by_place[hf_world_find(src->world, HOLDFAST__V1__KIND__HOST, h->meta->uuid)->place] = i;
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
}

/* Its room is needed at both ends of a migration, and it counts at both for its groups. planned: where an
 * edit under way places it, or the target of a migration. */
static void place_of(struct hf_facts *f, const Instance *m, const char *planned)
{
    bool open = hf_placement_open(m->placement);
    const char *target = hf_migration_open(m->placement) ? m->placement->migration->target_host_uuid
                         : open                          ? planned
                                                         : NULL;
    if (open)
        take(f, hf_facts_index(f, m->placement->host_uuid), m);
    else if (planned != NULL)
        take(f, hf_facts_index(f, planned), m);
    if (target == NULL)
        return;
    take_room(f, hf_facts_index(f, target), m);
    hf_affinity_moves(f->affinity, m, hf_facts_index(f, target));
}

struct hf_facts *hf_facts_gather(const struct hf_facts_sources *src)
{
    struct hf_facts *f = HF_NEW(struct hf_facts);
    f->world = src->world;
    f->origin = f;
    f->rules.cpu_overprovisioning = (uint64_t)hf_setting_int(src->store, "vm.cpuOverProvisioning");
    f->rules.reserved_memory_bytes = (uint64_t)hf_setting_int(src->store, "host.reservedMemory");
    gather_hosts(f, src);
    f->affinity = hf_affinity_create(src->world);
    for (size_t i = 0; i < hf_world_count(src->world, HOLDFAST__V1__KIND__INSTANCE); i++) {
        struct hf_world_object *o = hf_world_at(src->world, HOLDFAST__V1__KIND__INSTANCE, i);
        const Instance *m = (const Instance *)(void *)o->message;
        place_of(f, m, src->planned(src->arg, o));
    }
    return f;
}

struct hf_facts *hf_facts_copy(struct hf_facts *f)
{
    struct hf_facts *copy = HF_NEW(struct hf_facts);
    *copy = *f;
    copy->reaches = NULL;
    copy->candidates = hf_alloc_array(f->n, sizeof *f->candidates);
    for (size_t i = 0; i < f->n; i++)
        copy->candidates[i] = f->candidates[i];
    copy->affinity = hf_affinity_copy(f->affinity);
    return copy;
}

static void free_reach(const struct hf_facts *f, struct reach *r)
{
    for (size_t i = 0; i < f->n; i++)
        free(r->why[i]);
    free(r->why);
    free(r->key);
    free(r);
}

void hf_facts_free(struct hf_facts *f)
{
    if (f == NULL)
        return;
    while (f->reaches != NULL) {
        struct reach *r = f->reaches;
        f->reaches = r->next;
        free_reach(f, r);
    }
    hf_affinity_free(f->affinity);
    free(f->candidates);
    if (f->origin == f) {
        free(f->hosts);
        free(f->by_place);
    }
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
    uint64_t blocked = hf_storage_blocked(h->status, storage_uuid);
    if (blocked > 0)
        return hf_printf("primary storage '%s': its epoch %" PRIu64 " is on the cluster's blocklist",
                         ps->meta->name, blocked);
    const Holdfast__V1__PrimaryStorageStatus__HostView *v = view_of(ps, h->meta->uuid);
    const char *bad;
    bool said = hf_storage_said(w, storage_uuid, h->meta->uuid, &bad) || HF_MUTANT(OLD_WORD_BELIEVED);
    if (v == NULL || !said)
        return hf_printf("it has not reported primary storage '%s' since it attached", ps->meta->name);
    if (!v->ok)
        bad = v->message;
    return bad == NULL ? NULL : hf_printf("primary storage '%s': %s", ps->meta->name, bad);
}

/* Rule 15: once a run is there, a fence must be able to tell the cluster whom to refuse. */
static char *clients_objection(const struct hf_world *w, const Holdfast__V1__Host *h,
                               const char *storage_uuid)
{
    const Holdfast__V1__PrimaryStorage *ps = HF_WORLD_GET(w, PRIMARY_STORAGE, PrimaryStorage, storage_uuid);
    const Holdfast__V1__HostStatus__StorageClients *c = hf_storage_clients(h->status, storage_uuid);
    if (!hf_storage_is_ceph(ps) || (c != NULL && c->epoch == h->status->epoch && c->n_addresses > 0))
        return NULL;
    return hf_printf("primary storage '%s': its addresses there are not known yet", ps->meta->name);
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
    for (size_t k = 0; why == NULL && k < i->spec->n_storage_uuids; k++)
        why = clients_objection(w, h, i->spec->storage_uuids[k]);
    for (size_t k = 0; why == NULL && k < i->spec->n_nics; k++)
        why = network_objection(w, h, i->spec->nics[k]->l3_network_uuid);
    return why;
}

static char *reach_key(const Instance *i)
{
    size_t n = i->spec->n_storage_uuids + i->spec->n_nics, len = 0;
    char *key = hf_alloc(n * (HF_UUID_STR + 1) + 1);
    key[0] = '\0';
    for (size_t k = 0; k < n; k++)
        len += (size_t)snprintf(key + len, HF_UUID_STR + 1, "%s,",
                                k < i->spec->n_storage_uuids
                                    ? i->spec->storage_uuids[k]
                                    : i->spec->nics[k - i->spec->n_storage_uuids]->l3_network_uuid);
    return key;
}

static const struct reach *reach_of(struct hf_facts *f, const Instance *i)
{
    struct hf_facts *origin = f->origin;
    char *key = reach_key(i);
    for (struct reach *r = origin->reaches; r != NULL; r = r->next)
        if (strcmp(r->key, key) == 0) {
            free(key);
            return r;
        }
    struct reach *r = HF_NEW(struct reach);
    r->next = origin->reaches;
    origin->reaches = r;
    r->key = key;
    r->why = hf_alloc_array(origin->n, sizeof *r->why);
    for (size_t k = 0; k < origin->n; k++)
        r->why[k] = objection(origin->world, origin->hosts[k], i);
    return r;
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

static struct hf_need need_of(const struct hf_facts *f, const Instance *i)
{
    return (struct hf_need){
        .name = i->meta->name,
        .cpus = i->spec->cpus,
        .memory_bytes = i->spec->memory_bytes,
        .strategy = i->spec->strategy,
        .pinned_host = i->spec->host_uuid,
        .local_host = local_host(f->world, i),
        .last_host = i->status != NULL ? i->status->last_host_uuid : "",
        .avoid_last = i->status != NULL && i->status->start_failures > 0,
    };
}

/* The objections are in the candidates. */
static hf_status choose(struct hf_facts *f, struct hf_need *need, const Instance *i,
                        const Holdfast__V1__Host **ret)
{
    hf_affinity_judge(f->affinity, i, f->candidates, f->n, need);
    size_t chosen;
    HF_TRY(hf_schedule(need, f->candidates, f->n, &f->rules, &chosen));
    take(f, chosen, i);
    *ret = f->hosts[chosen];
    return HF_STATUS_OK;
}

static void look_for_reach(struct hf_facts *f, const Instance *i)
{
    const struct reach *reach = reach_of(f, i);
    for (size_t k = 0; k < f->n; k++)
        f->candidates[k].unreachable = reach->why[k];
}

hf_status hf_facts_schedule(struct hf_facts *f, const Instance *i, const Holdfast__V1__Host **ret)
{
    struct hf_need need = need_of(f, i);
    look_for_reach(f, i);
    return choose(f, &need, i, ret);
}

/* What keeps a guest that runs on `from` from going on here, besides what keeps one from starting. */
static char *migration_objection(const Holdfast__V1__Host *from, const Holdfast__V1__Host *h)
{
    if (strcmp(from->meta->uuid, h->meta->uuid) == 0)
        return hf_strdup("it runs there");
    if (h->status == NULL || strcmp(from->status->accelerator, h->status->accelerator) != 0)
        return hf_printf("its accelerator is '%s', that of host '%s' is '%s'",
                         h->status != NULL ? h->status->accelerator : "", from->meta->name,
                         from->status->accelerator);
    return NULL;
}

hf_status hf_facts_schedule_migration(struct hf_facts *f, const Instance *i, const char *host_uuid,
                                      const Holdfast__V1__Host **ret)
{
    const Holdfast__V1__Host *from = HF_WORLD_GET(f->world, HOST, Host, i->placement->host_uuid);
    struct hf_need need = need_of(f, i);
    need.pinned_host = host_uuid;
    const struct reach *reach = reach_of(f, i);
    char **why = hf_alloc_array(f->n, sizeof *why);
    for (size_t k = 0; k < f->n; k++) {
        why[k] = migration_objection(from, f->hosts[k]);
        f->candidates[k].unreachable = why[k] != NULL ? why[k] : reach->why[k];
    }
    hf_status st = choose(f, &need, i, ret);
    for (size_t k = 0; k < f->n; k++) {
        f->candidates[k].unreachable = NULL;
        free(why[k]);
    }
    free(why);
    return st;
}

const Holdfast__V1__Host *hf_facts_schedule_again(struct hf_facts *f, const Instance *i, char **ret_why)
{
    struct hf_need need = need_of(f, i);
    size_t chosen;
    need.pinned_host = "";
    need.avoid_last = false;
    look_for_reach(f, i);
    hf_affinity_judge(f->affinity, i, f->candidates, f->n, &need);
    if (hf_schedule_pick(&need, f->candidates, f->n, &f->rules, &chosen)) {
        take(f, chosen, i);
        return f->hosts[chosen];
    }
    if (ret_why != NULL) {
        hf_status st = hf_schedule(&need, f->candidates, f->n, &f->rules, &chosen);
        *ret_why = hf_strdup(hf_status_message(st));
        hf_status_drop(st);
    }
    return NULL;
}
