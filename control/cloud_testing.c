#include "control/cloud_testing.h"

#include <openssl/sha.h>

#include "control/placement_guard.h"
#include "control/settings.h"

/* --- life --- */

static void setup_host(struct cloud *c, unsigned i)
{
    struct fake_host *h = &c->hosts[i];
    h->cloud = c;
    snprintf(h->name, sizeof h->name, "host-%u", i + 1);
    struct hf_uuid u = hf_uuid_of_text(h->name);
    hf_uuid_format(&u, h->uuid);
    memset(h->secret, (int)(i + 1), sizeof h->secret);
    h->cpus = 4;
    h->memory_bytes = 9 * GIB;
    h->watchdog = "hardware";
}

struct cloud *cloud_create(unsigned n_hosts, uint64_t seed)
{
    static const struct hf_guard *const guards[] = {&hf_placement_guard};
    struct cloud *c = HF_NEW(struct cloud);
    cluster_start(&c->raft, seed, guards, 1);
    for (unsigned i = 0; i < MEMBERS; i++) {
        c->controls[i] =
            (struct hf_control){.env = c->raft.env, .replica = c->raft.replicas[i], .profile = "default"};
        c->controls[i].host_link = hf_host_link_create(&c->controls[i]);
        hf_controllers_create(&c->controls[i]);
    }
    c->n_hosts = n_hosts;
    for (unsigned i = 0; i < n_hosts; i++)
        setup_host(c, i);
    cluster_elect(&c->raft, 0);
    c->clock_ms = (int64_t)raft_fixture_time(&c->raft.fixture);
    c->offset_ms = hf_env_now_ms(c->raft.env) - c->clock_ms;
    return c;
}

void cloud_free(struct cloud *c)
{
    for (unsigned i = 0; i < c->n_hosts; i++)
        host_drop_stream(&c->hosts[i]);
    for (unsigned i = 0; i < MEMBERS; i++) {
        hf_controllers_free(c->controls[i].controllers);
        hf_host_link_free(c->controls[i].host_link);
    }
    cluster_stop(&c->raft);
    free(c);
}

/* The rule that everything is about. */
static void count_copies(struct cloud *c)
{
    for (unsigned h = 0; h < c->n_hosts; h++) {
        for (size_t r = 0; r < c->hosts[h].n_runs; r++) {
            int n = 0;
            for (unsigned k = 0; k < c->n_hosts; k++)
                n += host_live_runs(&c->hosts[k], c->hosts[h].runs[r].instance);
            if (n > c->running_max)
                c->running_max = n;
        }
    }
    assert_true(c->running_max <= 1);
}

void cloud_run(struct cloud *c, int64_t ms)
{
    int64_t end = c->clock_ms + ms;
    while (c->clock_ms < end) {
        cluster_step(&c->raft);
        c->clock_ms = (int64_t)raft_fixture_time(&c->raft.fixture);
        int64_t behind_ms = c->clock_ms + c->offset_ms - hf_env_now_ms(c->raft.env);
        if (behind_ms > 0)
            hf_env_manual_advance_ms(c->raft.env, behind_ms);
        for (unsigned i = 0; i < c->n_hosts; i++)
            host_turn(&c->hosts[i]);
        count_copies(c);
    }
}

void cloud_new_leader(struct cloud *c)
{
    unsigned old = c->leader;
    cluster_cut(&c->raft, old, true);
    for (int n = 0; n < 1000 && c->leader == old; n++) {
        for (unsigned i = 0; i < MEMBERS; i++) /* the fixture's servers would draw the same time-outs for ever */
            raft_fixture_set_randomized_election_timeout(&c->raft.fixture, i, 1000 + 300 * i);
        cloud_run(c, 10);
        for (unsigned i = 0; i < MEMBERS; i++)
            if (i != old && is_ready(&c->raft, i))
                c->leader = i;
    }
    assert_true(c->leader != old);
    cluster_cut(&c->raft, old, false);
}

