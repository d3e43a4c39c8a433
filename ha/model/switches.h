/* The rules of the fencing protocol as switches, for all models: 1 the rule holds, -DNAME=0 it does not. The number in a
 * name is the rule's in docs/safety.md; expectations.txt says which run shows that each is needed.
 *
 * event(NAME) marks a step that a run must reach; run.py fails a run that never does.
 */
#ifndef event
#define event(name) assert(true)
#endif

/* --- rule 1: orders --- */

/* A start is ordered only after its placement is committed. */
#ifndef R1_PLACED_FIRST
#define R1_PLACED_FIRST 1
#endif

/* An order names an epoch, and a host takes none of another. */
#ifndef R1_EPOCH
#define R1_EPOCH 1
#endif

/* A host refuses a lower term than it has ever seen. */
#ifndef R1_TERM
#define R1_TERM 1
#endif

/* --- rule 2: the gate --- */

/* The keeper is asked when QEMU is executed, also at the target of a migration. */
#ifndef R2_GATE
#define R2_GATE 1
#endif

/* The gate asks for a permit of this run, not only for a fresh lease. */
#ifndef R2_PERMIT
#define R2_PERMIT 1
#endif

/* A granted start that is not known gone keeps the watchdog from being petted when the lease is lost. */
#ifndef R2_PERMIT_COUNTS
#define R2_PERMIT_COUNTS 1
#endif

/* --- rule 3: domains --- */

/* libvirt knows no domain that it could start by itself. */
#ifndef R3_TRANSIENT
#define R3_TRANSIENT 1
#endif

/* --- rule 4: stopped --- */

/* "Stopped" leaves only after a tombstone that refuses the run from then on. */
#ifndef R4_TOMBSTONE
#define R4_TOMBSTONE 1
#endif

/* Tombstones, permits and terms are the keeper's: hostd may forget. */
#ifndef R4_OUTLIVES_HOSTD
#define R4_OUTLIVES_HOSTD 1
#endif

/* That no QEMU is seen is not reported as stopped. */
#ifndef R4_NOT_SEEN_IS_NOT_STOPPED
#define R4_NOT_SEEN_IS_NOT_STOPPED 1
#endif

/* Nor is that the source of a migration has handed over. */
#ifndef R4_HANDED_OVER_IS_NOT_STOPPED
#define R4_HANDED_OVER_IS_NOT_STOPPED 1
#endif

/* --- rule 5: the guard --- */

/* "Stopped" counts only for exactly the run of the placement. */
#ifndef R5_EXACT_RUN
#define R5_EXACT_RUN 1
#endif

/* Evidence counts only for instances that use the storage that it is about. */
#ifndef R5_COVERS_A_STORAGE
#define R5_COVERS_A_STORAGE 1
#endif

/* --- rule 6: migration --- */

/* Both ends are in the log before libvirt is told. */
#ifndef R6_INTENT_FIRST
#define R6_INTENT_FIRST 1
#endif

/* While the migration is open a fence needs proof for both. */
#ifndef R6_BOTH_ENDS
#define R6_BOTH_ENDS 1
#endif

/* It is called off only when the target has tombstoned the run. */
#ifndef R6_CANCEL_NEEDS_TOMB
#define R6_CANCEL_NEEDS_TOMB 1
#endif

/* The source goes on only when the target has tombstoned the run. */
#ifndef R6_SOURCE_WAITS_FOR_TOMB
#define R6_SOURCE_WAITS_FOR_TOMB 1
#endif

/* The target goes on only when the log says that the source has handed over: its keeper has tombstoned the run. */
#ifndef R6_TARGET_WAITS_FOR_WORD
#define R6_TARGET_WAITS_FOR_WORD 1
#endif

/* --- rule 7: fences and evidence --- */

/* Nothing is placed in a fenced epoch. */
#ifndef R7_FOR_EVER
#define R7_FOR_EVER 1
#endif

/* Evidence is about one epoch. */
#ifndef R7_EVIDENCE_NAMES_EPOCH
#define R7_EVIDENCE_NAMES_EPOCH 1
#endif

/* ... and about one session of a storage in it. */
#ifndef R7_EVIDENCE_NAMES_SESSION
#define R7_EVIDENCE_NAMES_SESSION 1
#endif

/* The next epoch is granted only when all is killed. */
#ifndef R7_KILL_FIRST
#define R7_KILL_FIRST 1
#endif

/* A restarted hostd keeps the epoch. */
#ifndef R7_EPOCH_OUTLIVES_HOSTD
#define R7_EPOCH_OUTLIVES_HOSTD 1
#endif

/* --- rule 8: the lease --- */

/* It counts from the start of the renewal, not from its answer. */
#ifndef R8_FROM_START
#define R8_FROM_START 1
#endif

/* It is measured on a clock that counts pauses. */
#ifndef R8_CLOCK_COUNTS_PAUSES
#define R8_CLOCK_COUNTS_PAUSES 1
#endif

/* A renewal writes first and then reads the mark. */
#ifndef R8_WRITE_THEN_MARK
#define R8_WRITE_THEN_MARK 1
#endif

/* Records and marks are read past all caches. */
#ifndef R8_UNCACHED
#define R8_UNCACHED 1
#endif

/* One write at a time, so that at most one can land late. */
#ifndef R8_ONE_WRITE
#define R8_ONE_WRITE 1
#endif

/* A renewal that took longer than L renews nothing: else it would move the deadline L+K without ending the doubt. */
#ifndef R8_SLOW_RENEWS_NOTHING
#define R8_SLOW_RENEWS_NOTHING 1
#endif

/* --- rule 9: the record --- */

