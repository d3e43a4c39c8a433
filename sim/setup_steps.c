/* The steps of the set-up: what each asks for, and what it keeps of the answers. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "control/kinds.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/network.pb-c.h"
#include "holdfast/v1/operation.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"
#include "sim/ceph.h"
#include "sim/power.h"
#include "sim/setup_private.h"

#define MEMORY (128ull << 20)
#define SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

typedef Holdfast__V1__Meta Meta;
typedef Holdfast__V1__Operation Operation;

/* --- what requests share --- */

static Meta meta_named(const char *name)
{
    Meta meta = HOLDFAST__V1__META__INIT;
    meta.name = (char *)name;
    return meta;
}

static void keep_uuid(char to[HF_UUID_STR], const char *uuid)
{
    HF_ASSERT(strlen(uuid) == HF_UUID_STR - 1);
    memcpy(to, uuid, HF_UUID_STR);
}

static void keep_meta_uuid(char to[HF_UUID_STR], const ProtobufCMessage *m)
{
    keep_uuid(to, hf_message_meta(m)->uuid);
}

static unsigned one(const struct sim_setup *s)
{
    (void)s;
    return 1;
}

static bool took_nothing(struct sim_setup *s, unsigned i, const ProtobufCMessage *m)
{
    (void)s;
    (void)i;
    (void)m;
    return true;
}

static bool took_operation(struct sim_setup *s, unsigned i, const ProtobufCMessage *m)
{
    keep_meta_uuid(s->operations[i], m);
    return true;
}

/* --- zone, cluster, offering --- */

static void ask_zone(struct sim_setup_slot *slot)
{
    Meta meta = meta_named("zone");
    Holdfast__V1__Zone zone = HOLDFAST__V1__ZONE__INIT;
    Holdfast__V1__CreateZoneRequest r = HOLDFAST__V1__CREATE_ZONE_REQUEST__INIT;
    zone.meta = &meta;
    r.request_id = slot->request_id;
    r.zone = &zone;
    sim_setup_call(slot, "Zone", "CreateZone", &r.base);
}

static bool took_zone(struct sim_setup *s, unsigned i, const ProtobufCMessage *m)
{
    (void)i;
    keep_meta_uuid(s->cloud.zone, m);
    return true;
}

static void ask_cluster(struct sim_setup_slot *slot)
{
    Meta meta = meta_named("cluster");
    Holdfast__V1__ClusterSpec spec = HOLDFAST__V1__CLUSTER_SPEC__INIT;
    Holdfast__V1__Cluster cluster = HOLDFAST__V1__CLUSTER__INIT;
    Holdfast__V1__CreateClusterRequest r = HOLDFAST__V1__CREATE_CLUSTER_REQUEST__INIT;
    spec.zone_uuid = slot->setup->cloud.zone;
    spec.takeover = sim_draw_takeover(slot->setup->w, NULL);
    cluster.meta = &meta;
    cluster.spec = &spec;
    r.request_id = slot->request_id;
    r.cluster = &cluster;
    sim_setup_call(slot, "Cluster", "CreateCluster", &r.base);
}

static bool took_cluster(struct sim_setup *s, unsigned i, const ProtobufCMessage *m)
{
    (void)i;
    keep_meta_uuid(s->cloud.cluster, m);
    return true;
}

static void ask_offering(struct sim_setup_slot *slot)
{
    Meta meta = meta_named("small");
    Holdfast__V1__InstanceOfferingSpec spec = HOLDFAST__V1__INSTANCE_OFFERING_SPEC__INIT;
    Holdfast__V1__InstanceOffering offering = HOLDFAST__V1__INSTANCE_OFFERING__INIT;
    Holdfast__V1__CreateInstanceOfferingRequest r = HOLDFAST__V1__CREATE_INSTANCE_OFFERING_REQUEST__INIT;
    spec.cpus = 1;
    spec.memory_bytes = MEMORY;
    offering.meta = &meta;
    offering.spec = &spec;
    r.request_id = slot->request_id;
    r.instance_offering = &offering;
    sim_setup_call(slot, "InstanceOffering", "CreateInstanceOffering", &r.base);
}

