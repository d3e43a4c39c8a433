#include "control/drain_record.h"

#include <string.h>

#include "base/mem.h"

typedef Holdfast__V1__Host Host;
typedef Holdfast__V1__HostSpec__Drain Drain;
typedef Holdfast__V1__HostStatus__DrainProgress Progress;
typedef Holdfast__V1__HostStatus__Leaving Leaving;

/* --- what is wanted --- */

static void want_nothing(Host *h)
{
    if (h->spec->drain != NULL)
        protobuf_c_message_free_unpacked(&h->spec->drain->base, NULL);
    h->spec->drain = NULL;
}

void hf_drain_withdraw(Host *h)
{
    want_nothing(h);
    h->status->duty = HF_DUTY(DUTY_UNSPECIFIED);
}

void hf_drain_want(Host *h, hf_drain_purpose purpose, Holdfast__V1__HostSpec__Drain__Policy policy,
                   const char *operation_uuid, int64_t wall_ms)
{
    want_nothing(h);
    Drain *d = HF_NEW(Drain);
    holdfast__v1__host_spec__drain__init(d);
    d->purpose = purpose;
    d->policy = policy != HF_DRAIN_BY(POLICY_UNSPECIFIED) ? policy : HF_DRAIN_BY(REFUSE);
    d->since_ms = wall_ms;
    hf_pb_set(&d->operation_uuid, operation_uuid);
    h->spec->drain = d;
}

bool hf_drain_want_by_host(Host *h, int64_t wall_ms)
{
    Drain *d = h->spec->drain;
    if (d == NULL) {
        hf_drain_want(h, HF_DRAIN_FOR(SHUTDOWN), HF_DRAIN_BY(STOP), "", wall_ms);
        h->spec->drain->by_host = true;
        return true;
    }
    if (d->purpose == HF_DRAIN_FOR(SHUTDOWN) && d->policy == HF_DRAIN_BY(STOP))
        return false;
    d->purpose = HF_DRAIN_FOR(SHUTDOWN);
    d->policy = HF_DRAIN_BY(STOP);
    return true;
}

bool hf_drain_may_be_silent(const Host *h)
{
    const Drain *d = h->spec != NULL ? h->spec->drain : NULL;
    return d != NULL && (d->purpose == HF_DRAIN_FOR(MAINTENANCE) || d->purpose == HF_DRAIN_FOR(SHUTDOWN));
}

const char *hf_drain_objection(const Host *h)
{
    const Drain *d = h->spec != NULL ? h->spec->drain : NULL;
    if (d == NULL)
        return NULL;
    switch (d->purpose) {
    case HF_DRAIN_FOR(MAINTENANCE):
        return "in maintenance";
    case HF_DRAIN_FOR(SHUTDOWN):
        return "being shut down";
    default:
        return "drained";
    }
}

/* --- how far it is --- */

Leaving *hf_drain_leaving(const Host *h, const char *instance_uuid, uint64_t run)
{
    const Progress *p = h->status != NULL ? h->status->drain : NULL;
    for (size_t i = 0; p != NULL && i < p->n_leaving; i++)
        if (p->leaving[i]->run == run && strcmp(p->leaving[i]->instance_uuid, instance_uuid) == 0)
            return p->leaving[i];
    return NULL;
}

bool hf_drain_stops(const Host *h, const char *instance_uuid, uint64_t run)
{
    const Leaving *l = hf_drain_leaving(h, instance_uuid, run);
    return l != NULL && l->how == HOLDFAST__V1__HOST_STATUS__LEAVING__HOW__STOP;
}

Progress *hf_drain_progress(Host *h)
{
    if (h->status->drain == NULL) {
        h->status->drain = HF_NEW(Progress);
        holdfast__v1__host_status__drain_progress__init(h->status->drain);
    }
    return h->status->drain;
}

Leaving *hf_drain_add_leaving(Host *h, const char *instance_uuid, uint64_t run,
                              Holdfast__V1__HostStatus__Leaving__How how)
{
    Progress *p = hf_drain_progress(h);
    Leaving *l = HF_NEW(Leaving);
    holdfast__v1__host_status__leaving__init(l);
    hf_pb_set(&l->instance_uuid, instance_uuid);
    l->run = run;
    l->how = how;
    p->leaving = hf_realloc_array(p->leaving, p->n_leaving + 1, sizeof(Leaving *));
    p->leaving[p->n_leaving++] = l;
    return l;
}

void hf_drain_remove_leaving(Host *h, size_t i)
{
    Progress *p = h->status->drain;
    protobuf_c_message_free_unpacked(&p->leaving[i]->base, NULL);
    p->n_leaving--;
    memmove(&p->leaving[i], &p->leaving[i + 1], (p->n_leaving - i) * sizeof(Leaving *));
}

void hf_drain_note_stopped(Host *h, const char *instance_uuid)
{
    Progress *p = hf_drain_progress(h);
    for (size_t i = 0; i < p->n_stopped_instance_uuids; i++)
        if (strcmp(p->stopped_instance_uuids[i], instance_uuid) == 0)
            return;
    p->stopped_instance_uuids =
        hf_realloc_array(p->stopped_instance_uuids, p->n_stopped_instance_uuids + 1, sizeof(char *));
    p->stopped_instance_uuids[p->n_stopped_instance_uuids++] = hf_strdup(instance_uuid);
}

void hf_drain_forget_progress(Host *h)
{
    if (h->status->drain != NULL)
        protobuf_c_message_free_unpacked(&h->status->drain->base, NULL);
    h->status->drain = NULL;
}
