/* KVM or TCG, found by running a few instructions of a real guest through the KVM ioctls in a child with a deadline:
 * /dev/kvm may open and still run nothing. Blocks up to deadline_ms: call it before the loop, or on a thread. */
#ifndef HF_HOSTD_ACCEL_PROBE_H
#define HF_HOSTD_ACCEL_PROBE_H

#include <stddef.h>

/* "kvm" or "tcg"; why (may be NULL) gets a sentence. */
const char *hf_accel_probe(unsigned deadline_ms, char *why, size_t why_len);

#endif
