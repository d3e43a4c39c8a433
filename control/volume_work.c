#include "control/volume_work.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/conditions.h"
#include "control/placement_guard.h"
#include "control/volume_controller.h"
#include "control/volume_memory.h"

typedef Holdfast__V1__Volume Volume;
typedef Holdfast__V1__VolumeSpec__Work Work;
typedef Holdfast__V1__VolumeStatus__Snapshot Snapshot;

#define KIND(x)        HOLDFAST__V1__VOLUME_SPEC__WORK__KIND__##x
#define SNAPSHOT(x)    HOLDFAST__V1__VOLUME_STATUS__SNAPSHOT__STATE__##x
#define CONDITION_WORK "Work"

static const Volume *volume(const struct hf_world_object *o)
{
    return (const Volume *)(const void *)o->message;
}

static struct hf_world_object *holder(const struct hf_controllers *c, const struct hf_world_object *o)
{
    return hf_world_find(c->world, HOLDFAST__V1__KIND__INSTANCE, volume(o)->spec->instance_uuid);
}

/* What is remembered of the work that is there now. */
static struct hf_volume_work_memory *memory(struct hf_world_object *o)
{
    struct hf_volume_work_memory *m = &hf_volume_memory(o)->work;
    uint64_t sequence = volume(o)->spec->work->sequence;
    if (m->sequence != sequence) {
        free(m->message);
        *m = (struct hf_volume_work_memory){.sequence = sequence};
    }
    return m;
}

const char *hf_volume_work_host(const struct hf_world_object *o)
{
    const struct hf_volume_memory *mem = o->memory;
    const Work *w = volume(o)->spec->work;
    return w != NULL && !volume(o)->spec->deleting && mem != NULL && mem->work.sequence == w->sequence &&
                   mem->work.host_uuid[0] != '\0' && !mem->work.ended
               ? mem->work.host_uuid
               : NULL;
}

void hf_volume_work_report(struct hf_controllers *c, struct hf_world_object *o, const char *host_uuid,
                           const Holdfast__V1__VolumeReport__Work *r)
{
    const Work *w = volume(o)->spec->work;
    if (w == NULL || w->sequence != r->sequence)
        return;
    struct hf_volume_work_memory *m = memory(o);
    if (strcmp(m->host_uuid, host_uuid) != 0 || m->ended)
        return; /* another host has it now, whose word will come */
    m->ended = r->done || r->failed;
    m->failed = r->failed;
    m->error_code = r->error_code;
    m->size_bytes = r->size_bytes;
    m->percent = r->percent;
    free(m->message);
    m->message = r->message[0] != '\0' ? hf_strdup(r->message) : NULL;
    hf_controllers_mark(c, o);
}

/* --- its end --- */

static size_t index_of(const Volume *v, const char *snapshot_uuid)
{
    size_t i = 0;
    while (i < v->status->n_snapshots && strcmp(v->status->snapshots[i]->uuid, snapshot_uuid) != 0)
        i++;
    return i;
}

static void drop_snapshot(Volume *v, size_t i)
{
    Holdfast__V1__VolumeStatus *st = v->status;
    protobuf_c_message_free_unpacked(&st->snapshots[i]->base, NULL);
    memmove(&st->snapshots[i], &st->snapshots[i + 1], (--st->n_snapshots - i) * sizeof *st->snapshots);
}

/* One that was not made leaves, as does one that was deleted; any other one stays. */
static void settle_snapshot(Volume *v, const Work *w, const struct hf_volume_work_memory *m)
{
    size_t i = index_of(v, w->snapshot_uuid);
    bool made = w->kind == KIND(SNAPSHOT) && !m->failed;
    if (i == v->status->n_snapshots)
        return;
    if (w->kind == (m->failed ? KIND(SNAPSHOT) : KIND(DELETE_SNAPSHOT))) {
        drop_snapshot(v, i);
        return;
    }
    v->status->snapshots[i]->state = SNAPSHOT(READY);
    if (made)
        v->status->snapshots[i]->size_bytes = m->size_bytes;
}

static void end(Volume *v, const struct hf_volume_work_memory *m)
{
    Work *w = v->spec->work;
    Holdfast__V1__VolumeStatus *st = v->status;
    settle_snapshot(v, w, m);
    if (w->kind == KIND(FLATTEN) && !m->failed)
        hf_pb_set(&v->spec->image_uuid, "");
    if (m->size_bytes > v->spec->size_bytes) /* that of a root volume may be known only now */
        v->spec->size_bytes = m->size_bytes;
    if (st->last_work == NULL) {
        st->last_work = HF_NEW(Holdfast__V1__VolumeStatus__WorkEnd);
        holdfast__v1__volume_status__work_end__init(st->last_work);
    }
    st->last_work->sequence = w->sequence;
    st->last_work->error_code = m->failed ? m->error_code : 0;
    hf_pb_set(&st->last_work->error_message, m->failed && m->message != NULL ? m->message : "");
    hf_condition_clear(&st->conditions, &st->n_conditions, CONDITION_WORK);
    protobuf_c_message_free_unpacked(&w->base, NULL);
    v->spec->work = NULL;
}

