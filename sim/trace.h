/* A trace that people read: one aligned line per event, "seconds.microseconds  subject  text", in a file. The
 * same seed writes the same bytes on every machine.
 */
#ifndef HF_SIM_TRACE_H
#define HF_SIM_TRACE_H

#include "base/status.h"
#include "sim/sim.h"

struct sim_trace_file;

/* title: the first line, after "# ". The error names the file. */
hf_status sim_trace_open(const char *path, const char *title, struct sim_trace_file **ret) HF_MUST_USE;
/* A sim_trace_cb; arg is the struct sim_trace_file. */
void sim_trace_line(void *arg, int64_t now_ns, const char *subject, const char *text);
/* The error: something could not be written, now or before. f is gone in any case. */
hf_status sim_trace_close(struct sim_trace_file *f) HF_MUST_USE;

/* From now on what the shipped code logs becomes lines of this simulation's trace, with its level and file;
 * NULL: of none, and standard error hears nothing either. */
void sim_trace_logs(struct sim *s);

/* The first line in which two traces differ, from 1; 0: they are the same. Both lines are written to a and b,
 * "" where a trace has ended. */
#define SIM_TRACE_TEXT 400
hf_status sim_trace_compare(const char *path_a, const char *path_b, uint64_t *ret_line,
                            char a[SIM_TRACE_TEXT], char b[SIM_TRACE_TEXT]) HF_MUST_USE;

#endif
