/* struct hf_observation and the message of the host link, both ways (library hf_ha_pb). */
#ifndef HF_HA_OBSERVATION_PB_H
#define HF_HA_OBSERVATION_PB_H

#include "ha/observation.h"
#include "holdfast/v1/host_link.pb-c.h"

/* A new message, to be freed with holdfast__v1__observation__free_unpacked(m, NULL). */
Holdfast__V1__Observation *hf_observation_to_pb(const struct hf_observation *o);

/* INVALID when a UUID does not parse or there are more runs than a record can hold. The runs are written to
 * runs. */
hf_status hf_observation_from_pb(const Holdfast__V1__Observation *m,
                                 struct hf_lease_run runs[HF_LEASE_RECORD_RUNS_MAX],
                                 struct hf_observation *ret) HF_MUST_USE;

#endif
