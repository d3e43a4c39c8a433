#include "control/operation_verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mutant.h"
#include "control/conditions.h"
#include "control/instance_step.h"
#include "control/placement_guard.h"

typedef Holdfast__V1__Operation Operation;
typedef Holdfast__V1__Instance Instance;
#define STATE(name) HOLDFAST__V1__INSTANCE_STATUS__STATE__##name
#define POWER(name) HOLDFAST__V1__POWER_STATE__POWER_##name
#define PHASE(name) HOLDFAST__V1__PLACEMENT__MIGRATION__PHASE__##name

static void running(struct hf_verdict *v, const char *fmt, ...) HF_PRINTF(2, 3);
static void running(struct hf_verdict *v, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    v->kind = HF_VERDICT_RUNNING;
    vsnprintf(v->text, sizeof v->text, fmt, ap);
    va_end(ap);
}

static void failed(struct hf_verdict *v, enum hf_code code, const char *fmt, ...) HF_PRINTF(3, 4);
static void failed(struct hf_verdict *v, enum hf_code code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    v->kind = HF_VERDICT_FAILED;
    v->code = code;
    vsnprintf(v->text, sizeof v->text, fmt, ap);
    va_end(ap);
}

/* --- hosts, images, volumes --- */

static void create_host(const Holdfast__V1__Host *h, struct hf_verdict *v)
{
    const Holdfast__V1__HostStatus *st = h->status;
    if (st != NULL && st->state == HOLDFAST__V1__HOST_STATUS__STATE__CONNECTED && st->epoch > 0)
        v->kind = HF_VERDICT_SUCCEEDED;
    else
        running(v, "waits for the daemon of host '%s' to attach", h->meta->name);
}

static void host(const Operation *op, const Holdfast__V1__Host *h, struct hf_verdict *v)
{
    if (strcmp(op->verb, "CreateHost") == 0)
        create_host(h, v);
    else if (h->spec->drain == NULL) /* of a drain: asked only when the host does not follow it any more */
        v->kind = HF_VERDICT_CANCELLED;
    else
        failed(v, HF_CONFLICT, "drain host '%s': another order took its place", h->meta->name);
}

static void create_image(const Holdfast__V1__Image *m, struct hf_verdict *v)
{
    const Holdfast__V1__ImageStatus *st = m->status;
    const char *note = st != NULL ? hf_condition_message(st->conditions, st->n_conditions, HF_CONDITION_FETCH) : NULL;
    if (st != NULL && st->state == HOLDFAST__V1__IMAGE_STATUS__STATE__READY)
        v->kind = HF_VERDICT_SUCCEEDED;
    else if (st != NULL && st->state == HOLDFAST__V1__IMAGE_STATUS__STATE__FAILED)
        failed(v, HF_INVALID, "image '%s': %s", m->meta->name,
               note != NULL ? note : "it could not be fetched");
    else
        running(v, "%s image '%s'%s%s",
                st != NULL && st->state == HOLDFAST__V1__IMAGE_STATUS__STATE__UPLOADING ? "waits for the file of"
                                                                                        : "fetches",
                m->meta->name, note != NULL ? ": " : "", note != NULL ? note : "");
}

static void delete_volume(const Holdfast__V1__Volume *m, struct hf_verdict *v)
{
    const char *note = m->status != NULL
                           ? hf_condition_message(m->status->conditions, m->status->n_conditions, "Delete")
                           : NULL;
    running(v, "deletes the file of volume '%s'%s%s", m->meta->name, note != NULL ? ": " : "",
            note != NULL ? note : "");
}

static void resize_volume(const Holdfast__V1__Volume *m, struct hf_verdict *v)
{
    const Holdfast__V1__VolumeStatus *st = m->status;
    if (m->spec->deleting) {
        failed(v, HF_PRECONDITION, "resize volume '%s': it is being deleted", m->meta->name);
    } else if (st == NULL || st->growing_to_bytes == 0) {
        v->kind = HF_VERDICT_SUCCEEDED;
    } else {
        const char *note = hf_condition_message(st->conditions, st->n_conditions, "Resize");
        running(v, "waits for its host to tell the guest that volume '%s' is larger%s%s", m->meta->name,
                note != NULL ? ": " : "", note != NULL ? note : "");
    }
}

