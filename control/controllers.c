#include "control/ceph_controller.h"
#include "control/controllers.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buggify.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "control/admission_controller.h"
#include "control/controllers_state.h"
#include "control/drain_controller.h"
#include "control/ha_controller.h"
#include "control/ha_drill.h"
#include "control/image_controller.h"
#include "control/image_server_controller.h"
#include "control/instance_controller.h"
#include "control/operation_controller.h"
#include "control/placement_guard.h"
#include "control/settings.h"
#include "control/storage_controller.h"
#include "control/volume_controller.h"

#define FORGET_EVERY_MS 30000

/* In the order of a pass: what others wait for comes first. */
static const struct {
    uint32_t kind;
    void (*reconcile)(struct hf_controllers *c, struct hf_world_object *o);
} reconcilers[] = {
    {HOLDFAST__V1__KIND__HOST, hf_host_reconcile},
    {HOLDFAST__V1__KIND__PRIMARY_STORAGE, hf_storage_reconcile},
    {HOLDFAST__V1__KIND__IMAGE_SERVER, hf_image_server_reconcile},
    {HOLDFAST__V1__KIND__IMAGE, hf_image_reconcile},
    {HOLDFAST__V1__KIND__VOLUME, hf_volume_reconcile},
    {HOLDFAST__V1__KIND__INSTANCE, hf_instance_reconcile},
    {HOLDFAST__V1__KIND__OPERATION, hf_operation_reconcile},
};
#define RECONCILERS_N (sizeof reconcilers / sizeof reconcilers[0])

/* --- the pass --- */

static void pass(void *arg)
{
    struct hf_controllers *c = arg;
    if (!c->working)
        return;
    if (c->room_freed)
        hf_instance_room_freed(c);
    c->room_freed = false;
    for (size_t r = 0; r < RECONCILERS_N; r++) {
        for (size_t i = 0; i < hf_world_count(c->world, reconcilers[r].kind); i++) {
            struct hf_world_object *o = hf_world_at(c->world, reconcilers[r].kind, i);
            if (!o->dirty || o->busy)
                continue;
            o->dirty = false;
            o->due_ms = 0;
            if (HF_BUGGIFY(RECONCILE_LATER)) {
                hf_controllers_wake(c, o, HF_CONTROLLERS_TICK_MS);
                continue;
            }
            reconcilers[r].reconcile(c, o);
        }
    }
    hf_instance_start_all(c);
    hf_controllers_drop_facts(c);
    hf_ha_follow_failovers(c);
    hf_host_assignments_sync(c->assignments);
}

void hf_controllers_kick(struct hf_controllers *c)
{
    if (c->working && !hf_timer_running(&c->pass_timer))
        hf_timer_start(c->control->env, &c->pass_timer, 0, pass, c);
}

static void kick(void *arg)
{
    hf_controllers_kick(arg);
}

void hf_controllers_mark(struct hf_controllers *c, struct hf_world_object *o)
{
    o->dirty = true;
    hf_controllers_kick(c);
}

void hf_controllers_wake(struct hf_controllers *c, struct hf_world_object *o, int64_t delay_ms)
{
    int64_t due = hf_controllers_now_ms(c) + delay_ms;
    if (o->due_ms == 0 || due < o->due_ms)
        o->due_ms = due;
}

static void mark_kind(struct hf_controllers *c, uint32_t kind)
{
    for (size_t i = 0; i < hf_world_count(c->world, kind); i++)
        hf_world_at(c->world, kind, i)->dirty = true;
    hf_controllers_kick(c);
}

void hf_controllers_mark_instances(struct hf_controllers *c, const char *host_uuid)
{
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__INSTANCE); i++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__INSTANCE, i);
        const Holdfast__V1__Placement *p = ((const Holdfast__V1__Instance *)(void *)o->message)->placement;
        bool there = host_uuid != NULL && p != NULL &&
                     (strcmp(p->host_uuid, host_uuid) == 0 ||
                      (p->migration != NULL && strcmp(p->migration->target_host_uuid, host_uuid) == 0));
        if (host_uuid != NULL ? there : !hf_placement_open(p))
            o->dirty = true;
    }
    hf_controllers_kick(c);
}

/* --- what the store tells --- */

