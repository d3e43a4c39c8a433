/* What the log says of the upload of an image: which control node keeps its file. */
#ifndef HF_CONTROL_UPLOAD_RECORD_H
#define HF_CONTROL_UPLOAD_RECORD_H

#include "consensus/store.h"
#include "control/upload_keeper.h"

/* OK: that node keeps the file of this image, *ret tells which. Else NOT_FOUND or UNAVAILABLE and a sentence:
 * the store may be behind. image_uuid: text. */
hf_status hf_upload_record_find(const struct hf_store *s, const char *image_uuid, uint64_t node_id,
                                struct hf_upload_file *ret) HF_MUST_USE;

#endif
