#include "control/power_ask.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/power_devices.h"

struct leg {
    struct hf_power_ask *ask;
    Holdfast__V1__PowerDevice *device; /* a copy */
    struct hf_power_said said;
    void *run;      /* NULL: done */
    bool on_failed; /* its text says why "on" failed */
    enum hf_power_verb verb;
};

struct hf_power_ask {
    struct hf_control *control;
    hf_power_asked done;
    void *arg;
    struct leg legs[HF_POWER_DEVICES_MAX];
    size_t n, running;
};

static void answered(void *arg, enum hf_power_answer answer, const char *text);

static void run(struct leg *leg, enum hf_power_verb verb)
{
    struct hf_power_runner *runner = leg->ask->control->power;
    struct hf_power_option options[HF_POWER_OPTIONS_MAX];
    struct hf_power_order order = hf_power_order_of(leg->device, verb, options);
    leg->verb = verb;
    leg->run = runner->ops->run(runner, &order, answered, leg);
}

static void ask_free(struct hf_power_ask *a)
{
    for (size_t i = 0; i < a->n; i++)
        holdfast__v1__power_device__free_unpacked(a->legs[i].device, NULL);
    free(a);
}

static void finish(struct hf_power_ask *a)
{
    struct hf_power_said said[HF_POWER_DEVICES_MAX];
    for (size_t i = 0; i < a->n; i++)
        said[i] = a->legs[i].said;
    a->done(a->arg, said, a->n);
    ask_free(a);
}

static void answered(void *arg, enum hf_power_answer answer, const char *text)
{
    struct leg *leg = arg;
    struct hf_power_ask *a = leg->ask;
    leg->run = NULL;
    if (leg->verb != HF_POWER_STATUS) {
        leg->on_failed = answer != HF_POWER_ACCEPTED;
        if (leg->on_failed)
            snprintf(leg->said.text, sizeof leg->said.text, "%s", text);
        run(leg, HF_POWER_STATUS);
        return;
    }
    leg->said.answer = answer;
    if (!leg->on_failed)
        snprintf(leg->said.text, sizeof leg->said.text, "%s", text);
    if (--a->running == 0)
        finish(a);
}

static Holdfast__V1__PowerDevice *copy_device(const Holdfast__V1__PowerDevice *d)
{
    size_t n = holdfast__v1__power_device__get_packed_size(d);
    uint8_t *bytes = hf_alloc(n);
    holdfast__v1__power_device__pack(d, bytes);
    Holdfast__V1__PowerDevice *copy = holdfast__v1__power_device__unpack(NULL, n, bytes);
    HF_ASSERT(copy != NULL);
    free(bytes);
    return copy;
}

struct hf_power_ask *hf_power_ask_start(struct hf_control *c, const Holdfast__V1__Host *h,
                                        enum hf_power_verb verb, hf_power_asked done, void *arg)
{
    HF_ASSERT(c->power != NULL && h->spec->n_power_fencing > 0 &&
              h->spec->n_power_fencing <= HF_POWER_DEVICES_MAX);
    struct hf_power_ask *a = HF_NEW(struct hf_power_ask);
    *a = (struct hf_power_ask){.control = c, .done = done, .arg = arg};
    a->n = a->running = h->spec->n_power_fencing;
    for (size_t i = 0; i < a->n; i++)
        a->legs[i] = (struct leg){.ask = a, .device = copy_device(h->spec->power_fencing[i])};
    for (size_t i = 0; i < a->n; i++)
        run(&a->legs[i], verb);
    return a;
}

void hf_power_ask_cancel(struct hf_power_ask *a)
{
    struct hf_power_runner *runner = a->control->power;
    for (size_t i = 0; i < a->n; i++)
        if (a->legs[i].run != NULL)
            runner->ops->cancel(runner, a->legs[i].run);
    ask_free(a);
}
