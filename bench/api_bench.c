/* Load for one cell of the table "creates and linearizable gets, so many in flight": calls a control node, or
 * etcd, for some seconds, always with the same number of calls under way, and prints one JSON row.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "bench/histogram.h"
#include "etcd/kv.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/system.pb-c.h"
#include "rpc/grpc_client.h"

#define DEADLINE_MS     30000
#define WARM_UP_MS      500
#define CONNECTIONS_MAX 64
#define IN_FLIGHT_MAX   65536
#define PAYLOAD_BYTES   150 /* makes a stored zone, and etcd's key and value, about 256 bytes */

struct bench;

/* One way to put or get: sends a request whose answer comes to on_answer with slot as argument. */
struct slot {
    struct bench *bench;
    struct hf_grpc_channel *channel;
    uint64_t started_ns;
};

struct bench {
    const char *address, *target, *op;
    unsigned in_flight, seconds, connections;
    uv_loop_t loop;
    uv_timer_t timer;
    struct hf_grpc_channel *channels[CONNECTIONS_MAX];
    struct slot *slots;
    void (*send)(struct slot *s);
    char payload[PAYLOAD_BYTES + 1];
    char run[32];  /* makes names unique among runs */
    char uuid[64]; /* of the object that gets ask for */
    uint64_t sequence, measure_from_ns, measured_ns;
    unsigned under_way;
    bool measuring, stopping;
    hf_status error; /* the first */
    struct hf_histogram latency;
};

static void on_answer(hf_status st, const ProtobufCMessage *reply, struct hf_grpc_stream *stream, void *arg);

/* --- what is measured --- */

static void holdfast_create(struct slot *s)
{
    struct bench *b = s->bench;
    char name[64], request_id[64];
    snprintf(name, sizeof name, "zone-%s-%llu", b->run, (unsigned long long)b->sequence);
    snprintf(request_id, sizeof request_id, "%s-%llu", b->run, (unsigned long long)b->sequence++);
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    Holdfast__V1__Zone zone = HOLDFAST__V1__ZONE__INIT;
    Holdfast__V1__CreateZoneRequest q = HOLDFAST__V1__CREATE_ZONE_REQUEST__INIT;
    meta.name = name;
    meta.description = b->payload;
    zone.meta = &meta;
    q.request_id = request_id;
    q.zone = &zone;
    hf_grpc_unary(s->channel, &holdfast__v1__zone_service__descriptor, "CreateZone", &q.base, DEADLINE_MS,
                  on_answer, s);
}

static void holdfast_get(struct slot *s)
{
    Holdfast__V1__GetRequest q = HOLDFAST__V1__GET_REQUEST__INIT;
    q.uuid = s->bench->uuid;
    hf_grpc_unary(s->channel, &holdfast__v1__zone_service__descriptor, "GetZone", &q.base, DEADLINE_MS,
                  on_answer, s);
}

static ProtobufCBinaryData bytes_of(char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
}

static void etcd_create(struct slot *s)
{
    struct bench *b = s->bench;
    char key[96];
    snprintf(key, sizeof key, "/holdfast/zones/zone-%s-%llu", b->run, (unsigned long long)b->sequence++);
    Etcdserverpb__PutRequest q = ETCDSERVERPB__PUT_REQUEST__INIT;
    q.key = bytes_of(key);
    q.value = bytes_of(b->payload);
    hf_grpc_unary(s->channel, &etcdserverpb__kv__descriptor, "Put", &q.base, DEADLINE_MS, on_answer, s);
}

static void etcd_get(struct slot *s)
{
    Etcdserverpb__RangeRequest q = ETCDSERVERPB__RANGE_REQUEST__INIT;
    q.key = bytes_of(s->bench->uuid);
    hf_grpc_unary(s->channel, &etcdserverpb__kv__descriptor, "Range", &q.base, DEADLINE_MS, on_answer, s);
}

/* --- the load --- */

static void start(struct slot *s)
{
    s->started_ns = uv_hrtime();
    s->bench->under_way++;
    s->bench->send(s);
}

