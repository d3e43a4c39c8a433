#include "sim/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/kinds.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/network.pb-c.h"
#include "holdfast/v1/operation.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"

#define SLOTS       8     /* requests of one step at a time */
#define DEADLINE_MS 30000 /* of one call */
#define AGAIN_MS    500   /* until what was not possible yet is asked again */
#define MEMORY      (128ull << 20)
#define SHA256      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

typedef Holdfast__V1__Meta Meta;
typedef Holdfast__V1__Operation Operation;

/* One request of the step, from its first try to its answer. */
struct slot {
    struct sim_setup *setup;
    unsigned i; /* which of the step's things */
    char request_id[HF_UUID_STR];
    struct hf_timer again;
    bool busy;
};

struct sim_setup {
    struct sim_world *w;
    struct sim_client client;
    struct sim_rng rng;
    struct sim_cloud cloud;
    char (*operations)[HF_UUID_STR]; /* of hosts, the image, instances: what the next step waits for */
    unsigned step, next, answered;   /* of the step's things: the next to ask for, those that are done */
    struct slot slots[SLOTS];
    bool ready;
    char failure[400], waits_for[400];
};

struct step {
    const char *what;
    unsigned (*count)(const struct sim_setup *s);
    void (*ask)(struct slot *slot);
    /* Keeps what the answer tells. False: not there yet, ask again. */
    bool (*took)(struct sim_setup *s, unsigned i, const ProtobufCMessage *m);
    bool may_wait; /* PRECONDITION means "not yet" */
};

static void fill(struct slot *slot);
static void on_answer(void *arg, const struct sim_answer *a);

/* --- what requests share --- */

static Meta meta_named(const char *name)
{
    Meta meta = HOLDFAST__V1__META__INIT;
    meta.name = (char *)name;
    return meta;
}

static void call(struct slot *slot, const char *service, const char *method, const ProtobufCMessage *request)
{
    sim_client_call(&slot->setup->client, service, method, request, DEADLINE_MS, on_answer, slot);
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

static void ask_zone(struct slot *slot)
{
    Meta meta = meta_named("zone");
    Holdfast__V1__Zone zone = HOLDFAST__V1__ZONE__INIT;
    Holdfast__V1__CreateZoneRequest r = HOLDFAST__V1__CREATE_ZONE_REQUEST__INIT;
    zone.meta = &meta;
    r.request_id = slot->request_id;
    r.zone = &zone;
    call(slot, "Zone", "CreateZone", &r.base);
}

static bool took_zone(struct sim_setup *s, unsigned i, const ProtobufCMessage *m)
{
    (void)i;
    keep_meta_uuid(s->cloud.zone, m);
    return true;
}

static void ask_cluster(struct slot *slot)
{
    Meta meta = meta_named("cluster");
    Holdfast__V1__ClusterSpec spec = HOLDFAST__V1__CLUSTER_SPEC__INIT;
    Holdfast__V1__Cluster cluster = HOLDFAST__V1__CLUSTER__INIT;
    Holdfast__V1__CreateClusterRequest r = HOLDFAST__V1__CREATE_CLUSTER_REQUEST__INIT;
    spec.zone_uuid = slot->setup->cloud.zone;
    cluster.meta = &meta;
    cluster.spec = &spec;
    r.request_id = slot->request_id;
    r.cluster = &cluster;
    call(slot, "Cluster", "CreateCluster", &r.base);
}

static bool took_cluster(struct sim_setup *s, unsigned i, const ProtobufCMessage *m)
{
    (void)i;
    keep_meta_uuid(s->cloud.cluster, m);
    return true;
}

static void ask_offering(struct slot *slot)
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
    call(slot, "InstanceOffering", "CreateInstanceOffering", &r.base);
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

static void ask_storage(struct slot *slot)
{
    struct sim_setup *s = slot->setup;
    bool local = is_local(s, slot->i);
    char name[24] = "local";
    if (!local)
        snprintf(name, sizeof name, "shared%u", slot->i + 1);
    Meta meta = meta_named(name);
    Holdfast__V1__PrimaryStorageSpec spec = HOLDFAST__V1__PRIMARY_STORAGE_SPEC__INIT;
    Holdfast__V1__PrimaryStorage storage = HOLDFAST__V1__PRIMARY_STORAGE__INIT;
    Holdfast__V1__CreatePrimaryStorageRequest r = HOLDFAST__V1__CREATE_PRIMARY_STORAGE_REQUEST__INIT;
    spec.type = local ? HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__LOCAL_STORAGE
                      : HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__SHARED_MOUNT_POINT;
    spec.zone_uuid = s->cloud.zone;
    spec.path = (char *)sim_storage_path(local ? s->w->local[0] : s->w->shared[slot->i]);
    storage.meta = &meta;
    storage.spec = &spec;
    r.request_id = slot->request_id;
    r.primary_storage = &storage;
    call(slot, "PrimaryStorage", "CreatePrimaryStorage", &r.base);
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

static void ask_attach(struct slot *slot, const char *method, char *uuid)
{
    Holdfast__V1__AttachToClusterRequest r = HOLDFAST__V1__ATTACH_TO_CLUSTER_REQUEST__INIT;
    r.request_id = slot->request_id;
    r.cluster_uuid = slot->setup->cloud.cluster;
    r.uuid = uuid;
    call(slot, "Cluster", method, &r.base);
}

static void ask_attach_storage(struct slot *slot)
{
    ask_attach(slot, "AttachPrimaryStorage", slot->setup->cloud.storages[slot->i]);
}

/* --- networks --- */

static void ask_l2(struct slot *slot)
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
    call(slot, "L2Network", "CreateL2Network", &r.base);
}

static bool took_l2(struct sim_setup *s, unsigned i, const ProtobufCMessage *m)
{
    (void)i;
    keep_meta_uuid(s->cloud.l2, m);
    return true;
}

static void ask_attach_l2(struct slot *slot)
{
    ask_attach(slot, "AttachL2Network", slot->setup->cloud.l2);
}

static void ask_l3(struct slot *slot)
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
    call(slot, "L3Network", "CreateL3Network", &r.base);
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

static void ask_host(struct slot *slot)
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
    call(slot, "Host", "CreateHost", &r.base);
}

