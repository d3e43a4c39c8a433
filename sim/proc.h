/* A simulated process: an environment (hf_env) for the code that ships, with a clock of its own, that can be
 * stopped, resumed and killed at any act.
 *
 * A turn is one call from the queue into the process: a timer, a delivery. What the process does to the world
 * (a message out, a write, a kill, a pet) is an act. A fault may strike between two acts of one turn: a stop
 * holds back the acts that follow until the process goes on, however old the belief is that they rest on; a
 * crash drops them. This is how a process is lost at every persist point, and paused in the middle of a
 * decision.
 */
#ifndef HF_SIM_PROC_H
#define HF_SIM_PROC_H

#include "sim/sim.h"

#define SIM_PROC_NAME 24

struct sim_task;

struct sim_proc {
    struct hf_env env; /* for the process's code, while it is up */
    struct sim *sim;
    char name[SIM_PROC_NAME]; /* "h3/keeper": the subject of its lines in the trace */
    struct sim_rng rng;       /* what hf_env_random() gives */
    /* its clock: shown_ns at true time set_ns, from there on at (1 + rate) */
    int64_t set_ns, shown_ns;
    int32_t rate_ppm;
    int64_t wall_offset_ms; /* its wall clock shows that much more than the true one */
    bool up;
    bool dying; /* crashed within its own turn: torn down at the turn's end */
    bool in_turn;
    uint32_t life;  /* raised by every start: what belongs to an older life is dropped */
    unsigned stops; /* reasons to stand still; 0: runs */
    unsigned fuse;  /* the fuse-th act from now meets the fault; 0: none */
    void (*on_fuse)(void *arg, struct sim_proc *p); /* stops or crashes it */
    void *fuse_arg;
    uint64_t wake_number;                /* of the wake-up that counts */
    int64_t wake_due_ns;                 /* on its clock; INT64_MAX: none */
    bool wake_missed;                    /* its time came while the process stood still */
    struct sim_task *inbox, **inbox_end; /* deliveries that came while it stood still */
    struct sim_task *acts, **acts_end;   /* of the turn in which it was stopped */
    /* Set by the owner. turn_ended (may be NULL) runs inside the process after each turn. crashed must free
     * what the process held: its environment works until it returns, only acts are dropped. */
    void (*turn_ended)(void *arg);
    void (*crashed)(void *arg);
    void *arg;
    /* Set by net.c: the kernel closes what the process had open, after crashed. */
    void (*exited)(void *arg, struct sim_proc *p);
    void *exited_arg;
};

/* All zero but for what is given; not up. rate_ppm, wall_offset_ms: of its machine's clock. */
void sim_proc_init(struct sim_proc *p, struct sim *s, const char *name, uint64_t number);
void sim_proc_done(struct sim_proc *p); /* must not be up */
/* Begins a life: p->env may be used. Stops that were set before still hold; a fuse does not. */
void sim_proc_start(struct sim_proc *p);
/* Ends the life at once, or at the end of the turn that it is in. Its timers, deliveries and acts are
 * dropped. Nothing happens when it is not up. */
void sim_proc_crash(struct sim_proc *p);
/* Stands still for one more reason / one less; at zero it goes on: first the acts that were held back, then
 * what came meanwhile, then its timers. */
void sim_proc_stop(struct sim_proc *p);
void sim_proc_cont(struct sim_proc *p);
static inline bool sim_proc_runs(const struct sim_proc *p)
{
    return p->up && !p->dying && p->stops == 0;
}

/* A delivery: fn(arg) inside this life of the process after the delay; drop(arg) (may be NULL) when that life
 * is over first. */
void sim_proc_post(struct sim_proc *p, int64_t delay_ns, sim_fn fn, sim_fn drop, void *arg);
/* For drivers, from an event of the queue and outside of every turn: a delivery without delay to that life.
 */
void sim_proc_enter(struct sim_proc *p, uint32_t life, sim_fn fn, sim_fn drop, void *arg);
/* An act: fn(arg) now, or when the process goes on; drop(arg) (may be NULL) when it dies first. Only inside a
 * turn or a start. fn must not call back into the process. */
void sim_proc_act(struct sim_proc *p, sim_fn fn, sim_fn drop, void *arg);
/* The clock runs at another rate from now on / jumps (wall clock only). */
void sim_proc_set_rate(struct sim_proc *p, int32_t rate_ppm);
/* What its clock shows (CLOCK_BOOTTIME: counts pauses). */
int64_t sim_proc_clock_ns(const struct sim_proc *p);

#endif
