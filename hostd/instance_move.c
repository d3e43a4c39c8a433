/* A run that migrates, at both of its hosts (docs/migration.md). The source sends it when it is told that the
 * target is ready, and when the hypervisor has handed it over whole, the keeper tombstones this copy: only
 * then does the report leave that lets the target go on. Whatever else comes out of it, the guest stays here.
 * The target waits behind a permit of its own kind.
 *
 * The call that sends it may take long and must leave room for others: it is not a step of the record but one
 * on the side, which the record outlives. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "holdfast/v1/instance.pb-c.h"
#include "hostd/instance_int.h"

#define MOVE_DEADLINE_MS (60u * 60 * 1000) /* the leader calls it off long before */
#define LOOK_AFTER_MS    1000              /* progress is asked for, and an abort repeated, so often */

#define STATE(x) HOLDFAST__V1__INSTANCE_REPORT__STATE__##x

typedef Holdfast__V1__InstanceAssignment__Migration Order;

static const Order *order_of(const struct hf_instance_rec *r)
{
    return r->want ? r->want->migration : NULL;
}

/* --- calls on the side --- */

static void side_begin(struct hf_instance_rec *r, unsigned *count)
{
    (*count)++;
    r->side_calls++;
    hf_host_call_begin(r->host);
}

/* false: the record was dropped meanwhile, and may be freed by this. */
static bool side_end(struct hf_instance_rec *r, unsigned *count)
{
    struct hf_host *h = r->host;
    bool alive = !r->dead;
    (*count)--;
    r->side_calls--;
    if (!alive)
        hf_instance_free_unused(r);
    hf_host_call_end(h);
    return alive;
}

static void watch(struct hf_instance_rec *r);

static void on_progress(void *arg, hf_status st, const struct hf_vm_progress *p)
{
    struct hf_instance_rec *r = arg;
    if (!side_end(r, &r->move.asking) || !hf_ok(st) || r->move.state != HF_MOVE_RUNNING ||
        p->total_bytes == 0)
        return;
    r->move.progress = *p;
    hf_instance_report(r);
}

static void set_failed(struct hf_instance_rec *r, const char *why)
{
    char *copy = hf_strdup(why);
    free(r->move.error);
    r->move.error = copy;
    r->move.state = HF_MOVE_FAILED;
    hf_warn("instance %s run %llu: its migration %llu failed: %s", r->id, (unsigned long long)r->run,
            (unsigned long long)r->move.run, copy);
    hf_instance_look(r);
    hf_instance_report(r);
}

static void on_aborted(void *arg, hf_status st)
{
    struct hf_instance_rec *r = arg;
    if (!side_end(r, &r->move.asking))
        return;
    if (!hf_ok(st) || r->move.calling || r->move.state != HF_MOVE_UNKNOWN)
        return; /* asked again by the timer, or its own answer is still to come */
    hf_timer_stop(&r->move.timer);
    /* Nothing is under way any more. Whether it is still here is to be seen; that it was handed over is known
     * only when the hypervisor has said so. */
    if (r->gone_heard && r->gone_why == HF_VM_GONE_MIGRATED)
        r->move.state = HF_MOVE_DONE;
    else
        set_failed(r, r->move.error);
    hf_instance_tick_now(r);
}

static void abort_move(struct hf_instance_rec *r)
{
    struct hf_hypervisor *hv = r->host->d.hypervisor;
    if (r->move.asking > 0)
        return;
    side_begin(r, &r->move.asking);
    hv->ops->migrate_abort(hv, &r->uuid, HF_INSTANCE_ORDER_DEADLINE_MS, on_aborted, r);
}

static void ask_progress(struct hf_instance_rec *r)
{
    struct hf_hypervisor *hv = r->host->d.hypervisor;
    if (r->move.asking > 0)
        return;
    side_begin(r, &r->move.asking);
    hv->ops->migrate_progress(hv, &r->uuid, HF_INSTANCE_ORDER_DEADLINE_MS, on_progress, r);
}

/* Whether the leader still wants what is under way. */
static bool wanted(const struct hf_instance_rec *r)
{
    const Order *o = order_of(r);
    return o && o->run == r->move.run && !o->incoming && !o->cancel;
}

static void on_watch(void *arg)
{
    struct hf_instance_rec *r = arg;
    if (r->move.state == HF_MOVE_UNKNOWN || (r->move.calling && !wanted(r)))
        abort_move(r);
    else if (r->move.calling)
        ask_progress(r);
    watch(r);
}

static void watch(struct hf_instance_rec *r)
{
    if (r->move.calling || r->move.state == HF_MOVE_UNKNOWN)
        hf_timer_start(r->host->d.env, &r->move.timer, LOOK_AFTER_MS, on_watch, r);
}

/* --- the source --- */

static void set_unknown(struct hf_instance_rec *r, const char *why)
{
    char *copy = hf_strdup(why);
    free(r->move.error);
    r->move.error = copy;
    r->move.state = HF_MOVE_UNKNOWN;
    abort_move(r);
    watch(r);
}

static void on_moved(void *arg, hf_status st)
{
    struct hf_instance_rec *r = arg;
    if (!side_end(r, &r->move.calling))
        return;
    hf_timer_stop(&r->move.timer);
    if (hf_ok(st))
        r->move.state = HF_MOVE_DONE;
    else if (hf_status_class(st) == HF_CLASS_UNKNOWN && !HF_MUTANT(LOST_MOVE_FAILED))
        set_unknown(r, hf_status_message(st));
    else
        set_failed(r, hf_status_message(st));
    hf_instance_tick_now(r);
}

