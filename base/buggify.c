/* Compiled with HF_SIM only. */
#include "base/buggify.h"

#include <string.h>

#include "base/assert.h"

bool hf_buggify_on[HF_BUGGIFY_POINTS_END];

static bool (*draw_hook)(void *arg, enum hf_buggify_point p);
static void *draw_arg;
static uint64_t taken[HF_BUGGIFY_POINTS_END];

static const struct hf_buggify_info points[] = {
#define INFO(name, what) {#name, what},
    HF_BUGGIFY_POINTS(INFO)
#undef INFO
};

const struct hf_buggify_info *hf_buggify_at(size_t i)
{
    return i < HF_BUGGIFY_POINTS_END ? &points[i] : NULL;
}

bool hf_buggify_find(const char *name, enum hf_buggify_point *ret)
{
    for (size_t i = 0; i < HF_BUGGIFY_POINTS_END; i++) {
        if (strcmp(points[i].name, name) == 0) {
            *ret = (enum hf_buggify_point)i;
            return true;
        }
    }
    return false;
}

void hf_buggify_set(enum hf_buggify_point p, bool on)
{
    HF_ASSERT(p < HF_BUGGIFY_POINTS_END);
    hf_buggify_on[p] = on;
}

void hf_buggify_hook(bool (*draw)(void *arg, enum hf_buggify_point p), void *arg)
{
    draw_hook = draw;
    draw_arg = arg;
}

void hf_buggify_reset(void)
{
    memset(hf_buggify_on, 0, sizeof hf_buggify_on);
    memset(taken, 0, sizeof taken);
    hf_buggify_hook(NULL, NULL);
}

uint64_t hf_buggify_taken(enum hf_buggify_point p)
{
    HF_ASSERT(p < HF_BUGGIFY_POINTS_END);
    return taken[p];
}

bool hf_buggify_draw(enum hf_buggify_point p)
{
    if (draw_hook == NULL || !draw_hook(draw_arg, p))
        return false;
    taken[p]++;
    return true;
}
