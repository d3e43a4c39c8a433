#include "sim/host_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "holdfast/v1/common.pb-c.h"
#include "holdfast/v1/host_link.pb-c.h"
#include "holdfast/v1/instance.pb-c.h"

#define SHARED   "000000000000000000000000000000f1"
#define LOCAL    "000000000000000000000000000000f2"
#define IMAGE    "000000000000000000000000000000f3"
#define NETWORK  "000000000000000000000000000000f4"
#define WRITE_MS 200

typedef Holdfast__V1__ControlMessage Down;
typedef Holdfast__V1__HostMessage Up;

/* --- the node that the hosts dial --- */

struct sim_node {
    unsigned place;
};
static struct sim_node leader_node; /* of every fixture: it stands at the same place */

unsigned sim_node_place(const struct sim_node *n)
{
    return n->place;
}

/* --- what the checks hear --- */

static unsigned vm_number(const struct hf_uuid *u)
{
    return u->b[15];
}

void sim_checks_copy(struct sim_checks *c, int64_t now_ns, unsigned host, const struct hf_uuid *instance,
                     uint64_t run, bool runs)
{
    unsigned n = vm_number(instance);
    (void)now_ns, (void)host, (void)run;
    c->executing[n] += runs ? 1 : -1u;
    HF_ASSERT(c->executing[n] < 10);
    if (c->executing[n] > c->most_executing)
        c->most_executing = c->executing[n];
    *(runs ? &c->copies_begun : &c->copies_ended) += 1;
}

void sim_checks_write(struct sim_checks *c, int64_t now_ns, unsigned host, const struct hf_uuid *storage,
                      const struct hf_uuid *instance, uint64_t run, uint64_t counter, int64_t issued_ns)
{
    unsigned n = vm_number(instance);
    (void)now_ns, (void)host, (void)storage, (void)counter, (void)issued_ns;
    c->writes++;
    if (run < c->newest_run[n])
        c->old_writes++;
    else
        c->newest_run[n] = run;
}

void sim_checks_kill(struct sim_checks *c, int64_t now_ns, unsigned host, const struct hf_uuid *instance,
                     uint64_t run, enum sim_killer by)
{
    (void)now_ns, (void)host, (void)instance, (void)run;
    c->kills[by]++;
}

void sim_checks_let_in(struct sim_checks *c, int64_t now_ns, unsigned host, const struct hf_uuid *instance,
                       uint64_t run, enum sim_gate_state state)
{
    (void)now_ns, (void)host, (void)instance, (void)run;
    HF_ASSERT(state == SIM_GATE_PERMITTED);
    c->let_in++;
}

void sim_checks_renewed(struct sim_checks *c, int64_t now_ns, unsigned host, const struct hf_uuid *storage,
                        int64_t started_ns)
{
    (void)host, (void)storage;
    HF_ASSERT(started_ns < now_ns);
    c->renewals++;
}

void sim_checks_keeper(struct sim_checks *c, int64_t now_ns, unsigned host, bool up)
{
    (void)c, (void)now_ns, (void)host, (void)up;
}

void sim_checks_host_lost(struct sim_checks *c, int64_t now_ns, unsigned host, bool lost)
{
    (void)now_ns;
    c->lost[host] = lost;
}

void sim_checks_listed(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *storage, const char *entry,
                       enum sim_listed what)
{
    (void)c, (void)now_ns, (void)storage, (void)entry, (void)what;
}

void sim_checks_address(struct sim_checks *c, int64_t now_ns, unsigned host, const char *address)
{
    (void)c, (void)now_ns, (void)host, (void)address;
}

void sim_checks_reserve(struct sim_checks *c, const char *address)
{
    (void)c, (void)address;
}

void sim_checks_name_host(struct sim_checks *c, unsigned host, const struct hf_uuid *uuid)
{
    (void)c, (void)host, (void)uuid;
}

/* --- the leader: what it says --- */

static void say(struct fixture *f, unsigned host, Down *m)
{
    struct fixture_member *to = &f->members[host];
    char id[HF_UUID_STR];
    if (!to->conn)
        return;
    m->term = f->term;
    m->host_uuid = hf_uuid_format(sim_host_uuid(f->w.hosts[host]), id);
    if (m->epoch == 0 && m->body_case != HOLDFAST__V1__CONTROL_MESSAGE__BODY_END_EPOCH)
        m->epoch = to->epoch;
    struct hf_bytes *b = hf_bytes_new(holdfast__v1__control_message__get_packed_size(m));
    holdfast__v1__control_message__pack(m, b->data);
    sim_conn_send(to->conn, b);
    hf_bytes_unref(b);
}

static void assign(struct fixture *f, unsigned host, Holdfast__V1__Assignment *a)
{
    Down m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_ASSIGN;
    m.assign = a;
    say(f, host, &m);
}

