/* What people do to a simulated cloud: an administrator who sets it up (zone, cluster, storages, networks,
 * image, hosts), and clients who create, start, stop, reboot, delete and look at instances, each over the
 * API, with deadlines, retries at the next node and request ids, as the CLI does.
 */
#ifndef HF_SIM_WORKLOAD_H
#define HF_SIM_WORKLOAD_H

#include "sim/world.h"

struct sim_workload;

/* The nodes of the world exist; its hosts and storages do by sim_workload_set_up(). */
struct sim_workload *sim_workload_create(struct sim_world *w);
/* Ends the clients' processes, before the queue goes; sim_workload_free() after it. */
void sim_workload_stop(struct sim_workload *l);
void sim_workload_free(struct sim_workload *l);
/* The set-up; ready is set when every host is connected and every first instance runs. Before it there are no
 * faults. */
void sim_workload_set_up(struct sim_workload *l);
bool sim_workload_ready(const struct sim_workload *l);
/* The set-up has failed, with the request and the reason; else OK. It does not fail by time: the caller looks
 * at the clock. */
hf_status sim_workload_error(const struct sim_workload *l) HF_MUST_USE;
/* What the set-up does or waits for, a phrase: "add host 'h3': no host daemon waits …". */
const char *sim_workload_waits_for(const struct sim_workload *l);
/* Clients begin / end (they finish what they began). */
void sim_workload_begin(struct sim_workload *l);
void sim_workload_end(struct sim_workload *l);
uint64_t sim_workload_requests(const struct sim_workload *l); /* answered */

#endif
