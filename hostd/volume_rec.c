#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "hostd/instance_rec.h"
#include "hostd/storage_rec.h"
#include "hostd/volume_int.h"

#define RETRY_FIRST_MS    1000
#define RETRY_MAX_MS      60000
#define WORK_RETRY_MAX_MS 5000 /* an instance may wait for it, or it for a dead client's last half minute */

static void volume_free(struct hf_volume_rec *r)
{
    free(r->install_path);
    free(r->message);
    free(r);
}

void hf_volume_send(struct hf_volume_rec *r, Holdfast__V1__VolumeReport__Work *work)
{
    Holdfast__V1__VolumeReport v = HOLDFAST__V1__VOLUME_REPORT__INIT;
    Holdfast__V1__HostMessage m = HOLDFAST__V1__HOST_MESSAGE__INIT;
    v.volume_uuid = r->id;
    v.work = work;
    v.deleted = r->deleted;
    v.message = r->message && !work ? r->message : (char *)protobuf_c_empty_string;
    m.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_VOLUME;
    m.volume = &v;
    hf_host_send(r->host, &m);
}

void hf_volume_report_grown(struct hf_host *h, const char *volume_uuid, uint64_t size_bytes,
                            const char *message)
{
    Holdfast__V1__VolumeReport v = HOLDFAST__V1__VOLUME_REPORT__INIT;
    Holdfast__V1__HostMessage m = HOLDFAST__V1__HOST_MESSAGE__INIT;
    v.volume_uuid = (char *)volume_uuid;
    v.size_bytes = size_bytes;
    v.message = message ? (char *)message : (char *)protobuf_c_empty_string;
    m.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_VOLUME;
    m.volume = &v;
    hf_host_send(h, &m);
}

static void report(struct hf_volume_rec *r)
{
    if (r->work.sequence > 0)
        hf_volume_rec_work_report(r);
    else
        hf_volume_send(r, NULL);
}

void hf_volume_wait_for(struct hf_volume_rec *r, const char *why)
{
    if (r->message && strcmp(r->message, why) == 0)
        return;
    free(r->message);
    r->message = hf_strdup(why);
    report(r);
}

void hf_volume_try_later(struct hf_volume_rec *r, const char *verb, hf_status st)
{
    unsigned max_ms = r->work.sequence > 0 ? WORK_RETRY_MAX_MS : RETRY_MAX_MS;
    hf_warn("%s volume %s: %s", verb, r->id, hf_status_message(st));
    hf_volume_wait_for(r, hf_status_message(st));
    hf_timer_start(r->host->d.env, &r->timer,
                   hf_backoff_next(&r->backoff, r->host->d.env, RETRY_FIRST_MS, max_ms), hf_volume_step, r);
}

void hf_volume_call_begin(struct hf_volume_rec *r)
{
    r->busy = true;
    hf_host_call_begin(r->host);
}

bool hf_volume_call_end(struct hf_volume_rec *r)
{
    hf_host_call_end(r->host);
    r->busy = false;
    if (r->dead)
        volume_free(r);
    else
        return true;
    return false;
}

static void on_deleted(void *arg, hf_status st)
{
    struct hf_volume_rec *r = arg;
    if (!hf_volume_call_end(r))
        return;
    if (!hf_ok(st)) {
        hf_volume_try_later(r, "delete", st);
        return;
    }
    hf_info("volume %s is deleted", r->id);
    r->deleted = true;
    free(r->message);
    r->message = NULL;
    report(r);
}

static void delete_file(struct hf_volume_rec *r, struct hf_primary *p)
{
    hf_volume_call_begin(r);
    p->ops->delete_volume(p, r->install_path, HF_VOLUME_DEADLINE_MS, on_deleted, r);
}

void hf_volume_step(void *arg)
{
    struct hf_volume_rec *r = arg;
    struct hf_host *h = r->host;
    struct hf_storage_rec *s = hf_storage_rec_find(h, &r->storage);
    const char *why;
    if (r->busy || r->deleted || r->dead || hf_timer_running(&r->timer) || !h->attach.synced ||
        !hf_host_ready(h) || r->work.end != HF_WORK_OPEN)
        return;
    if (r->work.sequence == 0 && hf_instance_recs_use_volume(h, r->id))
        hf_volume_wait_for(r, "an instance on this host uses the volume");
    else if (!s)
        hf_volume_wait_for(r, "its storage is not assigned to this host");
    else if (!hf_storage_rec_ok(s, &why))
        hf_volume_wait_for(r, why);
    else if (r->work.sequence > 0)
        hf_volume_rec_work_step(r, hf_storage_rec_primary(s));
    else
        delete_file(r, hf_storage_rec_primary(s));
}

