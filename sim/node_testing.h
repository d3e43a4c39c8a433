/* Three simulated control nodes with their network, and clients that create zones, one after the other. */
#ifndef HF_SIM_NODE_TESTING_H
#define HF_SIM_NODE_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "control/kinds.h"
#include "holdfast/v1/host_link.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"
#include "sim/node_private.h"

#define NODES     3
#define CLIENTS   4
#define ZONES_MAX 4096 /* per client */

#define MS(n) ((n)*HF_MS_NS)

struct bed;

/* Creates zones, one after the other, each until it is answered. */
struct client {
    struct bed *bed;
    struct sim_proc proc;
    unsigned i, place, node;
    struct sim_api_call *call;
    struct hf_timer timer;
    struct hf_uuid zones[ZONES_MAX];
    unsigned n;      /* acknowledged */
    unsigned trials; /* of the one under way */
    bool got;
    bool resting;
};

struct bed {
    struct sim_world w;
    struct client clients[CLIENTS];
    bool over; /* no new zones */
    struct sim_rng rng;
    bool faults;
    unsigned calls_failed;
};

/* --- clients --- */

static inline void ask(void *arg);

static inline unsigned node_at(const struct bed *b, const char *address)
{
    for (unsigned i = 0; i < NODES; i++)
        if (strcmp(sim_node_address(b->w.nodes[i]), address) == 0)
            return i;
    fail_msg("no node has the address '%s'", address);
    return 0;
}

static inline void on_zone(void *arg, const ProtobufCMessage *m)
{
    struct client *c = arg;
    const Holdfast__V1__Zone *z = (const Holdfast__V1__Zone *)(const void *)m;
    assert_true(hf_uuid_parse(z->meta->uuid, &c->zones[c->n]));
    c->got = true;
}

static inline void on_end(void *arg, const struct sim_end_reason *why)
{
    struct client *c = arg;
    c->call = NULL;
    int64_t pause_ms = (int64_t)sim_rng_below(&c->bed->rng, 400);
    if (why->code == HF_OK) {
        assert_true(c->got);
        c->n++;
        c->trials = 0;
        assert_true(c->n < ZONES_MAX);
    } else {
        assert_int_not_equal(why->code, HF_EXISTS); /* it was its own first try that created it */
        assert_int_not_equal(why->code, HF_INVALID);
        c->bed->calls_failed++;
        c->node = why->leader[0] != 0 ? node_at(c->bed, why->leader) : (c->node + 1) % NODES;
        pause_ms = pause_ms / 4 + 10;
    }
    hf_timer_start(&c->proc.env, &c->timer, pause_ms, ask, c);
}

static const struct sim_api_call_ops call_ops = {on_zone, on_end};

static inline void ask(void *arg)
{
    struct client *c = arg;
    c->resting = c->bed->over && c->trials == 0;
    if (c->resting)
        return;
    char name[64], id[64];
    snprintf(name, sizeof name, "zone-%u-%u", c->i, c->n);
    snprintf(id, sizeof id, "%u/%u", c->i, c->n);
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    Holdfast__V1__Zone zone = HOLDFAST__V1__ZONE__INIT;
    Holdfast__V1__CreateZoneRequest r = HOLDFAST__V1__CREATE_ZONE_REQUEST__INIT;
    meta.name = name;
    zone.meta = &meta;
    r.request_id = id;
    r.zone = &zone;
    c->got = false;
    c->trials++;
    c->call = sim_api_call(&c->bed->w, &c->proc, c->place, c->node, "Zone", "CreateZone", &r.base, 3000,
                           &call_ops, c);
}

static inline void client_crashed(void *arg)
{
    struct client *c = arg;
    if (c->call != NULL)
        sim_api_cancel(c->call);
}

static inline void client_start(struct bed *b, unsigned i)
{
    struct client *c = &b->clients[i];
    char name[SIM_PROC_NAME];
    snprintf(name, sizeof name, "c%u", i + 1);
    *c = (struct client){.bed = b, .i = i, .node = i % NODES, .place = sim_net_add(b->w.net, name)};
    sim_proc_init(&c->proc, b->w.sim, name, i);
    c->proc.crashed = client_crashed;
    c->proc.arg = c;
    sim_proc_start(&c->proc);
    hf_timer_start(&c->proc.env, &c->timer, 1, ask, c);
}

/* --- the bed --- */

static inline struct bed *bed_create(uint64_t seed)
{
    struct bed *b = HF_NEW(struct bed);
    b->w.sim = sim_create(seed);
    b->w.net = sim_net_create(b->w.sim);
    b->w.sizes.nodes = NODES;
    b->w.timing = hf_ha_timing_find("default");
    b->w.checks = sim_checks_create(b->w.timing, NULL, NULL);
    b->rng = sim_rng_make(seed, "bed", 0);
    for (unsigned i = 0; i < NODES; i++)
        b->w.nodes[i] = sim_node_create(&b->w, i);
    for (unsigned i = 0; i < NODES; i++)
        sim_node_power_on(b->w.nodes[i]);
    return b;
}

static inline void bed_free(struct bed *b)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        if (b->clients[i].bed != NULL)
            sim_proc_crash(&b->clients[i].proc);
    for (unsigned i = 0; i < NODES; i++)
        sim_node_power_off(b->w.nodes[i]);
    sim_free(b->w.sim);
    for (unsigned i = 0; i < NODES; i++)
        sim_node_free(b->w.nodes[i]);
    for (unsigned i = 0; i < CLIENTS; i++)
        if (b->clients[i].bed != NULL)
            sim_proc_done(&b->clients[i].proc);
    sim_net_free(b->w.net);
    sim_checks_free(b->w.checks);
    free(b);
}

static inline void run_ms(struct bed *b, int64_t ms)
{
    sim_run_until(b->w.sim, sim_now_ns(b->w.sim) + MS(ms));
}

static inline unsigned await_leader(struct bed *b)
{
    for (int ms = 0; ms < 60000; ms += 50) {
        run_ms(b, 50);
        for (unsigned i = 0; i < NODES; i++)
            if (sim_node_leads(b->w.nodes[i]))
                return i;
    }
    fail_msg("nobody leads after a minute");
    return 0;
}

#endif
