#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "consensus/raft_private.h"

#define UNACKNOWLEDGED_MAX_MS 5000

struct connecting {
    struct raft_uv_connect inner;
    struct raft_uv_connect *outer;
    raft_uv_connect_cb cb;
};

/* libraft leaves Nagle's algorithm on, which makes every entry wait for the peer's delayed acknowledgement.
 * And a peer that lost its power is tried again at once when it is back, not after the kernel's growing
 * pauses. */
static void tune(uv_stream_t *stream)
{
    uv_os_fd_t fd;
    unsigned limit = UNACKNOWLEDGED_MAX_MS;
    uv_tcp_nodelay((uv_tcp_t *)stream, 1);
    if (uv_fileno((uv_handle_t *)stream, &fd) == 0)
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
}

static struct hf_raft_tcp *self(struct raft_uv_transport *outer)
{
    return hf_container_of(outer, struct hf_raft_tcp, outer);
}

static int explain(struct hf_raft_tcp *t, int rv)
{
    if (rv != 0)
        snprintf(t->outer.errmsg, sizeof t->outer.errmsg, "%s", t->inner.errmsg);
    return rv;
}

static int tcp_init(struct raft_uv_transport *outer, raft_id id, const char *address)
{
    struct hf_raft_tcp *t = self(outer);
    return explain(t, t->inner.init(&t->inner, id, address));
}

static void on_accepted(struct raft_uv_transport *inner, raft_id id, const char *address,
                        struct uv_stream_s *stream)
{
    struct hf_raft_tcp *t = hf_container_of(inner, struct hf_raft_tcp, inner);
    tune(stream);
    t->accepted(&t->outer, id, address, stream);
}

static int tcp_listen(struct raft_uv_transport *outer, raft_uv_accept_cb cb)
{
    struct hf_raft_tcp *t = self(outer);
    t->accepted = cb;
    return explain(t, t->inner.listen(&t->inner, on_accepted));
}

static void on_connected(struct raft_uv_connect *inner, struct uv_stream_s *stream, int status)
{
    struct connecting *c = inner->data;
    if (status == 0 && stream != NULL)
        tune(stream);
    c->cb(c->outer, stream, status);
    free(c);
}

static int tcp_connect(struct raft_uv_transport *outer, struct raft_uv_connect *request, raft_id id,
                       const char *address, raft_uv_connect_cb cb)
{
    struct hf_raft_tcp *t = self(outer);
    struct connecting *c = HF_NEW(struct connecting);
    c->outer = request;
    c->cb = cb;
    c->inner.data = c;
    int rv = t->inner.connect(&t->inner, &c->inner, id, address, on_connected);
    if (rv != 0)
        free(c);
    return explain(t, rv);
}

/* Once: libraft does not remember that it has told it. */
static void on_closed(struct raft_uv_transport *inner)
{
    struct hf_raft_tcp *t = hf_container_of(inner, struct hf_raft_tcp, inner);
    raft_uv_transport_close_cb closed = t->closed;
    t->closed = NULL;
    if (closed != NULL)
        closed(&t->outer);
}

static void tcp_close(struct raft_uv_transport *outer, raft_uv_transport_close_cb cb)
{
    struct hf_raft_tcp *t = self(outer);
    t->closed = cb;
    t->inner.close(&t->inner, on_closed);
}

hf_status hf_raft_tcp_init(struct hf_raft_tcp *t, uv_loop_t *loop)
{
    *t = (struct hf_raft_tcp){.inner.version = 1,
                              .outer = {.version = 1,
                                        .init = tcp_init,
                                        .listen = tcp_listen,
                                        .connect = tcp_connect,
                                        .close = tcp_close}};
    int rv = raft_uv_tcp_init(&t->inner, loop);
    if (rv != 0)
        return hf_error(HF_INTERNAL, "set up Raft's transport: %s", raft_strerror(rv));
    return HF_STATUS_OK;
}

void hf_raft_tcp_done(struct hf_raft_tcp *t)
{
    raft_uv_tcp_close(&t->inner);
}

static hf_status try_listen(const char *address, const struct addrinfo *info)
{
    int on = 1;
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return hf_errno(errno, "make a socket for %s", address);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    int err = bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, 1) != 0 ? errno : 0;
    close(fd);
    if (err == EADDRINUSE)
        return hf_error(HF_UNAVAILABLE, "listen for other members on %s: another process listens there",
                        address);
    if (err != 0)
        return hf_errno(err, "listen for other members on %s", address);
    return HF_STATUS_OK;
}

hf_status hf_raft_tcp_check(const char *address)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL)
        return hf_error(HF_INVALID, "the Raft address '%s' is not HOST:PORT", address);
    char *host = hf_strndup(address, (size_t)(colon - address));
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *info = NULL;
    int rv = getaddrinfo(host, colon + 1, &hints, &info);
    free(host);
    if (rv != 0)
        return hf_error(HF_INVALID, "the Raft address '%s': %s", address, gai_strerror(rv));
    hf_status st = try_listen(address, info);
    freeaddrinfo(info);
    return st;
}
