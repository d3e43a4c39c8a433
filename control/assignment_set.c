#include "control/assignment_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/assignment_image.h"
#include "control/blocklist.h"
#include "control/drain_record.h"
#include "control/host_assignments.h"
#include "control/image_upload.h"
#include "control/migration_controller.h"
#include "control/placement_guard.h"
#include "control/settings.h"
#include "control/storage_kind.h"
#include "control/storage_session.h"
#include "control/volume_controller.h"
#include "control/volume_work.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/network.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"
#include "net/ipam.h"

#define DISKS_MAX 32 /* of one instance: the root disk and 24 data disks fit */
#define NICS_MAX  16

/* What one build needs at every turn. */
struct build {
    struct hf_assignment_set *set;
    const struct hf_world *w;
    const struct hf_store *store;
    const Holdfast__V1__Host *host;
    const Holdfast__V1__Cluster *cluster; /* NULL: none */
    uint64_t epoch;
};

void hf_assignment_set_done(struct hf_assignment_set *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->items[i].bytes);
    free(s->items);
    *s = (struct hf_assignment_set){0};
}

const struct hf_assignment *hf_assignment_set_find(const struct hf_assignment_set *s, bool observe,
                                                   const char *uuid)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->items[i].observe == observe && strcmp(s->items[i].uuid, uuid) == 0)
            return &s->items[i];
    return NULL;
}

ProtobufCMessage *hf_assignment_message(const struct hf_assignment *a)
{
    const ProtobufCMessageDescriptor *type =
        a->observe ? &holdfast__v1__observe__descriptor : &holdfast__v1__assignment__descriptor;
    ProtobufCMessage *m = protobuf_c_message_unpack(type, NULL, a->len, a->bytes);
    HF_ASSERT(m != NULL);
    return m;
}

