/* Messages to JSON. */
#include <inttypes.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/pb_value.h"
#include "google/protobuf/field_mask.pb-c.h"
#include "rpc/pbjson.h"
#include "rpc/pbjson_field.h"

static json_t *real_to_json(double d)
{
    if (isnan(d))
        return json_string("NaN");
    if (isinf(d))
        return json_string(d > 0 ? "Infinity" : "-Infinity");
    return json_real(d);
}

static json_t *bytes_to_json(const ProtobufCBinaryData *b)
{
    char *text = hf_alloc(b->len / 3 * 4 + 5);
    EVP_EncodeBlock((unsigned char *)text, b->data, (int)b->len);
    json_t *j = json_string(text);
    free(text);
    return j;
}

static json_t *mask_to_json(const Google__Protobuf__FieldMask *mask)
{
    char *list = hf_strdup("");
    for (size_t i = 0; i < mask->n_paths; i++) {
        char camel[HF_PBJSON_NAME_MAX];
        hf_pb_camel(mask->paths[i], strlen(mask->paths[i]), camel);
        char *longer = hf_printf("%s%s%s", list, i ? "," : "", camel);
        free(list);
        list = longer;
    }
    json_t *j = json_string(list);
    free(list);
    return j;
}

/* Text that is no UTF-8 (a server's mistake) must not make a whole answer unreadable. */
static json_t *text_to_json(const char *text)
{
    json_t *j = json_string(text ? text : "");
    return j ? j : json_string("(not UTF-8)");
}

static json_t *value_to_json(const ProtobufCFieldDescriptor *f, const void *p)
{
    char text[24];
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return json_integer(*(const int32_t *)p);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return json_integer(*(const uint32_t *)p);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        snprintf(text, sizeof text, "%" PRId64, *(const int64_t *)p);
        return json_string(text);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        snprintf(text, sizeof text, "%" PRIu64, *(const uint64_t *)p);
        return json_string(text);
    case PROTOBUF_C_TYPE_FLOAT:
        return real_to_json(*(const float *)p);
    case PROTOBUF_C_TYPE_DOUBLE:
        return real_to_json(*(const double *)p);
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)p);
    case PROTOBUF_C_TYPE_ENUM: {
        const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(f->descriptor, *(const int *)p);
        return v ? json_string(v->name) : json_integer(*(const int *)p);
    }
    case PROTOBUF_C_TYPE_STRING:
        return text_to_json(*(char *const *)p);
    case PROTOBUF_C_TYPE_BYTES:
        return bytes_to_json(p);
    case PROTOBUF_C_TYPE_MESSAGE:
        return hf_pb_to_json(*(ProtobufCMessage *const *)p);
    }
    HF_NEVER("a field type that protobuf-c does not have");
    return NULL;
}

static bool is_default(const ProtobufCFieldDescriptor *f, const void *p)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING: {
        const char *s = *(char *const *)p;
        return !s || !*s;
    }
    case PROTOBUF_C_TYPE_MESSAGE:
        return !*(void *const *)p;
    case PROTOBUF_C_TYPE_BYTES:
        return ((const ProtobufCBinaryData *)p)->len == 0;
    default:
        return hf_pb_value_size(f->type) == 8 ? *(const uint64_t *)p == 0 : *(const uint32_t *)p == 0;
    }
}

static void put_map_entry(json_t *object, const ProtobufCMessage *entry)
{
    const ProtobufCFieldDescriptor *key = &entry->descriptor->fields[0],
                                   *value = &entry->descriptor->fields[1];
    json_t *k = value_to_json(key, (const char *)entry + key->offset);
    char *other = json_is_string(k) ? NULL : json_dumps(k, JSON_ENCODE_ANY);
    json_object_set_new(object, other ? other : json_string_value(k),
                        value_to_json(value, (const char *)entry + value->offset));
    free(other);
    json_decref(k);
}

static json_t *repeated_to_json(const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *f,
                                const char *elements, size_t n)
{
    bool map = hf_pb_is_map(d, f);
    json_t *j = map ? json_object() : json_array();
    for (size_t i = 0; i < n; i++) {
        const char *e = elements + i * hf_pb_value_size(f->type);
        if (map)
            put_map_entry(j, *(ProtobufCMessage *const *)(const void *)e);
        else
            json_array_append_new(j, value_to_json(f, e));
    }
    return j;
}

/* NULL: the field has its default. */
static json_t *field_to_json(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    const char *p = (const char *)m + f->offset, *quantifier = (const char *)m + f->quantifier_offset;
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t n = *(const size_t *)(const void *)quantifier;
        return n ? repeated_to_json(m->descriptor, f, *(char *const *)(const void *)p, n) : NULL;
    }
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(const uint32_t *)(const void *)quantifier == f->id ? value_to_json(f, p) : NULL;
    return is_default(f, p) ? NULL : value_to_json(f, p);
}

json_t *hf_pb_to_json(const ProtobufCMessage *m)
{
    if (hf_pb_is_field_mask(m->descriptor))
        return mask_to_json((const Google__Protobuf__FieldMask *)m);
    json_t *object = json_object();
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        json_t *value = field_to_json(m, f);
        if (!value)
            continue;
        char name[HF_PBJSON_NAME_MAX];
        hf_pb_camel(f->name, strlen(f->name), name);
        json_object_set_new(object, name, value);
    }
    return object;
}
