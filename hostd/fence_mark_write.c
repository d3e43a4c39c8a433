/* The observers' side of fence_mark_file.h: the keeper never writes a mark. */
#include <errno.h>
#include <unistd.h>

#include "hostd/fence_mark_file_priv.h"

hf_status hf_fence_mark_write(const char *dir, const struct hf_uuid *host, uint64_t epoch)
{
    struct hf_mark_file m;
    HF_TRY(hf_mark_file_open(&m, dir, host, epoch));
    hf_fence_mark_encode(host, epoch, m.block);
    ssize_t n = pwrite(m.fd, m.block, HF_FENCE_MARK_BYTES, 0);
    hf_status st = n < 0 ? hf_errno(errno, "write fence mark %s", m.path)
                   : n < HF_FENCE_MARK_BYTES
                       ? hf_error(HF_IO, "write fence mark %s: it was cut short", m.path)
                       : HF_STATUS_OK;
    hf_mark_file_close(&m);
    return st;
}
