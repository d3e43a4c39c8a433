/* How a guard reads objects: decoding that never trusts its input, and freeing at the end of the scope. Pure.
 */
#ifndef HF_CONTROL_GUARD_OBJECT_H
#define HF_CONTROL_GUARD_OBJECT_H

#include <protobuf-c/protobuf-c.h>

#include "consensus/guard.h"

/* Frees a decoded message (or nothing) when its variable leaves the scope. */
#define HF_GUARD_FREE __attribute__((cleanup(hf_guard_free_message)))
void hf_guard_free_message(void *message_ptr);

/* The message, or NULL when the bytes do not decode. The caller frees it. */
void *hf_guard_decode(const ProtobufCMessageDescriptor *d, const uint8_t *bytes, size_t len);

/* The message of a stored object; NULL for NULL, for another kind of bytes and for damaged ones. */
void *hf_guard_decode_object(const struct hf_object *o, const ProtobufCMessageDescriptor *d);

/* What the object of that UUID will be after the transaction; NULL when it will not exist or is of another
 * kind. */
void *hf_guard_decode_after(const struct hf_guard_view *v, const char *uuid_text,
                            const ProtobufCMessageDescriptor *d);

/* Equal in every field: their serialized forms are. */
bool hf_guard_same_message(const ProtobufCMessage *a, const ProtobufCMessage *b);

#endif
