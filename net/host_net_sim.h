/* A simulated host network, behind the vtable of host_net.h: which bridges are there, and which MAC addresses
 * each DHCP service knows. It outlives its connections, as bridges and dnsmasq outlive the host daemon.
 */
#ifndef HF_NET_HOST_NET_SIM_H
#define HF_NET_HOST_NET_SIM_H

#include "base/sim.h"
#include "net/host_net.h"

struct hf_net_sim;

enum hf_net_sim_op { HF_NET_SIM_BRIDGE, HF_NET_SIM_DHCP, HF_NET_SIM_REMOVE };

struct hf_net_sim *hf_net_sim_create(struct hf_env *env);
void hf_net_sim_free(struct hf_net_sim *n);

/* Closed by its close operation; calls under way are then never answered. */
struct hf_host_net *hf_net_sim_connect(struct hf_net_sim *n);
/* The daemon ends: calls under way are answered with CANCELLED at once and do nothing. Close comes next. */
void hf_net_sim_cancel(struct hf_host_net *n);

struct hf_sim_faults *hf_net_sim_faults(struct hf_net_sim *n);
/* NICs are there unless they are named here; NULL: all are. */
void hf_net_sim_missing_nic(struct hf_net_sim *n, const char *nic);
bool hf_net_sim_has_bridge(const struct hf_net_sim *n, const char *nic);
bool hf_net_sim_serves(const struct hf_net_sim *n, const struct hf_uuid *l3, const char *mac, const char *ip);
size_t hf_net_sim_dhcp_count(const struct hf_net_sim *n);

#endif
