/* grpc.reflection v1 and v1alpha over a serialized FileDescriptorSet. Source: the gRPC server reflection
 * document. */
#ifndef HF_RPC_REFLECTION_H
#define HF_RPC_REFLECTION_H

#include <stddef.h>

struct hf_grpc_server;
struct hf_reflection;

/* Registers both services. descriptor_set must outlive the server. */
struct hf_reflection *hf_reflection_create(struct hf_grpc_server *s, const unsigned char *descriptor_set,
                                           size_t len);
void hf_reflection_free(struct hf_reflection *r); /* NULL is fine */

#endif
