#include "ha/detector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buggify.h"
#include "base/mem.h"
#include "base/mutant.h"

/* The last that one observer said of one record. */
struct seen {
    struct hf_uuid observer;
    int64_t arrived_ms;
    uint64_t epoch, sequence;
    int64_t unchanged_ms;
    bool good;
    uint64_t marked_epoch;
    char mark_error[HF_OBSERVATION_ERROR_MAX];
    char error[HF_OBSERVATION_ERROR_MAX];
};

/* One host's record on one storage. */
struct record {
    struct hf_uuid storage;
    uint64_t epoch, sequence; /* newest value that anyone has read; epoch 0: none */
    int64_t moved_ms;         /* when a newer value than one known arrived; -1: never */
    uint64_t closed_killed;   /* highest epoch of which it said so, */
    uint64_t closed_session;  /* and the highest session of that */
    struct seen *seen;
    size_t n_seen;
};

struct host {
    struct hf_uuid uuid;
    int64_t last_ms; /* its last message */
    bool heard;      /* last_ms is of a message, not of the leader's beginning */
    bool stream_closed;
    struct record *records;
    size_t n_records;
    uint64_t runs_epoch;
    struct hf_lease_run *runs;
    size_t n_runs;
};

struct hf_detector {
    int64_t start_ms;
    struct host *hosts;
    size_t n_hosts;
};

struct hf_detector *hf_detector_create(int64_t now_ms)
{
    struct hf_detector *d = HF_NEW(struct hf_detector);
    d->start_ms = now_ms;
    return d;
}

static void host_clear(struct host *h)
{
    for (size_t i = 0; i < h->n_records; i++)
        free(h->records[i].seen);
    free(h->records);
    free(h->runs);
}

void hf_detector_free(struct hf_detector *d)
{
    for (size_t i = 0; i < d->n_hosts; i++)
        host_clear(&d->hosts[i]);
    free(d->hosts);
    free(d);
}

static struct host *find_host(const struct hf_detector *d, const struct hf_uuid *uuid)
{
    for (size_t i = 0; i < d->n_hosts; i++) {
        if (hf_uuid_equal(&d->hosts[i].uuid, uuid))
            return &d->hosts[i];
    }
    return NULL;
}

static struct host *get_host(struct hf_detector *d, const struct hf_uuid *uuid)
{
    struct host *h = find_host(d, uuid);
    if (h)
        return h;
    d->hosts = hf_realloc_array(d->hosts, d->n_hosts + 1, sizeof d->hosts[0]);
    h = &d->hosts[d->n_hosts++];
    *h = (struct host){.uuid = *uuid, .last_ms = d->start_ms};
    return h;
}

static struct record *find_record(const struct host *h, const struct hf_uuid *storage)
{
    for (size_t i = 0; i < h->n_records; i++) {
        if (hf_uuid_equal(&h->records[i].storage, storage))
            return &h->records[i];
    }
    return NULL;
}

static struct record *get_record(struct host *h, const struct hf_uuid *storage)
{
    struct record *r = find_record(h, storage);
    if (r)
        return r;
    h->records = hf_realloc_array(h->records, h->n_records + 1, sizeof h->records[0]);
    r = &h->records[h->n_records++];
    *r = (struct record){.storage = *storage, .moved_ms = -1};
    return r;
}

static struct seen *get_seen(struct record *r, const struct hf_uuid *observer)
{
    struct seen *oldest = NULL;
    for (size_t i = 0; i < r->n_seen; i++) {
        if (hf_uuid_equal(&r->seen[i].observer, observer))
            return &r->seen[i];
        if (!oldest || r->seen[i].arrived_ms < oldest->arrived_ms)
            oldest = &r->seen[i];
    }
    if (r->n_seen == HF_DETECTOR_OBSERVERS_MAX)
        return oldest;
    r->seen = hf_realloc_array(r->seen, r->n_seen + 1, sizeof r->seen[0]);
    return &r->seen[r->n_seen++];
}

/* --- what comes in --- */

void hf_detector_contact(struct hf_detector *d, const struct hf_uuid *host, int64_t now_ms)
{
    struct host *h = get_host(d, host);
    h->last_ms = now_ms;
    h->heard = true;
    h->stream_closed = false;
}

