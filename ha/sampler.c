#include "ha/sampler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buggify.h"
#include "base/mem.h"
#include "base/mutant.h"

struct peer {
    struct hf_uuid host;
    bool counting; /* the four below hold */
    uint64_t hash;
    int64_t first_end_ms;  /* end of the first read of this value */
    int64_t last_start_ms; /* start of the last */
    /* of the last good read */
    uint64_t epoch, sequence;
    char boot_id[HF_LEASE_BOOT_ID_MAX];
    bool closed, killed;
    uint64_t session;
    uint64_t marked_epoch;
    char mark_error[HF_OBSERVATION_ERROR_MAX];
    struct hf_lease_run *runs;
    size_t n_runs;
    char error[HF_OBSERVATION_ERROR_MAX]; /* of the last sample */
};

struct hf_sampler {
    struct hf_uuid storage;
    const struct hf_ha_timing *timing;
    struct peer *peers;
    size_t n_peers;
    struct hf_observation *out;
    /* the observer's own record */
    bool own_seen, own_moved;
    uint64_t own_hash;
    int64_t own_change_ms; /* when a read first returned this value */
    bool sampled;
    int64_t last_sample_ms;
};

static uint64_t hash_bytes(const uint8_t *data, size_t len)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        h = (h ^ data[i]) * 0x100000001b3u;
    return h;
}

void hf_sampler_digest(const uint8_t *file, size_t len, const struct hf_uuid *cluster,
                       struct hf_sampler_read *read)
{
    struct hf_lease_record *r = HF_NEW(struct hf_lease_record);
    read->hash = hash_bytes(file, len);
    read->decode = hf_lease_file_decode(file, len, cluster, &read->host, r);
    if (read->decode == HF_LEASE_GOOD) {
        read->epoch = r->epoch;
        read->sequence = r->sequence;
        read->closed = r->closed;
        read->killed = r->killed;
        read->session = r->session;
        memcpy(read->boot_id, r->boot_id, sizeof read->boot_id);
        read->n_runs = r->n_runs;
        read->runs = hf_alloc_array(r->n_runs + 1, sizeof read->runs[0]);
        memcpy(read->runs, r->runs, r->n_runs * sizeof read->runs[0]);
    } else if (read->decode != HF_LEASE_EMPTY) {
        snprintf(read->error, sizeof read->error, "%s", hf_lease_decode_text(read->decode));
    }
    free(r);
}

struct hf_sampler *hf_sampler_create(const struct hf_uuid *storage, const struct hf_ha_timing *timing)
{
    struct hf_sampler *s = HF_NEW(struct hf_sampler);
    s->storage = *storage;
    s->timing = timing;
    return s;
}

static void peers_free(struct peer *peers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(peers[i].runs);
    free(peers);
}

void hf_sampler_free(struct hf_sampler *s)
{
    peers_free(s->peers, s->n_peers);
    free(s->out);
    free(s);
}

static struct peer *find_peer(struct hf_sampler *s, const struct hf_uuid *host)
{
    for (size_t i = 0; i < s->n_peers; i++) {
        if (hf_uuid_equal(&s->peers[i].host, host))
            return &s->peers[i];
    }
    return NULL;
}

void hf_sampler_set_peers(struct hf_sampler *s, const struct hf_uuid *hosts, size_t n)
{
    struct peer *peers = hf_alloc_array(n + 1, sizeof peers[0]);
    for (size_t i = 0; i < n; i++) {
        struct peer *old = find_peer(s, &hosts[i]);
        if (old) {
            peers[i] = *old;
            old->runs = NULL;
        } else {
            peers[i].host = hosts[i];
        }
    }
    peers_free(s->peers, s->n_peers);
    s->peers = peers;
    s->n_peers = n;
    s->out = hf_realloc_array(s->out, n + 1, sizeof s->out[0]);
}

struct hf_uuid *hf_sampler_peers(const struct hf_sampler *s, size_t *ret_n)
{
    struct hf_uuid *hosts = hf_alloc_array(s->n_peers + 1, sizeof hosts[0]);
    for (size_t i = 0; i < s->n_peers; i++)
        hosts[i] = s->peers[i].host;
    *ret_n = s->n_peers;
    return hosts;
}

