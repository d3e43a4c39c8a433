#include "sim/points.h"

#include <string.h>

static const char *const names[] = {
#define NAME(name, what) #name,
    HF_BUGGIFY_POINTS(NAME)
#undef NAME
};

const char *sim_point_name(enum hf_buggify_point p)
{
    return names[p];
}

bool sim_point_find(const char *name, enum hf_buggify_point *ret)
{
    for (unsigned i = 0; i < HF_BUGGIFY_POINTS_END; i++) {
        if (strcmp(names[i], name) == 0) {
            *ret = (enum hf_buggify_point)i;
            return true;
        }
    }
    return false;
}

#ifdef HF_SIM

static bool draw(void *arg, enum hf_buggify_point p)
{
    (void)p;
    return sim_rng_chance(arg, SIM_POINT_PPM);
}

void sim_point_set(enum hf_buggify_point p, bool on)
{
    hf_buggify_set(p, on);
}

void sim_points_draw_from(struct sim_rng *r)
{
    hf_buggify_reset();
    if (r)
        hf_buggify_hook(draw, r);
}

#else

void sim_point_set(enum hf_buggify_point p, bool on)
{
    (void)p;
    (void)on;
}

void sim_points_draw_from(struct sim_rng *r)
{
    (void)r;
}

#endif
