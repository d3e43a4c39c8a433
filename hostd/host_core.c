/* Life of the core: the keeper's view, the hypervisor's list, and who is told of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buggify.h"
#include "base/log.h"
#include "base/mem.h"
#include "hostd/host.h"
#include "hostd/host_leave.h"
#include "hostd/image_rec.h"
#include "hostd/instance_rec.h"
#include "hostd/network_rec.h"
#include "hostd/storage_rec.h"
#include "hostd/volume_rec.h"

#define VIEW_RETRY_MS 1000

/* --- life --- */

struct hf_host *hf_host_create(const struct hf_host_options *o)
{
    struct hf_host *h = HF_NEW(struct hf_host);
    h->o = *o;
    hf_uuid_format(&o->uuid, h->id);
    hf_attach_init(h);
    return h;
}

static void look_timer(void *arg);

void hf_host_start(struct hf_host *h, const struct hf_host_drivers *d)
{
    HF_ASSERT(!h->started && d->env && d->hypervisor && d->keeper && d->net && d->send && d->redial &&
              d->left);
    HF_ASSERT(d->open_storage && d->keep_mounts && d->addresses && d->reader_create && d->reader_set_peers &&
              d->reader_set_marks && d->reader_close);
    h->d = *d;
    h->started = true;
    hf_timer_start(d->env, &h->look_timer, HF_HOST_LOOK_MS, look_timer, h);
    hf_host_refresh(h);
}

static void check_closed(struct hf_host *h)
{
    if (h->closing && h->calls == 0 && h->closed) {
        void (*closed)(void *) = h->closed;
        h->closed = NULL;
        closed(h->closed_arg);
    }
}

void hf_host_close(struct hf_host *h, void (*closed)(void *arg), void *arg)
{
    HF_ASSERT(!h->closing);
    h->closing = true;
    h->closed = closed;
    h->closed_arg = arg;
    hf_timer_stop(&h->look_timer);
    hf_timer_stop(&h->view_timer);
    hf_attach_done(h);
    hf_leave_done(h);
    hf_instance_recs_stop(h);
    hf_storage_recs_stop(h);
    hf_image_recs_stop(h);
    hf_volume_recs_stop(h);
    hf_network_recs_stop(h);
    check_closed(h);
}

static void free_view(struct hf_host_view *v)
{
    free(v->runs);
    free(v->storages);
    v->runs = NULL;
    v->storages = NULL;
    v->n_runs = v->n_storages = 0;
}

void hf_host_free(struct hf_host *h)
{
    HF_ASSERT(h->closing || !h->started);
    hf_instance_recs_free(h);
    hf_volume_recs_free(h);
    hf_image_recs_free(h);
    hf_network_recs_free(h);
    hf_storage_recs_free(h);
    free_view(&h->view);
    free(h);
}

void hf_host_call_begin(struct hf_host *h)
{
    h->calls++;
}

void hf_host_call_end(struct hf_host *h)
{
    HF_ASSERT(h->calls > 0);
    h->calls--;
    check_closed(h);
}

bool hf_host_ready(const struct hf_host *h)
{
    return h->started && !h->closing && h->view.up && h->view.known && !h->view.foreign &&
           h->view.epoch != 0 && !h->view.epoch_closed && !h->attach.ending &&
           h->attach.gate != HF_GATE_EPOCH;
}

/* --- ticks --- */

void hf_host_tick_instances(struct hf_host *h)
{
    for (struct hf_instance_rec *r = h->instances, *next; r; r = next) {
        next = hf_instance_rec_next(r);
        hf_instance_rec_wake(r);
    }
}

void hf_host_tick_networks(struct hf_host *h)
{
    hf_network_recs_tick(h);
}

void hf_host_tick_volumes(struct hf_host *h)
{
    hf_volume_recs_tick(h);
}

void hf_host_tick_all(struct hf_host *h)
{
    hf_storage_recs_tick(h);
    hf_image_recs_tick(h);
    hf_host_tick_networks(h);
    hf_host_tick_instances(h);
    hf_host_tick_volumes(h);
}

/* --- the keeper's view --- */

static void copy_view(struct hf_host *h, const struct hf_keeper_view *v)
{
    struct hf_host_view *to = &h->view;
    free_view(to);
    to->at_ms = hf_env_now_ms(h->d.env);
    to->epoch = v->epoch;
    to->epoch_closed = v->epoch_closed;
    to->clean = v->clean;
    to->max_term = v->max_term > to->max_term ? v->max_term : to->max_term;
    to->foreign = !hf_uuid_is_zero(&v->host_uuid) && !hf_uuid_equal(&v->host_uuid, &h->o.uuid);
    snprintf(to->boot_id, sizeof to->boot_id, "%s", v->boot_id);
    snprintf(to->watchdog, sizeof to->watchdog, "%s", v->watchdog ? v->watchdog : "none");
    snprintf(to->watchdog_problem, sizeof to->watchdog_problem, "%s",
             v->watchdog_problem ? v->watchdog_problem : "");
    snprintf(to->profile, sizeof to->profile, "%s", v->profile ? v->profile : "");
    to->n_runs = v->n_runs < HF_HOST_RUNS_MAX ? v->n_runs : HF_HOST_RUNS_MAX;
    to->runs = hf_alloc_array(to->n_runs + 1, sizeof *to->runs);
    if (to->n_runs)
        memcpy(to->runs, v->runs, to->n_runs * sizeof *to->runs);
    to->n_storages = v->n_storages;
    to->storages = hf_alloc_array(to->n_storages + 1, sizeof *to->storages);
    if (to->n_storages)
        memcpy(to->storages, v->storages, to->n_storages * sizeof *to->storages);
}

