/* Whom a cluster is to refuse so that a host can write no more: worked out from what is known of the host's
 * addresses, from who has its volumes open, and from who else lives at the same addresses. Pure; reads what
 * Ceph 16 and later print.
 *
 * An address that only this host has is refused as a whole, "10.0.0.5:0/0": every client of it, present and
 * future. One that is shared (with a daemon of the cluster, another host, this control node) must stay open
 * to the others: of its clients those are refused that are known, "10.0.0.5:0/123", each by its number.
 */
#ifndef HF_CONTROL_CEPH_FENCE_PLAN_H
#define HF_CONTROL_CEPH_FENCE_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "storage/ceph_client.h"

#define HF_CEPH_ENTRIES_MAX 256 /* of one host */
#define HF_CEPH_SHARED_MAX  96

struct hf_ceph_tenant;

struct hf_ceph_fence_plan {
    struct hf_ceph_client clients[HF_CEPH_ENTRIES_MAX]; /* of the host, addresses alone among them */
    size_t n_clients;
    struct hf_ceph_tenant *tenants; /* everybody else whose address is known */
    size_t n_tenants;
};

void hf_ceph_fence_plan_init(struct hf_ceph_fence_plan *p);
void hf_ceph_fence_plan_done(struct hf_ceph_fence_plan *p);

/* The host is known to have this address, or this client. INVALID: it is none. */
hf_status hf_ceph_fence_plan_host(struct hf_ceph_fence_plan *p, const char *address) HF_MUST_USE;
/* Several of them as librados tells its own: "[v2:…,v1:…]" or one alone. */
hf_status hf_ceph_fence_plan_host_list(struct hf_ceph_fence_plan *p, const char *addresses) HF_MUST_USE;
/* Another host, or another control node, has this address. */
hf_status hf_ceph_fence_plan_other(struct hf_ceph_fence_plan *p, const char *address) HF_MUST_USE;
/* Who asks has these addresses. */
void hf_ceph_fence_plan_self(struct hf_ceph_fence_plan *p, const char *addresses);
/* The daemons that a dump tells of; command: "osd dump", "mon dump", "mgr dump", "mgr metadata" or
 * "mds metadata". Addresses that are not IPv4 are nobody's. */
void hf_ceph_fence_plan_daemons(struct hf_ceph_fence_plan *p, const char *command, const json_t *dump);
/* Who has a volume of the host open. It is taken for the host's, and so is its address, unless that is
 * known as another's: a client of another host that shares nothing with this one is left alone. After all
 * of the above. */
hf_status hf_ceph_fence_plan_watcher(struct hf_ceph_fence_plan *p, const char *address) HF_MUST_USE;

/* The entries, each once, as strings; a new array. */
json_t *hf_ceph_fence_plan_entries(const struct hf_ceph_fence_plan *p);
/* For how many seconds one of them is added: a whole address's counts until it is taken off. */
unsigned hf_ceph_fence_entry_s(const char *entry);
/* With whom an address of the host is shared, "osd.0 at 10.0.0.5"; "" when it has all of its addresses for
 * itself. */
void hf_ceph_fence_plan_shared(const struct hf_ceph_fence_plan *p, char *out, size_t out_len);

/* The epoch of an "osd dump" and whether its blocklist has all (none) of the entries. INTERNAL: it is no
 * such dump. UNAVAILABLE names an entry that is missing (still there). */
hf_status hf_ceph_blocklist_has(const json_t *osd_dump, const json_t *entries,
                                uint64_t *ret_epoch) HF_MUST_USE;
hf_status hf_ceph_blocklist_lacks(const json_t *osd_dump, const json_t *entries,
                                  uint64_t *ret_epoch) HF_MUST_USE;

#endif
