/* The status of primary storages, from the hosts' reports; written only when something worth knowing has
 * changed. */
#ifndef HF_CONTROL_STORAGE_CONTROLLER_H
#define HF_CONTROL_STORAGE_CONTROLLER_H

#include "control/controllers_state.h"

#define HF_STORAGE_NOTE_MS      10000 /* between two writes of mere capacity */
#define HF_STORAGE_CLIENTS_MAX  64    /* addresses of a host that one report tells */
#define HF_STORAGE_NOTE_PERCENT 5     /* of the total: a smaller change of capacity is not written */

void hf_storage_report(struct hf_controllers *c, const char *host_uuid, uint64_t epoch,
                       const Holdfast__V1__StorageReport *r);

/* What the host has said to this leader of a storage that is not good there, whether it is written yet or
 * not; NULL: it has said that it is good, or nothing. */
const char *hf_storage_said_bad(const struct hf_world *w, const char *storage_uuid, const char *host_uuid);

/* What is wrong with a host's addresses in the networks of its storages, by its last reports; "" for nothing,
 * NULL when some of its storages has not been reported to this leader yet. To be freed. */
char *hf_storage_network_problem(const struct hf_controllers *c, const Holdfast__V1__Host *h);

#endif
