#include "control/block_question.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/mutant.h"
#include "control/blocklist.h"
#include "control/ceph_controller.h"
#include "control/placement_guard.h"
#include "control/settings.h"
#include "control/storage_kind.h"
#include "ha/lease_record.h"
#include "storage/ceph_spec.h"

typedef Holdfast__V1__Host Host;
typedef Holdfast__V1__Fence Fence;
typedef Holdfast__V1__PrimaryStorage Storage;

/* --- addresses --- */

static bool has(const json_t *list, const char *text)
{
    const json_t *at;
    size_t i;
    json_array_foreach(list, i, at) if (strcmp(json_string_value(at), text) == 0) return true;
    return false;
}

static void add_once(json_t *list, const char *text)
{
    if (!has(list, text))
        json_array_append_new(list, json_string(text));
}

/* "10.0.0.5" of "10.0.0.5/24". */
static void add_interface(json_t *list, const char *address)
{
    char ip[64];
    snprintf(ip, sizeof ip, "%.*s", (int)strcspn(address, "/"), address);
    if (strncmp(ip, "127.", 4) != 0)
        add_once(list, ip);
}

/* epoch: of the life that was seen; 0: of any. */
static void add_seen(json_t *list, const Host *h, const char *storage_uuid, uint64_t epoch)
{
    for (size_t i = 0; h->status != NULL && i < h->status->n_storage_clients; i++) {
        const Holdfast__V1__HostStatus__StorageClients *c = h->status->storage_clients[i];
        for (size_t k = 0; k < c->n_addresses; k++)
            if ((storage_uuid == NULL || strcmp(c->primary_storage_uuid, storage_uuid) == 0) &&
                (epoch == 0 || c->epoch == epoch))
                add_once(list, c->addresses[k]);
    }
}

/* A name is not looked up: hf-ceph tells the node that it runs on by itself. */
static void add_node(void *arg, const char *address)
{
    struct in_addr ip;
    char text[INET_ADDRSTRLEN];
    snprintf(text, sizeof text, "%.*s", (int)strcspn(address, ":"), address);
    if (inet_pton(AF_INET, text, &ip) == 1)
        add_interface(arg, text);
}

/* Other hosts and control nodes. */
static json_t *addresses_of_others(const struct hf_world *w, const struct hf_store *s, const char *host_uuid)
{
    json_t *list = json_array();
    hf_setting_each_node(s, add_node, list);
    for (size_t i = 0; i < hf_world_count(w, HOLDFAST__V1__KIND__HOST); i++) {
        const Host *h = HF_WORLD_AT(w, HOST, Host, i);
        if (strcmp(h->meta->uuid, host_uuid) == 0)
            continue;
        add_seen(list, h, NULL, 0);
        for (size_t k = 0; h->status != NULL && k < h->status->n_addresses; k++)
            add_interface(list, h->status->addresses[k]);
    }
    return list;
}

/* even_unseen: also when none of them was seen by the cluster. */
static json_t *addresses_of(const Host *h, const char *storage_uuid, const json_t *others, bool even_unseen)
{
    json_t *list = json_array(), *interfaces = json_array(), *at;
    size_t i;
    if (h != NULL)
        add_seen(list, h, storage_uuid, even_unseen || h->status == NULL ? 0 : h->status->epoch);
    for (size_t k = 0; h != NULL && h->status != NULL && k < h->status->n_addresses; k++)
        add_interface(interfaces, h->status->addresses[k]);
    bool wanted = even_unseen || json_array_size(list) > 0;
    json_array_foreach(interfaces, i, at)
    {
        if (wanted && i < HF_BLOCK_INTERFACES_MAX && !has(others, json_string_value(at)))
            add_once(list, json_string_value(at));
    }
    json_decref(interfaces);
    return list;
}

void hf_block_note_addresses(const struct hf_world *w, const struct hf_store *s, const Storage *ps,
                             const Fence *f, Holdfast__V1__Fence__Blocklist *b)
{
    json_t *others = addresses_of_others(w, s, f->host_uuid), *at;
    json_t *list = addresses_of(HF_WORLD_GET(w, HOST, Host, f->host_uuid), ps->meta->uuid, others, false);
    size_t i;
    b->entries = hf_alloc_array(json_array_size(list) + 1, sizeof *b->entries);
    json_array_foreach(list, i, at)
    {
        b->entries[b->n_entries++] = hf_printf("%s" HF_BLOCKLIST_WHOLE, json_string_value(at));
    }
    json_decref(others);
    json_decref(list);
}

