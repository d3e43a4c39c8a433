#include "control/image_copy.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/pb_copy.h"
#include "control/conditions.h"
#include "control/image_controller.h"
#include "control/image_pairing.h"
#include "control/placement_guard.h"

typedef Holdfast__V1__Image Image;
typedef Holdfast__V1__ImageServer Server;
typedef Holdfast__V1__PrimaryStorage Storage;

static const Image *image_of(const struct hf_world_object *o)
{
    return (const Image *)(const void *)o->message;
}

static const Server *server_of(const struct hf_controllers *c, const Image *image)
{
    return HF_WORLD_GET(c->world, IMAGE_SERVER, ImageServer, image->spec->image_server_uuid);
}

static const Storage *storage_of(const struct hf_controllers *c, const char *uuid)
{
    return HF_WORLD_GET(c->world, PRIMARY_STORAGE, PrimaryStorage, uuid);
}

/* --- which --- */

/* The storage of this instance's root disk, when it waits for the image there; else NULL. */
static const Storage *waits_for(const struct hf_controllers *c, const Holdfast__V1__Instance *i,
                                const Image *image, const Server *server)
{
    if (!hf_placement_open(i->placement))
        return NULL;
    const Holdfast__V1__Volume *root = HF_WORLD_GET(c->world, VOLUME, Volume, i->spec->root_volume_uuid);
    if (root == NULL || strcmp(root->spec->image_uuid, image->meta->uuid) != 0)
        return NULL;
    const Storage *ps = storage_of(c, root->spec->primary_storage_uuid);
    return ps != NULL && hf_image_is_copied(image, server, ps) ? ps : NULL;
}

/* A storage to copy to, only this one if storage_uuid is not NULL; NULL: none. */
static const Storage *wanted(const struct hf_controllers *c, const Image *image, const char *storage_uuid)
{
    const Server *server = server_of(c, image);
    for (size_t i = 0; server != NULL && i < hf_world_count(c->world, HOLDFAST__V1__KIND__INSTANCE); i++) {
        const Storage *ps = waits_for(c, HF_WORLD_AT(c->world, INSTANCE, Instance, i), image, server);
        if (ps != NULL && (storage_uuid == NULL || strcmp(ps->meta->uuid, storage_uuid) == 0))
            return ps;
    }
    return NULL;
}

/* --- who --- */

/* 0: cannot. A host that uses a storage of the server's cluster reaches that. */
static unsigned suits(struct hf_controllers *c, const Holdfast__V1__Host *h, const Storage *ps,
                      const Server *server, const char *avoid_uuid)
{
    char *why = hf_controllers_host_usable(c, h) ? hf_facts_storage_objection(c->world, h, ps->meta->uuid)
                                                 : hf_strdup("it has no contact");
    bool can = why == NULL;
    free(why);
    if (!can)
        return 0;
    return 1 + (hf_image_host_is_near(c, h, server) ? 1 : 0) +
           (strcmp(h->meta->uuid, avoid_uuid) != 0 ? 2 : 0);
}

static const Holdfast__V1__Host *choose_host(struct hf_controllers *c, const Image *image, const Storage *ps,
                                             const char *avoid_uuid)
{
    const Holdfast__V1__Host *best = NULL;
    const Server *server = server_of(c, image);
    unsigned best_suits = 0;
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__HOST); i++) {
        const Holdfast__V1__Host *h = HF_WORLD_AT(c->world, HOST, Host, i);
        unsigned n = suits(c, h, ps, server, avoid_uuid);
        if (n > best_suits) {
            best = h;
            best_suits = n;
        }
    }
    return best;
}

/* The host is told of it, or no more, and the server's cluster is asked for its key, or to revoke it. */
static void tell(struct hf_controllers *c, const Image *image)
{
    struct hf_world_object *server =
        hf_world_find(c->world, HOLDFAST__V1__KIND__IMAGE_SERVER, image->spec->image_server_uuid);
    hf_host_assignments_mark(c->assignments, NULL);
    if (server != NULL)
        hf_controllers_mark(c, server);
}

