/* From the world and the detector to the view of ha/fence_decide.h, and from its actions to fences and
 * evidence. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "control/conditions.h"
#include "control/drain_record.h"
#include "control/fence_object.h"
#include "control/ha_blocklist.h"
#include "control/ha_controller.h"
#include "control/placement_guard.h"
#include "control/settings.h"
#include "control/storage_kind.h"
#include "control/storage_session.h"
#include "control/takeover.h"
#include "control/timeline.h"
#include "ha/fence_decide.h"

#define CONDITION_HA "HA" /* of a host: why its fence is held */

typedef Holdfast__V1__Host Host;
typedef Holdfast__V1__Fence Fence;

/* The view, and the world's objects behind its entries. */
struct view_parts {
    struct hf_fence_host *hosts;
    struct hf_world_object **objects;
    size_t n;
};

static struct hf_world_object *fence_object(const struct hf_controllers *c, const char *host_uuid,
                                            uint64_t epoch)
{
    struct hf_uuid uuid = hf_fence_uuid(host_uuid, epoch);
    return hf_world_find_uuid(c->world, HOLDFAST__V1__KIND__FENCE, &uuid);
}

static bool proves_all(const Fence *f)
{
    for (size_t i = 0; f != NULL && i < f->n_evidence; i++)
        if (hf_evidence_covers_all(f->evidence[i]->kind))
            return true;
    return false;
}

/* Something may run on it, in this life or another. */
static bool is_used(const struct hf_controllers *c, const Host *h)
{
    for (size_t k = 0; k < hf_world_count(c->world, HOLDFAST__V1__KIND__INSTANCE); k++) {
        const Holdfast__V1__Instance *i = HF_WORLD_AT(c->world, INSTANCE, Instance, k);
        if (hf_placement_touches(i->placement, h->meta->uuid))
            return true;
    }
    return false;
}

/* Which of them a run on this life of the host has a disk on. */
static void mark_in_use(const struct hf_controllers *c, const Host *h, struct hf_fence_storage *list,
                        size_t n)
{
    for (size_t k = 0; k < hf_world_count(c->world, HOLDFAST__V1__KIND__INSTANCE); k++) {
        const Holdfast__V1__Instance *i = HF_WORLD_AT(c->world, INSTANCE, Instance, k);
        if (!hf_placement_at(i->placement, h->meta->uuid, h->status->epoch))
            continue;
        for (size_t s = 0; s < i->spec->n_storage_uuids; s++) {
            struct hf_uuid uuid;
            bool valid = hf_uuid_parse(i->spec->storage_uuids[s], &uuid);
            for (size_t m = 0; valid && m < n; m++)
                list[m].in_use |= hf_uuid_equal(&uuid, &list[m].uuid);
        }
    }
}

/* Rule 15: one of its runs may leave once it cannot write. */
static bool has_write_fenced(const struct hf_controllers *c, const Host *h)
{
    char why[HF_FENCE_TEXT_MAX];
    const Holdfast__V1__Cluster *cl = HF_WORLD_GET(c->world, CLUSTER, Cluster, h->spec->cluster_uuid);
    for (size_t k = 0; k < hf_world_count(c->world, HOLDFAST__V1__KIND__INSTANCE); k++) {
        const Holdfast__V1__Instance *i = HF_WORLD_AT(c->world, INSTANCE, Instance, k);
        if (!hf_placement_open(i->placement) || hf_migration_open(i->placement) ||
            i->placement->epoch != h->status->epoch || strcmp(i->placement->host_uuid, h->meta->uuid) != 0)
            continue;
        if (i->spec->ha_level == HOLDFAST__V1__HA_LEVEL__NEVER_STOP &&
            i->spec->power == HOLDFAST__V1__POWER_STATE__POWER_RUNNING && !i->spec->deleting &&
            hf_takeover_write_fenced(i->spec, cl != NULL ? cl->spec : NULL) &&
            hf_ha_not_write_fenced(c->world, NULL, i, why, sizeof why) == NULL)
            return true;
    }
    return false;
}

