/* Addresses of L3 networks: parsing, ranges, the rules for ranges and DHCP addresses. Pure. IPv4. */
#ifndef HF_NET_IPAM_H
#define HF_NET_IPAM_H

#include <stdint.h>

#include "base/status.h"

struct hf_ip_range {
    uint32_t start, end; /* host byte order, both included */
    uint32_t gateway;
    uint32_t network; /* of the CIDR */
    unsigned prefix;
};

bool hf_ip_parse(const char *text, uint32_t *ret);
char *hf_ip_format(uint32_t ip, char out[16]);
/* "255.255.0.0" or "16"; false when it is no netmask. */
bool hf_netmask_parse(const char *text, unsigned *ret_prefix);
/* "a.b.c.d/p" with no bit set past the prefix; INVALID says what is wrong. */
hf_status hf_cidr_parse(const char *cidr, uint32_t *ret_network, unsigned *ret_prefix) HF_MUST_USE;
/* Writes "a.b.c.d/p". */
char *hf_cidr_format(uint32_t network, unsigned prefix, char out[20]);

/* A range from first/last address, netmask and gateway, or from a CIDR alone (its first address is then the
 * gateway and the range is the rest, without the network and broadcast address). INVALID says which rule is
 * broken: start above end, outside its CIDR, the gateway outside the CIDR or inside the range, prefix outside
 * 8…30. NULL or "" means not given. */
hf_status hf_ip_range_parse(const char *start, const char *end, const char *netmask, const char *gateway,
                            const char *cidr, struct hf_ip_range *ret) HF_MUST_USE;

/* All ranges of one network: one CIDR, one gateway, none overlapping. INVALID names the two. */
hf_status hf_ip_ranges_check(const struct hf_ip_range *r, size_t n) HF_MUST_USE;

/* A DHCP address: inside the CIDR, never its network or broadcast address, never the gateway. Taken is the
 * caller's to know. */
hf_status hf_dhcp_ip_check(const struct hf_ip_range *r, size_t n, const char *dhcp_ip) HF_MUST_USE;

/* The first address of the ranges that `taken` does not claim; false: none is free. */
bool hf_ip_first_free(const struct hf_ip_range *r, size_t n, bool (*taken)(void *arg, uint32_t ip), void *arg,
                      uint32_t *ret);

#endif
