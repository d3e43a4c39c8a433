/* What hf-ceph is asked so that a cluster refuses a life of a host, or serves the host again: worked out from
 * the world. No side effects.
 *
 * Addresses of the host: those at which it was seen by the cluster, and its interfaces' as far as no other
 * host or control node has the same (a bridge's is often the same on all). Without one that was seen it is
 * asked with none: the cluster then tells by the lease record who the host is, or nobody can. For a host that
 * lives a later life all are taken that may be meant: whatever is blocked then is cleared next.
 */
#ifndef HF_CONTROL_BLOCK_QUESTION_H
#define HF_CONTROL_BLOCK_QUESTION_H

#include <jansson.h>

#include "control/world.h"
#include "holdfast/v1/ha.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"

#define HF_BLOCK_INTERFACES_MAX 32 /* addresses of a host's interfaces that are asked for */

/* Notes what is known to be asked for, in a blocklist that is becoming WANTED. */
void hf_block_note_addresses(const struct hf_world *w, const struct hf_store *s,
                             const Holdfast__V1__PrimaryStorage *ps, const Holdfast__V1__Fence *f,
                             Holdfast__V1__Fence__Blocklist *b);

/* {"verb": "fence", …} (control/hf_ceph.h); to be freed. The fence has a blocklist of that storage. */
char *hf_block_fence_question(const struct hf_world *w, const struct hf_store *s,
                              const Holdfast__V1__PrimaryStorage *ps, const Holdfast__V1__Fence *f);
/* What is to go from the cluster's blocklist: what is known to be there, and what an unknown answer may have
 * put there of the same addresses. The fence has a blocklist of that storage. A new array of texts. */
json_t *hf_block_removals(const struct hf_world *w, const Holdfast__V1__PrimaryStorage *ps,
                          const Holdfast__V1__Fence *f);
/* {"verb": "unfence", …} of that; until_ms: on env's clock, nothing is sent from then on */
char *hf_block_unfence_question(const struct hf_world *w, const Holdfast__V1__PrimaryStorage *ps,
                                const Holdfast__V1__Fence *f, int64_t until_ms);

/* The storages are of one Ceph cluster: it has one blocklist. */
bool hf_block_same_cluster(const Holdfast__V1__PrimaryStorage *a, const Holdfast__V1__PrimaryStorage *b);

/* The answer to "fence". */
struct hf_block_answer {
    char **entries;
    size_t n_entries;
    bool by_clients;
    char *shared_with;
    uint64_t osdmap_epoch;
};
/* INTERNAL: it is none that could be believed. */
hf_status hf_block_answer_parse(const char *text, struct hf_block_answer *ret) HF_MUST_USE;
void hf_block_answer_done(struct hf_block_answer *a);
/* The map of the answer to "unfence"; 0: it is none. */
uint64_t hf_block_unfenced_epoch(const char *text);

#endif
