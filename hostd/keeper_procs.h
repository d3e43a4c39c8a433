/* Guests' processes on this host: find them in /proc, freeze, thaw and kill them, and see whether they are
 * gone. Works without libvirt, which may hang with the storage.
 *
 * Ours is a process whose arguments say so (guest_args.h), or that was let through the gate. Gone means: no
 * thread of it exists but zombies; a thread that hangs in the kernel (state D) with SIGKILL pending is not
 * gone, since its write may still land.
 */
#ifndef HF_HOSTD_KEEPER_PROCS_H
#define HF_HOSTD_KEEPER_PROCS_H

#include "hostd/keeper_inbox.h"

struct hf_keeper_procs;

/* Starts its thread. Lives as long as the process. */
struct hf_keeper_procs *hf_keeper_procs_create(struct hf_keeper_inbox *inbox);

/* HF_LEASE_KILL, FREEZE or THAW (this not at or after until_ms of CLOCK_BOOTTIME) for every process of this
 * instance, soon. A later order takes the place of one that still waits, but a kill stays. */
void hf_keeper_procs_order(struct hf_keeper_procs *p, enum hf_lease_effect_kind order,
                           const struct hf_uuid *instance, int64_t until_ms);
/* This process, which is alive, is one of this instance until it is gone: while it becomes QEMU its arguments
 * cannot be read for a moment. Holds for every look that is asked for after this call. */
void hf_keeper_procs_watch(struct hf_keeper_procs *p, const struct hf_uuid *instance, int pid);
/* One look after the orders given so far, answered by a letter with this number. One at a time. */
void hf_keeper_procs_survey(struct hf_keeper_procs *p, uint64_t number);

#endif
