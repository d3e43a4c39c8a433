/* One transaction of nftables, in the calling thread's network namespace. Blocks. */
#ifndef HF_NET_NFT_H
#define HF_NET_NFT_H

#include "base/status.h"

hf_status hf_nft_apply(const char *rules) HF_MUST_USE;

#endif
