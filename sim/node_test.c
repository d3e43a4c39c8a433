/* Three simulated control nodes and clients that create zones, with power cuts, crashes between two acts,
 * pauses, sick disks and a bad network: nothing acknowledged is lost, nothing happens twice, all nodes end
 * with the same store, and a seed gives the same run again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "control/kinds.h"
#include "holdfast/v1/host_link.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"
#include "sim/node_private.h"

#define NODES     3
#define CLIENTS   4
#define ZONES_MAX 4096 /* per client */

#define MS(n) ((n)*HF_MS_NS)

struct bed;

/* Creates zones, one after the other, each until it is answered. */
struct client {
    struct bed *bed;
    struct sim_proc proc;
    unsigned i, place, node;
    struct sim_api_call *call;
    struct hf_timer timer;
    struct hf_uuid zones[ZONES_MAX];
    unsigned n;      /* acknowledged */
    unsigned trials; /* of the one under way */
    bool got;
    bool resting;
};

struct bed {
    struct sim_world w;
    struct client clients[CLIENTS];
    bool over; /* no new zones */
    struct sim_rng rng;
    bool faults;
    unsigned calls_failed;
};

/* --- clients --- */

static void ask(void *arg);

static unsigned node_at(const struct bed *b, const char *address)
{
    for (unsigned i = 0; i < NODES; i++)
        if (strcmp(sim_node_address(b->w.nodes[i]), address) == 0)
            return i;
    fail_msg("no node has the address '%s'", address);
    return 0;
}

static void on_zone(void *arg, const ProtobufCMessage *m)
{
    struct client *c = arg;
    const Holdfast__V1__Zone *z = (const Holdfast__V1__Zone *)(const void *)m;
    assert_true(hf_uuid_parse(z->meta->uuid, &c->zones[c->n]));
    c->got = true;
}

static void on_end(void *arg, const struct sim_end_reason *why)
{
    struct client *c = arg;
    c->call = NULL;
    int64_t pause_ms = (int64_t)sim_rng_below(&c->bed->rng, 400);
    if (why->code == HF_OK) {
        assert_true(c->got);
        c->n++;
        c->trials = 0;
        assert_true(c->n < ZONES_MAX);
    } else {
        assert_int_not_equal(why->code, HF_EXISTS); /* it was its own first try that created it */
        assert_int_not_equal(why->code, HF_INVALID);
        c->bed->calls_failed++;
        c->node = why->leader[0] != 0 ? node_at(c->bed, why->leader) : (c->node + 1) % NODES;
        pause_ms = pause_ms / 4 + 10;
    }
    hf_timer_start(&c->proc.env, &c->timer, pause_ms, ask, c);
}

static const struct sim_api_call_ops call_ops = {on_zone, on_end};

static void ask(void *arg)
{
    struct client *c = arg;
    c->resting = c->bed->over && c->trials == 0;
    if (c->resting)
        return;
    char name[64], id[64];
    snprintf(name, sizeof name, "zone-%u-%u", c->i, c->n);
    snprintf(id, sizeof id, "%u/%u", c->i, c->n);
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    Holdfast__V1__Zone zone = HOLDFAST__V1__ZONE__INIT;
    Holdfast__V1__CreateZoneRequest r = HOLDFAST__V1__CREATE_ZONE_REQUEST__INIT;
    meta.name = name;
    zone.meta = &meta;
    r.request_id = id;
    r.zone = &zone;
    c->got = false;
    c->trials++;
    c->call = sim_api_call(&c->bed->w, &c->proc, c->place, c->node, "Zone", "CreateZone", &r.base, 3000,
                           &call_ops, c);
}

static void client_crashed(void *arg)
{
    struct client *c = arg;
    if (c->call != NULL)
        sim_api_cancel(c->call);
}

static void client_start(struct bed *b, unsigned i)
{
    struct client *c = &b->clients[i];
    char name[SIM_PROC_NAME];
    snprintf(name, sizeof name, "c%u", i + 1);
    *c = (struct client){.bed = b, .i = i, .node = i % NODES, .place = sim_net_add(b->w.net, name)};
    sim_proc_init(&c->proc, b->w.sim, name, i);
    c->proc.crashed = client_crashed;
    c->proc.arg = c;
    sim_proc_start(&c->proc);
    hf_timer_start(&c->proc.env, &c->timer, 1, ask, c);
}

/* --- the bed --- */

