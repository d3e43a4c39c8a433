#include "net/host_net_sim.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define CALL_MS 20

/* One DHCP service: "mac ip\n" for each host. */
struct dhcp {
    struct dhcp *next;
    struct hf_uuid l3;
    char *hosts;
};

struct bridge {
    struct bridge *next;
    char *nic;
};

struct hf_net_sim {
    struct hf_env *env;
    struct hf_sim_faults faults;
    struct bridge *bridges;
    struct dhcp *dhcps;
    const char *missing;
    unsigned connections;
};

struct connection {
    struct hf_host_net net;
    struct hf_net_sim *sim;
    struct hf_sim_queue queue;
};

struct call {
    struct hf_net_sim *sim;
    struct hf_sim_queue *queue;
    enum hf_net_sim_op op;
    enum hf_sim_fault fault;
    struct hf_uuid l3;
    char *text; /* NIC, or hosts */
    hf_net_cb cb;
    void *arg;
};

static void call_free(void *arg)
{
    struct call *c = arg;
    free(c->text);
    free(c);
}

static struct dhcp **find_dhcp(struct hf_net_sim *n, const struct hf_uuid *l3)
{
    struct dhcp **at = &n->dhcps;
    while (*at && !hf_uuid_equal(&(*at)->l3, l3))
        at = &(*at)->next;
    return at;
}

static hf_status add_bridge(struct hf_net_sim *n, const char *nic)
{
    if (n->missing && strcmp(n->missing, nic) == 0)
        return hf_error(HF_NOT_FOUND, "this host has no network interface '%s'", nic);
    if (hf_net_sim_has_bridge(n, nic))
        return HF_STATUS_OK;
    struct bridge *b = HF_NEW(struct bridge);
    b->nic = hf_strdup(nic);
    b->next = n->bridges;
    n->bridges = b;
    return HF_STATUS_OK;
}

static void set_dhcp(struct hf_net_sim *n, const struct hf_uuid *l3, const char *hosts)
{
    struct dhcp **at = find_dhcp(n, l3);
    if (!*at) {
        *at = HF_NEW(struct dhcp);
        (*at)->l3 = *l3;
    }
    free((*at)->hosts);
    (*at)->hosts = hf_strdup(hosts);
}

static void remove_dhcp(struct hf_net_sim *n, const struct hf_uuid *l3)
{
    struct dhcp **at = find_dhcp(n, l3), *d = *at;
    if (!d)
        return;
    *at = d->next;
    free(d->hosts);
    free(d);
}

static hf_status apply(struct hf_net_sim *n, const struct call *c)
{
    switch (c->op) {
    case HF_NET_SIM_BRIDGE:
        return add_bridge(n, c->text);
    case HF_NET_SIM_DHCP:
        set_dhcp(n, &c->l3, c->text);
        break;
    case HF_NET_SIM_REMOVE:
        remove_dhcp(n, &c->l3);
        break;
    }
    return HF_STATUS_OK;
}

static void answer(void *arg)
{
    struct call *c = arg;
    hf_status st = HF_STATUS_OK;
    bool cancelled = c->queue->cancelled;
    if (!cancelled && (c->fault == HF_SIM_GOOD || c->fault == HF_SIM_LOST_ANSWER || c->fault == HF_SIM_LATE))
        st = apply(c->sim, c);
    if (cancelled) {
        st = hf_error(HF_CANCELLED, "the host daemon ends");
    } else if (c->fault != HF_SIM_GOOD) {
        hf_status_drop(st);
        st = hf_sim_fault_status(&c->sim->faults, c->op, c->fault);
    }
    c->cb(c->arg, st);
    hf_status_drop(st);
    call_free(c);
}

static void send(struct hf_host_net *net, struct call call, unsigned deadline_ms)
{
    struct connection *k = hf_container_of(net, struct connection, net);
    struct call *c = HF_NEW(struct call);
    *c = call;
    c->sim = k->sim;
    c->queue = &k->queue;
    c->fault = hf_sim_take_fault(&k->sim->faults, c->op);
    bool quick = c->fault == HF_SIM_GOOD || c->fault == HF_SIM_FAILS;
    hf_sim_later(&k->queue, quick ? CALL_MS : deadline_ms, answer, call_free, c);
}

