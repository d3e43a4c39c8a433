#include "sim/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/controllers.h"
#include "control/placement_guard.h"
#include "control/settings.h"
#include "sim/node_private.h"

/* As consensus/raft_uv.c sets libraft up. */
#define ELECTION_MS           1000
#define HEARTBEAT_MS          100
#define PROBE_MS              1
#define ENTRIES_IN_FLIGHT_MAX 16384
#define INSTALL_SNAPSHOT_MS   30000
#define SECOND_MS             1000
/* As the unit file says, and what a process takes to come up. */
#define RESTART_LOW_MS  1000
#define RESTART_HIGH_MS 1500
/* Of the log, so that snapshots happen in a run. */
#define COMPACT_LOW  128
#define COMPACT_HIGH 2048
#define ROUNDS_MAX   8 /* of a turn: then others have theirs */

static const struct hf_guard *const guards[] = {&hf_placement_guard};

/* --- messages between the members --- */

static void message_arrives(void *arg)
{
    struct sim_raft_message *m = arg;
    const struct sim_node *n = m->receiver;
    if (n->serves)
        sim_raft_io_receive(n->io, m);
    else
        sim_raft_message_free(m);
}

static void message_lost(void *arg)
{
    sim_raft_message_free(arg);
}

static void *message_twin(void *arg)
{
    const struct sim_raft_message *m = arg;
    struct sim_raft_message *twin = sim_raft_message_copy(&m->body);
    twin->receiver = m->receiver;
    return twin;
}

static void transmit(void *arg, struct sim_raft_message *take_m)
{
    struct sim_node *n = arg, *to = n->w->nodes[take_m->body.server_id - 1];
    take_m->receiver = to;
    take_m->body.server_id = n->i + 1;
    take_m->body.server_address = n->raft_address;
    sim_net_send(n->w->net, n->place, to->place, &to->proc,
                 &(struct sim_datagram){message_arrives, message_lost, message_twin, take_m});
}

/* --- members, for the API --- */

static void members_each(void *arg, void (*cb)(void *cb_arg, uint64_t id, const char *raft_address),
                         void *cb_arg)
{
    const struct raft_configuration *c = &((struct sim_node *)arg)->raft.configuration;
    for (unsigned i = 0; i < c->n; i++)
        cb(cb_arg, c->servers[i].id, c->servers[i].address);
}

static const char *members_api_address(void *arg, uint64_t id)
{
    const struct sim_world *w = ((struct sim_node *)arg)->w;
    return id >= 1 && id <= w->sizes.nodes ? w->nodes[id - 1]->address : NULL;
}

static void members_fixed(void (*done)(void *done_arg, hf_status st), void *done_arg)
{
    hf_status st = hf_error(HF_UNIMPLEMENTED, "the members of a simulated control plane do not change");
    done(done_arg, st);
    hf_status_drop(st);
}

static void members_add(void *arg, uint64_t id, const char *raft_address,
                        void (*done)(void *done_arg, hf_status st), void *done_arg)
{
    (void)arg;
    (void)id;
    (void)raft_address;
    members_fixed(done, done_arg);
}

static void members_remove(void *arg, uint64_t id, void (*done)(void *done_arg, hf_status st), void *done_arg)
{
    (void)arg;
    (void)id;
    members_fixed(done, done_arg);
}

static const struct hf_api_members_ops members_ops = {members_each, members_api_address, members_add,
                                                      members_remove};

/* --- what the checks see --- */

static void on_applied(void *arg, const struct hf_watch_event *e)
{
    const struct sim_node *n = arg;
    sim_checks_applied(n->w->checks, sim_now_ns(n->w->sim), n->i, e->revision, e->kind, &e->uuid,
                       e->bytes != NULL ? e->bytes->data : NULL, e->bytes != NULL ? e->bytes->len : 0);
}

static void on_restored(void *arg)
{
    const struct sim_node *n = arg;
    sim_checks_node_reset(n->w->checks, n->i);
}

static void tell_checks(struct sim_node *n)
{
    struct hf_replica_witness w = {on_applied, on_restored, n};
    if (n->w->checks == NULL)
        return;
    on_restored(n);
    hf_replica_witness(n->control.replica, &w);
}

/* --- the turn --- */

static void on_dirty(void *arg)
{
    ((struct sim_node *)arg)->dirty = true;
}

static void nothing(void *arg)
{
    (void)arg; /* the turn's end is what is wanted */
}

static void turn_ended(void *arg)
{
    struct sim_node *n = arg;
    bool more = n->serves;
    for (int round = 0; more && round < ROUNDS_MAX; round++) {
        n->dirty = false;
        sim_raft_io_turn(n->io);
        hf_replica_tick(n->control.replica);
        more = n->dirty || sim_raft_io_completed(n->io);
    }
    if (more && !n->proc.dying)
        sim_proc_post(&n->proc, 0, nothing, NULL, n);
}

