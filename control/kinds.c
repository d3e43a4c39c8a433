#include "control/kinds.h"

#include "base/assert.h"
#include "base/mem.h"
#include "holdfast/v1/ha.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/network.pb-c.h"
#include "holdfast/v1/operation.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"
#include "holdfast/v1/system.pb-c.h"

/* clang-format off */
#define KIND(NAME, message, singular, plural)                                                                \
    [HOLDFAST__V1__KIND__##NAME] = {HOLDFAST__V1__KIND__##NAME, singular, plural,                             \
                                    &holdfast__v1__##message##__descriptor}
/* clang-format on */

static const struct hf_kind kinds[] = {
    KIND(ZONE, zone, "zone", "zones"),
    KIND(CLUSTER, cluster, "cluster", "clusters"),
    KIND(HOST, host, "host", "hosts"),
    KIND(PRIMARY_STORAGE, primary_storage, "primary storage", "primary storages"),
    KIND(IMAGE, image, "image", "images"),
    KIND(INSTANCE_OFFERING, instance_offering, "instance offering", "instance offerings"),
    KIND(L2_NETWORK, l2_network, "L2 network", "L2 networks"),
    KIND(L3_NETWORK, l3_network, "L3 network", "L3 networks"),
    KIND(VOLUME, volume, "volume", "volumes"),
    KIND(INSTANCE, instance, "instance", "instances"),
    KIND(GLOBAL_SETTING, global_setting, "global setting", "global settings"),
    KIND(OPERATION, operation, "operation", "operations"),
    KIND(FENCE, fence, "fence", "fences"),
    KIND(IP_ADDRESS, ip_address, "IP address", "IP addresses"),
    KIND(FAILOVER, failover, "failover", "failovers"),
    KIND(AFFINITY_GROUP, affinity_group, "affinity group", "affinity groups"),
    KIND(DRILL, drill, "drill", "drills"),
    KIND(IMAGE_SERVER, image_server, "image server", "image servers"),
};

#define KINDS_N (sizeof kinds / sizeof kinds[0])

_Static_assert(KINDS_N <= HF_KIND_MAX, "the store keeps kinds below HF_KIND_MAX");

const struct hf_kind *hf_kind_of(uint32_t kind)
{
    return kind < KINDS_N && kinds[kind].message != NULL ? &kinds[kind] : NULL;
}

const struct hf_kind *hf_kind_of_message(const ProtobufCMessageDescriptor *d)
{
    for (size_t i = 0; i < KINDS_N; i++)
        if (kinds[i].message == d)
            return &kinds[i];
    return NULL;
}

Holdfast__V1__Meta *hf_message_meta(const ProtobufCMessage *m)
{
    const ProtobufCFieldDescriptor *f = &m->descriptor->fields[0];
    HF_ASSERT(f->id == 1 && f->descriptor == &holdfast__v1__meta__descriptor);
    return *(Holdfast__V1__Meta *const *)(const void *)((const char *)m + f->offset);
}

ProtobufCMessage *hf_object_decode(const struct hf_object *o)
{
    const struct hf_kind *k = hf_kind_of(o->kind);
    if (k == NULL)
        return NULL;
    ProtobufCMessage *m = protobuf_c_message_unpack(k->message, NULL, o->bytes->len, o->bytes->data);
    if (m == NULL)
        return NULL;
    Holdfast__V1__Meta *meta = hf_message_meta(m);
    if (meta == NULL) {
        protobuf_c_message_free_unpacked(m, NULL);
        return NULL;
    }
    meta->revision = o->revision;
    return m;
}

ProtobufCMessage *hf_object_find(const struct hf_store *s, uint32_t kind, const char *uuid_text,
                                 const struct hf_object **ret)
{
    struct hf_uuid uuid;
    if (uuid_text == NULL || !hf_uuid_parse(uuid_text, &uuid))
        return NULL;
    const struct hf_object *o = hf_store_get_kind(s, kind, &uuid);
    if (o == NULL)
        return NULL;
    ProtobufCMessage *m = hf_object_decode(o);
    HF_ASSERT(m != NULL); /* only this program writes objects */
    if (ret != NULL)
        *ret = o;
    return m;
}

void hf_txn_put_message(struct hf_txn *t, struct hf_env *env, ProtobufCMessage *m)
{
    const struct hf_kind *k = hf_kind_of_message(m->descriptor);
    Holdfast__V1__Meta *meta = hf_message_meta(m);
    HF_ASSERT(k != NULL && meta != NULL);
    struct hf_uuid uuid;
    bool valid = hf_uuid_parse(meta->uuid, &uuid);
    HF_ASSERT(valid);

    uint64_t revision = meta->revision;
    meta->updated_at_ms = hf_env_wall_ms(env);
    meta->revision = 0; /* the store knows it: hf_object_with_revision() */
    struct hf_bytes *bytes = hf_bytes_new(protobuf_c_message_get_packed_size(m));
    protobuf_c_message_pack(m, bytes->data);
    meta->revision = revision;

    hf_txn_check(t, &uuid, revision);
    hf_txn_put_bytes(t, k->kind, &uuid, meta->name, bytes);
    hf_bytes_unref(bytes);
}
