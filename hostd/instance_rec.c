#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buggify.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "holdfast/v1/instance.pb-c.h"
#include "hostd/instance_int.h"

typedef Holdfast__V1__InstanceReport__State state_t;
#define STATE(x) HOLDFAST__V1__INSTANCE_REPORT__STATE__##x
#define POWER(x) HOLDFAST__V1__POWER_STATE__POWER_##x

/* --- life --- */

void hf_instance_free_assignment(Holdfast__V1__InstanceAssignment **a)
{
    if (*a)
        holdfast__v1__instance_assignment__free_unpacked(*a, NULL);
    *a = NULL;
}

/* What the record owns. */
void hf_instance_clear(struct hf_instance_rec *r)
{
    hf_instance_free_assignment(&r->want);
    hf_instance_free_assignment(&r->later);
    free(r->start_error);
    free(r->end_reason);
    free(r->message);
    free(r->blocked);
    free(r->move.error);
}

static void instance_free(struct hf_instance_rec *r)
{
    hf_instance_clear(r);
    free(r);
}

struct hf_instance_rec *hf_instance_new(struct hf_host *h, const struct hf_uuid *uuid, uint64_t run)
{
    struct hf_instance_rec *r = HF_NEW(struct hf_instance_rec);
    r->host = h;
    r->uuid = *uuid;
    hf_uuid_format(uuid, r->id);
    r->run = run;
    r->epoch = h->view.epoch;
    r->next = h->instances;
    h->instances = r;
    h->n_instances++;
    return r;
}

void hf_instance_forget(struct hf_instance_rec *r)
{
    struct hf_instance_rec **at = &r->host->instances;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    r->host->n_instances--;
    hf_timer_stop(&r->timer);
    hf_timer_stop(&r->move.timer);
    r->dead = true;
    hf_instance_free_unused(r);
}

void hf_instance_free_unused(struct hf_instance_rec *r)
{
    if (r->dead && !r->busy && r->side_calls == 0)
        instance_free(r);
}

void hf_instance_recs_drop(struct hf_host *h)
{
    while (h->instances)
        hf_instance_forget(h->instances);
}

void hf_instance_recs_stop(struct hf_host *h)
{
    hf_instance_recs_drop(h);
}

void hf_instance_recs_free(struct hf_host *h)
{
    HF_ASSERT(h->instances == NULL);
}

void hf_instance_call_begin(struct hf_instance_rec *r)
{
    HF_ASSERT(!r->busy);
    r->busy = true;
    hf_timer_stop(&r->timer);
    hf_host_call_begin(r->host);
}

bool hf_instance_call_end(struct hf_instance_rec *r)
{
    struct hf_host *h = r->host;
    bool alive = !r->dead;
    r->busy = false;
    if (!alive)
        hf_instance_free_unused(r);
    hf_host_call_end(h);
    return alive;
}

static void timer(void *arg)
{
    hf_instance_tick(arg);
}

void hf_instance_later(struct hf_instance_rec *r, unsigned ms)
{
    hf_timer_start(r->host->d.env, &r->timer, ms, timer, r);
}

void hf_instance_later_backoff(struct hf_instance_rec *r)
{
    hf_instance_later(r, hf_backoff_next(&r->backoff, r->host->d.env, HF_INSTANCE_RETRY_FIRST_MS,
                                         HF_INSTANCE_RETRY_MAX_MS));
}

struct hf_instance_rec *hf_instance_rec_find(struct hf_host *h, const struct hf_uuid *uuid)
{
    struct hf_instance_rec *r = h->instances;
    while (r && !hf_uuid_equal(&r->uuid, uuid))
        r = r->next;
    return r;
}

struct hf_instance_rec *hf_instance_rec_next(struct hf_instance_rec *r)
{
    return r->next;
}

/* --- reports --- */

