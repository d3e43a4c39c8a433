#include "control/admission_controller.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/admission.h"
#include "control/conditions.h"
#include "control/controllers_state.h"
#include "control/settings.h"

typedef Holdfast__V1__Cluster Cluster;

enum policy { WARN, REFUSE, OFF };

static enum policy policy_of(const struct hf_store *s)
{
    char *text = hf_setting_text(s, "ha.admission.policy");
    enum policy p = strcmp(text, "refuse") == 0 ? REFUSE : strcmp(text, "warn") == 0 ? WARN : OFF;
    free(text);
    return hf_setting_bool(s, "ha.enable") ? p : OFF;
}

bool hf_admission_cares(uint32_t kind)
{
    return kind == HOLDFAST__V1__KIND__HOST || kind == HOLDFAST__V1__KIND__INSTANCE ||
           kind == HOLDFAST__V1__KIND__CLUSTER || kind == HOLDFAST__V1__KIND__PRIMARY_STORAGE ||
           kind == HOLDFAST__V1__KIND__VOLUME || kind == HOLDFAST__V1__KIND__AFFINITY_GROUP ||
           kind == HOLDFAST__V1__KIND__L3_NETWORK || kind == HOLDFAST__V1__KIND__GLOBAL_SETTING ||
           kind == HOLDFAST__V1__KIND__FENCE;
}

/* --- what is said on the clusters --- */

static bool in_cluster(void *arg, const Holdfast__V1__Host *h)
{
    return strcmp(h->spec->cluster_uuid, arg) == 0;
}

static bool has_hosts(const struct hf_facts *f, const Cluster *cl)
{
    for (size_t k = 0; k < hf_facts_hosts(f); k++)
        if (in_cluster(cl->meta->uuid, hf_facts_host(f, k)))
            return true;
    return false;
}

static void write(struct hf_controllers *c, struct hf_world_object *o, bool ok, const char *text)
{
    const Cluster *cl = (const Cluster *)(void *)o->message;
    const char *now =
        cl->status != NULL
            ? hf_condition_message(cl->status->conditions, cl->status->n_conditions, HF_CONDITION_HA_CAPACITY)
            : NULL;
    if (o->busy || (text == NULL ? now == NULL : now != NULL && strcmp(now, text) == 0))
        return;
    struct hf_edit *e = hf_edit_create(&c->editor, "note the HA capacity of cluster '%s'", cl->meta->name);
    Cluster *changed = hf_edit_change(e, o);
    if (changed->status == NULL) {
        changed->status = HF_NEW(Holdfast__V1__ClusterStatus);
        holdfast__v1__cluster_status__init(changed->status);
    }
    if (text != NULL)
        hf_condition_set(&changed->status->conditions, &changed->status->n_conditions,
                         HF_CONDITION_HA_CAPACITY, ok, text, hf_controllers_wall_ms(c));
    else
        hf_condition_clear(&changed->status->conditions, &changed->status->n_conditions,
                           HF_CONDITION_HA_CAPACITY);
    hf_edit_commit(e, NULL, NULL);
}

static void say_nothing(struct hf_controllers *c)
{
    for (size_t k = 0; k < hf_world_count(c->world, HOLDFAST__V1__KIND__CLUSTER); k++)
        write(c, hf_world_at(c->world, HOLDFAST__V1__KIND__CLUSTER, k), false, NULL);
}

static void look(struct hf_controllers *c)
{
    struct hf_losses *l = hf_controllers_losses(c);
    unsigned failures = (unsigned)hf_setting_int(hf_control_store(c->control), "ha.admission.hostFailures");
    struct hf_admission a = hf_admission_judge(l, c->facts, failures);
    for (size_t k = 0; k < hf_world_count(c->world, HOLDFAST__V1__KIND__CLUSTER); k++) {
        struct hf_world_object *o = hf_world_at(c->world, HOLDFAST__V1__KIND__CLUSTER, k);
        const Cluster *cl = (const Cluster *)(void *)o->message;
        bool ok;
        char *text = has_hosts(c->facts, cl)
                         ? hf_admission_sentence(&a, c->facts, in_cluster, cl->meta->uuid, &ok)
                         : NULL;
        write(c, o, text != NULL && ok, text);
        free(text);
    }
    hf_admission_done(&a);
    hf_losses_free(l);
    hf_controllers_drop_facts(c);
}

void hf_admission_tick(struct hf_controllers *c)
{
    int64_t began = hf_controllers_now_ms(c);
    if (!c->admission.changed || began < c->admission.due_ms || !hf_controllers_settled(c))
        return;
    c->admission.changed = false;
    if (policy_of(hf_control_store(c->control)) == OFF)
        say_nothing(c);
    else
        look(c);
    int64_t took = hf_controllers_now_ms(c) - began, pause = took * HF_ADMISSION_SHARE;
    c->admission.due_ms = began + (pause > HF_ADMISSION_EVERY_MS ? pause : HF_ADMISSION_EVERY_MS);
}

/* --- what is refused --- */

hf_status hf_admission_admit(struct hf_controllers *c, const struct hf_store *s,
                             const Holdfast__V1__Instance *i)
{
    if (!c->working || policy_of(s) != REFUSE)
        return HF_STATUS_OK;
    struct hf_losses *l = hf_controllers_losses(c);
    hf_status st = HF_STATUS_OK;
    if (hf_losses_add(l, i)) { /* else the scheduler says why it cannot run at all */
        struct hf_admission a =
            hf_admission_judge(l, c->facts, (unsigned)hf_setting_int(s, "ha.admission.hostFailures"));
        bool ok;
        char *text = hf_admission_sentence(&a, c->facts, NULL, NULL, &ok);
        if (!ok)
            st = hf_error(HF_PRECONDITION, "with it running, %s (ha.admission.policy is 'refuse')", text);
        free(text);
        hf_admission_done(&a);
    }
    hf_losses_free(l);
    hf_controllers_drop_facts(c);
    return st;
}
