/* The command line of hf-sim. */
#ifndef HF_SIM_SIM_OPTIONS_H
#define HF_SIM_SIM_OPTIONS_H

#include "sim/run_one.h"
#include "sim/seeds.h"

enum sim_command {
    SIM_RUN_SEEDS,
    SIM_RUN_LIST, /* --list FILE */
    SIM_SHOW_HELP,
    SIM_SHOW_FAULTS,   /* --faults */
    SIM_SHOW_PROFILES, /* --profiles */
    SIM_SHOW_PROFILE,  /* --print-profile */
    SIM_SHOW_SCHEDULE, /* --print-schedule */
    SIM_SHOW_MUTANTS,  /* --mutants */
};

struct sim_options {
    enum sim_command command;
    uint64_t first_seed, seeds;
    bool seed_given, seeds_given, json;
    unsigned seconds, jobs, twice_every, limit_s, shrink_s, study_max;
    bool keep_going, until_failure;
    const char *profile, *schedule, *trace, *mutant, *list, *json_file, *folder, *commit, *shown_profile;
};

/* The error is a sentence for the user. */
hf_status sim_options_parse(int argc, char *argv[], struct sim_options *ret) HF_MUST_USE;
void sim_options_help(FILE *to);

#endif
