/* What a drain's plan needs to know of the instances of a host, gathered for one look: where each stands,
 * whether it can be migrated and where to, all of them together.
 */
#ifndef HF_CONTROL_DRAIN_FACTS_H
#define HF_CONTROL_DRAIN_FACTS_H

#include "control/controllers_state.h"
#include "control/drain_plan.h"

#define HF_DRAIN_DOUBT_MS                                                                                    \
    4000 /* for which an instance must have found no place before that is believed: hosts hiccup */
#define HF_DRAIN_RETRY_MS 10000 /* between a migration that failed and the next one of the same instance */

struct hf_drain_facts {
    struct hf_drain_instance
        *list; /* placed there, or about to be; strings are borrowed from the world and from here */
    struct hf_world_object **objects; /* the same instances */
    size_t n;
    char **problems;
    size_t n_problems;
};

/* host: as it is about to be written, of this object. fenced: its present life is. */
void hf_drain_facts_gather(struct hf_controllers *c, struct hf_world_object *object,
                           const Holdfast__V1__Host *host, bool fenced, struct hf_drain_facts *ret);
void hf_drain_facts_done(struct hf_drain_facts *f);

/* Its placement is open, and there. */
bool hf_drain_placed_on(const Holdfast__V1__Instance *i, const Holdfast__V1__Host *h);

#endif
