/* JSON to messages. */
#include <errno.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/pb_value.h"
#include "google/protobuf/field_mask.pb-c.h"
#include "rpc/pbjson.h"
#include "rpc/pbjson_field.h"

#define DEPTH_MAX 32

/* Where in the document a value stands: "spec.nics[2].mac". */
struct place {
    const struct place *parent; /* NULL: the document itself */
    const char *name;           /* of the field, or NULL: element `index` */
    size_t index;
    unsigned depth;
};

static char *path_of(const struct place *at)
{
    if (!at->parent)
        return hf_strdup("");
    char *above = path_of(at->parent);
    char *path = at->name ? hf_printf("%s%s%s", above, *above ? "." : "", at->name)
                          : hf_printf("%s[%zu]", above, at->index);
    free(above);
    return path;
}

static hf_status wrong(const struct place *at, const char *why)
{
    char *path = path_of(at);
    hf_status st = *path ? hf_error(HF_INVALID, "%s: %s", path, why) : hf_error(HF_INVALID, "%s", why);
    free(path);
    return st;
}

/* --- single values --- */

static hf_status read_signed(const struct place *at, const json_t *j, int64_t min, int64_t max, int64_t *ret)
{
    int64_t v = 0;
    if (json_is_integer(j)) {
        v = json_integer_value(j);
    } else if (json_is_real(j) && fabs(json_real_value(j)) < 9e15 &&
               floor(json_real_value(j)) == json_real_value(j)) {
        v = (int64_t)json_real_value(j);
    } else if (json_is_string(j) && json_string_length(j) > 0) {
        char *end;
        errno = 0;
        v = strtoll(json_string_value(j), &end, 10);
        if (*end)
            return wrong(at, "not a number");
        if (errno == ERANGE)
            return wrong(at, "number out of range");
    } else {
        return wrong(at, "not a whole number");
    }
    if (v < min || v > max)
        return wrong(at, "number out of range");
    *ret = v;
    return HF_STATUS_OK;
}

static hf_status read_unsigned(const struct place *at, const json_t *j, uint64_t max, uint64_t *ret)
{
    if (json_is_string(j) && json_string_value(j)[0] >= '0' && json_string_value(j)[0] <= '9') {
        char *end; /* values above INT64_MAX come as text only */
        errno = 0;
        uint64_t v = strtoull(json_string_value(j), &end, 10);
        if (*end)
            return wrong(at, "not a number");
        if (errno == ERANGE || v > max)
            return wrong(at, "number out of range");
        *ret = v;
        return HF_STATUS_OK;
    }
    int64_t v = 0;
    HF_TRY(read_signed(at, j, 0, max > INT64_MAX ? INT64_MAX : (int64_t)max, &v));
    *ret = (uint64_t)v;
    return HF_STATUS_OK;
}

static hf_status read_real(const struct place *at, const json_t *j, double *ret)
{
    if (json_is_number(j)) {
        *ret = json_number_value(j);
        return HF_STATUS_OK;
    }
    if (!json_is_string(j) || json_string_length(j) == 0)
        return wrong(at, "not a number");
    char *end;
    *ret = strtod(json_string_value(j), &end); /* takes NaN and Infinity, too */
    return *end ? wrong(at, "not a number") : HF_STATUS_OK;
}

static hf_status read_enum(const struct place *at, const ProtobufCEnumDescriptor *d, const json_t *j,
                           int *ret)
{
    if (json_is_string(j)) {
        const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value_by_name(d, json_string_value(j));
        if (!v) {
            char *why = hf_printf("'%.100s' is not one of %s", json_string_value(j), d->name);
            hf_status st = wrong(at, why);
            free(why);
            return st;
        }
        *ret = v->value;
        return HF_STATUS_OK;
    }
    int64_t v;
    HF_TRY(read_signed(at, j, INT32_MIN, INT32_MAX, &v));
    *ret = (int)v;
    return HF_STATUS_OK;
}

static hf_status read_text(const struct place *at, const json_t *j, char **ret)
{
    if (!json_is_string(j))
        return wrong(at, "not a string");
    if (strlen(json_string_value(j)) != json_string_length(j))
        return wrong(at, "a string must not contain a zero byte");
    *ret = hf_strdup(json_string_value(j));
    return HF_STATUS_OK;
}

