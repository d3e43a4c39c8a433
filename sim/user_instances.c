/* What a client does with instances: its own it starts, stops, reboots, makes and deletes; it looks at those
 * of all, and renames and describes some. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/operation.pb-c.h"
#include "sim/request.h"
#include "sim/user.h"

typedef Holdfast__V1__Instance Instance;
typedef Holdfast__V1__InstanceVerbRequest VerbRequest;

/* In a million. */
#define NAMED_HOST_PPM 50000  /* starts on a host of the client's choice */
#define NEVER_STOP_PPM 800000 /* of what is asked for on shared storage */
#define LOCAL_PPM      150000
#define STALE_PPM      100000 /* reads that do not wait for a barrier: of no use to the history */

/* One of the user's instances in this state, drawn; NULL: there is none. */
static struct sim_known *draw(struct sim_user *by, struct sim_user *u, enum sim_known_state state)
{
    size_t first = u->n_known > 0 ? (size_t)sim_rng_below(&by->rng, u->n_known) : 0;
    for (size_t i = 0; i < u->n_known; i++) {
        struct sim_known *k = &u->known[(first + i) % u->n_known];
        if (k->state == state)
            return k;
    }
    return NULL;
}

struct sim_known *sim_user_draw_own(struct sim_user *u, enum sim_known_state state)
{
    return draw(u, u, state);
}

static struct sim_known *draw_any(struct sim_user *u)
{
    struct sim_workload *l = u->l;
    return draw(u, &l->users[sim_rng_below(&u->rng, l->n_users)], SIM_KNOWN_THERE);
}

/* --- power --- */

struct verb {
    const char *method;
    bool force;
    enum sim_power before, after;
    unsigned weight; /* among the verbs that fit */
};

/* Some are refused, or come true by chance: the owner's belief may be wrong. */
static const struct verb verbs[] = {
    {"StopInstance", false, SIM_POWER_RUNS, SIM_POWER_STOPPED, 20},
    {"StopInstance", true, SIM_POWER_RUNS, SIM_POWER_STOPPED, 10},
    {"RebootInstance", false, SIM_POWER_RUNS, SIM_POWER_RUNS, 20},
    {"RebootInstance", true, SIM_POWER_RUNS, SIM_POWER_RUNS, 10},
    {"PauseInstance", false, SIM_POWER_RUNS, SIM_POWER_PAUSED, 6},
    {"MigrateInstance", false, SIM_POWER_RUNS, SIM_POWER_RUNS, 24},
    {"StartInstance", false, SIM_POWER_RUNS, SIM_POWER_RUNS, 2},
    {"StartInstance", false, SIM_POWER_STOPPED, SIM_POWER_RUNS, 60},
    {"StopInstance", true, SIM_POWER_STOPPED, SIM_POWER_STOPPED, 2},
    {"ResumeInstance", false, SIM_POWER_PAUSED, SIM_POWER_RUNS, 40},
    {"StopInstance", false, SIM_POWER_PAUSED, SIM_POWER_STOPPED, 4},
    {"MigrateInstance", false, SIM_POWER_PAUSED, SIM_POWER_PAUSED, 2},
    {"StopInstance", true, SIM_POWER_PAUSED, SIM_POWER_STOPPED, 8},
    {"RebootInstance", false, SIM_POWER_PAUSED, SIM_POWER_PAUSED, 2},
};

#define VERBS (sizeof verbs / sizeof verbs[0])

static unsigned weight_of(const struct verb *v, enum sim_power before)
{
    return v->before == before ? v->weight : 0;
}

static const struct verb *draw_verb(struct sim_user *u, enum sim_power before)
{
    unsigned sum = 0;
    for (size_t i = 0; i < VERBS; i++)
        sum += weight_of(&verbs[i], before);
    uint64_t at = sim_rng_below(&u->rng, sum);
    size_t i = 0;
    for (; at >= weight_of(&verbs[i], before); i++)
        at -= weight_of(&verbs[i], before);
    return &verbs[i];
}

static void verb_done(struct sim_user *u, void *thing, const struct sim_answer *a)
{
    (void)thing;
    sim_user_told(u, a);
}

