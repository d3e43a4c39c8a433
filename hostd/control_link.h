/* The host's end of the stream to the leader: dials the control nodes one after the other, follows the
 * "holdfast-leader" trailer of a node that does not lead, dials again with back-off and jitter when a stream
 * ends, and carries messages both ways between the stream and the core. Loop thread only.
 */
#ifndef HF_HOSTD_CONTROL_LINK_H
#define HF_HOSTD_CONTROL_LINK_H

#include <uv.h>

#include "hostd/host_core.h"
#include "rpc/grpc_server.h"

#define HF_CONTROL_LINK_NODES_MAX 16

struct hf_control_link;

struct hf_control_link_options {
    const char *const *addresses; /* "10.0.0.1:7480" */
    size_t n_addresses;           /* 1 … HF_CONTROL_LINK_NODES_MAX */
    struct hf_tls_files tls;      /* ca NULL: plaintext */
};

/* Borrowed strings live as long as the link. Dials when hf_control_link_start() is called. */
struct hf_control_link *hf_control_link_create(uv_loop_t *loop, struct hf_env *env,
                                               const struct hf_control_link_options *o);
void hf_control_link_start(struct hf_control_link *l, struct hf_host *host);

/* For hf_host_drivers. A message without an open stream is dropped: after the next hello all is said anew. */
void hf_control_link_send(struct hf_control_link *l, const Holdfast__V1__HostMessage *m);
void hf_control_link_redial(struct hf_control_link *l, const char *why);

/* The core hears of the stream's end before it returns. */
void hf_control_link_close(struct hf_control_link *l);

#endif
