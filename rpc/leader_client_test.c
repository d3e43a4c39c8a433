/* The leader client against nodes that lead, follow, or are gone. */
#include "rpc/rpc_testing.h"

#include "holdfast/v1/infra.pb-c.h"
#include "rpc/leader_client.h"

#define NODES   3
#define SERVICE (&holdfast__v1__zone_service__descriptor)

struct cluster;

struct node {
    struct cluster *cluster;
    struct hf_grpc_server *server;
    char address[32];
    unsigned asked;
    bool closed;
};

struct cluster {
    struct world *world;
    struct node nodes[NODES];
    int leader;       /* -1: none */
    bool silent_hint; /* followers do not know the leader */
    unsigned drop;    /* so many requests to the leader are swallowed: the connection breaks */
    struct hf_leader_client *client;
};

static void on_request(struct hf_grpc_call *call, ProtobufCMessage *m)
{
    struct node *n = hf_grpc_call_user(call);
    struct cluster *c = n->cluster;
    protobuf_c_message_free_unpacked(m, NULL);
    n->asked++;
    if (n != &c->nodes[c->leader < 0 ? 0 : c->leader] || c->leader < 0) {
        if (!c->silent_hint && c->leader >= 0)
            hf_grpc_add_trailer(call, HF_LEADER_TRAILER, c->nodes[c->leader].address);
        hf_grpc_finish(call, hf_error(HF_NOT_LEADER, "this node does not lead"));
        return;
    }
    if (c->drop > 0) {
        c->drop--;
        hf_grpc_finish(call, hf_error(HF_UNKNOWN_OUTCOME, "lost the leadership during the call"));
        return;
    }
    Holdfast__V1__Zone zone = HOLDFAST__V1__ZONE__INIT;
    hf_grpc_send(call, &zone.base);
    hf_grpc_finish(call, HF_STATUS_OK);
}

static void node_start(struct node *n)
{
    static const struct hf_grpc_handler HANDLER = {.message = on_request};
    struct hf_grpc_server_options o = {.address = *n->address ? n->address : "127.0.0.1:0"};
    assert_true(hf_ok(hf_grpc_server_create(&n->cluster->world->loop, &o, &n->server)));
    hf_grpc_server_add(n->server, SERVICE, "GetZone", &HANDLER, n);
    hf_grpc_server_add(n->server, SERVICE, "CreateZone", &HANDLER, n);
    assert_true(hf_ok(hf_grpc_server_listen(n->server)));
    snprintf(n->address, sizeof n->address, "127.0.0.1:%d", hf_grpc_server_port(n->server));
}

static void on_node_closed(void *arg)
{
    ((struct node *)arg)->closed = true;
}

static void node_stop(struct node *n)
{
    n->closed = false;
    hf_grpc_server_close(n->server, 0, on_node_closed, n);
    run_until(n->cluster->world, &n->closed);
    n->server = NULL;
}

static int setup(void **state)
{
    struct cluster *c = HF_NEW(struct cluster);
    const char *addresses[NODES];
    c->world = world_create();
    for (int i = 0; i < NODES; i++) {
        c->nodes[i].cluster = c;
        node_start(&c->nodes[i]);
        addresses[i] = c->nodes[i].address;
    }
    c->client = hf_leader_client_create(&c->world->loop, addresses, NODES, NULL);
    *state = c;
    return 0;
}

static int down(void **state)
{
    struct cluster *c = *state;
    if (c->client)
        hf_leader_client_close(c->client);
    for (int i = 0; i < NODES; i++)
        if (c->nodes[i].server)
            node_stop(&c->nodes[i]);
    world_free(c->world);
    free(c);
    return 0;
}

static void on_zone(hf_status st, const ProtobufCMessage *m, struct hf_grpc_stream *stream, void *arg)
{
    struct outcome *o = arg;
    (void)stream;
    assert_int_equal(hf_ok(st), m != NULL);
    o->done = true;
    o->code = hf_status_code(st);
    snprintf(o->message, sizeof o->message, "%s", hf_status_message(st));
}

