#include "control/ha_controller.h"

#include <stdlib.h>
#include <string.h>

#include "base/buggify.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "control/ha_blocklist.h"
#include "control/ha_drill.h"
#include "control/instance_controller.h"
#include "control/placement_guard.h"
#include "control/storage_session.h"
#include "ha/observation_pb.h"

struct hf_ha_controller *hf_ha_create(struct hf_controllers *c)
{
    struct hf_ha_controller *ha = HF_NEW(struct hf_ha_controller);
    ha->detector = hf_detector_create(hf_controllers_now_ms(c));
    return ha;
}

void hf_ha_free(struct hf_ha_controller *ha)
{
    hf_ha_power_stop(ha);
    hf_ha_blocks_stop(ha);
    hf_detector_free(ha->detector);
    free(ha);
}

const struct hf_ha_timing *hf_ha_host_timing(const struct hf_controllers *c, const Holdfast__V1__Host *h)
{
    const struct hf_ha_timing *t = h->status != NULL ? hf_ha_timing_find(h->status->profile) : NULL;
    return t != NULL ? t : c->timing;
}

/* --- what is heard --- */

/* The host was in contact at at_ms. Its instances are looked at again when that is news: while it was lost
 * they were noted as unknown, and nothing else may change about them. */
static void hear(struct hf_controllers *c, const struct hf_uuid *host, int64_t at_ms)
{
    struct hf_world_object *o = hf_world_find_uuid(c->world, HOLDFAST__V1__KIND__HOST, host);
    const Holdfast__V1__Host *h = o != NULL ? (const Holdfast__V1__Host *)(void *)o->message : NULL;
    bool lost = h != NULL && hf_ha_contact_lost(c, h);
    hf_detector_contact(c->ha->detector, host, at_ms);
    if (lost && !hf_ha_contact_lost(c, h))
        hf_controllers_mark_instances(c, h->meta->uuid);
}

static bool any_closed(const Holdfast__V1__LeaseReport *r)
{
    for (size_t i = 0; i < r->n_own; i++)
        if (r->own[i]->closed)
            return true;
    return false;
}

/* A host that says that its keeper has closed a storage gets the next session of it: nothing of the last one
 * comes back, and what the last one proved does not prove this one. */
static void open_sessions(struct hf_controllers *c, const char *host_uuid, const Holdfast__V1__LeaseReport *r)
{
    struct hf_world_object *o = hf_world_find(c->world, HOLDFAST__V1__KIND__HOST, host_uuid);
    const Holdfast__V1__Host *h = o != NULL ? (const Holdfast__V1__Host *)(void *)o->message : NULL;
    if (h == NULL || h->status == NULL || o->busy || r->epoch != h->status->epoch || r->epoch == 0 ||
        !any_closed(r))
        return;
    struct hf_uuid fence = hf_fence_uuid(host_uuid, r->epoch);
    if (hf_world_find_uuid(c->world, HOLDFAST__V1__KIND__FENCE, &fence) != NULL)
        return;
    struct hf_edit *e = NULL;
    for (size_t i = 0; i < r->n_own; i++) {
        const char *storage = r->own[i]->primary_storage_uuid;
        uint64_t session = hf_storage_session(h->status, storage);
        if (!r->own[i]->closed || r->own[i]->session != session || session == UINT64_MAX)
            continue;
        if (e == NULL)
            e = hf_edit_create(&c->editor, "open storages of host '%s' again", h->meta->name);
        Holdfast__V1__Host *changed = hf_edit_change(e, o);
        hf_storage_session_set(changed->status, storage, session + 1);
    }
    if (e != NULL)
        hf_edit_commit(e, NULL, NULL);
}

void hf_ha_report(struct hf_controllers *c, const char *host_uuid, uint64_t epoch,
                  const Holdfast__V1__LeaseReport *r)
{
    (void)epoch;
    struct hf_uuid observer;
    if (!hf_uuid_parse(host_uuid, &observer))
        return;
    int64_t now = hf_controllers_now_ms(c);
    hear(c, &observer, now);
    struct hf_lease_run *runs = hf_alloc_array(HF_LEASE_RECORD_RUNS_MAX, sizeof *runs);
    for (size_t i = 0; i < r->n_observations; i++) {
        struct hf_observation o;
        hf_status st = hf_observation_from_pb(r->observations[i], runs, &o);
        if (hf_ok(st))
            hf_detector_observe(c->ha->detector, &observer, &o, now);
        else
            hf_warn("host %s: its observation is not usable: %s", host_uuid, hf_status_message(st));
        hf_status_drop(st);
    }
    free(runs);
    open_sessions(c, host_uuid, r);
}

void hf_ha_attached(struct hf_controllers *c, const char *host_uuid)
{
    struct hf_uuid host;
    if (hf_uuid_parse(host_uuid, &host))
        hear(c, &host, hf_controllers_now_ms(c));
}

