/* The dnsmasq of one plan, as a process that outlives us. Blocks; the caller has entered its namespace. */
#ifndef HF_NET_DNSMASQ_H
#define HF_NET_DNSMASQ_H

#include "net/dhcp_plan.h"

/* Runs with the plan's arguments and files: what runs already is left, given more hosts, or replaced,
 * whichever the plan asks for. A dnsmasq started by an earlier daemon is taken over. */
hf_status hf_dnsmasq_ensure(const struct hf_dhcp_plan *p, unsigned deadline_ms) HF_MUST_USE;

/* Seen gone. Needs no more of the plan than its names. */
hf_status hf_dnsmasq_stop(const struct hf_dhcp_plan *p) HF_MUST_USE;

/* Deletes the files of one that is gone. */
void hf_dnsmasq_forget(const struct hf_dhcp_plan *p);

#endif
