/* What a client does with other things than instances: a few objects that all clients read and describe at
 * the same time, zones of its own that come and go, and the operations that it was told of. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "control/kinds.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/network.pb-c.h"
#include "holdfast/v1/operation.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"
#include "sim/request.h"
#include "sim/user.h"

#define GUARDED_PPM 500000 /* updates and deletes that name the revision which was seen last */

/* --- what all change --- */

struct shared {
    const char *service, *get, *update;
    const ProtobufCMessageDescriptor *request;
    size_t uuid; /* in struct sim_cloud */
};

static const struct shared shared[SIM_SHARED_KINDS] = {
    {"Zone", "GetZone", "UpdateZone", &holdfast__v1__update_zone_request__descriptor,
     offsetof(struct sim_cloud, zone)},
    {"Cluster", "GetCluster", "UpdateCluster", &holdfast__v1__update_cluster_request__descriptor,
     offsetof(struct sim_cloud, cluster)},
    {"InstanceOffering", "GetInstanceOffering", "UpdateInstanceOffering",
     &holdfast__v1__update_instance_offering_request__descriptor, offsetof(struct sim_cloud, offering)},
    {"Image", "GetImage", "UpdateImage", &holdfast__v1__update_image_request__descriptor,
     offsetof(struct sim_cloud, image)},
    {"L2Network", "GetL2Network", "UpdateL2Network", &holdfast__v1__update_l2_network_request__descriptor,
     offsetof(struct sim_cloud, l2)},
};

static const char *uuid_of(const struct sim_user *u, size_t i)
{
    return (const char *)sim_setup_cloud(u->l->setup) + shared[i].uuid;
}

static void shared_seen(struct sim_user *u, void *thing, const struct sim_answer *a)
{
    uint64_t *revision = thing;
    (void)u;
    if (a->code == HF_OK)
        *revision = hf_message_meta(a->message)->revision;
}

void sim_user_get_shared(struct sim_user *u)
{
    size_t i = (size_t)sim_rng_below(&u->rng, SIM_SHARED_KINDS);
    struct sim_request r = {.service = shared[i].service,
                            .method = shared[i].get,
                            .take_message = sim_request_get(uuid_of(u, i), "", false),
                            .recorded = true,
                            .kind = SIM_OP_READ,
                            .object = uuid_of(u, i),
                            .done = shared_seen,
                            .thing = &u->shared_revision[i]};
    sim_user_send(u, &r);
}

void sim_user_update_shared(struct sim_user *u)
{
    size_t i = (size_t)sim_rng_below(&u->rng, SIM_SHARED_KINDS);
    uint64_t revision = sim_rng_chance(&u->rng, GUARDED_PPM) ? u->shared_revision[i] : 0;
    char id[HF_UUID_STR], text[32];
    ProtobufCMessage *object;
    ProtobufCMessage *m = sim_request_update(shared[i].request, sim_user_id(u, id), uuid_of(u, i), revision,
                                             "meta.description", &object);
    sim_user_text(u, text, sizeof text);
    hf_pb_set(&hf_message_meta(object)->description, text);
    struct sim_request r = {.service = shared[i].service,
                            .method = shared[i].update,
                            .take_message = m,
                            .recorded = true,
                            .kind = SIM_OP_WRITE,
                            .object = uuid_of(u, i),
                            .done = shared_seen,
                            .thing = &u->shared_revision[i]};
    sim_user_send(u, &r);
}

/* --- hosts: one at a time takes no new instances, and in most ways of that it loses those that it has --- */

#define DISABLE_PPM 300000

static const struct duty {
    const char *out, *back;
    const ProtobufCMessageDescriptor *out_request, *back_request;
} duties[] = {
    {"DisableHost", "EnableHost", &holdfast__v1__host_verb_request__descriptor,
     &holdfast__v1__host_verb_request__descriptor},
    {"DrainHost", "UndrainHost", &holdfast__v1__drain_host_request__descriptor,
     &holdfast__v1__undrain_host_request__descriptor},
    {"EnterMaintenance", "UndrainHost", &holdfast__v1__drain_host_request__descriptor,
     &holdfast__v1__undrain_host_request__descriptor},
    {"ShutDownHost", "UndrainHost", &holdfast__v1__drain_host_request__descriptor,
     &holdfast__v1__undrain_host_request__descriptor},
};

#define DUTIES (sizeof duties / sizeof duties[0])

/* One that serves already needs no word: its drain was refused, or ended otherwise. */
static void host_enabled(struct sim_user *u, void *thing, const struct sim_answer *a)
{
    (void)thing;
    if (a->code == HF_OK || a->code == HF_PRECONDITION)
        u->disabled_host[0] = '\0';
}

