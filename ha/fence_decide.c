#include "ha/fence_decide_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mutant.h"

#define ACTIONS_OF_HOST    2 /* at most, beside those for each storage: power, and what is said of it */
#define ACTIONS_OF_STORAGE 4 /* what proves it, its blocklist, and what is said of that */

typedef unsigned long long ull;

struct seconds {
    char text[32];
};

static struct seconds seconds(int64_t ms)
{
    struct seconds s;
    snprintf(s.text, sizeof s.text, "%lld.%02lld s", (long long)(ms / 1000), (long long)(ms % 1000 / 10));
    return s;
}

enum hf_watchdog hf_watchdog_of_text(const char *text)
{
    if (strcmp(text, "hardware") == 0)
        return HF_WATCHDOG_HARDWARE;
    return strcmp(text, "stand-in") == 0 ? HF_WATCHDOG_STAND_IN : HF_WATCHDOG_NONE;
}

struct hf_fence_action *hf_fence_plan_add(struct hf_fence_plan *p, const struct hf_fence_host *h,
                                          enum hf_fence_action_kind kind, const char *fmt, ...)
{
    if (p->n == p->max)
        return NULL;
    struct hf_fence_action *a = &p->list[p->n++];
    memset(a, 0, sizeof *a);
    a->kind = kind;
    a->host = (size_t)(h - p->view->hosts);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(a->text, sizeof a->text, fmt, ap);
    va_end(ap);
    return a;
}

void hf_fence_plan_alarm(struct hf_fence_action *a)
{
    if (a)
        a->alarm = true;
}

static void evidence_for_all(struct hf_fence_action *a, enum hf_evidence_kind kind)
{
    if (!a)
        return;
    a->evidence = kind;
    a->everything = true;
}

/* --- facts about one host --- */

static const struct hf_fence_storage *first_moving(const struct hf_fence_host *h)
{
    for (size_t i = 0; i < h->n_storages; i++) {
        if (h->storages[i].sign.state == HF_SIGN_MOVING && !h->storages[i].sign.closed_and_killed)
            return &h->storages[i];
    }
    return NULL;
}

/* Its records say of every storage: closed, and all that needed it is gone. */
static bool records_say_closed(const struct hf_fence_host *h)
{
    for (size_t i = 0; i < h->n_storages; i++) {
        if (!h->storages[i].sign.closed_and_killed)
            return false;
    }
    return h->n_storages > 0;
}

static bool all_proven(const struct hf_fence_host *h)
{
    if (h->proven)
        return true;
    for (size_t i = 0; i < h->n_storages; i++) {
        if (!h->storages[i].proven)
            return false;
    }
    return h->n_storages > 0;
}

/* A storage that its runs use and about which nobody can say anything. */
static const struct hf_fence_storage *first_blind(const struct hf_fence_host *h)
{
    for (size_t i = 0; i < h->n_storages; i++) {
        const struct hf_fence_storage *s = &h->storages[i];
        if (s->in_use && s->sign.state != HF_SIGN_STILL && !s->sign.closed_and_killed)
            return s;
    }
    return NULL;
}

/* Of the records that stand still the one that has for the shortest time, or NULL. */
static const struct hf_fence_storage *least_silent(const struct hf_fence_host *h)
{
    const struct hf_fence_storage *least = NULL;
    for (size_t i = 0; i < h->n_storages; i++) {
        const struct hf_fence_storage *s = &h->storages[i];
        if (s->sign.state == HF_SIGN_STILL && (!least || s->sign.unchanged_ms < least->sign.unchanged_ms))
            least = s;
    }
    return least;
}

static bool is_lost(const struct hf_fence_host *h)
{
    return h->epoch > 0 && !h->at_rest && !h->contact && !all_proven(h) && !first_moving(h);
}

static bool too_many_lost(const struct hf_fence_plan *p)
{
    return p->lost > 1 && p->lost * 100 > p->view->settings.mass_share * p->counted &&
           !HF_MUTANT(MASS_LOSS_FENCED);
}