void hf_detector_stream_closed(struct hf_detector *d, const struct hf_uuid *host, int64_t now_ms)
{
    struct host *h = get_host(d, host);
    if (!h->stream_closed)
        h->last_ms = now_ms;
    h->stream_closed = true;
}

void hf_detector_forget(struct hf_detector *d, const struct hf_uuid *host)
{
    struct host *h = find_host(d, host);
    if (!h)
        return;
    host_clear(h);
    *h = d->hosts[--d->n_hosts];
}

static void take_runs(struct host *h, const struct hf_observation *o)
{
    free(h->runs);
    h->runs = hf_alloc_array(o->n_runs + 1, sizeof h->runs[0]);
    if (o->n_runs > 0)
        memcpy(h->runs, o->runs, o->n_runs * sizeof h->runs[0]);
    h->n_runs = o->n_runs;
    h->runs_epoch = o->epoch;
}

static bool is_newer(const struct hf_observation *o, const struct record *r)
{
    return o->epoch != r->epoch ? o->epoch > r->epoch : o->sequence > r->sequence;
}

void hf_detector_observe(struct hf_detector *d, const struct hf_uuid *observer,
                         const struct hf_observation *o, int64_t now_ms)
{
    if (hf_uuid_equal(observer, &o->host) || HF_BUGGIFY(OBSERVATION_LOST))
        return;
    struct host *h = get_host(d, &o->host);
    struct record *r = get_record(h, &o->storage);
    struct seen *s = get_seen(r, observer);
    *s = (struct seen){.observer = *observer,
                       .arrived_ms = now_ms,
                       .epoch = o->epoch,
                       .sequence = o->sequence,
                       .unchanged_ms = o->unchanged_ms,
                       .marked_epoch = o->marked_epoch,
                       .good = o->samples_good && o->error[0] == '\0'};
    memcpy(s->mark_error, o->mark_error, sizeof s->mark_error);
    snprintf(s->error, sizeof s->error, "%s",
             o->error[0] ? o->error
             : s->good   ? ""
                         : "its own samples are not good");
    if (o->error[0] != '\0' || o->epoch == 0)
        return;
    if (o->closed && o->killed && o->epoch > r->closed_killed) {
        r->closed_killed = o->epoch;
        r->closed_session = o->session;
    } else if (o->closed && o->killed && o->epoch == r->closed_killed && o->session > r->closed_session) {
        r->closed_session = o->session;
    }
    if (!is_newer(o, r))
        return;
    /* The first value that is heard of may be old: only a newer one than that is a movement. */
    if (r->epoch != 0)
        r->moved_ms = now_ms;
    if (r->epoch != 0 || o->epoch > h->runs_epoch)
        take_runs(h, o);
    r->epoch = o->epoch;
    r->sequence = o->sequence;
}

/* --- what it means --- */

bool hf_detector_in_contact(const struct hf_detector *d, const struct hf_uuid *host,
                            const struct hf_ha_timing *timing, int64_t now_ms, int64_t *ret_lost_ms)
{
    const struct host *h = find_host(d, host);
    *ret_lost_ms = now_ms - (h ? h->last_ms : d->start_ms);
    return !(h && h->stream_closed) && *ret_lost_ms < timing->contact_ms;
}

bool hf_detector_has_heard(const struct hf_detector *d, const struct hf_uuid *host)
{
    const struct host *h = find_host(d, host);
    return h && h->heard;
}

/* Of the good and recent views of the newest value, by those that have marked this epoch if it is not 0, the
 * one that has lasted longest, or NULL. */
static const struct seen *best_view(const struct record *r, uint64_t epoch, uint64_t marked,
                                    int64_t oldest_ms)
{
    const struct seen *best = NULL;
    for (size_t i = 0; i < r->n_seen; i++) {
        const struct seen *s = &r->seen[i];
        if (s->arrived_ms < oldest_ms || !s->good || s->epoch != epoch || s->sequence != r->sequence)
            continue;
        if (marked != 0 && s->marked_epoch != marked)
            continue;
        if (!best || s->unchanged_ms > best->unchanged_ms)
            best = s;
    }
    return best;
}

