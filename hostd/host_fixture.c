#include "hostd/host_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

struct hf_uuid uuid_of(const char *text)
{
    struct hf_uuid u;
    assert_true(hf_uuid_parse(text, &u));
    return u;
}

/* --- drivers --- */

static hf_status open_storage(void *arg, const struct hf_storage_place *place, struct hf_primary **ret)
{
    struct world *w = arg;
    *ret = hf_primary_sim_open(strcmp(place->path, "/mnt/local") == 0 ? w->local : w->shared, place->path);
    w->storages_opened++;
    return HF_STATUS_OK;
}

static void keep_mounts(void *arg, const struct hf_uuid *storages, size_t n)
{
    struct world *w = arg;
    (void)storages;
    w->mounts_kept = n;
}

static size_t addresses(void *arg, struct hf_host_address *out, size_t max)
{
    struct world *w = arg;
    assert_true(w->n_addresses <= max);
    memcpy(out, w->addresses, w->n_addresses * sizeof out[0]);
    return w->n_addresses;
}

static void on_send(void *arg, const Holdfast__V1__HostMessage *m)
{
    struct world *w = arg;
    size_t len = holdfast__v1__host_message__get_packed_size(m);
    uint8_t *buf = hf_alloc(len + 1);
    struct said *s = HF_NEW(struct said);
    assert_true(w->stream);
    holdfast__v1__host_message__pack(m, buf);
    s->m = holdfast__v1__host_message__unpack(NULL, len, buf);
    free(buf);
    assert_non_null(s->m);
    s->at_ms = hf_env_now_ms(w->env);
    s->next = w->said; /* newest first */
    w->said = s;
}

static void on_redial(void *arg, const char *why)
{
    struct world *w = arg;
    (void)why;
    w->redials++;
    world_close_stream(w);
}

static void on_left(void *arg, bool recorded)
{
    struct world *w = arg;
    w->lefts++;
    w->left_recorded = recorded;
}

/* Readers belong to the real driver; here one world is all there is. */
static struct world *reader_world;

static struct hf_lease_reader *reader_create(struct hf_env *env, const struct hf_lease_reader_options *o)
{
    (void)env;
    reader_world->reader = *o;
    reader_world->reader_open = true;
    return (struct hf_lease_reader *)reader_world;
}

static void reader_set_peers(struct hf_lease_reader *r, const struct hf_uuid *hosts, size_t n)
{
    (void)hosts;
    ((struct world *)r)->reader_peers = n;
}

static void reader_set_marks(struct hf_lease_reader *r, const struct hf_lease_mark *marks, size_t n)
{
    struct world *w = (struct world *)r;
    w->reader_marks = n;
    if (n > 0)
        w->reader_mark = marks[0];
}

static void reader_close(struct hf_lease_reader *r)
{
    ((struct world *)r)->reader_open = false;
}

/* --- life --- */

static void on_closed(void *arg)
{
    ((struct world *)arg)->closed = true;
}

static void start_hostd(struct world *w)
{
    struct hf_host_options o = {
        .uuid = uuid_of(HOST),
        .hostname = "h1",
        .management_ip = "10.0.0.1",
        .accelerator = "tcg",
        .version = "test",
        .cpus = 4,
        .memory_bytes = 1ull << 30,
        .mount_base = "/mnt/nfs",
    };
    w->closed = false;
    w->host = hf_host_create(&o);
    struct hf_hypervisor_events ve = hf_host_hypervisor_events(w->host);
    struct hf_keeper_events ke = hf_host_keeper_events(w->host);
    w->hv = hf_vm_sim_connect(w->machine, &ve);
    w->keeper = hf_keeper_sim_connect(w->keeper_sim, &ke);
    w->net = hf_net_sim_connect(w->net_sim);
    struct hf_host_drivers d = {
        .env = w->env,
        .hypervisor = w->hv,
        .keeper = w->keeper,
        .net = w->net,
        .open_storage = open_storage,
        .keep_mounts = keep_mounts,
        .addresses = addresses,
        .reader_create = reader_create,
        .reader_set_peers = reader_set_peers,
        .reader_set_marks = reader_set_marks,
        .reader_close = reader_close,
        .send = on_send,
        .redial = on_redial,
        .left = on_left,
        .arg = w,
    };
    hf_host_start(w->host, &d);
}

static void stop_hostd(struct world *w)
{
    world_close_stream(w);
    hf_host_close(w->host, on_closed, w);
    for (int i = 0; i < 4000 && !w->closed; i++)
        hf_env_manual_advance_ms(w->env, 1000);
    assert_true(w->closed);
    w->hv->ops->close(w->hv, NULL, NULL);
    hf_keeper_sim_disconnect(w->keeper);
    w->net->ops->close(w->net);
    hf_host_free(w->host);
}

