/* The end of an instance: its root volume's file goes first, then instance, root volume and addresses leave
 * the store in one transaction; its data volumes are detached and stay.
 */
#include <string.h>

#include "base/mem.h"
#include "control/instance_controller.h"
#include "control/volume_controller.h"

typedef Holdfast__V1__Instance Instance;
typedef Holdfast__V1__Volume Volume;

/* The root volume is to be deleted: the volume controller does the rest. */
static void order_delete(struct hf_controllers *c, struct hf_world_object *o)
{
    struct hf_edit *e =
        hf_edit_create(&c->editor, "delete root volume '%s'", hf_message_meta(o->message)->name);
    Volume *v = hf_edit_change(e, o);
    v->spec->deleting = true;
    hf_edit_commit(e, NULL, NULL);
}

/* True: the root volume is gone, or its file is. Else it is being seen to. An order that could not be
 * committed changes nothing that would mark this instance: it is looked at again. */
static bool root_is_gone(struct hf_controllers *c, struct hf_world_object *o, struct hf_world_object *root)
{
    if (root == NULL)
        return true;
    if (!root->busy && ((const Volume *)(void *)root->message)->spec->deleting)
        return hf_volume_file_gone(c, root);
    if (!root->busy)
        order_delete(c, root);
    hf_controllers_wake(c, o, HF_EDIT_RETRY_MS);
    return false;
}

static bool any_busy(struct hf_controllers *c, const Instance *i)
{
    for (size_t k = 0; k < hf_world_count(c->world, HOLDFAST__V1__KIND__VOLUME); k++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__VOLUME, k);
        if (o->busy && strcmp(((const Volume *)(void *)o->message)->spec->instance_uuid, i->meta->uuid) == 0)
            return true;
    }
    return false;
}

static void detach_data_volumes(struct hf_controllers *c, struct hf_edit *e, const Instance *i,
                                const struct hf_world_object *root)
{
    for (size_t k = 0; k < hf_world_count(c->world, HOLDFAST__V1__KIND__VOLUME); k++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__VOLUME, k);
        if (o == root ||
            strcmp(((const Volume *)(void *)o->message)->spec->instance_uuid, i->meta->uuid) != 0)
            continue;
        Volume *v = hf_edit_change(e, o);
        hf_pb_set(&v->spec->instance_uuid, "");
    }
}

static void free_addresses(struct hf_controllers *c, struct hf_edit *e, const Instance *i)
{
    for (size_t k = 0; k < hf_world_count(c->world, HOLDFAST__V1__KIND__IP_ADDRESS); k++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__IP_ADDRESS, k);
        const Holdfast__V1__IpAddress *a = (const Holdfast__V1__IpAddress *)(void *)o->message;
        if (!o->busy && strcmp(a->instance_uuid, i->meta->uuid) == 0)
            hf_edit_delete(e, o);
    }
}

void hf_instance_delete_step(struct hf_controllers *c, struct hf_world_object *o)
{
    const Instance *i = (const Instance *)(void *)o->message;
    struct hf_world_object *root =
        hf_world_find(c->world, HOLDFAST__V1__KIND__VOLUME, i->spec->root_volume_uuid);
    if (!root_is_gone(c, o, root))
        return; /* its next change marks this instance */
    if (any_busy(c, i)) {
        hf_controllers_wake(c, o, HF_CONTROLLERS_TICK_MS);
        return;
    }
    struct hf_edit *e = hf_edit_create(&c->editor, "delete instance '%s'", i->meta->name);
    hf_edit_delete(e, o);
    if (root != NULL)
        hf_edit_delete(e, root);
    detach_data_volumes(c, e, i, root);
    free_addresses(c, e, i);
    hf_edit_commit(e, NULL, NULL);
}