static const struct {
    const char *verb, *does;
} volume_works[] = {
    {"SnapshotVolume", "makes a snapshot of"},
    {"DeleteVolumeSnapshot", "deletes a snapshot of"},
    {"RevertVolume", "reverts"},
    {"FlattenVolume", "flattens"},
};

static void work_on_volume(const Operation *op, const Holdfast__V1__Volume *m, const char *does, struct hf_verdict *v)
{
    const Holdfast__V1__VolumeStatus *st = m->status;
    const Holdfast__V1__VolumeStatus__WorkEnd *last = st->last_work;
    const char *note = hf_condition_message(st->conditions, st->n_conditions, "Work");
    if (m->spec->deleting)
        failed(v, HF_PRECONDITION, "volume '%s' is being deleted", m->meta->name);
    else if (m->spec->work != NULL && m->spec->work->sequence == op->target_run)
        running(v, "%s volume '%s'%s%s", does, m->meta->name, note != NULL ? ": " : "", note != NULL ? note : "");
    else if (last == NULL || last->sequence != op->target_run)
        failed(v, HF_UNKNOWN_OUTCOME, "volume '%s': how it ended is not known any more, other work has followed",
               m->meta->name);
    else if (last->error_code != 0)
        failed(v, hf_code_from_grpc(last->error_code), "volume '%s': %s", m->meta->name, last->error_message);
    else
        v->kind = HF_VERDICT_SUCCEEDED;
}

static void volume(const Operation *op, const Holdfast__V1__Volume *m, struct hf_verdict *v)
{
    for (size_t i = 0; i < sizeof volume_works / sizeof volume_works[0]; i++) {
        if (strcmp(op->verb, volume_works[i].verb) == 0) {
            work_on_volume(op, m, volume_works[i].does, v);
            return;
        }
    }
    if (strcmp(op->verb, "ResizeVolume") == 0)
        resize_volume(m, v);
    else
        delete_volume(m, v);
}

/* --- instances --- */

static const char *condition(const Instance *i, const char *type)
{
    return i->status != NULL ? hf_condition_message(i->status->conditions, i->status->n_conditions, type)
                             : NULL;
}

/* What was said of it since the operation began, or NULL. */
static const char *said_since(const Instance *i, const char *type, const Operation *op)
{
    for (size_t k = 0; i->status != NULL && k < i->status->n_conditions; k++)
        if (strcmp(i->status->conditions[k]->type, type) == 0 &&
            i->status->conditions[k]->since_ms >= op->started_at_ms)
            return i->status->conditions[k]->message;
    return NULL;
}

static bool runs(const Instance *i)
{
    return hf_placement_open(i->placement) && i->status != NULL && i->status->seen_run == i->placement->run &&
           (i->status->state == STATE(RUNNING) || i->status->state == STATE(PAUSED));
}

/* It will not run for this operation any more: power is off, or nobody takes it. */
static void start_failed(const Instance *i, struct hf_verdict *v)
{
    const char *no_room = condition(i, HF_CONDITION_SCHEDULING),
               *waiting = condition(i, HF_CONDITION_WAITING);
    const char *ended = condition(i, HF_CONDITION_READY);
    if (no_room != NULL)
        failed(v, HF_EXHAUSTED, "%s", no_room);
    else if (waiting != NULL)
        failed(v, HF_PRECONDITION, "start instance '%s': %s", i->meta->name, waiting);
    else
        failed(v, HF_INTERNAL, "start instance '%s': %s", i->meta->name,
               ended != NULL ? ended : "it was stopped meanwhile");
}

