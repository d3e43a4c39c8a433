#include "control/cloud_testing.h"

#include <openssl/sha.h>

#include "control/fake_ceph.h"
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
    h->accelerator = "tcg";
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
    fake_ceph_free(c->ceph);
    cluster_stop(&c->raft);
    free(c);
}

/* The rule that everything is about. */
static void count_copies(struct cloud *c)
{
    if (!c->copies_changed)
        return;
    c->copies_changed = false;
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
        for (unsigned i = 0; i < MEMBERS;
             i++) /* the fixture's servers would draw the same time-outs for ever */
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
    struct hf_txn *t = c->gathered != NULL ? c->gathered : hf_txn_create(NULL, 0);
    add_put(t, a);
    if (b != NULL)
        add_put(t, b);
    return c->gathered != NULL ? HF_OK : submit(c, t);
}

void cloud_gather(struct cloud *c)
{
    c->gathered = hf_txn_create(NULL, 0);
}

void cloud_put_gathered(struct cloud *c)
{
    struct hf_txn *t = c->gathered;
    c->gathered = NULL;
    assert_int_equal(submit(c, t), HF_OK);
}

enum hf_code cloud_put(struct cloud *c, ProtobufCMessage *m)
{
    return cloud_put_both(c, m, NULL);
}

void cloud_put_ceph(struct cloud *c, const char *uuid, const char *name, const char *monitor,
                    Holdfast__V1__CephCluster *ceph)
{
    char *monitors[] = {(char *)monitor};
    Holdfast__V1__Meta meta = meta_of(uuid, name);
    Holdfast__V1__PrimaryStorageSpec spec = HOLDFAST__V1__PRIMARY_STORAGE_SPEC__INIT;
    Holdfast__V1__PrimaryStorage s = HOLDFAST__V1__PRIMARY_STORAGE__INIT;
    ceph->monitors = monitors;
    ceph->n_monitors = 1;
    spec.type = HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__CEPH;
    spec.zone_uuid = (char *)ZONE;
    spec.ceph = ceph;
    s.meta = &meta;
    s.spec = &spec;
    assert_int_equal(cloud_put(c, &s.base), HF_OK);
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

static struct cloud *make_ready(struct cloud *c)
{
    put_storage(c, SHARED, "shared", HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__SHARED_MOUNT_POINT);
    put_storage(c, LOCAL, "local", HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__LOCAL_STORAGE);
    put_networks(c);
    put_cluster(c);
    put_image(c);
    for (unsigned i = 0; i < c->n_hosts; i++) {
        put_host(c, i);
        host_power_on(&c->hosts[i]);
    }
    cloud_run(c, 8000);
    for (unsigned i = 0; i < c->n_hosts; i++)
        assert_int_equal(host_state(c, i), HOLDFAST__V1__HOST_STATUS__STATE__CONNECTED);
    return c;
}

struct cloud *cloud_ready_seeded(unsigned n_hosts, uint64_t seed)
{
    return make_ready(cloud_create(n_hosts, seed));
}

struct cloud *cloud_ready(unsigned n_hosts)
{
    return cloud_ready_seeded(n_hosts, 7);
}

struct cloud *cloud_create_large(unsigned n_hosts)
{
    struct cloud *c = cloud_create(n_hosts, 7);
    for (unsigned i = 0; i < n_hosts; i++) {
        c->hosts[i].cpus = 100;
        c->hosts[i].memory_bytes = 2000 * GIB;
    }
    return make_ready(c);
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
