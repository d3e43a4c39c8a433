#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pb_copy.h"
#include "hostd/instance_rec.h"
#include "hostd/network_rec.h"

#define RETRY_FIRST_MS 1000
#define RETRY_MAX_MS   15000

/* DHCP on this host: nothing is known after a start, a daemon before this one may have left it running. */
enum dhcp_state { DHCP_UNKNOWN, DHCP_OFF, DHCP_ON };

struct hf_network_rec {
    struct hf_network_rec *next;
    struct hf_host *host;
    struct hf_uuid uuid;
    char id[HF_UUID_STR];
    Holdfast__V1__L3Assignment *want;
    bool assigned, dead;
    uint64_t sync;
    /* seen */
    bool busy, bridge_ok, changed; /* changed: assigned anew while a call was under way */
    bool settled;                  /* nothing to do at the last look, and the instances were told */
    enum dhcp_state dhcp;
    uint64_t applied; /* fingerprint of the hosts that DHCP knows */
    uint64_t applying;
    char *message; /* the last error, or NULL */
    bool reported;
    struct hf_timer timer;
    struct hf_backoff backoff;
};

static void step(struct hf_network_rec *r);

static bool same(const Holdfast__V1__L3Assignment *a, const Holdfast__V1__L3Assignment *b)
{
    size_t la = holdfast__v1__l3_assignment__get_packed_size(a),
           lb = holdfast__v1__l3_assignment__get_packed_size(b);
    if (la != lb)
        return false;
    uint8_t *pa = hf_alloc(la + 1), *pb = hf_alloc(lb + 1);
    holdfast__v1__l3_assignment__pack(a, pa);
    holdfast__v1__l3_assignment__pack(b, pb);
    bool equal = memcmp(pa, pb, la) == 0;
    free(pa);
    free(pb);
    return equal;
}

static void network_free(struct hf_network_rec *r)
{
    holdfast__v1__l3_assignment__free_unpacked(r->want, NULL);
    free(r->message);
    free(r);
}

/* --- the hosts that DHCP shall know --- */

/* FNV-1a; a change of the text is a change of the fingerprint for all that matters here. */
static uint64_t mix(uint64_t f, const char *s)
{
    do {
        f = (f ^ (uint8_t)*s) * 0x100000001b3u;
    } while (*s++);
    return f;
}

struct hosts {
    const struct hf_network_rec *rec;
    struct hf_dhcp_host *list;
    size_t n, cap;
    uint64_t fingerprint;
};

static void add_host(void *arg, const Holdfast__V1__InstanceAssignment__Nic *nic)
{
    struct hosts *to = arg;
    struct hf_uuid l3;
    if (!hf_uuid_parse(nic->l3_uuid, &l3) || !hf_uuid_equal(&l3, &to->rec->uuid))
        return;
    if (to->n == to->cap) {
        to->cap = to->cap ? to->cap * 2 : 16;
        to->list = hf_realloc_array(to->list, to->cap, sizeof *to->list);
    }
    to->list[to->n++] = (struct hf_dhcp_host){nic->mac, nic->ip, nic->hostname, nic->default_route};
    to->fingerprint = mix(mix(mix(to->fingerprint, nic->mac), nic->ip), nic->hostname) + nic->default_route;
}

static struct hosts hosts_of(const struct hf_network_rec *r)
{
    struct hosts to = {.rec = r, .fingerprint = 0xcbf29ce484222325u};
    hf_instance_recs_each_nic(r->host, add_host, &to);
    return to;
}

static uint64_t fingerprint(const struct hf_network_rec *r)
{
    struct hosts h = hosts_of(r);
    free(h.list);
    return h.fingerprint;
}

/* --- state for others --- */

struct hf_network_rec *hf_network_rec_find(struct hf_host *h, const struct hf_uuid *uuid)
{
    struct hf_network_rec *r = h->networks;
    while (r && !hf_uuid_equal(&r->uuid, uuid))
        r = r->next;
    return r;
}

bool hf_network_rec_ready(const struct hf_network_rec *r, const char **error)
{
    *error = r->message;
    if (!r->assigned || !r->bridge_ok || r->changed)
        return false;
    return !r->want->dhcp || (r->dhcp == DHCP_ON && r->applied == fingerprint(r));
}

char *hf_network_rec_bridge(const struct hf_network_rec *r, char out[HF_IFNAME_MAX])
{
    return hf_bridge_name(r->want->physical_interface, out);
}

