/* The API's wire: registers every method of the table on a gRPC server, with health and reflection. */
#ifndef HF_CONTROL_API_GRPC_H
#define HF_CONTROL_API_GRPC_H

#include "control/api.h"
#include "rpc/grpc_server.h"

struct hf_api_grpc;

/* Both outlive the server's calls. */
struct hf_api_grpc *hf_api_grpc_create(struct hf_api *api, struct hf_grpc_server *server);
/* When the server has closed. */
void hf_api_grpc_free(struct hf_api_grpc *g);

/* Health of all services and of "" (the node as a whole). */
void hf_api_grpc_set_serving(struct hf_api_grpc *g, bool serving);

#endif
