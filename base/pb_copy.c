#include "base/pb_copy.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"

void *hf_pb_copy(const ProtobufCMessage *m)
{
    size_t len = protobuf_c_message_get_packed_size(m);
    uint8_t *bytes = hf_alloc(len + 1); /* an empty message has no bytes */
    protobuf_c_message_pack(m, bytes);
    ProtobufCMessage *copy = protobuf_c_message_unpack(m->descriptor, NULL, len, bytes);
    HF_ASSERT(copy != NULL);
    free(bytes);
    return copy;
}

void hf_pb_set(char **field, const char *value)
{
    char *copy = hf_strdup(value ? value : "");
    if (*field != protobuf_c_empty_string)
        free(*field);
    *field = copy;
}