/* Every renewal changes it. */
#ifndef R9_SEQUENCE
#define R9_SEQUENCE 1
#endif

/* Its list of runs is the host's own report. */
#ifndef R9_RECORD_LISTS_RUNS
#define R9_RECORD_LISTS_RUNS 1
#endif

/* --- rule 10: doubt and loss --- */

/* Past L the copies are frozen. */
#ifndef R10_FREEZE
#define R10_FREEZE 1
#endif

/* A renewal that succeeds in time thaws them. */
#ifndef R10_THAW
#define R10_THAW 1
#endif

/* At L+K the storage is closed for ever. */
#ifndef R10_CLOSE
#define R10_CLOSE 1
#endif

/* "Killed" is said only of what was seen to be gone. */
#ifndef R10_VERIFY
#define R10_VERIFY 1
#endif

/* A lease of a new epoch or session ages also when no renewal has succeeded in it yet. */
#ifndef R10_AGES_FROM_GRANT
#define R10_AGES_FROM_GRANT 1
#endif

/* A closed storage opens only with a new session of the log. */
#ifndef R10_SESSION
#define R10_SESSION 1
#endif

/* An order names the sessions that it was made in. */
#ifndef R10_ORDER_NAMES_SESSION
#define R10_ORDER_NAMES_SESSION 1
#endif

/* An instance on two storages dies with either lease. */
#ifndef R10_ANY_LEASE_KILLS
#define R10_ANY_LEASE_KILLS 1
#endif

/* --- rule 11: the watchdog --- */

/* It is petted until L, not until L+K. */
#ifndef R11_PET_UNTIL_L
#define R11_PET_UNTIL_L 1
#endif

/* It is not petted while something remains that needs a lost lease. */
#ifndef R11_ONLY_IF_SAFE
#define R11_ONLY_IF_SAFE 1
#endif

/* ... whichever of the leases it is. */
#ifndef R11_EVERY_LEASE
#define R11_EVERY_LEASE 1
#endif

/* A restarted keeper freezes first and takes every lease for L old. */
#ifndef R11_RESTART_TRUSTS_NOTHING
#define R11_RESTART_TRUSTS_NOTHING 1
#endif

/* ... or for older when it was: a restart makes no lease younger (its age outlives the keeper, in /run). */
#ifndef R11_AGE_OUTLIVES_KEEPER
#define R11_AGE_OUTLIVES_KEEPER 1
#endif

/* --- rule 12: fencing on files --- */

/* The fence is committed after L+K of silence, not earlier. */
#ifndef R12_FENCE_AFTER_LK
#define R12_FENCE_AFTER_LK 1
#endif

/* The fence mark is written. */
#ifndef R12_MARK
#define R12_MARK 1
#endif

/* The record is read again after the mark was written. */
#ifndef R12_MARK_THEN_READ
#define R12_MARK_THEN_READ 1
#endif

/* Every epoch has a mark of its own, never undone. */
#ifndef R12_MARK_PER_EPOCH
#define R12_MARK_PER_EPOCH 1
#endif

/* --- rule 13: silence --- */

/* It counts from the end of the first read of a value. */
#ifndef R13_FROM_FIRST_END
#define R13_FROM_FIRST_END 1
#endif

/* Only while the observer's own write and read are good. */
#ifndef R13_OWN_IO
#define R13_OWN_IO 1
#endif

/* F is waited for after the host's own word as well. */
#ifndef R13_F_FOLLOWS_EVERY_PROOF
#define R13_F_FOLLOWS_EVERY_PROOF 1
#endif

/* --- rule 14: no watchdog --- */

/* Silence proves only of a host with a hardware watchdog. */
#ifndef R14_WATCHDOG
#define R14_WATCHDOG 1
#endif

/* --- rule 15: RBD --- */

/* The new osdmap is confirmed before the entry counts. */
#ifndef R15_CONFIRMED
#define R15_CONFIRMED 1
#endif

/* Whole addresses are listed, not the clients that are known. */
#ifndef R15_EVERY_CLIENT
#define R15_EVERY_CLIENT 1
#endif

/* Entries stay until the epoch is proven dead otherwise. */
#ifndef R15_ENTRIES_STAY
#define R15_ENTRIES_STAY 1
#endif

/* One removal at a time. */
#ifndef R15_ONE_REMOVAL
#define R15_ONE_REMOVAL 1
#endif

/* It is confirmed before any start in the next epoch. */
#ifndef R15_REMOVED_BEFORE_START
#define R15_REMOVED_BEFORE_START 1
#endif

/* The take-over also waits until the old copy does not run. */
#ifndef R15_STRICT
#define R15_STRICT 1
#endif

/* --- rule 16: file volumes --- */

/* cache=none: no write of a guest waits in the host's page cache. */
#ifndef R16_CACHE_NONE
#define R16_CACHE_NONE 1
#endif

/* --- rule 17: time-outs --- */

/* A start that timed out is not reported as failed. */
#ifndef R17_TIMEOUT_IS_UNKNOWN
#define R17_TIMEOUT_IS_UNKNOWN 1
#endif

/* --- rule 18: judgement --- */

/* A host whose record moves is left alone. */
#ifndef R18_MOVING_RECORD_LIVES
#define R18_MOVING_RECORD_LIVES 1
#endif

/* Whether the storage is out is told by the observer's own I/O, not by the others' records. */
#ifndef R18_OWN_IO
#define R18_OWN_IO 1
#endif

/* --- rule 19: no proof, no restart --- */

/* A placement is left only with proof. */
#ifndef R19_PROOF
#define R19_PROOF 1
#endif