static void begin(struct hf_instance_rec *r, const Order *o)
{
    struct hf_hypervisor *hv = r->host->d.hypervisor;
    struct hf_vm_migration m = {.uuid = r->uuid,
                                .run = r->run,
                                .target_epoch = o->target_epoch,
                                .target_run = o->run,
                                .target_address = o->target_address};
    if (!hf_uuid_parse(o->target_host_uuid, &m.target_host) || o->target_address[0] == '\0') {
        set_failed(r, "the order names no target");
        return;
    }
    hf_info("instance %s run %llu: migrates to host %s as run %llu", r->id, (unsigned long long)r->run,
            o->target_host_uuid, (unsigned long long)o->run);
    r->move.state = HF_MOVE_RUNNING;
    r->move.progress = (struct hf_vm_progress){0};
    side_begin(r, &r->move.calling);
    watch(r);
    hv->ops->migrate(hv, &m, MOVE_DEADLINE_MS, on_moved, r);
    hf_instance_report(r);
}

/* A migration that this record has not heard of. */
static void take_order(struct hf_instance_rec *r, const Order *o)
{
    if (r->adopted) { /* the daemon before this one may have begun it */
        r->move.run = o->run;
        set_unknown(r, "the host daemon was restarted meanwhile");
    } else if (o->cancel) {
        r->move.run = o->run;
        set_failed(r, "called off before it began");
    } else if (o->go) {
        r->move.run = o->run;
        begin(r, o);
    }
}

bool hf_instance_move_step(struct hf_instance_rec *r)
{
    const Order *o = order_of(r);
    bool present = r->permit == HF_PERMIT_LIVE && !r->gone_hint && r->seen != HF_SEEN_ABSENT;
    if (!r->move.calling && r->move.state != HF_MOVE_UNKNOWN && o && !o->incoming && present &&
        o->run > r->move.run)
        take_order(r, o);
    if (r->move.calling && !wanted(r))
        abort_move(r);
    return r->move.calling || r->move.state == HF_MOVE_UNKNOWN; /* its end is not judged before */
}

void hf_instance_move_report(const struct hf_instance_rec *r, Holdfast__V1__InstanceReport__Move *ret)
{
    static const Holdfast__V1__InstanceReport__Move__State states[] = {
        [HF_MOVE_NONE] = HOLDFAST__V1__INSTANCE_REPORT__MOVE__STATE__STATE_UNSPECIFIED,
        [HF_MOVE_RUNNING] = HOLDFAST__V1__INSTANCE_REPORT__MOVE__STATE__MOVING,
        [HF_MOVE_UNKNOWN] = HOLDFAST__V1__INSTANCE_REPORT__MOVE__STATE__MOVING,
        [HF_MOVE_FAILED] = HOLDFAST__V1__INSTANCE_REPORT__MOVE__STATE__FAILED,
        [HF_MOVE_DONE] = HOLDFAST__V1__INSTANCE_REPORT__MOVE__STATE__MOVING,
    };
    ret->run = r->move.run;
    ret->state = states[r->move.state];
    ret->message =
        r->move.state == HF_MOVE_FAILED && r->move.error ? r->move.error : (char *)protobuf_c_empty_string;
    ret->done_bytes = r->move.progress.done_bytes;
    ret->total_bytes = r->move.progress.total_bytes;
}

/* --- the target --- */

void hf_instance_set_incoming(struct hf_instance_rec *r)
{
    r->incoming = true;
    r->start = HF_START_DONE;                     /* by the hypervisor of the source, when it comes */
    r->registered |= r->permit == HF_PERMIT_LIVE; /* it came through the gate, or was seen */
    if (r->want && !r->reboot_baseline) {
        r->reboot_done = hf_instance_reboots_wanted(r->want);
        r->reboot_baseline = true;
    }
}

bool hf_instance_is_incoming(const struct hf_instance_rec *r)
{
    const Order *o = order_of(r);
    return o && o->incoming && !(HF_MUTANT(GO_ON_WITHOUT_WORD) && r->seen == HF_SEEN_PAUSED);
}

static void on_go_on(void *arg, hf_status st)
{
    struct hf_instance_rec *r = arg;
    if (!hf_instance_call_end(r))
        return;
    if (!hf_ok(st)) {
        hf_instance_blocked(r, hf_wrap(hf_status_copy(st), "go on after its migration"));
        r->seen = HF_SEEN_UNKNOWN;
        return;
    }
    r->incoming = false;
    hf_backoff_reset(&r->backoff);
    hf_instance_look(r);
}

/* The copy waits: for its guest, and then for the leader's word. */
static void wait_step(struct hf_instance_rec *r)
{
    if (r->gone_hint || (r->permit == HF_PERMIT_LIVE && r->seen == HF_SEEN_ABSENT)) {
        hf_instance_gone_step(r);
        return;
    }
    hf_instance_say(r, STATE(INCOMING),
                    r->seen == HF_SEEN_PAUSED ? "its guest is here" : "waits for its guest", NULL);
    if (r->permit == HF_PERMIT_LIVE && r->seen == HF_SEEN_UNKNOWN && !r->looking)
        hf_instance_look(r);
}

void hf_instance_incoming_step(struct hf_instance_rec *r)
{
    struct hf_keeper *k = r->host->d.keeper;
    if (hf_instance_is_incoming(r) || !r->want) {
        wait_step(r);
    } else if (r->gone_hint || r->seen == HF_SEEN_ABSENT) {
        hf_instance_gone_step(r);
    } else if (r->seen == HF_SEEN_UNKNOWN || r->seen == HF_SEEN_INCOMING) {
        if (!r->looking)
            hf_instance_look(r);
    } else {
        hf_instance_call_begin(r);
        k->ops->go_on(k, &r->uuid, r->run, on_go_on, r);
    }
}