static void on_role(void *arg, const struct hf_replica_state *st)
{
    struct sim_node *n = arg;
    bool was_ready = n->ready;
    n->ready = st->ready;
    sim_mix(n->w->sim, st->term << 8 | (uint64_t)st->role << 4 | n->i);
    if (sim_tracing(n->w->sim))
        sim_trace(n->w->sim, n->proc.name, "term %llu: %s, node %llu leads%s", (unsigned long long)st->term,
                  st->role == HF_ROLE_LEADER ? "leader"
                                             : (st->role == HF_ROLE_FOLLOWER ? "follower" : "candidate"),
                  (unsigned long long)st->leader_id, st->ready ? ", ready" : "");
    if (st->ready && !was_ready) {
        if (n->w->checks)
            sim_checks_new_leader(n->w->checks, sim_now_ns(n->w->sim));
        hf_settings_seed(&n->control);
        hf_api_store_addresses(n->api);
    }
    if (st->role == HF_ROLE_UNAVAILABLE && n->serves)
        sim_proc_crash(&n->proc); /* holdfastd ends */
}

/* As raft_uv.c looks at the room on the disk. */
static void on_second(void *arg)
{
    struct sim_node *n = arg;
    hf_replica_refuse_writes(n->control.replica,
                             n->faults.full ? "the disk of this control node is nearly full; free some space"
                                            : NULL);
    hf_timer_start(&n->proc.env, &n->second, SECOND_MS, on_second, n);
}

/* --- the start --- */

static void start_raft(struct sim_node *n)
{
    struct sim_raft_io_options o = {&n->proc, &n->disk, &n->faults, &n->disk_rng, transmit, n};
    n->io = sim_raft_io_create(&o);
    int rv = raft_init(&n->raft, sim_raft_io_of(n->io), hf_replica_fsm(n->control.replica), n->i + 1,
                       n->raft_address);
    HF_ASSERT(rv == 0);
    n->raft.tracer = NULL;
    hf_replica_compact_after(n->control.replica, n->compact_entries);
    hf_replica_bind(n->control.replica, &n->raft);
    n->filter = hf_io_filter_create(n->control.replica, &n->raft);
    n->leader_io = hf_leader_io_create(n->control.replica, &n->raft);
    raft_set_election_timeout(&n->raft, ELECTION_MS);
    raft_set_heartbeat_timeout(&n->raft, HEARTBEAT_MS);
    raft_set_pre_vote(&n->raft, true);
    raft_set_max_inflight_entries(&n->raft, ENTRIES_IN_FLIGHT_MAX);
    raft_set_capacity_threshold(&n->raft, 0);
    raft_set_install_snapshot_timeout(&n->raft, INSTALL_SNAPSHOT_MS);
    hf_replica_on_dirty(n->control.replica, on_dirty, n);
    rv = raft_start(&n->raft);
    HF_ASSERT(rv == 0);
    raft_set_heartbeat_timeout(&n->raft, PROBE_MS);
}

static void accept_conn(void *arg, struct sim_conn *c, unsigned from, const char *service)
{
    struct sim_node *n = arg;
    if (strcmp(service, SIM_SERVICE_HOSTS) == 0)
        sim_node_hosts_accept(n, c, from);
    else if (strcmp(service, SIM_SERVICE_API) == 0)
        sim_node_api_accept(n, c);
    else
        sim_conn_close(c, &(struct sim_end_reason){.code = HF_UNIMPLEMENTED, .message = "unknown service"});
}

/* The steps of holdfastd.c. */
static void boot(void *arg)
{
    struct sim_node *n = arg;
    n->control = (struct hf_control){.env = &n->proc.env, .profile = n->w->timing->profile};
    n->control.power = n->w->power[n->i];
    n->control.ceph = n->w->ceph[n->i];
    n->control.replica = hf_replica_create(n->control.env, guards, sizeof guards / sizeof guards[0]);
    n->control.host_link = hf_host_link_create(&n->control);
    hf_controllers_create(&n->control);
    struct hf_api_plugs plugs = {
        .members = &members_ops, .members_arg = n, .hosts = &hf_hosts_ops, .hosts_arg = &n->control};
    n->api = hf_api_create(&n->control, &plugs);
    hf_replica_on_role(n->control.replica, on_role, n);
    tell_checks(n); /* a cluster of one applies its log while it starts */
    start_raft(n);
    hf_timer_start(n->control.env, &n->second, SECOND_MS, on_second, n);
    n->listener = (struct sim_listener){&n->proc, accept_conn, n};
    sim_net_listen(n->w->net, n->place, &n->listener);
    n->serves = true;
}

static void start_process(struct sim_node *n)
{
    sim_proc_start(&n->proc);
    sim_proc_post(&n->proc, 0, boot, NULL, n);
}

/* --- the end --- */

struct restart {
    struct sim_node *node;
    unsigned boots;
};

static void on_restart(void *arg)
{
    struct restart r = *(struct restart *)arg;
    free(arg);
    if (r.boots == r.node->boots)
        start_process(r.node);
}