static ProtobufCMessage *duty_request(struct sim_user *u, const ProtobufCMessageDescriptor *d)
{
    char id[HF_UUID_STR];
    ProtobufCMessage *m = sim_request_new(d);
    sim_request_set(m, "request_id", sim_user_id(u, id));
    sim_request_set(m, "uuid", u->disabled_host);
    if (d == &holdfast__v1__drain_host_request__descriptor)
        ((Holdfast__V1__DrainHostRequest *)(void *)m)->policy =
            sim_rng_chance(&u->rng, 500000) ? HOLDFAST__V1__HOST_SPEC__DRAIN__POLICY__STOP
                                            : HOLDFAST__V1__HOST_SPEC__DRAIN__POLICY__WAIT;
    if (d == &holdfast__v1__undrain_host_request__descriptor)
        ((Holdfast__V1__UndrainHostRequest *)(void *)m)->start_stopped = true;
    return m;
}

static void send_host(struct sim_user *u, const char *method, const ProtobufCMessageDescriptor *request,
                      void (*done)(struct sim_user *u, void *thing, const struct sim_answer *a))
{
    struct sim_request r = {.service = "Host",
                            .method = method,
                            .take_message = duty_request(u, request),
                            .recorded = true,
                            .kind = SIM_OP_WRITE,
                            .object = u->disabled_host,
                            .label = u->disabled_host,
                            .done = done};
    sim_user_send(u, &r);
}

void sim_user_enable_host(struct sim_user *u)
{
    const struct duty *d = &duties[u->duty];
    if (u->n_sent == 0)
        send_host(u, d->back, d->back_request, host_enabled);
}

/* The first client alone, so that most of the room is left. */
void sim_user_host(struct sim_user *u)
{
    const struct sim_world *w = u->client.w;
    if (u->number != 0)
        return;
    if (u->disabled_host[0] != '\0') {
        sim_user_enable_host(u);
    } else if (sim_rng_chance(&u->rng, DISABLE_PPM)) {
        hf_uuid_format(sim_host_uuid(w->hosts[sim_rng_below(&u->rng, w->sizes.hosts)]), u->disabled_host);
        u->duty = (unsigned)sim_rng_below(&u->rng, DUTIES);
        send_host(u, duties[u->duty].out, duties[u->duty].out_request, NULL);
    }
}

/* --- zones that come and go --- */

static void mark_created(struct sim_user *u, void *thing, const struct sim_answer *a)
{
    struct sim_mark *mark = thing;
    (void)u;
    if (a->code == HF_OK) {
        memcpy(mark->uuid, hf_message_meta(a->message)->uuid, sizeof mark->uuid);
        mark->state = SIM_KNOWN_THERE;
    } else {
        mark->state = a->doubt ? SIM_KNOWN_DOUBT : SIM_KNOWN_NONE;
    }
}

static void create_mark(struct sim_user *u, struct sim_mark *mark)
{
    char id[HF_UUID_STR];
    ProtobufCMessage *object;
    mark->state = SIM_KNOWN_ASKED;
    sim_user_text(u, mark->name, sizeof mark->name);
    ProtobufCMessage *m = sim_request_create(&holdfast__v1__create_zone_request__descriptor,
                                             sim_user_id(u, id), mark->name, &object);
    struct sim_request r = {.service = "Zone",
                            .method = "CreateZone",
                            .take_message = m,
                            .recorded = true,
                            .kind = SIM_OP_WRITE,
                            .label = mark->name,
                            .done = mark_created,
                            .thing = mark};
    sim_user_send(u, &r);
}

static void mark_deleted(struct sim_user *u, void *thing, const struct sim_answer *a)
{
    struct sim_mark *mark = thing;
    (void)u;
    if (a->code == HF_OK || a->code == HF_NOT_FOUND)
        mark->state = SIM_KNOWN_NONE;
    else
        mark->state = SIM_KNOWN_THERE;
}

static void delete_mark(struct sim_user *u, struct sim_mark *mark)
{
    char id[HF_UUID_STR];
    mark->state = SIM_KNOWN_LEAVING;
    struct sim_request r = {.service = "Zone",
                            .method = "DeleteZone",
                            .take_message = sim_request_delete(sim_user_id(u, id), mark->uuid, 0),
                            .recorded = true,
                            .kind = SIM_OP_DELETE,
                            .object = mark->uuid,
                            .label = mark->name,
                            .done = mark_deleted,
                            .thing = mark};
    sim_user_send(u, &r);
}

static void mark_looked_up(struct sim_user *u, void *thing, const struct sim_answer *a)
{
    if (a->code == HF_OK)
        mark_created(u, thing, a);
    else if (a->code == HF_NOT_FOUND)
        ((struct sim_mark *)thing)->state = SIM_KNOWN_NONE;
}

static void look_up_mark(struct sim_user *u, struct sim_mark *mark)
{
    struct sim_request r = {.service = "Zone",
                            .method = "GetZone",
                            .take_message = sim_request_get("", mark->name, false),
                            .recorded = true,
                            .kind = SIM_OP_READ,
                            .label = mark->name,
                            .done = mark_looked_up,
                            .thing = mark};
    sim_user_send(u, &r);
}