static const char *blind_text(const struct hf_fence_storage *s, char *out, size_t len)
{
    if (s->sign.state == HF_SIGN_OUT)
        snprintf(out, len, "storage '%s' is out for every observer (%s)", s->name, s->sign.error);
    else if (s->sign.state == HF_SIGN_NO_RECORD)
        snprintf(out, len, "storage '%s' holds no record of this epoch", s->name);
    else
        snprintf(out, len, "no other host reads storage '%s'", s->name);
    return out;
}

/* --- the two questions --- */

/* Why silence may not fence this host now; NULL: nothing stands against it. */
const char *hf_fence_silence_problem(const struct hf_fence_plan *p, char *out, size_t len)
{
    if (!p->view->settings.ha_enabled)
        return "HA is switched off";
    if (!too_many_lost(p))
        return NULL;
    snprintf(out, len, "%zu of %zu hosts are lost at once, more than %u %%", p->lost, p->counted,
             p->view->settings.mass_share);
    return out;
}

/* Its records have stood still for long enough: the fence. */
static void commit_silent(struct hf_fence_plan *p, const struct hf_fence_host *h,
                          const struct hf_fence_storage *least)
{
    struct seconds lost = seconds(h->lost_ms), still = seconds(least->sign.unchanged_ms);
    struct hf_fence_action *a =
        least->sign.unchanged_ms < h->timing->fence_ms && h->write_fenced
            ? hf_fence_plan_add(p, h, HF_FENCE_COMMIT,
                                "no contact for %s; its record on '%s' stands still for %s, and it has "
                                "write-fenced instances",
                                lost.text, least->name, still.text)
            : hf_fence_plan_add(p, h, HF_FENCE_COMMIT,
                                "no contact for %s; its record on '%s' stands still for %s, it must have "
                                "killed by itself after %s",
                                lost.text, least->name, still.text, seconds(h->timing->fence_ms).text);
    if (a)
        a->block = true;
}

/* Not fenced yet, no contact: may the fence be committed? */
static void decide_fence(struct hf_fence_plan *p, const struct hf_fence_host *h)
{
    char text[256];
    const struct hf_fence_storage *blind = first_blind(h), *least = least_silent(h);
    const char *problem;
    int64_t needed_ms = h->write_fenced && h->heard ? h->timing->write_fence_ms : h->timing->fence_ms;
    if (!blind && !least)
        blind = &h->storages[0];
    if (blind) {
        hf_fence_plan_alarm(
            hf_fence_plan_add(p, h, HF_FENCE_HOLD, "no contact for %s, but %s: nothing is known of the host",
                              seconds(h->lost_ms).text, blind_text(blind, text, sizeof text)));
    } else if (least->sign.unchanged_ms < needed_ms && !HF_MUTANT(EVIDENCE_WITHOUT_SILENCE)) {
        hf_fence_plan_add(p, h, HF_FENCE_HOLD,
                          "no contact for %s; its record on '%s' stands still for %s of %s until the fence",
                          seconds(h->lost_ms).text, least->name, seconds(least->sign.unchanged_ms).text,
                          seconds(needed_ms).text);
    } else if (h->lost_ms < h->timing->contact_ms) {
        hf_fence_plan_add(p, h, HF_FENCE_HOLD,
                          "its record on '%s' stands still for %s, but contact was lost only %s ago",
                          least->name, seconds(least->sign.unchanged_ms).text, seconds(h->lost_ms).text);
    } else if ((problem = hf_fence_silence_problem(p, text, sizeof text)) != NULL) {
        hf_fence_plan_alarm(hf_fence_plan_add(p, h, HF_FENCE_HOLD,
                                              "no contact for %s and no sign of life, but %s: hold",
                                              seconds(h->lost_ms).text, problem));
    } else {
        commit_silent(p, h, least);
    }
}

