#include "hostd/control_link.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "hostd/backoff.h"
#include "rpc/grpc_client.h"
#include "rpc/leader_client.h"

#define CONNECT_MS     2000
#define KEEPALIVE_MS   2000 /* a leader without power is noticed after twice this */
#define RETRY_FIRST_MS 100
#define RETRY_MAX_MS                                                                                         \
    1000 /* an election takes a second or two, and a host without a leader is nearly a lost one */
#define TELL_MS      60000
#define CHASE_MAX    3 /* hints followed at once; nodes that point in a circle are not chased at full speed */
#define CONGESTED_MS 10000 /* a leader that has read too little for so long */

struct hf_control_link {
    uv_loop_t *loop;
    struct hf_env *env;
    struct hf_control_link_options o;
    struct hf_host *host;
    struct hf_grpc_channel *channel;
    struct hf_grpc_stream *stream;
    char *address;   /* dialled now */
    char *hint;      /* where the last node said that the leader is; dialled next */
    unsigned chased; /* hints followed in a row */
    size_t next;     /* of the addresses */
    bool welcomed;   /* this stream has brought a message */
    bool closing;
    int64_t congested_since_ms;
    struct hf_timer timer;
    struct hf_backoff backoff;
    unsigned failures; /* since a node led: each node's first one is logged, then one a minute */
    int64_t told_ms;
};

struct hf_control_link *hf_control_link_create(uv_loop_t *loop, struct hf_env *env,
                                               const struct hf_control_link_options *o)
{
    struct hf_control_link *l = HF_NEW(struct hf_control_link);
    HF_ASSERT(o->n_addresses >= 1 && o->n_addresses <= HF_CONTROL_LINK_NODES_MAX);
    l->loop = loop;
    l->env = env;
    l->o = *o;
    return l;
}

static void tell(struct hf_control_link *l, hf_status st)
{
    int64_t now = hf_env_now_ms(l->env);
    if (++l->failures > l->o.n_addresses && now - l->told_ms < TELL_MS)
        return;
    l->told_ms = now;
    hf_warn("control node %s: %s (dialling on)", l->address, hf_status_message(st));
}

static void dial(void *arg);

static void dial_later(struct hf_control_link *l, const char *leader)
{
    unsigned ms = 0;
    free(l->hint);
    l->hint = NULL;
    if (leader && leader[0] && strcmp(leader, l->address) != 0)
        l->hint = hf_strdup(leader);
    l->chased = l->hint ? l->chased + 1 : 0;
    if (!l->hint || l->chased > CHASE_MAX)
        ms = hf_backoff_next(&l->backoff, l->env, RETRY_FIRST_MS, RETRY_MAX_MS);
    hf_timer_start(l->env, &l->timer, ms, dial, l);
}

static void on_message(struct hf_grpc_stream *s, ProtobufCMessage *m, void *arg)
{
    struct hf_control_link *l = arg;
    HF_ASSERT(s == l->stream && m->descriptor == &holdfast__v1__control_message__descriptor);
    if (!l->welcomed) {
        l->welcomed = true;
        l->chased = 0;
        hf_backoff_reset(&l->backoff);
        l->failures = 0;
        hf_info("the control node at %s leads", l->address);
    }
    hf_host_stream_message(l->host, (Holdfast__V1__ControlMessage *)m);
}

static void on_end(struct hf_grpc_stream *s, hf_status st, void *arg)
{
    struct hf_control_link *l = arg;
    const char *leader = hf_grpc_stream_trailer(s, HF_LEADER_TRAILER);
    HF_ASSERT(s == l->stream);
    l->stream = NULL;
    hf_host_stream_closed(l->host);
    if (l->closing)
        return;
    if (l->welcomed || !leader)
        tell(l, st);
    dial_later(l, leader);
}

static void dial(void *arg)
{
    static const struct hf_grpc_stream_handler handler = {.message = on_message, .end = on_end};
    struct hf_control_link *l = arg;
    HF_ASSERT(!l->stream);
    if (l->channel)
        hf_grpc_channel_close(l->channel);
    free(l->address);
    l->address = l->hint ? l->hint : hf_strdup(l->o.addresses[l->next]);
    if (!l->hint)
        l->next = (l->next + 1) % l->o.n_addresses;
    l->hint = NULL;
    l->welcomed = false;
    l->congested_since_ms = 0;
    struct hf_grpc_channel_options o = {
        .address = l->address, .tls = l->o.tls, .connect_ms = CONNECT_MS, .keepalive_ms = KEEPALIVE_MS};
    l->channel = hf_grpc_channel_create(l->loop, &o);
    l->stream =
        hf_grpc_open(l->channel, &holdfast__v1__host_link_service__descriptor, "Attach", 0, &handler, l);
    hf_host_stream_opened(l->host);
}

void hf_control_link_start(struct hf_control_link *l, struct hf_host *host)
{
    l->host = host;
    dial(l);
}

void hf_control_link_send(struct hf_control_link *l, const Holdfast__V1__HostMessage *m)
{
    int64_t now = hf_env_now_ms(l->env);
    if (!l->stream)
        return;
    if (hf_grpc_stream_send(l->stream, &m->base))
        l->congested_since_ms = 0;
    else if (!l->congested_since_ms)
        l->congested_since_ms = now;
    else if (now - l->congested_since_ms > CONGESTED_MS)
        hf_control_link_redial(l, "the leader does not read what this host sends");
}

void hf_control_link_redial(struct hf_control_link *l, const char *why)
{
    if (!l->stream)
        return;
    hf_warn("control node %s: %s (dialling again)", l->address, why);
    hf_grpc_stream_cancel(l->stream); /* its end comes in a later turn and dials */
}

void hf_control_link_close(struct hf_control_link *l)
{
    l->closing = true;
    hf_timer_stop(&l->timer);
    if (l->channel)
        hf_grpc_channel_close(l->channel);
    HF_ASSERT(!l->stream);
    free(l->address);
    free(l->hint);
    free(l);
}
