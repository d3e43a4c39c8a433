/* Larger disks for a running guest: QEMU, which has the image open, makes it larger and tells the guest. What
 * was done before an answer or a report got lost is found done. */
#include "base/log.h"
#include "base/mem.h"
#include "hostd/instance_int.h"
#include "hostd/volume_rec.h"

typedef Holdfast__V1__InstanceAssignment__Disk Disk;

bool hf_instance_grow_due(const struct hf_instance_rec *r)
{
    for (size_t i = r->grown; r->want && i < r->want->n_disks; i++)
        if (r->want->disks[i]->grow)
            return true;
    return false;
}

static void on_grown(void *arg, hf_status st)
{
    struct hf_instance_rec *r = arg;
    if (!hf_instance_call_end(r))
        return;
    if (!r->want || r->growing >= r->want->n_disks || !r->want->disks[r->growing]->grow)
        return; /* another assignment has come */
    const Disk *d = r->want->disks[r->growing];
    if (!hf_ok(st)) {
        hf_volume_report_grown(r->host, d->volume_uuid, 0, hf_status_message(st));
        hf_instance_blocked(r, hf_wrap(hf_status_copy(st), "grow the volume %s", d->volume_uuid));
        return;
    }
    hf_info("instance %s run %llu: the volume %s has %llu bytes", r->id, (unsigned long long)r->run,
            d->volume_uuid, (unsigned long long)r->growing_to_bytes);
    hf_volume_report_grown(r->host, d->volume_uuid, r->growing_to_bytes, NULL);
    if (r->grown == r->growing && d->size_bytes <= r->growing_to_bytes)
        r->grown++;
    hf_backoff_reset(&r->backoff);
    hf_instance_tick(r);
}

void hf_instance_grow(struct hf_instance_rec *r)
{
    struct hf_hypervisor *hv = r->host->d.hypervisor;
    while (!r->want->disks[r->grown]->grow)
        r->grown++;
    const Disk *d = r->want->disks[r->grown];
    r->growing = r->grown;
    r->growing_to_bytes = d->size_bytes;
    hf_instance_call_begin(r);
    hv->ops->grow_disk(hv, &r->uuid, (unsigned)r->grown, d->size_bytes, HF_INSTANCE_ORDER_DEADLINE_MS,
                       on_grown, r);
}
