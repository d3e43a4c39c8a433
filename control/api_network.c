/* L2 and L3 networks. */
#include "control/api_network.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/api_handlers.h"
#include "net/ipam.h"

/* --- L2 --- */

#define NIC_NAME_MAX 15 /* IFNAMSIZ - 1 */

static hf_status check_nic(const char *nic)
{
    size_t n = strlen(nic);
    if (n == 0)
        return hf_error(HF_INVALID,
                        "spec.physical_interface is missing: the name of a NIC that every host has");
    bool fine = n <= NIC_NAME_MAX && strcmp(nic, ".") != 0 && strcmp(nic, "..") != 0;
    for (size_t i = 0; i < n && fine; i++)
        fine = isalnum((unsigned char)nic[i]) || strchr("_.-", nic[i]) != NULL;
    if (fine)
        return HF_STATUS_OK;
    return hf_error(HF_INVALID,
                    "spec.physical_interface: '%s' is not the name of a NIC (1 to %d of a-z A-Z 0-9 _ . -)",
                    nic, NIC_NAME_MAX);
}

static hf_status create_l2(struct hf_draft *d, ProtobufCMessage *m)
{
    (void)d;
    Holdfast__V1__L2NetworkSpec *spec = ((Holdfast__V1__L2Network *)m)->spec;
    if (spec->type != HOLDFAST__V1__L2_NETWORK_SPEC__TYPE__TYPE_UNSPECIFIED &&
        spec->type != HOLDFAST__V1__L2_NETWORK_SPEC__TYPE__L2_NO_VLAN_NETWORK)
        return hf_error(HF_INVALID, "spec.type: %d is not known", (int)spec->type);
    spec->type = HOLDFAST__V1__L2_NETWORK_SPEC__TYPE__L2_NO_VLAN_NETWORK;
    return check_nic(spec->physical_interface);
}

const struct hf_kind_rules hf_l2_network_rules = {.kind = HOLDFAST__V1__KIND__L2_NETWORK,
                                                  .create = create_l2};

/* --- L3 --- */

typedef Holdfast__V1__L3Network L3;

#define DNS_MAX 8

static hf_status check_dns(const Holdfast__V1__L3NetworkSpec *spec)
{
    uint32_t ip;
    if (spec->n_dns > DNS_MAX)
        return hf_error(HF_INVALID, "spec.dns: more than %d servers", DNS_MAX);
    for (size_t i = 0; i < spec->n_dns; i++)
        if (!hf_ip_parse(spec->dns[i], &ip))
            return hf_error(HF_INVALID, "spec.dns: '%s' is not an IPv4 address", spec->dns[i]);
    return HF_STATUS_OK;
}

/* Writes the range as first and last address, netmask and gateway, whichever way it was given. */
static void write_range(Holdfast__V1__IpRange *r, const struct hf_ip_range *parsed)
{
    char text[20];
    hf_pb_set(&r->start_ip, hf_ip_format(parsed->start, text));
    hf_pb_set(&r->end_ip, hf_ip_format(parsed->end, text));
    hf_pb_set(&r->gateway, hf_ip_format(parsed->gateway, text));
    hf_pb_set(&r->netmask, hf_ip_format(parsed->prefix == 0 ? 0 : ~0u << (32 - parsed->prefix), text));
    hf_pb_set(&r->cidr, "");
}

/* Checks all ranges together and settles what follows from them: status.cidr and status.total_ips. */
static hf_status settle_ranges(L3 *l3, struct hf_ip_range *out)
{
    size_t n = l3->spec->n_ip_ranges;
    uint64_t total = 0;
    char cidr[20];
    if (n > HF_IP_RANGES_MAX)
        return hf_error(HF_INVALID, "more than %d ranges", HF_IP_RANGES_MAX);
    for (size_t i = 0; i < n; i++) {
        Holdfast__V1__IpRange *r = l3->spec->ip_ranges[i];
        hf_status st = hf_ip_range_parse(r->start_ip, r->end_ip, r->netmask, r->gateway, r->cidr, &out[i]);
        HF_TRY(hf_wrap(st, "range %zu", i + 1));
        total += (uint64_t)out[i].end - out[i].start + 1;
    }
    HF_TRY(hf_ip_ranges_check(out, n));
    for (size_t i = 0; i < n; i++)
        write_range(l3->spec->ip_ranges[i], &out[i]);
    if (n > 0)
        hf_pb_set(&l3->status->cidr, hf_cidr_format(out[0].network, out[0].prefix, cidr));
    l3->status->total_ips = (uint32_t)total;
    return HF_STATUS_OK;
}

