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
#include "ha/lease_rules.h"
#include "hostd/keeper_view.h"

#define CALL_MS      (HF_LEASE_REQUEST_MS + 1000) /* the keeper itself answers in HF_LEASE_REQUEST_MS */
#define RECONNECT_MS 200
#define CALLS_MAX    512

struct call {
    struct call *next;
    struct client *client;
    uint64_t id;
    hf_keeper_cb cb;
    hf_keeper_view_cb view_cb; /* one of the two */
    void *arg;
    struct hf_timer deadline;
    hf_status failed; /* not OK: refused already, to be told in the next turn of the loop */
};

struct client {
    struct hf_keeper base;
    uv_loop_t *loop;
    struct hf_env *env;
    char *path;
    int fd; /* -1: not connected */
    uv_poll_t *poll;
    struct hf_timer reconnect;
    struct call *calls;
    size_t n_calls;
    uint64_t next_id;
    uint8_t *packet;
    bool said; /* the present trouble has been logged */
};

static struct client *client_of(struct hf_keeper *k)
{
    return hf_container_of(k, struct client, base);
}

/* --- calls --- */

static void call_end(struct call *c, hf_status st, const struct hf_keeper_view *view)
{
    struct call **p = &c->client->calls;
    while (*p != c)
        p = &(*p)->next;
    *p = c->next;
    c->client->n_calls--;
    hf_timer_stop(&c->deadline);
    if (c->view_cb)
        c->view_cb(c->arg, st, view);
    else
        c->cb(c->arg, st);
    hf_status_drop(st);
    hf_status_drop(c->failed);
    free(c);
}

static void on_deadline(void *arg)
{
    struct call *c = arg;
    if (hf_ok(c->failed))
        call_end(c, hf_error(HF_TIMEOUT, "the keeper did not answer within %d ms", CALL_MS), NULL);
    else
        call_end(c, hf_status_copy(c->failed), NULL);
}

static void fail_calls(struct client *c, enum hf_code code, const char *text)
{
    while (c->calls)
        call_end(c->calls, hf_error(code, "%s", text), NULL);
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
    fail_calls(c, HF_UNKNOWN_OUTCOME, "the connection to the keeper was lost before it answered");
    if (c->base.events.connection)
        c->base.events.connection(c->base.events.arg, false);
}