void sim_user_power(struct sim_user *u)
{
    struct sim_known *k = draw(u, u, SIM_KNOWN_THERE);
    if (k == NULL)
        return;
    const struct verb *v = draw_verb(u, k->power);
    char id[HF_UUID_STR], host[HF_UUID_STR];
    VerbRequest *m = (VerbRequest *)(void *)sim_request_new(&holdfast__v1__instance_verb_request__descriptor);
    sim_request_set(&m->base, "request_id", sim_user_id(u, id));
    sim_request_set(&m->base, "uuid", k->uuid);
    m->force = v->force;
    bool elsewhere = strcmp(v->method, "StartInstance") == 0 || strcmp(v->method, "MigrateInstance") == 0;
    if (elsewhere && !k->local && sim_rng_chance(&u->rng, NAMED_HOST_PPM)) {
        struct sim_world *w = u->client.w;
        hf_uuid_format(sim_host_uuid(w->hosts[sim_rng_below(&u->rng, w->sizes.hosts)]), host);
        sim_request_set(&m->base, "host_uuid", host);
    }
    k->power = v->after;
    struct sim_request r = {.service = "Instance",
                            .method = v->method,
                            .take_message = &m->base,
                            .recorded = true,
                            .kind = SIM_OP_WRITE,
                            .object = k->uuid,
                            .label = k->name,
                            .done = verb_done};
    sim_user_send(u, &r);
}

/* --- create, delete --- */

static void create_done(struct sim_user *u, void *thing, const struct sim_answer *a)
{
    struct sim_known *k = thing;
    sim_user_told(u, a);
    if (a->code == HF_OK) {
        snprintf(k->uuid, sizeof k->uuid, "%s",
                 ((const Holdfast__V1__Operation *)(const void *)a->message)->target_uuid);
        k->state = SIM_KNOWN_THERE;
    } else {
        k->state = a->doubt ? SIM_KNOWN_DOUBT : SIM_KNOWN_NONE;
    }
}

static void fill_in(struct sim_user *u, struct sim_known *k, Instance *m)
{
    const struct sim_cloud *cloud = sim_setup_cloud(u->l->setup);
    unsigned shared = u->client.w->sizes.shared_storages;
    Holdfast__V1__InstanceSpec *spec =
        (Holdfast__V1__InstanceSpec *)(void *)sim_request_sub(&m->base, "spec");
    hf_pb_set(&spec->instance_offering_uuid, cloud->offering);
    hf_pb_set(&spec->image_uuid, cloud->image);
    spec->l3_network_uuids = hf_alloc(sizeof *spec->l3_network_uuids);
    spec->l3_network_uuids[0] = hf_strdup(cloud->l3);
    spec->n_l3_network_uuids = 1;
    k->local = shared == 0 || sim_rng_chance(&u->rng, LOCAL_PPM);
    hf_pb_set(&spec->primary_storage_uuid,
              cloud->storages[k->local ? shared : sim_rng_below(&u->rng, shared)]);
    if (!k->local && sim_rng_chance(&u->rng, NEVER_STOP_PPM))
        spec->ha_level = HOLDFAST__V1__HA_LEVEL__NEVER_STOP;
    spec->takeover = sim_draw_takeover(u->client.w, k->name);
}

void sim_user_create_instance(struct sim_user *u)
{
    struct sim_known *k = draw(u, u, SIM_KNOWN_NONE);
    if (k == NULL)
        return;
    char id[HF_UUID_STR];
    ProtobufCMessage *object;
    *k = (struct sim_known){.state = SIM_KNOWN_ASKED, .extra = true, .power = SIM_POWER_RUNS};
    sim_user_text(u, k->name, sizeof k->name);
    ProtobufCMessage *m = sim_request_create(&holdfast__v1__create_instance_request__descriptor,
                                             sim_user_id(u, id), k->name, &object);
    fill_in(u, k, (Instance *)(void *)object);
    struct sim_request r = {.service = "Instance",
                            .method = "CreateInstance",
                            .take_message = m,
                            .recorded = true,
                            .kind = SIM_OP_WRITE,
                            .label = k->name,
                            .done = create_done,
                            .thing = k};
    sim_user_send(u, &r);
}

static void delete_done(struct sim_user *u, void *thing, const struct sim_answer *a)
{
    struct sim_known *k = thing;
    sim_user_told(u, a);
    if (a->code != HF_OK && !a->doubt)
        k->state = a->code == HF_NOT_FOUND ? SIM_KNOWN_NONE : SIM_KNOWN_THERE;
}

void sim_user_delete_instance(struct sim_user *u)
{
    struct sim_known *k = draw(u, u, SIM_KNOWN_THERE);
    if (k == NULL || !k->extra)
        return;
    char id[HF_UUID_STR];
    k->state = SIM_KNOWN_LEAVING;
    struct sim_request r = {.service = "Instance",
                            .method = "DeleteInstance",
                            .take_message = sim_request_delete(sim_user_id(u, id), k->uuid, 0),
                            .recorded = true,
                            .kind = SIM_OP_DELETE,
                            .object = k->uuid,
                            .label = k->name,
                            .done = delete_done,
                            .thing = k};
    sim_user_send(u, &r);
}

