/* Guests' processes on this host: find them in /proc, freeze, thaw and kill them, and see whether they are
 * gone. Works without libvirt, which may hang with the storage.
 *
 * Ours is a process whose arguments hold "-name guest=<32 hex digits>…" and "-uuid" of the same value, which
 * is how libvirt starts our domains. Gone means: no thread of it exists but zombies; a thread that hangs in
 * the kernel (state D) with SIGKILL pending is not gone, since its write may still land.
 */
#ifndef HF_HOSTD_KEEPER_PROCS_H
#define HF_HOSTD_KEEPER_PROCS_H

#include "hostd/keeper_inbox.h"

struct hf_keeper_procs;

/* Starts its thread. Lives as long as the process. */
struct hf_keeper_procs *hf_keeper_procs_create(struct hf_keeper_inbox *inbox);

enum hf_keeper_order {
    HF_KEEPER_KILL,
    HF_KEEPER_FREEZE,
    HF_KEEPER_THAW, /* not carried out at or after until_ms (CLOCK_BOOTTIME) */
};

/* For every process of this instance, soon. A later order takes the place of one that still waits, but a kill
 * stays. */
void hf_keeper_procs_order(struct hf_keeper_procs *p, enum hf_keeper_order order,
                           const struct hf_uuid *instance, int64_t until_ms);
/* One look after the orders given so far, answered by a letter with this number. One at a time. */
void hf_keeper_procs_survey(struct hf_keeper_procs *p, uint64_t number);

/* Whether these arguments (each ended by zero) are those of one of our guests. */
bool hf_keeper_cmdline_match(const char *args, size_t len, struct hf_uuid *ret);

#endif