static void start_get(struct cluster *c, unsigned deadline_ms, struct outcome *o)
{
    Holdfast__V1__GetRequest q = HOLDFAST__V1__GET_REQUEST__INIT;
    *o = (struct outcome){.done = false};
    hf_leader_unary(c->client, SERVICE, "GetZone", &q.base, deadline_ms, on_zone, o);
}

static struct outcome get(struct cluster *c, unsigned deadline_ms)
{
    struct outcome o;
    start_get(c, deadline_ms, &o);
    run_until(c->world, &o.done);
    return o;
}

static struct outcome create(struct cluster *c, const char *request_id)
{
    struct outcome o = {.done = false};
    Holdfast__V1__CreateZoneRequest q = HOLDFAST__V1__CREATE_ZONE_REQUEST__INIT;
    q.request_id = (char *)request_id;
    hf_leader_unary(c->client, SERVICE, "CreateZone", &q.base, STUCK_MS / 2, on_zone, &o);
    run_until(c->world, &o.done);
    return o;
}

static void test_follows_hint(void **state)
{
    struct cluster *c = *state;
    c->leader = 2;
    assert_int_equal(get(c, 0).code, HF_OK);
    assert_int_equal(c->nodes[0].asked, 1);
    assert_int_equal(c->nodes[1].asked, 0);
    assert_int_equal(get(c, 0).code, HF_OK); /* remembered */
    assert_int_equal(c->nodes[0].asked, 1);
    assert_int_equal(c->nodes[2].asked, 2);
}

static void test_finds_without_hint(void **state)
{
    struct cluster *c = *state;
    c->leader = 2;
    c->silent_hint = true;
    assert_int_equal(get(c, 0).code, HF_OK);
    assert_int_equal(c->nodes[1].asked, 1);
}

static void test_leader_dies(void **state)
{
    struct cluster *c = *state;
    c->leader = 0;
    assert_int_equal(get(c, 0).code, HF_OK);
    node_stop(&c->nodes[0]);
    c->leader = 1;
    assert_int_equal(get(c, STUCK_MS / 2).code, HF_OK);
}

static void test_waits_for_a_leader(void **state)
{
    struct cluster *c = *state;
    struct outcome o;
    c->leader = -1;
    start_get(c, STUCK_MS / 2, &o);
    run_for(c->world, 100);
    assert_false(o.done);
    c->leader = 1;
    run_until(c->world, &o.done);
    assert_int_equal(o.code, HF_OK);
}

static void test_gives_up_at_deadline(void **state)
{
    struct cluster *c = *state;
    c->leader = -1;
    struct outcome o = get(c, 200);
    assert_int_equal(o.code, HF_NOT_LEADER);
    assert_has(o.message, "does not lead");
    for (int i = 0; i < NODES; i++)
        node_stop(&c->nodes[i]);
    o = get(c, 200);
    assert_int_equal(o.code, HF_UNAVAILABLE);
}

static void test_unknown_outcome(void **state)
{
    struct cluster *c = *state;
    c->leader = 0;
    c->drop = 1;
    assert_int_equal(create(c, "").code, HF_UNKNOWN_OUTCOME); /* not to be done twice */
    assert_int_equal(c->nodes[0].asked, 1);
    c->drop = 1;
    assert_int_equal(create(c, "r1").code, HF_OK); /* the server would know it again */
    c->drop = 2;
    assert_int_equal(get(c, 0).code, HF_OK);
}

static void test_close_ends_calls(void **state)
{
    struct cluster *c = *state;
    struct outcome waiting, fresh;
    c->leader = -1;
    start_get(c, 0, &waiting);
    run_for(c->world, 100);
    start_get(c, 0, &fresh);
    hf_leader_client_close(c->client);
    c->client = NULL;
    assert_true(waiting.done && fresh.done);
    assert_int_equal(fresh.code, HF_CANCELLED);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_follows_hint),       TEST(test_finds_without_hint),   TEST(test_leader_dies),
        TEST(test_waits_for_a_leader), TEST(test_gives_up_at_deadline), TEST(test_unknown_outcome),
        TEST(test_close_ends_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
