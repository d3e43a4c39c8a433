/* One write of a controller: copies of objects are changed, then committed together if none of the objects
 * has changed since (else nothing happens and the controller looks again). The objects are busy until the
 * edit has ended; then they are dirty.
 */
#ifndef HF_CONTROL_EDIT_H
#define HF_CONTROL_EDIT_H

#include "control/world.h"

#define HF_EDIT_RETRY_MS 1000 /* an edit that failed is decided anew after this time */

struct hf_edit;

/* Where edits come from; lives in its user's struct. */
struct hf_editor {
    struct hf_control *control;
    struct hf_world *world;
    void (*kick)(void *arg); /* an edit has ended: look at what is dirty */
    void *arg;
    struct hf_edit *live; /* not ended */
};

/* Edits still under way then end without touching world or user. */
void hf_editor_done(struct hf_editor *editor);

/* what: for the log, "place instance 'web1'". */
struct hf_edit *hf_edit_create(struct hf_editor *editor, const char *what, ...) HF_PRINTF(2, 3);

/* A copy to change, owned by the edit; the same one when asked again. The object must not be busy. */
void *hf_edit_change(struct hf_edit *e, struct hf_world_object *o);
/* A new object (taken); meta.uuid and meta.name are set. */
void hf_edit_add(struct hf_edit *e, ProtobufCMessage *take_m);
void hf_edit_delete(struct hf_edit *e, struct hf_world_object *o);
/* Only if this object still is as it was seen (and is not busy because of that). */
void hf_edit_require(struct hf_edit *e, const struct hf_world_object *o);

/* Ends without a write, or with one. done (may be NULL) hears whether it was applied. Both take e. */
void hf_edit_drop(struct hf_edit *e);
void hf_edit_commit(struct hf_edit *e, void (*done)(void *arg, bool applied), void *arg);

#endif