static void report(struct hf_network_rec *r)
{
    Holdfast__V1__NetworkReport n = HOLDFAST__V1__NETWORK_REPORT__INIT;
    Holdfast__V1__HostMessage m = HOLDFAST__V1__HOST_MESSAGE__INIT;
    if (!r->assigned || (!r->bridge_ok && !r->message))
        return;
    n.l3_network_uuid = r->id;
    n.ok = r->message == NULL;
    n.message = r->message ? r->message : (char *)protobuf_c_empty_string;
    m.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_NETWORK;
    m.network = &n;
    r->reported = true;
    hf_host_send(r->host, &m);
}

/* --- the work --- */

static void timer(void *arg)
{
    struct hf_network_rec *r = arg;
    r->bridge_ok = false; /* look again whether all is as it shall be */
    if (r->dhcp == DHCP_ON)
        r->dhcp = DHCP_UNKNOWN;
    step(r);
}

/* False: the record has gone. */
static bool answered(struct hf_network_rec *r, hf_status st)
{
    struct hf_host *h = r->host;
    bool was_ok = r->message == NULL, told = r->message && strcmp(r->message, hf_status_message(st)) == 0;
    r->busy = false;
    hf_host_call_end(h);
    if (r->dead) {
        network_free(r);
        return false;
    }
    if (!told) {
        free(r->message);
        r->message = hf_ok(st) ? NULL : hf_strdup(hf_status_message(st));
    }
    if (hf_ok(st)) {
        hf_backoff_reset(&r->backoff);
        if (!was_ok)
            report(r);
        return true;
    }
    if (!told) {
        hf_warn("network %s: %s", r->id, hf_status_message(st));
        report(r);
    }
    hf_timer_start(h->d.env, &r->timer, hf_backoff_next(&r->backoff, h->d.env, RETRY_FIRST_MS, RETRY_MAX_MS),
                   timer, r);
    hf_host_tick_instances(h);
    return true;
}

static void on_bridge(void *arg, hf_status st)
{
    struct hf_network_rec *r = arg;
    r->bridge_ok = hf_ok(st);
    if (!answered(r, st) || !hf_ok(st))
        return;
    if (!r->reported)
        report(r);
    step(r);
}

static void on_dhcp(void *arg, hf_status st)
{
    struct hf_network_rec *r = arg;
    if (!answered(r, st) || !hf_ok(st))
        return;
    r->dhcp = DHCP_ON;
    r->applied = r->applying;
    step(r);
}

static void forget(struct hf_network_rec *r);

static void on_removed(void *arg, hf_status st)
{
    struct hf_network_rec *r = arg;
    if (!answered(r, st) || !hf_ok(st))
        return;
    r->dhcp = DHCP_OFF;
    if (!r->assigned)
        forget(r);
    else
        step(r);
}

static void call(struct hf_network_rec *r)
{
    r->busy = true;
    r->settled = false;
    hf_host_call_begin(r->host);
}

static void ensure_dhcp(struct hf_network_rec *r, const struct hosts *hosts)
{
    struct hf_host_net *n = r->host->d.net;
    char bridge[HF_IFNAME_MAX];
    struct hf_dhcp_config c = {
        .l3_uuid = r->uuid,
        .bridge = hf_network_rec_bridge(r, bridge),
        .cidr = r->want->cidr,
        .dhcp_ip = r->want->dhcp_ip,
        .gateway = r->want->gateway,
        .dns = (const char *const *)r->want->dns,
        .n_dns = r->want->n_dns,
        .hosts = hosts->list,
        .n_hosts = hosts->n,
    };
    r->applying = hosts->fingerprint;
    call(r);
    n->ops->ensure_dhcp(n, &c, HF_NETWORK_DEADLINE_MS, on_dhcp, r);
}

/* Everything is as it shall be. */
static void settled(struct hf_network_rec *r)
{
    if (!hf_timer_running(&r->timer))
        hf_timer_start(r->host->d.env, &r->timer, HF_NETWORK_RECHECK_MS, timer, r);
    if (r->settled)
        return;
    r->settled = true;
    hf_host_tick_instances(r->host);
}

