/* What the files of the set-up share: the steps and the slots in which their requests are under way. */
#ifndef HF_SIM_SETUP_PRIVATE_H
#define HF_SIM_SETUP_PRIVATE_H

#include "sim/setup.h"

#define SIM_SETUP_SLOTS 8 /* requests of one step at a time */

/* One request of the step, from its first try to its answer. */
struct sim_setup_slot {
    struct sim_setup *setup;
    unsigned i; /* which of the step's things */
    char request_id[HF_UUID_STR];
    struct hf_timer again;
};

struct sim_setup {
    struct sim_world *w;
    struct sim_client client;
    struct sim_rng rng;
    struct sim_cloud cloud;
    char (*operations)[HF_UUID_STR]; /* of hosts, the image, instances: what the next step waits for */
    unsigned step, next, answered;   /* of the step's things: the next to ask for, those that are done */
    struct sim_setup_slot slots[SIM_SETUP_SLOTS];
    bool ready;
    char failure[400], waits_for[400];
};

struct sim_setup_step {
    const char *what;
    unsigned (*count)(const struct sim_setup *s);
    void (*ask)(struct sim_setup_slot *slot);
    /* Keeps what the answer tells. False: not there yet, ask again. */
    bool (*took)(struct sim_setup *s, unsigned i, const ProtobufCMessage *m);
    bool may_wait; /* PRECONDITION means "not yet" */
};

/* --- setup.c --- */

/* Sends the slot's request; its answer goes to the step. */
void sim_setup_call(struct sim_setup_slot *slot, const char *service, const char *method,
                    const ProtobufCMessage *request);

/* --- setup_steps.c --- */

extern const struct sim_setup_step sim_setup_steps[];
extern const unsigned sim_setup_n_steps;

#endif
