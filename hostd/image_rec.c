#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pb_copy.h"
#include "hostd/image_rec.h"
#include "hostd/storage_rec.h"
#include "storage/ceph_spec.h"

#define RETRY_FIRST_MS 1000
#define RETRY_MAX_MS   60000
#define PROGRESS_MS    1000  /* between two reports of progress */
#define ABANDON_MS     30000 /* what nobody waits for any more is broken off */

struct hf_image_rec {
    struct hf_image_rec *next;
    struct hf_host *host;
    struct hf_uuid uuid, storage;
    Holdfast__V1__ImageAssignment *source; /* own copy */
    bool assigned;
    uint64_t sync;
    /* the work */
    bool fetching, stale, dead; /* stale: the answer under way is for an earlier source */
    int64_t dead_ms;            /* dead: since when */
    bool ready, failed, gone;   /* gone: there was nothing to make it from */
    char *message;              /* error, or NULL */
    char progress[64];
    int64_t progress_ms;
    struct hf_image_info info;
    struct hf_timer timer;
    struct hf_backoff backoff;
};

static void fetch(void *arg);

/* Also in how it is reached: a key that was revoked is of no use. */
static bool same_server(const Holdfast__V1__CephAccess *a, const Holdfast__V1__CephAccess *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    bool same = a->n_monitors == b->n_monitors && strcmp(a->user, b->user) == 0 &&
                strcmp(a->key, b->key) == 0 && strcmp(a->fsid, b->fsid) == 0 &&
                strcmp(a->image_pool, b->image_pool) == 0;
    for (size_t i = 0; same && i < a->n_monitors; i++)
        same = strcmp(a->monitors[i], b->monitors[i]) == 0;
    return same;
}

static bool same_source(const Holdfast__V1__ImageAssignment *a, const Holdfast__V1__ImageAssignment *b)
{
    return strcmp(a->url, b->url) == 0 && strcmp(a->sha256, b->sha256) == 0 &&
           strcmp(a->format, b->format) == 0 && strcmp(a->server_pool, b->server_pool) == 0 &&
           same_server(a->server, b->server) && (a->waits[0] != '\0') == (b->waits[0] != '\0');
}

static void forget_source(struct hf_image_rec *r)
{
    if (r->source->server != NULL)
        explicit_bzero(r->source->server->key, strlen(r->source->server->key));
    holdfast__v1__image_assignment__free_unpacked(r->source, NULL);
}

static void image_free(struct hf_image_rec *r)
{
    forget_source(r);
    free(r->message);
    free(r);
}

bool hf_image_rec_ready(const struct hf_image_rec *r)
{
    return r->ready;
}

const char *hf_image_rec_message(const struct hf_image_rec *r, bool *ret_error)
{
    *ret_error = r->message != NULL;
    return r->message ? r->message : r->source->waits[0] != '\0' ? r->source->waits : r->progress;
}

static void report(struct hf_image_rec *r)
{
    Holdfast__V1__ImageReport i = HOLDFAST__V1__IMAGE_REPORT__INIT;
    Holdfast__V1__HostMessage m = HOLDFAST__V1__HOST_MESSAGE__INIT;
    i.image_uuid = r->source->uuid;
    i.primary_storage_uuid = r->source->primary_storage_uuid;
    i.ready = r->ready;
    i.failed = r->failed;
    i.message = r->message ? r->message : r->progress;
    i.error = r->message != NULL;
    i.gone = r->gone;
    i.file_bytes = r->info.file_bytes;
    i.virtual_bytes = r->info.virtual_bytes;
    m.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_IMAGE;
    m.image = &i;
    hf_host_send(r->host, &m);
}

static void set_message(struct hf_image_rec *r, const char *text)
{
    free(r->message);
    r->message = hf_strdup(text);
}

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
    struct hf_image_rec *r = arg;
    int64_t now;
    if (r->dead || r->stale || r->host->closing)
        return;
    now = hf_env_now_ms(r->host->d.env);
    if (now - r->progress_ms < PROGRESS_MS)
        return;
    r->progress_ms = now;
    if (total)
        snprintf(r->progress, sizeof r->progress, "fetching the image: %llu %% of %llu MiB",
                 (unsigned long long)(done * 100 / total), (unsigned long long)(total >> 20));
    else
        snprintf(r->progress, sizeof r->progress, "fetching the image: %llu MiB",
                 (unsigned long long)(done >> 20));
    report(r);
}

