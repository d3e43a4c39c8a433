#include "control/daemon_controllers.h"

const struct hf_api_hosts_ops *const hf_daemon_hosts_ops = NULL;

struct hf_daemon_controllers *hf_daemon_controllers_start(struct hf_control *c)
{
    (void)c;
    return NULL;
}

void hf_daemon_controllers_serve(struct hf_daemon_controllers *d, struct hf_grpc_server *server)
{
    (void)d;
    (void)server;
}

void hf_daemon_controllers_stop(struct hf_daemon_controllers *d)
{
    (void)d;
}
