#include "ha/power_fence.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"

enum { EXIT_IS_ON = 0, EXIT_IS_OFF = 2 };

enum hf_power_answer hf_power_answer_of(enum hf_power_verb verb, int exit_code)
{
    if (verb == HF_POWER_STATUS)
        return exit_code == EXIT_IS_ON    ? HF_POWER_IS_ON
               : exit_code == EXIT_IS_OFF ? HF_POWER_IS_OFF
                                          : HF_POWER_REFUSED;
    return exit_code == 0 ? HF_POWER_ACCEPTED : HF_POWER_REFUSED;
}

const char *hf_power_verb_text(enum hf_power_verb verb)
{
    static const char *const texts[] = {"status", "off", "on"};
    return texts[verb];
}

static bool in_level(const struct hf_power_fence *f, size_t i)
{
    return f->devices[i].level == f->level;
}

/* --- rounds --- */

static void begin_asking(struct hf_power_fence *f)
{
    f->phase = HF_POWER_ASKING;
    for (size_t i = 0; i < f->n_devices; i++)
        if (in_level(f, i)) {
            f->devices[i].due = true;
            f->devices[i].said = HF_POWER_NO_ANSWER;
        }
}

/* Two power supplies: all of them go off before any is judged. */
static void begin_cutting(struct hf_power_fence *f)
{
    f->phase = HF_POWER_CUTTING;
    f->cuts++;
    for (size_t i = 0; i < f->n_devices; i++)
        if (in_level(f, i))
            f->devices[i].due = f->devices[i].said != HF_POWER_IS_OFF;
}

static void begin_level(struct hf_power_fence *f, unsigned level)
{
    f->level = level;
    f->asks = f->cuts = 0;
    begin_asking(f);
}

static void pause_until(struct hf_power_fence *f, int64_t due_ms)
{
    f->phase = HF_POWER_PAUSED;
    f->due_ms = due_ms;
}

static void pause_long(struct hf_power_fence *f, int64_t now_ms)
{
    int64_t pause_ms = HF_POWER_PAUSE_MS;
    for (unsigned i = 0; i < f->passes && pause_ms < HF_POWER_PAUSE_MAX_MS; i++)
        pause_ms *= 2;
    f->passes++;
    f->level = f->devices[0].level;
    f->asks = f->cuts = 0;
    pause_until(f, now_ms + (pause_ms < HF_POWER_PAUSE_MAX_MS ? pause_ms : HF_POWER_PAUSE_MAX_MS));
}

/* To the next level, or all over again. */
static void give_level_up(struct hf_power_fence *f, int64_t now_ms)
{
    for (size_t i = 0; i < f->n_devices; i++)
        if (f->devices[i].level > f->level) {
            begin_level(f, f->devices[i].level);
            return;
        }
    pause_long(f, now_ms);
}

/* --- judging --- */

static size_t count_said(const struct hf_power_fence *f, enum hf_power_answer what)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n_devices; i++)
        n += in_level(f, i) && f->devices[i].said == what;
    return n;
}

static size_t level_size(const struct hf_power_fence *f)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n_devices; i++)
        n += in_level(f, i);
    return n;
}

static void confirm(struct hf_power_fence *f)
{
    f->phase = HF_POWER_IS_CUT;
    f->off_ms = INT64_MIN;
    for (size_t i = 0; i < f->n_devices; i++)
        if (in_level(f, i) && f->devices[i].said_ms > f->off_ms)
            f->off_ms = f->devices[i].said_ms;
}

static void judge_status(struct hf_power_fence *f, int64_t now_ms)
{
    size_t n = level_size(f), off = count_said(f, HF_POWER_IS_OFF), on = count_said(f, HF_POWER_IS_ON);
    bool again = off + on < n && count_said(f, HF_POWER_UNKNOWN) == 0 && ++f->asks < HF_POWER_ASKS_MAX;
    if (off == n)
        confirm(f);
    else if (again)
        pause_until(f, now_ms + HF_POWER_RETRY_MS);
    else if (off + on < n || f->cuts == HF_POWER_CUTS_MAX)
        give_level_up(f, now_ms);
    else
        begin_cutting(f);
}

/* The round is over: every device of it has answered. */
static void judge(struct hf_power_fence *f, int64_t now_ms)
{
    if (f->phase == HF_POWER_ASKING) {
        judge_status(f, now_ms);
        return;
    }
    f->asks = 0;
    if (HF_MUTANT(POWER_OFF_UNCONFIRMED) && count_said(f, HF_POWER_ACCEPTED) > 0)
        confirm(f);
    else
        begin_asking(f);
}

