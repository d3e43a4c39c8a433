/* holdfastd: a control node. Here the cores of control/ meet their drivers: libraft on disk and network,
 * gRPC, the clock.
 *
 *   1 parse the options, check the API's table
 *   2 start the replica: from now on it may lead
 *   3 serve the API (followers point to the leader)
 *   4 on a signal: hand leadership over, say GOAWAY, close the log, end
 */
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "control/api_grpc.h"
#include "control/ceph_child.h"
#include "control/controllers.h"
#include "control/daemon_controllers.h"
#include "control/daemon_options.h"
#include "control/fence_agents.h"
#include "control/placement_guard.h"
#include "control/settings.h"
#include "control/upload_spool.h"
#include "control/upload_sweep.h"

#define TRANSFER_MS 1000 /* for another node to take over before this one closes */
#define GRACE_MS    500  /* for calls under way */
#define CEPH_PROGRAM "hf-ceph"
#define SETTLE_MS   20   /* for answers that wait for the next turn of the loop */

enum { EXIT_START = 1, EXIT_USAGE = 2, EXIT_LOG = 3 };

struct node {
    struct hf_daemon_options options;
    uv_loop_t loop;
    struct hf_env *env;
    struct hf_control control;
    struct hf_api *api;
    struct hf_raft_uv *raft;
    struct hf_grpc_server *server;
    struct hf_api_grpc *api_grpc;
    struct hf_daemon_controllers *controllers;
    struct hf_upload_sweep *sweep;
    uv_signal_t signals[2];
    struct hf_timer timer; /* of the closing */
    enum hf_role role;     /* last told */
    bool ready;
    bool stopping;
    int exit_code;
};

static const struct hf_guard *const guards[] = {&hf_placement_guard};

/* --- members, for the API --- */

struct each {
    void (*cb)(void *cb_arg, uint64_t id, const char *raft_address);
    void *cb_arg;
};

static void each_member(void *arg, uint64_t id, const char *address, bool voter)
{
    const struct each *e = arg;
    (void)voter;
    e->cb(e->cb_arg, id, address);
}

static void members_each(void *arg, void (*cb)(void *cb_arg, uint64_t id, const char *raft_address),
                         void *cb_arg)
{
    struct each e = {cb, cb_arg};
    hf_raft_uv_members(((struct node *)arg)->raft, each_member, &e);
}

static const char *members_api_address(void *arg, uint64_t id)
{
    return hf_daemon_options_api_address(&((struct node *)arg)->options, id);
}

static void members_add(void *arg, uint64_t id, const char *raft_address,
                        void (*done)(void *done_arg, hf_status st), void *done_arg)
{
    hf_raft_uv_add(((struct node *)arg)->raft, id, raft_address, done, done_arg);
}

static void members_remove(void *arg, uint64_t id, void (*done)(void *done_arg, hf_status st), void *done_arg)
{
    hf_raft_uv_remove(((struct node *)arg)->raft, id, done, done_arg);
}

static const struct hf_api_members_ops members_ops = {members_each, members_api_address, members_add,
                                                      members_remove};

/* --- the end --- */

static void loop_may_end(struct node *n)
{
    for (size_t i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&n->signals[i], NULL);
    hf_env_uv_close(n->env);
}

static void settled(void *arg)
{
    struct node *n = arg;
    hf_api_free(n->api);
    loop_may_end(n);
}

static void raft_closed(void *arg)
{
    struct node *n = arg;
    hf_api_shut(n->api);
    hf_daemon_controllers_stop(n->controllers);
    hf_fence_agents_close(n->control.power);
    n->control.power = NULL;
    if (n->control.ceph != NULL)
        hf_ceph_child_close(n->control.ceph);
    n->control.ceph = NULL;
    hf_timer_start(n->env, &n->timer, SETTLE_MS, settled, n);
}

static void uploads_closed(void *arg)
{
    struct node *n = arg;
    n->control.uploads = NULL;
    if (n->raft != NULL)
        hf_raft_uv_close(n->raft, raft_closed, n);
    else
        raft_closed(n);
}

