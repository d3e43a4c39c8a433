/* Power devices of hosts: added, removed, asked, and told by an operator to switch a host on or off. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "control/api_handlers.h"
#include "control/api_rules.h"
#include "control/placement_guard.h"
#include "control/power_ask.h"
#include "control/power_devices.h"
#include "control/power_job.h"

typedef Holdfast__V1__Host Host;
typedef Holdfast__V1__PowerDevice Device;

/* --- add and remove --- */

static hf_status add_device(Host *h, const Device *given)
{
    if (given == NULL)
        return hf_error(HF_INVALID, "the request has no device");
    HF_TRY(hf_power_device_check(given));
    if (hf_power_device_find(h, given->name) != NULL)
        return hf_error(HF_EXISTS, "it has one of this name already; remove that first");
    if (h->spec->n_power_fencing == HF_POWER_DEVICES_MAX)
        return hf_error(HF_EXHAUSTED, "it has %d already, and no more are possible", HF_POWER_DEVICES_MAX);
    size_t n = holdfast__v1__power_device__get_packed_size(given);
    uint8_t *bytes = hf_alloc(n);
    holdfast__v1__power_device__pack(given, bytes);
    Device *copy = holdfast__v1__power_device__unpack(NULL, n, bytes);
    HF_ASSERT(copy != NULL);
    free(bytes);
    if (copy->timeout_s == 0)
        copy->timeout_s = HF_POWER_TIMEOUT_S;
    Holdfast__V1__HostSpec *spec = h->spec;
    spec->power_fencing =
        hf_realloc_array(spec->power_fencing, spec->n_power_fencing + 1, sizeof *spec->power_fencing);
    spec->power_fencing[spec->n_power_fencing++] = copy;
    return HF_STATUS_OK;
}

static hf_status build_add(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    struct hf_draft d = hf_draft_begin(c, s, t);
    const Holdfast__V1__AddPowerDeviceRequest *r = (const Holdfast__V1__AddPowerDeviceRequest *)c->request;
    hf_status st = HF_STATUS_OK;
    Host *h = (Host *)hf_lookup_message(s, HOLDFAST__V1__KIND__HOST, r->host_uuid, "", &st);
    if (h == NULL)
        return hf_wrap(st, "add a power device");
    st = hf_wrap(add_device(h, r->device), "add power device '%.64s' to host '%s'",
                 r->device != NULL ? r->device->name : "", h->meta->name);
    if (hf_ok(st))
        hf_draft_put_answer(&d, &h->base);
    holdfast__v1__host__free_unpacked(h, NULL);
    return st;
}

void hf_handle_add_power_device(struct hf_api_call *c)
{
    hf_call_write(c, HF_ROOM_ADD, build_add);
}

static hf_status remove_device(Host *h, const char *name)
{
    Holdfast__V1__HostSpec *spec = h->spec;
    for (size_t i = 0; i < spec->n_power_fencing; i++) {
        if (strcmp(spec->power_fencing[i]->name, name) != 0)
            continue;
        holdfast__v1__power_device__free_unpacked(spec->power_fencing[i], NULL);
        for (spec->n_power_fencing--; i < spec->n_power_fencing; i++)
            spec->power_fencing[i] = spec->power_fencing[i + 1];
        return HF_STATUS_OK;
    }
    return hf_error(HF_NOT_FOUND, "it has no such device");
}

static hf_status build_remove(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    struct hf_draft d = hf_draft_begin(c, s, t);
    const Holdfast__V1__RemovePowerDeviceRequest *r =
        (const Holdfast__V1__RemovePowerDeviceRequest *)c->request;
    hf_status st = HF_STATUS_OK;
    Host *h = (Host *)hf_lookup_message(s, HOLDFAST__V1__KIND__HOST, r->host_uuid, "", &st);
    if (h == NULL)
        return hf_wrap(st, "remove a power device");
    st = hf_wrap(remove_device(h, r->name), "remove power device '%.64s' from host '%s'", r->name,
                 h->meta->name);
    if (hf_ok(st))
        hf_draft_put_answer(&d, &h->base);
    holdfast__v1__host__free_unpacked(h, NULL);
    return st;
}

void hf_handle_remove_power_device(struct hf_api_call *c)
{
    hf_call_write(c, HF_ROOM_REMOVE, build_remove);
}

/* --- asking --- */

/* A call that waits for agents. */
struct power_call {
    struct hf_api_call *call;
    Host *host;
    struct hf_power_ask *ask; /* or */
    struct hf_power_job *job;
    struct hf_timer timer; /* ends a job outside of its own callback */
};