struct world *world_new(void)
{
    struct world *w = HF_NEW(struct world);
    hf_log_set_level(HF_LOG_ERROR);
    reader_world = w;
    w->env = hf_env_manual_create(1);
    w->machine = hf_vm_machine_create(w->env);
    w->keeper_sim = hf_keeper_sim_create(w->env, w->machine);
    w->shared = hf_disk_sim_create(w->env, 1ull << 40);
    w->local = hf_disk_sim_create(w->env, 1ull << 40);
    w->net_sim = hf_net_sim_create(w->env);
    w->term = 1;
    w->epoch = 1;
    start_hostd(w);
    return w;
}

struct world *world_attached(void)
{
    struct world *w = world_new();
    world_step(w, 100);
    world_open(w);
    world_welcome(w, 1);
    world_base(w);
    world_synced(w);
    world_step(w, 1000);
    return w;
}

void world_forget(struct world *w)
{
    while (w->said) {
        struct said *s = w->said;
        w->said = s->next;
        holdfast__v1__host_message__free_unpacked(s->m, NULL);
        free(s);
    }
}

void world_free(struct world *w)
{
    stop_hostd(w);
    world_forget(w);
    hf_keeper_sim_free(w->keeper_sim);
    hf_vm_machine_free(w->machine);
    hf_disk_sim_free(w->shared);
    hf_disk_sim_free(w->local);
    hf_net_sim_free(w->net_sim);
    hf_env_manual_free(w->env);
    free(w);
}

void world_step(struct world *w, int64_t ms)
{
    hf_env_manual_advance_ms(w->env, ms);
}

void world_restart_hostd(struct world *w)
{
    stop_hostd(w);
    world_forget(w);
    start_hostd(w);
}

/* --- the leader --- */

void world_open(struct world *w)
{
    assert_false(w->stream);
    w->stream = true;
    hf_host_stream_opened(w->host);
    world_step(w, 100);
}

void world_close_stream(struct world *w)
{
    if (!w->stream)
        return;
    w->stream = false;
    hf_host_stream_closed(w->host);
}

static void send_as(struct world *w, Holdfast__V1__ControlMessage *m, uint64_t term)
{
    size_t len;
    uint8_t *buf;
    if (m->host_uuid[0] == 0)
        m->host_uuid = (char *)HOST;
    if (m->term == 0)
        m->term = term;
    if (m->epoch == 0 && m->body_case != HOLDFAST__V1__CONTROL_MESSAGE__BODY_END_EPOCH)
        m->epoch = w->epoch;
    len = holdfast__v1__control_message__get_packed_size(m);
    buf = hf_alloc(len + 1);
    holdfast__v1__control_message__pack(m, buf);
    hf_host_stream_message(w->host, holdfast__v1__control_message__unpack(NULL, len, buf));
    free(buf);
    world_step(w, 20);
}

void world_send(struct world *w, Holdfast__V1__ControlMessage *m)
{
    send_as(w, m, w->term);
}

void world_welcome(struct world *w, uint64_t epoch)
{
    Holdfast__V1__ControlMessage m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    Holdfast__V1__Welcome welcome = HOLDFAST__V1__WELCOME__INIT;
    welcome.pending = epoch == 0;
    welcome.epoch = epoch;
    m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_WELCOME;
    m.welcome = &welcome;
    if (epoch)
        w->epoch = epoch;
    world_send(w, &m);
}

static void assign(struct world *w, Holdfast__V1__Assignment *a, uint64_t term)
{
    Holdfast__V1__ControlMessage m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_ASSIGN;
    m.assign = a;
    send_as(w, &m, term);
}

static void assign_storage(struct world *w, const char *uuid, const char *path, bool heartbeat)
{
    Holdfast__V1__Assignment a = HOLDFAST__V1__ASSIGNMENT__INIT;
    Holdfast__V1__StorageAssignment s = HOLDFAST__V1__STORAGE_ASSIGNMENT__INIT;
    s.uuid = (char *)uuid;
    s.type = (char *)(heartbeat ? "SharedMountPoint" : "LocalStorage");
    s.path = (char *)path;
    s.heartbeat = heartbeat;
    a.object_case = HOLDFAST__V1__ASSIGNMENT__OBJECT_STORAGE;
    a.storage = &s;
    assign(w, &a, w->term);
}

