#include "control/storage_controller.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/blocklist.h"
#include "control/ceph_controller.h"
#include "control/image_removal.h"
#include "control/pb_list.h"
#include "control/settings.h"
#include "control/storage_kind.h"

typedef Holdfast__V1__PrimaryStorage PrimaryStorage;
typedef Holdfast__V1__PrimaryStorageStatus Status;
typedef Holdfast__V1__PrimaryStorageStatus__HostView View;

struct host_word {
    char host_uuid[HF_UUID_STR];
    bool old; /* the host has attached again since */
    bool ok;
    char *message;
    char *address, *network_problem;
    uint64_t total, available;
    uint64_t epoch; /* of the host, when it said this */
    char **clients; /* where a Ceph cluster sees it */
    size_t n_clients;
};

struct storage_memory {
    struct host_word *words; /* the last report of each host */
    size_t n;
    int64_t noted_ms; /* loop clock of the last write; 0: none by this leader */
    struct hf_image_removal *removal;
};

static void free_memory(void *memory)
{
    struct storage_memory *mem = memory;
    for (size_t i = 0; i < mem->n; i++) {
        free(mem->words[i].message);
        free(mem->words[i].address);
        free(mem->words[i].network_problem);
        hf_pb_list_clear(&mem->words[i].clients, &mem->words[i].n_clients);
    }
    free(mem->words);
    hf_image_removal_free(mem->removal);
    free(mem);
}

static struct storage_memory *memory_of(struct hf_world_object *o)
{
    if (o->memory == NULL) {
        o->memory = HF_NEW(struct storage_memory);
        o->free_memory = free_memory;
    }
    return o->memory;
}

/* True: it is another one than before. */
static bool take_text(char **field, const char *value)
{
    bool same = strcmp(*field != NULL ? *field : "", value) == 0;
    free(*field);
    *field = hf_strdup(value);
    return !same;
}

static void mark_host(struct hf_controllers *c, const char *host_uuid)
{
    struct hf_world_object *host = hf_world_find(c->world, HOLDFAST__V1__KIND__HOST, host_uuid);
    if (host != NULL)
        hf_controllers_mark(c, host);
}

static void take_clients(struct host_word *w, const Holdfast__V1__StorageReport *r)
{
    hf_pb_list_clear(&w->clients, &w->n_clients);
    for (size_t i = 0; i < r->n_client_addresses && i < HF_STORAGE_CLIENTS_MAX; i++)
        hf_pb_list_add(&w->clients, &w->n_clients, r->client_addresses[i]);
}

static struct host_word *word_of(const struct hf_world_object *o, const char *host_uuid)
{
    struct storage_memory *mem = o != NULL ? o->memory : NULL;
    for (size_t i = 0; mem != NULL && i < mem->n; i++)
        if (strcmp(mem->words[i].host_uuid, host_uuid) == 0)
            return &mem->words[i];
    return NULL;
}

static struct host_word *add_word(struct storage_memory *mem, const char *host_uuid)
{
    mem->words = hf_realloc_array(mem->words, mem->n + 1, sizeof *mem->words);
    struct host_word *w = &mem->words[mem->n++];
    *w = (struct host_word){0};
    snprintf(w->host_uuid, HF_UUID_STR, "%s", host_uuid);
    return w;
}

bool hf_storage_report(struct hf_controllers *c, const char *host_uuid, uint64_t epoch,
                       const Holdfast__V1__StorageReport *r)
{
    struct hf_world_object *o =
        hf_world_find(c->world, HOLDFAST__V1__KIND__PRIMARY_STORAGE, r->primary_storage_uuid);
    if (o == NULL)
        return false;
    struct host_word *w = word_of(o, host_uuid);
    bool first = w == NULL || w->old;
    if (w == NULL)
        w = add_word(memory_of(o), host_uuid);
    w->old = false;
    w->ok = r->ok;
    take_text(&w->message, r->message);
    take_text(&w->address, r->address);
    if (take_text(&w->network_problem, r->network_problem))
        mark_host(c, host_uuid);
    w->total = r->total_bytes;
    w->available = r->available_bytes;
    w->epoch = epoch;
    take_clients(w, r);
    hf_controllers_mark(c, o);
    return first;
}

void hf_storage_host_attached(struct hf_controllers *c, const char *host_uuid)
{
    for (size_t k = 0; k < hf_world_count(c->world, HOLDFAST__V1__KIND__PRIMARY_STORAGE); k++) {
        struct host_word *w =
            word_of(hf_world_at(c->world, HOLDFAST__V1__KIND__PRIMARY_STORAGE, k), host_uuid);
        if (w != NULL)
            w->old = true;
    }
}

bool hf_storage_said(const struct hf_world *w, const char *storage_uuid, const char *host_uuid,
                     const char **ret_bad)
{
    const struct host_word *word =
        word_of(hf_world_find(w, HOLDFAST__V1__KIND__PRIMARY_STORAGE, storage_uuid), host_uuid);
    bool said = word != NULL && !word->old;
    *ret_bad = said && !word->ok ? word->message : NULL;
    return said;
}

