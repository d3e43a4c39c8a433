/* What is done to a volume that stays: snapshots, going back to one, flattening. Tried again until it is done
 * or cannot be. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "holdfast/v1/storage.pb-c.h"
#include "hostd/instance_rec.h"
#include "hostd/storage_rec.h"
#include "hostd/volume_int.h"

#define SHORT_MS 60000
#define LONG_MS  (6u * 3600 * 1000) /* flattening and going back copy what may be terabytes */

#define KIND(name) HOLDFAST__V1__VOLUME_SPEC__WORK__KIND__##name

static const struct {
    const char *verb;
    enum hf_volume_change_kind change;
    unsigned deadline_ms;
} kinds[] = {
    [KIND(SNAPSHOT)] = {"snapshot", HF_VOLUME_SNAPSHOT, SHORT_MS},
    [KIND(DELETE_SNAPSHOT)] = {"delete a snapshot of", HF_VOLUME_DELETE_SNAPSHOT, SHORT_MS},
    [KIND(REVERT)] = {"revert", HF_VOLUME_REVERT, LONG_MS},
    [KIND(FLATTEN)] = {"flatten", HF_VOLUME_FLATTEN, LONG_MS},
};

static bool is_known(int32_t kind)
{
    return kind > 0 && (size_t)kind < sizeof kinds / sizeof kinds[0];
}

static bool same_work(const struct hf_volume_work *a, const struct hf_volume_work *b)
{
    return a->sequence == b->sequence && a->kind == b->kind;
}

/* --- what is said of it --- */

void hf_volume_rec_work_report(struct hf_volume_rec *r)
{
    const struct hf_volume_work *w = &r->work;
    Holdfast__V1__VolumeReport__Work m = HOLDFAST__V1__VOLUME_REPORT__WORK__INIT;
    m.sequence = w->sequence;
    m.done = w->end == HF_WORK_DONE;
    m.failed = w->end == HF_WORK_FAILED;
    m.error_code = w->end == HF_WORK_FAILED ? hf_code_grpc(w->code) : 0;
    m.message = r->message ? r->message : (char *)protobuf_c_empty_string;
    m.size_bytes = w->size_now_bytes;
    m.percent = w->percent;
    hf_volume_send(r, &m);
}

/* Nothing can be said before it was tried. */
bool hf_volume_rec_work_has_news(const struct hf_volume_rec *r)
{
    return r->work.sequence > 0 && (r->work.end != HF_WORK_OPEN || r->message || r->work.percent > 0);
}

/* --- the work --- */

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
    struct hf_volume_rec *r = arg;
    unsigned percent = total > 0 ? (unsigned)(done * 100 / total) : 0;
    if (r->dead || !same_work(&r->work, &r->trying) || percent == r->work.percent)
        return;
    r->work.percent = percent;
    hf_volume_rec_work_report(r);
}

static bool is_final(hf_status st)
{
    enum hf_code code = hf_status_code(st);
    return code == HF_NOT_FOUND || code == HF_CONFLICT || code == HF_INVALID || code == HF_UNIMPLEMENTED;
}

static void end(struct hf_volume_rec *r, hf_status st, uint64_t size_bytes)
{
    const char *verb = kinds[r->work.kind].verb;
    free(r->message);
    r->message = hf_ok(st) ? NULL : hf_strdup(hf_status_message(st));
    r->work.end = hf_ok(st) ? HF_WORK_DONE : HF_WORK_FAILED;
    r->work.code = hf_status_code(st);
    r->work.size_now_bytes = size_bytes;
    if (hf_ok(st))
        hf_info("%s volume %s: done", verb, r->id);
    else
        hf_warn("%s volume %s: %s", verb, r->id, hf_status_message(st));
    hf_volume_rec_work_report(r);
}

static void on_changed(void *arg, hf_status st, uint64_t size_bytes)
{
    struct hf_volume_rec *r = arg;
    bool ours = same_work(&r->work, &r->trying);
    if (!hf_volume_call_end(r))
        return;
    if (!ours) /* it was told to do something else meanwhile */
        hf_volume_step(r);
    else if (hf_ok(st) || is_final(st))
        end(r, st, size_bytes);
    else
        hf_volume_try_later(r, kinds[r->work.kind].verb, st);
}

static void change(struct hf_volume_rec *r, struct hf_primary *p)
{
    const struct hf_volume_work *w = &r->work;
    struct hf_volume_change c = {.kind = kinds[w->kind].change,
                                 .sequence = w->sequence,
                                 .snapshot = w->snapshot,
                                 .size_bytes = w->size_bytes};
    r->trying = *w;
    hf_volume_call_begin(r);
    p->ops->change_volume(p, r->install_path, &c, kinds[w->kind].deadline_ms, on_progress, on_changed, r);
}

void hf_volume_rec_work_step(struct hf_volume_rec *r, struct hf_primary *p)
{
    if (r->work.end != HF_WORK_OPEN)
        return;
    if (!p->ops->change_volume) {
        hf_status st = hf_error(
            HF_UNIMPLEMENTED, "volumes of this type of storage cannot be snapshotted, reverted or flattened");
        end(r, st, 0);
        hf_status_drop(st);
    } else if (r->work.kind == KIND(REVERT) && hf_instance_recs_use_volume(r->host, r->id)) {
        hf_volume_wait_for(r, "an instance on this host uses the volume");
    } else {
        change(r, p);
    }
}

hf_status hf_volume_rec_work_read(const Holdfast__V1__VolumeAssignment *a, struct hf_volume_work *ret)
{
    const Holdfast__V1__VolumeAssignment__Work *w = a->work;
    *ret = (struct hf_volume_work){.kind = w->kind, .sequence = w->sequence, .size_bytes = w->size_bytes};
    bool named = w->snapshot_uuid[0] != '\0';
    if (!is_known(w->kind) || w->sequence == 0)
        return hf_error(HF_UNIMPLEMENTED, "assign volume %s: work of kind %d is not known", a->uuid,
                        (int)w->kind);
    if (named != (w->kind != KIND(FLATTEN)) || (named && !hf_uuid_parse(w->snapshot_uuid, &ret->snapshot)))
        return hf_error(HF_INVALID, "assign volume %s: '%s' names no snapshot", a->uuid, w->snapshot_uuid);
    return HF_STATUS_OK;
}

/* Said once more when the leader asks again: it has not heard it. */
void hf_volume_rec_work_assign(struct hf_volume_rec *r, const struct hf_volume_work *w)
{
    if (same_work(&r->work, w)) {
        if (hf_volume_rec_work_has_news(r))
            hf_volume_rec_work_report(r);
        return;
    }
    r->work = *w;
    free(r->message);
    r->message = NULL;
    hf_timer_stop(&r->timer);
    hf_backoff_reset(&r->backoff);
}
