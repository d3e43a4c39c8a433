/* One run of one world: in this process, or in a child of its own, so that a world that ends its program, or
 * never ends itself, is a failure like others. A child is this program, executed anew: its addresses are
 * others, and a run that rests on them diverges.
 */
#ifndef HF_SIM_RUN_ONE_H
#define HF_SIM_RUN_ONE_H

#include <sys/types.h>

#include "sim/world.h"

#define SIM_PATH 512

struct sim_task {
    uint64_t seed;
    char profile[SIM_PATH];  /* name, or file */
    char schedule[SIM_PATH]; /* file; "": drawn */
    char trace[SIM_PATH];    /* file; "": none */
    char said[SIM_PATH];     /* file for what a child says that dies; "": none */
    char mutant[64];         /* of base/mutant.h; "": none */
    bool keep_going;         /* after the first violation */
};

enum sim_ending {
    SIM_ENDED,   /* result says how */
    SIM_REFUSED, /* the world could not be made or set up, or a file could not be read or written */
    SIM_DIED,    /* the program ended by itself: an assertion, a sanitizer, a signal */
    SIM_HUNG,    /* it did not end within the time allowed */
};

struct sim_outcome {
    enum sim_ending ending;
    char text[800]; /* why, unless ENDED */
    int64_t cpu_ns; /* of this machine's processor that the run took */
    struct sim_result result;
};

/* A name with a '.' or a '/' is a file, any other one a built-in profile. Checked. */
hf_status sim_profile_get(const char *name, struct sim_profile *ret) HF_MUST_USE;

void sim_run_here(const struct sim_task *t, struct sim_outcome *ret);
/* The run's good or bad end in a few words: "two-copies: instance …"; NULL: it is good. Valid as long as o.
 */
const char *sim_outcome_failure(const struct sim_outcome *o, char *buf, size_t len);
/* Both fail, and in the same way. */
bool sim_outcome_alike(const struct sim_outcome *a, const struct sim_outcome *b);

/* --- children --- */
struct sim_child {
    pid_t pid;     /* 0: none */
    int result_fd; /* becomes readable when it has ended */
    int said_fd;   /* what it wrote to standard error */
    int64_t began_ns;
    struct sim_task task;
};
/* Ends this program when no process can be made. */
void sim_child_start(struct sim_child *c, const struct sim_task *t);
/* Waits for its end; kills it when it has run for longer than limit_s. */
void sim_child_finish(struct sim_child *c, unsigned limit_s, struct sim_outcome *ret);
void sim_child_kill(struct sim_child *c);
/* The main function of a child. */
int sim_child_main(int argc, char *argv[]);
/* Starts, waits. */
void sim_run_apart(const struct sim_task *t, unsigned limit_s, struct sim_outcome *ret);

int64_t sim_wall_ns(void); /* of this machine; no world sees it */

#endif
