/* A simulated keeper (hf-lease), behind the vtable of keeper_client.h: it keeps epoch, term, runs and
 * tombstones, looks for and kills the QEMUs of a simulated machine. It outlives its connections, as the
 * keeper outlives the host daemon.
 */
#ifndef HF_HOSTD_KEEPER_SIM_H
#define HF_HOSTD_KEEPER_SIM_H

#include "base/sim.h"
#include "hostd/keeper_client.h"
#include "hostd/vm_sim.h"

#define HF_KEEPER_SIM_RUNS_MAX     1024
#define HF_KEEPER_SIM_STORAGES_MAX 16

struct hf_keeper_sim;

enum hf_keeper_sim_op {
    HF_KEEPER_SIM_VIEW,
    HF_KEEPER_SIM_SET_EPOCH,
    HF_KEEPER_SIM_SEE_TERM,
    HF_KEEPER_SIM_ADD_STORAGE,
    HF_KEEPER_SIM_REMOVE_STORAGE,
    HF_KEEPER_SIM_BEGIN_RUN,
    HF_KEEPER_SIM_REGISTER_RUN,
    HF_KEEPER_SIM_END_RUN,
    HF_KEEPER_SIM_END_EPOCH,
    HF_KEEPER_SIM_GO_ON,
};

struct hf_keeper_sim *hf_keeper_sim_create(struct hf_env *env, struct hf_vm_machine *m);
void hf_keeper_sim_free(struct hf_keeper_sim *k);

struct hf_keeper *hf_keeper_sim_connect(struct hf_keeper_sim *k, const struct hf_keeper_events *events);
void hf_keeper_sim_disconnect(struct hf_keeper *k); /* calls under way are never answered */

struct hf_sim_faults *hf_keeper_sim_faults(struct hf_keeper_sim *k);
/* The process is away: calls fail with UNAVAILABLE. */
void hf_keeper_sim_set_down(struct hf_keeper_sim *k, bool down);
/* "none" at first. kind lives as long as k. The daemon sees it with the keeper's next view. */
void hf_keeper_sim_set_watchdog(struct hf_keeper_sim *k, const char *kind);
/* A lease is in doubt, or no longer: every run is told to stand still, or to go on. */
void hf_keeper_sim_freeze(struct hf_keeper_sim *k, bool frozen);
/* Every lease is lost for longer than L+K: the epoch is closed, everything killed. */
void hf_keeper_sim_lose_leases(struct hf_keeper_sim *k);
/* One storage's lease: closed for ever in this epoch; the runs that use it are killed and tombstoned. */
void hf_keeper_sim_close_storage(struct hf_keeper_sim *k, const struct hf_uuid *storage);
/* It starts again and does not know what it could not save: this permit. */
void hf_keeper_sim_forget(struct hf_keeper_sim *k, const struct hf_uuid *instance);
/* A process of this instance has heard its yes at the gate. */
void hf_keeper_sim_let_in(struct hf_keeper_sim *k, const struct hf_uuid *instance);

uint64_t hf_keeper_sim_epoch(const struct hf_keeper_sim *k);
uint64_t hf_keeper_sim_term(const struct hf_keeper_sim *k);
bool hf_keeper_sim_run_state(const struct hf_keeper_sim *k, const struct hf_uuid *instance, uint64_t run,
                             enum hf_keeper_run_state *ret);
bool hf_keeper_sim_has_storage(const struct hf_keeper_sim *k, const struct hf_uuid *storage);

#endif