void hf_instance_report(struct hf_instance_rec *r)
{
    Holdfast__V1__InstanceReport i = HOLDFAST__V1__INSTANCE_REPORT__INIT;
    Holdfast__V1__HostMessage m = HOLDFAST__V1__HOST_MESSAGE__INIT;
    Holdfast__V1__InstanceReport__Move move = HOLDFAST__V1__INSTANCE_REPORT__MOVE__INIT;
    Holdfast__V1__InstanceReport__LostLease lost = HOLDFAST__V1__INSTANCE_REPORT__LOST_LEASE__INIT;
    char storage[HF_UUID_STR];
    HF_ASSERT(r->state != STATE(STOPPED) || r->permit == HF_PERMIT_TOMBSTONED);
    if (r->state == STATE(STATE_UNSPECIFIED))
        return;
    i.instance_uuid = r->id;
    i.epoch = r->epoch;
    i.run = r->run;
    i.state = r->state;
    i.message = r->message ? r->message : (char *)protobuf_c_empty_string;
    i.blocked = r->blocked ? r->blocked : (char *)protobuf_c_empty_string;
    i.failed = r->state == STATE(STOPPED) && r->end == HF_END_START_FAILED;
    i.guest_initiated = r->state == STATE(STOPPED) && r->end == HF_END_GUEST;
    i.client_refused = r->state == STATE(STOPPED) && r->end == HF_END_REFUSED;
    i.handed_over = r->state == STATE(STOPPED) && r->end == HF_END_HANDED_OVER;
    i.reboot_done = r->reboot_done;
    if (r->move.run) {
        hf_instance_move_report(r, &move);
        i.move = &move;
    }
    if (r->state == STATE(STOPPED) && r->end == HF_END_KEEPER && r->lease_lost) {
        lost.primary_storage_uuid = hf_uuid_format(&r->lost_storage, storage);
        lost.age_ms = r->lost_since_ms == INT64_MAX ? 0 : hf_env_now_ms(r->host->d.env) - r->lost_since_ms;
        i.lost_lease = &lost;
    }
    m.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_INSTANCE;
    m.instance = &i;
    hf_host_send(r->host, &m);
    if (HF_BUGGIFY(REPORT_TWICE))
        hf_host_send(r->host, &m);
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

void hf_instance_say(struct hf_instance_rec *r, state_t state, const char *message, const char *blocked)
{
    if (r->state == state && same_text(r->message, message) && same_text(r->blocked, blocked))
        return;
    if (state == STATE(STOPPED) && r->state != state)
        hf_info("instance %s run %llu: stopped: %s", r->id, (unsigned long long)r->run, message);
    if (blocked && !same_text(r->blocked, blocked))
        hf_warn("instance %s run %llu: %s", r->id, (unsigned long long)r->run, blocked);
    char *m = hf_strdup(message), *b = hf_strdup(blocked);
    free(r->message);
    free(r->blocked);
    r->message = m;
    r->blocked = b;
    r->state = state;
    hf_instance_report(r);
}

void hf_instance_blocked(struct hf_instance_rec *r, hf_status st)
{
    state_t state = r->permit == HF_PERMIT_NONE ? STATE(PREPARING) : r->state;
    hf_instance_say(r, state, NULL, hf_status_message(st));
    hf_status_drop(st);
    hf_instance_later_backoff(r);
}

void hf_instance_recs_report(struct hf_host *h)
{
    for (struct hf_instance_rec *r = h->instances; r; r = r->next)
        hf_instance_report(r);
}

/* --- steps --- */

void hf_instance_look(struct hf_instance_rec *r)
{
    r->seen = HF_SEEN_UNKNOWN;
    r->looking = true;
    r->look = hf_host_look(r->host);
}

void hf_instance_tick(struct hf_instance_rec *r)
{
    if (r->busy || r->dead || !hf_host_ready(r->host) || hf_timer_running(&r->timer))
        return;
    r->waits_for_records = false;
    if (r->later && hf_instance_is_over(r))
        hf_instance_take_later(r);
    if (r->permit == HF_PERMIT_TOMBSTONED && r->unverified)
        hf_instance_verify_step(r);
    else if (r->permit == HF_PERMIT_TOMBSTONED)
        hf_instance_settle(r);
    else if (r->move.state == HF_MOVE_DONE)
        hf_instance_end_handed_over(r);
    else if (hf_instance_is_to_stop(r))
        hf_instance_stop_step(r);
    else if (r->permit != HF_PERMIT_NONE)
        hf_instance_permitted_step(r);
    else if (r->want)
        hf_instance_start_step(r);
}

void hf_instance_tick_now(struct hf_instance_rec *r)
{
    hf_timer_stop(&r->timer);
    hf_instance_tick(r);
}

void hf_instance_rec_wake(struct hf_instance_rec *r)
{
    if (r->waits_for_records)
        hf_timer_stop(&r->timer);
    hf_instance_tick(r);
}

void hf_instance_rec_gone(struct hf_instance_rec *r, enum hf_vm_gone why)
{
    if (r->permit == HF_PERMIT_NONE)
        return; /* of an earlier run */
    r->gone_hint = r->gone_heard = true;
    r->gone_why = why;
    hf_instance_tick_now(r);
}

/* --- what the keeper and the hypervisor say --- */

static void see_permit(struct hf_instance_rec *r, const struct hf_keeper_run *run)
{
    static const enum hf_permit permits[] = {HF_PERMIT_PENDING, HF_PERMIT_LIVE, HF_PERMIT_TOMBSTONED};
    enum hf_permit p = permits[run->state];
    if (p <= r->permit)
        return; /* it only goes forward */
    r->permit = p;
    r->unverified = p == HF_PERMIT_TOMBSTONED && (r->starting || r->start == HF_START_UNKNOWN);
    if (run->incoming)
        hf_instance_set_incoming(r);
    if (run->handed_over && r->end == HF_END_NOT)
        r->end = HF_END_HANDED_OVER;
    hf_instance_tick_now(r);
}

static struct hf_instance_rec *adopt(struct hf_host *h, const struct hf_keeper_run *run)
{
    struct hf_instance_rec *r = hf_instance_new(h, &run->instance, run->run);
    hf_info("instance %s run %llu: adopted", r->id, (unsigned long long)r->run);
    r->pid = run->pid;
    r->registered = run->state == HF_RUN_LIVE;
    r->adopted = true;
    r->start = run->state == HF_RUN_LIVE ? HF_START_DONE : HF_START_UNKNOWN;
    r->unknown_since_ms = hf_env_now_ms(h->d.env);
    r->state = run->incoming ? STATE(INCOMING) : run->state == HF_RUN_LIVE ? STATE(RUNNING) : STATE(STARTING);
    return r;
}

void hf_instance_recs_see_runs(struct hf_host *h)
{
    for (struct hf_instance_rec *r = h->instances; r; r = r->next)
        if (r->permit == HF_PERMIT_LIVE || r->permit == HF_PERMIT_PENDING)
            hf_instance_see_closed(r);
    for (size_t i = 0; i < h->view.n_runs && !HF_MUTANT(ADOPTS_NOTHING); i++) {
        const struct hf_keeper_run *run = &h->view.runs[i];
        struct hf_instance_rec *r = hf_instance_rec_find(h, &run->instance);
        if (!r && run->state != HF_RUN_TOMBSTONED && h->n_instances < HF_HOST_RECORDS_MAX)
            r = adopt(h, run);
        if (r && r->run == run->run)
            see_permit(r, run);
    }
}

static enum hf_seen seen_of(const struct hf_instance_rec *r, const struct hf_vm_seen *vms, size_t n,
                            int *ret_pid, bool *ret_io_stopped)
{
    *ret_io_stopped = false;
    for (size_t i = 0; i < n; i++) {
        if (!hf_uuid_equal(&vms[i].uuid, &r->uuid) || vms[i].run != r->run)
            continue;
        *ret_pid = vms[i].pid;
        *ret_io_stopped = vms[i].state == HF_VM_IO_STOPPED;
        return *ret_io_stopped || vms[i].state == HF_VM_PAUSED ? HF_SEEN_PAUSED
               : vms[i].state == HF_VM_INCOMING ? (r->incoming ? HF_SEEN_INCOMING : HF_SEEN_PAUSED)
                                                : HF_SEEN_RUNNING;
    }
    return HF_SEEN_ABSENT;
}

static void see_domain(struct hf_instance_rec *r, uint64_t look, const struct hf_vm_seen *vms, size_t n)
{
    if (r->busy || (r->looking && look < r->look))
        return; /* begun before what was done last */
    enum hf_seen was = r->seen;
    r->looking = false;
    r->seen = seen_of(r, vms, n, &r->pid, &r->io_stopped);
    if (r->seen != was && was != HF_SEEN_UNKNOWN)
        hf_instance_tick_now(r);
    else
        hf_instance_tick(r);
}

void hf_instance_recs_see_domains(struct hf_host *h, uint64_t look, const struct hf_vm_seen *vms, size_t n)
{
    for (struct hf_instance_rec *r = h->instances, *next; r; r = next) {
        next = r->next;
        see_domain(r, look, vms, n);
    }
}