void cloud_follow_leader(struct cloud *c)
{
    uint64_t best = 0;
    for (unsigned i = 0; i < MEMBERS; i++) {
        struct hf_replica_state st;
        hf_replica_state(c->raft.replicas[i], &st);
        if (st.ready && st.term > best) {
            best = st.term;
            c->leader = i;
        }
    }
}

struct hf_control *leader_control(struct cloud *c)
{
    return &c->controls[c->leader];
}

const struct hf_store *leader_store(struct cloud *c)
{
    return hf_control_store(leader_control(c));
}

/* --- objects --- */

static enum hf_code submit(struct cloud *c, struct hf_txn *t)
{
    struct outcome o = {0};
    hf_replica_submit(leader_control(c)->replica, t, on_outcome, &o);
    for (int i = 0; i < 1000 && o.answers == 0; i++)
        cloud_run(c, 5);
    assert_int_equal(o.answers, 1);
    assert_int_equal(o.status, HF_OK);
    return o.code;
}

static void add_put(struct hf_txn *t, ProtobufCMessage *m)
{
    struct hf_uuid u;
    Holdfast__V1__Meta *meta = hf_message_meta(m);
    assert_true(hf_uuid_parse(meta->uuid, &u));
    meta->revision = 0;
    hf_txn_put(t, (uint32_t)hf_kind_of_message(m->descriptor)->kind, &u, meta->name, m);
}

enum hf_code cloud_put_both(struct cloud *c, ProtobufCMessage *a, ProtobufCMessage *b)
{
    struct hf_txn *t = hf_txn_create(NULL, 0);
    add_put(t, a);
    if (b != NULL)
        add_put(t, b);
    return submit(c, t);
}

enum hf_code cloud_put(struct cloud *c, ProtobufCMessage *m)
{
    return cloud_put_both(c, m, NULL);
}

enum hf_code cloud_delete(struct cloud *c, uint32_t kind, const char *uuid)
{
    (void)kind;
    struct hf_uuid u;
    struct hf_txn *t = hf_txn_create(NULL, 0);
    assert_true(hf_uuid_parse(uuid, &u));
    hf_txn_delete(t, &u);
    return submit(c, t);
}

void *cloud_get(struct cloud *c, uint32_t kind, const char *uuid)
{
    return hf_object_find(leader_store(c), kind, uuid, NULL);
}

void free_message(void *m)
{
    if (m != NULL)
        protobuf_c_message_free_unpacked(m, NULL);
}

size_t count_kind(struct cloud *c, uint32_t kind)
{
    return hf_store_count(leader_store(c), kind);
}

static Holdfast__V1__Meta meta_of(const char *uuid, const char *name)
{
    Holdfast__V1__Meta m = HOLDFAST__V1__META__INIT;
    m.uuid = (char *)uuid;
    m.name = (char *)name;
    return m;
}

static void put_storage(struct cloud *c, const char *uuid, const char *name, int type)
{
    Holdfast__V1__Meta meta = meta_of(uuid, name);
    Holdfast__V1__PrimaryStorageSpec spec = HOLDFAST__V1__PRIMARY_STORAGE_SPEC__INIT;
    Holdfast__V1__PrimaryStorage m = HOLDFAST__V1__PRIMARY_STORAGE__INIT;
    m.meta = &meta;
    m.spec = &spec;
    spec.type = (Holdfast__V1__PrimaryStorageSpec__Type)type;
    spec.zone_uuid = ZONE;
    spec.path = "/srv/vms";
    assert_int_equal(cloud_put(c, &m.base), HF_OK);
}

