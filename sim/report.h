/* What a whole run of seeds has come to: sums, progress while it runs, a table and JSON at its end. */
#ifndef HF_SIM_REPORT_H
#define HF_SIM_REPORT_H

#include <stdio.h>

#include "sim/run_one.h"
#include "sim/trace.h"

#define SIM_FAILURES_MAX 100 /* are told one by one; all are counted */

/* A run that failed, and what was made of it (sim/failure.h). */
struct sim_failure {
    struct sim_task task;
    struct sim_outcome outcome;
    bool diverges; /* two runs of this seed differ; outcome is of the first */
    char divergence[2 * SIM_PATH + 2 * SIM_TRACE_TEXT + 200];    /* the sentence */
    char trace[SIM_PATH], schedule[SIM_PATH], profile[SIM_PATH]; /* files; "": none */
    char said[SIM_PATH];               /* file with the last words of a program that died; "": none */
    size_t faults_before, faults_left; /* of the schedule, before it was made smaller and after */
    char command[4 * SIM_PATH];        /* runs it again */
};

struct sim_report {
    char profile[SIM_PATH];
    char commit[80];
    uint64_t first_seed, seeds_asked; /* asked 0: by time */
    unsigned jobs;
    int64_t began_ns, wall_ns; /* wall: at the end */
    uint64_t seeds, twice, violations;
    int64_t virtual_ns, cpu_ns; /* summed over the worlds */
    uint64_t events, requests, failovers, by_blocklist, faults[SIM_FAULT_KINDS];
    size_t n_failures;            /* seeds that failed */
    struct sim_failure *failures; /* the first SIM_FAILURES_MAX; owned */
    int64_t shown_ns;             /* last progress */
};

void sim_report_init(struct sim_report *r);
void sim_report_done(struct sim_report *r);
void sim_report_add(struct sim_report *r, const struct sim_outcome *o);
/* NULL when there are too many already. */
struct sim_failure *sim_report_fail(struct sim_report *r, const struct sim_task *t,
                                    const struct sim_outcome *o);

/* At most every few seconds, or often on a terminal. */
void sim_report_progress(struct sim_report *r, FILE *to);
void sim_report_clear_progress(FILE *to); /* before other lines on a terminal */
void sim_report_table(const struct sim_report *r, FILE *to);
void sim_report_failure(const struct sim_report *r, const struct sim_failure *f, FILE *to);
void sim_report_json(const struct sim_report *r, FILE *to);

#endif