static void step(struct hf_network_rec *r)
{
    struct hf_host_net *n = r->host->d.net;
    if (r->busy || r->dead || !r->host->attach.synced || (r->message && hf_timer_running(&r->timer)))
        return;
    r->changed = false;
    struct hosts hosts = hosts_of(r);
    bool serve = hosts.n > 0 && r->want->dhcp;
    if ((r->assigned || hosts.n) && !r->bridge_ok) {
        call(r);
        n->ops->ensure_bridge(n, r->want->physical_interface, HF_NETWORK_DEADLINE_MS, on_bridge, r);
    } else if (serve && (r->dhcp != DHCP_ON || r->applied != hosts.fingerprint)) {
        ensure_dhcp(r, &hosts);
    } else if (!serve && r->dhcp != DHCP_OFF) {
        call(r);
        n->ops->remove_dhcp(n, &r->uuid, HF_NETWORK_DEADLINE_MS, on_removed, r);
    } else if (!r->assigned && hosts.n == 0) {
        forget(r);
    } else {
        settled(r);
    }
    free(hosts.list);
}

/* --- assignments --- */

static void unlink_rec(struct hf_network_rec *r)
{
    struct hf_network_rec **at = &r->host->networks;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    r->host->n_networks--;
}

static void forget(struct hf_network_rec *r)
{
    unlink_rec(r);
    hf_timer_stop(&r->timer);
    r->dead = true;
    if (!r->busy)
        network_free(r);
}

static hf_status check_assignment(const Holdfast__V1__L3Assignment *a, struct hf_uuid *ret_uuid)
{
    size_t nic_len = strlen(a->physical_interface);
    if (!hf_uuid_parse(a->uuid, ret_uuid))
        return hf_error(HF_INVALID, "assign L3 network: '%s' is no UUID", a->uuid);
    if (nic_len == 0 || nic_len >= HF_IFNAME_MAX || strchr(a->physical_interface, '/'))
        return hf_error(HF_INVALID, "assign L3 network %s: '%s' is no name of a network interface", a->uuid,
                        a->physical_interface);
    return HF_STATUS_OK;
}

hf_status hf_network_rec_assign(struct hf_host *h, const Holdfast__V1__L3Assignment *a)
{
    struct hf_uuid uuid;
    HF_TRY(check_assignment(a, &uuid));
    struct hf_network_rec *r = hf_network_rec_find(h, &uuid);
    if (!r) {
        if (h->n_networks >= HF_HOST_RECORDS_MAX)
            return hf_error(HF_EXHAUSTED, "assign L3 network %s: this host has %zu networks, the maximum",
                            a->uuid, h->n_networks);
        r = HF_NEW(struct hf_network_rec);
        r->host = h;
        r->uuid = uuid;
        hf_uuid_format(&uuid, r->id);
        r->want = hf_pb_copy(&a->base);
        r->next = h->networks;
        h->networks = r;
        h->n_networks++;
    } else if (!same(r->want, a)) {
        holdfast__v1__l3_assignment__free_unpacked(r->want, NULL);
        r->want = hf_pb_copy(&a->base);
        r->bridge_ok = r->reported = false;
        r->changed = true;
        r->dhcp = DHCP_UNKNOWN;
        hf_timer_stop(&r->timer);
    }
    r->assigned = true;
    r->sync = h->attach.sync;
    step(r);
    return HF_STATUS_OK;
}

void hf_network_rec_unassign(struct hf_host *h, const struct hf_uuid *uuid)
{
    struct hf_network_rec *r = hf_network_rec_find(h, uuid);
    if (!r)
        return;
    r->assigned = false;
    step(r);
}

void hf_network_recs_sweep(struct hf_host *h, uint64_t sync)
{
    for (struct hf_network_rec *r = h->networks; r; r = r->next)
        if (r->sync != sync)
            r->assigned = false;
    hf_network_recs_tick(h);
}

void hf_network_recs_report(struct hf_host *h)
{
    for (struct hf_network_rec *r = h->networks; r; r = r->next)
        report(r);
}

/* A step may tell the instances, and one of them may bring us here again: then the outer call goes round once
 * more. */
void hf_network_recs_tick(struct hf_host *h)
{
    h->networks_again = true;
    if (h->networks_ticking)
        return;
    h->networks_ticking = true;
    while (h->networks_again) {
        h->networks_again = false;
        for (struct hf_network_rec *r = h->networks, *next; r; r = next) {
            next = r->next;
            step(r);
        }
    }
    h->networks_ticking = false;
}

void hf_network_recs_stop(struct hf_host *h)
{
    while (h->networks)
        forget(h->networks);
}

void hf_network_recs_free(struct hf_host *h)
{
    HF_ASSERT(h->networks == NULL);
}
