#include "control/ha_plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/controllers_state.h"
#include "control/ha_blocklist.h"
#include "control/ha_controller.h"
#include "control/restart_input.h"
#include "control/settings.h"
#include "control/storage_kind.h"
#include "control/takeover.h"
#include "ha/fence_decide.h"

#define HOSTS_MAX 64 /* of one question */

typedef Holdfast__V1__PlanHostLossResponse Plan;
typedef Holdfast__V1__PlanHostLossResponse__LostHost LostHost;
typedef Holdfast__V1__PlanHostLossResponse__LostInstance LostInstance;
typedef Holdfast__V1__Host Host;
#define OUTCOME(name) HOLDFAST__V1__PLAN_HOST_LOSS_RESPONSE__LOST_INSTANCE__OUTCOME__##name

struct question {
    struct hf_controllers *c;
    struct hf_facts *facts;
    const struct hf_store *store;
    size_t hosts[HOSTS_MAX], n;
    struct hf_restart_evidence evidence[HOSTS_MAX];
    Plan *plan;
};

static void warn(Plan *p, char *take_sentence)
{
    p->warnings = hf_realloc_array(p->warnings, p->n_warnings + 1, sizeof *p->warnings);
    p->warnings[p->n_warnings++] = take_sentence;
}

/* --- what would prove it --- */

/* The storages on which it keeps leases. */
static size_t leases_of(const struct hf_controllers *c, const Host *h, struct hf_uuid **ret)
{
    const Holdfast__V1__Cluster *cl = HF_WORLD_GET(c->world, CLUSTER, Cluster, h->spec->cluster_uuid);
    size_t n = 0, max = cl != NULL ? cl->spec->n_primary_storage_uuids : 0;
    *ret = hf_alloc_array(max, sizeof **ret);
    for (size_t k = 0; k < max; k++) {
        const struct hf_world_object *o =
            hf_world_find(c->world, HOLDFAST__V1__KIND__PRIMARY_STORAGE, cl->spec->primary_storage_uuids[k]);
        const Holdfast__V1__PrimaryStorage *ps =
            o != NULL ? (const Holdfast__V1__PrimaryStorage *)(const void *)o->message : NULL;
        if (ps != NULL && ps->spec->type != HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__LOCAL_STORAGE)
            (*ret)[n++] = o->uuid;
    }
    return n;
}

static bool cut_by_power(const struct question *q, const Host *h, bool watchdog)
{
    char *when = hf_setting_text(q->store, "ha.powerFencing");
    bool yes = strcmp(when, "always") == 0 || (strcmp(when, "without-watchdog") == 0 && !watchdog);
    free(when);
    return yes && h->spec->n_power_fencing > 0;
}

static void expect_proof(struct question *q, const Host *h, LostHost *ret, struct hf_restart_evidence *e)
{
    const struct hf_ha_timing *t = hf_ha_host_timing(q->c, h);
    struct hf_uuid *leases;
    bool watchdog = hf_watchdog_of_text(h->status->watchdog) != HF_WATCHDOG_NONE;
    bool power = cut_by_power(q, h, watchdog);
    int64_t delay_ms = hf_setting_int(q->store, "ha.powerFencingDelay") * 1000;
    *e = (struct hf_restart_evidence){.epoch = h->status->epoch, .n_storages = leases_of(q->c, h, &leases)};
    hf_uuid_parse(h->meta->uuid, &e->host);
    e->storages = leases;
    ret->detected_ms = t->contact_ms;
    ret->fenced_ms = t->fence_ms + t->takeover_read_ms;
    if (e->n_storages > 0 && watchdog) {
        e->kind = "silence";
        ret->proven_ms = t->takeover_ms;
        ret->proof =
            hf_printf("its record stands still for %.2f s, and its watchdog has reset it%s",
                      (double)t->silence_ms / 1000, power ? "; or sooner: its power devices say off" : "");
    } else if (e->n_storages > 0 && power) {
        e->kind = "power off";
        e->everything = true;
        ret->proven_ms = ret->fenced_ms + delay_ms + t->power_look_ms;
        ret->proof = hf_strdup("its power devices say off (as long as they take comes on top)");
    } else {
        e->kind = "operator's word";
        e->everything = true;
        ret->needs_person = true;
        ret->proof = hf_strdup("a person's word: holdfast ha confirm-down");
    }
    if (e->n_storages > 0 && watchdog && power)
        e->everything = true;
}