/* It was seen there, has a record there, or a run with a disk there. */
static bool has_clients(const Host *h, const struct hf_fence_storage *s)
{
    char uuid[HF_UUID_STR];
    return s->in_use || s->block.state != HF_BLOCK_NONE || s->sign.closed_and_killed ||
           s->sign.state == HF_SIGN_STILL || s->sign.state == HF_SIGN_MOVING ||
           hf_storage_clients(h->status, hf_uuid_format(&s->uuid, uuid)) != NULL;
}

/* Which of them can refuse the host: storages of a cluster that it may be a client of, by whichever. */
static void judge_blocks(struct hf_controllers *c, const Host *h, const Fence *f,
                         struct hf_fence_storage *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const Holdfast__V1__PrimaryStorage *ps = hf_ha_storage_of(c, &list[i].uuid);
        if (hf_storage_is_ceph(ps))
            hf_ha_block_view(c, f, ps, &list[i]);
    }
    for (size_t i = 0; i < n; i++) {
        const Holdfast__V1__PrimaryStorage *ps = hf_ha_storage_of(c, &list[i].uuid);
        for (size_t k = 0; hf_storage_is_ceph(ps) && k < n; k++) {
            const Holdfast__V1__PrimaryStorage *other = hf_ha_storage_of(c, &list[k].uuid);
            list[i].block.possible |=
                hf_storage_is_ceph(other) && has_clients(h, &list[k]) && hf_block_same_cluster(ps, other);
        }
    }
}

/* The shared storages of the host's cluster: there it keeps leases. */
static struct hf_fence_storage *storages_of(struct hf_controllers *c, const struct hf_world_object *host,
                                            Fence *f, bool lost, size_t *ret_n)
{
    const Host *h = (const Host *)(const void *)host->message;
    const Holdfast__V1__Cluster *cl = HF_WORLD_GET(c->world, CLUSTER, Cluster, h->spec->cluster_uuid);
    size_t n = 0, max = cl != NULL ? cl->spec->n_primary_storage_uuids : 0;
    struct hf_fence_storage *list = hf_alloc_array(max, sizeof *list);
    for (size_t i = 0; i < max; i++) {
        struct hf_world_object *o =
            hf_world_find(c->world, HOLDFAST__V1__KIND__PRIMARY_STORAGE, cl->spec->primary_storage_uuids[i]);
        const Holdfast__V1__PrimaryStorage *ps =
            o != NULL ? (const Holdfast__V1__PrimaryStorage *)(void *)o->message : NULL;
        if (ps == NULL || !hf_storage_has_leases(ps))
            continue;
        char *uuid = ps->meta->uuid;
        list[n++] = (struct hf_fence_storage){
            .uuid = o->uuid,
            .name = ps->meta->name,
            .proven = f != NULL && hf_fence_covers(f, &uuid, 1),
            .sign = hf_detector_sign(c->ha->detector, &host->uuid, h->status->epoch, &o->uuid,
                                     hf_storage_session(h->status, uuid), hf_ha_host_timing(c, h),
                                     hf_controllers_now_ms(c)),
        };
    }
    if (lost)
        mark_in_use(c, h, list, n);
    judge_blocks(c, h, f, list, n);
    *ret_n = n;
    return list;
}

static void fill_host(struct hf_controllers *c, struct hf_world_object *o, struct hf_fence_host *ret)
{
    const Host *h = (const Host *)(void *)o->message;
    struct hf_world_object *fo = fence_object(c, h->meta->uuid, h->status->epoch);
    Fence *f = fo != NULL ? (Fence *)(void *)fo->message : NULL;
    *ret = (struct hf_fence_host){
        .uuid = o->uuid,
        .name = h->meta->name,
        .epoch = h->status->epoch,
        .timing = hf_ha_host_timing(c, h),
        .watchdog = hf_watchdog_of_text(h->status->watchdog),
        .fenced = f != NULL,
        .fenced_ms = f != NULL ? hf_controllers_wall_ms(c) - f->meta->created_at_ms : 0,
        .proven = proves_all(f),
    };
    ret->at_rest = hf_drain_may_be_silent(h) && !is_used(c, h) && !HF_MUTANT(MAINTENANCE_IS_LOSS);
    hf_ha_power_view(c, o, &ret->power);
    ret->contact = hf_detector_in_contact(c->ha->detector, &o->uuid, ret->timing, hf_controllers_now_ms(c),
                                          &ret->lost_ms);
    ret->storages = storages_of(c, o, f, !ret->contact, &ret->n_storages);
    ret->heard = hf_detector_has_heard(c->ha->detector, &o->uuid);
    ret->write_fenced = !ret->contact && has_write_fenced(c, h);
}

