#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ha/fence_mark.h"

void hf_fence_mark_encode(const struct hf_uuid *host, uint64_t epoch, uint8_t block[HF_FENCE_MARK_BYTES])
{
    char hex[HF_UUID_STR];
    memset(block, 0, HF_FENCE_MARK_BYTES);
    snprintf((char *)block, HF_FENCE_MARK_BYTES,
             "Holdfast: epoch %" PRIu64 " of host %s is fenced for ever.\n", epoch,
             hf_uuid_format(host, hex));
}
