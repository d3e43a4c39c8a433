/* `hostd --shut-down`: tells the daemon of this machine that the machine is about to be switched off, and
 * waits until it has left. Blocks. */
#ifndef HF_HOSTD_SHUT_DOWN_CALL_H
#define HF_HOSTD_SHUT_DOWN_CALL_H

#include <signal.h>
#include <stdint.h>

#include "base/status.h"

#define HF_SHUT_DOWN_SIGNAL SIGUSR1 /* what the daemon hears it by */

/* TIMEOUT: it has not ended. No daemon at all is a success: nothing is held up by it. */
hf_status hf_shut_down_call(const char *run_dir, int64_t timeout_ms) HF_MUST_USE;

#endif
