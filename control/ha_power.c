/* The power of fenced hosts on the leader: which jobs run, what the plan hears of them, and what they
 * testify. A job belongs to one life (host, epoch), begins when the plan asks for it and ends when it no
 * longer does; a change of leaders ends all of them, and the next leader asks the devices anew. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "control/fence_object.h"
#include "control/ha_controller.h"
#include "control/power_job.h"

typedef Holdfast__V1__Host Host;
typedef Holdfast__V1__Fence Fence;

struct hf_ha_power {
    struct hf_ha_power *next;
    struct hf_controllers *c;
    struct hf_uuid host;
    uint64_t epoch;
    struct hf_power_job *job;
    bool wanted; /* by the plan of this look */
    char state[HF_FENCE_TEXT_MAX];
    char who[HF_FENCE_TEXT_MAX / 2];
    char logged[HF_FENCE_TEXT_MAX];
};

static struct hf_ha_power *find(const struct hf_controllers *c, const struct hf_uuid *host, uint64_t epoch)
{
    for (struct hf_ha_power *p = c->ha->powers; p != NULL; p = p->next)
        if (hf_uuid_equal(&p->host, host) && p->epoch == epoch)
            return p;
    return NULL;
}

/* --- the last word before "off" --- */

static const char *cut_problem(const struct hf_ha_power *p, const Host *h, const Fence *f)
{
    int64_t lost_ms;
    if (h == NULL || h->status == NULL || h->status->epoch != p->epoch)
        return "its epoch has moved on";
    if (f == NULL && !HF_MUTANT(POWER_BEFORE_FENCE))
        return "its epoch is not fenced";
    for (size_t i = 0; f != NULL && i < f->n_evidence; i++)
        if (hf_evidence_covers_all(f->evidence[i]->kind))
            return "its epoch is proven over";
    if (hf_detector_in_contact(p->c->ha->detector, &p->host, hf_ha_host_timing(p->c, h),
                               hf_controllers_now_ms(p->c), &lost_ms))
        return "it is in contact";
    return NULL;
}

static bool may_cut(void *arg, char *why, size_t len)
{
    struct hf_ha_power *p = arg;
    const struct hf_store *s = hf_control_store(p->c->control);
    char uuid[HF_UUID_STR];
    Host *h =
        (Host *)(void *)hf_object_find(s, HOLDFAST__V1__KIND__HOST, hf_uuid_format(&p->host, uuid), NULL);
    Fence *f = hf_fence_find(s, uuid, p->epoch);
    const char *problem = cut_problem(p, h, f);
    if (problem != NULL)
        snprintf(why, len, "not switched off: %s", problem);
    else
        hf_warn("host '%s': epoch %llu is fenced: its power is being switched off", h->meta->name,
                (unsigned long long)p->epoch);
    if (h != NULL)
        holdfast__v1__host__free_unpacked(h, NULL);
    if (f != NULL)
        holdfast__v1__fence__free_unpacked(f, NULL);
    return problem == NULL;
}

/* What fails, and what is off, is written to the log once. */
static void changed(void *arg)
{
    struct hf_ha_power *p = arg;
    const struct hf_power_fence *f = hf_power_job_fence(p->job);
    char text[HF_FENCE_TEXT_MAX], uuid[HF_UUID_STR];
    if (!hf_power_fence_is_off(f) && (!hf_power_fence_in_trouble(f) || f->phase != HF_POWER_PAUSED))
        return;
    hf_power_fence_say(f, hf_controllers_now_ms(p->c), text, sizeof text);
    if (strcmp(text, p->logged) != 0)
        hf_warn("host %s: epoch %llu: %s", hf_uuid_format(&p->host, uuid), (unsigned long long)p->epoch,
                text);
    memcpy(p->logged, text, sizeof text);
}

/* --- for the plan --- */

void hf_ha_power_view(struct hf_controllers *c, const struct hf_world_object *host,
                      struct hf_fence_power *ret)
{
    const Host *h = (const Host *)(const void *)host->message;
    struct hf_ha_power *p = find(c, &host->uuid, h->status->epoch);
    *ret = (struct hf_fence_power){.devices = c->control->power != NULL && h->spec->n_power_fencing > 0};
    if (p == NULL)
        return;
    const struct hf_power_fence *f = hf_power_job_fence(p->job);
    int64_t now = hf_controllers_now_ms(c);
    hf_power_fence_say(f, now, p->state, sizeof p->state);
    ret->off = hf_power_fence_is_off(f);
    ret->trouble = hf_power_fence_in_trouble(f);
    ret->state = p->state;
    if (!ret->off)
        return;
    hf_power_job_name(p->job, p->who, sizeof p->who);
    ret->off_ms = now - f->off_ms;
    ret->who = p->who;
}

static void stop(struct hf_ha_controller *ha, struct hf_ha_power *p)
{
    struct hf_ha_power **link = &ha->powers;
    while (*link != p)
        link = &(*link)->next;
    *link = p->next;
    hf_power_job_stop(p->job);
    free(p);
}

void hf_ha_power_act(struct hf_controllers *c, const struct hf_world_object *host,
                     const struct hf_fence_action *a)
{
    const Host *h = (const Host *)(const void *)host->message;
    struct hf_ha_power *p = find(c, &host->uuid, h->status->epoch);
    if (p != NULL && !hf_power_job_fits(p->job, h)) {
        stop(c->ha, p); /* its devices were changed meanwhile */
        p = NULL;
    }
    if (p == NULL) {
        p = HF_NEW(struct hf_ha_power);
        *p = (struct hf_ha_power){
            .next = c->ha->powers, .c = c, .host = host->uuid, .epoch = h->status->epoch};
        p->job = hf_power_job_start(c->control, h, &(struct hf_power_job_user){may_cut, changed, p});
        c->ha->powers = p;
    } else if (a->doubt && hf_power_fence_is_off(hf_power_job_fence(p->job))) {
        hf_err("%s", a->text);
        hf_power_job_doubt(p->job, a->text);
    }
    p->wanted = true;
}

void hf_ha_power_done(struct hf_controllers *c)
{
    for (struct hf_ha_power *p = c->ha->powers, *next; p != NULL; p = next) {
        next = p->next;
        if (!p->wanted)
            stop(c->ha, p);
        else
            p->wanted = false;
    }
}

void hf_ha_power_testify(struct hf_controllers *c, const struct hf_uuid *host, uint64_t epoch,
                         Holdfast__V1__Evidence *e)
{
    struct hf_ha_power *p = find(c, host, epoch);
    HF_ASSERT(p != NULL);
    hf_power_job_testify(p->job, e);
}

void hf_ha_power_stop(struct hf_ha_controller *ha)
{
    while (ha->powers != NULL)
        stop(ha, ha->powers);
}