static void put_networks(struct cloud *c)
{
    Holdfast__V1__Meta meta2 = meta_of(L2, "l2"), meta3 = meta_of(L3, "l3");
    Holdfast__V1__L2Network l2 = HOLDFAST__V1__L2_NETWORK__INIT;
    Holdfast__V1__L2NetworkSpec spec2 = HOLDFAST__V1__L2_NETWORK_SPEC__INIT;
    l2.meta = &meta2;
    l2.spec = &spec2;
    spec2.physical_interface = "em01";
    assert_int_equal(cloud_put(c, &l2.base), HF_OK);
    Holdfast__V1__L3Network l3 = HOLDFAST__V1__L3_NETWORK__INIT;
    Holdfast__V1__L3NetworkSpec spec3 = HOLDFAST__V1__L3_NETWORK_SPEC__INIT;
    Holdfast__V1__L3NetworkStatus st3 = HOLDFAST__V1__L3_NETWORK_STATUS__INIT;
    l3.meta = &meta3;
    l3.spec = &spec3;
    l3.status = &st3;
    st3.cidr = "172.20.0.0/16";
    spec3.l2_network_uuid = L2;
    assert_int_equal(cloud_put(c, &l3.base), HF_OK);
}

static void put_cluster(struct cloud *c)
{
    char *storages[] = {SHARED, LOCAL}, *l2s[] = {L2};
    Holdfast__V1__Meta meta = meta_of(CLUSTER, "cluster");
    Holdfast__V1__Cluster m = HOLDFAST__V1__CLUSTER__INIT;
    Holdfast__V1__ClusterSpec spec = HOLDFAST__V1__CLUSTER_SPEC__INIT;
    m.meta = &meta;
    m.spec = &spec;
    spec.zone_uuid = ZONE;
    spec.primary_storage_uuids = storages;
    spec.n_primary_storage_uuids = 2;
    spec.l2_network_uuids = l2s;
    spec.n_l2_network_uuids = 1;
    assert_int_equal(cloud_put(c, &m.base), HF_OK);
}

static void put_image(struct cloud *c)
{
    Holdfast__V1__Meta meta = meta_of(IMAGE, "image");
    Holdfast__V1__Image m = HOLDFAST__V1__IMAGE__INIT;
    Holdfast__V1__ImageSpec spec = HOLDFAST__V1__IMAGE_SPEC__INIT;
    Holdfast__V1__ImageStatus st = HOLDFAST__V1__IMAGE_STATUS__INIT;
    m.meta = &meta;
    m.spec = &spec;
    m.status = &st;
    spec.url = "http://images/x.qcow2";
    spec.format = HOLDFAST__V1__IMAGE_SPEC__FORMAT__QCOW2;
    st.state = HOLDFAST__V1__IMAGE_STATUS__STATE__FETCHING;
    assert_int_equal(cloud_put(c, &m.base), HF_OK);
}

static void put_host(struct cloud *c, unsigned i)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    SHA256(c->hosts[i].secret, sizeof c->hosts[i].secret, hash);
    Holdfast__V1__Meta meta = meta_of(c->hosts[i].uuid, c->hosts[i].name);
    Holdfast__V1__Host m = HOLDFAST__V1__HOST__INIT;
    Holdfast__V1__HostSpec spec = HOLDFAST__V1__HOST_SPEC__INIT;
    m.meta = &meta;
    m.spec = &spec;
    spec.cluster_uuid = CLUSTER;
    spec.key_sha256 = (ProtobufCBinaryData){sizeof hash, hash};
    assert_int_equal(cloud_put(c, &m.base), HF_OK);
}

struct cloud *cloud_ready(unsigned n_hosts)
{
    return cloud_ready_seeded(n_hosts, 7);
}

struct cloud *cloud_ready_seeded(unsigned n_hosts, uint64_t seed)
{
    struct cloud *c = cloud_create(n_hosts, seed);
    put_storage(c, SHARED, "shared", HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__SHARED_MOUNT_POINT);
    put_storage(c, LOCAL, "local", HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__LOCAL_STORAGE);
    put_networks(c);
    put_cluster(c);
    put_image(c);
    for (unsigned i = 0; i < n_hosts; i++) {
        put_host(c, i);
        host_power_on(&c->hosts[i]);
    }
    cloud_run(c, 8000);
    for (unsigned i = 0; i < n_hosts; i++)
        assert_int_equal(host_state(c, i), HOLDFAST__V1__HOST_STATUS__STATE__CONNECTED);
    return c;
}

