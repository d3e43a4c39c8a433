/* Can the loss of hosts be absorbed? For sets of so many hosts, whether every NeverStop instance of them
 * would find a place on the others: by the code that would place it then (host_loss.h), so a "yes" holds for
 * the order and the choices of a real failover, not for the best that could be packed.
 *
 * Promise. Of one host: every host that is up is looked at. Of n > 1: every set, while there are not more
 * than HF_ADMISSION_SETS_MAX of them; else every set among the hosts that carry the most memory of NeverStop
 * instances, as many hosts as that number of sets allows. That all hosts can be proven down is taken for
 * granted.
 */
#ifndef HF_CONTROL_ADMISSION_H
#define HF_CONTROL_ADMISSION_H

#include "control/host_loss.h"

#define HF_ADMISSION_SETS_MAX  256
#define HF_ADMISSION_HOSTS_MAX 8 /* of ha.admission.hostFailures */

/* The worst set that a host is in. */
struct hf_admission_host {
    bool looked; /* it is in a set that was looked at */
    size_t set[HF_ADMISSION_HOSTS_MAX], n_set;
    size_t homeless; /* NeverStop instances without a place, and what they would need */
    uint64_t memory_bytes;
    char *first; /* of the first of them: why no host can take it; NULL: all find one. Owned */
};

struct hf_admission {
    struct hf_admission_host *hosts; /* of the facts, in their order */
    size_t n_hosts;
    unsigned failures; /* hosts of a set */
    size_t sets;       /* looked at */
    bool all;          /* every set of so many hosts */
};

/* failures: 1 … HF_ADMISSION_HOSTS_MAX. */
struct hf_admission hf_admission_judge(struct hf_losses *l, const struct hf_facts *facts, unsigned failures);
void hf_admission_done(struct hf_admission *a);

/* "the loss of host 'h2' cannot be absorbed: …" about the worst of these hosts, "the loss of any one host can
 * be absorbed". among: NULL for all, else those for which it says true. The caller frees. */
char *hf_admission_sentence(const struct hf_admission *a, const struct hf_facts *facts,
                            bool (*among)(void *arg, const Holdfast__V1__Host *h), void *arg, bool *ret_ok);

#endif