/* --- where the hosts are seen --- */

static bool all_known(const Holdfast__V1__HostStatus *st, const char *storage_uuid, const struct host_word *w)
{
    const Holdfast__V1__HostStatus__StorageClients *known = hf_storage_clients(st, storage_uuid);
    for (size_t i = 0; i < w->n_clients; i++)
        if (known == NULL || known->epoch != st->epoch ||
            !hf_pb_list_has(known->addresses, known->n_addresses, w->clients[i]))
            return false;
    return true;
}

/* Rule 15 needs them when the host is lost: they are kept with its life, and none is forgotten within it. */
static void note_clients(struct hf_controllers *c, struct hf_world_object *o, const struct host_word *w)
{
    char *uuid = ((const PrimaryStorage *)(void *)o->message)->meta->uuid;
    struct hf_world_object *host = hf_world_find(c->world, HOLDFAST__V1__KIND__HOST, w->host_uuid);
    const Holdfast__V1__Host *h = host != NULL ? (const Holdfast__V1__Host *)(void *)host->message : NULL;
    if (h == NULL || h->status == NULL || h->status->epoch != w->epoch || all_known(h->status, uuid, w))
        return;
    if (host->busy) {
        hf_controllers_wake(c, o, HF_CONTROLLERS_TICK_MS);
        return;
    }
    struct hf_edit *e =
        hf_edit_create(&c->editor, "note where '%s' sees host '%s'",
                       ((const PrimaryStorage *)(void *)o->message)->meta->name, h->meta->name);
    Holdfast__V1__Host *changed = hf_edit_change(e, host);
    for (size_t i = 0; i < w->n_clients; i++)
        hf_storage_client_add(changed->status, uuid, w->clients[i]);
    hf_edit_commit(e, NULL, NULL);
    hf_controllers_wake(c, o, HF_CONTROLLERS_TICK_MS); /* it may have been in vain */
}

/* --- views --- */

static View *find_view(const Status *st, const char *host_uuid)
{
    for (size_t i = 0; i < st->n_hosts; i++)
        if (strcmp(st->hosts[i]->host_uuid, host_uuid) == 0)
            return st->hosts[i];
    return NULL;
}

static View *add_view(Status *st, const char *host_uuid)
{
    View *v = HF_NEW(View);
    holdfast__v1__primary_storage_status__host_view__init(v);
    hf_pb_set(&v->host_uuid, host_uuid);
    st->hosts = hf_realloc_array(st->hosts, st->n_hosts + 1, sizeof *st->hosts);
    st->hosts[st->n_hosts++] = v;
    return v;
}

