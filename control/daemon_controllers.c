#include "control/daemon_controllers.h"

#include <stdlib.h>

#include "base/mem.h"
#include "control/controllers.h"
#include "control/fence_object.h"
#include "control/host_link_grpc.h"

struct hf_daemon_controllers {
    struct hf_control *control;
};

static bool pending(void *arg, size_t i, struct hf_pending_host *ret)
{
    const struct hf_control *c = arg;
    return hf_host_link_pending(c->host_link, i, ret);
}

static bool find_pending(void *arg, const char *uuid, const char *management_ip, struct hf_pending_host *ret)
{
    const struct hf_control *c = arg;
    return hf_host_link_find_pending(c->host_link, uuid, management_ip, ret);
}

static hf_status confirm_down(void *arg, const struct hf_store *s, struct hf_txn *t, const char *host_uuid,
                              uint64_t epoch, const char *statement)
{
    return hf_fence_confirm_down(arg, s, t, host_uuid, epoch, statement);
}

static const struct hf_api_hosts_ops hosts_ops = {
    .pending = pending, .find_pending = find_pending, .confirm_down = confirm_down};
const struct hf_api_hosts_ops *const hf_daemon_hosts_ops = &hosts_ops;

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
