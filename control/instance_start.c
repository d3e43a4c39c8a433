/* Instances that wait for a host: those of a pass together, in the order in which room is given away. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/mutant.h"
#include "base/pb_copy.h"
#include "control/image_controller.h"
#include "control/instance_controller.h"
#include "control/instance_step.h"
#include "control/placement_guard.h"
#include "control/restart_input.h"
#include "control/volume_work.h"

typedef Holdfast__V1__Instance Instance;

static void wait(struct hf_controllers *c, struct hf_world_object *o, const char *condition, const char *why,
                 bool give_up)
{
    const Holdfast__V1__Operation *op = hf_instance_users_start(c, hf_message_meta(o->message)->uuid);
    int64_t asked_ms = op != NULL ? op->started_at_ms : 0;
    struct hf_edit *e =
        hf_edit_create(&c->editor, "note that instance '%s' waits", hf_message_meta(o->message)->name);
    if (hf_instance_waits(hf_edit_change(e, o), condition, why, give_up, asked_ms, hf_controllers_wall_ms(c)))
        hf_edit_commit(e, NULL, NULL);
    else
        hf_edit_drop(e);
}

/* Its root disk is still to be made, so its image must be good. True: it is, or is not needed any more. */
static bool image_ready(struct hf_controllers *c, struct hf_world_object *o)
{
    const Instance *i = (const Instance *)(void *)o->message;
    const Holdfast__V1__Volume *root = HF_WORLD_GET(c->world, VOLUME, Volume, i->spec->root_volume_uuid);
    if (root == NULL || root->spec->image_uuid[0] == '\0' ||
        (root->status != NULL && root->status->state == HOLDFAST__V1__VOLUME_STATUS__STATE__READY))
        return true;
    const Holdfast__V1__Image *image = HF_WORLD_GET(c->world, IMAGE, Image, root->spec->image_uuid);
    if (image != NULL && image->status != NULL &&
        image->status->state == HOLDFAST__V1__IMAGE_STATUS__STATE__READY)
        return true;
    bool lost = image == NULL ||
                (image->status != NULL && image->status->state == HOLDFAST__V1__IMAGE_STATUS__STATE__FAILED);
    char *why = image == NULL ? hf_printf("its image %s was deleted", root->spec->image_uuid)
                : lost        ? hf_printf("its image '%s' could not be fetched", image->meta->name)
                              : hf_printf("waits for image '%s' to be fetched", image->meta->name);
    wait(c, o, HF_CONDITION_WAITING, why, lost);
    free(why);
    return false;
}

/* Nothing is done to its disks that a run would be in the way of, or in the way of a run. */
static bool disks_free(struct hf_controllers *c, struct hf_world_object *o)
{
    char *why = hf_volume_work_keeps(c, (const Instance *)(void *)o->message);
    if (why == NULL)
        return true;
    wait(c, o, HF_CONDITION_WAITING, why, false);
    free(why);
    hf_controllers_wake(c, o, HF_CONTROLLERS_TICK_MS); /* a data volume does not mark it */
    return false;
}

static bool local_storage(const struct hf_controllers *c, const char *storage_uuid)
{
    const Holdfast__V1__PrimaryStorage *ps =
        HF_WORLD_GET(c->world, PRIMARY_STORAGE, PrimaryStorage, storage_uuid);
    return ps != NULL && ps->spec->type == HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__LOCAL_STORAGE;
}

/* A LocalStorage volume is made on the host of its first start and stays there. False: one of them is busy
 * now. */
static bool bind_local_volume(struct hf_controllers *c, struct hf_edit *e, const char *volume_uuid,
                              const char *host_uuid)
{
    struct hf_world_object *o = hf_world_find(c->world, HOLDFAST__V1__KIND__VOLUME, volume_uuid);
    const Holdfast__V1__Volume *v = o != NULL ? (const Holdfast__V1__Volume *)(void *)o->message : NULL;
    if (v == NULL || v->status == NULL || v->status->host_uuid[0] != '\0' ||
        !local_storage(c, v->spec->primary_storage_uuid))
        return true;
    if (o->busy)
        return false;
    Holdfast__V1__Volume *changed = hf_edit_change(e, o);
    hf_pb_set(&changed->status->host_uuid, host_uuid);
    return true;
}

/* A planted bug: from now on this node takes the placement for committed, and orders the start. */
static void believe(struct hf_controllers *c, struct hf_world_object *o, const Instance *placed)
{
    protobuf_c_message_free_unpacked(o->message, NULL);
    o->message = hf_pb_copy(&placed->base);
    hf_host_assignments_mark(c->assignments, NULL);
}