/* Standard and URL-safe base64, with and without padding. */
static hf_status read_bytes(const struct place *at, const json_t *j, ProtobufCBinaryData *ret)
{
    if (!json_is_string(j))
        return wrong(at, "not a string of base64");
    size_t len = json_string_length(j);
    const char *text = json_string_value(j);
    while (len > 0 && text[len - 1] == '=')
        len--;
    size_t padded = (len + 3) / 4 * 4, padding = padded - len;
    char *in = hf_alloc(padded + 1);
    memset(in, '=', padded);
    for (size_t i = 0; i < len; i++)
        in[i] = text[i];
    for (size_t i = 0; i < len; i++)
        in[i] = in[i] == '-' ? '+' : in[i] == '_' ? '/' : in[i];
    ret->data = hf_alloc(padded / 4 * 3 + 1);
    int n = padding < 3 ? EVP_DecodeBlock(ret->data, (const unsigned char *)in, (int)padded) : -1;
    free(in);
    if (n < 0)
        return wrong(at, "not base64"); /* data goes with the message */
    ret->len = (size_t)n - padding;
    return HF_STATUS_OK;
}

static hf_status read_message(const struct place *at, const ProtobufCMessageDescriptor *d, const json_t *j,
                              ProtobufCMessage **ret);

static hf_status read_value(const struct place *at, const ProtobufCFieldDescriptor *f, const json_t *j,
                            void *p)
{
    int64_t i = 0;
    uint64_t u = 0;
    double d = 0;
    hf_status st;
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        st = read_signed(at, j, INT32_MIN, INT32_MAX, &i);
        *(int32_t *)p = (int32_t)i;
        return st;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        st = read_unsigned(at, j, UINT32_MAX, &u);
        *(uint32_t *)p = (uint32_t)u;
        return st;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return read_signed(at, j, INT64_MIN, INT64_MAX, p);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return read_unsigned(at, j, UINT64_MAX, p);
    case PROTOBUF_C_TYPE_FLOAT:
        st = read_real(at, j, &d);
        *(float *)p = (float)d;
        return st;
    case PROTOBUF_C_TYPE_DOUBLE:
        return read_real(at, j, p);
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)p = json_is_true(j);
        return json_is_boolean(j) ? HF_STATUS_OK : wrong(at, "not true or false");
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(at, f->descriptor, j, p);
    case PROTOBUF_C_TYPE_STRING:
        return read_text(at, j, p);
    case PROTOBUF_C_TYPE_BYTES:
        return read_bytes(at, j, p);
    case PROTOBUF_C_TYPE_MESSAGE:
        return read_message(at, f->descriptor, j, p);
    }
    return wrong(at, "its type is not supported");
}

/* --- lists and maps --- */

/* Room for n elements; *ret_count is raised as they are filled, so that freeing the message is right at any
 * time. */
static char *make_room(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t n, size_t **ret_count)
{
    char *elements = hf_alloc_array(n, hf_pb_value_size(f->type));
    *(char **)((char *)m + f->offset) = elements;
    *ret_count = (size_t *)((char *)m + f->quantifier_offset);
    **ret_count = 0;
    return elements;
}

static hf_status read_list(const struct place *at, const ProtobufCFieldDescriptor *f, const json_t *j,
                           ProtobufCMessage *m)
{
    if (!json_is_array(j))
        return wrong(at, "not a list");
    size_t n = json_array_size(j), *count;
    if (n == 0)
        return HF_STATUS_OK;
    char *elements = make_room(m, f, n, &count);
    for (size_t i = 0; i < n; i++) {
        struct place element = {.parent = at, .index = i, .depth = at->depth};
        *count = i + 1;
        HF_TRY(read_value(&element, f, json_array_get(j, i), elements + i * hf_pb_value_size(f->type)));
    }
    return HF_STATUS_OK;
}

