#include "control/instance_step.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "control/conditions.h"
#include "control/migration_step.h"
#include "control/placement_guard.h"

typedef Holdfast__V1__InstanceStatus__State state_t;
#define STATE(name) HOLDFAST__V1__INSTANCE_STATUS__STATE__##name
#define SEEN(name)  HOLDFAST__V1__INSTANCE_REPORT__STATE__##name
#define POWER(name) HOLDFAST__V1__POWER_STATE__POWER_##name

int64_t hf_start_backoff_ms(uint32_t failures)
{
    if (failures == 0)
        return 0;
    int64_t ms = failures > 6 ? HF_START_BACKOFF_MAX_MS : 1000LL << (failures - 1);
    return ms < HF_START_BACKOFF_MAX_MS ? ms : HF_START_BACKOFF_MAX_MS;
}

int64_t hf_start_pause_ms(const Holdfast__V1__Instance *i, int64_t wall_ms)
{
    int64_t ms = i->status != NULL ? i->status->retry_at_ms - wall_ms : 0;
    return ms > 0 && ms <= hf_start_backoff_ms(i->status->start_failures) ? ms : 0;
}

static Holdfast__V1__InstanceStatus *status_of(Holdfast__V1__Instance *i)
{
    if (i->status == NULL) {
        i->status = HF_NEW(Holdfast__V1__InstanceStatus);
        holdfast__v1__instance_status__init(i->status);
    }
    return i->status;
}

/* A guest that ran well and was then stopped by its disk, or seen no more, begins again with short pauses. */
static bool set_state(Holdfast__V1__Instance *i, state_t state, int64_t wall_ms)
{
    Holdfast__V1__InstanceStatus *st = status_of(i);
    if (st->state == state)
        return false;
    if (st->state == STATE(RUNNING) && wall_ms - st->state_since_ms >= HF_RUN_GOOD_MS)
        st->start_failures = 0;
    st->state = state;
    st->state_since_ms = wall_ms;
    return true;
}

static bool say(Holdfast__V1__Instance *i, const char *type, const char *message, int64_t wall_ms)
{
    Holdfast__V1__InstanceStatus *st = status_of(i);
    if (message == NULL || message[0] == '\0')
        return hf_condition_clear(&st->conditions, &st->n_conditions, type);
    return hf_condition_set(&st->conditions, &st->n_conditions, type, false, message, wall_ms);
}

/* --- an open placement --- */

static Holdfast__V1__Placement__End *new_end(Holdfast__V1__Instance *i,
                                             Holdfast__V1__Placement__End__Kind kind, const char *reason,
                                             int64_t wall_ms)
{
    Holdfast__V1__Placement *p = i->placement;
    HF_ASSERT(hf_placement_open(p));
    p->end = HF_NEW(Holdfast__V1__Placement__End);
    holdfast__v1__placement__end__init(p->end);
    p->end->kind = kind;
    hf_pb_set(&p->end->host_uuid, p->host_uuid);
    p->end->epoch = p->epoch;
    p->end->run = p->run;
    hf_pb_set(&p->end->reason, reason);
    p->end->at_ms = wall_ms;
    hf_pb_set(&status_of(i)->last_host_uuid, p->host_uuid);
    return p->end;
}

/* Counts a run that ended by itself, and sets the time before which no other start is tried. */
static void count_failure(Holdfast__V1__Instance *i, bool start_failed, int64_t wall_ms)
{
    Holdfast__V1__InstanceStatus *st = status_of(i);
    bool ran_well = !start_failed && (st->state == STATE(RUNNING) || st->state == STATE(PAUSED)) &&
                    wall_ms - st->state_since_ms >= HF_RUN_GOOD_MS;
    st->start_failures = ran_well ? 0 : st->start_failures + 1;
    st->retry_at_ms = wall_ms + hf_start_backoff_ms(st->start_failures);
}

/* Adds this end to those of the window. True: they are too many, it is held. */
static bool count_crash(Holdfast__V1__Instance *i, const struct hf_instance_facts *f, const char *reason)
{
    Holdfast__V1__InstanceStatus *st = status_of(i);
    bool its_own = f->seen->failed || f->seen->guest_initiated; /* a lost lease is the host's */
    if (!its_own || !f->never_stop || f->crash_tries == 0)
        return false;
    if (st->crash_loop == NULL) {
        st->crash_loop = HF_NEW(Holdfast__V1__InstanceStatus__CrashLoop);
        holdfast__v1__instance_status__crash_loop__init(st->crash_loop);
    }
    Holdfast__V1__InstanceStatus__CrashLoop *l = st->crash_loop;
    size_t kept = 0;
    for (size_t k = 0; k < l->n_failed_at_ms; k++) /* times are of the wall clocks of whoever led then */
        if (llabs(f->wall_ms - l->failed_at_ms[k]) < f->crash_window_ms)
            l->failed_at_ms[kept++] = l->failed_at_ms[k];
    l->failed_at_ms = hf_realloc_array(l->failed_at_ms, kept + 1, sizeof *l->failed_at_ms);
    l->failed_at_ms[kept] = f->wall_ms;
    l->n_failed_at_ms = kept + 1;
    hf_pb_set(&l->reason, reason);
    if (l->n_failed_at_ms < f->crash_tries && !HF_MUTANT(HELD_TOO_EARLY))
        return false;
    l->held_since_ms = f->wall_ms;
    return true;
}

