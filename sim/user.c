#include "sim/user.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

/* What a client does next, by weight. */
struct choice {
    unsigned weight;
    void (*act)(struct sim_user *u);
};

static const struct choice choices[] = {
    {30, sim_user_power},           {4, sim_user_create_instance},
    {4, sim_user_delete_instance},  {8, sim_user_update_instance},
    {14, sim_user_get_instance},    {3, sim_user_list_instances},
    {6, sim_user_settle_doubt},     {8, sim_user_get_shared},
    {10, sim_user_update_shared},   {4, sim_user_mark},
    {4, sim_user_get_mark},         {16, sim_user_follow_operation},
    {2, sim_user_cancel_operation}, {3, sim_user_wrong},
    {5, sim_user_volume},           {2, sim_user_host},
};

#define CHOICES (sizeof choices / sizeof choices[0])

char *sim_user_id(struct sim_user *u, char id[HF_UUID_STR])
{
    struct hf_uuid uuid = hf_uuid_new(&u->client.proc.env);
    return hf_uuid_format(&uuid, id);
}

void sim_user_text(struct sim_user *u, char *text, size_t len)
{
    snprintf(text, len, "%s-%u", u->client.proc.name, ++u->names);
}

static void choose(struct sim_user *u)
{
    unsigned sum = 0;
    for (size_t i = 0; i < CHOICES; i++)
        sum += choices[i].weight;
    uint64_t at = sim_rng_below(&u->rng, sum);
    for (size_t i = 0; i < CHOICES; i++) {
        if (at < choices[i].weight) {
            choices[i].act(u);
            return;
        }
        at -= choices[i].weight;
    }
}

static void next(void *arg);

static void arm(struct sim_user *u)
{
    int64_t mean_ms = u->client.w->profile.request_ms;
    hf_timer_start(&u->client.proc.env, &u->next, sim_rng_between(&u->rng, 0, 2 * mean_ms), next, u);
}

static void next(void *arg)
{
    struct sim_user *u = arg;
    if (u->l->ended && u->disabled_host[0] == '\0')
        return;
    if (u->l->ended)
        sim_user_enable_host(u);
    else if (u->n_sent < SIM_USER_SENT_MAX)
        choose(u);
    arm(u);
}

/* --- life --- */

void sim_user_init(struct sim_user *u, struct sim_workload *l, unsigned number)
{
    char name[SIM_PROC_NAME];
    snprintf(name, sizeof name, "c%u", number + 1);
    u->l = l;
    u->number = number;
    u->rng = sim_rng_make(sim_seed(l->w->sim), "user", number);
    LIST_INIT(&u->sent);
    sim_client_init(&u->client, l->w, name, number + 1);
}

/* The first instances are dealt out in turn. */
static void take_first_instances(struct sim_user *u)
{
    const struct sim_cloud *cloud = sim_setup_cloud(u->l->setup);
    unsigned all = u->l->w->sizes.instances;
    u->known = hf_alloc_array(all / u->l->n_users + 1 + SIM_USER_EXTRA, sizeof *u->known);
    for (unsigned i = u->number; i < all; i += u->l->n_users) {
        struct sim_known *k = &u->known[u->n_known++];
        *k = (struct sim_known){
            .state = SIM_KNOWN_THERE, .local = cloud->instances[i].local, .power = SIM_POWER_RUNS};
        snprintf(k->uuid, sizeof k->uuid, "%s", cloud->instances[i].uuid);
        snprintf(k->name, sizeof k->name, "%s", cloud->instances[i].name);
    }
    u->n_known += SIM_USER_EXTRA;
}

static void begin(void *arg)
{
    arm(arg);
}

void sim_user_begin(struct sim_user *u)
{
    take_first_instances(u);
    sim_proc_post(&u->client.proc, 0, begin, NULL, u);
}

void sim_user_stop(struct sim_user *u)
{
    sim_client_done(&u->client);
    sim_user_forget_sent(u);
}

void sim_user_done(struct sim_user *u)
{
    free(u->known);
}