static void mark_object(struct hf_controllers *c, uint32_t kind, const char *uuid)
{
    struct hf_world_object *o = hf_world_find(c->world, kind, uuid);
    if (o != NULL)
        hf_controllers_mark(c, o);
}

static void mark_operations_of(struct hf_controllers *c, const char *target_uuid)
{
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__OPERATION); i++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__OPERATION, i);
        const Holdfast__V1__Operation *op = (const Holdfast__V1__Operation *)(void *)o->message;
        if (op->state == HOLDFAST__V1__OPERATION__STATE__RUNNING && strcmp(op->target_uuid, target_uuid) == 0)
            o->dirty = true;
    }
}

static void mark_failovers_of(struct hf_controllers *c, const char *instance_uuid)
{
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__FAILOVER); i++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__FAILOVER, i);
        o->dirty |=
            strcmp(((const Holdfast__V1__Failover *)(void *)o->message)->instance_uuid, instance_uuid) == 0;
    }
}

/* One that is on an image server may have to be copied for the instance. */
static void mark_served_image(struct hf_controllers *c, const Holdfast__V1__Instance *i)
{
    const Holdfast__V1__Volume *root = HF_WORLD_GET(c->world, VOLUME, Volume, i->spec->root_volume_uuid);
    struct hf_world_object *o =
        root != NULL ? hf_world_find(c->world, HOLDFAST__V1__KIND__IMAGE, root->spec->image_uuid) : NULL;
    if (o != NULL && ((const Holdfast__V1__Image *)(void *)o->message)->spec->image_server_uuid[0] != '\0')
        hf_controllers_mark(c, o);
}

/* Whom else a change concerns. m: the object as it is, or was when it is deleted. */
static void mark_concerned(struct hf_controllers *c, const ProtobufCMessage *m, uint32_t kind)
{
    switch (kind) {
    case HOLDFAST__V1__KIND__HOST:
        hf_controllers_mark_instances(c, hf_message_meta(m)->uuid);
        hf_controllers_mark_instances(c, NULL);
        mark_kind(c, HOLDFAST__V1__KIND__IMAGE);
        mark_kind(c, HOLDFAST__V1__KIND__VOLUME);
        break;
    case HOLDFAST__V1__KIND__CLUSTER:
    case HOLDFAST__V1__KIND__PRIMARY_STORAGE:
        hf_controllers_mark_instances(c, NULL);
        mark_kind(c, HOLDFAST__V1__KIND__IMAGE);
        mark_kind(c, HOLDFAST__V1__KIND__VOLUME);
        break;
    case HOLDFAST__V1__KIND__IMAGE_SERVER:
        mark_kind(c, HOLDFAST__V1__KIND__IMAGE);
        break;
    case HOLDFAST__V1__KIND__IMAGE:
        mark_object(c, HOLDFAST__V1__KIND__IMAGE_SERVER,
                    ((const Holdfast__V1__Image *)(const void *)m)->spec->image_server_uuid);
        hf_controllers_mark_instances(c, NULL);
        break;
    case HOLDFAST__V1__KIND__GLOBAL_SETTING:
    case HOLDFAST__V1__KIND__AFFINITY_GROUP:
        hf_controllers_mark_instances(c, NULL);
        break;
    case HOLDFAST__V1__KIND__INSTANCE:
        mark_object(c, HOLDFAST__V1__KIND__VOLUME,
                    ((const Holdfast__V1__Instance *)(const void *)m)->spec->root_volume_uuid);
        mark_served_image(c, (const Holdfast__V1__Instance *)(const void *)m);
        mark_failovers_of(c, hf_message_meta(m)->uuid);
        break;
    case HOLDFAST__V1__KIND__VOLUME:
        mark_object(c, HOLDFAST__V1__KIND__INSTANCE,
                    ((const Holdfast__V1__Volume *)(const void *)m)->spec->instance_uuid);
        break;
    case HOLDFAST__V1__KIND__FENCE:
        mark_object(c, HOLDFAST__V1__KIND__HOST, ((const Holdfast__V1__Fence *)(const void *)m)->host_uuid);
        break;
    case HOLDFAST__V1__KIND__OPERATION:
        mark_object(c, ((const Holdfast__V1__Operation *)(const void *)m)->target_kind,
                    ((const Holdfast__V1__Operation *)(const void *)m)->target_uuid);
        return;
    default:
        break;
    }
    mark_operations_of(c, hf_message_meta(m)->uuid);
}

