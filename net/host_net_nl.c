/* One thread does all of it, in order: what is made here is one host's network, and two hands in it would
 * only be in each other's way. */
#include <errno.h>
#include <net/if.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/worker.h"
#include "net/dhcp_plan.h"
#include "net/dnsmasq.h"
#include "net/link_nl.h"
#include "net/netns.h"
#include "net/nft.h"

#define QUEUE_MAX 1024

struct host_net_nl {
    struct hf_host_net net;
    char *run_dir;
    struct hf_worker *worker;
    bool closing;
    atomic_uint refs; /* the owner's and one per call */
};

struct call {
    struct hf_job job;
    struct host_net_nl *n;
    hf_net_cb cb;
    void *arg;
    hf_status st;
    char *nic;                  /* ensure_bridge */
    struct hf_dhcp_config dhcp; /* a copy; of remove_dhcp only l3_uuid */
};

static struct host_net_nl *of(struct hf_host_net *n)
{
    return hf_container_of(n, struct host_net_nl, net);
}

static struct call *of_job(struct hf_job *job)
{
    return hf_container_of(job, struct call, job);
}

static void net_unref(struct host_net_nl *n)
{
    if (atomic_fetch_sub(&n->refs, 1) != 1)
        return;
    free(n->run_dir);
    free(n);
}

/* --- a call and its copy of the caller's configuration --- */

static void copy_config(struct hf_dhcp_config *to, const struct hf_dhcp_config *from)
{
    const char **dns = hf_alloc_array(from->n_dns + 1, sizeof *dns);
    struct hf_dhcp_host *hosts = hf_alloc_array(from->n_hosts + 1, sizeof *hosts);
    for (size_t i = 0; i < from->n_dns; i++)
        dns[i] = hf_strdup(from->dns[i]);
    for (size_t i = 0; i < from->n_hosts; i++)
        hosts[i] = (struct hf_dhcp_host){.mac = hf_strdup(from->hosts[i].mac),
                                         .ip = hf_strdup(from->hosts[i].ip),
                                         .hostname = hf_strdup(from->hosts[i].hostname),
                                         .default_route = from->hosts[i].default_route};
    *to = (struct hf_dhcp_config){.l3_uuid = from->l3_uuid,
                                  .bridge = hf_strdup(from->bridge),
                                  .cidr = hf_strdup(from->cidr),
                                  .dhcp_ip = hf_strdup(from->dhcp_ip),
                                  .gateway = hf_strdup(from->gateway),
                                  .dns = dns,
                                  .n_dns = from->n_dns,
                                  .hosts = hosts,
                                  .n_hosts = from->n_hosts};
}

/* The strings of our copies are ours, whatever the contract's const says. */
static void free_text(const char *text)
{
    free((void *)(uintptr_t)text);
}

static void free_config(struct hf_dhcp_config *c)
{
    for (size_t i = 0; i < c->n_dns; i++)
        free_text(c->dns[i]);
    for (size_t i = 0; i < c->n_hosts; i++) {
        free_text(c->hosts[i].mac);
        free_text(c->hosts[i].ip);
        free_text(c->hosts[i].hostname);
    }
    free((void *)(uintptr_t)c->dns);
    free((void *)(uintptr_t)c->hosts);
    free_text(c->bridge);
    free_text(c->cidr);
    free_text(c->dhcp_ip);
    free_text(c->gateway);
}

static void call_end(struct hf_job *job)
{
    struct call *c = of_job(job);
    hf_status_drop(c->st);
    free_config(&c->dhcp);
    free(c->nic);
    net_unref(c->n);
    free(c);
}

static void call_done(struct hf_job *job, hf_status st)
{
    struct call *c = of_job(job);
    c->cb(c->arg, hf_ok(st) ? c->st : st);
}

static struct call *new_call(struct hf_host_net *net, void (*work)(struct hf_job *), hf_net_cb cb, void *arg)
{
    struct host_net_nl *n = of(net);
    struct call *c = HF_NEW(struct call);
    HF_ASSERT(!n->closing);
    c->job = (struct hf_job){.work = work, .done = call_done, .end = call_end};
    c->n = n;
    c->cb = cb;
    c->arg = arg;
    atomic_fetch_add(&n->refs, 1);
    return c;
}

