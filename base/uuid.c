#include "base/uuid.h"

/* Value plus one of each hexadecimal digit; 0: it is none. */
static const uint8_t digit_values[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

/* Reads 2 * n digits; moves *at behind them. */
static bool read_bytes(const char **at, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++, *at += 2) {
        unsigned high = digit_values[(unsigned char)(*at)[0]];
        unsigned low = high > 0 ? digit_values[(unsigned char)(*at)[1]] : 0;
        if (low == 0)
            return false;
        out[i] = (uint8_t)((high - 1) << 4 | (low - 1));
    }
    return true;
}

bool hf_uuid_parse(const char *text, struct hf_uuid *ret)
{
    static const uint8_t groups[] = {4, 2, 2, 2, 6}; /* in bytes */
    struct hf_uuid u;
    uint8_t *out = u.b;
    if (!text)
        return false;
    bool hyphens = strnlen(text, 9) == 9 && text[8] == '-';
    for (size_t g = 0; g < sizeof groups; out += groups[g++]) {
        if (hyphens && g > 0 && *text++ != '-')
            return false;
        if (!read_bytes(&text, out, groups[g]))
            return false;
    }
    if (*text)
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
