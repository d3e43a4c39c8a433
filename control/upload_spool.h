/* The keeper of uploads (upload_keeper.h) of a control node: a folder with one file per image, named by its
 * UUID, as long as what has arrived. Files outlive the daemon. What is written is on threads.
 */
#ifndef HF_CONTROL_UPLOAD_SPOOL_H
#define HF_CONTROL_UPLOAD_SPOOL_H

#include "base/env.h"
#include "control/upload_keeper.h"

#define HF_UPLOAD_ROOM_KEPT (2ULL << 30) /* left free beside them: the log is on the same disk */

/* dir is made when it is needed; room_kept: as above, or less for tests. Looks what an earlier daemon has
 * left there; blocks. */
struct hf_upload_keeper *hf_upload_spool_create(struct hf_env *env, const char *dir, uint64_t room_kept);
/* Calls under way are answered first; closed (may be NULL) is called on the loop, and the keeper is gone. */
void hf_upload_spool_close(struct hf_upload_keeper *k, void (*closed)(void *arg), void *arg);

#endif
