/* What HA has done, for whoever asks: the timeline of a failover, how long restarts took; and drills, which
 * make more of both. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/api_handlers.h"
#include "control/api_rules.h"
#include "control/fence_object.h"
#include "control/recovery_times.h"
#include "control/timeline.h"
#include "holdfast/v1/ha.pb-c.h"

typedef Holdfast__V1__Failover Failover;
typedef Holdfast__V1__Fence Fence;
typedef Holdfast__V1__Timeline Timeline;

const struct hf_kind_rules hf_drill_rules = {.kind = HOLDFAST__V1__KIND__DRILL};

/* The instance's failover from this run, or from the last that was lost (run 0); NULL: there is none.
 * Failovers are named
 * "<instance uuid>/<run>". */
static Failover *find_failover(const struct hf_store *s, const char *instance_uuid, uint64_t run)
{
    Failover *found = NULL;
    size_t len = strlen(instance_uuid);
    for (const struct hf_object *o = hf_store_next(s, HOLDFAST__V1__KIND__FAILOVER, instance_uuid);
         o != NULL && strncmp(o->name, instance_uuid, len) == 0 && o->name[len] == '/';
         o = hf_store_next(s, HOLDFAST__V1__KIND__FAILOVER, o->name)) {
        Failover *f = (Failover *)(void *)hf_object_decode(o);
        bool better = f != NULL &&
                      (run != 0 ? f->run_before == run : found == NULL || f->run_before > found->run_before);
        Failover *worse = better ? found : f;
        if (worse != NULL)
            holdfast__v1__failover__free_unpacked(worse, NULL);
        if (better)
            found = f;
    }
    return found;
}

static void answer_timeline(struct hf_api_call *c, const Failover *f, const Fence *fence)
{
    size_t n_fence = fence != NULL ? fence->n_timeline : 0;
    Timeline t = HOLDFAST__V1__TIMELINE__INIT;
    t.instance_name = f->instance_name;
    t.run_before = f->run_before;
    t.run_after = f->run_after;
    t.outcome = f->outcome;
    t.n_events = n_fence + f->n_timeline;
    t.events = hf_alloc_array(t.n_events, sizeof(Holdfast__V1__TimelineEvent *));
    for (size_t i = 0; i < n_fence; i++)
        t.events[i] = fence->timeline[i];
    for (size_t i = 0; i < f->n_timeline; i++)
        t.events[n_fence + i] = f->timeline[i];
    hf_timeline_sort(t.events, t.n_events);
    hf_call_answer(c, &t.base);
    free(t.events);
}

static void get_timeline(struct hf_api_call *c)
{
    const Holdfast__V1__GetTimelineRequest *r = (const Holdfast__V1__GetTimelineRequest *)c->request;
    const struct hf_store *s = hf_call_store(c);
    Failover *f = r->instance_uuid[0] != '\0' ? find_failover(s, r->instance_uuid, r->run) : NULL;
    if (f == NULL) {
        hf_call_end(
            c, hf_error(
                   HF_NOT_FOUND,
                   "the instance has never been lost with its host or a storage (of ended failovers the "
                   "last thousand are kept)%s",
                   r->run != 0 ? " in this run" : ""));
        return;
    }
    Fence *fence = (Fence *)(void *)hf_object_find(s, HOLDFAST__V1__KIND__FENCE, f->fence_uuid, NULL);
    answer_timeline(c, f, fence);
    if (fence != NULL)
        holdfast__v1__fence__free_unpacked(fence, NULL);
    holdfast__v1__failover__free_unpacked(f, NULL);
}

void hf_handle_get_timeline(struct hf_api_call *c)
{
    hf_call_read(c, false, get_timeline);
}

static void get_recovery_times(struct hf_api_call *c)
{
    const struct hf_store *s = hf_call_store(c);
    struct hf_recovery_times *t = hf_recovery_times_create();
    for (const struct hf_object *o = hf_store_next(s, HOLDFAST__V1__KIND__FAILOVER, NULL); o != NULL;
         o = hf_store_next(s, HOLDFAST__V1__KIND__FAILOVER, o->name)) {
        Failover *f = (Failover *)(void *)hf_object_decode(o);
        if (f == NULL)
            continue;
        hf_recovery_times_add(t, f);
        holdfast__v1__failover__free_unpacked(f, NULL);
    }
    Holdfast__V1__RecoveryTimes answer;
    hf_recovery_times_answer(t, &answer);
    hf_call_answer(c, &answer.base);
    hf_recovery_times_free(t);
}

void hf_handle_get_recovery_times(struct hf_api_call *c)
{
    hf_call_read(c, false, get_recovery_times);
}

static hf_status build_drill(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    const struct hf_api_plugs *p = &c->api->plugs;
    const Holdfast__V1__DrillHostRequest *r = (const Holdfast__V1__DrillHostRequest *)c->request;
    if (p->hosts == NULL)
        return hf_error(HF_UNAVAILABLE, "drill a host: this node runs without controllers");
    return p->hosts->drill(p->hosts_arg, s, t, r->host_uuid, r->force);
}

void hf_handle_drill_host(struct hf_api_call *c)
{
    hf_call_write(c, HF_ROOM_ADD, build_drill);
}
