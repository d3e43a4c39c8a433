#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/mutant.h"
#include "control/drain_controller.h"
#include "control/operation_controller.h"
#include "control/operation_verdict.h"
#include "control/placement_guard.h"
#include "control/settings.h"

#define HOUR_MS (60LL * 60 * 1000)

typedef Holdfast__V1__Operation Operation;
#define STATE(name) HOLDFAST__V1__OPERATION__STATE__##name

static const Operation *operation(const struct hf_world_object *o)
{
    return (const Operation *)(const void *)o->message;
}

/* The host that an operation on an instance waits for: where it is or, of one that moves, where it goes. */
static const char *place_of(const struct hf_controllers *c, const ProtobufCMessage *target)
{
    if (target == NULL || target->descriptor != &holdfast__v1__instance__descriptor)
        return "";
    const Holdfast__V1__Placement *p = ((const Holdfast__V1__Instance *)(const void *)target)->placement;
    const char *uuid = hf_migration_open(p) ? p->migration->target_host_uuid : p != NULL ? p->host_uuid : "";
    const Holdfast__V1__Host *h = HF_WORLD_GET(c->world, HOST, Host, uuid);
    return h != NULL ? h->meta->name : "";
}

static void end(struct hf_controllers *c, Operation *op, const struct hf_verdict *v)
{
    op->state = v->kind == HF_VERDICT_SUCCEEDED ? STATE(SUCCEEDED)
                : v->kind == HF_VERDICT_FAILED  ? STATE(FAILED)
                                                : STATE(CANCELLED);
    op->ended_at_ms = hf_controllers_wall_ms(c);
    hf_pb_set(&op->step, "");
    if (v->kind == HF_VERDICT_FAILED) {
        op->error_code = hf_code_grpc(v->code);
        hf_pb_set(&op->error_message, v->text);
    } else if (v->kind == HF_VERDICT_CANCELLED) {
        op->error_code = hf_code_grpc(HF_CANCELLED);
        hf_pb_set(&op->error_message, "cancelled");
    }
}

/* A cancelled start is taken back: the instance is stopped in the same transaction. False: it is busy now. */
static bool stop_target(struct hf_edit *e, struct hf_world_object *target)
{
    if (target->busy)
        return false;
    Holdfast__V1__Instance *i = hf_edit_change(e, target);
    i->spec->power = HOLDFAST__V1__POWER_STATE__POWER_STOPPED;
    i->spec->force_stop = true;
    return true;
}

void hf_operation_reconcile(struct hf_controllers *c, struct hf_world_object *o)
{
    const Operation *op = operation(o);
    if ((op->state != STATE(RUNNING) && !HF_MUTANT(OPERATION_JUDGED_AGAIN)) || hf_drain_owns(c, op))
        return;
    struct hf_world_object *target = hf_world_find(c->world, op->target_kind, op->target_uuid);
    struct hf_verdict v;
    const ProtobufCMessage *m = target != NULL ? target->message : NULL;
    hf_verdict_of(op, m, place_of(c, m), &v);
    if (v.kind == HF_VERDICT_RUNNING && strcmp(v.text, op->step) == 0)
        return;

    struct hf_edit *e = hf_edit_create(&c->editor, "note the progress of operation %s", op->meta->uuid);
    if (v.stop_target && !stop_target(e, target)) {
        hf_edit_drop(e);
        hf_controllers_wake(c, o, HF_CONTROLLERS_TICK_MS);
        return;
    }
    Operation *changed = hf_edit_change(e, o);
    if (v.kind == HF_VERDICT_RUNNING)
        hf_pb_set(&changed->step, v.text);
    else
        end(c, changed, &v);
    hf_edit_commit(e, NULL, NULL);
}

static int by_end(const void *a, const void *b)
{
    const Operation *x = operation(*(struct hf_world_object *const *)a),
                    *y = operation(*(struct hf_world_object *const *)b);
    return (x->ended_at_ms > y->ended_at_ms) - (x->ended_at_ms < y->ended_at_ms);
}

void hf_operations_forget(struct hf_controllers *c)
{
    size_t n = hf_world_count(c->world, HOLDFAST__V1__KIND__OPERATION), ended = 0;
    struct hf_world_object **list = hf_alloc_array(n, sizeof *list);
    for (size_t i = 0; i < n; i++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__OPERATION, i);
        if (operation(o)->state != STATE(RUNNING) && !o->busy)
            list[ended++] = o;
    }
    qsort(list, ended, sizeof *list, by_end);
    int64_t kept_ms = hf_setting_int(hf_control_store(c->control), "operation.retention") * HOUR_MS;
    int64_t oldest = hf_controllers_wall_ms(c) - kept_ms;
    struct hf_edit *e = NULL;
    for (size_t i = 0; i < ended && i < HF_OPERATIONS_FORGET_MAX; i++) {
        if (ended - i <= HF_OPERATIONS_KEPT_MAX && operation(list[i])->ended_at_ms >= oldest)
            break;
        if (e == NULL)
            e = hf_edit_create(&c->editor, "forget ended operations");
        hf_edit_delete(e, list[i]);
    }
    if (e != NULL)
        hf_edit_commit(e, NULL, NULL);
    free(list);
}
