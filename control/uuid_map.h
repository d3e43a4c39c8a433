/* A hash map from UUID to pointer, with open addressing. The pointers belong to the caller. Pure. */
#ifndef HF_CONTROL_UUID_MAP_H
#define HF_CONTROL_UUID_MAP_H

#include <stddef.h>

#include "base/uuid.h"

struct hf_uuid_map_slot {
    struct hf_uuid uuid;
    void *value; /* NULL: free */
};

/* All zero is an empty map. */
struct hf_uuid_map {
    struct hf_uuid_map_slot *slots;
    size_t cap; /* a power of two, or 0 */
    size_t len;
};

void hf_uuid_map_done(struct hf_uuid_map *m);
void *hf_uuid_map_get(const struct hf_uuid_map *m, const struct hf_uuid *uuid);
/* value must not be NULL; replaces an earlier one. */
void hf_uuid_map_set(struct hf_uuid_map *m, const struct hf_uuid *uuid, void *value);
/* Returns what was there, or NULL. */
void *hf_uuid_map_remove(struct hf_uuid_map *m, const struct hf_uuid *uuid);

#endif
