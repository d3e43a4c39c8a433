/* The lease on a storage: the keeper renews it, a reader watches those of the peers, and the leader is told
 * of both. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "hostd/storage_int.h"

#define RETRY_FIRST_MS 500
#define RETRY_MAX_MS   10000

/* --- lease --- */

static void lease_timer(void *arg)
{
    hf_storage_want_lease(arg);
}

static void on_lease(void *arg, hf_status st)
{
    struct hf_storage_rec *r = arg;
    if (!hf_storage_call_end(r))
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
        if (hf_uuid_equal(&r->host->view.storages[i].uuid, &r->place.uuid))
            return r->host->view.storages[i].session >= r->session;
    return false;
}

/* Also after the keeper has lost its list (a restart with a fresh state): its view tells. */
void hf_storage_want_lease(struct hf_storage_rec *r)
{
    struct hf_keeper *k = r->host->d.keeper;
    if ((r->place.nfs || r->place.ceph) && !r->was_ok)
        return; /* not mounted yet, or not reached, for all that is known */
    if (!r->place.heartbeat || r->leasing || hf_timer_running(&r->lease_timer) || !hf_host_ready(r->host))
        return;
    if (r->leased && keeper_has(r))
        return;
    r->leasing = true;
    hf_storage_call_begin(r);
    k->ops->add_storage(k, &r->place.uuid, r->place.path, r->session, on_lease, r);
}

/* The keeper has lost its lease: it permits nothing there any more. Said, so that the leader places what
 * needs it elsewhere. In the next session, or the next life, what a check had found before is not believed
 * any more either: that may have been long before the storage was lost. */
void hf_storage_see_closed(struct hf_storage_rec *r)
{
    const struct hf_host_view *v = &r->host->view;
    bool lost = false;
    for (size_t i = 0; i < v->n_storages && r->place.heartbeat; i++)
        lost |= v->storages[i].closed && hf_uuid_equal(&v->storages[i].uuid, &r->place.uuid);
    bool closed = lost && !v->epoch_closed, news = closed != r->closed || (lost && !r->lost);
    if (lost && !r->lost)
        hf_storage_rec_doubt(r);
    r->lost = lost;
    r->closed = closed;
    if (news)
        hf_storage_rec_report(r);
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

void hf_storage_give_lease_up(struct hf_storage_rec *r)
{
    struct hf_host *h = r->host;
    if (r->place.heartbeat && h->view.up) {
        hf_host_call_begin(h);
        h->d.keeper->ops->remove_storage(h->d.keeper, &r->place.uuid, on_lease_removed, h);
    }
}

static void on_stray_removed(void *arg, hf_status st)
{
    struct hf_host *h = arg;
    h->giving_lease_up = false;
    if (hf_ok(st) && !h->closing)
        hf_host_refresh(h); /* and on to the next */
    hf_host_call_end(h);
}

void hf_storage_leases_sweep(struct hf_host *h)
{
    if (!h->attach.synced || !h->view.up || h->giving_lease_up || !hf_host_ready(h))
        return;
    for (size_t i = 0; i < h->view.n_storages; i++) {
        const struct hf_uuid *uuid = &h->view.storages[i].uuid;
        if (hf_storage_rec_find(h, uuid))
            continue;
        h->giving_lease_up = true;
        hf_host_call_begin(h);
        h->d.keeper->ops->remove_storage(h->d.keeper, uuid, on_stray_removed, h);
        return;
    }
}

static void on_sample(void *arg, const struct hf_uuid *storage, const struct hf_observation *seen, size_t n)
{
    struct hf_storage_rec *r = arg;
    struct hf_host *h = r->host;
    HF_ASSERT(hf_uuid_equal(storage, &r->place.uuid));
    hf_peer_values_sample(&r->peer_values, seen, n, h->attach.sync, hf_env_now_ms(h->d.env));
}

void hf_storage_want_reader(struct hf_storage_rec *r)
{
    struct hf_host *h = r->host;
    const struct hf_ha_timing *timing = hf_ha_timing_find(h->view.profile);
    if (r->reader || r->n_peers == 0 || !r->place.heartbeat || !h->view.known || !timing)
        return;
    struct hf_lease_reader_options o = {.storage = r->place.uuid,
                                        .dir = r->place.path,
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
        hf_storage_want_reader(r);
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
    if (!r || !r->place.heartbeat)
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
