/* Placements: runs that only grow, and the guard's rule (DESIGN.md section 5, rule 5) told a second time, in
 * its own words: an instance leaves a life of a host only with that host's promise or proof that this life is
 * over.
 */
#include <inttypes.h>
#include <stdio.h>

#include "control/instance_step.h"
#include "holdfast/v1/instance.pb-c.h"
#include "sim/checks_int.h"

#define MEDIUM HOLDFAST__V1__INSTANCE_SPEC__RESTART_PRIORITY__MEDIUM /* of an instance without a priority */

typedef unsigned long long ull;
typedef Holdfast__V1__Instance Instance;

/* --- placements --- */

static bool covers(const struct sim_fence *f, const struct sim_instance *i)
{
    for (size_t k = 0; k < i->n_storages; k++)
        if (sim_fence_proves(f, &i->storages[k]->uuid))
            return true;
    return f->proves_all;
}

/* What the instance says, else its cluster. */
static bool is_write_fenced(const struct sim_checks *c, const Holdfast__V1__InstanceSpec *spec,
                            const struct sim_known_host *h)
{
    for (size_t k = 0; h != NULL && k < c->n_write_fenced; k++)
        if (spec->takeover == HOLDFAST__V1__TAKEOVER__TAKEOVER_UNSPECIFIED &&
            hf_uuid_equal(&c->write_fenced[k], &h->cluster))
            return true;
    return spec->takeover == HOLDFAST__V1__TAKEOVER__WRITE_FENCED;
}

static uint64_t end_digest(const Holdfast__V1__Placement__End *e)
{
    uint64_t d = sim_digest_u64(sim_digest_u64(SIM_DIGEST_EMPTY, (uint64_t)e->kind), e->epoch);
    return sim_digest_text(sim_digest_text(sim_digest_u64(d, e->run), e->host_uuid), e->fence_uuid);
}

static void take_migration(struct sim_checks *c, const Holdfast__V1__Placement__Migration *m,
                           struct sim_placement *ret)
{
    if (m == NULL)
        return;
    struct hf_uuid target = sim_uuid_of(m->target_host_uuid);
    ret->target = sim_host_of(c, &target);
    ret->target_epoch = m->target_epoch;
    ret->target_run = m->run;
    ret->moves = m->phase == HOLDFAST__V1__PLACEMENT__MIGRATION__PHASE__OPEN ||
                 m->phase == HOLDFAST__V1__PLACEMENT__MIGRATION__PHASE__CANCELLING;
    ret->handed_on = m->phase == HOLDFAST__V1__PLACEMENT__MIGRATION__PHASE__COMPLETED && m->end != NULL &&
                     m->end->kind == HOLDFAST__V1__PLACEMENT__END__KIND__HANDED_OVER;
}

static struct sim_placement placement_of(struct sim_checks *c, const Instance *m)
{
    const Holdfast__V1__Placement *p = m->placement;
    if (p == NULL || p->host_uuid[0] == '\0')
        return (struct sim_placement){0};
    struct hf_uuid host = sim_uuid_of(p->host_uuid);
    struct sim_placement r = {.host = sim_host_of(c, &host), .epoch = p->epoch, .run = p->run};
    if (p->end != NULL) {
        r.end = p->end->kind == HOLDFAST__V1__PLACEMENT__END__KIND__FENCED ? SIM_FENCED : SIM_STOPPED;
        r.end_digest = end_digest(p->end);
    }
    take_migration(c, p->migration, &r);
    return r;
}

static void refuse(struct sim_checks *c, int64_t now_ns, const struct sim_instance *i, const char *what)
{
    const struct sim_placement *p = &i->placement;
    sim_violated(c, now_ns, SIM_RULE_PLACEMENT, sim_subject(&i->uuid),
                 "instance '%s', run %llu on host %s in epoch %llu: %s", i->name, (ull)p->run,
                 sim_host_text(p->host), (ull)p->epoch, what);
}

