/* What the API's files about networks and instances share. */
#ifndef HF_CONTROL_API_NETWORK_H
#define HF_CONTROL_API_NETWORK_H

#include "control/api_rules.h"
#include "holdfast/v1/network.pb-c.h"

struct hf_ip_range;

#define HF_IP_RANGES_MAX 64 /* of one network */

/* The ranges of a stored network; returns how many. */
size_t hf_l3_parse_ranges(const Holdfast__V1__L3Network *l3, struct hf_ip_range *out);

/* Takes an address of the network for an instance ("": for its DHCP service): ip names it, or is "" for the
 * first free one. Puts the IpAddress object and writes the address. EXHAUSTED and EXISTS name the network. */
hf_status hf_address_take(struct hf_draft *d, const Holdfast__V1__L3Network *l3, const char *ip,
                          const char *instance_uuid, char ret_ip[16]) HF_MUST_USE;

/* Deletes all addresses of a network that goes. */
void hf_addresses_drop(struct hf_draft *d, const char *l3_uuid);

#endif
