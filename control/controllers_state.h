/* What the controllers share among themselves: private to the files of the controllers.
 *
 * A pass looks at every dirty object that is not busy, kind by kind, and at the end sends the hosts what
 * changed for them. What a controller remembers of an object beyond the store (reports, plans) hangs on it as
 * `memory` and is void after a change of leaders.
 */
#ifndef HF_CONTROL_CONTROLLERS_STATE_H
#define HF_CONTROL_CONTROLLERS_STATE_H

#include "control/controllers.h"
#include "control/edit.h"
#include "control/host_assignments.h"
#include "control/host_facts.h"
#include "control/host_loss.h"
#include "control/world.h"
#include "ha/ha_timing.h"
#include "holdfast/v1/ha.pb-c.h"
#include "holdfast/v1/host_link.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/network.pb-c.h"
#include "holdfast/v1/operation.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"

#define HF_CONTROLLERS_TICK_MS 250

struct hf_ha_controller;
struct hf_ceph_controller;

/* Instances that this pass tries to place, when it has looked at everything else. */
struct hf_starting {
    struct hf_world_object **items;
    size_t n, cap;
};

struct hf_controllers {
    struct hf_control *control;
    struct hf_world *world;
    struct hf_editor editor;
    struct hf_host_assignments *assignments;
    struct hf_ha_controller *ha;
    struct hf_ceph_controller *ceph;
    struct hf_facts *facts; /* of the pass under way, gathered when first needed */
    struct hf_starting starting;
    struct hf_admission_state {
        bool changed;   /* something that it looks at has, since the last look */
        int64_t due_ms; /* loop clock: no look before */
    } admission;
    bool room_freed; /* a run has ended since the last pass */
    const struct hf_ha_timing *timing;
    struct hf_timer pass_timer, tick_timer;
    bool working;       /* this node leads */
    bool loading;       /* the world is being filled: everything is dirty anyway */
    int64_t settled_ms; /* loop clock: hosts have had time to attach to this leader */
};

static inline int64_t hf_controllers_now_ms(const struct hf_controllers *c)
{
    return hf_env_now_ms(c->control->env);
}
static inline int64_t hf_controllers_wall_ms(const struct hf_controllers *c)
{
    return hf_env_wall_ms(c->control->env);
}
static inline bool hf_controllers_settled(const struct hf_controllers *c)
{
    return hf_controllers_now_ms(c) >= c->settled_ms;
}

/* Run a pass soon. */
void hf_controllers_kick(struct hf_controllers *c);
/* Look at the object again in the next pass / not later than this. */
void hf_controllers_mark(struct hf_controllers *c, struct hf_world_object *o);
void hf_controllers_wake(struct hf_controllers *c, struct hf_world_object *o, int64_t delay_ms);
/* Every instance whose last placement is on this host; NULL: every one that waits for a place. */
void hf_controllers_mark_instances(struct hf_controllers *c, const char *host_uuid);

/* The host has contact, in its granted epoch, which is not fenced. */
bool hf_controllers_host_usable(const struct hf_controllers *c, const Holdfast__V1__Host *h);
/* Host's stream is there and it said something lately, whatever its state. */
bool hf_controllers_host_contact(const struct hf_controllers *c, const char *host_uuid);

/* The candidates, as of now; the caller frees them. */
struct hf_facts *hf_controllers_gather_facts(struct hf_controllers *c);
/* The candidates of this pass; outside of one they are gathered for the caller, who drops them when it is
 * done. */
struct hf_facts *hf_controllers_facts(struct hf_controllers *c);
void hf_controllers_drop_facts(struct hf_controllers *c);
/* What losses of hosts would bring, on those facts. */
struct hf_losses *hf_controllers_losses(struct hf_controllers *c);

/* A RUNNING operation with that target whose verb is one of these (NULL-ended list), or NULL. */
struct hf_world_object *hf_controllers_operation(const struct hf_controllers *c, const char *target_uuid,
                                                 const char *const *verbs);

/* One look at one object (dirty, not busy). */
void hf_host_reconcile(struct hf_controllers *c, struct hf_world_object *o);
void hf_image_reconcile(struct hf_controllers *c, struct hf_world_object *o);
void hf_volume_reconcile(struct hf_controllers *c, struct hf_world_object *o);
void hf_storage_reconcile(struct hf_controllers *c, struct hf_world_object *o);
void hf_instance_reconcile(struct hf_controllers *c, struct hf_world_object *o);
void hf_operation_reconcile(struct hf_controllers *c, struct hf_world_object *o);

#endif