static hf_status send_request(struct client *c, const struct hf_keeper_request *q)
{
    if (c->fd < 0)
        return hf_error(HF_UNAVAILABLE, "the keeper is not connected (%s)", c->path);
    if (c->n_calls >= CALLS_MAX)
        return hf_error(HF_EXHAUSTED, "%d calls to the keeper are under way", CALLS_MAX);
    if (send(c->fd, q, sizeof *q, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof *q)
        return HF_STATUS_OK;
    return hf_errno(errno == EAGAIN ? EBUSY : errno, "send to the keeper");
}

static void start_call(struct hf_keeper *k, struct hf_keeper_request *q, hf_keeper_cb cb,
                       hf_keeper_view_cb view_cb, void *arg)
{
    struct client *c = client_of(k);
    struct call *call = HF_NEW(struct call);
    call->client = c;
    call->id = ++c->next_id;
    call->cb = cb;
    call->view_cb = view_cb;
    call->arg = arg;
    q->head.magic = HF_KEEPER_MAGIC;
    q->head.version = HF_KEEPER_WIRE_VERSION;
    q->head.id = call->id;
    call->failed = send_request(c, q);
    call->next = c->calls;
    c->calls = call;
    c->n_calls++;
    hf_timer_start(c->env, &call->deadline, hf_ok(call->failed) ? CALL_MS : 0, on_deadline, call);
}

/* --- answers --- */

static hf_status answer_view(struct call *call, const uint8_t *packet, size_t len)
{
    struct hf_keeper_view_packet p;
    HF_TRY(hf_keeper_view_decode(packet, len, &p));
    call_end(call, HF_STATUS_OK, &p.view);
    hf_keeper_view_done(&p);
    return HF_STATUS_OK;
}

static hf_status answer(struct call *call, const uint8_t *packet, size_t len, uint16_t op)
{
    if (op == HF_KEEPER_VIEW_REPLY && call->view_cb)
        return answer_view(call, packet, len);
    const struct hf_keeper_reply *r = (const void *)packet;
    if (op != HF_KEEPER_REPLY || len != sizeof *r)
        return hf_error(HF_INTERNAL, "the keeper's answer is malformed");
    if (r->code == HF_OK && call->cb)
        call_end(call, HF_STATUS_OK, NULL);
    else if (r->code == HF_OK)
        return hf_error(HF_INTERNAL, "the keeper's answer does not fit the question");
    else
        call_end(call, hf_error((enum hf_code)r->code, "%.*s", HF_KEEPER_TEXT_MAX - 1, r->text), NULL);
    return HF_STATUS_OK;
}

static hf_status on_packet(struct client *c, size_t len)
{
    const struct hf_keeper_head *head = (const void *)c->packet;
    if (len < sizeof *head || head->magic != HF_KEEPER_MAGIC || head->version != HF_KEEPER_WIRE_VERSION)
        return hf_error(HF_INTERNAL,
                        "the keeper speaks another version of the protocol: restart it with this release");
    if (head->op == HF_KEEPER_CHANGED) {
        if (c->base.events.changed)
            c->base.events.changed(c->base.events.arg);
        return HF_STATUS_OK;
    }
    for (struct call *call = c->calls; call; call = call->next) {
        if (call->id == head->id)
            return answer(call, c->packet, len, head->op);
    }
    return HF_STATUS_OK; /* its caller has stopped waiting */
}

static void on_readable(uv_poll_t *h, int status, int events)
{
    (void)events;
    struct client *c = h->data;
    while (c->poll == h) {
        ssize_t len = status < 0 ? 0 : recv(c->fd, c->packet, HF_KEEPER_PACKET_MAX, MSG_DONTWAIT);
        if (len < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        hf_status st = len > 0 ? on_packet(c, (size_t)len) : hf_error(HF_UNAVAILABLE, "the keeper is gone");
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
    if (c->base.events.connection)
        c->base.events.connection(c->base.events.arg, true);
}

/* --- the verbs --- */

static void do_view(struct hf_keeper *k, hf_keeper_view_cb cb, void *arg)
{
    struct hf_keeper_request q = {.head.op = HF_KEEPER_VIEW};
    start_call(k, &q, NULL, cb, arg);
}

static void do_set_epoch(struct hf_keeper *k, const struct hf_uuid *host, uint64_t epoch, hf_keeper_cb cb,
                         void *arg)
{
    struct hf_keeper_request q = {.head.op = HF_KEEPER_SET_EPOCH, .subject = *host, .epoch = epoch};
    start_call(k, &q, cb, NULL, arg);
}

static void do_see_term(struct hf_keeper *k, uint64_t term, hf_keeper_cb cb, void *arg)
{
    struct hf_keeper_request q = {.head.op = HF_KEEPER_SEE_TERM, .number = term};
    start_call(k, &q, cb, NULL, arg);
}

static void do_add_storage(struct hf_keeper *k, const struct hf_uuid *storage, const char *dir,
                           hf_keeper_cb cb, void *arg)
{
    struct hf_keeper_request q = {.head.op = HF_KEEPER_ADD_STORAGE, .subject = *storage};
    /* A path that is too long stays empty, which the keeper refuses. */
    if (strlen(dir) < sizeof q.dir)
        memcpy(q.dir, dir, strlen(dir) + 1);
    start_call(k, &q, cb, NULL, arg);
}

static void do_remove_storage(struct hf_keeper *k, const struct hf_uuid *storage, hf_keeper_cb cb, void *arg)
{
    struct hf_keeper_request q = {.head.op = HF_KEEPER_REMOVE_STORAGE, .subject = *storage};
    start_call(k, &q, cb, NULL, arg);
}

static void do_begin_run(struct hf_keeper *k, const struct hf_uuid *instance, uint64_t epoch, uint64_t run,
                         const struct hf_uuid *storages, size_t n_storages, hf_keeper_cb cb, void *arg)
{
    HF_ASSERT(n_storages <= HF_KEEPER_STORAGES_MAX);
    struct hf_keeper_request q = {
        .head.op = HF_KEEPER_BEGIN_RUN, .subject = *instance, .epoch = epoch, .number = run};
    q.n_storages = (uint8_t)n_storages;
    if (n_storages > 0)
        memcpy(q.storages, storages, n_storages * sizeof storages[0]);
    start_call(k, &q, cb, NULL, arg);
}

static void do_register_run(struct hf_keeper *k, const struct hf_uuid *instance, uint64_t run, int pid,
                            hf_keeper_cb cb, void *arg)
{
    struct hf_keeper_request q = {
        .head.op = HF_KEEPER_REGISTER_RUN, .subject = *instance, .number = run, .pid = pid};
    start_call(k, &q, cb, NULL, arg);
}

static void do_end_run(struct hf_keeper *k, const struct hf_uuid *instance, uint64_t run, bool kill,
                       hf_keeper_cb cb, void *arg)
{
    struct hf_keeper_request q = {
        .head.op = HF_KEEPER_END_RUN, .subject = *instance, .number = run, .kill = kill};
    start_call(k, &q, cb, NULL, arg);
}

static void do_end_epoch(struct hf_keeper *k, uint64_t epoch, hf_keeper_cb cb, void *arg)
{
    struct hf_keeper_request q = {.head.op = HF_KEEPER_END_EPOCH, .epoch = epoch};
    start_call(k, &q, cb, NULL, arg);
}

static const struct hf_keeper_ops ops = {
    .view = do_view,
    .set_epoch = do_set_epoch,
    .see_term = do_see_term,
    .add_storage = do_add_storage,
    .remove_storage = do_remove_storage,
    .begin_run = do_begin_run,
    .register_run = do_register_run,
    .end_run = do_end_run,
    .end_epoch = do_end_epoch,
};

hf_status hf_keeper_client_create(uv_loop_t *loop, struct hf_env *env, const char *socket_path,
                                  const struct hf_keeper_events *events, struct hf_keeper **ret)
{
    struct sockaddr_un addr;
    if (socket_path[0] == '\0' || strlen(socket_path) >= sizeof addr.sun_path)
        return hf_error(HF_INVALID, "'%s' is not a path for a unix socket", socket_path);
    struct client *c = HF_NEW(struct client);
    c->base.ops = &ops;
    c->base.events = *events;
    c->loop = loop;
    c->env = env;
    c->path = hf_strdup(socket_path);
    c->packet = hf_alloc(HF_KEEPER_PACKET_MAX);
    c->fd = -1;
    hf_timer_start(env, &c->reconnect, 0, on_reconnect, c);
    *ret = &c->base;
    return HF_STATUS_OK;
}

void hf_keeper_client_close(struct hf_keeper *k)
{
    struct client *c = client_of(k);
    hf_timer_stop(&c->reconnect);
    disconnect(c);
    fail_calls(c, HF_CANCELLED, "the connection to the keeper was closed");
    free(c->packet);
    free(c->path);
    free(c);
}
