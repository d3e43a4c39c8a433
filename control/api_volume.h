/* What the methods on volumes share: api_volume.c (making, deleting, attaching) and api_volume_resize.c. */
#ifndef HF_CONTROL_API_VOLUME_H
#define HF_CONTROL_API_VOLUME_H

#include "control/api_rules.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"

/* INVALID: not a size that a volume may have. */
hf_status hf_volume_check_size(uint64_t bytes) HF_MUST_USE;

/* The instance that owns or holds it, decoded (to be freed), or NULL. The transaction applies only if it is
 * still the same one then: whether it runs, say. */
Holdfast__V1__Instance *hf_volume_holder(struct hf_draft *d, const Holdfast__V1__Volume *v);

#endif
