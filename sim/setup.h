/* The administrator of a simulated cloud: makes everything that it needs through the API, in a fixed order of
 * steps, each with some requests at a time, and waits until all hosts are connected and all first instances
 * run. Nodes and hosts may come up meanwhile: what they cannot answer yet is asked again.
 */
#ifndef HF_SIM_SETUP_H
#define HF_SIM_SETUP_H

#include "holdfast/v1/common.pb-c.h"
#include "sim/client.h"

/* What was made; UUIDs as text. */
struct sim_first_instance {
    char uuid[HF_UUID_STR], name[24];
    bool local; /* on LocalStorage */
};
struct sim_cloud {
    char zone[HF_UUID_STR], cluster[HF_UUID_STR], l2[HF_UUID_STR], l3[HF_UUID_STR], offering[HF_UUID_STR],
        image[HF_UUID_STR];
    char group[HF_UUID_STR];                          /* a hard anti-affinity group */
    char storages[SIM_STORAGES_MAX + 1][HF_UUID_STR]; /* the shared ones, then the local one */
    struct sim_first_instance *instances;             /* sizes.instances of them */
};

struct sim_setup;

/* What the instance of this name chooses, NULL: what the cluster does. Nothing in a world without Ceph. */
Holdfast__V1__Takeover sim_draw_takeover(const struct sim_world *w, const char *instance);


struct sim_setup *sim_setup_create(struct sim_world *w);
void sim_setup_begin(struct sim_setup *s);
bool sim_setup_ready(const struct sim_setup *s);
/* A request was refused for good: a sentence; NULL while all is well. */
const char *sim_setup_failure(const struct sim_setup *s);
const char *sim_setup_waits_for(const struct sim_setup *s);
const struct sim_cloud *sim_setup_cloud(const struct sim_setup *s);
uint64_t sim_setup_answered(const struct sim_setup *s);
/* Ends its process, while there is a queue. */
void sim_setup_stop(struct sim_setup *s);
void sim_setup_free(struct sim_setup *s);

#endif
