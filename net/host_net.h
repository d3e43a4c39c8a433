/* What the host daemon asks of its host's network: bridges for L2 networks, and a flat L3 network's
 * distributed services. Behind it: host_net_nl.c (libnl-3, dnsmasq in a namespace of its own, nftables) and
 * simulated ones.
 *
 * Names on the host, derived from UUIDs so that a restarted daemon finds what it made: bridge br_<nic>,
 * namespace hf-dhcp-<8 hex of the L3's UUID>. Calls return at once and call back once on the loop, with
 * TIMEOUT past the deadline.
 */
#ifndef HF_NET_HOST_NET_H
#define HF_NET_HOST_NET_H

#include <stdint.h>

#include "base/env.h"
#include "base/status.h"
#include "base/uuid.h"

#define HF_IFNAME_MAX 16

typedef void (*hf_net_cb)(void *arg, hf_status st); /* st borrowed */

struct hf_dhcp_host {
    const char *mac, *ip, *hostname;
    bool default_route; /* hand out gateway and DNS on this NIC */
};

struct hf_dhcp_config {
    struct hf_uuid l3_uuid;
    const char *bridge;
    const char *cidr; /* "172.20.0.0/16" */
    const char *dhcp_ip, *gateway;
    const char *const *dns;
    size_t n_dns;
    const struct hf_dhcp_host *hosts; /* the instances of this host only: nobody else is answered */
    size_t n_hosts;
};

struct hf_host_net;

struct hf_host_net_ops {
    /* The bridge of a NIC, with the NIC in it, both up; makes it if need be. NOT_FOUND names a NIC that is
     * not there. */
    void (*ensure_bridge)(struct hf_host_net *n, const char *nic, unsigned deadline_ms, hf_net_cb cb,
                          void *arg);
    /* dnsmasq for one L3 network with exactly these hosts; changes are taken in without a restart. The DHCP
     * address and its answers never leave this host (nftables, bridge family). */
    void (*ensure_dhcp)(struct hf_host_net *n, const struct hf_dhcp_config *c, unsigned deadline_ms,
                        hf_net_cb cb, void *arg);
    void (*remove_dhcp)(struct hf_host_net *n, const struct hf_uuid *l3, unsigned deadline_ms, hf_net_cb cb,
                        void *arg);
    void (*close)(struct hf_host_net *n); /* leaves everything running: a restarted daemon takes it over */
};

struct hf_host_net {
    const struct hf_host_net_ops *ops;
};

/* Writes "br_<nic>", cut to fit; returns out. */
char *hf_bridge_name(const char *nic, char out[HF_IFNAME_MAX]);

/* run_dir: for dnsmasq's files, for example /run/holdfast/net. */
hf_status hf_host_net_nl_create(struct hf_env *env, const char *run_dir,
                                struct hf_host_net **ret) HF_MUST_USE;

#endif
