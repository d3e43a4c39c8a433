/* grpc.health.v1.Health: Check and Watch over a table of services that the owner of the server fills in.
 * Source: the gRPC health checking protocol document.
 */
#ifndef HF_RPC_HEALTH_H
#define HF_RPC_HEALTH_H

#include <stdbool.h>

struct hf_grpc_server;
struct hf_health;

/* Registers the service. "" is serving from the start. */
struct hf_health *hf_health_create(struct hf_grpc_server *s);
void hf_health_set(struct hf_health *h, const char *service, bool serving);
/* All watching calls must have ended. NULL is fine. */
void hf_health_free(struct hf_health *h);

#endif
