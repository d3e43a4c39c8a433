/* Fences as objects: how a fence of (host, epoch) is made and how evidence is added to it, always within a
 * transaction. */
#ifndef HF_CONTROL_FENCE_OBJECT_H
#define HF_CONTROL_FENCE_OBJECT_H

#include "control/control.h"
#include "control/placement_guard.h"

/* The fence of (host, epoch) as stored, or NULL. Free with holdfast__v1__fence__free_unpacked(f, NULL). */
Holdfast__V1__Fence *hf_fence_find(const struct hf_store *s, const char *host_uuid, uint64_t epoch);

/* A new fence without evidence, not stored yet; its timeline says now that `by` ("leader (node 2)") fenced
 * for that reason. */
Holdfast__V1__Fence *hf_fence_new(struct hf_env *env, const char *host_uuid, uint64_t epoch,
                                  const char *reason, const char *by);

/* Appends a piece of evidence for the fence's own (host, epoch) and returns it, to be filled further. The
 * timeline says now what `by`, who brought it, has seen. */
Holdfast__V1__Evidence *hf_fence_add_evidence(Holdfast__V1__Fence *f, struct hf_env *env,
                                              Holdfast__V1__Evidence__Kind kind, const char *detail,
                                              const char *by);
void hf_evidence_add_storage(Holdfast__V1__Evidence *e, const char *storage_uuid);

/* "silence", "closed and killed", … */
const char *hf_evidence_kind_text(Holdfast__V1__Evidence__Kind kind);

#endif
