/* High availability on the leader: what the hosts' streams and the observers say goes into ha/'s detector,
 * its pure decisions come back as fences, evidence, ended placements and failover records, each committed
 * before the next step rests on it.
 *
 *   1 contact is lost, the records stand still    the fence of (host, epoch) is committed        ha_fencing.c
 *   2 the proof is complete                       evidence is committed to the fence             ha_fencing.c
 *     its power is cut meanwhile, where it has power devices                                   ha_power.c
 *     it goes on the blocklists of its Ceph storages                                           ha_blocklist.c
 *   3 each instance that the evidence covers      its placement ends as FENCED                   ha_restart.c
 *   4 NeverStop: it waits for a place             the instance controller schedules and places
 * instance_controller.c 5 placed, running                             the failover record follows
 * ha_restart.c
 *
 * All that lasts is in the store: the next leader goes on with the step that is due.
 */
#ifndef HF_CONTROL_HA_CONTROLLER_H
#define HF_CONTROL_HA_CONTROLLER_H

#include "control/controllers_state.h"
#include "ha/fence_decide.h"

#define HF_HA_NOTE_MS           5000 /* between two writes of what holds a fence */
#define HF_HA_ACTIONS_MAX       64   /* changes of one look; the rest follows at the next */
#define HF_FAILOVERS_KEPT_MAX   1000 /* ended ones; above, the oldest are deleted */
#define HF_FAILOVERS_FORGET_MAX 64   /* in one transaction */

struct hf_ha_controller {
    struct hf_detector *detector;
    struct hf_ha_power *powers; /* hosts whose power is being cut */
    struct hf_ha_block *blocks; /* what is remembered of blocklists */
    bool busy;                  /* an edit of it is under way: nothing is decided on what it changes */
};

struct hf_ha_controller *hf_ha_create(struct hf_controllers *c);
void hf_ha_free(struct hf_ha_controller *ha);

/* A host's lease report: contact, and what it saw of its peers. */
void hf_ha_report(struct hf_controllers *c, const char *host_uuid, uint64_t epoch,
                  const Holdfast__V1__LeaseReport *r);
/* Its Hello was answered: there is contact, before anybody looks at its instances. */
void hf_ha_attached(struct hf_controllers *c, const char *host_uuid);
/* Its stream is over; its last message came silent_ms ago (the end of a dead stream is no contact). */
void hf_ha_detached(struct hf_controllers *c, const char *host_uuid, int64_t silent_ms);

/* Weighs everything and takes the steps that are due; on every tick and after each of its own commits. */
void hf_ha_tick(struct hf_controllers *c);

/* Contact with the host is lost for longer than the time-out of its profile. */
bool hf_ha_contact_lost(const struct hf_controllers *c, const Holdfast__V1__Host *h);

/* An observer saw the lease record of this life change within the contact time-out. */
bool hf_ha_record_moves(const struct hf_controllers *c, const char *host_uuid, uint64_t epoch);

/* ha_fencing.c: fences and evidence that are due. True: something is being committed. */
bool hf_ha_fence(struct hf_controllers *c);
/* ha_power.c: how it stands with the power of this host's present epoch; the texts live until the next call
 * of these. */
void hf_ha_power_view(struct hf_controllers *c, const struct hf_world_object *host,
                      struct hf_fence_power *ret);
/* For each of a plan's actions of the kind POWER; the others are stopped by hf_ha_power_done(). */
void hf_ha_power_act(struct hf_controllers *c, const struct hf_world_object *host,
                     const struct hf_fence_action *a);
void hf_ha_power_done(struct hf_controllers *c);
/* What the devices of the level that is off have said. */
void hf_ha_power_testify(struct hf_controllers *c, const struct hf_uuid *host, uint64_t epoch,
                         Holdfast__V1__Evidence *e);
void hf_ha_power_stop(struct hf_ha_controller *ha);

/* ha_restart.c: instances of fenced lives that are due. True: something is being committed. */
bool hf_ha_restart(struct hf_controllers *c);
/* ha_restart.c: failover records that have moved on. */
void hf_ha_follow_failovers(struct hf_controllers *c);

/* ha_restart.c: deletes the oldest ended failover records when they are too many. */
void hf_ha_forget_failovers(struct hf_controllers *c);

/* Commits an edit of HA: its end runs the next look at once. Takes e. */
void hf_ha_commit(struct hf_controllers *c, struct hf_edit *e);

/* The timing of the profile that the host's keeper runs. */
const struct hf_ha_timing *hf_ha_host_timing(const struct hf_controllers *c, const Holdfast__V1__Host *h);

#endif
