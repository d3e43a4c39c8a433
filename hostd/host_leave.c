#include "hostd/host_leave.h"

#include "base/log.h"
#include "hostd/instance_rec.h"

#define TICK_MS 1000

bool hf_leave_begun(const struct hf_host *h)
{
    return h->leave.state != HF_LEAVE_NOT;
}

bool hf_leave_stops_all(const struct hf_host *h)
{
    return h->leave.state == HF_LEAVE_STOPPING;
}

void hf_leave_say(struct hf_host *h)
{
    Holdfast__V1__Leave leave = HOLDFAST__V1__LEAVE__INIT;
    Holdfast__V1__HostMessage m = HOLDFAST__V1__HOST_MESSAGE__INIT;
    m.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_LEAVE;
    m.leave = &leave;
    if (h->attach.state != HF_ATTACH_DOWN)
        h->d.send(h->d.arg, &m);
}

static void tick(void *arg);

static void enter(struct hf_host *h, enum hf_leave_state state)
{
    h->leave.state = state;
    h->leave.since_ms = hf_env_now_ms(h->d.env);
    hf_timer_start(h->d.env, &h->leave.timer, 0, tick, h);
}

static void leave_now(struct hf_host *h, bool recorded)
{
    hf_timer_stop(&h->leave.timer);
    h->leave.state = HF_LEAVE_DONE;
    hf_info("this host has left: nothing runs here%s",
            recorded ? "" : "; the leader has not answered, the lease records tell it");
    h->d.left(h->d.arg, recorded);
}

/* --- the states --- */

/* What was granted is over, and nothing of it is left. */
static bool is_closed(const struct hf_host *h)
{
    return h->view.known && !h->attach.ending && h->view.epoch_closed && h->view.clean && !h->instances;
}

static void ask(struct hf_host *h, int64_t now)
{
    struct hf_leave *l = &h->leave;
    if (hf_attach_granted(h)) {
        l->heard_ms = now;
        hf_leave_say(h);
    }
    bool alone = now - l->heard_ms >= HF_LEAVE_ALONE_MS;
    if (!alone && now < l->patience_end_ms)
        return;
    hf_warn("%s: every instance here is stopped",
            alone ? "no leader answers" : "the leader has not emptied this host in time");
    enter(h, HF_LEAVE_STOPPING);
    hf_instance_recs_stop_all(h);
}

static void stop(struct hf_host *h, int64_t now)
{
    bool late = now - h->leave.since_ms >= HF_LEAVE_STOP_MS;
    if (!late && !hf_instance_recs_all_over(h))
        return;
    if (late)
        hf_warn("not every instance has stopped in time: what is left is killed");
    enter(h, HF_LEAVE_CLOSING);
    hf_attach_end_epoch(h, "this host is shut down");
}

static void tick(void *arg)
{
    struct hf_host *h = arg;
    struct hf_leave *l = &h->leave;
    int64_t now = hf_env_now_ms(h->d.env);
    hf_timer_start(h->d.env, &l->timer, TICK_MS, tick, h);
    if (h->view.known && h->view.epoch == 0)
        leave_now(h, true); /* nobody ever placed anything here */
    else if (l->state != HF_LEAVE_CLOSED && is_closed(h)) {
        hf_leave_closed(h);
        hf_attach_hello_again(h);
    } else if (l->state == HF_LEAVE_ASKED)
        ask(h, now);
    else if (l->state == HF_LEAVE_STOPPING)
        stop(h, now);
    else if (l->state == HF_LEAVE_CLOSED && now - l->since_ms >= HF_LEAVE_GOODBYE_MS)
        leave_now(h, false);
}

/* --- what happens to it --- */

void hf_host_leave(struct hf_host *h, int64_t patience_ms)
{
    if (!h->started || h->closing || hf_leave_begun(h))
        return;
    int64_t now = hf_env_now_ms(h->d.env);
    hf_info("this machine is about to be switched off: the leader is asked to empty the host");
    h->leave.heard_ms = now;
    h->leave.patience_end_ms = now + patience_ms;
    enter(h, HF_LEAVE_ASKED);
}

hf_status hf_leave_ordered(struct hf_host *h, const Holdfast__V1__ShutDown *d)
{
    if (d->recorded && !is_closed(h))
        return hf_error(HF_PRECONDITION, "epoch %llu of this host is not closed",
                        (unsigned long long)h->view.epoch);
    if (h->leave.state == HF_LEAVE_DONE)
        return HF_STATUS_OK;
    if (d->recorded) {
        leave_now(h, true);
        return HF_STATUS_OK;
    }
    if (h->leave.state != HF_LEAVE_CLOSING) {
        hf_info("the leader shuts this host down: nothing is placed here");
        enter(h, HF_LEAVE_CLOSING);
        hf_attach_end_epoch(h, "this host is shut down");
    }
    return HF_STATUS_OK;
}

void hf_leave_closed(struct hf_host *h)
{
    if (hf_leave_begun(h) && h->leave.state != HF_LEAVE_CLOSED && h->leave.state != HF_LEAVE_DONE)
        enter(h, HF_LEAVE_CLOSED);
}

void hf_leave_done(struct hf_host *h)
{
    hf_timer_stop(&h->leave.timer);
}
