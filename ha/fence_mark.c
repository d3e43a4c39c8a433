#include "ha/fence_mark.h"

#include <inttypes.h>
#include <stdio.h>

char *hf_fence_mark_name(const struct hf_uuid *host, uint64_t epoch, char out[HF_FENCE_MARK_NAME_MAX])
{
    char hex[HF_UUID_STR];
    snprintf(out, HF_FENCE_MARK_NAME_MAX, "fence-mark-kvm-host-%s-%" PRIu64 ".fm", hf_uuid_format(host, hex),
             epoch);
    return out;
}

bool hf_fence_mark_is_set(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] != 0)
            return true;
    }
    return false;
}
