/* A client that finds the leader: tries the given nodes, follows the "holdfast-leader" trailer of a
 * NOT_LEADER answer, and repeats what is safe to repeat (no answer was lost, or the request carries a
 * request_id) until its deadline.
 */
#ifndef HF_RPC_LEADER_CLIENT_H
#define HF_RPC_LEADER_CLIENT_H

#include "rpc/grpc_client.h"

struct hf_leader_client;

#define HF_LEADER_TRAILER "holdfast-leader" /* api address of the leader, as a follower knows it */

struct hf_leader_client *hf_leader_client_create(uv_loop_t *loop, const char *const *addresses, size_t n,
                                                 const struct hf_tls_files *tls);
void hf_leader_client_close(struct hf_leader_client *c);

/* As hf_grpc_unary; retried on NOT_LEADER / UNAVAILABLE; on UNKNOWN_OUTCOME only if repeatable (reads, or the
 * message's request_id field is set). deadline_ms 0: a minute. The callback's stream may be NULL. */
void hf_leader_unary(struct hf_leader_client *c, const ProtobufCServiceDescriptor *service,
                     const char *method, const ProtobufCMessage *request, unsigned deadline_ms,
                     hf_grpc_unary_cb cb, void *arg);
/* A channel to the node that led last (or the next to try), for streams; and word that it did not lead or
 * broke. */
struct hf_grpc_channel *hf_leader_channel(struct hf_leader_client *c);
void hf_leader_failed(struct hf_leader_client *c, const char *leader_hint); /* hint: trailer value or NULL */

#endif
