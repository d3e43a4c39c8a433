/* Hard anti-affinity groups: no placement puts two of one on a host. */
#include "holdfast/v1/instance.pb-c.h"
#include "sim/checks_int.h"

static struct hf_uuid *find(struct sim_checks *c, const struct hf_uuid *group)
{
    for (size_t k = 0; k < c->n_apart; k++)
        if (hf_uuid_equal(&c->apart[k], group))
            return &c->apart[k];
    return NULL;
}

void sim_apply_group(struct sim_checks *c, const struct hf_uuid *uuid, const uint8_t *bytes, size_t len)
{
    const Holdfast__V1__AffinityGroup *m =
        bytes != NULL ? sim_decode(c, &holdfast__v1__affinity_group__descriptor, bytes, len) : NULL;
    bool apart = m != NULL && m->spec != NULL && m->spec->hard &&
                 m->spec->policy == HOLDFAST__V1__AFFINITY_GROUP_SPEC__POLICY__ANTI_AFFINITY;
    struct hf_uuid *known = find(c, uuid);
    if (apart && known == NULL && c->n_apart < SIM_GROUPS_KNOWN)
        c->apart[c->n_apart++] = *uuid;
    else if (!apart && known != NULL)
        *known = c->apart[--c->n_apart];
}

void sim_take_groups(struct sim_instance *i, const Holdfast__V1__InstanceSpec *spec)
{
    i->n_groups = 0;
    for (size_t k = 0; k < spec->n_affinity_group_uuids && i->n_groups < SIM_GROUPS_MAX; k++)
        i->groups[i->n_groups++] = sim_uuid_of(spec->affinity_group_uuids[k]);
}

static bool are_apart(struct sim_checks *c, const struct sim_instance *a, const struct sim_instance *b)
{
    for (size_t k = 0; k < a->n_groups; k++)
        for (size_t n = 0; n < b->n_groups; n++)
            if (hf_uuid_equal(&a->groups[k], &b->groups[n]) && find(c, &a->groups[k]) != NULL)
                return true;
    return false;
}

const struct sim_instance *sim_kept_apart_by(const struct sim_checks *c, const struct sim_instance *i,
                                             const struct sim_known_host *h,
                                             const struct sim_instance *without)
{
    for (const struct sim_instance *o = c->instance_list; i->n_groups > 0 && o != NULL; o = o->next)
        if (o != i && o != without && sim_may_run_on(o, h) && are_apart((struct sim_checks *)c, i, o))
            return o;
    return NULL;
}

void sim_judge_apart(struct sim_checks *c, int64_t now_ns, const struct sim_instance *i,
                     const struct sim_known_host *h)
{
    const struct sim_instance *o = sim_kept_apart_by(c, i, h, NULL);
    if (o != NULL && i->placement.end == SIM_OPEN)
        sim_violated(c, now_ns, SIM_RULE_APART, sim_subject(&i->uuid),
                     "instance '%s' was placed on host %s, where '%s' of its hard anti-affinity group is",
                     i->name, sim_host_text(h), o->name);
}
