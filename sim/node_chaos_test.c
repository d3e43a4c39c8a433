/* Simulated control nodes and clients under power cuts, crashes between two acts, pauses, sick disks and a
 * bad network: nothing acknowledged is lost, nothing happens twice, all nodes end with the same store, and a
 * seed gives the same run again.
 */
#include "sim/node_testing.h"

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

int main(void)
{
    hf_log_set_level(HF_LOG_ERROR); /* elections are no news here */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_under_faults),
        cmocka_unit_test(a_seed_gives_the_same_run_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
