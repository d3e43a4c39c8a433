/* Which primary storages an image server serves. Pure. */
#ifndef HF_CONTROL_IMAGE_PAIRING_H
#define HF_CONTROL_IMAGE_PAIRING_H

#include <stdbool.h>

#include "holdfast/v1/storage.pb-c.h"

/* The server is ready, in the cluster that answered with this status (NULL: none has). */
bool hf_image_server_has_cluster(const Holdfast__V1__ImageServer *server,
                                 const Holdfast__V1__CephStatus *status);

/* The server and the storage are ready, in two clusters: images are copied from one to the other. */
bool hf_image_server_is_far(const Holdfast__V1__ImageServer *server, const Holdfast__V1__PrimaryStorage *ps);

/* The server is ready in another cluster than the storage, and the storage is not known to have the image: it
 * is copied there before it is used. */
bool hf_image_is_copied(const Holdfast__V1__Image *image, const Holdfast__V1__ImageServer *server,
                        const Holdfast__V1__PrimaryStorage *ps);

/* Why an image of this server cannot be used on that storage, a sentence to be freed; NULL: it can. */
char *hf_image_pairing_objection(const Holdfast__V1__Image *image, const Holdfast__V1__ImageServer *server,
                                 const Holdfast__V1__PrimaryStorage *ps);

#endif
