#include "control/image_controller.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/pb_copy.h"
#include "control/conditions.h"
#include "control/image_copy.h"
#include "control/image_pairing.h"
#include "control/image_upload.h"
#include "control/storage_kind.h"

#define STATE(name) HOLDFAST__V1__IMAGE_STATUS__STATE__##name

/* What is remembered of an image besides the store. */
struct image_memory {
    struct hf_image_fetch fetch;     /* host "" : none */
    Holdfast__V1__ImageReport *seen; /* the fetching host's last word, or NULL */
    int64_t noted_ms;                /* loop clock of the last note */
    struct hf_image_copy copy;
};

static void free_memory(void *memory)
{
    struct image_memory *mem = memory;
    if (mem->seen != NULL)
        holdfast__v1__image_report__free_unpacked(mem->seen, NULL);
    if (mem->copy.seen != NULL)
        holdfast__v1__image_report__free_unpacked(mem->copy.seen, NULL);
    free(mem);
}

static struct image_memory *memory_of(struct hf_world_object *o)
{
    if (o->memory == NULL) {
        o->memory = HF_NEW(struct image_memory);
        o->free_memory = free_memory;
    }
    return o->memory;
}

static void forget_fetch(struct hf_controllers *c, struct image_memory *mem)
{
    if (mem->seen != NULL)
        holdfast__v1__image_report__free_unpacked(mem->seen, NULL);
    mem->seen = NULL;
    mem->fetch = (struct hf_image_fetch){0};
    hf_host_assignments_mark(c->assignments, NULL);
}

bool hf_image_is_fetching(const Holdfast__V1__Image *m)
{
    return m->status == NULL || m->status->state == STATE(FETCHING) ||
           m->status->state == STATE(STATE_UNSPECIFIED);
}

const struct hf_image_fetch *hf_image_fetch(const struct hf_world_object *o)
{
    const struct image_memory *mem = o->memory;
    return mem != NULL && mem->fetch.host_uuid[0] != '\0' ? &mem->fetch : NULL;
}

const struct hf_image_copy *hf_image_copy(const struct hf_world_object *o)
{
    const struct image_memory *mem = o->memory;
    return mem != NULL && mem->copy.host_uuid[0] != '\0' ? &mem->copy : NULL;
}

/* --- where to --- */

/* A storage that the host may use, a shared one if there is one: from there every host of it can use the
 * template. */
static const Holdfast__V1__PrimaryStorage *best_storage(struct hf_controllers *c, const Holdfast__V1__Host *h)
{
    const Holdfast__V1__PrimaryStorage *best = NULL;
    const Holdfast__V1__Cluster *cl = HF_WORLD_GET(c->world, CLUSTER, Cluster, h->spec->cluster_uuid);
    for (size_t i = 0; cl != NULL && i < cl->spec->n_primary_storage_uuids; i++) {
        const Holdfast__V1__PrimaryStorage *ps =
            HF_WORLD_GET(c->world, PRIMARY_STORAGE, PrimaryStorage, cl->spec->primary_storage_uuids[i]);
        if (ps == NULL || ps->spec->disabled)
            continue;
        char *why = hf_facts_storage_objection(c->world, h, ps->meta->uuid);
        bool shared = hf_storage_is_shared(ps);
        if (why == NULL && (best == NULL || (shared && !hf_storage_is_shared(best))))
            best = ps;
        free(why);
    }
    return best;
}

bool hf_image_host_is_near(struct hf_controllers *c, const Holdfast__V1__Host *h,
                           const Holdfast__V1__ImageServer *server)
{
    const Holdfast__V1__Cluster *cl = HF_WORLD_GET(c->world, CLUSTER, Cluster, h->spec->cluster_uuid);
    bool near = false;
    for (size_t i = 0; cl != NULL && i < cl->spec->n_primary_storage_uuids && !near; i++) {
        const Holdfast__V1__PrimaryStorage *ps =
            HF_WORLD_GET(c->world, PRIMARY_STORAGE, PrimaryStorage, cl->spec->primary_storage_uuids[i]);
        near = ps != NULL && ps->status != NULL && hf_image_server_has_cluster(server, ps->status->ceph);
    }
    return near;
}