/* Rule 14: without a watchdog silence proves nothing. */
static const char *watchdog_problem(const struct hf_fence_plan *p, const struct hf_fence_host *h)
{
    if (h->watchdog == HF_WATCHDOG_NONE && !HF_MUTANT(SILENCE_WITHOUT_WATCHDOG))
        return "it has no hardware watchdog";
    if (h->watchdog == HF_WATCHDOG_STAND_IN && !p->view->settings.accept_stand_in)
        return "its watchdog is a stand-in, which the settings do not accept";
    return NULL;
}

/* --- power --- */

/* Its power may be cut: the settings allow it and it has devices for that. */
static bool power_may_prove(const struct hf_fence_plan *p, const struct hf_fence_host *h)
{
    switch (p->view->settings.by_power) {
    case HF_FENCE_BY_POWER_NEVER:
        return false;
    case HF_FENCE_BY_POWER_WITHOUT_WATCHDOG:
        return h->power.devices && watchdog_problem(p, h) != NULL;
    case HF_FENCE_BY_POWER_ALWAYS:
        break;
    }
    return h->power.devices;
}

/* Its devices say off: what stirred after that, later than a word of before takes to arrive; NULL: nothing.
 */
static const char *lie_text(const struct hf_fence_host *h, char *out, size_t len)
{
    int64_t on_its_way_ms = h->timing->takeover_read_ms + h->timing->report_ms;
    const struct hf_fence_storage *moving = first_moving(h);
    if (h->lost_ms + on_its_way_ms < h->power.off_ms)
        snprintf(out, len, "it was in contact after that");
    else if (moving && moving->sign.unchanged_ms + on_its_way_ms < h->power.off_ms)
        snprintf(out, len, "its record on '%s' moved after that", moving->name);
    else
        return NULL;
    return out;
}

/* How long its records have been looked at behind the devices' word, as far as that is needed; *ret_storage:
 * one that was, or NULL where nobody can read any. */
static int64_t looked_ms(const struct hf_fence_host *h, const struct hf_fence_storage **ret_storage)
{
    int64_t least_ms = h->power.off_ms;
    *ret_storage = NULL;
    for (size_t i = 0; i < h->n_storages; i++) {
        const struct hf_sign *sign = &h->storages[i].sign;
        bool read =
            sign->state == HF_SIGN_STILL || (sign->state == HF_SIGN_MOVING && !sign->closed_and_killed);
        if (!read)
            continue;
        *ret_storage = &h->storages[i];
        int64_t quiet_ms = sign->state == HF_SIGN_STILL ? sign->unchanged_ms : 0;
        least_ms = quiet_ms < least_ms ? quiet_ms : least_ms;
    }
    return least_ms;
}

/* Its devices say off, and nothing has stirred since: long enough? */
static void decide_power_off(struct hf_fence_plan *p, const struct hf_fence_host *h)
{
    const struct hf_fence_storage *storage;
    int64_t looked = looked_ms(h, &storage);
    int64_t needed = h->timing->power_look_ms + (storage ? 0 : h->timing->contact_ms);
    if (looked < needed) {
        hf_fence_plan_add(p, h, HF_FENCE_HOLD,
                          "fenced; its power is off by the word of %s, %s of %s without a sign of life",
                          h->power.who, seconds(looked).text, seconds(needed).text);
        return;
    }
    struct hf_fence_action *a =
        storage ? hf_fence_plan_add(
                      p, h, HF_FENCE_EVIDENCE,
                      "its power has been off for %s by the word of %s, and its record on '%s' stands still",
                      seconds(h->power.off_ms).text, h->power.who, storage->name)
                : hf_fence_plan_add(
                      p, h, HF_FENCE_EVIDENCE,
                      "its power has been off for %s by the word of %s; nobody can read its records",
                      seconds(h->power.off_ms).text, h->power.who);
    evidence_for_all(a, HF_EVIDENCE_POWER_OFF);
    if (a) {
        a->silent_ms = h->power.off_ms;
        a->required_ms = needed;
    }
}

