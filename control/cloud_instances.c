/* Instances of the test cloud: made as the API makes them, and looked at. */
#include "control/cloud_testing.h"
#include "control/placement_guard.h"

void instance_uuid(unsigned n, char out[HF_UUID_STR])
{
    snprintf(out, HF_UUID_STR, "%032x", 0xa000 + n);
}

const char *cloud_instance(unsigned n)
{
    static char uuid[HF_UUID_STR];
    instance_uuid(n, uuid);
    return uuid;
}

void operation_uuid(unsigned n, char out[HF_UUID_STR])
{
    snprintf(out, HF_UUID_STR, "f%031x", 0xa000 + n);
}

/* Puts the instance, with an operation about it unless verb is NULL, as the API does. */
static void put_with_operation(struct cloud *c, unsigned n, Holdfast__V1__Instance *i, const char *verb,
                               uint64_t target_run)
{
    char uuid[HF_UUID_STR];
    operation_uuid(n, uuid);
    Holdfast__V1__Meta meta = meta_of(uuid, uuid);
    Holdfast__V1__Operation m = HOLDFAST__V1__OPERATION__INIT;
    m.meta = &meta;
    m.verb = (char *)verb;
    m.target_kind = HOLDFAST__V1__KIND__INSTANCE;
    m.target_uuid = i->meta->uuid;
    m.target_name = i->meta->name;
    m.target_run = target_run;
    m.state = HOLDFAST__V1__OPERATION__STATE__RUNNING;
    m.started_at_ms = hf_env_wall_ms(c->raft.env);
    assert_int_equal(cloud_put_both(c, &i->base, verb != NULL ? &m.base : NULL), HF_OK);
}

static const char *storage_of(const struct instance_wish *wish)
{
    return wish->storage != NULL ? wish->storage : SHARED;
}

static void put_root_volume(struct cloud *c, const char *uuid, const char *name, const char *instance,
                            const struct instance_wish *wish)
{
    Holdfast__V1__Meta meta = meta_of(uuid, name);
    Holdfast__V1__Volume m = HOLDFAST__V1__VOLUME__INIT;
    Holdfast__V1__VolumeSpec spec = HOLDFAST__V1__VOLUME_SPEC__INIT;
    Holdfast__V1__VolumeStatus st = HOLDFAST__V1__VOLUME_STATUS__INIT;
    m.meta = &meta;
    m.spec = &spec;
    m.status = &st;
    spec.type = HOLDFAST__V1__VOLUME_SPEC__TYPE__ROOT;
    spec.primary_storage_uuid = (char *)storage_of(wish);
    spec.image_uuid = (char *)(wish->image != NULL ? wish->image : IMAGE);
    spec.instance_uuid = (char *)instance;
    st.state = HOLDFAST__V1__VOLUME_STATUS__STATE__NOT_INSTANTIATED;
    st.install_path = "rootVolumes/x.qcow2";
    assert_int_equal(cloud_put(c, &m.base), HF_OK);
}

static void put_address(struct cloud *c, unsigned n, const char *instance, char ip[24])
{
    char name[80], uuid[HF_UUID_STR];
    snprintf(ip, 24, "172.20.%u.%u", 108 + n / 200, 40 + n % 200);
    snprintf(name, sizeof name, "%s/%s", L3, ip);
    snprintf(uuid, sizeof uuid, "e%031x", n);
    Holdfast__V1__Meta meta = meta_of(uuid, name);
    Holdfast__V1__IpAddress m = HOLDFAST__V1__IP_ADDRESS__INIT;
    m.meta = &meta;
    m.l3_network_uuid = L3;
    m.ip = ip;
    m.instance_uuid = (char *)instance;
    assert_int_equal(cloud_put(c, &m.base), HF_OK);
}

