/* The set-up and the clients against real control nodes, without a host: what can be done without one is
 * done, and what cannot is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sim/user.h"
#include "sim/watcher.h"
#include "sim/workload.h"

#define NODES 3
#define S     HF_S_NS

static struct sim_world *make(uint64_t seed)
{
    struct sim_world *w = HF_NEW(struct sim_world);
    w->sim = sim_create(seed);
    w->net = sim_net_create(w->sim);
    w->timing = hf_ha_timing_find("default");
    w->profile.request_ms = 300;
    w->sizes = (struct sim_sizes){.nodes = NODES, .hosts = 1, .clients = 3, .shared_storages = 2};
    for (unsigned i = 0; i < NODES; i++)
        w->nodes[i] = sim_node_create(w, i);
    struct hf_uuid unknown = {{0}};
    w->shared[0] = sim_storage_create(w, &unknown, "shared1", true);
    w->shared[1] = sim_storage_create(w, &unknown, "shared2", true);
    w->local[0] = sim_storage_create(w, &unknown, "local", false);
    struct sim_host_options o = {.cpus = 4, .memory_bytes = 1ull << 32, .watchdog = "hardware"};
    w->hosts[0] = sim_host_create(w, 0, &o);
    w->workload = sim_workload_create(w);
    return w;
}

static void end(struct sim_world *w)
{
    for (unsigned i = 0; i < NODES; i++)
        sim_node_power_off(w->nodes[i]);
    sim_workload_stop(w->workload);
    sim_free(w->sim);
    sim_workload_free(w->workload);
    sim_host_free(w->hosts[0]);
    for (unsigned i = 0; i < NODES; i++)
        sim_node_free(w->nodes[i]);
    sim_storage_free(w->shared[0]);
    sim_storage_free(w->shared[1]);
    sim_storage_free(w->local[0]);
    sim_net_free(w->net);
    free(w);
}

static void run(struct sim_world *w, int64_t seconds)
{
    sim_run_until(w->sim, sim_now_ns(w->sim) + seconds * S);
}

static void assert_waits_for(const struct sim_world *w, const char *text)
{
    if (strstr(sim_workload_waits_for(w->workload), text) == NULL)
        fail_msg("it waits for something else: %s", sim_workload_waits_for(w->workload));
}

static void nodes_without_power_are_waited_for(void **state)
{
    (void)state;
    struct sim_world *w = make(1);
    sim_workload_set_up(w->workload);
    run(w, 100);
    assert_waits_for(w, "create the zone: ");
    assert_false(sim_workload_ready(w->workload));
    for (unsigned i = 0; i < NODES; i++)
        sim_node_power_on(w->nodes[i]);
    run(w, 40);
    assert_waits_for(w, "add a host: ");
    end(w);
}

static void a_host_that_does_not_dial_in_is_waited_for(void **state)
{
    (void)state;
    struct sim_world *w = make(2);
    for (unsigned i = 0; i < NODES; i++)
        sim_node_power_on(w->nodes[i]);
    sim_workload_set_up(w->workload);
    run(w, 20);
    assert_waits_for(w, "no host daemon waits with management address");
    assert_true(hf_ok(sim_workload_error(w->workload)));
    assert_false(hf_uuid_is_zero(sim_storage_uuid(w->shared[1])));
    assert_false(hf_uuid_is_zero(sim_storage_uuid(w->local[0])));
    end(w);
}

static uint64_t clients_digest(uint64_t seed, uint64_t *ret_requests)
{
    struct sim_world *w = make(seed);
    for (unsigned i = 0; i < NODES; i++)
        sim_node_power_on(w->nodes[i]);
    sim_workload_set_up(w->workload);
    run(w, 20);
    sim_workload_begin(w->workload);
    run(w, 60);
    sim_node_power_off(w->nodes[0]);
    run(w, 30);
    sim_node_power_on(w->nodes[0]);
    run(w, 30);
    sim_workload_end(w->workload);
    run(w, 60);
    for (unsigned i = 0; i < w->sizes.clients; i++)
        assert_int_equal(w->workload->users[i].n_sent, 0);
    assert_true(sim_watcher_events(w->workload->watcher) > 10);
    assert_true(sim_watcher_compared(w->workload->watcher) > 1);
    *ret_requests = sim_workload_requests(w->workload);
    uint64_t digest = sim_digest(w->sim);
    end(w);
    return digest;
}

static void clients_work_and_end_what_they_began(void **state)
{
    (void)state;
    uint64_t requests, again;
    uint64_t digest = clients_digest(3, &requests);
    assert_in_range(requests, 3 * 200, 3 * 600);
    assert_int_equal(clients_digest(3, &again), digest);
    assert_int_equal(again, requests);
    assert_int_not_equal(clients_digest(4, &again), digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_without_power_are_waited_for),
        cmocka_unit_test(a_host_that_does_not_dial_in_is_waited_for),
        cmocka_unit_test(clients_work_and_end_what_they_began),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
