#include "control/uuid_map.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"

static size_t hash(const struct hf_uuid *u)
{
    uint64_t a, b;
    memcpy(&a, u->b, 8);
    memcpy(&b, u->b + 8, 8);
    return (size_t)((a ^ (b * 0x9e3779b97f4a7c15ULL)) * 0xff51afd7ed558ccdULL >> 16);
}

/* The slot that holds the UUID, or the free one where it would go. */
static size_t find(const struct hf_uuid_map *m, const struct hf_uuid *uuid)
{
    size_t i = hash(uuid) & (m->cap - 1);
    while (m->slots[i].value != NULL && !hf_uuid_equal(&m->slots[i].uuid, uuid))
        i = (i + 1) & (m->cap - 1);
    return i;
}

static void grow(struct hf_uuid_map *m)
{
    struct hf_uuid_map old = *m;
    m->cap = old.cap > 0 ? old.cap * 2 : 16;
    m->slots = hf_alloc_array(m->cap, sizeof *m->slots);
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].value != NULL)
            m->slots[find(m, &old.slots[i].uuid)] = old.slots[i];
    free(old.slots);
}

void hf_uuid_map_done(struct hf_uuid_map *m)
{
    free(m->slots);
    *m = (struct hf_uuid_map){0};
}

void *hf_uuid_map_get(const struct hf_uuid_map *m, const struct hf_uuid *uuid)
{
    return m->cap > 0 ? m->slots[find(m, uuid)].value : NULL;
}

void hf_uuid_map_set(struct hf_uuid_map *m, const struct hf_uuid *uuid, void *value)
{
    HF_ASSERT(value != NULL);
    if ((m->len + 1) * 4 > m->cap * 3)
        grow(m);
    size_t i = find(m, uuid);
    if (m->slots[i].value == NULL)
        m->len++;
    m->slots[i] = (struct hf_uuid_map_slot){*uuid, value};
}

void *hf_uuid_map_remove(struct hf_uuid_map *m, const struct hf_uuid *uuid)
{
    if (m->cap == 0)
        return NULL;
    size_t hole = find(m, uuid);
    void *value = m->slots[hole].value;
    if (value == NULL)
        return NULL;
    m->slots[hole].value = NULL;
    m->len--;
    /* Entries behind the hole that were pushed past their own place move up. */
    for (size_t i = (hole + 1) & (m->cap - 1); m->slots[i].value != NULL; i = (i + 1) & (m->cap - 1)) {
        size_t home = hash(&m->slots[i].uuid) & (m->cap - 1);
        if (((i - home) & (m->cap - 1)) >= ((i - hole) & (m->cap - 1))) {
            m->slots[hole] = m->slots[i];
            m->slots[i].value = NULL;
            hole = i;
        }
    }
    return value;
}
