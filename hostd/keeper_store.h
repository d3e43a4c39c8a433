/* The keeper's state file and the lock that keeps a second keeper out. */
#ifndef HF_HOSTD_KEEPER_STORE_H
#define HF_HOSTD_KEEPER_STORE_H

#include "base/status.h"
#include "ha/keeper_state.h"

/* Makes the folder of the file if needed and takes "<path>.lock"; held until the process ends. A thread of an
 * earlier keeper that still hangs in a write holds it too: its record may still land. */
hf_status hf_keeper_store_lock(const char *path) HF_MUST_USE;
/* NOT_FOUND: there is none. CORRUPT: it is damaged or of another boot. */
hf_status hf_keeper_store_load(const char *path, const char *boot_id,
                               struct hf_keeper_state *ret) HF_MUST_USE;
/* Whole or not at all: written aside, then renamed. Nothing is synced: it has to outlive this process, not
 * the machine. */
hf_status hf_keeper_store_save(const char *path, const char *boot_id,
                               const struct hf_keeper_state *s) HF_MUST_USE;

#endif
