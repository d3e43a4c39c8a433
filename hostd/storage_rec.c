#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "hostd/storage_int.h"

#define REPORT_CHANGE_SHARE 200 /* a change of the free space below 1/200 of the storage is not reported */

static void storage_free(struct hf_storage_rec *r)
{
    hf_storage_place_done(&r->place);
    free(r->message);
    free(r->peers);
    free(r->marks);
    free(r);
}

void hf_storage_call_begin(struct hf_storage_rec *r)
{
    r->calls++;
    hf_host_call_begin(r->host);
}

bool hf_storage_call_end(struct hf_storage_rec *r)
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
    while (r && !hf_uuid_equal(&r->place.uuid, uuid))
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
    return r->place.heartbeat;
}

/* --- check and report --- */

/* At which addresses its cluster sees this host; valid until the next check. */
static size_t seen_addresses(struct hf_storage_rec *r, char *ret[HF_CEPH_SEEN_MAX])
{
    const struct hf_ceph_seen *s =
        r->primary && r->primary->ops->seen ? r->primary->ops->seen(r->primary) : NULL;
    for (size_t i = 0; s && i < s->n; i++)
        ret[i] = (char *)s->ip[i];
    return s ? s->n : 0;
}

void hf_storage_rec_report(struct hf_storage_rec *r)
{
    Holdfast__V1__StorageReport s = HOLDFAST__V1__STORAGE_REPORT__INIT;
    Holdfast__V1__HostMessage m = HOLDFAST__V1__HOST_MESSAGE__INIT;
    char *seen[HF_CEPH_SEEN_MAX];
    if (!r->checked)
        return;
    s.primary_storage_uuid = r->id;
    s.ok = r->ok && !r->closed;
    s.message = r->message ? r->message : (char *)(r->closed ? HF_STORAGE_CLOSED : protobuf_c_empty_string);
    s.total_bytes = r->capacity.total_bytes;
    s.available_bytes = r->capacity.available_bytes;
    s.address = r->address;
    s.network_problem = r->network_problem;
    s.client_addresses = seen;
    s.n_client_addresses = seen_addresses(r, seen);
    m.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_STORAGE;
    m.storage = &s;
    r->reported = r->capacity;
    r->reported_seen = s.n_client_addresses;
    hf_host_send(r->host, &m);
}

static bool worth_a_report(struct hf_storage_rec *r)
{
    char *seen[HF_CEPH_SEEN_MAX];
    if (seen_addresses(r, seen) > r->reported_seen)
        return true;
    uint64_t a = r->capacity.available_bytes, b = r->reported.available_bytes;
    return r->capacity.total_bytes != r->reported.total_bytes ||
           (a > b ? a - b : b - a) > r->capacity.total_bytes / REPORT_CHANGE_SHARE;
}

/* True: something else is to be said of this host's addresses. */
static bool judge_addresses(struct hf_storage_rec *r)
{
    struct hf_host_address all[HF_HOST_ADDRESSES_MAX];
    char address[sizeof r->address], problem[HF_STORAGE_PROBLEM_MAX];
    size_t n = r->place.prefix > 0 ? r->host->d.addresses(r->host->d.arg, all, HF_HOST_ADDRESSES_MAX) : 0;
    hf_storage_place_judge(&r->place, all, n, address, problem);
    bool same = strcmp(address, r->address) == 0 && strcmp(problem, r->network_problem) == 0;
    memcpy(r->address, address, sizeof address);
    memcpy(r->network_problem, problem, sizeof problem);
    return !same;
}

static void check(void *arg);

static void on_check(void *arg, hf_status st, const struct hf_capacity *c)
{
    struct hf_storage_rec *r = arg;
    bool was_known = r->checked, was_ok = r->ok;
    if (!hf_storage_call_end(r))
        return;
    r->checking = false;
    if (r->check_again) {
        r->check_again = false;
        check(r);
        return;
    }
    r->checked = true;
    r->ok = hf_ok(st);
    bool same_text = r->message && strcmp(r->message, hf_status_message(st)) == 0;
    if (!r->ok && !same_text)
        hf_warn("storage %s (%s): %s", r->id, r->place.path, hf_status_message(st));
    free(r->message);
    r->message = r->ok ? NULL : hf_strdup(hf_status_message(st));
    if (r->ok)
        r->capacity = *c;
    bool moved = judge_addresses(r);
    if (!was_known || was_ok != r->ok || (!r->ok && !same_text) || moved || worth_a_report(r))
        hf_storage_rec_report(r);
    hf_timer_start(r->host->d.env, &r->timer, HF_STORAGE_CHECK_MS, check, r);
    r->was_ok |= r->ok;
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
    hf_storage_call_begin(r);
    r->primary->ops->check(r->primary, HF_STORAGE_CHECK_DEADLINE_MS, on_check, r);
}