bool hf_assignment_same(const struct hf_assignment *a, const struct hf_assignment *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* Keeps a copy of m: its strings may be borrowed. */
static void add(struct build *b, bool observe, uint32_t kind, const char *uuid, const ProtobufCMessage *m)
{
    struct hf_assignment_set *s = b->set;
    s->items = hf_realloc_array(s->items, s->n + 1, sizeof *s->items);
    struct hf_assignment *a = &s->items[s->n++];
    *a = (struct hf_assignment){.observe = observe, .kind = kind};
    snprintf(a->uuid, sizeof a->uuid, "%s", uuid);
    a->len = protobuf_c_message_get_packed_size(m);
    a->bytes = hf_alloc(a->len);
    protobuf_c_message_pack(m, a->bytes);
}

/* --- storages, networks, images, volumes --- */

static bool fill_ceph(const struct build *b, const Holdfast__V1__PrimaryStorage *ps,
                      Holdfast__V1__CephAccess *a)
{
    const Holdfast__V1__CephCluster *spec = ps->spec->ceph;
    if (!hf_assignment_access(spec, ps->status != NULL ? ps->status->ceph : NULL, b->host->meta->uuid, a))
        return false;
    a->image_pool = spec->image_pool;
    a->root_pool = spec->root_pool;
    a->data_pool = spec->data_pool;
    return true;
}

static const char *type_of(const Holdfast__V1__PrimaryStorage *ps)
{
    if (hf_storage_is_nfs(ps))
        return "NFS";
    if (hf_storage_is_ceph(ps))
        return "Ceph";
    return hf_storage_is_shared(ps) ? "SharedMountPoint" : "LocalStorage";
}

static void add_storages(struct build *b)
{
    for (size_t i = 0; b->cluster != NULL && i < b->cluster->spec->n_primary_storage_uuids; i++) {
        const char *uuid = b->cluster->spec->primary_storage_uuids[i];
        const Holdfast__V1__PrimaryStorage *ps = HF_WORLD_GET(b->w, PRIMARY_STORAGE, PrimaryStorage, uuid);
        if (ps == NULL)
            continue;
        bool leases = hf_storage_has_leases(ps);
        Holdfast__V1__CephAccess ceph;
        if (hf_storage_is_ceph(ps) &&
            (!fill_ceph(b, ps, &ceph) || hf_storage_blocked_before(b->host->status, uuid) > 0))
            continue; /* while its cluster may refuse the host nothing opens there, and no lease is lost */
        Holdfast__V1__StorageAssignment s = HOLDFAST__V1__STORAGE_ASSIGNMENT__INIT;
        s.uuid = ps->meta->uuid;
        s.type = (char *)type_of(ps);
        s.ceph = hf_storage_is_ceph(ps) ? &ceph : NULL;
        s.path = ps->spec->path;
        s.url = ps->spec->url;
        s.mount_options = ps->spec->mount_options;
        s.network_cidr = ps->spec->storage_network_cidr;
        s.heartbeat = leases;
        s.session = leases ? hf_storage_session(b->host->status, ps->meta->uuid) : 0;
        s.reserved_bytes = ps->spec->reserved_bytes > 0
                               ? ps->spec->reserved_bytes
                               : (uint64_t)hf_setting_int(b->store, "primaryStorage.reservedCapacity");
        Holdfast__V1__Assignment a = HOLDFAST__V1__ASSIGNMENT__INIT;
        a.object_case = HOLDFAST__V1__ASSIGNMENT__OBJECT_STORAGE;
        a.storage = &s;
        add(b, false, HOLDFAST__V1__KIND__PRIMARY_STORAGE, s.uuid, &a.base);
    }
}

/* The gateway that the ranges have in common. */
static char *gateway_of(const Holdfast__V1__L3Network *l3, char out[16])
{
    out[0] = '\0';
    if (l3->spec->n_ip_ranges == 0)
        return out;
    const Holdfast__V1__IpRange *r = l3->spec->ip_ranges[0];
    struct hf_ip_range range;
    hf_status st = hf_ip_range_parse(r->start_ip, r->end_ip, r->netmask, r->gateway, r->cidr, &range);
    if (hf_ok(st))
        hf_ip_format(range.gateway, out);
    hf_status_drop(st);
    return out;
}

static void add_l3(struct build *b, const char *uuid)
{
    const Holdfast__V1__L3Network *l3 = HF_WORLD_GET(b->w, L3_NETWORK, L3Network, uuid);
    if (l3 == NULL || hf_assignment_set_find(b->set, false, uuid) != NULL)
        return;
    const Holdfast__V1__L2Network *l2 = HF_WORLD_GET(b->w, L2_NETWORK, L2Network, l3->spec->l2_network_uuid);
    char gateway[16];
    Holdfast__V1__L3Assignment n = HOLDFAST__V1__L3_ASSIGNMENT__INIT;
    n.uuid = l3->meta->uuid;
    n.l2_uuid = l3->spec->l2_network_uuid;
    n.physical_interface = l2 != NULL ? l2->spec->physical_interface : "";
    n.cidr = l3->status != NULL ? l3->status->cidr : "";
    n.gateway = gateway_of(l3, gateway);
    n.n_dns = l3->spec->n_dns;
    n.dns = l3->spec->dns;
    n.dhcp = !l3->spec->dhcp_disabled;
    n.dhcp_ip = l3->spec->dhcp_ip;
    Holdfast__V1__Assignment a = HOLDFAST__V1__ASSIGNMENT__INIT;
    a.object_case = HOLDFAST__V1__ASSIGNMENT__OBJECT_L3;
    a.l3 = &n;
    add(b, false, HOLDFAST__V1__KIND__L3_NETWORK, n.uuid, &a.base);
}

/* An image server is to the host that brings an image in like a storage of which it uses the image cache. */
static void add_server(struct build *b, const Holdfast__V1__ImageServer *server)
{
    const Holdfast__V1__CephCluster *spec = server->spec->ceph;
    const Holdfast__V1__CephStatus *st = server->status != NULL ? server->status->ceph : NULL;
    Holdfast__V1__CephAccess access;
    if (hf_assignment_set_find(b->set, false, server->meta->uuid) != NULL ||
        !hf_assignment_access(spec, st, server->meta->uuid, &access))
        return;
    access.image_pool = access.root_pool = access.data_pool = spec->image_pool;
    Holdfast__V1__StorageAssignment s = HOLDFAST__V1__STORAGE_ASSIGNMENT__INIT;
    s.uuid = server->meta->uuid;
    s.type = (char *)"Ceph";
    s.ceph = &access;
    Holdfast__V1__Assignment a = HOLDFAST__V1__ASSIGNMENT__INIT;
    a.object_case = HOLDFAST__V1__ASSIGNMENT__OBJECT_STORAGE;
    a.storage = &s;
    add(b, false, HOLDFAST__V1__KIND__PRIMARY_STORAGE, s.uuid, &a.base);
}

static void add_images(struct build *b)
{
    for (size_t i = 0; i < hf_world_count(b->w, HOLDFAST__V1__KIND__IMAGE); i++) {
        struct hf_world_object *o = hf_world_at(b->w, HOLDFAST__V1__KIND__IMAGE, i);
        const char *to = hf_assignment_image_target(b->host, o);
        if (to == NULL)
            continue;
        const Holdfast__V1__ImageServer *server = HF_WORLD_GET(b->w, IMAGE_SERVER, ImageServer, to);
        if (server != NULL)
            add_server(b, server);
        Holdfast__V1__CephAccess access;
        Holdfast__V1__ImageAssignment m = HOLDFAST__V1__IMAGE_ASSIGNMENT__INIT;
        hf_assignment_fill_image(b->w, b->host, &m, hf_message_meta(o->message)->uuid, (char *)to, &access);
        char *uploaded = hf_image_upload_url((const Holdfast__V1__Image *)(const void *)o->message);
        if (uploaded != NULL)
            m.url = uploaded;
        Holdfast__V1__Assignment a = HOLDFAST__V1__ASSIGNMENT__INIT;
        a.object_case = HOLDFAST__V1__ASSIGNMENT__OBJECT_IMAGE;
        a.image = &m;
        add(b, false, HOLDFAST__V1__KIND__IMAGE, m.uuid, &a.base);
        free(uploaded);
    }
}

/* False: there is none, or another host does it. */
static bool fill_work(const struct build *b, const struct hf_world_object *o,
                      Holdfast__V1__VolumeAssignment__Work *m)
{
    const Holdfast__V1__Volume *v = (const Holdfast__V1__Volume *)(void *)o->message;
    const char *host = hf_volume_work_host(o);
    if (host == NULL || strcmp(host, b->host->meta->uuid) != 0)
        return false;
    *m = (Holdfast__V1__VolumeAssignment__Work)HOLDFAST__V1__VOLUME_ASSIGNMENT__WORK__INIT;
    m->kind = (int32_t)v->spec->work->kind;
    m->sequence = v->spec->work->sequence;
    m->snapshot_uuid = v->spec->work->snapshot_uuid;
    m->size_bytes = v->spec->size_bytes;
    return true;
}

static void add_volumes(struct build *b)
{
    for (size_t i = 0; i < hf_world_count(b->w, HOLDFAST__V1__KIND__VOLUME); i++) {
        struct hf_world_object *o = hf_world_at(b->w, HOLDFAST__V1__KIND__VOLUME, i);
        Holdfast__V1__VolumeAssignment__Work work;
        bool works = fill_work(b, o, &work);
        const char *host = works ? b->host->meta->uuid : hf_volume_deleting_host(o);
        if (host == NULL || strcmp(host, b->host->meta->uuid) != 0)
            continue;
        const Holdfast__V1__Volume *v = (const Holdfast__V1__Volume *)(void *)o->message;
        Holdfast__V1__VolumeAssignment m = HOLDFAST__V1__VOLUME_ASSIGNMENT__INIT;
        m.uuid = v->meta->uuid;
        m.primary_storage_uuid = v->spec->primary_storage_uuid;
        m.install_path = v->status != NULL ? v->status->install_path : "";
        m.delete_ = !works;
        m.work = works ? &work : NULL;
        Holdfast__V1__Assignment a = HOLDFAST__V1__ASSIGNMENT__INIT;
        a.object_case = HOLDFAST__V1__ASSIGNMENT__OBJECT_VOLUME;
        a.volume = &m;
        add(b, false, HOLDFAST__V1__KIND__VOLUME, m.uuid, &a.base);
    }
}

/* --- instances --- */

/* The messages of one instance; their strings are borrowed from the world. */
struct instance_parts {
    Holdfast__V1__InstanceAssignment m;
    Holdfast__V1__InstanceAssignment__Disk disks[DISKS_MAX], *disk_list[DISKS_MAX];
    Holdfast__V1__ImageAssignment templates[DISKS_MAX];
    Holdfast__V1__CephAccess servers[DISKS_MAX];
    Holdfast__V1__InstanceAssignment__Nic nics[NICS_MAX], *nic_list[NICS_MAX];
    Holdfast__V1__InstanceAssignment__Migration migration;
    char hostname[64];
};

static void add_disk(const struct build *b, struct instance_parts *p, const char *volume_uuid)
{
    const Holdfast__V1__Volume *v = HF_WORLD_GET(b->w, VOLUME, Volume, volume_uuid);
    size_t i = p->m.n_disks;
    if (v == NULL || i == DISKS_MAX)
        return;
    Holdfast__V1__InstanceAssignment__Disk *d = &p->disks[i];
    *d = (Holdfast__V1__InstanceAssignment__Disk)HOLDFAST__V1__INSTANCE_ASSIGNMENT__DISK__INIT;
    d->volume_uuid = v->meta->uuid;
    d->primary_storage_uuid = v->spec->primary_storage_uuid;
    d->install_path = v->status != NULL ? v->status->install_path : "";
    d->size_bytes = v->spec->size_bytes;
    d->made = v->status != NULL && v->status->state == HOLDFAST__V1__VOLUME_STATUS__STATE__READY;
    d->grow = v->status != NULL && v->status->growing_to_bytes > 0;
    if (v->spec->image_uuid[0] != '\0') {
        p->templates[i] = (Holdfast__V1__ImageAssignment)HOLDFAST__V1__IMAGE_ASSIGNMENT__INIT;
        hf_assignment_fill_image(b->w, b->host, &p->templates[i], v->spec->image_uuid,
                                 v->spec->primary_storage_uuid, &p->servers[i]);
        d->template_ = &p->templates[i];
    }
    p->disk_list[i] = d;
    p->m.n_disks++;
}

/* A name as DHCP may hand it out: letters, digits and hyphens. */
static void hostname_of(const char *name, char out[64])
{
    size_t n = 0;
    for (; *name != '\0' && n < 63; name++) {
        bool plain = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
                     (*name >= '0' && *name <= '9');
        if (plain || n > 0)
            out[n++] = plain ? *name : '-';
    }
    while (n > 0 && out[n - 1] == '-')
        n--;
    out[n] = '\0';
}

static void add_nics(struct instance_parts *p, const Holdfast__V1__Instance *i)
{
    for (size_t k = 0; k < i->spec->n_nics && k < NICS_MAX; k++) {
        Holdfast__V1__InstanceAssignment__Nic *n = &p->nics[k];
        *n = (Holdfast__V1__InstanceAssignment__Nic)HOLDFAST__V1__INSTANCE_ASSIGNMENT__NIC__INIT;
        n->mac = i->spec->nics[k]->mac;
        n->ip = i->spec->nics[k]->ip;
        n->l3_uuid = i->spec->nics[k]->l3_network_uuid;
        n->hostname = p->hostname;
        n->default_route = k == 0;
        p->nic_list[k] = n;
        p->m.n_nics++;
    }
}

/* The migration as the source is told of it. It is not stopped meanwhile: first the migration ends. */
static void fill_source(const struct build *b, struct instance_parts *p, const Holdfast__V1__Instance *i,
                        struct hf_migration_orders orders)
{
    const Holdfast__V1__Placement__Migration *m = i->placement->migration;
    const Holdfast__V1__Host *target = HF_WORLD_GET(b->w, HOST, Host, m->target_host_uuid);
    p->migration.go = orders.go;
    p->migration.cancel = m->phase == HOLDFAST__V1__PLACEMENT__MIGRATION__PHASE__CANCELLING;
    p->migration.target_host_uuid = m->target_host_uuid;
    p->migration.target_epoch = m->target_epoch;
    p->migration.target_address = target != NULL ? target->spec->management_ip : "";
    p->m.power = HOLDFAST__V1__POWER_STATE__POWER_RUNNING;
    p->m.force_stop = false;
}

/* As the target is told of it: a copy with a run of its own. */
static void fill_target(struct instance_parts *p, const Holdfast__V1__Instance *i,
                        struct hf_migration_orders orders)
{
    const Holdfast__V1__Placement__Migration *m = i->placement->migration;
    p->migration.incoming = true;
    p->m.run = m->run;
    p->m.epoch = m->target_epoch;
    p->m.power =
        orders.drop ? HOLDFAST__V1__POWER_STATE__POWER_STOPPED : HOLDFAST__V1__POWER_STATE__POWER_RUNNING;
    p->m.force_stop = orders.drop;
}

static void fill_migration(const struct build *b, struct instance_parts *p, const struct hf_world_object *o,
                           bool incoming)
{
    const Holdfast__V1__Instance *i = (const Holdfast__V1__Instance *)(const void *)o->message;
    p->migration =
        (Holdfast__V1__InstanceAssignment__Migration)HOLDFAST__V1__INSTANCE_ASSIGNMENT__MIGRATION__INIT;
    p->migration.run = i->placement->migration->run;
    p->m.migration = &p->migration;
    if (incoming)
        fill_target(p, i, hf_migration_orders_of(o));
    else
        fill_source(b, p, i, hf_migration_orders_of(o));
}

/* incoming: its copy at the target of its migration. */
static void add_instance(struct build *b, const struct hf_world_object *o, bool incoming)
{
    const Holdfast__V1__Instance *i = (const Holdfast__V1__Instance *)(const void *)o->message;
    struct instance_parts p = {.m = HOLDFAST__V1__INSTANCE_ASSIGNMENT__INIT};
    Holdfast__V1__InstanceAssignment *m = &p.m;
    m->uuid = i->meta->uuid;
    m->name = i->meta->name;
    m->run = i->placement->run;
    m->epoch = i->placement->epoch;
    bool stops = i->spec->deleting || hf_drain_stops(b->host, m->uuid, m->run);
    m->power = stops ? HOLDFAST__V1__POWER_STATE__POWER_STOPPED : (int32_t)i->spec->power;
    m->force_stop = i->spec->force_stop || i->spec->deleting;
    if (hf_migration_open(i->placement))
        fill_migration(b, &p, o, incoming);
    m->cpus = i->spec->cpus;
    m->memory_bytes = i->spec->memory_bytes;
    m->reboot_generation = i->spec->reboot_generation;
    m->reboot_force_generation = i->spec->reboot_force_generation;
    m->stop_grace_ms = (uint32_t)(hf_setting_int(b->store, "vm.stopGrace") * 1000);
    m->end_when_refused =
        i->spec->ha_level == HOLDFAST__V1__HA_LEVEL__NEVER_STOP && hf_setting_bool(b->store, "ha.enable");
    m->zone_uuid = b->cluster != NULL ? b->cluster->spec->zone_uuid : "";
    m->disks = p.disk_list;
    m->nics = p.nic_list;
    add_disk(b, &p, i->spec->root_volume_uuid);
    for (size_t k = 0; k < i->spec->n_data_volume_uuids; k++)
        add_disk(b, &p, i->spec->data_volume_uuids[k]);
    hostname_of(i->meta->name, p.hostname);
    add_nics(&p, i);
    Holdfast__V1__Assignment a = HOLDFAST__V1__ASSIGNMENT__INIT;
    a.object_case = HOLDFAST__V1__ASSIGNMENT__OBJECT_INSTANCE;
    a.instance = m;
    add(b, false, HOLDFAST__V1__KIND__INSTANCE, m->uuid, &a.base);
}

static void add_instances(struct build *b)
{
    size_t n = hf_world_count(b->w, HOLDFAST__V1__KIND__INSTANCE);
    for (size_t k = 0; k < n; k++) {
        const struct hf_world_object *o = hf_world_at(b->w, HOLDFAST__V1__KIND__INSTANCE, k);
        const Holdfast__V1__Instance *i = (const Holdfast__V1__Instance *)(const void *)o->message;
        if (!hf_placement_at(i->placement, b->host->meta->uuid, b->epoch))
            continue;
        for (size_t j = 0; j < i->spec->n_nics; j++)
            add_l3(b, i->spec->nics[j]->l3_network_uuid);
        add_instance(b, o, strcmp(i->placement->host_uuid, b->host->meta->uuid) != 0);
    }
}

/* --- whose records to read --- */

static bool shares(const struct build *b, const Holdfast__V1__Host *h, const char *storage_uuid)
{
    const Holdfast__V1__Cluster *c = HF_WORLD_GET(b->w, CLUSTER, Cluster, h->spec->cluster_uuid);
    for (size_t i = 0; c != NULL && i < c->spec->n_primary_storage_uuids; i++)
        if (strcmp(c->spec->primary_storage_uuids[i], storage_uuid) == 0)
            return h->status != NULL && h->status->epoch > 0;
    return false;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The present epoch of a host if it is fenced, else 0. The next grant proves it over and ends the need of a
 * mark. */
static uint64_t fenced_epoch(const struct build *b, const char *host_uuid)
{
    const Holdfast__V1__Host *h = HF_WORLD_GET(b->w, HOST, Host, host_uuid);
    if (h == NULL || h->status == NULL || h->status->epoch == 0)
        return 0;
    struct hf_uuid fence = hf_fence_uuid(host_uuid, h->status->epoch);
    return hf_world_find_uuid(b->w, HOLDFAST__V1__KIND__FENCE, &fence) != NULL ? h->status->epoch : 0;
}

/* In the ring of the storage's hosts, each reads those that follow it: every host is read by as many as it
 * reads. */
static void add_observe(struct build *b, char *storage_uuid)
{
    size_t n_hosts = hf_world_count(b->w, HOLDFAST__V1__KIND__HOST), n = 0, self = 0;
    char **ring = hf_alloc_array(n_hosts, sizeof *ring);
    for (size_t i = 0; i < n_hosts; i++) {
        const Holdfast__V1__Host *h = HF_WORLD_AT(b->w, HOST, Host, i);
        if (shares(b, h, storage_uuid) || h == b->host)
            ring[n++] = h->meta->uuid;
    }
    qsort(ring, n, sizeof *ring, by_text);
    while (strcmp(ring[self], b->host->meta->uuid) != 0)
        self++;

    char *peers[HF_OBSERVE_HOSTS_MAX];
    Holdfast__V1__Observe o = HOLDFAST__V1__OBSERVE__INIT;
    o.primary_storage_uuid = storage_uuid;
    o.host_uuids = peers;
    Holdfast__V1__Observe__Mark marks[HF_OBSERVE_HOSTS_MAX], *list[HF_OBSERVE_HOSTS_MAX];
    o.marks = list;
    for (size_t i = 1; i < n && o.n_host_uuids < HF_OBSERVE_HOSTS_MAX; i++) {
        char *peer = ring[(self + i) % n];
        uint64_t epoch = fenced_epoch(b, peer);
        peers[o.n_host_uuids++] = peer;
        if (epoch == 0)
            continue;
        Holdfast__V1__Observe__Mark *m = &marks[o.n_marks];
        holdfast__v1__observe__mark__init(m);
        m->host_uuid = peer;
        m->epoch = epoch;
        list[o.n_marks++] = m;
    }
    add(b, true, HOLDFAST__V1__KIND__PRIMARY_STORAGE, storage_uuid, &o.base);
    free(ring);
}

static void add_observes(struct build *b)
{
    for (size_t i = 0; b->cluster != NULL && i < b->cluster->spec->n_primary_storage_uuids; i++) {
        const Holdfast__V1__PrimaryStorage *ps =
            HF_WORLD_GET(b->w, PRIMARY_STORAGE, PrimaryStorage, b->cluster->spec->primary_storage_uuids[i]);
        if (ps != NULL && hf_storage_has_leases(ps) &&
            hf_assignment_set_find(b->set, false, ps->meta->uuid) != NULL)
            add_observe(b, ps->meta->uuid);
    }
}

void hf_assignment_set_build(struct hf_assignment_set *s, const struct hf_world *w,
                             const struct hf_store *store, const char *host_uuid, uint64_t epoch)
{
    *s = (struct hf_assignment_set){0};
    struct build b = {.set = s, .w = w, .store = store, .epoch = epoch};
    b.host = HF_WORLD_GET(w, HOST, Host, host_uuid);
    if (b.host == NULL)
        return;
    b.cluster = HF_WORLD_GET(w, CLUSTER, Cluster, b.host->spec->cluster_uuid);
    add_storages(&b);
    add_images(&b);
    add_volumes(&b);
    add_instances(&b);
    add_observes(&b);
}
