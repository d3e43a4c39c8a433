/* What protobuf-c's descriptors do not say outright. */
#ifndef HF_BASE_PB_VALUE_H
#define HF_BASE_PB_VALUE_H

#include <protobuf-c/protobuf-c.h>

/* Bytes that one value of this type takes in a message's struct, and an element in a repeated field's array. */
size_t hf_pb_value_size(ProtobufCType type);

#endif
