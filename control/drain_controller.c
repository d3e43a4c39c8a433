#include "control/drain_controller.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "control/conditions.h"
#include "control/drain_facts.h"
#include "control/drain_plan.h"
#include "control/drain_record.h"
#include "control/guard_object.h"
#include "control/ha_controller.h"
#include "control/instance_controller.h"
#include "control/instance_step.h"
#include "control/migration_controller.h"
#include "control/placement_guard.h"
#include "control/settings.h"

#define CONDITION_DRAIN "Drain" /* of a host: how far its drain is */

typedef Holdfast__V1__Host Host;
typedef Holdfast__V1__Instance Instance;
typedef Holdfast__V1__Operation Operation;
typedef Holdfast__V1__HostStatus__Leaving Leaving;

#define POWER(name) HOLDFAST__V1__POWER_STATE__POWER_##name
#define HOW(name)   HOLDFAST__V1__HOST_STATUS__LEAVING__HOW__##name

/* One look: the host as it will be written, its instances and the plan for them. */
struct look {
    struct hf_controllers *c;
    struct hf_world_object *object;
    struct hf_edit *edit;
    Host *host;                 /* the copy to change */
    struct hf_world_object *op; /* the operation of this drain while it runs, or NULL */
    bool op_changed;
    const Holdfast__V1__Fence *fence; /* of the present life, or NULL */
    struct hf_drain_facts facts;
};

/* --- who has left, and who failed to --- */

/* A migration away from here that was called off since the drain began: counted, and tried again after a
 * pause. */
static void note_failure(struct look *l, const Instance *i)
{
    const Holdfast__V1__Placement__Migration *m =
        hf_drain_placed_on(i, l->host) ? i->placement->migration : NULL;
    if (l->host->spec->drain == NULL || m == NULL ||
        m->phase != HOLDFAST__V1__PLACEMENT__MIGRATION__PHASE__CANCELLED ||
        m->started_at_ms < l->host->spec->drain->since_ms)
        return;
    Leaving *entry = hf_drain_leaving(l->host, i->meta->uuid, i->placement->run);
    if (entry != NULL && (entry->how == HOW(STOP) || entry->migration_run == m->run))
        return;
    if (entry == NULL)
        entry = hf_drain_add_leaving(l->host, i->meta->uuid, i->placement->run, HOW(MIGRATE));
    entry->migration_run = m->run;
    entry->failures++;
    entry->retry_at_ms = hf_controllers_wall_ms(l->c) + HF_DRAIN_RETRY_MS;
    hf_pb_set(&entry->error, m->reason);
}

static void note_failures(struct look *l)
{
    for (size_t k = 0; k < hf_world_count(l->c->world, HOLDFAST__V1__KIND__INSTANCE); k++)
        note_failure(l, HF_WORLD_AT(l->c->world, INSTANCE, Instance, k));
}

/* A run that the drain stopped is over. Its instance is noted if it stays down because of that. */
static void note_end(struct look *l, const Leaving *entry)
{
    const Instance *i = HF_WORLD_GET(l->c->world, INSTANCE, Instance, entry->instance_uuid);
    if (entry->how == HOW(STOP) && !entry->start_again && i != NULL && !i->spec->deleting &&
        i->spec->power == POWER(STOPPED))
        hf_drain_note_stopped(l->host, entry->instance_uuid);
}

static bool is_leaving(const struct look *l, const Leaving *entry)
{
    const Instance *i = HF_WORLD_GET(l->c->world, INSTANCE, Instance, entry->instance_uuid);
    return i != NULL && hf_drain_placed_on(i, l->host) && i->placement->run == entry->run;
}

/* Somebody wants it stopped for good: it is theirs from now on, and will not be started again. */
static bool taken_over(const struct look *l, const Leaving *entry)
{
    const Instance *i = HF_WORLD_GET(l->c->world, INSTANCE, Instance, entry->instance_uuid);
    return i->spec->deleting || i->spec->power == POWER(STOPPED);
}

static void settle_leaving(struct look *l)
{
    for (size_t k = 0; l->host->status->drain != NULL && k < l->host->status->drain->n_leaving;) {
        const Leaving *entry = l->host->status->drain->leaving[k];
        bool leaves = is_leaving(l, entry);
        if (!leaves)
            note_end(l, entry);
        if (!leaves || taken_over(l, entry))
            hf_drain_remove_leaving(l->host, k);
        else
            k++;
    }
}

