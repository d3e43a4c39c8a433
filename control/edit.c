#include "control/edit.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/buggify.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "base/pb_copy.h"
#include "control/command.h"

enum op_kind { OP_CHANGE, OP_ADD, OP_DELETE, OP_REQUIRE };

struct op {
    enum op_kind op;
    uint32_t kind;
    struct hf_uuid uuid;
    uint64_t revision;         /* as decided on; 0: absent */
    ProtobufCMessage *message; /* CHANGE, ADD */
};

struct hf_edit {
    struct hf_editor *editor; /* NULL: its user is gone */
    struct hf_edit *next;     /* in editor->live */
    struct hf_control *control;
    uint64_t generation; /* of the world */
    char *what;
    struct op *ops;
    size_t n_ops;
    void (*done)(void *arg, bool applied);
    void *done_arg;
};

struct hf_edit *hf_edit_create(struct hf_editor *editor, const char *what, ...)
{
    struct hf_edit *e = HF_NEW(struct hf_edit);
    e->editor = editor;
    e->next = editor->live;
    editor->live = e;
    e->control = editor->control;
    e->generation = hf_world_generation(editor->world);
    va_list ap;
    va_start(ap, what);
    e->what = hf_vprintf(what, ap);
    va_end(ap);
    return e;
}

void hf_editor_done(struct hf_editor *editor)
{
    for (struct hf_edit *e = editor->live; e != NULL; e = e->next)
        e->editor = NULL;
    editor->live = NULL;
}

/* The world that the edit was decided on is gone (this node stopped leading meanwhile, or shuts down). */
static bool outdated(const struct hf_edit *e)
{
    return e->editor == NULL || e->generation != hf_world_generation(e->editor->world);
}

static struct op *add_op(struct hf_edit *e, enum op_kind op, uint32_t kind, const struct hf_uuid *uuid,
                         uint64_t revision)
{
    e->ops = hf_realloc_array(e->ops, e->n_ops + 1, sizeof *e->ops);
    struct op *o = &e->ops[e->n_ops++];
    *o = (struct op){.op = op, .kind = kind, .uuid = *uuid, .revision = revision};
    return o;
}

void *hf_edit_change(struct hf_edit *e, struct hf_world_object *o)
{
    for (size_t i = 0; i < e->n_ops; i++)
        if (e->ops[i].op == OP_CHANGE && hf_uuid_equal(&e->ops[i].uuid, &o->uuid))
            return e->ops[i].message;
    HF_ASSERT(!o->busy);
    o->busy = true;
    struct op *op = add_op(e, OP_CHANGE, o->kind, &o->uuid, o->revision);
    op->message = hf_pb_copy(o->message);
    return op->message;
}

void hf_edit_add(struct hf_edit *e, ProtobufCMessage *take_m)
{
    struct hf_uuid uuid;
    bool valid = hf_uuid_parse(hf_message_meta(take_m)->uuid, &uuid);
    HF_ASSERT(valid);
    struct op *op = add_op(e, OP_ADD, (uint32_t)hf_kind_of_message(take_m->descriptor)->kind, &uuid, 0);
    op->message = take_m;
}

void hf_edit_delete(struct hf_edit *e, struct hf_world_object *o)
{
    HF_ASSERT(!o->busy);
    o->busy = true;
    add_op(e, OP_DELETE, o->kind, &o->uuid, o->revision);
}

void hf_edit_require(struct hf_edit *e, const struct hf_world_object *o)
{
    add_op(e, OP_REQUIRE, o->kind, &o->uuid, o->revision);
}

static void free_edit(struct hf_edit *e)
{
    if (e->editor != NULL) {
        struct hf_edit **link = &e->editor->live;
        while (*link != e)
            link = &(*link)->next;
        *link = e->next;
    }
    for (size_t i = 0; i < e->n_ops; i++)
        if (e->ops[i].message != NULL)
            protobuf_c_message_free_unpacked(e->ops[i].message, NULL);
    free(e->ops);
    free(e->what);
    free(e);
}

/* The objects are free again; each is taken in as the store has it, and looked at: at once, or later after a
 * failure. */
static void release(struct hf_edit *e, bool failed)
{
    struct hf_world *w = e->editor->world;
    for (size_t i = 0; i < e->n_ops; i++) {
        const struct op *op = &e->ops[i];
        if (op->op == OP_REQUIRE)
            continue;
        hf_world_refresh(w, op->kind, &op->uuid);
        struct hf_world_object *o = hf_world_find_uuid(w, op->kind, &op->uuid);
        if (o == NULL)
            continue;
        o->busy = false;
        if (failed)
            o->due_ms =
                HF_MUTANT(FAILED_EDIT_DROPPED) ? 0 : hf_env_now_ms(e->control->env) + HF_EDIT_RETRY_MS;
        else
            o->dirty = true;
    }
}

void hf_edit_drop(struct hf_edit *e)
{
    for (size_t i = 0; i < e->n_ops; i++) {
        struct hf_world_object *o = hf_world_find_uuid(e->editor->world, e->ops[i].kind, &e->ops[i].uuid);
        if (o != NULL && e->ops[i].op != OP_REQUIRE)
            o->busy = false;
    }
    free_edit(e);
}

static bool still_as_seen(const struct hf_edit *e, const struct hf_store *s)
{
    for (size_t i = 0; i < e->n_ops; i++) {
        const struct hf_object *o = hf_store_get(s, &e->ops[i].uuid);
        if ((o != NULL ? o->revision : 0) != e->ops[i].revision)
            return false;
    }
    return true;
}

static hf_status build(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_edit *e = arg;
    if (outdated(e) || !still_as_seen(e, s) || HF_BUGGIFY(EDIT_OUTDATED))
        return HF_STATUS_OK;
    for (size_t i = 0; i < e->n_ops; i++) {
        struct op *op = &e->ops[i];
        if (op->op == OP_CHANGE || op->op == OP_ADD)
            hf_txn_put_message(t, e->control->env, op->message);
        else
            hf_txn_check(t, &op->uuid, op->revision);
        if (op->op == OP_DELETE)
            hf_txn_delete(t, &op->uuid);
    }
    return HF_STATUS_OK;
}

static void command_done(void *arg, hf_status st, const struct hf_txn_result *res)
{
    struct hf_edit *e = arg;
    bool applied = hf_ok(st) && res != NULL;
    if (!hf_ok(st) && hf_status_code(st) != HF_NOT_LEADER)
        hf_warn("%s: %s", e->what, hf_status_message(st));
    if (!outdated(e)) {
        release(e, !hf_ok(st));
        if (e->done != NULL)
            e->done(e->done_arg, applied);
        e->editor->kick(e->editor->arg);
    }
    free_edit(e);
}

void hf_edit_commit(struct hf_edit *e, void (*done)(void *arg, bool applied), void *arg)
{
    HF_ASSERT(e->n_ops > 0);
    e->done = done;
    e->done_arg = arg;
    hf_command_run(e->control, &(struct hf_command){.build = build, .done = command_done, .arg = e});
}