static void server_closed(void *arg)
{
    struct node *n = arg;
    if (n->api_grpc != NULL)
        hf_api_grpc_free(n->api_grpc);
    n->api_grpc = NULL;
    n->server = NULL;
    if (n->control.uploads == NULL) {
        uploads_closed(n);
        return;
    }
    hf_upload_sweep_stop(n->sweep);
    hf_upload_spool_close(n->control.uploads, uploads_closed, n);
}

static void close_server(void *arg)
{
    struct node *n = arg;
    hf_timer_stop(&n->timer);
    if (n->server != NULL)
        hf_grpc_server_close(n->server, GRACE_MS, server_closed, n);
    else
        server_closed(n);
}

static void stop(struct node *n, int exit_code)
{
    if (n->stopping)
        return;
    n->stopping = true;
    n->exit_code = exit_code;
    if (n->role == HF_ROLE_LEADER && n->options.n_peers > 1) {
        hf_raft_uv_transfer(n->raft);
        hf_timer_start(n->env, &n->timer, TRANSFER_MS, close_server, n);
    } else {
        hf_timer_start(n->env, &n->timer, 0, close_server, n);
    }
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct node *n = handle->data;
    if (!n->stopping)
        hf_info("signal %d: ending", signum);
    stop(n, EXIT_SUCCESS);
}

/* --- roles --- */

static void tell_role(const struct node *n, const struct hf_replica_state *st)
{
    if (st->role == HF_ROLE_LEADER && st->ready && !n->ready)
        hf_info("node %" PRIu64 " leads, term %" PRIu64, n->options.id, st->term);
    else if (st->role == HF_ROLE_FOLLOWER && st->leader_id != 0)
        hf_info("node %" PRIu64 " follows node %" PRIu64 ", term %" PRIu64, n->options.id, st->leader_id,
                st->term);
    else if (st->role == HF_ROLE_CANDIDATE && n->role != HF_ROLE_CANDIDATE)
        hf_info("node %" PRIu64 " knows no leader and stands for election", n->options.id);
}

static void on_role(void *arg, const struct hf_replica_state *st)
{
    struct node *n = arg;
    bool was_ready = n->ready, led = n->role == HF_ROLE_LEADER;
    tell_role(n, st);
    n->role = st->role;
    n->ready = st->ready;
    if (n->api_grpc != NULL && !n->stopping)
        hf_api_grpc_set_serving(n->api_grpc, st->role != HF_ROLE_UNAVAILABLE);
    if (st->ready && !was_ready) {
        hf_settings_seed(&n->control);
        hf_api_store_addresses(n->api);
    }
    if (n->stopping && led && st->role != HF_ROLE_LEADER)
        hf_timer_start(n->env, &n->timer, 0, close_server, n);
    if (st->role == HF_ROLE_UNAVAILABLE && !n->stopping) {
        hf_err("node %" PRIu64
               " cannot go on: its log in %s failed; the other nodes carry on. Look at the disk, then start "
               "it again",
               n->options.id, n->options.data_dir);
        stop(n, EXIT_LOG);
    }
}

/* --- the start --- */

static hf_status start_raft(struct node *n)
{
    struct hf_raft_member members[HF_PEERS_MAX];
    const struct hf_daemon_options *o = &n->options;
    for (size_t i = 0; i < o->n_peers; i++)
        members[i] = (struct hf_raft_member){o->peers[i].id, o->peers[i].raft_address};
    struct hf_raft_options r = {.id = o->id,
                                .address = o->raft_address,
                                .dir = o->data_dir,
                                .members = members,
                                .n_members = o->n_peers,
                                .join = o->join,
                                .election_ms = o->election_ms,
                                .heartbeat_ms = o->election_ms / 10};
    return hf_raft_uv_start(&n->loop, n->control.replica, &r, &n->raft);
}