static void assign_storage(struct fixture *f, unsigned host, const char *uuid, const char *path, bool shared)
{
    Holdfast__V1__Assignment a = HOLDFAST__V1__ASSIGNMENT__INIT;
    Holdfast__V1__StorageAssignment s = HOLDFAST__V1__STORAGE_ASSIGNMENT__INIT;
    s.uuid = (char *)uuid;
    s.type = (char *)(shared ? "SharedMountPoint" : "LocalStorage");
    s.path = (char *)path;
    s.heartbeat = shared;
    a.object_case = HOLDFAST__V1__ASSIGNMENT__OBJECT_STORAGE;
    a.storage = &s;
    assign(f, host, &a);
}

static void assign_network(struct fixture *f, unsigned host)
{
    Holdfast__V1__Assignment a = HOLDFAST__V1__ASSIGNMENT__INIT;
    Holdfast__V1__L3Assignment l3 = HOLDFAST__V1__L3_ASSIGNMENT__INIT;
    l3.uuid = (char *)NETWORK;
    l3.physical_interface = (char *)"em01";
    l3.cidr = (char *)"172.20.0.0/16";
    l3.gateway = (char *)"172.20.0.1";
    l3.dhcp = true;
    l3.dhcp_ip = (char *)"172.20.0.2";
    a.object_case = HOLDFAST__V1__ASSIGNMENT__OBJECT_L3;
    a.l3 = &l3;
    assign(f, host, &a);
}

static void assign_vm(struct fixture *f, const struct fixture_vm *vm)
{
    Holdfast__V1__Assignment a = HOLDFAST__V1__ASSIGNMENT__INIT;
    Holdfast__V1__InstanceAssignment i = HOLDFAST__V1__INSTANCE_ASSIGNMENT__INIT;
    Holdfast__V1__InstanceAssignment__Disk d = HOLDFAST__V1__INSTANCE_ASSIGNMENT__DISK__INIT, *disks[] = {&d};
    Holdfast__V1__InstanceAssignment__Nic n = HOLDFAST__V1__INSTANCE_ASSIGNMENT__NIC__INIT, *nics[] = {&n};
    Holdfast__V1__ImageAssignment t = HOLDFAST__V1__IMAGE_ASSIGNMENT__INIT;
    char path[80], mac[20], ip[20];
    snprintf(path, sizeof path, "rootVolumes/vol-%s.qcow2", vm->uuid);
    snprintf(mac, sizeof mac, "52:54:00:00:00:%.2s", vm->uuid + 30);
    snprintf(ip, sizeof ip, "172.20.1.%ld", strtol(vm->uuid + 30, NULL, 16));
    t.uuid = (char *)IMAGE;
    t.primary_storage_uuid = (char *)(vm->on_local ? LOCAL : SHARED);
    t.url = (char *)"http://images/one.qcow2";
    t.format = (char *)"qcow2";
    d.volume_uuid = i.uuid = (char *)vm->uuid;
    d.primary_storage_uuid = t.primary_storage_uuid;
    d.install_path = path;
    d.template_ = &t;
    n.mac = mac;
    n.ip = ip;
    n.l3_uuid = (char *)NETWORK;
    i.name = (char *)"vm";
    i.run = vm->run;
    i.epoch = f->members[vm->host].epoch;
    i.power = vm->stop ? HOLDFAST__V1__POWER_STATE__POWER_STOPPED : HOLDFAST__V1__POWER_STATE__POWER_RUNNING;
    i.cpus = 1;
    i.memory_bytes = 96u << 20;
    i.n_disks = i.n_nics = 1;
    i.disks = disks;
    i.nics = nics;
    a.object_case = HOLDFAST__V1__ASSIGNMENT__OBJECT_INSTANCE;
    a.instance = &i;
    assign(f, vm->host, &a);
}

static void observe(struct fixture *f, unsigned host)
{
    Down m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    Holdfast__V1__Observe o = HOLDFAST__V1__OBSERVE__INIT;
    char ids[FIXTURE_HOSTS_MAX][HF_UUID_STR], *uuids[FIXTURE_HOSTS_MAX];
    for (unsigned i = 0; i < f->w.sizes.hosts; i++)
        if (i != host)
            uuids[o.n_host_uuids++] = hf_uuid_format(sim_host_uuid(f->w.hosts[i]), ids[i]);
    o.primary_storage_uuid = (char *)SHARED;
    o.host_uuids = uuids;
    m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_OBSERVE;
    m.observe = &o;
    say(f, host, &m);
}