static struct bed *bed_create(uint64_t seed)
{
    struct bed *b = HF_NEW(struct bed);
    b->w.sim = sim_create(seed);
    b->w.net = sim_net_create(b->w.sim);
    b->w.sizes.nodes = NODES;
    b->w.timing = hf_ha_timing_find("default");
    b->w.checks = sim_checks_create(b->w.timing, NULL, NULL);
    b->rng = sim_rng_make(seed, "bed", 0);
    for (unsigned i = 0; i < NODES; i++)
        b->w.nodes[i] = sim_node_create(&b->w, i);
    for (unsigned i = 0; i < NODES; i++)
        sim_node_power_on(b->w.nodes[i]);
    return b;
}

static void bed_free(struct bed *b)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        if (b->clients[i].bed != NULL)
            sim_proc_crash(&b->clients[i].proc);
    for (unsigned i = 0; i < NODES; i++)
        sim_node_power_off(b->w.nodes[i]);
    sim_free(b->w.sim);
    for (unsigned i = 0; i < NODES; i++)
        sim_node_free(b->w.nodes[i]);
    for (unsigned i = 0; i < CLIENTS; i++)
        if (b->clients[i].bed != NULL)
            sim_proc_done(&b->clients[i].proc);
    sim_net_free(b->w.net);
    sim_checks_free(b->w.checks);
    free(b);
}

static void run_ms(struct bed *b, int64_t ms)
{
    sim_run_until(b->w.sim, sim_now_ns(b->w.sim) + MS(ms));
}

static unsigned await_leader(struct bed *b)
{
    for (int ms = 0; ms < 60000; ms += 50) {
        run_ms(b, 50);
        for (unsigned i = 0; i < NODES; i++)
            if (sim_node_leads(b->w.nodes[i]))
                return i;
    }
    fail_msg("nobody leads after a minute");
    return 0;
}

/* --- faults, as the seed says --- */

static void end_fault(struct bed *b, int64_t low_ms, int64_t high_ms, sim_fn fn, void *arg)
{
    sim_after(b->w.sim, MS(sim_rng_between(&b->rng, low_ms, high_ms)), fn, NULL, arg);
}

static void power_back(void *arg)
{
    sim_node_power_on(arg);
}

static void go_on(void *arg)
{
    sim_proc_cont(arg);
}

static void heal_disk(void *arg)
{
    *sim_node_disk(arg) = (struct sim_node_disk){0};
}

static void heal_way(void *arg)
{
    *(struct sim_way *)arg = (struct sim_way){0};
}

static void fuse_crashes(void *arg, struct sim_proc *p)
{
    (void)arg;
    sim_proc_crash(p);
}

static void fuse_stops(void *arg, struct sim_proc *p)
{
    struct bed *b = arg;
    sim_proc_stop(p);
    end_fault(b, 10, 5000, go_on, p);
}

static void arm_fuse(struct bed *b, struct sim_proc *p, void (*on_fuse)(void *arg, struct sim_proc *p))
{
    p->fuse = (unsigned)sim_rng_between(&b->rng, 1, 60);
    p->on_fuse = on_fuse;
    p->fuse_arg = b;
}

static void break_way(struct bed *b, unsigned from, unsigned to, struct sim_way as)
{
    struct sim_way *way =
        sim_net_way(b->w.net, sim_node_place(b->w.nodes[from]), sim_node_place(b->w.nodes[to]));
    *way = as;
    end_fault(b, 500, 8000, heal_way, way);
}

static void strike(void *arg)
{
    struct bed *b = arg;
    if (!b->faults)
        return;
    unsigned i = (unsigned)sim_rng_below(&b->rng, NODES),
             j = (i + 1 + (unsigned)sim_rng_below(&b->rng, 2)) % NODES;
    struct sim_node *n = b->w.nodes[i];
    struct sim_way cut = {.cut = true};
    struct sim_way poor = {.loss_ppm = 200000, .duplicate_ppm = 200000, .delay_ms = 60};
    switch (sim_rng_below(&b->rng, 11)) {
    case 0:
        sim_node_power_off(n);
        end_fault(b, 100, 10000, power_back, n);
        break;
    case 1:
    case 2:
        arm_fuse(b, sim_node_proc(n), fuse_crashes);
        break;
    case 3:
        arm_fuse(b, sim_node_proc(n), fuse_stops);
        break;
    case 4:
        sim_node_disk(n)->hangs = true;
        end_fault(b, 100, 5000, heal_disk, n);
        break;
    case 5:
        sim_node_disk(n)->delay_ms = 300;
        end_fault(b, 1000, 9000, heal_disk, n);
        break;
    case 6:
        sim_node_disk(n)->full = true;
        end_fault(b, 100, 5000, heal_disk, n);
        break;
    case 7:
        break_way(b, i, j, cut);
        break;
    case 8:
        for (unsigned k = 1; k < NODES; k++) {
            break_way(b, i, (i + k) % NODES, cut);
            break_way(b, (i + k) % NODES, i, cut);
        }
        break;
    case 9:
        break_way(b, i, j, poor);
        break_way(b, j, i, poor);
        break;
    default:
        sim_node_transfer(n);
    }
    sim_after(b->w.sim, MS(sim_rng_between(&b->rng, 50, 3000)), strike, NULL, b);
}