static void start_step(const Instance *i, const char *place, struct hf_verdict *v)
{
    const char *ready = condition(i, HF_CONDITION_READY), *waiting = condition(i, HF_CONDITION_WAITING);
    if (hf_placement_open(i->placement))
        running(v, "starts on host '%s'%s%s", place, ready != NULL ? ": " : "", ready != NULL ? ready : "");
    else if (waiting != NULL)
        running(v, "%s", waiting);
    else if (i->status != NULL && i->status->start_failures > 0)
        running(v, "tries again after %u failed start%s: %s", i->status->start_failures,
                i->status->start_failures == 1 ? "" : "s", ready != NULL ? ready : "no reason was given");
    else
        running(v, "looks for a host");
}

static void start(const Operation *op, const Instance *i, const char *place, struct hf_verdict *v)
{
    bool open = hf_placement_open(i->placement);
    bool wanted = i->spec->power != POWER(STOPPED) && !i->spec->deleting;
    if (runs(i) && i->placement->run >= op->target_run) {
        v->kind = HF_VERDICT_SUCCEEDED;
    } else if (op->cancel_requested) {
        v->kind = HF_VERDICT_CANCELLED;
        v->stop_target = wanted;
    } else if (!open && !wanted) {
        start_failed(i, v);
    } else if (!open && said_since(i, HF_CONDITION_SCHEDULING, op) != NULL) {
        failed(v, HF_EXHAUSTED, "%s; being NeverStop, it starts as soon as there is room",
               said_since(i, HF_CONDITION_SCHEDULING, op));
    } else {
        start_step(i, place, v);
    }
}

static void stop(const Operation *op, const Instance *i, const char *place, struct hf_verdict *v)
{
    bool open = hf_placement_open(i->placement);
    if (!open || (op->target_run > 0 && i->placement->run > op->target_run))
        v->kind = HF_VERDICT_SUCCEEDED;
    else if (i->spec->power != POWER(STOPPED))
        failed(v, HF_CONFLICT, "stop instance '%s': another order took its place", i->meta->name);
    else if (i->status != NULL && i->status->state == STATE(UNKNOWN))
        running(v, "waits for host '%s', which has no contact", place);
    else
        running(v, "waits for the guest to power off on host '%s'", place);
}

static void reboot(const Operation *op, const Instance *i, const char *place, struct hf_verdict *v)
{
    if (i->status != NULL && i->status->reboot_done >= op->target_run)
        v->kind = HF_VERDICT_SUCCEEDED;
    else if (!hf_placement_open(i->placement) && !HF_MUTANT(OPERATION_ENDLESS))
        failed(v, HF_PRECONDITION, "reboot instance '%s': it has stopped", i->meta->name);
    else
        running(v, "reboots on host '%s'", place);
}

static void pause_or_resume(const Instance *i, bool pause, const char *place, struct hf_verdict *v)
{
    const char *verb = pause ? "pause" : "resume";
    if (!hf_placement_open(i->placement))
        failed(v, HF_PRECONDITION, "%s instance '%s': it has stopped", verb, i->meta->name);
    else if (i->spec->power != (pause ? POWER(PAUSED) : POWER(RUNNING)))
        failed(v, HF_CONFLICT, "%s instance '%s': another order took its place", verb, i->meta->name);
    else if (i->status != NULL && i->status->state == (pause ? STATE(PAUSED) : STATE(RUNNING)))
        v->kind = HF_VERDICT_SUCCEEDED;
    else
        running(v, "waits for host '%s' to %s it", place, verb);
}

static void migrate(const Operation *op, const Instance *i, const char *place, struct hf_verdict *v)
{
    const Holdfast__V1__Placement__Migration *m = i->placement != NULL ? i->placement->migration : NULL;
    bool ours = m != NULL && m->run == op->target_run;
    if (ours && m->phase == PHASE(CANCELLED)) {
        v->kind = HF_VERDICT_CANCELLED;
        if (!op->cancel_requested)
            failed(v, HF_PRECONDITION, "migrate instance '%s': %s", i->meta->name, m->reason);
    } else if (ours && m->phase == PHASE(CANCELLING)) {
        running(v, "calls it off: %s", m->reason);
    } else if (ours && m->phase == PHASE(OPEN) && i->status->migration_percent > 0) {
        running(v, "moves to host '%s': %u %%", place, i->status->migration_percent);
    } else if (ours && m->phase == PHASE(OPEN)) {
        running(v, "moves to host '%s'", place);
    } else if (i->placement == NULL || i->placement->run != op->target_run || i->placement->end != NULL) {
        failed(v, HF_PRECONDITION, "migrate instance '%s': its run ended", i->meta->name);
    } else if (runs(i)) {
        v->kind = HF_VERDICT_SUCCEEDED;
    } else {
        running(v, "goes on at host '%s'", place);
    }
}