static void forget_word(struct hf_image_copy *copy)
{
    if (copy->seen != NULL)
        holdfast__v1__image_report__free_unpacked(copy->seen, NULL);
    copy->seen = NULL;
}

void hf_image_copy_end(struct hf_controllers *c, struct hf_world_object *o, struct hf_image_copy *copy)
{
    forget_word(copy);
    *copy = (struct hf_image_copy){0};
    if (o->message != NULL)
        tell(c, image_of(o));
}

/* False: no host can. */
static bool begin(struct hf_controllers *c, struct hf_world_object *o, struct hf_image_copy *copy,
                  const Storage *ps)
{
    const Holdfast__V1__Host *h = choose_host(c, image_of(o), ps, copy->avoid_uuid);
    if (h == NULL)
        return false;
    bool other = strcmp(copy->host_uuid, h->meta->uuid) != 0;
    if (other)
        forget_word(copy);
    snprintf(copy->host_uuid, sizeof copy->host_uuid, "%s", h->meta->uuid);
    snprintf(copy->storage_uuid, sizeof copy->storage_uuid, "%s", ps->meta->uuid);
    copy->since_ms = hf_controllers_now_ms(c);
    if (other)
        tell(c, image_of(o));
    return true;
}

/* --- what came of it --- */

/* message NULL: nothing is to be said any more. */
static void say(struct hf_controllers *c, struct hf_world_object *o, const char *message)
{
    const Image *m = image_of(o);
    const char *said =
        hf_condition_message(m->status->conditions, m->status->n_conditions, HF_IMAGE_COPY_CONDITION);
    if (message != NULL ? said != NULL && strcmp(said, message) == 0 : said == NULL)
        return;
    struct hf_edit *e = hf_edit_create(&c->editor, "note the copy of image '%s'", m->meta->name);
    Holdfast__V1__ImageStatus *st = ((Image *)hf_edit_change(e, o))->status;
    if (message == NULL)
        hf_condition_clear(&st->conditions, &st->n_conditions, HF_IMAGE_COPY_CONDITION);
    else
        hf_condition_set(&st->conditions, &st->n_conditions, HF_IMAGE_COPY_CONDITION, false, message,
                         hf_controllers_wall_ms(c));
    hf_edit_commit(e, NULL, NULL);
}

static void note_done(struct hf_controllers *c, struct hf_world_object *o, const struct hf_image_copy *copy)
{
    struct hf_edit *e = hf_edit_create(&c->editor, "note the copy of image '%s'", image_of(o)->meta->name);
    Holdfast__V1__ImageStatus *st = ((Image *)hf_edit_change(e, o))->status;
    hf_condition_clear(&st->conditions, &st->n_conditions, HF_IMAGE_COPY_CONDITION);
    hf_image_note_cached(c, st, copy->storage_uuid, copy->host_uuid);
    hf_edit_commit(e, NULL, NULL);
}

static void note_word(struct hf_controllers *c, struct hf_world_object *o, const struct hf_image_copy *copy)
{
    const Holdfast__V1__Host *h = HF_WORLD_GET(c->world, HOST, Host, copy->host_uuid);
    const Storage *ps = storage_of(c, copy->storage_uuid);
    const Server *server = server_of(c, image_of(o));
    if (h == NULL || ps == NULL || server == NULL)
        return;
    bool error = copy->seen != NULL && copy->seen->error;
    char *text =
        hf_printf("host '%s' %s it from image server '%s' to primary storage '%s': %s", h->meta->name,
                  error ? "cannot copy" : "copies", server->meta->name, ps->meta->name,
                  copy->seen != NULL ? copy->seen->message : "it has not said how far it is yet");
    say(c, o, text);
    free(text);
}

static void follow(struct hf_controllers *c, struct hf_world_object *o, struct hf_image_copy *copy)
{
    int64_t now = hf_controllers_now_ms(c);
    const Storage *ps = storage_of(c, copy->storage_uuid);
    if (copy->seen != NULL && copy->seen->ready) {
        note_done(c, o, copy);
        return;
    }
    hf_controllers_wake(c, o, HF_IMAGE_NOTE_MS);
    if (copy->noted_ms == 0 || now - copy->noted_ms >= HF_IMAGE_NOTE_MS) {
        copy->noted_ms = now;
        note_word(c, o, copy);
    }
    if (copy->seen == NULL || !copy->seen->error || now - copy->since_ms < HF_IMAGE_COPY_HOST_MS)
        return;
    snprintf(copy->avoid_uuid, sizeof copy->avoid_uuid, "%s", copy->host_uuid);
    begin(c, o, copy, ps);
}

