#include "hostd/guest_args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The value behind the first such option at or after `from`, or NULL. */
static const char *next_value(const char *args, size_t len, const char *from, const char *option)
{
    const char *end = args + len;
    while (from < end) {
        const char *next = from + strnlen(from, (size_t)(end - from)) + 1;
        if (strcmp(from, option) == 0)
            return next < end ? next : NULL;
        from = next;
    }
    return NULL;
}

static const char *option_value(const char *args, size_t len, const char *option)
{
    return next_value(args, len, args, option);
}

bool hf_guest_args_match(const char *args, size_t len, struct hf_uuid *ret)
{
    struct hf_uuid by_name, by_uuid;
    char hex[HF_UUID_STR] = "";
    if (len == 0 || args[len - 1] != '\0')
        return false;
    const char *name = option_value(args, len, "-name"), *uuid = option_value(args, len, "-uuid");
    if (!name || !uuid || strncmp(name, "guest=", 6) != 0)
        return false;
    snprintf(hex, sizeof hex, "%.32s", name + 6);
    char after = strlen(hex) == 32 ? name[6 + 32] : 'x';
    if ((after != '\0' && after != ',') || !hf_uuid_parse(hex, &by_name) || !hf_uuid_parse(uuid, &by_uuid) ||
        !hf_uuid_equal(&by_name, &by_uuid))
        return false;
    *ret = by_name;
    return true;
}

uint64_t hf_guest_args_run(const char *args, size_t len)
{
    static const char head[] = "name=" HF_GUEST_RUN_KEY ",string=";
    if (len == 0 || args[len - 1] != '\0')
        return 0;
    for (const char *v = args; (v = next_value(args, len, v, "-fw_cfg")) != NULL;) {
        const char *digits = v + sizeof head - 1;
        if (strncmp(v, head, sizeof head - 1) != 0 || digits[0] < '0' || digits[0] > '9')
            continue;
        char *end;
        unsigned long long run = strtoull(digits, &end, 10);
        return *end == '\0' ? run : 0;
    }
    return 0;
}

bool hf_guest_args_incoming(const char *args, size_t len)
{
    return len > 0 && args[len - 1] == '\0' && option_value(args, len, "-incoming") != NULL;
}