/* A host that brings the image to its server: of the server's zone, one that is near if there is one. */
static bool choose_for_server(struct hf_controllers *c, const char *server_uuid, struct hf_image_fetch *ret)
{
    const Holdfast__V1__ImageServer *server = HF_WORLD_GET(c->world, IMAGE_SERVER, ImageServer, server_uuid);
    bool found = false, near = false;
    if (server == NULL || server->status == NULL || server->status->ceph == NULL ||
        !server->status->ceph->prepared)
        return false;
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__HOST) && !near; i++) {
        const Holdfast__V1__Host *h = HF_WORLD_AT(c->world, HOST, Host, i);
        const Holdfast__V1__Cluster *cl = HF_WORLD_GET(c->world, CLUSTER, Cluster, h->spec->cluster_uuid);
        if (cl == NULL || strcmp(cl->spec->zone_uuid, server->spec->zone_uuid) != 0 ||
            !hf_controllers_host_usable(c, h))
            continue;
        near = hf_image_host_is_near(c, h, server);
        if (found && !near)
            continue;
        snprintf(ret->host_uuid, sizeof ret->host_uuid, "%s", h->meta->uuid);
        snprintf(ret->storage_uuid, sizeof ret->storage_uuid, "%s", server_uuid);
        found = true;
    }
    return found;
}

/* Chooses a host and a storage; hosts with a shared storage first. */
static bool choose(struct hf_controllers *c, const Holdfast__V1__Image *image, struct hf_image_fetch *ret)
{
    if (image->spec->image_server_uuid[0] != '\0')
        return choose_for_server(c, image->spec->image_server_uuid, ret);
    bool found = false;
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__HOST); i++) {
        const Holdfast__V1__Host *h = HF_WORLD_AT(c->world, HOST, Host, i);
        const Holdfast__V1__PrimaryStorage *ps = hf_controllers_host_usable(c, h) ? best_storage(c, h) : NULL;
        if (ps == NULL)
            continue;
        bool shared = hf_storage_is_shared(ps);
        if (found && !shared)
            continue;
        snprintf(ret->host_uuid, sizeof ret->host_uuid, "%s", h->meta->uuid);
        snprintf(ret->storage_uuid, sizeof ret->storage_uuid, "%s", ps->meta->uuid);
        found = true;
        if (shared)
            break;
    }
    return found;
}

/* --- what came of it --- */

/* LocalStorage: the template is in one host's cache only. */
bool hf_image_note_cached(struct hf_controllers *c, Holdfast__V1__ImageStatus *st, const char *storage_uuid,
                          const char *host_uuid)
{
    const Holdfast__V1__PrimaryStorage *ps =
        HF_WORLD_GET(c->world, PRIMARY_STORAGE, PrimaryStorage, storage_uuid);
    if (ps == NULL)
        return false;
    bool local = ps->spec->type == HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__LOCAL_STORAGE;
    const char *host = local ? host_uuid : "";
    for (size_t i = 0; i < st->n_cached; i++)
        if (strcmp(st->cached[i]->primary_storage_uuid, storage_uuid) == 0 &&
            strcmp(st->cached[i]->host_uuid, host) == 0)
            return false;
    Holdfast__V1__ImageStatus__Cached *one = HF_NEW(Holdfast__V1__ImageStatus__Cached);
    holdfast__v1__image_status__cached__init(one);
    hf_pb_set(&one->primary_storage_uuid, storage_uuid);
    hf_pb_set(&one->host_uuid, host);
    st->cached = hf_realloc_array(st->cached, st->n_cached + 1, sizeof *st->cached);
    st->cached[st->n_cached++] = one;
    return true;
}

static Holdfast__V1__ImageStatus *status_of(Holdfast__V1__Image *m)
{
    if (m->status == NULL) {
        m->status = HF_NEW(Holdfast__V1__ImageStatus);
        holdfast__v1__image_status__init(m->status);
    }
    return m->status;
}

/* Takes the report into the image; true when something changed. */
static bool take_report(struct hf_controllers *c, Holdfast__V1__Image *m, const struct image_memory *mem)
{
    Holdfast__V1__ImageStatus *st = status_of(m);
    const Holdfast__V1__ImageReport *r = mem->seen;
    int64_t now = hf_controllers_wall_ms(c);
    if (r->failed) {
        st->state = STATE(FAILED);
        hf_image_upload_end(st);
        hf_condition_set(&st->conditions, &st->n_conditions, HF_CONDITION_FETCH, false, r->message, now);
        return true;
    }
    if (r->ready) {
        st->state = STATE(READY);
        hf_image_upload_end(st);
        st->file_bytes = r->file_bytes;
        st->virtual_bytes = r->virtual_bytes;
        hf_condition_clear(&st->conditions, &st->n_conditions, HF_CONDITION_FETCH);
        hf_image_note_cached(c, st, mem->fetch.storage_uuid, mem->fetch.host_uuid);
        return true;
    }
    return r->message[0] != '\0' &&
           hf_condition_set(&st->conditions, &st->n_conditions, HF_CONDITION_FETCH, false, r->message, now);
}

