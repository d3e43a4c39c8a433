/* Addresses of L3 networks as objects: the name "<network>/<address>" is unique, so none is given away twice.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "control/api_network.h"
#include "net/ipam.h"

typedef Holdfast__V1__L3Network L3;

const struct hf_kind_rules hf_ip_address_rules = {.kind = HOLDFAST__V1__KIND__IP_ADDRESS};

#define ADDRESS_NAME_MAX (HF_UUID_STR + 16)

static char *address_name(const char *l3_uuid, const char *ip, char out[ADDRESS_NAME_MAX])
{
    snprintf(out, ADDRESS_NAME_MAX, "%s/%s", l3_uuid, ip);
    return out;
}

static bool is_taken(const struct hf_store *s, const char *l3_uuid, const char *ip)
{
    char name[ADDRESS_NAME_MAX];
    return hf_store_by_name(s, HOLDFAST__V1__KIND__IP_ADDRESS, address_name(l3_uuid, ip, name)) != NULL;
}

struct taken {
    const struct hf_store *store;
    const char *l3_uuid;
};

static bool taken_cb(void *arg, uint32_t ip)
{
    const struct taken *t = arg;
    char text[16];
    return is_taken(t->store, t->l3_uuid, hf_ip_format(ip, text));
}

size_t hf_l3_parse_ranges(const L3 *l3, struct hf_ip_range *out)
{
    for (size_t i = 0; i < l3->spec->n_ip_ranges; i++) {
        const Holdfast__V1__IpRange *r = l3->spec->ip_ranges[i];
        hf_status st = hf_ip_range_parse(r->start_ip, r->end_ip, r->netmask, r->gateway, r->cidr, &out[i]);
        HF_ASSERT(hf_ok(st)); /* checked when it was stored */
    }
    return l3->spec->n_ip_ranges;
}

static hf_status first_free(const struct hf_store *s, const L3 *l3, char ret_ip[16])
{
    struct hf_ip_range ranges[HF_IP_RANGES_MAX] = {{0}};
    struct taken t = {s, l3->meta->uuid};
    size_t n = hf_l3_parse_ranges(l3, ranges);
    uint32_t ip;
    if (hf_ip_first_free(ranges, n, taken_cb, &t, &ip)) {
        hf_ip_format(ip, ret_ip);
        return HF_STATUS_OK;
    }
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += (uint64_t)ranges[i].end - ranges[i].start + 1;
    return hf_error(HF_EXHAUSTED,
                    "L3 network '%s' has no free address: all %llu in its %zu range%s are taken; add a range "
                    "or delete instances",
                    l3->meta->name, (unsigned long long)total, n, n == 1 ? "" : "s");
}

hf_status hf_address_take(struct hf_draft *d, const L3 *l3, const char *ip, const char *instance_uuid,
                          char ret_ip[16])
{
    char name[ADDRESS_NAME_MAX], uuid_text[HF_UUID_STR], chosen[16];
    if (ip[0] == '\0')
        HF_TRY(first_free(d->store, l3, chosen));
    else
        snprintf(chosen, sizeof chosen, "%s", ip);
    if (is_taken(d->store, l3->meta->uuid, chosen))
        return hf_error(HF_EXISTS, "address %s of L3 network '%s' is taken", chosen, l3->meta->name);

    struct hf_uuid uuid = hf_uuid_of_text(address_name(l3->meta->uuid, chosen, name));
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    meta.uuid = hf_uuid_format(&uuid, uuid_text);
    meta.name = name;
    meta.created_at_ms = d->wall_ms;
    Holdfast__V1__IpAddress a = HOLDFAST__V1__IP_ADDRESS__INIT;
    a.meta = &meta;
    a.l3_network_uuid = l3->meta->uuid;
    a.ip = chosen;
    a.instance_uuid = (char *)instance_uuid;
    if (!HF_MUTANT(ADDRESS_GIVEN_TWICE))
        hf_txn_put_message(d->txn, hf_call_env(d->call), &a.base);
    strcpy(ret_ip, chosen);
    return HF_STATUS_OK;
}

void hf_addresses_drop(struct hf_draft *d, const char *l3_uuid)
{
    char prefix[ADDRESS_NAME_MAX];
    address_name(l3_uuid, "", prefix);
    const struct hf_object *o = hf_store_next(d->store, HOLDFAST__V1__KIND__IP_ADDRESS, prefix);
    for (; o != NULL && strncmp(o->name, prefix, strlen(prefix)) == 0;
         o = hf_store_next(d->store, o->kind, o->name))
        hf_txn_delete(d->txn, &o->uuid);
}
