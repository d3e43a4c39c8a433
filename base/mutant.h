/* Planted bugs: each breaks one rule of docs/safety.md, one check of the placement guard, one inequality of
 * ha/ha_timing.h or one promise of the replicated store. They exist to show that the simulator's checks bite:
 * with a mutant chosen (hf-sim --mutant NAME) a violation must be found.
 *
 * HF_MUTANT(NAME) stands in the condition that it breaks. It is a constant 0 in everything that is shipped;
 * only the preset "sim" (HF_SIM) compiles mutants in, and then at most one is active, chosen before the world
 * begins: by hf_mutant_choose(), or for a daemon by HOLDFAST_MUTANT in its environment (./check drill --mutant).
 */
#ifndef HF_BASE_MUTANT_H
#define HF_BASE_MUTANT_H

#include <stdbool.h>
#include <stddef.h>

/* Name, what it breaks ("rule 8" of docs/safety.md, "timing" for the inequalities, "store", "operations",
 * "networks"), and how. */
/* clang-format off */
#define HF_MUTANTS(X) \
    /* orders and reports */ \
    X(ORDER_BEFORE_COMMIT,     "rule 1",   "A start is ordered before its placement is committed.") \
    X(ORDER_OF_OLD_TERM,       "rule 1",   "A host takes orders of a term that is over.") \
    X(ORDER_OF_OLD_EPOCH,      "rule 1",   "A host takes orders that name another epoch.") \
    X(RUN_USED_TWICE,          "rule 1",   "A new placement keeps the number of the last run, and the guard lets it.") \
    X(PENDING_UNCOUNTED,       "rule 2",   "A permit whose process was not seen yet does not keep the watchdog from being petted.") \
    X(PENDING_IS_OVER,         "rule 2",   "A start that still hangs in libvirt does not keep a host from calling itself clean.") \
    X(GATE_WITHOUT_PERMIT,     "rule 2",   "The gate lets in a guest whose run has no permit, or is over.") \
    X(GATE_WITHOUT_LEASE,      "rule 2",   "The gate asks nothing of the leases: neither whether they are fresh nor since when they are renewed.") \
    X(GATE_AFTER_CLOSE,        "rule 2",   "The gate lets in what had a permit before its epoch or storage was closed.") \
    X(GATE_DURING_END,         "rule 2",   "The gate lets in a run whose end is asked for.") \
    X(GATE_UNCOUNTED,          "rule 2",   "A process that was let in neither is watched nor counts as an instance.") \
    X(STRAYS_LEFT_ALONE,       "rule 3",   "A process without a permit is neither killed nor counted.") \
    X(TOMBSTONE_NOT_WRITTEN,    "rule 4",   "The keeper forgets a run that is over instead of remembering that it must never run again.") \
    X(TOMBSTONE_NOT_SAVED,     "rule 4",   "The keeper answers that a run is over before its tombstone is on disk, and does not write it.") \
    X(UNSAVED_IS_TOLD,         "rule 4",   "Record and view tell of ends that the state file does not hold.") \
    X(KILL_UNVERIFIED,         "rule 4",   "A run is buried as soon as its kill was sent, whether its process is gone or not.") \
    X(UNSEEN_IS_STOPPED,       "rule 4",   "A run that libvirt does not list is reported as stopped, without the keeper.") \
    X(PLACED_TWICE,            "rule 5",   "A placement on a host without contact is replaced, and the guard lets it.") \
    X(END_OF_ANOTHER_RUN,      "rule 5",   "The report about an earlier run ends the present one.") \
    X(EVIDENCE_OF_OLD_EPOCH,   "rule 5",   "Evidence against an earlier epoch of a host ends the runs of its present one, and the guard lets it.") \
    X(EVIDENCE_COVERS_ALL,     "rule 5",   "Silence on one storage ends the runs of an instance on another, and the guard lets it.") \
    X(MIGRATION_ENDS_AT_SOURCE, "rule 6",   "The fence of a migration's source ends its run, whatever runs at the target, and the guard lets it.") \
    X(STOPPED_IS_HANDED_OVER,  "rule 6",   "A source whose run has ended counts as one that has handed it over.") \
    X(GO_ON_WITHOUT_WORD,      "rule 6",   "The target goes on as soon as the guest is whole there.") \
    X(LOST_MOVE_FAILED,        "rule 17",  "A migration whose answer was lost counts as one that failed.") \
    X(SIGN_OF_OLD_EPOCH,       "rule 7",   "A record that stands still since an earlier epoch counts as silence of the present one.") \
    X(FENCED_EPOCH_ADOPTED,    "rule 7",   "A host that comes back goes on in the epoch that was fenced.") \
    X(PLACED_ON_FENCED,         "rule 7",   "A host whose epoch is fenced is given instances, and the guard lets it.") \
    X(EPOCH_WITHOUT_PROOF,      "rule 7",   "The next epoch is granted without evidence against the last, and the guard lets it.") \
    X(GRANT_TO_UNCLEAN,        "rule 7",   "The next epoch is granted to a host on which something may still run.") \
    /* leases */ \
    X(LEASE_FROM_ANSWER,       "rule 8",   "The lease counts from the answer to a renewal, however late it comes, not from its start.") \
    X(MARK_NOT_READ,            "rule 8",   "A keeper does not heed the mark that says that its epoch is fenced.") \
    X(FAILED_RENEWAL_COUNTS,   "rule 8",   "A renewal that failed renews the lease.") \
    X(KILLED_TOO_EARLY,        "rule 9",   "The record says 'closed and killed' as soon as it is closed.") \
    X(LIVE_RUN_IS_OVER,        "rule 9",   "The leader reads the live runs of a lost host's record as ended ones.") \
    X(NO_KILL,                 "rule 10",  "The keeper closes a lost storage and kills nothing.") \
    X(CLOSED_STORAGE_REOPENS,  "rule 10",  "A renewal opens a storage again that was closed.") \
    X(NOT_FROZEN,               "rule 10",  "A guest runs on past L, until it is killed.") \
    X(NOT_THAWED,               "rule 10",  "A guest that was frozen stays frozen when its lease is renewed.") \
    X(PETS_WITHOUT_LEASE,      "rule 11",  "The watchdog is petted whatever the leases say.") \
    X(RESTART_BELIEVES,        "rule 11",  "A keeper that starts again takes every lease for fresh.") \
    /* fencing and judgement */ \
    X(EVIDENCE_WITHOUT_SILENCE, "rule 12",  "A committed fence is proof: the evidence does not wait for T.") \
    X(CONTACT_IS_PROOF,        "rule 13",  "The time without contact counts as silence of the record.") \
    X(OBSERVER_UNCHECKED,      "rule 13",  "An observer testifies although its own write failed or it paused.") \
    X(SILENCE_WITHOUT_WATCHDOG, "rule 13",  "Silence proves a host down that has no watchdog, and the guard lets it.") \
    X(POWER_OFF_UNCONFIRMED,   "rule 14",  "A power device's agent that ends well is believed without asking for the status.") \
    X(POWER_BEFORE_FENCE,      "rule 14",  "The power of a host without contact is cut before its fence is committed.") \
    X(BLOCKLIST_BY_CLIENTS_PROVES, "rule 15", "Single clients on a blocklist count as the whole host, and the guard lets it.") \
    X(WRITE_FENCED_FILE_STORAGE_UNPROVEN, "rule 15", "A write-fenced instance leaves once one of its storages refuses its host, whatever its other disks lie on, and the guard lets it.") \
    X(UNBLOCK_BEFORE_NEXT_EPOCH, "rule 15", "A host is taken off a blocklist before it lives a later epoch, and the guard lets it.") \
    X(STRICT_IS_WRITE_FENCED,  "rule 15",  "A strict instance leaves as a write-fenced one does, and the guard lets it.") \
    X(BLOCKLIST_NOT_AWAITED,   "rule 15",  "An instance leaves by silence or power although a Ceph cluster was not seen to refuse its host.") \
    X(LAST_CLIENT_NOT_REFUSED, "rule 15",  "A start has nobody refused who had its volumes open before: it counts on the fence of that host, whose address is served again when it is back.") \
    X(CLIENTS_TAKEN_OFF,       "rule 15",  "With a host's address the single clients are taken off the blocklist, too, of which something may still be under way.") \
    X(ADD_WHILE_REMOVING,      "rule 15",  "A host is put on a blocklist while a removal is under way whose end nobody knows.") \
    X(F_NOT_AWAITED,           "rule 13",  "Nobody waits for a guest's last writes: neither the keeper before its word, nor the leader behind another's, nor a start after an outage.") \
    X(LOST_START_FAILED,       "rule 17",  "A start whose answer was lost counts as one that failed.") \
    X(UNKNOWN_IS_FAILED,        "rule 17",  "A write that leadership was lost over is answered as one that surely did not happen.") \
    X(OUTAGE_IS_SILENCE,       "rule 18",  "A storage that no observer can read counts as a record that stands still.") \
    X(MASS_LOSS_FENCED,        "rule 18",  "Many hosts lost at once are fenced like one.") \
    X(MAINTENANCE_IS_LOSS,     "rule 18",  "An empty host in maintenance is fenced for its silence like any other.") \
    X(NEVER_STOP_FORGOTTEN,    "ha",       "A NeverStop instance stays stopped when its host was fenced.") \
    X(OLD_CHECK_BELIEVED,      "ha",       "A host that has lost a lease goes on saying what its last check had found of that storage.") \
    X(OLD_WORD_BELIEVED,       "ha",       "What a host said of a storage before it attached again counts until it says something else.") \
    X(ADOPTS_NOTHING,          "restarts", "A host daemon that starts again does not ask the keeper which runs there are.") \
    /* the inequalities (ha/ha_timing_mutant.c) */ \
    X(TIMING_T_IS_FENCE,       "timing",   "T = L + K: the proof does not wait for the watchdog.") \
    X(TIMING_T_ONE_WATCHDOG,   "timing",   "T covers one watchdog period instead of two.") \
    X(TIMING_T_NO_DRIFT,       "timing",   "T takes no drift of clocks into account.") \
    X(TIMING_T_NO_GUEST_WRITE, "timing",   "T takes no write of a guest into account that is still under way.") \
    X(TIMING_RENEW_TOO_RARE,   "timing",   "R is so long that one failed renewal costs the lease.") \
    X(TIMING_KILL_TOO_LATE,    "timing",   "K is so long that the watchdog fires before a good kill.") \
    X(TIMING_PET_TOO_RARE,     "timing",   "The watchdog is petted more rarely than it fires.") \
    X(TIMING_FENCE_TOO_EARLY,  "timing",   "A fence is committed before the host had time to renew.") \
    X(TIMING_CONTACT_TOO_LATE, "timing",   "Contact is given up only long after the proof.") \
    X(TIMING_T_TOO_LONG,       "timing",   "T is a minute longer than needed: the take-over misses its bound.") \
    /* the replicated store */ \
    X(DEDUP_FORGOTTEN,         "store",    "A request that comes again is applied again.") \
    X(DEDUP_NOT_RESTORED,      "store",    "A replica that restores a snapshot forgets which requests were applied.") \
    X(ANSWER_BEFORE_COMMIT,    "store",    "A write in one entry of 256 is answered when it is proposed.") \
    X(READ_WITHOUT_BARRIER,    "store",    "A read is answered without proof that this replica still leads.") \
    X(CONFIRMED_BY_ONE,        "store",    "One member's answer confirms the leader, not a majority's.") \
    X(REVISION_UNCHECKED,      "store",    "A transaction applies although an object it rests on has changed.") \
    X(SNAPSHOT_INCOMPLETE,      "store",    "A replica that restores a snapshot leaves out one object of sixteen.") \
    X(WATCH_SKIPS,             "store",    "A watch leaves out one change of sixteen.") \
    /* the API and the controllers */ \
    X(ADDRESS_GIVEN_TWICE,     "networks", "The first address of a network is given to every NIC.") \
    X(OPERATION_ENDLESS,       "operations", "A reboot of an instance that has stopped never ends.") \
    X(OPERATION_JUDGED_AGAIN,  "operations", "An operation that has ended is judged again with every change of its target.") \
    X(SHUT_DOWN_IN_USE,        "operations", "A host that is shut down is told to close its epoch while instances run there.") \
    X(HELD_TOO_EARLY,          "ha",       "A NeverStop instance is held with the first end that nobody ordered.") \
    X(PRIORITY_FORGOTTEN,      "ha",       "Who waits for a host is placed without regard to its priority.") \
    X(AFFINITY_FORGOTTEN,      "affinity", "A hard anti-affinity group is a wish: where there is no other room, two of it share a host.") \
    X(FAILED_EDIT_DROPPED,     "operations", "What a controller could not commit is not tried again.")
/* clang-format on */

enum hf_mutant {
    HF_MUTANT_NONE,
#define HF_MUTANT_ENUM(name, rule, how) HF_MUTANT_##name,
    HF_MUTANTS(HF_MUTANT_ENUM)
#undef HF_MUTANT_ENUM
        HF_MUTANTS_END,
};

#ifdef HF_SIM

extern enum hf_mutant hf_mutant_active;

#define HF_MUTANT(name) (hf_mutant_active == HF_MUTANT_##name)

struct hf_mutant_info {
    const char *name, *rule, *how;
};

/* From now on this one is active, "none": no one. False: there is no such mutant, nothing changes. */
bool hf_mutant_choose(const char *name);
/* Number i, from 0; NULL past the last. */
const struct hf_mutant_info *hf_mutant_at(size_t i);

#else

#define HF_MUTANT(name) (HF_MUTANT_##name == HF_MUTANT_NONE) /* a constant 0 that knows the names */

#endif

#endif
