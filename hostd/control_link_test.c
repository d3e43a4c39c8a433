/* The link to the leader over real connections on loopback: a follower points to the leader, streams end and
 * come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "hostd/control_link.h"
#include "hostd/keeper_sim.h"
#include "hostd/vm_sim.h"
#include "net/host_net_sim.h"
#include "rpc/leader_client.h"

#define WAIT_MS 60000 /* only a hang takes so long */

struct node {
    struct hf_grpc_server *server;
    char address[40];
    const char *leader; /* not NULL: a follower that names this one */
    struct hf_grpc_call *call;
    unsigned calls, hellos, leases;
};

struct bench {
    uv_loop_t loop;
    struct hf_env *env;
    struct hf_vm_machine *machine;
    struct hf_keeper_sim *keeper_sim;
    struct hf_net_sim *net_sim;
    struct hf_hypervisor *hv;
    struct hf_keeper *keeper;
    struct hf_host_net *net;
    struct hf_host *host;
    struct hf_control_link *link;
    struct node nodes[2];
    bool closed;
};

/* --- a control node --- */

static void welcome(struct hf_grpc_call *call, const char *host)
{
    Holdfast__V1__ControlMessage m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    Holdfast__V1__Welcome w = HOLDFAST__V1__WELCOME__INIT;
    m.term = 5;
    m.host_uuid = (char *)host;
    w.epoch = 1;
    m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_WELCOME;
    m.welcome = &w;
    hf_grpc_send(call, &m.base);
}

static void on_message(struct hf_grpc_call *call, ProtobufCMessage *pm)
{
    struct node *n = hf_grpc_call_user(call);
    const Holdfast__V1__HostMessage *m = (const Holdfast__V1__HostMessage *)pm;
    if (m->body_case == HOLDFAST__V1__HOST_MESSAGE__BODY_HELLO) {
        n->hellos++;
        n->call = call;
        if (n->leader) {
            hf_grpc_add_trailer(call, HF_LEADER_TRAILER, n->leader);
            hf_grpc_finish(call, hf_error(HF_NOT_LEADER, "this node does not lead"));
        } else {
            welcome(call, m->hello->host_uuid);
        }
    }
    n->leases += m->body_case == HOLDFAST__V1__HOST_MESSAGE__BODY_LEASE;
    protobuf_c_message_free_unpacked(pm, NULL);
}

static void on_call_closed(struct hf_grpc_call *call, bool cancelled)
{
    struct node *n = hf_grpc_call_user(call);
    (void)cancelled;
    if (n->call == call)
        n->call = NULL;
}

static void node_start(struct bench *b, struct node *n)
{
    static const struct hf_grpc_handler handler = {.message = on_message, .closed = on_call_closed};
    struct hf_grpc_server_options o = {.address = n->address[0] ? n->address : "127.0.0.1:0"};
    assert_true(hf_ok(hf_grpc_server_create(&b->loop, &o, &n->server)));
    hf_grpc_server_add(n->server, &holdfast__v1__host_link_service__descriptor, "Attach", &handler, n);
    assert_true(hf_ok(hf_grpc_server_listen(n->server)));
    snprintf(n->address, sizeof n->address, "127.0.0.1:%d", hf_grpc_server_port(n->server));
}

/* --- the host --- */

static hf_status open_storage(void *arg, const struct hf_storage_place *place, struct hf_primary **ret)
{
    (void)arg, (void)ret;
    return hf_error(HF_NOT_FOUND, "%s: no storage in this test", place->path);
}

static void keep_mounts(void *arg, const struct hf_uuid *storages, size_t n)
{
    (void)arg, (void)storages, (void)n;
}

static size_t host_addresses(void *arg, struct hf_host_address *out, size_t max)
{
    (void)arg, (void)out, (void)max;
    return 0;
}

static struct hf_lease_reader *reader_create(struct hf_env *env, const struct hf_lease_reader_options *o)
{
    (void)env, (void)o;
    fail();
    return NULL;
}

static void reader_set_marks(struct hf_lease_reader *r, const struct hf_lease_mark *marks, size_t n)
{
    (void)r;
    (void)marks;
    (void)n;
}

static void reader_set_peers(struct hf_lease_reader *r, const struct hf_uuid *hosts, size_t n)
{
    (void)r, (void)hosts, (void)n;
}

static void reader_close(struct hf_lease_reader *r)
{
    (void)r;
}

static void send_up(void *arg, const Holdfast__V1__HostMessage *m)
{
    hf_control_link_send(((struct bench *)arg)->link, m);
}

static void redial(void *arg, const char *why)
{
    hf_control_link_redial(((struct bench *)arg)->link, why);
}

static void left(void *arg, bool recorded)
{
    (void)arg;
    (void)recorded;
}

static struct bench *bench_new(void)
{
    struct bench *b = HF_NEW(struct bench);
    struct hf_host_options o = {
        .hostname = "h1", .management_ip = "127.0.0.1", .accelerator = "tcg", .version = "test"};
    hf_log_set_level(HF_LOG_ERROR);
    uv_loop_init(&b->loop);
    b->env = hf_env_uv_create(&b->loop);
    o.uuid = hf_uuid_new(b->env);
    b->machine = hf_vm_machine_create(b->env);
    b->keeper_sim = hf_keeper_sim_create(b->env, b->machine);
    b->net_sim = hf_net_sim_create(b->env);
    b->host = hf_host_create(&o);
    struct hf_hypervisor_events ve = hf_host_hypervisor_events(b->host);
    struct hf_keeper_events ke = hf_host_keeper_events(b->host);
    b->hv = hf_vm_sim_connect(b->machine, &ve);
    b->keeper = hf_keeper_sim_connect(b->keeper_sim, &ke);
    b->net = hf_net_sim_connect(b->net_sim);
    return b;
}

