/* What a simulated control node does for hosts, callers and the world. */
#include "sim/node_testing.h"

struct heard {
    struct sim_end_reason why;
    bool ended, pending;
};

static void on_control_message(void *arg, struct hf_bytes *b)
{
    struct heard *h = arg;
    Holdfast__V1__ControlMessage *m = holdfast__v1__control_message__unpack(NULL, b->len, b->data);
    assert_non_null(m);
    if (m->body_case == HOLDFAST__V1__CONTROL_MESSAGE__BODY_WELCOME)
        h->pending = m->welcome->pending;
    holdfast__v1__control_message__free_unpacked(m, NULL);
}

static void on_stream_ended(void *arg, const struct sim_end_reason *why)
{
    struct heard *h = arg;
    h->ended = true;
    h->why = *why;
}

static const struct sim_conn_ops host_ops = {on_control_message, on_stream_ended};

static void say_hello(struct sim_conn *c)
{
    uint8_t secret[32] = {7};
    Holdfast__V1__Hello hello = HOLDFAST__V1__HELLO__INIT;
    hello.host_uuid = "5e0f9a2c-9c3f-4c55-8f0e-5d7a9d3b1c11";
    hello.secret = (ProtobufCBinaryData){sizeof secret, secret};
    hello.hostname = "h1";
    hello.boot_id = "b";
    Holdfast__V1__HostMessage m = HOLDFAST__V1__HOST_MESSAGE__INIT;
    m.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_HELLO;
    m.hello = &hello;
    struct hf_bytes *b = hf_bytes_new(holdfast__v1__host_message__get_packed_size(&m));
    holdfast__v1__host_message__pack(&m, b->data);
    sim_conn_send(c, b);
    hf_bytes_unref(b);
}

static void a_host_finds_the_leader_by_the_trailer(void **state)
{
    (void)state;
    struct bed *b = bed_create(5);
    unsigned leader = await_leader(b), other = (leader + 1) % NODES;
    run_ms(b, 500);
    struct sim_proc host;
    sim_proc_init(&host, b->w.sim, "h1", 0);
    sim_proc_start(&host);
    unsigned place = sim_net_add(b->w.net, "h1");
    struct heard h = {.ended = false};
    say_hello(sim_conn_dial(b->w.net, &host, place, sim_node_place(b->w.nodes[other]), SIM_SERVICE_HOSTS,
                            &host_ops, &h));
    run_ms(b, 500);
    assert_true(h.ended);
    assert_int_equal(h.why.code, HF_NOT_LEADER);
    assert_string_equal(h.why.leader, sim_node_address(b->w.nodes[leader]));
    h = (struct heard){.ended = false};
    say_hello(sim_conn_dial(b->w.net, &host, place, sim_node_place(b->w.nodes[leader]), SIM_SERVICE_HOSTS,
                            &host_ops, &h));
    run_ms(b, 500);
    assert_false(h.ended);
    assert_true(h.pending);
    sim_node_power_off(b->w.nodes[leader]); /* with a stream open */
    run_ms(b, 8000);
    assert_true(h.ended);
    sim_proc_crash(&host);
    bed_free(b);
    sim_proc_done(&host);
}

static void a_call_ends_at_its_deadline(void **state)
{
    (void)state;
    struct bed *b = bed_create(6);
    unsigned leader = await_leader(b);
    client_start(b, 0);
    struct client *c = &b->clients[0];
    hf_timer_stop(&c->timer);
    c->node = leader;
    sim_node_disk(b->w.nodes[0])->hangs = true;
    sim_node_disk(b->w.nodes[1])->hangs = true;
    sim_node_disk(b->w.nodes[2])->hangs = true;
    ask(c);
    run_ms(b, 2990);
    assert_int_equal(b->calls_failed, 0);
    run_ms(b, 20);
    assert_int_equal(b->calls_failed, 1);
    bed_free(b);
}

static void leadership_is_handed_over(void **state)
{
    (void)state;
    struct bed *b = bed_create(7);
    unsigned leader = await_leader(b);
    sim_node_transfer(b->w.nodes[leader]);
    run_ms(b, 400);
    assert_false(sim_node_leads(b->w.nodes[leader]));
    assert_int_not_equal(await_leader(b), leader);
    bed_free(b);
}

int main(void)
{
    hf_log_set_level(HF_LOG_ERROR); /* elections are no news here */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_finds_the_leader_by_the_trailer),
        cmocka_unit_test(a_call_ends_at_its_deadline),
        cmocka_unit_test(leadership_is_handed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