void cloud_set_setting(struct cloud *c, const char *name, const char *value)
{
    struct hf_uuid u = hf_uuid_of_text(name);
    char uuid[HF_UUID_STR];
    Holdfast__V1__Meta meta = meta_of(hf_uuid_format(&u, uuid), name);
    Holdfast__V1__GlobalSetting m = HOLDFAST__V1__GLOBAL_SETTING__INIT;
    m.meta = &meta;
    m.value = (char *)value;
    assert_int_equal(cloud_put(c, &m.base), HF_OK);
}

/* --- instances --- */

void instance_uuid(unsigned n, char out[HF_UUID_STR])
{
    snprintf(out, HF_UUID_STR, "%032x", 0xa000 + n);
}

void operation_uuid(unsigned n, char out[HF_UUID_STR])
{
    snprintf(out, HF_UUID_STR, "f%031x", 0xa000 + n);
}

/* Puts the instance, with an operation about it unless verb is NULL, as the API does. */
static void put_with_operation(struct cloud *c, unsigned n, Holdfast__V1__Instance *i, const char *verb, uint64_t target_run)
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

static void put_root_volume(struct cloud *c, const char *uuid, const char *name, const char *instance)
{
    Holdfast__V1__Meta meta = meta_of(uuid, name);
    Holdfast__V1__Volume m = HOLDFAST__V1__VOLUME__INIT;
    Holdfast__V1__VolumeSpec spec = HOLDFAST__V1__VOLUME_SPEC__INIT;
    Holdfast__V1__VolumeStatus st = HOLDFAST__V1__VOLUME_STATUS__INIT;
    m.meta = &meta;
    m.spec = &spec;
    m.status = &st;
    spec.type = HOLDFAST__V1__VOLUME_SPEC__TYPE__ROOT;
    spec.primary_storage_uuid = SHARED;
    spec.image_uuid = IMAGE;
    spec.instance_uuid = (char *)instance;
    st.state = HOLDFAST__V1__VOLUME_STATUS__STATE__NOT_INSTANTIATED;
    st.install_path = "rootVolumes/x.qcow2";
    assert_int_equal(cloud_put(c, &m.base), HF_OK);
}

static void put_address(struct cloud *c, unsigned n, const char *instance, char ip[24])
{
    char name[80], uuid[HF_UUID_STR];
    snprintf(ip, 24, "172.20.108.%u", 40 + n);
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

const char *cloud_create_instance(struct cloud *c, unsigned n, bool never_stop)
{
    static char uuid[HF_UUID_STR];
    char volume[HF_UUID_STR], name[16], ip[24], *storages[] = {SHARED};
    instance_uuid(n, uuid);
    snprintf(volume, sizeof volume, "b%031x", n);
    snprintf(name, sizeof name, "vm-%u", n);
    put_root_volume(c, volume, name, uuid);
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
    spec.memory_bytes = 2 * GIB;
    spec.power = HOLDFAST__V1__POWER_STATE__POWER_RUNNING;
    spec.ha_level = never_stop ? HOLDFAST__V1__HA_LEVEL__NEVER_STOP : HOLDFAST__V1__HA_LEVEL__HA_NONE;
    spec.root_volume_uuid = volume;
    spec.primary_storage_uuid = SHARED;
    spec.storage_uuids = storages;
    spec.n_storage_uuids = 1;
    spec.nics = nics;
    spec.n_nics = 1;
    st.state = HOLDFAST__V1__INSTANCE_STATUS__STATE__CREATED;
    put_with_operation(c, n, &m, "CreateInstance", 1);
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
    Holdfast__V1__HostStatus__State s =
        h != NULL && h->status != NULL ? h->status->state : HOLDFAST__V1__HOST_STATUS__STATE__STATE_UNSPECIFIED;
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
