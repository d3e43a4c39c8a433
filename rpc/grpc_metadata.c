#include "rpc/grpc_metadata.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void hf_grpc_metadata_init(struct hf_grpc_metadata *m)
{
    m->text = m->in_place;
    m->len = 0;
    m->cap = HF_GRPC_METADATA_INLINE;
}

static void grow(struct hf_grpc_metadata *m)
{
    char *text = hf_alloc(HF_GRPC_METADATA_MAX);
    memcpy(text, m->text, m->len);
    m->text = text;
    m->cap = HF_GRPC_METADATA_MAX;
}

bool hf_grpc_metadata_put(struct hf_grpc_metadata *m, const char *key, size_t key_len, const char *value,
                          size_t value_len)
{
    size_t len = m->len + key_len + value_len + 2;
    if (len > HF_GRPC_METADATA_MAX)
        return false;
    if (len > m->cap)
        grow(m);
    char *p = m->text + m->len;
    memcpy(p, key, key_len);
    p[key_len] = '\0';
    memcpy(p + key_len + 1, value, value_len);
    p[key_len + 1 + value_len] = '\0';
    m->len = len;
    return true;
}

const char *hf_grpc_metadata_next(const struct hf_grpc_metadata *m, const char *key, const char **ret_value)
{
    const char *next = m->text;
    if (key) {
        const char *value = key + strlen(key) + 1;
        next = value + strlen(value) + 1;
    }
    if (next >= m->text + m->len)
        return NULL;
    *ret_value = next + strlen(next) + 1;
    return next;
}

const char *hf_grpc_metadata_get(const struct hf_grpc_metadata *m, const char *key)
{
    const char *value, *k = NULL;
    while ((k = hf_grpc_metadata_next(m, k, &value)))
        if (strcmp(k, key) == 0)
            return value;
    return NULL;
}

void hf_grpc_metadata_done(struct hf_grpc_metadata *m)
{
    if (m->text != m->in_place)
        free(m->text);
}