/* A host that is drained waits for what becomes of its instances, and of those that are on their way to it.
 */
static void mark_drained(struct hf_controllers *c, const char *host_uuid)
{
    struct hf_world_object *o = hf_world_find(c->world, HOLDFAST__V1__KIND__HOST, host_uuid);
    const Holdfast__V1__Host *h = o != NULL ? (const Holdfast__V1__Host *)(void *)o->message : NULL;
    if (h != NULL && (h->spec->drain != NULL || (h->status != NULL && h->status->drain != NULL)))
        hf_controllers_mark(c, o);
}

/* Which hosts may have to know: of an instance the one where it is, and the one where it was. */
static void mark_assignments(struct hf_controllers *c, uint32_t kind, const ProtobufCMessage *before,
                             const ProtobufCMessage *after)
{
    const ProtobufCMessage *both[] = {before, after};
    if (kind == HOLDFAST__V1__KIND__OPERATION || kind == HOLDFAST__V1__KIND__FAILOVER ||
        kind == HOLDFAST__V1__KIND__DRILL)
        return;
    if (kind != HOLDFAST__V1__KIND__INSTANCE)
        hf_host_assignments_mark(c->assignments, NULL);
    for (size_t i = 0; i < 2 && kind == HOLDFAST__V1__KIND__INSTANCE; i++) {
        const Holdfast__V1__Instance *instance = (const Holdfast__V1__Instance *)(const void *)both[i];
        if (instance == NULL || instance->placement == NULL)
            continue;
        hf_host_assignments_mark(c->assignments, instance->placement->host_uuid);
        mark_drained(c, instance->placement->host_uuid);
        if (instance->placement->migration == NULL)
            continue;
        hf_host_assignments_mark(c->assignments, instance->placement->migration->target_host_uuid);
        mark_drained(c, instance->placement->migration->target_host_uuid);
    }
}

static bool has_ended(const ProtobufCMessage *before, const ProtobufCMessage *after)
{
    const Holdfast__V1__Instance *was = (const Holdfast__V1__Instance *)(const void *)before,
                                 *is = (const Holdfast__V1__Instance *)(const void *)after;
    return was != NULL && hf_placement_open(was->placement) &&
           (is == NULL || !hf_placement_open(is->placement));
}

static void changed(void *arg, struct hf_world_object *o, const ProtobufCMessage *before)
{
    struct hf_controllers *c = arg;
    o->dirty = true;
    if (c->loading)
        return;
    if (o->kind == HOLDFAST__V1__KIND__HOST && o->message == NULL)
        hf_detector_forget(c->ha->detector, &o->uuid);
    c->room_freed |= o->kind == HOLDFAST__V1__KIND__INSTANCE && has_ended(before, o->message);
    c->admission.changed |= hf_admission_cares(o->kind);
    mark_concerned(c, o->message != NULL ? o->message : before, o->kind);
    mark_assignments(c, o->kind, before, o->message);
    hf_controllers_kick(c);
}

/* --- what the hosts tell --- */

static void host_changed(struct hf_controllers *c, const char *host_uuid)
{
    c->admission.changed = true;
    mark_object(c, HOLDFAST__V1__KIND__HOST, host_uuid);
    hf_controllers_mark_instances(c, host_uuid);
    hf_controllers_mark_instances(c, NULL);
    mark_kind(c, HOLDFAST__V1__KIND__IMAGE);
    mark_kind(c, HOLDFAST__V1__KIND__VOLUME);
}

static void attached(void *arg, const char *host_uuid, uint64_t epoch)
{
    struct hf_controllers *c = arg;
    if (!c->working)
        return;
    hf_ha_attached(c, host_uuid);
    hf_storage_host_attached(c, host_uuid); /* before its runs are heard of */
    hf_host_assignments_attached(c->assignments, host_uuid, epoch);
    host_changed(c, host_uuid);
}

static void detached(void *arg, const char *host_uuid, int64_t silent_ms)
{
    struct hf_controllers *c = arg;
    if (!c->working)
        return;
    hf_host_assignments_detached(c->assignments, host_uuid);
    hf_ha_detached(c, host_uuid, silent_ms);
    hf_image_host_lost(c, host_uuid);
    hf_volume_host_lost(c, host_uuid);
    host_changed(c, host_uuid);
}

