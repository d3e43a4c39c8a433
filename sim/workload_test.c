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

#define NODES     3
#define HOSTS     2
#define INSTANCES 10
#define S         HF_S_NS

static struct sim_world *make(uint64_t seed)
{
    struct sim_world *w = HF_NEW(struct sim_world);
    w->sim = sim_create(seed);
    w->net = sim_net_create(w->sim);
    w->timing = hf_ha_timing_find("default");
    w->profile.request_ms = 300;
    w->profile.local_ppm = 200000;
    w->sizes = (struct sim_sizes){
        .nodes = NODES, .hosts = HOSTS, .instances = INSTANCES, .clients = 3, .shared_storages = 2};
    w->checks = sim_checks_create(w->timing, NULL, NULL);
    for (unsigned i = 0; i < NODES; i++)
        w->nodes[i] = sim_node_create(w, i);
    struct hf_uuid unknown = {{0}};
    w->shared[0] = sim_storage_create(w, &unknown, "shared1", true);
    w->shared[1] = sim_storage_create(w, &unknown, "shared2", true);
    struct sim_host_options o = {.cpus = 16, .memory_bytes = 1ull << 36, .watchdog = "hardware"};
    for (unsigned i = 0; i < HOSTS; i++) {
        w->local[i] = sim_storage_create(w, &unknown, "local", false);
        w->hosts[i] = sim_host_create(w, i, &o);
    }
    w->workload = sim_workload_create(w);
    return w;
}

static void end(struct sim_world *w)
{
    for (unsigned i = 0; i < HOSTS; i++)
        sim_host_power_off(w->hosts[i]);
    for (unsigned i = 0; i < NODES; i++)
        sim_node_power_off(w->nodes[i]);
    sim_workload_stop(w->workload);
    sim_free(w->sim);
    sim_workload_free(w->workload);
    for (unsigned i = 0; i < HOSTS; i++)
        sim_host_free(w->hosts[i]);
    for (unsigned i = 0; i < NODES; i++)
        sim_node_free(w->nodes[i]);
    for (unsigned i = 0; i < 2; i++)
        sim_storage_free(w->shared[i]);
    for (unsigned i = 0; i < HOSTS; i++)
        sim_storage_free(w->local[i]);
    sim_net_free(w->net);
    sim_checks_free(w->checks);
    free(w);
}

static void run(struct sim_world *w, int64_t seconds)
{
    sim_run_until(w->sim, sim_now_ns(w->sim) + seconds * S);
}

static void power_on(struct sim_world *w, unsigned hosts)
{
    for (unsigned i = 0; i < NODES; i++)
        sim_node_power_on(w->nodes[i]);
    for (unsigned i = 0; i < hosts; i++)
        sim_host_power_on(w->hosts[i]);
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
    power_on(w, 0);
    run(w, 40);
    assert_waits_for(w, "add a host: ");
    end(w);
}

static void a_host_that_does_not_dial_in_is_waited_for(void **state)
{
    (void)state;
    struct sim_world *w = make(2);
    power_on(w, 1);
    sim_workload_set_up(w->workload);
    run(w, 20);
    assert_waits_for(w, "no host daemon waits with management address");
    assert_non_null(strstr(sim_workload_waits_for(w->workload), sim_host_management_ip(w->hosts[1])));
    assert_true(hf_ok(sim_workload_error(w->workload)));
    assert_false(hf_uuid_is_zero(sim_storage_uuid(w->shared[1])));
    assert_false(hf_uuid_is_zero(sim_storage_uuid(w->local[0])));
    end(w);
}

static size_t guests(const struct sim_world *w)
{
    size_t n = 0;
    for (unsigned i = 0; i < HOSTS; i++)
        n += sim_host_guests(w->hosts[i]);
    return n;
}

static void set_up(struct sim_world *w)
{
    power_on(w, HOSTS);
    sim_workload_set_up(w->workload);
    for (int i = 0; i < 120 && !sim_workload_ready(w->workload); i++)
        run(w, 1);
    if (!sim_workload_ready(w->workload))
        fail_msg("the cloud is not ready: %s", sim_workload_waits_for(w->workload));
}

static void a_cloud_comes_up(void **state)
{
    (void)state;
    struct sim_world *w = make(3);
    set_up(w);
    for (unsigned i = 0; i < HOSTS; i++)
        assert_true(sim_host_attached(w->hosts[i]));
    assert_int_equal(guests(w), INSTANCES);
    end(w);
}

/* The clients work for some minutes, one of them without the node that led. */
static uint64_t clients_digest(uint64_t seed, uint64_t *ret_requests)
{
    struct sim_world *w = make(seed);
    const struct sim_violation *v;
    set_up(w);
    sim_workload_begin(w->workload);
    run(w, 60);
    unsigned leader = 0;
    while (leader < NODES - 1 && !sim_node_leads(w->nodes[leader]))
        leader++;
    sim_node_power_off(w->nodes[leader]);
    run(w, 60);
    sim_node_power_on(w->nodes[leader]);
    run(w, 60);
    sim_workload_end(w->workload);
    run(w, 60);
    for (unsigned i = 0; i < w->sizes.clients; i++)
        assert_int_equal(w->workload->users[i].n_sent, 0);
    if (sim_checks_violations(w->checks, &v) > 0)
        fail_msg("%s: %s", sim_rule_name(v->rule), v->text);
    assert_true(sim_watcher_events(w->workload->watcher) > 100);
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
    assert_in_range(requests, 3 * 200, 3 * 700);
    assert_int_equal(clients_digest(3, &again), digest);
    assert_int_equal(again, requests);
    assert_int_not_equal(clients_digest(4, &again), digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_without_power_are_waited_for),
        cmocka_unit_test(a_host_that_does_not_dial_in_is_waited_for),
        cmocka_unit_test(a_cloud_comes_up),
        cmocka_unit_test(clients_work_and_end_what_they_began),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
