#include "control/volume_controller.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/conditions.h"
#include "control/placement_guard.h"
#include "control/volume_growth.h"
#include "control/volume_memory.h"
#include "control/volume_work.h"

#define STATE(name)      HOLDFAST__V1__VOLUME_STATUS__STATE__##name
#define CONDITION_DELETE "Delete"

static void free_memory(void *memory)
{
    struct hf_volume_memory *mem = memory;
    free(mem->message);
    free(mem->growth_message);
    free(mem->work.message);
    free(mem);
}

struct hf_volume_memory *hf_volume_memory(struct hf_world_object *o)
{
    if (o->memory == NULL) {
        o->memory = HF_NEW(struct hf_volume_memory);
        o->free_memory = free_memory;
    }
    return o->memory;
}

static const Holdfast__V1__Volume *volume(const struct hf_world_object *o)
{
    return (const Holdfast__V1__Volume *)(const void *)o->message;
}

const char *hf_volume_deleting_host(const struct hf_world_object *o)
{
    const struct hf_volume_memory *mem = o->memory;
    return mem != NULL && mem->host_uuid[0] != '\0' && !mem->deleted ? mem->host_uuid : NULL;
}

/* No file was ever made when its instance was never placed; a data volume's state tells. */
static bool never_made(const struct hf_controllers *c, const Holdfast__V1__Volume *v)
{
    if (v->status != NULL && v->status->state == STATE(READY))
        return false;
    const Holdfast__V1__Instance *i = HF_WORLD_GET(c->world, INSTANCE, Instance, v->spec->instance_uuid);
    bool placed = i != NULL && i->placement != NULL && i->placement->run > 0;
    /* Deleting forgets NOT_INSTANTIATED: only a volume that no instance ever held can be told then. */
    return !placed && v->status != NULL && v->status->state == STATE(NOT_INSTANTIATED);
}

bool hf_volume_file_gone(const struct hf_controllers *c, const struct hf_world_object *o)
{
    const struct hf_volume_memory *mem = o->memory;
    return (mem != NULL && mem->deleted) || never_made(c, volume(o));
}

/* A run of its instance may still write to it. */
static bool in_use(const struct hf_controllers *c, const Holdfast__V1__Volume *v)
{
    const Holdfast__V1__Instance *i = HF_WORLD_GET(c->world, INSTANCE, Instance, v->spec->instance_uuid);
    return i != NULL && hf_placement_open(i->placement);
}

bool hf_volume_reached_by(struct hf_controllers *c, const Holdfast__V1__Volume *v,
                          const Holdfast__V1__Host *h)
{
    const char *local = v->status != NULL ? v->status->host_uuid : "";
    if (!hf_controllers_host_usable(c, h) || (local[0] != '\0' && strcmp(local, h->meta->uuid) != 0))
        return false;
    char *why = hf_facts_storage_objection(c->world, h, v->spec->primary_storage_uuid);
    bool fits = why == NULL;
    free(why);
    return fits;
}

const Holdfast__V1__Host *hf_volume_choose_host(struct hf_controllers *c, const Holdfast__V1__Volume *v)
{
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__HOST); i++) {
        const Holdfast__V1__Host *h = HF_WORLD_AT(c->world, HOST, Host, i);
        if (hf_volume_reached_by(c, v, h))
            return h;
    }
    return NULL;
}

static void say(struct hf_controllers *c, struct hf_world_object *o, const char *sentence)
{
    struct hf_edit *e = hf_edit_create(&c->editor, "note about volume '%s'", volume(o)->meta->name);
    Holdfast__V1__Volume *v = hf_edit_change(e, o);
    if (v->status != NULL && hf_condition_set(&v->status->conditions, &v->status->n_conditions,
                                              CONDITION_DELETE, false, sentence, hf_controllers_wall_ms(c)))
        hf_edit_commit(e, NULL, NULL);
    else
        hf_edit_drop(e);
}