static void note_foreign(struct hf_host *h, bool was)
{
    if (h->view.foreign && !was)
        hf_err("the keeper on this machine serves another host: end it, remove its run directory, and start "
               "it with "
               "nothing running, or give this daemon the state directory of that host (this is host %s)",
               h->id);
}

static void view_timer(void *arg)
{
    hf_host_refresh(arg);
}

static void on_view(void *arg, hf_status st, const struct hf_keeper_view *v)
{
    struct hf_host *h = arg;
    bool was_up = h->view.up, was_foreign = h->view.foreign;
    h->view.asking = false;
    hf_host_call_end(h);
    if (h->closing)
        return;
    h->view.up = hf_ok(st) && !HF_BUGGIFY(VIEW_FAILS);
    bool again = h->view.again;
    h->view.again = false;
    if (!h->view.up) {
        if (was_up)
            hf_warn("the keeper does not answer, no instance is started or ended until it does: %s",
                    hf_status_message(st));
        hf_timer_start(h->d.env, &h->view_timer, again ? 0 : VIEW_RETRY_MS, view_timer, h);
        return;
    }
    if (!was_up && h->view.known)
        hf_info("the keeper answers again");
    copy_view(h, v);
    h->view.known = true;
    note_foreign(h, was_foreign);
    /* Before the runs there are told to be over: they are to start elsewhere. */
    hf_storage_recs_see_closed(h);
    if (!h->view.epoch_closed && !h->view.foreign)
        hf_instance_recs_see_runs(h);
    hf_attach_view(h);
    if (!was_up)
        hf_host_tick_all(h);
    else
        hf_storage_recs_tick(h);
    if (again)
        hf_host_refresh(h);
}

void hf_host_refresh(struct hf_host *h)
{
    if (!h->started || h->closing)
        return;
    if (h->view.asking) {
        h->view.again = true;
        return;
    }
    hf_timer_stop(&h->view_timer);
    h->view.asking = true;
    hf_host_call_begin(h);
    h->d.keeper->ops->view(h->d.keeper, on_view, h);
}

static void keeper_changed(void *arg)
{
    hf_host_refresh(arg);
}

static void keeper_connection(void *arg, bool up)
{
    struct hf_host *h = arg;
    if (!up)
        h->view.up = false;
    hf_host_refresh(h);
}

struct hf_keeper_events hf_host_keeper_events(struct hf_host *h)
{
    return (struct hf_keeper_events){keeper_changed, keeper_connection, h};
}

/* --- the hypervisor's list --- */

static void begin_look(struct hf_host *h);

static void on_list(void *arg, hf_status st, const struct hf_vm_seen *vms, size_t n)
{
    struct hf_host *h = arg;
    h->looking = false;
    hf_host_call_end(h);
    if (h->closing)
        return;
    /* A hypervisor that does not answer says nothing about its domains: the next look will. */
    bool listed = hf_ok(st) && !HF_BUGGIFY(LIST_FAILS);
    if (listed)
        hf_instance_recs_see_domains(h, h->look_seq, vms, n);
    if (h->look_again && listed) {
        h->look_again = false;
        begin_look(h);
    } else {
        h->look_again = false;
        hf_timer_start(h->d.env, &h->look_timer, listed ? HF_HOST_LOOK_MS : VIEW_RETRY_MS, look_timer, h);
    }
}

static void begin_look(struct hf_host *h)
{
    hf_timer_stop(&h->look_timer);
    h->looking = true;
    h->look_seq++;
    hf_host_call_begin(h);
    h->d.hypervisor->ops->list(h->d.hypervisor, HF_HOST_LIST_DEADLINE_MS, on_list, h);
}

static void look_timer(void *arg)
{
    struct hf_host *h = arg;
    if (h->instances)
        begin_look(h);
    else
        hf_timer_start(h->d.env, &h->look_timer, HF_HOST_LOOK_MS, look_timer, h);
}

uint64_t hf_host_look(struct hf_host *h)
{
    if (!h->started || h->closing)
        return h->look_seq + 1;
    if (h->looking)
        h->look_again = true;
    else
        begin_look(h);
    return h->look_again ? h->look_seq + 1 : h->look_seq;
}

static void vm_gone(void *arg, const struct hf_uuid *uuid, enum hf_vm_gone why)
{
    struct hf_host *h = arg;
    struct hf_instance_rec *r = hf_instance_rec_find(h, uuid);
    if (r && !h->closing)
        hf_instance_rec_gone(r, why);
}

static void vm_io_stopped(void *arg, const struct hf_uuid *uuid)
{
    struct hf_host *h = arg;
    if (hf_instance_rec_find(h, uuid) && !h->closing)
        hf_host_look(h);
}

static void vm_connection(void *arg, bool up)
{
    struct hf_host *h = arg;
    if (!h->started || h->closing)
        return;
    if (!up) {
        hf_warn("the connection to the hypervisor is lost: guests go on, orders wait");
        return;
    }
    hf_host_look(h);
    hf_host_tick_instances(h);
}

struct hf_hypervisor_events hf_host_hypervisor_events(struct hf_host *h)
{
    return (struct hf_hypervisor_events){
        .gone = vm_gone, .connection = vm_connection, .io_stopped = vm_io_stopped, .arg = h};
}

/* --- reports --- */

void hf_host_send(struct hf_host *h, Holdfast__V1__HostMessage *m)
{
    if (hf_attach_granted(h))
        h->d.send(h->d.arg, m);
}

void hf_host_drop_instances(struct hf_host *h)
{
    hf_instance_recs_drop(h);
    hf_host_tick_networks(h);
    hf_host_tick_volumes(h);
}
