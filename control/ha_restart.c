/* From committed fences and evidence to the instances that leave a lost host, and the record of each one's
 * way. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/mutant.h"
#include "control/failover.h"
#include "control/fence_object.h"
#include "control/ha_blocklist.h"
#include "control/ha_controller.h"
#include "control/instance_controller.h"
#include "control/instance_step.h"
#include "control/placement_guard.h"
#include "control/restart_input.h"
#include "control/settings.h"
#include "control/timeline.h"
#include "ha/restart_plan.h"

typedef Holdfast__V1__Instance Instance;
typedef Holdfast__V1__Fence Fence;
typedef Holdfast__V1__Failover Failover;

/* The input of the plan, and the world's objects behind its entries. */
struct plan_parts {
    struct hf_restart_evidence *evidence;
    struct hf_world_object **fences; /* of each piece of evidence */
    const Holdfast__V1__Evidence **pieces;
    size_t n_evidence;
    struct hf_restart_instance *instances;
    struct block_texts *texts; /* of the instances */
    struct hf_world_object **objects;
    size_t n_instances;
};

struct block_texts {
    char not_blocked[HF_RESTART_TEXT_MAX / 2], not_write_fenced[HF_RESTART_TEXT_MAX / 2];
};

static void add_instance(const struct hf_controllers *c, struct plan_parts *p, struct hf_world_object *o,
                         const Fence *f)
{
    const Instance *i = (const Instance *)(void *)o->message;
    struct block_texts *t = &p->texts[p->n_instances];
    struct hf_restart_instance *r = &p->instances[p->n_instances];
    *r = hf_restart_input(c->world, i, i->placement->host_uuid, i->placement->epoch, i->placement->run);
    r->fenced = true;
    r->not_blocked = hf_ha_not_blocked(c, f, i, t->not_blocked, sizeof t->not_blocked);
    r->not_write_fenced =
        hf_ha_not_write_fenced(c->world, f, i, t->not_write_fenced, sizeof t->not_write_fenced);
    r->waiting_ms = hf_controllers_wall_ms(c) - f->detected_at_ms;
    p->objects[p->n_instances++] = o;
}

/* Rule 13: F follows every proof. The keeper has waited for it before it says that all is killed, and silence
 * contains it; whoever says "it is off" from outside has not. */
static bool says_off(const Holdfast__V1__Evidence *e)
{
    return e->kind == HOLDFAST__V1__EVIDENCE__KIND__OPERATOR ||
           e->kind == HOLDFAST__V1__EVIDENCE__KIND__POWER_OFF;
}

/* What this leader remembers of a fence. */
struct fence_memory {
    int64_t said_off_ms; /* when it first read that the host is off: F counts from here */
};

static bool writes_are_over(const struct hf_controllers *c, struct hf_world_object *fence)
{
    const Fence *f = (const Fence *)(void *)fence->message;
    const Holdfast__V1__Host *h = HF_WORLD_GET(c->world, HOST, Host, f->host_uuid);
    const struct hf_ha_timing *timing = h != NULL ? hf_ha_host_timing(c, h) : c->timing;
    struct fence_memory *m = fence->memory;
    if (m == NULL) {
        m = HF_NEW(struct fence_memory);
        m->said_off_ms = hf_controllers_now_ms(c);
        fence->memory = m;
        fence->free_memory = free;
    }
    return hf_controllers_now_ms(c) - m->said_off_ms >= timing->guest_write_ms || HF_MUTANT(F_NOT_AWAITED);
}

static void add_evidence(const struct hf_controllers *c, struct plan_parts *p, struct hf_world_object *fence)
{
    const Fence *f = (const Fence *)(void *)fence->message;
    for (size_t i = 0; i < f->n_evidence; i++) {
        const Holdfast__V1__Evidence *e = f->evidence[i];
        if (says_off(e) && !writes_are_over(c, fence))
            continue;
        p->evidence = hf_realloc_array(p->evidence, p->n_evidence + 1, sizeof *p->evidence);
        p->fences = hf_realloc_array(p->fences, p->n_evidence + 1, sizeof *p->fences);
        p->pieces = hf_realloc_array(p->pieces, p->n_evidence + 1, sizeof *p->pieces);
        struct hf_restart_evidence *r = &p->evidence[p->n_evidence];
        *r = (struct hf_restart_evidence){
            .epoch = f->epoch,
            .kind = hf_evidence_kind_text(e->kind),
            .everything = hf_evidence_covers_all(e->kind),
            .by_word = hf_evidence_is_word(e->kind),
            .writes_only = !hf_evidence_proves_over(e->kind),
            .storages = hf_uuids_of_texts(e->storage_uuids, e->n_storage_uuids),
            .n_storages = e->n_storage_uuids,
        };
        if (!hf_uuid_parse(f->host_uuid, &r->host))
            r->host = (struct hf_uuid){{0}};
        p->fences[p->n_evidence] = fence;
        p->pieces[p->n_evidence++] = e;
    }
}

