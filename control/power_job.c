#include "control/power_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/kinds.h"
#include "control/power_devices.h"

typedef Holdfast__V1__Host Host;

/* One device's agent, or the barrier before it. */
struct leg {
    struct hf_power_job *job; /* NULL: stopped while the barrier was under way */
    size_t device;
    void *run; /* of the runner */
};

struct hf_power_job {
    struct hf_control *control;
    struct hf_power_job_user user;
    Host *host; /* a copy */
    struct hf_power_fence fence;
    struct leg *legs[HF_POWER_DEVICES_MAX]; /* under way */
    struct hf_timer timer;
};

static Host *copy_host(const Host *h)
{
    size_t n = holdfast__v1__host__get_packed_size(h);
    uint8_t *bytes = hf_alloc(n);
    holdfast__v1__host__pack(h, bytes);
    Host *copy = holdfast__v1__host__unpack(NULL, n, bytes);
    HF_ASSERT(copy != NULL);
    free(bytes);
    return copy;
}

static const Holdfast__V1__PowerDevice *device_of(const struct hf_power_job *job, size_t i)
{
    const Holdfast__V1__PowerDevice *d = hf_power_device_find(job->host, job->fence.devices[i].name);
    HF_ASSERT(d != NULL);
    return d;
}

static void advance(struct hf_power_job *job);

static void take_answer(struct hf_power_job *job, size_t device, enum hf_power_answer answer,
                        const char *text)
{
    free(job->legs[device]);
    job->legs[device] = NULL;
    hf_power_fence_answer(&job->fence, device, answer, text, hf_env_now_ms(job->control->env));
    advance(job);
    job->user.changed(job->user.arg); /* may stop it */
}

static void answered(void *arg, enum hf_power_answer answer, const char *text)
{
    struct leg *leg = arg;
    take_answer(leg->job, leg->device, answer, text);
}

static void run(struct leg *leg, enum hf_power_verb verb)
{
    struct hf_power_runner *runner = leg->job->control->power;
    struct hf_power_option options[HF_POWER_OPTIONS_MAX];
    struct hf_power_order order = hf_power_order_of(device_of(leg->job, leg->device), verb, options);
    leg->run = runner->ops->run(runner, &order, answered, leg);
}

/* This node leads, as of now: what was decided before the barrier is looked at once more. */
static void barrier_passed(void *arg, hf_status st)
{
    struct leg *leg = arg;
    struct hf_power_job *job = leg->job;
    char why[HF_POWER_TEXT_MAX];
    if (job == NULL) {
        free(leg);
        return;
    }
    bool may = hf_ok(st) && job->user.may_cut(job->user.arg, why, sizeof why);
    if (!hf_ok(st))
        snprintf(why, sizeof why, "not switched off: %s", hf_status_message(st));
    if (may)
        run(leg, HF_POWER_OFF);
    else
        take_answer(job, leg->device, HF_POWER_REFUSED, why);
}

static void due(void *arg)
{
    advance(arg);
}

static void advance(struct hf_power_job *job)
{
    struct hf_power_run r;
    int64_t now = hf_env_now_ms(job->control->env);
    while (hf_power_fence_next(&job->fence, now, &r)) {
        struct leg *leg = HF_NEW(struct leg);
        *leg = (struct leg){.job = job, .device = r.device};
        HF_ASSERT(job->legs[r.device] == NULL);
        job->legs[r.device] = leg;
        if (r.verb == HF_POWER_OFF)
            hf_replica_barrier(job->control->replica, barrier_passed, leg);
        else
            run(leg, r.verb);
    }
    int64_t due_ms = hf_power_fence_due(&job->fence);
    if (due_ms != INT64_MAX)
        hf_timer_start(job->control->env, &job->timer, due_ms > now ? due_ms - now : 0, due, job);
}

