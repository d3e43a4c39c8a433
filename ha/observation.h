/* What one observer saw of one host's record on one storage: the plain form of the message
 * holdfast.v1.Observation. */
#ifndef HF_HA_OBSERVATION_H
#define HF_HA_OBSERVATION_H

#include "ha/lease_record.h"

#define HF_OBSERVATION_ERROR_MAX 192

struct hf_observation {
    struct hf_uuid storage, host;
    uint64_t epoch; /* in the record; 0: none read yet */
    uint64_t sequence;
    char boot_id[HF_LEASE_BOOT_ID_MAX];
    int64_t
        unchanged_ms; /* end of the first read of this value → start of the last, on the observer's clock */
    bool samples_good; /* the observer's own write and read succeeded in every sample of that time */
    bool closed, killed;
    uint64_t session;      /* to which these refer */
    uint64_t marked_epoch; /* the last read began after this observer had written the mark of this epoch; 0:
                              none */
    const struct hf_lease_run *runs; /* the record's run list; borrowed */
    size_t n_runs;
    char mark_error[HF_OBSERVATION_ERROR_MAX]; /* not "": the mark that it was told to write could not be
                                                  written */
    char error[HF_OBSERVATION_ERROR_MAX];      /* not "": the read failed, only storage and host hold */
};

#endif