static void fetched(struct hf_image_rec *r, const struct hf_image_info *info)
{
    hf_info("image %s is in the cache of storage %s", r->source->uuid, r->source->primary_storage_uuid);
    r->ready = true;
    r->info = *info;
    r->progress[0] = 0;
    r->gone = false;
    set_message(r, NULL);
    hf_backoff_reset(&r->backoff);
}

static bool has_source(const Holdfast__V1__ImageAssignment *a)
{
    return a->url[0] != '\0' || a->server_pool[0] != '\0' || a->server != NULL;
}

static void on_fetched(void *arg, hf_status st, const struct hf_image_info *info)
{
    struct hf_image_rec *r = arg;
    struct hf_host *h = r->host;
    hf_host_call_end(h);
    r->fetching = false;
    if (r->dead || h->closing) {
        if (r->dead)
            image_free(r);
        return;
    }
    if (r->stale) {
        r->stale = false;
        fetch(r);
        return;
    }
    if (hf_ok(st)) {
        fetched(r, info);
    } else {
        hf_warn("image %s on storage %s: %s", r->source->uuid, r->source->primary_storage_uuid,
                hf_status_message(st));
        set_message(r, hf_status_message(st));
        r->failed = hf_status_code(st) == HF_INVALID && r->source->server == NULL;
        r->gone = hf_status_code(st) == HF_NOT_FOUND && !has_source(r->source);
        if (!r->failed)
            hf_timer_start(h->d.env, &r->timer,
                           hf_backoff_next(&r->backoff, h->d.env, RETRY_FIRST_MS, RETRY_MAX_MS), fetch, r);
    }
    report(r);
    hf_host_tick_instances(h);
}

static struct hf_image_server server_of(const Holdfast__V1__CephAccess *a)
{
    return (struct hf_image_server){.monitors = a->monitors,
                                    .n_monitors = a->n_monitors,
                                    .user = a->user,
                                    .key = a->key,
                                    .fsid = a->fsid,
                                    .pool = a->image_pool};
}

/* A record that was forgotten may be made anew, by a new leader or an instance: that finds what this one has
 * begun. */
static bool is_wanted(void *arg)
{
    const struct hf_image_rec *r = arg;
    if (!r->dead || hf_env_now_ms(r->host->d.env) - r->dead_ms < ABANDON_MS)
        return true;
    for (const struct hf_image_rec *at = r->host->images; at; at = at->next)
        if (hf_uuid_equal(&at->uuid, &r->uuid) && hf_uuid_equal(&at->storage, &r->storage))
            return true;
    return false;
}

static void fetch(void *arg)
{
    struct hf_image_rec *r = arg;
    struct hf_host *h = r->host;
    struct hf_storage_rec *s = hf_storage_rec_find(h, &r->storage);
    const char *why;
    struct hf_image_source src = {
        .url = r->source->url,
        .sha256 = r->source->sha256,
        .format = r->source->format,
        .server_pool = r->source->server_pool,
        .wanted = is_wanted,
    };
    if (r->fetching || r->ready || r->failed || r->source->waits[0] != '\0' || hf_timer_running(&r->timer))
        return;
    if (!s || !hf_storage_rec_ok(s, &why))
        return; /* the storage ticks when it is there */
    struct hf_image_server server;
    if (r->source->server != NULL) {
        server = server_of(r->source->server);
        src.server = &server;
    }
    src.uuid = r->uuid;
    snprintf(r->progress, sizeof r->progress, "fetching the image");
    r->fetching = true;
    hf_host_call_begin(h);
    struct hf_primary *p = hf_storage_rec_primary(s);
    p->ops->cache_image(p, &src, HF_IMAGE_DEADLINE_MS, on_progress, on_fetched, r);
}

void hf_image_rec_invalidate(struct hf_image_rec *r)
{
    r->ready = false;
    fetch(r);
}

/* --- assignments --- */