struct hf_power_job *hf_power_job_start(struct hf_control *c, const Host *h,
                                        const struct hf_power_job_user *user)
{
    HF_ASSERT(c->power != NULL && h->spec->n_power_fencing > 0);
    struct hf_power_job *job = HF_NEW(struct hf_power_job);
    job->control = c;
    job->user = *user;
    job->host = copy_host(h);
    hf_power_fence_init(&job->fence, hf_env_now_ms(c->env));
    for (size_t i = 0; i < h->spec->n_power_fencing && i < HF_POWER_DEVICES_MAX; i++)
        hf_power_fence_add(&job->fence, h->spec->power_fencing[i]->name, h->spec->power_fencing[i]->level);
    advance(job);
    return job;
}

void hf_power_job_stop(struct hf_power_job *job)
{
    struct hf_power_runner *runner = job->control->power;
    hf_timer_stop(&job->timer);
    for (size_t i = 0; i < HF_POWER_DEVICES_MAX; i++) {
        struct leg *leg = job->legs[i];
        if (leg != NULL && leg->run != NULL) {
            runner->ops->cancel(runner, leg->run);
            free(leg);
        } else if (leg != NULL) {
            leg->job = NULL; /* its barrier frees it */
        }
    }
    holdfast__v1__host__free_unpacked(job->host, NULL);
    free(job);
}

const struct hf_power_fence *hf_power_job_fence(const struct hf_power_job *job)
{
    return &job->fence;
}

bool hf_power_job_fits(const struct hf_power_job *job, const Host *h)
{
    const Holdfast__V1__HostSpec *a = job->host->spec, *b = h->spec;
    bool same = a->n_power_fencing == b->n_power_fencing;
    for (size_t i = 0; same && i < a->n_power_fencing; i++) {
        size_t n = holdfast__v1__power_device__get_packed_size(a->power_fencing[i]);
        same = n == holdfast__v1__power_device__get_packed_size(b->power_fencing[i]);
        if (!same)
            break;
        uint8_t *bytes = hf_alloc(2 * n);
        holdfast__v1__power_device__pack(a->power_fencing[i], bytes);
        holdfast__v1__power_device__pack(b->power_fencing[i], bytes + n);
        same = memcmp(bytes, bytes + n, n) == 0;
        free(bytes);
    }
    return same;
}

void hf_power_job_doubt(struct hf_power_job *job, const char *why)
{
    hf_power_fence_doubt(&job->fence, why, hf_env_now_ms(job->control->env));
    advance(job);
}

void hf_power_job_name(const struct hf_power_job *job, char *out, size_t len)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < job->fence.n_devices && at < len; i++)
        if (job->fence.devices[i].level == job->fence.level)
            at += (size_t)snprintf(out + at, len - at, "%s'%s' (%s)", at > 0 ? " and " : "",
                                   job->fence.devices[i].name, device_of(job, i)->agent);
}

void hf_power_job_testify(const struct hf_power_job *job, Holdfast__V1__Evidence *e)
{
    const struct hf_power_fence *f = &job->fence;
    int64_t wall_ms = hf_env_wall_ms(job->control->env), now_ms = hf_env_now_ms(job->control->env);
    HF_ASSERT(hf_power_fence_is_off(f) && e->n_power == 0);
    e->power = hf_alloc_array(f->n_devices, sizeof *e->power);
    for (size_t i = 0; i < f->n_devices; i++) {
        if (f->devices[i].level != f->level)
            continue;
        Holdfast__V1__PowerAnswer *a = HF_NEW(Holdfast__V1__PowerAnswer);
        holdfast__v1__power_answer__init(a);
        hf_pb_set(&a->device, f->devices[i].name);
        hf_pb_set(&a->agent, device_of(job, i)->agent);
        hf_pb_set(&a->status, "off");
        a->level = f->level;
        a->asked_at_ms = wall_ms - (now_ms - f->devices[i].asked_ms);
        a->answered_at_ms = wall_ms - (now_ms - f->devices[i].said_ms);
        e->power[e->n_power++] = a;
    }
}
