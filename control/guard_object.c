#include "control/guard_object.h"

#include <stdlib.h>

#include "base/mem.h"
#include "holdfast/v1/common.pb-c.h"
#include "holdfast/v1/ha.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"

void hf_guard_free_message(void *message_ptr)
{
    ProtobufCMessage *m = *(ProtobufCMessage **)message_ptr;
    if (m != NULL)
        protobuf_c_message_free_unpacked(m, NULL);
}

void *hf_guard_decode(const ProtobufCMessageDescriptor *d, const uint8_t *bytes, size_t len)
{
    return protobuf_c_message_unpack(d, NULL, len, bytes);
}

void *hf_guard_decode_object(const struct hf_object *o, const ProtobufCMessageDescriptor *d)
{
    return o != NULL ? hf_guard_decode(d, o->bytes->data, o->bytes->len) : NULL;
}

static uint32_t kind_of(const ProtobufCMessageDescriptor *d)
{
    return d == &holdfast__v1__host__descriptor              ? HOLDFAST__V1__KIND__HOST
           : d == &holdfast__v1__fence__descriptor           ? HOLDFAST__V1__KIND__FENCE
           : d == &holdfast__v1__cluster__descriptor         ? HOLDFAST__V1__KIND__CLUSTER
           : d == &holdfast__v1__primary_storage__descriptor ? HOLDFAST__V1__KIND__PRIMARY_STORAGE
                                                             : HOLDFAST__V1__KIND__INSTANCE;
}

/* The kind of the object after the transaction: that of its change, else that in the store. */
static bool is_kind(const struct hf_guard_view *v, const struct hf_uuid *uuid, uint32_t kind)
{
    for (size_t i = 0; i < v->n_changes; i++)
        if (hf_uuid_equal(&v->changes[i].uuid, uuid))
            return v->changes[i].kind == kind;
    return hf_store_get_kind(v->store, kind, uuid) != NULL;
}

void *hf_guard_decode_after(const struct hf_guard_view *v, const char *uuid_text,
                            const ProtobufCMessageDescriptor *d)
{
    struct hf_uuid uuid;
    if (!hf_uuid_parse(uuid_text, &uuid) || !is_kind(v, &uuid, kind_of(d)))
        return NULL;
    size_t len;
    const uint8_t *bytes = hf_guard_after(v, &uuid, &len);
    return bytes != NULL ? hf_guard_decode(d, bytes, len) : NULL;
}

bool hf_guard_same_message(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    size_t n = protobuf_c_message_get_packed_size(a);
    if (n != protobuf_c_message_get_packed_size(b))
        return false;
    uint8_t *x = hf_alloc(n), *y = hf_alloc(n);
    protobuf_c_message_pack(a, x);
    protobuf_c_message_pack(b, y);
    bool same = memcmp(x, y, n) == 0;
    free(x);
    free(y);
    return same;
}