void hf_ha_detached(struct hf_controllers *c, const char *host_uuid, int64_t silent_ms)
{
    struct hf_uuid host;
    if (hf_uuid_parse(host_uuid, &host))
        hf_detector_stream_closed(c->ha->detector, &host, hf_controllers_now_ms(c) - silent_ms);
}

bool hf_ha_contact_lost(const struct hf_controllers *c, const Holdfast__V1__Host *h)
{
    struct hf_uuid host;
    int64_t lost_ms = 0;
    const struct hf_ha_timing *timing = hf_ha_host_timing(c, h);
    if (!hf_uuid_parse(h->meta->uuid, &host))
        return false;
    return !hf_detector_in_contact(c->ha->detector, &host, timing, hf_controllers_now_ms(c), &lost_ms) &&
           lost_ms >= timing->contact_ms;
}

bool hf_ha_record_moves(const struct hf_controllers *c, const char *host_uuid, uint64_t epoch)
{
    struct hf_world_object *o = hf_world_find(c->world, HOLDFAST__V1__KIND__HOST, host_uuid);
    const Holdfast__V1__Host *h = o != NULL ? (const Holdfast__V1__Host *)(void *)o->message : NULL;
    const Holdfast__V1__Cluster *cl =
        h != NULL ? HF_WORLD_GET(c->world, CLUSTER, Cluster, h->spec->cluster_uuid) : NULL;
    for (size_t i = 0; cl != NULL && i < cl->spec->n_primary_storage_uuids; i++) {
        struct hf_uuid storage;
        if (!hf_uuid_parse(cl->spec->primary_storage_uuids[i], &storage))
            continue;
        const struct hf_ha_timing *timing = hf_ha_host_timing(c, h);
        struct hf_sign sign =
            hf_detector_sign(c->ha->detector, &o->uuid, epoch, &storage,
                             hf_storage_session(h->status, cl->spec->primary_storage_uuids[i]), timing,
                             hf_controllers_now_ms(c));
        bool seen = sign.state == HF_SIGN_STILL || sign.state == HF_SIGN_MOVING;
        if (seen && !sign.closed_and_killed && sign.unchanged_ms < timing->contact_ms)
            return true;
    }
    return false;
}

/* What the streams brought since the last look; deleted hosts need no word: nobody asks for them. */
static void hear_streams(struct hf_controllers *c)
{
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__HOST); i++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__HOST, i);
        struct hf_host_contact contact;
        if (hf_host_link_contact(c->control->host_link, hf_message_meta(o->message)->uuid, &contact))
            hear(c, &o->uuid, hf_controllers_now_ms(c) - contact.silent_ms);
    }
}

/* A run that the record of a host without contact tombstones is over: the record is the host's own report. */
static void read_tombstones(struct hf_controllers *c, struct hf_world_object *host)
{
    const Holdfast__V1__Host *h = (const Holdfast__V1__Host *)(void *)host->message;
    if (h->status == NULL || h->status->epoch == 0 || !hf_ha_contact_lost(c, h))
        return;
    size_t n = 0;
    const struct hf_lease_run *runs =
        hf_detector_record_runs(c->ha->detector, &host->uuid, h->status->epoch, &n);
    for (size_t i = 0; i < n; i++) {
        if (runs[i].live && !HF_MUTANT(LIVE_RUN_IS_OVER))
            continue;
        char uuid[HF_UUID_STR];
        Holdfast__V1__InstanceReport r = HOLDFAST__V1__INSTANCE_REPORT__INIT;
        r.instance_uuid = hf_uuid_format(&runs[i].instance, uuid);
        r.epoch = h->status->epoch;
        r.run = runs[i].run;
        r.state = HOLDFAST__V1__INSTANCE_REPORT__STATE__STOPPED;
        r.handed_over = runs[i].handed_over;
        r.message = "ended while its host had no contact (told by its lease record)";
        hf_instance_take_report(c, h->meta->uuid, &r);
    }
}

/* --- what is done --- */

static void committed(void *arg, bool applied)
{
    struct hf_controllers *c = arg;
    c->ha->busy = false;
    if (applied)
        hf_ha_tick(c); /* else the next tick tries again: at once it would only fail again */
}

void hf_ha_commit(struct hf_controllers *c, struct hf_edit *e)
{
    c->ha->busy = true;
    hf_edit_commit(e, committed, c);
}

void hf_ha_tick(struct hf_controllers *c)
{
    hear_streams(c);
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__HOST); i++)
        read_tombstones(c, hf_world_at(c->world, HOLDFAST__V1__KIND__HOST, i));
    if (!c->ha->busy && !HF_BUGGIFY(FENCING_LATER) && !hf_ha_fence(c) && !hf_ha_unblock(c))
        hf_ha_restart(c);
    hf_ha_follow_failovers(c);
    hf_drill_follow(c);
}
