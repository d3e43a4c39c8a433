/* What both directions of the JSON mapping know about a field. Not for other folders. */
#ifndef HF_RPC_PBJSON_FIELD_H
#define HF_RPC_PBJSON_FIELD_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <string.h>

#define HF_PBJSON_NAME_MAX 128 /* of a field's name in JSON */

/* protoc-c drops the map_entry option: a map is a repeated message of the type FooEntry { key = 1; value = 2;
 * } that is nested in the message which has it. */
static inline bool hf_pb_is_map(const ProtobufCMessageDescriptor *parent, const ProtobufCFieldDescriptor *f)
{
    if (f->type != PROTOBUF_C_TYPE_MESSAGE || f->label != PROTOBUF_C_LABEL_REPEATED)
        return false;
    const ProtobufCMessageDescriptor *d = f->descriptor;
    size_t parent_len = strlen(parent->name), len = strlen(d->name);
    return d->n_fields == 2 && strcmp(d->fields[0].name, "key") == 0 &&
           strcmp(d->fields[1].name, "value") == 0 && strncmp(d->name, parent->name, parent_len) == 0 &&
           d->name[parent_len] == '.' && len > 5 && strcmp(d->name + len - 5, "Entry") == 0;
}

static inline bool hf_pb_is_field_mask(const ProtobufCMessageDescriptor *d)
{
    return strcmp(d->name, "google.protobuf.FieldMask") == 0;
}

/* "primary_storage_uuids" → "primaryStorageUuids"; a path's dots stay. */
static inline void hf_pb_camel(const char *name, size_t len, char out[HF_PBJSON_NAME_MAX])
{
    size_t o = 0;
    for (size_t i = 0; i < len && o + 1 < HF_PBJSON_NAME_MAX; i++) {
        if (name[i] == '_' && i + 1 < len) {
            char c = name[++i];
            out[o++] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        } else {
            out[o++] = name[i];
        }
    }
    out[o] = '\0';
}

#endif
