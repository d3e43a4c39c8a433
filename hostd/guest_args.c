#include "hostd/guest_args.h"

#include <stdio.h>
#include <string.h>

const char *hf_guest_args_next(const char *args, size_t len, const char *from, const char *option)
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

bool hf_guest_args_match(const char *args, size_t len, struct hf_uuid *ret)
{
    struct hf_uuid by_name, by_uuid;
    char hex[HF_UUID_STR] = "";
    if (len == 0 || args[len - 1] != '\0')
        return false;
    const char *name = hf_guest_args_next(args, len, args, "-name"),
               *uuid = hf_guest_args_next(args, len, args, "-uuid");
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
