#include "control/migration_controller.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "control/ha_controller.h"
#include "control/instance_controller.h"
#include "control/instance_memory.h"
#include "control/instance_step.h"
#include "control/placement_guard.h"
#include "control/settings.h"

typedef Holdfast__V1__Instance Instance;
typedef Holdfast__V1__Placement__Migration Migration;

static const char *const migrate_verbs[] = {"MigrateInstance", NULL};

/* --- the beginning --- */

static hf_status check_disks(const struct hf_controllers *c, const Instance *i)
{
    for (size_t k = 0; k < i->spec->n_storage_uuids; k++) {
        const Holdfast__V1__PrimaryStorage *ps =
            HF_WORLD_GET(c->world, PRIMARY_STORAGE, PrimaryStorage, i->spec->storage_uuids[k]);
        if (ps != NULL && ps->spec->type == HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__LOCAL_STORAGE)
            return hf_error(HF_PRECONDITION,
                            "a disk of it lies in the local storage '%s', which no other host reaches",
                            ps->meta->name);
    }
    return HF_STATUS_OK;
}

hf_status hf_migration_choose_from(struct hf_controllers *c, struct hf_facts *f, const Instance *i,
                                   const char *host_uuid, const Holdfast__V1__Host **ret)
{
    HF_TRY(hf_migration_check(i));
    HF_TRY(check_disks(c, i));
    const Holdfast__V1__Host *source = HF_WORLD_GET(c->world, HOST, Host, i->placement->host_uuid);
    if (source == NULL || !hf_controllers_host_usable(c, source))
        return hf_error(HF_PRECONDITION, "its host has no contact");
    if (host_uuid != NULL && host_uuid[0] != '\0' && HF_WORLD_GET(c->world, HOST, Host, host_uuid) == NULL)
        return hf_error(HF_NOT_FOUND, "there is no host %s", host_uuid);
    if (host_uuid != NULL && strcmp(host_uuid, source->meta->uuid) == 0)
        return hf_error(HF_PRECONDITION, "it runs on host '%s' already", source->meta->name);
    return hf_facts_schedule_migration(f, i, host_uuid != NULL ? host_uuid : "", ret);
}

hf_status hf_migration_choose(struct hf_controllers *c, const Instance *i, const char *host_uuid,
                              const Holdfast__V1__Host **ret)
{
    if (!c->working)
        return hf_error(HF_NOT_LEADER, "this control node does not lead");
    struct hf_facts *f = hf_controllers_gather_facts(c);
    hf_status st = hf_migration_choose_from(c, f, i, host_uuid, ret);
    hf_facts_free(f);
    return st;
}

hf_status hf_migration_start(struct hf_controllers *c, struct hf_world_object *o, const char *host_uuid,
                             const Holdfast__V1__Host **ret_host)
{
    const Instance *i = (const Instance *)(void *)o->message;
    const Holdfast__V1__Host *h;
    if (o->busy)
        return hf_error(HF_UNAVAILABLE, "it is being changed just now");
    HF_TRY(hf_instance_check_unplanned(o, NULL));
    HF_TRY(hf_migration_choose(c, i, host_uuid, &h));
    hf_instance_plan_host(o, h->meta->uuid);
    struct hf_edit *e =
        hf_edit_create(&c->editor, "migrate instance '%s' to host '%s'", i->meta->name, h->meta->name);
    hf_migration_open_intent(hf_edit_change(e, o), h->meta->uuid, h->status->epoch,
                             hf_controllers_wall_ms(c));
    hf_edit_commit(e, NULL, NULL);
    if (ret_host != NULL)
        *ret_host = h;
    return HF_STATUS_OK;
}

/* --- one that is open --- */

static bool is_fenced(const struct hf_controllers *c, const char *host_uuid, uint64_t epoch,
                      const Holdfast__V1__Fence **ret)
{
    struct hf_uuid uuid = hf_fence_uuid(host_uuid, epoch);
    const struct hf_world_object *o = hf_world_find_uuid(c->world, HOLDFAST__V1__KIND__FENCE, &uuid);
    *ret = o != NULL ? (const Holdfast__V1__Fence *)(const void *)o->message : NULL;
    return o != NULL;
}

static bool is_cancelled(const struct hf_controllers *c, const Instance *i)
{
    struct hf_world_object *o = hf_controllers_operation(c, i->meta->uuid, migrate_verbs);
    const Holdfast__V1__Operation *op =
        o != NULL ? (const Holdfast__V1__Operation *)(void *)o->message : NULL;
    return op != NULL && op->cancel_requested && op->target_run == i->placement->migration->run;
}