/* The network's own address, as soon as it has ranges. */
static hf_status settle_dhcp(struct hf_draft *d, L3 *l3, const struct hf_ip_range *ranges, const char *wanted)
{
    char ip[16];
    if (l3->spec->dhcp_disabled || l3->spec->n_ip_ranges == 0) {
        if (wanted[0] != '\0')
            return hf_error(HF_INVALID, "spec.dhcp_ip: the network has no %s",
                            l3->spec->dhcp_disabled ? "DHCP" : "range yet");
        return HF_STATUS_OK;
    }
    if (wanted[0] != '\0')
        HF_TRY(hf_wrap(hf_dhcp_ip_check(ranges, l3->spec->n_ip_ranges, wanted), "spec.dhcp_ip"));
    HF_TRY(hf_wrap(hf_address_take(d, l3, wanted, "", ip), "DHCP address"));
    hf_pb_set(&l3->spec->dhcp_ip, ip);
    return HF_STATUS_OK;
}

static hf_status create_l3(struct hf_draft *d, ProtobufCMessage *m)
{
    L3 *l3 = (L3 *)m;
    struct hf_ip_range ranges[HF_IP_RANGES_MAX];
    if (l3->spec->type != HOLDFAST__V1__L3_NETWORK_SPEC__TYPE__TYPE_UNSPECIFIED &&
        l3->spec->type != HOLDFAST__V1__L3_NETWORK_SPEC__TYPE__FLAT)
        return hf_error(HF_INVALID, "spec.type: %d is not known", (int)l3->spec->type);
    l3->spec->type = HOLDFAST__V1__L3_NETWORK_SPEC__TYPE__FLAT;
    HF_TRY(check_dns(l3->spec));
    HF_TRY(settle_ranges(l3, ranges));
    return settle_dhcp(d, l3, ranges, l3->spec->dhcp_ip);
}

static hf_status update_l3(struct hf_draft *d, const ProtobufCMessage *before, ProtobufCMessage *m)
{
    (void)d;
    (void)before;
    return check_dns(((L3 *)m)->spec);
}

static hf_status delete_l3(struct hf_draft *d, ProtobufCMessage *m)
{
    hf_addresses_drop(d, hf_message_meta(m)->uuid);
    return HF_STATUS_OK;
}

static const char *const l3_paths[] = {"spec.dns", NULL};

const struct hf_kind_rules hf_l3_network_rules = {.kind = HOLDFAST__V1__KIND__L3_NETWORK,
                                                  .mutable_paths = l3_paths,
                                                  .create = create_l3,
                                                  .update = update_l3,
                                                  .remove = delete_l3};

void hf_handle_create_l3_network(struct hf_api_call *c)
{
    hf_handle_create_in(c, HF_ROOM_SINGLE);
}

/* --- AddIpRange --- */

static hf_status add_range(struct hf_draft *d, L3 *l3, const Holdfast__V1__IpRange *range)
{
    struct hf_ip_range ranges[HF_IP_RANGES_MAX];
    Holdfast__V1__L3NetworkSpec *spec = l3->spec;
    if (spec->n_ip_ranges >= HF_IP_RANGES_MAX)
        return hf_error(HF_INVALID, "the network has %d ranges, which is the most", HF_IP_RANGES_MAX);
    bool first = spec->n_ip_ranges == 0;
    spec->ip_ranges = hf_realloc_array(spec->ip_ranges, spec->n_ip_ranges + 1, sizeof *spec->ip_ranges);
    size_t len = protobuf_c_message_get_packed_size(&range->base);
    uint8_t *copy = hf_alloc(len + 1);
    protobuf_c_message_pack(&range->base, copy);
    spec->ip_ranges[spec->n_ip_ranges] = holdfast__v1__ip_range__unpack(NULL, len, copy);
    free(copy);
    HF_ASSERT(spec->ip_ranges[spec->n_ip_ranges] != NULL);
    spec->n_ip_ranges++;

    HF_TRY(settle_ranges(l3, ranges));
    if (first)
        HF_TRY(settle_dhcp(d, l3, ranges, ""));
    hf_draft_put_answer(d, &l3->base);
    return HF_STATUS_OK;
}

static hf_status build_add_range(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    struct hf_draft d = hf_draft_begin(c, s, t);
    const Holdfast__V1__AddIpRangeRequest *r = (const Holdfast__V1__AddIpRangeRequest *)c->request;
    hf_status st = HF_STATUS_OK;
    L3 *l3 = (L3 *)hf_lookup_message(s, HOLDFAST__V1__KIND__L3_NETWORK, r->uuid, "", &st);
    if (l3 == NULL)
        return hf_wrap(st, "add IP range");
    st = r->ip_range != NULL ? add_range(&d, l3, r->ip_range) : hf_error(HF_INVALID, "ip_range is missing");
    st = hf_wrap(st, "add IP range to L3 network '%s'", l3->meta->name);
    holdfast__v1__l3_network__free_unpacked(l3, NULL);
    return st;
}

void hf_handle_add_ip_range(struct hf_api_call *c)
{
    hf_call_write(c, HF_ROOM_SINGLE, build_add_range);
}
