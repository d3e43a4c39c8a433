/* Text in messages is UTF-8 (proto3 says so, protobuf-c does not look): one object with other bytes in it
 * would make every list that contains it unreadable to other languages' clients.
 */
#ifndef HF_RPC_PB_TEXT_H
#define HF_RPC_PB_TEXT_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* The first byte that is not part of a well-formed character, or the end mark. */
const char *hf_utf8_check(const char *text);

/* The first string field, at any depth, whose text is not UTF-8; NULL if all is well. */
const ProtobufCFieldDescriptor *hf_pb_bad_text(const ProtobufCMessage *m);

#endif
