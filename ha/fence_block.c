/* Rule 15: the life that is fenced goes on the blocklist of each storage that has one, and stays there. */
#include "ha/fence_decide_priv.h"

typedef unsigned long long ull;

/* Its own word, or a person's, that nothing of it runs: nobody needs to be held off. */
static bool has_given_word(const struct hf_fence_host *h, const struct hf_fence_storage *s)
{
    return s->block.needless || h->operator_word != NULL || h->closed_and_killed || s->sign.closed_and_killed;
}

/* To be begun, gone on with, or renewed. What silence or power proves does not end the wish before it is
 * there: a restart waits for both. Once it is there it is renewed until the life is proven over. */
static bool is_due(const struct hf_fence_host *h, const struct hf_fence_storage *s)
{
    if (!s->block.possible || has_given_word(h, s))
        return false;
    switch (s->block.state) {
    case HF_BLOCK_NONE:
        return !h->contact && !h->at_rest;
    case HF_BLOCK_WANTED:
        return true;
    case HF_BLOCK_ADDED:
        return !h->proven && !s->proven;
    }
    return false;
}

static void decide_block(struct hf_fence_plan *p, const struct hf_fence_host *h,
                         const struct hf_fence_storage *s)
{
    char text[256];
    const struct hf_fence_block *b = &s->block;
    const char *problem = b->state == HF_BLOCK_NONE ? hf_fence_silence_problem(p, text, sizeof text) : NULL;
    struct hf_fence_action *a;
    if (problem != NULL) {
        hf_fence_plan_alarm(hf_fence_plan_add(
            p, h, HF_FENCE_HOLD, "fenced, but %s: it is not put on the blocklist of '%s'", problem, s->name));
        return;
    }
    if (b->state == HF_BLOCK_WANTED && b->confirmed) {
        a = hf_fence_plan_add(p, h, HF_FENCE_EVIDENCE, "it cannot write on '%s', whose cluster lists %s",
                              s->name, b->entries);
        if (a)
            a->evidence = HF_EVIDENCE_BLOCKLIST;
    } else {
        a = hf_fence_plan_add(p, h, HF_FENCE_BLOCKLIST,
                              "put it on the blocklist of '%s': epoch %llu is fenced", s->name,
                              (ull)h->epoch);
    }
    if (a)
        a->storage = s->uuid;
    if (b->state == HF_BLOCK_ADDED && b->shared_with != NULL && h->write_fenced)
        hf_fence_plan_add(p, h, HF_FENCE_HOLD,
                          "fenced; '%s' refuses single clients of it, as an address is shared with %s: "
                          "write-fenced instances wait as strict ones do",
                          s->name, b->shared_with);
    if (b->trouble != NULL)
        hf_fence_plan_alarm(hf_fence_plan_add(
            p, h, HF_FENCE_HOLD, "fenced, but not on the blocklist of '%s': %s", s->name, b->trouble));
}

void hf_fence_decide_blocks(struct hf_fence_plan *p, const struct hf_fence_host *h)
{
    for (size_t i = 0; i < h->n_storages; i++)
        if (is_due(h, &h->storages[i]))
            decide_block(p, h, &h->storages[i]);
}
