/* Throws away what this control node keeps of uploads that the log does not want here: images that are there,
 * or given up, deleted, or kept by another node. */
#ifndef HF_CONTROL_UPLOAD_SWEEP_H
#define HF_CONTROL_UPLOAD_SWEEP_H

#include "control/control.h"

#define HF_UPLOAD_SWEEP_MS  2000 /* between two looks */
#define HF_UPLOAD_SETTLE_MS 5000 /* before the first, with a leader: the store may be behind */

struct hf_upload_sweep;

/* c->uploads is there. */
struct hf_upload_sweep *hf_upload_sweep_start(struct hf_control *c);
void hf_upload_sweep_stop(struct hf_upload_sweep *s);

#endif
