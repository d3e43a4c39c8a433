#include "control/ha_drill.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "control/fence_object.h"
#include "control/ha_controller.h"
#include "control/host_link.h"
#include "control/settings.h"

typedef Holdfast__V1__Drill Drill;
typedef Holdfast__V1__DrillInstance DrillInstance;
typedef Holdfast__V1__Failover Failover;
typedef Holdfast__V1__Fence Fence;
typedef Holdfast__V1__Host Host;
typedef Holdfast__V1__Instance Instance;

#define REASON "a drill was ordered"

/* --- the order --- */

static bool waits(const Failover *f)
{
    return strncmp(f->outcome, "waiting", 7) == 0;
}

/* A run is placed on this life of the host and not proven over. */
static bool has_runs(const struct hf_controllers *c, const char *host_uuid, uint64_t epoch)
{
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__INSTANCE); i++) {
        const Holdfast__V1__Placement *p = HF_WORLD_AT(c->world, INSTANCE, Instance, i)->placement;
        if (hf_placement_open(p) && p->epoch == epoch && strcmp(p->host_uuid, host_uuid) == 0)
            return true;
    }
    return false;
}

/* Its present life is fenced, or it is without contact, and something is placed there. */
static bool is_failing(const struct hf_controllers *c, const Host *h)
{
    if (h->status == NULL || h->status->epoch == 0 || !has_runs(c, h->meta->uuid, h->status->epoch))
        return false;
    struct hf_uuid fence = hf_fence_uuid(h->meta->uuid, h->status->epoch);
    return hf_ha_contact_lost(c, h) ||
           hf_world_find_uuid(c->world, HOLDFAST__V1__KIND__FENCE, &fence) != NULL;
}

/* What else is under way; a drill comes alone. */
static hf_status check_nothing_open(const struct hf_controllers *c)
{
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__DRILL); i++) {
        const Drill *d = HF_WORLD_AT(c->world, DRILL, Drill, i);
        if (d->state == HOLDFAST__V1__DRILL__STATE__RUNNING)
            return hf_error(HF_PRECONDITION, "a drill of host '%s' is still running", d->host_name);
    }
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__HOST); i++) {
        const Host *h = HF_WORLD_AT(c->world, HOST, Host, i);
        if (is_failing(c, h))
            return hf_error(HF_PRECONDITION,
                            "host '%s' is lost or being failed over: wait until that is through",
                            h->meta->name);
    }
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__FAILOVER); i++) {
        const Failover *f = HF_WORLD_AT(c->world, FAILOVER, Failover, i);
        if (waits(f))
            return hf_error(HF_PRECONDITION, "the failover of instance '%s' is still open (%s)",
                            f->instance_name, f->outcome);
    }
    return HF_STATUS_OK;
}

static hf_status check_host(const struct hf_controllers *c, const Host *h)
{
    struct hf_host_contact contact;
    if (h->status == NULL || h->status->epoch == 0)
        return hf_error(HF_PRECONDITION, "it has never attached");
    if (!hf_host_link_contact(c->control->host_link, h->meta->uuid, &contact) || !contact.attached ||
        !contact.fresh)
        return hf_error(HF_PRECONDITION, "it has no contact with the control plane");
    return hf_setting_bool(hf_control_store(c->control), "ha.enable")
               ? HF_STATUS_OK
               : hf_error(HF_PRECONDITION, "ha.enable is off: nothing would be restarted");
}

/* Every NeverStop instance of the host finds a place elsewhere, one beside the other. */
static hf_status check_places(struct hf_controllers *c, const Host *h)
{
    struct hf_facts *facts = hf_controllers_facts(c);
    struct hf_losses *losses = hf_controllers_losses(c);
    size_t host = hf_facts_index(facts, h->meta->uuid);
    struct hf_restart_evidence proof = {.epoch = h->status->epoch, .kind = "drill", .everything = true};
    struct hf_loss_step *steps;
    hf_status st = HF_STATUS_OK;
    bool valid = hf_uuid_parse(h->meta->uuid, &proof.host);
    HF_ASSERT(valid);
    size_t n = hf_losses_plan(losses, &host, 1, &proof, 1, 1, &steps);
    for (size_t k = 0; k < n && hf_ok(st); k++)
        if (steps[k].outcome == HF_LOSS_WAITS)
            st = hf_error(HF_PRECONDITION,
                          "a NeverStop instance would find no place (--force drills all the same): %s",
                          steps[k].why);
    hf_loss_steps_free(steps, n);
    hf_losses_free(losses);
    hf_controllers_drop_facts(c);
    return st;
}

