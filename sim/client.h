/* One user of the API: a process at a place of its own on the network, who asks the node that led last, goes
 * on to the leader that a trailer names or to the next node, waits a little between two rounds, and repeats
 * what is safe to repeat until the deadline, as rpc/leader_client.h does on real connections.
 */
#ifndef HF_SIM_CLIENT_H
#define HF_SIM_CLIENT_H

#include <sys/queue.h>

#include "sim/node.h"
#include "sim/world.h"

struct sim_client_call;

struct sim_client {
    struct sim_world *w;
    struct sim_proc proc;
    unsigned place;    /* on the network */
    unsigned node;     /* that led last, or is asked next */
    uint64_t answered; /* requests with a definite answer, good or bad */
    size_t n_calls;    /* under way */
    LIST_HEAD(sim_client_calls, sim_client_call) calls;
    /* Set by the owner; may be NULL: the process ends, what it holds besides calls must go. */
    void (*crashed)(void *arg);
    void *crashed_arg;
};

/* How a call ended. */
struct sim_answer {
    enum hf_code code;
    const char *sentence;            /* why, when not OK; borrowed */
    const ProtobufCMessage *message; /* when OK: the method's output. Borrowed */
    bool doubt;                      /* not OK, and it may have happened, or still happen */
};
typedef void (*sim_answer_cb)(void *arg, const struct sim_answer *a);

/* Starts the process. number: of its random stream. */
void sim_client_init(struct sim_client *c, struct sim_world *w, const char *name, uint64_t number);
/* Ends the process, while there is a queue; calls under way are forgotten. */
void sim_client_done(struct sim_client *c);

/* One call with retries; the request is copied. Inside a turn of the client; cb too, once, later. A method
 * that reads, or a request with a request_id, is repeated after a lost answer. */
void sim_client_call(struct sim_client *c, const char *service, const char *method,
                     const ProtobufCMessage *request, int64_t deadline_ms, sim_answer_cb cb, void *arg);

#endif
