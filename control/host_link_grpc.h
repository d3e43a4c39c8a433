/* The wire of the hosts' streams: binds HostLinkService.Attach of a gRPC server to host_link.h. A node that
 * does not lead ends the call with UNAVAILABLE and the leader's API address in the trailer "holdfast-leader".
 */
#ifndef HF_CONTROL_HOST_LINK_GRPC_H
#define HF_CONTROL_HOST_LINK_GRPC_H

#include "control/host_link.h"
#include "rpc/grpc_server.h"

/* control->host_link outlives the server's calls. */
void hf_host_link_register(struct hf_grpc_server *server, struct hf_control *control);

#endif