static void dial(struct bench *b, const char *const *addresses, size_t n)
{
    struct hf_control_link_options lo = {.addresses = addresses, .n_addresses = n};
    struct hf_host_drivers d = {
        .env = b->env,
        .hypervisor = b->hv,
        .keeper = b->keeper,
        .net = b->net,
        .open_storage = open_storage,
        .keep_mounts = keep_mounts,
        .addresses = host_addresses,
        .reader_create = reader_create,
        .reader_set_peers = reader_set_peers,
        .reader_set_marks = reader_set_marks,
        .reader_close = reader_close,
        .send = send_up,
        .redial = redial,
        .left = left,
        .arg = b,
    };
    b->link = hf_control_link_create(&b->loop, b->env, &lo);
    hf_host_start(b->host, &d);
    hf_control_link_start(b->link, b->host);
}

static void too_long(void *arg)
{
    *(bool *)arg = true;
}

/* Runs the loop until *counter reaches n. */
static void run_until(struct bench *b, const unsigned *counter, unsigned n)
{
    struct hf_timer t = {0};
    bool late = false;
    hf_timer_start(b->env, &t, WAIT_MS, too_long, &late);
    while (*counter < n && !late)
        uv_run(&b->loop, UV_RUN_ONCE);
    assert_true(*counter >= n);
    hf_timer_stop(&t);
}

static void on_closed(void *arg)
{
    ((struct bench *)arg)->closed = true;
}

static void bench_free(struct bench *b)
{
    hf_control_link_close(b->link);
    hf_host_close(b->host, on_closed, b);
    while (!b->closed)
        uv_run(&b->loop, UV_RUN_ONCE);
    hf_host_free(b->host);
    b->hv->ops->close(b->hv, NULL, NULL);
    hf_keeper_sim_disconnect(b->keeper);
    b->net->ops->close(b->net);
    for (size_t i = 0; i < 2; i++)
        if (b->nodes[i].server)
            hf_grpc_server_close(b->nodes[i].server, 0, NULL, NULL);
    hf_keeper_sim_free(b->keeper_sim);
    hf_vm_machine_free(b->machine);
    hf_net_sim_free(b->net_sim);
    hf_env_uv_close(b->env);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    free(b);
}

/* --- tests --- */

static void a_follower_points_to_the_leader(void **state)
{
    struct bench *b = bench_new();
    (void)state;
    node_start(b, &b->nodes[0]);
    node_start(b, &b->nodes[1]);
    b->nodes[0].leader = b->nodes[1].address;
    const char *addresses[] = {b->nodes[0].address};
    dial(b, addresses, 1); /* it is told of the follower only */
    run_until(b, &b->nodes[1].leases, 1);
    assert_int_equal(b->nodes[0].hellos, 1);
    assert_int_equal(b->nodes[1].hellos, 1);
    assert_int_equal(hf_keeper_sim_epoch(b->keeper_sim), 1);
    assert_int_equal(hf_keeper_sim_term(b->keeper_sim), 5);
    bench_free(b);
}

static void a_stream_that_ends_is_dialled_again(void **state)
{
    struct bench *b = bench_new();
    (void)state;
    node_start(b, &b->nodes[0]);
    const char *addresses[] = {b->nodes[0].address};
    dial(b, addresses, 1);
    run_until(b, &b->nodes[0].hellos, 1);
    hf_grpc_finish(b->nodes[0].call, hf_error(HF_UNAVAILABLE, "stepping down"));
    run_until(b, &b->nodes[0].hellos, 2);
    hf_control_link_redial(b->link, "for the test");
    run_until(b, &b->nodes[0].hellos, 3);
    run_until(b, &b->nodes[0].leases, 1);
    bench_free(b);
}

static void the_next_node_is_tried(void **state)
{
    struct bench *b = bench_new();
    (void)state;
    node_start(b, &b->nodes[0]);
    const char *addresses[] = {"127.0.0.1:1", b->nodes[0].address}; /* nobody listens on the first */
    dial(b, addresses, 2);
    run_until(b, &b->nodes[0].leases, 1);
    bench_free(b);
}

/* Two nodes that both take the other one for the leader are not chased at full speed. */
static void pointing_in_a_circle_backs_off(void **state)
{
    struct bench *b = bench_new();
    (void)state;
    node_start(b, &b->nodes[0]);
    node_start(b, &b->nodes[1]);
    b->nodes[0].leader = b->nodes[1].address;
    b->nodes[1].leader = b->nodes[0].address;
    const char *addresses[] = {b->nodes[0].address};
    int64_t begin = hf_env_now_ms(b->env);
    dial(b, addresses, 1);
    run_until(b, &b->nodes[0].hellos, 6);
    assert_true(hf_env_now_ms(b->env) - begin > 500);
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_follower_points_to_the_leader),
        cmocka_unit_test(a_stream_that_ends_is_dialled_again),
        cmocka_unit_test(the_next_node_is_tried),
        cmocka_unit_test(pointing_in_a_circle_backs_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
