#include "control/drain_plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"

/* A sentence that grows part by part; what does not fit is left out. */
struct sentence {
    char *text;
    size_t named, more; /* parts about one instance that stand in it, and that do not */
};

static void add(struct sentence *s, const char *fmt, ...) HF_PRINTF(2, 3);
static void add(struct sentence *s, const char *fmt, ...)
{
    size_t have = strlen(s->text);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s->text + have, HF_DRAIN_TEXT_MAX - have, fmt, ap);
    va_end(ap);
}

/* Room for one more instance by name? */
static bool may_name(struct sentence *s)
{
    bool room = s->named < HF_DRAIN_NAMED_MAX && strlen(s->text) < HF_DRAIN_TEXT_MAX / 2;
    *(room ? &s->named : &s->more) += 1;
    return room;
}

static void count_rest(struct sentence *s)
{
    if (s->more > 0)
        add(s, "; and %zu more", s->more);
}

/* It will not leave by itself, and cannot be migrated. */
static bool is_stuck(const struct hf_drain_instance *i)
{
    return i->leaving == HF_DRAIN_STAY && (i->place == HF_DRAIN_RUNS || i->place == HF_DRAIN_STARTS) &&
           i->problem != NULL && !i->pauses;
}

static bool refuses(const struct hf_drain_view *v, struct sentence *s)
{
    for (size_t k = 0; k < v->n; k++) {
        const struct hf_drain_instance *i = &v->instances[k];
        if (!is_stuck(i) || !may_name(s))
            continue;
        add(s, "%s%s cannot leave running: %s", s->named > 1 ? "; " : "", i->name, i->problem);
    }
    count_rest(s);
    return s->named > 0;
}

static bool takes_a_turn(const struct hf_drain_instance *i, enum hf_drain_step step)
{
    return step == HF_DRAIN_MIGRATE || (step == HF_DRAIN_STOP && i->restarts);
}

static enum hf_drain_step wanted(const struct hf_drain_view *v, const struct hf_drain_instance *i)
{
    if (is_stuck(i))
        return v->policy == HF_DRAIN_POLICY_STOP ? HF_DRAIN_STOP : HF_DRAIN_STAY;
    bool moves = i->leaving == HF_DRAIN_STAY && i->place == HF_DRAIN_RUNS && !i->pauses;
    return moves ? HF_DRAIN_MIGRATE : HF_DRAIN_STAY;
}

/* One of them may yet have to refuse the whole: nothing is touched before that is known. */
static bool in_doubt(const struct hf_drain_view *v)
{
    for (size_t k = 0; k < v->n && v->policy == HF_DRAIN_POLICY_REFUSE; k++)
        if (v->instances[k].pauses && v->instances[k].problem != NULL)
            return true;
    return false;
}

static void begin(const struct hf_drain_view *v, enum hf_drain_step *ret_steps)
{
    size_t turns = 0;
    if (in_doubt(v))
        return;
    for (size_t k = 0; k < v->n; k++)
        turns += takes_a_turn(&v->instances[k], v->instances[k].leaving);
    for (size_t k = 0; k < v->n; k++) {
        enum hf_drain_step step = wanted(v, &v->instances[k]);
        bool turn = takes_a_turn(&v->instances[k], step);
        if (turn && turns >= v->parallel_max)
            continue;
        turns += turn;
        ret_steps[k] = step;
    }
}

static void tell_one(struct sentence *s, const struct hf_drain_view *v, const struct hf_drain_instance *i,
                     enum hf_drain_step begun)
{
    enum hf_drain_step step = begun != HF_DRAIN_STAY ? begun : i->leaving;
    bool told = step != HF_DRAIN_STAY || is_stuck(i) || i->place != HF_DRAIN_RUNS || i->pauses;
    if (!told || (v->withdrawn && step == HF_DRAIN_STAY) || !may_name(s))
        return;
    if (i->place == HF_DRAIN_LOST)
        add(s, "; %s is on a host without contact: HA decides about it", i->name);
    else if (step == HF_DRAIN_MIGRATE)
        add(s, "; %s moves%s%s", i->name, i->target != NULL ? " to " : "",
            i->target != NULL ? i->target : "");
    else if (step == HF_DRAIN_STOP)
        add(s, "; %s stops%s", i->name, i->restarts ? " and starts elsewhere" : "");
    else if (i->place == HF_DRAIN_ENDS)
        add(s, "; %s stops, as it was ordered to", i->name);
    else if (is_stuck(i) && v->policy == HF_DRAIN_POLICY_STOP)
        add(s, "; %s waits for its turn", i->name);
    else if (is_stuck(i))
        add(s, "; %s waits: %s", i->name, i->problem);
    else
        add(s, "; %s %s", i->name,
            i->place == HF_DRAIN_STARTS    ? "is still starting"
            : i->place == HF_DRAIN_ARRIVES ? "is still being migrated to it"
                                           : "waits a moment");
}

static void tell(const struct hf_drain_view *v, const enum hf_drain_step *steps, struct sentence *s)
{
    size_t total = v->total > v->n ? v->total : v->n;
    if (v->withdrawn)
        add(s, "taken back, what has begun goes on");
    else
        add(s, "%zu of %zu have left", total - v->n, total);
    if (v->stopped > 0 && !v->withdrawn)
        add(s, " (%zu stopped)", v->stopped);
    for (size_t k = 0; k < v->n; k++)
        tell_one(s, v, &v->instances[k], steps[k]);
    count_rest(s);
}

static bool anything_begun(const struct hf_drain_view *v)
{
    for (size_t k = 0; k < v->n; k++)
        if (v->instances[k].leaving != HF_DRAIN_STAY)
            return true;
    return false;
}

enum hf_drain_verdict hf_drain_plan(const struct hf_drain_view *v, enum hf_drain_step *ret_steps,
                                    char ret_text[HF_DRAIN_TEXT_MAX])
{
    struct sentence s = {.text = ret_text};
    ret_text[0] = '\0';
    for (size_t k = 0; k < v->n; k++)
        ret_steps[k] = HF_DRAIN_STAY;
    if (v->withdrawn ? !anything_begun(v) : v->n == 0)
        return HF_DRAIN_OVER;
    if (!v->withdrawn && v->policy == HF_DRAIN_POLICY_REFUSE && refuses(v, &s))
        return HF_DRAIN_REFUSED;
    if (!v->withdrawn)
        begin(v, ret_steps);
    tell(v, ret_steps, &s);
    return HF_DRAIN_GOES_ON;
}
