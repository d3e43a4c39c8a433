/* The power devices of simulated hosts, and a control node's way to them: a runner of fence agents
 * (control/power_runner.h).
 *
 * A device acts at the world's own time, whatever the node does that asked: it answers within seconds,
 * refuses, hangs until the agent is given up, takes an "off" and forgets it, or carries it out when nobody
 * waits any more. On some hosts it is dead with the host's power. It never lies about the status: a liar
 * beside a machine that stands still is beyond any rule (docs/power.md). What it has switched off somebody
 * switches on again, after a while.
 */
#ifndef HF_SIM_POWER_H
#define HF_SIM_POWER_H

#include "sim/proc.h"

struct hf_power_runner;
struct sim_world;

/* For a node's process. NULL when no host of this world has a device. */
struct hf_power_runner *sim_power_create(struct sim_world *w, unsigned node, struct sim_proc *proc);
void sim_power_free(struct hf_power_runner *p); /* may be NULL */

/* How many hosts have a device, by the profile and the seed; the i-th of them. */
unsigned sim_power_devices(const struct sim_world *w);
unsigned sim_power_device_host(const struct sim_world *w, unsigned i);

#endif