static void n_ensure_bridge(struct hf_host_net *n, const char *nic, unsigned deadline_ms, hf_net_cb cb,
                            void *arg)
{
    send(n, (struct call){.op = HF_NET_SIM_BRIDGE, .text = hf_strdup(nic), .cb = cb, .arg = arg},
         deadline_ms);
}

static void n_ensure_dhcp(struct hf_host_net *n, const struct hf_dhcp_config *c, unsigned deadline_ms,
                          hf_net_cb cb, void *arg)
{
    char *hosts = hf_strdup("");
    for (size_t i = 0; i < c->n_hosts; i++) {
        char *more = hf_printf("%s%s %s\n", hosts, c->hosts[i].mac, c->hosts[i].ip);
        free(hosts);
        hosts = more;
    }
    send(n, (struct call){.op = HF_NET_SIM_DHCP, .l3 = c->l3_uuid, .text = hosts, .cb = cb, .arg = arg},
         deadline_ms);
}

static void n_remove_dhcp(struct hf_host_net *n, const struct hf_uuid *l3, unsigned deadline_ms, hf_net_cb cb,
                          void *arg)
{
    send(n, (struct call){.op = HF_NET_SIM_REMOVE, .l3 = *l3, .cb = cb, .arg = arg}, deadline_ms);
}

static void n_close(struct hf_host_net *n)
{
    struct connection *k = hf_container_of(n, struct connection, net);
    k->sim->connections--;
    hf_sim_queue_done(&k->queue);
    free(k);
}

static const struct hf_host_net_ops net_ops = {n_ensure_bridge, n_ensure_dhcp, n_remove_dhcp, n_close};

struct hf_host_net *hf_net_sim_connect(struct hf_net_sim *n)
{
    struct connection *k = HF_NEW(struct connection);
    k->net.ops = &net_ops;
    k->sim = n;
    k->queue.env = n->env;
    n->connections++;
    return &k->net;
}

void hf_net_sim_cancel(struct hf_host_net *n)
{
    hf_sim_queue_cancel(&hf_container_of(n, struct connection, net)->queue);
}

struct hf_net_sim *hf_net_sim_create(struct hf_env *env)
{
    struct hf_net_sim *n = HF_NEW(struct hf_net_sim);
    n->env = env;
    return n;
}

void hf_net_sim_free(struct hf_net_sim *n)
{
    HF_ASSERT(n->connections == 0);
    while (n->dhcps)
        remove_dhcp(n, &n->dhcps->l3);
    while (n->bridges) {
        struct bridge *b = n->bridges;
        n->bridges = b->next;
        free(b->nic);
        free(b);
    }
    free(n);
}

struct hf_sim_faults *hf_net_sim_faults(struct hf_net_sim *n)
{
    return &n->faults;
}

void hf_net_sim_missing_nic(struct hf_net_sim *n, const char *nic)
{
    n->missing = nic;
}

bool hf_net_sim_has_bridge(const struct hf_net_sim *n, const char *nic)
{
    for (struct bridge *b = n->bridges; b; b = b->next)
        if (strcmp(b->nic, nic) == 0)
            return true;
    return false;
}

bool hf_net_sim_serves(const struct hf_net_sim *n, const struct hf_uuid *l3, const char *mac, const char *ip)
{
    struct dhcp *d = *find_dhcp((struct hf_net_sim *)n, l3);
    char *line = hf_printf("%s %s\n", mac, ip);
    bool found = d && strstr(d->hosts, line);
    free(line);
    return found;
}

size_t hf_net_sim_dhcp_count(const struct hf_net_sim *n)
{
    size_t count = 0;
    for (struct dhcp *d = n->dhcps; d; d = d->next)
        count++;
    return count;
}