static void write_lie(const struct hf_fence_host *h, const char *what, char text[HF_FENCE_TEXT_MAX])
{
    snprintf(text, HF_FENCE_TEXT_MAX, "the power device %s of host '%s' says off, but %s", h->power.who,
             h->name, what);
}

/* Fenced and without contact: have its power cut, as long as anything is not proven. */
static void decide_power(struct hf_fence_plan *p, const struct hf_fence_host *h)
{
    char text[256];
    const char *problem, *lie;
    if (!power_may_prove(p, h) || all_proven(h))
        return;
    if ((problem = hf_fence_silence_problem(p, text, sizeof text)) != NULL) {
        hf_fence_plan_alarm(
            hf_fence_plan_add(p, h, HF_FENCE_HOLD, "fenced, but %s: its power is not cut", problem));
        return;
    }
    if (h->fenced_ms < p->view->settings.power_delay_ms) {
        hf_fence_plan_add(p, h, HF_FENCE_HOLD, "fenced; its power is cut in %s",
                          seconds(p->view->settings.power_delay_ms - h->fenced_ms).text);
        return;
    }
    struct hf_fence_action *cut =
        hf_fence_plan_add(p, h, HF_FENCE_POWER, "cut its power: epoch %llu is fenced", (ull)h->epoch);
    if (!h->power.off) {
        struct hf_fence_action *hold =
            h->power.state ? hf_fence_plan_add(p, h, HF_FENCE_HOLD, "fenced; %s%s", h->power.state,
                                               h->power.trouble && watchdog_problem(p, h)
                                                   ? "; bring it back or confirm that it is down"
                                                   : "")
                           : NULL;
        if (h->power.trouble)
            hf_fence_plan_alarm(hold);
        return;
    }
    if ((lie = lie_text(h, text, sizeof text)) != NULL) {
        if (cut) {
            cut->doubt = true;
            write_lie(h, lie, cut->text);
        }
        return;
    }
    decide_power_off(p, h);
}

/* Rule 12: the read that ends the silence began after its observer had written the mark. Why that is not so,
 * or NULL. */
static const char *mark_problem(const struct hf_fence_host *h, const struct hf_fence_storage *s, char *out,
                                size_t len)
{
    if (s->sign.marked_ms >= h->timing->silence_ms || HF_MUTANT(EVIDENCE_WITHOUT_SILENCE))
        return NULL;
    if (s->sign.marked_ms >= 0)
        snprintf(out, len,
                 "fenced; since its mark is on '%s' an observer has seen its record stand still for %s of %s",
                 s->name, seconds(s->sign.marked_ms).text, seconds(h->timing->silence_ms).text);
    else
        snprintf(out, len,
                 "fenced and silent on '%s', but nobody has written its mark there and read again%s%.100s",
                 s->name, s->sign.mark_error[0] ? ": " : "", s->sign.mark_error);
    return out;
}

