/* The blocklists of a fence (rule 15), and where a host remembers that it is on one. Pure. */
#ifndef HF_CONTROL_BLOCKLIST_H
#define HF_CONTROL_BLOCKLIST_H

#include <stdbool.h>

#include "holdfast/v1/ha.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"

#define HF_BLOCKLIST_STATE(name) HOLDFAST__V1__FENCE__BLOCKLIST__STATE__##name

/* That of this storage, or NULL; f may be NULL. */
Holdfast__V1__Fence__Blocklist *hf_blocklist_find(const Holdfast__V1__Fence *f, const char *storage_uuid);
/* A new one, WANTED. */
Holdfast__V1__Fence__Blocklist *hf_blocklist_add(Holdfast__V1__Fence *f, const char *storage_uuid);

/* The cluster refuses the life's writes there: it has confirmed so, and the entries are not taken back. */
bool hf_blocklist_holds(const Holdfast__V1__Fence__Blocklist *b);
#define HF_BLOCKLIST_WHOLE ":0/0"
/* An entry of a whole address, "10.0.0.5:0/0", not of one client of it. */
bool hf_blocklist_entry_is_whole(const char *entry);

/* The first life of the host for which the storage's blocklist is not cleared (WANTED to REMOVING); 0: none.
 * status may be NULL. */
uint64_t hf_storage_blocked(const Holdfast__V1__HostStatus *status, const char *storage_uuid);
/* The same of lives before the present one: the storage is not the host's yet. */
uint64_t hf_storage_blocked_before(const Holdfast__V1__HostStatus *status, const char *storage_uuid);
bool hf_storage_block_listed(const Holdfast__V1__HostStatus *status, const char *storage_uuid,
                             uint64_t epoch);
/* Once. */
void hf_storage_block_add(Holdfast__V1__HostStatus *status, const char *storage_uuid, uint64_t epoch);
void hf_storage_block_remove(Holdfast__V1__HostStatus *status, const char *storage_uuid, uint64_t epoch);

/* Where the storage's cluster sees the host, or NULL. */
Holdfast__V1__HostStatus__StorageClients *hf_storage_clients(const Holdfast__V1__HostStatus *status,
                                                             const char *storage_uuid);
/* Seen in the present life: what is known of an earlier one goes with the first that is, not before, for its
 * neighbours must know whom they share an address with. True: it is new. */
bool hf_storage_client_add(Holdfast__V1__HostStatus *status, const char *storage_uuid, const char *address);

#endif
