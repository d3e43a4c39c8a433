/* What one observer makes of its reads of one storage (rule 13): for each peer, how long its record has not
 * changed, from the end of the first read of this value to the start of the last. Pure: the reads of one
 * sample go in, observations come out.
 *
 * Every count starts again after a sample that is not good: the observer's own record could not be read or
 * has stopped moving (its own write fails), a read failed, or too much time lies between two samples. Values
 * are compared by a hash of the whole file, so that any change is a sign of life, also one that cannot be
 * read.
 */
#ifndef HF_HA_SAMPLER_H
#define HF_HA_SAMPLER_H

#include "ha/ha_timing.h"
#include "ha/observation.h"

/* One read of one host's record file. Fill in the times and either an error or hf_sampler_digest(). */
struct hf_sampler_read {
    struct hf_uuid host;
    int64_t start_ms, end_ms; /* of the observer's clock that counts pauses */
    char error[HF_OBSERVATION_ERROR_MAX];
    uint64_t hash; /* of all bytes */
    enum hf_lease_decode decode;
    uint64_t epoch, sequence;
    char boot_id[HF_LEASE_BOOT_ID_MAX];
    bool closed, killed;
    uint64_t session;
    uint64_t marked_epoch; /* of the mark that was written before this read began; 0: none */
    char mark_error[HF_OBSERVATION_ERROR_MAX]; /* one that was asked for and could not be written: why */
    struct hf_lease_run *runs;                 /* from malloc */
    size_t n_runs;
};

/* Makes the bytes of a file into a value (len 0: there is no file). cluster may be NULL. Any thread. */
void hf_sampler_digest(const uint8_t *file, size_t len, const struct hf_uuid *cluster,
                       struct hf_sampler_read *read);

struct hf_sampler;

struct hf_sampler *hf_sampler_create(const struct hf_uuid *storage, const struct hf_ha_timing *timing);
void hf_sampler_free(struct hf_sampler *s);
/* A peer that stays keeps its count. */
void hf_sampler_set_peers(struct hf_sampler *s, const struct hf_uuid *hosts, size_t n);
/* A copy of the list, to be freed. */
struct hf_uuid *hf_sampler_peers(const struct hf_sampler *s, size_t *ret_n);

/* One sample: the own record's read, then those of peers (in any order; one that is no peer any more is
 * ignored). Takes the runs out of the reads. Returns one observation per peer, valid until the next call. */
const struct hf_observation *hf_sampler_sample(struct hf_sampler *s, const struct hf_sampler_read *own,
                                               struct hf_sampler_read *reads, size_t n_reads, size_t *ret_n);
/* A sample that brought nothing: reading hangs, or could not start. */
const struct hf_observation *hf_sampler_failed(struct hf_sampler *s, const char *error, size_t *ret_n);

#endif
