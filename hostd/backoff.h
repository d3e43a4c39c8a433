/* Waiting times that double up to a maximum, with a quarter of jitter so that a fleet does not knock in step.
 */
#ifndef HF_HOSTD_BACKOFF_H
#define HF_HOSTD_BACKOFF_H

#include "base/buggify.h"
#include "base/env.h"

struct hf_backoff {
    unsigned next_ms; /* 0: start again at the first */
};

static inline void hf_backoff_reset(struct hf_backoff *b)
{
    b->next_ms = 0;
}

static inline unsigned hf_backoff_next(struct hf_backoff *b, struct hf_env *env, unsigned first_ms,
                                       unsigned max_ms)
{
    unsigned ms = b->next_ms ? b->next_ms : first_ms;
    uint32_t r;
    if (HF_BUGGIFY(BACKOFF_MAX))
        ms = max_ms;
    b->next_ms = ms >= max_ms / 2 ? max_ms : ms * 2;
    hf_env_random(env, &r, sizeof r);
    return ms - ms / 8 + r % (ms / 4 + 1);
}

#endif
