#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "holdfast/v1/instance.pb-c.h"
#include "hostd/instance_int.h"

typedef Holdfast__V1__InstanceReport__State state_t;
#define STATE(x) HOLDFAST__V1__INSTANCE_REPORT__STATE__##x
#define POWER(x) HOLDFAST__V1__POWER_STATE__POWER_##x

/* --- life --- */

static void instance_free(struct hf_instance_rec *r)
{
    if (r->want)
        holdfast__v1__instance_assignment__free_unpacked(r->want, NULL);
    free(r->start_error);
    free(r->end_reason);
    free(r->message);
    free(r->blocked);
    free(r);
}

static struct hf_instance_rec *instance_new(struct hf_host *h, const struct hf_uuid *uuid, uint64_t run)
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

static void forget(struct hf_instance_rec *r)
{
    struct hf_instance_rec **at = &r->host->instances;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    r->host->n_instances--;
    hf_timer_stop(&r->timer);
    r->dead = true;
    if (!r->busy)
        instance_free(r);
}

void hf_instance_recs_drop(struct hf_host *h)
{
    while (h->instances)
        forget(h->instances);
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
        instance_free(r);
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
    i.reboot_done = r->reboot_done;
    m.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_INSTANCE;
    m.instance = &i;
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
    if (r->permit == HF_PERMIT_TOMBSTONED && r->unverified)
        hf_instance_verify_step(r);
    else if (r->permit == HF_PERMIT_TOMBSTONED)
        hf_instance_settle(r);
    else if (r->want && r->want->power == POWER(STOPPED))
        hf_instance_stop_step(r);
    else if (r->permit != HF_PERMIT_NONE)
        hf_instance_permitted_step(r);
    else if (r->want)
        hf_instance_start_step(r);
}

static void tick_now(struct hf_instance_rec *r)
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
    tick_now(r);
}

/* --- what the keeper and the hypervisor say --- */

static void see_permit(struct hf_instance_rec *r, enum hf_keeper_run_state state)
{
    static const enum hf_permit permits[] = {HF_PERMIT_PENDING, HF_PERMIT_LIVE, HF_PERMIT_TOMBSTONED};
    enum hf_permit p = permits[state];
    if (p <= r->permit)
        return; /* it only goes forward */
    r->permit = p;
    r->unverified = p == HF_PERMIT_TOMBSTONED && (r->starting || r->start == HF_START_UNKNOWN);
    tick_now(r);
}

static struct hf_instance_rec *adopt(struct hf_host *h, const struct hf_keeper_run *run)
{
    struct hf_instance_rec *r = instance_new(h, &run->instance, run->run);
    hf_info("instance %s run %llu: adopted", r->id, (unsigned long long)r->run);
    r->pid = run->pid;
    r->registered = run->state == HF_RUN_LIVE;
    r->start = run->state == HF_RUN_LIVE ? HF_START_DONE : HF_START_UNKNOWN;
    r->unknown_since_ms = hf_env_now_ms(h->d.env);
    r->state = run->state == HF_RUN_LIVE ? STATE(RUNNING) : STATE(STARTING);
    return r;
}

void hf_instance_recs_see_runs(struct hf_host *h)
{
    for (size_t i = 0; i < h->view.n_runs; i++) {
        const struct hf_keeper_run *run = &h->view.runs[i];
        struct hf_instance_rec *r = hf_instance_rec_find(h, &run->instance);
        if (!r && run->state != HF_RUN_TOMBSTONED && h->n_instances < HF_HOST_RECORDS_MAX)
            r = adopt(h, run);
        if (r && r->run == run->run)
            see_permit(r, run->state);
    }
}

static enum hf_seen seen_of(const struct hf_instance_rec *r, const struct hf_vm_seen *vms, size_t n,
                            int *ret_pid)
{
    for (size_t i = 0; i < n; i++) {
        if (!hf_uuid_equal(&vms[i].uuid, &r->uuid) || vms[i].run != r->run)
            continue;
        *ret_pid = vms[i].pid;
        return vms[i].state == HF_VM_PAUSED ? HF_SEEN_PAUSED : HF_SEEN_RUNNING;
    }
    return HF_SEEN_ABSENT;
}

