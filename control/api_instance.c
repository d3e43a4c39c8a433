/* Instances: creation with everything that belongs to them, change of their spec. Power and deletion are in
 * api_power.c. */
#include "control/api_instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/api_handlers.h"
#include "control/api_network.h"
#include "control/api_operation.h"
#include "control/pb_list.h"
#include "control/placement_guard.h"
#include "control/takeover.h"

typedef Holdfast__V1__Instance Instance;
typedef Holdfast__V1__InstanceSpec Spec;

#define NICS_MAX 16

/* What hf_call_uuid() numbers mean while an instance is made. */
enum { MADE_INSTANCE, MADE_ROOT_VOLUME, MADE_OPERATION };

/* --- spec --- */

#define GROUPS_MAX 8 /* that one instance may be in */

/* What users may set when they make it and later. */
static hf_status check_wishes(const Spec *spec)
{
    if (spec->ha_level != HOLDFAST__V1__HA_LEVEL__HA_NONE &&
        spec->ha_level != HOLDFAST__V1__HA_LEVEL__NEVER_STOP)
        return hf_error(HF_INVALID, "spec.ha_level: %d is not known", (int)spec->ha_level);
    if (protobuf_c_enum_descriptor_get_value(&holdfast__v1__instance_spec__restart_priority__descriptor,
                                             (int)spec->restart_priority) == NULL)
        return hf_error(HF_INVALID, "spec.restart_priority: %d is not known", (int)spec->restart_priority);
    HF_TRY(hf_takeover_check(spec->takeover));
    if (spec->n_affinity_group_uuids > GROUPS_MAX)
        return hf_error(HF_INVALID, "spec.affinity_group_uuids: more than %d groups", GROUPS_MAX);
    for (size_t i = 1; i < spec->n_affinity_group_uuids; i++)
        if (hf_pb_list_has(spec->affinity_group_uuids, i, spec->affinity_group_uuids[i]))
            return hf_error(HF_INVALID, "spec.affinity_group_uuids: %s is there twice",
                            spec->affinity_group_uuids[i]);
    return HF_STATUS_OK;
}

static hf_status check_given(const Spec *spec)
{
    HF_TRY(check_wishes(spec));
    if (spec->root_volume_uuid[0] != '\0' || spec->n_data_volume_uuids > 0 || spec->n_storage_uuids > 0 ||
        spec->n_nics > 0 || spec->deleting || spec->reboot_generation != 0 ||
        spec->reboot_force_generation != 0)
        return hf_error(HF_INVALID,
                        "leave nics, volumes, storage_uuids, deleting and reboot generations of spec empty");
    if (spec->power != HOLDFAST__V1__POWER_STATE__POWER_UNSPECIFIED &&
        spec->power != HOLDFAST__V1__POWER_STATE__POWER_RUNNING &&
        spec->power != HOLDFAST__V1__POWER_STATE__POWER_STOPPED)
        return hf_error(HF_INVALID, "spec.power: a new instance is POWER_RUNNING or POWER_STOPPED");
    if (spec->n_l3_network_uuids > NICS_MAX)
        return hf_error(HF_INVALID, "spec.l3_network_uuids: more than %d networks", NICS_MAX);
    for (size_t i = 1; i < spec->n_l3_network_uuids; i++)
        if (hf_pb_list_has(spec->l3_network_uuids, i, spec->l3_network_uuids[i]))
            return hf_error(HF_INVALID, "spec.l3_network_uuids: %s is there twice",
                            spec->l3_network_uuids[i]);
    return HF_STATUS_OK;
}

static hf_status copy_offering(struct hf_draft *d, Spec *spec)
{
    Holdfast__V1__InstanceOffering *o = (Holdfast__V1__InstanceOffering *)hf_object_find(
        d->store, HOLDFAST__V1__KIND__INSTANCE_OFFERING, spec->instance_offering_uuid, NULL);
    HF_ASSERT(o != NULL); /* a required reference */
    hf_status st = HF_STATUS_OK;
    if (o->spec->disabled)
        st = hf_error(HF_PRECONDITION, "instance offering '%s' is disabled", o->meta->name);
    spec->cpus = o->spec->cpus;
    spec->memory_bytes = o->spec->memory_bytes;
    spec->strategy = o->spec->strategy;
    holdfast__v1__instance_offering__free_unpacked(o, NULL);
    return st;
}

