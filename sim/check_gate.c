/* The gate (DESIGN.md section 5, rule 2): whom a keeper lets become a guest. */
#include <stdio.h>

#include "sim/checks_int.h"

typedef unsigned long long ull;

/* Longest age of a lease, in true time, that a clock can take for less than L: it is as slow as the header
 * allows. */
static int64_t fresh_at_most_ns(const struct sim_checks *c)
{
    return (c->timing->lease_ms + 1) * (1000000 + c->timing->drift_ppm);
}

/* The first storage that the instance needs and that this host has no fresh lease on, or NULL. */
static const struct sim_store_storage *stale_storage(const struct sim_checks *c, int64_t now_ns,
                                                     struct sim_known_host *h, const struct sim_instance *i)
{
    for (size_t k = 0; k < i->n_storages; k++) {
        const struct sim_lease *l = sim_lease_of(&h->facts, &i->storages[k]->uuid);
        if (i->storages[k]->shared && (l == NULL || now_ns - l->started_ns > fresh_at_most_ns(c)))
            return i->storages[k];
    }
    return NULL;
}

void sim_checks_let_in(struct sim_checks *c, int64_t now_ns, unsigned host, const struct hf_uuid *instance,
                       uint64_t run, enum sim_gate_state state)
{
    struct sim_known_host *h = sim_host_numbered(c, host);
    const struct sim_instance *i = sim_instance_of(c, instance);
    const struct sim_store_storage *stale = stale_storage(c, now_ns, h, i);
    char now[SIM_TIME_TEXT], why[2 * SIM_NAME];
    if (state == SIM_GATE_NO_PERMIT)
        snprintf(why, sizeof why, "it has no permit");
    else if (state == SIM_GATE_CLOSED)
        snprintf(why, sizeof why, "its epoch or its storage is closed there");
    else if (i->stored && run <= i->over_run)
        snprintf(why, sizeof why, "the store has recorded its end");
    else if (stale != NULL)
        snprintf(why, sizeof why, "the lease on storage '%s' is older than L", stale->name);
    else
        return;
    sim_violated(c, now_ns, SIM_RULE_GATE, sim_subject(&i->uuid),
                 "run %llu of instance '%s' was let through the gate on %s at %s, although %s", (ull)run,
                 i->name, sim_host_text(h), sim_time_text(now_ns, now), why);
}
