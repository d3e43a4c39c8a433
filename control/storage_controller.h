/* The status of primary storages, from the hosts' reports; written only when something worth knowing has
 * changed. */
#ifndef HF_CONTROL_STORAGE_CONTROLLER_H
#define HF_CONTROL_STORAGE_CONTROLLER_H

#include "control/controllers_state.h"

#define HF_STORAGE_NOTE_MS      10000 /* between two writes of mere capacity */
#define HF_STORAGE_CLIENTS_MAX  64    /* addresses of a host that one report tells */
#define HF_STORAGE_NOTE_PERCENT 5     /* of the total: a smaller change of capacity is not written */

/* True: it was the first word since the host attached, so that what waited for that can go there. */
bool hf_storage_report(struct hf_controllers *c, const char *host_uuid, uint64_t epoch,
                       const Holdfast__V1__StorageReport *r);

/* The host has attached (again): its runs may be over since, and what it said of its storages before counts
 * no more. What it says next is a second's fraction away, if it knows anything. */
void hf_storage_host_attached(struct hf_controllers *c, const char *host_uuid);

/* What the host has said of the storage to this leader since it attached, whether that is written yet or not.
 * False: nothing. ret_bad: why the storage is not good there, owned by the leader's memory; NULL if it is. */
bool hf_storage_said(const struct hf_world *w, const char *storage_uuid, const char *host_uuid,
                     const char **ret_bad);

/* What is wrong with a host's addresses in the networks of its storages, by its last reports; "" for nothing,
 * NULL when some of its storages has not been reported to this leader yet. To be freed. */
char *hf_storage_network_problem(const struct hf_controllers *c, const Holdfast__V1__Host *h);

#endif