void world_base(struct world *w)
{
    Holdfast__V1__Assignment a = HOLDFAST__V1__ASSIGNMENT__INIT;
    Holdfast__V1__L3Assignment l3 = HOLDFAST__V1__L3_ASSIGNMENT__INIT;
    assign_storage(w, SHARED, "/mnt/shared", true);
    assign_storage(w, LOCAL, "/mnt/local", false);
    l3.uuid = (char *)L3;
    l3.physical_interface = (char *)"em01";
    l3.cidr = (char *)"172.20.0.0/16";
    l3.gateway = (char *)"172.20.0.1";
    l3.dhcp = true;
    l3.dhcp_ip = (char *)"172.20.180.41";
    a.object_case = HOLDFAST__V1__ASSIGNMENT__OBJECT_L3;
    a.l3 = &l3;
    assign(w, &a, w->term);
}

void world_synced(struct world *w)
{
    Holdfast__V1__ControlMessage m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    Holdfast__V1__Synced s = HOLDFAST__V1__SYNCED__INIT;
    m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_SYNCED;
    m.synced = &s;
    world_send(w, &m);
}

void world_end_epoch(struct world *w, uint64_t epoch)
{
    Holdfast__V1__ControlMessage m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    Holdfast__V1__EndEpoch e = HOLDFAST__V1__END_EPOCH__INIT;
    e.epoch = epoch;
    m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_END_EPOCH;
    m.end_epoch = &e;
    world_send(w, &m);
}

void world_shut_down(struct world *w, bool recorded)
{
    Holdfast__V1__ControlMessage m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    Holdfast__V1__ShutDown d = HOLDFAST__V1__SHUT_DOWN__INIT;
    d.recorded = recorded;
    m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_SHUT_DOWN;
    m.shut_down = &d;
    world_send(w, &m);
}

void world_unassign(struct world *w, int kind, const char *uuid)
{
    Holdfast__V1__ControlMessage m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    Holdfast__V1__Unassign u = HOLDFAST__V1__UNASSIGN__INIT;
    u.kind = (Holdfast__V1__Kind)kind;
    u.uuid = (char *)uuid;
    m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_UNASSIGN;
    m.unassign = &u;
    world_send(w, &m);
}

void world_instance_at(struct world *w, struct order o, uint64_t term)
{
    Holdfast__V1__Assignment a = HOLDFAST__V1__ASSIGNMENT__INIT;
    Holdfast__V1__InstanceAssignment i = HOLDFAST__V1__INSTANCE_ASSIGNMENT__INIT;
    Holdfast__V1__InstanceAssignment__Disk d = HOLDFAST__V1__INSTANCE_ASSIGNMENT__DISK__INIT, *disks[] = {&d};
    Holdfast__V1__InstanceAssignment__Nic n = HOLDFAST__V1__INSTANCE_ASSIGNMENT__NIC__INIT, *nics[] = {&n};
    Holdfast__V1__ImageAssignment t = HOLDFAST__V1__IMAGE_ASSIGNMENT__INIT;
    Holdfast__V1__InstanceAssignment__Migration m = HOLDFAST__V1__INSTANCE_ASSIGNMENT__MIGRATION__INIT;
    char path[100];
    i.uuid = (char *)(o.uuid ? o.uuid : VM1);
    snprintf(path, sizeof path, "rootVolumes/vol-%s.qcow2", i.uuid);
    t.uuid = (char *)IMAGE;
    t.primary_storage_uuid = (char *)(o.storage ? o.storage : SHARED);
    t.url = (char *)"http://images/one.qcow2";
    t.format = (char *)"qcow2";
    d.volume_uuid = i.uuid; /* a volume of the same digits */
    d.primary_storage_uuid = t.primary_storage_uuid;
    d.install_path = path;
    d.template_ = &t;
    d.size_bytes = o.grow_to;
    d.grow = o.grow_to > 0;
    d.made = o.made;
    n.mac = (char *)NIC_MAC;
    n.ip = (char *)NIC_IP;
    n.l3_uuid = (char *)L3;
    i.name = (char *)"vm";
    i.run = o.run ? o.run : 1;
    i.epoch = o.epoch ? o.epoch : w->epoch;
    i.power = o.power ? o.power : POWER(RUNNING);
    i.force_stop = o.force_stop;
    i.end_when_refused = o.end_when_refused;
    i.stop_grace_ms = o.grace_ms;
    i.cpus = 1;
    i.memory_bytes = 96ull << 20;
    i.reboot_generation = o.reboot;
    i.reboot_force_generation = o.reset;
    m.run = o.migration;
    m.incoming = o.incoming;
    m.go = o.go;
    m.cancel = o.cancel;
    m.target_host_uuid = (char *)OTHER;
    m.target_epoch = 3;
    m.target_address = (char *)OTHER_AT;
    i.migration = o.migration ? &m : NULL;
    i.n_disks = 1;
    i.disks = disks;
    i.n_nics = o.no_nic ? 0 : 1;
    i.nics = nics;
    a.object_case = HOLDFAST__V1__ASSIGNMENT__OBJECT_INSTANCE;
    a.instance = &i;
    assign(w, &a, term);
}