static const struct hf_observation *observations(struct hf_sampler *s, size_t *ret_n)
{
    for (size_t i = 0; i < s->n_peers; i++) {
        const struct peer *p = &s->peers[i];
        struct hf_observation *o = &s->out[i];
        *o = (struct hf_observation){.storage = s->storage,
                                     .host = p->host,
                                     .epoch = p->epoch,
                                     .sequence = p->sequence,
                                     .closed = p->closed,
                                     .killed = p->killed,
                                     .session = p->session,
                                     .marked_epoch = p->marked_epoch,
                                     .runs = p->runs,
                                     .n_runs = p->n_runs};
        memcpy(o->boot_id, p->boot_id, sizeof o->boot_id);
        memcpy(o->error, p->error, sizeof o->error);
        memcpy(o->mark_error, p->mark_error, sizeof o->mark_error);
        o->samples_good = p->counting && p->error[0] == '\0';
        if (o->samples_good && p->last_start_ms > p->first_end_ms)
            o->unchanged_ms = p->last_start_ms - p->first_end_ms;
    }
    *ret_n = s->n_peers;
    return s->out;
}

const struct hf_observation *hf_sampler_failed(struct hf_sampler *s, const char *error, size_t *ret_n)
{
    for (size_t i = 0; i < s->n_peers; i++) {
        s->peers[i].counting = false;
        snprintf(s->peers[i].error, sizeof s->peers[i].error, "%s", error);
    }
    return observations(s, ret_n);
}

/* Why this sample is not good for any peer, or NULL. Own write good means: the own keeper's record was seen
 * to move, and lately. */
static const char *own_problem(struct hf_sampler *s, const struct hf_sampler_read *own)
{
    bool gap = s->sampled && own->start_ms - s->last_sample_ms > s->timing->sample_gap_ms;
    s->sampled = true;
    s->last_sample_ms = own->start_ms;
    if (HF_MUTANT(OBSERVER_UNCHECKED))
        return NULL;
    if (own->error[0] != '\0')
        return own->error;
    if (own->decode != HF_LEASE_GOOD)
        return "the observer has no record of its own there";
    if (!s->own_seen || own->hash != s->own_hash) {
        s->own_moved = s->own_seen;
        s->own_seen = true;
        s->own_hash = own->hash;
        s->own_change_ms = own->end_ms;
    }
    if (!s->own_moved)
        return "the observer's own record has not been seen to move yet";
    if (own->start_ms - s->own_change_ms > s->timing->own_fresh_ms)
        return "the observer's own record has stopped moving";
    return gap || HF_BUGGIFY(SAMPLE_FAILS) ? "the observer has paused" : NULL;
}

static void take_read(struct peer *p, struct hf_sampler_read *r)
{
    memcpy(p->error, r->error, sizeof p->error);
    memcpy(p->mark_error, r->mark_error, sizeof p->mark_error);
    if (r->error[0] != '\0') {
        p->counting = false;
        return;
    }
    if (!p->counting || p->hash != r->hash) {
        p->counting = true;
        p->hash = r->hash;
        p->first_end_ms = r->end_ms;
    }
    p->last_start_ms = r->start_ms;
    p->epoch = r->epoch;
    p->sequence = r->sequence;
    p->closed = r->closed;
    p->killed = r->killed;
    p->marked_epoch = r->marked_epoch;
    p->session = r->session;
    memcpy(p->boot_id, r->boot_id, sizeof p->boot_id);
    free(p->runs);
    p->runs = r->runs;
    p->n_runs = r->n_runs;
    r->runs = NULL;
}

const struct hf_observation *hf_sampler_sample(struct hf_sampler *s, const struct hf_sampler_read *own,
                                               struct hf_sampler_read *reads, size_t n_reads, size_t *ret_n)
{
    const char *problem = own_problem(s, own);
    if (problem)
        return hf_sampler_failed(s, problem, ret_n);
    for (size_t i = 0; i < n_reads; i++) {
        struct peer *p = find_peer(s, &reads[i].host);
        if (p)
            take_read(p, &reads[i]);
    }
    return observations(s, ret_n);
}