static void build_view(struct hf_controllers *c, struct view_parts *p)
{
    size_t n = hf_world_count(c->world, HOLDFAST__V1__KIND__HOST);
    p->hosts = hf_alloc_array(n, sizeof *p->hosts);
    p->objects = hf_alloc_array(n, sizeof *p->objects);
    p->n = 0;
    for (size_t i = 0; i < n; i++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__HOST, i);
        const Host *h = (const Host *)(void *)o->message;
        if (h->status == NULL || h->status->epoch == 0)
            continue;
        fill_host(c, o, &p->hosts[p->n]);
        p->objects[p->n++] = o;
    }
}

static void free_view(struct view_parts *p)
{
    for (size_t i = 0; i < p->n; i++)
        free((void *)p->hosts[i].storages);
    free(p->hosts);
    free(p->objects);
}

/* --- the timeline --- */

static const char *observer_name(const struct hf_controllers *c, const struct hf_uuid *observer,
                                 char out[HF_TIMELINE_NAME_MAX])
{
    char uuid[HF_UUID_STR];
    const Host *h = HF_WORLD_GET(c->world, HOST, Host, hf_uuid_format(observer, uuid));
    return hf_timeline_observer(h != NULL ? h->meta->name : uuid, out);
}

/* What led to the fence: when the host was last heard, and who saw its records stand still since when. */
static void note_loss(const struct hf_controllers *c, Fence *f, const struct hf_fence_host *h,
                      const char *leader)
{
    int64_t now = hf_controllers_wall_ms(c);
    char observer[HF_TIMELINE_NAME_MAX];
    if (h->contact)
        return;
    f->last_heard_at_ms = now - h->lost_ms;
    hf_timeline_add(&f->timeline, &f->n_timeline, f->last_heard_at_ms, leader, "heard the last of %s",
                    h->name);
    hf_timeline_add(&f->timeline, &f->n_timeline, f->detected_at_ms, leader,
                    "counted contact with %s as lost", h->name);
    for (size_t i = 0; i < h->n_storages; i++) {
        const struct hf_fence_storage *s = &h->storages[i];
        if (s->sign.state == HF_SIGN_STILL)
            hf_timeline_add(&f->timeline, &f->n_timeline, now - s->sign.unchanged_ms,
                            observer_name(c, &s->sign.observer, observer),
                            "read the record of %s on '%s' as it stood from then on", h->name, s->name);
    }
    hf_timeline_sort(f->timeline, f->n_timeline);
}

/* Who has written the fence mark of a host and read its record again, each once per storage; *e is made when
 * that is news. */
static void note_marks(struct hf_controllers *c, struct hf_edit **e, const struct hf_fence_host *h)
{
    char uuid[HF_UUID_STR], observer[HF_TIMELINE_NAME_MAX], what[256];
    struct hf_world_object *o =
        h->fenced && !h->proven ? fence_object(c, hf_uuid_format(&h->uuid, uuid), h->epoch) : NULL;
    for (size_t i = 0; o != NULL && !o->busy && i < h->n_storages; i++) {
        const struct hf_fence_storage *s = &h->storages[i];
        const Fence *f = (const Fence *)(void *)o->message;
        if (s->sign.state != HF_SIGN_STILL || s->sign.marked_ms < 0 || s->proven)
            continue;
        observer_name(c, &s->sign.mark_observer, observer);
        snprintf(what, sizeof what, "wrote the fence mark of epoch %llu on '%s' and read on",
                 (unsigned long long)h->epoch, s->name);
        if (hf_timeline_has(f->timeline, f->n_timeline, observer, what))
            continue;
        if (*e == NULL)
            *e = hf_edit_create(&c->editor, "note the fence marks of lost hosts");
        Fence *changed = hf_edit_change(*e, o);
        hf_timeline_add(&changed->timeline, &changed->n_timeline, hf_controllers_wall_ms(c), observer, "%s",
                        what);
    }
}

