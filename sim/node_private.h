/* What the parts of a simulated node share: its life (node.c), the hosts' streams (node_hosts.c), the API's
 * calls (node_api.c).
 */
#ifndef HF_SIM_NODE_PRIVATE_H
#define HF_SIM_NODE_PRIVATE_H

#include <sys/queue.h>

#include "consensus/io_filter.h"
#include "consensus/leader_io.h"
#include "sim/raft_io.h"
#include "sim/world.h"

struct sim_node_stream;
struct sim_node_call;

struct sim_node {
    /* fixed */
    struct sim_world *w;
    unsigned i, place;
    char address[SIM_PROC_NAME], raft_address[SIM_PROC_NAME];
    struct sim_listener listener;
    /* the machine */
    struct sim_proc proc;
    bool power;
    unsigned boots; /* counts switching on and off: a restart that waits belongs to one of them */
    struct sim_raft_disk disk;
    struct sim_node_disk faults;
    struct sim_rng disk_rng;
    unsigned compact_entries;
    /* one life of the process */
    bool serves; /* it has booted: the rest is there */
    struct hf_control control;
    struct hf_api *api;
    struct raft raft;
    struct sim_raft_io *io;
    struct hf_io_filter *filter;
    struct hf_leader_io *leader_io;
    struct raft_transfer transfer;
    bool transferring, ready, dirty;
    struct hf_timer second;
    LIST_HEAD(sim_node_streams, sim_node_stream) streams;
    LIST_HEAD(sim_node_calls, sim_node_call) calls;
};

/* --- node_hosts.c --- */
void sim_node_hosts_accept(struct sim_node *n, struct sim_conn *c, unsigned from);
/* The process ends: the link learns that every stream is gone. */
void sim_node_hosts_end(struct sim_node *n);

/* --- node_api.c --- */
void sim_node_api_accept(struct sim_node *n, struct sim_conn *c);
void sim_node_api_end(struct sim_node *n);

#endif
