/* What image servers say to images and instances that are made or deleted. */
#ifndef HF_CONTROL_API_IMAGE_SERVER_H
#define HF_CONTROL_API_IMAGE_SERVER_H

#include "control/api_rules.h"
#include "holdfast/v1/storage.pb-c.h"

/* The image's server, if it names one, takes new images. */
hf_status hf_image_server_check(const struct hf_store *s, const Holdfast__V1__Image *image) HF_MUST_USE;

/* The image is being deleted: its server, if it has one, is to remove it from its pool. */
hf_status hf_image_server_remove(struct hf_draft *d, const Holdfast__V1__Image *image) HF_MUST_USE;

/* PRECONDITION: the image's server does not serve that storage (image_pairing.h). */
hf_status hf_image_server_check_pairing(const struct hf_store *s, const char *image_uuid,
                                        const char *storage_uuid) HF_MUST_USE;

#endif
