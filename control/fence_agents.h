/* Runs fence agents as child processes: the runner of a control node (power_runner.h).
 *
 * An agent gets its options as name=value lines on its standard input, never on its command line, a clean
 * environment and a process group of its own, which is killed at its deadline and when it has ended. What it
 * says last is kept for people, without the secrets it was given. A process that does not die of SIGKILL is
 * left behind and holds up nobody.
 */
#ifndef HF_CONTROL_FENCE_AGENTS_H
#define HF_CONTROL_FENCE_AGENTS_H

#include "control/power_runner.h"

#define HF_FENCE_AGENTS_DIR         "/usr/sbin"
#define HF_FENCE_AGENTS_AT_ONCE     32
#define HF_FENCE_AGENTS_WAITING_MAX 1024 /* more are refused */
#define HF_FENCE_AGENTS_OUTPUT_MAX  8192 /* bytes of each stream that are kept, the last ones */

struct uv_loop_s;

/* directory: where agents are looked for, by their bare names. */
struct hf_power_runner *hf_fence_agents_create(struct uv_loop_s *loop, const char *directory);
/* Ends everything; its handles are closed in the next turns of the loop, and its memory goes with the last.
 */
void hf_fence_agents_close(struct hf_power_runner *r);

#endif
