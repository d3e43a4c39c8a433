#include "control/failover.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/pb_copy.h"
#include "control/ha_controller.h"
#include "control/timeline.h"

typedef Holdfast__V1__Failover Failover;
typedef Holdfast__V1__InstanceReport InstanceReport;

void hf_failover_note(struct hf_controllers *c, Failover *f, const char *fmt, ...)
{
    char leader[HF_TIMELINE_NAME_MAX], what[HF_TIMELINE_NAME_MAX * 2];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    hf_timeline_add(&f->timeline, &f->n_timeline, hf_controllers_wall_ms(c),
                    hf_timeline_leader(c->control, leader), "%s", what);
}

Failover *hf_failover_create(struct hf_controllers *c, const Holdfast__V1__Instance *i, const char *evidence)
{
    Failover *f = HF_NEW(Failover);
    holdfast__v1__failover__init(f);
    f->meta = HF_NEW(Holdfast__V1__Meta);
    holdfast__v1__meta__init(f->meta);
    char *name = hf_printf("%s/%llu", i->meta->uuid, (unsigned long long)i->placement->run);
    char *seed = hf_printf("failover/%s", name), text[HF_UUID_STR];
    struct hf_uuid uuid = hf_uuid_of_text(seed);
    hf_pb_set(&f->meta->uuid, hf_uuid_format(&uuid, text));
    hf_pb_set(&f->meta->name, name);
    free(name);
    free(seed);
    f->meta->created_at_ms = hf_controllers_wall_ms(c);
    hf_pb_set(&f->instance_uuid, i->meta->uuid);
    hf_pb_set(&f->instance_name, i->meta->name);
    hf_pb_set(&f->from_host_uuid, i->placement->host_uuid);
    f->run_before = i->placement->run;
    hf_pb_set(&f->evidence, evidence);
    const Holdfast__V1__Host *h = HF_WORLD_GET(c->world, HOST, Host, i->placement->host_uuid);
    if (h != NULL)
        hf_pb_set(&f->profile, hf_ha_host_timing(c, h)->profile);
    return f;
}

/* --- a lost storage --- */

/* What the keeper did, as far as the host's word tells it. */
static void note_keeper(const struct hf_controllers *c, Failover *f, const InstanceReport *report)
{
    const Holdfast__V1__Host *h = HF_WORLD_GET(c->world, HOST, Host, f->from_host_uuid);
    const char *storage_uuid = report->lost_lease->primary_storage_uuid;
    const Holdfast__V1__PrimaryStorage *s =
        HF_WORLD_GET(c->world, PRIMARY_STORAGE, PrimaryStorage, storage_uuid);
    const char *storage = s != NULL ? s->meta->name : storage_uuid;
    char keeper[HF_TIMELINE_NAME_MAX];
    hf_timeline_keeper(h != NULL ? h->meta->name : f->from_host_uuid, keeper);
    if (report->lost_lease->age_ms > 0)
        hf_timeline_add(&f->timeline, &f->n_timeline, f->lost_at_ms, keeper,
                        "began its last good renewal on '%s'", storage);
    hf_timeline_add(&f->timeline, &f->n_timeline, f->fenced_at_ms, keeper,
                    "proof: lost its lease on '%s', killed run %llu and saw it gone", storage,
                    (unsigned long long)f->run_before);
}

void hf_failover_add_storage_lost(struct hf_controllers *c, struct hf_edit *e,
                                  const Holdfast__V1__Instance *i, const InstanceReport *report,
                                  bool restarts)
{
    Failover *f = hf_failover_create(c, i, HF_FAILOVER_STORAGE_LOST);
    f->detected_at_ms = f->fenced_at_ms = hf_controllers_wall_ms(c);
    f->lost_at_ms = f->detected_at_ms - report->lost_lease->age_ms;
    hf_pb_set(&f->outcome, restarts ? "waiting: looks for a host" : "stopped with its storage");
    note_keeper(c, f, report);
    hf_failover_note(c, f,
                     restarts ? "run %llu is over on that proof; looks for a host"
                              : "run %llu is over on that proof; stays stopped",
                     (unsigned long long)f->run_before);
    hf_edit_add(e, &f->base);
}

/* --- a client that is refused --- */

void hf_failover_add_client_refused(struct hf_controllers *c, struct hf_edit *e,
                                    const Holdfast__V1__Instance *i, const InstanceReport *report,
                                    bool restarts)
{
    Failover *f = hf_failover_create(c, i, HF_FAILOVER_CLIENT_REFUSED);
    const Holdfast__V1__Host *h = HF_WORLD_GET(c->world, HOST, Host, f->from_host_uuid);
    bool stood_still = i->status->state == HOLDFAST__V1__INSTANCE_STATUS__STATE__PAUSED;
    f->detected_at_ms = f->fenced_at_ms = hf_controllers_wall_ms(c);
    f->lost_at_ms = stood_still ? i->status->state_since_ms : f->detected_at_ms;
    hf_pb_set(&f->outcome, restarts ? "waiting: looks for a host" : "stopped with its client");
    hf_timeline_add(&f->timeline, &f->n_timeline, f->detected_at_ms,
                    h != NULL ? h->meta->name : f->from_host_uuid, "killed run %llu and saw it gone: %s",
                    (unsigned long long)f->run_before, report->message);
    hf_failover_note(c, f,
                     restarts ? "run %llu is over; looks for a host" : "run %llu is over; stays stopped",
                     (unsigned long long)f->run_before);
    hf_edit_add(e, &f->base);
}
