#include "control/instance_controller.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "base/pb_copy.h"
#include "control/drain_record.h"
#include "control/failover.h"
#include "control/ha_controller.h"
#include "control/image_controller.h"
#include "control/instance_memory.h"
#include "control/instance_step.h"
#include "control/migration_controller.h"
#include "control/placement_guard.h"
#include "control/settings.h"
#include "control/volume_controller.h"

typedef Holdfast__V1__Instance Instance;
typedef Holdfast__V1__InstanceReport InstanceReport;

static const char *const start_verbs[] = {"CreateInstance", "StartInstance", NULL};

static void free_memory(void *memory)
{
    struct hf_instance_memory *mem = memory;
    if (mem->seen != NULL)
        holdfast__v1__instance_report__free_unpacked(mem->seen, NULL);
    if (mem->target != NULL)
        holdfast__v1__instance_report__free_unpacked(mem->target, NULL);
    free(mem);
}

struct hf_instance_memory *hf_instance_memory(struct hf_world_object *o)
{
    if (o->memory == NULL) {
        o->memory = HF_NEW(struct hf_instance_memory);
        o->free_memory = free_memory;
    }
    return o->memory;
}

const char *hf_instance_planned_host(const struct hf_world_object *o)
{
    const struct hf_instance_memory *mem = o->memory;
    return mem != NULL && mem->planned_host[0] != '\0' ? mem->planned_host : NULL;
}

/* Of a call that has kept room for it and sees it unplaced by now nothing can come. */
void hf_instance_plan_host(struct hf_world_object *o, const char *host_uuid)
{
    struct hf_instance_memory *mem = hf_instance_memory(o);
    snprintf(mem->planned_host, HF_UUID_STR, "%s", host_uuid);
    mem->room_kept_by = NULL;
}

static const void *kept_by(const struct hf_world_object *o)
{
    const struct hf_instance_memory *mem = o->memory;
    return mem != NULL ? mem->room_kept_by : NULL;
}

hf_status hf_instance_check_unplanned(const struct hf_world_object *o, const void *call)
{
    const void *keeper = kept_by(o);
    if (keeper != NULL && keeper != call)
        return hf_error(HF_UNAVAILABLE, "another call has it migrated just now");
    if (keeper == NULL && o->busy && hf_instance_planned_host(o) != NULL)
        return hf_error(HF_UNAVAILABLE, "it is being placed or migrated just now");
    return HF_STATUS_OK;
}

hf_status hf_instance_keep_room(struct hf_world_object *o, const char *host_uuid, const void *call)
{
    HF_TRY(hf_instance_check_unplanned(o, call));
    hf_instance_plan_host(o, host_uuid);
    hf_instance_memory(o)->room_kept_by = call;
    return HF_STATUS_OK;
}

void hf_instance_give_up_room(struct hf_controllers *c, const void *call)
{
    for (size_t k = 0; k < hf_world_count(c->world, HOLDFAST__V1__KIND__INSTANCE); k++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__INSTANCE, k);
        if (kept_by(o) != call)
            continue;
        hf_instance_memory(o)->planned_host[0] = '\0';
        hf_instance_memory(o)->room_kept_by = NULL;
        const struct hf_uuid uuid = o->uuid;
        hf_world_refresh(c->world, HOLDFAST__V1__KIND__INSTANCE, &uuid); /* what the call wrote */
        return;
    }
}

bool hf_instance_never_stop(const struct hf_controllers *c, const Instance *i)
{
    return i->spec->ha_level == HOLDFAST__V1__HA_LEVEL__NEVER_STOP &&
           hf_setting_bool(hf_control_store(c->control), "ha.enable");
}

/* --- reports --- */

static bool about(const Holdfast__V1__Placement *p, const char *host_uuid, const InstanceReport *r)
{
    return hf_placement_open(p) && strcmp(p->host_uuid, host_uuid) == 0 && p->epoch == r->epoch &&
           (p->run == r->run || HF_MUTANT(END_OF_ANOTHER_RUN));
}

