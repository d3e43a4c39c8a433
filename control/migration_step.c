#include "control/migration_step.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "control/conditions.h"
#include "control/placement_guard.h"

typedef Holdfast__V1__Instance Instance;
typedef Holdfast__V1__InstanceReport InstanceReport;
typedef Holdfast__V1__Placement__Migration Migration;
typedef Holdfast__V1__Placement__End End;
#define PHASE(name) HOLDFAST__V1__PLACEMENT__MIGRATION__PHASE__##name
#define SEEN(name)  HOLDFAST__V1__INSTANCE_REPORT__STATE__##name
#define END(name)   HOLDFAST__V1__PLACEMENT__END__KIND__##name
#define MOVE(name)  HOLDFAST__V1__INSTANCE_REPORT__MOVE__STATE__##name

/* --- the beginning --- */

hf_status hf_migration_check(const Instance *i)
{
    bool runs = hf_placement_open(i->placement) && i->status != NULL &&
                i->status->seen_run == i->placement->run &&
                i->status->state == HOLDFAST__V1__INSTANCE_STATUS__STATE__RUNNING;
    if (i->spec->deleting)
        return hf_error(HF_PRECONDITION, "it is being deleted");
    if (hf_migration_open(i->placement))
        return hf_error(HF_PRECONDITION, "it migrates already");
    if (i->spec->power == HOLDFAST__V1__POWER_STATE__POWER_PAUSED ||
        (i->status != NULL && i->status->state == HOLDFAST__V1__INSTANCE_STATUS__STATE__PAUSED))
        return hf_error(HF_PRECONDITION, "it is paused; resume it first");
    if (i->spec->power != HOLDFAST__V1__POWER_STATE__POWER_RUNNING || !runs)
        return hf_error(HF_PRECONDITION, "it does not run: only a running instance migrates");
    if (i->spec->reboot_generation > i->status->reboot_done)
        return hf_error(HF_PRECONDITION, "it is about to reboot");
    return HF_STATUS_OK;
}

void hf_migration_open_intent(Instance *i, const char *target_host_uuid, uint64_t target_epoch,
                              int64_t wall_ms)
{
    Holdfast__V1__Placement *p = i->placement;
    HF_ASSERT(hf_placement_open(p) && !hf_migration_open(p));
    uint64_t run = hf_placement_last_run(p) + 1;
    if (p->migration != NULL)
        protobuf_c_message_free_unpacked(&p->migration->base, NULL);
    Migration *m = p->migration = HF_NEW(Migration);
    holdfast__v1__placement__migration__init(m);
    m->phase = PHASE(OPEN);
    hf_pb_set(&m->target_host_uuid, target_host_uuid);
    m->target_epoch = target_epoch;
    m->run = run;
    m->started_at_ms = wall_ms;
    i->status->migration_percent = 0;
    hf_pb_set(&i->status->migrating_to_host_uuid, target_host_uuid);
    hf_condition_clear(&i->status->conditions, &i->status->n_conditions, HF_CONDITION_MIGRATION);
}

/* --- what was said --- */

static bool is_over(const InstanceReport *r)
{
    return r != NULL && r->state == SEEN(STOPPED);
}

static bool handed_over(const InstanceReport *r)
{
    return is_over(r) && (r->handed_over || HF_MUTANT(STOPPED_IS_HANDED_OVER));
}

/* The source promises that nothing of this migration is under way, nor will be. */
static bool gave_up(const InstanceReport *r, uint64_t run)
{
    return r != NULL && r->move != NULL && r->move->run == run && r->move->state == MOVE(FAILED);
}

static bool target_ready(const struct hf_migration_facts *f)
{
    return f->target != NULL && f->target->state == SEEN(INCOMING);
}

static bool target_over(const struct hf_migration_facts *f)
{
    return is_over(f->target) || f->target_proven;
}

/* A start time of another leader's clock, in the future, tells nothing. */
static int64_t age_ms(const Migration *m, const struct hf_migration_facts *f)
{
    return f->wall_ms > m->started_at_ms ? f->wall_ms - m->started_at_ms : 0;
}

/* --- the ends --- */

static End *new_end(int kind, const char *host_uuid, uint64_t epoch, uint64_t run, const char *reason,
                    int64_t wall_ms)
{
    End *e = HF_NEW(End);
    holdfast__v1__placement__end__init(e);
    e->kind = (Holdfast__V1__Placement__End__Kind)kind;
    hf_pb_set(&e->host_uuid, host_uuid);
    e->epoch = epoch;
    e->run = run;
    hf_pb_set(&e->reason, reason);
    e->at_ms = wall_ms;
    return e;
}

static void clear_progress(Instance *i)
{
    i->status->migration_percent = 0;
    hf_pb_set(&i->status->migrating_to_host_uuid, "");
}

