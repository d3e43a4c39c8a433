/* A list of runs, one a line: "seed profile schedule|- why". Files are relative to the list's own folder; a
 * profile with a '.' or a
 * '/' is a file. testdata/failed_seeds.txt is the list of all seeds that ever failed.
 */
#ifndef HF_SIM_SEED_LIST_H
#define HF_SIM_SEED_LIST_H

#include "sim/run_one.h"

#define SIM_LIST_MAX 10000

struct sim_seed_list {
    struct sim_task *tasks; /* owned */
    size_t n;
};

/* INVALID names the line and what is wrong; profiles and schedules are read and checked too. */
hf_status sim_seed_list_load(const char *path, struct sim_seed_list *ret) HF_MUST_USE;
void sim_seed_list_done(struct sim_seed_list *l);

#endif
