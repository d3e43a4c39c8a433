/* KVM or TCG, found by running a few instructions of a real guest through the KVM ioctls in a child with a
 * deadline: /dev/kvm may open and still run nothing. Blocks up to deadline_ms and a moment: call it before
 * the loop and any thread.
 */
#ifndef HF_HOSTD_ACCEL_PROBE_H
#define HF_HOSTD_ACCEL_PROBE_H

#include <stdbool.h>
#include <stddef.h>

/* "kvm" or "tcg"; why (may be NULL) gets a sentence. */
const char *hf_accel_probe(unsigned deadline_ms, char *why, size_t why_len);

/* The same with another device and another trial, for tests. The trial runs in the child: it writes what
 * failed to error, or returns true. */
const char *hf_accel_probe_with(const char *device,
                                bool (*trial)(const char *device, char *error, size_t error_len),
                                unsigned deadline_ms, char *why, size_t why_len);

#endif
