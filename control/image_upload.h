/* Images whose file is uploaded, as the leader's controllers see them: what is said while it comes, when it
 * is given up, and where a host finds it. The parts go past them (api_image_upload.c, upload_keeper.h).
 */
#ifndef HF_CONTROL_IMAGE_UPLOAD_H
#define HF_CONTROL_IMAGE_UPLOAD_H

#include "control/controllers_state.h"

#define HF_UPLOAD_SILENT_MS  (2 * 60 * 1000)  /* after that nobody seems to be at it */
#define HF_UPLOAD_EXPIRES_MS (60 * 60 * 1000) /* after that it is given up */

/* One look at an image that is UPLOADING. */
void hf_image_upload_reconcile(struct hf_controllers *c, struct hf_world_object *o);

/* The image is there, or will never be: no control node need keep its file. */
void hf_image_upload_end(Holdfast__V1__ImageStatus *st);

/* "upload://HOST:PORT/IMAGE" of a file that a control node keeps; NULL: the image has a URL of its own. The
 * caller's. */
char *hf_image_upload_url(const Holdfast__V1__Image *m);

#endif