static void warn_of_host(const struct question *q, const Host *h, const struct hf_restart_evidence *e,
                         size_t host)
{
    Plan *p = q->plan;
    bool watchdog = hf_watchdog_of_text(h->status->watchdog) != HF_WATCHDOG_NONE;
    if (e->n_storages == 0)
        warn(p, hf_printf("host '%s' keeps no lease on a shared storage: HA would hold for a person",
                          h->meta->name));
    else if (!watchdog && h->spec->n_power_fencing == 0)
        warn(p, hf_printf("host '%s' has no watchdog and no power fencing: HA would hold for a person",
                          h->meta->name));
    else if (!watchdog && !cut_by_power(q, h, watchdog))
        warn(p, hf_printf("host '%s' has no watchdog, and ha.powerFencing is off: HA would hold for a person",
                          h->meta->name));
    if (!hf_facts_up(q->facts, host))
        warn(p, hf_printf("host '%s' has no contact now, or is fenced: the times begin with that",
                          h->meta->name));
}

static void warn_of_all(const struct question *q)
{
    size_t all = 0, up = 0;
    int64_t share = hf_setting_int(q->store, "ha.massLossShare");
    for (size_t k = 0; k < hf_facts_hosts(q->facts); k++) {
        const Host *h = hf_facts_host(q->facts, k);
        all += h->status != NULL && h->status->epoch > 0;
        up += hf_facts_up(q->facts, k);
    }
    for (size_t k = 0; k < q->n; k++)
        up -= hf_facts_up(q->facts, q->hosts[k]);
    size_t lost = all - up;
    if (!hf_setting_bool(q->store, "ha.enable"))
        warn(q->plan, hf_strdup("HA is switched off (ha.enable): nothing is fenced or restarted by itself"));
    if (lost > 1 && lost * 100 > all * (size_t)share)
        warn(q->plan, hf_printf("%zu of %zu hosts would be lost at once, more than ha.massLossShare (%" PRId64
                                " %%): HA would hold",
                                lost, all, share));
}

/* --- the answer --- */

static void add_host(struct question *q, size_t k)
{
    const Host *h = hf_facts_host(q->facts, q->hosts[k]);
    LostHost *ret = HF_NEW(LostHost);
    holdfast__v1__plan_host_loss_response__lost_host__init(ret);
    hf_pb_set(&ret->host_uuid, h->meta->uuid);
    hf_pb_set(&ret->name, h->meta->name);
    ret->epoch = h->status->epoch;
    expect_proof(q, h, ret, &q->evidence[k]);
    warn_of_host(q, h, &q->evidence[k], q->hosts[k]);
    q->plan->hosts[q->plan->n_hosts++] = ret;
}

static const LostHost *lost_host(const struct question *q, size_t from)
{
    size_t k = 0;
    while (q->hosts[k] != from)
        k++;
    return q->plan->hosts[k];
}

static void count(Plan *p, const LostInstance *i)
{
    p->restarts += i->outcome == OUTCOME(RESTARTS);
    p->waits += i->outcome == OUTCOME(WAITS);
    p->stays_down += i->outcome == OUTCOME(STAYS_DOWN);
    if (i->ordered_ms > p->ordered_ms)
        p->ordered_ms = i->ordered_ms;
}

/* --- write-fenced or strict (rule 15) --- */

static bool on_ceph(const struct question *q, const Holdfast__V1__Instance *m)
{
    for (size_t k = 0; k < m->spec->n_storage_uuids; k++) {
        const Holdfast__V1__PrimaryStorage *ps =
            HF_WORLD_GET(q->c->world, PRIMARY_STORAGE, PrimaryStorage, m->spec->storage_uuids[k]);
        if (ps != NULL && hf_storage_is_ceph(ps))
            return true;
    }
    return false;
}

/* From the loss until the order to start it may leave, besides what its clusters take to refuse the host. */
static int64_t write_fenced_ms(const struct hf_ha_timing *t)
{
    int64_t decide_ms = t->takeover_ms - t->silence_ms - 2 * t->takeover_read_ms - t->report_ms;
    return t->write_fenced_ms + decide_ms;
}

/* What one that restarts waits for, where blocklists have a part in it. */
static void say_takeover(const struct question *q, const struct hf_loss_step *s, const LostHost *from,
                         LostInstance *ret)
{
    const Holdfast__V1__Instance *m = s->instance;
    const Host *h = hf_facts_host(q->facts, s->from);
    const Holdfast__V1__Cluster *cl = HF_WORLD_GET(q->c->world, CLUSTER, Cluster, h->spec->cluster_uuid);
    bool wish = hf_takeover_write_fenced(m->spec, cl != NULL ? cl->spec : NULL);
    char text[HF_FENCE_TEXT_MAX];
    const char *but = wish ? hf_ha_not_write_fenced(q->c->world, NULL, m, text, sizeof text) : NULL;
    if (!wish && !on_ceph(q, m))
        return;
    char *say;
    if (but != NULL) {
        say = hf_printf("write-fenced, but as strict: %s", but);
    } else if (wish) {
        ret->ordered_ms = write_fenced_ms(hf_ha_host_timing(q->c, h));
        say = hf_printf("write-fenced: once its storages refuse what host '%s' writes (as long as that takes "
                        "comes on top)",
                        from->name);
    } else {
        say = hf_printf(
            "strict: once nothing of it runs on host '%s', whose writes its storages refuse as well",
            from->name);
    }
    hf_pb_set(&ret->reason, say);
    free(say);
}

