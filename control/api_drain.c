/* Taking a host out of service and back: drain, maintenance, shutdown. The calls write what is wanted; the
 * drain controller makes it true. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/api_handlers.h"
#include "control/api_operation.h"
#include "control/drain_record.h"
#include "control/placement_guard.h"
#include "holdfast/v1/instance.pb-c.h"

typedef Holdfast__V1__Host Host;
typedef Holdfast__V1__Instance Instance;

struct verb {
    const char *name; /* of the operation */
    const char *word; /* for sentences */
    hf_drain_purpose purpose;
};

static const struct verb drain_verb = {"DrainHost", "drain", HF_DRAIN_FOR(DRAIN)};
static const struct verb maintain_verb = {"EnterMaintenance", "put into maintenance",
                                          HF_DRAIN_FOR(MAINTENANCE)};
static const struct verb shut_down_verb = {"ShutDownHost", "shut down", HF_DRAIN_FOR(SHUTDOWN)};

/* --- out of service --- */

/* An order under way is replaced: its operation ends, and says so. */
static void want(struct hf_draft *d, const struct verb *verb, Host *h)
{
    const Holdfast__V1__DrainHostRequest *r = (const Holdfast__V1__DrainHostRequest *)d->call->request;
    char operation[HF_UUID_STR];
    hf_drain_want(h, verb->purpose, r->policy, hf_uuid_format(hf_call_uuid(d->call, 0), operation),
                  d->wall_ms);
    hf_txn_put_message(d->txn, hf_call_env(d->call), &h->base);
    struct hf_operation_target target = {HOLDFAST__V1__KIND__HOST, h->meta->uuid, h->meta->name, 0};
    hf_draft_operation(d, 0, verb->name, &target, "looks at the instances of the host", false);
}

static hf_status build_drain(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    const struct verb *verb = c->data;
    struct hf_draft d = hf_draft_begin(c, s, t);
    const Holdfast__V1__DrainHostRequest *r = (const Holdfast__V1__DrainHostRequest *)c->request;
    hf_status st = HF_STATUS_OK;
    Host *h = (Host *)hf_lookup_message(s, HOLDFAST__V1__KIND__HOST, r->uuid, "", &st);
    if (h == NULL)
        return hf_wrap(st, "%s host", verb->word);
    if (h->status == NULL || h->status->epoch == 0)
        st =
            hf_error(HF_PRECONDITION, "%s host '%s': it has never been connected", verb->word, h->meta->name);
    else
        want(&d, verb, h);
    holdfast__v1__host__free_unpacked(h, NULL);
    return st;
}

static void handle_drain(struct hf_api_call *c, const struct verb *verb)
{
    c->data = (void *)verb;
    hf_call_write(c, HF_ROOM_ADD, build_drain);
}

void hf_handle_drain_host(struct hf_api_call *c)
{
    handle_drain(c, &drain_verb);
}

void hf_handle_enter_maintenance(struct hf_api_call *c)
{
    handle_drain(c, &maintain_verb);
}

void hf_handle_shut_down_host(struct hf_api_call *c)
{
    handle_drain(c, &shut_down_verb);
}

/* --- back --- */

/* What the drain has stopped and nobody has touched since. */
static void start_again(struct hf_draft *d, const char *instance_uuid)
{
    Instance *i = (Instance *)hf_object_find(d->store, HOLDFAST__V1__KIND__INSTANCE, instance_uuid, NULL);
    if (i == NULL)
        return;
    if (i->spec->power == HOLDFAST__V1__POWER_STATE__POWER_STOPPED && !i->spec->deleting &&
        !hf_placement_open(i->placement)) {
        i->spec->power = HOLDFAST__V1__POWER_STATE__POWER_RUNNING;
        hf_txn_put_message(d->txn, hf_call_env(d->call), &i->base);
    }
    holdfast__v1__instance__free_unpacked(i, NULL);
}

static void start_stopped(struct hf_draft *d, Host *h)
{
    Holdfast__V1__HostStatus__DrainProgress *p = h->status->drain;
    for (size_t k = 0; p != NULL && k < p->n_stopped_instance_uuids; k++)
        start_again(d, p->stopped_instance_uuids[k]);
    for (size_t k = 0; p != NULL && k < p->n_leaving; k++) /* those that still stop start when they have */
        p->leaving[k]->start_again = p->leaving[k]->how == HOLDFAST__V1__HOST_STATUS__LEAVING__HOW__STOP;
}

static hf_status build_undrain(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    struct hf_draft d = hf_draft_begin(c, s, t);
    const Holdfast__V1__UndrainHostRequest *r = (const Holdfast__V1__UndrainHostRequest *)c->request;
    hf_status st = HF_STATUS_OK;
    Host *h = (Host *)hf_lookup_message(s, HOLDFAST__V1__KIND__HOST, r->uuid, "", &st);
    if (h == NULL)
        return hf_wrap(st, "undrain host");
    if (h->spec->drain == NULL) {
        st = hf_error(HF_PRECONDITION, "undrain host '%s': it serves already", h->meta->name);
    } else {
        hf_drain_withdraw(h);
        if (r->start_stopped)
            start_stopped(&d, h);
        hf_draft_put_answer(&d, &h->base);
    }
    holdfast__v1__host__free_unpacked(h, NULL);
    return st;
}

void hf_handle_undrain_host(struct hf_api_call *c)
{
    hf_call_write(c, HF_ROOM_ADD, build_undrain);
}
