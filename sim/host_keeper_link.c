/* The daemon's end of the keeper's socket: what hostd/keeper_client.c promises, over a simulated connection.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "hostd/keeper_calls.h"
#include "sim/host_private.h"

#define RECONNECT_MS 200

struct link {
    struct hf_keeper_calls calls;
    struct sim_host *host;
    uint64_t serial; /* of the connection; 0: none */
    struct hf_timer reconnect;
};

static struct link *link_of(struct hf_keeper *k)
{
    return hf_container_of(k, struct link, calls.base);
}

/* --- packets to the keeper --- */

struct request {
    struct sim_host *host;
    uint64_t serial;
    struct hf_keeper_request q;
};

static void request_arrives(void *arg)
{
    struct request *r = arg;
    if (r->host->keeper_conn == r->serial)
        sim_keeper_packet(r->host, r->serial, &r->q);
    free(r);
}

static void transmit(void *arg)
{
    struct request *r = arg;
    sim_proc_post(&r->host->procs[SIM_KEEPER], SIM_SYSCALL_NS, request_arrives, free, r);
}

static hf_status send_request(void *arg, const struct hf_keeper_request *q)
{
    struct link *l = arg;
    if (l->serial == 0)
        return hf_error(HF_UNAVAILABLE, "the keeper is not connected");
    struct request *r = hf_alloc(sizeof *r);
    *r = (struct request){l->host, l->serial, *q};
    sim_proc_act(&l->host->procs[SIM_HOSTD], transmit, free, r);
    return HF_STATUS_OK;
}

/* --- packets from the keeper --- */

struct packet {
    struct sim_host *host;
    uint64_t serial;
    size_t len; /* 0: the end */
    _Alignas(8) uint8_t bytes[];
};

static void on_reconnect(void *arg);

static void lost(struct link *l)
{
    l->serial = 0;
    hf_timer_start(l->calls.env, &l->reconnect, RECONNECT_MS, on_reconnect, l);
    hf_keeper_calls_fail(&l->calls, HF_UNKNOWN_OUTCOME,
                         "the connection to the keeper was lost before it answered");
    l->calls.base.events.connection(l->calls.base.events.arg, false);
}

static void packet_arrives(void *arg)
{
    struct packet *p = arg;
    struct hf_keeper *k = sim_daemon_keeper(p->host);
    struct link *l = k ? link_of(k) : NULL;
    if (l && l->serial == p->serial && p->len == 0) {
        lost(l);
    } else if (l && l->serial == p->serial) {
        hf_status st = hf_keeper_calls_packet(&l->calls, p->bytes, p->len);
        HF_ASSERT(hf_ok(st));
    }
    free(p); /* if it was for another daemon: as it is */
}

static void post_packet(struct sim_host *h, uint64_t serial, const void *bytes, size_t len)
{
    struct packet *p = hf_alloc(sizeof *p + len);
    p->host = h;
    p->serial = serial;
    p->len = len;
    if (len > 0)
        memcpy(p->bytes, bytes, len);
    sim_proc_post(&h->procs[SIM_HOSTD], SIM_SYSCALL_NS, packet_arrives, free, p);
}

void sim_keeper_link_send(struct sim_host *h, uint64_t serial, const void *packet, size_t len)
{
    if (serial != 0 && serial == h->keeper_conn)
        post_packet(h, serial, packet, len);
}

void sim_keeper_link_broke(struct sim_host *h)
{
    if (h->keeper_conn != 0)
        post_packet(h, h->keeper_conn, NULL, 0);
    h->keeper_conn = 0;
}

/* --- connection --- */

static void on_reconnect(void *arg)
{
    struct link *l = arg;
    struct sim_host *h = l->host;
    if (!h->keeper) {
        hf_timer_start(l->calls.env, &l->reconnect, RECONNECT_MS, on_reconnect, l);
        return;
    }
    l->serial = h->keeper_conn = ++h->keeper_serial;
    l->calls.base.events.connection(l->calls.base.events.arg, true);
}

struct hf_keeper *sim_keeper_connect(struct sim_host *h, const struct hf_keeper_events *events)
{
    struct link *l = HF_NEW(struct link);
    l->calls = (struct hf_keeper_calls){
        .base.events = *events, .env = &h->procs[SIM_HOSTD].env, .send = send_request, .arg = l};
    hf_keeper_calls_init(&l->calls);
    l->host = h;
    hf_timer_start(l->calls.env, &l->reconnect, 0, on_reconnect, l);
    return &l->calls.base;
}

void sim_keeper_link_cancel(struct hf_keeper *k)
{
    struct link *l = link_of(k);
    hf_timer_stop(&l->reconnect);
    if (l->serial != 0 && l->host->keeper_conn == l->serial)
        l->host->keeper_conn = 0;
    l->serial = 0;
    hf_keeper_calls_fail(&l->calls, HF_CANCELLED, "the connection to the keeper was closed");
}

void sim_keeper_link_free(struct hf_keeper *k)
{
    free(link_of(k));
}
