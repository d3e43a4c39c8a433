/* Requests that must be refused. None of them is in the history: what they are about does not exist or does
 * not change. */
#include <string.h>

#include "base/mem.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/instance.pb-c.h"
#include "sim/request.h"
#include "sim/user.h"

#define NO_REVISION UINT64_MAX

static void refuse(struct sim_user *u, const char *service, const char *method,
                   ProtobufCMessage *take_message, enum hf_code code)
{
    struct sim_request r = {
        .service = service, .method = method, .take_message = take_message, .refusal = code};
    sim_user_send(u, &r);
}

static void stop_unknown(struct sim_user *u)
{
    char id[HF_UUID_STR], nobody[HF_UUID_STR];
    ProtobufCMessage *m = sim_request_new(&holdfast__v1__instance_verb_request__descriptor);
    sim_request_set(m, "request_id", sim_user_id(u, id));
    sim_request_set(m, "uuid", sim_user_id(u, nobody));
    refuse(u, "Instance", "StopInstance", m, HF_NOT_FOUND);
}

static void get_no_uuid(struct sim_user *u)
{
    refuse(u, "Instance", "GetInstance", sim_request_get("vm1?", "", false), HF_INVALID);
}

static void create_bad_name(struct sim_user *u)
{
    char id[HF_UUID_STR];
    ProtobufCMessage *object;
    refuse(u, "Zone", "CreateZone",
           sim_request_create(&holdfast__v1__create_zone_request__descriptor, sim_user_id(u, id), "a/b",
                              &object),
           HF_INVALID);
}

static void create_taken_name(struct sim_user *u)
{
    char id[HF_UUID_STR];
    ProtobufCMessage *object;
    refuse(u, "Cluster", "CreateCluster",
           sim_request_create(&holdfast__v1__create_cluster_request__descriptor, sim_user_id(u, id),
                              "cluster", &object),
           HF_EXISTS);
}

static void update_wrong_revision(struct sim_user *u)
{
    char id[HF_UUID_STR];
    ProtobufCMessage *object;
    refuse(u, "Zone", "UpdateZone",
           sim_request_update(&holdfast__v1__update_zone_request__descriptor, sim_user_id(u, id),
                              sim_setup_cloud(u->l->setup)->zone, NO_REVISION, "meta.description", &object),
           HF_CONFLICT);
}

static void update_no_field(struct sim_user *u)
{
    char id[HF_UUID_STR];
    ProtobufCMessage *object;
    refuse(u, "Zone", "UpdateZone",
           sim_request_update(&holdfast__v1__update_zone_request__descriptor, sim_user_id(u, id),
                              sim_setup_cloud(u->l->setup)->zone, 0, "spec.power", &object),
           HF_INVALID);
}

/* Clusters and storages are in it. */
static void delete_used(struct sim_user *u)
{
    char id[HF_UUID_STR];
    refuse(u, "Zone", "DeleteZone",
           sim_request_delete(sim_user_id(u, id), sim_setup_cloud(u->l->setup)->zone, 0), HF_PRECONDITION);
}

/* The daemon is added already, or waits with another address. */
static void add_unknown_host(struct sim_user *u)
{
    char id[HF_UUID_STR];
    ProtobufCMessage *object;
    ProtobufCMessage *m = sim_request_create(&holdfast__v1__create_host_request__descriptor,
                                             sim_user_id(u, id), "nobody", &object);
    ProtobufCMessage *spec = sim_request_sub(object, "spec");
    sim_request_set(spec, "cluster_uuid", sim_setup_cloud(u->l->setup)->cluster);
    sim_request_set(spec, "management_ip", "192.0.2.1");
    refuse(u, "Host", "CreateHost", m, HF_PRECONDITION);
}

void sim_user_wrong(struct sim_user *u)
{
    static void (*const wrong[])(struct sim_user * u) = {
        stop_unknown,          get_no_uuid,     create_bad_name, create_taken_name,
        update_wrong_revision, update_no_field, delete_used,     add_unknown_host,
    };
    wrong[sim_rng_below(&u->rng, sizeof wrong / sizeof wrong[0])](u);
}
