/* The faults of one run, drawn before it begins: a list that can be written to a file, read again, and made
 * smaller until only what is needed for a failure is left.
 *
 * As text, one fault per line, sorted by time:
 *     12.345678  host-power     h3      for 40.000
 *     13.000000  net-one-way    h1 n2   for 5.500
 *     14.000000  at-act         h2/keeper  act 3 crash
 */
#ifndef HF_SIM_SCHEDULE_H
#define HF_SIM_SCHEDULE_H

#include "sim/profile.h"

#define SIM_SCHEDULE_MAX 65536 /* faults; a file with more is refused */
#define SIM_SUBJECT      32

struct sim_fault {
    int64_t at_ns, for_ns; /* at: since the faults began (sim_schedule_arm); for 0: it has no duration */
    enum sim_fault_kind kind;
    char subject[SIM_SUBJECT], other[SIM_SUBJECT]; /* "h3", "n1", "h2/keeper", "shared1"; other: "" if none */
    int64_t number; /* what the kind says: rate, number of the act, call and its outcome, jump in ms, … */
    char word[SIM_SUBJECT]; /* what the kind says: "crash", "stop", "hang", … ; "" if none */
};

struct sim_schedule {
    struct sim_fault *faults;
    size_t n;
};

struct sim_sizes { /* of one world, drawn from seed and profile */
    unsigned nodes, hosts, instances, clients, shared_storages;
    int64_t fault_ns, settle_ns;
    char timing[16];
};
struct sim_sizes sim_sizes_draw(uint64_t seed, const struct sim_profile *p);

/* Drawn from seed and profile. */
struct sim_schedule sim_schedule_draw(uint64_t seed, const struct sim_profile *p,
                                      const struct sim_sizes *sizes);
void sim_schedule_done(struct sim_schedule *s);
/* INVALID names the line and what is wrong with it. sizes: subjects must exist; NULL: not looked at. */
hf_status sim_schedule_load(const char *path, const struct sim_sizes *sizes,
                            struct sim_schedule *ret) HF_MUST_USE;
hf_status sim_schedule_save(const char *path, const struct sim_schedule *s) HF_MUST_USE;
int sim_fault_print(const struct sim_fault *f, char *buf,
                    size_t len); /* the line, without newline; as snprintf */

/* Puts the faults of a schedule into a world's queue, with their ends. */
struct sim_world;
void sim_schedule_arm(struct sim_world *w, const struct sim_schedule *s);

#endif