static void say_held(Holdfast__V1__Instance *i, const struct hf_instance_facts *f, const char *reason)
{
    char *text = hf_printf(
        "held: it ended %zu times within %lld s; the last time: %s; start it when the cause is gone",
        i->status->crash_loop->n_failed_at_ms, (long long)(f->crash_window_ms / 1000), reason);
    say(i, HF_CONDITION_READY, text, f->wall_ms);
    free(text);
}

static void forget_failures(Holdfast__V1__Instance *i)
{
    i->status->start_failures = 0;
    i->status->retry_at_ms = 0;
}

static void turn_off(Holdfast__V1__Instance *i)
{
    i->spec->power = POWER(STOPPED);
    forget_failures(i);
}

static bool wanted_stopped(const Holdfast__V1__Instance *i)
{
    return i->spec->deleting || i->spec->power == POWER(STOPPED);
}

bool hf_instance_lost_storage(const Holdfast__V1__Instance *i, const struct hf_instance_facts *f)
{
    return f->seen != NULL && f->seen->state == SEEN(STOPPED) && f->seen->lost_lease != NULL && !f->drained &&
           !wanted_stopped(i);
}

bool hf_instance_was_refused(const Holdfast__V1__Instance *i, const struct hf_instance_facts *f)
{
    return f->seen != NULL && f->seen->state == SEEN(STOPPED) && f->seen->client_refused && !f->drained &&
           !wanted_stopped(i);
}

/* The run is over. Was it to be? Else it starts again when it is NeverStop (or a user's start still tries),
 * and is left stopped when it is not. */
static void take_stopped(Holdfast__V1__Instance *i, const struct hf_instance_facts *f)
{
    const Holdfast__V1__InstanceReport *seen = f->seen;
    bool wanted = wanted_stopped(i), storage_lost = hf_instance_lost_storage(i, f);
    const char *reason = f->drained && !wanted      ? "stopped to empty its host"
                         : seen->message[0] != '\0' ? seen->message
                         : wanted                   ? "stopped as ordered"
                         : seen->guest_initiated    ? "the guest powered off"
                                                    : "stopped by its host";
    new_end(i, HOLDFAST__V1__PLACEMENT__END__KIND__STOPPED, reason, f->wall_ms);
    i->status->seen_run = seen->run;
    if (wanted) {
        turn_off(i);
        say(i, HF_CONDITION_READY, NULL, f->wall_ms);
    } else {
        if (storage_lost)
            forget_failures(i);
        else if (!f->drained)
            count_failure(i, seen->failed, f->wall_ms);
        say(i, HF_CONDITION_READY, reason, f->wall_ms);
        bool held = !f->drained && count_crash(i, f, reason);
        if (held)
            say_held(i, f, reason);
        bool tries = f->user_starts && seen->failed && i->status->start_failures < HF_START_TRIES;
        bool goes_on = f->drained && (f->starts_again || f->user_starts);
        bool again = !held && (f->never_stop || f->user_restarts || goes_on || tries);
        if (!again)
            turn_off(i);
    }
    set_state(i, i->spec->deleting ? STATE(DELETING) : STATE(STOPPED), f->wall_ms);
}

static state_t state_of_report(const Holdfast__V1__Instance *i, const Holdfast__V1__InstanceReport *seen)
{
    switch (seen->state) {
    case SEEN(PREPARING):
    case SEEN(STARTING):
        return i->spec->power == POWER(STOPPED) ? STATE(STOPPING) : STATE(STARTING);
    case SEEN(RUNNING):
        return i->spec->power == POWER(STOPPED) ? STATE(STOPPING) : STATE(RUNNING);
    case SEEN(PAUSED):
        return i->spec->power == POWER(STOPPED) ? STATE(STOPPING) : STATE(PAUSED);
    case SEEN(STOPPING):
        return STATE(STOPPING);
    default:
        return i->status->state;
    }
}

static bool follow_report(Holdfast__V1__Instance *i, const struct hf_instance_facts *f)
{
    const Holdfast__V1__InstanceReport *seen = f->seen;
    Holdfast__V1__InstanceStatus *st = i->status;
    bool changed = st->seen_run != seen->run || st->reboot_done < seen->reboot_done;
    st->seen_run = seen->run;
    if (st->reboot_done < seen->reboot_done)
        st->reboot_done = seen->reboot_done;
    bool runs = seen->state == SEEN(RUNNING) || seen->state == SEEN(PAUSED);
    if (runs && i->spec->host_uuid[0] !=
                    '\0') { /* the host that was asked for served this start: the next may be elsewhere */
        hf_pb_set(&i->spec->host_uuid, "");
        changed = true;
    }
    changed |= say(i, HF_CONDITION_READY, seen->state == SEEN(RUNNING) ? NULL : seen->blocked, f->wall_ms);
    state_t state = i->spec->deleting ? STATE(DELETING) : state_of_report(i, seen);
    return set_state(i, state, f->wall_ms) || changed;
}

