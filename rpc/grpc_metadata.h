/* Headers of one call, as text pairs; small ones need no memory of their own. */
#ifndef HF_RPC_GRPC_METADATA_H
#define HF_RPC_GRPC_METADATA_H

#include <stdbool.h>
#include <stddef.h>

#define HF_GRPC_METADATA_MAX    (16u << 10) /* bytes of one call's headers */
#define HF_GRPC_METADATA_INLINE 384u        /* of which these are in the struct */

struct hf_grpc_metadata {
    char *text; /* "key\0value\0…" */
    size_t len, cap;
    char in_place[HF_GRPC_METADATA_INLINE];
};

void hf_grpc_metadata_init(struct hf_grpc_metadata *m);
/* False: it would be more than HF_GRPC_METADATA_MAX; nothing was kept. */
bool hf_grpc_metadata_put(struct hf_grpc_metadata *m, const char *key, size_t key_len, const char *value,
                          size_t value_len);
const char *hf_grpc_metadata_get(const struct hf_grpc_metadata *m, const char *key); /* NULL if absent */
void hf_grpc_metadata_done(struct hf_grpc_metadata *m);

/* Walks all pairs: start with NULL, ends with NULL; the value follows the key's end mark. */
const char *hf_grpc_metadata_next(const struct hf_grpc_metadata *m, const char *key, const char **ret_value);

#endif