static void power_call_free(struct power_call *p)
{
    hf_timer_stop(&p->timer);
    holdfast__v1__host__free_unpacked(p->host, NULL);
    free(p);
}

static void power_cancelled(struct hf_api_call *c)
{
    struct power_call *p = c->data;
    if (p->ask != NULL)
        hf_power_ask_cancel(p->ask);
    if (p->job != NULL)
        hf_power_job_stop(p->job);
    power_call_free(p);
    hf_call_end(c, hf_error(HF_CANCELLED, "the caller has gone"));
}

static const char *state_text(enum hf_power_answer answer)
{
    return answer == HF_POWER_IS_ON ? "on" : answer == HF_POWER_IS_OFF ? "off" : "unknown";
}

/* Off: every device of one level says so; on: none does, and one says on. */
static const char *host_state(const Host *h, const struct hf_power_said *said)
{
    bool any_on = false;
    for (size_t i = 0; i < h->spec->n_power_fencing; i++) {
        bool off = true;
        for (size_t k = 0; k < h->spec->n_power_fencing; k++)
            if (h->spec->power_fencing[k]->level == h->spec->power_fencing[i]->level)
                off = off && said[k].answer == HF_POWER_IS_OFF;
        if (off)
            return "off";
        any_on |= said[i].answer == HF_POWER_IS_ON;
    }
    return any_on ? "on" : "unknown";
}

/* Answers and frees p. */
static void answer_power(struct power_call *p, const struct hf_power_said *said)
{
    Holdfast__V1__HostPower answer = HOLDFAST__V1__HOST_POWER__INIT;
    Holdfast__V1__HostPower__Device devices[HF_POWER_DEVICES_MAX], *list[HF_POWER_DEVICES_MAX];
    struct hf_api_call *c = p->call;
    answer.n_devices = p->host->spec->n_power_fencing;
    answer.devices = list;
    answer.state = (char *)host_state(p->host, said);
    for (size_t i = 0; i < answer.n_devices; i++) {
        const Device *d = p->host->spec->power_fencing[i];
        holdfast__v1__host_power__device__init(&devices[i]);
        devices[i].name = d->name;
        devices[i].level = d->level;
        devices[i].agent = d->agent;
        devices[i].state = (char *)state_text(said[i].answer);
        devices[i].message =
            (char *)(said[i].answer == HF_POWER_REFUSED || said[i].answer == HF_POWER_UNKNOWN ? said[i].text
                                                                                              : "");
        list[i] = &devices[i];
    }
    hf_call_answer(c, &answer.base);
    power_call_free(p);
}

static void asked(void *arg, const struct hf_power_said *said, size_t n)
{
    (void)n;
    answer_power(arg, said);
}

/* The host, if its devices can be asked from here; NULL: the call was ended. */
static struct power_call *begin(struct hf_api_call *c, const char *uuid, const char *what)
{
    hf_status st = HF_STATUS_OK;
    Host *h = (Host *)hf_lookup_message(hf_call_store(c), HOLDFAST__V1__KIND__HOST, uuid, "", &st);
    if (h != NULL && h->spec->n_power_fencing == 0)
        st = hf_error(HF_PRECONDITION,
                      "it has no power devices; add one with 'holdfast host power-fencing add'");
    else if (h != NULL && c->api->control->power == NULL)
        st = hf_error(HF_UNIMPLEMENTED, "this control node runs no fence agents");
    if (!hf_ok(st)) {
        hf_call_end(c, h != NULL ? hf_wrap(st, "%s of host '%s'", what, h->meta->name)
                                 : hf_wrap(st, "%s of a host", what));
        if (h != NULL)
            holdfast__v1__host__free_unpacked(h, NULL);
        return NULL;
    }
    struct power_call *p = HF_NEW(struct power_call);
    p->call = c;
    p->host = h;
    c->data = p;
    c->on_cancel = power_cancelled;
    return p;
}

static void get_power_now(struct hf_api_call *c)
{
    struct power_call *p =
        begin(c, ((const Holdfast__V1__HostVerbRequest *)c->request)->uuid, "show the power");
    if (p != NULL)
        p->ask = hf_power_ask_start(c->api->control, p->host, HF_POWER_STATUS, asked, p);
}

void hf_handle_get_host_power(struct hf_api_call *c)
{
    hf_call_read(c, false, get_power_now); /* the leader's agents */
}

/* --- switching --- */

