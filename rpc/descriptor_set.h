/* A serialized google.protobuf.FileDescriptorSet, walked without unpacking the whole: what reflection serves,
 * and what protobuf-c's service descriptors leave out (which methods take a stream of requests).
 */
#ifndef HF_RPC_DESCRIPTOR_SET_H
#define HF_RPC_DESCRIPTOR_SET_H

#include <stdbool.h>

#include "google/protobuf/descriptor.pb-c.h"
#include "rpc/grpc_frame.h"

/* Built into hf_api from the .proto files. */
extern const unsigned char hf_descriptor_set[];
extern const unsigned long hf_descriptor_set_len;

/* Cuts the next serialized FileDescriptorProto off the front of *set. False at the end (or at damage). */
bool hf_descriptor_set_next(struct hf_grpc_slice *set, struct hf_grpc_slice *ret_file);

/* By the embedded set. service: full name. True also for a method that the set does not have: nothing speaks
 * against it. */
bool hf_grpc_client_streams(const char *service, const char *method);

#endif