static void welcome(struct fixture *f, unsigned host)
{
    Down m = HOLDFAST__V1__CONTROL_MESSAGE__INIT, synced = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    Holdfast__V1__Welcome w = HOLDFAST__V1__WELCOME__INIT;
    Holdfast__V1__Synced s = HOLDFAST__V1__SYNCED__INIT;
    w.epoch = f->members[host].epoch;
    m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_WELCOME;
    m.welcome = &w;
    say(f, host, &m);
    assign_storage(f, host, SHARED, sim_storage_path(f->w.shared[0]), true);
    assign_storage(f, host, LOCAL, sim_storage_path(f->w.local[host]), false);
    assign_network(f, host);
    for (unsigned i = 0; i < f->n_vms; i++)
        if (f->vms[i].host == host)
            assign_vm(f, &f->vms[i]);
    synced.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_SYNCED;
    synced.synced = &s;
    say(f, host, &synced);
    observe(f, host);
    f->members[host].synced = true;
}

/* --- the leader: what it hears --- */

/* A life that is over: none of its runs is. */
static void next_epoch(struct fixture *f, unsigned host)
{
    f->members[host].epoch++;
    for (unsigned i = 0; i < f->n_vms; i++) {
        if (f->vms[i].host != host || f->vms[i].stop)
            continue;
        f->vms[i].run++;
        f->vms[i].running = false;
    }
}

static void on_hello(struct fixture *f, unsigned host, const Holdfast__V1__Hello *h)
{
    struct fixture_member *m = &f->members[host];
    m->hellos++;
    if (h->epoch == m->epoch && m->epoch > 0 && !h->closed_and_killed) {
        welcome(f, host);
    } else if (h->clean) {
        next_epoch(f, host);
        welcome(f, host);
    } else {
        Down d = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
        Holdfast__V1__EndEpoch e = HOLDFAST__V1__END_EPOCH__INIT;
        e.epoch = h->epoch;
        d.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_END_EPOCH;
        d.end_epoch = &e;
        say(f, host, &d);
    }
}

static void on_instance(struct fixture *f, unsigned host, const Holdfast__V1__InstanceReport *r)
{
    unsigned i = 0;
    sim_trace(f->w.sim, "n1", "%s reports instance %s run %llu: state %d, '%s' '%s'",
              sim_host_name(f->w.hosts[host]), r->instance_uuid, (unsigned long long)r->run, (int)r->state,
              r->message, r->blocked);
    while (i < f->n_vms && strcmp(f->vms[i].uuid, r->instance_uuid) != 0)
        i++;
    struct fixture_vm *vm = &f->vms[i];
    if (i == f->n_vms || vm->host != host || r->run != vm->run)
        return;
    vm->running = r->state == HOLDFAST__V1__INSTANCE_REPORT__STATE__RUNNING;
    if (r->state != HOLDFAST__V1__INSTANCE_REPORT__STATE__STOPPED || vm->ended == vm->run)
        return;
    vm->ended = vm->run;
    if (vm->stop)
        return;
    vm->run++;
    assign_vm(f, vm);
}

static void on_leases(struct fixture_member *m, const Holdfast__V1__LeaseReport *l)
{
    m->lease_reports++;
    m->unchanged_ms = 0;
    for (size_t i = 0; i < l->n_observations; i++)
        if (l->observations[i]->samples_good && l->observations[i]->unchanged_ms > m->unchanged_ms)
            m->unchanged_ms = l->observations[i]->unchanged_ms;
}

static void on_message(void *arg, struct hf_bytes *bytes)
{
    struct fixture_member *m = arg;
    Up *up = holdfast__v1__host_message__unpack(NULL, bytes->len, bytes->data);
    HF_ASSERT(up);
    if (up->body_case == HOLDFAST__V1__HOST_MESSAGE__BODY_HELLO)
        on_hello(m->fixture, m->host, up->hello);
    else if (up->body_case == HOLDFAST__V1__HOST_MESSAGE__BODY_INSTANCE)
        on_instance(m->fixture, m->host, up->instance);
    else if (up->body_case == HOLDFAST__V1__HOST_MESSAGE__BODY_LEASE)
        on_leases(m, up->lease);
    holdfast__v1__host_message__free_unpacked(up, NULL);
}

static void on_ended(void *arg, const struct sim_end_reason *why)
{
    struct fixture_member *m = arg;
    (void)why;
    m->conn = NULL;
    m->synced = false;
}

static const struct sim_conn_ops stream_ops = {on_message, on_ended};

static void on_accept(void *arg, struct sim_conn *c, unsigned from, const char *service)
{
    struct fixture *f = arg;
    unsigned host = 0;
    HF_ASSERT(strcmp(service, SIM_SERVICE_HOSTS) == 0);
    while (sim_host_place(f->w.hosts[host]) != from)
        host++;
    if (f->members[host].conn) /* its last one is dead and does not know it */
        sim_conn_close(f->members[host].conn, NULL);
    f->members[host].conn = c;
    sim_conn_take(c, &stream_ops, &f->members[host]);
}

