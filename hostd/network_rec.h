/* An L3 network on this host: the bridge of its L2 network, and a DHCP service that knows exactly the
 * instances assigned to this host. Nothing is changed before the set of assignments is whole, so that a
 * restarted daemon does not take an address away from a running guest. Looked after every half minute: who
 * ended the DHCP service finds it back.
 */
#ifndef HF_HOSTD_NETWORK_REC_H
#define HF_HOSTD_NETWORK_REC_H

#include "hostd/host.h"

#define HF_NETWORK_DEADLINE_MS 15000
#define HF_NETWORK_RECHECK_MS  30000

struct hf_network_rec;

hf_status hf_network_rec_assign(struct hf_host *h, const Holdfast__V1__L3Assignment *a) HF_MUST_USE;
/* DHCP ends when no instance of this host uses the network any more. */
void hf_network_rec_unassign(struct hf_host *h, const struct hf_uuid *uuid);

struct hf_network_rec *hf_network_rec_find(struct hf_host *h, const struct hf_uuid *uuid);
/* Bridge there, and DHCP knows every NIC that is assigned now. error: a sentence, or NULL while it works on
 * it. */
bool hf_network_rec_ready(const struct hf_network_rec *r, const char **error);
/* Writes the bridge's name; returns out. */
char *hf_network_rec_bridge(const struct hf_network_rec *r, char out[HF_IFNAME_MAX]);

void hf_network_recs_sweep(struct hf_host *h, uint64_t sync);
void hf_network_recs_report(struct hf_host *h);
void hf_network_recs_tick(struct hf_host *h);
void hf_network_recs_stop(struct hf_host *h);
void hf_network_recs_free(struct hf_host *h);

#endif