static void fail(struct bench *b, hf_status st)
{
    if (hf_ok(b->error))
        b->error = hf_status_copy(st);
    b->stopping = true;
}

static void on_answer(hf_status st, const ProtobufCMessage *reply, struct hf_grpc_stream *stream, void *arg)
{
    struct slot *s = arg;
    struct bench *b = s->bench;
    (void)reply, (void)stream;
    b->under_way--;
    if (!hf_ok(st))
        fail(b, st);
    if (b->measuring)
        hf_histogram_add(&b->latency, uv_hrtime() - s->started_ns);
    if (!b->stopping)
        start(s);
    else if (b->under_way == 0)
        uv_stop(&b->loop);
}

static void on_measured(uv_timer_t *t)
{
    struct bench *b = t->data;
    b->measured_ns = uv_hrtime() - b->measure_from_ns;
    b->measuring = false;
    b->stopping = true;
}

static void on_warm(uv_timer_t *t)
{
    struct bench *b = t->data;
    b->measuring = true;
    b->measure_from_ns = uv_hrtime();
    uv_timer_start(t, on_measured, b->seconds * 1000, 0);
}

static void run_load(struct bench *b)
{
    b->slots = hf_alloc_array(b->in_flight, sizeof *b->slots);
    for (unsigned i = 0; i < b->in_flight; i++) {
        b->slots[i] = (struct slot){.bench = b, .channel = b->channels[i % b->connections]};
        start(&b->slots[i]);
    }
    uv_timer_start(&b->timer, on_warm, WARM_UP_MS, 0);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    free(b->slots);
}

/* --- preparation --- */

struct answer {
    struct bench *bench;
    char *text; /* where to: of at least 64 bytes */
};

static void on_prepared(hf_status st, const ProtobufCMessage *reply, struct hf_grpc_stream *stream, void *arg)
{
    struct answer *a = arg;
    (void)stream;
    if (!hf_ok(st))
        fail(a->bench, st);
    else if (reply->descriptor == &holdfast__v1__zone__descriptor)
        snprintf(a->text, 64, "%s", ((const Holdfast__V1__Zone *)reply)->meta->uuid);
    else if (reply->descriptor == &holdfast__v1__control_status__descriptor)
        snprintf(a->text, 64, "%s", ((const Holdfast__V1__ControlStatus *)reply)->leader_api_address);
    uv_stop(&a->bench->loop);
}

static void open_channels(struct bench *b, const char *address)
{
    struct hf_grpc_channel_options o = {.address = address};
    for (unsigned i = 0; i < b->connections; i++)
        b->channels[i] = hf_grpc_channel_create(&b->loop, &o);
}

static void close_channels(struct bench *b)
{
    for (unsigned i = 0; i < b->connections; i++)
        hf_grpc_channel_close(b->channels[i]);
}

/* Goes to the leader, which every node knows. */
static void find_leader(struct bench *b)
{
    static char leader[64];
    struct answer a = {b, leader};
    Holdfast__V1__Empty q = HOLDFAST__V1__EMPTY__INIT;
    hf_grpc_unary(b->channels[0], &holdfast__v1__control_service__descriptor, "GetStatus", &q.base,
                  DEADLINE_MS, on_prepared, &a);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    if (!hf_ok(b->error) || strcmp(leader, b->address) == 0)
        return;
    if (!*leader) {
        b->error = hf_error(HF_UNAVAILABLE, "%s knows no leader", b->address);
        return;
    }
    close_channels(b);
    open_channels(b, leader);
}

static void make_holdfast_object(struct bench *b)
{
    struct answer a = {b, b->uuid};
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    Holdfast__V1__Zone zone = HOLDFAST__V1__ZONE__INIT;
    Holdfast__V1__CreateZoneRequest q = HOLDFAST__V1__CREATE_ZONE_REQUEST__INIT;
    meta.name = b->run;
    meta.description = b->payload;
    zone.meta = &meta;
    q.zone = &zone;
    q.request_id = b->run;
    hf_grpc_unary(b->channels[0], &holdfast__v1__zone_service__descriptor, "CreateZone", &q.base, DEADLINE_MS,
                  on_prepared, &a);
    uv_run(&b->loop, UV_RUN_DEFAULT);
}

