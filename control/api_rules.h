/* What each kind of object adds to the standard methods: its own checks and the fields that may change. The
 * standard methods themselves are in api_standard.c, the rules in api_infra.c, api_storage.c, api_network.c,
 * api_instance.c.
 */
#ifndef HF_CONTROL_API_RULES_H
#define HF_CONTROL_API_RULES_H

#include "control/api_call.h"

/* One write being drafted: reads from the store, writes to the transaction. */
struct hf_draft {
    struct hf_api_call *call;
    const struct hf_store *store;
    struct hf_txn *txn;
    int64_t wall_ms;
};

struct hf_kind_rules {
    uint32_t kind;
    /* Field paths that UpdateX may change, besides meta.name and meta.description; ends with NULL. */
    const char *const *mutable_paths;
    /* All may be NULL. m is complete: meta.uuid and name are set, spec is there, references exist. They may
     * fill in m (the same way each time: a build may be repeated) and put or check other objects. */
    hf_status (*create)(struct hf_draft *d, ProtobufCMessage *m);
    hf_status (*update)(struct hf_draft *d, const ProtobufCMessage *before, ProtobufCMessage *m);
    hf_status (*remove)(struct hf_draft *d, ProtobufCMessage *m);
};

extern const struct hf_kind_rules hf_zone_rules, hf_cluster_rules, hf_host_rules, hf_primary_storage_rules,
    hf_image_rules, hf_instance_offering_rules, hf_l2_network_rules, hf_l3_network_rules, hf_volume_rules,
    hf_instance_rules, hf_global_setting_rules, hf_operation_rules, hf_ip_address_rules, hf_fence_rules,
    hf_failover_rules, hf_drill_rules, hf_affinity_group_rules, hf_image_server_rules;

/* --- the standard methods (api_standard.c, api_list.c) --- */
void hf_handle_get(struct hf_api_call *c);
void hf_handle_list(struct hf_api_call *c);
void hf_handle_create(struct hf_api_call *c);
/* Create in a room other than HF_ROOM_ADD. */
void hf_handle_create_in(struct hf_api_call *c, enum hf_room room);
void hf_handle_update(struct hf_api_call *c);
void hf_handle_delete(struct hf_api_call *c);

/* --- their parts, for verbs --- */

/* Finds by UUID, else by name (the empty text means not given). NULL: ret_st says why (INVALID, NOT_FOUND).
 */
const struct hf_object *hf_lookup(const struct hf_store *s, uint32_t kind, const char *uuid, const char *name,
                                  hf_status *ret_st);
/* The same, decoded; free it. */
ProtobufCMessage *hf_lookup_message(const struct hf_store *s, uint32_t kind, const char *uuid,
                                    const char *name, hf_status *ret_st);

/* Checks name, uniqueness and references, asks rules->create and puts m as a new object with this UUID. Does
 * not make it the answer. The status names the object. */
hf_status hf_draft_create(struct hf_draft *d, const struct hf_kind_rules *rules, const struct hf_uuid *uuid,
                          ProtobufCMessage *m);
/* Puts a changed object and makes it the answer. */
void hf_draft_put_answer(struct hf_draft *d, ProtobufCMessage *m);

/* Deletes are refused while something refers to the object; the sentence names up to three users. */
hf_status hf_draft_check_unused(struct hf_draft *d, uint32_t kind, const char *uuid);

/* CONFLICT unless wanted is 0 or the present revision. */
hf_status hf_revision_check(uint64_t wanted, uint64_t present) HF_MUST_USE;

hf_status hf_name_check(const char *name) HF_MUST_USE;

struct hf_draft hf_draft_begin(struct hf_api_call *c, const struct hf_store *s, struct hf_txn *t);

/* The object field (number 2) of a Create or Update request; NULL when it is not set. */
ProtobufCMessage *hf_request_object(const ProtobufCMessage *request);
/* That of a Create request, with a meta that gives no UUID; NULL: the call has been ended with the reason. */
ProtobufCMessage *hf_request_new_object(struct hf_api_call *c);

/* An object's bytes as readers get them, with what is filled in on reads: meta.revision and, for an L3
 * network, used_ips; without a host's secrets. The caller owns the result. */
struct hf_bytes *hf_object_for_reader(const struct hf_store *s, uint32_t kind, const struct hf_bytes *bytes,
                                      uint64_t revision);

#endif
