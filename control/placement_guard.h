/* The guard of DESIGN.md section 5, rules 5 and 7: what every replica checks in apply, whatever the leader
 * believes, so that an instance never gets a second placement while its first may still run.
 *
 * Instances. A placement (host, epoch, run) is open from its commit until its `end` is set. It is ended by
 *   STOPPED: the host's own promise for exactly this (host, epoch, run); or
 *   FENCED:  (host, epoch) has a fence with evidence that covers a storage of this instance, or the host
 * lives a later epoch, or the instance is write-fenced and that evidence is, for every storage of it, that
 * the storage takes no more writes of (host, epoch) (rule 15). Only an ended placement may be replaced, by
 * one with a higher run on a host that exists, in that host's present, unfenced epoch, and is on the
 * blocklist of no storage of it. One that migrates (rule 6) does not end before the migration is over: called
 * off by proof that the target's copy is, or completed by the source's word that it has handed over, which
 * makes the target's copy the placement. An end is never changed or taken back; an instance with an open
 * placement is neither deleted nor moved to other storages (its evidence would no longer fit). Hosts. The
 * epoch grows by one, never shrinks, and the epoch before is fenced with evidence in the same transaction at
 * the latest; the first one may be any that is not fenced (a host that was deleted and added again goes on
 * counting). A host is deleted only when nothing can run there, and with a fence of its last epoch, so that
 * no later life of it ever bears that number again. Fences. For ever: host, epoch and evidence stay, evidence
 * is only appended, each piece names the fence's own (host, epoch). Its blocklists go from WANTED to REMOVED
 * one way, and are cleared only for a host that lives a later epoch.
 *
 * Pure; nothing but the store before and the transaction is looked at.
 */
#ifndef HF_CONTROL_PLACEMENT_GUARD_H
#define HF_CONTROL_PLACEMENT_GUARD_H

#include "consensus/guard.h"
#include "holdfast/v1/ha.pb-c.h"
#include "holdfast/v1/instance.pb-c.h"

extern const struct hf_guard hf_placement_guard;

/* The name of the fence of (host, epoch): "<host uuid>/<epoch>"; its UUID is hf_uuid_of_text() of it. */
#define HF_FENCE_NAME_MAX 64
char *hf_fence_name(const char *host_uuid, uint64_t epoch, char out[HF_FENCE_NAME_MAX]);
struct hf_uuid hf_fence_uuid(const char *host_uuid, uint64_t epoch);

/* The instance was placed and the end of that run is not proven: it may be running. */
bool hf_placement_open(const Holdfast__V1__Placement *p);

/* It migrates, or did not end doing so: it may be at either end. */
bool hf_migration_open(const Holdfast__V1__Placement *p);
/* The run, or the copy that its open migration makes, may be on this host. */
bool hf_placement_touches(const Holdfast__V1__Placement *p, const char *host_uuid);

/* It may be in this life of a host: it is placed there, or migrates to it. */
bool hf_placement_at(const Holdfast__V1__Placement *p, const char *host_uuid, uint64_t epoch);

/* The highest number that was ever given to a copy of it: the next one is above. 0: never placed. */
uint64_t hf_placement_last_run(const Holdfast__V1__Placement *p);

/* Evidence of this kind is about the whole life of the host, local disks included. */
bool hf_evidence_covers_all(Holdfast__V1__Evidence__Kind kind);

/* The word of the host itself, or of a person. */
bool hf_evidence_is_word(Holdfast__V1__Evidence__Kind kind);
/* Evidence of this kind is that nothing of the life runs; else that it cannot write. */
bool hf_evidence_proves_over(Holdfast__V1__Evidence__Kind kind);

/* The fence holds evidence that nothing of its life runs, and it covers one of these storages. */
bool hf_fence_covers(const Holdfast__V1__Fence *f, char *const *storage_uuids, size_t n_storage_uuids);
/* Each of these storages takes no writes of its life (which may run). */
bool hf_fence_cuts_off(const Holdfast__V1__Fence *f, char *const *storage_uuids, size_t n_storage_uuids);

#endif
