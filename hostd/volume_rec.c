#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "hostd/instance_rec.h"
#include "hostd/storage_rec.h"
#include "hostd/volume_rec.h"

#define RETRY_FIRST_MS 1000
#define RETRY_MAX_MS   60000

struct hf_volume_rec {
    struct hf_volume_rec *next;
    struct hf_host *host;
    struct hf_uuid uuid, storage;
    char id[HF_UUID_STR];
    char *install_path;
    uint64_t sync;
    bool busy, dead, deleted;
    char *message; /* why not yet, or NULL */
    struct hf_timer timer;
    struct hf_backoff backoff;
};

static void volume_free(struct hf_volume_rec *r)
{
    free(r->install_path);
    free(r->message);
    free(r);
}

static void report(struct hf_volume_rec *r)
{
    Holdfast__V1__VolumeReport v = HOLDFAST__V1__VOLUME_REPORT__INIT;
    Holdfast__V1__HostMessage m = HOLDFAST__V1__HOST_MESSAGE__INIT;
    v.volume_uuid = r->id;
    v.deleted = r->deleted;
    v.message = r->message ? r->message : (char *)protobuf_c_empty_string;
    m.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_VOLUME;
    m.volume = &v;
    hf_host_send(r->host, &m);
}

void hf_volume_report_grown(struct hf_host *h, const char *volume_uuid, uint64_t size_bytes, const char *message)
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

/* Reports a new reason only once. */
static void wait_for(struct hf_volume_rec *r, const char *why)
{
    if (r->message && strcmp(r->message, why) == 0)
        return;
    free(r->message);
    r->message = hf_strdup(why);
    report(r);
}

static void step(void *arg);

static void on_deleted(void *arg, hf_status st)
{
    struct hf_volume_rec *r = arg;
    struct hf_host *h = r->host;
    hf_host_call_end(h);
    r->busy = false;
    if (r->dead) {
        volume_free(r);
        return;
    }
    if (!hf_ok(st)) {
        hf_warn("delete volume %s: %s", r->id, hf_status_message(st));
        wait_for(r, hf_status_message(st));
        hf_timer_start(h->d.env, &r->timer,
                       hf_backoff_next(&r->backoff, h->d.env, RETRY_FIRST_MS, RETRY_MAX_MS), step, r);
        return;
    }
    hf_info("volume %s is deleted", r->id);
    r->deleted = true;
    free(r->message);
    r->message = NULL;
    report(r);
}

static void step(void *arg)
{
    struct hf_volume_rec *r = arg;
    struct hf_host *h = r->host;
    struct hf_storage_rec *s = hf_storage_rec_find(h, &r->storage);
    const char *why;
    if (r->busy || r->deleted || r->dead || hf_timer_running(&r->timer) || !h->attach.synced ||
        !hf_host_ready(h))
        return;
    if (hf_instance_recs_use_volume(h, r->id)) {
        wait_for(r, "an instance on this host uses the volume");
    } else if (!s) {
        wait_for(r, "its storage is not assigned to this host");
    } else if (!hf_storage_rec_ok(s, &why)) {
        wait_for(r, why);
    } else {
        struct hf_primary *p = hf_storage_rec_primary(s);
        r->busy = true;
        hf_host_call_begin(h);
        p->ops->delete_volume(p, r->install_path, HF_VOLUME_DEADLINE_MS, on_deleted, r);
    }
}

static struct hf_volume_rec *find(struct hf_host *h, const struct hf_uuid *uuid)
{
    struct hf_volume_rec *r = h->volumes;
    while (r && !hf_uuid_equal(&r->uuid, uuid))
        r = r->next;
    return r;
}

hf_status hf_volume_rec_assign(struct hf_host *h, const Holdfast__V1__VolumeAssignment *a)
{
    struct hf_uuid uuid, storage;
    if (!hf_uuid_parse(a->uuid, &uuid) || !hf_uuid_parse(a->primary_storage_uuid, &storage))
        return hf_error(HF_INVALID, "assign volume '%s' on storage '%s': not two UUIDs", a->uuid,
                        a->primary_storage_uuid);
    if (!a->delete_ || a->install_path[0] == 0)
        return hf_error(HF_UNIMPLEMENTED,
                        "assign volume %s: only the deletion of a file with a path is known", a->uuid);
    struct hf_volume_rec *r = find(h, &uuid);
    if (!r) {
        if (h->n_volumes >= HF_HOST_RECORDS_MAX)
            return hf_error(HF_EXHAUSTED,
                            "assign volume %s: this host has %zu deletions under way, the maximum", a->uuid,
                            h->n_volumes);
        r = HF_NEW(struct hf_volume_rec);
        r->host = h;
        r->uuid = uuid;
        hf_uuid_format(&uuid, r->id);
        r->storage = storage;
        r->install_path = hf_strdup(a->install_path);
        r->next = h->volumes;
        h->volumes = r;
        h->n_volumes++;
    } else if (strcmp(r->install_path, a->install_path) != 0) {
        return hf_error(HF_CONFLICT, "assign volume %s: '%s' is being deleted, not '%s'", a->uuid,
                        r->install_path, a->install_path);
    } else if (r->deleted) {
        report(r);
    }
    r->sync = h->attach.sync;
    step(r);
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
        if (r->deleted || r->message)
            report(r);
}

void hf_volume_recs_tick(struct hf_host *h)
{
    for (struct hf_volume_rec *r = h->volumes; r; r = r->next)
        step(r);
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
