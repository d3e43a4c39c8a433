/* Who runs fence agents: control nodes have fence_agents.h (child processes), tests and the simulator their
 * own. All calls and answers are on the loop.
 *
 * One run is one agent asked one thing of one device. It is answered exactly once, at the latest timeout_ms
 * after it began, or never when it was cancelled before; never from within run(). How many run at once is
 * bounded, the others wait.
 */
#ifndef HF_CONTROL_POWER_RUNNER_H
#define HF_CONTROL_POWER_RUNNER_H

#include <stdbool.h>
#include <stddef.h>

#include "ha/power_fence.h"

#define HF_POWER_OPTIONS_MAX   64
#define HF_POWER_TIMEOUT_S     20 /* default of one run */
#define HF_POWER_TIMEOUT_MAX_S 600

struct hf_power_option {
    const char *name, *value;
    bool secret; /* must not be shown, not even when the agent repeats it */
};

struct hf_power_order {
    const char *agent; /* a bare program name */
    enum hf_power_verb verb;
    const struct hf_power_option *options;
    size_t n_options;
    unsigned timeout_ms;
};

/* text: why, for REFUSED and UNKNOWN; borrowed. */
typedef void (*hf_power_answered)(void *arg, enum hf_power_answer answer, const char *text);

struct hf_power_runner;

struct hf_power_runner_ops {
    /* order is borrowed for the call. The result is for cancel(). */
    void *(*run)(struct hf_power_runner *r, const struct hf_power_order *order, hf_power_answered answered,
                 void *arg);
    /* The agent is ended; what it has begun may still happen. */
    void (*cancel)(struct hf_power_runner *r, void *run);
};

struct hf_power_runner {
    const struct hf_power_runner_ops *ops;
};

#endif
