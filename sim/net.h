/* The simulated network: places (machines on the management network), datagrams and connections between
 * processes at them, and the faults of the way from one place to another.
 *
 * A connection is TCP with the keep-alive of our gRPC: messages arrive whole and in order. While its way is
 * cut they wait; when nothing has passed in one of the directions for SIM_KEEPALIVE_MS both ends learn, each
 * by itself, that it is over. A process that dies while its machine runs resets its connections; a machine
 * without power says nothing.
 */
#ifndef HF_SIM_NET_H
#define HF_SIM_NET_H

#include "base/bytes.h"
#include "sim/proc.h"

#define SIM_PLACES_MAX   128
#define SIM_KEEPALIVE_MS 4000
#define SIM_CONNECT_MS   2000 /* a dial that reaches nobody fails after this */

struct sim_net;
struct sim_conn; /* one end of a connection */

struct sim_net *sim_net_create(struct sim *s);
/* After every process at it has crashed and the queue is gone (sim_free). */
void sim_net_free(struct sim_net *n);
/* A machine on the network. name: "h3". Returns its number, from 0. */
unsigned sim_net_add(struct sim_net *n, const char *name);
unsigned sim_net_places(const struct sim_net *n); /* how many there are */
const char *sim_net_name(const struct sim_net *n, unsigned place);

/* --- faults of the way from one place to another (one direction); they hold until changed --- */
struct sim_way {
    bool cut;
    uint32_t loss_ppm, duplicate_ppm; /* datagrams */
    int64_t delay_ms; /* added to each message, up to this much, drawn: datagrams overtake each other */
};
struct sim_way *sim_net_way(struct sim_net *n, unsigned from, unsigned to);
/* Both directions are whole now. */
bool sim_net_reach(const struct sim_net *n, unsigned a, unsigned b);
/* The machine has no power: nothing leaves or reaches it. Off: before its processes crash. */
void sim_net_set_power(struct sim_net *n, unsigned place, bool on);

/* --- datagrams: between members of Raft --- */
/* copy: another arg with the same content, for a duplicate. fn runs as a delivery to the process `to`; drop
 * otherwise. Call it from an act of the sender. */
struct sim_datagram {
    sim_fn fn, drop;
    void *(*copy)(void *arg);
    void *arg;
};
void sim_net_send(struct sim_net *n, unsigned from, unsigned to, struct sim_proc *to_proc,
                  const struct sim_datagram *d);

/* --- connections --- */
struct sim_end_reason {
    enum hf_code code;
    char message[200];
    char leader[32]; /* address of the leader, "" if not told: the trailer of a node that does not lead */
};
struct sim_conn_ops {
    /* Inside the process. bytes is borrowed. */
    void (*message)(void *arg, struct hf_bytes *bytes);
    /* The other end closed it, was reset, or cannot be reached; the last call. The end is gone after it. */
    void (*ended)(void *arg, const struct sim_end_reason *why);
};
/* Who takes calls at a place. accept sets the end's ops by sim_conn_take() or closes it. */
struct sim_listener {
    struct sim_proc *proc;
    void (*accept)(void *arg, struct sim_conn *c, unsigned from, const char *service);
    void *arg;
};
/* One per place; NULL: nobody listens. Replaced when the process starts anew. */
void sim_net_listen(struct sim_net *n, unsigned place, const struct sim_listener *l);
/* service: which of the listener's services; must outlive the connection. Never fails at once: ended is
 * called later. */
struct sim_conn *sim_conn_dial(struct sim_net *n, struct sim_proc *from_proc, unsigned from, unsigned to,
                               const char *service, const struct sim_conn_ops *ops, void *arg);
void sim_conn_take(struct sim_conn *c, const struct sim_conn_ops *ops, void *arg);
/* An act of the process that holds this end. A reference to bytes is taken. */
void sim_conn_send(struct sim_conn *c, struct hf_bytes *bytes);
/* The end is gone at once; the other one hears `why` (NULL: CANCELLED). ended is not called here. */
void sim_conn_close(struct sim_conn *c, const struct sim_end_reason *why);

#endif
