#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "hostd/peer_values.h"
#include "hostd/storage_rec.h"

#define RETRY_FIRST_MS      500
#define RETRY_MAX_MS        10000
#define REPORT_CHANGE_SHARE 200 /* a change of the free space below 1/200 of the storage is not reported */

struct hf_storage_rec {
    struct hf_storage_rec *next;
    struct hf_host *host;
    struct hf_uuid uuid;
    char id[HF_UUID_STR];
    char *path;
    bool heartbeat;
    uint64_t session; /* in which the keeper is to open it */
    uint64_t reserved_bytes;
    uint64_t sync;
    struct hf_primary *primary; /* NULL: could not be opened (message says why) */
    /* the check */
    bool checking, checked, ok, dead;
    unsigned calls;
    char *message;
    struct hf_capacity capacity, reported;
    struct hf_timer timer;
    /* the lease */
    bool leased, leasing;
    bool closed; /* in its session: no start here before the next one */
    struct hf_timer lease_timer;
    struct hf_backoff backoff;
    struct hf_lease_reader *reader;
    struct hf_uuid *peers;
    size_t n_peers;
    struct hf_lease_mark *marks;
    size_t n_marks;
    struct hf_peer_values peer_values; /* of the reader's last sample */
};

static void storage_free(struct hf_storage_rec *r)
{
    free(r->path);
    free(r->message);
    free(r->peers);
    free(r->marks);
    free(r);
}

static void call_begin(struct hf_storage_rec *r)
{
    r->calls++;
    hf_host_call_begin(r->host);
}

/* False: the record has gone meanwhile and must not be touched. */
static bool call_end(struct hf_storage_rec *r)
{
    struct hf_host *h = r->host;
    bool alive = !r->dead;
    if (--r->calls == 0 && r->dead)
        storage_free(r);
    hf_host_call_end(h);
    return alive;
}

struct hf_storage_rec *hf_storage_rec_find(struct hf_host *h, const struct hf_uuid *uuid)
{
    struct hf_storage_rec *r = h->storages;
    while (r && !hf_uuid_equal(&r->uuid, uuid))
        r = r->next;
    return r;
}

struct hf_primary *hf_storage_rec_primary(struct hf_storage_rec *r)
{
    return r->primary;
}

bool hf_storage_rec_ok(const struct hf_storage_rec *r, const char **message)
{
    *message = r->checked ? (r->message ? r->message : "") : "is being checked";
    return r->checked && r->ok;
}

bool hf_storage_rec_closed(const struct hf_storage_rec *r)
{
    return r->closed;
}

bool hf_storage_rec_heartbeat(const struct hf_storage_rec *r)
{
    return r->heartbeat;
}

/* --- check and report --- */

static void report(struct hf_storage_rec *r)
{
    Holdfast__V1__StorageReport s = HOLDFAST__V1__STORAGE_REPORT__INIT;
    Holdfast__V1__HostMessage m = HOLDFAST__V1__HOST_MESSAGE__INIT;
    if (!r->checked)
        return;
    s.primary_storage_uuid = r->id;
    s.ok = r->ok && !r->closed;
    s.message = r->message ? r->message : (char *)(r->closed ? HF_STORAGE_CLOSED : protobuf_c_empty_string);
    s.total_bytes = r->capacity.total_bytes;
    s.available_bytes = r->capacity.available_bytes;
    m.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_STORAGE;
    m.storage = &s;
    r->reported = r->capacity;
    hf_host_send(r->host, &m);
}

static bool worth_a_report(const struct hf_storage_rec *r)
{
    uint64_t a = r->capacity.available_bytes, b = r->reported.available_bytes;
    return r->capacity.total_bytes != r->reported.total_bytes ||
           (a > b ? a - b : b - a) > r->capacity.total_bytes / REPORT_CHANGE_SHARE;
}

static void check(void *arg);

static void on_check(void *arg, hf_status st, const struct hf_capacity *c)
{
    struct hf_storage_rec *r = arg;
    bool was_known = r->checked, was_ok = r->ok;
    if (!call_end(r))
        return;
    r->checking = false;
    r->checked = true;
    r->ok = hf_ok(st);
    bool same_text = r->message && strcmp(r->message, hf_status_message(st)) == 0;
    if (!r->ok && !same_text)
        hf_warn("storage %s (%s): %s", r->id, r->path, hf_status_message(st));
    free(r->message);
    r->message = r->ok ? NULL : hf_strdup(hf_status_message(st));
    if (r->ok)
        r->capacity = *c;
    if (!was_known || was_ok != r->ok || (!r->ok && !same_text) || worth_a_report(r))
        report(r);
    hf_timer_start(r->host->d.env, &r->timer, HF_STORAGE_CHECK_MS, check, r);
    if (r->ok && (!was_known || !was_ok))
        hf_host_tick_all(r->host);
}

