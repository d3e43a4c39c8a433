/* Random faults on hosts, storages, networks and leaders, with migrations under way, in virtual time under a
 * seed. At every step at most one copy of an instance runs (cloud_run); when all faults are over, every
 * NeverStop instance runs again and the store knows where. Another seed: ha_chaos_test SEED.
 */
#include "base/log.h"
#include "control/cloud_testing.h"
#include "control/controllers_state.h"
#include "control/migration_controller.h"
#include "control/placement_guard.h"

#define STATE(name) HOLDFAST__V1__INSTANCE_STATUS__STATE__##name
#define SEEDS       12
#define FAULTS      40
#define INSTANCES   6 /* of them the first four are NeverStop */
#define HEAL_MS     180000

static uint64_t only_seed;

static unsigned roll(struct cloud *c, unsigned n)
{
    uint32_t r;
    hf_env_random(c->raft.env, &r, sizeof r);
    return r % n;
}

static void heal(struct cloud *c, struct fake_host *h)
{
    if (!h->up)
        host_power_on(h);
    h->silent = h->no_network = h->no_storage = false;
    (void)c;
}

static void guest_ends(struct cloud *c)
{
    for (unsigned n = 1; n <= INSTANCES; n++) {
        char uuid[HF_UUID_STR];
        instance_uuid(n, uuid);
        for (unsigned k = 0; k < c->n_hosts; k++) {
            struct fake_run *r = host_find_run(&c->hosts[k], uuid);
            if (r != NULL && r->live && c->hosts[k].up && !c->hosts[k].silent && roll(c, 4) == 0)
                host_guest_ends(&c->hosts[k], n);
        }
    }
}

/* One of them sets out for another host, and the next faults strike in the middle of it. */
static void migrate(struct cloud *c)
{
    struct hf_controllers *cs = leader_control(c)->controllers;
    struct hf_world_object *o = cs->working ? hf_world_find(cs->world, HOLDFAST__V1__KIND__INSTANCE,
                                                            cloud_instance(1 + roll(c, INSTANCES)))
                                            : NULL;
    if (o != NULL)
        hf_status_drop(hf_migration_start(cs, o, NULL, NULL)); /* many are refused */
}

static void one_fault(struct cloud *c)
{
    struct fake_host *h = &c->hosts[roll(c, c->n_hosts)];
    switch (roll(c, 10)) {
    case 0:
        host_power_off(h);
        break;
    case 1:
        if (h->up && !h->silent)
            host_hang(h);
        break;
    case 2:
        h->no_network = true;
        break;
    case 3:
        h->no_storage = true;
        break;
    case 4:
        cluster_cut(&c->raft, c->leader, true);
        break;
    case 5:
        host_drop_stream(h);
        break;
    case 6:
        guest_ends(c);
        break;
    default:
        heal(c, h);
        for (unsigned i = 0; i < MEMBERS; i++)
            cluster_cut(&c->raft, i, false);
        break;
    }
}

static void run_following(struct cloud *c, int64_t ms)
{
    for (int64_t end = c->clock_ms + ms; c->clock_ms < end;) {
        cloud_run(c, 100);
        cloud_follow_leader(c);
    }
}

static unsigned completed, called_off;

/* None is left open, and both ends were met. */
static void count_migrations(struct cloud *c, const char *uuid, bool *right)
{
    Holdfast__V1__Instance *i = cloud_get(c, HOLDFAST__V1__KIND__INSTANCE, uuid);
    *right &= !hf_migration_open(i->placement);
    if (i->placement->migration != NULL) {
        bool moved = i->placement->migration->phase == HOLDFAST__V1__PLACEMENT__MIGRATION__PHASE__COMPLETED;
        completed += moved;
        called_off += !moved;
    }
    free_message(i);
}

/* The run that the store has open is the one that lives, and nowhere else. */
static void check_at_rest(struct cloud *c, uint64_t seed)
{
    for (unsigned n = 1; n <= INSTANCES; n++) {
        char uuid[HF_UUID_STR];
        instance_uuid(n, uuid);
        int live = 0, host = instance_host(c, n);
        for (unsigned k = 0; k < c->n_hosts; k++)
            live += host_live_runs(&c->hosts[k], uuid);
        bool right = n <= 4 ? live == 1 && host >= 0 && host_live_runs(&c->hosts[host], uuid) == 1 &&
                                  instance_state(c, n) == STATE(RUNNING)
                            : live == (host >= 0);
        count_migrations(c, uuid, &right);
        if (!right)
            print_error("seed %llu: instance %u: %d live, state %d, placed on %d, run %d\n",
                        (unsigned long long)seed, n, live, instance_state(c, n), host,
                        (int)instance_run(c, n));
        assert_true(right);
    }
}

static void one_history(uint64_t seed)
{
    struct cloud *c = cloud_ready_seeded(4, seed);
    for (unsigned n = 1; n <= INSTANCES; n++)
        cloud_create_instance(c, n, n <= 4);
    cloud_run(c, 5000);
    for (int i = 0; i < FAULTS; i++) {
        migrate(c);
        run_following(c, roll(c, 1000));
        one_fault(c);
        run_following(c, 200 + roll(c, 12000));
    }
    for (unsigned k = 0; k < c->n_hosts; k++)
        heal(c, &c->hosts[k]);
    for (unsigned i = 0; i < MEMBERS; i++)
        cluster_cut(&c->raft, i, false);
    run_following(c, HEAL_MS);
    check_at_rest(c, seed);
    cloud_free(c);
}

static void no_history_runs_an_instance_twice_or_loses_it(void **state)
{
    (void)state;
    uint64_t first = only_seed != 0 ? only_seed : 1, last = only_seed != 0 ? only_seed : SEEDS;
    for (uint64_t seed = first; seed <= last; seed++)
        one_history(seed);
    if (only_seed == 0)
        assert_true(completed > 0 && called_off > 0);
}

int main(int argc, char **argv)
{
    hf_log_set_level(HF_LOG_ERROR);
    only_seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_history_runs_an_instance_twice_or_loses_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