/* Fenced: is there proof for this storage? */
static void decide_evidence(struct hf_fence_plan *p, const struct hf_fence_host *h,
                            const struct hf_fence_storage *s)
{
    char text[256];
    const char *problem;
    struct hf_fence_action *a = NULL, *hold;
    if (s->sign.closed_and_killed) {
        a = hf_fence_plan_add(p, h, HF_FENCE_EVIDENCE,
                              "its record on '%s' says: epoch %llu closed, all killed", s->name,
                              (ull)h->epoch);
        if (a) {
            a->evidence = HF_EVIDENCE_CLOSED_AND_KILLED;
            a->session = s->sign.closed_session;
        }
    } else if ((problem = watchdog_problem(p, h)) != NULL) {
        if (power_may_prove(p, h))
            return; /* decide_power() says how that stands */
        hf_fence_plan_alarm(hf_fence_plan_add(
            p, h, HF_FENCE_HOLD,
            "fenced, but silence proves nothing: %s; bring it back or confirm that it is down", problem));
    } else if (s->sign.state != HF_SIGN_STILL) {
        if (s->in_use)
            hf_fence_plan_alarm(
                hf_fence_plan_add(p, h, HF_FENCE_HOLD, "fenced, but %s", blind_text(s, text, sizeof text)));
    } else if (s->sign.unchanged_ms < h->timing->silence_ms && !HF_MUTANT(EVIDENCE_WITHOUT_SILENCE)) {
        hf_fence_plan_add(p, h, HF_FENCE_HOLD,
                          "fenced; its record on '%s' stands still for %s of %s until the proof", s->name,
                          seconds(s->sign.unchanged_ms).text, seconds(h->timing->silence_ms).text);
    } else if ((problem = mark_problem(h, s, text, sizeof text)) != NULL) {
        hold = hf_fence_plan_add(p, h, HF_FENCE_HOLD, "%s", problem);
        if (s->sign.mark_error[0] != '\0')
            hf_fence_plan_alarm(hold);
    } else if ((problem = hf_fence_silence_problem(p, text, sizeof text)) != NULL) {
        hf_fence_plan_alarm(hf_fence_plan_add(p, h, HF_FENCE_HOLD, "fenced and silent on '%s', but %s: hold",
                                              s->name, problem));
    } else {
        a = hf_fence_plan_add(p, h, HF_FENCE_EVIDENCE,
                              "its record on '%s' stood still for %s, %s were needed", s->name,
                              seconds(s->sign.marked_ms).text, seconds(h->timing->silence_ms).text);
        if (a) {
            a->evidence = HF_EVIDENCE_SILENCE;
            a->observer = s->sign.mark_observer;
            a->silent_ms = HF_MUTANT(EVIDENCE_WITHOUT_SILENCE) ? s->sign.unchanged_ms : s->sign.marked_ms;
            a->marked = true;
            a->required_ms = HF_MUTANT(EVIDENCE_WITHOUT_SILENCE) ? 1 : h->timing->silence_ms;
        }
    }
    if (a)
        a->storage = s->uuid;
}

/* The host itself or a person has said it: no need to judge silence. true: that settles this host. */
static bool decide_by_word(struct hf_fence_plan *p, const struct hf_fence_host *h)
{
    if (h->operator_word && !h->fenced)
        hf_fence_plan_add(p, h, HF_FENCE_COMMIT, "an operator has confirmed that it is down: %s",
                          h->operator_word);
    else if (h->operator_word)
        evidence_for_all(hf_fence_plan_add(p, h, HF_FENCE_EVIDENCE,
                                           "an operator has confirmed that it is down: %s", h->operator_word),
                         HF_EVIDENCE_OPERATOR);
    else if (h->closed_and_killed && !h->fenced)
        hf_fence_plan_add(p, h, HF_FENCE_COMMIT, "its keeper reports: epoch %llu closed, all killed",
                          (ull)h->epoch);
    else if (h->closed_and_killed)
        evidence_for_all(hf_fence_plan_add(p, h, HF_FENCE_EVIDENCE,
                                           "its keeper reports: epoch %llu closed, all killed",
                                           (ull)h->epoch),
                         HF_EVIDENCE_CLOSED_AND_KILLED);
    else
        return false;
    return true;
}