static void check(void *arg)
{
    struct hf_storage_rec *r = arg;
    if (r->checking || !r->primary)
        return;
    hf_timer_stop(&r->timer);
    r->checking = true;
    call_begin(r);
    r->primary->ops->check(r->primary, HF_STORAGE_CHECK_DEADLINE_MS, on_check, r);
}

/* --- lease --- */

static void want_lease(struct hf_storage_rec *r);

static void lease_timer(void *arg)
{
    want_lease(arg);
}

static void on_lease(void *arg, hf_status st)
{
    struct hf_storage_rec *r = arg;
    if (!call_end(r))
        return;
    r->leasing = false;
    if (hf_ok(st)) {
        r->leased = true;
        hf_backoff_reset(&r->backoff);
        hf_host_refresh(r->host);
        return;
    }
    hf_warn("the keeper does not renew a lease on storage %s yet: %s", r->id, hf_status_message(st));
    hf_timer_start(r->host->d.env, &r->lease_timer,
                   hf_backoff_next(&r->backoff, r->host->d.env, RETRY_FIRST_MS, RETRY_MAX_MS), lease_timer,
                   r);
}

static bool keeper_has(const struct hf_storage_rec *r)
{
    for (size_t i = 0; i < r->host->view.n_storages; i++)
        if (hf_uuid_equal(&r->host->view.storages[i].uuid, &r->uuid))
            return r->host->view.storages[i].session >= r->session;
    return false;
}

/* Also after the keeper has lost its list (a restart with a fresh state): its view tells. */
static void want_lease(struct hf_storage_rec *r)
{
    struct hf_keeper *k = r->host->d.keeper;
    if (!r->heartbeat || r->leasing || hf_timer_running(&r->lease_timer) || !hf_host_ready(r->host))
        return;
    if (r->leased && keeper_has(r))
        return;
    r->leasing = true;
    call_begin(r);
    k->ops->add_storage(k, &r->uuid, r->path, r->session, on_lease, r);
}

/* The keeper has lost its lease: it permits nothing there any more. Said, so that the leader places what
 * needs it elsewhere. */
static void see_closed(struct hf_storage_rec *r)
{
    const struct hf_host_view *v = &r->host->view;
    bool closed = false;
    for (size_t i = 0; i < v->n_storages && r->heartbeat && !v->epoch_closed; i++)
        closed |= v->storages[i].closed && hf_uuid_equal(&v->storages[i].uuid, &r->uuid);
    if (closed == r->closed)
        return;
    r->closed = closed;
    report(r);
}

/* Nobody waits for the answer: a lease that stays a little longer harms nothing. */
static void on_lease_removed(void *arg, hf_status st)
{
    struct hf_host *h = arg;
    if (!hf_ok(st))
        hf_warn("the keeper goes on with the lease of a storage that is not assigned any more: %s",
                hf_status_message(st));
    hf_host_call_end(h);
}

static void on_sample(void *arg, const struct hf_uuid *storage, const struct hf_observation *seen, size_t n)
{
    struct hf_storage_rec *r = arg;
    struct hf_host *h = r->host;
    HF_ASSERT(hf_uuid_equal(storage, &r->uuid));
    hf_peer_values_sample(&r->peer_values, seen, n, h->attach.sync, hf_env_now_ms(h->d.env));
}

static void want_reader(struct hf_storage_rec *r)
{
    struct hf_host *h = r->host;
    const struct hf_ha_timing *timing = hf_ha_timing_find(h->view.profile);
    if (r->reader || r->n_peers == 0 || !r->heartbeat || !h->view.known || !timing)
        return;
    struct hf_lease_reader_options o = {.storage = r->uuid,
                                        .dir = r->path,
                                        .own_host = h->o.uuid,
                                        .cluster = h->cluster,
                                        .timing = timing,
                                        .cb = on_sample,
                                        .arg = r};
    r->reader = h->d.reader_create(h->d.env, &o);
    h->d.reader_set_peers(r->reader, r->peers, r->n_peers);
    h->d.reader_set_marks(r->reader, r->marks, r->n_marks);
}

