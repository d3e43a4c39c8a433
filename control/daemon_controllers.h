/* How holdfastd plugs in the leader's controllers and the hosts' streams. */
#ifndef HF_CONTROL_DAEMON_CONTROLLERS_H
#define HF_CONTROL_DAEMON_CONTROLLERS_H

#include "control/control.h"
#include "rpc/grpc_server.h"

struct hf_daemon_controllers;

/* Fills in c->host_link and c->controllers. */
struct hf_daemon_controllers *hf_daemon_controllers_start(struct hf_control *c);
/* Registers the hosts' service. */
void hf_daemon_controllers_serve(struct hf_daemon_controllers *d, struct hf_grpc_server *server);
/* When the server has closed, before the replica goes. */
void hf_daemon_controllers_stop(struct hf_daemon_controllers *d);

#endif
