/* The points of base/buggify.h by name, also in a build that compiles none of them in: schedules that name
 * them can be read everywhere. There, setting one does nothing.
 */
#ifndef HF_SIM_POINTS_H
#define HF_SIM_POINTS_H

#include <stdbool.h>

#include "base/buggify.h"
#include "sim/sim.h"

#define SIM_POINT_PPM 250000 /* how often a point that is on is taken */

const char *sim_point_name(enum hf_buggify_point p);
bool sim_point_find(const char *name, enum hf_buggify_point *ret);
void sim_point_set(enum hf_buggify_point p, bool on);
/* Points are drawn from this stream of random numbers from now on; NULL: all are off and nothing is drawn. */
void sim_points_draw_from(struct sim_rng *r);

#endif
