/* UUIDs: 16 bytes inside, 32 lower-case hex digits outside (as the names of libvirt domains). */
#ifndef HF_BASE_UUID_H
#define HF_BASE_UUID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/env.h"

struct hf_uuid {
    uint8_t b[16];
};

#define HF_UUID_STR 33 /* with the end mark */

/* A random version 4 UUID. */
struct hf_uuid hf_uuid_new(struct hf_env *env);

/* The same UUID for the same text, for ever (SHA-256 of the text, marked as version 8). */
struct hf_uuid hf_uuid_of_text(const char *text);

/* Takes 32 hex digits of either case, or the form with four hyphens. */
bool hf_uuid_parse(const char *text, struct hf_uuid *ret);

/* Writes 32 lower-case digits and the end mark; returns out. */
char *hf_uuid_format(const struct hf_uuid *u, char out[HF_UUID_STR]);

static inline bool hf_uuid_equal(const struct hf_uuid *a, const struct hf_uuid *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

bool hf_uuid_is_zero(const struct hf_uuid *u);

#endif