/* The store says from now on that this run is over: is it? */
static void judge_end(struct sim_checks *c, int64_t now_ns, struct sim_instance *i,
                      const struct sim_placement *p)
{
    if (p->end == SIM_FENCED && i->write_fenced)
        i->unwriting_run = p->run;
    for (size_t k = 0; k < i->n_copies; k++)
        if (i->copies[k].run <= p->run && !sim_may_still_run(c, i, &i->copies[k]))
            sim_violated(
                c, now_ns, SIM_RULE_ENDED_RUNS, sim_subject(&i->uuid),
                "run %llu of instance '%s' was recorded as %s on host %s in epoch %llu, but run %llu "
                "executes on %s",
                (ull)p->run, i->name, p->end == SIM_FENCED ? "fenced" : "stopped", sim_host_text(p->host),
                (ull)p->epoch, (ull)i->copies[k].run, sim_host_text(sim_host_numbered(c, i->copies[k].host)));
    i->over_run = p->run;
    if (p->end == SIM_FENCED) {
        i->fenced_from = p->host;
        sim_judge_later(c, (struct sim_pending){
                               .kind = SIM_LEFT_FENCED, .host = p->host, .instance = i, .epoch = p->epoch});
    }
}

static bool end_fits(const Holdfast__V1__Placement *p)
{
    const Holdfast__V1__Placement__End *e = p->end;
    return strcmp(e->host_uuid, p->host_uuid) == 0 && e->epoch == p->epoch && e->run == p->run &&
           (e->kind == HOLDFAST__V1__PLACEMENT__END__KIND__STOPPED ||
            e->kind == HOLDFAST__V1__PLACEMENT__END__KIND__FENCED);
}

/* The target of an open migration has become the place of the instance. */
static bool is_completed(const struct sim_placement *b, const struct sim_placement *p)
{
    return b->moves && p->host == b->target && p->epoch == b->target_epoch && p->run == b->target_run;
}

/* Rule 6: only when the source has handed over, and executes no more. */
static void judge_completed(struct sim_checks *c, int64_t now_ns, struct sim_instance *i,
                            const struct sim_placement *p)
{
    if (!p->handed_on)
        refuse(c, now_ns, i, "its migration was completed without the source's word that it has handed over");
    for (size_t k = 0; k < i->n_copies; k++)
        sim_violated(
            c, now_ns, SIM_RULE_ENDED_RUNS, sim_subject(&i->uuid),
            "the migration of instance '%s' from %s to %s was completed, but run %llu executes on %s",
            i->name, sim_host_text(i->placement.host), sim_host_text(p->host), (ull)i->copies[k].run,
            sim_host_text(sim_host_numbered(c, i->copies[k].host)));
    i->over_run = i->placement.run;
}

/* Rule 6, on one place: the intent, and what may become of it there. */
static void judge_migration(struct sim_checks *c, int64_t now_ns, struct sim_instance *i,
                            const struct sim_placement *p)
{
    const struct sim_placement *b = &i->placement;
    if (b->moves && p->end != SIM_OPEN)
        refuse(c, now_ns, i, "it was ended while its migration was open");
    if (b->moves && p->moves && p->target_run != b->target_run)
        refuse(c, now_ns, i, "another migration took the place of one that was open");
    if (b->moves && !p->moves)
        i->called_off_run = b->target_run;
    if (p->moves && !b->moves) {
        if (p->target_run <= p->run)
            refuse(c, now_ns, i, "the run of a copy is not above its own");
        sim_judge_later(c,
                        (struct sim_pending){
                            .kind = SIM_PLACED, .host = p->target, .instance = i, .epoch = p->target_epoch});
    }
}

