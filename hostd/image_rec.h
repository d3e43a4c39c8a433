/* A template that shall be in a storage's cache: because the leader assigned it, or because a disk of an
 * instance lies over it. Wrong for good (checksum, format, size) stays failed until another source is
 * assigned; everything else is tried again with back-off.
 */
#ifndef HF_HOSTD_IMAGE_REC_H
#define HF_HOSTD_IMAGE_REC_H

#include "hostd/host.h"

#define HF_IMAGE_DEADLINE_MS (30 * 60 * 1000)

struct hf_image_rec;

/* The assignment itself (assigned), or the need of an instance's disk: the record is made when it is not
 * there, and begins to work at once. ret may be NULL. */
hf_status hf_image_rec_want(struct hf_host *h, const Holdfast__V1__ImageAssignment *a, bool assigned,
                            struct hf_image_rec **ret) HF_MUST_USE;
void hf_image_rec_unassign(struct hf_host *h, const struct hf_uuid *uuid);

bool hf_image_rec_ready(const struct hf_image_rec *r);
/* error: it does not get further by itself now (a sentence); else what it does. */
const char *hf_image_rec_message(const struct hf_image_rec *r, bool *ret_error);
/* The cache does not have it after all: fetch it again. */
void hf_image_rec_invalidate(struct hf_image_rec *r);

void hf_image_recs_sweep(struct hf_host *h, uint64_t sync);
void hf_image_recs_report(struct hf_host *h);
void hf_image_recs_tick(struct hf_host *h);
void hf_image_recs_stop(struct hf_host *h);
void hf_image_recs_free(struct hf_host *h);

#endif
