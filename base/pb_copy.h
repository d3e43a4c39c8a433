/* A copy of a protobuf-c message, whatever its type. */
#ifndef HF_BASE_PB_COPY_H
#define HF_BASE_PB_COPY_H

#include <protobuf-c/protobuf-c.h>

/* A deep copy, of the same type: its bytes once there and back, so a message that no reader could take is a
 * bug. The caller frees it with the type's free_unpacked, or protobuf_c_message_free_unpacked. */
void *hf_pb_copy(const ProtobufCMessage *m);

#endif
