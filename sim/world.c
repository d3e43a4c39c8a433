#include "sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "ha/ha_timing_mutant.h"
#include "sim/ceph.h"
#include "sim/ceph_runner.h"
#include "sim/trace.h"
#include "sim/power.h"
#include "sim/workload.h"

#define GIB          (1024ULL * 1024 * 1024)
#define HOST_CPUS    16 /* each host has room for as many small instances as the others leave to it */
#define HOST_MEMORY  (64 * GIB)
#define WALL_SKEW_MS 3600000 /* wall clocks that nobody has set right */
#define BOOT_MAX_MS  2000    /* between the first and the last machine */
#define SLICE_NS     (100 * HF_MS_NS)

/* --- making --- */

static void on_violation(void *arg, const struct sim_violation *v)
{
    struct sim_world *w = arg;
    sim_trace(w->sim, "VIOLATION", "%s: %s", sim_rule_name(v->rule), v->text);
    if (!w->keep_going)
        sim_stop(w->sim);
}

#define SAME_CLUSTER_PPM 300000 /* of the worlds with several Ceph storages: they are pools of one cluster   \
                                 */

static void make_ceph(struct sim_world *w, unsigned i)
{
    struct sim_rng r = sim_rng_make(sim_seed(w->sim), "same cluster", 0);
    struct sim_ceph *there = NULL;
    for (unsigned k = 0; k < i && !there; k++)
        there = sim_storage_ceph(w->shared[k]);
    if (there && sim_rng_chance(&r, SAME_CLUSTER_PPM))
        sim_storage_make_ceph(w->shared[i], sim_ceph_ref(there));
    else
        sim_storage_make_ceph(w->shared[i],
                              sim_ceph_create(w->sim, i, w->sizes.nodes, w->profile.shared_address_ppm));
}

static void make_storages(struct sim_world *w)
{
    struct hf_uuid unknown = {{0}};
    for (unsigned i = 0; i < w->sizes.shared_storages; i++) {
        char name[SIM_PROC_NAME];
        snprintf(name, sizeof name, "shared%u", i + 1);
        w->shared[i] = sim_storage_create(w, &unknown, name, true);
        if (w->sizes.ceph & 1u << i)
            make_ceph(w, i);
    }
    for (unsigned i = 0; i < w->sizes.hosts; i++)
        w->local[i] = sim_storage_create(w, &unknown, "local", false);
}

/* No clock is exact: rates stay within half of the drift that the timing header allows for between any two.
 */
static int32_t draw_rate(struct sim_rng *r, const struct sim_world *w)
{
    int64_t most = w->timing->drift_ppm / 2;
    return (int32_t)sim_rng_between(r, -most, most);
}

static void make_hosts(struct sim_world *w, struct sim_rng *r)
{
    struct sim_rng gates = sim_rng_make(sim_seed(w->sim), "gates", 0);
    for (unsigned i = 0; i < w->sizes.hosts; i++) {
        struct sim_host_options o = {
            .cpus = HOST_CPUS,
            .memory_bytes = HOST_MEMORY,
            .watchdog = sim_rng_chance(r, w->profile.no_watchdog_ppm) ? "none" : "hardware",
            .rate_ppm = draw_rate(r, w),
            .watchdog_rate_ppm = draw_rate(r, w),
            .wall_offset_ms = sim_rng_between(r, -WALL_SKEW_MS, WALL_SKEW_MS),
            .no_gate = sim_rng_chance(&gates, w->profile.no_gate_ppm),
        };
        w->hosts[i] = sim_host_create(w, i, &o);
    }
}

static struct sim_world *make(const struct sim_run_options *o)
{
    struct sim_world *w = HF_NEW(struct sim_world);
    w->sim = sim_create(o->seed);
    sim_trace_to(w->sim, o->trace, o->trace_arg);
    sim_trace_logs(w->sim);
    w->keep_going = o->keep_going;
    w->profile = *o->profile;
    w->sizes = sim_sizes_draw(o->seed, o->profile);
    w->timing = hf_ha_timing_sound(w->sizes.timing);
    w->net = sim_net_create(w->sim);
    w->checks = sim_checks_create(w->timing, on_violation, w);
    struct sim_rng r = sim_rng_make(o->seed, "world", 0);
    make_storages(w);
    for (unsigned i = 0; i < w->sizes.nodes; i++)
        w->nodes[i] = sim_node_create(w, i);
    make_hosts(w, &r);
    for (unsigned i = 0; i < w->sizes.nodes; i++)
        w->power[i] = sim_power_create(w, i, sim_node_proc(w->nodes[i]));
    for (unsigned i = 0; i < w->sizes.nodes && w->sizes.ceph != 0; i++)
        w->ceph[i] = sim_ceph_runner_create(w, i, sim_node_proc(w->nodes[i]));
    w->workload = sim_workload_create(w);
    return w;
}