static void judge_new_run(struct sim_checks *c, int64_t now_ns, struct sim_instance *i,
                          const struct sim_placement *p)
{
    const struct sim_placement *b = &i->placement;
    if (is_completed(b, p)) {
        judge_completed(c, now_ns, i, p);
        return;
    }
    if (p->run <= b->run || p->run <= i->called_off_run)
        sim_violated(c, now_ns, SIM_RULE_GROWS, sim_subject(&i->uuid),
                     "instance '%s' went from run %llu on %s in epoch %llu to run %llu on %s in epoch %llu",
                     i->name, (ull)b->run, sim_host_text(b->host), (ull)b->epoch, (ull)p->run,
                     sim_host_text(p->host), (ull)p->epoch);
    if (b->host != NULL && b->end == SIM_OPEN)
        refuse(c, now_ns, i, "it was placed anew although this run is not proven over");
    if (p->end != SIM_OPEN)
        refuse(c, now_ns, i, "it was replaced by a placement that is ended already");
    sim_judge_later(
        c, (struct sim_pending){.kind = SIM_PLACED, .host = p->host, .instance = i, .epoch = p->epoch});
}

static void judge_placement(struct sim_checks *c, int64_t now_ns, struct sim_instance *i, const Instance *m,
                            const struct sim_placement *p)
{
    const struct sim_placement *b = &i->placement;
    bool same = b->host == p->host && b->epoch == p->epoch && b->run == p->run;
    if (p->host == NULL) {
        if (b->host != NULL)
            sim_violated(c, now_ns, SIM_RULE_GROWS, sim_subject(&i->uuid),
                         "instance '%s' lost the record of its run %llu", i->name, (ull)b->run);
        return;
    }
    if (same)
        judge_migration(c, now_ns, i, p);
    if (!same)
        judge_new_run(c, now_ns, i, p);
    else if (b->end != SIM_OPEN && p->end_digest != b->end_digest)
        refuse(c, now_ns, i, "its end was changed");
    if (p->end != SIM_OPEN && (!same || b->end == SIM_OPEN)) {
        if (!end_fits(m->placement))
            refuse(c, now_ns, i, "it was ended by a report about another run");
        judge_end(c, now_ns, i, p);
    }
}

/* --- instances --- */

static bool takes_room(const struct sim_instance *i)
{
    return i->stored && !i->deleted && i->placement.host != NULL && i->placement.end == SIM_OPEN;
}

bool sim_may_run_on(const struct sim_instance *i, const struct sim_known_host *h)
{
    const struct sim_placement *p = &i->placement;
    return takes_room(i) && (p->host == h || (p->moves && p->target == h));
}

/* What an open placement takes of its host's room, or gives back. */
static void use_room_of(const struct sim_instance *i, struct sim_known_host *h, bool take)
{
    h->cpus_used = take ? h->cpus_used + i->cpus : h->cpus_used - i->cpus;
    h->memory_used = take ? h->memory_used + i->memory_bytes : h->memory_used - i->memory_bytes;
}

static void use_room(const struct sim_instance *i, bool take)
{
    if (!takes_room(i))
        return;
    use_room_of(i, i->placement.host, take);
    if (i->placement.moves)
        use_room_of(i, i->placement.target, take);
}

static void take_storages(struct sim_checks *c, int64_t now_ns, struct sim_instance *i,
                          const Holdfast__V1__InstanceSpec *spec)
{
    bool same = true;
    size_t n = 0;
    struct sim_store_storage *list[SIM_DISKS_MAX] = {0};
    for (size_t k = 0; k < spec->n_storage_uuids && n < SIM_DISKS_MAX; k++) {
        struct hf_uuid storage = sim_uuid_of(spec->storage_uuids[k]);
        list[n] = sim_storage_of(c, &storage);
        same &= n < i->n_storages && i->storages[n] == list[n];
        n++;
    }
    if (i->placement.host != NULL && i->placement.end == SIM_OPEN && (!same || n != i->n_storages))
        refuse(c, now_ns, i, "its storages changed while this run may execute");
    memcpy(i->storages, list, sizeof list);
    i->n_storages = n;
}

