/* What the fakes of pools in memory share (rbd_volume_test.c, rbd_snapshot_test.c): calls that are counted,
 * one of which fails, or is done while its answer gets lost. */
#ifndef HF_STORAGE_FAKE_CALLS_H
#define HF_STORAGE_FAKE_CALLS_H

#include "base/status.h"

struct fake_calls {
    int n;       /* so far */
    int lose_at; /* the answer of this call is lost after it was done; 0: none */
    int fail_at; /* this call is not done */
};

static inline hf_status fake_begin(struct fake_calls *f)
{
    return ++f->n == f->fail_at ? hf_error(HF_IO, "call %d fails", f->n) : HF_STATUS_OK;
}

static inline hf_status fake_end(const struct fake_calls *f)
{
    return f->n == f->lose_at ? hf_error(HF_TIMEOUT, "the answer of call %d is lost", f->n) : HF_STATUS_OK;
}

#endif
