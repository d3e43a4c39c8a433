/* Drills: a failover of a live host on purpose. The order commits the fence of its present life; from there
 * on everything goes the way of a real failover of a host that is in contact: it is told to end its epoch,
 * its keeper closes, kills and says so, which is the evidence. So a drill proves the whole chain from the
 * fence on, and costs what a failover costs: the guests on the host lose power.
 */
#ifndef HF_CONTROL_HA_DRILL_H
#define HF_CONTROL_HA_DRILL_H

#include "control/controllers_state.h"

#define HF_DRILL_MS_MAX    600000 /* after this a drill ends with what has not come */
#define HF_DRILLS_KEPT_MAX 200    /* ended ones; above, the oldest are deleted */

/* Adds the fence and the Drill (the answer) to t. Refused: for a host without contact, in a life that is
 * fenced already, or that never had one; while any host's failover is open; and, without force, when a
 * NeverStop instance would find no place. */
hf_status hf_drill_order(struct hf_control *control, const struct hf_store *s, struct hf_txn *t,
                         const char *host_uuid, bool force) HF_MUST_USE;

/* A drill of this host is running, so its instances start elsewhere even if the host is back before them:
 * that is what is being tried. Not with force, which may leave no other place. */
bool hf_drill_keeps_empty(const struct hf_controllers *c, const char *host_uuid);

/* Ends the drills that are through, with their report. On every tick. */
void hf_drill_follow(struct hf_controllers *c);

#endif
