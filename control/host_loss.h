/* What would become of the instances of hosts that were lost: the decisions of a failover (ha/restart_plan.h)
 * and the places that the scheduler would give (host_facts.h), on a copy of the facts. Nothing is touched.
 *
 * Instances that wait for a host now are given places first, where there are any: that is what the next pass
 * does.
 */
#ifndef HF_CONTROL_HOST_LOSS_H
#define HF_CONTROL_HOST_LOSS_H

#include "control/host_facts.h"
#include "ha/restart_plan.h"

enum hf_loss_outcome { HF_LOSS_RESTARTS, HF_LOSS_WAITS, HF_LOSS_STAYS_DOWN };

struct hf_loss_step {
    const Holdfast__V1__Instance *instance;
    size_t from; /* index of its host */
    enum hf_loss_outcome outcome;
    const Holdfast__V1__Host *to; /* RESTARTS */
    char *why;                    /* WAITS, STAYS_DOWN: a sentence, or NULL past sentences_max. Owned */
};

struct hf_losses;

/* facts and world must outlive it. */
struct hf_losses *hf_losses_create(const struct hf_world *w, struct hf_facts *facts, bool ha_enabled,
                                   const char *(*planned)(void *arg, const struct hf_world_object *instance),
                                   void *arg);
void hf_losses_free(struct hf_losses *l);

/* Counts one more instance, which the world does not have so: placed where the scheduler would. False: no
 * host can take it now. It must outlive l. */
bool hf_losses_add(struct hf_losses *l, const Holdfast__V1__Instance *i);

/* Memory of the NeverStop instances on this host: what a loss of it would have to find room for. */
uint64_t hf_losses_memory(const struct hf_losses *l, size_t host);

/* The steps of a loss of these hosts (indices among the facts), in the order in which they would be taken,
 * given the evidence against each; at most sentences_max of those that no host can take say why. */
size_t hf_losses_plan(struct hf_losses *l, const size_t *hosts, size_t n_hosts,
                      const struct hf_restart_evidence *evidence, size_t n_evidence, size_t sentences_max,
                      struct hf_loss_step **ret);
void hf_loss_steps_free(struct hf_loss_step *steps, size_t n);

#endif