void hf_storage_rec_doubt(struct hf_storage_rec *r)
{
    if (!r->primary || HF_MUTANT(OLD_CHECK_BELIEVED))
        return;
    if (!r->checked) /* it is known to be bad before the first check has ended: that may hang, too */
        judge_addresses(r);
    r->checked = true;
    r->ok = false;
    free(r->message);
    r->message = hf_strdup("its lease was lost here, and no check since then has found it good");
    r->check_again = r->checking;
    check(r);
}

/* --- assignments --- */

static void open_primary(struct hf_storage_rec *r)
{
    struct hf_host *h = r->host;
    r->reported_seen = 0;
    hf_status st = h->d.open_storage(h->d.arg, &r->place, &r->primary);
    if (hf_ok(st)) {
        check(r);
        return;
    }
    free(r->message);
    r->message = hf_strdup(hf_status_message(st));
    r->checked = true;
    r->ok = false;
    hf_status_drop(st);
    hf_storage_rec_report(r);
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

/* Not before the leader has told all that is this host's: what is mounted may be in use. */
static void keep_mounts(struct hf_host *h)
{
    struct hf_uuid *keep = hf_alloc_array(h->n_storages + 1, sizeof *keep);
    size_t n = 0;
    for (const struct hf_storage_rec *r = h->storages; r; r = r->next)
        if (r->place.nfs)
            keep[n++] = r->place.uuid;
    if (h->attach.synced && h->o.mount_base)
        h->d.keep_mounts(h->d.arg, keep, n);
    free(keep);
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
    hf_storage_give_lease_up(r);
    unlink_rec(h, r);
    storage_end(r);
}

/* Takes place. */
static struct hf_storage_rec *new_rec(struct hf_host *h, struct hf_storage_place *place)
{
    struct hf_storage_rec *r = HF_NEW(struct hf_storage_rec);
    r->host = h;
    r->place = *place;
    hf_uuid_format(&place->uuid, r->id);
    r->next = h->storages;
    h->storages = r;
    h->n_storages++;
    open_primary(r);
    return r;
}

/* Takes place. The files are the same, and so is the lease on them; calls under way end as they began. */
static void change_way(struct hf_storage_rec *r, struct hf_storage_place *place)
{
    hf_storage_place_done(&r->place);
    r->place = *place;
    if (r->primary)
        r->primary->ops->close(r->primary);
    r->primary = NULL;
    r->check_again = r->checking;
    open_primary(r);
}

static hf_status take_place(struct hf_host *h, struct hf_storage_place *place, struct hf_storage_rec **ret)
{
    struct hf_storage_rec *r = hf_storage_rec_find(h, &place->uuid);
    if (r && !hf_storage_place_same_files(&r->place, place)) {
        forget(h, r);
        r = NULL;
    }
    if (!r && h->n_storages >= HF_HOST_RECORDS_MAX)
        return hf_error(HF_EXHAUSTED, "assign storage: this host has %zu storages, the maximum",
                        h->n_storages);
    if (!r) {
        *ret = new_rec(h, place);
        return HF_STATUS_OK;
    }
    if (!hf_storage_place_same_way(&r->place, place)) {
        change_way(r, place);
    } else {
        hf_storage_place_done(place);
        check(r);
    }
    *ret = r;
    return HF_STATUS_OK;
}

hf_status hf_storage_rec_assign(struct hf_host *h, const Holdfast__V1__StorageAssignment *a)
{
    struct hf_storage_place place;
    struct hf_storage_rec *r = NULL;
    struct hf_storage_bases bases = {.mounts = h->o.mount_base, .ceph = h->o.ceph_base};
    HF_TRY(hf_storage_place_read(a, &bases, &place));
    hf_status st = take_place(h, &place, &r);
    if (!hf_ok(st)) {
        hf_storage_place_done(&place);
        return st;
    }
    r->session = a->session > 0 ? a->session : 1;
    r->sync = h->attach.sync;
    keep_mounts(h);
    hf_storage_see_closed(r);
    hf_storage_want_lease(r);
    return HF_STATUS_OK;
}

void hf_storage_rec_unassign(struct hf_host *h, const struct hf_uuid *uuid)
{
    struct hf_storage_rec *r = hf_storage_rec_find(h, uuid);
    if (r)
        forget(h, r);
    keep_mounts(h);
}

void hf_storage_recs_sweep(struct hf_host *h, uint64_t sync)
{
    for (struct hf_storage_rec *r = h->storages, *next; r; r = next) {
        next = r->next;
        if (r->sync != sync)
            forget(h, r);
    }
    keep_mounts(h);
}

void hf_storage_recs_report(struct hf_host *h)
{
    for (struct hf_storage_rec *r = h->storages; r; r = r->next)
        hf_storage_rec_report(r);
}

void hf_storage_recs_see_closed(struct hf_host *h)
{
    for (struct hf_storage_rec *r = h->storages; r; r = r->next)
        hf_storage_see_closed(r);
}

void hf_storage_recs_tick(struct hf_host *h)
{
    hf_storage_recs_see_closed(h);
    for (struct hf_storage_rec *r = h->storages; r; r = r->next) {
        hf_storage_want_lease(r);
        hf_storage_want_reader(r);
    }
    hf_storage_leases_sweep(h);
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
