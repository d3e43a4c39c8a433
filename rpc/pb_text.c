#include "rpc/pb_text.h"

#include <stddef.h>
#include <stdint.h>

/* Length of the well-formed character at p, or 0 (Unicode 15, table 3-7). */
static unsigned character(const unsigned char *p)
{
    unsigned char low = 0x80, high = 0xbf; /* bounds of the second byte */
    unsigned len;
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        len = 2;
    else if (p[0] >= 0xe0 && p[0] <= 0xef)
        len = 3;
    else if (p[0] >= 0xf0 && p[0] <= 0xf4)
        len = 4;
    else
        return 0;
    if (p[0] == 0xe0)
        low = 0xa0; /* shorter forms exist */
    else if (p[0] == 0xed)
        high = 0x9f; /* surrogates */
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f; /* beyond U+10FFFF */
    if (p[1] < low || p[1] > high)
        return 0;
    for (unsigned i = 2; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

const char *hf_utf8_check(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    while (*p) {
        unsigned len = character(p);
        if (len == 0)
            break;
        p += len;
    }
    return (const char *)p;
}

static const ProtobufCFieldDescriptor *bad_value(const ProtobufCFieldDescriptor *f, const void *value)
{
    const void *p = *(const void *const *)value;
    if (p == NULL)
        return NULL;
    if (f->type == PROTOBUF_C_TYPE_MESSAGE)
        return hf_pb_bad_text(p);
    return *hf_utf8_check(p) == '\0' ? NULL : f;
}

static const ProtobufCFieldDescriptor *bad_field(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    const char *value = (const char *)m + f->offset;
    const void *quantifier = (const char *)m + f->quantifier_offset;
    if (f->label != PROTOBUF_C_LABEL_REPEATED) {
        bool other = (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && *(const uint32_t *)quantifier != f->id;
        return other ? NULL : bad_value(f, value);
    }
    const void *const *elements = *(const void *const *const *)(const void *)value;
    for (size_t i = 0; i < *(const size_t *)quantifier; i++) {
        const ProtobufCFieldDescriptor *bad = bad_value(f, &elements[i]);
        if (bad)
            return bad;
    }
    return NULL;
}

const ProtobufCFieldDescriptor *hf_pb_bad_text(const ProtobufCMessage *m)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        if (f->type != PROTOBUF_C_TYPE_STRING && f->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        const ProtobufCFieldDescriptor *bad = bad_field(m, f);
        if (bad)
            return bad;
    }
    return NULL;
}