static void report(void *arg, const char *host_uuid, uint64_t epoch, const Holdfast__V1__HostMessage *m)
{
    struct hf_controllers *c = arg;
    if (!c->working)
        return;
    switch (m->body_case) {
    case HOLDFAST__V1__HOST_MESSAGE__BODY_INSTANCE:
        hf_instance_take_report(c, host_uuid, m->instance);
        break;
    case HOLDFAST__V1__HOST_MESSAGE__BODY_STORAGE:
        if (hf_storage_report(c, host_uuid, epoch, m->storage))
            host_changed(c, host_uuid);
        hf_image_server_report(c, host_uuid, m->storage);
        break;
    case HOLDFAST__V1__HOST_MESSAGE__BODY_IMAGE:
        hf_image_report(c, host_uuid, m->image);
        break;
    case HOLDFAST__V1__HOST_MESSAGE__BODY_VOLUME:
        hf_volume_report(c, host_uuid, m->volume);
        break;
    case HOLDFAST__V1__HOST_MESSAGE__BODY_LEASE:
        hf_ha_report(c, host_uuid, epoch, m->lease);
        break;
    case HOLDFAST__V1__HOST_MESSAGE__BODY_REFUSAL:
        hf_warn("host %s refused an order about %s: %s", host_uuid, m->refusal->subject_uuid,
                m->refusal->message);
        break;
    case HOLDFAST__V1__HOST_MESSAGE__BODY_LEAVE:
        hf_drain_asked_by_host(c, host_uuid);
        break;
    default:
        break; /* a network that does not come up blocks its instances' starts, which say so themselves */
    }
}

static bool lives(void *arg, const char *host_uuid, uint64_t epoch)
{
    const struct hf_controllers *c = arg;
    /* A new leader has heard of nobody yet: until it could have, nobody counts as dead. */
    return !c->working || !hf_controllers_settled(c) || hf_ha_record_moves(c, host_uuid, epoch);
}

/* --- shared questions --- */

bool hf_controllers_host_contact(const struct hf_controllers *c, const char *host_uuid)
{
    struct hf_host_contact contact;
    return hf_host_link_contact(c->control->host_link, host_uuid, &contact) && contact.fresh;
}

bool hf_controllers_host_usable(const struct hf_controllers *c, const Holdfast__V1__Host *h)
{
    struct hf_host_contact contact;
    uint64_t epoch = h->status != NULL ? h->status->epoch : 0;
    if (epoch == 0 || !hf_host_link_contact(c->control->host_link, h->meta->uuid, &contact))
        return false;
    struct hf_uuid fence = hf_fence_uuid(h->meta->uuid, epoch);
    return contact.fresh && contact.epoch == epoch &&
           (hf_world_find_uuid(c->world, HOLDFAST__V1__KIND__FENCE, &fence) == NULL ||
            HF_MUTANT(PLACED_ON_FENCED));
}

static bool usable_cb(void *arg, const Holdfast__V1__Host *h)
{
    return hf_controllers_host_usable(arg, h) && !hf_drill_keeps_empty(arg, h->meta->uuid);
}

static const char *planned_cb(void *arg, const struct hf_world_object *o)
{
    (void)arg;
    return hf_instance_planned_host(o);
}

struct hf_facts *hf_controllers_gather_facts(struct hf_controllers *c)
{
    return hf_facts_gather(&(struct hf_facts_sources){
        .world = c->world,
        .store = hf_control_store(c->control),
        .usable = usable_cb,
        .planned = planned_cb,
        .arg = c,
    });
}

struct hf_facts *hf_controllers_facts(struct hf_controllers *c)
{
    if (c->facts == NULL)
        c->facts = hf_controllers_gather_facts(c);
    return c->facts;
}

void hf_controllers_drop_facts(struct hf_controllers *c)
{
    hf_facts_free(c->facts);
    c->facts = NULL;
}

struct hf_losses *hf_controllers_losses(struct hf_controllers *c)
{
    bool ha_enabled = hf_setting_bool(hf_control_store(c->control), "ha.enable");
    return hf_losses_create(c->world, hf_controllers_facts(c), ha_enabled, planned_cb, c);
}

