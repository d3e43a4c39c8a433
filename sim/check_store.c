/* The committed objects: which there are, at which revisions, and who judges what of them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/storage_kind.h"
#include "holdfast/v1/common.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"
#include "holdfast/v1/system.pb-c.h"
#include "sim/checks_int.h"

/* --- decoding: into one block that is used again and again --- */

#define ARENA_BYTES 65536
#define ALIGNMENT   16

struct large {
    struct large *next;
    uint8_t pad[ALIGNMENT - sizeof(struct large *)];
};

static void *arena_alloc(void *arg, size_t size)
{
    struct sim_arena *a = arg;
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (a->block == NULL)
        a->block = hf_alloc(ARENA_BYTES);
    if (size <= ARENA_BYTES - a->used) {
        a->used += size;
        return a->block + a->used - size;
    }
    struct large *l = hf_alloc(sizeof *l + size);
    l->next = a->large;
    a->large = l;
    return l + 1;
}

static void arena_free(void *arg, void *p)
{
    (void)arg;
    (void)p;
}

void *sim_decode(struct sim_checks *c, const ProtobufCMessageDescriptor *d, const uint8_t *bytes, size_t len)
{
    ProtobufCAllocator a = {arena_alloc, arena_free, &c->arena};
    return protobuf_c_message_unpack(d, &a, len, bytes);
}

void sim_decode_end(struct sim_checks *c)
{
    c->arena.used = 0;
    for (struct large *l = c->arena.large, *next; l != NULL; l = next) {
        next = l->next;
        free(l);
    }
    c->arena.large = NULL;
}

/* --- objects of every kind --- */

struct sim_object *sim_object_find(const struct sim_checks *c, const struct hf_uuid *uuid)
{
    return hf_uuid_map_get(&c->objects, uuid);
}

static void note_object(struct sim_checks *c, uint64_t revision, uint32_t kind, const struct hf_uuid *uuid,
                        bool deleted)
{
    struct sim_object *o = sim_object_find(c, uuid);
    if (deleted) {
        free(hf_uuid_map_remove(&c->objects, uuid));
        return;
    }
    if (o == NULL) {
        o = HF_NEW(struct sim_object);
        o->uuid = *uuid;
        o->kind = kind;
        hf_uuid_map_set(&c->objects, uuid, o);
    }
    if (o->revision == revision)
        return;
    o->revision = revision;
    o->seen[o->n_seen++ % SIM_SEEN_MAX] = revision;
}

/* --- kinds that only excuses need --- */

static void apply_storage(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *uuid,
                          const uint8_t *bytes, size_t len)
{
    struct sim_store_storage *s = sim_storage_of(c, uuid);
    const Holdfast__V1__PrimaryStorage *m =
        bytes != NULL ? sim_decode(c, &holdfast__v1__primary_storage__descriptor, bytes, len) : NULL;
    s->ceph |= m != NULL && m->spec != NULL && hf_storage_is_ceph(m);
    bool shared = m != NULL && m->spec != NULL && hf_storage_is_shared(m);
    if (shared != s->shared)
        sim_never_stop_before(c, now_ns);
    s->shared = shared;
    s->deleted = m == NULL;
    if (m != NULL && m->meta != NULL)
        snprintf(s->name, sizeof s->name, "%s", m->meta->name);
}

static void apply_cluster(struct sim_checks *c, const struct hf_uuid *uuid, const uint8_t *bytes, size_t len)
{
    const Holdfast__V1__Cluster *m =
        bytes != NULL ? sim_decode(c, &holdfast__v1__cluster__descriptor, bytes, len) : NULL;
    size_t k = 0;
    while (k < c->n_write_fenced && !hf_uuid_equal(&c->write_fenced[k], uuid))
        k++;
    bool is = m != NULL && m->spec != NULL && m->spec->takeover == HOLDFAST__V1__TAKEOVER__WRITE_FENCED;
    if (is && k == c->n_write_fenced && k < SIM_GROUPS_KNOWN)
        c->write_fenced[c->n_write_fenced++] = *uuid;
    else if (!is && k < c->n_write_fenced)
        c->write_fenced[k] = c->write_fenced[--c->n_write_fenced];
}

