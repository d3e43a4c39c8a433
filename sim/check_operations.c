/* Operations end once; addresses belong to one NIC. */
#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/network.pb-c.h"
#include "holdfast/v1/operation.pb-c.h"
#include "sim/checks_int.h"

typedef Holdfast__V1__Operation Operation;

/* --- operations --- */

static uint64_t end_of(const Operation *m)
{
    uint64_t d = sim_digest_u64(SIM_DIGEST_EMPTY, (uint64_t)m->state);
    d = sim_digest_u64(sim_digest_u64(d, (uint64_t)m->error_code), (uint64_t)m->ended_at_ms);
    return sim_digest_text(d, m->error_message);
}

static struct sim_operation *new_operation(struct sim_checks *c, const struct hf_uuid *uuid,
                                           const Operation *m)
{
    struct sim_operation *o = HF_NEW(struct sim_operation);
    struct hf_uuid target;
    o->uuid = *uuid;
    snprintf(o->verb, sizeof o->verb, "%s", m->verb);
    snprintf(o->target, sizeof o->target, "%s", m->target_name);
    if (m->target_kind == HOLDFAST__V1__KIND__INSTANCE && hf_uuid_parse(m->target_uuid, &target))
        o->instance = sim_instance_of(c, &target);
    hf_uuid_map_set(&c->operations, uuid, o);
    *c->operation_end = o;
    c->operation_end = &o->next;
    if (o->instance != NULL)
        o->instance->operations++;
    return o;
}

static void end_operation(struct sim_operation *o, uint64_t digest)
{
    o->ended = true;
    o->end_digest = digest;
    if (o->instance != NULL)
        o->instance->operations--;
}

static void violated(struct sim_checks *c, int64_t now_ns, const struct sim_operation *o, const char *what)
{
    char uuid[HF_UUID_STR], now[SIM_TIME_TEXT];
    sim_violated(c, now_ns, SIM_RULE_OPERATIONS, sim_subject(&o->uuid), "operation %s (%s of '%s') %s at %s",
                 hf_uuid_format(&o->uuid, uuid), o->verb, o->target, what, sim_time_text(now_ns, now));
}

void sim_apply_operation(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *uuid,
                         const uint8_t *bytes, size_t len)
{
    struct sim_operation *o = hf_uuid_map_get(&c->operations, uuid);
    const Operation *m =
        bytes != NULL ? sim_decode(c, &holdfast__v1__operation__descriptor, bytes, len) : NULL;
    if (m == NULL) { /* ended ones are forgotten after a while */
        if (o != NULL && !o->ended) {
            violated(c, now_ns, o, "was deleted before it had ended");
            end_operation(o, 0);
        }
        if (o != NULL)
            o->deleted = true;
        return;
    }
    sim_never_stop_before(c, now_ns);
    if (o == NULL)
        o = new_operation(c, uuid, m);
    bool ended = m->state == HOLDFAST__V1__OPERATION__STATE__SUCCEEDED ||
                 m->state == HOLDFAST__V1__OPERATION__STATE__FAILED ||
                 m->state == HOLDFAST__V1__OPERATION__STATE__CANCELLED;
    uint64_t digest = end_of(m);
    if (o->ended && (!ended || digest != o->end_digest))
        violated(c, now_ns, o, "changed after it had ended");
    else if (!o->ended && ended)
        end_operation(o, digest);
}

/* --- addresses --- */

static struct hf_uuid key_of(const char *what, const char *network, const char *address)
{
    struct hf_uuid k;
    uint64_t a = sim_digest_text(sim_digest_text(sim_digest_text(SIM_DIGEST_EMPTY, what), network), address);
    uint64_t b = sim_digest_text(sim_digest_text(a, address), network);
    memcpy(k.b, &a, 8);
    memcpy(k.b + 8, &b, 8);
    return k;
}

static void take_address(struct sim_checks *c, int64_t now_ns, struct sim_instance *i,
                         const struct hf_uuid *key, const char *address)
{
    struct sim_instance *other = hf_uuid_map_get(&c->addresses, key);
    if (other != NULL)
        sim_violated(c, now_ns, SIM_RULE_ADDRESSES, sim_subject(key),
                     "address %s belongs to a NIC of instance '%s' and to one of instance '%s'", address,
                     other->name, i->name);
    hf_uuid_map_set(&c->addresses, key, i);
    i->nics[i->n_nics++] = *key;
}

void sim_apply_nics(struct sim_checks *c, int64_t now_ns, struct sim_instance *i,
                    const struct Holdfast__V1__Instance *m)
{
    const Holdfast__V1__InstanceSpec *spec = m != NULL ? m->spec : NULL;
    size_t n = spec != NULL ? spec->n_nics : 0;
    uint64_t d = SIM_DIGEST_EMPTY;
    for (size_t k = 0; k < n; k++) {
        const Holdfast__V1__Nic *nic = spec->nics[k];
        d = sim_digest_text(sim_digest_text(sim_digest_text(d, nic->mac), nic->l3_network_uuid), nic->ip);
    }
    if (d == i->nics_digest)
        return;
    i->nics_digest = d;
    for (size_t k = 0; k < i->n_nics; k++)
        if (hf_uuid_map_get(&c->addresses, &i->nics[k]) == i)
            hf_uuid_map_remove(&c->addresses, &i->nics[k]);
    i->n_nics = 0;
    for (size_t k = 0; k < n && k < SIM_NICS_MAX; k++) {
        const Holdfast__V1__Nic *nic = spec->nics[k];
        struct hf_uuid ip = key_of("ip", nic->l3_network_uuid, nic->ip), mac = key_of("mac", "", nic->mac);
        if (nic->ip[0] != '\0')
            take_address(c, now_ns, i, &ip, nic->ip);
        if (nic->mac[0] != '\0')
            take_address(c, now_ns, i, &mac, nic->mac);
    }
}

/* An allocated address names the instance that has it: no other one has a NIC with it. */
void sim_apply_address(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *uuid, const uint8_t *bytes,
                       size_t len)
{
    const Holdfast__V1__IpAddress *m =
        bytes != NULL ? sim_decode(c, &holdfast__v1__ip_address__descriptor, bytes, len) : NULL;
    struct hf_uuid owner;
    if (m == NULL)
        return;
    struct hf_uuid key = key_of("ip", m->l3_network_uuid, m->ip);
    const struct sim_instance *has = hf_uuid_map_get(&c->addresses, &key);
    if (has == NULL)
        return;
    if (!hf_uuid_parse(m->instance_uuid, &owner) || !hf_uuid_equal(&owner, &has->uuid))
        sim_violated(c, now_ns, SIM_RULE_ADDRESSES, sim_subject(uuid),
                     "address %s was allocated to %s while a NIC of instance '%s' has it", m->ip,
                     m->instance_uuid[0] != '\0' ? m->instance_uuid : "the network itself", has->name);
}
