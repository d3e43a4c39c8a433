/* The way down: by order (ACPI, then force), or because the guest is gone. Either way ends at the keeper,
 * whose tombstone is what makes "stopped" a promise (rule 4). */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "holdfast/v1/instance.pb-c.h"
#include "hostd/host_leave.h"
#include "hostd/instance_int.h"

#define SHUTDOWN_REPEAT_MS   5000 /* a guest that still boots misses an ACPI event */
#define STILL_THERE_FIRST_MS 200
#define HANDED_OVER_TEXT     "its guest was sent to another host"
#define LEASE_LOST_TEXT      "ended by the keeper: a lease of its storages was lost"

static void set_text(char **field, const char *text)
{
    char *copy = hf_strdup(text);
    free(*field);
    *field = copy;
}

/* --- the end of a run --- */

static void on_ended(void *arg, hf_status st)
{
    struct hf_instance_rec *r = arg;
    if (!hf_instance_call_end(r))
        return;
    if (hf_ok(st)) {
        r->permit = HF_PERMIT_TOMBSTONED;
        r->unverified = false;
        hf_instance_tick(r);
        return;
    }
    r->seen = HF_SEEN_UNKNOWN;
    r->looking = false;
    if (hf_status_code(st) == HF_PRECONDITION)
        r->gone_hint = false; /* not gone yet */
    if (hf_status_code(st) == HF_PRECONDITION && r->end == HF_END_GUEST) {
        /* Its QEMU is still there: dying, or not gone at all. Look again soon. */
        r->end = HF_END_NOT;
        hf_instance_later(
            r, hf_backoff_next(&r->backoff, r->host->d.env, STILL_THERE_FIRST_MS, HF_INSTANCE_RETRY_MAX_MS));
        return;
    }
    hf_warn("instance %s run %llu: its end is not verified yet: %s", r->id, (unsigned long long)r->run,
            hf_status_message(st));
    hf_instance_say(r, r->state, r->message, hf_status_message(st));
    hf_instance_later_backoff(r);
}

void hf_instance_end_run(struct hf_instance_rec *r, bool kill, enum hf_end end, const char *reason)
{
    struct hf_keeper *k = r->host->d.keeper;
    bool orderly = r->gone_heard && r->gone_why == HF_VM_GONE_GUEST && !r->destroyed;
    unsigned how = (kill ? HF_KEEPER_END_KILL : 0) | (orderly ? HF_KEEPER_END_ORDERLY : 0);
    r->end = end;
    set_text(&r->end_reason, reason);
    hf_instance_call_begin(r);
    k->ops->end_run(k, &r->uuid, r->run, how, on_ended, r);
}

void hf_instance_end_handed_over(struct hf_instance_rec *r)
{
    struct hf_keeper *k = r->host->d.keeper;
    r->end = HF_END_HANDED_OVER;
    set_text(&r->end_reason, HANDED_OVER_TEXT);
    hf_instance_call_begin(r);
    k->ops->hand_over(k, &r->uuid, r->run, on_ended, r);
}

static const char *gone_text(const struct hf_instance_rec *r)
{
    if (!r->gone_heard)
        return "QEMU is gone: it was killed, or ended while nobody watched";
    switch (r->gone_why) {
    case HF_VM_GONE_GUEST:
        return "the guest powered off";
    case HF_VM_GONE_MIGRATED:
        return "its guest was sent to another host";
    case HF_VM_GONE_DESTROYED:
        return "its domain was destroyed by somebody else than Holdfast";
    case HF_VM_GONE_CRASHED:
        return "QEMU was killed or crashed";
    case HF_VM_GONE_UNKNOWN:
        break;
    }
    return "QEMU is gone";
}

void hf_instance_gone_step(struct hf_instance_rec *r)
{
    if (r->end == HF_END_REFUSED) /* killed for that, and the answer was lost */
        hf_instance_end_run(r, false, HF_END_REFUSED, r->end_reason);
    else
        hf_instance_end_run(r, false, HF_END_GUEST, gone_text(r));
}

