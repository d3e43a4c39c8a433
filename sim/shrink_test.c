#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/env.h"
#include "base/mem.h"
#include "sim/shrink.h"

#define TRIES_MAX 3000

/* What a made-up run needs in order to fail. */
struct need {
    int64_t numbers[4]; /* faults with these numbers; 0: no more */
    int64_t for_ns;     /* each of them lasts at least so long */
    int64_t hosts, instances;
    unsigned tries, tries_max;
};

static bool has(const struct sim_case *c, int64_t number, int64_t for_ns)
{
    for (size_t i = 0; i < c->schedule.n; i++)
        if (c->schedule.faults[i].number == number && c->schedule.faults[i].for_ns >= for_ns)
            return true;
    return false;
}

static bool fails(void *arg, const struct sim_case *c)
{
    struct need *n = arg;
    n->tries++;
    for (size_t i = 0; i < 4 && n->numbers[i]; i++)
        if (!has(c, n->numbers[i], n->for_ns))
            return false;
    return c->profile.hosts.low >= n->hosts && c->profile.instances.low >= n->instances;
}

static bool over(void *arg)
{
    const struct need *n = arg;
    return n->tries >= n->tries_max;
}

static struct sim_case make(size_t n)
{
    struct sim_case c = {0};
    hf_status st = sim_profile_find("default", &c.profile);
    assert_true(hf_ok(st));
    struct sim_sizes sizes = {.nodes = 5,
                              .hosts = 10,
                              .instances = 40,
                              .clients = 3,
                              .shared_storages = 2,
                              .fault_ns = 600 * HF_S_NS,
                              .timing = "fast"};
    sim_profile_pin(&c.profile, &sizes);
    c.schedule.n = n;
    c.schedule.faults = hf_alloc_array(n, sizeof *c.schedule.faults);
    memset(c.schedule.faults, 0, n * sizeof *c.schedule.faults);
    for (size_t i = 0; i < n; i++) {
        struct sim_fault *f = &c.schedule.faults[i];
        f->kind = SIM_FAULT_NET_POOR;
        f->at_ns = (int64_t)i * HF_S_NS;
        f->for_ns = 20 * HF_S_NS;
        f->number = (int64_t)i + 1;
        snprintf(f->subject, sizeof f->subject, "h%zu", i % 3 + 1);
    }
    return c;
}

static void shrink(struct sim_case *c, struct need *n)
{
    if (n->tries_max == 0)
        n->tries_max = TRIES_MAX;
    struct sim_shrinker by = {fails, over, n};
    sim_shrink(c, &by);
    assert_true(fails(n, c));
}

static void two_of_many_faults_are_left(void **state)
{
    (void)state;
    struct sim_case c = make(200);
    struct need n = {.numbers = {17, 180}};
    shrink(&c, &n);
    assert_int_equal(c.schedule.n, 2);
    assert_int_equal(c.schedule.faults[0].number, 17);
    assert_int_equal(c.schedule.faults[1].number, 180);
    assert_true(n.tries < 300);
    sim_schedule_done(&c.schedule);
}

static void failure_without_faults_leaves_none(void **state)
{
    (void)state;
    struct sim_case c = make(50);
    struct need n = {0};
    shrink(&c, &n);
    assert_int_equal(c.schedule.n, 0);
    sim_schedule_done(&c.schedule);
}

static void all_are_kept_when_all_are_needed(void **state)
{
    (void)state;
    struct sim_case c = make(4);
    struct need n = {.numbers = {1, 2, 3, 4}};
    shrink(&c, &n);
    assert_int_equal(c.schedule.n, 4);
    sim_schedule_done(&c.schedule);
}

static void durations_become_short(void **state)
{
    (void)state;
    struct sim_case c = make(20);
    struct need n = {.numbers = {5}, .for_ns = 3 * HF_S_NS};
    shrink(&c, &n);
    assert_int_equal(c.schedule.n, 1);
    assert_in_range(c.schedule.faults[0].for_ns, 3 * HF_S_NS, 6 * HF_S_NS);
    sim_schedule_done(&c.schedule);
}

static void world_becomes_small(void **state)
{
    (void)state;
    struct sim_case c = make(20);
    struct need n = {.numbers = {5}, .hosts = 4, .instances = 7};
    shrink(&c, &n);
    assert_int_equal(c.profile.hosts.low, 4);
    assert_int_equal(c.profile.instances.low, 7);
    assert_int_equal(c.profile.clients.low, 0);
    assert_int_equal(c.profile.nodes.low, 1);
    assert_true(c.profile.seconds.low < 10);
    hf_status st = sim_profile_check(&c.profile);
    assert_true(hf_ok(st));
    sim_schedule_done(&c.schedule);
}

/* A subject that a fault names stays in the world. */
static void hosts_that_are_named_stay(void **state)
{
    (void)state;
    struct sim_case c = make(20);
    struct need n = {.numbers = {3}}; /* strikes h3 */
    shrink(&c, &n);
    assert_int_equal(c.profile.hosts.low, 3);
    sim_schedule_done(&c.schedule);
}

static void time_is_bounded(void **state)
{
    (void)state;
    struct sim_case c = make(500);
    struct need n = {.numbers = {100, 200, 300, 400}, .tries_max = 30};
    shrink(&c, &n);
    assert_true(n.tries <= 35);
    assert_true(c.schedule.n < 500);
    sim_schedule_done(&c.schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_of_many_faults_are_left),
        cmocka_unit_test(failure_without_faults_leaves_none),
        cmocka_unit_test(all_are_kept_when_all_are_needed),
        cmocka_unit_test(durations_become_short),
        cmocka_unit_test(world_becomes_small),
        cmocka_unit_test(hosts_that_are_named_stay),
        cmocka_unit_test(time_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
