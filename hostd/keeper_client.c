#include "hostd/keeper_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "ha/keeper_wire.h"
#include "hostd/keeper_calls.h"

#define RECONNECT_MS 200

struct client {
    struct hf_keeper_calls calls;
    uv_loop_t *loop;
    struct hf_env *env;
    char *path;
    int fd; /* -1: not connected */
    uv_poll_t *poll;
    struct hf_timer reconnect;
    uint8_t *packet;
    bool said; /* the present trouble has been logged */
};

static struct client *client_of(struct hf_keeper *k)
{
    return hf_container_of(k, struct client, calls.base);
}

static void on_reconnect(void *arg);

static void poll_closed(uv_handle_t *h)
{
    free(h);
}

static void disconnect(struct client *c)
{
    if (c->fd < 0)
        return;
    uv_poll_stop(c->poll);
    uv_close((uv_handle_t *)c->poll, poll_closed);
    close(c->fd);
    c->fd = -1;
    c->poll = NULL;
}

static void lost(struct client *c)
{
    disconnect(c);
    hf_timer_start(c->env, &c->reconnect, RECONNECT_MS, on_reconnect, c);
    hf_keeper_calls_fail(&c->calls, HF_UNKNOWN_OUTCOME,
                         "the connection to the keeper was lost before it answered");
    if (c->calls.base.events.connection)
        c->calls.base.events.connection(c->calls.base.events.arg, false);
}

static hf_status send_request(void *arg, const struct hf_keeper_request *q)
{
    struct client *c = arg;
    if (c->fd < 0)
        return hf_error(HF_UNAVAILABLE, "the keeper is not connected (%s)", c->path);
    if (send(c->fd, q, sizeof *q, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof *q)
        return HF_STATUS_OK;
    return hf_errno(errno == EAGAIN ? EBUSY : errno, "send to the keeper");
}

static void on_readable(uv_poll_t *h, int status, int events)
{
    (void)events;
    struct client *c = h->data;
    while (c->poll == h) {
        ssize_t len = status < 0 ? 0 : recv(c->fd, c->packet, HF_KEEPER_PACKET_MAX, MSG_DONTWAIT);
        if (len < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        hf_status st = len > 0 ? hf_keeper_calls_packet(&c->calls, c->packet, (size_t)len)
                               : hf_error(HF_UNAVAILABLE, "the keeper is gone");
        if (hf_ok(st))
            continue;
        hf_warn("%s", hf_status_message(st));
        hf_status_drop(st);
        if (c->poll == h)
            lost(c);
        return;
    }
}

/* --- connection --- */

static hf_status try_connect(struct client *c)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", c->path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return hf_errno(errno, "create a socket");
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0) {
        hf_status st = hf_errno(errno, "connect to the keeper at %s", c->path);
        close(fd);
        return st;
    }
    c->fd = fd;
    c->poll = HF_NEW(uv_poll_t);
    c->poll->data = c;
    int rc = uv_poll_init(c->loop, c->poll, fd);
    HF_ASSERT(rc == 0);
    rc = uv_poll_start(c->poll, UV_READABLE, on_readable);
    HF_ASSERT(rc == 0);
    return HF_STATUS_OK;
}

static void on_reconnect(void *arg)
{
    struct client *c = arg;
    hf_status st = try_connect(c);
    if (!hf_ok(st)) {
        if (!c->said)
            hf_warn("%s; trying on", hf_status_message(st));
        c->said = true;
        hf_status_drop(st);
        hf_timer_start(c->env, &c->reconnect, RECONNECT_MS, on_reconnect, c);
        return;
    }
    c->said = false;
    if (c->calls.base.events.connection)
        c->calls.base.events.connection(c->calls.base.events.arg, true);
}

hf_status hf_keeper_client_create(uv_loop_t *loop, struct hf_env *env, const char *socket_path,
                                  const struct hf_keeper_events *events, struct hf_keeper **ret)
{
    struct sockaddr_un addr;
    if (socket_path[0] == '\0' || strlen(socket_path) >= sizeof addr.sun_path)
        return hf_error(HF_INVALID, "'%s' is not a path for a unix socket", socket_path);
    struct client *c = HF_NEW(struct client);
    c->calls = (struct hf_keeper_calls){.base.events = *events, .env = env, .send = send_request, .arg = c};
    hf_keeper_calls_init(&c->calls);
    c->loop = loop;
    c->env = env;
    c->path = hf_strdup(socket_path);
    c->packet = hf_alloc(HF_KEEPER_PACKET_MAX);
    c->fd = -1;
    hf_timer_start(env, &c->reconnect, 0, on_reconnect, c);
    *ret = &c->calls.base;
    return HF_STATUS_OK;
}

void hf_keeper_client_close(struct hf_keeper *k)
{
    struct client *c = client_of(k);
    hf_timer_stop(&c->reconnect);
    disconnect(c);
    hf_keeper_calls_fail(&c->calls, HF_CANCELLED, "the connection to the keeper was closed");
    free(c->packet);
    free(c->path);
    free(c);
}