/* --- life --- */

static void make_storages(struct fixture *f)
{
    struct hf_uuid none = {{0}}, shared, local;
    HF_ASSERT(hf_uuid_parse(SHARED, &shared) && hf_uuid_parse(LOCAL, &local));
    f->w.shared[0] = sim_storage_create(&f->w, &none, "shared1", true);
    sim_storage_set_uuid(f->w.shared[0], &shared);
    for (unsigned i = 0; i < f->w.sizes.hosts; i++) {
        f->w.local[i] = sim_storage_create(&f->w, &none, "local", false);
        sim_storage_set_uuid(f->w.local[i], &local);
    }
}

static void make_leader(struct fixture *f)
{
    leader_node.place = sim_net_add(f->w.net, "n1");
    f->w.nodes[0] = &leader_node;
    sim_proc_init(&f->leader, f->w.sim, "n1", 0);
    sim_proc_start(&f->leader);
    f->listener = (struct sim_listener){&f->leader, on_accept, f};
    sim_net_listen(f->w.net, leader_node.place, &f->listener);
}

struct fixture *fixture_new(uint64_t seed, unsigned hosts, const char *timing)
{
    struct fixture *f = HF_NEW(struct fixture);
    struct sim_world *w = &f->w;
    HF_ASSERT(hosts <= FIXTURE_HOSTS_MAX);
    hf_log_set_level(HF_LOG_ERROR);
    f->term = 1;
    f->checks.world = w;
    w->sim = sim_create(seed);
    w->net = sim_net_create(w->sim);
    w->timing = hf_ha_timing_find(timing);
    w->checks = &f->checks;
    w->sizes.nodes = w->sizes.shared_storages = 1;
    w->sizes.hosts = hosts;
    w->profile.guest_write_ms = WRITE_MS;
    make_leader(f);
    make_storages(f);
    for (unsigned i = 0; i < hosts; i++) {
        struct sim_host_options o = {.cpus = 8,
                                     .memory_bytes = 1ULL << 36,
                                     .watchdog = "hardware",
                                     .rate_ppm = (int32_t)i * 500 - 1000,
                                     .watchdog_rate_ppm = 1000 - (int32_t)i * 300};
        w->hosts[i] = sim_host_create(w, i, &o);
        f->members[i].fixture = f;
        f->members[i].host = i;
        sim_host_power_on(w->hosts[i]);
    }
    return f;
}

struct fixture_vm *fixture_add(struct fixture *f, unsigned host, bool on_local)
{
    HF_ASSERT(f->n_vms < FIXTURE_VMS_MAX);
    struct fixture_vm *vm = &f->vms[f->n_vms];
    snprintf(vm->uuid, sizeof vm->uuid, "%032x", f->n_vms++);
    vm->host = host;
    vm->on_local = on_local;
    vm->run = 1;
    if (f->members[host].synced)
        assign_vm(f, vm);
    return vm;
}

uint64_t fixture_free(struct fixture *f)
{
    struct sim_world *w = &f->w;
    for (unsigned i = 0; i < w->sizes.hosts; i++)
        sim_host_power_off(w->hosts[i]);
    sim_proc_crash(&f->leader);
    uint64_t digest = sim_digest(w->sim);
    sim_free(w->sim);
    for (unsigned i = 0; i < w->sizes.hosts; i++)
        sim_host_free(w->hosts[i]);
    sim_storage_free(w->shared[0]);
    for (unsigned i = 0; i < w->sizes.hosts; i++)
        sim_storage_free(w->local[i]);
    sim_net_free(w->net);
    free(f);
    return digest;
}

/* --- steps --- */

void fixture_run(struct fixture *f, int64_t ms)
{
    sim_run_until(f->w.sim, sim_now_ns(f->w.sim) + ms * HF_MS_NS);
}

static bool settled(const struct fixture *f)
{
    for (unsigned i = 0; i < f->n_vms; i++)
        if (f->checks.executing[i] != !f->vms[i].stop ||
            (f->vms[i].stop ? f->vms[i].ended != f->vms[i].run : !f->vms[i].running))
            return false;
    return true;
}

bool fixture_settle(struct fixture *f, int64_t ms)
{
    for (; ms > 0 && !settled(f); ms -= 100)
        fixture_run(f, 100);
    return settled(f);
}

struct sim_storage_way *fixture_way(struct fixture *f, unsigned host)
{
    return sim_storage_way(f->w.shared[0], host);
}

void fixture_kick(struct fixture *f, unsigned host)
{
    sim_storage_kick(f->w.shared[0], host);
}

void fixture_stop(struct fixture *f, struct fixture_vm *vm)
{
    vm->stop = true;
    if (f->members[vm->host].synced)
        assign_vm(f, vm);
}
