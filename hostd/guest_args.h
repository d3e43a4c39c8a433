/* How a guest of ours is told by the arguments of its process, as libvirt starts our domains: "-name
 * guest=<32 hex digits>…" and "-uuid" of the same value, and "-fw_cfg
 * name=opt/org.holdfast/run,string=<run>". Pure.
 */
#ifndef HF_HOSTD_GUEST_ARGS_H
#define HF_HOSTD_GUEST_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/uuid.h"

/* What domain_xml.c puts into the firmware's configuration to name the run. */
#define HF_GUEST_RUN_KEY "opt/org.holdfast/run"

/* Whether these arguments (each ended by zero) are those of one of our guests. */
bool hf_guest_args_match(const char *args, size_t len, struct hf_uuid *ret);
/* The value behind the first such option at or after `from`, or NULL. The arguments end with a zero. */
const char *hf_guest_args_next(const char *args, size_t len, const char *from, const char *option);
/* The run in them; 0: none. */
uint64_t hf_guest_args_run(const char *args, size_t len);
/* It waits for a migration to fill it ("-incoming …"). */
bool hf_guest_args_incoming(const char *args, size_t len);

#endif