void world_instance(struct world *w, struct order o)
{
    world_instance_at(w, o, w->term);
}

/* --- what was said --- */

const Holdfast__V1__Hello *world_hello(struct world *w)
{
    for (struct said *s = w->said; s; s = s->next)
        if (s->m->body_case == HOLDFAST__V1__HOST_MESSAGE__BODY_HELLO)
            return s->m->hello;
    return NULL;
}

const Holdfast__V1__Refusal *world_refusal(struct world *w)
{
    for (struct said *s = w->said; s; s = s->next)
        if (s->m->body_case == HOLDFAST__V1__HOST_MESSAGE__BODY_REFUSAL)
            return s->m->refusal;
    return NULL;
}

const Holdfast__V1__LeaseReport *world_lease(struct world *w)
{
    for (struct said *s = w->said; s; s = s->next)
        if (s->m->body_case == HOLDFAST__V1__HOST_MESSAGE__BODY_LEASE)
            return s->m->lease;
    return NULL;
}

#define LAST_OF(fn, type, kind, member, field)                                                               \
    const Holdfast__V1__##type *fn(struct world *w, const char *uuid)                                        \
    {                                                                                                        \
        for (struct said *s = w->said; s; s = s->next)                                                       \
            if (s->m->body_case == HOLDFAST__V1__HOST_MESSAGE__BODY_##kind &&                                \
                strcmp(s->m->member->field, uuid) == 0)                                                      \
                return s->m->member;                                                                         \
        return NULL;                                                                                         \
    }
LAST_OF(world_report, InstanceReport, INSTANCE, instance, instance_uuid)
LAST_OF(world_storage, StorageReport, STORAGE, storage, primary_storage_uuid)
LAST_OF(world_image, ImageReport, IMAGE, image, image_uuid)
LAST_OF(world_volume, VolumeReport, VOLUME, volume, volume_uuid)
LAST_OF(world_network, NetworkReport, NETWORK, network, l3_network_uuid)

size_t world_said(struct world *w, Holdfast__V1__HostMessage__BodyCase kind)
{
    size_t n = 0;
    for (struct said *s = w->said; s; s = s->next)
        n += s->m->body_case == kind;
    return n;
}

size_t world_said_state(struct world *w, const char *uuid, Holdfast__V1__InstanceReport__State state)
{
    size_t n = 0;
    for (struct said *s = w->said; s; s = s->next)
        n += s->m->body_case == HOLDFAST__V1__HOST_MESSAGE__BODY_INSTANCE &&
             strcmp(s->m->instance->instance_uuid, uuid) == 0 && s->m->instance->state == state;
    return n;
}

void assert_state(struct world *w, const char *uuid, Holdfast__V1__InstanceReport__State state)
{
    const Holdfast__V1__InstanceReport *r = world_report(w, uuid);
    assert_non_null(r);
    if (r->state != state)
        print_error("instance %s: state %d, message '%s', blocked '%s'\n", uuid, r->state, r->message,
                    r->blocked);
    assert_int_equal(r->state, state);
}

void assert_promise(struct world *w, uint64_t run)
{
    struct hf_uuid vm = uuid_of(VM1);
    enum hf_keeper_run_state s = HF_RUN_PENDING;
    assert_true(hf_keeper_sim_run_state(w->keeper_sim, &vm, run, &s));
    assert_int_equal(s, HF_RUN_TOMBSTONED);
    assert_false(hf_vm_machine_exists(w->machine, &vm, NULL, NULL));
}

struct world *world_running(struct order o)
{
    struct world *w = world_attached();
    struct hf_uuid vm = uuid_of(VM1);
    world_instance(w, o);
    world_step(w, 10000);
    assert_state(w, VM1, STATE(RUNNING));
    assert_true(hf_vm_machine_runs(w->machine, &vm));
    return w;
}

unsigned world_starts(struct world *w)
{
    return hf_sim_calls(hf_vm_machine_faults(w->machine), HF_VM_SIM_START);
}