static void put_instance(struct cloud *c, unsigned n, const struct instance_wish *wish, const char *verb)
{
    char uuid[HF_UUID_STR], volume[HF_UUID_STR], name[16], ip[24], *storages[] = {(char *)storage_of(wish)};
    char *groups[] = {(char *)wish->group};
    instance_uuid(n, uuid);
    snprintf(volume, sizeof volume, "b%031x", n);
    snprintf(name, sizeof name, "vm-%u", n);
    put_root_volume(c, volume, name, uuid, wish);
    put_address(c, n, uuid, ip);
    Holdfast__V1__Meta meta = meta_of(uuid, name);
    Holdfast__V1__Nic nic = HOLDFAST__V1__NIC__INIT, *nics[] = {&nic};
    nic.mac = "52:54:00:00:00:01";
    nic.ip = ip;
    nic.l3_network_uuid = L3;
    Holdfast__V1__Instance m = HOLDFAST__V1__INSTANCE__INIT;
    Holdfast__V1__InstanceSpec spec = HOLDFAST__V1__INSTANCE_SPEC__INIT;
    Holdfast__V1__InstanceStatus st = HOLDFAST__V1__INSTANCE_STATUS__INIT;
    m.meta = &meta;
    m.spec = &spec;
    m.status = &st;
    spec.cpus = 1;
    spec.memory_bytes = wish->memory_bytes > 0 ? wish->memory_bytes : 2 * GIB;
    spec.power =
        wish->stopped ? HOLDFAST__V1__POWER_STATE__POWER_STOPPED : HOLDFAST__V1__POWER_STATE__POWER_RUNNING;
    spec.ha_level = wish->never_stop ? HOLDFAST__V1__HA_LEVEL__NEVER_STOP : HOLDFAST__V1__HA_LEVEL__HA_NONE;
    spec.restart_priority = (Holdfast__V1__InstanceSpec__RestartPriority)wish->priority;
    spec.root_volume_uuid = volume;
    spec.primary_storage_uuid = storages[0];
    spec.storage_uuids = storages;
    spec.n_storage_uuids = 1;
    spec.host_uuid = (char *)(wish->host != NULL ? wish->host : "");
    spec.affinity_group_uuids = groups;
    spec.n_affinity_group_uuids = wish->group != NULL;
    spec.nics = nics;
    spec.n_nics = 1;
    st.state = HOLDFAST__V1__INSTANCE_STATUS__STATE__CREATED;
    put_with_operation(c, n, &m, verb, 1);
}

const char *cloud_create_instance(struct cloud *c, unsigned n, bool never_stop)
{
    static char uuid[HF_UUID_STR];
    instance_uuid(n, uuid);
    put_instance(c, n, &(struct instance_wish){.never_stop = never_stop}, "CreateInstance");
    return uuid;
}

void cloud_put_instance(struct cloud *c, unsigned n, const struct instance_wish *wish)
{
    put_instance(c, n, wish, NULL);
}

const char *cloud_put_group(struct cloud *c, unsigned n, bool together, bool hard)
{
    static char uuid[HF_UUID_STR];
    char name[16];
    snprintf(uuid, sizeof uuid, "9%031x", n);
    snprintf(name, sizeof name, "group-%u", n);
    Holdfast__V1__Meta meta = meta_of(uuid, name);
    Holdfast__V1__AffinityGroupSpec spec = HOLDFAST__V1__AFFINITY_GROUP_SPEC__INIT;
    Holdfast__V1__AffinityGroup m = HOLDFAST__V1__AFFINITY_GROUP__INIT;
    m.meta = &meta;
    m.spec = &spec;
    spec.policy = together ? HOLDFAST__V1__AFFINITY_GROUP_SPEC__POLICY__AFFINITY
                           : HOLDFAST__V1__AFFINITY_GROUP_SPEC__POLICY__ANTI_AFFINITY;
    spec.hard = hard;
    assert_int_equal(cloud_put(c, &m.base), HF_OK);
    return uuid;
}

static Holdfast__V1__Instance *get_instance(struct cloud *c, unsigned n)
{
    char uuid[HF_UUID_STR];
    instance_uuid(n, uuid);
    return cloud_get(c, HOLDFAST__V1__KIND__INSTANCE, uuid);
}