static void take_status(struct sim_instance *i, int64_t now_ns, const Instance *m)
{
    uint32_t failures = m->status != NULL ? m->status->start_failures : 0;
    if (failures > i->start_failures)
        i->clock_ns = now_ns + hf_start_backoff_ms(failures) * SIM_MS_NS;
    i->start_failures = failures;
    i->says[0] = '\0';
    for (size_t k = 0; m->status != NULL && k < m->status->n_conditions; k++)
        if (!m->status->conditions[k]->ok)
            snprintf(i->says, sizeof i->says, "%s", m->status->conditions[k]->message);
}

/* With the end of its run a NeverStop instance that is wanted running stays wanted: it starts again, unless
 * it is held after too many ends. */
static void judge_never_stop(struct sim_checks *c, int64_t now_ns, struct sim_instance *i, const Instance *m,
                             const struct sim_placement *p)
{
    bool ends = i->placement.host != NULL && i->placement.end == SIM_OPEN && p->end != SIM_OPEN;
    bool wanted = m->spec->power == HOLDFAST__V1__POWER_STATE__POWER_RUNNING;
    bool says_held =
        m->status != NULL && m->status->crash_loop != NULL && m->status->crash_loop->held_since_ms != 0;
    i->ends += ends && i->wanted && p->end == SIM_STOPPED;
    if (says_held && i->ends >= SIM_CRASH_LOOP_TRIES)
        return;
    if (ends && i->never_stop && i->wanted && !wanted && !c->ha_off)
        sim_violated(c, now_ns, SIM_RULE_NEVER_STOP, sim_subject(&i->uuid),
                     "instance '%s' is NeverStop and was wanted running, but with the end of its run %llu on "
                     "%s nobody wants it to run any more",
                     i->name, (ull)p->run, sim_host_text(p->host));
}

static void take_instance(struct sim_checks *c, int64_t now_ns, struct sim_instance *i, const Instance *m)
{
    static const Holdfast__V1__InstanceSpec none = HOLDFAST__V1__INSTANCE_SPEC__INIT;
    const Holdfast__V1__InstanceSpec *spec = m->spec != NULL ? m->spec : &none;
    struct sim_placement p = placement_of(c, m);
    if (m->meta != NULL)
        snprintf(i->name, sizeof i->name, "%s", m->meta->name);
    take_storages(c, now_ns, i, spec);
    sim_take_groups(i, spec);
    i->write_fenced = is_write_fenced(c, spec, p.host);
    judge_placement(c, now_ns, i, m, &p);
    if (m->spec != NULL && !spec->deleting)
        judge_never_stop(c, now_ns, i, m, &p);
    i->placement = p;
    i->never_stop = spec->ha_level == HOLDFAST__V1__HA_LEVEL__NEVER_STOP;
    i->deleting = spec->deleting;
    i->wanted = spec->power == HOLDFAST__V1__POWER_STATE__POWER_RUNNING && !spec->deleting;
    i->paused = spec->power == HOLDFAST__V1__POWER_STATE__POWER_PAUSED && !spec->deleting;
    struct hf_uuid bound_to = sim_uuid_of(spec->host_uuid);
    i->bound_to = spec->host_uuid[0] != '\0' ? sim_host_of(c, &bound_to) : NULL;
    i->cpus = spec->cpus;
    i->memory_bytes = spec->memory_bytes;
    i->priority = spec->restart_priority != 0 ? (int)spec->restart_priority : MEDIUM;
    i->told_ns = now_ns;
    if (!i->wanted && p.run > i->unwanted_run)
        i->unwanted_run = p.run;
    take_status(i, now_ns, m);
}