static hf_status check_image(struct hf_draft *d, const Spec *spec, uint64_t *ret_bytes)
{
    Holdfast__V1__Image *i =
        (Holdfast__V1__Image *)hf_object_find(d->store, HOLDFAST__V1__KIND__IMAGE, spec->image_uuid, NULL);
    HF_ASSERT(i != NULL);
    hf_status st = HF_STATUS_OK;
    if (i->spec->disabled)
        st = hf_error(HF_PRECONDITION, "image '%s' is disabled", i->meta->name);
    else if (i->status != NULL && i->status->state == HOLDFAST__V1__IMAGE_STATUS__STATE__FAILED)
        st = hf_error(HF_PRECONDITION, i->spec->upload_bytes > 0
                                           ? "image '%s' has failed: look at its conditions"
                                           : "image '%s' has failed: its checksum or format is wrong",
                      i->meta->name);
    *ret_bytes = i->status != NULL ? i->status->virtual_bytes : 0;
    holdfast__v1__image__free_unpacked(i, NULL);
    return st;
}

/* --- what belongs to it --- */

/* Locally administered, the same for ever for this NIC of this instance. */
static char *make_mac(const char *instance_uuid, size_t index)
{
    char text[64];
    snprintf(text, sizeof text, "%s/nic/%zu", instance_uuid, index);
    struct hf_uuid u = hf_uuid_of_text(text);
    return hf_printf("fa:%02x:%02x:%02x:%02x:%02x", u.b[0], u.b[1], u.b[2], u.b[3], u.b[4]);
}

static hf_status add_nic(struct hf_draft *d, Instance *inst, size_t index)
{
    const char *l3_uuid = inst->spec->l3_network_uuids[index];
    Holdfast__V1__L3Network *l3 =
        (Holdfast__V1__L3Network *)hf_object_find(d->store, HOLDFAST__V1__KIND__L3_NETWORK, l3_uuid, NULL);
    HF_ASSERT(l3 != NULL);
    char ip[16];
    hf_status st = hf_address_take(d, l3, "", inst->meta->uuid, ip);
    holdfast__v1__l3_network__free_unpacked(l3, NULL);
    if (!hf_ok(st))
        return st;
    Holdfast__V1__Nic *nic = HF_NEW(Holdfast__V1__Nic);
    holdfast__v1__nic__init(nic);
    nic->mac = make_mac(inst->meta->uuid, index);
    nic->l3_network_uuid = hf_strdup(l3_uuid);
    nic->ip = hf_strdup(ip);
    inst->spec->nics = hf_realloc_array(inst->spec->nics, index + 1, sizeof *inst->spec->nics);
    inst->spec->nics[index] = nic;
    inst->spec->n_nics = index + 1;
    return HF_STATUS_OK;
}

static hf_status add_nics(struct hf_draft *d, Instance *inst)
{
    for (size_t i = 0; i < inst->spec->n_nics; i++) /* of an earlier attempt */
        holdfast__v1__nic__free_unpacked(inst->spec->nics[i], NULL);
    inst->spec->n_nics = 0;
    for (size_t i = 0; i < inst->spec->n_l3_network_uuids; i++)
        HF_TRY(add_nic(d, inst, i));
    return HF_STATUS_OK;
}

static void add_root_volume(struct hf_draft *d, Instance *inst, uint64_t image_bytes)
{
    char uuid[HF_UUID_STR], name[HF_UUID_STR + 8];
    hf_uuid_format(hf_call_uuid(d->call, MADE_ROOT_VOLUME), uuid);
    snprintf(name, sizeof name, "root-%s", inst->meta->uuid); /* instances may be renamed */
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    meta.uuid = uuid;
    meta.name = name;
    meta.created_at_ms = d->wall_ms;
    Holdfast__V1__VolumeSpec spec = HOLDFAST__V1__VOLUME_SPEC__INIT;
    spec.type = HOLDFAST__V1__VOLUME_SPEC__TYPE__ROOT;
    spec.primary_storage_uuid = inst->spec->primary_storage_uuid;
    spec.image_uuid = inst->spec->image_uuid;
    spec.instance_uuid = inst->meta->uuid;
    spec.size_bytes = image_bytes;
    Holdfast__V1__VolumeStatus status = HOLDFAST__V1__VOLUME_STATUS__INIT;
    status.state = HOLDFAST__V1__VOLUME_STATUS__STATE__NOT_INSTANTIATED;
    Holdfast__V1__Volume v = HOLDFAST__V1__VOLUME__INIT;
    v.meta = &meta;
    v.spec = &spec;
    v.status = &status;
    hf_volume_set_path(d->store, &v);
    hf_txn_put_message(d->txn, hf_call_env(d->call), &v.base);
    free(status.install_path);

    hf_pb_set(&inst->spec->root_volume_uuid, uuid);
    hf_pb_list_clear(&inst->spec->storage_uuids, &inst->spec->n_storage_uuids);
    hf_pb_list_add(&inst->spec->storage_uuids, &inst->spec->n_storage_uuids,
                   inst->spec->primary_storage_uuid);
}