static void end_work(struct hf_controllers *c, struct hf_world_object *o)
{
    struct hf_edit *e = hf_edit_create(&c->editor, "end the work on volume '%s'", volume(o)->meta->name);
    end(hf_edit_change(e, o), memory(o));
    hf_edit_commit(e, NULL, NULL);
    hf_host_assignments_mark(c->assignments, NULL);
}

/* --- until then --- */

static void say(struct hf_controllers *c, struct hf_world_object *o, const char *sentence)
{
    struct hf_edit *e = hf_edit_create(&c->editor, "note about volume '%s'", volume(o)->meta->name);
    Volume *v = hf_edit_change(e, o);
    if (hf_condition_set(&v->status->conditions, &v->status->n_conditions, CONDITION_WORK, false, sentence,
                         hf_controllers_wall_ms(c)))
        hf_edit_commit(e, NULL, NULL);
    else
        hf_edit_drop(e);
}

static void give_to(struct hf_controllers *c, struct hf_world_object *o, const char *host_uuid)
{
    struct hf_volume_work_memory *m = memory(o);
    if (strcmp(m->host_uuid, host_uuid) == 0)
        return;
    snprintf(m->host_uuid, sizeof m->host_uuid, "%s", host_uuid);
    m->percent = 0;
    hf_host_assignments_mark(c->assignments, NULL);
}

/* Its instance has ended for good since: from here on the work keeps it from starting, and any host may do
 * it. */
static void note_stopped(struct hf_controllers *c, struct hf_world_object *o, const struct hf_world_object *i)
{
    if (i != NULL && i->busy)
        return;
    struct hf_edit *e =
        hf_edit_create(&c->editor, "note that volume '%s' is not in use", volume(o)->meta->name);
    ((Volume *)hf_edit_change(e, o))->spec->work->stopped = true;
    if (i != NULL)
        hf_edit_require(e, i);
    hf_edit_commit(e, NULL, NULL);
}

/* The one that has it keeps it while it can. */
static void choose(struct hf_controllers *c, struct hf_world_object *o)
{
    const Holdfast__V1__Host *h = HF_WORLD_GET(c->world, HOST, Host, memory(o)->host_uuid);
    if (h != NULL && hf_volume_reached_by(c, volume(o), h))
        return;
    h = hf_volume_choose_host(c, volume(o));
    if (h != NULL)
        give_to(c, o, h->meta->uuid);
    else if (memory(o)->host_uuid[0] == '\0' && hf_controllers_settled(c))
        say(c, o, "waits for a connected host that reaches its primary storage");
}

/* Who does it; another one when its instance has moved. */
static void find_host(struct hf_controllers *c, struct hf_world_object *o)
{
    struct hf_world_object *io = holder(c, o);
    const Holdfast__V1__Instance *i = io != NULL ? (const Holdfast__V1__Instance *)(void *)io->message : NULL;
    if (volume(o)->spec->work->stopped)
        choose(c, o);
    else if (i != NULL && hf_placement_open(i->placement))
        give_to(c, o, i->placement->host_uuid);
    else if (i == NULL || i->spec->power == HOLDFAST__V1__POWER_STATE__POWER_STOPPED)
        note_stopped(c, o, io);
    else
        give_to(c, o, ""); /* it is about to start somewhere */
}

void hf_volume_work_step(struct hf_controllers *c, struct hf_world_object *o)
{
    struct hf_volume_work_memory *m = memory(o);
    if (m->ended) {
        end_work(c, o);
        return;
    }
    find_host(c, o);
    if (!o->busy && m->message != NULL) {
        say(c, o, m->message);
    } else if (!o->busy && m->percent > 0) {
        char text[32];
        snprintf(text, sizeof text, "%u %%", m->percent);
        say(c, o, text);
    }
    hf_controllers_wake(c, o, HF_CONTROLLERS_TICK_MS); /* its instance may have moved */
}

/* --- what it keeps from starting --- */

static bool keeps(const struct hf_controllers *c, const char *volume_uuid, const char **ret_name)
{
    const Volume *v = HF_WORLD_GET(c->world, VOLUME, Volume, volume_uuid);
    if (v == NULL || v->spec->work == NULL || !v->spec->work->stopped || v->spec->deleting)
        return false;
    *ret_name = v->meta->name;
    return true;
}

char *hf_volume_work_keeps(const struct hf_controllers *c, const Holdfast__V1__Instance *i)
{
    const char *name = NULL;
    bool kept = keeps(c, i->spec->root_volume_uuid, &name);
    for (size_t k = 0; k < i->spec->n_data_volume_uuids && !kept; k++)
        kept = keeps(c, i->spec->data_volume_uuids[k], &name);
    return kept ? hf_printf("waits for the work on its volume '%s' to end", name) : NULL;
}
