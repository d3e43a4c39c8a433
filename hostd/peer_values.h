/* What the reader of one storage has seen of the peers' records, as the leader is told of it: the runs of a
 * record are most of it, so they are told once per value of the record and stream, and now and then again.
 * Pure.
 */
#ifndef HF_HOSTD_PEER_VALUES_H
#define HF_HOSTD_PEER_VALUES_H

#include "ha/observation.h"
#include "holdfast/v1/host_link.pb-c.h"

#define HF_PEER_RUNS_AGAIN_MS 10000 /* runs are told again, should the leader have missed them */

struct hf_peer_value;

/* All zero: nothing was seen. */
struct hf_peer_values {
    Holdfast__V1__Observation **seen; /* of the last sample, to be told */
    struct hf_peer_value *values;     /* of these */
    size_t n;
};

/* Takes in a sample. sync: number of the welcome on this stream, from 1. */
void hf_peer_values_sample(struct hf_peer_values *p, const struct hf_observation *seen, size_t n,
                           uint64_t sync, int64_t now_ms);
/* A report with all of seen has left on this stream. */
void hf_peer_values_told(struct hf_peer_values *p, uint64_t sync, int64_t now_ms);
void hf_peer_values_clear(struct hf_peer_values *p);

#endif