/* Those of a life that is over: what was to be asked for, and where the host is now. */
static json_t *addresses_of_past(const Host *h, const Holdfast__V1__Fence__Blocklist *b,
                                 const char *storage_uuid, const json_t *others)
{
    json_t *list = addresses_of(h, storage_uuid, others, true);
    for (size_t i = 0; b != NULL && i < b->n_entries; i++) {
        char ip[64];
        snprintf(ip, sizeof ip, "%.*s", (int)strcspn(b->entries[i], ":"), b->entries[i]);
        add_once(list, ip);
    }
    return list;
}

/* --- volumes --- */

static void add_image(const struct hf_world *w, json_t *list, const char *volume_uuid,
                      const char *storage_uuid)
{
    const Holdfast__V1__Volume *v = HF_WORLD_GET(w, VOLUME, Volume, volume_uuid);
    char pool[HF_CEPH_NAME_MAX], image[HF_CEPH_NAME_MAX];
    if (v != NULL && v->status != NULL && strcmp(v->spec->primary_storage_uuid, storage_uuid) == 0 &&
        hf_ceph_path_parse(v->status->install_path, pool, image))
        json_array_append_new(list, json_pack("{s:s, s:s}", "pool", pool, "image", image));
}

/* Of what is placed in this life and nowhere else: whoever has them open is the host. */
static json_t *images_of(const struct hf_world *w, const Fence *f, const char *storage_uuid)
{
    json_t *list = json_array();
    for (size_t k = 0; k < hf_world_count(w, HOLDFAST__V1__KIND__INSTANCE); k++) {
        const Holdfast__V1__Instance *i = HF_WORLD_AT(w, INSTANCE, Instance, k);
        if (!hf_placement_open(i->placement) || hf_migration_open(i->placement) ||
            i->placement->epoch != f->epoch || strcmp(i->placement->host_uuid, f->host_uuid) != 0)
            continue;
        add_image(w, list, i->spec->root_volume_uuid, storage_uuid);
        for (size_t v = 0; v < i->spec->n_data_volume_uuids; v++)
            add_image(w, list, i->spec->data_volume_uuids[v], storage_uuid);
    }
    return list;
}

/* --- questions --- */

static char *text_of(json_t *take_question)
{
    char *text = json_dumps(take_question, JSON_COMPACT);
    json_decref(take_question);
    return text;
}

char *hf_block_fence_question(const struct hf_world *w, const struct hf_store *s, const Storage *ps,
                              const Fence *f)
{
    const Host *h = HF_WORLD_GET(w, HOST, Host, f->host_uuid);
    char object[HF_LEASE_FILE_NAME_MAX];
    struct hf_uuid host = {{0}};
    bool past = h == NULL || h->status == NULL || h->status->epoch != f->epoch;
    hf_uuid_parse(f->host_uuid, &host);
    json_t *q = hf_ceph_question(ps, "fence"), *others = addresses_of_others(w, s, f->host_uuid);
    json_object_set_new(
        q, "addresses",
        past ? addresses_of_past(h, hf_blocklist_find(f, ps->meta->uuid), ps->meta->uuid, others)
             : addresses_of(h, ps->meta->uuid, others, false));
    json_object_set_new(q, "others", others);
    json_object_set_new(q, "record",
                        json_pack("{s:s, s:s}", "pool", ps->spec->ceph->root_pool, "object",
                                  hf_lease_file_name(&host, object)));
    json_object_set_new(q, "images", images_of(w, f, ps->meta->uuid));
    return text_of(q);
}

/* A question whose answer was lost may have had a whole address refused of which only clients are confirmed.
 * Those stay refused until their entries lapse: what a killed one wrote may still lie in a send queue there,
 * and whoever serves the host from now on is a new client. */
