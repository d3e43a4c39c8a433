/* The inside of the placement guard, shared by placement_guard.c (instances, hosts), fence_guard.c,
 * blocklist_guard.c and migration_guard.c (a placement that is moving). Pure. */
#ifndef HF_CONTROL_PLACEMENT_GUARD_INT_H
#define HF_CONTROL_PLACEMENT_GUARD_INT_H

#include "control/placement_guard.h"
#include "holdfast/v1/infra.pb-c.h"

/* What a check of one change may see, and where its refusal goes. */
struct hf_guard_case {
    const struct hf_guard_view *view;
    const struct hf_change *change;
    char *why;
    size_t why_len;
};

/* Writes the sentence; false, so that a check can `return hf_guard_refuse(…)`. */
bool hf_guard_refuse(struct hf_guard_case *g, const char *fmt, ...) HF_PRINTF(2, 3);

/* Can this host be given a copy of the instance in this epoch: it exists, lives that epoch, which is not
 * fenced, and is on the blocklist of none of its storages? `doing` begins the sentence: "place instance
 * 'vm'". */
bool hf_guard_check_host(struct hf_guard_case *g, const char *doing, const char *host_uuid, uint64_t epoch,
                         const Holdfast__V1__InstanceSpec *spec);

/* The end of a copy: about exactly (host, epoch, run); STOPPED, which is the host's promise, or FENCED, by a
 * later epoch, a fence that covers a storage of the instance or, for a write-fenced one that does not
 * migrate, one by which no storage of it takes writes of its host. */
bool hf_guard_check_end(struct hf_guard_case *g, const Holdfast__V1__Instance *before,
                        const Holdfast__V1__Placement__End *end, const char *host_uuid, uint64_t epoch,
                        uint64_t run);

/* The text of a host's UUID has one spelling only: names of fences are made of it. */
bool hf_guard_is_host_uuid(const char *text);
/* The host's epoch after the transaction; 0 when there is no such host (or none granted). */
uint64_t hf_guard_host_epoch(const struct hf_guard_view *view, const char *host_uuid, bool *ret_exists);

/* --- fence_guard.c (rule 7) --- */

bool hf_guard_check_fence(struct hf_guard_case *g);

/* --- blocklist_guard.c (rule 15) --- */

/* What a fence says of blocklists, before (or NULL) and after; present: its host, NULL when that is deleted.
 */
bool hf_guard_check_blocklists(struct hf_guard_case *g, const Holdfast__V1__Fence *before,
                               const Holdfast__V1__Fence *after, const Holdfast__V1__Host *present);
bool hf_guard_check_block_evidence(struct hf_guard_case *g, const Holdfast__V1__Fence *f,
                                   const Holdfast__V1__Evidence *e);
/* A host forgets a blocklist only when it is off it. */
bool hf_guard_check_storage_blocks(struct hf_guard_case *g, const Holdfast__V1__Host *before,
                                   const Holdfast__V1__Host *after);
/* The host is on the blocklist of none of the instance's storages. */
bool hf_guard_check_unblocked(struct hf_guard_case *g, const char *doing, const Holdfast__V1__Host *h,
                              const Holdfast__V1__InstanceSpec *spec);

/* --- migration_guard.c (rule 6) --- */

/* Of one placement, before and after (either may be without a migration): is what became of its migration
 * allowed? Only of two placements of the same run. */
bool hf_guard_check_migration(struct hf_guard_case *g, const Holdfast__V1__Instance *before,
                              const Holdfast__V1__Placement *after);

/* The placement went to the target of its open migration, and nothing else happened to it. */
bool hf_guard_check_completed(struct hf_guard_case *g, const Holdfast__V1__Instance *before,
                              const Holdfast__V1__Placement *after);

#endif
