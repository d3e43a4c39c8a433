/* Rule 6 in the guard: a placement with an open migration may be at either end, so that it cannot end; and a
 * migration is closed only by proof for one of its two copies. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/guard_object.h"
#include "control/placement_guard_int.h"

typedef Holdfast__V1__Placement Placement;
typedef Holdfast__V1__Placement__Migration Migration;
#define PHASE(name) HOLDFAST__V1__PLACEMENT__MIGRATION__PHASE__##name

bool hf_migration_open(const Placement *p)
{
    return p != NULL && p->migration != NULL &&
           (p->migration->phase == PHASE(OPEN) || p->migration->phase == PHASE(CANCELLING));
}

bool hf_placement_touches(const Placement *p, const char *host_uuid)
{
    return hf_placement_open(p) &&
           (strcmp(p->host_uuid, host_uuid) == 0 ||
            (hf_migration_open(p) && strcmp(p->migration->target_host_uuid, host_uuid) == 0));
}

bool hf_placement_at(const Placement *p, const char *host_uuid, uint64_t epoch)
{
    if (!hf_placement_open(p))
        return false;
    return (p->epoch == epoch && strcmp(p->host_uuid, host_uuid) == 0) ||
           (hf_migration_open(p) && p->migration->target_epoch == epoch &&
            strcmp(p->migration->target_host_uuid, host_uuid) == 0);
}

uint64_t hf_placement_last_run(const Placement *p)
{
    uint64_t run = p != NULL ? p->run : 0;
    return p != NULL && p->migration != NULL && p->migration->run > run ? p->migration->run : run;
}

static bool same_identity(const Migration *b, const Migration *a)
{
    return b->run == a->run && b->target_epoch == a->target_epoch &&
           strcmp(b->target_host_uuid, a->target_host_uuid) == 0;
}

/* The intent: committed while the run is nowhere else. */
static bool check_opened(struct hf_guard_case *g, const Holdfast__V1__Instance *before, const Placement *a)
{
    const Placement *b = before->placement;
    const Migration *m = a->migration;
    const char *name = g->change->name;
    uint64_t last = hf_placement_last_run(b);
    if (b->end != NULL || a->end != NULL)
        return hf_guard_refuse(g, "migrate instance '%s': its run %" PRIu64 " is over", name, b->run);
    if (m->phase != PHASE(OPEN) || m->end != NULL)
        return hf_guard_refuse(g, "migrate instance '%s': migration %" PRIu64 " was never opened", name,
                               m->run);
    if (m->run <= last)
        return hf_guard_refuse(
            g, "migrate instance '%s': the run of its copy must be above %" PRIu64 ", not %" PRIu64, name,
            last, m->run);
    if (strcmp(m->target_host_uuid, b->host_uuid) == 0)
        return hf_guard_refuse(g, "migrate instance '%s': it is on host %s already", name, b->host_uuid);
    char *doing = hf_printf("migrate instance '%s'", name);
    bool ok = hf_guard_check_host(g, doing, m->target_host_uuid, m->target_epoch, before->spec);
    free(doing);
    return ok;
}

/* Called off: the target's copy can never live. */
static bool check_cancelled(struct hf_guard_case *g, const Holdfast__V1__Instance *before, const Migration *m)
{
    if (m->end == NULL)
        return hf_guard_refuse(g,
                               "call off migration %" PRIu64
                               " of instance '%s': its copy on host %s (epoch %" PRIu64
                               ") is not proven over",
                               m->run, g->change->name, m->target_host_uuid, m->target_epoch);
    return hf_guard_check_end(g, before, m->end, m->target_host_uuid, m->target_epoch, m->run);
}

static bool check_phase(struct hf_guard_case *g, const Holdfast__V1__Instance *before, const Migration *m)
{
    const Migration *b = before->placement->migration;
    if (m->phase == PHASE(CANCELLED))
        return check_cancelled(g, before, m);
    if (m->end == NULL && (m->phase == b->phase || m->phase == PHASE(CANCELLING)))
        return true;
    return hf_guard_refuse(g, "migration %" PRIu64 " of instance '%s' cannot go from phase %d to phase %d",
                           m->run, g->change->name, (int)b->phase, (int)m->phase);
}

bool hf_guard_check_migration(struct hf_guard_case *g, const Holdfast__V1__Instance *before,
                              const Placement *after)
{
    const Placement *b = before->placement;
    const Migration *bm = b->migration, *am = after->migration;
    if (am == NULL)
        return bm == NULL ||
               hf_guard_refuse(g, "instance '%s': the record of its migration %" PRIu64 " must be kept",
                               g->change->name, bm->run);
    if (bm != NULL && !hf_migration_open(b) && hf_guard_same_message(&bm->base, &am->base))
        return true;
    if (bm != NULL && hf_migration_open(b)) {
        if (!same_identity(bm, am))
            return hf_guard_refuse(g, "instance '%s': its migration %" PRIu64 " to host %s is not over",
                                   g->change->name, bm->run, bm->target_host_uuid);
        return check_phase(g, before, am);
    }
    if (bm != NULL && same_identity(bm, am))
        return hf_guard_refuse(g, "instance '%s': the end of its migration %" PRIu64 " is final",
                               g->change->name, bm->run);
    return check_opened(g, before, after);
}

bool hf_guard_check_completed(struct hf_guard_case *g, const Holdfast__V1__Instance *before,
                              const Placement *after)
{
    const Placement *b = before->placement;
    const Migration *bm = b->migration, *am = after->migration;
    const Holdfast__V1__Placement__End *end = am != NULL ? am->end : NULL;
    const char *name = g->change->name;
    if (strcmp(after->host_uuid, bm->target_host_uuid) != 0 || after->epoch != bm->target_epoch ||
        after->run != bm->run || after->end != NULL)
        return hf_guard_refuse(g,
                               "instance '%s': its migration %" PRIu64 " leads to host %s (epoch %" PRIu64
                               "), not to run %" PRIu64 " on host %s (epoch %" PRIu64 ")",
                               name, bm->run, bm->target_host_uuid, bm->target_epoch, after->run,
                               after->host_uuid, after->epoch);
    if (am == NULL || am->phase != PHASE(COMPLETED) || !same_identity(bm, am))
        return hf_guard_refuse(g, "instance '%s': its migration %" PRIu64 " is not completed", name, bm->run);
    if (end == NULL || end->kind != HOLDFAST__V1__PLACEMENT__END__KIND__HANDED_OVER ||
        strcmp(end->host_uuid, b->host_uuid) != 0 || end->epoch != b->epoch || end->run != b->run)
        return hf_guard_refuse(g,
                               "instance '%s': host %s (epoch %" PRIu64 ") has not handed over run %" PRIu64,
                               name, b->host_uuid, b->epoch, b->run);
    return true;
}
