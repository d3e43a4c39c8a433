#include "control/volume_growth.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/conditions.h"
#include "control/placement_guard.h"
#include "control/volume_memory.h"

#define CONDITION_RESIZE "Resize"

static const Holdfast__V1__Volume *volume(const struct hf_world_object *o)
{
    return (const Holdfast__V1__Volume *)(const void *)o->message;
}

static const Holdfast__V1__Instance *holder(const struct hf_controllers *c, const struct hf_world_object *o)
{
    return HF_WORLD_GET(c->world, INSTANCE, Instance, volume(o)->spec->instance_uuid);
}

void hf_volume_growth_report(struct hf_controllers *c, struct hf_world_object *o, const char *host_uuid,
                             const Holdfast__V1__VolumeReport *r)
{
    const Holdfast__V1__Instance *i = holder(c, o);
    if (volume(o)->status->growing_to_bytes == 0 || i == NULL || !hf_placement_open(i->placement) ||
        strcmp(i->placement->host_uuid, host_uuid) != 0)
        return;
    struct hf_volume_memory *mem = hf_volume_memory(o);
    mem->grown_bytes = r->size_bytes;
    free(mem->growth_message);
    mem->growth_message = r->message[0] != '\0' ? hf_strdup(r->message) : NULL;
    hf_controllers_mark(c, o);
}

static void say(struct hf_controllers *c, struct hf_world_object *o, const char *sentence)
{
    struct hf_edit *e = hf_edit_create(&c->editor, "note about volume '%s'", volume(o)->meta->name);
    Holdfast__V1__Volume *v = hf_edit_change(e, o);
    if (hf_condition_set(&v->status->conditions, &v->status->n_conditions, CONDITION_RESIZE, false, sentence,
                         hf_controllers_wall_ms(c)))
        hf_edit_commit(e, NULL, NULL);
    else
        hf_edit_drop(e);
}

void hf_volume_growth_step(struct hf_controllers *c, struct hf_world_object *o)
{
    const Holdfast__V1__Instance *i = holder(c, o);
    struct hf_volume_memory *mem = hf_volume_memory(o);
    bool runs = i != NULL && hf_placement_open(i->placement);
    if (!runs || mem->grown_bytes >= volume(o)->status->growing_to_bytes) {
        struct hf_edit *e =
            hf_edit_create(&c->editor, "note that volume '%s' has grown", volume(o)->meta->name);
        Holdfast__V1__Volume *v = hf_edit_change(e, o);
        v->status->growing_to_bytes = 0;
        hf_condition_clear(&v->status->conditions, &v->status->n_conditions, CONDITION_RESIZE);
        hf_edit_commit(e, NULL, NULL);
        mem->grown_bytes = 0; /* of another run it says nothing */
        return;
    }
    if (mem->growth_message != NULL)
        say(c, o, mem->growth_message);
    hf_controllers_wake(c, o, HF_CONTROLLERS_TICK_MS); /* its instance may have ended */
}