static bool listed(const struct plan_parts *p, const struct hf_world_object *fence)
{
    for (size_t i = 0; i < p->n_evidence; i++)
        if (p->fences[i] == fence)
            return true;
    return false;
}

/* Finds the fence of each life once, not for each of its instances: naming a fence costs a digest. */
#define LIVES_MAX 64 /* remembered; more are found again */
struct fence_finder {
    const struct hf_controllers *c;
    struct {
        const char *host_uuid; /* borrowed from a placement */
        uint64_t epoch;
        struct hf_world_object *fence; /* NULL: none */
    } lives[LIVES_MAX];
    size_t n;
};

static struct hf_world_object *find_fence(struct fence_finder *f, const char *host_uuid, uint64_t epoch)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->lives[i].epoch == epoch && strcmp(f->lives[i].host_uuid, host_uuid) == 0)
            return f->lives[i].fence;
    struct hf_uuid uuid = hf_fence_uuid(host_uuid, epoch);
    struct hf_world_object *fence = hf_world_find_uuid(f->c->world, HOLDFAST__V1__KIND__FENCE, &uuid);
    size_t at = f->n < LIVES_MAX ? f->n++ : epoch % LIVES_MAX;
    f->lives[at].host_uuid = host_uuid;
    f->lives[at].epoch = epoch;
    f->lives[at].fence = fence;
    return fence;
}

/* Every open placement whose (host, epoch) is fenced, and the evidence of those fences. One that migrates
 * waits until its migration is over, which needs proof for the target as well. */
static void gather(const struct hf_controllers *c, struct plan_parts *p)
{
    size_t n = hf_world_count(c->world, HOLDFAST__V1__KIND__INSTANCE);
    struct fence_finder finder = {.c = c};
    *p = (struct plan_parts){0};
    p->instances = hf_alloc_array(n, sizeof *p->instances);
    p->objects = hf_alloc_array(n, sizeof *p->objects);
    p->texts = hf_alloc_array(n, sizeof *p->texts);
    for (size_t k = 0; k < n; k++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__INSTANCE, k);
        const Instance *i = (const Instance *)(void *)o->message;
        bool moves = hf_migration_open(i->placement) && !HF_MUTANT(MIGRATION_ENDS_AT_SOURCE);
        if (!hf_placement_open(i->placement) || moves)
            continue;
        uint64_t epoch = i->placement->epoch - HF_MUTANT(EVIDENCE_OF_OLD_EPOCH);
        struct hf_world_object *fence = find_fence(&finder, i->placement->host_uuid, epoch);
        if (fence == NULL)
            continue;
        add_instance(c, p, o, (const Fence *)(void *)fence->message);
        if (!listed(p, fence))
            add_evidence(c, p, fence);
    }
}

static void free_parts(struct plan_parts *p)
{
    for (size_t i = 0; i < p->n_instances; i++)
        hf_restart_input_done(&p->instances[i]);
    for (size_t i = 0; i < p->n_evidence; i++)
        free((void *)p->evidence[i].storages);
    free(p->instances);
    free(p->objects);
    free(p->texts);
    free(p->evidence);
    free(p->fences);
    free(p->pieces);
}

/* --- steps --- */

static const char *host_name_of(const struct hf_controllers *c, const char *uuid)
{
    const Holdfast__V1__Host *h = HF_WORLD_GET(c->world, HOST, Host, uuid);
    return h != NULL ? h->meta->name : uuid;
}

static Failover *new_failover(struct hf_controllers *c, const Instance *i, const Fence *f,
                              const Holdfast__V1__Evidence *e)
{
    Failover *r = hf_failover_create(c, i, hf_evidence_kind_text(e->kind));
    r->detected_at_ms = f->detected_at_ms != 0 ? f->detected_at_ms : f->meta->created_at_ms;
    r->fenced_at_ms = e->recorded_at_ms;
    hf_pb_set(&r->fence_uuid, f->meta->uuid);
    r->lost_at_ms = f->last_heard_at_ms != 0 ? f->last_heard_at_ms : f->meta->created_at_ms;
    return r;
}

static void leave(struct hf_controllers *c, struct hf_edit *e, const struct plan_parts *p,
                  const struct hf_restart_step *s)
{
    struct hf_world_object *fence = p->fences[s->evidence], *o = p->objects[s->instance];
    const Fence *f = (const Fence *)(void *)fence->message;
    bool go = s->kind == HF_RESTART_GO;
    Failover *r = new_failover(c, (const Instance *)(void *)o->message, f, p->pieces[s->evidence]);
    hf_pb_set(&r->outcome, go ? "waiting: looks for a host" : "stopped with its host");
    bool cut = !hf_evidence_proves_over(p->pieces[s->evidence]->kind);
    hf_failover_note(c, r,
                     cut  ? "run %llu can write no more, by that; looks for a host"
                     : go ? "run %llu is over on that proof; looks for a host"
                          : "run %llu is over on that proof; stays stopped",
                     (unsigned long long)r->run_before);
    hf_edit_add(e, &r->base);
    hf_instance_fenced(hf_edit_change(e, o), f->meta->uuid, s->text, go, hf_controllers_wall_ms(c));
}

