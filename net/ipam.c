#include "net/ipam.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define HF_PREFIX_MIN 8
#define HF_PREFIX_MAX 30

static bool given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static uint32_t mask_of(unsigned prefix)
{
    HF_ASSERT(prefix <= 32);
    return prefix == 0 ? 0 : UINT32_MAX << (32 - prefix);
}

static uint32_t broadcast(uint32_t network, unsigned prefix)
{
    return network | ~mask_of(prefix);
}

bool hf_ip_parse(const char *text, uint32_t *ret)
{
    struct in_addr a;

    if (text == NULL || inet_pton(AF_INET, text, &a) != 1)
        return false;
    *ret = ntohl(a.s_addr);
    return true;
}

char *hf_ip_format(uint32_t ip, char out[16])
{
    snprintf(out, 16, "%u.%u.%u.%u", ip >> 24, (ip >> 16) & 255, (ip >> 8) & 255, ip & 255);
    return out;
}

/* One or two digits, at most 32. */
static bool prefix_parse(const char *text, unsigned *ret)
{
    unsigned value = 0;
    size_t len = strlen(text);

    if (len < 1 || len > 2 || strspn(text, "0123456789") != len)
        return false;
    for (size_t i = 0; i < len; i++)
        value = value * 10 + (unsigned)(text[i] - '0');
    if (value > 32)
        return false;
    *ret = value;
    return true;
}

bool hf_netmask_parse(const char *text, unsigned *ret_prefix)
{
    uint32_t mask;
    unsigned prefix;

    if (!given(text))
        return false;
    if (strchr(text, '.') == NULL)
        return prefix_parse(text, ret_prefix);
    if (!hf_ip_parse(text, &mask))
        return false;
    prefix = (unsigned)__builtin_popcount(mask);
    if (mask_of(prefix) != mask)
        return false;
    *ret_prefix = prefix;
    return true;
}

char *hf_cidr_format(uint32_t network, unsigned prefix, char out[20])
{
    char ip[16];

    snprintf(out, 20, "%s/%u", hf_ip_format(network, ip), prefix);
    return out;
}

hf_status hf_cidr_parse(const char *cidr, uint32_t *ret_network, unsigned *ret_prefix)
{
    const char *slash = strchr(cidr, '/');
    char head[16];
    uint32_t ip;
    unsigned prefix;

    if (slash == NULL || (size_t)(slash - cidr) >= sizeof head)
        return hf_error(HF_INVALID, "'%s' is not a CIDR: write it like 192.168.10.0/24", cidr);
    memcpy(head, cidr, (size_t)(slash - cidr));
    head[slash - cidr] = '\0';
    if (!hf_ip_parse(head, &ip) || !prefix_parse(slash + 1, &prefix))
        return hf_error(HF_INVALID, "'%s' is not a CIDR: write it like 192.168.10.0/24", cidr);
    if ((ip & ~mask_of(prefix)) != 0)
        return hf_error(HF_INVALID, "'%s' is not a CIDR: %s is not the first address of a /%u network", cidr,
                        head, prefix);
    *ret_network = ip;
    *ret_prefix = prefix;
    return HF_STATUS_OK;
}

static hf_status address_parse(const char *what, const char *text, uint32_t *ret)
{
    if (!given(text))
        return hf_error(HF_INVALID, "the %s is missing", what);
    if (!hf_ip_parse(text, ret))
        return hf_error(HF_INVALID, "the %s '%s' is not an IPv4 address", what, text);
    return HF_STATUS_OK;
}

/* A network that instances can live in. */
static hf_status network_check(uint32_t network, unsigned prefix)
{
    char cidr[20];
    unsigned first = network >> 24;

    if (prefix < HF_PREFIX_MIN || prefix > HF_PREFIX_MAX)
        return hf_error(HF_INVALID, "the prefix /%u is not between /%d and /%d", prefix, HF_PREFIX_MIN,
                        HF_PREFIX_MAX);
    if (first == 0 || first == 127 || first >= 224)
        return hf_error(HF_INVALID, "%s is reserved (0.0.0.0/8, 127.0.0.0/8 and 224.0.0.0 upward are)",
                        hf_cidr_format(network, prefix, cidr));
    return HF_STATUS_OK;
}

static bool inside(uint32_t network, unsigned prefix, uint32_t ip)
{
    return (ip & mask_of(prefix)) == network;
}

/* An address that a machine in this network may have. */
static hf_status member_check(uint32_t network, unsigned prefix, const char *what, uint32_t ip)
{
    char text[16], cidr[20];

    hf_ip_format(ip, text);
    hf_cidr_format(network, prefix, cidr);
    if (!inside(network, prefix, ip))
        return hf_error(HF_INVALID, "the %s %s is outside %s", what, text, cidr);
    if (ip == network)
        return hf_error(HF_INVALID, "the %s %s is the network address of %s", what, text, cidr);
    if (ip == broadcast(network, prefix))
        return hf_error(HF_INVALID, "the %s %s is the broadcast address of %s", what, text, cidr);
    return HF_STATUS_OK;
}

static hf_status range_check(const struct hf_ip_range *r)
{
    char start[16], end[16], gateway[16];

    HF_TRY(network_check(r->network, r->prefix));
    HF_TRY(member_check(r->network, r->prefix, "start address", r->start));
    HF_TRY(member_check(r->network, r->prefix, "end address", r->end));
    HF_TRY(member_check(r->network, r->prefix, "gateway", r->gateway));
    hf_ip_format(r->start, start);
    hf_ip_format(r->end, end);
    if (r->start > r->end)
        return hf_error(HF_INVALID, "the start address %s is above the end address %s", start, end);
    if (r->gateway >= r->start && r->gateway <= r->end)
        return hf_error(HF_INVALID, "the gateway %s lies inside the range %s-%s",
                        hf_ip_format(r->gateway, gateway), start, end);
    return HF_STATUS_OK;
}