void sim_apply_instance(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *uuid,
                        const uint8_t *bytes, size_t len)
{
    struct sim_instance *i = sim_instance_of(c, uuid);
    const Instance *m = bytes != NULL ? sim_decode(c, &holdfast__v1__instance__descriptor, bytes, len) : NULL;
    if (bytes != NULL && m == NULL)
        return;
    sim_never_stop_before(c, now_ns);
    use_room(i, false);
    if (m != NULL && i->deleted)
        sim_violated(c, now_ns, SIM_RULE_LOST, sim_subject(uuid),
                     "instance '%s' is there again after it was deleted", i->name);
    if (m == NULL && i->placement.host != NULL && i->placement.end == SIM_OPEN)
        refuse(c, now_ns, i, "it was deleted although this run is not proven over");
    i->stored = true;
    i->deleted = m == NULL;
    if (m != NULL)
        take_instance(c, now_ns, i, m);
    sim_apply_nics(c, now_ns, i, m);
    use_room(i, true);
    sim_never_stop_instance(c, now_ns, i);
}

/* --- at the end of the transaction --- */

/* The first instance that may run there, or NULL. */
static const struct sim_instance *first_on(const struct sim_checks *c, const struct sim_known_host *h)
{
    const struct sim_instance *i = c->instance_list;
    while (i != NULL && !sim_may_run_on(i, h))
        i = i->next;
    return i;
}

bool sim_is_at_rest(const struct sim_checks *c, const struct sim_known_host *h)
{
    return h->may_be_silent && first_on(c, h) == NULL;
}

/* Rule 15: unable to write is enough for one that is write-fenced. */
static void judge_left(struct sim_checks *c, int64_t now_ns, const struct sim_fence *f,
                       const struct sim_instance *i)
{
    const struct sim_store_storage *open = f != NULL ? sim_not_refused_at(f, i) : NULL;
    char text[160];
    if (f == NULL || !(covers(f, i) || (i->write_fenced && sim_writes_are_refused(f, i)))) {
        refuse(c, now_ns, i, "it was ended as fenced, but there is no evidence for a storage of it");
    } else if (!covers(f, i)) {
        c->unwriting++;
    } else if (open != NULL && !f->own_word) {
        snprintf(text, sizeof text, "it was ended as fenced, but '%s' was not seen to refuse its host",
                 open->name);
        refuse(c, now_ns, i, text);
    }
}

void sim_judge_pending(struct sim_checks *c, int64_t now_ns, const struct sim_pending *p)
{
    const struct sim_known_host *h = p->host;
    const struct sim_fence *f = sim_fence_of(c, h, p->kind == SIM_GRANT ? p->from : p->epoch);
    const struct sim_instance *i;
    switch (p->kind) {
    case SIM_GRANT:
        if (p->from > 0 && (f == NULL || f->n_evidence == 0))
            sim_violated(c, now_ns, SIM_RULE_PLACEMENT, sim_subject(&h->uuid),
                         "host %s was granted epoch %llu, but nothing proves epoch %llu over",
                         sim_host_text(h), (ull)p->epoch, (ull)p->from);
        break;
    case SIM_PLACED:
        if (!h->stored || h->deleted || h->epoch != p->epoch || f != NULL)
            refuse(c, now_ns, p->instance,
                   f != NULL ? "it was placed in a fenced epoch" : "its host does not live this epoch");
        sim_judge_apart(c, now_ns, p->instance, h);
        sim_judge_priority(c, now_ns, p->instance, h);
        sim_judge_reach(c, now_ns, p->instance, p->host);
        break;
    case SIM_LEFT_FENCED:
        if (h->epoch <= p->epoch)
            judge_left(c, now_ns, f, p->instance);
        break;
    case SIM_NEXT_EPOCH:
        if (h->epoch <= p->epoch)
            sim_violated(c, now_ns, SIM_RULE_PLACEMENT, sim_subject(&h->uuid),
                         "the next epoch of host %s counts as proof against epoch %llu, but was not granted",
                         sim_host_text(h), (ull)p->epoch);
        break;
    case SIM_HOST_GONE:
        if (h->deleted && (f == NULL || f->n_evidence == 0) && (i = first_on(c, h)) != NULL)
            refuse(c, now_ns, i, "its host was deleted although this run is not proven over");
        break;
    }
}
