#include "control/image_server_controller.h"

#include <stdlib.h>

#include "base/mem.h"
#include "control/ceph_controller.h"
#include "control/image_controller.h"
#include "control/image_removal.h"

static void free_memory(void *memory)
{
    hf_image_removal_free(memory);
}

void hf_image_server_reconcile(struct hf_controllers *c, struct hf_world_object *o)
{
    if (hf_ceph_reconcile(c, o))
        return;
    struct hf_image_removal *memory = o->memory;
    hf_image_removal_reconcile(c, o, &memory);
    o->memory = memory;
    o->free_memory = free_memory;
}

/* --- hosts --- */

void hf_image_server_report(struct hf_controllers *c, const char *host_uuid,
                            const Holdfast__V1__StorageReport *r)
{
    const Holdfast__V1__Host *h = HF_WORLD_GET(c->world, HOST, Host, host_uuid);
    if (r->ok || h == NULL ||
        HF_WORLD_GET(c->world, IMAGE_SERVER, ImageServer, r->primary_storage_uuid) == NULL)
        return;
    char *why = hf_printf("host '%s' cannot reach the image server: %s", h->meta->name, r->message);
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__IMAGE); i++) {
        const Holdfast__V1__Image *image = HF_WORLD_AT(c->world, IMAGE, Image, i);
        Holdfast__V1__ImageReport m = HOLDFAST__V1__IMAGE_REPORT__INIT;
        m.image_uuid = image->meta->uuid;
        m.primary_storage_uuid = r->primary_storage_uuid;
        m.message = why;
        hf_image_report(c, host_uuid, &m);
    }
    free(why);
}
