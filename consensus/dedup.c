#include "consensus/dedup.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "consensus/replica.h"

#define BUCKETS (2 * HF_DEDUP_MAX)
_Static_assert((HF_DEDUP_MAX & (HF_DEDUP_MAX - 1)) == 0, "the ring is indexed by a mask");

struct hf_dedup {
    struct hf_dedup_entry **buckets;
    struct hf_dedup_entry **ring; /* in the order of arrival */
    size_t first, count;
    size_t id_bytes, bytes;
};

struct hf_dedup *hf_dedup_create(void)
{
    struct hf_dedup *d = HF_NEW(struct hf_dedup);
    d->buckets = hf_alloc_array(BUCKETS, sizeof(struct hf_dedup_entry *));
    d->ring = hf_alloc_array(HF_DEDUP_MAX, sizeof(struct hf_dedup_entry *));
    return d;
}

static size_t cost(const struct hf_dedup_entry *e)
{
    return e->id_len + (e->answer == NULL ? 0 : e->answer->len);
}

static void forget_oldest(struct hf_dedup *d)
{
    struct hf_dedup_entry *e = d->ring[d->first];
    struct hf_dedup_entry **at = &d->buckets[e->id_hash & (BUCKETS - 1)];
    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    d->first = (d->first + 1) & (HF_DEDUP_MAX - 1);
    d->count--;
    d->bytes -= cost(e);
    d->id_bytes -= e->id_len;
    hf_bytes_unref(e->answer);
    free(e);
}

void hf_dedup_free(struct hf_dedup *d)
{
    if (d == NULL)
        return;
    while (d->count > 0)
        forget_oldest(d);
    free(d->buckets);
    free(d->ring);
    free(d);
}

/* FNV-1a: ids are short, and a caller that picks colliding ones slows only its own requests' lookups. */
static uint64_t hash(const char *id, size_t len)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)id[i]) * 0x100000001b3u;
    return h ^ (h >> 32);
}

const struct hf_dedup_entry *hf_dedup_find(const struct hf_dedup *d, const char *id, size_t id_len)
{
    uint64_t h = hash(id, id_len);
    for (const struct hf_dedup_entry *e = d->buckets[h & (BUCKETS - 1)]; e != NULL; e = e->chain)
        if (e->id_hash == h && e->id_len == id_len && memcmp(e->id, id, id_len) == 0)
            return e;
    return NULL;
}

void hf_dedup_add(struct hf_dedup *d, const char *id, size_t id_len, uint64_t request_hash, uint64_t revision,
                  struct hf_bytes *answer)
{
    HF_ASSERT(id_len > 0 && id_len <= HF_REQUEST_ID_MAX);
    struct hf_dedup_entry *e = hf_alloc(sizeof *e + id_len);
    *e = (struct hf_dedup_entry){.id_hash = hash(id, id_len),
                                 .request_hash = request_hash,
                                 .revision = revision,
                                 .answer = answer == NULL ? NULL : hf_bytes_ref(answer),
                                 .id_len = (uint32_t)id_len};
    memcpy(e->id, id, id_len);
    while (d->count == HF_DEDUP_MAX || (d->count > 0 && d->bytes + cost(e) > HF_DEDUP_BYTES_MAX))
        forget_oldest(d);
    struct hf_dedup_entry **bucket = &d->buckets[e->id_hash & (BUCKETS - 1)];
    e->chain = *bucket;
    *bucket = e;
    d->ring[(d->first + d->count) & (HF_DEDUP_MAX - 1)] = e;
    d->count++;
    d->bytes += cost(e);
    d->id_bytes += e->id_len;
}

size_t hf_dedup_count(const struct hf_dedup *d)
{
    return d->count;
}

size_t hf_dedup_id_bytes(const struct hf_dedup *d)
{
    return d->id_bytes;
}

size_t hf_dedup_bytes(const struct hf_dedup *d)
{
    return d->bytes;
}

const struct hf_dedup_entry *hf_dedup_at(const struct hf_dedup *d, size_t i)
{
    HF_ASSERT(i < d->count);
    return d->ring[(d->first + i) & (HF_DEDUP_MAX - 1)];
}
