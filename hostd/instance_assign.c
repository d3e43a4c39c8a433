/* What the leader assigns: the run of an instance, the next one after it, and nothing any more. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "base/pb_copy.h"
#include "holdfast/v1/instance.pb-c.h"
#include "hostd/instance_int.h"

#define STATE(x) HOLDFAST__V1__INSTANCE_REPORT__STATE__##x
#define POWER(x) HOLDFAST__V1__POWER_STATE__POWER_##x

/* --- one run after the other --- */

bool hf_instance_is_over(const struct hf_instance_rec *r)
{
    return !r->busy && r->side_calls == 0 && !r->unverified &&
           (r->permit == HF_PERMIT_TOMBSTONED || r->permit == HF_PERMIT_NONE);
}

/* What the keeper knows of a run that comes new. */
static void recall_permit(struct hf_instance_rec *r)
{
    for (size_t i = 0; i < r->host->view.n_runs; i++) {
        const struct hf_keeper_run *run = &r->host->view.runs[i];
        if (hf_uuid_equal(&run->instance, &r->uuid) && run->run == r->run &&
            run->state == HF_RUN_TOMBSTONED) {
            r->permit = HF_PERMIT_TOMBSTONED;
            r->end = run->handed_over ? HF_END_HANDED_OVER : HF_END_NOT;
        }
    }
}

/* The record begins anew with another run of its instance. */
static void renew(struct hf_instance_rec *r, uint64_t run)
{
    struct hf_instance_rec fresh = {.next = r->next, .host = r->host, .uuid = r->uuid, .run = run};
    HF_ASSERT(hf_instance_is_over(r));
    hf_timer_stop(&r->timer);
    hf_timer_stop(&r->move.timer);
    hf_instance_clear(r);
    memcpy(fresh.id, r->id, sizeof fresh.id);
    fresh.epoch = r->host->view.epoch;
    *r = fresh;
    recall_permit(r);
}

/* True when the count of reboots in the next report is another one. */
static bool set_want(struct hf_instance_rec *r, const Holdfast__V1__InstanceAssignment *a)
{
    hf_instance_free_assignment(&r->want);
    r->want = hf_pb_copy(&a->base);
    r->sync = r->host->attach.sync;
    r->grown = 0; /* done, they are told again */
    bool counts = !r->reboot_baseline && r->permit != HF_PERMIT_NONE;
    if (counts) { /* adopted: reboots ordered before are done */
        r->reboot_done = hf_instance_reboots_wanted(a);
        r->reboot_baseline = true;
    }
    if (!hf_instance_is_to_stop(r)) {
        r->stop_since_ms = r->shutdown_ms = 0; /* the stop was taken back */
        r->destroyed = false;
    }
    return counts;
}

/* The leader has heard of the end before this record did, whose last call had not come back. */
void hf_instance_take_later(struct hf_instance_rec *r)
{
    Holdfast__V1__InstanceAssignment *a = r->later;
    r->later = NULL;
    renew(r, a->run);
    (void)set_want(r, a);
    hf_instance_free_assignment(&a);
    hf_host_tick_networks(r->host);
}

/* --- assignments --- */

static hf_status check_assignment(const struct hf_host *h, const Holdfast__V1__InstanceAssignment *a,
                                  struct hf_uuid *ret_uuid)
{
    struct hf_uuid other;
    if (!hf_uuid_parse(a->uuid, ret_uuid))
        return hf_error(HF_INVALID, "assign instance: '%s' is no UUID", a->uuid);
    if (a->epoch != h->view.epoch && !HF_MUTANT(ORDER_OF_OLD_EPOCH))
        return hf_error(HF_PRECONDITION,
                        "instance %s is placed in epoch %llu of this host, which is in epoch %llu", a->uuid,
                        (unsigned long long)a->epoch, (unsigned long long)h->view.epoch);
    if (a->run == 0 || a->n_disks > HF_INSTANCE_DISKS_MAX || a->n_nics > HF_INSTANCE_NICS_MAX)
        return hf_error(HF_INVALID,
                        "assign instance %s: run %llu, %zu disks, %zu NICs: outside what a host takes",
                        a->uuid, (unsigned long long)a->run, a->n_disks, a->n_nics);
    for (size_t i = 0; i < a->n_disks; i++)
        if (!hf_uuid_parse(a->disks[i]->primary_storage_uuid, &other))
            return hf_error(HF_INVALID, "assign instance %s: '%s' is no UUID of a storage", a->uuid,
                            a->disks[i]->primary_storage_uuid);
    switch (a->power) {
    case POWER(RUNNING):
    case POWER(PAUSED):
    case POWER(STOPPED):
        return HF_STATUS_OK;
    default:
        return hf_error(HF_INVALID, "assign instance %s: power state %d is not known", a->uuid,
                        (int)a->power);
    }
}

