#include "sim/workload.h"

#include <stdlib.h>

#include "base/mem.h"
#include "sim/user.h"
#include "sim/watcher.h"

struct sim_workload *sim_workload_create(struct sim_world *w)
{
    struct sim_workload *l = HF_NEW(struct sim_workload);
    l->w = w;
    l->setup = sim_setup_create(w);
    l->n_users = w->sizes.clients;
    l->users = hf_alloc_array(l->n_users + 1, sizeof *l->users);
    for (unsigned i = 0; i < l->n_users; i++)
        sim_user_init(&l->users[i], l, i);
    if (l->n_users > 0)
        l->watcher = sim_watcher_create(w);
    return l;
}

void sim_workload_stop(struct sim_workload *l)
{
    sim_setup_stop(l->setup);
    for (unsigned i = 0; i < l->n_users; i++)
        sim_user_stop(&l->users[i]);
    if (l->watcher != NULL)
        sim_watcher_stop(l->watcher);
}

void sim_workload_free(struct sim_workload *l)
{
    for (unsigned i = 0; i < l->n_users; i++)
        sim_user_done(&l->users[i]);
    free(l->users);
    if (l->watcher != NULL)
        sim_watcher_free(l->watcher);
    sim_setup_free(l->setup);
    free(l);
}

void sim_workload_set_up(struct sim_workload *l)
{
    sim_setup_begin(l->setup);
}

bool sim_workload_ready(const struct sim_workload *l)
{
    return sim_setup_ready(l->setup);
}

hf_status sim_workload_error(const struct sim_workload *l)
{
    const char *failure = sim_setup_failure(l->setup);
    return failure == NULL ? HF_STATUS_OK : hf_error(HF_INTERNAL, "set up the cloud: %s", failure);
}

const char *sim_workload_waits_for(const struct sim_workload *l)
{
    return sim_setup_waits_for(l->setup);
}

void sim_workload_begin(struct sim_workload *l)
{
    for (unsigned i = 0; i < l->n_users; i++)
        sim_user_begin(&l->users[i]);
    if (l->watcher != NULL)
        sim_watcher_begin(l->watcher);
}

void sim_workload_end(struct sim_workload *l)
{
    l->ended = true;
    if (l->watcher != NULL)
        sim_watcher_end(l->watcher);
}

uint64_t sim_workload_requests(const struct sim_workload *l)
{
    uint64_t answered = sim_setup_answered(l->setup);
    for (unsigned i = 0; i < l->n_users; i++)
        answered += l->users[i].client.answered;
    return answered;
}