static void ask_image(struct slot *slot)
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
    call(slot, "Image", "CreateImage", &r.base);
}

static bool took_image(struct sim_setup *s, unsigned i, const ProtobufCMessage *m)
{
    keep_uuid(s->cloud.image, ((const Operation *)(const void *)m)->target_uuid);
    return took_operation(s, i, m);
}

/* --- instances --- */

static unsigned instances(const struct sim_setup *s)
{
    return s->w->sizes.instances;
}

/* Most of them never stop. Those on shared storage lie on each in turn, or where the control plane puts them.
 */
static void ask_instance(struct slot *slot)
{
    struct sim_setup *s = slot->setup;
    struct sim_first_instance *first = &s->cloud.instances[slot->i];
    char *networks[] = {s->cloud.l3};
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
    instance.meta = &meta;
    instance.spec = &spec;
    r.request_id = slot->request_id;
    r.instance = &instance;
    call(slot, "Instance", "CreateInstance", &r.base);
}

static bool took_instance(struct sim_setup *s, unsigned i, const ProtobufCMessage *m)
{
    keep_uuid(s->cloud.instances[i].uuid, ((const Operation *)(const void *)m)->target_uuid);
    return took_operation(s, i, m);
}

/* --- operations --- */

static void ask_wait(struct slot *slot)
{
    Holdfast__V1__WaitOperationRequest r = HOLDFAST__V1__WAIT_OPERATION_REQUEST__INIT;
    r.uuid = slot->setup->operations[slot->i];
    call(slot, "Operation", "WaitOperation", &r.base);
}

static bool took_end(struct sim_setup *s, unsigned i, const ProtobufCMessage *m)
{
    (void)i;
    const Operation *op = (const Operation *)(const void *)m;
    if (op->state == HOLDFAST__V1__OPERATION__STATE__SUCCEEDED)
        return true;
    snprintf(s->waits_for, sizeof s->waits_for, "%s of '%s': %s", op->verb, op->target_name, op->step);
    if (op->state != HOLDFAST__V1__OPERATION__STATE__RUNNING)
        snprintf(s->failure, sizeof s->failure, "%s of '%s' has failed: %s", op->verb, op->target_name,
                 op->error_message);
    return false;
}

/* --- the steps --- */

static const struct step steps[] = {
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
    {"create the image", one, ask_image, took_image, false},
    {"wait for the image", one, ask_wait, took_end, false},
    {"create an instance", instances, ask_instance, took_instance, false},
    {"wait for an instance", instances, ask_wait, took_end, false},
};