uint64_t hf_instance_reboots_wanted(const Holdfast__V1__InstanceAssignment *a)
{
    return a->reboot_generation > a->reboot_force_generation ? a->reboot_generation
                                                             : a->reboot_force_generation;
}

/* Another run than the record's. */
static hf_status assign_other_run(struct hf_instance_rec *r, const Holdfast__V1__InstanceAssignment *a)
{
    if (a->run < r->run)
        return hf_error(HF_CONFLICT,
                        "assign instance %s: run %llu is older than run %llu, which this host has", a->uuid,
                        (unsigned long long)a->run, (unsigned long long)r->run);
    hf_instance_free_assignment(&r->later);
    r->later = hf_pb_copy(&a->base);
    r->sync = r->host->attach.sync;
    if (r->permit == HF_PERMIT_PENDING || r->permit == HF_PERMIT_LIVE)
        return hf_error(HF_PRECONDITION,
                        "assign instance %s: run %llu waits, run %llu of it is not over on this host",
                        a->uuid, (unsigned long long)a->run, (unsigned long long)r->run);
    hf_instance_tick_now(r);
    return HF_STATUS_OK;
}

hf_status hf_instance_rec_assign(struct hf_host *h, const Holdfast__V1__InstanceAssignment *a)
{
    struct hf_uuid uuid;
    HF_TRY(check_assignment(h, a, &uuid));
    struct hf_instance_rec *r = hf_instance_rec_find(h, &uuid);
    if (r && r->run != a->run)
        return assign_other_run(r, a);
    if (!r) {
        if (h->n_instances >= HF_HOST_RECORDS_MAX)
            return hf_error(HF_EXHAUSTED, "assign instance %s: this host has %zu instances, the maximum",
                            a->uuid, h->n_instances);
        r = hf_instance_new(h, &uuid, a->run);
        recall_permit(r);
    }
    bool say_again = r->state == STATE(STOPPED); /* the leader has not taken it in yet */
    say_again |= set_want(r, a);
    hf_host_tick_networks(h); /* DHCP learns of its addresses, or of other ones */
    hf_instance_tick_now(r);
    if (say_again)
        hf_instance_report(r);
    return HF_STATUS_OK;
}

bool hf_instance_recs_start_pending(struct hf_host *h, const struct hf_uuid *uuid, uint64_t run)
{
    struct hf_instance_rec *r = hf_instance_rec_find(h, uuid);
    return r && r->run == run && (r->starting || r->unverified || r->start == HF_START_UNKNOWN);
}

static void unassign(struct hf_instance_rec *r)
{
    if (hf_instance_is_over(r)) {
        hf_instance_forget(r);
        return;
    }
    hf_instance_free_assignment(&r->later);
    if (!r->want)
        return;
    hf_warn("instance %s run %llu: not assigned to this host any more, but not over: left as it is", r->id,
            (unsigned long long)r->run);
    hf_instance_free_assignment(&r->want);
    hf_instance_report(r);
}

void hf_instance_rec_unassign(struct hf_host *h, const struct hf_uuid *uuid)
{
    struct hf_instance_rec *r = hf_instance_rec_find(h, uuid);
    if (!r)
        return;
    unassign(r);
    hf_host_tick_networks(h);
    hf_host_tick_volumes(h);
}

void hf_instance_recs_sweep(struct hf_host *h, uint64_t sync)
{
    for (struct hf_instance_rec *r = h->instances, *next; r; r = next) {
        next = r->next;
        if (r->sync != sync)
            unassign(r);
    }
}

void hf_instance_recs_each_nic(struct hf_host *h,
                               void (*fn)(void *arg, const Holdfast__V1__InstanceAssignment__Nic *nic),
                               void *arg)
{
    for (struct hf_instance_rec *r = h->instances; r; r = r->next)
        if (r->want && r->permit != HF_PERMIT_TOMBSTONED)
            for (size_t i = 0; i < r->want->n_nics; i++)
                fn(arg, r->want->nics[i]);
}

bool hf_instance_recs_use_volume(struct hf_host *h, const char *volume_uuid)
{
    for (struct hf_instance_rec *r = h->instances; r; r = r->next)
        if (r->want && r->permit != HF_PERMIT_TOMBSTONED)
            for (size_t i = 0; i < r->want->n_disks; i++)
                if (strcmp(r->want->disks[i]->volume_uuid, volume_uuid) == 0)
                    return true;
    return false;
}