/* --- the operation --- */

static struct hf_world_object *operation_of(const struct hf_controllers *c, const Host *h)
{
    const char *uuid = h->spec->drain != NULL ? h->spec->drain->operation_uuid : "";
    struct hf_world_object *o =
        uuid[0] != '\0' ? hf_world_find(c->world, HOLDFAST__V1__KIND__OPERATION, uuid) : NULL;
    const Operation *op = o != NULL ? (const Operation *)(void *)o->message : NULL;
    return op != NULL && op->state == HOLDFAST__V1__OPERATION__STATE__RUNNING ? o : NULL;
}

static bool is_drain_verb(const char *verb)
{
    return strcmp(verb, "DrainHost") == 0 || strcmp(verb, "EnterMaintenance") == 0 ||
           strcmp(verb, "ShutDownHost") == 0;
}

bool hf_drain_owns(const struct hf_controllers *c, const Operation *op)
{
    const Host *h = is_drain_verb(op->verb) ? HF_WORLD_GET(c->world, HOST, Host, op->target_uuid) : NULL;
    return h != NULL && h->spec->drain != NULL && strcmp(h->spec->drain->operation_uuid, op->meta->uuid) == 0;
}

static void end_operation(struct look *l, Holdfast__V1__Operation__State state, enum hf_code code,
                          const char *text)
{
    if (l->op == NULL)
        return;
    Operation *op = hf_edit_change(l->edit, l->op);
    l->op_changed = true;
    l->op = NULL;
    op->state = state;
    op->ended_at_ms = hf_controllers_wall_ms(l->c);
    op->error_code = hf_code_grpc(code);
    hf_pb_set(&op->step, "");
    hf_pb_set(&op->error_message, text);
}

static void tell_operation(struct look *l, const char *text)
{
    if (strcmp(((const Operation *)(void *)l->op->message)->step, text) == 0)
        return;
    hf_pb_set(&((Operation *)hf_edit_change(l->edit, l->op))->step, text);
    l->op_changed = true;
}

/* The host is where the verb wants it. */
static bool reached(const struct look *l, const char *verb)
{
    Holdfast__V1__HostStatus__Duty duty = l->host->status->duty;
    if (duty == HF_DUTY(SHUT_DOWN))
        return true;
    if (strcmp(verb, "DrainHost") == 0)
        return duty == HF_DUTY(DRAINED) || duty == HF_DUTY(MAINTENANCE);
    return strcmp(verb, "EnterMaintenance") == 0 && duty == HF_DUTY(MAINTENANCE);
}

static void follow_operation(struct look *l, const char *text)
{
    const Operation *op = l->op != NULL ? (const Operation *)(void *)l->op->message : NULL;
    if (op == NULL)
        return;
    if (reached(l, op->verb))
        end_operation(l, HOLDFAST__V1__OPERATION__STATE__SUCCEEDED, HF_OK, "");
    else if (l->host->status->duty == HF_DUTY(MAINTENANCE)) {
        char *why = hf_printf(
            "shut down host '%s': it began another life before it was told to; it is in maintenance",
            l->host->meta->name);
        end_operation(l, HOLDFAST__V1__OPERATION__STATE__FAILED, HF_CONFLICT, why);
        free(why);
    } else
        tell_operation(l, text);
}

/* --- steps --- */

static enum hf_drain_policy policy_of(const Host *h)
{
    switch (h->spec->drain != NULL ? h->spec->drain->policy : HF_DRAIN_BY(REFUSE)) {
    case HF_DRAIN_BY(STOP):
        return HF_DRAIN_POLICY_STOP;
    case HF_DRAIN_BY(WAIT):
        return HF_DRAIN_POLICY_WAIT;
    default:
        return HF_DRAIN_POLICY_REFUSE;
    }
}

/* It is followed by itself from here on; one that cannot begin just now is looked at again. */
static void migrate(struct look *l, struct hf_world_object *o)
{
    hf_status_drop(hf_migration_start(l->c, o, NULL, NULL));
}

