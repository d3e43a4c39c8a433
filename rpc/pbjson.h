/* Protobuf messages as JSON by their descriptors (the proto3 JSON mapping), on jansson. */
#ifndef HF_RPC_PBJSON_H
#define HF_RPC_PBJSON_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "base/status.h"

/* Field names in lowerCamelCase, enums by name, 64-bit integers as strings, defaults left out. The caller
 * owns it. */
json_t *hf_pb_to_json(const ProtobufCMessage *m);

/* INVALID names the path that is wrong: "spec.cpus: not a number". */
hf_status hf_pb_from_json(const ProtobufCMessageDescriptor *d, const json_t *j,
                          ProtobufCMessage **ret) HF_MUST_USE;

#endif