/* --- bridges --- */

struct uplink {
    const char *bridge;
    char name[HF_IFNAME_MAX]; /* "": none yet */
};

static void look_at_port(void *arg, const struct hf_link *port)
{
    struct uplink *u = arg;
    char bridge[HF_IFNAME_MAX];
    if (strcmp(hf_bridge_name(port->name, bridge), u->bridge) == 0)
        snprintf(u->name, sizeof u->name, "%s", port->name);
}

/* The NIC in a bridge is the port that the bridge has its name from. */
static hf_status find_uplink(struct hf_links *l, const struct hf_link *bridge, struct uplink *ret)
{
    *ret = (struct uplink){.bridge = bridge->name};
    return hf_link_each_port(l, bridge->index, look_at_port, ret);
}

static hf_status have_bridge(struct hf_links *l, const char *name, struct hf_link *ret)
{
    hf_status st = hf_link_find(l, name, ret);
    if (hf_status_code(st) == HF_NOT_FOUND) {
        hf_status_drop(st);
        HF_TRY(hf_link_add_bridge(l, name));
        st = hf_link_find(l, name, ret);
    }
    HF_TRY(st);
    if (strcmp(ret->kind, "bridge") != 0)
        return hf_error(HF_PRECONDITION, "the network interface '%s' is there and is not a bridge", name);
    return HF_STATUS_OK;
}

/* Into the bridge, unless that would cut off the host or take the NIC from somebody else. */
static hf_status enslave(struct hf_links *l, const struct hf_link *nic, const struct hf_link *bridge)
{
    struct uplink other;
    bool has_address = false;
    HF_TRY(find_uplink(l, bridge, &other));
    if (other.name[0])
        return hf_error(HF_PRECONDITION, "the bridge '%s' has the NIC '%s' already", bridge->name,
                        other.name);
    HF_TRY(hf_link_has_address(l, nic->index, &has_address));
    if (has_address)
        return hf_error(HF_PRECONDITION,
                        "the NIC '%s' carries addresses of the host, which a bridge would cut off: move "
                        "them to a bridge '%s' that has the NIC, or give another NIC",
                        nic->name, bridge->name);
    return hf_link_set_master(l, nic->index, bridge->index);
}

static hf_status ensure_bridge(struct hf_links *l, const char *name)
{
    char bridge_name[HF_IFNAME_MAX];
    struct hf_link nic, bridge;
    hf_bridge_name(name, bridge_name);
    hf_status st = hf_link_find(l, name, &nic);
    if (hf_status_code(st) == HF_NOT_FOUND) {
        hf_status_drop(st);
        return hf_error(HF_NOT_FOUND, "this host has no NIC '%s'", name);
    }
    HF_TRY(st);
    if (nic.master != 0) {
        st = hf_link_find(l, bridge_name, &bridge);
        bool there = hf_ok(st) && bridge.index == nic.master;
        hf_status_drop(st);
        if (!there)
            return hf_error(HF_PRECONDITION, "the NIC '%s' is in another bridge", name);
    } else {
        HF_TRY(have_bridge(l, bridge_name, &bridge));
        HF_TRY(enslave(l, &nic, &bridge));
    }
    HF_TRY(hf_link_set_up(l, nic.index));
    return hf_link_set_up(l, bridge.index);
}

static void bridge_work(struct hf_job *job)
{
    struct call *c = of_job(job);
    struct hf_links *l = NULL;
    c->st = hf_links_open(&l);
    if (hf_ok(c->st))
        c->st = ensure_bridge(l, c->nic);
    c->st = hf_wrap(c->st, "bridge of the NIC '%s'", c->nic);
    hf_links_close(l);
}

static void nl_ensure_bridge(struct hf_host_net *n, const char *nic, unsigned deadline_ms, hf_net_cb cb,
                             void *arg)
{
    struct call *c = new_call(n, bridge_work, cb, arg);
    c->nic = hf_strdup(nic);
    hf_worker_submit(c->n->worker, &c->job, deadline_ms);
}

/* --- DHCP --- */

/* The pair between the bridge and the namespace; half of one is what a namespace that was deleted by hand
 * leaves. */