static bool took_offering(struct sim_setup *s, unsigned i, const ProtobufCMessage *m)
{
    (void)i;
    keep_meta_uuid(s->cloud.offering, m);
    return true;
}

/* --- storages --- */

static unsigned storages(const struct sim_setup *s)
{
    return s->w->sizes.shared_storages + 1;
}

static bool is_local(const struct sim_setup *s, unsigned i)
{
    return i == s->w->sizes.shared_storages;
}

static bool is_ceph(const struct sim_setup *s, unsigned i)
{
    return !is_local(s, i) && sim_storage_ceph(s->w->shared[i]) != NULL;
}

static void ask_storage(struct sim_setup_slot *slot)
{
    struct sim_setup *s = slot->setup;
    bool local = is_local(s, slot->i);
    char name[24] = "local";
    if (!local)
        snprintf(name, sizeof name, "shared%u", slot->i + 1);
    char *monitors[] = {NULL};
    Holdfast__V1__CephCluster cluster = HOLDFAST__V1__CEPH_CLUSTER__INIT;
    cluster.monitors = monitors;
    cluster.n_monitors = 1;
    cluster.user = (char *)"admin";
    cluster.key = (char *)SIM_CEPH_KEY;
    Meta meta = meta_named(name);
    Holdfast__V1__PrimaryStorageSpec spec = HOLDFAST__V1__PRIMARY_STORAGE_SPEC__INIT;
    Holdfast__V1__PrimaryStorage storage = HOLDFAST__V1__PRIMARY_STORAGE__INIT;
    Holdfast__V1__CreatePrimaryStorageRequest r = HOLDFAST__V1__CREATE_PRIMARY_STORAGE_REQUEST__INIT;
    spec.type = local ? HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__LOCAL_STORAGE
                      : HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__SHARED_MOUNT_POINT;
    spec.zone_uuid = s->cloud.zone;
    if (is_ceph(s, slot->i)) {
        spec.type = HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__CEPH;
        spec.ceph = &cluster;
        monitors[0] = (char *)sim_ceph_monitor(sim_storage_ceph(s->w->shared[slot->i]));
    } else {
        spec.path = (char *)sim_storage_path(local ? s->w->local[0] : s->w->shared[slot->i]);
    }
    storage.meta = &meta;
    storage.spec = &spec;
    r.request_id = slot->request_id;
    r.primary_storage = &storage;
    sim_setup_call(slot, "PrimaryStorage", "CreatePrimaryStorage", &r.base);
}

static bool took_storage(struct sim_setup *s, unsigned i, const ProtobufCMessage *m)
{
    struct hf_uuid uuid;
    keep_meta_uuid(s->cloud.storages[i], m);
    bool is_uuid = hf_uuid_parse(s->cloud.storages[i], &uuid);
    HF_ASSERT(is_uuid);
    if (!is_local(s, i))
        sim_storage_set_uuid(s->w->shared[i], &uuid);
    for (unsigned h = 0; is_local(s, i) && h < s->w->sizes.hosts; h++)
        sim_storage_set_uuid(s->w->local[h], &uuid);
    return true;
}

static void ask_attach(struct sim_setup_slot *slot, const char *method, char *uuid)
{
    Holdfast__V1__AttachToClusterRequest r = HOLDFAST__V1__ATTACH_TO_CLUSTER_REQUEST__INIT;
    r.request_id = slot->request_id;
    r.cluster_uuid = slot->setup->cloud.cluster;
    r.uuid = uuid;
    sim_setup_call(slot, "Cluster", method, &r.base);
}

static void ask_attach_storage(struct sim_setup_slot *slot)
{
    ask_attach(slot, "AttachPrimaryStorage", slot->setup->cloud.storages[slot->i]);
}

/* --- networks --- */

