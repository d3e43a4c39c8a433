/* Who this host is: a UUID and a secret, made at the first start and kept in <state dir>/identity (mode
 * 0600). The control plane stores the secret's hash when the host is added; who has the file is the host.
 */
#ifndef HF_HOSTD_IDENTITY_H
#define HF_HOSTD_IDENTITY_H

#include "base/env.h"
#include "base/status.h"
#include "base/uuid.h"

#define HF_IDENTITY_SECRET 32

struct hf_identity {
    struct hf_uuid uuid;
    uint8_t secret[HF_IDENTITY_SECRET];
};

/* Reads it, or makes it when there is none (and the directory). A file that is damaged or that others can
 * read is refused with a sentence, never replaced. Blocks: call it before the loop. */
hf_status hf_identity_load(struct hf_env *env, const char *state_dir, struct hf_identity *ret) HF_MUST_USE;

#endif
