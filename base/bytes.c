#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

struct hf_bytes *hf_bytes_new(size_t len)
{
    struct hf_bytes *b = hf_alloc(sizeof *b + len);
    b->refs = 1;
    b->len = len;
    return b;
}

struct hf_bytes *hf_bytes_copy(const void *data, size_t len)
{
    struct hf_bytes *b = hf_bytes_new(len);
    if (len > 0)
        memcpy(b->data, data, len);
    return b;
}

struct hf_bytes *hf_bytes_ref(struct hf_bytes *b)
{
    HF_ASSERT(b->refs > 0 && b->refs < UINT32_MAX);
    b->refs++;
    return b;
}

void hf_bytes_unref(struct hf_bytes *b)
{
    if (!b)
        return;
    HF_ASSERT(b->refs > 0);
    if (--b->refs == 0)
        free(b);
}