bool hf_instance_follow(Holdfast__V1__Instance *i, const struct hf_instance_facts *f)
{
    HF_ASSERT(hf_placement_open(i->placement));
    status_of(i);
    if (f->seen != NULL && f->seen->state == SEEN(STOPPED)) {
        take_stopped(i, f);
        return true;
    }
    if (!f->contact)
        return !i->spec->deleting && set_state(i, STATE(UNKNOWN), f->wall_ms);
    if (f->seen != NULL)
        return follow_report(i, f);
    if (i->spec->deleting)
        return set_state(i, STATE(DELETING), f->wall_ms);
    return i->spec->power == POWER(STOPPED) && i->status->state != STATE(UNKNOWN) &&
           set_state(i, STATE(STOPPING), f->wall_ms);
}

/* --- no open placement --- */

bool hf_instance_rest(Holdfast__V1__Instance *i, int64_t wall_ms)
{
    bool placed = i->placement != NULL && i->placement->host_uuid[0] != '\0';
    bool changed = false;
    if (i->spec->power == POWER(PAUSED)) { /* it ended while it was to be paused: nothing is left to resume */
        i->spec->power = POWER(STOPPED);
        changed = true;
    }
    state_t state = i->spec->deleting                                  ? STATE(DELETING)
                    : !placed && status_of(i)->state == STATE(CREATED) ? STATE(CREATED)
                                                                       : STATE(STOPPED);
    return set_state(i, state, wall_ms) || changed;
}

void hf_instance_place(Holdfast__V1__Instance *i, const char *host_uuid, uint64_t epoch, int64_t wall_ms)
{
    HF_ASSERT(!hf_placement_open(i->placement) || HF_MUTANT(PLACED_TWICE));
    if (i->placement == NULL) {
        i->placement = HF_NEW(Holdfast__V1__Placement);
        holdfast__v1__placement__init(i->placement);
    }
    Holdfast__V1__Placement *p = i->placement;
    if (p->end != NULL)
        protobuf_c_message_free_unpacked(&p->end->base, NULL);
    p->end = NULL;
    p->run = hf_placement_last_run(p) + (HF_MUTANT(RUN_USED_TWICE) && p->run > 0 ? 0 : 1);
    if (p->migration != NULL)
        protobuf_c_message_free_unpacked(&p->migration->base, NULL);
    p->migration = NULL;
    hf_pb_set(&p->host_uuid, host_uuid);
    p->epoch = epoch;
    say(i, HF_CONDITION_SCHEDULING, NULL, wall_ms);
    say(i, HF_CONDITION_WAITING, NULL, wall_ms);
    say(i, HF_CONDITION_READY, NULL, wall_ms);
    say(i, HF_CONDITION_MIGRATION, NULL, wall_ms);
    set_state(i, STATE(STARTING), wall_ms);
}

static bool clear_older(Holdfast__V1__InstanceStatus *st, const char *type, int64_t asked_ms)
{
    for (size_t k = 0; k < st->n_conditions; k++)
        if (strcmp(st->conditions[k]->type, type) == 0 && st->conditions[k]->since_ms < asked_ms)
            return hf_condition_clear(&st->conditions, &st->n_conditions, type);
    return false;
}

bool hf_instance_waits(Holdfast__V1__Instance *i, const char *condition, const char *why, bool give_up,
                       int64_t asked_ms, int64_t wall_ms)
{
    bool no_room = strcmp(condition, HF_CONDITION_SCHEDULING) == 0;
    clear_older(status_of(i), condition, asked_ms);
    bool changed = say(i, no_room ? HF_CONDITION_WAITING : HF_CONDITION_SCHEDULING, NULL, wall_ms);
    changed |= say(i, condition, why, wall_ms);
    if (give_up && i->spec->power != POWER(STOPPED)) {
        turn_off(i);
        changed = true;
    }
    if (i->status->state == STATE(CREATED) && !give_up)
        return changed;
    return set_state(i, STATE(STOPPED), wall_ms) || changed;
}

void hf_instance_fenced(Holdfast__V1__Instance *i, const char *fence_uuid, const char *reason, bool restart,
                        int64_t wall_ms)
{
    Holdfast__V1__Placement__End *end =
        new_end(i, HOLDFAST__V1__PLACEMENT__END__KIND__FENCED, reason, wall_ms);
    hf_pb_set(&end->fence_uuid, fence_uuid);
    say(i, HF_CONDITION_READY, reason, wall_ms);
    hf_pb_set(&i->spec->host_uuid, "");
    forget_failures(i); /* the host was lost, not the guest */
    if (!restart)
        turn_off(i);
    set_state(i, i->spec->deleting ? STATE(DELETING) : STATE(STOPPED), wall_ms);
}
