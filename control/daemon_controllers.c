#include "control/daemon_controllers.h"

#include <stdlib.h>

#include "base/mem.h"
#include "control/controllers.h"
#include "control/host_link_grpc.h"

struct hf_daemon_controllers {
    struct hf_control *control;
};

struct hf_daemon_controllers *hf_daemon_controllers_start(struct hf_control *c)
{
    struct hf_daemon_controllers *d = HF_NEW(struct hf_daemon_controllers);
    d->control = c;
    c->host_link = hf_host_link_create(c);
    c->controllers = hf_controllers_create(c);
    return d;
}

void hf_daemon_controllers_serve(struct hf_daemon_controllers *d, struct hf_grpc_server *server)
{
    hf_host_link_register(server, d->control);
}

void hf_daemon_controllers_stop(struct hf_daemon_controllers *d)
{
    hf_controllers_free(d->control->controllers);
    hf_host_link_free(d->control->host_link);
    d->control->host_link = NULL;
    free(d);
}
