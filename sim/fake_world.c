/* Worlds without a cloud, for the tests of hf-sim itself (run_test.py): what a seed does is told by its last
 * digit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "sim/world.h"

#define VIRTUAL_S 100

/* Fails when these two strike, whatever else does. */
static bool needed_faults(const struct sim_schedule *s)
{
    bool power = false, jump = false;
    for (size_t i = 0; i < s->n; i++) {
        power |= s->faults[i].kind == SIM_FAULT_HOST_POWER;
        jump |= s->faults[i].kind == SIM_FAULT_WALL_JUMP;
    }
    return power && jump;
}

static void violate(struct sim_result *r, int64_t at_ns)
{
    struct sim_violation v = {.rule = SIM_RULE_TWO_COPIES, .at_ns = at_ns};
    r->virtual_ns = at_ns;
    snprintf(v.text, sizeof v.text, "instance 'i1' runs on h1 and h2");
    r->violations[r->n_violations++] = v;
}

static void trace(const struct sim_run_options *o, int64_t second, const char *text)
{
    if (o->trace)
        o->trace(o->trace_arg, second * HF_S_NS, "h1", text);
}

hf_status sim_world_run(const struct sim_run_options *o, struct sim_result *ret)
{
    struct sim_sizes sizes = sim_sizes_draw(o->seed, o->profile);
    struct sim_schedule drawn = sim_schedule_draw(o->seed, o->profile, &sizes);
    const struct sim_schedule *s = o->schedule ? o->schedule : &drawn;
    *ret = (struct sim_result){
        .seed = o->seed, .digest = o->seed * 31, .events = 10, .failovers = 2, .requests = 3};
    ret->virtual_ns = VIRTUAL_S * HF_S_NS;
    ret->wall_ns = HF_MS_NS;
    for (size_t i = 0; i < s->n; i++)
        ret->faults[s->faults[i].kind]++;
    trace(o, 1, "boots");
    hf_status st = HF_STATUS_OK;
    if (o->seed % 10 == 3 && needed_faults(s))
        violate(ret, sizes.fault_ns);
    if (o->seed % 10 == 4)
        HF_NEVER("the world is round");
    if (o->seed % 10 == 5) {
        ret->digest += (uint64_t)getpid();
        char text[40];
        snprintf(text, sizeof text, "process %d", (int)getpid());
        trace(o, 2, text);
    }
    while (o->seed % 10 == 6)
        pause();
    if (o->seed % 10 == 7)
        st = hf_error(HF_INTERNAL, "seed %llu: the world was not ready", (unsigned long long)o->seed);
    sim_schedule_done(&drawn);
    return st;
}

const char *sim_rule_name(enum sim_rule r)
{
    return r == SIM_RULE_TWO_COPIES ? "two-copies" : "?";
}
