#include "rpc/health.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/mem.h"
#include "grpc/health/v1/health.pb-c.h"
#include "rpc/grpc_server.h"

typedef Grpc__Health__V1__HealthCheckRequest request_t;
typedef Grpc__Health__V1__HealthCheckResponse response_t;
typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus serving_t;
#define SERVING         GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
#define NOT_SERVING     GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING
#define SERVICE_UNKNOWN GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN

struct entry {
    LIST_ENTRY(entry) link;
    char *service;
    serving_t status;
};

struct watcher {
    LIST_ENTRY(watcher) link;
    struct hf_grpc_call *call;
    char *service;
};

struct hf_health {
    LIST_HEAD(, entry) entries;
    LIST_HEAD(, watcher) watchers;
};

static struct entry *find(struct hf_health *h, const char *service)
{
    struct entry *e;
    LIST_FOREACH(e, &h->entries, link)
    if (strcmp(e->service, service) == 0)
        return e;
    return NULL;
}

static void send_status(struct hf_grpc_call *call, serving_t status)
{
    response_t r = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    r.status = status;
    hf_grpc_send(call, &r.base);
}

static void on_check(struct hf_grpc_call *call, ProtobufCMessage *m)
{
    request_t *q = (request_t *)m;
    const struct entry *e = find(hf_grpc_call_user(call), q->service);
    if (e) {
        send_status(call, e->status);
        hf_grpc_finish(call, HF_STATUS_OK);
    } else {
        hf_grpc_finish(call, hf_error(HF_NOT_FOUND, "no service '%.100s' on this server", q->service));
    }
    protobuf_c_message_free_unpacked(m, NULL);
}

static void on_watch(struct hf_grpc_call *call, ProtobufCMessage *m)
{
    request_t *q = (request_t *)m;
    struct hf_health *h = hf_grpc_call_user(call);
    struct watcher *w = HF_NEW(struct watcher);
    w->call = call;
    w->service = hf_strdup(q->service);
    LIST_INSERT_HEAD(&h->watchers, w, link);
    hf_grpc_call_set_data(call, w);
    const struct entry *e = find(h, q->service);
    send_status(call, e ? e->status : SERVICE_UNKNOWN);
    protobuf_c_message_free_unpacked(m, NULL);
}

static void on_watch_closed(struct hf_grpc_call *call, bool cancelled)
{
    (void)cancelled;
    struct watcher *w = hf_grpc_call_data(call);
    if (!w)
        return;
    LIST_REMOVE(w, link);
    free(w->service);
    free(w);
}

void hf_health_set(struct hf_health *h, const char *service, bool serving)
{
    serving_t status = serving ? SERVING : NOT_SERVING;
    struct entry *e = find(h, service);
    if (e && e->status == status)
        return;
    if (!e) {
        e = HF_NEW(struct entry);
        e->service = hf_strdup(service);
        LIST_INSERT_HEAD(&h->entries, e, link);
    }
    e->status = status;
    struct watcher *w;
    LIST_FOREACH(w, &h->watchers, link)
    if (strcmp(w->service, service) == 0)
        send_status(w->call, status);
}

struct hf_health *hf_health_create(struct hf_grpc_server *s)
{
    static const struct hf_grpc_handler CHECK = {.message = on_check};
    static const struct hf_grpc_handler WATCH = {.message = on_watch, .closed = on_watch_closed};
    struct hf_health *h = HF_NEW(struct hf_health);
    LIST_INIT(&h->entries);
    LIST_INIT(&h->watchers);
    hf_health_set(h, "", true);
    hf_grpc_server_add(s, &grpc__health__v1__health__descriptor, "Check", &CHECK, h);
    hf_grpc_server_add(s, &grpc__health__v1__health__descriptor, "Watch", &WATCH, h);
    return h;
}

void hf_health_free(struct hf_health *h)
{
    if (!h)
        return;
    struct entry *e;
    while ((e = LIST_FIRST(&h->entries))) {
        LIST_REMOVE(e, link);
        free(e->service);
        free(e);
    }
    free(h);
}
