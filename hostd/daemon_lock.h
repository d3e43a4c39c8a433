/* One hostd per machine, and who it is: a lock on a file in the run directory, held for the life of the
 * process. The kernel frees it with the process, so it never names a dead one.
 */
#ifndef HF_HOSTD_DAEMON_LOCK_H
#define HF_HOSTD_DAEMON_LOCK_H

#include <sys/types.h>

#include "base/status.h"

/* Held until this process ends. EXISTS names the process that has it. */
hf_status hf_daemon_lock_take(const char *run_dir) HF_MUST_USE;
/* The process that holds it; 0: none does. */
hf_status hf_daemon_lock_holder(const char *run_dir, pid_t *ret) HF_MUST_USE;

#endif
