#include "net/nft.h"

#include <nftables/libnftables.h>
#include <string.h>

#include "base/assert.h"

hf_status hf_nft_apply(const char *rules)
{
    struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);
    HF_ASSERT(ctx && nft_ctx_buffer_error(ctx) == 0 && nft_ctx_buffer_output(ctx) == 0);
    hf_status st = HF_STATUS_OK;
    if (nft_run_cmd_from_buffer(ctx, rules) != 0) {
        const char *why = nft_ctx_get_error_buffer(ctx);
        size_t line = strcspn(why, "\n");
        st = hf_error(HF_IO, "set packet filter rules: %.*s", (int)line, why);
    }
    nft_ctx_free(ctx);
    return st;
}