/* "50", "1G": what the setting says, or what it was. */
static uint64_t setting_number(const char *text, uint64_t was)
{
    char *end;
    unsigned long long v = strtoull(text, &end, 10);
    static const char units[] = "KMGT";
    const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
    if (end == text)
        return was;
    return unit != NULL ? v << (10 * (unit - units + 1)) : v;
}

static void apply_setting(struct sim_checks *c, int64_t now_ns, const uint8_t *bytes, size_t len)
{
    const Holdfast__V1__GlobalSetting *m =
        bytes != NULL ? sim_decode(c, &holdfast__v1__global_setting__descriptor, bytes, len) : NULL;
    if (m == NULL || m->meta == NULL)
        return;
    sim_never_stop_before(c, now_ns);
    if (strcmp(m->meta->name, "ha.enable") == 0)
        c->ha_off = strcmp(m->value, "false") == 0;
    else if (strcmp(m->meta->name, "ha.massLossShare") == 0)
        c->mass_share = setting_number(m->value, c->mass_share);
    else if (strcmp(m->meta->name, "vm.cpuOverProvisioning") == 0)
        c->cpu_factor = setting_number(m->value, c->cpu_factor);
    else if (strcmp(m->meta->name, "host.reservedMemory") == 0)
        c->reserved_memory = setting_number(m->value, c->reserved_memory);
}

/* --- transactions --- */

void sim_store_apply(struct sim_checks *c, int64_t now_ns, uint64_t revision, uint32_t kind,
                     const struct hf_uuid *uuid, const uint8_t *bytes, size_t len)
{
    note_object(c, revision, kind, uuid, bytes == NULL);
    switch (kind) {
    case HOLDFAST__V1__KIND__HOST:
        sim_apply_host(c, now_ns, uuid, bytes, len);
        break;
    case HOLDFAST__V1__KIND__FENCE:
        sim_apply_fence(c, now_ns, uuid, bytes, len);
        break;
    case HOLDFAST__V1__KIND__INSTANCE:
        sim_apply_instance(c, now_ns, uuid, bytes, len);
        break;
    case HOLDFAST__V1__KIND__OPERATION:
        sim_apply_operation(c, now_ns, uuid, bytes, len);
        break;
    case HOLDFAST__V1__KIND__IP_ADDRESS:
        sim_apply_address(c, now_ns, uuid, bytes, len);
        break;
    case HOLDFAST__V1__KIND__PRIMARY_STORAGE:
        apply_storage(c, now_ns, uuid, bytes, len);
        break;
    case HOLDFAST__V1__KIND__CLUSTER:
        apply_cluster(c, uuid, bytes, len);
        break;
    case HOLDFAST__V1__KIND__AFFINITY_GROUP:
        sim_apply_group(c, uuid, bytes, len);
        break;
    case HOLDFAST__V1__KIND__GLOBAL_SETTING:
        apply_setting(c, now_ns, bytes, len);
        break;
    default:
        break;
    }
    sim_decode_end(c);
}

void sim_judge_later(struct sim_checks *c, struct sim_pending p)
{
    if (c->n_pending == c->pending_max) {
        c->pending_max = c->pending_max > 0 ? 2 * c->pending_max : 16;
        c->pending = hf_realloc_array(c->pending, c->pending_max, sizeof *c->pending);
    }
    c->pending[c->n_pending++] = p;
}

void sim_store_flush(struct sim_checks *c, int64_t now_ns)
{
    for (size_t k = 0; k < c->n_pending; k++)
        sim_judge_pending(c, now_ns, &c->pending[k]);
    c->n_pending = 0;
}