static void delete_object(struct hf_controllers *c, struct hf_world_object *o)
{
    struct hf_world_object *i =
        hf_world_find(c->world, HOLDFAST__V1__KIND__INSTANCE, volume(o)->spec->instance_uuid);
    if (i != NULL) { /* goes with its instance */
        hf_controllers_mark(c, i);
        return;
    }
    struct hf_edit *e = hf_edit_create(&c->editor, "delete volume '%s'", volume(o)->meta->name);
    hf_edit_delete(e, o);
    hf_edit_commit(e, NULL, NULL);
}

static void delete_file(struct hf_controllers *c, struct hf_world_object *o, struct hf_volume_memory *mem)
{
    if (mem->host_uuid[0] != '\0') {
        if (mem->message != NULL)
            say(c, o, mem->message);
        return;
    }
    const Holdfast__V1__Host *h = hf_volume_choose_host(c, volume(o));
    if (h != NULL) {
        snprintf(mem->host_uuid, sizeof mem->host_uuid, "%s", h->meta->uuid);
        hf_host_assignments_mark(c->assignments, NULL);
    } else if (hf_controllers_settled(c)) {
        say(c, o, "waits for a connected host that reaches its primary storage");
    } else {
        hf_controllers_wake(c, o, HF_CONTROLLERS_TICK_MS);
    }
}

void hf_volume_reconcile(struct hf_controllers *c, struct hf_world_object *o)
{
    if (volume(o)->status != NULL && volume(o)->status->growing_to_bytes > 0 && !volume(o)->spec->deleting)
        hf_volume_growth_step(c, o);
    if (volume(o)->spec->work != NULL && !volume(o)->spec->deleting && !o->busy)
        hf_volume_work_step(c, o);
    if (!volume(o)->spec->deleting)
        return;
    if (hf_volume_file_gone(c, o))
        delete_object(c, o);
    else if (!in_use(c, volume(o)))
        delete_file(c, o, hf_volume_memory(o));
}

void hf_volume_report(struct hf_controllers *c, const char *host_uuid, const Holdfast__V1__VolumeReport *r)
{
    struct hf_world_object *o = hf_world_find(c->world, HOLDFAST__V1__KIND__VOLUME, r->volume_uuid);
    struct hf_volume_memory *mem = o != NULL ? o->memory : NULL;
    if (o != NULL && !volume(o)->spec->deleting && volume(o)->status != NULL) {
        if (r->work != NULL)
            hf_volume_work_report(c, o, host_uuid, r->work);
        else
            hf_volume_growth_report(c, o, host_uuid, r);
        return;
    }
    if (mem == NULL || strcmp(mem->host_uuid, host_uuid) != 0)
        return;
    mem->deleted = r->deleted;
    free(mem->message);
    mem->message = !r->deleted && r->message[0] != '\0' ? hf_strdup(r->message) : NULL;
    hf_controllers_mark(c, o);
    if (r->deleted)
        hf_host_assignments_mark(c->assignments, NULL);
}

void hf_volume_host_lost(struct hf_controllers *c, const char *host_uuid)
{
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__VOLUME); i++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__VOLUME, i);
        struct hf_volume_memory *mem = o->memory;
        if (mem != NULL && !mem->work.ended && strcmp(mem->work.host_uuid, host_uuid) == 0) {
            mem->work.host_uuid[0] = '\0';
            hf_controllers_mark(c, o);
        }
        if (mem == NULL || mem->deleted || strcmp(mem->host_uuid, host_uuid) != 0)
            continue;
        mem->host_uuid[0] = '\0';
        hf_controllers_mark(c, o);
    }
}

void hf_volume_used(struct hf_controllers *c, const char *volume_uuid)
{
    struct hf_world_object *o = hf_world_find(c->world, HOLDFAST__V1__KIND__VOLUME, volume_uuid);
    if (o == NULL || o->busy || volume(o)->status == NULL ||
        volume(o)->status->state != STATE(NOT_INSTANTIATED))
        return;
    struct hf_edit *e = hf_edit_create(&c->editor, "note that volume '%s' exists", volume(o)->meta->name);
    Holdfast__V1__Volume *v = hf_edit_change(e, o);
    v->status->state = STATE(READY);
    hf_edit_commit(e, NULL, NULL);
}
