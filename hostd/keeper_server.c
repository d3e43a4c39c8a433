#include "hostd/keeper_server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"

#define CONNS_ALL (HF_KEEPER_CONNS_MAX + HF_KEEPER_GATES_MAX)

static struct hf_keeper_head head_of(enum hf_keeper_op op, uint64_t id)
{
    return (struct hf_keeper_head){
        .magic = HF_KEEPER_MAGIC, .version = HF_KEEPER_WIRE_VERSION, .op = (uint16_t)op, .id = id};
}

static hf_status listen_on(const char *path, mode_t mask, int *ret_fd)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof addr.sun_path)
        return hf_error(HF_INVALID, "socket path '%s' is longer than %zu bytes", path,
                        sizeof addr.sun_path - 1);
    memcpy(addr.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return hf_errno(errno, "create a socket");
    *ret_fd = fd;
    /* The lock on the state file has shown that no other keeper lives here. */
    if (unlink(path) != 0 && errno != ENOENT)
        return hf_errno(errno, "remove the old socket %s", path);
    mode_t before = umask(mask);
    int rc = bind(fd, (struct sockaddr *)&addr, sizeof addr);
    int err = errno;
    umask(before);
    if (rc != 0)
        return hf_errno(err, "bind %s", path);
    if (listen(fd, HF_KEEPER_GATES_MAX) != 0)
        return hf_errno(errno, "listen on %s", path);
    return HF_STATUS_OK;
}

hf_status hf_keeper_server_init(struct hf_keeper_server *s, const char *path, const char *gate_path)
{
    HF_ASSERT(s->request && s->view);
    for (size_t i = 0; i < CONNS_ALL; i++)
        s->conns[i].fd = -1;
    HF_TRY(listen_on(path, 0177, &s->listen_fd));
    return listen_on(gate_path, 0111, &s->gate_fd);
}

static void conn_close(struct hf_keeper_server *s, struct hf_keeper_conn *c)
{
    for (size_t i = 0; i < HF_KEEPER_REQUESTS_MAX; i++) {
        if (s->asked[i].conn == c->serial)
            s->asked[i].conn = 0;
    }
    close(c->fd);
    c->fd = -1;
}