/* --- actions --- */

/* With the fence, in one transaction: the blocklists that it goes on. */
static void want_blocks(struct hf_controllers *c, struct hf_edit *e, const struct hf_fence_host *h,
                        struct hf_world_object *host, Fence *f, const struct hf_uuid *only)
{
    for (size_t i = 0; i < h->n_storages; i++)
        if (h->storages[i].block.possible && (only == NULL || hf_uuid_equal(&h->storages[i].uuid, only)))
            hf_ha_block_want(c, f, hf_edit_change(e, host), hf_ha_storage_of(c, &h->storages[i].uuid));
}

static void add_fence(struct hf_controllers *c, struct hf_edit *e, const struct hf_fence_host *h,
                      struct hf_world_object *host, const struct hf_fence_action *a)
{
    const char *reason = a->text;
    char uuid[HF_UUID_STR];
    char leader[HF_TIMELINE_NAME_MAX];
    Fence *f = hf_fence_new(c->control->env, hf_uuid_format(&h->uuid, uuid), h->epoch, reason,
                            hf_timeline_leader(c->control, leader));
    int64_t counted_ms = h->lost_ms > h->timing->contact_ms ? h->lost_ms - h->timing->contact_ms : 0;
    f->detected_at_ms = hf_controllers_wall_ms(c) - counted_ms;
    note_loss(c, f, h, leader);
    if (a->block)
        want_blocks(c, e, h, host, f, NULL);
    hf_edit_add(e, &f->base);
    hf_edit_require(e, host); /* its epoch has not moved on */
    hf_warn("host '%s': fencing epoch %llu: %s", h->name, (unsigned long long)h->epoch, reason);
}

static Holdfast__V1__Evidence__Kind kind_of(enum hf_evidence_kind k)
{
    switch (k) {
    case HF_EVIDENCE_CLOSED_AND_KILLED:
        return HOLDFAST__V1__EVIDENCE__KIND__CLOSED_AND_KILLED;
    case HF_EVIDENCE_SILENCE:
        return HOLDFAST__V1__EVIDENCE__KIND__SILENCE;
    case HF_EVIDENCE_NEXT_EPOCH:
        return HOLDFAST__V1__EVIDENCE__KIND__NEXT_EPOCH;
    case HF_EVIDENCE_OPERATOR:
        return HOLDFAST__V1__EVIDENCE__KIND__OPERATOR;
    case HF_EVIDENCE_POWER_OFF:
        return HOLDFAST__V1__EVIDENCE__KIND__POWER_OFF;
    case HF_EVIDENCE_BLOCKLIST:
        return HOLDFAST__V1__EVIDENCE__KIND__BLOCKLIST;
    }
    return HOLDFAST__V1__EVIDENCE__KIND__KIND_UNSPECIFIED;
}

