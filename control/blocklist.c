#include "control/blocklist.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/pb_list.h"

typedef Holdfast__V1__Fence__Blocklist Blocklist;
typedef Holdfast__V1__HostStatus Status;
typedef Holdfast__V1__HostStatus__StorageBlock Block;
typedef Holdfast__V1__HostStatus__StorageClients Clients;

Blocklist *hf_blocklist_find(const Holdfast__V1__Fence *f, const char *storage_uuid)
{
    for (size_t i = 0; f != NULL && i < f->n_blocklists; i++)
        if (strcmp(f->blocklists[i]->primary_storage_uuid, storage_uuid) == 0)
            return f->blocklists[i];
    return NULL;
}

Blocklist *hf_blocklist_add(Holdfast__V1__Fence *f, const char *storage_uuid)
{
    Blocklist *b = HF_NEW(Blocklist);
    holdfast__v1__fence__blocklist__init(b);
    b->primary_storage_uuid = hf_strdup(storage_uuid);
    b->state = HF_BLOCKLIST_STATE(WANTED);
    f->blocklists = hf_realloc_array(f->blocklists, f->n_blocklists + 1, sizeof *f->blocklists);
    f->blocklists[f->n_blocklists++] = b;
    return b;
}

bool hf_blocklist_holds(const Blocklist *b)
{
    return b != NULL && b->state == HF_BLOCKLIST_STATE(ADDED);
}

bool hf_blocklist_entry_is_whole(const char *entry)
{
    static const char whole[] = HF_BLOCKLIST_WHOLE;
    size_t n = strlen(entry);
    return n > sizeof whole - 1 && strcmp(entry + n - (sizeof whole - 1), whole) == 0;
}

uint64_t hf_storage_blocked(const Status *status, const char *storage_uuid)
{
    for (size_t i = 0; status != NULL && i < status->n_storage_blocks; i++)
        if (strcmp(status->storage_blocks[i]->primary_storage_uuid, storage_uuid) == 0)
            return status->storage_blocks[i]->epoch;
    return 0;
}

uint64_t hf_storage_blocked_before(const Status *status, const char *storage_uuid)
{
    for (size_t i = 0; status != NULL && i < status->n_storage_blocks; i++)
        if (status->storage_blocks[i]->epoch < status->epoch &&
            strcmp(status->storage_blocks[i]->primary_storage_uuid, storage_uuid) == 0)
            return status->storage_blocks[i]->epoch;
    return 0;
}

bool hf_storage_block_listed(const Status *status, const char *storage_uuid, uint64_t epoch)
{
    for (size_t i = 0; status != NULL && i < status->n_storage_blocks; i++)
        if (status->storage_blocks[i]->epoch == epoch &&
            strcmp(status->storage_blocks[i]->primary_storage_uuid, storage_uuid) == 0)
            return true;
    return false;
}

void hf_storage_block_add(Status *status, const char *storage_uuid, uint64_t epoch)
{
    if (hf_storage_block_listed(status, storage_uuid, epoch))
        return;
    Block *b = HF_NEW(Block);
    holdfast__v1__host_status__storage_block__init(b);
    b->primary_storage_uuid = hf_strdup(storage_uuid);
    b->epoch = epoch;
    status->storage_blocks = hf_realloc_array(status->storage_blocks, status->n_storage_blocks + 1,
                                              sizeof *status->storage_blocks);
    status->storage_blocks[status->n_storage_blocks++] = b;
}

void hf_storage_block_remove(Status *status, const char *storage_uuid, uint64_t epoch)
{
    size_t kept = 0;
    for (size_t i = 0; i < status->n_storage_blocks; i++) {
        Block *b = status->storage_blocks[i];
        if (b->epoch == epoch && strcmp(b->primary_storage_uuid, storage_uuid) == 0)
            protobuf_c_message_free_unpacked(&b->base, NULL);
        else
            status->storage_blocks[kept++] = b;
    }
    status->n_storage_blocks = kept;
}

Clients *hf_storage_clients(const Status *status, const char *storage_uuid)
{
    for (size_t i = 0; status != NULL && i < status->n_storage_clients; i++)
        if (strcmp(status->storage_clients[i]->primary_storage_uuid, storage_uuid) == 0)
            return status->storage_clients[i];
    return NULL;
}

static Clients *add_clients(Status *status, const char *storage_uuid)
{
    Clients *c = HF_NEW(Clients);
    holdfast__v1__host_status__storage_clients__init(c);
    c->primary_storage_uuid = hf_strdup(storage_uuid);
    status->storage_clients = hf_realloc_array(status->storage_clients, status->n_storage_clients + 1,
                                               sizeof *status->storage_clients);
    status->storage_clients[status->n_storage_clients++] = c;
    return c;
}

static void forget_former_life(Clients *c, uint64_t epoch)
{
    hf_pb_list_clear(&c->addresses, &c->n_addresses);
    c->epoch = epoch;
}

bool hf_storage_client_add(Status *status, const char *storage_uuid, const char *address)
{
    Clients *c = hf_storage_clients(status, storage_uuid);
    if (c == NULL)
        c = add_clients(status, storage_uuid);
    if (c->epoch != status->epoch)
        forget_former_life(c, status->epoch);
    if (hf_pb_list_has(c->addresses, c->n_addresses, address))
        return false;
    hf_pb_list_add(&c->addresses, &c->n_addresses, address);
    return true;
}