static struct hf_migration_facts facts_of(const struct hf_controllers *c, const Instance *i,
                                          const struct hf_instance_memory *mem)
{
    const Holdfast__V1__Placement *p = i->placement;
    const Migration *m = p->migration;
    const Holdfast__V1__Host *target = HF_WORLD_GET(c->world, HOST, Host, m->target_host_uuid);
    const Holdfast__V1__Fence *source_fence, *target_fence;
    struct hf_migration_facts f = {
        .wall_ms = hf_controllers_wall_ms(c),
        .timeout_ms = hf_setting_int(hf_control_store(c->control), "vm.migrationTimeout") * 1000,
        .source = hf_instance_said(mem, p->host_uuid, p->epoch, p->run),
        .target = hf_instance_said(mem, m->target_host_uuid, m->target_epoch, m->run),
        .target_name = target != NULL ? target->meta->name : m->target_host_uuid,
        .source_fenced = is_fenced(c, p->host_uuid, p->epoch, &source_fence),
        .target_fenced = is_fenced(c, m->target_host_uuid, m->target_epoch, &target_fence),
        .target_lost = target == NULL || (hf_controllers_settled(c) && hf_ha_contact_lost(c, target)),
        .target_fence_uuid = "",
        .wanted_off = i->spec->deleting || i->spec->power == HOLDFAST__V1__POWER_STATE__POWER_STOPPED,
        .cancelled = is_cancelled(c, i),
    };
    if (target_fence != NULL &&
        hf_fence_covers(target_fence, i->spec->storage_uuids, i->spec->n_storage_uuids)) {
        f.target_proven = true;
        f.target_fence_uuid = target_fence->meta->uuid;
    } else if (target != NULL && target->status != NULL && target->status->epoch > m->target_epoch) {
        f.target_proven = true;
    }
    return f;
}

static void set_orders(struct hf_controllers *c, const Instance *i, struct hf_instance_memory *mem,
                       struct hf_migration_orders orders)
{
    if (orders.go == mem->orders.go && orders.drop == mem->orders.drop)
        return;
    mem->orders = orders;
    hf_host_assignments_mark(c->assignments, i->placement->host_uuid);
    hf_host_assignments_mark(c->assignments, i->placement->migration->target_host_uuid);
}

/* How the source is; that it is over says nothing before the migration is. */
static bool follow_source(Instance *i, const struct hf_controllers *c, const struct hf_migration_facts *f)
{
    const Holdfast__V1__Host *h = HF_WORLD_GET(c->world, HOST, Host, i->placement->host_uuid);
    bool over = f->source != NULL && f->source->state == HOLDFAST__V1__INSTANCE_REPORT__STATE__STOPPED;
    struct hf_instance_facts source = {
        .wall_ms = f->wall_ms,
        .seen = over ? NULL : f->source,
        .contact = h != NULL && h->status != NULL && i->placement->epoch == h->status->epoch &&
                   !hf_ha_contact_lost(c, h),
    };
    return hf_instance_follow(i, &source);
}

bool hf_migration_reconcile(struct hf_controllers *c, struct hf_world_object *o)
{
    const Instance *i = (const Instance *)(void *)o->message;
    struct hf_instance_memory *mem = hf_instance_memory(o);
    if (!hf_migration_open(i->placement)) {
        mem->orders = (struct hf_migration_orders){0};
        return false;
    }
    struct hf_migration_facts f = facts_of(c, i, mem);
    struct hf_edit *e = hf_edit_create(&c->editor, "follow the migration of instance '%s'", i->meta->name);
    Instance *changed = hf_edit_change(e, o);
    bool stepped = hf_migration_follow(changed, &f);
    if (hf_migration_open(changed->placement))
        stepped |= follow_source(changed, c, &f);
    if (stepped) {
        if (changed->placement->migration->phase != i->placement->migration->phase)
            hf_info("instance '%s': migration %llu to host '%s': phase %d%s%s", i->meta->name,
                    (unsigned long long)i->placement->migration->run, f.target_name,
                    (int)changed->placement->migration->phase,
                    changed->placement->migration->reason[0] != '\0' ? ": " : "",
                    changed->placement->migration->reason);
        hf_edit_commit(e, NULL, NULL);
    } else {
        hf_edit_drop(e);
    }
    set_orders(c, i, mem, hf_migration_orders(i, &f)); /* by what is committed */
    hf_controllers_wake(c, o, hf_migration_due_ms(i, &f));
    return true;
}

struct hf_migration_orders hf_migration_orders_of(const struct hf_world_object *o)
{
    const struct hf_instance_memory *mem = o->memory;
    return mem != NULL ? mem->orders : (struct hf_migration_orders){0};
}