static void add_evidence(struct hf_controllers *c, struct hf_edit *e, const struct hf_fence_host *h,
                         const struct hf_fence_action *a)
{
    char uuid[HF_UUID_STR];
    struct hf_world_object *o = fence_object(c, hf_uuid_format(&h->uuid, uuid), h->epoch);
    if (o == NULL)
        return;
    char by[HF_TIMELINE_NAME_MAX];
    if (a->evidence == HF_EVIDENCE_POWER_OFF || a->evidence == HF_EVIDENCE_BLOCKLIST)
        hf_timeline_leader(c->control, by);
    else if (hf_uuid_is_zero(&a->observer))
        hf_timeline_keeper(h->name, by);
    else
        observer_name(c, &a->observer, by);
    Fence *f = hf_edit_change(e, o);
    Holdfast__V1__Evidence *ev = hf_fence_add_evidence(f, c->control->env, kind_of(a->evidence), a->text, by);
    for (size_t i = 0; a->everything && i < h->n_storages; i++)
        hf_evidence_add_storage(ev, hf_uuid_format(&h->storages[i].uuid, uuid));
    if (!a->everything)
        hf_evidence_add_storage(ev, hf_uuid_format(&a->storage, uuid));
    if (!hf_uuid_is_zero(&a->observer))
        hf_pb_set(&ev->observer_host_uuid, hf_uuid_format(&a->observer, uuid));
    if (a->evidence == HF_EVIDENCE_POWER_OFF)
        hf_ha_power_testify(c, &h->uuid, h->epoch, ev);
    if (a->evidence == HF_EVIDENCE_BLOCKLIST)
        hf_ha_block_confirm(c, f, &a->storage, ev);
    ev->silent_ms = a->silent_ms;
    ev->required_ms = a->required_ms;
    ev->marked = a->marked;
    ev->session = a->session == HF_LEASE_ALL_SESSIONS ? 0 : a->session;
    hf_warn("host '%s': epoch %llu %s: %s", h->name, (unsigned long long)h->epoch,
            a->evidence == HF_EVIDENCE_BLOCKLIST ? "is cut off" : "is proven over", a->text);
}

/* What is on a blocklist, or wanted there, is asked for; what is not yet is wanted first. True: that is to be
 * committed. */
static bool act_on_block(struct hf_controllers *c, const struct hf_fence_host *h,
                         const struct hf_fence_action *a)
{
    char uuid[HF_UUID_STR];
    struct hf_world_object *o = fence_object(c, hf_uuid_format(&h->uuid, uuid), h->epoch);
    if (o == NULL)
        return false;
    if (hf_blocklist_find((const Fence *)(void *)o->message, hf_uuid_format(&a->storage, uuid)) == NULL)
        return true;
    hf_ha_block_ask(hf_ha_block_of(c, &o->uuid, &a->storage), false);
    return false;
}

static void add_block(struct hf_controllers *c, struct hf_edit *e, const struct hf_fence_host *h,
                      struct hf_world_object *host, const struct hf_fence_action *a)
{
    char uuid[HF_UUID_STR];
    struct hf_world_object *o = fence_object(c, hf_uuid_format(&h->uuid, uuid), h->epoch);
    want_blocks(c, e, h, host, hf_edit_change(e, o), &a->storage);
}

/* The objects that the action changes may be changed now. */
static bool is_free(const struct hf_controllers *c, const struct hf_fence_host *h,
                    const struct hf_world_object *host, const struct hf_fence_action *a)
{
    char uuid[HF_UUID_STR];
    const struct hf_world_object *o = fence_object(c, hf_uuid_format(&h->uuid, uuid), h->epoch);
    if ((a->kind == HF_FENCE_BLOCKLIST || (a->kind == HF_FENCE_COMMIT && a->block)) && host->busy)
        return false;
    return o == NULL || !o->busy;
}

/* Says on the host what holds its fence (NULL: nothing does), not more often than HF_HA_NOTE_MS. */
static void note(struct hf_controllers *c, struct hf_world_object *host, const char *text)
{
    const Host *h = (const Host *)(void *)host->message;
    const char *now = hf_condition_message(h->status->conditions, h->status->n_conditions, CONDITION_HA);
    if (host->busy || (text == NULL ? now == NULL : now != NULL && strcmp(now, text) == 0))
        return;
    int64_t wall = hf_controllers_wall_ms(c);
    for (size_t i = 0; text != NULL && i < h->status->n_conditions; i++)
        if (strcmp(h->status->conditions[i]->type, CONDITION_HA) == 0 &&
            wall - h->status->conditions[i]->since_ms < HF_HA_NOTE_MS)
            return;
    struct hf_edit *e = hf_edit_create(&c->editor, "note what holds the fence of host '%s'", h->meta->name);
    Host *changed = hf_edit_change(e, host);
    if (text != NULL)
        hf_condition_set(&changed->status->conditions, &changed->status->n_conditions, CONDITION_HA, false,
                         text, wall);
    else
        hf_condition_clear(&changed->status->conditions, &changed->status->n_conditions, CONDITION_HA);
    hf_edit_commit(e, NULL, NULL);
}