static void stop(struct look *l, const Instance *i)
{
    Leaving *entry = hf_drain_leaving(l->host, i->meta->uuid, i->placement->run);
    if (entry == NULL)
        entry = hf_drain_add_leaving(l->host, i->meta->uuid, i->placement->run, HOW(STOP));
    entry->how = HOW(STOP);
}

static void begin_steps(struct look *l, const enum hf_drain_step *steps)
{
    for (size_t k = 0; k < l->facts.n; k++) {
        const Instance *i = (const Instance *)(void *)l->facts.objects[k]->message;
        if (steps[k] == HF_DRAIN_MIGRATE) {
            migrate(l, l->facts.objects[k]);
        } else if (steps[k] == HF_DRAIN_STOP) {
            hf_info("host '%s': drained: instance '%s' is stopped", l->host->meta->name, i->meta->name);
            stop(l, i);
        }
    }
}

/* Its present life is proven over, and nothing of it is left. */
static bool is_over(const struct look *l)
{
    return l->fence != NULL && l->fence->n_evidence > 0;
}

/* What an empty host is, by the purpose of its drain. A shutdown that is through leaves it in maintenance:
 * when its machine is switched on again it waits for a person, unless it was the machine that asked. */
static void settle_empty(struct look *l)
{
    Holdfast__V1__HostSpec__Drain *d = l->host->spec->drain;
    Holdfast__V1__HostStatus *st = l->host->status;
    if (d->purpose == HF_DRAIN_FOR(SHUTDOWN) && is_over(l)) {
        d->purpose = HF_DRAIN_FOR(MAINTENANCE);
        st->duty = HF_DUTY(SHUT_DOWN);
    } else if (d->purpose == HF_DRAIN_FOR(MAINTENANCE)) {
        if (st->duty != HF_DUTY(SHUT_DOWN) || !is_over(l))
            st->duty = HF_DUTY(MAINTENANCE);
    } else {
        st->duty = HF_DUTY(DRAINED);
    }
}

/* Asked for again until the host has done it: its end of the epoch is what ends the asking. */
static const char *order_shutdown(struct look *l)
{
    Holdfast__V1__ShutDown order = HOLDFAST__V1__SHUT_DOWN__INIT;
    Holdfast__V1__ControlMessage m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_SHUT_DOWN;
    m.shut_down = &order;
    hf_controllers_wake(l->c, l->object, HF_DRAIN_TELL_MS);
    if (hf_host_link_send(l->c->control->host_link, l->host->meta->uuid, &m))
        return "empty; waits for the host to close its epoch";
    return "empty; waits for the host, which has no contact, to say that it has closed its epoch";
}

static void say(struct look *l, const char *text)
{
    Holdfast__V1__HostStatus *st = l->host->status;
    if (text != NULL)
        hf_condition_set(&st->conditions, &st->n_conditions, CONDITION_DRAIN, false, text,
                         hf_controllers_wall_ms(l->c));
    else
        hf_condition_clear(&st->conditions, &st->n_conditions, CONDITION_DRAIN);
}

static void take_back(struct look *l, Holdfast__V1__Operation__State state, enum hf_code code,
                      const char *why)
{
    end_operation(l, state, code, why);
    hf_drain_withdraw(l->host);
}

static void refuse(struct look *l, const char *text)
{
    char *why = hf_printf("drain host '%s': %s; it serves again: stop them or drain it with --policy stop",
                          l->host->meta->name, text);
    hf_warn("%s", why);
    take_back(l, HOLDFAST__V1__OPERATION__STATE__FAILED, HF_PRECONDITION, why);
    say(l, NULL);
    free(why);
}

static void go_on(struct look *l, const char *text)
{
    bool wanted = l->host->spec->drain != NULL;
    l->host->status->duty = wanted ? HF_DUTY(DRAINING) : HF_DUTY(DUTY_UNSPECIFIED);
    say(l, text);
    follow_operation(l, text);
    hf_controllers_wake(l->c, l->object, HF_DRAIN_LOOK_MS);
}

static bool is_shut_down(const Host *h)
{
    return h->spec->drain != NULL && h->spec->drain->purpose == HF_DRAIN_FOR(SHUTDOWN);
}

