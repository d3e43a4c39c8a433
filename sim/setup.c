#include "sim/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sim/setup_private.h"

#define DEADLINE_MS 30000 /* of one call */
#define AGAIN_MS    500   /* until what was not possible yet is asked again */

static void fill(struct sim_setup_slot *slot);
static void on_answer(void *arg, const struct sim_answer *a);

void sim_setup_call(struct sim_setup_slot *slot, const char *service, const char *method,
                    const ProtobufCMessage *request)
{
    sim_client_call(&slot->setup->client, service, method, request, DEADLINE_MS, on_answer, slot);
}

static const struct sim_setup_step *step_of(const struct sim_setup *s)
{
    return &sim_setup_steps[s->step];
}

static void begin_step(struct sim_setup *s)
{
    while (s->step < sim_setup_n_steps && step_of(s)->count(s) == 0)
        s->step++;
    s->next = s->answered = 0;
    s->ready = s->step == sim_setup_n_steps;
    if (s->ready)
        return;
    snprintf(s->waits_for, sizeof s->waits_for, "%s", step_of(s)->what);
    for (size_t i = 0; i < SIM_SETUP_SLOTS; i++)
        fill(&s->slots[i]);
}

static void ask(void *arg)
{
    struct sim_setup_slot *slot = arg;
    step_of(slot->setup)->ask(slot);
}

/* The slot takes on the next thing of the step. */
static void fill(struct sim_setup_slot *slot)
{
    struct sim_setup *s = slot->setup;
    if (s->next == step_of(s)->count(s))
        return;
    struct hf_uuid id = hf_uuid_new(&s->client.proc.env);
    hf_uuid_format(&id, slot->request_id);
    slot->i = s->next++;
    ask(slot);
}

static void ask_again(struct sim_setup_slot *slot)
{
    hf_timer_start(&slot->setup->client.proc.env, &slot->again, AGAIN_MS, ask, slot);
}

/* Is it worth asking again? */
static bool is_for_now(const struct sim_setup_step *step, const struct sim_answer *a)
{
    return a->doubt || a->code == HF_NOT_LEADER || a->code == HF_TIMEOUT ||
           (step->may_wait && a->code == HF_PRECONDITION);
}

static void on_answer(void *arg, const struct sim_answer *a)
{
    struct sim_setup_slot *slot = arg;
    struct sim_setup *s = slot->setup;
    const struct sim_setup_step *step = step_of(s);
    if (s->failure[0] != '\0')
        return;
    if (a->code != HF_OK) {
        snprintf(s->waits_for, sizeof s->waits_for, "%s: %s", step->what, a->sentence);
        if (is_for_now(step, a))
            ask_again(slot);
        else
            memcpy(s->failure, s->waits_for, sizeof s->failure);
        return;
    }
    if (!step->took(s, slot->i, a->message)) {
        if (s->failure[0] == '\0')
            ask_again(slot);
        return;
    }
    s->answered++;
    if (s->answered < step->count(s)) {
        fill(slot);
        return;
    }
    s->step++;
    begin_step(s);
}

/* --- takeover --- */

#define OWN_CHOICE_PPM 250000 /* instances that do not leave it to their cluster */

Holdfast__V1__Takeover sim_draw_takeover(const struct sim_world *w, const char *instance)
{
    char stream[64];
    snprintf(stream, sizeof stream, "takeover %s", instance ? instance : "");
    struct sim_rng r = sim_rng_make(sim_seed(w->sim), stream, 0);
    bool says = !instance || sim_rng_chance(&r, OWN_CHOICE_PPM);
    bool write_fenced = sim_rng_chance(&r, w->profile.write_fenced_ppm);
    if (w->sizes.ceph == 0 || !says)
        return HOLDFAST__V1__TAKEOVER__TAKEOVER_UNSPECIFIED;
    return write_fenced ? HOLDFAST__V1__TAKEOVER__WRITE_FENCED : HOLDFAST__V1__TAKEOVER__STRICT;
}

/* --- life --- */

struct sim_setup *sim_setup_create(struct sim_world *w)
{
    struct sim_setup *s = HF_NEW(struct sim_setup);
    unsigned n = w->sizes.instances > w->sizes.hosts ? w->sizes.instances : w->sizes.hosts;
    s->w = w;
    sim_client_init(&s->client, w, "admin", 0);
    s->rng = sim_rng_make(sim_seed(w->sim), "setup", 0);
    s->operations = hf_alloc_array(n + 1, sizeof *s->operations);
    s->cloud.instances = hf_alloc_array(w->sizes.instances + 1, sizeof *s->cloud.instances);
    for (unsigned i = 0; i < w->sizes.instances; i++) {
        struct sim_first_instance *first = &s->cloud.instances[i];
        snprintf(first->name, sizeof first->name, "vm%u", i + 1);
        first->local = w->sizes.shared_storages == 0 || sim_rng_chance(&s->rng, w->profile.local_ppm);
    }
    for (size_t i = 0; i < SIM_SETUP_SLOTS; i++)
        s->slots[i].setup = s;
    return s;
}

static void begin(void *arg)
{
    begin_step(arg);
}

void sim_setup_begin(struct sim_setup *s)
{
    sim_proc_post(&s->client.proc, 0, begin, NULL, s);
}

bool sim_setup_ready(const struct sim_setup *s)
{
    return s->ready;
}

const char *sim_setup_failure(const struct sim_setup *s)
{
    return s->failure[0] != '\0' ? s->failure : NULL;
}

const char *sim_setup_waits_for(const struct sim_setup *s)
{
    return s->waits_for;
}

const struct sim_cloud *sim_setup_cloud(const struct sim_setup *s)
{
    return &s->cloud;
}

uint64_t sim_setup_answered(const struct sim_setup *s)
{
    return s->client.answered;
}

void sim_setup_stop(struct sim_setup *s)
{
    sim_client_done(&s->client);
}

void sim_setup_free(struct sim_setup *s)
{
    free(s->operations);
    free(s->cloud.instances);
    free(s);
}