static void ask_l2(struct sim_setup_slot *slot)
{
    Meta meta = meta_named("l2");
    Holdfast__V1__L2NetworkSpec spec = HOLDFAST__V1__L2_NETWORK_SPEC__INIT;
    Holdfast__V1__L2Network l2 = HOLDFAST__V1__L2_NETWORK__INIT;
    Holdfast__V1__CreateL2NetworkRequest r = HOLDFAST__V1__CREATE_L2_NETWORK_REQUEST__INIT;
    spec.zone_uuid = slot->setup->cloud.zone;
    spec.physical_interface = (char *)"em01";
    l2.meta = &meta;
    l2.spec = &spec;
    r.request_id = slot->request_id;
    r.l2_network = &l2;
    sim_setup_call(slot, "L2Network", "CreateL2Network", &r.base);
}

static bool took_l2(struct sim_setup *s, unsigned i, const ProtobufCMessage *m)
{
    (void)i;
    keep_meta_uuid(s->cloud.l2, m);
    return true;
}

static void ask_attach_l2(struct sim_setup_slot *slot)
{
    ask_attach(slot, "AttachL2Network", slot->setup->cloud.l2);
}

static void ask_l3(struct sim_setup_slot *slot)
{
    Meta meta = meta_named("l3");
    Holdfast__V1__IpRange range = HOLDFAST__V1__IP_RANGE__INIT, *ranges[] = {&range};
    Holdfast__V1__L3NetworkSpec spec = HOLDFAST__V1__L3_NETWORK_SPEC__INIT;
    Holdfast__V1__L3Network l3 = HOLDFAST__V1__L3_NETWORK__INIT;
    Holdfast__V1__CreateL3NetworkRequest r = HOLDFAST__V1__CREATE_L3_NETWORK_REQUEST__INIT;
    range.start_ip = (char *)"172.20.100.1";
    range.end_ip = (char *)"172.20.107.254";
    range.netmask = (char *)"255.255.0.0";
    range.gateway = (char *)"172.20.0.1";
    spec.l2_network_uuid = slot->setup->cloud.l2;
    spec.ip_ranges = ranges;
    spec.n_ip_ranges = 1;
    l3.meta = &meta;
    l3.spec = &spec;
    r.request_id = slot->request_id;
    r.l3_network = &l3;
    sim_setup_call(slot, "L3Network", "CreateL3Network", &r.base);
}

static bool took_l3(struct sim_setup *s, unsigned i, const ProtobufCMessage *m)
{
    (void)i;
    keep_meta_uuid(s->cloud.l3, m);
    return true;
}

/* --- hosts and the image --- */

static unsigned hosts(const struct sim_setup *s)
{
    return s->w->sizes.hosts;
}

static void ask_host(struct sim_setup_slot *slot)
{
    const struct sim_host *host = slot->setup->w->hosts[slot->i];
    Meta meta = meta_named(sim_host_name(host));
    Holdfast__V1__HostSpec spec = HOLDFAST__V1__HOST_SPEC__INIT;
    Holdfast__V1__Host h = HOLDFAST__V1__HOST__INIT;
    Holdfast__V1__CreateHostRequest r = HOLDFAST__V1__CREATE_HOST_REQUEST__INIT;
    spec.cluster_uuid = slot->setup->cloud.cluster;
    spec.management_ip = (char *)sim_host_management_ip(host);
    h.meta = &meta;
    h.spec = &spec;
    r.request_id = slot->request_id;
    r.host = &h;
    sim_setup_call(slot, "Host", "CreateHost", &r.base);
}

static unsigned power_devices(const struct sim_setup *s)
{
    return sim_power_devices(s->w);
}