static void delete_instance(const Instance *i, const char *place, struct hf_verdict *v)
{
    if (hf_placement_open(i->placement))
        running(v, "waits for it to end on host '%s'", place);
    else
        running(v, "deletes its root volume");
}

static void instance(const Operation *op, const Instance *i, const char *place, struct hf_verdict *v)
{
    if (strcmp(op->verb, "CreateInstance") == 0 || strcmp(op->verb, "StartInstance") == 0)
        start(op, i, place, v);
    else if (strcmp(op->verb, "StopInstance") == 0)
        stop(op, i, place, v);
    else if (strcmp(op->verb, "RebootInstance") == 0)
        reboot(op, i, place, v);
    else if (strcmp(op->verb, "PauseInstance") == 0)
        pause_or_resume(i, true, place, v);
    else if (strcmp(op->verb, "ResumeInstance") == 0)
        pause_or_resume(i, false, place, v);
    else if (strcmp(op->verb, "MigrateInstance") == 0)
        migrate(op, i, place, v);
    else if (strcmp(op->verb, "DeleteInstance") == 0)
        delete_instance(i, place, v);
    else
        failed(v, HF_UNIMPLEMENTED, "this control node does not know '%s'", op->verb);
}

static bool is_delete(const Operation *op)
{
    return strncmp(op->verb, "Delete", 6) == 0;
}

/* What is under way cannot always be taken back: a start can, and one need not wait for a host, an image, or a
 * guest that hears of its larger disk. */
static void cancel(const Operation *op, struct hf_verdict *v)
{
    if (strcmp(op->verb, "MigrateInstance") == 0)
        return; /* its controller has heard it */
    if (strcmp(op->verb, "CreateHost") == 0 || strcmp(op->verb, "CreateImage") == 0 ||
        strcmp(op->verb, "UploadImage") == 0 || strcmp(op->verb, "ResizeVolume") == 0) {
        v->kind = HF_VERDICT_CANCELLED;
        return;
    }
    char step[HF_STEP_MAX];
    snprintf(step, sizeof step, "%s", v->text);
    running(v, "cannot be taken back any more; %.900s", step);
}

void hf_verdict_of(const Operation *op, const ProtobufCMessage *target, const char *place,
                   struct hf_verdict *ret)
{
    *ret = (struct hf_verdict){.kind = HF_VERDICT_RUNNING};
    if (target == NULL && is_delete(op))
        ret->kind = HF_VERDICT_SUCCEEDED;
    else if (target == NULL)
        failed(ret, HF_NOT_FOUND, "'%s' was deleted meanwhile", op->target_name);
    else if (target->descriptor == &holdfast__v1__instance__descriptor)
        instance(op, (const Instance *)(const void *)target, place, ret);
    else if (target->descriptor == &holdfast__v1__host__descriptor)
        host(op, (const Holdfast__V1__Host *)(const void *)target, ret);
    else if (target->descriptor == &holdfast__v1__image__descriptor)
        create_image((const Holdfast__V1__Image *)(const void *)target, ret);
    else if (target->descriptor == &holdfast__v1__volume__descriptor)
        volume(op, (const Holdfast__V1__Volume *)(const void *)target, ret);
    else
        failed(ret, HF_UNIMPLEMENTED, "this control node does not know '%s'", op->verb);
    if (op->cancel_requested && ret->kind == HF_VERDICT_RUNNING)
        cancel(op, ret);
}
