/* Runs a program to its end, with a deadline, on a thread that may block. */
#ifndef HF_BASE_RUN_COMMAND_H
#define HF_BASE_RUN_COMMAND_H

#include "base/status.h"

#define HF_COMMAND_OUTPUT_MAX (1u << 20) /* bytes of standard output that are kept; more is an error */

/* argv[0] is looked up in $PATH; the list ends with NULL. Standard input is empty, messages are in English.
 * OK: exit status 0; *ret_out (ret_out may be NULL) is then its standard output, to be freed. INTERNAL:
 * another exit status, with the last line of its standard error. NOT_FOUND: there is no such program.
 * TIMEOUT: its process group was killed at the deadline; a process that sits in a dead storage may go on for
 * longer. */
hf_status hf_run_command(const char *const *argv, unsigned deadline_ms, char **ret_out) HF_MUST_USE;

/* The same with this text on its standard input: for what must stand on no command line. */
hf_status hf_run_command_fed(const char *const *argv, const char *input, unsigned deadline_ms,
                             char **ret_out) HF_MUST_USE;

#endif