/* No view of this epoch's value: is that the storage's fault, or is there no such record? */
static struct hf_sign sign_without_view(const struct record *r, int64_t oldest_ms)
{
    struct hf_sign sign = {.state = HF_SIGN_NONE};
    for (size_t i = 0; i < r->n_seen; i++) {
        const struct seen *s = &r->seen[i];
        if (s->arrived_ms < oldest_ms)
            continue;
        if (s->good) {
            sign.state = HF_SIGN_NO_RECORD;
            return sign;
        }
        sign.state = HF_SIGN_OUT;
        sign.observer = s->observer;
        snprintf(sign.error, sizeof sign.error, "%s", s->error);
    }
    return sign;
}

/* What those say who have marked this epoch, or why nobody could. */
static void add_marked(struct hf_sign *sign, const struct record *r, uint64_t epoch, int64_t oldest_ms)
{
    const struct seen *view = best_view(r, r->epoch, epoch, oldest_ms);
    sign->marked_ms = view ? view->unchanged_ms : -1;
    if (view)
        sign->mark_observer = view->observer;
    for (size_t i = 0; !view && i < r->n_seen; i++) {
        if (r->seen[i].arrived_ms >= oldest_ms && r->seen[i].mark_error[0] != '\0')
            memcpy(sign->mark_error, r->seen[i].mark_error, sizeof sign->mark_error);
    }
    if (HF_MUTANT(CONTACT_IS_PROOF))
        sign->marked_ms = sign->unchanged_ms;
}

struct hf_sign hf_detector_sign(const struct hf_detector *d, const struct hf_uuid *host, uint64_t epoch,
                                const struct hf_uuid *storage, uint64_t session,
                                const struct hf_ha_timing *timing, int64_t now_ms)
{
    const struct host *h = find_host(d, host);
    const struct record *r = h ? find_record(h, storage) : NULL;
    struct hf_sign sign = {.state = HF_SIGN_NONE};
    if (!r)
        return sign;
    const struct seen *view = best_view(r, r->epoch, 0, now_ms - timing->contact_ms);
    if (!view || r->epoch < epoch) {
        sign = sign_without_view(r, now_ms - timing->contact_ms);
        if (HF_MUTANT(OUTAGE_IS_SILENCE) && sign.state == HF_SIGN_OUT) {
            sign.state = HF_SIGN_STILL;
            sign.unchanged_ms = sign.marked_ms = now_ms - h->last_ms;
        }
    } else if (r->epoch > epoch ||
               (r->moved_ms > h->last_ms + timing->own_fresh_ms && now_ms - r->moved_ms < timing->fence_ms &&
                !HF_MUTANT(CONTACT_IS_PROOF))) {
        sign.state = HF_SIGN_MOVING;
        sign.unchanged_ms = r->moved_ms < 0 ? 0 : now_ms - r->moved_ms;
        sign.observer = view->observer;
    } else {
        sign.state = HF_SIGN_STILL;
        sign.unchanged_ms = HF_MUTANT(CONTACT_IS_PROOF) ? now_ms - h->last_ms : view->unchanged_ms;
        sign.observer = view->observer;
        add_marked(&sign, r, epoch, now_ms - timing->contact_ms);
    }
    sign.closed_and_killed = epoch > 0 && (r->closed_killed > epoch ||
                                           (r->closed_killed == epoch && r->closed_session >= session));
    sign.closed_session = r->closed_killed > epoch ? HF_LEASE_ALL_SESSIONS : r->closed_session;
    if (HF_MUTANT(SIGN_OF_OLD_EPOCH))
        sign.closed_and_killed = r->closed_killed > 0;
    return sign;
}

const struct hf_lease_run *hf_detector_record_runs(const struct hf_detector *d, const struct hf_uuid *host,
                                                   uint64_t epoch, size_t *ret_n)
{
    const struct host *h = find_host(d, host);
    if (!h || !h->runs || h->runs_epoch != epoch)
        return NULL;
    *ret_n = h->n_runs;
    return h->runs;
}