void cloud_set_power(struct cloud *c, unsigned n, int power, const char *operation_verb)
{
    Holdfast__V1__Instance *i = get_instance(c, n);
    i->spec->power = (Holdfast__V1__PowerState)power;
    uint64_t run = i->placement != NULL ? i->placement->run : 0;
    bool start = operation_verb != NULL && strcmp(operation_verb, "StartInstance") == 0;
    put_with_operation(c, n, i, operation_verb, start ? run + 1 : run);
    free_message(i);
}

Holdfast__V1__InstanceStatus__State instance_state(struct cloud *c, unsigned n)
{
    Holdfast__V1__Instance *i = get_instance(c, n);
    Holdfast__V1__InstanceStatus__State s =
        i != NULL ? i->status->state : HOLDFAST__V1__INSTANCE_STATUS__STATE__STATE_UNSPECIFIED;
    free_message(i);
    return s;
}

int instance_host(struct cloud *c, unsigned n)
{
    int host = -1;
    Holdfast__V1__Instance *i = get_instance(c, n);
    for (unsigned h = 0; i != NULL && hf_placement_open(i->placement) && h < c->n_hosts; h++)
        if (strcmp(i->placement->host_uuid, c->hosts[h].uuid) == 0)
            host = (int)h;
    free_message(i);
    return host;
}

uint64_t instance_run(struct cloud *c, unsigned n)
{
    Holdfast__V1__Instance *i = get_instance(c, n);
    uint64_t run = i != NULL && i->placement != NULL ? i->placement->run : 0;
    free_message(i);
    return run;
}

bool instance_says(struct cloud *c, unsigned n, const char *part)
{
    bool says = false;
    Holdfast__V1__Instance *i = get_instance(c, n);
    for (size_t k = 0; i != NULL && k < i->status->n_conditions; k++)
        says |= strstr(i->status->conditions[k]->message, part) != NULL;
    free_message(i);
    return says;
}

static Holdfast__V1__Operation *get_operation(struct cloud *c, unsigned n)
{
    char uuid[HF_UUID_STR];
    operation_uuid(n, uuid);
    return cloud_get(c, HOLDFAST__V1__KIND__OPERATION, uuid);
}

Holdfast__V1__Operation__State operation_state(struct cloud *c, unsigned n)
{
    Holdfast__V1__Operation *op = get_operation(c, n);
    Holdfast__V1__Operation__State s = op->state;
    free_message(op);
    return s;
}

bool operation_says(struct cloud *c, unsigned n, const char *part)
{
    Holdfast__V1__Operation *op = get_operation(c, n);
    bool says = strstr(op->step, part) != NULL || strstr(op->error_message, part) != NULL;
    if (!says)
        print_error("the operation says: step '%s', error '%s'\n", op->step, op->error_message);
    free_message(op);
    return says;
}

Holdfast__V1__HostStatus__State host_state(struct cloud *c, unsigned host)
{
    Holdfast__V1__Host *h = cloud_get(c, HOLDFAST__V1__KIND__HOST, c->hosts[host].uuid);
    Holdfast__V1__HostStatus__State s = h != NULL && h->status != NULL
                                            ? h->status->state
                                            : HOLDFAST__V1__HOST_STATUS__STATE__STATE_UNSPECIFIED;
    free_message(h);
    return s;
}

uint64_t host_epoch(struct cloud *c, unsigned host)
{
    Holdfast__V1__Host *h = cloud_get(c, HOLDFAST__V1__KIND__HOST, c->hosts[host].uuid);
    uint64_t epoch = h != NULL && h->status != NULL ? h->status->epoch : 0;
    free_message(h);
    return epoch;
}

bool is_fenced(struct cloud *c, unsigned host, uint64_t epoch)
{
    struct hf_uuid u = hf_fence_uuid(c->hosts[host].uuid, epoch);
    return hf_store_get(leader_store(c), &u) != NULL;
}

bool wait_state(struct cloud *c, unsigned n, Holdfast__V1__InstanceStatus__State state, int64_t ms)
{
    int64_t end = c->clock_ms + ms;
    while (instance_state(c, n) != state && c->clock_ms < end)
        cloud_run(c, 50);
    return instance_state(c, n) == state;
}