json_t *hf_block_removals(const struct hf_world *w, const Storage *ps, const Fence *f)
{
    const Holdfast__V1__Fence__Blocklist *b = hf_blocklist_find(f, ps->meta->uuid);
    const Host *h = HF_WORLD_GET(w, HOST, Host, f->host_uuid);
    json_t *list = json_array(), *seen = json_array(), *at;
    char whole[80];
    size_t i;
    for (i = 0; i < b->n_entries; i++) {
        if (hf_blocklist_entry_is_whole(b->entries[i]) || HF_MUTANT(CLIENTS_TAKEN_OFF))
            add_once(list, b->entries[i]);
        snprintf(whole, sizeof whole, "%.*s", (int)strcspn(b->entries[i], ":"), b->entries[i]);
        add_once(seen, whole);
    }
    if (h != NULL)
        add_seen(seen, h, ps->meta->uuid, 0);
    json_array_foreach(seen, i, at)
    {
        snprintf(whole, sizeof whole, "%s" HF_BLOCKLIST_WHOLE, json_string_value(at));
        add_once(list, whole);
    }
    json_decref(seen);
    return list;
}

char *hf_block_unfence_question(const struct hf_world *w, const Storage *ps, const Fence *f, int64_t until_ms)
{
    json_t *q = hf_ceph_question(ps, "unfence");
    json_object_set_new(q, "entries", hf_block_removals(w, ps, f));
    json_object_set_new(q, "until_ms", json_integer(until_ms));
    return text_of(q);
}

static const char *fsid_of(const Storage *ps)
{
    if (ps->spec->ceph->fsid[0] != '\0')
        return ps->spec->ceph->fsid;
    return ps->status != NULL && ps->status->ceph != NULL ? ps->status->ceph->fsid : "";
}

bool hf_block_same_cluster(const Storage *a, const Storage *b)
{
    return strcmp(a->meta->uuid, b->meta->uuid) == 0 ||
           (fsid_of(a)[0] != '\0' && strcmp(fsid_of(a), fsid_of(b)) == 0);
}

/* --- answers --- */

static bool take_entries(const json_t *list, struct hf_block_answer *ret)
{
    const json_t *at;
    size_t i;
    ret->entries = hf_alloc_array(json_array_size(list) + 1, sizeof *ret->entries);
    json_array_foreach(list, i, at)
    {
        if (!json_is_string(at))
            return false;
        ret->entries[ret->n_entries++] = hf_strdup(json_string_value(at));
    }
    return json_is_array(list);
}

static bool all_whole(const struct hf_block_answer *a)
{
    for (size_t i = 0; i < a->n_entries; i++)
        if (!hf_blocklist_entry_is_whole(a->entries[i]))
            return false;
    return a->n_entries > 0;
}

hf_status hf_block_answer_parse(const char *text, struct hf_block_answer *ret)
{
    json_t *o = json_loads(text, 0, NULL);
    const char *shared = json_string_value(json_object_get(o, "shared_with"));
    *ret = (struct hf_block_answer){.shared_with = hf_strdup(shared != NULL ? shared : "")};
    bool ok = take_entries(json_object_get(o, "entries"), ret);
    json_int_t epoch = json_integer_value(json_object_get(o, "osdmap_epoch"));
    ret->by_clients = !json_is_false(json_object_get(o, "by_clients"));
    ret->osdmap_epoch = epoch > 0 ? (uint64_t)epoch : 0;
    json_decref(o);
    if (ok && ret->osdmap_epoch > 0 && (ret->by_clients || all_whole(ret)))
        return HF_STATUS_OK;
    hf_block_answer_done(ret);
    return hf_error(HF_INTERNAL, "hf-ceph answered what is none: %.100s", text);
}

void hf_block_answer_done(struct hf_block_answer *a)
{
    for (size_t i = 0; i < a->n_entries; i++)
        free(a->entries[i]);
    free(a->entries);
    free(a->shared_with);
    *a = (struct hf_block_answer){0};
}

uint64_t hf_block_unfenced_epoch(const char *text)
{
    json_t *o = json_loads(text, 0, NULL);
    json_int_t epoch = json_integer_value(json_object_get(o, "osdmap_epoch"));
    json_decref(o);
    return epoch > 0 ? (uint64_t)epoch : 0;
}