static bool about_target(const Holdfast__V1__Placement *p, const char *host_uuid, const InstanceReport *r)
{
    const Holdfast__V1__Placement__Migration *m = p != NULL ? p->migration : NULL;
    return hf_migration_open(p) && strcmp(m->target_host_uuid, host_uuid) == 0 &&
           m->target_epoch == r->epoch && m->run == r->run;
}

/* A promise stands: what comes later about this run can only be older news. */
static bool keep_report(InstanceReport **kept, char kept_host[HF_UUID_STR], const char *host_uuid,
                        const InstanceReport *r)
{
    if (*kept != NULL && (*kept)->run == r->run &&
        (*kept)->state == HOLDFAST__V1__INSTANCE_REPORT__STATE__STOPPED)
        return false;
    if (*kept != NULL)
        holdfast__v1__instance_report__free_unpacked(*kept, NULL);
    *kept = hf_pb_copy(&r->base);
    snprintf(kept_host, HF_UUID_STR, "%s", host_uuid);
    return true;
}

void hf_instance_take_report(struct hf_controllers *c, const char *host_uuid, const InstanceReport *r)
{
    struct hf_world_object *o = hf_world_find(c->world, HOLDFAST__V1__KIND__INSTANCE, r->instance_uuid);
    const Holdfast__V1__Placement *p = o != NULL ? ((Instance *)(void *)o->message)->placement : NULL;
    bool taken = false;
    if (about(p, host_uuid, r)) {
        struct hf_instance_memory *mem = hf_instance_memory(o);
        taken = keep_report(&mem->seen, mem->seen_host, host_uuid, r);
    } else if (about_target(p, host_uuid, r)) {
        struct hf_instance_memory *mem = hf_instance_memory(o);
        taken = keep_report(&mem->target, mem->target_host, host_uuid, r);
    }
    if (taken)
        hf_controllers_mark(c, o);
}

static bool is_about(const InstanceReport *r, const char *said_by, const char *host_uuid, uint64_t epoch,
                     uint64_t run)
{
    return r != NULL && strcmp(said_by, host_uuid) == 0 && r->epoch == epoch && r->run == run;
}

const InstanceReport *hf_instance_said(const struct hf_instance_memory *mem, const char *host_uuid,
                                       uint64_t epoch, uint64_t run)
{
    if (is_about(mem->seen, mem->seen_host, host_uuid, epoch, run))
        return mem->seen;
    return is_about(mem->target, mem->target_host, host_uuid, epoch, run) ? mem->target : NULL;
}

/* The last report about the present placement: if that came by a migration, what was said of the copy. */
static const InstanceReport *last_seen(const struct hf_instance_memory *mem, const Holdfast__V1__Placement *p)
{
    if (mem->seen != NULL && about(p, mem->seen_host, mem->seen))
        return mem->seen;
    return mem->target != NULL && about(p, mem->target_host, mem->target) ? mem->target : NULL;
}

/* --- a placed instance --- */

const Holdfast__V1__Operation *hf_instance_users_start(const struct hf_controllers *c,
                                                       const char *instance_uuid)
{
    struct hf_world_object *o = hf_controllers_operation(c, instance_uuid, start_verbs);
    return o != NULL ? (const Holdfast__V1__Operation *)(void *)o->message : NULL;
}

static struct hf_instance_facts facts_of(const struct hf_controllers *c, const Instance *i,
                                         const struct hf_instance_memory *mem)
{
    const Holdfast__V1__Host *h =
        i->placement != NULL ? HF_WORLD_GET(c->world, HOST, Host, i->placement->host_uuid) : NULL;
    const Holdfast__V1__Operation *op = hf_instance_users_start(c, i->meta->uuid);
    const Holdfast__V1__HostStatus__Leaving *leaving =
        h != NULL ? hf_drain_leaving(h, i->meta->uuid, i->placement->run) : NULL;
    const InstanceReport *seen = last_seen(mem, i->placement);
    bool host_ends = h != NULL && h->spec->drain != NULL &&
                     h->spec->drain->purpose == HF_DRAIN_FOR(SHUTDOWN) && seen != NULL &&
                     !seen->guest_initiated;
    return (struct hf_instance_facts){
        .wall_ms = hf_controllers_wall_ms(c),
        .seen = seen,
        .contact = h != NULL && h->status != NULL && i->placement->epoch == h->status->epoch &&
                   !hf_ha_contact_lost(c, h), /* with the life that it was placed in */
        .never_stop = hf_instance_never_stop(c, i),
        .crash_tries = (uint32_t)hf_setting_int(hf_control_store(c->control), "ha.crashLoop.tries"),
        .crash_window_ms = hf_setting_int(hf_control_store(c->control), "ha.crashLoop.windowSeconds") * 1000,
        .user_starts = op != NULL,
        .user_restarts = op != NULL && i->placement != NULL && op->target_run > i->placement->run,
        .drained =
            host_ends || (leaving != NULL && leaving->how == HOLDFAST__V1__HOST_STATUS__LEAVING__HOW__STOP),
        .starts_again = leaving != NULL && leaving->start_again,
    };
}