static void note_holds(struct hf_controllers *c, const struct view_parts *p,
                       const struct hf_fence_action *actions, size_t n)
{
    for (size_t i = 0; i < p->n; i++) {
        const char *text = NULL;
        for (size_t k = 0; k < n; k++)
            if (actions[k].kind == HF_FENCE_HOLD && actions[k].host == i &&
                (text == NULL || actions[k].alarm))
                text = actions[k].text;
        if (p->hosts[i].lost_ms < p->hosts[i].timing->contact_ms)
            text = NULL; /* a stream that was lost a moment ago may be back in the next */
        note(c, p->objects[i], text);
    }
}

static enum hf_fence_by_power by_power(const struct hf_store *s)
{
    static const struct {
        const char *word;
        enum hf_fence_by_power when;
    } words[] = {{"always", HF_FENCE_BY_POWER_ALWAYS},
                 {"without-watchdog", HF_FENCE_BY_POWER_WITHOUT_WATCHDOG}};
    enum hf_fence_by_power when = HF_FENCE_BY_POWER_NEVER;
    char *text = hf_setting_text(s, "ha.powerFencing");
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text, words[i].word) == 0)
            when = words[i].when;
    free(text);
    return when;
}

bool hf_ha_fence(struct hf_controllers *c)
{
    struct view_parts p;
    build_view(c, &p);
    const struct hf_store *s = hf_control_store(c->control);
    struct hf_fence_view view = {
        .settings = {.ha_enabled = hf_setting_bool(s, "ha.enable"),
                     .accept_stand_in = true, /* a keeper takes one only where it was told that this is a
                                                 laboratory (hf-lease --lab) */
                     .by_power = by_power(s),
                     .power_delay_ms = hf_setting_int(s, "ha.powerFencingDelay") * 1000,
                     .mass_share = (unsigned)hf_setting_int(s, "ha.massLossShare")},
        .hosts = p.hosts,
        .n_hosts = p.n,
    };
    size_t room = hf_fence_room(&view), taken = 0;
    struct hf_fence_action *actions = hf_alloc_array(room, sizeof *actions);
    size_t n = hf_fence_decide(&view, actions, room);
    struct hf_edit *e = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct hf_fence_action *a = &actions[i];
        if (a->kind == HF_FENCE_POWER)
            hf_ha_power_act(c, p.objects[a->host], a);
        if (a->kind == HF_FENCE_HOLD || a->kind == HF_FENCE_POWER || taken == HF_HA_ACTIONS_MAX ||
            (a->kind == HF_FENCE_BLOCKLIST && !act_on_block(c, &p.hosts[a->host], a)) ||
            !is_free(c, &p.hosts[a->host], p.objects[a->host], a))
            continue;
        taken++;
        if (e == NULL)
            e = hf_edit_create(&c->editor, "fence lost hosts");
        if (a->kind == HF_FENCE_COMMIT)
            add_fence(c, e, &p.hosts[a->host], p.objects[a->host], a);
        else if (a->kind == HF_FENCE_BLOCKLIST)
            add_block(c, e, &p.hosts[a->host], p.objects[a->host], a);
        else
            add_evidence(c, e, &p.hosts[a->host], a);
    }
    for (size_t i = 0; i < p.n; i++)
        note_marks(c, &e, &p.hosts[i]);
    if (e != NULL)
        hf_ha_commit(c, e);
    note_holds(c, &p, actions, n);
    hf_ha_power_done(c);
    free(actions);
    free_view(&p);
    return e != NULL;
}
