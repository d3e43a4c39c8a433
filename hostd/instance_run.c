/* A run with a permit: it is started, watched, and kept as it is wanted. */
#include "base/log.h"
#include "base/mutant.h"
#include "holdfast/v1/instance.pb-c.h"
#include "hostd/instance_int.h"

#define START_UNKNOWN_MS                                                                                     \
    10000 /* a start whose answer was lost and that is not seen for so long is ordered again */

#define STATE(x) HOLDFAST__V1__INSTANCE_REPORT__STATE__##x
#define POWER(x) HOLDFAST__V1__POWER_STATE__POWER_##x

static void on_registered(void *arg, hf_status st)
{
    struct hf_instance_rec *r = arg;
    if (!hf_instance_call_end(r))
        return;
    if (hf_ok(st)) {
        r->registered = true;
        if (r->permit == HF_PERMIT_PENDING)
            r->permit = HF_PERMIT_LIVE;
        hf_instance_tick(r);
        return;
    }
    hf_warn("instance %s run %llu: the keeper does not register it: %s", r->id, (unsigned long long)r->run,
            hf_status_message(st));
    hf_host_refresh(r->host);
    hf_instance_later_backoff(r);
}

static void register_run(struct hf_instance_rec *r)
{
    struct hf_keeper *k = r->host->d.keeper;
    hf_instance_call_begin(r);
    k->ops->register_run(k, &r->uuid, r->run, r->pid, on_registered, r);
}

/* Pause or resume has been answered. */
static void on_power(void *arg, hf_status st)
{
    struct hf_instance_rec *r = arg;
    if (!hf_instance_call_end(r))
        return;
    if (!hf_ok(st)) {
        hf_instance_blocked(r, hf_status_copy(st));
        r->seen = HF_SEEN_UNKNOWN;
        return;
    }
    hf_backoff_reset(&r->backoff);
    hf_instance_look(r);
}

static void on_reboot(void *arg, hf_status st)
{
    struct hf_instance_rec *r = arg;
    if (!hf_instance_call_end(r))
        return;
    /* Unknown counts as done: a guest that was asked twice would boot twice. */
    if (!hf_ok(st) && hf_status_class(st) != HF_CLASS_UNKNOWN) {
        hf_instance_blocked(r, hf_wrap(hf_status_copy(st), "reboot"));
        return;
    }
    hf_info("instance %s run %llu: %s", r->id, (unsigned long long)r->run,
            r->rebooting_force ? "reset" : "rebooted");
    r->reboot_done = r->rebooting;
    hf_backoff_reset(&r->backoff);
    hf_instance_report(r);
    hf_instance_look(r);
}

static bool reboot_due(const struct hf_instance_rec *r)
{
    return hf_instance_reboots_wanted(r->want) > r->reboot_done;
}

static void reboot(struct hf_instance_rec *r)
{
    struct hf_hypervisor *hv = r->host->d.hypervisor;
    bool force = r->want->reboot_force_generation > r->reboot_done;
    r->rebooting_force = force;
    r->rebooting = hf_instance_reboots_wanted(r->want);
    hf_instance_call_begin(r);
    hv->ops->reboot(hv, &r->uuid, force, HF_INSTANCE_ORDER_DEADLINE_MS, on_reboot, r);
}

static bool power_differs(const struct hf_instance_rec *r)
{
    return (r->seen == HF_SEEN_PAUSED) != (r->want->power == POWER(PAUSED));
}

static bool order_due(const struct hf_instance_rec *r)
{
    return r->want && !r->want->migration &&
           (power_differs(r) || reboot_due(r) || hf_instance_grow_due(r));
}

/* The domain is there. */
static void present_step(struct hf_instance_rec *r)
{
    struct hf_hypervisor *hv = r->host->d.hypervisor;
    bool paused = r->seen == HF_SEEN_PAUSED;
    r->start = HF_START_DONE;
    /* What it was kept from is said until it has succeeded. */
    hf_instance_say(r, paused ? STATE(PAUSED) : STATE(RUNNING), NULL, order_due(r) ? r->blocked : NULL);
    if (!r->registered) {
        register_run(r);
        return;
    }
    if (!r->want ||
        (r->want->migration && !HF_MUTANT(GO_ON_WITHOUT_WORD))) /* one that migrates is left as it is */
        return;
    if (power_differs(r) && paused && r->io_stopped) {
        hf_instance_io_step(r);
        return;
    }
    if (power_differs(r)) {
        hf_instance_call_begin(r);
        (paused ? hv->ops->resume : hv->ops->pause)(hv, &r->uuid, HF_INSTANCE_ORDER_DEADLINE_MS, on_power, r);
        return;
    }
    if (!paused && reboot_due(r))
        reboot(r);
    else if (hf_instance_grow_due(r))
        hf_instance_grow(r);
}

/* The hypervisor has no domain of this run. */
static void absent_step(struct hf_instance_rec *r)
{
    int64_t now = hf_env_now_ms(r->host->d.env);
    if (HF_MUTANT(UNSEEN_IS_STOPPED)) {
        r->permit = HF_PERMIT_TOMBSTONED;
        hf_instance_settle(r);
    } else if (r->permit == HF_PERMIT_LIVE || r->start == HF_START_DONE) {
        hf_instance_gone_step(r);
    } else if (r->start == HF_START_FAILED) {
        hf_instance_end_run(r, true, HF_END_START_FAILED, r->start_error);
    } else if (!r->want && r->start == HF_START_NOT_ASKED) {
        hf_instance_end_run(r, false, HF_END_ORDER, "taken back before it was started");
    } else if (!r->want) {
        /* Permit without a start that is known: what is not assigned is not started, and the leader decides.
         */
        hf_instance_say(r, STATE(STARTING), "a permit was given, no QEMU is seen", NULL);
    } else if (r->start == HF_START_NOT_ASKED || now >= r->unknown_since_ms + START_UNKNOWN_MS) {
        hf_instance_order_start(r);
    } else {
        hf_instance_say(r, STATE(STARTING), "the answer to its start was lost, looking for it", NULL);
        r->seen = HF_SEEN_UNKNOWN;
        hf_instance_later_backoff(r);
    }
}

/* A run with a permit, which counts as running. One whose start was refused, but of which the keeper has seen
 * a process, has spent its yes at the gate (QEMU could not begin, say): no other process of it is let in. */
void hf_instance_permitted_step(struct hf_instance_rec *r)
{
    if (hf_instance_is_incoming(r))
        hf_instance_set_incoming(r);
    if (r->incoming)
        hf_instance_incoming_step(r);
    else if (hf_instance_move_step(r))
        return;
    else if (r->start == HF_START_NOT_ASKED && r->permit == HF_PERMIT_LIVE && r->start_error)
        hf_instance_end_run(r, true, HF_END_START_FAILED, r->start_error);
    else if (r->start == HF_START_NOT_ASKED && r->want)
        hf_instance_order_start(r);
    else if (r->gone_hint && r->start != HF_START_FAILED)
        hf_instance_gone_step(r);
    else if (r->seen == HF_SEEN_UNKNOWN && !r->looking)
        hf_instance_look(r);
    else if (r->seen == HF_SEEN_ABSENT)
        absent_step(r);
    else if (r->seen == HF_SEEN_RUNNING || r->seen == HF_SEEN_PAUSED)
        present_step(r);
}
