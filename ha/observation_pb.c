#include "ha/observation_pb.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static char *uuid_text(const struct hf_uuid *u)
{
    char text[HF_UUID_STR];
    return hf_strdup(hf_uuid_format(u, text));
}

Holdfast__V1__Observation *hf_observation_to_pb(const struct hf_observation *o)
{
    Holdfast__V1__Observation *m = HF_NEW(Holdfast__V1__Observation);
    holdfast__v1__observation__init(m);
    m->primary_storage_uuid = uuid_text(&o->storage);
    m->host_uuid = uuid_text(&o->host);
    m->boot_id = hf_strdup(o->boot_id);
    m->error = hf_strdup(o->error);
    m->mark_error = hf_strdup(o->mark_error);
    m->marked_epoch = o->marked_epoch;
    m->session = o->session;
    m->epoch = o->epoch;
    m->sequence = o->sequence;
    m->unchanged_ms = o->unchanged_ms;
    m->samples_good = o->samples_good;
    m->closed = o->closed;
    m->killed = o->killed;
    m->n_runs = o->n_runs;
    m->runs = o->n_runs ? hf_alloc_array(o->n_runs, sizeof m->runs[0]) : NULL;
    for (size_t i = 0; i < o->n_runs; i++) {
        Holdfast__V1__InstanceReport *r = HF_NEW(Holdfast__V1__InstanceReport);
        holdfast__v1__instance_report__init(r);
        r->instance_uuid = uuid_text(&o->runs[i].instance);
        r->epoch = o->epoch;
        r->run = o->runs[i].run;
        r->state = o->runs[i].incoming ? HOLDFAST__V1__INSTANCE_REPORT__STATE__INCOMING
                   : o->runs[i].live   ? HOLDFAST__V1__INSTANCE_REPORT__STATE__RUNNING
                                       : HOLDFAST__V1__INSTANCE_REPORT__STATE__STOPPED;
        r->handed_over = o->runs[i].handed_over;
        m->runs[i] = r;
    }
    return m;
}

hf_status hf_observation_from_pb(const Holdfast__V1__Observation *m,
                                 struct hf_lease_run runs[HF_LEASE_RECORD_RUNS_MAX],
                                 struct hf_observation *ret)
{
    struct hf_observation o = {.epoch = m->epoch,
                               .sequence = m->sequence,
                               .unchanged_ms = m->unchanged_ms,
                               .samples_good = m->samples_good,
                               .closed = m->closed,
                               .killed = m->killed,
                               .marked_epoch = m->marked_epoch,
                               .session = m->session,
                               .runs = runs,
                               .n_runs = m->n_runs};
    if (!hf_uuid_parse(m->primary_storage_uuid, &o.storage))
        return hf_error(HF_INVALID, "observation: '%s' is not the UUID of a storage",
                        m->primary_storage_uuid);
    if (!hf_uuid_parse(m->host_uuid, &o.host))
        return hf_error(HF_INVALID, "observation: '%s' is not the UUID of a host", m->host_uuid);
    if (m->n_runs > HF_LEASE_RECORD_RUNS_MAX)
        return hf_error(HF_INVALID, "observation: %zu runs are more than a record holds", m->n_runs);
    for (size_t i = 0; i < m->n_runs; i++) {
        if (!hf_uuid_parse(m->runs[i]->instance_uuid, &runs[i].instance))
            return hf_error(HF_INVALID, "observation: '%s' is not the UUID of an instance",
                            m->runs[i]->instance_uuid);
        runs[i].run = m->runs[i]->run;
        runs[i].live = m->runs[i]->state != HOLDFAST__V1__INSTANCE_REPORT__STATE__STOPPED;
        runs[i].incoming = m->runs[i]->state == HOLDFAST__V1__INSTANCE_REPORT__STATE__INCOMING;
        runs[i].handed_over = m->runs[i]->handed_over;
    }
    snprintf(o.boot_id, sizeof o.boot_id, "%s", m->boot_id);
    snprintf(o.error, sizeof o.error, "%s", m->error);
    snprintf(o.mark_error, sizeof o.mark_error, "%s", m->mark_error);
    *ret = o;
    return HF_STATUS_OK;
}