static void ask_power_device(struct sim_setup_slot *slot)
{
    const struct sim_world *w = slot->setup->w;
    const struct sim_host *host = w->hosts[sim_power_device_host(w, slot->i)];
    char uuid[HF_UUID_STR];
    Holdfast__V1__PowerDevice__Option ip = HOLDFAST__V1__POWER_DEVICE__OPTION__INIT, *options[] = {&ip};
    Holdfast__V1__PowerDevice d = HOLDFAST__V1__POWER_DEVICE__INIT;
    Holdfast__V1__AddPowerDeviceRequest r = HOLDFAST__V1__ADD_POWER_DEVICE_REQUEST__INIT;
    ip.name = (char *)"ip";
    ip.value = (char *)sim_host_name(host);
    d.name = (char *)"bmc";
    d.agent = (char *)"fence_sim";
    d.level = 1;
    d.options = options;
    d.n_options = 1;
    r.request_id = slot->request_id;
    r.host_uuid = hf_uuid_format(sim_host_uuid(host), uuid);
    r.device = &d;
    sim_setup_call(slot, "Host", "AddPowerDevice", &r.base);
}

static void ask_image(struct sim_setup_slot *slot)
{
    Meta meta = meta_named("guest");
    Holdfast__V1__ImageSpec spec = HOLDFAST__V1__IMAGE_SPEC__INIT;
    Holdfast__V1__Image image = HOLDFAST__V1__IMAGE__INIT;
    Holdfast__V1__CreateImageRequest r = HOLDFAST__V1__CREATE_IMAGE_REQUEST__INIT;
    spec.url = (char *)"http://images/guest.qcow2";
    spec.sha256 = (char *)SHA256;
    spec.format = HOLDFAST__V1__IMAGE_SPEC__FORMAT__QCOW2;
    image.meta = &meta;
    image.spec = &spec;
    r.request_id = slot->request_id;
    r.image = &image;
    sim_setup_call(slot, "Image", "CreateImage", &r.base);
}

static bool took_image(struct sim_setup *s, unsigned i, const ProtobufCMessage *m)
{
    keep_uuid(s->cloud.image, ((const Operation *)(const void *)m)->target_uuid);
    return took_operation(s, i, m);
}

/* --- instances --- */

static void ask_group(struct sim_setup_slot *slot)
{
    Meta meta = meta_named("apart");
    Holdfast__V1__AffinityGroupSpec spec = HOLDFAST__V1__AFFINITY_GROUP_SPEC__INIT;
    Holdfast__V1__AffinityGroup group = HOLDFAST__V1__AFFINITY_GROUP__INIT;
    Holdfast__V1__CreateAffinityGroupRequest r = HOLDFAST__V1__CREATE_AFFINITY_GROUP_REQUEST__INIT;
    spec.policy = HOLDFAST__V1__AFFINITY_GROUP_SPEC__POLICY__ANTI_AFFINITY;
    spec.hard = true;
    group.meta = &meta;
    group.spec = &spec;
    r.request_id = slot->request_id;
    r.affinity_group = &group;
    sim_setup_call(slot, "AffinityGroup", "CreateAffinityGroup", &r.base);
}

static bool took_group(struct sim_setup *s, unsigned i, const ProtobufCMessage *m)
{
    (void)i;
    keep_meta_uuid(s->cloud.group, m);
    return true;
}

/* One on each host: when a host is lost, its member waits for it. */
static bool is_apart(const struct sim_setup *s, unsigned i)
{
    return i % 2 == 1 && i / 2 < s->w->sizes.hosts && !s->cloud.instances[i].local;
}

static unsigned instances(const struct sim_setup *s)
{
    return s->w->sizes.instances;
}

/* Most of them never stop. Those on shared storage lie on each in turn, or where the control plane puts them.
 */