static void conn_send(struct hf_keeper_server *s, struct hf_keeper_conn *c, const void *packet, size_t len)
{
    if (send(c->fd, packet, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len)
        return;
    hf_warn("a client of the keeper does not read its answers (%s): cut off", strerror(errno));
    conn_close(s, c);
}

static void conn_reply(struct hf_keeper_server *s, struct hf_keeper_conn *c, uint64_t id, enum hf_code code,
                       const char *text)
{
    struct hf_keeper_reply reply = {.head = head_of(HF_KEEPER_REPLY, id), .code = (uint32_t)code};
    snprintf(reply.text, sizeof reply.text, "%s", text);
    conn_send(s, c, &reply, sizeof reply);
}

static void conn_view(struct hf_keeper_server *s, struct hf_keeper_conn *c, uint64_t id)
{
    static _Alignas(8) uint8_t buf[HF_KEEPER_PACKET_MAX];
    struct hf_keeper_wire_view *view = (struct hf_keeper_wire_view *)buf;
    size_t len = s->view(s->arg, view);
    HF_ASSERT(len <= sizeof buf);
    view->head = head_of(HF_KEEPER_VIEW_REPLY, id);
    conn_send(s, c, buf, len);
}

static void conn_request(struct hf_keeper_server *s, struct hf_keeper_conn *c,
                         const struct hf_keeper_request *q)
{
    for (size_t i = 0; i < HF_KEEPER_REQUESTS_MAX; i++) {
        uint64_t token = ++s->next_token;
        struct hf_keeper_asked *a = &s->asked[token % HF_KEEPER_REQUESTS_MAX];
        if (a->conn != 0)
            continue;
        *a = (struct hf_keeper_asked){.conn = c->serial, .id = q->head.id, .token = token};
        s->request(s->arg, token, q);
        return;
    }
    conn_reply(s, c, q->head.id, HF_EXHAUSTED, "the keeper has too many requests under way");
}

static const char *packet_problem(const struct hf_keeper_request *q, ssize_t len)
{
    if (len < (ssize_t)sizeof q->head || q->head.magic != HF_KEEPER_MAGIC)
        return "it does not speak the keeper's protocol";
    if (q->head.version != HF_KEEPER_WIRE_VERSION)
        return "it speaks another version of the keeper's protocol";
    if (len != (ssize_t)sizeof *q || q->n_storages > HF_KEEPER_STORAGES_MAX ||
        memchr(q->dir, '\0', sizeof q->dir) == NULL)
        return "its packet is malformed";
    return NULL;
}

/* One packet at a time, so that one connection cannot starve the others. */
static void conn_serve(struct hf_keeper_server *s, struct hf_keeper_conn *c)
{
    static struct hf_keeper_request q;
    ssize_t len = recv(c->fd, &q, sizeof q, MSG_DONTWAIT | MSG_TRUNC);
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    const char *problem = len > 0 ? packet_problem(&q, len) : NULL;
    if (problem)
        hf_warn("a client of the keeper is cut off: %s", problem);
    if (len <= 0 || problem) {
        conn_close(s, c);
        return;
    }
    bool gate = c->pid != 0;
    q.pid = gate ? c->pid : q.pid;
    if (gate != (q.head.op == HF_KEEPER_GATE))
        conn_reply(s, c, q.head.id, HF_DENIED, "that is not asked here");
    else if (q.head.op == HF_KEEPER_VIEW)
        conn_view(s, c, q.head.id);
    else
        conn_request(s, c, &q);
}

static struct hf_keeper_conn *free_conn(struct hf_keeper_server *s, size_t first, size_t n)
{
    for (size_t i = first; i < first + n; i++) {
        if (s->conns[i].fd < 0)
            return &s->conns[i];
    }
    return NULL;
}

static void accept_one(struct hf_keeper_server *s)
{
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    struct hf_keeper_conn *c = free_conn(s, 0, HF_KEEPER_CONNS_MAX);
    if (c) {
        *c = (struct hf_keeper_conn){.fd = fd, .serial = ++s->next_serial};
        return;
    }
    hf_warn("the keeper serves %d connections already: one more is refused", HF_KEEPER_CONNS_MAX);
    close(fd);
}

static void accept_gate(struct hf_keeper_server *s)
{
    struct ucred who = {0};
    socklen_t len = sizeof who;
    int fd = accept4(s->gate_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0 || who.pid <= 0) {
        hf_warn("who stands before the gate cannot be told: refused");
        close(fd);
        return;
    }
    struct hf_keeper_conn *c = free_conn(s, HF_KEEPER_CONNS_MAX, HF_KEEPER_GATES_MAX);
    if (!c) {
        c = &s->conns[HF_KEEPER_CONNS_MAX];
        for (size_t i = HF_KEEPER_CONNS_MAX; i < CONNS_ALL; i++)
            c = s->conns[i].serial < c->serial ? &s->conns[i] : c;
        conn_close(s, c);
    }
    *c = (struct hf_keeper_conn){.fd = fd, .serial = ++s->next_serial, .pid = who.pid};
}

nfds_t hf_keeper_server_poll(const struct hf_keeper_server *s, struct pollfd *fds)
{
    nfds_t n = 0;
    fds[n++] = (struct pollfd){.fd = s->listen_fd, .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = s->gate_fd, .events = POLLIN};
    for (size_t i = 0; i < CONNS_ALL; i++) {
        if (s->conns[i].fd >= 0)
            fds[n++] = (struct pollfd){.fd = s->conns[i].fd, .events = POLLIN};
    }
    return n;
}

void hf_keeper_server_serve(struct hf_keeper_server *s, const struct pollfd *fds, nfds_t n)
{
    for (nfds_t k = 2; k < n; k++) {
        for (size_t i = 0; fds[k].revents != 0 && i < CONNS_ALL; i++) {
            if (s->conns[i].fd == fds[k].fd) {
                conn_serve(s, &s->conns[i]);
                break;
            }
        }
    }
    if (fds[1].revents != 0)
        accept_gate(s);
    if (fds[0].revents != 0)
        accept_one(s); /* last: a new connection must not take the place of one just closed in this round */
}

void hf_keeper_server_reply(struct hf_keeper_server *s, uint64_t token, enum hf_code code, const char *text)
{
    struct hf_keeper_asked a = s->asked[token % HF_KEEPER_REQUESTS_MAX];
    if (a.conn == 0 || a.token != token)
        return;
    s->asked[token % HF_KEEPER_REQUESTS_MAX].conn = 0;
    for (size_t i = 0; i < CONNS_ALL; i++) {
        if (s->conns[i].fd >= 0 && s->conns[i].serial == a.conn)
            conn_reply(s, &s->conns[i], a.id, code, text);
    }
}

void hf_keeper_server_changed(struct hf_keeper_server *s)
{
    struct hf_keeper_reply packet = {.head = head_of(HF_KEEPER_CHANGED, 0)};
    for (size_t i = 0; i < HF_KEEPER_CONNS_MAX; i++) {
        if (s->conns[i].fd >= 0)
            conn_send(s, &s->conns[i], &packet, sizeof packet);
    }
}
