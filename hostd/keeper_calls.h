/* hostd's calls to its keeper, whatever carries the packets of ha/keeper_wire.h: the verbs of keeper_client.h
 * as requests, and the answers back to who asked. Pure; carriers are keeper_client.c (a unix socket) and the
 * simulator's.
 */
#ifndef HF_HOSTD_KEEPER_CALLS_H
#define HF_HOSTD_KEEPER_CALLS_H

#include "ha/keeper_wire.h"
#include "hostd/keeper_client.h"

#define HF_KEEPER_CALLS_MAX 512

struct hf_keeper_call;

struct hf_keeper_calls {
    struct hf_keeper base; /* for the core */
    struct hf_env *env;
    /* Sends one packet; an error is told to the caller in the next turn of the loop. */
    hf_status (*send)(void *arg, const struct hf_keeper_request *q);
    void *arg;
    /* under way */
    struct hf_keeper_call *first;
    size_t n;
    uint64_t next_id;
};

/* c is all zero but for env, send, arg and base.events. */
void hf_keeper_calls_init(struct hf_keeper_calls *c);
/* A packet of the keeper, aligned to 8 bytes: calls back. An error: it does not speak this protocol, and the
 * connection is to be given up. */
hf_status hf_keeper_calls_packet(struct hf_keeper_calls *c, const uint8_t *packet, size_t len) HF_MUST_USE;
/* Answers every call under way with this error. */
void hf_keeper_calls_fail(struct hf_keeper_calls *c, enum hf_code code, const char *text);

#endif
