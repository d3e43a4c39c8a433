/* What the scheduler needs to know of every host, gathered from the world once per pass; placements decided
 * in the pass are counted at once, before they are committed. A copy answers what would be if hosts were
 * lost.
 */
#ifndef HF_CONTROL_HOST_FACTS_H
#define HF_CONTROL_HOST_FACTS_H

#include "control/scheduler.h"
#include "control/world.h"
#include "holdfast/v1/infra.pb-c.h"

struct hf_facts;

/* usable: does this host have contact, in its granted, unfenced epoch? planned: the host that an instance
 * is about to be placed on or migrated to (a commit is under way), or NULL. */
struct hf_facts_sources {
    const struct hf_world *world;
    const struct hf_store *store;
    bool (*usable)(void *arg, const Holdfast__V1__Host *h);
    const char *(*planned)(void *arg, const struct hf_world_object *instance);
    void *arg;
};

struct hf_facts *hf_facts_gather(const struct hf_facts_sources *src);
/* A copy to play with; the original must outlive it. */
struct hf_facts *hf_facts_copy(struct hf_facts *f);
void hf_facts_free(struct hf_facts *f);

/* Chooses a host for the instance; the chosen one is counted as taken. EXHAUSTED says why there is none. */
hf_status hf_facts_schedule(struct hf_facts *f, const Holdfast__V1__Instance *i,
                            const Holdfast__V1__Host **ret) HF_MUST_USE;

/* The same for one that starts again because its host was lost: it is not bound to a host, and its back-off
 * is over. ret_why (NULL: not asked for): why there is none, the caller frees; NULL is the host when there is
 * none. */
const Holdfast__V1__Host *hf_facts_schedule_again(struct hf_facts *f, const Holdfast__V1__Instance *i,
                                                  char **ret_why);

/* The hosts, in the order of names; HF_FACTS_NO_HOST: there is none of this UUID. */
#define HF_FACTS_NO_HOST SIZE_MAX
size_t hf_facts_hosts(const struct hf_facts *f);
const Holdfast__V1__Host *hf_facts_host(const struct hf_facts *f, size_t k);
size_t hf_facts_index(const struct hf_facts *f, const char *host_uuid);
/* It can take instances: it has contact and is not fenced. */
bool hf_facts_up(const struct hf_facts *f, size_t k);

/* The instance counts no more on this host / this host takes nothing and counts as lost. */
void hf_facts_leave(struct hf_facts *f, const Holdfast__V1__Instance *i, size_t host);
void hf_facts_lose(struct hf_facts *f, size_t host);

/* Chooses another host for the copy of a running instance: this one (host_uuid), or any (""). */
hf_status hf_facts_schedule_migration(struct hf_facts *f, const Holdfast__V1__Instance *i,
                                      const char *host_uuid, const Holdfast__V1__Host **ret) HF_MUST_USE;

/* May this host use this storage (enabled or not): attached to its cluster and reported good? Else a sentence
 * (the caller frees), NULL when it may. */
char *hf_facts_storage_objection(const struct hf_world *w, const Holdfast__V1__Host *h,
                                 const char *storage_uuid);

#endif