void sim_user_mark(struct sim_user *u)
{
    if (u->mark.state == SIM_KNOWN_NONE)
        create_mark(u, &u->mark);
    else if (u->mark.state == SIM_KNOWN_THERE)
        delete_mark(u, &u->mark);
    else if (u->mark.state == SIM_KNOWN_DOUBT)
        look_up_mark(u, &u->mark);
}

/* Somebody's, also one that has gone. */
void sim_user_get_mark(struct sim_user *u)
{
    const struct sim_mark *mark = &u->l->users[sim_rng_below(&u->rng, u->l->n_users)].mark;
    if (mark->uuid[0] == '\0')
        return;
    struct sim_request r = {.service = "Zone",
                            .method = "GetZone",
                            .take_message = sim_request_get(mark->uuid, "", false),
                            .recorded = true,
                            .kind = SIM_OP_READ,
                            .object = mark->uuid,
                            .label = mark->name};
    sim_user_send(u, &r);
}

/* --- operations --- */

#define WAIT_LOW_MS  1000
#define WAIT_HIGH_MS 30000
#define GET_PPM      400000 /* looks instead of waits */
#define REMEMBERED   800    /* below HF_OPERATIONS_KEPT_MAX */
#define REMEMBERED_S 1800   /* below the setting operation.retention */

void sim_user_told(struct sim_user *u, const struct sim_answer *a)
{
    if (a->code != HF_OK)
        return;
    const Holdfast__V1__Operation *op = (const Holdfast__V1__Operation *)(const void *)a->message;
    struct sim_told *told = &u->told[u->n_told++ % SIM_USER_OPS_MAX];
    memcpy(told->uuid, op->meta->uuid, sizeof told->uuid);
    told->told_ns = sim_now_ns(u->client.w->sim);
    u->l->told++;
    if (sim_tracing(u->client.w->sim))
        snprintf(told->what, sizeof told->what, "%s of %s", op->verb, op->target_name);
}

/* Ended operations are forgotten when there are many or, by the wall clock, when they are old. */
static bool may_be_forgotten(const struct sim_user *u, const struct sim_told *told)
{
    const struct sim_world *w = u->client.w;
    return sim_now_ns(w->sim) - told->told_ns > REMEMBERED_S * HF_S_NS || u->l->told > REMEMBERED ||
           w->faults[SIM_FAULT_WALL_JUMP] > 0;
}

/* Where it has ended nobody asks again. The place may belong to another one by now. */
static void followed(struct sim_user *u, void *thing, const struct sim_answer *a)
{
    struct sim_told *told = thing;
    struct sim_world *w = u->client.w;
    const Holdfast__V1__Operation *op = (const Holdfast__V1__Operation *)(const void *)a->message;
    if (a->code == HF_OK) {
        if (op->state != HOLDFAST__V1__OPERATION__STATE__RUNNING && strcmp(op->meta->uuid, told->uuid) == 0)
            told->uuid[0] = '\0';
    } else if (a->code == HF_NOT_FOUND && w->checks != NULL && !may_be_forgotten(u, told)) {
        sim_checks_found(w->checks, sim_now_ns(w->sim), SIM_RULE_LOST,
                         "client %s was told of an operation, and now: %s", u->client.proc.name, a->sentence);
    }
}

static struct sim_told *draw_told(struct sim_user *u)
{
    struct sim_told *told = &u->told[sim_rng_below(&u->rng, SIM_USER_OPS_MAX)];
    return told->uuid[0] != '\0' ? told : NULL;
}

void sim_user_follow_operation(struct sim_user *u)
{
    struct sim_told *told = draw_told(u);
    if (told == NULL)
        return;
    struct sim_request r = {.service = "Operation",
                            .method = "GetOperation",
                            .recorded = true,
                            .kind = SIM_OP_READ,
                            .object = told->uuid,
                            .label = told->what,
                            .done = followed,
                            .thing = told};
    if (sim_rng_chance(&u->rng, GET_PPM)) {
        r.take_message = sim_request_get(told->uuid, "", false);
    } else {
        r.method = "WaitOperation";
        r.deadline_ms = sim_rng_skewed(&u->rng, WAIT_LOW_MS, WAIT_HIGH_MS);
        r.take_message = sim_request_new(&holdfast__v1__wait_operation_request__descriptor);
        sim_request_set(r.take_message, "uuid", told->uuid);
    }
    sim_user_send(u, &r);
}

void sim_user_cancel_operation(struct sim_user *u)
{
    struct sim_told *told = draw_told(u);
    if (told == NULL)
        return;
    char id[HF_UUID_STR];
    ProtobufCMessage *m = sim_request_new(&holdfast__v1__cancel_operation_request__descriptor);
    sim_request_set(m, "request_id", sim_user_id(u, id));
    sim_request_set(m, "uuid", told->uuid);
    struct sim_request r = {.service = "Operation",
                            .method = "CancelOperation",
                            .take_message = m,
                            .recorded = true,
                            .kind = SIM_OP_WRITE,
                            .object = told->uuid,
                            .label = told->what};
    sim_user_send(u, &r);
}