static hf_status ensure_veth(struct hf_links *l, const struct hf_dhcp_plan *p, int netns,
                             const struct hf_link *bridge)
{
    struct hf_link near;
    hf_status st = hf_link_find(l, p->veth, &near);
    if (hf_status_code(st) == HF_NOT_FOUND) {
        hf_status_drop(st);
        HF_TRY(hf_link_add_veth(l, p->veth, HF_DHCP_IFNAME, netns));
        st = hf_link_find(l, p->veth, &near);
    }
    HF_TRY(st);
    if (near.master != bridge->index)
        HF_TRY(hf_link_set_master(l, near.index, bridge->index));
    return hf_link_set_up(l, near.index);
}

/* Guests' DHCP clients read raw packets, and some drop those whose checksum the sender left to a network
 * card. */
static hf_status checksum_in_software(const char *ifname)
{
    struct ethtool_value v = {.cmd = ETHTOOL_STXCSUM, .data = 0};
    struct ifreq r = {.ifr_data = (char *)&v};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", ifname);
    int rc = fd >= 0 ? ioctl(fd, SIOCETHTOOL, &r) : -1;
    hf_status st = rc == 0 ? HF_STATUS_OK : hf_errno(errno, "turn off checksum offload of '%s'", ifname);
    if (fd >= 0)
        close(fd);
    return st;
}

/* In the namespace. */
static hf_status serve_links(struct hf_links *l, const struct hf_dhcp_plan *p)
{
    struct hf_link lo, far;
    HF_TRY(hf_link_find(l, "lo", &lo));
    HF_TRY(hf_link_set_up(l, lo.index));
    HF_TRY(hf_link_find(l, HF_DHCP_IFNAME, &far));
    HF_TRY(checksum_in_software(HF_DHCP_IFNAME));
    HF_TRY(hf_link_set_address(l, far.index, p->ip, p->prefix));
    return hf_link_set_up(l, far.index);
}

static hf_status serve(const struct hf_dhcp_plan *p, unsigned deadline_ms)
{
    struct hf_links *l = NULL;
    HF_TRY(hf_links_open(&l));
    hf_status st = serve_links(l, p);
    hf_links_close(l);
    return hf_ok(st) ? hf_dnsmasq_ensure(p, deadline_ms) : st;
}

static hf_status serve_in(int netns, const struct hf_dhcp_plan *p, unsigned deadline_ms)
{
    int home = -1;
    HF_TRY(hf_netns_enter(netns, &home));
    hf_status st = serve(p, deadline_ms);
    hf_netns_leave(home);
    return st;
}

/* A pair without its far end in this namespace is of a namespace that is gone: its end went with it, or is
 * going. */
static hf_status drop_torn_veth(struct hf_links *l, const struct hf_dhcp_plan *p, int netns)
{
    struct hf_links *inner = NULL;
    struct hf_link far;
    int home = -1;
    HF_TRY(hf_netns_enter(netns, &home));
    hf_status st = hf_links_open(&inner);
    if (hf_ok(st))
        st = hf_link_find(inner, HF_DHCP_IFNAME, &far);
    hf_links_close(inner);
    hf_netns_leave(home);
    if (hf_status_code(st) != HF_NOT_FOUND)
        return st;
    hf_status_drop(st);
    return hf_link_delete(l, p->veth);
}

static hf_status ensure_dhcp(struct hf_links *l, const char *run_dir, const struct hf_dhcp_config *c,
                             unsigned deadline_ms)
{
    struct hf_link bridge;
    struct uplink uplink;
    struct hf_dhcp_plan p;
    int netns = -1;
    HF_TRY(hf_link_find(l, c->bridge, &bridge));
    HF_TRY(find_uplink(l, &bridge, &uplink));
    HF_TRY(hf_dhcp_plan_make(&p, run_dir, c, uplink.name[0] ? uplink.name : NULL));
    hf_status st = hf_nft_apply(p.rules); /* before anything answers */
    if (hf_ok(st))
        st = hf_netns_ensure(p.netns, &netns);
    if (hf_ok(st))
        st = drop_torn_veth(l, &p, netns);
    if (hf_ok(st))
        st = ensure_veth(l, &p, netns, &bridge);
    if (hf_ok(st))
        st = serve_in(netns, &p, deadline_ms);
    if (netns >= 0)
        close(netns);
    hf_dhcp_plan_done(&p);
    return st;
}