static void see_domain(struct hf_instance_rec *r, uint64_t look, const struct hf_vm_seen *vms, size_t n)
{
    if (r->busy || (r->looking && look < r->look))
        return; /* begun before what was done last */
    enum hf_seen was = r->seen;
    r->looking = false;
    r->seen = seen_of(r, vms, n, &r->pid);
    if (r->seen != was && was != HF_SEEN_UNKNOWN)
        tick_now(r);
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

/* --- assignments --- */

static hf_status check_assignment(const struct hf_host *h, const Holdfast__V1__InstanceAssignment *a,
                                  struct hf_uuid *ret_uuid)
{
    struct hf_uuid other;
    if (!hf_uuid_parse(a->uuid, ret_uuid))
        return hf_error(HF_INVALID, "assign instance: '%s' is no UUID", a->uuid);
    if (a->epoch != h->view.epoch)
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

/* What the keeper knows of a run that comes new. */
static void recall_permit(struct hf_instance_rec *r)
{
    for (size_t i = 0; i < r->host->view.n_runs; i++) {
        const struct hf_keeper_run *run = &r->host->view.runs[i];
        if (hf_uuid_equal(&run->instance, &r->uuid) && run->run == r->run && run->state == HF_RUN_TOMBSTONED)
            r->permit = HF_PERMIT_TOMBSTONED;
    }
}

uint64_t hf_instance_reboots_wanted(const Holdfast__V1__InstanceAssignment *a)
{
    return a->reboot_generation > a->reboot_force_generation ? a->reboot_generation
                                                             : a->reboot_force_generation;
}

/* True when the count of reboots in the next report is another one. */
static bool set_want(struct hf_instance_rec *r, const Holdfast__V1__InstanceAssignment *a)
{
    size_t len = holdfast__v1__instance_assignment__get_packed_size(a);
    uint8_t *buf = hf_alloc(len + 1);
    holdfast__v1__instance_assignment__pack(a, buf);
    if (r->want)
        holdfast__v1__instance_assignment__free_unpacked(r->want, NULL);
    r->want = holdfast__v1__instance_assignment__unpack(NULL, len, buf);
    free(buf);
    HF_ASSERT(r->want);
    r->sync = r->host->attach.sync;
    bool counts = !r->reboot_baseline && r->permit != HF_PERMIT_NONE;
    if (counts) { /* adopted: reboots ordered before are done */
        r->reboot_done = hf_instance_reboots_wanted(a);
        r->reboot_baseline = true;
    }
    if (a->power != POWER(STOPPED)) {
        r->stop_since_ms = r->shutdown_ms = 0; /* the stop was taken back */
        r->destroyed = false;
    }
    return counts;
}

static hf_status replace_run(struct hf_instance_rec **r, const Holdfast__V1__InstanceAssignment *a)
{
    struct hf_instance_rec *old = *r;
    bool over = !old->busy && !old->unverified &&
                (old->permit == HF_PERMIT_TOMBSTONED || old->permit == HF_PERMIT_NONE);
    if (a->run < old->run)
        return hf_error(HF_CONFLICT,
                        "assign instance %s: run %llu is older than run %llu, which this host has", a->uuid,
                        (unsigned long long)a->run, (unsigned long long)old->run);
    if (!over)
        return hf_error(HF_PRECONDITION,
                        "assign instance %s: run %llu cannot begin, run %llu of it is not over on this host",
                        a->uuid, (unsigned long long)a->run, (unsigned long long)old->run);
    forget(old);
    *r = NULL;
    return HF_STATUS_OK;
}

hf_status hf_instance_rec_assign(struct hf_host *h, const Holdfast__V1__InstanceAssignment *a)
{
    struct hf_uuid uuid;
    HF_TRY(check_assignment(h, a, &uuid));
    struct hf_instance_rec *r = hf_instance_rec_find(h, &uuid);
    if (r && r->run != a->run)
        HF_TRY(replace_run(&r, a));
    if (!r) {
        if (h->n_instances >= HF_HOST_RECORDS_MAX)
            return hf_error(HF_EXHAUSTED, "assign instance %s: this host has %zu instances, the maximum",
                            a->uuid, h->n_instances);
        r = instance_new(h, &uuid, a->run);
        recall_permit(r);
    }
    bool say_again = r->state == STATE(STOPPED); /* the leader has not taken it in yet */
    say_again |= set_want(r, a);
    hf_host_tick_networks(h); /* DHCP learns of its addresses, or of other ones */
    tick_now(r);
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
    if (!r->busy && !r->unverified && (r->permit == HF_PERMIT_TOMBSTONED || r->permit == HF_PERMIT_NONE)) {
        forget(r);
        return;
    }
    if (!r->want)
        return;
    hf_warn("instance %s run %llu: not assigned to this host any more, but not over: left as it is", r->id,
            (unsigned long long)r->run);
    holdfast__v1__instance_assignment__free_unpacked(r->want, NULL);
    r->want = NULL;
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
