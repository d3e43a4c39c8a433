#include "base/uuid.h"

#include <ctype.h>
#include <openssl/sha.h>

#include "base/assert.h"

static void mark(struct hf_uuid *u, unsigned version)
{
    u->b[6] = (uint8_t)((u->b[6] & 0x0f) | (version << 4));
    u->b[8] = (uint8_t)((u->b[8] & 0x3f) | 0x80);
}

struct hf_uuid hf_uuid_new(struct hf_env *env)
{
    struct hf_uuid u;
    hf_env_random(env, u.b, sizeof u.b);
    mark(&u, 4);
    return u;
}

struct hf_uuid hf_uuid_of_text(const char *text)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)text, strlen(text), digest);
    struct hf_uuid u;
    memcpy(u.b, digest, sizeof u.b);
    mark(&u, 8);
    return u;
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool hyphen_stands_here(size_t digits_read)
{
    return digits_read == 8 || digits_read == 12 || digits_read == 16 || digits_read == 20;
}

bool hf_uuid_parse(const char *text, struct hf_uuid *ret)
{
    if (!text)
        return false;
    size_t len = strnlen(text, 40);
    bool hyphens = len == 36;
    if (len != 32 && !hyphens)
        return false;
    struct hf_uuid u = {{0}};
    size_t digits = 0;
    for (const char *p = text; *p; p++) {
        if (hyphens && *p == '-' && hyphen_stands_here(digits) && p > text && p[-1] != '-')
            continue;
        int n = nibble(*p);
        if (n < 0 || digits == 32)
            return false;
        u.b[digits / 2] = (uint8_t)(u.b[digits / 2] << 4 | n);
        digits++;
    }
    if (digits != 32)
        return false;
    *ret = u;
    return true;
}

char *hf_uuid_format(const struct hf_uuid *u, char out[HF_UUID_STR])
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof u->b; i++) {
        out[2 * i] = hex[u->b[i] >> 4];
        out[2 * i + 1] = hex[u->b[i] & 15];
    }
    out[32] = '\0';
    return out;
}

bool hf_uuid_is_zero(const struct hf_uuid *u)
{
    static const struct hf_uuid zero;
    return hf_uuid_equal(u, &zero);
}