/* What runs has its disks: their files and templates are where they should be. */
static void note_disks(struct hf_controllers *c, const Instance *i)
{
    const Holdfast__V1__Volume *root = HF_WORLD_GET(c->world, VOLUME, Volume, i->spec->root_volume_uuid);
    hf_volume_used(c, i->spec->root_volume_uuid);
    for (size_t k = 0; k < i->spec->n_data_volume_uuids; k++)
        hf_volume_used(c, i->spec->data_volume_uuids[k]);
    if (root != NULL)
        hf_image_used(c, root->spec->image_uuid, root->spec->primary_storage_uuid, i->placement->host_uuid);
}

static void follow(struct hf_controllers *c, struct hf_world_object *o)
{
    const Instance *i = (const Instance *)(void *)o->message;
    struct hf_instance_facts f = facts_of(c, i, hf_instance_memory(o));
    bool runs = f.seen != NULL && f.seen->state == HOLDFAST__V1__INSTANCE_REPORT__STATE__RUNNING;
    struct hf_edit *e = hf_edit_create(&c->editor, "follow instance '%s'", i->meta->name);
    Instance *after = hf_edit_change(e, o);
    if (hf_instance_follow(after, &f)) {
        bool restarts = after->spec->power == HOLDFAST__V1__POWER_STATE__POWER_RUNNING;
        if (hf_instance_lost_storage(i, &f))
            hf_failover_add_storage_lost(c, e, i, f.seen, restarts);
        else if (hf_instance_was_refused(i, &f))
            hf_failover_add_client_refused(c, e, i, f.seen, restarts);
        hf_edit_commit(e, NULL, NULL);
    } else {
        hf_edit_drop(e);
    }
    if (runs)
        note_disks(c, i);
}

/* --- one that is not placed --- */

static void rest(struct hf_controllers *c, struct hf_world_object *o)
{
    struct hf_edit *e =
        hf_edit_create(&c->editor, "note the rest of instance '%s'", hf_message_meta(o->message)->name);
    if (hf_instance_rest(hf_edit_change(e, o), hf_controllers_wall_ms(c)))
        hf_edit_commit(e, NULL, NULL);
    else
        hf_edit_drop(e);
}

/* An open placement is kept until its end is proven, whatever has become of its host. */
static bool is_placed(const struct hf_controllers *c, const Instance *i)
{
    if (HF_MUTANT(PLACED_TWICE) && hf_placement_open(i->placement))
        return hf_controllers_host_contact(c, i->placement->host_uuid);
    return hf_placement_open(i->placement);
}

void hf_instance_reconcile(struct hf_controllers *c, struct hf_world_object *o)
{
    const Instance *i = (const Instance *)(void *)o->message;
    if (kept_by(o) == NULL)
        hf_instance_memory(o)->planned_host[0] = '\0'; /* the edit that planned it has ended */
    bool migrates = hf_migration_reconcile(c, o);
    if (migrates)
        return;
    if (is_placed(c, i))
        follow(c, o);
    else if (i->spec->deleting)
        hf_instance_delete_step(c, o);
    else if (i->spec->power == HOLDFAST__V1__POWER_STATE__POWER_RUNNING)
        hf_instance_start_later(c, o);
    else
        rest(c, o);
}