static void make_etcd_object(struct bench *b)
{
    struct answer a = {b, NULL};
    Etcdserverpb__PutRequest q = ETCDSERVERPB__PUT_REQUEST__INIT;
    snprintf(b->uuid, sizeof b->uuid, "/holdfast/zones/%s", b->run);
    q.key = bytes_of(b->uuid);
    q.value = bytes_of(b->payload);
    hf_grpc_unary(b->channels[0], &etcdserverpb__kv__descriptor, "Put", &q.base, DEADLINE_MS, on_prepared,
                  &a);
    uv_run(&b->loop, UV_RUN_DEFAULT);
}

static void prepare(struct bench *b)
{
    bool etcd = strcmp(b->target, "etcd") == 0, create = strcmp(b->op, "create") == 0;
    snprintf(b->run, sizeof b->run, "%llx%x", (unsigned long long)uv_hrtime(), (unsigned)getpid());
    memset(b->payload, 'x', PAYLOAD_BYTES);
    b->send = etcd ? (create ? etcd_create : etcd_get) : (create ? holdfast_create : holdfast_get);
    open_channels(b, b->address);
    if (etcd)
        make_etcd_object(b);
    else
        find_leader(b);
    if (!etcd && hf_ok(b->error))
        make_holdfast_object(b);
}

/* --- command line --- */

static int usage(void)
{
    fprintf(stderr, "usage: hf_bench_api --address HOST:PORT [--target holdfast|etcd] [--op create|get]\n"
                    "                    [--in-flight N] [--seconds S] [--connections N]\n");
    return 2;
}

static bool parse(struct bench *b, int argc, char **argv)
{
    static const struct option OPTIONS[] = {
        {"address", required_argument, NULL, 'a'},
        {"target", required_argument, NULL, 't'},
        {"op", required_argument, NULL, 'o'},
        {"in-flight", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 's'},
        {"connections", required_argument, NULL, 'c'},
        {NULL, 0, NULL, 0},
    };
    int o;
    while ((o = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        switch (o) {
        case 'a':
            b->address = optarg;
            break;
        case 't':
            b->target = optarg;
            break;
        case 'o':
            b->op = optarg;
            break;
        case 'n':
            b->in_flight = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 's':
            b->seconds = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'c':
            b->connections = (unsigned)strtoul(optarg, NULL, 10);
            break;
        default:
            return false;
        }
    }
    return b->address && b->in_flight > 0 && b->in_flight <= IN_FLIGHT_MAX && b->seconds > 0 &&
           b->connections > 0 && b->connections <= CONNECTIONS_MAX &&
           (!strcmp(b->target, "holdfast") || !strcmp(b->target, "etcd")) &&
           (!strcmp(b->op, "create") || !strcmp(b->op, "get"));
}

int main(int argc, char **argv)
{
    static struct bench b = {
        .target = "holdfast", .op = "create", .in_flight = 1, .seconds = 5, .connections = 1};
    if (!parse(&b, argc, argv))
        return usage();
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&b.loop);
    uv_timer_init(&b.loop, &b.timer);
    b.timer.data = &b;
    prepare(&b);
    if (hf_ok(b.error)) {
        b.stopping = false;
        run_load(&b);
    }
    close_channels(&b);
    uv_close((uv_handle_t *)&b.timer, NULL);
    uv_run(&b.loop, UV_RUN_DEFAULT);
    if (!hf_ok(b.error)) {
        fprintf(stderr, "hf_bench_api: %s\n", hf_status_message(b.error));
        hf_status_drop(b.error);
        return 1;
    }
    printf("{\"op\": \"%s\", \"in_flight\": %u, \"per_s\": %.0f, \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n", b.op,
           b.in_flight, (double)b.latency.count / ((double)b.measured_ns / 1e9),
           hf_histogram_ms(&b.latency, 0.5), hf_histogram_ms(&b.latency, 0.99));
    return 0;
}