struct hf_world_object *hf_controllers_operation(const struct hf_controllers *c, const char *target_uuid,
                                                 const char *const *verbs)
{
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__OPERATION); i++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__OPERATION, i);
        const Holdfast__V1__Operation *op = (const Holdfast__V1__Operation *)(void *)o->message;
        if (op->state != HOLDFAST__V1__OPERATION__STATE__RUNNING || strcmp(op->target_uuid, target_uuid) != 0)
            continue;
        for (const char *const *v = verbs; *v != NULL; v++)
            if (strcmp(op->verb, *v) == 0)
                return o;
    }
    return NULL;
}

/* --- life --- */

/* Hosts that fell silent or speak again, objects whose time has come. */
static void tick(void *arg)
{
    struct hf_controllers *c = arg;
    int64_t now = hf_controllers_now_ms(c);
    hf_timer_start(c->control->env, &c->tick_timer, HF_CONTROLLERS_TICK_MS, tick, c);
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__HOST); i++) {
        const Holdfast__V1__Host *h = HF_WORLD_AT(c->world, HOST, Host, i);
        bool contact = !hf_ha_contact_lost(c, h);
        bool connected = h->status != NULL && h->status->state == HOLDFAST__V1__HOST_STATUS__STATE__CONNECTED;
        if (contact != connected)
            mark_object(c, HOLDFAST__V1__KIND__HOST, h->meta->uuid);
    }
    for (size_t r = 0; r < RECONCILERS_N; r++) {
        for (size_t i = 0; i < hf_world_count(c->world, reconcilers[r].kind); i++) {
            struct hf_world_object *o = hf_world_at(c->world, reconcilers[r].kind, i);
            if (o->due_ms != 0 && o->due_ms <= now)
                hf_controllers_mark(c, o);
        }
    }
    hf_ha_tick(c);
    hf_admission_tick(c);
    if (now / FORGET_EVERY_MS != (now - HF_CONTROLLERS_TICK_MS) / FORGET_EVERY_MS) {
        hf_operations_forget(c);
        hf_ha_forget_failovers(c);
    }
}

static void start(struct hf_controllers *c)
{
    c->working = true;
    c->settled_ms = hf_controllers_now_ms(c) + c->timing->contact_ms;
    c->loading = true;
    hf_world_load(c->world);
    c->loading = false;
    c->ha = hf_ha_create(c);
    c->ceph = hf_ceph_controller_create(c);
    c->admission = (struct hf_admission_state){.changed = true};
    hf_timer_start(c->control->env, &c->tick_timer, HF_CONTROLLERS_TICK_MS, tick, c);
    hf_controllers_kick(c);
}

static void stop(struct hf_controllers *c)
{
    c->working = false;
    hf_timer_stop(&c->pass_timer);
    hf_timer_stop(&c->tick_timer);
    hf_host_assignments_clear(c->assignments);
    hf_ha_free(c->ha);
    c->ha = NULL;
    hf_ceph_controller_free(c->ceph);
    c->ceph = NULL;
    hf_world_clear(c->world);
}

static void role_cb(void *arg, const struct hf_replica_state *st)
{
    struct hf_controllers *c = arg;
    bool leads = st->role == HF_ROLE_LEADER && st->ready;
    if (leads && !c->working)
        start(c);
    else if (!leads && c->working)
        stop(c);
}

struct hf_controllers *hf_controllers_create(struct hf_control *control)
{
    HF_ASSERT(control->host_link != NULL);
    struct hf_controllers *c = HF_NEW(struct hf_controllers);
    c->control = control;
    c->timing = hf_ha_timing_find(control->profile);
    HF_ASSERT(c->timing != NULL);
    c->world = hf_world_create(control, changed, c);
    c->editor = (struct hf_editor){.control = control, .world = c->world, .kick = kick, .arg = c};
    c->assignments = hf_host_assignments_create(control, c->world);
    control->controllers = c;
    hf_host_link_listen(control->host_link,
                        &(struct hf_host_link_events){attached, detached, report, lives, c});
    hf_replica_on_role(control->replica, role_cb, c);
    struct hf_replica_state st;
    hf_replica_state(control->replica, &st);
    role_cb(c, &st);
    return c;
}

void hf_controllers_free(struct hf_controllers *c)
{
    hf_host_link_listen(c->control->host_link, NULL);
    hf_editor_done(&c->editor);
    if (c->working)
        stop(c);
    hf_host_assignments_free(c->assignments);
    free(c->starting.items);
    hf_world_free(c->world);
    c->control->controllers = NULL;
    free(c);
}