static void finish(struct look *l)
{
    const char *text = "empty";
    if (l->host->spec->drain == NULL) {
        hf_drain_forget_progress(l->host);
        l->host->status->duty = HF_DUTY(DUTY_UNSPECIFIED);
    } else {
        settle_empty(l);
    }
    bool shuts_down = is_shut_down(l->host);
    if (shuts_down)
        text = order_shutdown(l);
    say(l, shuts_down ? text : NULL);
    follow_operation(l, text);
}

static void plan(struct look *l)
{
    char text[HF_DRAIN_TEXT_MAX];
    Holdfast__V1__HostStatus__DrainProgress *p = hf_drain_progress(l->host);
    struct hf_drain_view v = {
        .policy = policy_of(l->host),
        .withdrawn = l->host->spec->drain == NULL,
        .parallel_max = (unsigned)hf_setting_int(hf_control_store(l->c->control), "host.drainParallel"),
        .stopped = p->n_stopped_instance_uuids,
        .instances = l->facts.list,
        .n = l->facts.n,
    };
    if (p->total < v.n)
        p->total = (uint32_t)v.n;
    v.total = p->total;
    enum hf_drain_step *steps = hf_alloc_array(v.n, sizeof *steps);
    enum hf_drain_verdict verdict = hf_drain_plan(&v, steps, text);
    if (verdict == HF_DRAIN_REFUSED) {
        refuse(l, text);
    } else if (verdict == HF_DRAIN_GOES_ON) {
        begin_steps(l, steps);
        if (HF_MUTANT(SHUT_DOWN_IN_USE) && is_shut_down(l->host))
            order_shutdown(l);
        go_on(l, text);
    } else {
        finish(l);
    }
    free(steps);
}

static const Holdfast__V1__Fence *fence_of(const struct hf_controllers *c, const Host *h)
{
    struct hf_uuid uuid = hf_fence_uuid(h->meta->uuid, h->status->epoch);
    struct hf_world_object *o = hf_world_find_uuid(c->world, HOLDFAST__V1__KIND__FENCE, &uuid);
    return o != NULL ? (const Holdfast__V1__Fence *)(void *)o->message : NULL;
}

static bool cancelled(const struct look *l)
{
    return l->op != NULL && ((const Operation *)(void *)l->op->message)->cancel_requested;
}

void hf_drain_reconcile(struct hf_controllers *c, struct hf_world_object *o)
{
    const Host *h = (const Host *)(void *)o->message;
    if (h->status == NULL || o->busy ||
        (h->spec->drain == NULL && h->status->drain == NULL && h->status->duty == HF_DUTY(DUTY_UNSPECIFIED)))
        return;
    if (!hf_controllers_settled(c)) { /* the hosts still attach to this leader */
        hf_controllers_wake(c, o, HF_CONTROLLERS_TICK_MS);
        return;
    }
    struct look l = {.c = c, .object = o, .op = operation_of(c, h), .fence = fence_of(c, h)};
    if (l.op != NULL && l.op->busy) {
        hf_controllers_wake(c, o, HF_CONTROLLERS_TICK_MS);
        return;
    }
    l.edit = hf_edit_create(&c->editor, "drain host '%s'", h->meta->name);
    l.host = hf_edit_change(l.edit, o);
    settle_leaving(&l);
    note_failures(&l);
    hf_drain_facts_gather(c, o, l.host, l.fence != NULL, &l.facts);
    if (cancelled(&l))
        take_back(&l, HOLDFAST__V1__OPERATION__STATE__CANCELLED, HF_CANCELLED,
                  "cancelled: the host serves again, what has left it stays away");
    plan(&l);
    if (l.op_changed || !hf_guard_same_message(&h->base, &l.host->base))
        hf_edit_commit(l.edit, NULL, NULL);
    else
        hf_edit_drop(l.edit);
    hf_drain_facts_done(&l.facts);
}

void hf_drain_asked_by_host(struct hf_controllers *c, const char *host_uuid)
{
    struct hf_world_object *o = hf_world_find(c->world, HOLDFAST__V1__KIND__HOST, host_uuid);
    if (o == NULL || o->busy) /* it asks again */
        return;
    struct hf_edit *e = hf_edit_create(&c->editor, "drain host '%s', which is about to be switched off",
                                       hf_message_meta(o->message)->name);
    if (hf_drain_want_by_host(hf_edit_change(e, o), hf_controllers_wall_ms(c)))
        hf_edit_commit(e, NULL, NULL);
    else
        hf_edit_drop(e);
}