static hf_status parse_observe(const Holdfast__V1__Observe *o, struct hf_uuid *peers,
                               struct hf_lease_mark *marks)
{
    for (size_t i = 0; i < o->n_host_uuids; i++)
        if (!hf_uuid_parse(o->host_uuids[i], &peers[i]))
            return hf_error(HF_INVALID, "observe: '%s' is no UUID of a host", o->host_uuids[i]);
    for (size_t i = 0; i < o->n_marks; i++) {
        marks[i].epoch = o->marks[i]->epoch;
        if (!hf_uuid_parse(o->marks[i]->host_uuid, &marks[i].host) || marks[i].epoch == 0)
            return hf_error(HF_INVALID, "observe: a mark for epoch %llu of host '%s' cannot be",
                            (unsigned long long)marks[i].epoch, o->marks[i]->host_uuid);
    }
    return HF_STATUS_OK;
}

/* Takes both lists. */
static void take_observe(struct hf_storage_rec *r, struct hf_uuid *peers, size_t n_peers,
                         struct hf_lease_mark *marks, size_t n_marks)
{
    struct hf_host *h = r->host;
    free(r->peers);
    free(r->marks);
    r->peers = peers;
    r->n_peers = n_peers;
    r->marks = marks;
    r->n_marks = n_marks;
    if (!r->reader) {
        want_reader(r);
        return;
    }
    h->d.reader_set_peers(r->reader, peers, n_peers);
    h->d.reader_set_marks(r->reader, marks, n_marks);
}

hf_status hf_storage_rec_observe(struct hf_host *h, const Holdfast__V1__Observe *o)
{
    struct hf_uuid uuid;
    if (!hf_uuid_parse(o->primary_storage_uuid, &uuid))
        return hf_error(HF_INVALID, "observe: '%s' is no UUID of a storage", o->primary_storage_uuid);
    struct hf_storage_rec *r = hf_storage_rec_find(h, &uuid);
    if (!r || !r->heartbeat)
        return hf_error(HF_PRECONDITION, "observe: storage %s is not assigned here or carries no heartbeats",
                        o->primary_storage_uuid);
    if (o->n_host_uuids > HF_LEASE_READER_PEERS_MAX)
        return hf_error(HF_OUT_OF_RANGE, "observe: %zu hosts, the maximum is %d", o->n_host_uuids,
                        HF_LEASE_READER_PEERS_MAX);
    if (o->n_marks > o->n_host_uuids)
        return hf_error(HF_OUT_OF_RANGE, "observe: %zu marks for %zu hosts", o->n_marks, o->n_host_uuids);
    struct hf_uuid *peers = hf_alloc_array(o->n_host_uuids + 1, sizeof *peers);
    struct hf_lease_mark *marks = hf_alloc_array(o->n_marks + 1, sizeof *marks);
    hf_status st = parse_observe(o, peers, marks);
    if (!hf_ok(st)) {
        free(peers);
        free(marks);
        return st;
    }
    take_observe(r, peers, o->n_host_uuids, marks, o->n_marks);
    return HF_STATUS_OK;
}

/* --- the report of every second --- */

static size_t count_seen(const struct hf_host *h)
{
    size_t n = 0;
    for (const struct hf_storage_rec *r = h->storages; r; r = r->next)
        n += r->peer_values.n;
    return n;
}

void hf_storage_recs_report_leases(struct hf_host *h)
{
    Holdfast__V1__LeaseReport l = HOLDFAST__V1__LEASE_REPORT__INIT;
    Holdfast__V1__HostMessage m = HOLDFAST__V1__HOST_MESSAGE__INIT;
    size_t n = h->view.up ? h->view.n_storages : 0; /* without the keeper's word: no word about own leases */
    Holdfast__V1__LeaseReport__Own *own = hf_alloc_array(n + 1, sizeof *own);
    char(*ids)[HF_UUID_STR] = hf_alloc_array(n + 1, sizeof *ids);
    l.epoch = h->view.epoch;
    l.own = hf_alloc_array(n + 1, sizeof *l.own);
    for (size_t i = 0; i < n; i++) {
        holdfast__v1__lease_report__own__init(&own[i]);
        own[i].primary_storage_uuid = hf_uuid_format(&h->view.storages[i].uuid, ids[i]);
        own[i].age_ms = h->view.storages[i].age_ms;
        own[i].closed = h->view.storages[i].closed;
        own[i].session = h->view.storages[i].session;
        l.own[l.n_own++] = &own[i];
    }
    l.observations = hf_alloc_array(count_seen(h) + 1, sizeof *l.observations);
    for (struct hf_storage_rec *r = h->storages; r; r = r->next)
        for (size_t i = 0; i < r->peer_values.n; i++)
            l.observations[l.n_observations++] = r->peer_values.seen[i];
    m.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_LEASE;
    m.lease = &l;
    hf_host_send(h, &m);
    for (struct hf_storage_rec *r = h->storages; r && hf_attach_granted(h); r = r->next)
        hf_peer_values_told(&r->peer_values, h->attach.sync, hf_env_now_ms(h->d.env));
    free(own);
    free(ids);
    free(l.own);
    free(l.observations);
}

