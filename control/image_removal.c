#include "control/image_removal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/ceph_controller.h"
#include "control/ceph_runner.h"
#include "control/conditions.h"
#include "control/pb_list.h"

#define CONDITION_REMOVAL "Removal"

/* A question under way; it outlives a leader that is none any more. */
struct removal {
    struct hf_image_removal *memory; /* NULL: nobody waits for the answer */
};

struct hf_image_removal {
    struct hf_controllers *c;
    uint32_t kind;
    struct hf_uuid uuid;
    struct removal *asking; /* or NULL */
    int64_t due_ms;         /* loop clock: of the next try */
    json_t *answer;         /* not written yet, or NULL */
    char *error;            /* the same */
};

void hf_image_removal_free(struct hf_image_removal *mem)
{
    if (mem == NULL)
        return;
    if (mem->asking != NULL)
        mem->asking->memory = NULL;
    json_decref(mem->answer);
    free(mem->error);
    free(mem);
}

/* Where an image server or a storage keeps what this is about. */
struct place {
    const Holdfast__V1__CephCluster *spec;
    const Holdfast__V1__CephStatus *ceph; /* or NULL */
    char ***uuids;
    size_t *n_uuids;
    Holdfast__V1__Condition ***conditions;
    size_t *n_conditions;
};

/* False: it has no status yet. */
static bool place_in(ProtobufCMessage *m, uint32_t kind, struct place *ret)
{
    if (kind == HOLDFAST__V1__KIND__PRIMARY_STORAGE) {
        Holdfast__V1__PrimaryStorage *ps = (Holdfast__V1__PrimaryStorage *)(void *)m;
        Holdfast__V1__PrimaryStorageStatus *st = ps->status;
        if (st != NULL)
            *ret = (struct place){
                ps->spec->ceph,  st->ceph,         &st->removing_image_uuids, &st->n_removing_image_uuids,
                &st->conditions, &st->n_conditions};
        return st != NULL;
    }
    Holdfast__V1__ImageServer *server = (Holdfast__V1__ImageServer *)(void *)m;
    Holdfast__V1__ImageServerStatus *st = server->status;
    if (st != NULL)
        *ret = (struct place){server->spec->ceph,          st->ceph,        &st->removing_image_uuids,
                              &st->n_removing_image_uuids, &st->conditions, &st->n_conditions};
    return st != NULL;
}

/* --- asking --- */

static void answered(void *arg, hf_status st, const char *text)
{
    struct removal *r = arg;
    struct hf_image_removal *mem = r->memory;
    free(r);
    if (mem == NULL)
        return;
    mem->asking = NULL;
    mem->due_ms = hf_controllers_now_ms(mem->c) + HF_IMAGE_REMOVAL_MS;
    mem->answer = hf_ok(st) ? json_loads(text, 0, NULL) : NULL;
    if (mem->answer == NULL)
        mem->error = hf_strdup(hf_ok(st) ? "hf-ceph gave no answer" : hf_status_message(st));
    struct hf_world_object *o = hf_world_find_uuid(mem->c->world, mem->kind, &mem->uuid);
    if (o != NULL)
        hf_controllers_mark(mem->c, o);
}

static void ask(struct hf_controllers *c, const struct place *at, struct hf_image_removal *mem)
{
    json_t *images = json_array();
    for (size_t i = 0; i < *at->n_uuids; i++)
        json_array_append_new(images, json_string((*at->uuids)[i]));
    json_t *q = hf_ceph_cluster_question(at->spec, at->ceph, "remove-images");
    json_object_set_new(q, "pool", json_string(at->spec->image_pool));
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
static char *why_kept(const struct hf_image_removal *mem)
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

/* True: something has changed. */
static bool take_answer(const struct place *at, const struct hf_image_removal *mem, int64_t wall_ms)
{
    const json_t *removed = json_object_get(mem->answer, "removed"), *image;
    char *why = why_kept(mem);
    size_t i;
    bool news = json_array_size(removed) > 0;
    json_array_foreach(removed, i, image) hf_pb_list_remove(at->uuids, at->n_uuids, json_string_value(image));
    if (why != NULL)
        news |= hf_condition_set(at->conditions, at->n_conditions, CONDITION_REMOVAL, false, why, wall_ms);
    else
        news |= hf_condition_clear(at->conditions, at->n_conditions, CONDITION_REMOVAL);
    free(why);
    return news;
}

static bool write_down(struct hf_controllers *c, struct hf_world_object *o, struct hf_image_removal *mem)
{
    struct place at;
    struct hf_edit *e =
        hf_edit_create(&c->editor, "note the removal of images from '%s'", hf_message_meta(o->message)->name);
    bool news =
        place_in(hf_edit_change(e, o), o->kind, &at) && take_answer(&at, mem, hf_controllers_wall_ms(c));
    json_decref(mem->answer);
    free(mem->error);
    mem->answer = NULL;
    mem->error = NULL;
    if (news)
        hf_edit_commit(e, NULL, NULL);
    else
        hf_edit_drop(e);
    return news;
}

bool hf_image_removal_reconcile(struct hf_controllers *c, struct hf_world_object *o,
                                struct hf_image_removal **memory)
{
    struct place at;
    struct hf_image_removal *mem = *memory;
    if (mem != NULL && (mem->answer != NULL || mem->error != NULL))
        return write_down(c, o, mem);
    if ((mem != NULL && mem->asking != NULL) || c->control->ceph == NULL ||
        !place_in(o->message, o->kind, &at) || *at.n_uuids == 0 || at.ceph == NULL || !at.ceph->prepared)
        return false;
    if (mem == NULL) {
        mem = *memory = HF_NEW(struct hf_image_removal);
        mem->c = c;
        mem->kind = o->kind;
        mem->uuid = o->uuid;
    }
    int64_t left = mem->due_ms - hf_controllers_now_ms(c);
    if (left <= 0)
        ask(c, &at, mem);
    else
        hf_controllers_wake(c, o, left);
    return false;
}
