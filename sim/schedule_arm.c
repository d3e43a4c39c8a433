/* The faults of a schedule in the queue of a world. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sim/schedule_private.h"

#define LOOK_NS (500 * HF_MS_NS) /* processes come back without telling anybody */

static const char *subject_of(const struct sim_fault *f)
{
    return *f->subject ? f->subject : "world";
}

static void trace(const struct sim_armed *a, const char *what)
{
    struct sim *s = a->arm->w->sim;
    if (!sim_tracing(s))
        return;
    char line[300];
    sim_fault_describe(a->fault, line, sizeof line);
    sim_trace(s, subject_of(a->fault), "%s %s", what, line);
}

static void link_last(struct sim_armed *a)
{
    a->next = NULL;
    a->prev = a->arm->last;
    *a->arm->last = a;
    a->arm->last = &a->next;
}

static void unlink_armed(struct sim_armed *a)
{
    *a->prev = a->next;
    if (a->next)
        a->next->prev = a->prev;
    else
        a->arm->last = a->prev;
}

static void end_fault(struct sim_armed *a)
{
    if (!a->holds)
        return;
    struct sim_world *w = a->arm->w;
    a->holds = false;
    unlink_armed(a);
    w->active[a->fault->kind]--;
    trace(a, "ENDS ");
    sim_fault_end(a);
    sim_health_disturbs(a->arm, a->fault);
    sim_health_look(a->arm);
}

static void end_event(void *arg)
{
    end_fault(arg);
}

static void begin_event(void *arg)
{
    struct sim_armed *a = arg;
    struct sim_world *w = a->arm->w;
    w->faults[a->fault->kind]++;
    trace(a, "FAULT");
    if (a->fault->for_ns > 0) {
        a->holds = true;
        link_last(a);
        w->active[a->fault->kind]++;
        sim_after(w->sim, a->fault->for_ns, end_event, NULL, a);
    }
    sim_fault_begin(a);
    sim_health_disturbs(a->arm, a->fault);
    sim_health_look(a->arm);
}

/* The end of the time with faults: those that hold end, and acts that were not reached are waited for no
 * longer. */
static void finish(void *arg)
{
    struct sim_arm *arm = arg;
    while (arm->first)
        end_fault(arm->first);
    for (size_t i = 0; i < arm->schedule.n; i++)
        sim_fault_disarm(&arm->armed[i]);
}

/* --- looking at the world, for ever; the arm lives as long as this event --- */

static void arm_free(void *arg)
{
    struct sim_arm *arm = arg;
    sim_points_draw_from(NULL);
    sim_schedule_done(&arm->schedule);
    free(arm->armed);
    free(arm);
}

static void look(void *arg)
{
    struct sim_arm *arm = arg;
    sim_health_look(arm);
    sim_after(arm->w->sim, LOOK_NS, look, arm_free, arm);
}

void sim_schedule_arm(struct sim_world *w, const struct sim_schedule *s)
{
    struct sim_arm *arm = HF_NEW(struct sim_arm);
    arm->w = w;
    arm->schedule = sim_schedule_copy(s);
    arm->armed = hf_alloc_array(s->n ? s->n : 1, sizeof *arm->armed);
    memset(arm->armed, 0, (s->n ? s->n : 1) * sizeof *arm->armed);
    arm->last = &arm->first;
    arm->points_rng = sim_rng_make(sim_seed(w->sim), "points", 0);
    sim_points_draw_from(&arm->points_rng);
    sim_health_init(arm);
    int64_t began_ns = sim_now_ns(w->sim);
    for (size_t i = 0; i < s->n; i++) {
        arm->armed[i].arm = arm;
        arm->armed[i].fault = &arm->schedule.faults[i];
        if (s->faults[i].at_ns < w->sizes.fault_ns)
            sim_at(w->sim, began_ns + s->faults[i].at_ns, begin_event, NULL, &arm->armed[i]);
    }
    sim_at(w->sim, began_ns + w->sizes.fault_ns, finish, NULL, arm);
    look(arm);
}