static bool needs(const struct hf_instance_rec *r, const struct hf_uuid *storage)
{
    struct hf_uuid uuid;
    for (size_t i = 0; r->want && i < r->want->n_disks; i++)
        if (hf_uuid_parse(r->want->disks[i]->primary_storage_uuid, &uuid) && hf_uuid_equal(&uuid, storage))
            return true;
    return false;
}

void hf_instance_see_closed(struct hf_instance_rec *r)
{
    const struct hf_host_view *v = &r->host->view;
    for (size_t i = 0; i < v->n_storages && !r->lease_lost && !v->epoch_closed; i++) {
        const struct hf_keeper_storage *s = &v->storages[i];
        if (!s->closed || !needs(r, &s->uuid))
            continue;
        r->lease_lost = true;
        r->lost_storage = s->uuid;
        r->lost_since_ms = s->age_ms == INT64_MAX ? INT64_MAX : v->at_ms - s->age_ms;
    }
}

/* Nobody here ended it, nor did the guest. The hypervisor calls that a crash. */
static bool killed_by_keeper(const struct hf_instance_rec *r)
{
    bool itself = r->gone_heard && r->gone_why == HF_VM_GONE_GUEST;
    return r->lease_lost && (r->end == HF_END_KEEPER || (r->end == HF_END_GUEST && !itself));
}

void hf_instance_settle(struct hf_instance_rec *r)
{
    bool news = r->state != HOLDFAST__V1__INSTANCE_REPORT__STATE__STOPPED;
    if (r->end == HF_END_HANDED_OVER && !r->end_reason)
        set_text(&r->end_reason, HANDED_OVER_TEXT);
    if (r->end == HF_END_NOT) {
        bool lived = r->state != HOLDFAST__V1__INSTANCE_REPORT__STATE__STATE_UNSPECIFIED;
        r->end = hf_instance_is_to_stop(r) ? HF_END_ORDER : lived ? HF_END_KEEPER : HF_END_GUEST;
        set_text(&r->end_reason,
                 lived ? LEASE_LOST_TEXT : "this run was over when the host daemon heard of it");
    }
    if (news && killed_by_keeper(r)) {
        r->end = HF_END_KEEPER;
        set_text(&r->end_reason, LEASE_LOST_TEXT);
    }
    hf_instance_say(r, HOLDFAST__V1__INSTANCE_REPORT__STATE__STOPPED, r->end_reason, NULL);
    if (!news)
        return;
    hf_host_tick_networks(r->host); /* its address is not served any more */
    hf_host_tick_volumes(r->host);
}

/* --- by order --- */

bool hf_instance_is_to_stop(const struct hf_instance_rec *r)
{
    return hf_leave_stops_all(r->host) ||
           (r->want && r->want->power == HOLDFAST__V1__POWER_STATE__POWER_STOPPED);
}

void hf_instance_recs_stop_all(struct hf_host *h)
{
    for (struct hf_instance_rec *r = h->instances, *next; r; r = next) {
        next = hf_instance_rec_next(r);
        hf_instance_tick_now(r);
    }
}

bool hf_instance_recs_all_over(struct hf_host *h)
{
    for (struct hf_instance_rec *r = h->instances; r; r = hf_instance_rec_next(r))
        if (!hf_instance_is_over(r))
            return false;
    return true;
}

static void on_order(void *arg, hf_status st)
{
    struct hf_instance_rec *r = arg;
    if (!hf_instance_call_end(r))
        return;
    /* Whatever the answer: the guest is gone or it is not, and that is seen. */
    if (!hf_ok(st))
        hf_debug("instance %s run %llu: shutdown: %s", r->id, (unsigned long long)r->run,
                 hf_status_message(st));
    hf_instance_look(r);
}

static void order_shutdown(struct hf_instance_rec *r, int64_t now)
{
    struct hf_hypervisor *hv = r->host->d.hypervisor;
    hf_instance_call_begin(r);
    if (r->seen == HF_SEEN_PAUSED) { /* a paused guest hears nothing */
        hv->ops->resume(hv, &r->uuid, HF_INSTANCE_ORDER_DEADLINE_MS, on_order, r);
        return;
    }
    r->shutdown_ms = now;
    hv->ops->shutdown(hv, &r->uuid, HF_INSTANCE_ORDER_DEADLINE_MS, on_order, r);
}

