/* Images whose file is uploaded. */
#ifndef HF_CONTROL_API_IMAGE_UPLOAD_H
#define HF_CONTROL_API_IMAGE_UPLOAD_H

#include "base/status.h"
#include "holdfast/v1/storage.pb-c.h"

/* Whether a new image with spec.upload_bytes may be. */
hf_status hf_image_upload_check(const Holdfast__V1__Image *image) HF_MUST_USE;

#endif