static struct hf_image_rec *image_new(struct hf_host *h, const struct hf_uuid *uuid,
                                      const struct hf_uuid *storage, const Holdfast__V1__ImageAssignment *a)
{
    struct hf_image_rec *r = HF_NEW(struct hf_image_rec);
    r->host = h;
    r->uuid = *uuid;
    r->storage = *storage;
    r->source = hf_pb_copy(&a->base);
    r->next = h->images;
    h->images = r;
    h->n_images++;
    return r;
}

static void new_source(struct hf_image_rec *r, const Holdfast__V1__ImageAssignment *a)
{
    forget_source(r);
    r->source = hf_pb_copy(&a->base);
    r->ready = r->failed = r->gone = false;
    r->stale = r->fetching;
    hf_timer_stop(&r->timer);
    hf_backoff_reset(&r->backoff);
    set_message(r, NULL);
}

static void say_waits(struct hf_image_rec *r, const char *waits)
{
    free(r->source->waits);
    r->source->waits = hf_strdup(waits);
}

hf_status hf_image_rec_want(struct hf_host *h, const Holdfast__V1__ImageAssignment *a, bool assigned,
                            struct hf_image_rec **ret)
{
    struct hf_uuid uuid, storage;
    struct hf_image_rec *r = h->images;
    if (!hf_uuid_parse(a->uuid, &uuid) || !hf_uuid_parse(a->primary_storage_uuid, &storage))
        return hf_error(HF_INVALID, "image '%s' on storage '%s': not two UUIDs", a->uuid,
                        a->primary_storage_uuid);
    if (a->server != NULL)
        HF_TRY(hf_wrap(hf_ceph_monitors_check(a->server->monitors, a->server->n_monitors),
                       "image %s: its image server", a->uuid));
    while (r && !(hf_uuid_equal(&r->uuid, &uuid) && hf_uuid_equal(&r->storage, &storage)))
        r = r->next;
    if (!r && h->n_images >= HF_HOST_RECORDS_MAX)
        return hf_error(HF_EXHAUSTED, "image %s: this host has %zu images, the maximum", a->uuid,
                        h->n_images);
    if (!r)
        r = image_new(h, &uuid, &storage, a);
    else if (!same_source(r->source, a))
        new_source(r, a);
    else if (strcmp(r->source->waits, a->waits) != 0)
        say_waits(r, a->waits);
    if (assigned) {
        bool again = r->assigned;
        r->assigned = true;
        r->sync = h->attach.sync;
        if (again || r->ready || r->failed)
            report(r);
    }
    fetch(r);
    if (ret)
        *ret = r;
    return HF_STATUS_OK;
}

static void image_end(struct hf_image_rec *r)
{
    hf_timer_stop(&r->timer);
    r->dead = true;
    r->dead_ms = hf_env_now_ms(r->host->d.env);
    if (!r->fetching)
        image_free(r);
}

/* Forgets one that is in the cache or does not get there; one that an instance still waits for is made anew
 * by it. */
static void forget(struct hf_host *h, struct hf_image_rec *r)
{
    struct hf_image_rec **at = &h->images;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    h->n_images--;
    image_end(r);
}

void hf_image_rec_unassign(struct hf_host *h, const struct hf_uuid *uuid)
{
    for (struct hf_image_rec *r = h->images, *next; r; r = next) {
        next = r->next;
        if (hf_uuid_equal(&r->uuid, uuid) && r->assigned)
            forget(h, r);
    }
}

/* Also those that only an instance needed: it asks again if it still does. */
void hf_image_recs_sweep(struct hf_host *h, uint64_t sync)
{
    for (struct hf_image_rec *r = h->images, *next; r; r = next) {
        next = r->next;
        if (r->assigned ? r->sync != sync : !r->fetching)
            forget(h, r);
    }
}

void hf_image_recs_report(struct hf_host *h)
{
    for (struct hf_image_rec *r = h->images; r; r = r->next)
        if (r->ready || r->failed || r->message || r->fetching)
            report(r);
}

void hf_image_recs_tick(struct hf_host *h)
{
    for (struct hf_image_rec *r = h->images; r; r = r->next)
        fetch(r);
}

void hf_image_recs_stop(struct hf_host *h)
{
    while (h->images)
        forget(h, h->images);
}

void hf_image_recs_free(struct hf_host *h)
{
    HF_ASSERT(h->images == NULL);
}
