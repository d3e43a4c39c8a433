/* What a flat network's DHCP looks like on a host: names, dnsmasq's arguments and files, the rules that keep
 * it on the host. Pure: text from a configuration, and what a change of it asks for.
 */
#ifndef HF_NET_DHCP_PLAN_H
#define HF_NET_DHCP_PLAN_H

#include "net/host_net.h"

#define HF_DHCP_HOSTS_MAX 4096
#define HF_DHCP_IFNAME    "dhcp0" /* in the namespace */
#define HF_DHCP_ARGS_MAX  32

struct hf_dhcp_plan {
    char netns[24];           /* hf-dhcp-<8 hex> */
    char veth[HF_IFNAME_MAX]; /* hfd<8 hex>, the host's end */
    char table[24];           /* hf_dhcp_<8 hex>, of nftables' bridge family */
    char *dir;                /* <run_dir>/<8 hex> */
    char *hosts_dir, *opts_path, *pid_path, *leases_path;
    uint32_t ip;
    unsigned prefix;
    char *argv[HF_DHCP_ARGS_MAX]; /* ends with NULL */
    char *hosts, *opts;           /* a line per host, a line per option */
    char *rules;                  /* one transaction for nft; replaces what was there */
};

/* Names alone, for taking it away; hf_dhcp_plan_done() ends it. */
void hf_dhcp_plan_names(struct hf_dhcp_plan *p, const char *run_dir, const struct hf_uuid *l3);

/* All of it. uplink: the NIC in the bridge, NULL: none. INVALID names what is wrong. */
hf_status hf_dhcp_plan_make(struct hf_dhcp_plan *p, const char *run_dir, const struct hf_dhcp_config *c,
                            const char *uplink) HF_MUST_USE;
void hf_dhcp_plan_done(struct hf_dhcp_plan *p);

/* What runs with old_hosts and old_opts (NULL: not known) has to do. dnsmasq takes new hosts in while it
 * runs, from new files in its folder; all else is for a new process: it keeps an address for the MAC that had
 * it, and 2.86 to 2.90 crash when told by SIGHUP to read again what has tags. */
enum hf_dhcp_change { HF_DHCP_SAME, HF_DHCP_ADD, HF_DHCP_RESTART };
/* ret_added gets the new lines for ADD, to be freed; else NULL. */
enum hf_dhcp_change hf_dhcp_change(const char *old_hosts, const char *old_opts, const struct hf_dhcp_plan *p,
                                   char **ret_added);

#endif