static void restart_later(struct sim_node *n)
{
    struct restart *r = HF_NEW(struct restart);
    *r = (struct restart){n, n->boots};
    int64_t ms = sim_rng_between(&n->disk_rng, RESTART_LOW_MS, RESTART_HIGH_MS);
    sim_after(n->w->sim, ms * HF_MS_NS, on_restart, free, r);
}

/* Requests that were answered now end in timers without delay; some make others. */
static void settle(struct sim_node *n)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        hf_env_fire(&n->proc.env);
        hf_replica_unbind(n->control.replica);
    }
}

static void crashed(void *arg)
{
    struct sim_node *n = arg;
    sim_net_listen(n->w->net, n->place, NULL);
    if (n->power)
        restart_later(n);
    if (!n->serves)
        return;
    n->serves = n->ready = n->transferring = false;
    hf_timer_stop(&n->second);
    sim_node_api_end(n);
    sim_node_hosts_end(n);
    raft_close(&n->raft, NULL);
    hf_replica_on_dirty(n->control.replica, NULL, NULL);
    hf_replica_unbind(n->control.replica);
    hf_leader_io_free(n->leader_io);
    hf_io_filter_free(n->filter);
    sim_raft_io_free(n->io);
    hf_api_shut(n->api);
    hf_controllers_free(n->control.controllers);
    hf_host_link_free(n->control.host_link);
    settle(n);
    hf_api_free(n->api);
    hf_replica_free(n->control.replica);
}

/* --- for the world --- */

#define RAFT_ADDRESS "n%u:4710"
#define API_ADDRESS  "n%u:4700"

static void bootstrap(struct sim_node *n, unsigned nodes)
{
    struct raft_configuration members;
    raft_configuration_init(&members);
    for (unsigned i = 0; i < nodes; i++) {
        char address[SIM_PROC_NAME];
        snprintf(address, sizeof address, RAFT_ADDRESS, i + 1);
        int rv = raft_configuration_add(&members, i + 1, address, RAFT_VOTER);
        HF_ASSERT(rv == 0);
    }
    bool fresh = sim_raft_disk_bootstrap(&n->disk, &members);
    HF_ASSERT(fresh);
    raft_configuration_close(&members);
}

struct sim_node *sim_node_create(struct sim_world *w, unsigned i)
{
    struct sim_node *n = HF_NEW(struct sim_node);
    n->w = w;
    n->i = i;
    char name[SIM_PROC_NAME];
    snprintf(name, sizeof name, "n%u", i + 1);
    snprintf(n->raft_address, sizeof n->raft_address, RAFT_ADDRESS, i + 1);
    snprintf(n->address, sizeof n->address, API_ADDRESS, i + 1);
    n->place = sim_net_add(w->net, name);
    sim_net_set_power(w->net, n->place, false);
    sim_proc_init(&n->proc, w->sim, name, i);
    n->proc.turn_ended = turn_ended;
    n->proc.crashed = crashed;
    n->proc.arg = n;
    n->disk_rng = sim_rng_make(sim_seed(w->sim), "disk", i);
    n->compact_entries = (unsigned)sim_rng_skewed(&n->disk_rng, COMPACT_LOW, COMPACT_HIGH);
    LIST_INIT(&n->streams);
    LIST_INIT(&n->calls);
    sim_raft_disk_init(&n->disk);
    bootstrap(n, w->sizes.nodes);
    return n;
}

void sim_node_free(struct sim_node *n)
{
    sim_proc_done(&n->proc);
    sim_raft_disk_done(&n->disk);
    free(n);
}

void sim_node_power_on(struct sim_node *n)
{
    if (n->power)
        return;
    n->power = true;
    n->boots++;
    sim_net_set_power(n->w->net, n->place, true);
    start_process(n);
}

void sim_node_power_off(struct sim_node *n)
{
    if (!n->power)
        return;
    n->power = false;
    n->boots++;
    sim_net_set_power(n->w->net, n->place, false);
    sim_proc_crash(&n->proc);
}

static void on_transferred(struct raft_transfer *request)
{
    ((struct sim_node *)request->data)->transferring = false;
}

static void transfer(void *arg)
{
    struct sim_node *n = arg;
    if (!n->serves || n->transferring || raft_state(&n->raft) != RAFT_LEADER)
        return;
    n->transfer.data = n;
    n->transferring = raft_transfer(&n->raft, &n->transfer, 0, on_transferred) == 0;
}

void sim_node_transfer(struct sim_node *n)
{
    if (n->proc.up)
        sim_proc_post(&n->proc, 0, transfer, NULL, n);
}

struct sim_proc *sim_node_proc(struct sim_node *n)
{
    return &n->proc;
}

unsigned sim_node_place(const struct sim_node *n)
{
    return n->place;
}

const char *sim_node_address(const struct sim_node *n)
{
    return n->address;
}

struct sim_node_disk *sim_node_disk(struct sim_node *n)
{
    return &n->faults;
}

const struct hf_control *sim_node_control(const struct sim_node *n)
{
    return n->serves ? &n->control : NULL;
}

bool sim_node_leads(const struct sim_node *n)
{
    return n->serves && n->ready;
}