static size_t open_instances(const struct hf_store *s, const char *host_uuid)
{
    size_t n = 0;
    for (const struct hf_object *o = hf_store_next(s, HOLDFAST__V1__KIND__INSTANCE, ""); o != NULL;
         o = hf_store_next(s, HOLDFAST__V1__KIND__INSTANCE, o->name)) {
        Holdfast__V1__Instance *i = (Holdfast__V1__Instance *)hf_object_decode(o);
        n += i != NULL && hf_placement_open(i->placement) && strcmp(i->placement->host_uuid, host_uuid) == 0;
        if (i != NULL)
            holdfast__v1__instance__free_unpacked(i, NULL);
    }
    return n;
}

static hf_status check_off(struct hf_api_call *c, const Host *h)
{
    const struct hf_api_plugs *p = &c->api->plugs;
    size_t n = open_instances(hf_call_store(c), h->meta->uuid);
    if (n == 0 || p->hosts == NULL || p->hosts->contact == NULL ||
        !p->hosts->contact(p->hosts_arg, h->meta->uuid))
        return HF_STATUS_OK;
    return hf_error(HF_PRECONDITION,
                    "it is in contact and %zu instance%s there: drain it first, or give --force", n,
                    n == 1 ? " runs" : "s run");
}

/* A host that is fenced and not proven down stays off until it is. */
static hf_status check_on(struct hf_api_call *c, const Host *h)
{
    uint64_t epoch = h->status != NULL ? h->status->epoch : 0;
    struct hf_uuid uuid = hf_fence_uuid(h->meta->uuid, epoch);
    const struct hf_object *o = hf_store_get_kind(hf_call_store(c), HOLDFAST__V1__KIND__FENCE, &uuid);
    Holdfast__V1__Fence *f = o != NULL ? (Holdfast__V1__Fence *)hf_object_decode(o) : NULL;
    bool open = f != NULL && f->n_evidence == 0;
    if (f != NULL)
        holdfast__v1__fence__free_unpacked(f, NULL);
    if (open)
        return hf_error(
            HF_PRECONDITION,
            "epoch %llu is fenced and not proven over yet: it stays off until then, or give --force",
            (unsigned long long)epoch);
    return HF_STATUS_OK;
}

static bool may_cut(void *arg, char *why, size_t len)
{
    (void)arg;
    (void)why;
    (void)len;
    return true; /* an operator said so, and this node leads */
}

/* The job is off, or was once through all levels in vain. */
static void job_over(void *arg)
{
    struct power_call *p = arg;
    const struct hf_power_fence *f = hf_power_job_fence(p->job);
    struct hf_power_said said[HF_POWER_DEVICES_MAX] = {{0}};
    for (size_t i = 0; i < p->host->spec->n_power_fencing; i++)
        for (size_t k = 0; k < f->n_devices; k++)
            if (strcmp(f->devices[k].name, p->host->spec->power_fencing[i]->name) == 0) {
                said[i].answer = f->devices[k].said;
                snprintf(said[i].text, sizeof said[i].text, "%s", f->devices[k].text);
            }
    hf_power_job_stop(p->job);
    answer_power(p, said);
}

static void job_changed(void *arg)
{
    struct power_call *p = arg;
    const struct hf_power_fence *f = hf_power_job_fence(p->job);
    if (hf_power_fence_is_off(f) || f->passes > 0)
        hf_timer_start(hf_call_env(p->call), &p->timer, 0, job_over, p);
}

static void set_power_now(struct hf_api_call *c)
{
    const Holdfast__V1__SetHostPowerRequest *r = (const Holdfast__V1__SetHostPowerRequest *)c->request;
    const char *what = r->on ? "switch on the power" : "switch off the power";
    struct power_call *p = begin(c, r->uuid, what);
    if (p == NULL)
        return;
    hf_status st = r->force ? HF_STATUS_OK : r->on ? check_on(c, p->host) : check_off(c, p->host);
    if (!hf_ok(st)) {
        st = hf_wrap(st, "%s of host '%s'", what, p->host->meta->name);
        power_call_free(p);
        hf_call_end(c, st);
        return;
    }
    hf_info("host '%s': an operator switches its power %s", p->host->meta->name, r->on ? "on" : "off");
    if (r->on)
        p->ask = hf_power_ask_start(c->api->control, p->host, HF_POWER_ON, asked, p);
    else
        p->job = hf_power_job_start(c->api->control, p->host,
                                    &(struct hf_power_job_user){may_cut, job_changed, p});
}

void hf_handle_set_host_power(struct hf_api_call *c)
{
    hf_call_read(c, false, set_power_now);
}