/* In the data directory, which is this node's own by now. */
static void start_uploads(struct node *n)
{
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s/uploads", n->options.data_dir);
    n->control.uploads = hf_upload_spool_create(n->env, dir, HF_UPLOAD_ROOM_KEPT);
    n->sweep = hf_upload_sweep_start(&n->control);
}

static hf_status start_server(struct node *n)
{
    struct hf_grpc_server_options o = {.address = n->options.api_address, .tls = n->options.tls};
    HF_TRY(hf_grpc_server_create(&n->loop, &o, &n->server));
    n->api_grpc = hf_api_grpc_create(n->api, n->server);
    hf_daemon_controllers_serve(n->controllers, n->server);
    HF_TRY(hf_grpc_server_listen(n->server));
    hf_api_grpc_set_serving(n->api_grpc, n->role != HF_ROLE_UNAVAILABLE);
    return HF_STATUS_OK;
}

static hf_status start(struct node *n)
{
    HF_TRY(hf_api_check());
    HF_TRY(start_raft(n));
    start_uploads(n);
    HF_TRY(start_server(n));
    hf_info("node %" PRIu64 " serves the API on %s, its log is in %s", n->options.id, n->options.api_address,
            n->options.data_dir);
    return HF_STATUS_OK;
}

/* The program beside this one. One that is not there is told by what would need it. */
static struct hf_ceph_runner *make_ceph_runner(struct node *n)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - sizeof CEPH_PROGRAM);
    char *slash = len > 0 ? memrchr(path, '/', (size_t)len) : NULL;
    if (slash == NULL)
        return NULL;
    memcpy(slash + 1, CEPH_PROGRAM, sizeof CEPH_PROGRAM);
    return hf_ceph_child_create(n->env, path);
}

static void plug_together(struct node *n)
{
    n->env = hf_env_uv_create(&n->loop);
    n->control.env = n->env;
    n->control.profile = n->options.profile;
    n->control.replica = hf_replica_create(n->env, guards, sizeof guards / sizeof guards[0]);
    n->control.power = hf_fence_agents_create(&n->loop, n->options.fence_agents);
    n->control.ceph = make_ceph_runner(n);
    n->controllers = hf_daemon_controllers_start(&n->control);
    struct hf_api_plugs plugs = {
        .members = &members_ops, .members_arg = n, .hosts = &hf_hosts_ops, .hosts_arg = &n->control};
    n->api = hf_api_create(&n->control, &plugs);
    hf_replica_on_role(n->control.replica, on_role, n);
    static const int signals[2] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < 2; i++) {
        uv_signal_init(&n->loop, &n->signals[i]);
        n->signals[i].data = n;
        uv_signal_start(&n->signals[i], on_signal, signals[i]);
    }
}

static int run(struct node *n)
{
    int err = uv_loop_init(&n->loop);
    HF_ASSERT(err == 0);
    signal(SIGPIPE, SIG_IGN);
    plug_together(n);
    hf_status st = start(n);
    if (!hf_ok(st)) {
        hf_err("node %" PRIu64 " cannot start: %s", n->options.id, hf_status_message(st));
        hf_status_drop(st);
        stop(n, EXIT_START);
    }
    uv_run(&n->loop, UV_RUN_DEFAULT);
    hf_replica_free(n->control.replica); /* a raft that failed to start closes by itself and needs it until then */
    err = uv_loop_close(&n->loop);
    if (err != 0)
        hf_warn("the loop still holds something at the end: %s", uv_strerror(err));
    return n->exit_code;
}

int main(int argc, char **argv)
{
    struct node *n = HF_NEW(struct node);
    enum hf_parse what;
    hf_status st = hf_daemon_options_parse(argc, argv, &n->options, &what);
    int code = EXIT_SUCCESS;
    if (!hf_ok(st)) {
        fprintf(stderr, "holdfastd: %s\n", hf_status_message(st));
        hf_status_drop(st);
        code = EXIT_USAGE;
    } else if (what == HF_PARSE_RUN) {
        code = run(n);
    }
    hf_daemon_options_done(&n->options);
    free(n);
    return code;
}