/* The placement is the target's from here, and only now may it go on. */
static void complete(Instance *i, const struct hf_migration_facts *f)
{
    Holdfast__V1__Placement *p = i->placement;
    Migration *m = p->migration;
    m->phase = PHASE(COMPLETED);
    m->end = new_end(END(HANDED_OVER), p->host_uuid, p->epoch, p->run, f->source->message, f->wall_ms);
    hf_pb_set(&m->reason, "");
    hf_pb_set(&p->host_uuid, m->target_host_uuid);
    p->epoch = m->target_epoch;
    p->run = m->run;
    clear_progress(i);
}

static void call_off(Instance *i, const struct hf_migration_facts *f)
{
    Migration *m = i->placement->migration;
    bool said = is_over(f->target);
    m->phase = PHASE(CANCELLED);
    m->end = new_end(said ? (int)END(STOPPED) : (int)END(FENCED), m->target_host_uuid, m->target_epoch,
                     m->run, said ? f->target->message : "its host is proven down", f->wall_ms);
    if (!said)
        hf_pb_set(&m->end->fence_uuid, f->target_fence_uuid);
    clear_progress(i);
    char *text = hf_printf("its migration to host '%s' ended without effect: %s", f->target_name, m->reason);
    hf_condition_set(&i->status->conditions, &i->status->n_conditions, HF_CONDITION_MIGRATION, false, text,
                     f->wall_ms);
    free(text);
}

/* Why it cannot go on; the caller frees. NULL: it can. */
static char *trouble(const Instance *i, const struct hf_migration_facts *f)
{
    const Migration *m = i->placement->migration;
    if (handed_over(f->source))
        return hf_printf("its guest was handed over to host '%s', which lost it", f->target_name);
    if (is_over(f->source))
        return hf_printf("its run ended meanwhile: %s", f->source->message);
    if (is_over(f->target))
        return hf_printf("host '%s': %s", f->target_name, f->target->message);
    if (gave_up(f->source, m->run))
        return hf_strdup(f->source->move->message);
    if (f->source_fenced)
        return hf_strdup("its host was lost");
    if (f->target_fenced || f->target_proven || f->target_lost)
        return hf_printf("host '%s' was lost", f->target_name);
    if (f->cancelled)
        return hf_strdup("it was called off");
    if (f->wanted_off)
        return hf_strdup("the instance is to stop");
    if (age_ms(m, f) >= f->timeout_ms)
        return hf_printf("it took longer than %" PRId64 " s (vm.migrationTimeout)", f->timeout_ms / 1000);
    if (age_ms(m, f) < HF_MIGRATION_PREPARE_MS || target_ready(f))
        return NULL;
    const char *why = f->target != NULL && f->target->blocked[0] != '\0' ? f->target->blocked
                      : f->target != NULL                                ? f->target->message
                                                                         : "it says nothing";
    return hf_printf("host '%s' was not ready in %d s: %s", f->target_name, HF_MIGRATION_PREPARE_MS / 1000,
                     why);
}

static bool note_progress(Instance *i, const struct hf_migration_facts *f)
{
    const InstanceReport *r = f->source;
    if (r == NULL || r->move == NULL || r->move->run != i->placement->migration->run ||
        r->move->state != MOVE(MOVING) || r->move->total_bytes == 0)
        return false;
    uint64_t done = r->move->done_bytes < r->move->total_bytes ? r->move->done_bytes : r->move->total_bytes;
    uint32_t percent = (uint32_t)((double)done * 100 / (double)r->move->total_bytes);
    percent -= percent % HF_MIGRATION_PERCENT;
    if (percent <= i->status->migration_percent)
        return false;
    i->status->migration_percent = percent;
    return true;
}

bool hf_migration_follow(Instance *i, const struct hf_migration_facts *f)
{
    Migration *m = i->placement->migration;
    HF_ASSERT(hf_migration_open(i->placement));
    if (handed_over(f->source) && !target_over(f)) {
        complete(i, f);
        return true;
    }
    char *why = m->phase == PHASE(OPEN) ? trouble(i, f) : NULL;
    bool changed = why != NULL;
    if (why != NULL) {
        m->phase = PHASE(CANCELLING);
        hf_pb_set(&m->reason, why);
        free(why);
    }
    if (target_over(f)) {
        call_off(i, f);
        return true;
    }
    return note_progress(i, f) || changed;
}

struct hf_migration_orders hf_migration_orders(const Instance *i, const struct hf_migration_facts *f)
{
    const Migration *m = i->placement->migration;
    bool cancelling = m->phase == PHASE(CANCELLING);
    /* While the source might still hand over, its guest may be whole at the target alone. */
    bool settled =
        gave_up(f->source, m->run) || f->source_fenced || (is_over(f->source) && !handed_over(f->source));
    return (struct hf_migration_orders){.go = m->phase == PHASE(OPEN) && target_ready(f),
                                        .drop = cancelling && settled};
}

int64_t hf_migration_due_ms(const Instance *i, const struct hf_migration_facts *f)
{
    int64_t age = age_ms(i->placement->migration, f);
    int64_t until = age < HF_MIGRATION_PREPARE_MS ? HF_MIGRATION_PREPARE_MS : f->timeout_ms;
    return until > age ? until - age : 1;
}