#define STEPS (sizeof steps / sizeof steps[0])

static const struct step *step_of(const struct sim_setup *s)
{
    return &steps[s->step];
}

static void begin_step(struct sim_setup *s)
{
    while (s->step < STEPS && step_of(s)->count(s) == 0)
        s->step++;
    s->next = s->answered = 0;
    s->ready = s->step == STEPS;
    if (s->ready)
        return;
    snprintf(s->waits_for, sizeof s->waits_for, "%s", step_of(s)->what);
    for (size_t i = 0; i < SLOTS; i++)
        fill(&s->slots[i]);
}

static void ask(void *arg)
{
    struct slot *slot = arg;
    step_of(slot->setup)->ask(slot);
}

/* The slot takes on the next thing of the step. */
static void fill(struct slot *slot)
{
    struct sim_setup *s = slot->setup;
    slot->busy = s->next < step_of(s)->count(s);
    if (!slot->busy)
        return;
    struct hf_uuid id = hf_uuid_new(&s->client.proc.env);
    hf_uuid_format(&id, slot->request_id);
    slot->i = s->next++;
    ask(slot);
}

static void ask_again(struct slot *slot)
{
    hf_timer_start(&slot->setup->client.proc.env, &slot->again, AGAIN_MS, ask, slot);
}

/* Is it worth asking again? */
static bool is_for_now(const struct step *step, const struct sim_answer *a)
{
    return a->doubt || a->code == HF_NOT_LEADER || a->code == HF_TIMEOUT ||
           (step->may_wait && a->code == HF_PRECONDITION);
}

static void on_answer(void *arg, const struct sim_answer *a)
{
    struct slot *slot = arg;
    struct sim_setup *s = slot->setup;
    const struct step *step = step_of(s);
    if (s->failure[0] != '\0')
        return;
    if (a->code != HF_OK) {
        snprintf(s->waits_for, sizeof s->waits_for, "%s: %s", step->what, a->sentence);
        if (is_for_now(step, a))
            ask_again(slot);
        else
            memcpy(s->failure, s->waits_for, sizeof s->failure);
        return;
    }
    if (!step->took(s, slot->i, a->message)) {
        if (s->failure[0] == '\0')
            ask_again(slot);
        return;
    }
    s->answered++;
    if (s->answered < step->count(s)) {
        fill(slot);
        return;
    }
    s->step++;
    begin_step(s);
}

/* --- life --- */

struct sim_setup *sim_setup_create(struct sim_world *w)
{
    struct sim_setup *s = HF_NEW(struct sim_setup);
    unsigned n = w->sizes.instances > w->sizes.hosts ? w->sizes.instances : w->sizes.hosts;
    s->w = w;
    sim_client_init(&s->client, w, "admin", 0);
    s->rng = sim_rng_make(sim_seed(w->sim), "setup", 0);
    s->operations = hf_alloc_array(n + 1, sizeof *s->operations);
    s->cloud.instances = hf_alloc_array(w->sizes.instances + 1, sizeof *s->cloud.instances);
    for (unsigned i = 0; i < w->sizes.instances; i++) {
        struct sim_first_instance *first = &s->cloud.instances[i];
        snprintf(first->name, sizeof first->name, "vm%u", i + 1);
        first->local = w->sizes.shared_storages == 0 || sim_rng_chance(&s->rng, w->profile.local_ppm);
    }
    for (size_t i = 0; i < SLOTS; i++)
        s->slots[i].setup = s;
    return s;
}

static void begin(void *arg)
{
    begin_step(arg);
}

void sim_setup_begin(struct sim_setup *s)
{
    sim_proc_post(&s->client.proc, 0, begin, NULL, s);
}

bool sim_setup_ready(const struct sim_setup *s)
{
    return s->ready;
}

const char *sim_setup_failure(const struct sim_setup *s)
{
    return s->failure[0] != '\0' ? s->failure : NULL;
}

const char *sim_setup_waits_for(const struct sim_setup *s)
{
    return s->waits_for;
}

const struct sim_cloud *sim_setup_cloud(const struct sim_setup *s)
{
    return &s->cloud;
}

uint64_t sim_setup_answered(const struct sim_setup *s)
{
    return s->client.answered;
}

void sim_setup_stop(struct sim_setup *s)
{
    sim_client_done(&s->client);
}

void sim_setup_free(struct sim_setup *s)
{
    free(s->operations);
    free(s->cloud.instances);
    free(s);
}
