/* The inside of fence_decide.h, shared by fence_decide.c and fence_block.c. */
#ifndef HF_HA_FENCE_DECIDE_PRIV_H
#define HF_HA_FENCE_DECIDE_PRIV_H

#include "base/status.h"
#include "ha/fence_decide.h"

/* One run of hf_fence_decide(). */
struct hf_fence_plan {
    const struct hf_fence_view *view;
    struct hf_fence_action *list;
    size_t n, max;
    size_t lost, counted; /* hosts without a sign of life, of those that are not proven down */
};

/* A further action; NULL when the plan is full: the next call goes on. */
struct hf_fence_action *hf_fence_plan_add(struct hf_fence_plan *p, const struct hf_fence_host *h,
                                          enum hf_fence_action_kind kind, const char *fmt, ...)
    HF_PRINTF(4, 5);
/* A person has to act or to know; a may be NULL. */
void hf_fence_plan_alarm(struct hf_fence_action *a);

/* Why silence may not be acted on now (HA is off, too many hosts are lost); NULL: nothing stands against it.
 */
const char *hf_fence_silence_problem(const struct hf_fence_plan *p, char *out, size_t len);

/* fence_block.c: of a host that is fenced, what is due on the blocklists of its storages. */
void hf_fence_decide_blocks(struct hf_fence_plan *p, const struct hf_fence_host *h);

#endif