/* --- create --- */

static hf_status settle_storage(struct hf_draft *d, Instance *inst, bool chosen_here)
{
    hf_pb_list_clear(&inst->spec->storage_uuids, &inst->spec->n_storage_uuids); /* of an earlier attempt */
    if (inst->spec->host_uuid[0] != '\0')
        HF_TRY(hf_instance_check_host(d->store, inst, inst->spec->host_uuid));
    if (chosen_here)
        return hf_instance_choose_storage(d->store, inst);
    return hf_instance_check_root_storage(d->store, inst, inst->spec->primary_storage_uuid);
}

hf_status hf_instance_check_admission(const struct hf_draft *d, const Instance *i)
{
    const struct hf_api_plugs *p = &d->call->api->plugs;
    if (i->spec->ha_level != HOLDFAST__V1__HA_LEVEL__NEVER_STOP ||
        i->spec->power != HOLDFAST__V1__POWER_STATE__POWER_RUNNING || p->hosts == NULL)
        return HF_STATUS_OK;
    return p->hosts->admit(p->hosts_arg, d->store, i);
}

static hf_status create_instance(struct hf_draft *d, ProtobufCMessage *m)
{
    Instance *inst = (Instance *)m;
    uint64_t image_bytes;
    if (inst->spec->power == HOLDFAST__V1__POWER_STATE__POWER_UNSPECIFIED)
        inst->spec->power = HOLDFAST__V1__POWER_STATE__POWER_RUNNING;
    HF_TRY(copy_offering(d, inst->spec));
    HF_TRY(check_image(d, inst->spec, &image_bytes));
    HF_TRY(settle_storage(d, inst, d->call->data != NULL));
    HF_TRY(add_nics(d, inst));
    add_root_volume(d, inst, image_bytes);
    HF_TRY(hf_instance_check_admission(d, inst));
    inst->status->state = HOLDFAST__V1__INSTANCE_STATUS__STATE__CREATED;
    inst->status->state_since_ms = d->wall_ms;
    return HF_STATUS_OK;
}

/* The groups exist. Other references are not looked at again: an offering may be gone by now. */
static hf_status check_groups(const struct hf_store *s, Spec *spec)
{
    for (size_t i = 0; i < spec->n_affinity_group_uuids; i++) {
        hf_status st = HF_STATUS_OK;
        const struct hf_object *o =
            hf_lookup(s, HOLDFAST__V1__KIND__AFFINITY_GROUP, spec->affinity_group_uuids[i], "", &st);
        if (o == NULL)
            return hf_wrap(st, "spec.affinity_group_uuids");
        char uuid[HF_UUID_STR];
        hf_pb_set(&spec->affinity_group_uuids[i], hf_uuid_format(&o->uuid, uuid));
    }
    return HF_STATUS_OK;
}

static hf_status update_instance(struct hf_draft *d, const ProtobufCMessage *before, ProtobufCMessage *m)
{
    const Instance *inst = (const Instance *)m, *was = (const Instance *)before;
    HF_TRY(check_groups(d->store, inst->spec));
    if (was->spec->ha_level != inst->spec->ha_level)
        HF_TRY(hf_instance_check_admission(d, inst));
    HF_TRY(check_wishes(inst->spec));
    return hf_instance_check_ha(d->store, inst);
}

static const char *const instance_paths[] = {"spec.ha_level", "spec.restart_priority",
                                             "spec.affinity_group_uuids", "spec.takeover", NULL};

const struct hf_kind_rules hf_instance_rules = {.kind = HOLDFAST__V1__KIND__INSTANCE,
                                                .mutable_paths = instance_paths,
                                                .create = create_instance,
                                                .update = update_instance};