static bool attached_here(const struct hf_controllers *c, const PrimaryStorage *ps, const char *host_uuid)
{
    const Holdfast__V1__Host *h = HF_WORLD_GET(c->world, HOST, Host, host_uuid);
    const Holdfast__V1__Cluster *cl =
        h != NULL ? HF_WORLD_GET(c->world, CLUSTER, Cluster, h->spec->cluster_uuid) : NULL;
    for (size_t i = 0; cl != NULL && i < cl->spec->n_primary_storage_uuids; i++)
        if (strcmp(cl->spec->primary_storage_uuids[i], ps->meta->uuid) == 0)
            return true;
    return false;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* How much a host's word differs from what is stored: not, in capacity only, or in something to be written at
 * once. */
enum news { NEWS_NONE, NEWS_CAPACITY, NEWS_NOW };

static enum news news_of(const View *v, const struct host_word *w)
{
    if (v == NULL || v->ok != w->ok || (!w->ok && strcmp(v->message, w->message) != 0) ||
        strcmp(v->address, w->address) != 0 || strcmp(v->network_problem, w->network_problem) != 0)
        return NEWS_NOW;
    uint64_t worth = (v->total_bytes > w->total ? v->total_bytes : w->total) / 100 * HF_STORAGE_NOTE_PERCENT;
    if (distance(v->total_bytes, w->total) > worth || distance(v->available_bytes, w->available) > worth)
        return NEWS_CAPACITY;
    return NEWS_NONE;
}

static enum news news_of_storage(const struct hf_controllers *c, const PrimaryStorage *ps,
                                 const struct storage_memory *mem)
{
    static const Status nothing = HOLDFAST__V1__PRIMARY_STORAGE_STATUS__INIT;
    const Status *st = ps->status != NULL ? ps->status : &nothing;
    enum news news = NEWS_NONE;
    for (size_t i = 0; i < mem->n; i++) {
        if (!attached_here(c, ps, mem->words[i].host_uuid))
            continue;
        enum news one = news_of(find_view(st, mem->words[i].host_uuid), &mem->words[i]);
        if (one > news)
            news = one;
    }
    for (size_t i = 0; i < st->n_hosts; i++)
        if (!attached_here(c, ps, st->hosts[i]->host_uuid))
            news = NEWS_NOW;
    return news;
}

char *hf_storage_network_problem(const struct hf_controllers *c, const Holdfast__V1__Host *h)
{
    const Holdfast__V1__Cluster *cl = HF_WORLD_GET(c->world, CLUSTER, Cluster, h->spec->cluster_uuid);
    char *all = hf_strdup("");
    for (size_t i = 0; cl != NULL && i < cl->spec->n_primary_storage_uuids; i++) {
        const struct hf_world_object *o =
            hf_world_find(c->world, HOLDFAST__V1__KIND__PRIMARY_STORAGE, cl->spec->primary_storage_uuids[i]);
        const struct host_word *w = o != NULL ? word_of(o, h->meta->uuid) : NULL;
        if (o != NULL && w == NULL) {
            free(all);
            return NULL;
        }
        if (w == NULL || w->network_problem[0] == '\0')
            continue;
        char *more =
            hf_printf("%s%sprimary storage '%s': %s", all, all[0] != '\0' ? "; " : "",
                      ((const PrimaryStorage *)(const void *)o->message)->meta->name, w->network_problem);
        free(all);
        all = more;
    }
    return all;
}

/* --- the whole --- */

static void take_words(const struct hf_controllers *c, PrimaryStorage *ps, const struct storage_memory *mem)
{
    Status *st = ps->status;
    for (size_t i = 0; i < mem->n; i++) {
        const struct host_word *w = &mem->words[i];
        if (!attached_here(c, ps, w->host_uuid))
            continue;
        View *v = find_view(st, w->host_uuid);
        if (v == NULL)
            v = add_view(st, w->host_uuid);
        v->ok = w->ok;
        hf_pb_set(&v->message, w->message);
        hf_pb_set(&v->address, w->address);
        hf_pb_set(&v->network_problem, w->network_problem);
        v->total_bytes = w->total;
        v->available_bytes = w->available;
    }
    for (size_t i = 0; i < st->n_hosts;) {
        if (attached_here(c, ps, st->hosts[i]->host_uuid)) {
            i++;
            continue;
        }
        protobuf_c_message_free_unpacked(&st->hosts[i]->base, NULL);
        st->hosts[i] = st->hosts[--st->n_hosts];
    }
}

/* Hosts see the same room of a shared storage: the smallest counts. Local ones add up. */
static void sum_up(const struct hf_controllers *c, PrimaryStorage *ps)
{
    Status *st = ps->status;
    bool local = ps->spec->type == HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__LOCAL_STORAGE;
    uint64_t total = 0, available = 0, reserved = ps->spec->reserved_bytes;
    if (reserved == 0)
        reserved = (uint64_t)hf_setting_int(hf_control_store(c->control), "primaryStorage.reservedCapacity");
    bool first = true;
    for (size_t i = 0; i < st->n_hosts; i++) {
        const View *v = st->hosts[i];
        if (!v->ok)
            continue;
        uint64_t room = v->available_bytes > reserved ? v->available_bytes - reserved : 0;
        if (local) {
            total += v->total_bytes;
            available += room;
        } else {
            total = first || v->total_bytes < total ? v->total_bytes : total;
            available = first || room < available ? room : available;
        }
        first = false;
    }
    st->total_bytes = total;
    st->available_bytes = available;
}

void hf_storage_reconcile(struct hf_controllers *c, struct hf_world_object *o)
{
    const PrimaryStorage *ps = (const PrimaryStorage *)(void *)o->message;
    if (hf_storage_is_ceph(ps) && hf_ceph_reconcile(c, o))
        return;
    struct storage_memory *mem = memory_of(o);
    if (hf_storage_is_ceph(ps) && hf_image_removal_reconcile(c, o, &mem->removal))
        return;
    for (size_t i = 0; i < mem->n; i++)
        note_clients(c, o, &mem->words[i]);
    enum news news = news_of_storage(c, ps, mem);
    int64_t now = hf_controllers_now_ms(c);
    if (news == NEWS_NONE)
        return;
    if (news == NEWS_CAPACITY && mem->noted_ms != 0 && now - mem->noted_ms < HF_STORAGE_NOTE_MS) {
        hf_controllers_wake(c, o, HF_STORAGE_NOTE_MS - (now - mem->noted_ms));
        return;
    }
    mem->noted_ms = now;
    struct hf_edit *e = hf_edit_create(&c->editor, "note the state of primary storage '%s'", ps->meta->name);
    PrimaryStorage *changed = hf_edit_change(e, o);
    if (changed->status == NULL) {
        changed->status = HF_NEW(Status);
        holdfast__v1__primary_storage_status__init(changed->status);
    }
    take_words(c, changed, mem);
    sum_up(c, changed);
    hf_edit_commit(e, NULL, NULL);
}