static void place(struct hf_controllers *c, struct hf_world_object *o, const Holdfast__V1__Host *h)
{
    const Instance *i = (const Instance *)(void *)o->message;
    struct hf_edit *e =
        hf_edit_create(&c->editor, "place instance '%s' on host '%s'", i->meta->name, h->meta->name);
    hf_instance_place(hf_edit_change(e, o), h->meta->uuid, h->status->epoch, hf_controllers_wall_ms(c));
    bool bound = bind_local_volume(c, e, i->spec->root_volume_uuid, h->meta->uuid);
    for (size_t k = 0; bound && k < i->spec->n_data_volume_uuids; k++)
        bound = bind_local_volume(c, e, i->spec->data_volume_uuids[k], h->meta->uuid);
    if (!bound) {
        hf_edit_drop(e);
        hf_controllers_wake(c, o, HF_CONTROLLERS_TICK_MS);
        return;
    }
    hf_instance_plan_host(o, h->meta->uuid);
    if (HF_MUTANT(ORDER_BEFORE_COMMIT))
        believe(c, o, hf_edit_change(e, o));
    hf_edit_commit(e, NULL, NULL);
}

static void start(struct hf_controllers *c, struct hf_world_object *o)
{
    const Instance *i = (const Instance *)(void *)o->message;
    int64_t pause_ms = hf_start_pause_ms(i, hf_controllers_wall_ms(c));
    if (pause_ms > 0) {
        hf_controllers_wake(c, o, pause_ms);
        return;
    }
    if (!image_ready(c, o) || !disks_free(c, o))
        return;
    const Holdfast__V1__Host *h;
    hf_status st = hf_facts_schedule(hf_controllers_facts(c), i, &h);
    if (hf_ok(st)) {
        place(c, o, h);
    } else if (!hf_controllers_settled(c)) {
        hf_controllers_wake(c, o, HF_CONTROLLERS_TICK_MS); /* the hosts still attach to this leader */
    } else {
        bool keeps_trying = hf_instance_never_stop(c, i);
        wait(c, o, HF_CONDITION_SCHEDULING, hf_status_message(st), !keeps_trying);
        if (keeps_trying)
            hf_controllers_wake(c, o, HF_NO_ROOM_RETRY_MS);
    }
    hf_status_drop(st);
}

/* --- the order --- */

int hf_instance_start_order(const Instance *a, const Instance *b)
{
    int64_t since_a = a->status != NULL ? a->status->state_since_ms : 0,
            since_b = b->status != NULL ? b->status->state_since_ms : 0;
    if (hf_instance_priority(a) != hf_instance_priority(b))
        return hf_instance_priority(a) > hf_instance_priority(b) ? -1 : 1;
    if (since_a != since_b)
        return since_a < since_b ? -1 : 1;
    return strcmp(a->meta->name, b->meta->name);
}

static int compare(const void *a, const void *b)
{
    const struct hf_world_object *const *x = a, *const *y = b;
    return hf_instance_start_order((const Instance *)(void *)(*x)->message,
                                   (const Instance *)(void *)(*y)->message);
}

bool hf_instance_waits_for_host(const struct hf_world_object *o)
{
    const Instance *i = (const Instance *)(void *)o->message;
    return i->spec->power == HOLDFAST__V1__POWER_STATE__POWER_RUNNING && !i->spec->deleting &&
           !hf_placement_open(i->placement);
}

static void add(struct hf_starting *s, struct hf_world_object *o)
{
    if (s->n == s->cap) {
        s->cap = s->cap > 0 ? s->cap * 2 : 16;
        s->items = hf_realloc_array(s->items, s->cap, sizeof *s->items);
    }
    s->items[s->n++] = o;
    o->dirty = false;
}

void hf_instance_start_later(struct hf_controllers *c, struct hf_world_object *o)
{
    add(&c->starting, o);
}

void hf_instance_room_freed(struct hf_controllers *c)
{
    for (size_t k = 0; k < hf_world_count(c->world, HOLDFAST__V1__KIND__INSTANCE); k++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__INSTANCE, k);
        o->dirty |= hf_instance_waits_for_host(o);
    }
}

/* What waits with a higher priority is tried in the same pass, due or not: it goes before the last of these.
 */
static void add_higher(struct hf_controllers *c)
{
    struct hf_starting *s = &c->starting;
    int lowest = hf_instance_priority((const Instance *)(void *)s->items[0]->message);
    size_t n = s->n;
    for (size_t k = 1; k < n; k++) {
        int p = hf_instance_priority((const Instance *)(void *)s->items[k]->message);
        lowest = p < lowest ? p : lowest;
    }
    for (size_t k = 0; k < n; k++)
        s->items[k]->listed = true;
    for (size_t k = 0; k < hf_world_count(c->world, HOLDFAST__V1__KIND__INSTANCE); k++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__INSTANCE, k);
        if (!o->listed && !o->busy && hf_instance_waits_for_host(o) &&
            hf_instance_priority((const Instance *)(void *)o->message) > lowest)
            add(s, o);
        o->listed = false;
    }
}

void hf_instance_start_all(struct hf_controllers *c)
{
    struct hf_starting *s = &c->starting;
    if (s->n == 0)
        return;
    add_higher(c);
    qsort(s->items, s->n, sizeof *s->items, compare);
    for (size_t k = 0; k < s->n; k++)
        if (!s->items[k]->busy) /* since it was listed a cancelled operation may have taken its start back */
            start(c, s->items[k]);
    s->n = 0;
}