static hf_status build_create_instance(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    struct hf_draft d = hf_draft_begin(c, s, t);
    Instance *inst = (Instance *)hf_request_object(c->request);
    HF_TRY(hf_draft_create(&d, &hf_instance_rules, hf_call_uuid(c, MADE_INSTANCE), &inst->base));
    struct hf_operation_target target = {HOLDFAST__V1__KIND__INSTANCE, inst->meta->uuid, inst->meta->name, 1};
    bool stopped = inst->spec->power == HOLDFAST__V1__POWER_STATE__POWER_STOPPED;
    hf_draft_operation(&d, MADE_OPERATION, "CreateInstance", &target, stopped ? "" : "waiting for a host",
                       stopped);
    return HF_STATUS_OK;
}

void hf_handle_create_instance(struct hf_api_call *c)
{
    static char storage_is_open; /* the mark in call->data: no storage was asked for, each attempt chooses */
    Instance *inst = (Instance *)hf_request_new_object(c);
    if (inst == NULL)
        return;
    hf_status st = inst->spec != NULL ? check_given(inst->spec) : hf_error(HF_INVALID, "spec is missing");
    if (!hf_ok(st)) {
        hf_call_end(c, hf_wrap(st, "create instance '%s'", inst->meta->name));
        return;
    }
    if (inst->spec->primary_storage_uuid[0] == '\0')
        c->data = &storage_is_open;
    hf_call_write(c, HF_ROOM_SINGLE, build_create_instance);
}

/* --- affinity groups --- */

static hf_status check_group(const Holdfast__V1__AffinityGroup *g)
{
    if (g->spec->policy != HOLDFAST__V1__AFFINITY_GROUP_SPEC__POLICY__ANTI_AFFINITY &&
        g->spec->policy != HOLDFAST__V1__AFFINITY_GROUP_SPEC__POLICY__AFFINITY)
        return hf_error(HF_INVALID, "spec.policy: a group is of ANTI_AFFINITY or AFFINITY");
    return HF_STATUS_OK;
}

static hf_status create_group(struct hf_draft *d, ProtobufCMessage *m)
{
    (void)d;
    return check_group((const Holdfast__V1__AffinityGroup *)m);
}

/* Members that are placed stay where they are; it counts at their next start. */
static hf_status update_group(struct hf_draft *d, const ProtobufCMessage *before, ProtobufCMessage *m)
{
    (void)d;
    (void)before;
    return check_group((const Holdfast__V1__AffinityGroup *)m);
}

static const char *const group_paths[] = {"spec.policy", "spec.hard", NULL};

const struct hf_kind_rules hf_affinity_group_rules = {.kind = HOLDFAST__V1__KIND__AFFINITY_GROUP,
                                                      .mutable_paths = group_paths,
                                                      .create = create_group,
                                                      .update = update_group};

/* --- offerings --- */

#define MIB       (1ull << 20)
#define CPUS_MAX  240
#define BYTES_MAX (1ull << 44)

static hf_status create_offering(struct hf_draft *d, ProtobufCMessage *m)
{
    (void)d;
    const Holdfast__V1__InstanceOfferingSpec *spec = ((Holdfast__V1__InstanceOffering *)m)->spec;
    if (spec->cpus < 1 || spec->cpus > CPUS_MAX)
        return hf_error(HF_INVALID, "spec.cpus: %u is not between 1 and %d", spec->cpus, CPUS_MAX);
    if (spec->memory_bytes < 16 * MIB || spec->memory_bytes > BYTES_MAX || spec->memory_bytes % MIB != 0)
        return hf_error(HF_INVALID,
                        "spec.memory_bytes: %llu is not a multiple of 1 MiB between 16 MiB and 16 TiB",
                        (unsigned long long)spec->memory_bytes);
    if (protobuf_c_enum_descriptor_get_value(&holdfast__v1__instance_offering_spec__strategy__descriptor,
                                             (int)spec->strategy) == NULL)
        return hf_error(HF_INVALID, "spec.strategy: %d is not known", (int)spec->strategy);
    return HF_STATUS_OK;
}

static const char *const offering_paths[] = {"spec.disabled", NULL};

const struct hf_kind_rules hf_instance_offering_rules = {.kind = HOLDFAST__V1__KIND__INSTANCE_OFFERING,
                                                         .mutable_paths = offering_paths,
                                                         .create = create_offering};