/* --- what must hold --- */

static const struct hf_store *store_of(const struct bed *b, unsigned i)
{
    const struct hf_control *c = sim_node_control(b->w.nodes[i]);
    assert_non_null(c);
    return hf_control_store(c);
}

static void assert_same_stores(const struct bed *b, unsigned other)
{
    const struct hf_store *a = store_of(b, 0), *s = store_of(b, other);
    assert_int_equal(hf_store_revision(a), hf_store_revision(s));
    for (uint32_t kind = 0; kind < HF_KIND_MAX; kind++) {
        assert_int_equal(hf_store_count(a, kind), hf_store_count(s, kind));
        for (const struct hf_object *o = hf_store_next(a, kind, ""); o != NULL;
             o = hf_store_next(a, kind, o->name)) {
            const struct hf_object *twin = hf_store_get(s, &o->uuid);
            assert_non_null(twin);
            assert_int_equal(o->revision, twin->revision);
            assert_int_equal(o->bytes->len, twin->bytes->len);
            assert_memory_equal(o->bytes->data, twin->bytes->data, o->bytes->len);
        }
    }
}

static void assert_nothing_lost_or_doubled(const struct bed *b)
{
    const struct hf_store *s = store_of(b, 0);
    unsigned acknowledged = 0;
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *c = &b->clients[i];
        assert_true(c->resting);
        acknowledged += c->n;
        for (unsigned z = 0; z < c->n; z++) {
            char name[64];
            snprintf(name, sizeof name, "zone-%u-%u", i, z);
            const struct hf_object *o = hf_store_get_kind(s, HOLDFAST__V1__KIND__ZONE, &c->zones[z]);
            assert_non_null(o);
            assert_string_equal(o->name, name);
        }
    }
    assert_int_equal(hf_store_count(s, HOLDFAST__V1__KIND__ZONE), acknowledged);
}

/* Whatever a node applied, it was what the others applied. */
static void assert_no_violation(const struct bed *b)
{
    const struct sim_violation *v;
    if (sim_checks_violations(b->w.checks, &v) > 0)
        fail_msg("%s: %s", sim_rule_name(v->rule), v->text);
}

static bool all_rest(const struct bed *b)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        if (!b->clients[i].resting)
            return false;
    return true;
}

/* The digest; ret_zones: how many were created. */
static uint64_t run_seed(uint64_t seed, int64_t seconds, unsigned *ret_zones)
{
    struct bed *b = bed_create(seed);
    for (unsigned i = 0; i < CLIENTS; i++)
        client_start(b, i);
    b->faults = true;
    sim_after(b->w.sim, MS(5000), strike, NULL, b);
    run_ms(b, seconds * 1000);
    b->faults = false;
    run_ms(b, 20000); /* every fault ends */
    b->over = true;
    for (int i = 0; i < 60 && !all_rest(b); i++)
        run_ms(b, 1000);
    run_ms(b, 10000);
    assert_nothing_lost_or_doubled(b);
    for (unsigned i = 1; i < NODES; i++)
        assert_same_stores(b, i);
    assert_no_violation(b);
    *ret_zones = 0;
    for (unsigned i = 0; i < CLIENTS; i++)
        *ret_zones += b->clients[i].n;
    uint64_t digest = sim_digest(b->w.sim);
    bed_free(b);
    return digest;
}

/* --- tests --- */

static void nothing_is_lost_under_faults(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        unsigned zones;
        run_seed(seed, 200, &zones);
        assert_true(zones > 100);
    }
}

static void a_seed_gives_the_same_run_again(void **state)
{
    (void)state;
    unsigned zones[2];
    uint64_t first = run_seed(77, 120, &zones[0]), again = run_seed(77, 120, &zones[1]);
    assert_int_equal(first, again);
    assert_int_equal(zones[0], zones[1]);
    assert_int_not_equal(first, run_seed(78, 120, &zones[1]));
}

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
        cmocka_unit_test(nothing_is_lost_under_faults),
        cmocka_unit_test(a_seed_gives_the_same_run_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