static void dhcp_work(struct hf_job *job)
{
    struct call *c = of_job(job);
    struct hf_links *l = NULL;
    char id[HF_UUID_STR];
    c->st = hf_links_open(&l);
    if (hf_ok(c->st))
        c->st = ensure_dhcp(l, c->n->run_dir, &c->dhcp, hf_job_left_ms(job));
    c->st = hf_wrap(c->st, "DHCP of the L3 network %s", hf_uuid_format(&c->dhcp.l3_uuid, id));
    hf_links_close(l);
}

static void nl_ensure_dhcp(struct hf_host_net *n, const struct hf_dhcp_config *config, unsigned deadline_ms,
                           hf_net_cb cb, void *arg)
{
    struct call *c = new_call(n, dhcp_work, cb, arg);
    copy_config(&c->dhcp, config);
    hf_worker_submit(c->n->worker, &c->job, deadline_ms);
}

static hf_status delete_rules(const struct hf_dhcp_plan *p)
{
    char *rules = hf_printf("add table bridge %s\ndelete table bridge %s\n", p->table, p->table);
    hf_status st = hf_nft_apply(rules);
    free(rules);
    return st;
}

static hf_status remove_dhcp(const struct hf_dhcp_plan *p)
{
    struct hf_links *l = NULL;
    HF_TRY(hf_dnsmasq_stop(p));
    HF_TRY(hf_links_open(&l));
    hf_status st = hf_link_delete(l, p->veth);
    hf_links_close(l);
    HF_TRY(st);
    HF_TRY(hf_netns_delete(p->netns));
    HF_TRY(delete_rules(p));
    hf_dnsmasq_forget(p);
    return HF_STATUS_OK;
}

static void remove_work(struct hf_job *job)
{
    struct call *c = of_job(job);
    struct hf_dhcp_plan p;
    char id[HF_UUID_STR];
    hf_dhcp_plan_names(&p, c->n->run_dir, &c->dhcp.l3_uuid);
    c->st =
        hf_wrap(remove_dhcp(&p), "take away DHCP of the L3 network %s", hf_uuid_format(&c->dhcp.l3_uuid, id));
    hf_dhcp_plan_done(&p);
}

static void nl_remove_dhcp(struct hf_host_net *n, const struct hf_uuid *l3, unsigned deadline_ms,
                           hf_net_cb cb, void *arg)
{
    struct call *c = new_call(n, remove_work, cb, arg);
    c->dhcp.l3_uuid = *l3;
    hf_worker_submit(c->n->worker, &c->job, deadline_ms);
}

/* --- life --- */

static void on_worker_closed(void *arg)
{
    net_unref(arg);
}

static void nl_close(struct hf_host_net *net)
{
    struct host_net_nl *n = of(net);
    HF_ASSERT(!n->closing);
    n->closing = true;
    hf_worker_close(n->worker, on_worker_closed, n);
}

static const struct hf_host_net_ops nl_ops = {
    .ensure_bridge = nl_ensure_bridge,
    .ensure_dhcp = nl_ensure_dhcp,
    .remove_dhcp = nl_remove_dhcp,
    .close = nl_close,
};

static hf_status make_run_dir(const char *path)
{
    char part[256];
    size_t len = strlen(path);
    if (path[0] != '/' || len >= sizeof part)
        return hf_error(HF_INVALID, "the folder '%.64s' is not a short absolute path", path);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        snprintf(part, sizeof part, "%.*s", (int)i, path);
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return hf_errno(errno, "make the folder '%s'", part);
    }
    return HF_STATUS_OK;
}

hf_status hf_host_net_nl_create(struct hf_env *env, const char *run_dir, struct hf_host_net **ret)
{
    HF_TRY(make_run_dir(run_dir));
    struct host_net_nl *n = HF_NEW(struct host_net_nl);
    n->net.ops = &nl_ops;
    n->run_dir = hf_strdup(run_dir);
    n->worker = hf_worker_create(env, "network", 1, QUEUE_MAX);
    atomic_init(&n->refs, 1);
    *ret = &n->net;
    return HF_STATUS_OK;
}