static Drill *new_drill(const struct hf_control *control, const Host *h, const Fence *f, bool force)
{
    Drill *d = HF_NEW(Drill);
    holdfast__v1__drill__init(d);
    d->meta = HF_NEW(Holdfast__V1__Meta);
    holdfast__v1__meta__init(d->meta);
    char *seed = hf_printf("drill/%s", f->meta->name), text[HF_UUID_STR];
    struct hf_uuid uuid = hf_uuid_of_text(seed);
    free(seed);
    hf_pb_set(&d->meta->uuid, hf_uuid_format(&uuid, text));
    hf_pb_set(&d->meta->name, f->meta->name);
    d->meta->created_at_ms = d->started_at_ms = hf_env_wall_ms(control->env);
    hf_pb_set(&d->host_uuid, h->meta->uuid);
    hf_pb_set(&d->host_name, h->meta->name);
    hf_pb_set(&d->fence_uuid, f->meta->uuid);
    d->epoch = f->epoch;
    d->forced = force;
    d->state = HOLDFAST__V1__DRILL__STATE__RUNNING;
    return d;
}

static hf_status order(struct hf_control *control, const struct hf_store *s, struct hf_txn *t, const Host *h,
                       bool force)
{
    struct hf_controllers *c = control->controllers;
    HF_TRY(check_host(c, h));
    HF_TRY(check_nothing_open(c));
    if (!force)
        HF_TRY(check_places(c, h));
    Fence *f = hf_fence_find(s, h->meta->uuid, h->status->epoch);
    if (f != NULL) {
        holdfast__v1__fence__free_unpacked(f, NULL);
        return hf_error(HF_PRECONDITION, "epoch %" PRIu64 " is fenced already", h->status->epoch);
    }
    f = hf_fence_new(control->env, h->meta->uuid, h->status->epoch, REASON, "operator");
    Drill *d = new_drill(control, h, f, force);
    hf_txn_put_message(t, control->env, &f->base);
    hf_txn_put_message(t, control->env, &d->base);
    hf_txn_answer_last_put(t);
    holdfast__v1__fence__free_unpacked(f, NULL);
    holdfast__v1__drill__free_unpacked(d, NULL);
    return HF_STATUS_OK;
}

hf_status hf_drill_order(struct hf_control *control, const struct hf_store *s, struct hf_txn *t,
                         const char *host_uuid, bool force)
{
    if (control->controllers == NULL || !control->controllers->working)
        return hf_error(HF_UNAVAILABLE, "drill a host: this node does not lead");
    Host *h = (Host *)(void *)hf_object_find(s, HOLDFAST__V1__KIND__HOST, host_uuid, NULL);
    if (h == NULL)
        return hf_error(HF_NOT_FOUND, "drill a host: there is no host '%s'", host_uuid);
    hf_status st = hf_wrap(order(control, s, t, h, force), "drill host '%s'", h->meta->name);
    holdfast__v1__host__free_unpacked(h, NULL);
    return st;
}

bool hf_drill_keeps_empty(const struct hf_controllers *c, const char *host_uuid)
{
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__DRILL); i++) {
        const Drill *d = HF_WORLD_AT(c->world, DRILL, Drill, i);
        if (d->state == HOLDFAST__V1__DRILL__STATE__RUNNING && !d->forced &&
            strcmp(d->host_uuid, host_uuid) == 0)
            return true;
    }
    return false;
}

/* --- the report --- */

/* The next failover of this drill from *place on, or NULL. */
static const Failover *next_failover(const struct hf_controllers *c, const Drill *d, size_t *place)
{
    while (*place < hf_world_count(c->world, HOLDFAST__V1__KIND__FAILOVER)) {
        const Failover *f = HF_WORLD_AT(c->world, FAILOVER, Failover, (*place)++);
        if (strcmp(f->fence_uuid, d->fence_uuid) == 0)
            return f;
    }
    return NULL;
}