static void ask_instance(struct sim_setup_slot *slot)
{
    struct sim_setup *s = slot->setup;
    struct sim_first_instance *first = &s->cloud.instances[slot->i];
    char *networks[] = {s->cloud.l3}, *groups[] = {s->cloud.group};
    Meta meta = meta_named(first->name);
    Holdfast__V1__InstanceSpec spec = HOLDFAST__V1__INSTANCE_SPEC__INIT;
    Holdfast__V1__Instance instance = HOLDFAST__V1__INSTANCE__INIT;
    Holdfast__V1__CreateInstanceRequest r = HOLDFAST__V1__CREATE_INSTANCE_REQUEST__INIT;
    spec.instance_offering_uuid = s->cloud.offering;
    spec.image_uuid = s->cloud.image;
    spec.l3_network_uuids = networks;
    spec.n_l3_network_uuids = 1;
    if (first->local)
        spec.primary_storage_uuid = s->cloud.storages[s->w->sizes.shared_storages];
    else if (slot->i % 4 != 0)
        spec.primary_storage_uuid = s->cloud.storages[slot->i % s->w->sizes.shared_storages];
    if (!first->local && slot->i % 8 != 7)
        spec.ha_level = HOLDFAST__V1__HA_LEVEL__NEVER_STOP;
    spec.takeover = sim_draw_takeover(s->w, first->name);
    spec.restart_priority = (Holdfast__V1__InstanceSpec__RestartPriority)(slot->i % 6);
    spec.affinity_group_uuids = groups;
    spec.n_affinity_group_uuids = is_apart(s, slot->i);
    instance.meta = &meta;
    instance.spec = &spec;
    r.request_id = slot->request_id;
    r.instance = &instance;
    sim_setup_call(slot, "Instance", "CreateInstance", &r.base);
}

static bool took_instance(struct sim_setup *s, unsigned i, const ProtobufCMessage *m)
{
    keep_uuid(s->cloud.instances[i].uuid, ((const Operation *)(const void *)m)->target_uuid);
    return took_operation(s, i, m);
}

/* --- operations --- */

static void ask_wait(struct sim_setup_slot *slot)
{
    Holdfast__V1__WaitOperationRequest r = HOLDFAST__V1__WAIT_OPERATION_REQUEST__INIT;
    r.uuid = slot->setup->operations[slot->i];
    sim_setup_call(slot, "Operation", "WaitOperation", &r.base);
}

/* A host that has just been added may have to attach once more, and the operation does not wait for it. */
static bool starts_later(const Operation *op)
{
    return op->state == HOLDFAST__V1__OPERATION__STATE__FAILED &&
           strstr(op->error_message, "being NeverStop, it starts as soon as there is room") != NULL;
}

static bool took_end(struct sim_setup *s, unsigned i, const ProtobufCMessage *m)
{
    (void)i;
    const Operation *op = (const Operation *)(const void *)m;
    if (op->state == HOLDFAST__V1__OPERATION__STATE__SUCCEEDED || starts_later(op))
        return true;
    snprintf(s->waits_for, sizeof s->waits_for, "%s of '%s': %s", op->verb, op->target_name, op->step);
    if (op->state != HOLDFAST__V1__OPERATION__STATE__RUNNING)
        snprintf(s->failure, sizeof s->failure, "%s of '%s' has failed: %s", op->verb, op->target_name,
                 op->error_message);
    return false;
}

/* --- the steps --- */

const struct sim_setup_step sim_setup_steps[] = {
    {"create the zone", one, ask_zone, took_zone, false},
    {"create the cluster", one, ask_cluster, took_cluster, false},
    {"create the instance offering", one, ask_offering, took_offering, false},
    {"create a primary storage", storages, ask_storage, took_storage, false},
    {"attach a primary storage", storages, ask_attach_storage, took_nothing, false},
    {"create the L2 network", one, ask_l2, took_l2, false},
    {"attach the L2 network", one, ask_attach_l2, took_nothing, false},
    {"create the L3 network", one, ask_l3, took_l3, false},
    {"add a host", hosts, ask_host, took_operation, true},
    {"wait for a host", hosts, ask_wait, took_end, false},
    {"add a power device", power_devices, ask_power_device, took_nothing, false},
    {"create the image", one, ask_image, took_image, false},
    {"wait for the image", one, ask_wait, took_end, false},
    {"create the affinity group", one, ask_group, took_group, false},
    {"create an instance", instances, ask_instance, took_instance, false},
    {"wait for an instance", instances, ask_wait, took_end, false},
};

const unsigned sim_setup_n_steps = sizeof sim_setup_steps / sizeof sim_setup_steps[0];