static void end(struct sim_world *w)
{
    sim_trace_to(w->sim, NULL, NULL); /* what follows is no history */
    for (unsigned i = 0; i < w->sizes.hosts; i++)
        sim_host_power_off(w->hosts[i]);
    for (unsigned i = 0; i < w->sizes.nodes; i++)
        sim_node_power_off(w->nodes[i]);
    sim_workload_stop(w->workload);
    sim_trace_logs(NULL);
    sim_free(w->sim);
    sim_workload_free(w->workload);
    for (unsigned i = 0; i < w->sizes.nodes; i++)
        sim_power_free(w->power[i]);
    for (unsigned i = 0; i < w->sizes.nodes; i++)
        sim_ceph_runner_free(w->ceph[i]);
    for (unsigned i = 0; i < w->sizes.hosts; i++)
        sim_host_free(w->hosts[i]);
    for (unsigned i = 0; i < w->sizes.nodes; i++)
        sim_node_free(w->nodes[i]);
    for (unsigned i = 0; i < w->sizes.shared_storages; i++)
        sim_storage_free(w->shared[i]);
    for (unsigned i = 0; i < w->sizes.hosts; i++)
        sim_storage_free(w->local[i]);
    sim_net_free(w->net);
    sim_checks_free(w->checks);
    free(w);
}

/* --- running --- */

static void run_for(struct sim_world *w, int64_t ns)
{
    sim_run_until(w->sim, sim_now_ns(w->sim) + ns);
}

static void power_on(struct sim_world *w)
{
    struct sim_rng r = sim_rng_make(sim_seed(w->sim), "boot", 0);
    for (unsigned i = 0; i < w->sizes.nodes; i++) {
        sim_node_power_on(w->nodes[i]);
        run_for(w, sim_rng_between(&r, 0, BOOT_MAX_MS) * HF_MS_NS);
    }
    for (unsigned i = 0; i < w->sizes.hosts; i++) {
        sim_host_power_on(w->hosts[i]);
        run_for(w, sim_rng_between(&r, 0, BOOT_MAX_MS / 10) * HF_MS_NS);
    }
}

static hf_status set_up(struct sim_world *w)
{
    power_on(w);
    sim_workload_set_up(w->workload);
    int64_t until = sim_now_ns(w->sim) + SIM_SET_UP_MAX_S * HF_S_NS;
    hf_status st = HF_STATUS_OK;
    while (hf_ok(st) && !sim_workload_ready(w->workload) && !sim_stopped(w->sim) &&
           sim_now_ns(w->sim) < until) {
        run_for(w, SLICE_NS);
        st = sim_workload_error(w->workload);
    }
    if (!hf_ok(st))
        return hf_wrap(st, "seed %llu", (unsigned long long)sim_seed(w->sim));
    if (sim_workload_ready(w->workload) || sim_stopped(w->sim))
        return HF_STATUS_OK;
    return hf_error(
        HF_INTERNAL, "seed %llu: the world was not ready after %d s of virtual time and without faults: %s",
        (unsigned long long)sim_seed(w->sim), SIM_SET_UP_MAX_S, sim_workload_waits_for(w->workload));
}

static void run_faults(struct sim_world *w, const struct sim_schedule *given)
{
    struct sim_schedule drawn = {0};
    if (!given)
        drawn = sim_schedule_draw(sim_seed(w->sim), &w->profile, &w->sizes);
    sim_trace(w->sim, "world", "ready: faults begin");
    sim_schedule_arm(w, given ? given : &drawn);
    sim_workload_begin(w->workload);
    run_for(w, w->sizes.fault_ns);
    sim_schedule_done(&drawn);
}

static void settle(struct sim_world *w)
{
    int64_t calm_since = sim_now_ns(w->sim);
    sim_trace(w->sim, "world", "faults are over: it has to settle");
    w->faults_over = true;
    sim_workload_end(w->workload);
    run_for(w, w->sizes.settle_ns);
    if (!sim_stopped(w->sim))
        sim_checks_end(w->checks, sim_now_ns(w->sim), calm_since);
}

static int64_t wall_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t); /* of the report only: nothing in the world sees it */
    return (int64_t)t.tv_sec * HF_S_NS + t.tv_nsec;
}

static void fill_in(const struct sim_world *w, struct sim_result *ret)
{
    const struct sim_violation *v;
    ret->digest = sim_digest(w->sim);
    ret->events = sim_events(w->sim);
    ret->virtual_ns = sim_now_ns(w->sim);
    ret->requests = sim_workload_requests(w->workload);
    ret->failovers = sim_checks_failovers(w->checks);
    ret->by_blocklist = sim_checks_unwriting(w->checks);
    memcpy(ret->faults, w->faults, sizeof ret->faults);
    ret->n_violations = sim_checks_violations(w->checks, &v);
    memcpy(ret->violations, v, ret->n_violations * sizeof *v);
}

hf_status sim_world_run(const struct sim_run_options *o, struct sim_result *ret)
{
    int64_t began = wall_ns();
    *ret = (struct sim_result){.seed = o->seed};
    struct sim_world *w = make(o);
    hf_status st = set_up(w);
    if (hf_ok(st) && !sim_stopped(w->sim))
        run_faults(w, o->schedule);
    if (hf_ok(st) && !sim_stopped(w->sim))
        settle(w);
    fill_in(w, ret);
    end(w);
    ret->wall_ns = wall_ns() - began;
    return st;
}
