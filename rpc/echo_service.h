/* The service behind rpc's tests: it answers, streams, sleeps, fails and counts as the request says. */
#ifndef HF_RPC_ECHO_SERVICE_H
#define HF_RPC_ECHO_SERVICE_H

#include "rpc/grpc_server.h"

struct hf_echo;

struct hf_echo *hf_echo_create(uv_loop_t *loop, struct hf_grpc_server *s);
uint64_t hf_echo_cancelled(const struct hf_echo *e); /* calls whose `closed` said cancelled */
uint64_t hf_echo_open(const struct hf_echo *e);      /* calls that have not closed yet */
/* Call once the server is closed. */
void hf_echo_free(struct hf_echo *e);

#endif
