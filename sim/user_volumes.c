/* What a client does with its data volume: it makes it on some shared storage, attaches it to a stopped
 * instance of its own, detaches it, deletes it. So instances have disks on more than one storage. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "holdfast/v1/storage.pb-c.h"
#include "sim/request.h"
#include "sim/user.h"

#define BYTES      (1u << 20)
#define DELETE_PPM 250000 /* instead of being attached */
#define ANYHOW_PPM 50000  /* though the instance is not stopped: refused */

typedef Holdfast__V1__Volume Volume;

static void send(struct sim_user *u, const char *method, ProtobufCMessage *take_message,
                 enum sim_op_kind kind,
                 void (*done)(struct sim_user *u, void *thing, const struct sim_answer *a))
{
    struct sim_data_volume *v = &u->volume;
    struct sim_request r = {.service = "Volume",
                            .method = method,
                            .take_message = take_message,
                            .recorded = true,
                            .kind = kind,
                            .object = v->uuid[0] != '\0' ? v->uuid : NULL,
                            .label = v->name,
                            .done = done,
                            .thing = v};
    sim_user_send(u, &r);
}

/* --- create --- */

static void created(struct sim_user *u, void *thing, const struct sim_answer *a)
{
    struct sim_data_volume *v = thing;
    (void)u;
    if (a->code == HF_OK)
        memcpy(v->uuid, ((const Volume *)(const void *)a->message)->meta->uuid, sizeof v->uuid);
    v->state = a->code == HF_OK ? SIM_KNOWN_THERE : a->doubt ? SIM_KNOWN_DOUBT : SIM_KNOWN_NONE;
}

static void create(struct sim_user *u)
{
    const struct sim_cloud *cloud = sim_setup_cloud(u->l->setup);
    char id[HF_UUID_STR];
    ProtobufCMessage *object;
    u->volume = (struct sim_data_volume){.state = SIM_KNOWN_ASKED};
    sim_user_text(u, u->volume.name, sizeof u->volume.name);
    ProtobufCMessage *m = sim_request_create(&holdfast__v1__create_volume_request__descriptor,
                                             sim_user_id(u, id), u->volume.name, &object);
    Holdfast__V1__VolumeSpec *spec = (Holdfast__V1__VolumeSpec *)(void *)sim_request_sub(object, "spec");
    spec->type = HOLDFAST__V1__VOLUME_SPEC__TYPE__DATA;
    spec->size_bytes = BYTES;
    hf_pb_set(&spec->primary_storage_uuid,
              cloud->storages[sim_rng_below(&u->rng, u->client.w->sizes.shared_storages)]);
    send(u, "CreateVolume", m, SIM_OP_WRITE, created);
}

/* --- where is it? --- */

static void looked_up(struct sim_user *u, void *thing, const struct sim_answer *a)
{
    struct sim_data_volume *v = thing;
    const Volume *m = (const Volume *)(const void *)a->message;
    if (a->code == HF_NOT_FOUND)
        v->state = SIM_KNOWN_NONE;
    if (a->code != HF_OK)
        return;
    created(u, thing, a);
    if (m->spec->deleting)
        v->state = SIM_KNOWN_LEAVING;
    v->attached = m->spec->instance_uuid[0] != '\0';
    v->unsure = false;
}

static void look_up(struct sim_user *u)
{
    const struct sim_data_volume *v = &u->volume;
    bool named = v->uuid[0] == '\0';
    send(u, "GetVolume", sim_request_get(v->uuid, named ? v->name : "", false), SIM_OP_READ, looked_up);
}

/* --- attach, detach, delete --- */

static void moved(struct sim_user *u, void *thing, const struct sim_answer *a)
{
    struct sim_data_volume *v = thing;
    const Volume *m = (const Volume *)(const void *)a->message;
    (void)u;
    v->unsure = a->code != HF_OK;
    if (a->code == HF_OK)
        v->attached = m->spec->instance_uuid[0] != '\0';
}

static void move(struct sim_user *u, const char *method, const char *instance)
{
    char id[HF_UUID_STR];
    ProtobufCMessage *m = sim_request_new(&holdfast__v1__attach_volume_request__descriptor);
    sim_request_set(m, "request_id", sim_user_id(u, id));
    sim_request_set(m, "uuid", u->volume.uuid);
    sim_request_set(m, "instance_uuid", instance);
    send(u, method, m, SIM_OP_WRITE, moved);
}

static void attach(struct sim_user *u)
{
    const struct sim_known *k = sim_user_draw_own(u, SIM_KNOWN_THERE);
    if (k != NULL && !k->local && (k->power == SIM_POWER_STOPPED || sim_rng_chance(&u->rng, ANYHOW_PPM)))
        move(u, "AttachVolume", k->uuid);
}

static void deleted(struct sim_user *u, void *thing, const struct sim_answer *a)
{
    struct sim_data_volume *v = thing;
    sim_user_told(u, a);
    if (a->code != HF_OK && !a->doubt)
        v->state = a->code == HF_NOT_FOUND ? SIM_KNOWN_NONE : SIM_KNOWN_THERE;
}

static void delete (struct sim_user *u)
{
    char id[HF_UUID_STR];
    u->volume.state = SIM_KNOWN_LEAVING;
    send(u, "DeleteVolume", sim_request_delete(sim_user_id(u, id), u->volume.uuid, 0), SIM_OP_DELETE,
         deleted);
}

void sim_user_volume(struct sim_user *u)
{
    const struct sim_data_volume *v = &u->volume;
    bool there = v->state == SIM_KNOWN_THERE;
    if (u->client.w->sizes.shared_storages == 0 || v->state == SIM_KNOWN_ASKED)
        return;
    if (v->state == SIM_KNOWN_NONE)
        create(u);
    else if (!there || v->unsure)
        look_up(u);
    else if (v->attached)
        move(u, "DetachVolume", "");
    else if (sim_rng_chance(&u->rng, DELETE_PPM))
        delete (u);
    else
        attach(u);
}
