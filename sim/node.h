/* A simulated control node: the replicated store on libraft's core over a simulated disk (raft_disk.h), the
 * API, the hosts' streams and the controllers, as holdfastd.c puts them together, in one simulated process.
 */
#ifndef HF_SIM_NODE_H
#define HF_SIM_NODE_H

#include "control/api.h"
#include "sim/net.h"

struct sim_world;
struct sim_node;

#define SIM_SERVICE_HOSTS "hosts" /* HostLinkService.Attach: HostMessage up, ControlMessage down */
#define SIM_SERVICE_API   "api"   /* one call of any method: see sim_api_call */

/* Node number i, from 0, of the world's n; its place on the network is made here. Powered off. */
struct sim_node *sim_node_create(struct sim_world *w, unsigned i);
void sim_node_free(struct sim_node *n);     /* powered off */
void sim_node_power_on(struct sim_node *n); /* starts the process, with the disk as it was left */
void sim_node_power_off(struct sim_node *n);
/* For faults; after a crash its supervisor restarts it in a second or so. */
struct sim_proc *sim_node_proc(struct sim_node *n);
unsigned sim_node_place(const struct sim_node *n);
const char *sim_node_address(const struct sim_node *n); /* of its API, as trailers name it */

/* Faults of its disk; they hold until changed. A crash keeps of the writes under way what had been written:
 * all, none, or for a batch of entries a part of it, as the seed says. */
struct sim_node_disk {
    int64_t delay_ms; /* added to each write, up to this much, drawn */
    bool hangs; /* writes stay under way until it ends; a new term or vote stops the process till then */
    bool full;  /* nothing more fits: writes are tried again and again, and the node soon refuses requests */
};
struct sim_node_disk *sim_node_disk(struct sim_node *n);
/* The leader hands over (TimeoutNow), if it leads. */
void sim_node_transfer(struct sim_node *n);

/* For checkers and the world; NULL while it is down. */
const struct hf_control *sim_node_control(const struct sim_node *n);
bool sim_node_leads(const struct sim_node *n); /* and is ready */

/* --- the client's side of SIM_SERVICE_API --- */
struct sim_api_call;
struct sim_api_call_ops {
    /* One answer; its type is the method's output. Borrowed. */
    void (*message)(void *arg, const ProtobufCMessage *m);
    /* The last call. why->code OK, or what the node or the network said; UNKNOWN_OUTCOME and UNAVAILABLE: it
     * may have happened. */
    void (*ended)(void *arg, const struct sim_end_reason *why);
};
/* service: "Instance" for holdfast.v1.InstanceService. The request is copied. deadline_ms on the caller's
 * clock: then ended with TIMEOUT. Inside a turn of the caller, who cancels its calls when it crashes. */
struct sim_api_call *sim_api_call(struct sim_world *w, struct sim_proc *from, unsigned from_place,
                                  unsigned node, const char *service, const char *method,
                                  const ProtobufCMessage *request, int64_t deadline_ms,
                                  const struct sim_api_call_ops *ops, void *arg);
/* The caller gives up: ended is not called. */
void sim_api_cancel(struct sim_api_call *c);

#endif
