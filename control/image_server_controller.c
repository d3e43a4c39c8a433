#include "control/image_server_controller.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/ceph_controller.h"
#include "control/ceph_runner.h"
#include "control/conditions.h"
#include "control/image_controller.h"
#include "control/pb_list.h"

#define CONDITION_REMOVAL "Removal"

typedef Holdfast__V1__ImageServer Server;
typedef Holdfast__V1__ImageServerStatus Status;

struct server_memory;

/* A question under way; it outlives a leader that is none any more. */
struct removal {
    struct server_memory *memory; /* NULL: nobody waits for the answer */
};

/* What is remembered of a server besides the store. */
struct server_memory {
    struct hf_controllers *c;
    struct hf_uuid uuid;
    struct removal *asking; /* or NULL */
    int64_t due_ms;         /* loop clock: of the next try */
    json_t *answer;         /* not written yet, or NULL */
    char *error;            /* the same */
};

static void free_memory(void *memory)
{
    struct server_memory *mem = memory;
    if (mem->asking != NULL)
        mem->asking->memory = NULL;
    json_decref(mem->answer);
    free(mem->error);
    free(mem);
}

static struct server_memory *memory_of(struct hf_controllers *c, struct hf_world_object *o)
{
    if (o->memory == NULL) {
        struct server_memory *mem = HF_NEW(struct server_memory);
        mem->c = c;
        mem->uuid = o->uuid;
        o->memory = mem;
        o->free_memory = free_memory;
    }
    return o->memory;
}

/* --- asking --- */

static void answered(void *arg, hf_status st, const char *text)
{
    struct removal *r = arg;
    struct server_memory *mem = r->memory;
    free(r);
    if (mem == NULL)
        return;
    mem->asking = NULL;
    mem->due_ms = hf_controllers_now_ms(mem->c) + HF_IMAGE_REMOVAL_MS;
    mem->answer = hf_ok(st) ? json_loads(text, 0, NULL) : NULL;
    if (mem->answer == NULL)
        mem->error = hf_strdup(hf_ok(st) ? "hf-ceph gave no answer" : hf_status_message(st));
    struct hf_world_object *o =
        hf_world_find_uuid(mem->c->world, HOLDFAST__V1__KIND__IMAGE_SERVER, &mem->uuid);
    if (o != NULL)
        hf_controllers_mark(mem->c, o);
}

static void ask(struct hf_controllers *c, const Server *server, struct server_memory *mem)
{
    json_t *images = json_array();
    for (size_t i = 0; i < server->status->n_removing_image_uuids; i++)
        json_array_append_new(images, json_string(server->status->removing_image_uuids[i]));
    json_t *q = hf_ceph_cluster_question(server->spec->ceph, server->status->ceph, "remove-images");
    json_object_set_new(q, "pool", json_string(server->spec->ceph->image_pool));
    json_object_set_new(q, "images", images);
    char *text = json_dumps(q, JSON_COMPACT);
    json_decref(q);
    mem->asking = HF_NEW(struct removal);
    mem->asking->memory = mem;
    c->control->ceph->ops->ask(c->control->ceph, text, HF_IMAGE_REMOVAL_LIMIT_MS, answered, mem->asking);
    free(text);
}

/* --- the answer --- */

/* "image 77…: it lies under 2 volumes…"; NULL: nothing is kept. */
static char *why_kept(const struct server_memory *mem)
{
    const json_t *kept = json_object_get(mem->answer, "kept"), *first = json_array_get(kept, 0);
    if (mem->error != NULL)
        return hf_strdup(mem->error);
    if (first == NULL)
        return NULL;
    size_t more = json_array_size(kept) - 1;
    char *text = hf_printf("deleted image %s stays in the pool: %s",
                           json_string_value(json_object_get(first, "image")),
                           json_string_value(json_object_get(first, "why")));
    if (more == 0)
        return text;
    char *all = hf_printf("%s; so do %zu others", text, more);
    free(text);
    return all;
}

static void write_down(struct hf_controllers *c, struct hf_world_object *o, struct server_memory *mem)
{
    struct hf_edit *e =
        hf_edit_create(&c->editor, "note the removal of images from '%s'", hf_message_meta(o->message)->name);
    Status *st = ((Server *)hf_edit_change(e, o))->status;
    char *why = why_kept(mem);
    const json_t *at;
    size_t i;
    bool news = json_array_size(json_object_get(mem->answer, "removed")) > 0;
    json_array_foreach(json_object_get(mem->answer, "removed"), i, at)
        hf_pb_list_remove(&st->removing_image_uuids, &st->n_removing_image_uuids, json_string_value(at));
    if (why != NULL)
        news |= hf_condition_set(&st->conditions, &st->n_conditions, CONDITION_REMOVAL, false, why,
                                 hf_controllers_wall_ms(c));
    else
        news |= hf_condition_clear(&st->conditions, &st->n_conditions, CONDITION_REMOVAL);
    free(why);
    json_decref(mem->answer);
    free(mem->error);
    mem->answer = NULL;
    mem->error = NULL;
    if (news)
        hf_edit_commit(e, NULL, NULL);
    else
        hf_edit_drop(e);
}

static void remove_images(struct hf_controllers *c, struct hf_world_object *o)
{
    const Server *server = (const Server *)(void *)o->message;
    struct server_memory *mem = memory_of(c, o);
    if (mem->answer != NULL || mem->error != NULL) {
        write_down(c, o, mem);
        return;
    }
    const Status *st = server->status;
    if (mem->asking != NULL || c->control->ceph == NULL || st == NULL || st->n_removing_image_uuids == 0 ||
        st->ceph == NULL || !st->ceph->prepared)
        return;
    int64_t left = mem->due_ms - hf_controllers_now_ms(c);
    if (left <= 0)
        ask(c, server, mem);
    else
        hf_controllers_wake(c, o, left);
}

void hf_image_server_reconcile(struct hf_controllers *c, struct hf_world_object *o)
{
    if (!hf_ceph_reconcile(c, o))
        remove_images(c, o);
}

/* --- hosts --- */

void hf_image_server_report(struct hf_controllers *c, const char *host_uuid,
                            const Holdfast__V1__StorageReport *r)
{
    const Holdfast__V1__Host *h = HF_WORLD_GET(c->world, HOST, Host, host_uuid);
    if (r->ok || h == NULL ||
        HF_WORLD_GET(c->world, IMAGE_SERVER, ImageServer, r->primary_storage_uuid) == NULL)
        return;
    char *why = hf_printf("host '%s' cannot reach the image server: %s", h->meta->name, r->message);
    for (size_t i = 0; i < hf_world_count(c->world, HOLDFAST__V1__KIND__IMAGE); i++) {
        const Holdfast__V1__Image *image = HF_WORLD_AT(c->world, IMAGE, Image, i);
        Holdfast__V1__ImageReport m = HOLDFAST__V1__IMAGE_REPORT__INIT;
        m.image_uuid = image->meta->uuid;
        m.primary_storage_uuid = r->primary_storage_uuid;
        m.message = why;
        hf_image_report(c, host_uuid, &m);
    }
    free(why);
}