static bool round_is_over(const struct hf_power_fence *f)
{
    for (size_t i = 0; i < f->n_devices; i++)
        if (f->devices[i].due || f->devices[i].running)
            return false;
    return true;
}

/* --- verbs --- */

void hf_power_fence_init(struct hf_power_fence *f, int64_t now_ms)
{
    memset(f, 0, sizeof *f);
    pause_until(f, now_ms);
}

void hf_power_fence_add(struct hf_power_fence *f, const char *name, unsigned level)
{
    HF_ASSERT(f->n_devices < HF_POWER_DEVICES_MAX && f->phase == HF_POWER_PAUSED);
    size_t at = f->n_devices++;
    for (; at > 0 && f->devices[at - 1].level > level; at--)
        f->devices[at] = f->devices[at - 1];
    f->devices[at] = (struct hf_power_device){.level = level};
    snprintf(f->devices[at].name, sizeof f->devices[at].name, "%s", name);
    f->level = f->devices[0].level;
}

bool hf_power_fence_next(struct hf_power_fence *f, int64_t now_ms, struct hf_power_run *ret)
{
    HF_ASSERT(f->n_devices > 0);
    if (f->phase == HF_POWER_IS_CUT || (f->phase == HF_POWER_PAUSED && now_ms < f->due_ms))
        return false;
    if (f->phase == HF_POWER_PAUSED)
        begin_asking(f);
    for (size_t i = 0; i < f->n_devices; i++) {
        struct hf_power_device *d = &f->devices[i];
        if (!d->due)
            continue;
        d->due = false;
        d->running = true;
        if (f->phase == HF_POWER_ASKING)
            d->asked_ms = now_ms;
        else
            d->cut = true;
        *ret = (struct hf_power_run){i, f->phase == HF_POWER_ASKING ? HF_POWER_STATUS : HF_POWER_OFF};
        return true;
    }
    return false;
}

void hf_power_fence_answer(struct hf_power_fence *f, size_t device, enum hf_power_answer answer,
                           const char *text, int64_t now_ms)
{
    struct hf_power_device *d = &f->devices[device];
    HF_ASSERT(device < f->n_devices && d->running);
    d->running = false;
    d->said = answer;
    d->said_ms = now_ms;
    if (answer == HF_POWER_REFUSED || answer == HF_POWER_UNKNOWN)
        snprintf(d->text, sizeof d->text, "%s", text);
    else
        d->text[0] = '\0';
    if (round_is_over(f))
        judge(f, now_ms);
}

void hf_power_fence_doubt(struct hf_power_fence *f, const char *why, int64_t now_ms)
{
    HF_ASSERT(f->phase == HF_POWER_IS_CUT);
    snprintf(f->doubt, sizeof f->doubt, "%s", why);
    pause_long(f, now_ms);
}

/* --- what can be told --- */

int64_t hf_power_fence_due(const struct hf_power_fence *f)
{
    return f->phase == HF_POWER_PAUSED ? f->due_ms : INT64_MAX;
}

bool hf_power_fence_in_trouble(const struct hf_power_fence *f)
{
    return f->phase != HF_POWER_IS_CUT && (f->passes > 0 || f->doubt[0] != '\0');
}

/* "'bmc': wrong password" of each device that last had a reason, or stays on. */
static void say_troubles(const struct hf_power_fence *f, char *out, size_t len)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < f->n_devices && at < len; i++) {
        const struct hf_power_device *d = &f->devices[i];
        const char *why = d->text[0] != '\0'                    ? d->text
                          : d->cut && d->said == HF_POWER_IS_ON ? "stays on"
                                                                : NULL;
        if (why != NULL)
            at += (size_t)snprintf(out + at, len - at, "%s'%.40s': %.100s", at > 0 ? "; " : "", d->name, why);
    }
}

void hf_power_fence_say(const struct hf_power_fence *f, int64_t now_ms, char *out, size_t len)
{
    char troubles[HF_POWER_TEXT_MAX];
    say_troubles(f, troubles, sizeof troubles);
    if (f->phase == HF_POWER_IS_CUT)
        snprintf(out, len, "its power is off");
    else if (f->doubt[0] != '\0')
        snprintf(out, len, "%s", f->doubt);
    else if (f->passes == 0)
        snprintf(out, len, "its power is being cut%s%s", troubles[0] != '\0' ? "; " : "", troubles);
    else if (f->phase == HF_POWER_PAUSED)
        snprintf(out, len, "its power could not be cut (%s), the next try comes in %lld s", troubles,
                 (long long)((f->due_ms - now_ms + 999) / 1000));
    else
        snprintf(out, len, "its power could not be cut (%s), it is tried again", troubles);
}
