#include "control/storage_session.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

typedef Holdfast__V1__HostStatus__StorageSession Session;

static Session *find(const Holdfast__V1__HostStatus *status, const char *storage_uuid)
{
    for (size_t i = 0; status != NULL && i < status->n_storage_sessions; i++)
        if (strcmp(status->storage_sessions[i]->primary_storage_uuid, storage_uuid) == 0)
            return status->storage_sessions[i];
    return NULL;
}

uint64_t hf_storage_session(const Holdfast__V1__HostStatus *status, const char *storage_uuid)
{
    const Session *s = find(status, storage_uuid);
    return s != NULL ? s->session : 1;
}

void hf_storage_session_set(Holdfast__V1__HostStatus *status, const char *storage_uuid, uint64_t session)
{
    Session *s = find(status, storage_uuid);
    if (s == NULL) {
        s = HF_NEW(Session);
        holdfast__v1__host_status__storage_session__init(s);
        s->primary_storage_uuid = hf_strdup(storage_uuid);
        status->storage_sessions = hf_realloc_array(status->storage_sessions, status->n_storage_sessions + 1,
                                                    sizeof *status->storage_sessions);
        status->storage_sessions[status->n_storage_sessions++] = s;
    }
    s->session = session;
}

void hf_storage_sessions_clear(Holdfast__V1__HostStatus *status)
{
    for (size_t i = 0; i < status->n_storage_sessions; i++)
        protobuf_c_message_free_unpacked(&status->storage_sessions[i]->base, NULL);
    free(status->storage_sessions);
    status->storage_sessions = NULL;
    status->n_storage_sessions = 0;
}
