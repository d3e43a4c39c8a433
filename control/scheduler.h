/* Where an instance may start: a pure choice among hosts by facts that host_facts.c gathers, with a sentence
 * for each host that cannot take it.
 */
#ifndef HF_CONTROL_SCHEDULER_H
#define HF_CONTROL_SCHEDULER_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "holdfast/v1/instance.pb-c.h"

#define HF_SCHEDULE_SENTENCE_HOSTS 16 /* hosts named in the sentence about no room; the rest is counted */

/* One host as the scheduler sees it. */
struct hf_candidate {
    const char *uuid, *name;
    bool connected; /* attached, with fresh contact, in its granted epoch */
    bool disabled;
    bool fenced;        /* its present epoch is */
    bool lost;          /* the question is what would be without it */
    const char *leaves; /* why it takes none, being emptied ("in maintenance"), or NULL */
    uint64_t cpus, cpus_used;
    uint64_t memory_bytes, memory_used;
    size_t instances; /* placed there and not proven over, those under way included */
    /* About the instance in question: */
    const char *unreachable; /* a storage or network that it cannot reach, as a sentence; NULL: reaches all */
    const char *barred;      /* a hard affinity group keeps it from here, as a sentence; NULL: none does */
    int liked;               /* by soft groups: members of AFFINITY here less those of ANTI_AFFINITY */
};

struct hf_need {
    const char *name; /* of the instance */
    uint64_t cpus, memory_bytes;
    Holdfast__V1__InstanceOfferingSpec__Strategy strategy;
    const char *pinned_host; /* UUID of the only host that may be taken, or "" */
    const char *local_host;  /* UUID of the host that has its LocalStorage volumes, or "" */
    const char *last_host;   /* of the last run, or "" */
    bool avoid_last;         /* the last start failed there: take another if there is one */
    /* What else is to follow it to the same host (hard affinity), 0 for nothing: a host with room for all
     * goes before one without. */
    uint64_t followers_cpus, followers_memory;
};

struct hf_schedule_rules {
    uint64_t cpu_overprovisioning;  /* virtual CPUs per physical one */
    uint64_t reserved_memory_bytes; /* of each host, for itself */
};

/* The chosen host, without a word; false: none can take it. */
bool hf_schedule_pick(const struct hf_need *need, const struct hf_candidate *hosts, size_t n,
                      const struct hf_schedule_rules *rules, size_t *ret);
/* Index of the chosen host, or EXHAUSTED with a sentence that says for every host what is missing. */
hf_status hf_schedule(const struct hf_need *need, const struct hf_candidate *hosts, size_t n,
                      const struct hf_schedule_rules *rules, size_t *ret) HF_MUST_USE;

#endif
