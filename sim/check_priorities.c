/* Restart priorities: the last room goes to who waits with a higher one. */
#include "sim/checks_int.h"

/* What has waited, or stood, for so long is known to whoever places. */
#define KNOWN_NS  (3000 * SIM_MS_NS)
#define LEADER_NS (20000 * SIM_MS_NS)

static bool same_storages(const struct sim_instance *a, const struct sim_instance *b)
{
    bool same = a->n_storages == b->n_storages;
    for (size_t k = 0; same && k < a->n_storages; k++)
        same = a->storages[k] == b->storages[k];
    return same;
}

/* It has run, and for a while nothing but a host has been missing. */
static bool waits(const struct sim_instance *i, int64_t now_ns)
{
    const struct sim_placement *p = &i->placement;
    return i->stored && !i->deleted && i->wanted && i->has_run && p->host != NULL && p->end != SIM_OPEN &&
           i->start_failures == 0 && i->operations == 0 && i->bound_to == NULL &&
           now_ns - i->told_ns > KNOWN_NS;
}

static bool is_calm(const struct sim_checks *c, int64_t now_ns)
{
    return !c->no_quorum && !c->disturbed && !c->ha_off && now_ns - c->calm_since_ns > KNOWN_NS &&
           now_ns - c->leader_since_ns > LEADER_NS;
}

void sim_judge_priority(struct sim_checks *c, int64_t now_ns, const struct sim_instance *i,
                        const struct sim_known_host *h)
{
    if (!is_calm(c, now_ns) || h->healthy_since_ns > now_ns - KNOWN_NS)
        return;
    for (const struct sim_instance *o = c->instance_list; o != NULL; o = o->next)
        if (o != i && o->priority > i->priority && waits(o, now_ns) && same_storages(o, i) &&
            !sim_room_for(c, o) && sim_fits(c, o, h, i))
            sim_violated(
                c, now_ns, SIM_RULE_PRIORITY, sim_subject(&i->uuid),
                "instance '%s' was placed on host %s and took the last room of '%s', which waits with "
                "a higher priority",
                i->name, sim_host_text(h), o->name);
}