static hf_status read_map(const struct place *at, const ProtobufCFieldDescriptor *f, json_t *j,
                          ProtobufCMessage *m)
{
    if (!json_is_object(j))
        return wrong(at, "not an object");
    size_t n = json_object_size(j), *count;
    if (n == 0)
        return HF_STATUS_OK;
    ProtobufCMessage **entries = (ProtobufCMessage **)(void *)make_room(m, f, n, &count);
    const char *key;
    json_t *value;
    json_object_foreach(j, key, value)
    {
        struct place element = {.parent = at, .name = key, .depth = at->depth};
        json_t *entry = json_pack("{s:s, s:O}", "key", key, "value", value);
        hf_status st = read_message(&element, f->descriptor, entry, &entries[(*count)++]);
        json_decref(entry);
        HF_TRY(st);
    }
    return HF_STATUS_OK;
}

/* --- messages --- */

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *d, const char *name)
{
    for (unsigned i = 0; i < d->n_fields; i++) {
        char camel[HF_PBJSON_NAME_MAX];
        hf_pb_camel(d->fields[i].name, strlen(d->fields[i].name), camel);
        if (strcmp(camel, name) == 0 || strcmp(d->fields[i].name, name) == 0)
            return &d->fields[i];
    }
    return NULL;
}

static hf_status read_field(const struct place *at, const ProtobufCMessageDescriptor *d, json_t *j,
                            ProtobufCMessage *m)
{
    const ProtobufCFieldDescriptor *f = find_field(d, at->name);
    if (!f) {
        char *why = hf_printf("%s has no such field", d->short_name);
        hf_status st = wrong(at, why);
        free(why);
        return st;
    }
    if (json_is_null(j))
        return HF_STATUS_OK;
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return hf_pb_is_map(d, f) ? read_map(at, f, j, m) : read_list(at, f, j, m);
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        uint32_t *which = (uint32_t *)((char *)m + f->quantifier_offset);
        if (*which)
            return wrong(at, "another field of the same choice is set, too");
        *which = f->id;
    }
    return read_value(at, f, j, (char *)m + f->offset);
}

/* "spec.cpus,meta.name": a mask as the JSON mapping wants it. */
static void read_mask(const char *text, Google__Protobuf__FieldMask *mask)
{
    size_t n = 1;
    for (const char *c = text; *c; c++)
        n += *c == ',';
    mask->paths = hf_alloc_array(n, sizeof *mask->paths);
    while (*text) {
        size_t len = strcspn(text, ",");
        char *path = hf_alloc(2 * len + 1), *o = path;
        for (size_t i = 0; i < len; i++) {
            bool upper = text[i] >= 'A' && text[i] <= 'Z';
            if (upper)
                *o++ = '_';
            *o++ = upper ? (char)(text[i] - 'A' + 'a') : text[i];
        }
        mask->paths[mask->n_paths++] = path;
        text += len + (text[len] == ',');
    }
}

static hf_status read_fields(const struct place *at, const ProtobufCMessageDescriptor *d, json_t *j,
                             ProtobufCMessage *m)
{
    const char *key;
    json_t *value;
    json_object_foreach(j, key, value)
    {
        struct place field = {.parent = at, .name = key, .depth = at->depth + 1};
        HF_TRY(read_field(&field, d, value, m));
    }
    return HF_STATUS_OK;
}

static hf_status read_message(const struct place *at, const ProtobufCMessageDescriptor *d, const json_t *j,
                              ProtobufCMessage **ret)
{
    bool mask_text = hf_pb_is_field_mask(d) && json_is_string(j);
    if (!json_is_object(j) && !mask_text)
        return wrong(at, "not an object");
    if (at->depth > DEPTH_MAX)
        return wrong(at, "nested too deeply");
    ProtobufCMessage *m = hf_alloc(d->sizeof_message);
    protobuf_c_message_init(d, m);
    hf_status st = HF_STATUS_OK;
    if (mask_text)
        read_mask(json_string_value(j), (Google__Protobuf__FieldMask *)m);
    else
        st = read_fields(at, d, (json_t *)j, m);
    if (hf_ok(st))
        *ret = m;
    else
        protobuf_c_message_free_unpacked(m, NULL);
    return st;
}

hf_status hf_pb_from_json(const ProtobufCMessageDescriptor *d, const json_t *j, ProtobufCMessage **ret)
{
    struct place document = {.depth = 0};
    return read_message(&document, d, j, ret);
}