static void add_instance(struct question *q, const struct hf_loss_step *s)
{
    static const Holdfast__V1__PlanHostLossResponse__LostInstance__Outcome outcomes[] = {
        [HF_LOSS_RESTARTS] = OUTCOME(RESTARTS),
        [HF_LOSS_WAITS] = OUTCOME(WAITS),
        [HF_LOSS_STAYS_DOWN] = OUTCOME(STAYS_DOWN)};
    const Holdfast__V1__Instance *m = s->instance;
    const LostHost *from = lost_host(q, s->from);
    LostInstance *ret = HF_NEW(LostInstance);
    holdfast__v1__plan_host_loss_response__lost_instance__init(ret);
    hf_pb_set(&ret->instance_uuid, m->meta->uuid);
    hf_pb_set(&ret->name, m->meta->name);
    hf_pb_set(&ret->from_host_uuid, from->host_uuid);
    hf_pb_set(&ret->from_host_name, from->name);
    ret->restart_priority = (Holdfast__V1__InstanceSpec__RestartPriority)hf_instance_priority(m);
    ret->outcome = outcomes[s->outcome];
    if (s->to != NULL) {
        hf_pb_set(&ret->to_host_uuid, s->to->meta->uuid);
        hf_pb_set(&ret->to_host_name, s->to->meta->name);
        ret->ordered_ms = from->proven_ms;
        say_takeover(q, s, from, ret);
    }
    if (s->why != NULL)
        hf_pb_set(&ret->reason, s->why);
    count(q->plan, ret);
    q->plan->instances[q->plan->n_instances++] = ret;
}

static void fill(struct question *q)
{
    Plan *p = q->plan;
    struct hf_loss_step *steps;
    struct hf_losses *l = hf_controllers_losses(q->c);
    p->hosts = hf_alloc_array(q->n, sizeof(LostHost *));
    for (size_t k = 0; k < q->n; k++)
        add_host(q, k);
    warn_of_all(q);
    size_t n = hf_losses_plan(l, q->hosts, q->n, q->evidence, q->n, SIZE_MAX, &steps);
    p->instances = hf_alloc_array(n, sizeof(LostInstance *));
    for (size_t k = 0; k < n; k++)
        add_instance(q, &steps[k]);
    hf_loss_steps_free(steps, n);
    hf_losses_free(l);
    for (size_t k = 0; k < q->n; k++)
        free((void *)q->evidence[k].storages);
}

static hf_status take_hosts(struct question *q, char *const *host_uuids, size_t n)
{
    if (n == 0 || n > HOSTS_MAX)
        return hf_error(HF_INVALID, "name between 1 and %d hosts", HOSTS_MAX);
    for (size_t k = 0; k < n; k++) {
        size_t host = hf_facts_index(q->facts, host_uuids[k]);
        if (host == HF_FACTS_NO_HOST)
            return hf_error(HF_NOT_FOUND, "there is no host '%s'", host_uuids[k]);
        const Host *h = hf_facts_host(q->facts, host);
        if (h->status == NULL || h->status->epoch == 0)
            return hf_error(HF_PRECONDITION, "host '%s' has never been connected: nothing can run on it",
                            h->meta->name);
        bool again = false;
        for (size_t j = 0; j < q->n; j++)
            again |= q->hosts[j] == host;
        if (!again)
            q->hosts[q->n++] = host;
    }
    return HF_STATUS_OK;
}

hf_status hf_ha_plan(struct hf_controllers *c, char *const *host_uuids, size_t n, Plan **ret)
{
    if (!c->working)
        return hf_error(HF_UNAVAILABLE, "this node does not lead any more");
    struct question q = {.c = c, .facts = hf_controllers_facts(c), .store = hf_control_store(c->control)};
    hf_status st = take_hosts(&q, host_uuids, n);
    if (hf_ok(st)) {
        q.plan = HF_NEW(Plan);
        holdfast__v1__plan_host_loss_response__init(q.plan);
        fill(&q);
        *ret = q.plan;
    }
    hf_controllers_drop_facts(c);
    return st;
}
