/* Assignments of the leader to the records they are about. */
#include "holdfast/v1/common.pb-c.h"
#include "hostd/host.h"
#include "hostd/image_rec.h"
#include "hostd/instance_rec.h"
#include "hostd/network_rec.h"
#include "hostd/storage_rec.h"
#include "hostd/volume_rec.h"

static hf_status assign(struct hf_host *h, const Holdfast__V1__Assignment *a, const char **ret_subject)
{
    switch (a->object_case) {
    case HOLDFAST__V1__ASSIGNMENT__OBJECT_STORAGE:
        *ret_subject = a->storage->uuid;
        return hf_storage_rec_assign(h, a->storage);
    case HOLDFAST__V1__ASSIGNMENT__OBJECT_L3:
        *ret_subject = a->l3->uuid;
        return hf_network_rec_assign(h, a->l3);
    case HOLDFAST__V1__ASSIGNMENT__OBJECT_IMAGE:
        *ret_subject = a->image->uuid;
        return hf_image_rec_want(h, a->image, true, NULL);
    case HOLDFAST__V1__ASSIGNMENT__OBJECT_VOLUME:
        *ret_subject = a->volume->uuid;
        return hf_volume_rec_assign(h, a->volume);
    case HOLDFAST__V1__ASSIGNMENT__OBJECT_INSTANCE:
        *ret_subject = a->instance->uuid;
        return hf_instance_rec_assign(h, a->instance);
    default:
        return hf_error(HF_UNIMPLEMENTED, "this host daemon (%s) does not know that kind of assignment",
                        h->o.version);
    }
}

static hf_status unassign(struct hf_host *h, const Holdfast__V1__Unassign *u, const char **ret_subject)
{
    struct hf_uuid uuid;
    *ret_subject = u->uuid;
    if (!hf_uuid_parse(u->uuid, &uuid))
        return hf_error(HF_INVALID, "unassign: '%s' is no UUID", u->uuid);
    switch (u->kind) {
    case HOLDFAST__V1__KIND__PRIMARY_STORAGE:
        hf_storage_rec_unassign(h, &uuid);
        return HF_STATUS_OK;
    case HOLDFAST__V1__KIND__L3_NETWORK:
        hf_network_rec_unassign(h, &uuid);
        return HF_STATUS_OK;
    case HOLDFAST__V1__KIND__IMAGE:
        hf_image_rec_unassign(h, &uuid);
        return HF_STATUS_OK;
    case HOLDFAST__V1__KIND__VOLUME:
        hf_volume_rec_unassign(h, &uuid);
        return HF_STATUS_OK;
    case HOLDFAST__V1__KIND__INSTANCE:
        hf_instance_rec_unassign(h, &uuid);
        return HF_STATUS_OK;
    default:
        return hf_error(HF_UNIMPLEMENTED, "unassign %s: objects of kind %d are not assigned to hosts",
                        u->uuid, (int)u->kind);
    }
}

hf_status hf_assign_take(struct hf_host *h, const Holdfast__V1__ControlMessage *m, const char **ret_subject)
{
    switch (m->body_case) {
    case HOLDFAST__V1__CONTROL_MESSAGE__BODY_ASSIGN:
        return assign(h, m->assign, ret_subject);
    case HOLDFAST__V1__CONTROL_MESSAGE__BODY_UNASSIGN:
        return unassign(h, m->unassign, ret_subject);
    case HOLDFAST__V1__CONTROL_MESSAGE__BODY_OBSERVE:
        *ret_subject = m->observe->primary_storage_uuid;
        return hf_storage_rec_observe(h, m->observe);
    case HOLDFAST__V1__CONTROL_MESSAGE__BODY_SYNCED:
        hf_assign_sweep(h);
        return HF_STATUS_OK;
    default:
        return hf_error(HF_INTERNAL, "a message of kind %d reached the assignments", (int)m->body_case);
    }
}

/* Instances first: what only they used is let go after them. */
void hf_assign_sweep(struct hf_host *h)
{
    h->attach.synced = true;
    hf_instance_recs_sweep(h, h->attach.sync);
    hf_volume_recs_sweep(h, h->attach.sync);
    hf_image_recs_sweep(h, h->attach.sync);
    hf_network_recs_sweep(h, h->attach.sync);
    hf_storage_recs_sweep(h, h->attach.sync);
    hf_host_tick_all(h);
}

void hf_assign_report_all(struct hf_host *h)
{
    hf_storage_recs_report(h);
    hf_network_recs_report(h);
    hf_image_recs_report(h);
    hf_volume_recs_report(h);
    hf_instance_recs_report(h);
}
