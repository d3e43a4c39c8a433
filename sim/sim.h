/* Virtual time: one queue of events, one seed, one trace. Everything that happens in a simulated world is an
 * event of this queue; between two events nothing happens and no time passes inside one.
 *
 * True time (sim_now_ns) is known to the simulator alone. A process has its own clock, which runs at its own
 * rate (proc.h). Nothing here reads a clock, an address of memory or the environment, so that the same seed
 * gives the same trace on any machine.
 */
#ifndef HF_SIM_SIM_H
#define HF_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/status.h"

struct sim;

typedef void (*sim_fn)(void *arg);

/* --- random numbers: xoshiro256** of Blackman and Vigna --- */
struct sim_rng {
    uint64_t s[4];
};
/* A stream of its own per (seed, name, number): drawing from one does not move another. */
struct sim_rng sim_rng_make(uint64_t seed, const char *name, uint64_t number);
uint64_t sim_rng_u64(struct sim_rng *r);
uint64_t sim_rng_below(struct sim_rng *r, uint64_t n);                 /* 0 … n-1; n > 0 */
int64_t sim_rng_between(struct sim_rng *r, int64_t low, int64_t high); /* both included */
bool sim_rng_chance(struct sim_rng *r, uint32_t ppm);                  /* true in ppm of a million draws */
/* Mostly near low, sometimes up to high: latencies, durations of faults. */
int64_t sim_rng_skewed(struct sim_rng *r, int64_t low, int64_t high);

/* --- the queue --- */
struct sim *sim_create(uint64_t seed);
/* Drops what is left in the queue. */
void sim_free(struct sim *s);
uint64_t sim_seed(const struct sim *s);
/* Nanoseconds since the world began. */
int64_t sim_now_ns(const struct sim *s);
/* fn(arg) at this time (not before now); ties in the order of these calls. drop(arg), which may be NULL, is
 * called instead when the queue ends first. */
void sim_at(struct sim *s, int64_t when_ns, sim_fn fn, sim_fn drop, void *arg);
static inline void sim_after(struct sim *s, int64_t delay_ns, sim_fn fn, sim_fn drop, void *arg)
{
    sim_at(s, sim_now_ns(s) + delay_ns, fn, drop, arg);
}
/* Runs every event up to this time, which is then now. Ends early after sim_stop(). */
void sim_run_until(struct sim *s, int64_t until_ns);
/* No further event is run. */
void sim_stop(struct sim *s);
bool sim_stopped(const struct sim *s);
uint64_t sim_events(const struct sim *s); /* run so far */

/* --- the trace --- */

/* What happened, for people: formatted only when somebody listens. */
typedef void (*sim_trace_cb)(void *arg, int64_t now_ns, const char *subject, const char *text);
void sim_trace_to(struct sim *s, sim_trace_cb cb, void *arg); /* NULL: nobody (the default) */
bool sim_tracing(const struct sim *s);
void sim_trace(struct sim *s, const char *subject, const char *fmt, ...) HF_PRINTF(3, 4);
/* Whose turn it is, for lines that do not say it themselves; NULL: nobody's. Borrowed. */
void sim_set_turn(struct sim *s, const char *name);
const char *sim_turn(const struct sim *s);
/* The digest of the path that a run has taken: two runs of one seed with the same digest did the same. Time
 * and order of every event are in it; sim_mix() adds what these do not show, such as content. */
void sim_mix(struct sim *s, uint64_t fact);
uint64_t sim_digest(const struct sim *s);

#endif