static void decide_unfenced(struct hf_fence_plan *p, const struct hf_fence_host *h)
{
    const struct hf_fence_storage *moving = first_moving(h);
    if (HF_MUTANT(POWER_BEFORE_FENCE) && h->power.devices)
        hf_fence_plan_add(p, h, HF_FENCE_POWER, "cut its power");
    if (h->n_storages == 0)
        hf_fence_plan_alarm(hf_fence_plan_add(
            p, h, HF_FENCE_HOLD,
            "no contact for %s, and it keeps no lease on a shared storage: nothing proves it "
            "down; bring it back or "
            "confirm that it is down",
            seconds(h->lost_ms).text));
    else if (moving)
        hf_fence_plan_add(
            p, h, HF_FENCE_HOLD,
            "no contact for %s, but its record on '%s' moves: the host lives, its runs are left alone",
            seconds(h->lost_ms).text, moving->name);
    else if (records_say_closed(h))
        hf_fence_plan_add(p, h, HF_FENCE_COMMIT, "its records say: epoch %llu closed, all killed",
                          (ull)h->epoch);
    else
        decide_fence(p, h);
}

static void decide_proof(struct hf_fence_plan *p, const struct hf_fence_host *h)
{
    for (size_t i = 0; i < h->n_storages; i++) {
        const struct hf_fence_storage *s = &h->storages[i];
        bool lives = s->sign.state == HF_SIGN_MOVING && !s->sign.closed_and_killed;
        if (!s->proven && !lives)
            decide_evidence(p, h, s);
    }
}

static void decide_fenced(struct hf_fence_plan *p, const struct hf_fence_host *h)
{
    const struct hf_fence_storage *moving = first_moving(h);
    if (h->n_storages == 0 && !power_may_prove(p, h)) {
        hf_fence_plan_alarm(hf_fence_plan_add(
            p, h, HF_FENCE_HOLD,
            "fenced, but it keeps no lease on a shared storage: bring it back or confirm that it is down"));
        return;
    }
    if (h->contact) {
        struct hf_fence_action *hold = hf_fence_plan_add(
            p, h, HF_FENCE_HOLD, "fenced and in contact: it is told to end epoch %llu", (ull)h->epoch);
        if (hold && h->power.off) {
            hf_fence_plan_alarm(hold);
            write_lie(h, "it is in contact", hold->text);
        }
        return;
    }
    if (!records_say_closed(h)) /* its own word is enough: it may be on its way to be switched off in order */
        decide_power(p, h);
    if (moving)
        hf_fence_plan_alarm(hf_fence_plan_add(
            p, h, HF_FENCE_HOLD, "fenced, but its record on '%s' moves: it has not heard of the fence",
            moving->name));
    decide_proof(p, h);
}

/* Nothing waits for it, so nothing but its own word is of interest; with its next life that one is proven
 * over. */
static void decide_at_rest(struct hf_fence_plan *p, const struct hf_fence_host *h)
{
    if (records_say_closed(h) && h->fenced)
        decide_proof(p, h);
    else if (records_say_closed(h))
        decide_unfenced(p, h);
}

static void decide_host(struct hf_fence_plan *p, const struct hf_fence_host *h)
{
    if (h->epoch > 0 && h->fenced)
        hf_fence_decide_blocks(p, h);
    if (h->epoch == 0 || h->proven || decide_by_word(p, h))
        return;
    if (h->at_rest && !h->contact)
        decide_at_rest(p, h);
    else if (h->fenced)
        decide_fenced(p, h);
    else if (!h->contact)
        decide_unfenced(p, h);
}

size_t hf_fence_room(const struct hf_fence_view *view)
{
    size_t room = 0;
    for (size_t i = 0; i < view->n_hosts; i++)
        room += ACTIONS_OF_HOST + ACTIONS_OF_STORAGE * view->hosts[i].n_storages;
    return room;
}

size_t hf_fence_decide(const struct hf_fence_view *view, struct hf_fence_action *ret, size_t max)
{
    struct hf_fence_plan p = {.view = view, .list = ret, .max = max};
    for (size_t i = 0; i < view->n_hosts; i++) {
        p.lost += is_lost(&view->hosts[i]);
        p.counted += view->hosts[i].epoch > 0 && !view->hosts[i].at_rest && !all_proven(&view->hosts[i]);
    }
    for (size_t i = 0; i < view->n_hosts; i++)
        decide_host(&p, &view->hosts[i]);
    return p.n;
}
