/* Who of an affinity group is placed where, as one look of the scheduler counts it, and what that means for
 * the hosts that an instance may go to.
 *
 * A host with a member whose run is not proven over counts as its place, whatever became of the host.
 */
#ifndef HF_CONTROL_AFFINITY_FACTS_H
#define HF_CONTROL_AFFINITY_FACTS_H

#include "control/scheduler.h"
#include "control/world.h"

#define HF_AFFINITY_NOWHERE SIZE_MAX

struct hf_affinity;

/* All groups and their members, none of them placed. Borrows from the world. */
struct hf_affinity *hf_affinity_create(const struct hf_world *w);
struct hf_affinity *hf_affinity_copy(const struct hf_affinity *a);
void hf_affinity_free(struct hf_affinity *a);

/* The instance is on this host (an index among the candidates), or HF_AFFINITY_NOWHERE. */
void hf_affinity_set(struct hf_affinity *a, const Holdfast__V1__Instance *i, size_t host);

/* It also counts there, the target of its migration. */
void hf_affinity_moves(struct hf_affinity *a, const Holdfast__V1__Instance *i, size_t target);

/* Sets barred and liked of every host, and the followers in need, by the places of the other members. The
 * sentences live until the next call. */
void hf_affinity_judge(struct hf_affinity *a, const Holdfast__V1__Instance *i, struct hf_candidate *hosts,
                       size_t n, struct hf_need *need);

#endif