/* Somebody still waits for it, and its host can still do it. */
static bool goes_on(struct hf_controllers *c, const struct hf_world_object *o,
                    const struct hf_image_copy *copy)
{
    const Storage *ps = wanted(c, image_of(o), copy->storage_uuid);
    const Holdfast__V1__Host *h = HF_WORLD_GET(c->world, HOST, Host, copy->host_uuid);
    return ps != NULL && h != NULL && suits(c, h, ps, server_of(c, image_of(o)), "") > 0;
}

void hf_image_copy_reconcile(struct hf_controllers *c, struct hf_world_object *o, struct hf_image_copy *copy)
{
    bool under_way = copy->host_uuid[0] != '\0';
    if (under_way && goes_on(c, o, copy)) {
        follow(c, o, copy);
        return;
    }
    if (under_way)
        hf_image_copy_end(c, o, copy);
    const Storage *ps = wanted(c, image_of(o), NULL);
    if (ps == NULL) {
        say(c, o, NULL);
    } else if (begin(c, o, copy, ps)) {
        hf_controllers_wake(c, o, HF_IMAGE_NOTE_MS);
    } else {
        if (hf_controllers_settled(c))
            say(c, o, "waits for a connected host that can use the primary storage to copy it to");
        hf_controllers_wake(c, o, HF_IMAGE_NOTE_MS);
    }
}

/* The instance that needs it has it copied again. */
static void note_gone(struct hf_controllers *c, struct hf_world_object *o, const char *storage_uuid)
{
    if (o->busy || image_of(o)->status == NULL)
        return;
    struct hf_edit *e = hf_edit_create(&c->editor, "note where image '%s' is gone", image_of(o)->meta->name);
    Holdfast__V1__ImageStatus *st = ((Image *)hf_edit_change(e, o))->status;
    size_t kept = 0;
    for (size_t i = 0; i < st->n_cached; i++) {
        if (strcmp(st->cached[i]->primary_storage_uuid, storage_uuid) == 0)
            protobuf_c_message_free_unpacked(&st->cached[i]->base, NULL);
        else
            st->cached[kept++] = st->cached[i];
    }
    bool news = kept < st->n_cached;
    st->n_cached = kept;
    if (news)
        hf_edit_commit(e, NULL, NULL);
    else
        hf_edit_drop(e);
}

bool hf_image_copy_report(struct hf_controllers *c, struct hf_world_object *o, struct hf_image_copy *copy,
                          const char *host_uuid, const Holdfast__V1__ImageReport *r)
{
    if (r->gone)
        note_gone(c, o, r->primary_storage_uuid);
    if (strcmp(copy->host_uuid, host_uuid) != 0 || strcmp(copy->storage_uuid, r->primary_storage_uuid) != 0)
        return false;
    if (r->message[0] == '\0' && !r->ready)
        return true;
    bool first_error = r->error && (copy->seen == NULL || !copy->seen->error);
    if (!r->error)
        copy->since_ms = hf_controllers_now_ms(c);
    if (first_error)
        copy->noted_ms = 0;
    forget_word(copy);
    copy->seen = hf_pb_copy(&r->base);
    hf_controllers_mark(c, o);
    return true;
}

/* --- for others --- */

bool hf_image_copy_reads(const struct hf_controllers *c, const char *server_uuid, const char *host_uuid)
{
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__IMAGE); i++) {
        const struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__IMAGE, i);
        const struct hf_image_copy *copy = hf_image_copy(o);
        if (copy != NULL && strcmp(image_of(o)->spec->image_server_uuid, server_uuid) == 0 &&
            strcmp(copy->host_uuid, host_uuid) == 0)
            return true;
    }
    return false;
}
