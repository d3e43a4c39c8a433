/* The sessions of a host's storages in its present epoch (HostStatus.storage_sessions). */
#ifndef HF_CONTROL_STORAGE_SESSION_H
#define HF_CONTROL_STORAGE_SESSION_H

#include "holdfast/v1/infra.pb-c.h"

/* The present one of this storage, from 1; status may be NULL. */
uint64_t hf_storage_session(const Holdfast__V1__HostStatus *status, const char *storage_uuid);
void hf_storage_session_set(Holdfast__V1__HostStatus *status, const char *storage_uuid, uint64_t session);
/* With a new epoch all begin anew. */
void hf_storage_sessions_clear(Holdfast__V1__HostStatus *status);

#endif