/* The network of a range given by its ends: from the netmask, from the CIDR, or from both when they agree. */
static hf_status range_network(const char *netmask, const char *cidr, struct hf_ip_range *r)
{
    unsigned mask_prefix = 0;

    if (!given(netmask) && !given(cidr))
        return hf_error(HF_INVALID, "the netmask is missing");
    if (given(netmask) && !hf_netmask_parse(netmask, &mask_prefix))
        return hf_error(HF_INVALID, "the netmask '%s' is neither like 255.255.255.0 nor a prefix length",
                        netmask);
    if (!given(cidr)) {
        r->prefix = mask_prefix;
        r->network = r->start & mask_of(mask_prefix);
        return HF_STATUS_OK;
    }
    HF_TRY(hf_cidr_parse(cidr, &r->network, &r->prefix));
    if (given(netmask) && mask_prefix != r->prefix)
        return hf_error(HF_INVALID, "the netmask '%s' and the CIDR '%s' are of different size", netmask,
                        cidr);
    return HF_STATUS_OK;
}

static hf_status range_from_cidr(const char *netmask, const char *gateway, const char *cidr,
                                 struct hf_ip_range *ret)
{
    struct hf_ip_range r = {0};
    uint32_t wanted = 0;

    HF_TRY(range_network(netmask, cidr, &r));
    HF_TRY(network_check(r.network, r.prefix));
    r.gateway = r.network + 1;
    r.start = r.network + 2;
    r.end = broadcast(r.network, r.prefix) - 1;
    if (given(gateway)) {
        HF_TRY(address_parse("gateway", gateway, &wanted));
        if (wanted != r.gateway)
            return hf_error(
                HF_INVALID,
                "the gateway %s is not the first address of %s: give a start and an end address too", gateway,
                cidr);
    }
    *ret = r;
    return HF_STATUS_OK;
}

hf_status hf_ip_range_parse(const char *start, const char *end, const char *netmask, const char *gateway,
                            const char *cidr, struct hf_ip_range *ret)
{
    struct hf_ip_range r = {0};

    if (!given(start) && !given(end) && given(cidr))
        return range_from_cidr(netmask, gateway, cidr, ret);
    HF_TRY(address_parse("start address", start, &r.start));
    HF_TRY(address_parse("end address", end, &r.end));
    HF_TRY(address_parse("gateway", gateway, &r.gateway));
    HF_TRY(range_network(netmask, cidr, &r));
    HF_TRY(range_check(&r));
    *ret = r;
    return HF_STATUS_OK;
}

static char *range_format(const struct hf_ip_range *r, char out[40])
{
    char start[16], end[16];

    snprintf(out, 40, "%s-%s", hf_ip_format(r->start, start), hf_ip_format(r->end, end));
    return out;
}

static hf_status range_pair_check(const struct hf_ip_range *a, const struct hf_ip_range *b)
{
    char range_a[40], range_b[40], text_a[20], text_b[20];

    range_format(a, range_a);
    range_format(b, range_b);
    if (a->network != b->network || a->prefix != b->prefix)
        return hf_error(HF_INVALID, "the ranges %s and %s are of different networks, %s and %s", range_a,
                        range_b, hf_cidr_format(a->network, a->prefix, text_a),
                        hf_cidr_format(b->network, b->prefix, text_b));
    if (a->gateway != b->gateway)
        return hf_error(HF_INVALID, "the ranges %s and %s have different gateways, %s and %s", range_a,
                        range_b, hf_ip_format(a->gateway, text_a), hf_ip_format(b->gateway, text_b));
    if (a->start <= b->end && b->start <= a->end)
        return hf_error(HF_INVALID, "the ranges %s and %s overlap", range_a, range_b);
    return HF_STATUS_OK;
}

hf_status hf_ip_ranges_check(const struct hf_ip_range *r, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            HF_TRY(range_pair_check(&r[j], &r[i]));
    return HF_STATUS_OK;
}

hf_status hf_dhcp_ip_check(const struct hf_ip_range *r, size_t n, const char *dhcp_ip)
{
    uint32_t ip = 0;

    if (n == 0)
        return hf_error(HF_INVALID, "a DHCP address needs a range of the network first");
    HF_TRY(address_parse("DHCP address", dhcp_ip, &ip));
    HF_TRY(member_check(r[0].network, r[0].prefix, "DHCP address", ip));
    for (size_t i = 0; i < n; i++)
        if (ip == r[i].gateway)
            return hf_error(HF_INVALID, "the DHCP address %s is the gateway", dhcp_ip);
    return HF_STATUS_OK;
}

bool hf_ip_first_free(const struct hf_ip_range *r, size_t n, bool (*taken)(void *arg, uint32_t ip), void *arg,
                      uint32_t *ret)
{
    for (size_t i = 0; i < n; i++) {
        HF_ASSERT(r[i].start <= r[i].end);
        for (uint64_t ip = r[i].start; ip <= r[i].end; ip++) {
            if (!taken(arg, (uint32_t)ip)) {
                *ret = (uint32_t)ip;
                return true;
            }
        }
    }
    return false;
}
