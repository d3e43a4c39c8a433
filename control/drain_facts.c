#include "control/drain_facts.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/conditions.h"
#include "control/drain_record.h"
#include "control/ha_controller.h"
#include "control/instance_controller.h"
#include "control/instance_step.h"
#include "control/migration_controller.h"
#include "control/placement_guard.h"

typedef Holdfast__V1__Host Host;
typedef Holdfast__V1__Instance Instance;
typedef Holdfast__V1__HostStatus__Leaving Leaving;

#define STATE(name) HOLDFAST__V1__INSTANCE_STATUS__STATE__##name
#define POWER(name) HOLDFAST__V1__POWER_STATE__POWER_##name

/* Under way: the host as it is about to be written, and what is found. */
struct gathering {
    struct hf_controllers *c;
    struct hf_world_object *object;
    const Host *host;
    bool fenced;   /* its present life is */
    bool no_place; /* somebody finds no host */
    struct hf_drain_facts *ret;
};

static enum hf_drain_place place_of(const struct gathering *g, const Instance *i)
{
    if (!hf_drain_placed_on(i, g->host))
        return HF_DRAIN_ARRIVES;
    if (i->placement->epoch != g->host->status->epoch || g->fenced || hf_ha_contact_lost(g->c, g->host))
        return HF_DRAIN_LOST;
    if (i->spec->deleting || i->spec->power == POWER(STOPPED))
        return HF_DRAIN_ENDS;
    bool runs = i->status != NULL && i->status->seen_run == i->placement->run &&
                (i->status->state == STATE(RUNNING) || i->status->state == STATE(PAUSED));
    return runs ? HF_DRAIN_RUNS : HF_DRAIN_STARTS;
}

/* What is remembered of a host beyond the store. */
struct drain_memory {
    int64_t no_place_since_ms; /* loop clock: somebody has found no place since; 0: everybody has one */
};

static struct drain_memory *memory_of(struct hf_world_object *host)
{
    if (host->memory == NULL) {
        host->memory = HF_NEW(struct drain_memory);
        host->free_memory = free;
    }
    return host->memory;
}

static const char *keep(struct gathering *g, const char *text)
{
    g->ret->problems = hf_realloc_array(g->ret->problems, g->ret->n_problems + 1, sizeof *g->ret->problems);
    g->ret->problems[g->ret->n_problems] = hf_strdup(text);
    return g->ret->problems[g->ret->n_problems++];
}

/* One that can be migrated takes its room in `room`, so that all of them fit. That there is none is believed
 * when it has been so for a while: a daemon that is started again is back in a second, and nobody is stopped
 * for that. */
static void judge_room(struct gathering *g, struct hf_facts *room, const Instance *i,
                       struct hf_drain_instance *ret)
{
    const Holdfast__V1__Host *target;
    struct drain_memory *mem = memory_of(g->object);
    int64_t now = hf_controllers_now_ms(g->c);
    hf_status st = hf_migration_choose_from(g->c, room, i, NULL, &target);
    if (hf_status_code(st) == HF_EXHAUSTED) {
        g->no_place = true;
        if (mem->no_place_since_ms == 0)
            mem->no_place_since_ms = now;
    }
    ret->pauses = hf_status_code(st) == HF_EXHAUSTED && now - mem->no_place_since_ms < HF_DRAIN_DOUBT_MS;
    if (ret->pauses)
        hf_controllers_wake(g->c, g->object, mem->no_place_since_ms + HF_DRAIN_DOUBT_MS - now);
    if (!hf_ok(st))
        ret->problem = keep(g, hf_status_message(st));
    hf_status_drop(st);
}

/* How long its next migration is put off. The stored time is of the wall clock of whoever led then. */
static int64_t pause_of(const struct gathering *g, const Leaving *entry)
{
    int64_t ms = entry != NULL ? entry->retry_at_ms - hf_controllers_wall_ms(g->c) : 0;
    return ms > 0 && ms <= HF_DRAIN_RETRY_MS ? ms : 0;
}

/* Can it be migrated, now or soon? */
static void judge(struct gathering *g, struct hf_facts *room, const Instance *i,
                  struct hf_drain_instance *ret)
{
    const Leaving *entry = hf_drain_leaving(g->host, i->meta->uuid, i->placement->run);
    if (ret->place == HF_DRAIN_STARTS) /* what keeps it from starting here */
        ret->problem =
            hf_condition_message(i->status->conditions, i->status->n_conditions, HF_CONDITION_READY);
    if (ret->place != HF_DRAIN_RUNS || ret->leaving != HF_DRAIN_STAY)
        return;
    if (entry != NULL && entry->failures >= HF_DRAIN_FAILURES_MAX)
        ret->problem = entry->error;
    else if (i->spec->reboot_generation > i->status->reboot_done ||
             !hf_controllers_host_usable(g->c, g->host) || pause_of(g, entry) > 0)
        ret->pauses = true;
    else
        judge_room(g, room, i, ret);
}

static enum hf_drain_step step_of(const struct gathering *g, const Instance *i)
{
    if (hf_migration_open(i->placement) && hf_drain_placed_on(i, g->host))
        return HF_DRAIN_MIGRATE;
    return hf_drain_stops(g->host, i->meta->uuid, i->placement->run) ? HF_DRAIN_STOP : HF_DRAIN_STAY;
}

static const char *target_of(const struct gathering *g, const Instance *i)
{
    const Host *h = hf_migration_open(i->placement)
                        ? HF_WORLD_GET(g->c->world, HOST, Host, i->placement->migration->target_host_uuid)
                        : NULL;
    return h != NULL ? h->meta->name : NULL;
}

static void add(struct gathering *g, struct hf_facts *room, struct hf_world_object *o)
{
    const Instance *i = (const Instance *)(void *)o->message;
    size_t n = g->ret->n++;
    g->ret->objects[n] = o;
    g->ret->list[n] = (struct hf_drain_instance){
        .name = i->meta->name,
        .place = place_of(g, i),
        .restarts = hf_instance_never_stop(g->c, i),
        .leaving = step_of(g, i),
        .target = target_of(g, i),
    };
    judge(g, room, i, &g->ret->list[n]);
}

void hf_drain_facts_gather(struct hf_controllers *c, struct hf_world_object *object, const Host *host,
                           bool fenced, struct hf_drain_facts *ret)
{
    struct gathering g = {.c = c, .object = object, .host = host, .fenced = fenced, .ret = ret};
    size_t n = hf_world_count(c->world, HOLDFAST__V1__KIND__INSTANCE);
    *ret = (struct hf_drain_facts){0};
    ret->objects = hf_alloc_array(n, sizeof(struct hf_world_object *));
    ret->list = hf_alloc_array(n, sizeof *ret->list);
    struct hf_facts *room = hf_controllers_gather_facts(c);
    for (size_t k = 0; k < n; k++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__INSTANCE, k);
        if (hf_placement_touches(((const Instance *)(void *)o->message)->placement, host->meta->uuid))
            add(&g, room, o);
    }
    hf_facts_free(room);
    if (!g.no_place)
        memory_of(object)->no_place_since_ms = 0;
}

void hf_drain_facts_done(struct hf_drain_facts *f)
{
    for (size_t k = 0; k < f->n_problems; k++)
        free(f->problems[k]);
    free(f->problems);
    free(f->objects);
    free(f->list);
}

bool hf_drain_placed_on(const Instance *i, const Host *h)
{
    return hf_placement_open(i->placement) && strcmp(i->placement->host_uuid, h->meta->uuid) == 0;
}