bool hf_ha_restart(struct hf_controllers *c)
{
    struct plan_parts p;
    gather(c, &p);
    struct hf_restart_step *steps = hf_alloc_array(p.n_instances, sizeof *steps);
    bool ha = hf_setting_bool(hf_control_store(c->control), "ha.enable");
    size_t n = hf_restart_plan(ha, p.evidence, p.n_evidence, p.instances, p.n_instances, steps), taken = 0;
    struct hf_edit *e = NULL;
    for (size_t i = 0; i < n && taken < HF_HA_ACTIONS_MAX; i++) {
        if (steps[i].kind == HF_RESTART_WAIT || p.objects[steps[i].instance]->busy)
            continue;
        if (e == NULL)
            e = hf_edit_create(&c->editor, "move instances away from fenced hosts");
        leave(c, e, &p, &steps[i]);
        taken++;
    }
    if (e != NULL)
        hf_ha_commit(c, e);
    free(steps);
    free_parts(&p);
    return e != NULL;
}

/* --- the failover records --- */

static bool is_open(const Failover *r)
{
    return strncmp(r->outcome, "waiting", 7) == 0;
}

static bool set_outcome(Failover *r, const char *outcome)
{
    if (strcmp(r->outcome, outcome) == 0)
        return false;
    hf_pb_set(&r->outcome, outcome);
    return true;
}

/* Takes in how far the instance has come; true when something changed. */
static bool follow(struct hf_controllers *c, Failover *r)
{
    const Instance *i = HF_WORLD_GET(c->world, INSTANCE, Instance, r->instance_uuid);
    if (i == NULL)
        return set_outcome(r, "deleted meanwhile");
    bool placed = i->placement != NULL && i->placement->run > r->run_before;
    if (!placed)
        return i->spec->power != HOLDFAST__V1__POWER_STATE__POWER_RUNNING &&
               set_outcome(r, "stopped meanwhile");
    bool changed = r->run_after != i->placement->run;
    if (changed) {
        r->run_after = i->placement->run;
        hf_pb_set(&r->to_host_uuid, i->placement->host_uuid);
        if (r->placed_at_ms == 0)
            r->placed_at_ms = hf_controllers_wall_ms(c);
        hf_failover_note(c, r, "run %llu is placed on %s", (unsigned long long)r->run_after,
                         host_name_of(c, r->to_host_uuid));
        set_outcome(r, "waiting: starts");
    }
    if (i->status != NULL && i->status->state == HOLDFAST__V1__INSTANCE_STATUS__STATE__RUNNING &&
        i->status->seen_run == r->run_after) {
        r->running_at_ms = hf_controllers_wall_ms(c);
        hf_timeline_add(&r->timeline, &r->n_timeline, r->running_at_ms, host_name_of(c, r->to_host_uuid),
                        "run %llu runs", (unsigned long long)r->run_after);
        changed |= set_outcome(r, "restarted");
    }
    return changed;
}

void hf_ha_follow_failovers(struct hf_controllers *c)
{
    for (size_t k = 0; k < hf_world_count(c->world, HOLDFAST__V1__KIND__FAILOVER); k++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__FAILOVER, k);
        if (o->busy || !o->dirty || !is_open((const Failover *)(void *)o->message))
            continue;
        o->dirty = false;
        struct hf_edit *e = hf_edit_create(&c->editor, "note the failover of instance '%s'",
                                           ((const Failover *)(void *)o->message)->instance_name);
        if (follow(c, hf_edit_change(e, o)))
            hf_edit_commit(e, NULL, NULL);
        else
            hf_edit_drop(e);
    }
}

static int by_creation(const void *a, const void *b)
{
    const struct hf_world_object *const *x = a, *const *y = b;
    int64_t at_x = hf_message_meta((*x)->message)->created_at_ms,
            at_y = hf_message_meta((*y)->message)->created_at_ms;
    return (at_x > at_y) - (at_x < at_y);
}

void hf_ha_forget_failovers(struct hf_controllers *c)
{
    size_t n = hf_world_count(c->world, HOLDFAST__V1__KIND__FAILOVER), ended = 0;
    if (n <= HF_FAILOVERS_KEPT_MAX)
        return;
    struct hf_world_object **list = hf_alloc_array(n, sizeof *list);
    for (size_t k = 0; k < n; k++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__FAILOVER, k);
        if (!o->busy && !is_open((const Failover *)(void *)o->message))
            list[ended++] = o;
    }
    qsort(list, ended, sizeof *list, by_creation);
    struct hf_edit *e = NULL;
    for (size_t k = 0; k < HF_FAILOVERS_FORGET_MAX && k + HF_FAILOVERS_KEPT_MAX < ended; k++) {
        if (e == NULL)
            e = hf_edit_create(&c->editor, "forget old failovers");
        hf_edit_delete(e, list[k]);
    }
    if (e != NULL)
        hf_edit_commit(e, NULL, NULL);
    free(list);
}