static bool is_back(const Host *h, const Drill *d)
{
    return h == NULL ||
           (h->status->epoch > d->epoch && h->status->state == HOLDFAST__V1__HOST_STATUS__STATE__CONNECTED);
}

/* What is still to come; NULL: nothing. */
static const char *open_part(const struct hf_controllers *c, const Drill *d)
{
    size_t place = 0;
    if (has_runs(c, d->host_uuid, d->epoch))
        return "the host has not said that it killed what ran there";
    for (const Failover *f; (f = next_failover(c, d, &place)) != NULL;)
        if (waits(f))
            return "not every instance runs again";
    return is_back(HF_WORLD_GET(c->world, HOST, Host, d->host_uuid), d) ? NULL : "the host has not come back";
}

static void add_row(Drill *d, const Failover *f)
{
    DrillInstance *r = HF_NEW(DrillInstance);
    holdfast__v1__drill_instance__init(r);
    hf_pb_set(&r->instance_uuid, f->instance_uuid);
    hf_pb_set(&r->instance_name, f->instance_name);
    hf_pb_set(&r->to_host_uuid, f->to_host_uuid);
    hf_pb_set(&r->outcome, f->outcome);
    r->running_ms = f->running_at_ms != 0 ? f->running_at_ms - d->started_at_ms : 0;
    d->instances = hf_realloc_array(d->instances, d->n_instances + 1, sizeof(DrillInstance *));
    d->instances[d->n_instances++] = r;
}

static void finish(struct hf_controllers *c, struct hf_world_object *o, const char *missing)
{
    struct hf_edit *e = hf_edit_create(&c->editor, "end the drill of host '%s'",
                                       ((const Drill *)(void *)o->message)->host_name);
    Drill *d = hf_edit_change(e, o);
    size_t place = 0, restarted = 0;
    for (const Failover *f; (f = next_failover(c, d, &place)) != NULL;) {
        add_row(d, f);
        restarted += f->running_at_ms != 0;
    }
    d->state = HOLDFAST__V1__DRILL__STATE__DONE;
    d->ended_at_ms = hf_controllers_wall_ms(c);
    char *outcome = missing != NULL ? hf_printf("given up after %d s: %s", HF_DRILL_MS_MAX / 1000, missing)
                                    : hf_printf("%zu of %zu instances run again elsewhere, the host is back",
                                                restarted, d->n_instances);
    hf_pb_set(&d->outcome, outcome);
    hf_info("drill of host '%s': %s", d->host_name, outcome);
    free(outcome);
    hf_edit_commit(e, NULL, NULL);
}

/* At most one per call: drills are rare. */
static void forget_oldest(struct hf_controllers *c)
{
    struct hf_world_object *oldest = NULL;
    if (hf_world_count(c->world, HOLDFAST__V1__KIND__DRILL) <= HF_DRILLS_KEPT_MAX)
        return;
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__DRILL); i++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__DRILL, i);
        const Drill *d = (const Drill *)(void *)o->message;
        if (!o->busy && d->state == HOLDFAST__V1__DRILL__STATE__DONE &&
            (oldest == NULL || d->started_at_ms < ((const Drill *)(void *)oldest->message)->started_at_ms))
            oldest = o;
    }
    if (oldest == NULL)
        return;
    struct hf_edit *e = hf_edit_create(&c->editor, "forget an old drill");
    hf_edit_delete(e, oldest);
    hf_edit_commit(e, NULL, NULL);
}

void hf_drill_follow(struct hf_controllers *c)
{
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__DRILL); i++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__DRILL, i);
        const Drill *d = (const Drill *)(void *)o->message;
        if (o->busy || d->state != HOLDFAST__V1__DRILL__STATE__RUNNING)
            continue;
        const char *missing = open_part(c, d);
        if (missing == NULL || hf_controllers_wall_ms(c) - d->started_at_ms > HF_DRILL_MS_MAX)
            finish(c, o, missing);
    }
    forget_oldest(c);
}