/* libvirt is not the way to kill: with or without its help, the keeper ends the run. But a start whose answer
 * was lost may still be on its way inside libvirt, and only libvirt can say that it is not: a good answer
 * comes after it. */
static void on_destroyed(void *arg, hf_status st)
{
    struct hf_instance_rec *r = arg;
    if (!hf_instance_call_end(r))
        return;
    if (!hf_ok(st) && r->start == HF_START_UNKNOWN) {
        hf_instance_blocked(r, hf_wrap(hf_status_copy(st), "an order to start may still be under way"));
        return;
    }
    if (!hf_ok(st))
        hf_warn("instance %s run %llu: destroy: %s", r->id, (unsigned long long)r->run,
                hf_status_message(st));
    r->destroyed = true;
    r->start = r->start == HF_START_UNKNOWN ? HF_START_DONE : r->start;
    hf_instance_tick(r);
}

static void destroy(struct hf_instance_rec *r)
{
    struct hf_hypervisor *hv = r->host->d.hypervisor;
    hf_instance_call_begin(r);
    hv->ops->destroy(hv, &r->uuid, HF_INSTANCE_ORDER_DEADLINE_MS, on_destroyed, r);
}

static void force(struct hf_instance_rec *r)
{
    if (r->destroyed) {
        hf_instance_end_run(r, true, HF_END_ORDER, "stopped by force");
        return;
    }
    hf_instance_say(r, HOLDFAST__V1__INSTANCE_REPORT__STATE__STOPPING, "stopping by force", r->blocked);
    destroy(r);
}

void hf_instance_verify_step(struct hf_instance_rec *r)
{
    if (r->start == HF_START_UNKNOWN)
        destroy(r);
    else
        hf_instance_end_run(r, true, HF_END_ORDER, "ended by the keeper while it started");
}

unsigned hf_instance_recs_clear_starts(struct hf_host *h)
{
    unsigned n = 0;
    for (struct hf_instance_rec *r = h->instances; r; r = hf_instance_rec_next(r)) {
        if (r->start != HF_START_UNKNOWN)
            continue;
        n++;
        if (!r->busy)
            destroy(r);
    }
    return n;
}

static void wait_for_guest(struct hf_instance_rec *r, int64_t now, int64_t grace_end)
{
    int64_t next = r->shutdown_ms + SHUTDOWN_REPEAT_MS;
    if (next > grace_end)
        next = grace_end;
    hf_instance_later(r, next > now ? (unsigned)(next - now) : 1);
}

void hf_instance_stop_step(struct hf_instance_rec *r)
{
    int64_t now = hf_env_now_ms(r->host->d.env);
    int64_t grace = r->want && r->want->stop_grace_ms ? r->want->stop_grace_ms : HF_INSTANCE_STOP_GRACE_MS;
    if (r->permit == HF_PERMIT_NONE) {
        hf_instance_end_run(r, true, HF_END_ORDER, "stopped before it ran");
        return;
    }
    if (!r->stop_since_ms) {
        hf_info("instance %s run %llu: stop", r->id, (unsigned long long)r->run);
        r->stop_since_ms = now;
    }
    bool acpi =
        !(r->want && r->want->force_stop) && r->start != HF_START_FAILED && now < r->stop_since_ms + grace;
    if (r->seen == HF_SEEN_ABSENT && r->start != HF_START_UNKNOWN && r->start != HF_START_NOT_ASKED)
        hf_instance_end_run(r, true, HF_END_ORDER, "stopped");
    else if (r->gone_hint)
        hf_instance_end_run(r, true, HF_END_ORDER, "stopped");
    else if (!acpi || r->seen == HF_SEEN_ABSENT)
        force(r);
    else if (!r->shutdown_ms || now >= r->shutdown_ms + SHUTDOWN_REPEAT_MS || r->seen == HF_SEEN_PAUSED) {
        hf_instance_say(r, HOLDFAST__V1__INSTANCE_REPORT__STATE__STOPPING, "stopping", NULL);
        order_shutdown(r, now);
    } else
        wait_for_guest(r, now, r->stop_since_ms + grace);
}