/* --- what became of those in doubt, and of those that leave --- */

static void doubt_done(struct sim_user *u, void *thing, const struct sim_answer *a)
{
    (void)u;
    struct sim_known *k = thing;
    const Instance *i = (const Instance *)(const void *)a->message;
    if (a->code == HF_OK && !i->spec->deleting) {
        snprintf(k->uuid, sizeof k->uuid, "%s", i->meta->uuid);
        k->state = SIM_KNOWN_THERE;
    } else if (a->code == HF_NOT_FOUND) {
        k->state = SIM_KNOWN_NONE;
    }
}

void sim_user_settle_doubt(struct sim_user *u)
{
    struct sim_known *k = draw(u, u, SIM_KNOWN_DOUBT);
    if (k == NULL)
        k = draw(u, u, SIM_KNOWN_LEAVING);
    if (k == NULL)
        return;
    bool doubt = k->state == SIM_KNOWN_DOUBT;
    struct sim_request r = {.service = "Instance",
                            .method = "GetInstance",
                            .take_message =
                                sim_request_get(doubt ? "" : k->uuid, doubt ? k->name : "", false),
                            .recorded = true,
                            .kind = SIM_OP_READ,
                            .object = doubt ? NULL : k->uuid,
                            .label = k->name,
                            .done = doubt_done,
                            .thing = k};
    sim_user_send(u, &r);
}

/* --- update --- */

static void update(struct sim_user *u, const struct sim_known *k, const char *path, enum hf_code refusal)
{
    char id[HF_UUID_STR], text[32];
    ProtobufCMessage *object;
    ProtobufCMessage *m = sim_request_update(&holdfast__v1__update_instance_request__descriptor,
                                             sim_user_id(u, id), k->uuid, 0, path, &object);
    Instance *i = (Instance *)(void *)object;
    sim_user_text(u, text, sizeof text);
    if (strcmp(path, "meta.name") == 0) {
        hf_pb_set(&i->meta->name, text);
    } else if (strcmp(path, "meta.description") == 0) {
        hf_pb_set(&i->meta->description, text);
    } else {
        Holdfast__V1__InstanceSpec *spec =
            (Holdfast__V1__InstanceSpec *)(void *)sim_request_sub(object, "spec");
        spec->ha_level = refusal != HF_OK || sim_rng_chance(&u->rng, NEVER_STOP_PPM)
                             ? HOLDFAST__V1__HA_LEVEL__NEVER_STOP
                             : HOLDFAST__V1__HA_LEVEL__HA_NONE;
    }
    struct sim_request r = {.service = "Instance",
                            .method = "UpdateInstance",
                            .take_message = m,
                            .recorded = true,
                            .kind = SIM_OP_WRITE,
                            .object = k->uuid,
                            .label = k->name,
                            .refusal = refusal};
    sim_user_send(u, &r);
}

void sim_user_update_instance(struct sim_user *u)
{
    uint64_t what = sim_rng_below(&u->rng, 4);
    struct sim_known *k = what == 3 ? draw_any(u) : draw(u, u, SIM_KNOWN_THERE);
    if (k == NULL)
        return;
    if (what == 0)
        update(u, k, "spec.ha_level", k->local ? HF_PRECONDITION : HF_OK);
    else
        update(u, k, what == 1 ? "meta.name" : "meta.description", HF_OK);
}

/* --- reads --- */

void sim_user_get_instance(struct sim_user *u)
{
    const struct sim_known *k = draw_any(u);
    if (k == NULL)
        return;
    bool stale = sim_rng_chance(&u->rng, STALE_PPM);
    struct sim_request r = {.service = "Instance",
                            .method = "GetInstance",
                            .take_message = sim_request_get(k->uuid, "", stale),
                            .recorded = !stale,
                            .kind = SIM_OP_READ,
                            .object = k->uuid,
                            .label = k->name};
    sim_user_send(u, &r);
}

/* The history judges one instance of the list. */
void sim_user_list_instances(struct sim_user *u)
{
    const struct sim_known *k = draw_any(u);
    if (k == NULL)
        return;
    Holdfast__V1__ListRequest *m =
        (Holdfast__V1__ListRequest *)(void *)sim_request_new(&holdfast__v1__list_request__descriptor);
    m->page_size = (int32_t)sim_rng_between(&u->rng, 1, 20);
    struct sim_request r = {.service = "Instance",
                            .method = "ListInstances",
                            .take_message = &m->base,
                            .recorded = true,
                            .kind = SIM_OP_READ,
                            .object = k->uuid,
                            .label = k->name};
    sim_user_send(u, &r);
}