static void say_waiting(struct hf_controllers *c, struct hf_world_object *o)
{
    struct hf_edit *e =
        hf_edit_create(&c->editor, "note that image '%s' waits", hf_message_meta(o->message)->name);
    Holdfast__V1__ImageStatus *st = status_of(hf_edit_change(e, o));
    const char *what = ((const Holdfast__V1__Image *)(void *)o->message)->spec->image_server_uuid[0] != '\0'
                           ? "waits for its image server, or for a connected host in the server's zone"
                           : "waits for a connected host with an enabled primary storage";
    if (hf_condition_set(&st->conditions, &st->n_conditions, HF_CONDITION_FETCH, false, what,
                         hf_controllers_wall_ms(c)))
        hf_edit_commit(e, NULL, NULL);
    else
        hf_edit_drop(e);
}

static void follow(struct hf_controllers *c, struct hf_world_object *o, struct image_memory *mem)
{
    bool ended = mem->seen->ready || mem->seen->failed;
    int64_t now = hf_controllers_now_ms(c);
    if (!ended && mem->noted_ms != 0 && now - mem->noted_ms < HF_IMAGE_NOTE_MS) {
        hf_controllers_wake(c, o, HF_IMAGE_NOTE_MS);
        return;
    }
    struct hf_edit *e =
        hf_edit_create(&c->editor, "note the fetch of image '%s'", hf_message_meta(o->message)->name);
    if (take_report(c, hf_edit_change(e, o), mem)) {
        mem->noted_ms = now;
        hf_edit_commit(e, NULL, NULL);
    } else {
        hf_edit_drop(e);
    }
}

void hf_image_reconcile(struct hf_controllers *c, struct hf_world_object *o)
{
    const Holdfast__V1__Image *m = (const Holdfast__V1__Image *)(void *)o->message;
    struct image_memory *mem = memory_of(o);
    if (!hf_image_is_fetching(m)) {
        if (mem->fetch.host_uuid[0] != '\0')
            forget_fetch(c, mem);
        if (m->status->state == STATE(UPLOADING))
            hf_image_upload_reconcile(c, o);
        else
            hf_image_copy_reconcile(c, o, &mem->copy);
    } else if (mem->fetch.host_uuid[0] == '\0') {
        if (choose(c, m, &mem->fetch))
            hf_host_assignments_mark(c->assignments, NULL);
        else if (hf_controllers_settled(c))
            say_waiting(c, o);
        else
            hf_controllers_wake(c, o, HF_CONTROLLERS_TICK_MS);
    } else if (mem->seen != NULL) {
        follow(c, o, mem);
    }
}

void hf_image_report(struct hf_controllers *c, const char *host_uuid, const Holdfast__V1__ImageReport *r)
{
    struct hf_world_object *o = hf_world_find(c->world, HOLDFAST__V1__KIND__IMAGE, r->image_uuid);
    if (o == NULL)
        return;
    struct image_memory *mem = memory_of(o);
    if (hf_image_copy_report(c, o, &mem->copy, host_uuid, r) ||
        strcmp(mem->fetch.host_uuid, host_uuid) != 0 ||
        strcmp(mem->fetch.storage_uuid, r->primary_storage_uuid) != 0)
        return; /* of an instance's own first use: it says itself when that fails */
    if (mem->seen != NULL)
        holdfast__v1__image_report__free_unpacked(mem->seen, NULL);
    mem->seen = hf_pb_copy(&r->base);
    hf_controllers_mark(c, o);
}

void hf_image_host_lost(struct hf_controllers *c, const char *host_uuid)
{
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__IMAGE); i++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__IMAGE, i);
        const struct hf_image_fetch *f = hf_image_fetch(o);
        struct hf_image_copy *copy = hf_image_copy(o) != NULL ? &memory_of(o)->copy : NULL;
        if (copy != NULL && strcmp(copy->host_uuid, host_uuid) == 0) {
            hf_image_copy_end(c, o, copy);
            hf_controllers_mark(c, o);
        }
        if (f == NULL || strcmp(f->host_uuid, host_uuid) != 0)
            continue;
        forget_fetch(c, o->memory);
        hf_controllers_mark(c, o);
    }
}

void hf_image_used(struct hf_controllers *c, const char *image_uuid, const char *storage_uuid,
                   const char *host_uuid)
{
    struct hf_world_object *o = hf_world_find(c->world, HOLDFAST__V1__KIND__IMAGE, image_uuid);
    if (o == NULL || o->busy)
        return;
    struct hf_edit *e =
        hf_edit_create(&c->editor, "note where image '%s' is cached", hf_message_meta(o->message)->name);
    Holdfast__V1__Image *m = hf_edit_change(e, o);
    if (m->status != NULL && m->status->state == STATE(READY) &&
        hf_image_note_cached(c, m->status, storage_uuid, host_uuid))
        hf_edit_commit(e, NULL, NULL);
    else
        hf_edit_drop(e);
}
