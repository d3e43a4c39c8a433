#include "control/pb_path.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/pb_value.h"

static const ProtobufCFieldDescriptor *field_by_name(const ProtobufCMessageDescriptor *d, const char *name,
                                                     size_t len)
{
    for (unsigned i = 0; i < d->n_fields; i++)
        if (strlen(d->fields[i].name) == len && memcmp(d->fields[i].name, name, len) == 0)
            return &d->fields[i];
    return NULL;
}

bool hf_pb_path_resolve(const ProtobufCMessageDescriptor *d, const char *text, size_t len,
                        struct hf_pb_path *ret)
{
    struct hf_pb_path p = {.n = 0};
    const char *end = text + len;
    while (p.n < HF_PB_PATH_MAX) {
        const char *dot = memchr(text, '.', (size_t)(end - text));
        const char *stop = dot != NULL ? dot : end;
        const ProtobufCFieldDescriptor *f = field_by_name(d, text, (size_t)(stop - text));
        if (f == NULL)
            return false;
        p.fields[p.n++] = f;
        if (dot == NULL) {
            *ret = p;
            return true;
        }
        if (f->type != PROTOBUF_C_TYPE_MESSAGE)
            return false;
        d = f->descriptor;
        text = dot + 1;
    }
    return false;
}

static void *member(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    return (char *)m + f->offset;
}

static size_t *count(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    return (size_t *)(void *)((char *)m + f->quantifier_offset);
}

typedef bool (*visit_fn)(void *arg, const ProtobufCFieldDescriptor *f, void *value);

static bool any_from(const struct hf_pb_path *p, size_t at, const ProtobufCMessage *m, visit_fn cb, void *arg)
{
    const ProtobufCFieldDescriptor *f = p->fields[at];
    bool repeated = f->label == PROTOBUF_C_LABEL_REPEATED;
    size_t n = repeated ? *count(m, f) : 1;
    char *values = repeated ? *(char **)member(m, f) : member(m, f);
    for (size_t i = 0; i < n; i++) {
        void *value = values + i * hf_pb_value_size(f->type);
        if (at + 1 == p->n) {
            if (cb(arg, f, value))
                return true;
            continue;
        }
        const ProtobufCMessage *sub = *(ProtobufCMessage **)value;
        if (sub != NULL && any_from(p, at + 1, sub, cb, arg))
            return true;
    }
    return false;
}

bool hf_pb_path_any(const struct hf_pb_path *p, const ProtobufCMessage *m, visit_fn cb, void *arg)
{
    return any_from(p, 0, m, cb, arg);
}

ProtobufCMessage *hf_pb_submessage(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    HF_ASSERT(f->type == PROTOBUF_C_TYPE_MESSAGE && f->label != PROTOBUF_C_LABEL_REPEATED);
    ProtobufCMessage **sub = member(m, f);
    if (*sub == NULL) {
        const ProtobufCMessageDescriptor *d = f->descriptor;
        *sub = hf_alloc(d->sizeof_message);
        protobuf_c_message_init(d, *sub);
    }
    return *sub;
}

static void swap_bytes(void *a, void *b, size_t n)
{
    char tmp[sizeof(ProtobufCBinaryData)];
    HF_ASSERT(n <= sizeof tmp);
    memcpy(tmp, a, n);
    memcpy(a, b, n);
    memcpy(b, tmp, n);
}

void hf_pb_path_swap(const struct hf_pb_path *p, ProtobufCMessage *a, ProtobufCMessage *b)
{
    HF_ASSERT(a->descriptor == b->descriptor);
    for (size_t i = 0; i + 1 < p->n; i++) {
        a = hf_pb_submessage(a, p->fields[i]);
        b = hf_pb_submessage(b, p->fields[i]);
    }
    const ProtobufCFieldDescriptor *f = hf_pb_path_last(p);
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        swap_bytes(count(a, f), count(b, f), sizeof(size_t));
        swap_bytes(member(a, f), member(b, f), sizeof(void *));
    } else {
        swap_bytes(member(a, f), member(b, f), hf_pb_value_size(f->type));
    }
}

static bool value_is_set(void *arg, const ProtobufCFieldDescriptor *f, void *value)
{
    (void)arg;
    static const char zero[sizeof(ProtobufCBinaryData)];
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return true;
    if (f->type == PROTOBUF_C_TYPE_STRING)
        return (*(char **)value)[0] != '\0';
    if (f->type == PROTOBUF_C_TYPE_BYTES)
        return ((ProtobufCBinaryData *)value)->len != 0;
    return memcmp(value, zero, hf_pb_value_size(f->type)) != 0;
}

bool hf_pb_path_is_set(const struct hf_pb_path *p, const ProtobufCMessage *m)
{
    return hf_pb_path_any(p, m, value_is_set, NULL);
}
