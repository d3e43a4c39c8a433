/* What the methods on volumes share: api_volume.c (making, deleting, attaching), api_volume_resize.c and
 * api_volume_work.c. */
#ifndef HF_CONTROL_API_VOLUME_H
#define HF_CONTROL_API_VOLUME_H

#include "control/api_rules.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"

#define HF_VOLUME_SNAPSHOTS_MAX 32 /* of one volume */

/* PRECONDITION: work on it is under way. */
hf_status hf_volume_check_idle(const Holdfast__V1__Volume *v) HF_MUST_USE;

/* INVALID: not a size that a volume may have. */
hf_status hf_volume_check_size(uint64_t bytes) HF_MUST_USE;

/* The instance that owns or holds it, decoded (to be freed), or NULL. The transaction applies only if it is
 * still the same one then: whether it runs, say. */
Holdfast__V1__Instance *hf_volume_holder(struct hf_draft *d, const Holdfast__V1__Volume *v);

#endif