/* --- assignments --- */

static void open_primary(struct hf_storage_rec *r)
{
    struct hf_host *h = r->host;
    hf_status st = h->d.open_storage(h->d.arg, r->path, r->reserved_bytes, &r->primary);
    if (hf_ok(st)) {
        check(r);
        return;
    }
    free(r->message);
    r->message = hf_strdup(hf_status_message(st));
    r->checked = true;
    r->ok = false;
    hf_status_drop(st);
    report(r);
}

/* Silent from here: timers, reader and driver end; a call under way frees the record. */
static void storage_end(struct hf_storage_rec *r)
{
    struct hf_host *h = r->host;
    hf_timer_stop(&r->timer);
    hf_timer_stop(&r->lease_timer);
    if (r->reader)
        h->d.reader_close(r->reader);
    r->reader = NULL;
    if (r->primary)
        r->primary->ops->close(r->primary);
    r->primary = NULL;
    hf_peer_values_clear(&r->peer_values);
    r->dead = true;
    if (r->calls == 0)
        storage_free(r);
}

static void unlink_rec(struct hf_host *h, struct hf_storage_rec *r)
{
    struct hf_storage_rec **at = &h->storages;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    h->n_storages--;
}

static void forget(struct hf_host *h, struct hf_storage_rec *r)
{
    if (r->heartbeat && h->view.up) {
        hf_host_call_begin(h);
        h->d.keeper->ops->remove_storage(h->d.keeper, &r->uuid, on_lease_removed, h);
    }
    unlink_rec(h, r);
    storage_end(r);
}

hf_status hf_storage_rec_assign(struct hf_host *h, const Holdfast__V1__StorageAssignment *a)
{
    struct hf_uuid uuid;
    if (!hf_uuid_parse(a->uuid, &uuid))
        return hf_error(HF_INVALID, "assign storage: '%s' is no UUID", a->uuid);
    HF_TRY(hf_wrap(hf_primary_path_check(a->path), "assign storage %s", a->uuid));
    struct hf_storage_rec *r = hf_storage_rec_find(h, &uuid);
    if (r && (strcmp(r->path, a->path) != 0 || r->reserved_bytes != a->reserved_bytes ||
              r->heartbeat != a->heartbeat)) {
        forget(h, r);
        r = NULL;
    }
    if (!r) {
        if (h->n_storages >= HF_HOST_RECORDS_MAX)
            return hf_error(HF_EXHAUSTED, "assign storage %s: this host has %zu storages, the maximum",
                            a->uuid, h->n_storages);
        r = HF_NEW(struct hf_storage_rec);
        r->host = h;
        r->uuid = uuid;
        hf_uuid_format(&uuid, r->id);
        r->path = hf_strdup(a->path);
        r->heartbeat = a->heartbeat;
        r->reserved_bytes = a->reserved_bytes;
        r->next = h->storages;
        h->storages = r;
        h->n_storages++;
        open_primary(r);
    } else {
        check(r);
    }
    r->session = a->session > 0 ? a->session : 1;
    r->sync = h->attach.sync;
    see_closed(r);
    want_lease(r);
    return HF_STATUS_OK;
}

void hf_storage_rec_unassign(struct hf_host *h, const struct hf_uuid *uuid)
{
    struct hf_storage_rec *r = hf_storage_rec_find(h, uuid);
    if (r)
        forget(h, r);
}

void hf_storage_recs_sweep(struct hf_host *h, uint64_t sync)
{
    for (struct hf_storage_rec *r = h->storages, *next; r; r = next) {
        next = r->next;
        if (r->sync != sync)
            forget(h, r);
    }
}

void hf_storage_recs_report(struct hf_host *h)
{
    for (struct hf_storage_rec *r = h->storages; r; r = r->next)
        report(r);
}

void hf_storage_recs_tick(struct hf_host *h)
{
    for (struct hf_storage_rec *r = h->storages; r; r = r->next) {
        see_closed(r);
        want_lease(r);
        want_reader(r);
    }
}

void hf_storage_recs_stop(struct hf_host *h)
{
    while (h->storages) {
        struct hf_storage_rec *r = h->storages;
        unlink_rec(h, r);
        storage_end(r);
    }
}

void hf_storage_recs_free(struct hf_host *h)
{
    HF_ASSERT(h->storages == NULL);
}
