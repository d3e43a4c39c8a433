/* Reads the peers' lease records on one shared storage, past all caches, once per sample period, and says
 * what it saw (rule 13). One reader per storage: reads happen on a worker thread, one job in flight, so that
 * a storage that hangs holds up no other (each hung storage keeps one worker thread busy). Loop thread only.
 *
 * The observer's own record, which its keeper writes, is read in every sample as well: when that read fails
 * or the record has stopped moving, the sample is not good and every count starts again.
 */
#ifndef HF_HOSTD_LEASE_READER_H
#define HF_HOSTD_LEASE_READER_H

#include "base/env.h"
#include "ha/ha_timing.h"
#include "ha/observation.h"

#define HF_LEASE_READER_PEERS_MAX 256

struct hf_lease_reader;

/* After each sample, also of one that failed or hangs (then every observation carries the error): one
 * observation per peer. The array and what it points to are borrowed for the call. */
typedef void (*hf_lease_reader_cb)(void *arg, const struct hf_uuid *storage,
                                   const struct hf_observation *seen, size_t n);

struct hf_lease_reader_options {
    struct hf_uuid storage;
    const char *dir; /* the storage's root on this host */
    struct hf_uuid own_host;
    struct hf_uuid cluster; /* zero: records of any cluster are taken */
    const struct hf_ha_timing *timing;
    hf_lease_reader_cb cb;
    void *arg;
};

/* Starts sampling; the first callback comes after the first sample that has peers. */
struct hf_lease_reader *hf_lease_reader_create(struct hf_env *env, const struct hf_lease_reader_options *o);

/* Replaces the list of hosts to read (own host is skipped; more than the maximum: the rest is left out and
 * logged once). A peer that stays in the list keeps its count. */
void hf_lease_reader_set_peers(struct hf_lease_reader *r, const struct hf_uuid *hosts, size_t n);

/* A life that is fenced, whose mark is to be written here (rule 12). */
struct hf_lease_mark {
    struct hf_uuid host;
    uint64_t epoch;
};

/* Replaces the list of marks (at most HF_LEASE_READER_PEERS_MAX). Each is written beside a sample, again with the
 * next one as long as that fails or hangs; samples that begin behind it say so. A mark that is written stays. */
void hf_lease_reader_set_marks(struct hf_lease_reader *r, const struct hf_lease_mark *marks, size_t n);

/* No callback from here on. Memory goes when the job in flight, if any, has ended. */
void hf_lease_reader_close(struct hf_lease_reader *r);

#endif