static struct hf_volume_rec *find(struct hf_host *h, const struct hf_uuid *uuid)
{
    struct hf_volume_rec *r = h->volumes;
    while (r && !hf_uuid_equal(&r->uuid, uuid))
        r = r->next;
    return r;
}

static struct hf_volume_rec *new_volume(struct hf_host *h, const struct hf_uuid *uuid,
                                        const struct hf_uuid *storage, const char *install_path)
{
    struct hf_volume_rec *r = HF_NEW(struct hf_volume_rec);
    r->host = h;
    r->uuid = *uuid;
    hf_uuid_format(uuid, r->id);
    r->storage = *storage;
    r->install_path = hf_strdup(install_path);
    r->next = h->volumes;
    h->volumes = r;
    h->n_volumes++;
    return r;
}

hf_status hf_volume_rec_assign(struct hf_host *h, const Holdfast__V1__VolumeAssignment *a)
{
    struct hf_uuid uuid, storage;
    if (!hf_uuid_parse(a->uuid, &uuid) || !hf_uuid_parse(a->primary_storage_uuid, &storage))
        return hf_error(HF_INVALID, "assign volume '%s' on storage '%s': not two UUIDs", a->uuid,
                        a->primary_storage_uuid);
    struct hf_volume_work work = {0};
    if (a->delete_ == (a->work != NULL) || a->install_path[0] == 0)
        return hf_error(HF_UNIMPLEMENTED,
                        "assign volume %s: only its deletion or work on it, at a path, is known", a->uuid);
    if (a->work)
        HF_TRY(hf_volume_rec_work_read(a, &work));
    struct hf_volume_rec *r = find(h, &uuid);
    if (!r) {
        if (h->n_volumes >= HF_HOST_RECORDS_MAX)
            return hf_error(HF_EXHAUSTED,
                            "assign volume %s: this host has %zu volumes to work on, the maximum", a->uuid,
                            h->n_volumes);
        r = new_volume(h, &uuid, &storage, a->install_path);
        r->work = work;
    } else if (strcmp(r->install_path, a->install_path) != 0) {
        return hf_error(HF_CONFLICT, "assign volume %s: '%s' is being worked on, not '%s'", a->uuid,
                        r->install_path, a->install_path);
    } else if (r->deleted) {
        report(r);
    } else {
        hf_volume_rec_work_assign(r, &work);
    }
    r->sync = h->attach.sync;
    hf_volume_step(r);
    return HF_STATUS_OK;
}

static void forget(struct hf_host *h, struct hf_volume_rec *r)
{
    struct hf_volume_rec **at = &h->volumes;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    h->n_volumes--;
    hf_timer_stop(&r->timer);
    r->dead = true;
    if (!r->busy)
        volume_free(r);
}

void hf_volume_rec_unassign(struct hf_host *h, const struct hf_uuid *uuid)
{
    struct hf_volume_rec *r = find(h, uuid);
    if (r)
        forget(h, r);
}

void hf_volume_recs_sweep(struct hf_host *h, uint64_t sync)
{
    for (struct hf_volume_rec *r = h->volumes, *next; r; r = next) {
        next = r->next;
        if (r->sync != sync)
            forget(h, r);
    }
}

void hf_volume_recs_report(struct hf_host *h)
{
    for (struct hf_volume_rec *r = h->volumes; r; r = r->next)
        if (r->deleted || r->message || hf_volume_rec_work_has_news(r))
            report(r);
}

void hf_volume_recs_tick(struct hf_host *h)
{
    for (struct hf_volume_rec *r = h->volumes; r; r = r->next)
        hf_volume_step(r);
}

void hf_volume_recs_stop(struct hf_host *h)
{
    while (h->volumes)
        forget(h, h->volumes);
}

void hf_volume_recs_free(struct hf_host *h)
{
    HF_ASSERT(h->volumes == NULL);
}
